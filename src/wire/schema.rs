//! JSON Schema of what stands on the wire, for the documents that describe it: the words, ids and numbers that
//! many messages have in common. Names and bounds come from the types and constants that the readers go by.
//!
//! A type here stands for a text of a view (`#[schemars(with = "…")]`); a function describes a field that a
//! client sends.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::SentToken;
use super::stamp::Stamp;
use crate::domain::geo::{ACCURACY_MAX_M, HEADING_MAX_DEG, SPEED_MAX_MS};
use crate::domain::ids::{MessageId, RoomId};
use crate::domain::incident::{IncidentType, Severity, Status, Visibility};
use crate::domain::people::Role;
use crate::domain::room::Means;
use crate::domain::room::{LeaveReason, UserType};

/// Where documents keep the schemas that they refer to.
const COMPONENTS: &str = "/components/schemas";

/// Makes the schemas of views as they are serialized.
pub fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12()
        .for_serialize()
        .with(|settings| {
            settings.definitions_path = COMPONENTS.into();
            settings.meta_schema = None;
        })
        .into_generator()
}

/// `{"$ref": …}` to a schema of this name.
pub fn reference(name: &str) -> Value {
    json!({"$ref": format!("#{COMPONENTS}/{name}")})
}

/// The same, or `null`.
pub fn maybe(name: &str, description: &str) -> Value {
    json!({"anyOf": [reference(name), {"type": "null"}], "description": description})
}

/// Text of any kind.
pub fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

/// A list.
pub fn list(item: &Value, description: &str) -> Value {
    json!({"type": "array", "items": item, "description": description})
}

/// A message of a socket as a document shows it.
#[derive(Clone, Debug)]
pub struct Described {
    /// Its `type`, or the name of the event.
    pub kind: &'static str,
    /// What it is for.
    pub summary: &'static str,
    /// Its payload.
    pub schema: Value,
    /// A payload.
    pub example: Value,
}

/// One object: its fields, each required or not.
pub(super) struct Shape {
    required: Vec<&'static str>,
    properties: Map<String, Value>,
}

impl Shape {
    pub fn new() -> Self {
        Self {
            required: Vec::new(),
            properties: Map::new(),
        }
    }

    /// A message of the JSON dialect.
    pub fn of(kind: &'static str) -> Self {
        Self::new().has("type", json!({"const": kind}))
    }

    /// A field that is always there.
    pub fn has(mut self, name: &'static str, schema: Value) -> Self {
        self.required.push(name);
        self.may(name, schema)
    }

    /// A field that may be missing.
    pub fn may(mut self, name: &'static str, schema: Value) -> Self {
        self.properties.insert(name.to_owned(), schema);
        self
    }

    pub fn schema(self) -> Value {
        json!({"type": "object", "required": self.required, "properties": self.properties})
    }
}

macro_rules! texts {
    ($($(#[doc = $doc:literal])* $name:ident = $schema:expr;)*) => {
        $(
            $(#[doc = $doc])*
            #[derive(Clone, Copy, Debug)]
            pub struct $name;

            impl JsonSchema for $name {
                fn schema_name() -> Cow<'static, str> {
                    stringify!($name).into()
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    let mut schema: Schema = $schema;
                    schema.insert("description".into(), concat!($($doc),*).trim().into());
                    schema
                }
            }
        )*

        /// Adds all of them, whether or not a view refers to them.
        pub fn add_words(generator: &mut SchemaGenerator) {
            $(generator.subschema_for::<$name>();)*
            generator.subschema_for::<Stamp>();
        }
    };
}

texts! {
    /// An incident (`sosId`), a circle, a trip: one name space for all kinds. An incident's has 32 hex digits.
    Room = slug(RoomId::MAX_CHARS);
    /// Somebody in one room. It is stable there and means nothing elsewhere.
    Participant = json_schema!({
        "type": "string", "pattern": "^p-[0-9a-f]{16}$", "examples": ["p-0123456789abcdef"],
    });
    /// Whose doing it was: a participant, or `system` for the engine itself.
    Actor = json_schema!({"type": "string", "pattern": "^(p-[0-9a-f]{16}|system)$"});
    /// A message, unique in its room for each sender.
    Message = slug(MessageId::MAX_CHARS);
    /// What has happened.
    IncidentKind = words(IncidentType::ALL.iter().map(|value| value.as_str()));
    /// How bad it is.
    Urgency = words(Severity::ALL.iter().map(|value| value.as_str()));
    /// Where an incident stands. `ACTIVE`, `ASSIGNED`, `RESPONDING` and `ARRIVED` are open; steps may be skipped
    /// forwards; `CANCELLED` follows any open state, `CLOSED` any state.
    IncidentStatus = words(Status::ALL.iter().map(|value| value.as_str()));
    /// Who may find an incident: anybody near, or those who were brought in.
    Sight = words(Visibility::ALL.iter().map(|value| value.as_str()));
    /// As what somebody is in an incident.
    ParticipantType = words(UserType::ALL.iter().map(|value| value.as_str()));
    /// As what somebody is known to the engine.
    UserRole = words(Role::ALL.iter().map(|value| value.as_str()));
    /// Who says a message.
    SenderType = words(UserType::ALL.iter().map(|value| value.as_str()).chain(["SYSTEM"]));
    /// Whether somebody is in an incident.
    Stay = words(["ACTIVE", "LEFT"]);
    /// Why somebody is no longer in a room.
    Departure = words(LeaveReason::ALL.iter().map(|value| value.as_str()));
    /// The kind of room.
    RoomType = words(["circle", "sos", "trip"]);
    /// People write `text`; the engine itself writes `system`.
    ContentType = words(["text", "system"]);
    /// A phone number in E.164.
    Phone = json_schema!({"type": "string", "pattern": r"^\+[1-9][0-9]{3,14}$", "examples": ["+639171234567"]});
    /// Where the next page starts. Give it back as it is.
    Cursor = json_schema!({"type": "string", "minLength": 1, "maxLength": 256});
}

impl JsonSchema for Stamp {
    fn schema_name() -> Cow<'static, str> {
        "Instant".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An instant: RFC 3339 in UTC with milliseconds.",
            "type": "string", "format": "date-time",
            "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$",
            "examples": ["2026-11-21T01:18:46.087Z"],
        })
    }
}

fn slug(max: usize) -> Schema {
    json_schema!({"type": "string", "minLength": 1, "maxLength": max, "pattern": "^[A-Za-z0-9_.:-]+$"})
}

fn words(names: impl IntoIterator<Item = &'static str>) -> Schema {
    json_schema!({"type": "string", "enum": names.into_iter().collect::<Vec<_>>()})
}

// ---- what clients send ----

/// Line breaks and tabs are the only control characters.
const NO_CONTROLS: &str = r"[^\x00-\x08\x0B-\x1F\x7F-\x9F]*";

/// Text that may be empty, which is the same as leaving it out.
pub fn note(max_chars: usize, description: &str) -> Value {
    json!({
        "type": ["string", "null"], "maxLength": max_chars, "pattern": format!("^{NO_CONTROLS}$"),
        "description": description,
    })
}

/// Text with something in it besides white space.
pub fn words_of(chars: &RangeInclusive<usize>, description: &str) -> Value {
    json!({
        "type": "string", "minLength": chars.start(), "maxLength": chars.end(),
        "pattern": format!(r"^(?=[\s\S]*\S){NO_CONTROLS}$"), "description": description,
    })
}

/// One of the words of a schema, in any letter case. The documented ones are upper case.
pub fn word_of(names: impl IntoIterator<Item = &'static str>, description: &str) -> Value {
    json!({
        "type": "string", "enum": names.into_iter().collect::<Vec<_>>(),
        "description": format!("{description} Any letter case is taken."),
    })
}

/// The same for a field that may be left out or `null`.
pub fn optional_word(names: impl IntoIterator<Item = &'static str>, description: &str) -> Value {
    let names = names.into_iter().map(Value::from).chain([Value::Null]);
    json!({
        "type": ["string", "null"], "enum": names.collect::<Vec<_>>(),
        "description": format!("{description} Any letter case is taken."),
    })
}

/// `true` or `false`, or nothing.
pub fn flag(description: &str) -> Value {
    json!({"type": ["boolean", "null"], "default": false, "description": description})
}

/// An id, or nothing.
pub fn optional_ref(name: &str, description: &str) -> Value {
    json!({"anyOf": [reference(name), {"type": "null"}], "description": description})
}

/// By what somebody said that they act.
pub(super) fn means() -> Value {
    let all: Vec<_> = Means::ALL.iter().map(|means| means.as_str()).collect();
    json!({"type": "string", "enum": all, "description": "By what they said so."})
}

/// An instant as clients may write it.
pub fn instant(optional: bool, description: &str) -> Value {
    let mut forms = vec![
        json!({"type": "string", "format": "date-time", "maxLength": 64}),
        json!({"type": "number", "minimum": 0, "maximum": super::stamp::LATEST_MS}),
    ];
    if optional {
        forms.push(json!({"type": "null"}));
    }
    let description = format!("{description} RFC 3339, or a Unix number of seconds or milliseconds.");
    json!({"anyOf": forms, "description": description})
}

/// Degrees north.
pub fn latitude() -> Value {
    json!({"type": "number", "minimum": -90, "maximum": 90, "description": "Degrees north, WGS 84."})
}

/// Degrees east.
pub fn longitude() -> Value {
    json!({"type": "number", "minimum": -180, "maximum": 180, "description": "Degrees east, WGS 84."})
}

/// A measured extra of a position.
fn extra(max: f64, description: &str) -> Value {
    json!({"type": ["number", "null"], "minimum": 0, "maximum": max, "description": description})
}

/// The same number for a field that may be left out or `null`.
pub fn optional_number(mut number: Value) -> Value {
    number["type"] = json!(["number", "null"]);
    number
}

/// A credential in a message.
pub fn token() -> Value {
    json!({
        "type": "string", "minLength": 1, "maxLength": SentToken::MAX_CHARS,
        "pattern": format!("^{NO_CONTROLS}$"), "description": "Of the same bearer, good by itself.",
    })
}

/// The radius of a position.
pub fn accuracy() -> Value {
    extra(ACCURACY_MAX_M, "Radius in metres within which the subject is.")
}

/// How fast.
pub fn speed() -> Value {
    extra(SPEED_MAX_MS, "Metres a second.")
}

/// Whereto.
pub fn heading() -> Value {
    extra(HEADING_MAX_DEG, "Degrees clockwise from north.")
}
