//! What the carriers of a connection tell its actor.

use actix::Message;
use bytes::Bytes;
use bytestring::ByteString;
use tokio::sync::oneshot;

use crate::transport::Handover;
use crate::wire::socketio::engine::{PollId, Refusal, SocketId};

/// A poll that waits for its answer, the body. Nothing comes when the connection ends first.
#[derive(Debug)]
pub struct Waiting {
    /// Its number, for [`PollGone`].
    pub id: PollId,
    /// The answer.
    pub body: oneshot::Receiver<String>,
}

/// The client polls.
#[derive(Debug, Message)]
#[rtype(result = "Result<Waiting, Refusal>")]
pub struct Poll;

/// The client gave a poll up.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct PollGone(pub PollId);

/// The client begins to post.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Refusal>")]
pub struct BeginPost {
    /// The type of the body, if it says.
    pub content_type: Option<String>,
}

/// The body of the post that began.
#[derive(Message)]
#[rtype(result = "Result<(), Refusal>")]
pub struct Post(pub Bytes);

/// The body does not come.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct PostGone;

/// A WebSocket comes for a client that polls. It is closed again when there is no place for it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Attach(pub Handover);

/// What came over a socket of the connection.
#[derive(Debug)]
pub(super) struct Heard {
    pub socket: SocketId,
    pub what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Text(ByteString),
    Binary(Bytes),
    /// It ended.
    Gone,
}
