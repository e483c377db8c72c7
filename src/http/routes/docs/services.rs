//! What sister services may ask for.

use serde_json::{Value, json};

use super::incidents::data;
use super::operation::{Describer, Operation};
use crate::config::Config;
use crate::http::error::Code;
use crate::http::routes::contacts::ChangedView;
use crate::http::routes::otp::{SentView, VerifiedView};
use crate::wire::rest::schemas::{nearby_query, pages_query};
use crate::wire::rest::{NearTripView, OutboxView, ResentView, TripView};

const TAG: &str = "Sister services";
const UNKNOWN: &str = "Trip not found";

fn trip() -> Value {
    json!({
        "tripId": "trip-4711", "driverId": "u-dan", "passengerIds": ["u-pia", "u-pol"], "bookingId": "b-4711",
        "status": "ACTIVE", "createdAt": "2026-11-21T01:18:46.087Z", "endedAt": null,
    })
}

pub(super) fn describe(to: &mut Describer<'_>, config: &Config) {
    outbox(to);
    contacts(to);
    otp(to);
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

fn outbox(to: &mut Describer<'_>) {
    let view = to.data::<OutboxView>();
    let sos = "7b0d3a4f6d0e4a53b6c1f09a77a3d2f1";
    let shown = json!({
        "on": true, "breaker": "CLOSED", "waiting": 2, "oldestAt": "2026-11-21T01:18:46.087Z", "oldestAgeS": 4,
        "dead": 1, "deadLetters": [{
            "sosId": sos, "seq": 7, "event": "message", "status": 422, "attempts": 5,
            "at": "2026-11-21T01:20:00.000Z",
        }], "nextCursor": null,
    });
    to.add(
        Operation::new("GET", "/internal/outbox", TAG, "outbox", "What the SOS service was not told yet")
            .text(
                "How many incidents have events that the service named in `services.sos_url` has not taken, on all nodes, \
                 and a page of those events that it refused for good, the newest first. Needs the scope `outbox:read`.",
            )
            .query(pages_query())
            .answers(200, "What waits.", view, data(shown)),
    );
    let resent = to.data::<ResentView>();
    let path = "/internal/outbox/{id}/{seq}/retry";
    to.add(
        Operation::new("POST", path, TAG, "resend", "Send a dead letter again")
            .text(
                "At once, and once: it leaves the list when the service takes it. The incident's later events have long \
                 gone on. Needs the scope `outbox:write`.",
            )
            .refuses(Code::NotFound, "Dead letter not found")
            .refuses(Code::Conflict, "The event feed is off")
            .answers(
                200,
                "The service has it.",
                resent,
                data(json!({"sosId": sos, "seq": 7, "taken": true})),
            ),
    );
}

fn contacts(to: &mut Describer<'_>) {
    let changed = to.data::<ChangedView>();
    let path = "/internal/contacts/{user}/changed";
    to.add(
        Operation::new("POST", path, TAG, "contactsChanged", "Somebody's contacts have changed")
            .text(
                "For the service named in `contacts.url`: it is asked at once, and rooms go by what it says before this is \
                 answered, on every node within a second. Needs the scope `contacts:write`.",
            )
            .optional_body("Nothing", &[("nothing to say", json!({}))])
            .refuses(Code::NotFound, "User not found")
            .refuses(Code::Conflict, "Contacts are kept here")
            .answers(200, "They were read.", changed, data(json!({"userId": "u-ana"}))),
    );
}

fn otp(to: &mut Describer<'_>) {
    let sent = to.data::<SentView>();
    let id = "0b8f9d4e6a534c1f9a773d2f1e5c8b60";
    to.add(
        Operation::new("POST", "/internal/otp", TAG, "sendOtp", "Send a code")
            .text(
                "Six digits that prove that a number or an address is somebody's; good once, for five minutes and five \
                 attempts. To one destination another may be sent after half a minute, and five in an hour (`[otp]`). Needs \
                 the scope `otp:write`.",
            )
            .body("SendOtp", &[("a text message", json!({"to": "+639171234567", "channel": "SMS", "locale": "fil-PH"}))])
            .refuses(Code::Conflict, "No vendor of this channel is on")
            .answers(
                202,
                "It is on its way.",
                sent,
                data(json!({"id": id, "expiresAt": "2026-11-21T01:23:46.087Z"})),
            ),
    );
    let verified = to.data::<VerifiedView>();
    to.add(
        Operation::new("POST", "/internal/otp/verify", TAG, "verifyOtp", "Judge a code")
            .text("Needs the scope `otp:write`.")
            .body(
                "VerifyOtp",
                &[("what was typed in", json!({"id": id, "code": "042917"}))],
            )
            .refuses(Code::NotFound, "There is no such code, or it was used")
            .refuses(Code::WrongCode, "Wrong code; 4 more may be tried")
            .refuses(Code::CodeExpired, "The code has expired: send another one")
            .refuses(Code::TooManyAttempts, "Too many wrong codes: send another one")
            .answers(
                200,
                "It is theirs.",
                verified,
                data(json!({"verified": true, "purpose": null})),
            ),
    );
}
