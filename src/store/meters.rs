//! What a store counts of itself, without locks. Telemetry reads it; nothing here knows how it is shown.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the latency buckets, in microseconds.
pub const LATENCY_BOUNDS_US: &[u64] = &[
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    10_000_000,
];

/// Upper bounds of the group size buckets, in writes.
pub const GROUP_BOUNDS: &[u64] = &[1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];

/// A histogram as it stands: `counts[i]` values are at most `bounds[i]` and over the bound before it, the
/// last count is of those over every bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// Upper bounds, rising.
    pub bounds: &'static [u64],
    /// How many in each bucket; one more than bounds.
    pub counts: Vec<u64>,
    /// How many in all.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
}

/// What a store tells of its work since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// From an append's being queued to its being durable, in microseconds.
    pub append_us: Distribution,
    /// One transaction: begin to end of commit, in microseconds.
    pub commit_us: Distribution,
    /// Writes in one transaction.
    pub group_size: Distribution,
    /// Transactions that failed.
    pub failed_commits: u64,
    /// Reads refused because their queue was full.
    pub reads_refused: u64,
    /// Reads that wait.
    pub reads_waiting: u64,
    /// Lists of incidents that memory alone answered.
    pub lists_at_once: u64,
    /// Open incidents whose list is kept in memory.
    pub open_held: u64,
    /// Open incidents that did not fit there: while there are any, lists are read from the file.
    pub open_left_out: u64,
    /// What a store on another machine tells besides.
    pub remote: Option<Remote>,
}

/// How it goes with a store on another machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remote {
    /// Its breaker: 0 closed, 1 open, 2 half open.
    pub breaker: u64,
    /// How often the breaker has opened.
    pub opened: u64,
    /// Requests refused because it was open.
    pub refused: u64,
    /// Commands that were slow.
    pub slow: u64,
    /// Groups of appends that were done again: others were first, or the server went away.
    pub repeated: u64,
}

/// A histogram that any thread may add to.
#[derive(Debug)]
pub(crate) struct Histogram {
    bounds: &'static [u64],
    counts: Vec<AtomicU64>,
    sum: AtomicU64,
}

impl Histogram {
    fn new(bounds: &'static [u64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self {
            bounds,
            counts,
            sum: AtomicU64::new(0),
        }
    }

    pub(crate) fn add(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    pub(crate) fn add_time(&self, time: Duration) {
        self.add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn read(&self) -> Distribution {
        let counts: Vec<u64> = self
            .counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .collect();
        Distribution {
            bounds: self.bounds,
            count: counts.iter().sum(),
            counts,
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}

/// All that one store counts.
#[derive(Debug)]
pub(crate) struct Meters {
    pub append_us: Histogram,
    pub commit_us: Histogram,
    pub group_size: Histogram,
    pub commits: AtomicU64,
    pub failed_commits: AtomicU64,
    pub events: AtomicU64,
    pub fixes: AtomicU64,
    pub refused: AtomicU64,
    pub reads_refused: AtomicU64,
    pub lists_at_once: AtomicU64,
    pub repeated: AtomicU64,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            append_us: Histogram::new(LATENCY_BOUNDS_US),
            commit_us: Histogram::new(LATENCY_BOUNDS_US),
            group_size: Histogram::new(GROUP_BOUNDS),
            commits: AtomicU64::new(0),
            failed_commits: AtomicU64::new(0),
            events: AtomicU64::new(0),
            fixes: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            reads_refused: AtomicU64::new(0),
            lists_at_once: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
        }
    }
}

pub(crate) fn bump(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

pub(crate) fn total(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_a_bound_belongs_to_the_bucket_below_it() {
        let histogram = Histogram::new(GROUP_BOUNDS);
        for value in [1, 2, 3, 5, 5_000, 5_001] {
            histogram.add(value);
        }
        let read = histogram.read();
        assert_eq!(read.counts[..3], [1, 1, 2]);
        assert_eq!(read.counts[11..], [1, 1]);
        assert_eq!((read.count, read.sum), (6, 10_012));
    }
}
