//! Incidents and what goes on in them.

use serde_json::{Value, json};

use super::operation::{Describer, Operation};
use super::people::{LAST, fix, participant};
use crate::http::error::Code;
use crate::http::routes::params::KEY_MAX_CHARS;
use crate::http::routes::uploads::IncidentAnswer;
use crate::wire::rest::schemas::{events_query, locations_query, messages_query, sos_list_query};
use crate::wire::rest::{
    AcknowledgedView, EventView, FeatureCollection, LocationView, MessageView, NotificationView,
    SosListShown, SosShown,
};

const TAG: &str = "Incidents";
const SAID: &str = "Messages and log";
pub(super) const MOVE_REFUSED: &str = "Cannot go from CANCELLED to RESOLVED";

/// An incident as a list shows it.
fn item() -> Value {
    json!({
        "sosId": "7b0d3a4f6d0e4a53b6c1f09a77a3d2f1", "type": "MEDICAL", "message": "I fell and cannot stand up",
        "silent": false, "severity": "MEDIUM", "status": "ACTIVE", "visibility": "PUBLIC",
        "location": {"latitude": 14.5995, "longitude": 120.9842, "accuracy": 12.5},
        "address": {"city": "Manila", "barangay": null}, "cityId": "Manila", "tripId": null, "bookingId": null,
        "creatorId": "p-27c059c801000003", "createdAt": "2026-11-21T01:16:50.544Z",
        "updatedAt": "2026-11-21T01:16:50.544Z", "seq": 2, "participantsCount": 1,
    })
}

/// An incident in full.
fn sos() -> Value {
    let mut sos = item();
    sos["activeParticipants"] = json!([participant()]);
    sos["messagesCount"] = json!(0);
    sos["lastLocation"] = Value::Null;
    sos["linkedRooms"] = json!([]);
    sos
}

fn ended(status: &str) -> Value {
    let mut sos = sos();
    sos["status"] = status.into();
    for key in ["updatedAt", "endedAt"] {
        sos[key] = LAST.into();
    }
    sos["seq"] = 5.into();
    sos["activeParticipants"] = json!([]);
    sos["participantsCount"] = 0.into();
    sos
}

pub(super) fn data(value: Value) -> Value {
    let mut envelope = json!({"success": true});
    envelope["data"] = value;
    envelope
}

pub(super) fn page(item: Value, next: Value) -> Value {
    let mut envelope = json!({"success": true});
    envelope["data"] = Value::Array(vec![item]);
    envelope["nextCursor"] = next;
    envelope
}

pub(super) fn describe(to: &mut Describer<'_>) {
    raising(to);
    steering(to);
    alerting(to);
    tracking(to);
    talking(to);
}

fn raising(to: &mut Describer<'_>) {
    let list = to.page::<SosListShown<'_>>();
    let mut near = item();
    near["distanceM"] = json!(212.4);
    let next = json!("00000193460d7bc0406a8ccccccccccd3762306433613466");
    to.add(
        Operation::new("GET", "/api/v1/sos", TAG, "listIncidents", "Find incidents")
            .text(
                "Public incidents, those you have part in, and for operators all. With `lat` and `lng` the nearest \
                 first, else the newest.",
            )
            .query(sos_list_query())
            .answers(200, "A page of incidents.", list, page(near, next)).conditional());
    let one = to.data::<SosShown<'_>>();
    let raise = json!({
        "type": "MEDICAL", "message": "I fell and cannot stand up",
        "location": {"latitude": 14.5995, "longitude": 120.9842},
    });
    let whole = json!({
        "type": "CRIME", "message": "Somebody follows me on my way home", "silent": true, "severity": "HIGH",
        "location": {"latitude": 14.5995, "longitude": 120.9842, "accuracy": 12.5},
        "address": {"city": "Manila", "barangay": "659-A"}, "visibility": "RESTRICTED",
        "tripId": "trip-81", "bookingId": "booking-9",
        "deviceInfo": {"os": "Android 16", "appVersion": "4.2.0", "locale": "fil-PH"},
    });
    let key = json!({"type": "string", "minLength": 1, "maxLength": KEY_MAX_CHARS, "pattern": "^[ -~]+$"});
    to.add(
        Operation::new("POST", "/api/v1/sos", TAG, "raiseIncident", "Call for help")
            .text("The answer leaves only after the incident is on disk.")
            .header(
                "Idempotency-Key",
                &key,
                "A retry with the same key gets the first answer.",
            )
            .body("CreateSos", &[("least", raise), ("all", whole)])
            .charged()
            .refuses(Code::Blocked, "Blocked by the operators")
            .answers(201, "The incident stands.", one.clone(), data(sos())),
    );
    to.add(
        Operation::new(
            "GET",
            "/api/v1/sos/{id}",
            TAG,
            "readIncident",
            "All about an incident",
        )
        .text("The last position and the linked rooms are for those who are in it.")
        .answers(200, "The incident.", one, data(sos()))
        .conditional(),
    );
}

fn steering(to: &mut Describer<'_>) {
    let one = to.data::<SosShown<'_>>();
    let mut moved = sos();
    moved["status"] = "RESPONDING".into();
    let status = json!({"status": "RESPONDING", "note": "Two of us are on our way"});
    to.add(
        Operation::new(
            "PATCH",
            "/api/v1/sos/{id}/status",
            TAG,
            "moveIncident",
            "Move it along its states",
        )
        .text("Whoever has a PIN ends what they have raised with it.")
        .body("SetStatus", &[("on the way", status)])
        .refuses(Code::InvalidTransition, MOVE_REFUSED)
        .refuses(Code::PinRequired, "The PIN is needed")
        .refuses(Code::WrongPin, "Wrong PIN; 4 more may be tried")
        .answers(200, "The incident as it is now.", one.clone(), data(moved)),
    );
    to.add(
        Operation::new(
            "POST",
            "/api/v1/sos/{id}/cancel",
            TAG,
            "cancelIncident",
            "Call it off",
        )
        .text("Whoever has a PIN ends what they have raised with it. By the duress PIN it only looks so to them.")
        .optional_body(
            "CancelSos",
            &[
                ("false alarm", json!({"reason": "False alarm"})),
                ("with a PIN", json!({"pin": "4711"})),
            ],
        )
        .refuses(Code::InvalidTransition, MOVE_REFUSED)
        .refuses(Code::PinRequired, "The PIN is needed")
        .refuses(Code::WrongPin, "Wrong PIN; 4 more may be tried")
        .answers(
            200,
            "The incident, cancelled.",
            one.clone(),
            data(ended("CANCELLED")),
        ),
    );
    to.add(
        Operation::new(
            "POST",
            "/api/v1/sos/{id}/close",
            TAG,
            "closeIncident",
            "Close the file",
        )
        .optional_body(
            "CloseSos",
            &[("resolved", json!({"resolution": "Taken to hospital"}))],
        )
        .refuses(Code::InvalidTransition, "Cannot go from CLOSED to CLOSED")
        .answers(200, "The incident, closed.", one, data(ended("CLOSED"))),
    );
}

fn alerting(to: &mut Describer<'_>) {
    let told = json!([{
        "id": 1, "step": 1, "occasion": "SOS_RAISED", "channel": "SMS", "participantId": "p-b447fcbc8b87f80c",
        "name": "Ben", "state": "DELIVERED", "vendor": "TWILIO", "code": null, "possiblyTwice": false,
        "plannedAt": "2026-11-21T01:18:46.087Z", "changedAt": "2026-11-21T01:18:48.112Z",
    }]);
    let views = to.data::<Vec<NotificationView>>();
    to.add(
        Operation::new(
            "GET",
            "/api/v1/sos/{id}/notifications",
            TAG,
            "notifications",
            "Who was told of it, and how each message stands",
        )
        .text("Messages to people who are not connected, in the order in which they were planned.")
        .answers(200, "The messages.", views, data(told)),
    );
    let said = to.data::<AcknowledgedView>();
    let example = json!({"sosId": "7b0d3a4f6d0e4a53b6c1f09a77a3d2f1", "seq": 7, "acknowledged": true});
    to.add(
        Operation::new(
            "POST",
            "/api/v1/sos/{id}/acknowledge",
            TAG,
            "acknowledge",
            "Say that you see to it",
        )
        .text("Nobody is reminded of it any more, as long as something happens in it.")
        .optional_body("Nothing", &[("nothing to say", json!({}))])
        .refuses(Code::Forbidden, "Not authorized")
        .refuses(Code::SosClosed, "SOS is closed")
        .answers(200, "It is known.", said, data(example)),
    );
    let html = || {
        vec![(
            "text/html",
            json!({"type": "string", "description": "A page."}),
            Value::Null,
        )]
    };
    let path = "/a/{token}";
    to.add(
        Operation::new(
            "GET",
            path,
            TAG,
            "acknowledgePage",
            "The page behind a link in a message",
        )
        .text("Looking changes nothing.")
        .answers_with(200, "It asks whether you see to it.", html())
        .answers_with(404, "No such link.", html())
        .answers_with(410, "It is over.", html()),
    );
    to.add(
        Operation::new("POST", path, TAG, "acknowledgeByLink", "Say so by that page")
            .answers_with(200, "It is known.", html())
            .answers_with(404, "No such link.", html())
            .answers_with(410, "It is over.", html()),
    );
}

fn tracking(to: &mut Describer<'_>) {
    let taken = to.data::<IncidentAnswer<'_>>();
    let example = json!({"timestamp": LAST, "rooms": ["7b0d3a4f6d0e4a53b6c1f09a77a3d2f1"]});
    to.add(
        Operation::new("POST", "/api/v1/sos/{id}/location", TAG, "uploadPosition", "Say where you are")
            .text("Acknowledged when what history keeps of it is on disk. `roomId` is not needed: the path says it.")
            .body("Fix", &[("least", fix()), ("unix time", super::people::fix_in_unix_time())])
            .refuses(Code::SosClosed, "SOS is closed")
            .answers(200, "Taken.", taken, data(example)),
    );
    let list = to.page::<LocationView<'_>>();
    let map = to.schema::<FeatureCollection>();
    let seen = super::people::seen(Some("Ben"));
    let geojson = json!({
        "type": "FeatureCollection",
        "features": [{
            "type": "Feature", "geometry": {"type": "Point", "coordinates": [120.9839, 14.6001]},
            "properties": {
                "participantId": "p-b447fcbc8b87f80c", "timestamp": LAST,
                "accuracy": 8.0, "speed": null, "heading": null,
            },
        }],
    });
    to.add(
        Operation::new(
            "GET",
            "/api/v1/sos/{id}/locations",
            TAG,
            "listPositions",
            "Where people were",
        )
        .text("Oldest first. With `Accept: application/geo+json` as GeoJSON.")
        .query(locations_query(true))
        .answers_with(
            200,
            "A page of positions.",
            vec![
                ("application/json", list, page(seen, Value::Null)),
                (FeatureCollection::MEDIA_TYPE, map, geojson),
            ],
        )
        .conditional(),
    );
}

fn talking(to: &mut Describer<'_>) {
    let message = json!({
        "id": "m-1", "sosId": "7b0d3a4f6d0e4a53b6c1f09a77a3d2f1", "seq": 4, "senderType": "ANON_RESCUER",
        "senderId": "p-b447fcbc8b87f80c", "senderDisplayName": "Ben", "contentType": "text",
        "content": "I am two minutes away", "createdAt": LAST,
    });
    let (one, list) = (to.data::<MessageView<'_>>(), to.page::<MessageView<'_>>());
    to.add(
        Operation::new(
            "GET",
            "/api/v1/sos/{id}/messages",
            SAID,
            "listMessages",
            "What was said",
        )
        .text("Newest first.")
        .query(messages_query())
        .answers(
            200,
            "A page of messages.",
            list,
            page(message.clone(), json!("4")),
        )
        .conditional(),
    );
    let body = json!({"content": "I am two minutes away", "id": "m-1"});
    to.add(
        Operation::new(
            "POST",
            "/api/v1/sos/{id}/messages",
            SAID,
            "sendMessage",
            "Say something",
        )
        .text("A message that is sent again by its `id` gets the first answer.")
        .body("SendMessage", &[("with an id", body)])
        .refuses(Code::SosClosed, "SOS is closed")
        .answers(201, "The message is on disk.", one, data(message)),
    );
    let events = to.page::<EventView<'_>>();
    let event = json!({
        "sosId": "7b0d3a4f6d0e4a53b6c1f09a77a3d2f1", "seq": 3, "at": LAST, "actor": "p-b447fcbc8b87f80c",
        "type": "joined",
        "data": {"participantId": "p-b447fcbc8b87f80c", "userType": "ANON_RESCUER", "asContact": false},
    });
    to.add(
        Operation::new(
            "GET",
            "/api/v1/sos/{id}/events",
            SAID,
            "listEvents",
            "The incident's log",
        )
        .text("The audit trail, and the replay: oldest first, after `since`.")
        .query(events_query())
        .answers(200, "A page of events.", events, page(event, json!("3")))
        .conditional(),
    );
}
