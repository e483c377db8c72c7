//! JSON that passes through: the arguments of events and acknowledgements, the object of a connect.
//!
//! It is checked once, when it is read, and kept as it came. In place of binary data stands
//! `{"_placeholder":true,"num":n}` for the n-th attachment.

use std::fmt::{self, Write as _};

use bytes::Bytes;
use bytestring::ByteString;
use serde_json::Value;
use serde_json::value::RawValue;

use super::error::Malformed;

/// A JSON value that was checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Json(ByteString);

impl Json {
    /// `{}`
    pub const EMPTY: Self = Self(ByteString::from_static("{}"));

    /// `None` when it is not JSON.
    pub fn new(text: impl Into<ByteString>) -> Option<Self> {
        let text = text.into();
        let trimmed = text.slice_ref(text.trim_ascii());
        serde_json::from_str::<&RawValue>(&trimmed).ok()?;
        Some(Self(trimmed))
    }

    /// Whether it is an object.
    pub fn is_object(&self) -> bool {
        self.0.starts_with('{')
    }

    /// Whether it is text.
    pub fn is_text(&self) -> bool {
        self.0.starts_with('"')
    }

    /// As it came.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        Self(value.to_string().into())
    }
}

/// Its length only: tokens and positions do not belong in a log.
impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({} bytes)", self.0.len())
    }
}

/// The arguments of an event, its name aside, or of an acknowledgement. Cheap to clone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Args {
    /// What stands between the brackets.
    list: ByteString,
    attachments: Vec<Bytes>,
}

impl Args {
    /// No arguments.
    pub const NONE: Self = Self {
        list: ByteString::new(),
        attachments: Vec::new(),
    };

    /// Starts a list.
    pub fn build() -> ArgsBuilder {
        ArgsBuilder::default()
    }

    /// One argument that is JSON already, as our own encoders write it: it is neither checked again nor copied.
    pub fn encoded(json: ByteString) -> Self {
        Self {
            list: json,
            attachments: Vec::new(),
        }
    }

    /// As it came, without the brackets.
    pub fn list(&self) -> &str {
        &self.list
    }

    /// What the placeholders stand for.
    pub fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    /// Each argument as it came.
    pub fn items(&self) -> Vec<Json> {
        let array = ByteString::from(format!("[{}]", self.list));
        let items: Vec<&RawValue> = serde_json::from_str(&array).unwrap_or_default();
        let items = items.into_iter().map(|item| array.slice_ref(item.get()));
        items.map(Json).collect()
    }

    /// The attachment that a value stands for.
    pub fn attachment(&self, value: &Value) -> Option<&Bytes> {
        self.attachments.get(usize::try_from(placeholder(value)?).ok()?)
    }

    /// The same with the offset that a client tells when it comes back. A client that was given a `pid` takes any
    /// text that is an event's last argument for one: there, every event must have it.
    #[must_use]
    pub fn with_offset(&self, offset: &str) -> Self {
        let mut build = ArgsBuilder {
            list: self.list.to_string(),
            attachments: self.attachments.clone(),
        };
        build = build.text(offset);
        build.done()
    }

    /// Reads a JSON array.
    pub(super) fn read(array: &ByteString) -> Result<Self, Malformed> {
        let items = items(array)?;
        Ok(Self::from_items(array, &items))
    }

    /// Reads a JSON array that begins with a name: a text, or a number.
    pub(super) fn read_named(array: &ByteString) -> Result<(ByteString, Self), Malformed> {
        let items = items(array)?;
        let (first, rest) = items.split_first().ok_or(Malformed::EventName)?;
        let first = first.get();
        let name = match first.bytes().next() {
            Some(b'"') => {
                let name: String = serde_json::from_str(first).map_err(|_| Malformed::EventName)?;
                ByteString::from(name)
            }
            Some(b'-' | b'0'..=b'9') => array.slice_ref(first),
            _ => return Err(Malformed::EventName),
        };
        Ok((name, Self::from_items(array, rest)))
    }

    fn from_items(array: &ByteString, items: &[&RawValue]) -> Self {
        let place = |text: &str| text.as_ptr().addr() - array.as_ptr().addr();
        let list = match (items.first(), items.last()) {
            (Some(first), Some(last)) => {
                let end = place(last.get()) + last.get().len();
                array.slice_ref(&array[place(first.get())..end])
            }
            _ => ByteString::new(),
        };
        Self {
            list,
            attachments: Vec::new(),
        }
    }

    /// Gives the placeholders what they stand for.
    pub(super) fn attach(self, attachments: Vec<Bytes>) -> Self {
        Self { attachments, ..self }
    }

    /// Checks that each placeholder stands for one of so many attachments.
    pub(super) fn check_placeholders(&self, attachments: usize) -> Result<(), Malformed> {
        let array = format!("[{}]", self.list);
        let value: Value = serde_json::from_str(&array).map_err(|_| Malformed::Payload)?;
        let mut values = vec![&value];
        while let Some(value) = values.pop() {
            if is_placeholder(value) {
                let num = placeholder(value).and_then(|num| usize::try_from(num).ok());
                if num.is_none_or(|num| num >= attachments) {
                    return Err(Malformed::Placeholder);
                }
            }
            match value {
                Value::Array(list) => values.extend(list),
                Value::Object(object) => values.extend(object.values()),
                _ => {}
            }
        }
        Ok(())
    }
}

fn items(array: &ByteString) -> Result<Vec<&RawValue>, Malformed> {
    serde_json::from_str(array).map_err(|_| Malformed::Payload)
}

fn is_placeholder(value: &Value) -> bool {
    value.get("_placeholder") == Some(&Value::Bool(true))
}

fn placeholder(value: &Value) -> Option<u64> {
    is_placeholder(value).then(|| value.get("num")?.as_u64())?
}

/// Lengths only: what people say does not belong in a log.
impl fmt::Debug for Args {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lengths: Vec<_> = self.attachments.iter().map(Bytes::len).collect();
        write!(f, "Args({} bytes, attachments {lengths:?})", self.list.len())
    }
}

/// Makes arguments, one after the other.
#[derive(Clone, Default)]
pub struct ArgsBuilder {
    list: String,
    attachments: Vec<Bytes>,
}

impl ArgsBuilder {
    /// JSON that was checked.
    #[must_use]
    pub fn json(self, json: &Json) -> Self {
        self.encoded(json.as_str())
    }

    /// A value.
    #[must_use]
    pub fn value(mut self, value: &Value) -> Self {
        self.next();
        // Writing into a string does not fail.
        let _ = write!(self.list, "{value}");
        self
    }

    /// A text.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        let json = serde_json::to_string(text).expect("invariant: text is JSON");
        self.encoded(&json)
    }

    /// One value that is JSON already, as our own encoders write it: it is not checked again.
    #[must_use]
    pub fn encoded(mut self, json: &str) -> Self {
        self.next();
        self.list.push_str(json);
        self
    }

    /// Binary data.
    #[must_use]
    pub fn binary(mut self, bytes: Bytes) -> Self {
        self.next();
        let num = self.attachments.len();
        let _ = write!(self.list, "{{\"_placeholder\":true,\"num\":{num}}}");
        self.attachments.push(bytes);
        self
    }

    /// The arguments.
    pub fn done(self) -> Args {
        Args {
            list: self.list.into(),
            attachments: self.attachments,
        }
    }

    fn next(&mut self) {
        if !self.list.is_empty() {
            self.list.push(',');
        }
    }
}
