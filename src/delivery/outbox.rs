//! The outbox of one connection: its state behind a lock, and the bell that calls the hub.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::{Mutex, MutexGuard};

use super::hub::HubShared;
use super::signals::SignalKey;
use super::state::{OutboxState, Phase, Push};
use super::versions::{Mark, Own};
use super::{CloseReason, EndReason, Frame, Sent};

/// What one connection is owed. Shared by its session and by the rooms it is in.
///
/// A push never blocks and never waits for the reader.
#[derive(Debug)]
pub struct Outbox {
    /// `None` for an outbox without a socket, as tests of rooms use it.
    hub: Option<Arc<HubShared>>,
    slot: u32,
    cell: Mutex<Cell>,
}

/// How a hub was called for an outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Call {
    /// Not at all.
    None,
    /// For signals, which may wait for the end of their gap.
    Calm,
    /// For what does not wait.
    Urgent,
}

#[derive(Debug)]
pub(super) struct Cell {
    pub(super) state: OutboxState,
    /// Whether the hub has it on its list: it need not be called twice.
    pub(super) called: Call,
    /// Whether the socket takes nothing now: calling the hub would be in vain, and signals that
    /// are out of date are not worth keeping. Always so where there is no socket.
    pub(super) blocked: bool,
    /// Whether the hub was told that this side closes.
    announced: bool,
    /// The session's task, to be told when the connection is closed from this side.
    pub(super) reader: Option<Waker>,
    /// Those who wait until no more than so many bytes are queued. Boxed because it is rare.
    drain: Option<Box<Waiters>>,
}

impl Cell {
    /// Whether the hub must be called now.
    pub(super) fn ring(&mut self, rank: Call) -> bool {
        let call = if self.state.phase() == Phase::Open {
            self.called < rank && !self.blocked
        } else {
            // Once is enough: what still waits then leaves as the socket lets it.
            !std::mem::replace(&mut self.announced, true)
        };
        if call {
            self.called = rank;
        }
        call
    }

    /// Runs `change` and notes by how much the queue grew.
    pub(super) fn tally<T>(
        &mut self,
        sent: &mut Sent,
        change: impl FnOnce(&mut OutboxState, &mut Sent) -> T,
    ) -> T {
        let before = self.state.queued_bytes();
        let result = change(&mut self.state, sent);
        sent.bytes += signed(self.state.queued_bytes()) - signed(before);
        result
    }

    /// Whether somebody waits for room.
    pub(super) fn has_waiter(&self) -> bool {
        self.drain.is_some()
    }

    /// Takes those who wait for room, if there is enough of it for one of them or never will be. The others
    /// wait again.
    pub(super) fn room_waiters(&mut self) -> Option<Box<Waiters>> {
        let queued = self.state.queued_bytes();
        let gone = self.state.phase() == Phase::Gone;
        let due = self.drain.as_ref()?.0.iter().any(|(below, _)| queued <= *below);
        if due || gone { self.drain.take() } else { None }
    }
}

/// Who waits for room, and for how much.
#[derive(Debug, Default)]
pub(super) struct Waiters(Vec<(usize, Waker)>);

impl Waiters {
    pub(super) fn wake(self) {
        self.0.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

impl Outbox {
    pub(super) fn attached(hub: Arc<HubShared>, slot: u32, state: OutboxState) -> Arc<Self> {
        Arc::new(Self::with(Some(hub), slot, state))
    }

    /// An outbox that no socket empties, for tests of those who fill outboxes.
    #[must_use]
    pub fn detached(max_bytes: usize) -> Arc<Self> {
        Arc::new(Self::with(None, 0, OutboxState::new(max_bytes)))
    }

    fn with(hub: Option<Arc<HubShared>>, slot: u32, state: OutboxState) -> Self {
        let blocked = hub.is_none();
        Self {
            hub,
            slot,
            cell: Mutex::new(Cell {
                state,
                called: Call::None,
                blocked,
                announced: false,
                reader: None,
                drain: None,
            }),
        }
    }

    /// Queues an event for this connection alone.
    pub fn push_event(&self, frame: &Frame) -> Push {
        self.change(|state, sent| state.push_event(frame, sent))
    }

    /// Queues a signal for this connection alone.
    pub fn push_signal(&self, key: SignalKey, frame: &Frame) -> Push {
        let mut sent = Sent::default();
        let mut cell = self.lock();
        let stalled = cell.blocked;
        let push = cell.tally(&mut sent, |state, sent| {
            state.push_signal(key, frame, stalled, sent)
        });
        self.after(cell, sent, Call::Calm);
        push
    }

    /// Drops the signals of a room that wait: whoever reads here is no longer in it.
    pub fn forget_signals(&self, room: u64) {
        self.change(|state, sent| state.forget_signals(room, sent));
    }

    /// Queues a ping or pong, which goes before everything else.
    pub fn push_control(&self, frame: Frame) -> Push {
        self.change(|state, _| state.push_control(frame))
    }

    /// Closes the connection: queued events leave first, then the close frame. Only the first
    /// close counts; returns whether this was it.
    pub fn close(&self, reason: CloseReason) -> bool {
        self.change(|state, _| state.close(EndReason::Closed(reason), reason))
    }

    /// The peer said goodbye: answers with its own code.
    pub fn peer_closed(&self, code: Option<u16>) -> bool {
        self.change(|state, _| state.close(EndReason::PeerClosed(code), CloseReason::Echo(code)))
    }

    /// The connection is lost; what was queued is dropped.
    pub fn fail(&self, end: EndReason) {
        self.change(|state, _| state.fail(end));
        self.call_hub();
    }

    /// How far the outgoing side has come.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.lock().state.phase()
    }

    /// Whether it still takes events and signals.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.phase() == Phase::Open
    }

    /// Why the session ended, once it has.
    #[must_use]
    pub fn end_reason(&self) -> Option<EndReason> {
        self.lock().state.end()
    }

    /// All that waits, in bytes on the wire.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.lock().state.queued_bytes()
    }

    /// Resolves when at most `below` bytes wait, or the connection is gone. For one who can make
    /// his own source wait; a room cannot.
    pub fn drained(self: &Arc<Self>, below: usize) -> Drained {
        Drained {
            outbox: Arc::clone(self),
            below,
        }
    }

    /// Takes everything out of a detached outbox, in the order in which it would have left.
    #[must_use]
    pub fn drain(&self) -> Vec<Frame> {
        let taken = self.take_out(usize::MAX);
        taken.into_iter().map(super::Taken::into_frame).collect()
    }

    /// Takes about so many bytes out, without the close frame.
    pub(super) fn fetch(&self, max_bytes: usize) -> Vec<Frame> {
        let taken = self.take_out(max_bytes).into_iter();
        let taken = taken.filter(|item| !item.is_close());
        taken.map(super::Taken::into_frame).collect()
    }

    fn take_out(&self, max_bytes: usize) -> Vec<super::Taken> {
        let mut taken = Vec::new();
        let mut cell = self.lock();
        let mut sent = Sent::default();
        cell.tally(&mut sent, |state, _| state.take(&mut taken, max_bytes));
        if taken.last().is_some_and(super::Taken::is_close) {
            cell.state.close_sent();
        }
        let waiters = cell.room_waiters();
        drop(cell);
        sent.record();
        if let Some(waiters) = waiters {
            waiters.wake();
        }
        taken
    }

    /// Queues an event in this reader's own version of it.
    pub fn push_own(&self, own: &dyn Own, shared: &Frame, mark: Mark) -> Push {
        // While it is locked, so that what they are told last is what they get last.
        self.change(|state, sent| state.push_event(&own.version(shared, mark), sent))
    }

    /// Puts frames before all events that wait: they were sent before those, by another way.
    pub fn lead_with(&self, frames: Vec<Frame>) {
        self.change(|state, sent| state.lead_events(frames, sent));
    }

    /// The hub calls whoever waits to fetch what is owed.
    pub(super) fn call_fetcher(&self) {
        self.lock().called = Call::None;
        self.wake_reader();
    }

    pub(super) fn wake_reader(&self) {
        let waker = self.lock().reader.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Waits, in the session's task, for the connection to be closed from this side.
    pub(crate) fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut cell = self.lock();
        if cell.state.phase() != Phase::Open {
            return Poll::Ready(());
        }
        match &mut cell.reader {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Cell> {
        self.cell.lock()
    }

    pub(super) fn slot(&self) -> u32 {
        self.slot
    }

    pub(super) fn hub(&self) -> Option<&Arc<HubShared>> {
        self.hub.as_ref()
    }

    /// Puts the connection on its hub's list, whatever its state.
    pub(super) fn call_hub(&self) {
        let mut cell = self.lock();
        cell.blocked = false;
        let call = cell.called < Call::Urgent;
        cell.called = Call::Urgent;
        drop(cell);
        if let (true, Some(hub)) = (call, &self.hub) {
            hub.ring(&[self.slot], true);
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut OutboxState, &mut Sent) -> T) -> T {
        let mut sent = Sent::default();
        let mut cell = self.lock();
        let result = cell.tally(&mut sent, change);
        self.after(cell, sent, Call::Urgent);
        result
    }

    fn after(&self, mut cell: MutexGuard<'_, Cell>, sent: Sent, rank: Call) {
        let call = cell.ring(rank);
        drop(cell);
        sent.record();
        if let (true, Some(hub)) = (call, &self.hub) {
            hub.ring(&[self.slot], rank == Call::Urgent);
        }
    }
}

/// The socket became ready: the hub shall look at it again. That the outbox itself is the waker
/// spares a blocked connection a task of its own.
impl Wake for Outbox {
    fn wake(self: Arc<Self>) {
        self.call_hub();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.call_hub();
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        Sent {
            bytes: -signed(self.cell.get_mut().state.queued_bytes()),
            ..Sent::default()
        }
        .record();
    }
}

/// See [`Outbox::drained`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Drained {
    outbox: Arc<Outbox>,
    below: usize,
}

impl Future for Drained {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut cell = self.outbox.lock();
        if cell.state.queued_bytes() <= self.below || cell.state.phase() == Phase::Gone {
            return Poll::Ready(());
        }
        let waiters = &mut cell.drain.get_or_insert_default().0;
        match waiters.iter_mut().find(|(_, waker)| waker.will_wake(cx.waker())) {
            Some((below, _)) => *below = (*below).max(self.below),
            None => waiters.push((self.below, cx.waker().clone())),
        }
        Poll::Pending
    }
}
