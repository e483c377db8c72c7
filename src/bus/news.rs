//! The messages.

use std::fmt;
use std::sync::Arc;

use crate::domain::area::Cell;
use crate::domain::geo::Fix;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::people::{Person, Subject};
use crate::domain::room::Event;
use crate::store::IncidentRow;

/// A node for as long as its process lives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u64);

impl NodeId {
    /// Names a node; draw it at random when the process starts.
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The number itself.
    pub fn bits(self) -> u64 {
        self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({self})")
    }
}

/// What one can listen to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// A room: for nodes on which it is in use.
    Room(RoomId),
    /// A cell of the map: for nodes on which somebody watches an area that it covers.
    Cell(Cell),
    /// What every node must hear.
    Everyone,
}

/// What is said.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// Events that are durable, in order and without gaps, with the records of those whom they name for the first time
    /// or whose record changed. Empty events: look into the store.
    Events {
        /// The room.
        room: RoomId,
        /// The events.
        events: Vec<Event>,
        /// The records.
        people: Vec<Person>,
    },
    /// Positions of people in a room, the newest of each.
    Positions {
        /// The room.
        room: RoomId,
        /// Whose and where.
        fixes: Vec<(ParticipantId, Fix)>,
    },
    /// People came to a room, or went, on the node that says so: connected or not, whatever the log says.
    Presence {
        /// The room.
        room: RoomId,
        /// Who, and whether they have a connection on that node now.
        changes: Vec<(ParticipantId, bool)>,
    },
    /// How an incident in a cell stands.
    Incident {
        /// Its projection.
        row: Arc<IncidentRow>,
        /// It was just raised.
        created: bool,
    },
    /// Somebody was brought into a room: their connections are seated there by whoever holds them.
    Seated {
        /// Whom.
        subject: Subject,
        /// Where.
        room: RoomId,
    },
    /// Rooms that somebody is in have changed.
    Memberships {
        /// Whose.
        subject: Subject,
    },
    /// Somebody's contact lists have changed.
    Contacts {
        /// Whose.
        owner: Subject,
    },
    /// Staff blocked somebody or lifted a block: the list is read again.
    Blocks,
    /// Somebody was erased: forget them and close their connections.
    Erased {
        /// Whom.
        subject: Subject,
        /// Who they were where.
        places: Vec<(RoomId, ParticipantId)>,
    },
}
