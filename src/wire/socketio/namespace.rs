//! Namespaces: channels in one connection.

use bytestring::ByteString;

/// The name of a namespace: begins with `/`, has no comma.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Namespace(ByteString);

impl Namespace {
    /// `/`, which is not written out.
    pub const MAIN: Self = Self(ByteString::from_static("/"));

    /// One that is known when the program is made.
    ///
    /// # Panics
    /// When the name cannot be one.
    pub const fn of_static(name: &'static str) -> Self {
        let bytes = name.as_bytes();
        assert!(
            !bytes.is_empty() && bytes[0] == b'/',
            "a namespace begins with a slash"
        );
        let mut at = 0;
        while at < bytes.len() {
            assert!(bytes[at] != b',', "a namespace has no comma");
            at += 1;
        }
        Self(ByteString::from_static(name))
    }

    /// `None` when the name cannot be one.
    pub fn new(name: impl Into<ByteString>) -> Option<Self> {
        let name = name.into();
        (name.starts_with('/') && !name.contains(',')).then_some(Self(name))
    }

    /// Whether it is `/`.
    pub fn is_main(&self) -> bool {
        self.0 == "/"
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
