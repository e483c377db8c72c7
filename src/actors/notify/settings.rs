//! The numbers of telling people.

use std::time::Duration;

use super::core::RetrySettings;
use crate::domain::notify::plan::PlanSettings;

/// The numbers of one lane.
#[derive(Clone, Copy, Debug)]
pub struct LaneSettings {
    /// Jobs of it that this node carries out at the same time.
    pub at_once: usize,
    /// Jobs of it that the store may hold before it says so loudly; those of an SOS are taken all the same.
    pub queue_max: usize,
}

/// All of them.
#[derive(Clone, Debug)]
pub struct NotifySettings {
    /// Who is told, when.
    pub plan: PlanSettings,
    /// How sending is tried.
    pub retry: RetrySettings,
    /// By lane: [`crate::domain::notify::Lane::index`].
    pub lanes: [LaneSettings; 4],
    /// For how long a job is this node's. It is longer than any request to a vendor.
    pub lease: Duration,
    /// How long a request to a vendor may take.
    pub timeout: Duration,
    /// How often the store is looked into though nobody says that there is something.
    pub poll: Duration,
    /// Failures in a row after which a vendor is left alone.
    pub breaker_failures: u32,
    /// For how long.
    pub breaker_rest: Duration,
    /// An SOS of which no vendor has news so long after it was raised is late.
    pub late_after: Duration,
    /// A link to a map, with `{lat}` and `{lon}`; empty: none.
    pub map_url: String,
    /// First words of an answer that acknowledge, in upper case.
    pub acknowledging: Vec<String>,
}
