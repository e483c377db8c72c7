//! What a session asks to be done, in this order.

use super::packet::{Data, Frame, Malformed};

/// A poll that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PollId(pub(super) u32);

/// A WebSocket of a session. What comes from one that the session has given up is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SocketId(pub(super) u32);

/// Something to be done. `E` is what the layer that one listens to tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<E> {
    /// Answer this poll: status 200, `text/plain; charset=UTF-8`, not to be stored.
    Answer {
        /// The poll.
        poll: PollId,
        /// The body.
        body: String,
    },
    /// Send this.
    Send {
        /// Over this socket.
        socket: SocketId,
        /// As one message.
        frame: Frame,
    },
    /// Close this socket, once what was sent before has left.
    HangUp {
        /// The socket.
        socket: SocketId,
    },
    /// Something happened.
    Event(E),
}

/// What happens to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The client says something.
    Message(Data),
    /// The session moved from polling to this socket.
    Upgraded(SocketId),
    /// It is over. Nothing comes after this.
    Closed(End),
}

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The client said so.
    Client,
    /// We said so.
    Server,
    /// Its WebSocket is gone.
    SocketGone,
    /// A poll was given up by the client before it was answered.
    PollGone,
    /// A POST broke off.
    PostGone,
    /// A second poll while one waits.
    TwoPolls,
    /// A second POST while one is being read.
    TwoPosts,
    /// No pong in time.
    PingTimeout,
    /// Not the protocol.
    Malformed(Malformed),
    /// A body or message over the limit.
    TooLarge,
    /// Too much waits for it.
    TooSlow,
}
