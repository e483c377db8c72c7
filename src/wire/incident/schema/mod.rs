//! The vocabulary as JSON Schema: what incident clients may emit, beside the reader and with its bounds, and what they
//! get. Tests feed the examples to the reader, and hold every event that the encoders write to its schema, field by
//! field.

mod client;
mod server;

use serde_json::{Map, Value, json};

use crate::wire::schema::{Shape, list, maybe, reference, text};

pub use crate::wire::schema::Described;
pub use client::{Bounds, client_messages};
pub use server::{ERRORS, server_messages};

fn sos() -> Value {
    reference("Room")
}

fn millis(description: &str) -> Value {
    json!({"type": "integer", "description": format!("{description} Unix milliseconds.")})
}

/// Shapes that several events share.
pub fn shared() -> Map<String, Value> {
    let stay = Shape::new()
        .has("id", reference("Participant"))
        .has("sosId", sos())
        .has("userType", reference("ParticipantType"))
        .has("displayName", text("What they are called."))
        .has("status", reference("Stay"))
        .has("joinedAt", reference("Instant"))
        .may("leftAt", reference("Instant"))
        .schema();
    let done = Shape::new()
        .has("success", json!({"const": true}))
        .has("sosId", sos())
        .may("seq", place())
        .may("id", reference("Message"))
        .schema();
    let refused = Shape::new()
        .has("success", json!({"const": false}))
        .has("code", server::code())
        .has("message", text("For a person."))
        .may("field", text("The field at fault."))
        .schema();
    [
        ("IncidentMessage", said().schema()),
        ("IncidentParticipant", stay),
        ("Done", done),
        ("Refused", refused),
    ]
    .into_iter()
    .map(|(name, schema)| (name.to_owned(), schema))
    .collect()
}

/// A message, by itself and in a history.
fn said() -> Shape {
    Shape::new()
        .has("id", reference("Message"))
        .has("sosId", sos())
        .has("senderType", reference("SenderType"))
        .has("senderId", maybe("Participant", "Null for the system's own."))
        .has("senderDisplayName", text("What they are called."))
        .has("contentType", reference("ContentType"))
        .has("content", text("The words."))
        .has("createdAt", reference("Instant"))
        .has("timestamp", millis("When it came into the log."))
        .has("seq", place())
}

/// Its place in the log.
fn place() -> Value {
    json!({"type": "integer", "minimum": 1, "description": "Its place in the incident's log."})
}

fn messages() -> Value {
    list(&reference("IncidentMessage"), "They, the newest first.")
}
