//! What a vendor knows us by.

use std::fmt;
use std::sync::Arc;

use subtle::ConstantTimeEq;

/// A key, token or password that a vendor gave out, however short: it has no `Display`, its `Debug` is redacted, and it
/// is compared in constant time.
#[derive(Clone)]
pub struct Credential(Arc<str>);

impl Credential {
    /// Takes one; `None` when there is nothing in it.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// Its text, for whoever shows it to the vendor.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether `given` is this one. The time it takes tells nothing but the lengths.
    pub fn matches(&self, given: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(given).into()
    }
}

impl PartialEq for Credential {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other.0.as_bytes())
    }
}

impl Eq for Credential {}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_shows_nothing_of_itself_and_an_empty_one_is_none() {
        assert_eq!(Credential::new(" \n"), None);
        let key = Credential::new("12345\n").unwrap();
        assert_eq!(format!("{key:?}"), "Credential(…)");
        assert!(key.matches(b"12345"));
        assert!(!key.matches(b"12346") && !key.matches(b"1234") && !key.matches(b""));
    }
}
