//! What the nodes of a cluster put where all of them, and other programs, can read it (protocol page, section 6).
//!
//! Nothing here is the truth: it is written after the store has it, is gone after a while, and may be missing at any
//! time. Whoever reads it can do without.

use async_trait::async_trait;

use crate::domain::geo::{Fix, Position};
use crate::domain::ids::{ParticipantId, RoomId, UserId};
use crate::domain::incident::Status;
use crate::domain::people::{Contact, Role};
use crate::domain::room::{RoomKind, UserType};
use crate::domain::time::Timestamp;
use crate::store::KeptFix;

/// Participants of an incident that its note names.
pub const NAMED_MAX: usize = 100;

/// A fix that a node took.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting {
    /// For which room.
    pub room: RoomId,
    /// Whose.
    pub participant: ParticipantId,
    /// Where and when.
    pub fix: Fix,
    /// No newer one of theirs is known.
    pub newest: bool,
    /// What the room is.
    pub kind: RoomKind,
    /// History is to keep it, from the stream: nobody waits until it has.
    pub keep: bool,
}

impl Sighting {
    /// As history is to keep it.
    pub fn kept(self) -> KeptFix {
        KeptFix {
            room: self.room,
            participant: self.participant,
            fix: self.fix,
            sampled: self.newest,
        }
    }
}

/// An incident as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentNote {
    /// Which.
    pub sos: RoomId,
    /// Who raised it: a user, or of a device its pseudonym.
    pub citizen: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// When it was raised.
    pub created_at: Timestamp,
    /// When it stopped being open, and who did that.
    pub closed: Option<(Timestamp, Option<ParticipantId>)>,
    /// Where it is: where whoever raised it was last, or said to be.
    pub location: Option<(Position, Option<f64>)>,
    /// When that was measured; `None` when it was only said.
    pub located_at: Option<Timestamp>,
    /// Those who are in, the first [`NAMED_MAX`] of them.
    pub participants: Vec<(ParticipantId, UserType)>,
    /// How many are in.
    pub count: usize,
    /// The log's head.
    pub seq: u64,
}

/// A user's presence on a node, and their newest connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionNote {
    /// Whose.
    pub user: UserId,
    /// As what.
    pub role: Role,
    /// What others may call them.
    pub name: Option<String>,
    /// The connection.
    pub session: String,
    /// When it was opened.
    pub connected_at: Timestamp,
    /// When they were there last.
    pub seen_at: Timestamp,
    /// The node that holds it, by its id.
    pub node: String,
    /// They have a connection.
    pub online: bool,
}

/// Something to be put on the board.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// Fixes that were taken, those of each person in order.
    Positions(Vec<Sighting>),
    /// A trip is over.
    TripEnded(RoomId),
    /// An incident as it stands.
    Incident(Box<IncidentNote>),
    /// A user came, is still here, or went.
    Session(Box<SessionNote>),
    /// A user's contact lists have changed.
    Contacts(UserId),
    /// People were erased, or where they are is nobody's business any more.
    Gone {
        /// Users who were erased.
        users: Vec<UserId>,
        /// Whose newest position is to be forgotten.
        places: Vec<(RoomId, ParticipantId)>,
    },
}

/// A circle in which trips are looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Around {
    /// Its centre.
    pub centre: Position,
    /// Its radius in metres.
    pub radius_m: f64,
    /// At most so many, the nearest first.
    pub limit: usize,
}

/// Where a trip was last.
#[derive(Clone, Debug, PartialEq)]
pub struct TripPlace {
    /// Its room.
    pub trip: RoomId,
    /// Where its driver was.
    pub position: Position,
    /// When that was measured.
    pub at: Timestamp,
}

/// What is remembered of somebody's emergency contacts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cached {
    /// These.
    Known(Vec<Contact>),
    /// Nothing; what the store says may be remembered under this version.
    Unknown(u64),
    /// It cannot be looked at.
    Away,
}

/// Fixes that the nodes took, in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moves {
    /// How far they go: what follows is asked for by this.
    pub upto: String,
    /// Those of incidents and trips.
    pub seen: Vec<Sighting>,
    /// There is more.
    pub more: bool,
}

/// How much was put on the board.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BoardCounts {
    /// Fixes and other notes that are there.
    pub put: u64,
    /// Those that were not, for want of room or of Redis.
    pub dropped: u64,
    /// Pipelines that carried them.
    pub pipelines: u64,
    /// Notes that wait.
    pub waiting: usize,
    /// How many may.
    pub waiting_max: usize,
    /// Questions for contacts that the board answered, and that it could not.
    pub contacts: (u64, u64),
}

/// Where nodes put things for each other. No call but the questions waits; those wait a bounded while.
#[async_trait]
pub trait Board: Send + Sync + 'static {
    /// Puts something there, some time soon. What does not fit is dropped and counted, but for what history is to keep.
    fn put(&self, note: Note);

    /// Whether there is one at all.
    fn is_there(&self) -> bool {
        true
    }

    /// Takes some of what history is to keep and could not be put.
    fn spilled(&self, max: usize) -> Vec<KeptFix>;

    /// Grows whenever what was put may be lost: whoever put it puts it again.
    fn epoch(&self) -> u64;

    /// Trips in a circle, the nearest first; `None` when the board cannot tell.
    async fn trips_near(&self, around: Around) -> Option<Vec<TripPlace>>;

    /// The newest position of each participant of a room, as far as it is there.
    async fn newest(&self, room: &RoomId) -> Vec<(ParticipantId, Fix)>;

    /// What all nodes took after what was asked for last, at most `max`; at first nothing but where to begin. `None` when
    /// the board cannot tell.
    async fn moves(&self, after: Option<&str>, max: usize) -> Option<Moves>;

    /// A user's session, the same on every node.
    async fn session(&self, user: &UserId) -> Option<SessionNote>;

    /// What is remembered of a user's emergency contacts.
    async fn contacts(&self, owner: &UserId) -> Cached;

    /// Remembers them, unless they have changed since they were found `Unknown` under `version`.
    fn keep_contacts(&self, owner: &UserId, version: u64, contacts: Vec<Contact>);

    /// Forgets trips that were not heard of since `before`, and incidents of `closed`; a bounded slice. Answers some
    /// incidents that are said to be open, for the caller to look whether they are.
    async fn sweep(&self, before: Timestamp, closed: Vec<RoomId>) -> Vec<RoomId>;

    /// Waits until what was put so far is there, at most as long as a question may.
    async fn settle(&self);

    /// How much was put.
    fn counts(&self) -> BoardCounts;
}

/// For a node that is alone: there is no board.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoBoard;

#[async_trait]
impl Board for NoBoard {
    fn put(&self, _: Note) {}

    fn is_there(&self) -> bool {
        false
    }

    fn spilled(&self, _: usize) -> Vec<KeptFix> {
        vec![]
    }

    fn epoch(&self) -> u64 {
        0
    }

    async fn trips_near(&self, _: Around) -> Option<Vec<TripPlace>> {
        None
    }

    async fn newest(&self, _: &RoomId) -> Vec<(ParticipantId, Fix)> {
        vec![]
    }

    async fn moves(&self, _: Option<&str>, _: usize) -> Option<Moves> {
        None
    }

    async fn session(&self, _: &UserId) -> Option<SessionNote> {
        None
    }

    async fn contacts(&self, _: &UserId) -> Cached {
        Cached::Away
    }

    fn keep_contacts(&self, _: &UserId, _: u64, _: Vec<Contact>) {}

    async fn sweep(&self, _: Timestamp, _: Vec<RoomId>) -> Vec<RoomId> {
        vec![]
    }

    async fn settle(&self) {}

    fn counts(&self) -> BoardCounts {
        BoardCounts::default()
    }
}
