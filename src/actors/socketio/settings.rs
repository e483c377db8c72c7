//! What connections of incident clients go by.

use std::sync::Arc;

use crate::transport;
use crate::wire::socketio;

/// The bounds of a connection.
#[derive(Clone, Debug)]
pub struct SocketIoSettings {
    /// Those of the protocol.
    pub protocol: Arc<socketio::Settings>,
    /// Those of a socket.
    pub transport: transport::Limits,
    /// The most bytes of what waits that one answer to a poll takes along, about.
    pub answer_max_bytes: usize,
    /// Commands of one connection that wait for their answers, at most.
    pub pending_max: usize,
    /// A client that missed more events of an incident than this begins anew.
    pub recovery_max_events: usize,
    /// Messages over the budget that are refused one by one; the next one ends the connection.
    pub refused_max: u32,
}
