//! A credential inside a message, the same in every dialect of sockets.

use std::fmt;

/// A token that a client sent. It does not show in `Debug` output.
#[derive(Clone, PartialEq, Eq)]
pub struct SentToken(String);

impl SentToken {
    /// The most characters that one is read with.
    pub const MAX_CHARS: usize = 8_192;

    pub(super) fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// Its text.
    pub fn reveal(self) -> String {
        self.0
    }
}

impl fmt::Debug for SentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SentToken(…)")
    }
}
