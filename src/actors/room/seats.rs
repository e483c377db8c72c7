//! Who listens to a room. Kept outside the actor, so that a rebuilt room finds them where they sat.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::messages::Departure;
use crate::actors::session::{SessionId, SessionShared};
use crate::bus::{News, NodeId};
use crate::domain::ids::ParticipantId;
use crate::domain::people::Subject;
use crate::domain::room::Seq;

/// One session's seat.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    pub session: Arc<SessionShared>,
    pub participant: ParticipantId,
    /// The log's head when they sat down.
    pub from: Seq,
    /// They have asked for what they missed, or need nothing.
    pub resumed: bool,
    /// How far they have been told, while they catch up; `None`: as far as everybody.
    pub behind: Option<Seq>,
}

#[derive(Debug, Default)]
struct Inner {
    seats: HashMap<SessionId, Seat>,
    departed: Vec<Departure>,
    forgotten: Vec<Subject>,
}

/// What a room's actor is at; others read it without asking the actor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// The log is being read.
    #[default]
    Loading,
    /// Commands are decided as they come.
    Ready,
    /// A batch is on its way to the disk.
    Writing,
    /// The end of the log is being read: others may have written.
    Looking,
    /// The log could not be read; the next message tries again.
    Unread,
}

/// Messages of other nodes that wait for the room, at most; beyond, it looks into the store instead.
const INBOX_MAX: usize = 256;

/// What other nodes said, and what the bus did, since the room looked last.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    pub news: VecDeque<(NodeId, News)>,
    /// Something was not heard.
    pub missed: bool,
    /// The room's topic is listened to from now on.
    pub listening: bool,
    /// The set of living nodes has changed.
    pub census: bool,
}

impl Inbox {
    /// Takes a message; false: there is no room for it.
    pub fn hear(&mut self, from: NodeId, news: News) -> bool {
        let fits = self.news.len() < INBOX_MAX;
        if fits {
            self.news.push_back((from, news));
        } else {
            self.news.clear();
            self.missed = true;
        }
        fits
    }
}

/// What outlives a room's actor.
#[derive(Debug)]
pub struct RoomShared {
    number: u64,
    announced: AtomicU64,
    phase: Mutex<Phase>,
    inner: Mutex<Inner>,
    inbox: Mutex<Inbox>,
    /// Something is in the inbox.
    called: AtomicBool,
    /// This node wrote last, and tells linked rooms of it.
    drives: AtomicBool,
}

impl RoomShared {
    /// For room number `number` of this node, which signals are keyed by.
    pub fn new(number: u64) -> Arc<Self> {
        Arc::new(Self {
            number,
            announced: AtomicU64::new(0),
            phase: Mutex::default(),
            inner: Mutex::default(),
            inbox: Mutex::default(),
            called: AtomicBool::new(false),
            drives: AtomicBool::new(false),
        })
    }

    pub(super) fn drives(&self) -> bool {
        self.drives.load(Ordering::Relaxed)
    }

    pub(super) fn set_drives(&self, drives: bool) {
        self.drives.store(drives, Ordering::Relaxed);
    }

    /// Leaves something in the inbox. True when the room has to be told to look.
    pub(super) fn leave(&self, put: impl FnOnce(&mut Inbox)) -> bool {
        put(&mut self.inbox.lock());
        !self.called.swap(true, Ordering::AcqRel)
    }

    /// The room could not be told: whoever comes next tries again.
    pub(super) fn not_called(&self) {
        self.called.store(false, Ordering::Release);
    }

    /// Whether something is in the inbox.
    pub(super) fn is_called(&self) -> bool {
        self.called.load(Ordering::Acquire)
    }

    /// Takes what is in the inbox.
    pub(super) fn take_inbox(&self) -> Inbox {
        self.not_called();
        std::mem::take(&mut *self.inbox.lock())
    }

    /// The room's number on this node.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How far the log has been announced to those who sit here.
    pub fn announced(&self) -> Seq {
        Seq::new(self.announced.load(Ordering::Acquire))
    }

    pub(super) fn set_announced(&self, seq: Seq) {
        self.announced.store(seq.get(), Ordering::Release);
    }

    /// What the actor is at, or was at when it ended.
    pub fn phase(&self) -> Phase {
        *self.phase.lock()
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        *self.phase.lock() = phase;
    }

    /// Whether nobody sits here.
    pub fn is_deserted(&self) -> bool {
        let inner = self.inner.lock();
        inner.seats.is_empty() && inner.departed.is_empty()
    }

    /// How many sit here.
    pub fn seated(&self) -> usize {
        self.inner.lock().seats.len()
    }

    pub(super) fn sit(&self, seat: Seat) {
        self.inner.lock().seats.insert(seat.session.id(), seat);
    }

    pub(super) fn update<R>(&self, session: SessionId, change: impl FnOnce(&mut Seat) -> R) -> Option<R> {
        self.inner.lock().seats.get_mut(&session).map(change)
    }

    pub(super) fn seat(&self, session: SessionId) -> Option<Seat> {
        self.inner.lock().seats.get(&session).cloned()
    }

    pub(super) fn stand_up(&self, session: SessionId) -> Option<Seat> {
        self.inner.lock().seats.remove(&session)
    }

    pub(super) fn seats(&self) -> Vec<Seat> {
        self.inner.lock().seats.values().cloned().collect()
    }

    /// Who sits here, and who has gone since the room looked last; both as of one moment.
    pub(super) fn seats_and_departed(&self) -> (Vec<Seat>, Vec<Departure>) {
        let inner = self.inner.lock();
        (inner.seats.values().cloned().collect(), inner.departed.clone())
    }

    /// A session has ended. The room learns of it when it looks.
    pub(super) fn depart(&self, session: SessionId) -> bool {
        let mut inner = self.inner.lock();
        let Some(seat) = inner.seats.remove(&session) else {
            return false;
        };
        inner.departed.push(Departure {
            session,
            participant: seat.participant,
        });
        true
    }

    /// Somebody was erased. The room forgets them when it looks.
    pub(super) fn forget(&self, subject: Subject) {
        let mut inner = self.inner.lock();
        if !inner.forgotten.contains(&subject) {
            inner.forgotten.push(subject);
        }
    }

    pub(super) fn take_forgotten(&self) -> Vec<Subject> {
        std::mem::take(&mut self.inner.lock().forgotten)
    }

    pub(super) fn take_departed(&self) -> Vec<Departure> {
        std::mem::take(&mut self.inner.lock().departed)
    }
}
