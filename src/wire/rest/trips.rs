//! Trips, as sister services speak of them.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::body::{self, BodyError};
use super::fields::Fields;
use super::query::{limit, parameters};
use super::sos::REFERENCE_MAX_CHARS;
use crate::domain::geo::Position;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::people::Subject;
use crate::domain::time::Timestamp;
use crate::wire::field::{self, Problem};
use crate::wire::schema;
use crate::wire::stamp::Stamp;

/// Trips of an answer, when the caller does not say.
pub(super) const NEARBY_DEFAULT: usize = 50;
/// How far around a position they are looked for, in km, when the caller does not say.
pub(super) const NEARBY_DEFAULT_KM: f64 = 5.0;

/// `POST /internal/trips`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TripBody {
    /// Its id, and its room's.
    pub trip: RoomId,
    /// Who drives.
    pub driver: UserId,
    /// Everybody else, each once.
    pub passengers: Vec<UserId>,
    /// The booking that it belongs to.
    pub booking: Option<String>,
}

impl TripBody {
    /// Reads the body; a trip has at most `passengers_max` passengers.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &[u8], passengers_max: usize) -> Result<Self, BodyError> {
        let object = body::object(body)?;
        let mut fields = Fields::of_body(&object);
        let trip = fields.required("tripId", |name, value| {
            field::parsed(name, value, |id| RoomId::new(id))
        });
        let driver = fields.required("driverId", |name, value| {
            field::parsed(name, value, |id| UserId::new(id))
        });
        let passengers = fields.texts("passengerIds", passengers_max, |id| UserId::new(id));
        if let Some(passengers) = &passengers {
            let mut known: BTreeSet<_> = driver.iter().collect();
            for (index, passenger) in passengers.iter().enumerate() {
                if driver.as_ref() == Some(passenger) {
                    fields.reject(&format!("passengerIds.{index}"), "is the driver");
                } else if !known.insert(passenger) {
                    fields.reject(&format!("passengerIds.{index}"), "stands there twice");
                }
            }
        }
        let booking = fields.optional("bookingId", |name, value| {
            field::note(name, value, REFERENCE_MAX_CHARS)
        });
        let whole = (|| {
            Some(Self {
                trip: trip?,
                driver: driver?,
                passengers: passengers?,
                booking,
            })
        })();
        fields.finish(whole)
    }
}

/// `GET /internal/trips/nearby`
#[derive(Clone, Debug, PartialEq)]
pub struct NearbyQuery {
    /// Around where.
    pub centre: Position,
    /// How far, in metres.
    pub radius_m: f64,
    /// At most so many.
    pub limit: usize,
}

impl NearbyQuery {
    /// Reads the query string; the radius is at most `radius_max_km`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(query: &str, radius_max_km: u32) -> Result<Self, BodyError> {
        let parameters = parameters(query);
        let mut fields = Fields::of_query(&parameters);
        let (latitude, longitude) = (fields.loose("latitude"), fields.loose("longitude"));
        let centre = field::position(&latitude, &longitude);
        let centre = fields.keep(centre.and_then(|centre| field::required("latitude", centre)));
        let most = f64::from(radius_max_km);
        let radius = match field::number("radius", &fields.loose("radius")) {
            Ok(None) => Ok(NEARBY_DEFAULT_KM.min(most)),
            Ok(Some(km)) if km > 0.0 && km <= most => Ok(km),
            _ => Err(Problem::wants(
                "radius",
                format_args!("a number of km over 0, at most {most}"),
            )),
        };
        let radius = fields.keep(radius);
        let limit = limit(&mut fields, NEARBY_DEFAULT);
        let whole = centre.zip(radius).zip(limit);
        fields.finish(whole.map(|((centre, km), limit)| Self {
            centre,
            radius_m: km * 1_000.0,
            limit,
        }))
    }
}

/// A trip.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TripView<'a> {
    /// Its id, and its room's.
    #[schemars(with = "schema::Room")]
    trip_id: &'a str,
    /// Who drives; null when they were erased.
    driver_id: Option<&'a str>,
    /// Everybody else, save those who were erased.
    passenger_ids: Vec<&'a str>,
    /// The booking that it belongs to.
    booking_id: Option<&'a str>,
    /// Whether it goes on.
    status: TripStatus,
    /// When it began.
    created_at: Stamp,
    /// When it ended.
    ended_at: Option<Stamp>,
}

/// Whether a trip goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum TripStatus {
    /// It does.
    Active,
    /// It is over.
    Ended,
}

/// What there is to show of a trip.
#[derive(Clone, Copy, Debug)]
pub struct TripFacts<'a> {
    /// Its room.
    pub trip: &'a RoomId,
    /// Who drives.
    pub driver: Option<&'a Subject>,
    /// Everybody else.
    pub passengers: &'a BTreeSet<Subject>,
    /// The booking that it belongs to.
    pub booking: Option<&'a str>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl<'a> TripView<'a> {
    /// Shows a trip.
    pub fn of(facts: &TripFacts<'a>) -> Self {
        Self {
            trip_id: facts.trip.as_str(),
            driver_id: facts.driver.and_then(user),
            passenger_ids: facts.passengers.iter().filter_map(user).collect(),
            booking_id: facts.booking,
            status: match facts.ended_at {
                None => TripStatus::Active,
                Some(_) => TripStatus::Ended,
            },
            created_at: Stamp(facts.created_at),
            ended_at: facts.ended_at.map(Stamp),
        }
    }
}

/// People on a trip are registered users.
fn user(subject: &Subject) -> Option<&str> {
    match subject {
        Subject::User(id) => Some(id.as_str()),
        Subject::Device(_) | Subject::Service(_) | Subject::Phone(_) => None,
    }
}

/// A trip, and where its driver was last.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NearTripView<'a> {
    #[serde(flatten)]
    trip: TripView<'a>,
    /// Where.
    location: TripPlace,
    /// How far that is from where was asked, in metres.
    #[schemars(range(min = 0))]
    distance_m: f64,
}

/// Where a trip is.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
struct TripPlace {
    /// Degrees north, WGS 84.
    #[schemars(extend("minimum" = -90, "maximum" = 90))]
    latitude: f64,
    /// Degrees east, WGS 84.
    #[schemars(extend("minimum" = -180, "maximum" = 180))]
    longitude: f64,
    /// When it was measured, by the device's clock.
    timestamp: Stamp,
}

impl<'a> NearTripView<'a> {
    /// Shows a trip whose driver was at `position` when it was `at`, `distance_m` from where was asked.
    pub fn new(facts: &TripFacts<'a>, position: Position, at: Timestamp, distance_m: f64) -> Self {
        Self {
            trip: TripView::of(facts),
            location: TripPlace {
                latitude: position.latitude(),
                longitude: position.longitude(),
                timestamp: Stamp(at),
            },
            // To the decimetre: receivers know no better.
            distance_m: (distance_m * 10.0).round() / 10.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names(error: &BodyError) -> Vec<&str> {
        error.fields().iter().map(|field| field.field.as_str()).collect()
    }

    fn user(id: &str) -> UserId {
        UserId::new(id).unwrap()
    }

    #[test]
    fn a_trip_names_its_driver_and_its_passengers() {
        let body =
            json!({"tripId": "t-1", "driverId": "dan", "passengerIds": ["pia", "pol"], "bookingId": "b"});
        let trip = TripBody::parse(body.to_string().as_bytes(), 2).unwrap();
        assert_eq!(trip.trip.as_str(), "t-1");
        assert_eq!(
            (trip.driver, trip.passengers),
            (user("dan"), vec![user("pia"), user("pol")])
        );
        assert_eq!(trip.booking.as_deref(), Some("b"));
        let body = json!({"tripId": "t-1", "driverId": "dan", "passengerIds": []});
        assert_eq!(
            TripBody::parse(body.to_string().as_bytes(), 2)
                .unwrap()
                .passengers,
            []
        );
    }

    #[test]
    fn everything_that_is_wrong_with_a_trip_is_named() {
        let missing = TripBody::parse(b"", 2).unwrap_err();
        assert_eq!(names(&missing), ["tripId", "driverId", "passengerIds"]);
        for (passengers, wrong) in [
            (json!(["a", "b", "c"]), "passengerIds"),
            (json!("a"), "passengerIds"),
            (json!({"0": "a"}), "passengerIds"),
            (json!(["a", 7]), "passengerIds.1"),
            (json!(["a", ""]), "passengerIds.1"),
            (json!(["a", "a"]), "passengerIds.1"),
            (json!(["dan"]), "passengerIds.0"),
        ] {
            let body = json!({"tripId": "t", "driverId": "dan", "passengerIds": passengers});
            let error = TripBody::parse(body.to_string().as_bytes(), 2).unwrap_err();
            assert_eq!(names(&error), [wrong], "{body}");
        }
        let body = json!({"tripId": "t t", "driverId": 7, "passengerIds": [], "bookingId": []});
        let error = TripBody::parse(body.to_string().as_bytes(), 2).unwrap_err();
        assert_eq!(names(&error), ["tripId", "driverId", "bookingId"]);
    }

    #[test]
    fn a_search_needs_a_place_and_takes_a_radius_in_km() {
        let query = NearbyQuery::parse("latitude=14.5&longitude=121&radius=2.5&limit=3", 50).unwrap();
        assert_eq!(query.centre, Position::new(14.5, 121.0).unwrap());
        assert!((query.radius_m - 2_500.0).abs() < f64::EPSILON && query.limit == 3);
        let query = NearbyQuery::parse("latitude=14.5&longitude=121", 3).unwrap();
        assert!((query.radius_m - 3_000.0).abs() < f64::EPSILON && query.limit == NEARBY_DEFAULT);
        for (query, wrong) in [
            ("", "latitude"),
            ("latitude=14", "longitude"),
            ("latitude=91&longitude=0", "latitude"),
            ("latitude=1&longitude=1&radius=51", "radius"),
            ("latitude=1&longitude=1&radius=0", "radius"),
            ("latitude=1&longitude=1&limit=101", "limit"),
        ] {
            let error = NearbyQuery::parse(query, 50).unwrap_err();
            assert_eq!(names(&error), [wrong], "{query}");
        }
    }
}
