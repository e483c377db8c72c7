//! What sister services may say and ask of incidents.

use serde_json::{Value, json};

use super::incidents::{MOVE_REFUSED, data, page};
use super::operation::{Describer, Operation};
use super::people::LAST;
use crate::http::error::Code;
use crate::http::routes::services::RADIUS_MAX_KM;
use crate::wire::rest::schemas::{nearby_query, participants_query, rescuer_query};
use crate::wire::rest::{CountView, MemberView, MessageView, NearStateView, RescuerView, StateView};

const TAG: &str = "Sister services";
const SOS: &str = "7b0d3a4f6d0e4a53b6c1f09a77a3d2f1";
const OVER: &str = "SOS is closed";

fn state() -> Value {
    json!({
        "sosId": SOS, "citizenId": "u-ana", "type": "OTHER", "status": "ACTIVE", "createdAt": "2026-11-21T01:16:50.544Z",
        "location": {"latitude": 14.5995, "longitude": 120.9842, "accuracy": 12.5}, "lastLocationUpdate": null,
        "participants": [{
            "id": "p-27c059c801000003", "userId": "u-ana", "userType": "CITIZEN", "displayName": "Anonymous",
            "joinedAt": "2026-11-21T01:16:50.544Z",
        }],
        "participantsCount": 1, "seq": 2,
    })
}

fn ended() -> Value {
    let mut ended = state();
    (ended["status"], ended["closedAt"], ended["closedBy"]) = ("CLOSED".into(), LAST.into(), "u-dora".into());
    (ended["participants"], ended["participantsCount"], ended["seq"]) = (json!([]), 0.into(), 3.into());
    ended
}

fn member() -> Value {
    json!({
        "id": "p-b447fcbc8b87f80c", "sosId": SOS, "userId": "u-ben", "userType": "RESCUER", "displayName": "Ben",
        "status": "ACTIVE", "joinedAt": LAST,
    })
}

pub(super) fn describe(to: &mut Describer<'_>) {
    raising(to);
    steering(to);
    looking(to);
    rescuing(to);
    saying(to);
    attending(to);
}

fn raising(to: &mut Describer<'_>) {
    let one = to.data::<StateView>();
    let least = json!({"sosId": SOS, "citizenId": "u-ana"});
    let all = json!({
        "sosId": SOS, "citizenId": "u-ana", "type": "MEDICAL",
        "location": {"latitude": 14.5995, "longitude": 120.9842, "accuracy": 12.5},
        "address": {"city": "Manila", "barangay": "659-A"},
    });
    let line = json!({"sosId": SOS, "citizenId": "u-ana", "address": "12 Rizal Street, Manila"});
    to.add(
        Operation::new("POST", "/internal/realtime/sos/init", TAG, "initIncident", "Raise an incident for somebody")
            .text(
                "By an id that you give it; whoever it is for is in it. It is public, and answered when it is on disk. \
                 Asking again for the same `sosId` changes nothing and answers with the state that it has by now. Needs \
                 the scope `incidents:write`.",
            )
            .body("InitSos", &[("least", least), ("all", all), ("an address for a person", line)])
            .refuses(Code::Conflict, "There is such an SOS with another citizenId")
            .answers(201, "It stands.", one, data(state())),
    );
}

fn steering(to: &mut Describer<'_>) {
    let one = to.data::<StateView>();
    to.add(
        Operation::new(
            "POST",
            "/internal/realtime/sos/{id}/close",
            TAG,
            "closeIncidentFor",
            "Close an incident",
        )
        .text("One that is closed stays as it is. Needs the scope `incidents:write`.")
        .body(
            "CloseSosFor",
            &[("by an operator", json!({"closedBy": "u-dora"}))],
        )
        .answers(200, "It is closed.", one.clone(), data(ended())),
    );
    let mut moved = state();
    (moved["status"], moved["seq"]) = ("RESPONDING".into(), 3.into());
    let status = json!({"status": "RESPONDING", "updatedBy": "u-ben", "oldStatus": "ACTIVE"});
    to.add(
        Operation::new("POST", "/internal/realtime/sos/{id}/status", TAG, "moveIncidentFor", "Move an incident")
            .text(
                "Along its states, as an operator may. With `oldStatus` only if it stands there. One that has that \
                 status already stays as it is. Needs the scope `incidents:write`.",
            )
            .body("MoveSosFor", &[("on the way", status)])
            .refuses(Code::InvalidTransition, MOVE_REFUSED)
            .refuses(Code::Conflict, "status is ASSIGNED, not ACTIVE")
            .answers(200, "The incident as it is now.", one.clone(), data(moved)),
    );
    let mut retyped = state();
    (retyped["type"], retyped["seq"]) = ("FIRE".into(), 3.into());
    to.add(
        Operation::new(
            "PATCH",
            "/internal/realtime/sos/{id}/type",
            TAG,
            "retypeIncident",
            "Say what it is",
        )
        .text("While it is open. Its members hear `sos-type`. Needs the scope `incidents:write`.")
        .body("SetSosType", &[("a fire", json!({"type": "FIRE"}))])
        .refuses(Code::SosClosed, OVER)
        .answers(200, "The incident as it is now.", one, data(retyped)),
    );
}

fn looking(to: &mut Describer<'_>) {
    let one = to.data::<StateView>();
    to.add(
        Operation::new(
            "GET",
            "/internal/realtime/sos/{id}/state",
            TAG,
            "incidentState",
            "How an incident stands",
        )
        .text("Needs the scope `incidents:read`.")
        .answers(200, "The incident.", one, data(state())),
    );
    let mut near = state();
    near["distanceM"] = json!(412.7);
    let many = to.data::<Vec<NearStateView>>();
    to.add(
        Operation::new(
            "GET",
            "/internal/realtime/sos/nearby",
            TAG,
            "incidentsNearby",
            "Open incidents near a position",
        )
        .text("By where they were raised, the nearest first. Needs the scope `incidents:read`.")
        .query(nearby_query(RADIUS_MAX_KM))
        .answers(200, "The incidents.", many, data(json!([near]))),
    );
}

fn rescuing(to: &mut Describer<'_>) {
    let place = json!({
        "sosId": SOS, "rescuerId": "u-ben", "participantId": "p-b447fcbc8b87f80c",
        "latitude": 14.6001, "longitude": 120.9839, "accuracy": 8.0, "timestamp": LAST,
    });
    let (one, maybe) = (to.data::<RescuerView>(), to.data::<Option<RescuerView>>());
    let body = json!({"rescuerId": "u-ben", "latitude": 14.6001, "longitude": 120.9839, "accuracy": 8.0});
    to.add(
        Operation::new(
            "POST",
            "/internal/realtime/sos/{id}/rescuer-location",
            TAG,
            "locateRescuer",
            "Say where a rescuer is",
        )
        .text(
            "Now: its members hear `location-update`. A user who is not in the incident comes in as a rescuer. Needs \
             the scope `positions:write`.",
        )
        .body("RescuerLocation", &[("a rescuer", body)])
        .refuses(Code::SosClosed, OVER)
        .refuses(Code::Conflict, "rescuerId takes part as CITIZEN")
        .answers(200, "Taken.", one, data(place.clone())),
    );
    to.add(
        Operation::new(
            "GET",
            "/internal/realtime/sos/{id}/rescuer-location",
            TAG,
            "rescuerLocation",
            "Where a rescuer is",
        )
        .text(
            "The newest position of any rescuer who is in it, or of the one that is named; null when none is known. \
             Needs the scope `incidents:read`.",
        )
        .query(rescuer_query())
        .answers(200, "The position, or null.", maybe, data(place)),
    );
}

fn saying(to: &mut Describer<'_>) {
    let one = to.data::<MessageView<'_>>();
    let message = json!({
        "id": "m-1", "sosId": SOS, "seq": 4, "senderType": "RESCUER", "senderId": "p-b447fcbc8b87f80c",
        "senderDisplayName": "Unit 7", "contentType": "text", "content": "Two minutes", "createdAt": LAST,
    });
    let said = json!({"sosId": SOS, "message": {
        "id": "m-1", "senderType": "RESCUER", "senderId": "u-ben", "senderDisplayName": "Unit 7",
        "contentType": "text", "content": "Two minutes", "createdAt": LAST,
    }});
    let own = json!({"sosId": SOS, "message": {
        "id": "m-2", "senderType": "SYSTEM", "senderDisplayName": "Dispatch", "contentType": "system",
        "content": "Unit 7 was sent",
    }});
    to.add(
        Operation::new("POST", "/internal/messaging/broadcast", TAG, "passOnMessage", "Pass on a message")
            .text(
                "What somebody said elsewhere, who need not be in the incident, or the service's own words \
                 (`senderType` `SYSTEM`). Its members hear `room-message`. The same `id` of the same sender again is \
                 the same message and gets the first answer. Needs the scope `messages:write`.",
            )
            .body("PassOnMessage", &[("a rescuer's", said), ("the service's own", own)])
            .refuses(Code::NotFound, "SOS not found")
            .refuses(Code::SosClosed, OVER)
            .answers(201, "It is on disk.", one, data(message)),
    );
}

fn attending(to: &mut Describer<'_>) {
    let one = to.data::<MemberView<'_>>();
    let came = json!({"sosId": SOS, "userId": "u-ben", "userType": "RESCUER", "displayName": "Ben", "joinedAt": LAST});
    to.add(
        Operation::new("POST", "/api/participants/joined", TAG, "participantJoined", "Somebody came")
            .text(
                "They are in the incident from now on; who is in already stays so. The log goes by the engine's clock: \
                 `joinedAt` is read and not used. Needs the scope `participants:write`.",
            )
            .body("ParticipantJoined", &[("a rescuer", came)])
            .refuses(Code::NotFound, "SOS not found")
            .refuses(Code::SosClosed, OVER)
            .refuses(Code::Conflict, "Room is full")
            .answers(200, "They are in.", one.clone(), data(member())),
    );
    let went = json!({"sosId": SOS, "userId": "u-ben", "leftAt": "2026-11-21T01:40:02.310Z"});
    let mut gone = member();
    (gone["status"], gone["leftAt"]) = ("LEFT".into(), "2026-11-21T01:40:02.310Z".into());
    to.add(
        Operation::new(
            "POST",
            "/api/participants/left",
            TAG,
            "participantLeft",
            "Somebody went",
        )
        .text("Who has left already stays so. Needs the scope `participants:write`.")
        .body("ParticipantLeft", &[("a rescuer", went)])
        .refuses(Code::NotFound, "Participant not found")
        .answers(200, "They are out.", one, data(gone)),
    );
    let many = to.page::<MemberView<'_>>();
    to.add(
        Operation::new(
            "GET",
            "/api/participants/{id}/active",
            TAG,
            "activeMembers",
            "Who is in, for services",
        )
        .text("In the order they came. Needs the scope `incidents:read`.")
        .query(participants_query())
        .answers(200, "A page of participants.", many, page(member(), Value::Null)),
    );
    let count = to.data::<CountView>();
    to.add(
        Operation::new(
            "GET",
            "/api/participants/{id}/count",
            TAG,
            "countMembers",
            "How many are in",
        )
        .text("Needs the scope `incidents:read`.")
        .answers(200, "How many.", count, data(json!({"sosId": SOS, "count": 2}))),
    );
}
