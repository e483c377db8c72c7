//! What a circle client says.

use crate::domain::area::Area;
use crate::domain::geo::{Fix, Position};
use crate::domain::ids::{MessageId, ParticipantId, RoomId};
use crate::domain::incident::{IncidentType, Severity};
use crate::domain::pin::PinEntry;
use crate::domain::room::Seq;
use crate::domain::time::Timestamp;
use crate::wire::SentToken;

/// The most events that one `get-history` asks for, and what it gets when it does not say.
pub const HISTORY_LIMIT_MAX: usize = 200;

/// A message of a client, checked.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientMessage {
    /// `create-room`
    CreateRoom {
        /// The id it should have.
        room: Option<RoomId>,
    },
    /// `join-room`
    JoinRoom {
        /// Which.
        room: RoomId,
        /// The last event that the client has: what came after it is sent first.
        since: Option<Seq>,
    },
    /// `leave-room`
    LeaveRoom {
        /// Which.
        room: RoomId,
    },
    /// `trip:join`
    TripJoin {
        /// Which.
        trip: RoomId,
        /// As in `join-room`.
        since: Option<Seq>,
    },
    /// `trip:leave`
    TripLeave {
        /// Which.
        trip: RoomId,
    },
    /// `activate-room`
    ActivateRoom {
        /// Which.
        room: RoomId,
    },
    /// `deactivate-room`
    DeactivateRoom {
        /// Which.
        room: RoomId,
    },
    /// `request-join`
    RequestJoin {
        /// Which.
        room: RoomId,
    },
    /// `approve-join`
    ApproveJoin {
        /// Which.
        room: RoomId,
        /// Who asked.
        requester: ParticipantId,
    },
    /// `deny-join`
    DenyJoin {
        /// Which.
        room: RoomId,
        /// Who asked.
        requester: ParticipantId,
    },
    /// `room-message`
    RoomMessage {
        /// Where.
        room: RoomId,
        /// The words.
        content: String,
        /// The sender's name for it, by which a repeated one is recognised.
        id: Option<MessageId>,
    },
    /// `emergency-sos`
    EmergencySos(EmergencySos),
    /// `emergency-resolve`
    EmergencyResolve {
        /// Only there; without: everywhere.
        room: Option<RoomId>,
        /// Proves that they end it of their own will.
        pin: Option<PinEntry>,
    },
    /// `location-update`
    LocationUpdate {
        /// Only there; without: every room the sender is in.
        room: Option<RoomId>,
        /// Measured when it says, or now.
        fix: Fix,
    },
    /// `acknowledge`
    Acknowledge {
        /// Which incident.
        room: RoomId,
    },
    /// `get_users`
    GetUsers {
        /// Where.
        room: RoomId,
    },
    /// `get-history`
    GetHistory {
        /// Where.
        room: RoomId,
        /// After this event; 0: from the first.
        since: Seq,
        /// At most so many, 1 to [`HISTORY_LIMIT_MAX`].
        limit: usize,
    },
    /// `watch-area`
    WatchArea(Area),
    /// `unwatch-area`
    UnwatchArea,
    /// `refresh-credential`
    RefreshCredential {
        /// The new one.
        token: SentToken,
    },
    /// `ping`
    Ping,
}

/// What an `emergency-sos` may tell; it may tell nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmergencySos {
    /// Where.
    pub position: Option<Position>,
    /// Radius of the position in metres.
    pub accuracy: Option<f64>,
    /// When it was measured.
    pub at: Option<Timestamp>,
    /// The place, for a person.
    pub formatted_location: Option<String>,
    /// Only the owner's circle of this id; without: all of them.
    pub room: Option<RoomId>,
    /// How bad.
    pub severity: Option<Severity>,
    /// What has happened.
    pub kind: Option<IncidentType>,
}
