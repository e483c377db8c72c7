//! The part of the world that an operator serves.

use std::str::FromStr;

use super::geo::Position;

/// Boxes of latitude and longitude; none: the whole world.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceArea(Vec<Bounds>);

/// One box. West of its eastern edge when it crosses the date line.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bounds {
    south: f64,
    west: f64,
    north: f64,
    east: f64,
}

/// Not a list of boxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be boxes of south,west,north,east in degrees, separated by semicolons")]
pub struct InvalidArea;

impl ServiceArea {
    /// Whether somebody who measured this may be inside: `accuracy` is how far from it they may really be, in
    /// metres.
    pub fn may_hold(&self, position: Position, accuracy: Option<f64>) -> bool {
        let reach = accuracy.unwrap_or(0.0);
        self.0.is_empty() || self.0.iter().any(|bounds| bounds.distance_m(position) <= reach)
    }
}

/// Where a receiver without a fix says that it is: nowhere near anybody.
pub fn is_null_island(position: Position) -> bool {
    position.latitude() == 0.0 && position.longitude() == 0.0
}

impl Bounds {
    fn holds_longitude(&self, longitude: f64) -> bool {
        if self.west <= self.east {
            (self.west..=self.east).contains(&longitude)
        } else {
            longitude >= self.west || longitude <= self.east
        }
    }

    /// To the nearest point of it, as near as the corners and the same latitude tell.
    fn distance_m(&self, position: Position) -> f64 {
        let latitude = position.latitude().clamp(self.south, self.north);
        let to = |longitude| {
            Position::new(latitude, longitude).map_or(f64::INFINITY, |edge| edge.distance_m(position))
        };
        if self.holds_longitude(position.longitude()) {
            to(position.longitude())
        } else {
            to(self.west).min(to(self.east))
        }
    }
}

impl FromStr for ServiceArea {
    type Err = InvalidArea;

    fn from_str(text: &str) -> Result<Self, InvalidArea> {
        let boxes = text.split(';').map(str::trim).filter(|one| !one.is_empty());
        boxes.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Bounds {
    type Err = InvalidArea;

    fn from_str(text: &str) -> Result<Self, InvalidArea> {
        let numbers: Result<Vec<f64>, _> = text.split(',').map(|number| number.trim().parse()).collect();
        let Ok([south, west, north, east]) = numbers.as_deref() else {
            return Err(InvalidArea);
        };
        let corner = |latitude, longitude| Position::new(latitude, longitude).map_err(|_| InvalidArea);
        corner(*south, *west)?;
        corner(*north, *east)?;
        if south > north {
            return Err(InvalidArea);
        }
        Ok(Self {
            south: *south,
            west: *west,
            north: *north,
            east: *east,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(latitude: f64, longitude: f64) -> Position {
        Position::new(latitude, longitude).unwrap()
    }

    #[test]
    fn an_area_holds_what_lies_in_one_of_its_boxes() {
        let area: ServiceArea = "14.3,120.9,14.8,121.2; -1,-1,1,1".parse().unwrap();
        for inside in [at(14.6, 121.0), at(14.3, 120.9), at(0.5, -0.5)] {
            assert!(area.may_hold(inside, None), "{}", inside.latitude());
        }
        for outside in [at(14.9, 121.0), at(14.6, 121.3), at(-14.6, 121.0)] {
            assert!(!area.may_hold(outside, None), "{}", outside.latitude());
        }
        assert!(ServiceArea::default().may_hold(at(90.0, 180.0), None));
    }

    #[test]
    fn who_may_be_inside_by_the_accuracy_of_their_fix_is() {
        let area: ServiceArea = "14,120,15,121".parse().unwrap();
        // Some 1,076 m east of the edge.
        let near = at(14.5, 121.01);
        assert!(!area.may_hold(near, None) && !area.may_hold(near, Some(1_000.0)));
        assert!(area.may_hold(near, Some(1_200.0)));
    }

    #[test]
    fn a_box_may_cross_the_date_line() {
        let fiji: ServiceArea = "-21,176,-12,-178".parse().unwrap();
        assert!(fiji.may_hold(at(-17.0, 179.9), None) && fiji.may_hold(at(-17.0, -179.9), None));
        assert!(!fiji.may_hold(at(-17.0, 0.0), None) && !fiji.may_hold(at(-17.0, 175.0), None));
        assert!(fiji.may_hold(at(-17.0, -177.99), Some(2_000.0)));
    }

    #[test]
    fn what_is_no_list_of_boxes_is_refused() {
        for bad in ["1,2,3", "1,2,3,x", "2,0,1,0", "0,0,91,0", "0,0,1,200", "a"] {
            assert_eq!(bad.parse::<ServiceArea>(), Err(InvalidArea), "{bad}");
        }
        assert_eq!(" ; ".parse::<ServiceArea>(), Ok(ServiceArea::default()));
    }
}
