//! Who takes part in an incident, and tickets.

use serde_json::{Value, json};

use super::operation::{Describer, Operation};
use crate::http::error::Code;
use crate::http::routes::participants::CheckView;
use crate::http::routes::tickets::TicketView;
use crate::wire::rest::schemas::participants_query;
use crate::wire::rest::{AnonymousCount, ParticipantView, StatsView};

const TAG: &str = "Participants";
const SOS: &str = "7b0d3a4f6d0e4a53b6c1f09a77a3d2f1";
/// An instant for examples.
pub(super) const LAST: &str = "2026-11-21T01:18:46.087Z";

/// Who raised the incident of the examples.
pub(super) fn participant() -> Value {
    json!({
        "id": "p-27c059c801000003", "sosId": SOS, "userType": "CITIZEN", "displayName": "Anonymous",
        "status": "ACTIVE", "joinedAt": "2026-11-21T01:16:50.544Z",
    })
}

fn rescuer() -> Value {
    json!({
        "id": "p-b447fcbc8b87f80c", "sosId": SOS, "userType": "ANON_RESCUER", "displayName": "Ben",
        "status": "ACTIVE", "joinedAt": LAST,
    })
}

fn gone() -> Value {
    let mut gone = rescuer();
    gone["status"] = "LEFT".into();
    gone["leftAt"] = "2026-11-21T01:40:02.310Z".into();
    gone
}

/// A position that is sent.
pub(super) fn fix() -> Value {
    json!({"latitude": 14.6001, "longitude": 120.9839, "timestamp": LAST})
}

/// A position that is sent by a client that counts milliseconds.
pub(super) fn fix_in_unix_time() -> Value {
    json!({
        "latitude": 14.6001, "longitude": 120.9839, "timestamp": 1_763_687_926_087_u64,
        "accuracy": 8.0, "speed": 1.4, "heading": 270,
    })
}

/// A position as it is shown.
pub(super) fn seen(name: Option<&str>) -> Value {
    let mut seen = json!({
        "participantId": "p-b447fcbc8b87f80c", "latitude": 14.6001, "longitude": 120.9839,
        "accuracy": 8.0, "speed": null, "heading": null, "timestamp": LAST,
    });
    if let Some(name) = name {
        seen["displayName"] = name.into();
    }
    seen
}

pub(super) fn describe(to: &mut Describer<'_>) {
    coming(to);
    looking(to);
    counting(to);
    tickets(to);
}

fn coming(to: &mut Describer<'_>) {
    let one = to.data::<ParticipantView<'_>>();
    let join = json!({"userType": "ANON_RESCUER", "displayName": "Ben"});
    to.add(
        Operation::new(
            "POST",
            "/api/v1/sos/{id}/participants/join",
            TAG,
            "joinIncident",
            "Come to help",
        )
        .body("JoinSos", &[("a stranger", join)])
        .refuses(Code::AlreadyJoined, "User already joined this SOS")
        .refuses(Code::SosClosed, "SOS is closed")
        .refuses(Code::Conflict, "Room is full")
        .refuses(Code::Forbidden, "userType: RESCUER is not yours to claim")
        .answers(
            201,
            "You are in.",
            one.clone(),
            json!({"success": true, "data": rescuer()}),
        ),
    );
    to.add(
        Operation::new(
            "POST",
            "/api/v1/sos/{id}/participants/leave",
            TAG,
            "leaveIncident",
            "Leave",
        )
        .refuses(Code::SosClosed, "SOS is closed")
        .answers(
            200,
            "You have left.",
            one.clone(),
            json!({"success": true, "data": gone()}),
        ),
    );
    to.add(
        Operation::new(
            "PATCH",
            "/api/v1/sos/{id}/participants/{participant}/leave",
            TAG,
            "removeParticipant",
            "Put somebody out, or leave",
        )
        .refuses(Code::SosClosed, "SOS is closed")
        .refuses(Code::Conflict, "The participant has left already")
        .answers(
            200,
            "They have left.",
            one,
            json!({"success": true, "data": gone()}),
        ),
    );
}

fn looking(to: &mut Describer<'_>) {
    let list = to.page::<ParticipantView<'_>>();
    let next = json!("00000193460d7bc027c059c801000003");
    to.add(
        Operation::new(
            "GET",
            "/api/v1/sos/{id}/participants/active",
            TAG,
            "listActive",
            "Who is in",
        )
        .text("In the order they came.")
        .query(participants_query())
        .answers(
            200,
            "A page of participants.",
            list.clone(),
            json!({"success": true, "data": [participant()], "nextCursor": next}),
        )
        .conditional(),
    );
    to.add(
        Operation::new(
            "GET",
            "/api/v1/sos/{id}/participants/history",
            TAG,
            "listHistory",
            "Who ever was in",
        )
        .text("In the order they came.")
        .query(participants_query())
        .answers(
            200,
            "A page of participants.",
            list,
            json!({"success": true, "data": [participant(), gone()], "nextCursor": null}),
        )
        .conditional(),
    );
    let check = to.data::<CheckView<'_>>();
    to.add(
        Operation::new(
            "GET",
            "/api/v1/sos/{id}/participants/{participant}/check",
            TAG,
            "checkParticipant",
            "Whether somebody is in",
        )
        .answers(
            200,
            "Whether they were, and are.",
            check,
            json!({"success": true, "data": {
                "participantId": "p-b447fcbc8b87f80c", "sosId": SOS, "isParticipant": true, "isActive": true,
            }}),
        )
        .conditional(),
    );
}

fn counting(to: &mut Describer<'_>) {
    let (stats, count) = (to.data::<StatsView>(), to.data::<AnonymousCount>());
    let older = "Older clients know it by this path.";
    let numbers = json!({"success": true, "data": {
        "totalParticipants": 2, "activeParticipants": 2, "registeredRescuers": 0, "anonymousRescuers": 1,
        "averageParticipationTime": 93.5,
    }});
    let anonymous = json!({"success": true, "data": {"anonymousCount": 1}});
    for (path, id, text) in [
        ("/api/v1/sos/{id}/participants/stats", "countParticipants", ""),
        ("/api/v1/participants/{id}/stats", "countParticipantsOld", older),
    ] {
        to.add(
            Operation::new("GET", path, TAG, id, "Participants in numbers")
                .text(text)
                .answers(200, "Zeros when nobody was in.", stats.clone(), numbers.clone())
                .conditional(),
        );
    }
    for (path, id, text) in [
        (
            "/api/v1/sos/{id}/participants/anonymous/count",
            "countAnonymous",
            "",
        ),
        (
            "/api/v1/participants/{id}/anonymous/count",
            "countAnonymousOld",
            older,
        ),
    ] {
        to.add(
            Operation::new("GET", path, TAG, id, "Rescuers without an account")
                .text(text)
                .answers(200, "How many are or were in.", count.clone(), anonymous.clone())
                .conditional(),
        );
    }
}

fn tickets(to: &mut Describer<'_>) {
    let ticket = to.data::<TicketView>();
    let example = json!({"success": true, "data": {
        "ticket": "d1239065aa4d2f0d6f8f3f2dc1f9a1c28bfe9f6f3d8f5c0b7a3d2f1e5c8b60aa", "expiresIn": 30,
        "expiresAt": LAST,
    }});
    to.add(
        Operation::new("POST", "/api/v1/tickets", "Credentials", "issueTicket", "A ticket for a WebSocket")
            .text(
                "For browsers, which cannot set headers on a WebSocket: `GET /api/ws?ticket=…` makes the connection \
                 that of whoever asked for the ticket. Good once, and for a short time.",
            )
            .answers(201, "The ticket.", ticket, example),
    );
}
