//! The dialect as JSON Schema: what clients may send, beside the reader and with its bounds, and what they get.
//! Tests feed the examples to the reader, and hold every message that the encoder writes to its schema, field by
//! field.

mod client;
mod server;

use serde_json::{Map, Value, json};

use crate::wire::schema::{latitude, longitude, reference};

pub use client::{Bounds, client_messages};
pub use server::{ERRORS, server_messages};

/// A message as a document shows it.
#[derive(Clone, Debug)]
pub struct Described {
    /// Its `type`.
    pub kind: &'static str,
    /// What it is for.
    pub summary: &'static str,
    /// Its payload.
    pub schema: Value,
    /// A payload.
    pub example: Value,
}

/// One object: its fields, each required or not.
struct Shape {
    required: Vec<&'static str>,
    properties: Map<String, Value>,
}

impl Shape {
    fn new() -> Self {
        Self {
            required: Vec::new(),
            properties: Map::new(),
        }
    }

    fn of(kind: &'static str) -> Self {
        Self::new().has("type", json!({"const": kind}))
    }

    /// A field that is always there.
    fn has(mut self, name: &'static str, schema: Value) -> Self {
        self.required.push(name);
        self.may(name, schema)
    }

    /// A field that may be missing.
    fn may(mut self, name: &'static str, schema: Value) -> Self {
        self.properties.insert(name.to_owned(), schema);
        self
    }

    fn schema(self) -> Value {
        json!({"type": "object", "required": self.required, "properties": self.properties})
    }
}

fn room() -> Value {
    reference("Room")
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn maybe(name: &str, description: &str) -> Value {
    json!({"anyOf": [reference(name), {"type": "null"}], "description": description})
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
