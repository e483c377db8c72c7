//! What a session shares with the rooms it sits in.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::actors::clock::Clock;
use crate::actors::error::CommandError;
use crate::actors::pass::Pass;
use crate::delivery::{CloseReason, Frame, Outbox, SignalKey};
use crate::domain::ids::RoomId;
use crate::domain::people::Identity;
use crate::domain::time::Timestamp;
use crate::wire::json::ServerMessage;

/// A connection's number on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl SessionId {
    /// A new one. Random, because clients see it.
    pub fn fresh() -> Self {
        static SALT: AtomicU64 = AtomicU64::new(0);
        let bits = u64::from_be_bytes(crate::actors::clock::random());
        // Never twice in one process, whatever the CSPRNG says.
        Self((bits & !0xff_ffff) | (SALT.fetch_add(1, Ordering::Relaxed) & 0xff_ffff))
    }
}

/// Whether a session could sit down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It sits.
    Seated,
    /// It sits in too many rooms.
    Full,
    /// It has ended.
    Ended,
}

struct Rooms {
    open: bool,
    rooms: Vec<RoomId>,
}

/// Held by the session's actor and by the rooms it sits in.
pub struct SessionShared {
    id: SessionId,
    identity: Arc<Identity>,
    outbox: Arc<Outbox>,
    clock: Arc<dyn Clock>,
    since: Timestamp,
    pass: Arc<dyn Pass>,
    rooms_max: usize,
    rooms: Mutex<Rooms>,
}

impl fmt::Debug for SessionShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({})", self.id)
    }
}

impl SessionShared {
    /// A session of `identity` that is written to through `outbox`.
    pub fn new(
        identity: Arc<Identity>,
        outbox: Arc<Outbox>,
        clock: Arc<dyn Clock>,
        pass: Arc<dyn Pass>,
        rooms_max: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            id: SessionId::fresh(),
            identity,
            outbox,
            since: clock.now(),
            clock,
            pass,
            rooms_max,
            rooms: Mutex::new(Rooms {
                open: true,
                rooms: Vec::new(),
            }),
        })
    }

    /// Its number.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// When it began.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// What the client is called towards itself: a name for the connection, not for the person.
    pub fn client_id(&self) -> String {
        self.id.to_string()
    }

    /// Who it is.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// What it was let in with.
    pub fn pass(&self) -> &Arc<dyn Pass> {
        &self.pass
    }

    /// What it is owed.
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// Owes it a frame, in order.
    pub fn push(&self, frame: &Frame) {
        let _ = self.outbox.push_event(frame);
    }

    /// Owes it a frame that a newer one replaces.
    pub fn push_signal(&self, key: SignalKey, frame: &Frame) {
        let _ = self.outbox.push_signal(key, frame);
    }

    /// Owes it a message.
    pub fn send(&self, message: &ServerMessage<'_>, now: Timestamp) {
        self.push(&Frame::text(&message.encode(now)));
    }

    /// Tells it that something was not done.
    pub fn error(&self, error: &CommandError, now: Timestamp) {
        let text = error.to_string();
        self.send(
            &ServerMessage::Error {
                code: error.code(),
                message: &text,
                field: None,
            },
            now,
        );
    }

    /// Closes it, after what it is owed.
    pub fn close(&self, reason: CloseReason) {
        let _ = self.outbox.close(reason);
    }

    /// Whether it still takes part.
    pub fn is_open(&self) -> bool {
        self.rooms.lock().open && self.outbox.is_open()
    }

    /// The time, for a frame that nobody else gives one.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Notes that it sits in a room.
    pub fn enter(&self, room: &RoomId) -> Entry {
        let mut inner = self.rooms.lock();
        if !inner.open {
            return Entry::Ended;
        }
        if !inner.rooms.contains(room) {
            if inner.rooms.len() >= self.rooms_max {
                return Entry::Full;
            }
            inner.rooms.push(room.clone());
        }
        Entry::Seated
    }

    /// Notes that it no longer sits in a room.
    pub fn exit(&self, room: &RoomId) {
        self.rooms.lock().rooms.retain(|other| other != room);
    }

    /// Whether it sits in a room.
    pub fn is_in(&self, room: &RoomId) -> bool {
        self.rooms.lock().rooms.contains(room)
    }

    /// Whether it could sit in one more.
    pub fn has_room(&self) -> bool {
        self.rooms.lock().rooms.len() < self.rooms_max
    }

    /// Ends it: no room seats it any more. Answers with the rooms it sat in.
    pub fn end(&self) -> Vec<RoomId> {
        let mut inner = self.rooms.lock();
        inner.open = false;
        std::mem::take(&mut inner.rooms)
    }
}
