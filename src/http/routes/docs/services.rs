//! What sister services may ask for.

use serde_json::{Value, json};

use super::incidents::data;
use super::operation::{Describer, Operation};
use crate::config::Config;
use crate::http::error::Code;
use crate::wire::rest::schemas::nearby_query;
use crate::wire::rest::{NearTripView, TripView};

const TAG: &str = "Sister services";
const UNKNOWN: &str = "Trip not found";

fn trip() -> Value {
    json!({
        "tripId": "trip-4711", "driverId": "u-dan", "passengerIds": ["u-pia", "u-pol"], "bookingId": "b-4711",
        "status": "ACTIVE", "createdAt": "2026-11-21T01:18:46.087Z", "endedAt": null,
    })
}

pub(super) fn describe(to: &mut Describer<'_>, config: &Config) {
    let one = to.data::<TripView<'_>>();
    let mut ended = trip();
    (ended["status"], ended["endedAt"]) = ("ENDED".into(), "2026-11-21T01:58:02.114Z".into());
    let body = json!({
        "tripId": "trip-4711", "driverId": "u-dan", "passengerIds": ["u-pia", "u-pol"], "bookingId": "b-4711",
    });
    to.add(
        Operation::new("POST", "/internal/trips", TAG, "createTrip", "Begin a trip")
            .text(
                "A trip is a room: its driver and passengers are in it from now on, and where the driver is reaches \
                 them and nobody else. Asking again for the same trip gets the same answer. Needs the scope \
                 `trips:write`.",
            )
            .body("CreateTrip", &[("two passengers", body)])
            .refuses(
                Code::Conflict,
                "There is such a trip with another driverId",
            )
            .answers(201, "It goes on.", one.clone(), data(trip())),
    );
    to.add(
        Operation::new("GET", "/internal/trips/{trip}", TAG, "trip", "One trip")
            .text("Needs the scope `trips:read`.")
            .refuses(Code::NotFound, UNKNOWN)
            .answers(200, "The trip.", one.clone(), data(trip())),
    );
    to.add(
        Operation::new("POST", "/internal/trips/{trip}/end", TAG, "endTrip", "End a trip")
            .text(
                "Those on it are told and put out, and it is found near nowhere any more. One that has ended stays as \
                 it is. Needs the scope `trips:write`.",
            )
            .optional_body("Nothing", &[("nothing to say", json!({}))])
            .refuses(Code::NotFound, UNKNOWN)
            .answers(200, "It is over.", one, data(ended)),
    );
    let mut near = trip();
    near["location"] =
        json!({"latitude": 14.6001, "longitude": 120.9839, "timestamp": "2026-11-21T01:20:11.000Z"});
    near["distanceM"] = json!(412.7);
    let many = to.data::<Vec<NearTripView<'_>>>();
    to.add(
        Operation::new(
            "GET",
            "/internal/trips/nearby",
            TAG,
            "tripsNearby",
            "Trips near a position",
        )
        .text(
            "Those that go on and whose driver was heard of lately, the nearest first. Needs the scope `trips:read`.",
        )
        .query(nearby_query(config.trips.radius_max_km))
        .answers(200, "The trips.", many, data(json!([near]))),
    );
}
