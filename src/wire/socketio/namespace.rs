//! Namespaces: channels in one connection.

use bytestring::ByteString;

/// The name of a namespace: begins with `/`, has no comma.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Namespace(ByteString);

impl Namespace {
    /// `/`, which is not written out.
    pub const MAIN: Self = Self(ByteString::from_static("/"));

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
