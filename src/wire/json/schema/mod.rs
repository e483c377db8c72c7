//! The dialect as JSON Schema: what clients may send, beside the reader and with its bounds, and what they get.
//! Tests feed the examples to the reader, and hold every message that the encoder writes to its schema, field by
//! field.

mod client;
mod server;

use serde_json::{Map, Value, json};

use crate::wire::schema::{Shape, latitude, longitude, maybe, reference, text};

pub use crate::wire::schema::Described;
pub use client::{Bounds, client_messages};
pub use server::{ERRORS, server_messages};

fn room() -> Value {
    reference("Room")
}

/// Shapes that several messages share.
pub fn shared() -> Map<String, Value> {
    let user = Shape::new()
        .has(
            "id",
            text("Their participant id; to yourself your own user or device id."),
        )
        .has("name", text("What they are called; Anonymous without a name."))
        .has(
            "email",
            json!({"type": ["string", "null"], "description": "To yourself only."}),
        )
        .has("role", reference("UserRole"))
        .has("phone_no", maybe("Phone", "For those who may see it."))
        .schema();
    let point = Shape::new()
        .has("latitude", latitude())
        .has("longitude", longitude())
        .schema();
    let sos = Shape::new()
        .has("sosId", room())
        .has("type", reference("IncidentKind"))
        .has("message", text("In the words of whoever raised it."))
        .has("severity", reference("Urgency"))
        .has("status", reference("IncidentStatus"))
        .has("location", json!({"anyOf": [point, {"type": "null"}]}))
        .has(
            "cityId",
            json!({"type": ["string", "null"], "description": "The city's code."}),
        )
        .has("createdAt", reference("Instant"))
        .has("updatedAt", reference("Instant"))
        .has(
            "seq",
            json!({"type": "integer", "minimum": 1, "description": "Its log's newest event."}),
        )
        .has("activeParticipants", json!({"type": "integer", "minimum": 0}))
        .schema();
    [("User", user), ("SosSummary", sos)]
        .into_iter()
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect()
}
