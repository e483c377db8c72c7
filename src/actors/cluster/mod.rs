//! One of many nodes: who the others are, which rooms are this node's to mind, and what it hears that concerns
//! no room in use here.
//!
//! Rooms hear of each other's events themselves (`room::heard`); what is here is for the node as a whole. Nothing here
//! is needed for a log to be right: the store sees to that.

mod counts;
mod gossip;
mod hearing;
mod herald;
mod peers;

pub use counts::Counts;
pub use peers::Peers;

pub(super) use gossip::Gossip;
pub(super) use hearing::Hearing;
pub(super) use herald::{Herald, follow_contacts};

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::bus::NodeId;

/// What a node knows of being one of many.
pub struct Cluster {
    /// There may be others.
    pub clustered: bool,
    /// Who is alive.
    pub peers: Peers,
    /// What was heard, and what came of it.
    pub counts: Counts,
    pub(super) gossip: Gossip,
    looks: Arc<Semaphore>,
}

impl Cluster {
    /// Of node `node`; at most `looks_at_once` rooms look into the store at a time without being asked for.
    pub fn new(node: NodeId, clustered: bool, looks_at_once: usize) -> Self {
        Self {
            clustered,
            peers: Peers::new(node),
            counts: Counts::default(),
            gossip: Gossip::default(),
            looks: Arc::new(Semaphore::new(looks_at_once.max(1))),
        }
    }

    /// Waits for a room's turn to look into the store when nobody waits for it: after the bus was away all rooms
    /// want to. Those before it are bounded by the rooms in use, and each takes a bounded time.
    pub(super) async fn turn_to_look(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.looks).acquire_owned().await.ok()
    }
}
