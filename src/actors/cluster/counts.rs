//! What a node has heard, and what came of it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters, for tests and operators to read.
#[derive(Debug, Default)]
pub struct Counts {
    /// Messages that other nodes sent and this one got.
    pub heard: AtomicU64,
    /// Of them those that told nothing new: known already, or of a room that is not in use here.
    pub ignored: AtomicU64,
    /// Messages for which there was no room; the store was read instead.
    pub overflowed: AtomicU64,
    /// Events of other nodes that were told to those who sit here.
    pub applied: AtomicU64,
    /// Looks into the store, to see whether a room is up to date.
    pub looks: AtomicU64,
    /// Looks that failed.
    pub looks_failed: AtomicU64,
    /// Looks that found something missing.
    pub repaired: AtomicU64,
    /// Events that were read for that.
    pub repaired_events: AtomicU64,
    /// Batches of commands that another node's came before.
    pub conflicts: AtomicU64,
    /// Times that the set of living nodes has changed.
    pub membership_changes: AtomicU64,
}

impl Counts {
    pub(in crate::actors) fn add(counter: &AtomicU64, n: usize) {
        counter.fetch_add(n as u64, Relaxed);
    }

    /// Every counter with its name.
    pub fn all(&self) -> [(&'static str, u64); 10] {
        [
            ("heard", &self.heard),
            ("ignored", &self.ignored),
            ("overflowed", &self.overflowed),
            ("applied", &self.applied),
            ("looks", &self.looks),
            ("looks_failed", &self.looks_failed),
            ("repaired", &self.repaired),
            ("repaired_events", &self.repaired_events),
            ("conflicts", &self.conflicts),
            ("membership_changes", &self.membership_changes),
        ]
        .map(|(name, counter)| (name, counter.load(Relaxed)))
    }
}
