//! Finds a few fields in a JSON text without parsing it.
//!
//! The messages of one engine have their fields at the same place nearly always: a key remembers where it was
//! and looks there first.

/// A byte string to find in many similar messages, such as `"roomId":"`.
pub struct Key {
    text: Vec<u8>,
    finder: memchr::memmem::Finder<'static>,
    last: usize,
}

impl Key {
    pub fn new(text: &str) -> Self {
        let finder = memchr::memmem::Finder::new(text).into_owned();
        Self {
            text: text.as_bytes().to_vec(),
            finder,
            last: 0,
        }
    }

    /// What follows the key.
    #[inline]
    pub fn after<'a>(&mut self, message: &'a [u8]) -> Option<&'a [u8]> {
        let end = self.last + self.text.len();
        if message.get(self.last..end) == Some(&self.text[..]) {
            return Some(&message[end..]);
        }
        self.last = self.finder.find(message)?;
        Some(&message[self.last + self.text.len()..])
    }
}

/// What stands before the next quotation mark. Ids and types hold no escapes.
#[inline]
pub fn until_quote(text: &[u8]) -> &[u8] {
    memchr::memchr(b'"', text).map_or(text, |end| &text[..end])
}

/// The string after a key.
pub fn string<'a>(message: &'a [u8], key: &mut Key) -> Option<&'a str> {
    std::str::from_utf8(until_quote(key.after(message)?)).ok()
}

/// The whole number at the front.
#[inline]
pub fn number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || digits > 19 {
        return None;
    }
    Some(
        text[..digits]
            .iter()
            .fold(0, |sum, byte| sum * 10 + u64::from(byte - b'0')),
    )
}

/// The `type` of a message: the first key of it nearly always.
#[inline]
pub fn kind(message: &[u8]) -> &[u8] {
    const FIRST: &[u8] = b"{\"type\":\"";
    if let Some(rest) = message.strip_prefix(FIRST) {
        return until_quote(rest);
    }
    const ANYWHERE: &[u8] = b"\"type\":\"";
    memchr::memmem::find(message, ANYWHERE).map_or(&[], |at| until_quote(&message[at + ANYWHERE.len()..]))
}
