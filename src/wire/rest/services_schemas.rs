//! What the readers of sister services' bodies take, as JSON Schema.

use serde_json::{Value, json};

use super::otp::{CHANNELS, ID_MAX_CHARS, PURPOSE_MAX_CHARS};
use super::schemas::{Bounds, locale, object, user};
use super::services::{CONTENT_TYPES, NOBODY};
use crate::domain::incident::{IncidentType, Status};
use crate::domain::room::UserType;
use crate::wire::field::{NAME_MAX_CHARS, NOTE_MAX_CHARS};
use crate::wire::schema::{
    accuracy, instant, latitude, longitude, note, optional_word, reference, word_of, words_of,
};

/// Every body of theirs, by its name in the documents.
pub(super) fn bodies(bounds: &Bounds) -> [(&'static str, Value); 10] {
    [
        ("InitSos", init()),
        (
            "CloseSosFor",
            object(&["closedBy"], json!({"closedBy": named("Who closes it.")})),
        ),
        ("MoveSosFor", moving()),
        (
            "SetSosType",
            object(&["type"], json!({"type": word_of(kinds(), "What has happened.")})),
        ),
        ("RescuerLocation", rescuer()),
        ("PassOnMessage", message(bounds)),
        ("ParticipantJoined", joined()),
        ("ParticipantLeft", left()),
        ("SendOtp", send_otp()),
        ("VerifyOtp", verify_otp()),
    ]
}

/// Somebody, by a user's id or a participant's.
fn named(description: &str) -> Value {
    let mut schema = user();
    schema["description"] =
        format!("{description} A user's id as tokens have it, or a participant's (`p-` and 16 hex digits).")
            .into();
    schema
}

fn kinds() -> impl Iterator<Item = &'static str> {
    IncidentType::ALL.iter().map(|kind| kind.as_str())
}

fn init() -> Value {
    let mut place = object(
        &["latitude", "longitude"],
        json!({"latitude": latitude(), "longitude": longitude(), "accuracy": accuracy()}),
    );
    place["type"] = json!(["object", "null"]);
    let address = json!({
        "type": "object",
        "properties": {
            "city": note(NAME_MAX_CHARS, "City."),
            "barangay": note(NAME_MAX_CHARS, "Barangay, the smallest district."),
        },
    });
    object(
        &["sosId", "citizenId"],
        json!({
            "sosId": reference("Room"),
            "citizenId": named("Whose it is; a participant only of an SOS that stands already."),
            "location": place,
            "address": {"anyOf": [address, note(NOTE_MAX_CHARS, "A line for a person: it becomes the SOS's message.")]},
            "type": optional_word(kinds(), "What has happened; OTHER if left out."),
        }),
    )
}

fn moving() -> Value {
    let states = || Status::ALL.iter().map(|status| status.as_str());
    let synonyms = "To where. EN_ROUTE and IN_PROGRESS are taken for RESPONDING, COMPLETED for RESOLVED.";
    object(
        &["status", "updatedBy"],
        json!({
            "status": word_of(states(), synonyms),
            "updatedBy": named("Who moves it."),
            "oldStatus": optional_word(states(), "Only if it stands there."),
        }),
    )
}

fn rescuer() -> Value {
    object(
        &["rescuerId", "latitude", "longitude"],
        json!({
            "rescuerId": named("Whose position it is."),
            "latitude": latitude(), "longitude": longitude(), "accuracy": accuracy(),
        }),
    )
}

fn message(bounds: &Bounds) -> Value {
    let types = UserType::ALL.iter().map(|it| it.as_str()).chain([NOBODY]);
    let mut content_type = optional_word(
        CONTENT_TYPES,
        "text if left out, and system of the service's own words.",
    );
    content_type["default"] = CONTENT_TYPES[0].into();
    let mut sender = named("Whose words they are; not needed for SYSTEM.");
    sender["type"] = json!(["string", "null"]);
    let of_somebody = json!({"properties": {"senderType": {"const": NOBODY}}});
    let mut said = object(
        &["id", "senderType", "content"],
        json!({
            "id": reference("Message"),
            "senderType": word_of(types, "As what they said it; SYSTEM for the service's own words."),
            "senderId": sender,
            "senderDisplayName": note(NAME_MAX_CHARS, "What they are called."),
            "contentType": content_type,
            "content": words_of(&(1..=bounds.content_max_chars), "The words."),
            "createdAt": instant(true, "When it was written; now if left out."),
        }),
    );
    said["anyOf"] = json!([
        of_somebody,
        {"required": ["senderId"], "properties": {"senderId": {"type": "string"}}},
    ]);
    object(
        &["sosId", "message"],
        json!({"sosId": reference("Room"), "message": said}),
    )
}

fn joined() -> Value {
    let types = UserType::ALL.iter().map(|it| it.as_str());
    object(
        &["sosId", "userId"],
        json!({
            "sosId": reference("Room"),
            "userId": named("Who came."),
            "userType": optional_word(types, "As what; CITIZEN if left out."),
            "displayName": note(NAME_MAX_CHARS, "What others may call them."),
            "joinedAt": instant(true, "Read, and not used."),
        }),
    )
}

fn left() -> Value {
    object(
        &["sosId", "userId"],
        json!({
            "sosId": reference("Room"),
            "userId": named("Who went."),
            "leftAt": instant(true, "Read, and not used."),
        }),
    )
}

fn send_otp() -> Value {
    object(
        &["to", "channel"],
        json!({
            "to": {"type": "string", "maxLength": 254, "description": "A phone number, or for EMAIL an address."},
            "channel": word_of(CHANNELS.iter().map(|channel| channel.as_str()), "Over what."),
            "locale": locale("In which language, BCP 47."),
            "purpose": note(PURPOSE_MAX_CHARS, "What for: it comes back with the proof."),
        }),
    )
}

fn verify_otp() -> Value {
    object(
        &["id", "code"],
        json!({
            "id": {"type": "string", "minLength": 1, "maxLength": ID_MAX_CHARS, "pattern": "^[A-Za-z0-9]+$",
                   "description": "By which it was sent."},
            "code": {"type": "string", "pattern": "^[0-9]{6}$", "description": "What was typed in."},
        }),
    )
}
