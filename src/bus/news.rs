//! The messages.

use std::fmt;
use std::sync::Arc;

use crate::domain::area::Cell;
use crate::domain::geo::Fix;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::people::{Person, Subject};
use crate::domain::phone::PhoneNumber;
use crate::domain::room::Event;
use crate::store::IncidentRow;

/// A node for as long as its process lives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u64);

impl NodeId {
    /// Names a node; draw it at random when the process starts.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The number itself.
    pub const fn bits(self) -> u64 {
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

/// Whether somebody has a connection on the node that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attendance {
    /// Who.
    pub who: ParticipantId,
    /// They have one now.
    pub here: bool,
    /// That they came is in no log: whoever sits in the room is told by this.
    pub greet: bool,
}

/// What is said.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// Events that are durable, in order and without gaps, with the records of those whom they name for the first time
    /// or whose record changed.
    Events {
        /// The room.
        room: RoomId,
        /// The events, at least one.
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
    /// Who of a room is connected on the node that says so.
    Presence {
        /// The room.
        room: RoomId,
        /// Who came or went; with `whole`, everybody who is there.
        changes: Vec<Attendance>,
        /// Whoever is not named is not there.
        whole: bool,
        /// The others are asked to say who is there with them.
        asks: bool,
    },
    /// Somebody in a room writes, or has stopped.
    Typing {
        /// The room.
        room: RoomId,
        /// Who.
        who: ParticipantId,
        /// They began.
        on: bool,
        /// What they go by.
        name: Option<String>,
    },
    /// How an incident in a cell stands.
    Incident {
        /// Its projection.
        row: Arc<IncidentRow>,
        /// It was just raised.
        created: bool,
    },
    /// A circle calls its owner's emergency contacts who are connected anywhere.
    Called {
        /// The circle.
        room: RoomId,
        /// Its owner.
        owner: Subject,
        /// The owner has raised an SOS; otherwise the circle was just made, and they are brought in.
        alarm: bool,
    },
    /// Something in a room waits for somebody who need not sit in it: whoever holds their connections tells them.
    Concerns {
        /// Whom.
        subject: Subject,
        /// Where.
        room: RoomId,
    },
    /// Rooms that these people are in have changed.
    Memberships {
        /// Whose; empty: anybody's.
        subjects: Vec<Subject>,
    },
    /// Somebody's contact lists have changed.
    Contacts {
        /// Whose.
        owner: Subject,
        /// What they are called.
        name: Option<String>,
        /// Their circles.
        circles: Vec<RoomId>,
        /// Emergency contacts that were not listed before.
        added: Vec<PhoneNumber>,
        /// Emergency contacts that are listed no more.
        removed: Vec<PhoneNumber>,
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
    /// Something about this topic could not be said when it was time: look into the store. On `Everyone`: about any
    /// topic.
    Missed,
}
