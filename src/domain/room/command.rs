//! What somebody wants, and why it may be refused.

use super::event::{Genesis, LeaveReason, Relay, Seq, UserType};
use super::told::{Means, Move, Planned};
use crate::domain::ids::{MessageId, ParticipantId, RoomId};
use crate::domain::incident::{IncidentType, Status};
use crate::domain::notify::{Occasion, Vendor};
use crate::domain::scopes::Scope;

/// What gives somebody a right in this room, beyond what the log knows of them. Worked out from their
/// identity by whoever holds the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The engine itself or a sister service.
    System,
    /// An operator.
    Staff,
    /// On the owner's list of emergency contacts, or joined through a linked room.
    Contact,
    /// Bound to this incident by their token.
    Mission,
    /// A registered rescuer.
    Rescuer,
    /// Anybody else.
    Stranger,
}

/// What somebody wants of a room.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Make it, with the actor as its owner and first participant.
    Create {
        /// What it is.
        genesis: Genesis,
        /// As what the owner is in it.
        user_type: UserType,
    },
    /// Come in.
    Join {
        /// As what.
        user_type: UserType,
    },
    /// Go.
    Leave,
    /// Put somebody out.
    Remove {
        /// Whom.
        who: ParticipantId,
        /// Why.
        reason: LeaveReason,
    },
    /// Ask the owner to be let in.
    RequestJoin,
    /// Let a stranger in.
    ApproveJoin {
        /// Whom.
        who: ParticipantId,
        /// As what.
        user_type: UserType,
    },
    /// Refuse a stranger.
    DenyJoin {
        /// Whom.
        who: ParticipantId,
    },
    /// Say something.
    SendMessage {
        /// Its id, by which a repeated one is recognised.
        id: MessageId,
        /// The words.
        content: String,
    },
    /// Say what somebody said elsewhere, who need not be in.
    PassOn {
        /// Its id, by which a repeated one is recognised.
        id: MessageId,
        /// The words.
        content: String,
        /// What the service says of it.
        relay: Relay,
    },
    /// Take newcomers again.
    Activate,
    /// Take no newcomers.
    Deactivate,
    /// Nobody has been in for long enough: sleep.
    FallAsleep,
    /// The owner raised an SOS from here.
    RaiseEmergency {
        /// The incident.
        sos: RoomId,
    },
    /// That SOS is over.
    EndEmergency {
        /// The incident.
        sos: RoomId,
    },
    /// Contacts' live connections were handed the alert.
    NoteAlerted {
        /// Whose.
        who: Vec<ParticipantId>,
    },
    /// Move the incident along its states.
    SetStatus {
        /// To where.
        to: Status,
        /// The caller's idea of the present state, when it must hold.
        expected: Option<Status>,
        /// In their words.
        note: Option<String>,
        /// They wrote the status in lower case, and whoever reads events by Socket.IO is told it so.
        lower_case: bool,
        /// How whoever raised it proves that they end it of their own will.
        proof: Proof,
    },
    /// The incident is of another type than it was taken for.
    SetType {
        /// What it is.
        to: IncidentType,
    },
    /// The trip is over.
    EndTrip,
    /// The emergency stands in a linked room.
    NoteLinkRaised {
        /// That room.
        room: RoomId,
    },
    /// The emergency has ended in a linked room.
    NoteLinkEnded {
        /// That room.
        room: RoomId,
    },
    /// The next step of the escalation.
    PlanNotifications {
        /// Which, from 1.
        step: u16,
        /// What its messages are about.
        occasion: Occasion,
        /// The messages.
        planned: Vec<Planned>,
        /// Those to be told of it who can be reached over no channel.
        unreached: Vec<ParticipantId>,
        /// Those of them, by their places, that are begun with a vendor in the same step.
        begun: Vec<(usize, Vendor)>,
    },
    /// A message has moved.
    MoveNotification(Move),
    /// Whoever gives it knows of the incident and acts.
    Acknowledge {
        /// How they say so.
        means: Means,
    },
}

/// What somebody typed in to end what they have raised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proof {
    /// Nothing.
    #[default]
    Nothing,
    /// Their PIN.
    Pin,
    /// The one that says that somebody makes them: it must look as if it were over, and it is not.
    Duress,
}

impl Command {
    /// What a credential with a list of scopes must have in it for this.
    pub const fn scope(&self) -> Scope {
        match self {
            Self::Join { .. }
            | Self::Leave
            | Self::Remove { .. }
            | Self::RequestJoin
            | Self::ApproveJoin { .. }
            | Self::DenyJoin { .. } => Scope::ParticipantsWrite,
            Self::SendMessage { .. } | Self::PassOn { .. } => Scope::MessagesWrite,
            Self::EndTrip => Scope::TripsWrite,
            Self::Create { .. }
            | Self::Activate
            | Self::Deactivate
            | Self::FallAsleep
            | Self::RaiseEmergency { .. }
            | Self::EndEmergency { .. }
            | Self::NoteAlerted { .. }
            | Self::SetStatus { .. }
            | Self::SetType { .. }
            | Self::NoteLinkRaised { .. }
            | Self::NoteLinkEnded { .. }
            | Self::PlanNotifications { .. }
            | Self::MoveNotification(_)
            | Self::Acknowledge { .. } => Scope::IncidentsWrite,
        }
    }
}

/// Why a command was refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is no such room.
    #[error("Room not found")]
    NotFound,
    /// The id is taken.
    #[error("Room already exists")]
    AlreadyExists,
    /// It takes no newcomers.
    #[error("Room is not active")]
    NotActive,
    /// They would have to ask first, or may not at all.
    #[error("Not authorized to join this room")]
    MayNotJoin,
    /// They are in.
    #[error("Already in room")]
    AlreadyIn,
    /// They are not in.
    #[error("Not in room")]
    NotIn,
    /// Nobody here is called so.
    #[error("No such participant")]
    NoSuchParticipant,
    /// They have not asked.
    #[error("No such join request")]
    NoSuchRequest,
    /// Too many wait for the owner's answer already.
    #[error("Too many join requests are waiting")]
    TooManyRequests,
    /// The room is full.
    #[error("Room is full")]
    Full,
    /// It is not theirs to do.
    #[error("Not authorized")]
    Forbidden,
    /// Their credential is not for such things.
    #[error("The credential lacks the scope {}", .0.as_str())]
    OutOfScope(Scope),
    /// The user type is not theirs to claim.
    #[error("userType {} is not yours to claim", .0.as_str())]
    UserTypeForbidden(UserType),
    /// It takes the PIN of whoever raised it.
    #[error("The PIN is needed")]
    PinRequired,
    /// The incident is over.
    #[error("SOS is closed")]
    Closed,
    /// The trip is over.
    #[error("Trip has ended")]
    TripEnded,
    /// The state machine has no such move.
    #[error("cannot go from {} to {}", .from.as_str(), .to.as_str())]
    InvalidTransition {
        /// The present state.
        from: Status,
        /// The state asked for.
        to: Status,
    },
    /// The caller's idea of the present state is out of date.
    #[error("status is {}, not {}", .actual.as_str(), .expected.as_str())]
    StatusMismatch {
        /// The caller's idea.
        expected: Status,
        /// The present state.
        actual: Status,
    },
    /// This message is in the log already: not a failure, the first answer stands.
    #[error("message was sent before")]
    SentBefore {
        /// Where.
        seq: Seq,
    },
    /// The room has no such thing.
    #[error("Not possible in this kind of room")]
    WrongKind,
}
