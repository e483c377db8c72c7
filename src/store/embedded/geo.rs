//! Nearest-first search: a box of latitude bands and longitudes that covers the circle, the exact distance
//! last.
//!
//! The circle starts small and doubles until the page is full, so that a page in a crowded city reads about
//! what it returns, and an empty country costs a few dozen seeks.

use rusqlite::{Row, params};

use super::rows::RoomKey;
use super::sql::Db;
use crate::domain::geo::Position;
use crate::store::codec;
use crate::store::contract::StoreError;

/// Bands to a degree of latitude: each about 2.2 km high.
const BANDS_PER_DEGREE: f64 = 50.0;

/// A lower bound of the metres in a degree of latitude on the domain's sphere (111,195): the box is never
/// too small, whatever the last bits of the haversine are.
const METRES_PER_DEGREE: f64 = 111_000.0;

/// Where a search without a cursor starts.
const FIRST_RADIUS_M: f64 = 500.0;

/// What the filters see of a candidate.
pub(super) struct Candidate<'r> {
    pub room: RoomKey,
    pub status: &'r str,
    pub kind: &'r str,
    pub public: bool,
    pub city: Option<&'r str>,
}

/// An incident that was found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Hit {
    pub room: RoomKey,
    pub distance_m: f64,
}

/// The band of a latitude; the column of a longitude.
pub(super) fn band(latitude: f64) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "degrees are finite and at most 180"
    )]
    let band = (latitude * BANDS_PER_DEGREE).floor() as i64;
    band
}

/// What to search for.
pub(super) struct Search<'q> {
    pub centre: Position,
    pub radius_m: f64,
    /// Which parts of the map: the open incidents, those that are over, or both.
    pub open: &'q [bool],
    /// Continue after this distance and, at it, this room.
    pub after: Option<(f64, RoomKey)>,
    pub limit: usize,
}

impl Search<'_> {
    /// The nearest incidents that pass `filter`, by distance and then by age.
    pub fn run(
        &self,
        db: &mut Db<'_>,
        filter: impl Fn(&Candidate<'_>) -> bool,
    ) -> Result<Vec<Hit>, StoreError> {
        let from = self.after.map_or(0.0, |(distance_m, _)| distance_m);
        let mut radius = (from * 1.1).max(FIRST_RADIUS_M).min(self.radius_m);
        loop {
            let mut hits = self.within(db, radius, &filter)?;
            if hits.len() >= self.limit || radius >= self.radius_m {
                hits.sort_by(|a, b| a.distance_m.total_cmp(&b.distance_m).then(a.room.cmp(&b.room)));
                hits.truncate(self.limit);
                return Ok(hits);
            }
            radius = (radius * 2.0).min(self.radius_m);
        }
    }

    fn within(
        &self,
        db: &mut Db<'_>,
        radius: f64,
        filter: &impl Fn(&Candidate<'_>) -> bool,
    ) -> Result<Vec<Hit>, StoreError> {
        let mut hits = Vec::new();
        let (south, north) = latitudes(self.centre, radius);
        for (west, east) in longitudes(self.centre, radius) {
            for open in self.open {
                for band in band(south)..=band(north) {
                    db.scan(
                        "SELECT room, status, kind, public, city, lat, lon FROM geo
                         WHERE open = ?1 AND band = ?2 AND lon BETWEEN ?3 AND ?4",
                        params![open, band, west, east],
                        |row| {
                            hits.extend(self.judge(row, radius, filter)?);
                            Ok(true)
                        },
                    )?;
                }
            }
        }
        Ok(hits)
    }

    /// The row's incident, if it passes, is near enough, and was not told before. The distance costs most.
    fn judge(
        &self,
        row: &Row<'_>,
        radius: f64,
        filter: &impl Fn(&Candidate<'_>) -> bool,
    ) -> Result<Option<Hit>, StoreError> {
        let candidate = Candidate {
            room: row.get(0)?,
            status: row.get_ref(1)?.as_str()?,
            kind: row.get_ref(2)?.as_str()?,
            public: row.get(3)?,
            city: row.get_ref(4)?.as_str_or_null()?,
        };
        if !filter(&candidate) {
            return Ok(None);
        }
        let position = Position::new(row.get(5)?, row.get(6)?).map_err(|_| codec::corrupt("a position"))?;
        let hit = Hit {
            room: candidate.room,
            distance_m: self.centre.distance_m(position),
        };
        Ok((hit.distance_m <= radius && self.is_after(hit.distance_m, hit.room)).then_some(hit))
    }

    fn is_after(&self, distance_m: f64, room: RoomKey) -> bool {
        self.after
            .is_none_or(|(last, at)| distance_m > last || (distance_m >= last && room > at))
    }
}

/// The latitudes that a circle spans.
pub(super) fn latitudes(centre: Position, radius: f64) -> (f64, f64) {
    let reach = radius / METRES_PER_DEGREE;
    (
        (centre.latitude() - reach).max(-90.0),
        (centre.latitude() + reach).min(90.0),
    )
}

/// One stretch of longitudes, or two when the circle lies across the date line.
pub(super) fn longitudes(centre: Position, radius: f64) -> Vec<(f64, f64)> {
    let (south, north) = latitudes(centre, radius);
    let all = vec![(-180.0, 180.0)];
    if south <= -90.0 || north >= 90.0 {
        return all;
    }
    // The circle is widest a little polewards of its centre: asin(sin(radius) / cos(latitude)).
    let angle = (radius / METRES_PER_DEGREE).to_radians();
    let sine = angle.sin() / centre.latitude().to_radians().cos();
    if angle >= std::f64::consts::FRAC_PI_2 || sine >= 1.0 {
        return all;
    }
    let reach = sine.asin().to_degrees();
    let (west, east) = (centre.longitude() - reach, centre.longitude() + reach);
    match (west < -180.0, east > 180.0) {
        (true, true) => all,
        (true, false) => vec![(-180.0, east), (west + 360.0, 180.0)],
        (false, true) => vec![(west, 180.0), (-180.0, east - 360.0)],
        (false, false) => vec![(west, east)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_lies_in_the_circle_lies_in_the_box(
            lat in -90.0..=90.0f64, lon in -180.0..=180.0f64,
            dlat in -0.5..=0.5f64, dlon in -2.0..=2.0f64, radius in 1.0..50_000.0f64
        ) {
            let centre = Position::new(lat, lon).unwrap();
            let other = Position::new((lat + dlat).clamp(-90.0, 90.0), (lon + dlon + 540.0).rem_euclid(360.0) - 180.0).unwrap();
            if centre.distance_m(other) <= radius {
                let (south, north) = latitudes(centre, radius);
                prop_assert!((band(south)..=band(north)).contains(&band(other.latitude())));
                let inside = longitudes(centre, radius)
                    .iter()
                    .any(|(west, east)| (*west..=*east).contains(&other.longitude()));
                prop_assert!(inside);
            }
        }
    }
}
