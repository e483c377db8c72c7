//! What a session shares with the rooms it sits in.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::voice::{JSON, Voice};
use crate::actors::clock::Clock;
use crate::actors::error::CommandError;
use crate::actors::pass::Pass;
use crate::delivery::{CloseReason, Frame, Mark, Outbox, Own, SignalKey, Tongue};
use crate::domain::ids::RoomId;
use crate::domain::people::Identity;
use crate::domain::room::Event;
use crate::domain::time::Timestamp;
use crate::wire::incident::{self, Word};
use crate::wire::json::ServerMessage;
use crate::wire::socketio::Namespace;

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
    voice: Voice,
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
        (outbox, voice): (Arc<Outbox>, Voice),
        clock: Arc<dyn Clock>,
        pass: Arc<dyn Pass>,
        rooms_max: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            id: SessionId::fresh(),
            identity,
            outbox,
            voice,
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

    /// The tongue that it is spoken to in.
    pub fn tongue(&self) -> Tongue {
        match &self.voice {
            Voice::Json => JSON,
            Voice::Incident(incident) => incident.tongue(),
        }
    }

    /// Whether it speaks the JSON dialect, in which commands are answered by frames.
    pub fn speaks_json(&self) -> bool {
        matches!(self.voice, Voice::Json)
    }

    /// Who makes its own version of events, if it has one.
    pub fn own(self: &Arc<Self>) -> Option<Arc<dyn Own>> {
        match &self.voice {
            Voice::Incident(incident) if incident.recovers() => Some(Arc::clone(self) as Arc<dyn Own>),
            _ => None,
        }
    }

    /// Owes it a frame of the JSON dialect, in order; to one that speaks another nothing is said.
    pub fn push(&self, frame: &Frame) {
        if self.speaks_json() {
            let _ = self.outbox.push_event(frame);
        }
    }

    /// Owes it a frame that a newer one replaces.
    pub fn push_signal(&self, key: SignalKey, frame: &Frame) {
        let _ = self.outbox.push_signal(key, frame);
    }

    /// A message in its dialect; `None` when it has no words for that.
    pub fn frame(&self, message: &ServerMessage<'_>, now: Timestamp) -> Option<Frame> {
        match &self.voice {
            Voice::Json => Some(Frame::text(&message.encode(now))),
            Voice::Incident(seat) if !seat.hears_rooms() => None,
            Voice::Incident(seat) => seat.frame(&incident::translate(message, now)),
        }
    }

    /// Owes it a message.
    pub fn send(&self, message: &ServerMessage<'_>, now: Timestamp) {
        if let Some(frame) = self.frame(message, now) {
            let _ = self.outbox.push_event(&frame);
        }
    }

    /// Owes an incident client these events.
    pub fn say(&self, words: &[Word]) {
        if let Voice::Incident(seat) = &self.voice
            && let Some(frame) = seat.frame(words)
        {
            let _ = self.outbox.push_event(&frame);
        }
    }

    /// Owes an incident client an event of a room's log.
    pub fn tell(&self, event: &Event, words: &[Word], number: u64) {
        let mark = Mark {
            room: number,
            seq: event.seq.get(),
        };
        if let Voice::Incident(seat) = &self.voice
            && let Some(frame) = seat.frame(words)
        {
            let _ = self.outbox.push_own(self, &frame, mark);
        }
    }

    /// It sits down in a room having all that stands before the mark, and is told so by `message`, if at all.
    pub fn begin(&self, room: &RoomId, mark: Mark, message: Option<&ServerMessage<'_>>, now: Timestamp) {
        let frame = message.and_then(|message| self.frame(message, now));
        match &self.voice {
            Voice::Json => {
                if let Some(frame) = frame {
                    let _ = self.outbox.push_event(&frame);
                }
            }
            Voice::Incident(seat) => {
                seat.begin(room, mark);
                if let Some(frame) = frame {
                    let _ = self.outbox.push_own(self, &frame, mark);
                }
            }
        }
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
        if let Voice::Incident(seat) = &self.voice
            && !comes_back(reason)
        {
            // A client of Socket.IO comes back by itself unless it was put out of its namespace.
            let _ = self.outbox.push_event(&farewell(seat.namespace()));
        }
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
        if let Voice::Incident(seat) = &self.voice {
            seat.leave(room);
        }
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

/// Its own version of events tells an incident client how far it is.
impl Own for SessionShared {
    fn version(&self, shared: &Frame, mark: Mark) -> Frame {
        match &self.voice {
            Voice::Json => shared.clone(),
            Voice::Incident(seat) => seat.version(shared, mark),
        }
    }
}

/// Whether coming back at once, with the same credential, may lead to something.
fn comes_back(reason: CloseReason) -> bool {
    reason.reconnect() && !matches!(reason, CloseReason::Forbidden)
}

/// The packet that puts a client out of a namespace.
fn farewell(namespace: &Namespace) -> Frame {
    if namespace.is_main() {
        Frame::text(b"41")
    } else {
        Frame::text(format!("41{},", namespace.as_str()).as_bytes())
    }
}
