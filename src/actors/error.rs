//! Why the engine did not do what was asked of it.

use std::time::Duration;

use crate::domain::budget::Budget;
use crate::domain::geo::InvalidGeo;
use crate::domain::ids::RoomId;
use crate::domain::room::Rejection;
use crate::store::StoreError;

/// Why a command was not carried out. Nothing was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The room refused.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// Too much waits for this room or shard already.
    #[error("too busy, try again")]
    Busy,
    /// No answer in time: it may still happen.
    #[error("no answer in time")]
    TimedOut,
    /// The room failed and is being rebuilt from its log: it may have happened, ask again.
    #[error("the room was restarted, ask again")]
    Restarted,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This idempotency key made another room before.
    #[error("answered before")]
    Repeated(RoomId),
    /// The caller is in no room that would get their position.
    #[error("not in any active room")]
    NoActiveRoom,
    /// The caller may not send positions to that room.
    #[error("not authorized to broadcast to this room")]
    MayNotBroadcast,
    /// No SOS of theirs stands.
    #[error("No active emergency")]
    NoEmergency,
    /// A value is out of bounds.
    #[error(transparent)]
    Geo(#[from] InvalidGeo),
    /// Whether there is such an incident only the SOS service knows, and it does not answer: ask again after this.
    #[error("the SOS service does not answer, try again")]
    SosServiceAway(Duration),
    /// Too many incidents were asked for that nobody knows here: ask again after this.
    #[error("Too many, come back in {} s", .0.as_secs().max(1))]
    TooMany(Duration),
    /// What was typed in is not their PIN.
    #[error("Wrong PIN; {left} more may be tried")]
    WrongPin {
        /// How often another may be tried.
        left: u32,
    },
    /// Too many wrong PINs were tried: none is taken for a while.
    #[error("Too many wrong PINs, come back in {} s", .0.wait.as_secs().max(1))]
    PinLocked(Budget),
    /// The fix says that it was measured in the future.
    #[error("timestamp lies in the future")]
    FromTheFuture,
}

impl CommandError {
    /// The code that clients and metrics know it by.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Rejected(rejection) => match rejection {
                Rejection::NotFound => "ROOM_NOT_FOUND",
                Rejection::AlreadyExists => "ROOM_EXISTS",
                Rejection::NotActive => "ROOM_NOT_ACTIVE",
                Rejection::MayNotJoin => "NOT_AUTHORIZED",
                Rejection::AlreadyIn => "ALREADY_IN_ROOM",
                Rejection::NotIn | Rejection::NoSuchParticipant => "NOT_IN_ROOM",
                Rejection::NoSuchRequest => "NO_SUCH_REQUEST",
                Rejection::TooManyRequests => "TOO_MANY_REQUESTS",
                Rejection::Full => "ROOM_FULL",
                Rejection::Forbidden | Rejection::OutOfScope(_) => "FORBIDDEN",
                Rejection::UserTypeForbidden(_) => "USER_TYPE_FORBIDDEN",
                Rejection::PinRequired => "PIN_REQUIRED",
                Rejection::Closed => "SOS_CLOSED",
                Rejection::TripEnded => "TRIP_ENDED",
                Rejection::InvalidTransition { .. } => "INVALID_TRANSITION",
                Rejection::StatusMismatch { .. } => "STATUS_MISMATCH",
                Rejection::SentBefore { .. } => "SENT_BEFORE",
                Rejection::WrongKind => "WRONG_ROOM_KIND",
            },
            Self::Busy => "BUSY",
            Self::TimedOut => "TIMEOUT",
            Self::Restarted => "ROOM_RESTARTED",
            Self::Store(StoreError::Busy) => "STORE_BUSY",
            Self::Store(StoreError::Full) => "STORE_FULL",
            Self::Store(_) => "STORE_UNAVAILABLE",
            Self::Repeated(_) => "REPEATED",
            Self::NoActiveRoom => "NO_ACTIVE_ROOM",
            Self::MayNotBroadcast => "NOT_AUTHORIZED",
            Self::SosServiceAway(_) => "SOS_SERVICE_UNAVAILABLE",
            Self::TooMany(_) | Self::PinLocked(_) => "RATE_LIMITED",
            Self::WrongPin { .. } => "WRONG_PIN",
            Self::NoEmergency => "NO_EMERGENCY",
            Self::Geo(_) | Self::FromTheFuture => "INVALID_FIELD",
        }
    }
}
