//! What is wrong with a Socket.IO packet.

use thiserror::Error;

/// Why a message is no packet, or comes at the wrong place. It ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// It starts with none of the digits.
    #[error("a packet of no known type")]
    UnknownType,
    /// The number of attachments is missing, 0, or no number.
    #[error("no proper number of attachments")]
    AttachmentCount,
    /// More attachments than are taken.
    #[error("too many attachments")]
    TooManyAttachments,
    /// Larger attachments than are taken.
    #[error("too large attachments")]
    TooLargeAttachments,
    /// A placeholder for an attachment that there is not.
    #[error("a placeholder for no attachment")]
    Placeholder,
    /// The number of an acknowledgement is missing, too large, or where none belongs.
    #[error("no proper number of an acknowledgement")]
    AckId,
    /// What must be JSON of a certain kind is not, or there is something where nothing belongs.
    #[error("no proper payload")]
    Payload,
    /// The event has no name, or one that the client keeps for itself.
    #[error("no proper name of an event")]
    EventName,
    /// Text where an attachment must come.
    #[error("text instead of an attachment")]
    AttachmentExpected,
    /// An attachment that nobody announced.
    #[error("an attachment of nothing")]
    AttachmentUnexpected,
    /// A packet for a namespace that the client is not connected to, or a second connect.
    #[error("a packet out of place")]
    OutOfPlace,
}
