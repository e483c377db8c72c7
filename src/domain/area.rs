//! Areas of the map: which H3 cells cover a circle, and whether a point lies in it.

use h3o::{CellIndex, LatLng, Resolution};

use super::geo::Position;

/// Resolution 5: cells of about 250 km², some 8.5 km from centre to corner.
const RESOLUTION: Resolution = Resolution::Five;

/// A lower bound of the distance between the centres of neighbouring cells at this resolution, in km. Cells
/// vary in size over the globe; erring low covers too much, and the exact distance is checked last.
const MIN_CELL_STEP_KM: f64 = 9.0;

/// A cell of the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell(u64);

impl Cell {
    /// The cell that `position` lies in.
    pub fn of(position: Position) -> Self {
        Self(index(position).into())
    }

    /// The cell with this H3 index; `None` when it is none of ours.
    pub fn from_bits(bits: u64) -> Option<Self> {
        let index = CellIndex::try_from(bits).ok()?;
        (index.resolution() == RESOLUTION).then_some(Self(bits))
    }

    /// Its H3 index.
    pub fn bits(self) -> u64 {
        self.0
    }
}

/// A circle on the map that somebody watches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    centre: Position,
    radius_m: f64,
}

/// Why an area cannot be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("radiusKm must be a number over 0, at most {max_km}")]
pub struct InvalidRadius {
    /// The most allowed, in km.
    pub max_km: u32,
}

impl Area {
    /// A circle of `radius_km` round `centre`.
    ///
    /// # Errors
    /// When the radius is not in (0, `max_km`].
    pub fn new(centre: Position, radius_km: f64, max_km: u32) -> Result<Self, InvalidRadius> {
        if radius_km > 0.0 && radius_km <= f64::from(max_km) {
            Ok(Self {
                centre,
                radius_m: radius_km * 1000.0,
            })
        } else {
            Err(InvalidRadius { max_km })
        }
    }

    /// Its centre.
    pub fn centre(&self) -> Position {
        self.centre
    }

    /// Its radius in metres.
    pub fn radius_m(&self) -> f64 {
        self.radius_m
    }

    /// Whether `position` lies in it.
    pub fn contains(&self, position: Position) -> bool {
        self.centre.distance_m(position) <= self.radius_m
    }

    /// Cells that cover it; some may lie outside.
    pub fn cells(&self) -> Vec<Cell> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 < radius <= max_km"
        )]
        let steps = (self.radius_m / 1000.0 / MIN_CELL_STEP_KM).ceil() as u32 + 1;
        index(self.centre)
            .grid_disk::<Vec<CellIndex>>(steps)
            .into_iter()
            .map(|cell| Cell(cell.into()))
            .collect()
    }
}

fn index(position: Position) -> CellIndex {
    LatLng::new(position.latitude(), position.longitude())
        .expect("invariant: a Position is finite")
        .to_cell(RESOLUTION)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_point_of_an_area_lies_in_one_of_its_cells(
            lat in -85.0..=85.0f64, lon in -180.0..=180.0f64, radius in 0.1..=25.0f64,
            bearing in 0.0..std::f64::consts::TAU, part in 0.0..=1.0f64
        ) {
            let centre = Position::new(lat, lon).unwrap();
            let area = Area::new(centre, radius, 25).unwrap();
            let km_per_degree = 111.2;
            let dlat = bearing.cos() * radius * part / km_per_degree;
            let dlon = bearing.sin() * radius * part / (km_per_degree * lat.to_radians().cos());
            let point = Position::new((lat + dlat).clamp(-90.0, 90.0), ((lon + dlon + 540.0) % 360.0) - 180.0).unwrap();
            if area.contains(point) {
                prop_assert!(area.cells().contains(&Cell::of(point)));
            }
        }
    }

    #[test]
    fn a_radius_out_of_bounds_is_refused() {
        let centre = Position::new(0.0, 0.0).unwrap();
        assert!(Area::new(centre, 25.0, 25).is_ok());
        for radius in [0.0, -1.0, 25.1, f64::NAN] {
            assert!(Area::new(centre, radius, 25).is_err());
        }
    }
}
