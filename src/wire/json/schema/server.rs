//! What clients get.

use serde_json::{Value, json};

use super::super::samples::{self, AT};
use super::{Described, room};
use crate::wire::schema::{Shape, latitude, list, longitude, maybe, reference, text};

/// Codes of `error`, and what each means.
pub const ERRORS: &[(&str, &str)] = &[
    ("BAD_JSON", "Not a JSON object, or a binary frame."),
    ("UNKNOWN_TYPE", "There is no message of this type."),
    (
        "INVALID_FIELD",
        "A field is missing or wrong; `field` says which.",
    ),
    ("ROOM_NOT_FOUND", "There is no such room."),
    ("TRIP_NOT_FOUND", "There is no such trip, or you are not on it."),
    ("TRIP_ENDED", "The trip is over."),
    ("ROOM_EXISTS", "The id is taken."),
    ("ROOM_NOT_ACTIVE", "The room is deactivated."),
    ("ROOM_FULL", "So many people are in."),
    (
        "TOO_MANY_ROOMS",
        "This connection sits in so many rooms that no further one is to be had.",
    ),
    ("ALREADY_IN_ROOM", "This connection sits there already."),
    ("NOT_IN_ROOM", "You are not in, or not seated."),
    (
        "NOT_AUTHORIZED",
        "You may not join it, or not send positions there.",
    ),
    (
        "FORBIDDEN",
        "It is the owner's to do, or your credential is bound to another incident or lacks the scope.",
    ),
    (
        "UNAUTHENTICATED",
        "To `refresh-credential`: the token is no good. The connection stays.",
    ),
    (
        "CREDENTIAL_CHANGED",
        "To `refresh-credential`: the token says otherwise of you. Connect again with it.",
    ),
    ("USER_TYPE_FORBIDDEN", "This user type is not yours to claim."),
    ("NO_SUCH_REQUEST", "Nobody of that id waits."),
    ("TOO_MANY_REQUESTS", "Too many wait for the owner's answer."),
    ("WRONG_ROOM_KIND", "Not possible in this kind of room."),
    ("SOS_CLOSED", "The incident is over."),
    ("INVALID_TRANSITION", "The incident has no such move."),
    ("STATUS_MISMATCH", "The incident stands elsewhere by now."),
    ("SENT_BEFORE", "The message was taken before."),
    ("REPEATED", "The request was answered before."),
    (
        "NO_OWNED_ROOMS",
        "You own no circle, or not the one that you named.",
    ),
    ("NO_EMERGENCY", "There is nothing to resolve."),
    ("NO_ACTIVE_ROOM", "A position, and you are in no room."),
    (
        "RATE_LIMITED",
        "Too many circles or calls of yours lately. The text says when to come back.",
    ),
    ("BUSY", "Too much waits. Send it again a moment later."),
    ("STORE_BUSY", "Too much waits. Send it again a moment later."),
    (
        "SOS_SERVICE_UNAVAILABLE",
        "Whether there is such an incident only another service knows, and it does not answer. Come back later.",
    ),
    (
        "ROOM_RESTARTED",
        "It may have been done all the same. Send it again; give messages an `id`.",
    ),
    (
        "TIMEOUT",
        "It may have been done all the same. Send it again; give messages an `id`.",
    ),
    ("STORE_FULL", "Nothing can be kept now. Send it again later."),
    (
        "STORE_UNAVAILABLE",
        "Nothing can be kept now. Send it again later.",
    ),
];

/// Every message that a client may get, with a sample that the encoder wrote.
pub fn server_messages() -> Vec<Described> {
    let mut found = Vec::new();
    samples::each(true, |message| {
        let Some((summary, shape)) = shape(message.kind()) else {
            return;
        };
        found.push(Described {
            kind: message.kind(),
            summary,
            schema: shape.schema(),
            example: serde_json::from_slice(&message.encode(AT)).unwrap_or_default(),
        });
    });
    found
}

fn of_server(kind: &'static str) -> Shape {
    Shape::of(kind).has("timestamp", reference("Instant"))
}

fn place() -> Value {
    json!({"type": "integer", "minimum": 1, "description": "Its place in the room's log. Not there when it is not in one."})
}

/// Somebody did something in a room.
fn deed(kind: &'static str, always_logged: bool) -> Shape {
    let shape = of_server(kind).has("roomId", room());
    let shape = if always_logged {
        shape.has("seq", place())
    } else {
        shape.may("seq", place())
    };
    let client =
        "Whose doing it was: a participant id, `system`, or on the connection that did it its own client id.";
    shape.has("clientId", text(client))
}

fn user(description: &str) -> Value {
    json!({"$ref": "#/components/schemas/User", "description": description})
}

/// What is said of each; `None` for a kind that nobody described, which a test finds.
fn shape(kind: &'static str) -> Option<(&'static str, Shape)> {
    joining(kind)
        .or_else(|| travelling(kind))
        .or_else(|| belonging(kind))
        .or_else(|| talking(kind))
        .or_else(|| helping(kind))
        .or_else(|| looking(kind))
}

fn joining(kind: &'static str) -> Option<(&'static str, Shape)> {
    let named = || of_server(kind).has("roomId", room());
    Some(match kind {
        "connected" => (
            "The first message of every connection.",
            of_server(kind)
                .has("clientId", text("This connection."))
                .has(
                    "user",
                    user("Yourself, by the id that your own credential states."),
                )
                .has(
                    "roomIds",
                    list(
                        &room(),
                        "The rooms that you are in. Send join-room for those that you want to hear.",
                    ),
                )
                .has("protocol", json!({"const": 1}))
                .has("sessionId", text("This connection.")),
        ),
        "room-created" => (
            "Your circle is there, and you are in it.",
            named()
                .has("owner", reference("Participant"))
                .has(
                    "emergencyContacts",
                    list(&reference("Phone"), "The numbers on your list."),
                )
                .has("participantId", reference("Participant"))
                .has("seq", place()),
        ),
        "join-approved" => (
            "You are in, and this connection is seated. What you missed follows.",
            named()
                .has(
                    "seq",
                    json!({"type": "integer", "minimum": 0, "description": "The log's newest event."}),
                )
                .has(
                    "recovered",
                    json!({"type": "boolean", "description": "Whether all since `since` follows."}),
                )
                .has("participantId", reference("Participant")),
        ),
        "join-denied" => (
            "You are not let in.",
            named().has("message", text("Why, for a person.")),
        ),
        "join-requested" => ("The owner is asked.", named()),
        "join-request" => (
            "To the owner: somebody wants in. Answer with approve-join or deny-join.",
            named()
                .has("requesterId", reference("Participant"))
                .has("requesterName", text("What they are called."))
                .has("requesterUser", user("Who they are.")),
        ),
        "user-joined" => ("Somebody came in.", deed(kind, false).has("user", user("Who."))),
        "room-left" => ("You have left.", named()),
        "user-left" => (
            "Somebody has left.",
            deed(kind, false).has("userName", text("What they are called.")),
        ),
        "room-deactivated" => ("No newcomers are let in.", named().may("seq", place())),
        "room-activated" => ("Newcomers are let in again.", named().may("seq", place())),
        _ => return None,
    })
}

fn travelling(kind: &'static str) -> Option<(&'static str, Shape)> {
    let named = || of_server(kind).has("tripId", room());
    Some(match kind {
        "trip:joined" => (
            "You are on the trip, and this connection is seated. The trip is the room of the same id: where its driver \
             is comes as location-update.",
            named()
                .has(
                    "seq",
                    json!({"type": "integer", "minimum": 0, "description": "The log's newest event."}),
                )
                .has(
                    "recovered",
                    json!({"type": "boolean", "description": "Whether all since `since` follows."}),
                )
                .has("participantId", reference("Participant"))
                .has("driverId", reference("Participant"))
                .has(
                    "passengerIds",
                    list(&reference("Participant"), "Everybody else on it, come or not."),
                )
                .has(
                    "bookingId",
                    json!({"type": ["string", "null"], "description": "The booking that it belongs to."}),
                ),
        ),
        "trip:left" => ("You have got out.", named()),
        "trip:ended" => (
            "The trip is over, and you are out.",
            named().has("roomId", room()).has("seq", place()),
        ),
        _ => return None,
    })
}

fn belonging(kind: &'static str) -> Option<(&'static str, Shape)> {
    let named = || of_server(kind).has("roomId", room());
    let owner = || text("What the owner is called.");
    Some(match kind {
        "auto-joined" => (
            "You are in the circle of somebody who lists you as a contact.",
            named()
                .has("roomOwner", owner())
                .has("message", text("The same, for a person."))
                .has("participantId", reference("Participant"))
                .has("seq", place()),
        ),
        "auto-join-summary" => {
            let entry = Shape::new().has("roomId", room()).has("owner", owner()).schema();
            (
                "After connecting: the circles that list you.",
                of_server(kind)
                    .has("roomsJoined", list(&entry, "Each with its owner's name."))
                    .has("message", text("The same, for a person.")),
            )
        }
        "emergency-contact-joined" => (
            "One of the owner's contacts came in.",
            named()
                .may("seq", place())
                .has("contactId", reference("Participant"))
                .has("contactName", text("What they are called.")),
        ),
        "added-as-emergency-contact" => (
            "Somebody lists you as a contact.",
            named().has("roomOwner", owner()),
        ),
        "removed-as-emergency-contact" => (
            "Somebody no longer lists you as a contact.",
            named().has("roomOwner", owner()),
        ),
        _ => return None,
    })
}

fn talking(kind: &'static str) -> Option<(&'static str, Shape)> {
    let named = || of_server(kind).has("roomId", room());
    Some(match kind {
        "message-accepted" => (
            "Your message is on disk.",
            named().has("seq", place()).has("id", reference("Message")),
        ),
        "room-message" => (
            "Somebody said something; your own words come back to you.",
            deed(kind, true)
                .has("id", reference("Message"))
                .has("content", text("The words."))
                .has("userName", text("What they are called."))
                .has("user", user("Who.")),
        ),
        "room-users" => {
            let member = Shape::new()
                .has("id", reference("Participant"))
                .has("name", text("What they are called."))
                .has("user", user("Who."))
                .schema();
            (
                "Everybody who is in, connected or not.",
                named().has("users", list(&member, "They.")),
            )
        }
        "history" => {
            let frame = json!({"type": "object", "required": ["type", "timestamp", "roomId"]});
            (
                "A part of a room's log.",
                named()
                    .has("events", list(&frame, "The messages as they were sent when it happened, without phone numbers."))
                    .has("seq", json!({"type": "integer", "minimum": 0, "description": "Go on from here while there is more."}))
                    .has("more", json!({"type": "boolean"})),
            )
        }
        "credential-expiring" => (
            "Your credential ends soon: send a new one by `refresh-credential`.",
            of_server(kind).has("expiresAt", reference("Instant")),
        ),
        "credential-refreshed" => (
            "The new token counts; when it ends.",
            of_server(kind).has("expiresAt", reference("Instant")),
        ),
        "pong" => ("The answer to a ping.", of_server(kind)),
        "error" => {
            let codes: Vec<_> = ERRORS.iter().map(|(code, _)| *code).collect();
            let meanings: Vec<_> = ERRORS
                .iter()
                .map(|(code, means)| format!("- `{code}`: {means}"))
                .collect();
            let code = json!({"type": "string", "enum": codes, "description": meanings.join("\n")});
            (
                "Something you sent was not done. The connection stays.",
                of_server(kind)
                    .has("code", code)
                    .has("message", text("For a person."))
                    .may("field", text("The field at fault.")),
            )
        }
        "server-draining" => {
            let wait = json!({"type": "integer", "minimum": 0, "description": "Milliseconds."});
            (
                "The connection will be closed with 1001: come back after so long.",
                of_server(kind).has("reconnectInMs", wait),
            )
        }
        _ => return None,
    })
}

fn helping(kind: &'static str) -> Option<(&'static str, Shape)> {
    let rooms = |description| list(&room(), description);
    Some(match kind {
        "emergency-confirmed" => (
            "Your SOS is on disk.",
            of_server(kind)
                .has("activatedRooms", rooms("The circles that it was raised in."))
                .has("sosId", room()),
        ),
        "emergency-alert" => (
            "To every contact: somebody needs help.",
            of_server(kind)
                .has("emergencyUserId", reference("Participant"))
                .has("emergencyUserName", text("What they are called."))
                .has("roomId", room())
                .has("sosId", room())
                .has("message", text("In their words, or a sentence that says so.")),
        ),
        "emergency-activated" => (
            "To every member: an emergency stands in this room.",
            deed(kind, false)
                .has("userName", text("What they are called."))
                .has(
                    "user",
                    maybe("User", "Who; null when the engine itself raised it."),
                )
                .has("sosId", room()),
        ),
        "emergency-resolved" => (
            "What you resolved.",
            of_server(kind).has("rooms", rooms("Where it is over.")),
        ),
        "emergency-ended" => (
            "To every member: the emergency is over.",
            deed(kind, false).may("sosId", room()),
        ),
        "sos-status" => (
            "An incident moved along its states.",
            deed(kind, true)
                .has("sosId", room())
                .has("status", reference("IncidentStatus"))
                .has("from", reference("IncidentStatus")),
        ),
        "sos-type" => (
            "An incident is of another type than it was taken for.",
            deed(kind, true)
                .has("sosId", room())
                .has("incidentType", reference("IncidentKind"))
                .has("from", reference("IncidentKind")),
        ),
        "sos-acknowledged" => (
            "Somebody who was called, or came to help, knows of an incident and acts.",
            deed(kind, true)
                .has("sosId", room())
                .has("userName", json!({"type": ["string", "null"], "description": "What they are called, if that is known."}))
                .has("means", crate::wire::schema::means()),
        ),
        _ => return None,
    })
}

fn looking(kind: &'static str) -> Option<(&'static str, Shape)> {
    let news = || {
        of_server(kind)
            .has("sosId", room())
            .has("sos", reference("SosSummary"))
    };
    Some(match kind {
        "location-update" => {
            let number = |description: &str| json!({"type": ["number", "null"], "minimum": 0, "description": description});
            let data = Shape::new()
                .has("userId", reference("Participant"))
                .has("userName", text("What they are called."))
                .has("visiblePhone", maybe("Phone", "Only for those who may see it."))
                .has("latitude", latitude())
                .has("longitude", longitude())
                .has("accuracy", number("Radius in metres."))
                .has("speed", number("Metres a second."))
                .has("heading", number("Degrees clockwise from north."))
                .has("timestamp", reference("Instant"))
                .schema();
            (
                "Where somebody is. The next one replaces it; it is in no log.",
                of_server(kind).has("roomId", room()).has("data", data),
            )
        }
        "location-update-confirmed" => (
            "Your position was taken.",
            of_server(kind).has("rooms", list(&room(), "For these rooms.")),
        ),
        "area" => (
            "The active incidents in the area that you watch, now.",
            of_server(kind).has("sos", list(&reference("SosSummary"), "They.")),
        ),
        "sos-created" => ("An incident was raised in the area that you watch.", news()),
        "sos-updated" => ("An incident in that area changed.", news()),
        "sos-closed" => ("An incident in that area has ended.", news()),
        _ => return None,
    })
}
