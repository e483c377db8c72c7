//! The reading side of a connection, as a stream of messages.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use futures_util::Stream;

use super::decoder::{Decoded, Decoder};
use crate::delivery::{Afar, CloseReason, Conn, EndReason, Frame, Outbox};

/// One read takes at most so much.
const SCRATCH_BYTES: usize = 64 * 1024;

/// Frames handled before other tasks of the thread get their turn.
const FRAMES_A_TURN: u32 = 32;

thread_local! {
    /// Where every connection of the thread reads. What is left of it when a frame is incomplete
    /// moves to the connection.
    static SCRATCH: RefCell<BytesMut> = RefCell::new(BytesMut::with_capacity(SCRATCH_BYTES));
}

/// A complete message from the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Text, checked to be UTF-8.
    Text(ByteString),
    /// Anything else.
    Binary(Bytes),
}

/// The messages of one connection. Pings are answered, close frames echoed and the protocol kept
/// inside; the stream ends when the session does, and the outbox then says why
/// ([`Outbox::end_reason`]).
///
/// When it is dropped before that, the client is told 4100 and comes back.
#[derive(Debug)]
pub struct Inbound {
    /// `None` only between two places, see [`board`](Self::board).
    conn: Option<Rc<Conn>>,
    decoder: Decoder,
    /// Bytes of frames that were not handed on yet. Without capacity while there are none.
    pending: BytesMut,
    /// Whether `pending` starts with an incomplete frame.
    incomplete: bool,
    turn: u32,
    ended: bool,
}

impl Inbound {
    pub(super) fn new(conn: Rc<Conn>, first: BytesMut, frame_max: usize, message_max: usize) -> Self {
        Self {
            conn: Some(conn),
            decoder: Decoder::new(frame_max, message_max),
            pending: first,
            incomplete: false,
            turn: 0,
            ended: false,
        }
    }

    /// The outbox of the same connection.
    #[must_use]
    pub fn outbox(&self) -> &Arc<Outbox> {
        self.conn().outbox()
    }

    fn conn(&self) -> &Rc<Conn> {
        self.conn.as_ref().expect("invariant: a connection has a place")
    }

    /// Takes the place of a client that fetched until now: what that one is owed leaves by this socket from here on.
    /// False when it ended in between; the client is then gone.
    pub fn board(&mut self, afar: &Afar) -> bool {
        // What was on its way by itself has been read: the peer has answered it.
        let socket = self.conn.take().and_then(|conn| afar.release(conn));
        self.conn = socket.map(|socket| afar.board(socket));
        self.ended |= self.conn.is_none();
        !self.ended
    }

    /// Looks for the next message among the bytes that are here.
    fn next_decoded(&mut self) -> Result<Option<Decoded>, CloseReason> {
        if self.pending.is_empty() || self.incomplete {
            return Ok(None);
        }
        let decoded = self.decoder.decode(&mut self.pending, false)?;
        self.incomplete = decoded.is_none();
        if self.pending.is_empty() {
            self.pending = BytesMut::new();
        }
        Ok(decoded)
    }

    /// Reads once, into the scratch buffer unless bytes wait for their rest.
    fn read(&mut self) -> io::Result<Result<Option<Decoded>, CloseReason>> {
        if !self.pending.is_empty() {
            self.pending.reserve(SCRATCH_BYTES);
            let conn = Rc::clone(self.conn());
            if conn.read(&mut self.pending)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.incomplete = false;
            return Ok(Ok(None));
        }
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            scratch.reserve(SCRATCH_BYTES);
            if self.conn().read(scratch)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let decoded = self.decoder.decode(scratch, true);
            if !scratch.is_empty() {
                self.pending = BytesMut::from(&scratch[..]);
                self.incomplete = matches!(decoded, Ok(None));
            }
            Ok(decoded)
        })
    }

    fn end(&mut self) -> Poll<Option<Message>> {
        self.ended = true;
        self.pending = BytesMut::new();
        Poll::Ready(None)
    }

    /// Gives other tasks their turn when this connection had many frames in a row.
    fn must_yield(&mut self, cx: &Context<'_>) -> bool {
        self.turn += 1;
        if self.turn <= FRAMES_A_TURN {
            return false;
        }
        self.turn = 0;
        cx.waker().wake_by_ref();
        true
    }
}

impl Stream for Inbound {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let this = self.get_mut();
        if this.ended || this.outbox().poll_closed(cx).is_ready() {
            return this.end();
        }
        loop {
            if this.must_yield(cx) {
                return Poll::Pending;
            }
            let decoded = match this.next_decoded() {
                Ok(None) => {
                    if this.conn().poll_readable(cx).is_pending() {
                        this.turn = 0;
                        return Poll::Pending;
                    }
                    match this.read() {
                        Ok(decoded) => decoded,
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                        Err(error) => {
                            let gone = error.kind() == io::ErrorKind::UnexpectedEof;
                            this.outbox().fail(if gone {
                                EndReason::PeerGone
                            } else {
                                EndReason::Broken
                            });
                            return this.end();
                        }
                    }
                }
                decoded => decoded,
            };
            match decoded {
                Ok(Some(Decoded::Message(message))) => return Poll::Ready(Some(message)),
                Ok(Some(Decoded::Ping(payload))) => {
                    this.outbox().push_control(Frame::pong(&payload));
                }
                Ok(Some(Decoded::Nothing) | None) => {}
                Ok(Some(Decoded::Close(code))) => {
                    this.outbox().peer_closed(code);
                    return this.end();
                }
                Err(reason) => {
                    this.outbox().close(reason);
                    return this.end();
                }
            }
        }
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        if let Some(conn) = &self.conn {
            conn.outbox().close(CloseReason::ServerError);
            conn.leave();
        }
    }
}
