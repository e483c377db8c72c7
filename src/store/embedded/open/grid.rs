//! Points of the globe in square cells, and those nearest to a place.
//!
//! Whether a point is near is judged by the straight line through the Earth, a few multiplications; the exact
//! distance is computed for those that may be on the page only, by the domain's own formula, so that this and the
//! file tell the same distances to the last bit.

use std::collections::BTreeMap;

use crate::domain::geo::Position;
use crate::store::embedded::geo::{self, latitudes, longitudes};
use crate::store::embedded::rows::RoomKey;

/// The Earth's mean radius in metres; a hair too small or too large does not matter within [`MARGIN`].
const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// By how much a straight line may differ from what the exact distance says: this part of it and this many metres.
const MARGIN: f64 = 1e-6;
const SLACK_M: f64 = 1e-3;

/// Up to here a straight line tells distances apart well enough to choose by it.
const STRAIGHT_MAX_M: f64 = 1_000_000.0;

/// Where a search without a cursor starts.
const FIRST_RADIUS_M: f64 = 500.0;

/// A point and what the filters need to know of it.
#[derive(Clone, Copy, Debug)]
struct Spot<T> {
    at: [f64; 3],
    position: Position,
    key: RoomKey,
    tag: T,
}

/// Where to look, and for how many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    pub centre: Position,
    pub radius_m: f64,
    /// Continue after this distance and, at it, this key.
    pub after: Option<(f64, RoomKey)>,
    pub limit: usize,
}

/// The points.
#[derive(Debug)]
pub(super) struct Grid<T> {
    cells: BTreeMap<(i64, i64), Vec<Spot<T>>>,
}

impl<T> Default for Grid<T> {
    fn default() -> Self {
        Self {
            cells: BTreeMap::new(),
        }
    }
}

fn cell(position: Position) -> (i64, i64) {
    (geo::band(position.latitude()), geo::band(position.longitude()))
}

/// The place on a sphere of radius 1.
fn point(position: Position) -> [f64; 3] {
    let (latitude, longitude) = (
        position.latitude().to_radians(),
        position.longitude().to_radians(),
    );
    [
        latitude.cos() * longitude.cos(),
        latitude.cos() * longitude.sin(),
        latitude.sin(),
    ]
}

/// The square of the straight line of so many metres along the surface, on a sphere of radius 1.
fn chord(metres: f64) -> f64 {
    let half = (metres / (2.0 * EARTH_RADIUS_M)).min(std::f64::consts::FRAC_PI_2);
    (2.0 * half.sin()).powi(2)
}

/// No straight line of a distance over this is shorter than the answer.
fn under(metres: f64) -> f64 {
    chord((metres - SLACK_M).max(0.0)) * (1.0 - MARGIN)
}

/// No straight line of a distance up to this is longer than the answer.
fn over(metres: f64) -> f64 {
    chord(metres + SLACK_M) * (1.0 + MARGIN)
}

fn chord_between(a: [f64; 3], b: [f64; 3]) -> f64 {
    let [x, y, z] = [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
    x * x + y * y + z * z
}

impl<T: Copy> Grid<T> {
    pub fn insert(&mut self, position: Position, key: RoomKey, tag: T) {
        self.cells.entry(cell(position)).or_default().push(Spot {
            at: point(position),
            position,
            key,
            tag,
        });
    }

    pub fn remove(&mut self, position: Position, key: RoomKey) {
        let cell = cell(position);
        let Some(spots) = self.cells.get_mut(&cell) else {
            return;
        };
        spots.retain(|spot| spot.key != key);
        if spots.is_empty() {
            self.cells.remove(&cell);
        }
    }

    /// The nearest that are wanted, by distance and then by key.
    pub fn nearest(&self, around: &Around, wanted: impl Fn(RoomKey, T) -> bool) -> Vec<(f64, RoomKey)> {
        let from = around.after.map_or(0.0, |(distance_m, _)| distance_m);
        let mut radius = (from * 1.1).max(FIRST_RADIUS_M).min(around.radius_m);
        loop {
            let mut found = self.within(around, radius, &wanted);
            if found.len() >= around.limit || radius >= around.radius_m {
                found.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                found.truncate(around.limit);
                return found;
            }
            radius = (radius * 2.0).min(around.radius_m);
        }
    }

    /// Those within `radius` that can be among the first of the page, with their exact distances.
    fn within(
        &self,
        around: &Around,
        radius: f64,
        wanted: &impl Fn(RoomKey, T) -> bool,
    ) -> Vec<(f64, RoomKey)> {
        let centre = point(around.centre);
        let (surely_in, perhaps_in) = (under(radius), over(radius));
        let (perhaps_after, surely_after) = match around.after {
            Some((distance_m, _)) => (under(distance_m), over(distance_m)),
            None => (-1.0, -1.0),
        };
        let exact = |spot: &Spot<T>| around.centre.distance_m(spot.position);
        let is_on = |distance_m: f64, key: RoomKey| {
            let is_after = around
                .after
                .is_none_or(|(last, at)| distance_m > last || (distance_m >= last && key > at));
            is_after && distance_m <= radius
        };
        let mut found: Vec<(f64, &Spot<T>)> = Vec::new();
        self.visit(around.centre, radius, |spot| {
            let straight = chord_between(centre, spot.at);
            if straight <= perhaps_in && straight >= perhaps_after && wanted(spot.key, spot.tag) {
                // At the edges only the exact distance knows.
                let is_sure = straight < surely_in && straight > surely_after;
                if is_sure || is_on(exact(spot), spot.key) {
                    found.push((straight, spot));
                }
            }
        });
        if around.limit < found.len() && around.limit > 0 && radius <= STRAIGHT_MAX_M {
            let (_, last, _) = found.select_nth_unstable_by(around.limit - 1, |a, b| a.0.total_cmp(&b.0));
            let last = ((last.0.sqrt() + SLACK_M / EARTH_RADIUS_M) * (1.0 + MARGIN)).powi(2);
            found.retain(|(straight, _)| *straight <= last);
        }
        let exact = found.into_iter().map(|(_, spot)| (exact(spot), spot.key));
        exact
            .filter(|(distance_m, key)| is_on(*distance_m, *key))
            .collect()
    }

    /// Everything in a box round the circle.
    fn visit<'a>(&'a self, centre: Position, radius: f64, mut see: impl FnMut(&'a Spot<T>)) {
        let (south, north) = latitudes(centre, radius);
        for (west, east) in longitudes(centre, radius) {
            for band in geo::band(south)..=geo::band(north) {
                let columns = (band, geo::band(west))..=(band, geo::band(east));
                for spot in self.cells.range(columns).flat_map(|(_, spots)| spots) {
                    see(spot);
                }
            }
        }
    }
}
