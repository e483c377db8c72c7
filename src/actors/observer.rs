//! What the actors tell whoever counts.

use std::time::Duration;

/// Receives measurements. Called on hot paths: an implementation only bumps counters.
pub trait Observer: Send + Sync + 'static {
    /// A batch of `events` became durable after `took`.
    fn appended(&self, events: usize, took: Duration) {
        let _ = (events, took);
    }

    /// A fan-out handed frames to `delivered` outboxes in `took`.
    fn fanned_out(&self, delivered: u64, took: Duration) {
        let _ = (delivered, took);
    }

    /// An SOS was acknowledged `took` after it was taken in.
    fn sos_accepted(&self, took: Duration) {
        let _ = took;
    }

    /// A command was refused.
    fn refused(&self, code: &'static str) {
        let _ = code;
    }

    /// A position arrived and this became of it: `broadcast`, `waits`, `old`, `future`, `kept`, `dropped`.
    fn position(&self, outcome: &'static str, count: u64) {
        let _ = (outcome, count);
    }

    /// A room died without being asked to, and is rebuilt.
    fn room_rebuilt(&self) {}
}

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {}
