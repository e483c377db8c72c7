//! What is to be told to the service that keeps incidents: which incidents have events that it has not taken.
//!
//! The log holds the events themselves. Here is, for each incident that has some, how far it was taken; and the events
//! that were refused for good.

use std::time::Duration;

pub use crate::domain::dead_letter::{DeadLetter, DeadPlace};
use crate::domain::ids::RoomId;
use crate::domain::room::Seq;
use crate::domain::time::Timestamp;

/// Asks for incidents that are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// By which whoever asks is known from then on: another one for each claim. Positive.
    pub token: i64,
    /// For how long they are nobody else's.
    pub lease: Duration,
    /// At most so many.
    pub limit: usize,
}

/// An incident that is whoever's asked for it, until the lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The incident.
    pub room: RoomId,
    /// Everything up to this event was taken, or given up.
    pub taken: Seq,
    /// The last event that is to be sent, as far as is known: there is one after `taken`.
    pub head: Seq,
    /// How often the event after `taken` was sent in vain.
    pub attempts: u32,
    /// How often of those it was refused by an answer that says that it always will be.
    pub refusals: u32,
}

/// How an incident fared. Nothing of it counts when the incident is no longer the caller's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settle {
    /// The incident.
    pub room: RoomId,
    /// By which it was claimed.
    pub token: i64,
    /// Everything up to this event was taken, or given up. It never moves back.
    pub taken: Seq,
    /// As in [`Claimed`].
    pub attempts: u32,
    /// As in [`Claimed`].
    pub refusals: u32,
    /// When the event after `taken` happened, if that is known.
    pub since: Option<Timestamp>,
    /// What becomes of the lease.
    pub then: Then,
    /// Events that were given up.
    pub dead: Vec<DeadLetter>,
}

/// What becomes of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It goes on for so long from now.
    Keep(Duration),
    /// It ends; the incident is due again after so long.
    Release(Duration),
}

/// What came of settling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is somebody else's now, or all has been taken.
    Gone,
    /// There is more, up to this event.
    Left(Seq),
}

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxDepth {
    /// Incidents with events that were not taken.
    pub incidents: u64,
    /// When the oldest of those events happened.
    pub oldest: Option<Timestamp>,
    /// Dead letters.
    pub dead: u64,
}
