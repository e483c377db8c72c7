//! What the actors tell whoever counts.

use std::time::Duration;

/// What became of positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Positions {
    /// They arrived.
    Received,
    /// A room showed them to its members.
    Broadcast,
    /// A newer one took their place before they were shown.
    Conflated,
    /// History has them.
    Kept,
    /// They were not newer than what is known.
    Stale,
    /// Nobody moves so fast, and no second one agreed yet.
    Doubtful,
    /// There was no room for them.
    Dropped,
}

/// Receives measurements. Called on hot paths: an implementation only bumps counters.
pub trait Observer: Send + Sync + 'static {
    /// A batch became durable after `took`.
    fn appended(&self, took: Duration) {
        let _ = took;
    }

    /// An event of this kind is durable and announced.
    fn event(&self, kind: &'static str) {
        let _ = kind;
    }

    /// A fan-out reached the outboxes of all members in `took`.
    fn fanned_out(&self, took: Duration) {
        let _ = took;
    }

    /// An SOS was acknowledged `took` after it was taken in.
    fn sos_accepted(&self, took: Duration) {
        let _ = took;
    }

    /// A command was refused.
    fn refused(&self, code: &'static str) {
        let _ = code;
    }

    /// This became of `count` positions.
    fn positions(&self, outcome: Positions, count: u64) {
        let _ = (outcome, count);
    }

    /// A session was told `connected`, `took` after it began.
    fn connected(&self, took: Duration) {
        let _ = took;
    }

    /// Somebody reported somebody.
    fn reported(&self) {}

    /// A room died without being asked to, and is rebuilt.
    fn room_rebuilt(&self) {}
}

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {}
