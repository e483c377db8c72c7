//! Who behaved badly: what people report of each other, and whom staff keep out. Neither stands in a room's log,
//! which its participants read.

use std::fmt;

use super::ids::{ParticipantId, RoomId};
use super::people::Subject;
use super::time::Timestamp;

/// What one participant of an incident reports of another. A second report of the same two replaces the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The incident.
    pub room: RoomId,
    /// Of whom.
    pub participant: ParticipantId,
    /// By whom. Only staff learn it.
    pub reporter: ParticipantId,
    /// When.
    pub at: Timestamp,
    /// In their words, 1 to 500 characters.
    pub reason: String,
}

/// A place in a list of complaints, newest first: what its last entry has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComplaintCursor {
    /// When.
    pub at: Timestamp,
    /// Of whom.
    pub participant: ParticipantId,
    /// By whom.
    pub reporter: ParticipantId,
}

impl Complaint {
    /// Its place in a list.
    pub fn place(&self) -> ComplaintCursor {
        ComplaintCursor {
            at: self.at,
            participant: self.participant,
            reporter: self.reporter,
        }
    }
}

/// What a blocked user or device is recognised by: a keyed hash of their subject. It outlives the erasure of
/// all else that is kept of them, and tells nobody who they are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockKey([u8; 16]);

impl BlockKey {
    /// From the hash's bytes.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The hash's bytes.
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for BlockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlockKey(…)")
    }
}

/// Somebody whom staff keep out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Whom.
    pub key: BlockKey,
    /// By which name staff blocked them: who they were in an incident.
    pub participant: ParticipantId,
    /// When.
    pub at: Timestamp,
    /// Until when; `None`: until it is lifted.
    pub until: Option<Timestamp>,
    /// In the words of staff.
    pub reason: Option<String>,
    /// Who of them; `None` when they have been erased since.
    pub by: Option<Subject>,
}

impl Block {
    /// Whether it stands at `now`.
    pub fn stands(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}
