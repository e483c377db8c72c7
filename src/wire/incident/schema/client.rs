//! What incident clients may emit.

use serde_json::{Value, json};

use super::super::admin;
use super::super::client::{HISTORY_LIMIT_DEFAULT, HISTORY_LIMIT_MAX, HISTORY_SKIP_MAX};
use super::super::samples::{AT, SOS};
use super::{Described, sos};
use crate::domain::incident::{IncidentType, Status};
use crate::domain::room::UserType;
use crate::wire::field::{NAME_MAX_CHARS, NOTE_MAX_CHARS, PIN_MAX_CHARS};
use crate::wire::schema::{
    Shape, accuracy, flag, heading, instant, latitude, longitude, note, optional_ref, optional_word, speed,
    token, word_of, words_of,
};

/// Bounds that a node's settings give.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The longest message, in characters.
    pub content_max_chars: usize,
}

/// Every event that a client may emit, by its first argument. Those that need nothing but `sosId` take the bare id,
/// too.
pub fn client_messages(bounds: &Bounds) -> Vec<Described> {
    let mut found = coming();
    found.extend(moving());
    found.extend(talk(bounds));
    found.extend(upkeep());
    found.extend(operating());
    found
}

fn described(kind: &'static str, summary: &'static str, shape: Shape, example: Value) -> Described {
    Described {
        kind,
        summary,
        schema: shape.schema(),
        example,
    }
}

fn in_sos() -> Shape {
    Shape::new().has("sosId", sos())
}

fn bare() -> Value {
    json!({"sosId": SOS})
}

fn display_name() -> Value {
    note(
        NAME_MAX_CHARS,
        "What others may call you, where your credential has no name.",
    )
}

fn coming() -> Vec<Described> {
    let join = || {
        let types = UserType::ALL.iter().map(|it| it.as_str());
        in_sos()
            .may("userType", optional_word(types, "As what you come."))
            .may("displayName", display_name())
    };
    vec![
        described("join:sos", "Takes a seat in an incident.", join(), bare()),
        described("sos:init", "The same as join:sos.", join(), bare()),
        described(
            "sos:room:join",
            "The same as join:sos.",
            join(),
            json!({"sosId": SOS, "userType": "ANON_RESCUER", "displayName": "Ben"}),
        ),
        described(
            "leave:sos",
            "Leaves an incident, on all your connections.",
            in_sos(),
            bare(),
        ),
        described("sos:room:leave", "The same as leave:sos.", in_sos(), bare()),
    ]
}

fn moving() -> Vec<Described> {
    let fix = || {
        in_sos()
            .has("latitude", latitude())
            .has("longitude", longitude())
            .may("accuracy", accuracy())
            .may("speed", speed())
            .may("heading", heading())
            .may(
                "timestamp",
                instant(true, "When it was measured; now if left out."),
            )
    };
    let mut address = note(
        NOTE_MAX_CHARS,
        "The place, for a person: a line, or an object with city and barangay.",
    );
    address["type"] = json!(["string", "object", "null"]);
    address["properties"] = json!({
        "city": note(NAME_MAX_CHARS, "City or municipality."), "barangay": note(NAME_MAX_CHARS, "Part of it."),
    });
    let states = Status::ALL.iter().map(|it| it.as_str());
    vec![
        described(
            "sos:close",
            "Closes an incident: staff's to do.",
            in_sos(),
            bare(),
        ),
        described(
            "sos:acknowledge",
            "Says that you know of an incident and see to it: nobody is reminded of it any more.",
            in_sos(),
            bare(),
        ),
        described(
            "sos:status:update",
            "Moves an incident along its states. Whoever writes it in lower case has it told so.",
            in_sos().has("status", word_of(states, "To where.")).may(
                "pin",
                note(PIN_MAX_CHARS, "Your PIN, if you end what you have raised."),
            ),
            json!({"sosId": SOS, "status": "RESPONDING"}),
        ),
        described(
            "location:update",
            "Says where you are. The newest of a second is passed on, none is refused for being one too many.",
            fix().may("address", address),
            json!({"sosId": SOS, "latitude": 14.6001, "longitude": 120.9839, "accuracy": 8.0}),
        ),
        described(
            "rescuer:location",
            "The same, by a rescuer; arriving moves the incident to ARRIVED.",
            fix().may("rescuerArrived", flag("You are there.")),
            json!({"sosId": SOS, "latitude": 14.6001, "longitude": 120.9839, "rescuerArrived": true}),
        ),
    ]
}

fn talk(bounds: &Bounds) -> Vec<Described> {
    let id = "Your name for it: sending the same again gets the first answer. Made up if left out.";
    let typing = || in_sos().may("displayName", display_name());
    let number = |least: usize, most: usize, default: usize, description: &str| {
        json!({
            "type": ["integer", "null"], "minimum": least, "maximum": most, "default": default,
            "description": description,
        })
    };
    vec![
        described(
            "message:send",
            "Says something in an incident.",
            in_sos()
                .has("content", words_of(&(1..=bounds.content_max_chars), "The words."))
                .may("id", optional_ref("Message", id)),
            json!({"sosId": SOS, "content": "Two minutes away", "id": "m-1"}),
        ),
        described("message:typing:start", "You write.", typing(), bare()),
        described("message:typing:stop", "You write no more.", typing(), bare()),
        described(
            "message:history:request",
            "Asks for messages, the newest first.",
            in_sos()
                .may(
                    "limit",
                    number(1, HISTORY_LIMIT_MAX, HISTORY_LIMIT_DEFAULT, "At most so many."),
                )
                .may(
                    "skip",
                    number(0, HISTORY_SKIP_MAX, 0, "Without the newest so many."),
                ),
            json!({"sosId": SOS, "limit": 20, "skip": 0}),
        ),
        described("participants:active:request", "Asks who is in.", in_sos(), bare()),
    ]
}

/// In `/admin`, by staff.
fn operating() -> Vec<Described> {
    let types = IncidentType::ALL.iter().map(|it| it.as_str());
    let statuses = Status::ALL.iter().map(|it| it.as_str());
    let circle = json!({
        "type": ["object", "null"],
        "required": ["latitude", "longitude", "radiusKm"],
        "properties": {
            "latitude": latitude(), "longitude": longitude(),
            "radiusKm": {"type": "number", "exclusiveMinimum": 0, "description": "Kilometres, at most `ops.radius_max_km`."},
        },
        "description": "Only of incidents that were raised within this circle.",
    });
    let each =
        |names: Value, what: &str| json!({"type": ["array", "null"], "items": names, "description": what});
    vec![
        described(
            admin::SUBSCRIBE,
            "In `/admin`: every event of incidents that fit, from now on or after `cursor`, in the order in which they \
             happened. It takes the place of the one before.",
            Shape::new()
                .may("cityId", note(NAME_MAX_CHARS, "Only of this city."))
                .may("types", each(word_of(types, "A type."), "Only of these types."))
                .may(
                    "statuses",
                    each(
                        word_of(statuses, "A status."),
                        "Only of incidents that stand so, or stood so until this event.",
                    ),
                )
                .may("area", circle)
                .may("cursor", note(128, "That of the last event that was seen.")),
            json!({"cityId": "MNL", "types": ["FIRE"], "statuses": ["ACTIVE"], "cursor": "0-19a7d0c2b5e-3-0"}),
        ),
        described(
            admin::UNSUBSCRIBE,
            "In `/admin`: no events any more.",
            Shape::new(),
            json!({}),
        ),
    ]
}

fn upkeep() -> Vec<Described> {
    vec![
        described(
            "ping",
            "Asks whether the other side hears. The object is sent back.",
            Shape::new(),
            json!({"sentAt": AT.ms()}),
        ),
        described(
            "heartbeat",
            "The same, without anything.",
            Shape::new(),
            json!({}),
        ),
        described(
            "refresh-credential",
            "Puts a new token of yours in the place of the one that this connection was opened with.",
            Shape::new().has("token", token()),
            json!({"token": "eyJhbGciOiJFUzI1NiJ9.e30.c2lnbmF0dXJl"}),
        ),
    ]
}
