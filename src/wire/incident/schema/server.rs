//! What incident clients get.

use serde_json::{Value, json};

use super::super::client::{
    INVALID_FIELD, INVALID_LOCATION, INVALID_SOS_ID, INVALID_STATUS_DATA, UNAUTHORIZED, UNAUTHORIZED_SOS,
    UNKNOWN_EVENT,
};
use super::super::samples;
use super::{Described, messages, millis, place, said, sos};
use crate::domain::incident::Status;
use crate::wire::schema::{Shape, latitude, list, longitude, reference, text};

/// Codes of `error` and of acknowledgements, and what each means.
pub const ERRORS: &[(&str, &str)] = &[
    (
        INVALID_SOS_ID,
        "`sosId` is missing or no id, or there is no such incident.",
    ),
    (
        INVALID_LOCATION,
        "A field of the position is missing or out of bounds.",
    ),
    (
        INVALID_STATUS_DATA,
        "The status is missing or none, or the incident cannot go there from where it stands.",
    ),
    (
        INVALID_FIELD,
        "Another field is missing or wrong; `field` says which.",
    ),
    (UNKNOWN_EVENT, "There is no event of this name."),
    (
        UNAUTHORIZED_SOS,
        "You are not in that incident, or it is not open to you.",
    ),
    (UNAUTHORIZED, "It is not yours to do."),
    ("ALREADY_JOINED", "This connection sits there already."),
    ("SOS_CLOSED", "The incident is over."),
    ("SOS_FULL", "So many people are in."),
    (
        "TOO_MANY_SOS",
        "This connection sits in so many incidents that no further one is to be had.",
    ),
    (
        "UNAUTHENTICATED",
        "To `refresh-credential`: the token is no good. The connection stays.",
    ),
    (
        "CREDENTIAL_CHANGED",
        "To `refresh-credential`: the token says otherwise of you. Connect again with it.",
    ),
    (
        "RATE_LIMITED",
        "Too many lately. The text says when to come back.",
    ),
    ("BUSY", "Too much waits. Send it again a moment later."),
    ("STORE_BUSY", "Too much waits. Send it again a moment later."),
    (
        "SOS_RESTARTED",
        "It may have been done all the same. Send it again; give messages an `id`.",
    ),
    (
        "TIMEOUT",
        "It may have been done all the same. Send it again; give messages an `id`.",
    ),
    (
        "SOS_SERVICE_UNAVAILABLE",
        "To a join: whether there is such an incident only another service knows, and it does not answer. Come back later.",
    ),
    ("STORE_FULL", "Nothing can be kept now. Send it again later."),
    (
        "STORE_UNAVAILABLE",
        "Nothing can be kept now. Send it again later.",
    ),
];

/// Every event that a client may get, with a sample that the encoder wrote.
pub fn server_messages() -> Vec<Described> {
    let mut found: Vec<Described> = Vec::new();
    samples::each(true, |word| {
        let shape = shape(word.name).filter(|_| found.iter().all(|known| known.kind != word.name));
        if let Some((summary, shape)) = shape {
            let mut schema = shape.schema();
            if word.name == "pong" {
                // Whatever was sent.
                schema["additionalProperties"] = true.into();
            }
            found.push(Described {
                kind: word.name,
                summary,
                schema,
                example: serde_json::from_str(&word.body).unwrap_or_default(),
            });
        }
    });
    found
}

pub(super) fn code() -> Value {
    let codes: Vec<_> = ERRORS.iter().map(|(code, _)| *code).collect();
    let meanings: Vec<_> = ERRORS
        .iter()
        .map(|(code, means)| format!("- `{code}`: {means}"))
        .collect();
    json!({"type": "string", "enum": codes, "description": meanings.join("\n")})
}

/// What is said of each; `None` for an event that nobody described, which a test finds.
fn shape(name: &str) -> Option<(&'static str, Shape)> {
    coming(name)
        .or_else(|| changing(name))
        .or_else(|| moving(name))
        .or_else(|| talking(name))
        .or_else(|| upkeep(name))
        .or_else(|| operating(name))
}

/// Somebody in an incident, now or when it came into the log.
fn about() -> Shape {
    Shape::new()
        .has("userId", reference("Participant"))
        .has("sosId", sos())
        .has("timestamp", millis("When."))
}

/// Not there when only their presence changed.
fn maybe_place() -> Value {
    json!({
        "type": "integer", "minimum": 1,
        "description": "Its place in the incident's log. Not there when somebody's presence changed and no more.",
    })
}

fn display_name() -> Value {
    text("What they are called; Anonymous without a name.")
}

fn coming(name: &str) -> Option<(&'static str, Shape)> {
    Some(match name {
        "sos:init" => (
            "You are in, and this connection hears the incident (then with `recovered`, `seq` being the log's newest \
             event); or somebody came, or is back.",
            about()
                .has("action", json!({"const": "user_joined"}))
                .may(
                    "seq",
                    json!({"type": "integer", "minimum": 0, "description": "Not there when somebody is back."}),
                )
                .may(
                    "recovered",
                    json!({"type": "boolean", "description": "Whether all that you missed follows."}),
                ),
        ),
        "sos:room:joined" => (
            "Somebody else came, or is back.",
            about()
                .may("userType", reference("ParticipantType"))
                .has("displayName", display_name())
                .may("seq", maybe_place()),
        ),
        "sos:room:left" => (
            "Somebody has left, you perhaps; or is away.",
            about().may("seq", maybe_place()),
        ),
        "participant:joined" => (
            "Somebody else came.",
            Shape::new()
                .has("sosId", sos())
                .has("userId", reference("Participant"))
                .has("userType", reference("ParticipantType"))
                .has("displayName", display_name())
                .has("joinedAt", reference("Instant"))
                .has("seq", place()),
        ),
        "participant:left" => (
            "Somebody else has left.",
            Shape::new()
                .has("sosId", sos())
                .has("userId", reference("Participant"))
                .has("leftAt", reference("Instant"))
                .has("seq", place()),
        ),
        _ => return None,
    })
}

fn changing(name: &str) -> Option<(&'static str, Shape)> {
    let deed = |doer| {
        Shape::new()
            .has("sosId", sos())
            .has(doer, reference("Actor"))
            .has("timestamp", millis("When."))
            .has("seq", place())
    };
    Some(match name {
        "sos:close" => (
            "The incident was closed.",
            deed("closedBy").has("status", status()),
        ),
        "sos:closed" => (
            "The same under its newer name.",
            deed("closedBy").has("status", status()),
        ),
        "sos:status:broadcast" => (
            "The incident moved along its states; that it was closed is `sos:close`.",
            deed("updatedBy")
                .has("status", status())
                .has("oldStatus", status()),
        ),
        "sos:updated" => (
            "The same; or the incident is of another type than it was taken for.",
            deed("updatedBy")
                .may("status", status())
                .may("oldStatus", status())
                .may("type", reference("IncidentKind"))
                .may("oldType", reference("IncidentKind")),
        ),
        "sos:acknowledged" => (
            "Somebody who was called, or came to help, knows of the incident and acts.",
            deed("acknowledgedBy").has("means", crate::wire::schema::means()),
        ),
        _ => return None,
    })
}

/// In upper case, or in lower case when the client wrote it so that moved the incident.
fn status() -> Value {
    let upper = Status::ALL.iter().map(|status| status.as_str().to_owned());
    let lower = Status::ALL
        .iter()
        .map(|status| status.as_str().to_ascii_lowercase());
    json!({
        "type": "string", "enum": upper.chain(lower).collect::<Vec<_>>(),
        "description": "Where the incident stands; in lower case when whoever moved it there wrote it so.",
    })
}

fn moving(name: &str) -> Option<(&'static str, Shape)> {
    let number =
        |kinds: Value, description: &str| json!({"type": kinds, "minimum": 0, "description": description});
    let shape = || {
        Shape::new()
            .has("userId", reference("Participant"))
            .has("sosId", sos())
            .has("latitude", latitude())
            .has("longitude", longitude())
            .has("accuracy", number(json!(["number", "null"]), "Radius in metres."))
            .has("timestamp", millis("When it was measured."))
            .may("displayName", text("What they are called, if they have a name."))
            .may("speed", number(json!("number"), "Metres a second."))
            .may(
                "heading",
                number(json!("number"), "Degrees clockwise from north."),
            )
    };
    Some(match name {
        "location:broadcast" => (
            "Where somebody is. The next one replaces it; it is in no log.",
            shape(),
        ),
        "location:updated" => ("The same under its newer name.", shape()),
        "rescuer:location:broadcast" => ("The same of those who came to help.", shape()),
        _ => return None,
    })
}

fn talking(name: &str) -> Option<(&'static str, Shape)> {
    let typing = || {
        Shape::new()
            .has("sosId", sos())
            .has("userId", reference("Participant"))
            .has("displayName", display_name())
    };
    Some(match name {
        "message:broadcast" => (
            "Somebody said something; your own words come back to you.",
            said(),
        ),
        "message:typing:start" => ("Somebody else writes.", typing()),
        "message:typing:stop" => ("They write no more.", typing()),
        "message:history:response" => (
            "What was said.",
            Shape::new().has("sosId", sos()).has("messages", messages()),
        ),
        "participants:active:response" => (
            "Who is in.",
            Shape::new()
                .has("sosId", sos())
                .has(
                    "participants",
                    list(&reference("IncidentParticipant"), "They, in the order they came."),
                )
                .has(
                    "count",
                    json!({"type": "integer", "minimum": 0, "description": "How many are in."}),
                )
                .has("timestamp", millis("When.")),
        ),
        _ => return None,
    })
}

/// In `/admin`.
fn operating(name: &str) -> Option<(&'static str, Shape)> {
    let object = |description: &str| json!({"type": "object", "description": description});
    Some(match name {
        "admin:subscribed" => (
            "In `/admin`: what comes next happened after this place.",
            Shape::new()
                .has("cursor", text("The place, for `admin:subscribe`."))
                .has(
                    "gap",
                    json!({
                        "type": "boolean",
                        "description": "Some of what followed the cursor that was given is not kept any more: load anew.",
                    }),
                ),
        ),
        "admin:event" => (
            "In `/admin`: an event of an incident, in the order in which they happened over all nodes. Its fields are \
             those of the incident's log over HTTP.",
            Shape::new()
                .has("sosId", sos())
                .has("seq", place())
                .has("at", reference("Instant"))
                .has("actor", reference("Actor"))
                .has("type", text("What happened."))
                .has("data", object("What else is to be said of it."))
                .has("sos", object("How the incident stands after it."))
                .has("cursor", text("Go on after this one.")),
        ),
        "admin:positions" => (
            "In `/admin`: the newest position of everybody who moved since the last time, in incidents and on trips.",
            Shape::new()
                .has("positions", json!({"type": "array", "items": {"type": "object"}, "description": "They."}))
                .has("at", reference("Instant")),
        ),
        _ => return None,
    })
}

fn upkeep(name: &str) -> Option<(&'static str, Shape)> {
    Some(match name {
        "pong" => (
            "The answer to `ping`: what came with it, and when it was answered.",
            Shape::new().has("respondedAt", millis("When.")),
        ),
        "heartbeat:ack" => (
            "The answer to `heartbeat`.",
            Shape::new().has("timestamp", millis("When.")),
        ),
        "error" => (
            "Something you sent was not done. The connection stays.",
            Shape::new()
                .has("code", code())
                .has("message", text("For a person."))
                .may("field", text("The field at fault.")),
        ),
        "credential:expiring" => (
            "Your credential ends soon: send a new one by `refresh-credential`.",
            Shape::new().has("expiresAt", reference("Instant")),
        ),
        "credential:refreshed" => (
            "The new token counts; when it ends.",
            Shape::new().has("expiresAt", reference("Instant")),
        ),
        "server:draining" => (
            "The connection will be closed: come back after so long.",
            Shape::new().has(
                "reconnectInMs",
                json!({"type": "integer", "minimum": 0, "description": "Milliseconds."}),
            ),
        ),
        _ => return None,
    })
}
