//! Positions on the WGS 84 ellipsoid, treated as a sphere for distances.

use std::fmt;

use super::time::Timestamp;

/// Mean Earth radius in metres (IUGG).
const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// The largest radius of a fix, in metres.
pub const ACCURACY_MAX_M: f64 = 1e8;
/// The largest speed of a fix, in m/s.
pub const SPEED_MAX_MS: f64 = 1e5;
/// The largest heading of a fix, in degrees.
pub const HEADING_MAX_DEG: f64 = 360.0;

/// Why a number is not part of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGeo {
    /// Not finite or outside −90..=90.
    #[error("latitude must be a number from -90 to 90 degrees")]
    Latitude,
    /// Not finite or outside −180..=180.
    #[error("longitude must be a number from -180 to 180 degrees")]
    Longitude,
    /// Not finite, negative or absurd.
    #[error("accuracy must be a number of metres, 0 or more")]
    Accuracy,
    /// Not finite, negative or absurd.
    #[error("speed must be a number of m/s, 0 or more")]
    Speed,
    /// Not finite or outside 0..=360.
    #[error("heading must be a number from 0 to 360 degrees")]
    Heading,
}

impl InvalidGeo {
    /// The wire's name of the field at fault.
    pub fn field(self) -> &'static str {
        match self {
            Self::Latitude => "latitude",
            Self::Longitude => "longitude",
            Self::Accuracy => "accuracy",
            Self::Speed => "speed",
            Self::Heading => "heading",
        }
    }
}

/// A point: WGS 84 degrees. It never shows in debug output, so it cannot reach a log line.
#[derive(Clone, Copy, PartialEq)]
pub struct Position {
    latitude: f64,
    longitude: f64,
}

impl Position {
    /// Checks and makes it.
    ///
    /// # Errors
    /// When a coordinate is not finite or out of range.
    pub fn new(latitude: f64, longitude: f64) -> Result<Self, InvalidGeo> {
        if !(-90.0..=90.0).contains(&latitude) {
            return Err(InvalidGeo::Latitude);
        }
        if !(-180.0..=180.0).contains(&longitude) {
            return Err(InvalidGeo::Longitude);
        }
        Ok(Self { latitude, longitude })
    }

    /// Degrees north.
    pub fn latitude(self) -> f64 {
        self.latitude
    }

    /// Degrees east.
    pub fn longitude(self) -> f64 {
        self.longitude
    }

    /// Great-circle distance in metres (haversine).
    pub fn distance_m(self, other: Self) -> f64 {
        let (lat1, lat2) = (self.latitude.to_radians(), other.latitude.to_radians());
        let dlat = lat2 - lat1;
        let dlon = (other.longitude - self.longitude).to_radians();
        let a = (dlat / 2.0).sin().powi(2) + lat1.cos() * lat2.cos() * (dlon / 2.0).sin().powi(2);
        2.0 * EARTH_RADIUS_M * a.sqrt().min(1.0).asin()
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Position(…)")
    }
}

/// One measured position of one subject.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fix {
    /// Where.
    pub position: Position,
    /// Radius in metres within which the subject is.
    pub accuracy: Option<f64>,
    /// Metres a second.
    pub speed: Option<f64>,
    /// Degrees clockwise from north.
    pub heading: Option<f64>,
    /// When it was measured, by the device's clock. It decides which fix is the newest.
    pub at: Timestamp,
}

impl Fix {
    /// A bare fix.
    pub fn new(position: Position, at: Timestamp) -> Self {
        Self {
            position,
            accuracy: None,
            speed: None,
            heading: None,
            at,
        }
    }

    /// Adds the measured extras, each checked.
    ///
    /// # Errors
    /// Names the first value that is not finite or out of range.
    pub fn with_motion(
        self,
        accuracy: Option<f64>,
        speed: Option<f64>,
        heading: Option<f64>,
    ) -> Result<Self, InvalidGeo> {
        let within = |value: Option<f64>, max: f64| value.is_none_or(|v| (0.0..=max).contains(&v));
        if !within(accuracy, ACCURACY_MAX_M) {
            return Err(InvalidGeo::Accuracy);
        }
        if !within(speed, SPEED_MAX_MS) {
            return Err(InvalidGeo::Speed);
        }
        if !within(heading, HEADING_MAX_DEG) {
            return Err(InvalidGeo::Heading);
        }
        Ok(Self {
            accuracy,
            speed,
            heading,
            ..self
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn manila_to_cebu_is_about_570_km() {
        let manila = Position::new(14.5995, 120.9842).unwrap();
        let cebu = Position::new(10.3157, 123.8854).unwrap();
        assert!((manila.distance_m(cebu) - 571_000.0).abs() < 3_000.0);
    }

    #[test]
    fn impossible_coordinates_are_refused_by_name() {
        assert_eq!(Position::new(90.1, 0.0), Err(InvalidGeo::Latitude));
        assert_eq!(Position::new(f64::NAN, 0.0), Err(InvalidGeo::Latitude));
        assert_eq!(Position::new(0.0, f64::INFINITY), Err(InvalidGeo::Longitude));
        let fix = Fix::new(Position::new(0.0, 0.0).unwrap(), Timestamp::default());
        assert_eq!(fix.with_motion(Some(-1.0), None, None), Err(InvalidGeo::Accuracy));
        assert_eq!(
            fix.with_motion(None, Some(f64::NAN), None),
            Err(InvalidGeo::Speed)
        );
        assert_eq!(fix.with_motion(None, None, Some(361.0)), Err(InvalidGeo::Heading));
    }

    proptest! {
        #[test]
        fn distance_is_symmetric_and_never_nan(a in -90.0..=90.0f64, b in -180.0..=180.0f64,
                                               c in -90.0..=90.0f64, d in -180.0..=180.0f64) {
            let (p, q) = (Position::new(a, b).unwrap(), Position::new(c, d).unwrap());
            let metres = p.distance_m(q);
            prop_assert!((0.0..20_100_000.0).contains(&metres));
            prop_assert!((metres - q.distance_m(p)).abs() < 1e-3);
        }
    }
}
