//! Events that another service refused for good.

use super::ids::RoomId;
use super::room::Seq;
use super::time::Timestamp;

/// An event that the service refused for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The incident.
    pub room: RoomId,
    /// Which event.
    pub seq: Seq,
    /// What kind.
    pub kind: String,
    /// How it was refused last: a status of HTTP.
    pub status: u16,
    /// How often it was sent.
    pub attempts: u32,
    /// When it was refused last.
    pub at: Timestamp,
}

/// A place in the list of dead letters, which has the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadPlace {
    /// When it was refused.
    pub at: Timestamp,
    /// The incident.
    pub room: RoomId,
    /// Which event.
    pub seq: Seq,
}

impl DeadLetter {
    /// Its place in the list.
    pub fn place(&self) -> DeadPlace {
        DeadPlace {
            at: self.at,
            room: self.room.clone(),
            seq: self.seq,
        }
    }
}
