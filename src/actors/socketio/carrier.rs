//! What a connection travels on: it is polled for, or has a socket; and one may be about to take over.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::stream::{self, Stream, StreamExt as _};

use super::messages::{Heard, What};
use crate::delivery::{Afar, CloseReason, Frame, Outbox};
use crate::transport::{Inbound, Message};
use crate::wire::socketio::engine::{self, SocketId};

/// How a connection begins.
#[derive(Debug)]
pub enum Carrier {
    /// It is polled for.
    Polls(Afar),
    /// By a WebSocket.
    Socket(Arc<Outbox>, Inbound),
}

/// Where what the client is owed goes.
#[derive(Debug)]
pub(super) enum Way {
    Polls(Rc<Afar>),
    Socket,
}

/// A socket that wants to take over.
#[derive(Debug)]
pub(super) struct Candidate {
    pub socket: SocketId,
    outbox: Arc<Outbox>,
    inbound: Rc<RefCell<Inbound>>,
}

impl Candidate {
    /// One, and what comes over it.
    pub fn new(
        socket: SocketId,
        (outbox, inbound): (Arc<Outbox>, Inbound),
    ) -> (Self, impl Stream<Item = Heard> + use<>) {
        let inbound = Rc::new(RefCell::new(inbound));
        let candidate = Self {
            socket,
            outbox,
            inbound: Rc::clone(&inbound),
        };
        let heard = stream::poll_fn(move |cx| inbound.borrow_mut().poll_next_unpin(cx));
        (candidate, tell(socket, heard))
    }

    pub fn send(&self, frame: &engine::Frame) {
        let _ = self.outbox.push_event(&websocket(frame));
    }

    pub fn hang_up(&self) {
        let _ = self.outbox.close(CloseReason::Normal);
    }

    /// Takes over. False when it has ended.
    pub fn board(self, afar: &Afar) -> bool {
        self.inbound.borrow_mut().board(afar)
    }
}

/// What comes over a socket, and that it ended.
pub(super) fn tell(socket: SocketId, messages: impl Stream<Item = Message>) -> impl Stream<Item = Heard> {
    let heard = messages.map(move |message| Heard {
        socket,
        what: match message {
            Message::Text(text) => What::Text(text),
            Message::Binary(bytes) => What::Binary(bytes),
        },
    });
    let gone = Heard {
        socket,
        what: What::Gone,
    };
    heard.chain(stream::once(std::future::ready(gone)))
}

/// A packet as a WebSocket's message.
pub(super) fn websocket(frame: &engine::Frame) -> Frame {
    match frame {
        engine::Frame::Text(text) => Frame::text(text.as_bytes()),
        engine::Frame::Binary(bytes) => Frame::binary(bytes),
    }
}

/// WebSocket messages as the packets that they carry.
pub(super) fn packets(frames: Vec<Frame>) -> impl Iterator<Item = engine::Frame> {
    let single = frames
        .into_iter()
        .flat_map(|frame| frame.apart().collect::<Vec<_>>());
    single.filter_map(|frame| {
        let payload = bytes::Bytes::copy_from_slice(frame.payload());
        if frame.is_binary() {
            return Some(engine::Frame::Binary(payload));
        }
        // What we wrote is UTF-8; anything else would be no text.
        payload.try_into().ok().map(engine::Frame::Text)
    })
}
