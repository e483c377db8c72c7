//! The bounds of a session, and what a client is told of them.

use std::time::Duration;

use bytestring::ByteString;
use serde::Serialize;

use super::entry::Transport;

/// The bounds of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// From a pong to the next ping.
    pub ping_interval: Duration,
    /// From a ping to the end, without a pong.
    pub ping_timeout: Duration,
    /// The largest body of a POST and the largest WebSocket message that is taken, and about the largest answer to
    /// a poll: no packet is added to one that would get longer.
    pub max_payload_bytes: usize,
    /// How long a socket may take to become the connection.
    pub upgrade_timeout: Duration,
    /// How long a session that we end waits for a poll that can be told so.
    pub close_timeout: Duration,
    /// What may wait for a client that polls; more ends the session.
    pub outgoing_max_bytes: usize,
    /// Whether a session that polls may move to a WebSocket.
    pub upgrades: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            max_payload_bytes: 1_000_000,
            upgrade_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(30),
            outgoing_max_bytes: 4_000_000,
            upgrades: true,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Handshake<'a> {
    sid: &'a str,
    upgrades: &'a [&'a str],
    /// ms
    ping_interval: u128,
    /// ms
    ping_timeout: u128,
    /// bytes
    max_payload: usize,
}

impl Settings {
    /// The object that opens a session of this id.
    pub(super) fn handshake(&self, sid: &str, transport: Transport) -> ByteString {
        let may = self.upgrades && transport == Transport::Polling;
        let handshake = Handshake {
            sid,
            upgrades: if may { &["websocket"] } else { &[] },
            ping_interval: self.ping_interval.as_millis(),
            ping_timeout: self.ping_timeout.as_millis(),
            max_payload: self.max_payload_bytes,
        };
        let text = serde_json::to_string(&handshake);
        text.expect("invariant: text and numbers are JSON").into()
    }
}
