//! Writes one JSON object, field by field, into one buffer. Frames are many and their shapes fixed, so they
//! are written straight down rather than through structs. Every dialect of sockets writes with it.

use bytestring::ByteString;
use serde::Serialize;

use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::time::Timestamp;
use crate::wire::stamp;

/// A server message under construction.
pub(super) struct Frame {
    buffer: Vec<u8>,
}

impl Frame {
    /// Opens an object that has nothing in it yet. `size` is about how many bytes it will take.
    pub fn bare(size: usize) -> Self {
        let mut buffer = Vec::with_capacity(size);
        buffer.push(b'{');
        Self { buffer }
    }

    /// Opens a message of the JSON dialect with what every one of those has.
    pub fn typed(kind: &str, at: Timestamp, size: usize) -> Self {
        let mut buffer = Vec::with_capacity(size);
        buffer.extend_from_slice(b"{\"type\":\"");
        buffer.extend_from_slice(kind.as_bytes());
        buffer.extend_from_slice(b"\",\"timestamp\":\"");
        buffer.extend_from_slice(&stamp::rfc3339(at));
        buffer.push(b'"');
        Self { buffer }
    }

    /// The message's bytes.
    pub fn finish(mut self) -> Vec<u8> {
        self.buffer.push(b'}');
        self.buffer
    }

    /// The object as text that many may share.
    pub fn text_of(self) -> ByteString {
        ByteString::try_from(self.finish()).expect("invariant: JSON that was written from text is UTF-8")
    }

    /// Text that may hold anything.
    pub fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        self.escaped(text);
    }

    /// Text or `null`.
    pub fn maybe_text(&mut self, key: &str, text: Option<&str>) {
        match text {
            Some(text) => self.text(key, text),
            None => self.null(key),
        }
    }

    /// Text of our own alphabets, which needs no escaping.
    pub fn word(&mut self, key: &str, word: &str) {
        self.key(key);
        self.quoted(word.as_bytes());
    }

    pub fn room(&mut self, key: &str, room: &RoomId) {
        self.word(key, room.as_str());
    }

    pub fn rooms(&mut self, key: &str, rooms: &[RoomId]) {
        self.list(key, rooms, |frame, room| frame.quoted(room.as_str().as_bytes()));
    }

    pub fn person(&mut self, key: &str, id: ParticipantId) {
        self.key(key);
        self.quoted(&participant(id));
    }

    pub fn whole(&mut self, key: &str, number: u64) {
        self.key(key);
        self.buffer
            .extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    pub fn maybe_number(&mut self, key: &str, number: Option<f64>) {
        match number {
            Some(number) => self.number(key, number),
            None => self.null(key),
        }
    }

    /// A number in the fewest digits that give it back; one that is not finite becomes `null`.
    pub fn number(&mut self, key: &str, number: f64) {
        self.key(key);
        self.json(&number);
    }

    pub fn flag(&mut self, key: &str, flag: bool) {
        self.key(key);
        self.buffer
            .extend_from_slice(if flag { b"true" } else { b"false" });
    }

    pub fn instant(&mut self, key: &str, at: Timestamp) {
        self.key(key);
        self.quoted(&stamp::rfc3339(at));
    }

    /// Unix milliseconds.
    pub fn millis(&mut self, key: &str, at: Timestamp) {
        self.key(key);
        self.buffer
            .extend_from_slice(itoa::Buffer::new().format(at.ms()).as_bytes());
    }

    pub fn null(&mut self, key: &str) {
        self.key(key);
        self.buffer.extend_from_slice(b"null");
    }

    /// An object inside.
    pub fn object(&mut self, key: &str, fill: impl FnOnce(&mut Self)) {
        self.key(key);
        self.nested(fill);
    }

    /// An object in a list.
    pub fn nested(&mut self, fill: impl FnOnce(&mut Self)) {
        self.buffer.push(b'{');
        fill(self);
        self.buffer.push(b'}');
    }

    /// A list, each entry written by `write`.
    pub fn list<T>(&mut self, key: &str, entries: &[T], write: impl Fn(&mut Self, &T)) {
        self.key(key);
        self.buffer.push(b'[');
        for entry in entries {
            self.comma();
            write(self, entry);
        }
        self.buffer.push(b']');
    }

    /// A value in a list that writes itself.
    pub fn value(&mut self, value: &impl Serialize) {
        self.json(value);
    }

    /// JSON that is encoded already.
    pub fn raw(&mut self, json: &[u8]) {
        self.buffer.extend_from_slice(json);
    }

    /// A string in a list.
    pub fn escaped(&mut self, text: &str) {
        self.json(text);
    }

    fn quoted(&mut self, bytes: &[u8]) {
        self.buffer.push(b'"');
        self.buffer.extend_from_slice(bytes);
        self.buffer.push(b'"');
    }

    fn key(&mut self, key: &str) {
        self.comma();
        self.buffer.push(b'"');
        self.buffer.extend_from_slice(key.as_bytes());
        self.buffer.extend_from_slice(b"\":");
    }

    /// A value ends in a quote, a digit, a letter or a bracket, never in an opening one.
    fn comma(&mut self) {
        if !matches!(self.buffer.last(), Some(b'{' | b'[')) {
            self.buffer.push(b',');
        }
    }

    /// Writing a scalar into memory does not fail; if it did, the frame must stay JSON.
    fn json<T: Serialize + ?Sized>(&mut self, value: &T) {
        if serde_json::to_writer(&mut self.buffer, value).is_err() {
            self.buffer.extend_from_slice(b"null");
        }
    }
}

/// `p-` and 16 hex digits.
fn participant(id: ParticipantId) -> [u8; 18] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = *b"p-0000000000000000";
    for (i, byte) in id.bits().to_be_bytes().into_iter().enumerate() {
        text[2 + 2 * i] = HEX[usize::from(byte >> 4)];
        text[3 + 2 * i] = HEX[usize::from(byte & 15)];
    }
    text
}
