//! What an incident client says, and the codes by which it is told that it may not.

use crate::domain::geo::Fix;
use crate::domain::ids::{MessageId, RoomId};
use crate::domain::incident::Status;
use crate::domain::pin::PinEntry;
use crate::domain::room::UserType;
use crate::wire::SentToken;
use crate::wire::field::Problem;
use crate::wire::socketio::Json;

/// The most messages that one `message:history:request` gets.
pub const HISTORY_LIMIT_MAX: usize = 100;
/// How many it gets when it does not say.
pub const HISTORY_LIMIT_DEFAULT: usize = 50;
/// The most messages that it may skip: to look further back, read them over HTTP, which pages.
pub const HISTORY_SKIP_MAX: usize = 10_000;
/// The most bytes of a `ping` that are echoed.
pub const PING_MAX_BYTES: usize = 1_024;

/// The incident's id is missing or none, or there is no such incident.
pub const INVALID_SOS_ID: &str = "INVALID_SOS_ID";
/// A field of a position is missing or out of bounds.
pub const INVALID_LOCATION: &str = "INVALID_LOCATION";
/// The status is missing or none, or the incident has no such move.
pub const INVALID_STATUS_DATA: &str = "INVALID_STATUS_DATA";
/// Another field is missing or wrong.
pub const INVALID_FIELD: &str = "INVALID_FIELD";
/// There is no event of that name.
pub const UNKNOWN_EVENT: &str = "UNKNOWN_EVENT";
/// They are not in that incident, or may not be.
pub const UNAUTHORIZED_SOS: &str = "UNAUTHORIZED_SOS";
/// It is not theirs to do.
pub const UNAUTHORIZED: &str = "UNAUTHORIZED";

/// An event of a client, checked.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientMessage {
    /// `join:sos`, `sos:init`, `sos:room:join`
    Join {
        /// Which.
        sos: RoomId,
        /// As what.
        user_type: Option<UserType>,
        /// What others may call them.
        display_name: Option<String>,
    },
    /// `leave:sos`, `sos:room:leave`
    Leave {
        /// Which.
        sos: RoomId,
    },
    /// `sos:close`
    Close {
        /// Which.
        sos: RoomId,
    },
    /// `sos:acknowledge`
    Acknowledge {
        /// Which.
        sos: RoomId,
    },
    /// `sos:status:update`
    SetStatus {
        /// Of which.
        sos: RoomId,
        /// To where.
        status: Status,
        /// The client wrote it in lower case, and so reads it.
        lower_case: bool,
        /// Proves that they end it of their own will.
        pin: Option<PinEntry>,
    },
    /// `location:update`
    Location {
        /// Where.
        sos: RoomId,
        /// Measured when it says, or now.
        fix: Fix,
        /// The place, for a person.
        address: Option<String>,
    },
    /// `rescuer:location`
    RescuerLocation {
        /// Where.
        sos: RoomId,
        /// Measured when it says, or now.
        fix: Fix,
        /// Help is there.
        arrived: bool,
    },
    /// `message:send`
    Message {
        /// Where.
        sos: RoomId,
        /// The words.
        content: String,
        /// The sender's name for it, by which a repeated one is recognised.
        id: Option<MessageId>,
    },
    /// `message:typing:start`, `message:typing:stop`
    Typing {
        /// Where.
        sos: RoomId,
        /// They began, or else stopped.
        on: bool,
        /// What others may call them.
        display_name: Option<String>,
    },
    /// `message:history:request`
    History {
        /// Where.
        sos: RoomId,
        /// At most so many, 1 to [`HISTORY_LIMIT_MAX`].
        limit: usize,
        /// Without the newest so many, up to [`HISTORY_SKIP_MAX`].
        skip: usize,
    },
    /// `participants:active:request`
    Participants {
        /// Where.
        sos: RoomId,
    },
    /// `ping`
    Ping {
        /// The object that came with it.
        echo: Json,
    },
    /// `heartbeat`
    Heartbeat,
    /// `refresh-credential`
    RefreshCredential {
        /// The new one.
        token: SentToken,
    },
}

/// Why an event could not be read. The connection stays.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ClientError {
    /// For programs.
    pub code: &'static str,
    /// For the person who wrote the client; names the field.
    pub message: String,
    /// The field at fault.
    pub field: Option<&'static str>,
}

impl From<Problem> for ClientError {
    fn from(problem: Problem) -> Self {
        let code = match problem.field {
            "sosId" => INVALID_SOS_ID,
            "status" => INVALID_STATUS_DATA,
            "latitude" | "longitude" | "accuracy" | "speed" | "heading" | "timestamp" => INVALID_LOCATION,
            _ => INVALID_FIELD,
        };
        Self {
            code,
            message: problem.message,
            field: Some(problem.field),
        }
    }
}

/// By which code incident clients know why something was refused that has `code` in the JSON dialect; codes that
/// they share stay as they are.
pub fn code_for(code: &str) -> &str {
    match code {
        "ROOM_NOT_FOUND" | "WRONG_ROOM_KIND" => INVALID_SOS_ID,
        "NOT_AUTHORIZED" | "NOT_IN_ROOM" | "NO_ACTIVE_ROOM" => UNAUTHORIZED_SOS,
        "FORBIDDEN" | "USER_TYPE_FORBIDDEN" => UNAUTHORIZED,
        "INVALID_TRANSITION" | "STATUS_MISMATCH" => INVALID_STATUS_DATA,
        "ALREADY_IN_ROOM" => "ALREADY_JOINED",
        "ROOM_FULL" => "SOS_FULL",
        "TOO_MANY_ROOMS" => "TOO_MANY_SOS",
        "ROOM_RESTARTED" => "SOS_RESTARTED",
        shared => shared,
    }
}
