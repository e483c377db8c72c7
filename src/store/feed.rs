//! The order in which events of incidents happened, as far as a store keeps one.

use crate::domain::room::Event;

/// An event of an incident, with its place among those of all incidents.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedEvent {
    /// Its place, from 1 on.
    pub position: u64,
    /// The event.
    pub event: Event,
}

/// A stretch of the order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeedPage {
    /// Which order this is: places in one mean nothing in another.
    pub epoch: u64,
    /// Everything after this place is still there.
    pub kept_after: u64,
    /// The last place that was given out.
    pub head: u64,
    /// Events in order, without a gap after the place that was asked for (or `kept_after`, if that is later).
    pub events: Vec<FeedEvent>,
}
