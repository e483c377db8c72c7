//! Values that fit a schema, and values that have made programs stumble.

use serde_json::{Map, Value, json};

use super::chance::{Chance, Known};
use crate::support::now_ms;

/// Text that has made programs stumble.
const ODD: [&str; 16] = [
    "",
    " ",
    "\u{0}",
    "\u{7}",
    "\r\n",
    "null",
    "NaN",
    "-0",
    "1e999",
    "99999999999999999999",
    "../../etc/passwd",
    "' OR 1=1 --",
    "%00",
    "\u{202e}\u{1f691}",
    "\u{fffd}\u{ffff}",
    "<script>alert(1)</script>",
];

/// A value that fits a schema, more often than not at the edge of what it allows.
pub fn value(
    document: &Value,
    chance: &mut Chance,
    known: &Known,
    name: &str,
    schema: &Value,
    depth: usize,
) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let schema = document.pointer(reference.trim_start_matches('#')).unwrap();
        return value(document, chance, known, name, schema, depth + 1);
    }
    if let Some(forms) = schema["anyOf"]
        .as_array()
        .filter(|_| schema.get("properties").is_none())
    {
        let form = chance.pick(forms);
        return value(document, chance, known, name, form, depth);
    }
    if let Some(words) = schema["enum"].as_array() {
        return chance.pick(words).clone();
    }
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => chance.pick(kinds).as_str().unwrap(),
        kind => kind.as_str().unwrap_or("string"),
    };
    match kind {
        "null" => Value::Null,
        "boolean" => chance.one_in(2).into(),
        "integer" => number(chance, schema).round().into_integer(),
        "number" if name == "timestamp" => (now_ms() - chance.next() % 100_000_000).into(),
        "number" => number(chance, schema).into(),
        "array" => {
            let most = usize::try_from(schema["maxItems"].as_u64().unwrap_or(4))
                .unwrap()
                .min(6);
            let item = if name == "fixes" {
                json!({"$ref": "#/components/schemas/Fix"})
            } else {
                schema["items"].clone()
            };
            let count = chance.below(most + 1);
            (0..count)
                .map(|_| value(document, chance, known, name, &item, depth + 1))
                .collect()
        }
        "object" => object(document, chance, known, schema, depth),
        _ => string(chance, known, name, schema).into(),
    }
}

fn object(document: &Value, chance: &mut Chance, known: &Known, schema: &Value, depth: usize) -> Value {
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .chain(schema["anyOf"][0]["required"].as_array().into_iter().flatten())
        .filter_map(Value::as_str)
        .collect();
    let mut object = Map::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        if required.contains(&name.as_str()) || (depth < 6 && chance.one_in(3)) {
            object.insert(
                name.clone(),
                value(document, chance, known, name, property, depth + 1),
            );
        }
    }
    object.into()
}

trait IntoInteger {
    fn into_integer(self) -> Value;
}

impl IntoInteger for f64 {
    #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
    fn into_integer(self) -> Value {
        (self as i64).into()
    }
}

/// Within the bounds, often at one of them.
fn number(chance: &mut Chance, schema: &Value) -> f64 {
    let low = schema["minimum"].as_f64().or(schema["exclusiveMinimum"].as_f64());
    let (low, high) = (low.unwrap_or(0.0), schema["maximum"].as_f64().unwrap_or(1_000.0));
    match chance.below(6) {
        0 if schema.get("exclusiveMinimum").is_none() => low,
        1 => high,
        _ => low + (high - low) * (0.001 + 0.998 * chance.share()),
    }
}

fn string(chance: &mut Chance, known: &Known, name: &str, schema: &Value) -> String {
    let pattern = schema["pattern"].as_str().unwrap_or_default();
    match name {
        "phone" | "phone_no" => return format!("+63917{:07}", chance.below(10_000_000)),
        "email" => return format!("m{}@example.com", chance.below(1_000)),
        "locale" => return "fil-PH".to_owned(),
        "from" | "to" if pattern.contains(":[0-5]") => return format!("{:02}:30", chance.below(24)),
        "token" | "p256dh" | "auth" => return chance.hex(64),
        "endpoint" => return format!("https://push.example.com/{}", chance.hex(8)),
        "roomId" if !known.others.is_empty() && chance.one_in(2) => {
            return chance.pick(&known.others).clone();
        }
        "sosId" if !known.sos.is_empty() && !chance.one_in(4) => return chance.pick(&known.sos).clone(),
        "roomId" if !known.sos.is_empty() => return chance.pick(&known.sos).clone(),
        _ => {}
    }
    if schema["format"] == "date-time" {
        let year = 2000 + chance.below(26);
        return format!(
            "{year}-0{}-1{}T0{}:00:00.{:03}Z",
            1 + chance.below(9),
            chance.below(9),
            chance.below(9),
            chance.below(999)
        );
    }
    if schema["format"] == "uuid" {
        return chance.uuid4();
    }
    if pattern.contains("p-[0-9a-f") {
        let fresh = format!("p-{}", chance.hex(16));
        return if known.participants.is_empty() {
            fresh
        } else {
            chance.pick(&known.participants).clone()
        };
    }
    if pattern.contains("A-Za-z0-9_") {
        return if chance.one_in(3) && !known.messages.is_empty() {
            chance.pick(&known.messages).clone()
        } else {
            let digits = 1 + chance.below(64);
            chance.hex(digits)
        };
    }
    if pattern.contains("{2})+$") {
        return chance.hex(32);
    }
    let (least, most) = (
        usize::try_from(schema["minLength"].as_u64().unwrap_or(0)).unwrap(),
        usize::try_from(schema["maxLength"].as_u64().unwrap_or(40)).unwrap(),
    );
    let length = match chance.below(5) {
        0 => least,
        1 => most,
        _ => least + chance.below(most.min(least + 60) - least + 1),
    };
    let letters = *chance.pick(&["abc xyz", "Tülay né", "消防車 救命", "🚑🔥 ok", "a\tb\nc"]);
    let letters: Vec<char> = letters.chars().collect();
    // A first letter, so that it is not blank.
    (0..length)
        .map(|n| if n == 0 { 'M' } else { *chance.pick(&letters) })
        .collect()
}

pub fn odd(chance: &mut Chance) -> String {
    match chance.below(4) {
        0 => {
            let length = chance.below(3_000);
            "y".repeat(length)
        }
        1 => (0..chance.below(12))
            .filter_map(|_| char::from_u32(u32::try_from(chance.below(0x11_0000)).unwrap()))
            .collect(),
        _ => (*chance.pick(&ODD)).to_owned(),
    }
}

/// What a header may hold at all: no line breaks and no NUL.
pub fn odd_header(chance: &mut Chance) -> Vec<u8> {
    let text = odd(chance).into_bytes();
    text.into_iter()
        .filter(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 127))
        .take(2_000)
        .collect()
}

pub fn garbage(chance: &mut Chance) -> Vec<u8> {
    let texts: [&[u8]; 8] = [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{\"type\":\"FIRE\",\"type\":\"FIRE\"}",
        b"\xff\xfe{}",
        b"{} x",
        b"\"\\ud800\"",
    ];
    match chance.below(3) {
        0 => (0..chance.below(300))
            .map(|_| chance.next().to_le_bytes()[0])
            .collect(),
        _ => chance.pick(&texts).to_vec(),
    }
}

/// Breaks something in a body.
pub fn spoil(chance: &mut Chance, body: &mut Value) {
    let wrong = match chance.below(9) {
        0 => Value::Null,
        1 => json!(odd(chance)),
        2 => json!([]),
        3 => json!({"a": {"b": []}}),
        4 => json!(-1),
        5 => json!(1e300),
        6 => json!(u64::MAX),
        7 => json!("x".repeat(5_000)),
        _ => json!(true),
    };
    let Value::Object(object) = body else {
        *body = wrong;
        return;
    };
    let names: Vec<String> = object.keys().cloned().collect();
    if names.is_empty() || chance.one_in(10) {
        object.insert(odd(chance), wrong);
        return;
    }
    let name = chance.pick(&names).clone();
    match chance.below(4) {
        0 => drop(object.remove(&name)),
        1 if object[&name].is_object() => spoil(chance, &mut object[&name]),
        _ => object[&name] = wrong,
    }
}

/// For a path or a query.
pub fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' | b',' => {
                char::from(byte).to_string()
            }
            // A lone dot would be a step in a path.
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
