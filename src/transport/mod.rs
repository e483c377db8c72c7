//! From an upgraded HTTP connection to WebSocket messages and back. Knows no rooms.
//!
//! [`accept`] takes the raw socket from actix-http, registers it with the worker's
//! [`Hub`](crate::delivery::Hub), which writes, and hands back the connection's outbox and an
//! [`Inbound`] stream, which reads. The HTTP dispatcher and its buffers are gone by then.
//!
//! RFC 6455 is kept to the letter; actix-http's own parser does the rest once `header` has
//! refused what it would let pass or notice late.

mod accept;
mod decoder;
#[doc(hidden)]
pub mod fuzzing;
mod header;
mod inbound;
mod utf8;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use accept::{BadHandshake, Handover, Upgraded, accept, accept_with, refuse, shake_hands};
pub use inbound::{Inbound, Message};

use crate::delivery::HubLimits;

/// The bounds of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest frame taken from a client.
    pub frame_max_bytes: usize,
    /// The largest message, all fragments together.
    pub message_max_bytes: usize,
    /// What may wait for one connection.
    pub outbox_max_bytes: usize,
    /// Silence after which a ping is sent.
    pub ping_interval: Duration,
    /// Silence after which the connection is ended.
    pub ping_timeout: Duration,
    /// How long a close may take.
    pub close_timeout: Duration,
    /// Signals to the connections of a worker leave at most once in this time; events never wait.
    pub signal_gap: Duration,
    /// How long sent bytes may stay unacknowledged before the kernel gives up.
    pub tcp_user_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_max_bytes: 64 * 1024,
            message_max_bytes: 64 * 1024,
            outbox_max_bytes: 256 * 1024,
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(60),
            close_timeout: Duration::from_secs(5),
            signal_gap: Duration::ZERO,
            tcp_user_timeout: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// The part that the worker's hub keeps.
    #[must_use]
    pub fn hub(&self) -> HubLimits {
        HubLimits {
            ping_interval: self.ping_interval,
            ping_timeout: self.ping_timeout,
            close_timeout: self.close_timeout,
            signal_gap: self.signal_gap,
        }
    }
}
