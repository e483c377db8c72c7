//! A secret in memory.

use std::fmt;
use std::sync::Arc;

use subtle::ConstantTimeEq;

/// A text that must not be seen: it has no `Display`, its `Debug` is redacted, and it is compared in
/// constant time.
#[derive(Clone)]
pub struct Secret(Arc<str>);

/// A secret that could be guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a secret needs at least {} bytes", Secret::MIN_BYTES)]
pub struct WeakSecret;

impl Secret {
    /// The fewest bytes: the length of the hash that HS256 uses, below which RFC 7518 forbids a key.
    pub const MIN_BYTES: usize = 32;

    /// Takes a secret.
    ///
    /// # Errors
    /// When it is too short.
    pub fn new(text: &str) -> Result<Self, WeakSecret> {
        if text.len() < Self::MIN_BYTES {
            Err(WeakSecret)
        } else {
            Ok(Self(text.into()))
        }
    }

    /// Its bytes, for a key.
    pub fn reveal(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Whether `given` is this secret. The time it takes tells nothing but the lengths.
    pub fn matches(&self, given: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(given).into()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other.reveal())
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nothing_of_itself_and_knows_its_equal() {
        let text = "0123456789abcdef0123456789abcdef";
        let secret = Secret::new(text).unwrap();
        assert!(!format!("{secret:?}").contains("0123"));
        assert!(secret.matches(text.as_bytes()));
        assert!(!secret.matches(b"0123456789abcdef0123456789abcdeg"));
        assert!(!secret.matches(b"0123456789abcdef0123456789abcde"));
        assert!(!secret.matches(b""));
    }

    #[test]
    fn a_short_secret_is_refused() {
        assert_eq!(Secret::new("0123456789abcdef0123456789abcde"), Err(WeakSecret));
    }
}
