//! The bounds of a connection.

use std::sync::Arc;
use std::time::Duration;

use super::engine;
use super::namespace::Namespace;

/// The bounds of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Those of the session below.
    pub engine: Arc<engine::Settings>,
    /// The namespaces that there are.
    pub namespaces: Vec<Namespace>,
    /// How long a client may stay without being connected to any namespace, from the beginning.
    pub connect_timeout: Duration,
    /// What is taken of binary data.
    pub attachments: AttachmentLimits,
    /// Acknowledgements that a client may owe us.
    pub acks_max: usize,
    /// Whether connection state recovery is offered: clients are asked what they know, see
    /// [`Resume`](super::Resume).
    pub recovery: bool,
}

/// What is taken of binary data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttachmentLimits {
    /// Attachments of one packet.
    pub max: usize,
    /// Their bytes, all together.
    pub max_bytes: usize,
}

impl Default for AttachmentLimits {
    fn default() -> Self {
        Self {
            max: 10,
            max_bytes: 1_000_000,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            engine: Arc::default(),
            namespaces: vec![Namespace::MAIN],
            connect_timeout: Duration::from_secs(45),
            attachments: AttachmentLimits::default(),
            acks_max: 64,
            recovery: false,
        }
    }
}
