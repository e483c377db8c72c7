//! A worker thread's writer: it owns the sockets of its worker and empties their outboxes.
//!
//! Whoever fills an outbox puts its slot on the hub's list, and only the first one on an empty
//! list wakes the hub. The hub then visits the whole list: many frames leave in one system call,
//! many connections are served after one wake-up.

use std::cell::{Cell, RefCell};
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::time::{Instant, Sleep, sleep_until};

use super::afar::Afar;
use super::conn::{Batch, Conn, Visit};
use super::socket::Socket;
use super::state::OutboxState;
use super::stats::{self, Written};
use super::{EndReason, Frame, Outbox};

/// After a list that took longer than the gap, signals gather for so many times as long as it took: a worker that
/// has much to write writes more at a time, and has time left to read.
const REST_FACTOR: u32 = 2;

/// But never for longer than this.
const REST_MAX: Duration = Duration::from_millis(40);

/// Connections visited before other tasks of the thread get their turn.
const SLICE: usize = 256;

/// The deadlines of a hub's connections.
#[derive(Clone, Copy, Debug)]
pub struct HubLimits {
    /// A connection that was silent for so long is sent a ping.
    pub ping_interval: Duration,
    /// A connection that was silent for so long is ended.
    pub ping_timeout: Duration,
    /// A connection that is being closed is dropped after so long.
    pub close_timeout: Duration,
    /// Signals leave at most once in this time, more of them in one write; a signal after a quiet
    /// moment leaves at once, and events never wait. Zero lets everything leave at once.
    pub signal_gap: Duration,
}

/// The side of a hub that other threads see.
#[derive(Debug, Default)]
pub(super) struct HubShared {
    ready: Mutex<Vec<u32>>,
    /// Whether something on the list does not wait for the end of the signals' gap.
    urgent: AtomicBool,
    waker: AtomicWaker,
    /// Whether the list could not be worked off in one turn.
    behind: AtomicBool,
    /// Ticks of the reaper since the start: a clock that costs nothing to read.
    clock: AtomicU32,
    /// Over how many milliseconds clients shall spread their return; 0 while nothing drains.
    drain_ms: AtomicU32,
}

impl HubShared {
    /// Puts connections on the list and wakes the hub if it may be asleep.
    pub(super) fn ring(&self, slots: &[u32], urgent: bool) {
        if slots.is_empty() {
            return;
        }
        let mut ready = self.ready.lock();
        let asleep = ready.is_empty();
        ready.extend_from_slice(slots);
        drop(ready);
        // After the push, and in this order with the hub: it either sees the flag or the entry.
        let hurry = urgent && !self.urgent.swap(true, AcqRel);
        if asleep || hurry {
            stats::woke();
            self.waker.wake();
        }
    }

    pub(super) fn is_behind(&self) -> bool {
        self.behind.load(Relaxed)
    }

    pub(super) fn now(&self) -> u32 {
        self.clock.load(Relaxed)
    }

    pub(super) fn tick(&self) {
        self.clock.fetch_add(1, Relaxed);
    }

    pub(super) fn drain_ms(&self) -> u32 {
        self.drain_ms.load(Relaxed)
    }
}

/// Asks a hub to drain, from any thread.
#[derive(Clone, Debug)]
pub struct HubHandle(Arc<HubShared>);

impl HubHandle {
    /// Closes all connections, and every one still to come, with 1001. Clients are told to come
    /// back spread over `spread`.
    pub fn drain(&self, spread: Duration) {
        let ms = u32::try_from(spread.as_millis()).unwrap_or(u32::MAX);
        self.0.drain_ms.store(ms.max(1), Relaxed);
    }
}

/// One worker thread's connections and their writer. Cheap to clone, bound to its thread.
#[derive(Clone, Debug)]
pub struct Hub(Rc<Local>);

#[derive(Debug)]
pub(super) struct Local {
    pub(super) shared: Arc<HubShared>,
    conns: RefCell<Slab>,
    /// The list that is being worked off, from its end.
    visiting: RefCell<Vec<u32>>,
    batch: RefCell<Batch>,
    gap: Gap,
    pub(super) ticks: Ticks,
    pub(super) swept: Cell<usize>,
}

/// The limits in ticks of the reaper.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticks {
    pub(super) length: Duration,
    pub(super) ping_interval: u32,
    pub(super) ping_timeout: u32,
    pub(super) close_timeout: u32,
}

impl Ticks {
    fn new(limits: HubLimits) -> Self {
        let shortest = limits
            .ping_interval
            .min(limits.ping_timeout)
            .min(limits.close_timeout);
        let length = (shortest / 8).clamp(Duration::from_millis(5), Duration::from_millis(100));
        let ticks = |time: Duration| {
            u32::try_from(time.as_micros().div_ceil(length.as_micros()))
                .unwrap_or(u32::MAX / 2)
                .clamp(1, u32::MAX / 2)
        };
        Self {
            length,
            ping_interval: ticks(limits.ping_interval),
            ping_timeout: ticks(limits.ping_timeout),
            close_timeout: ticks(limits.close_timeout),
        }
    }
}

/// The time in which signals gather.
#[derive(Debug)]
struct Gap {
    length: Duration,
    began: Cell<Option<Instant>>,
    rest: RefCell<Option<Pin<Box<Sleep>>>>,
}

impl Gap {
    /// A list is begun.
    fn begin(&self) {
        if !self.length.is_zero() {
            self.began.set(Some(Instant::now()));
        }
    }

    /// It was worked off.
    fn end(&self) {
        let Some(began) = self.began.take() else { return };
        let now = Instant::now();
        let took = now.duration_since(began);
        let end = if took > self.length {
            now + (took * REST_FACTOR).min(REST_MAX)
        } else {
            began + self.length
        };
        match &mut *self.rest.borrow_mut() {
            Some(rest) => rest.as_mut().reset(end),
            none => *none = Some(Box::pin(sleep_until(end))),
        }
    }

    fn is_resting(&self, cx: &mut Context<'_>) -> bool {
        match &mut *self.rest.borrow_mut() {
            Some(rest) => rest.as_mut().poll(cx).is_pending(),
            None => false,
        }
    }
}

/// Whose a slot is.
#[derive(Clone, Debug)]
pub(super) enum Berth {
    /// A socket's.
    Here(Rc<Conn>),
    /// That of a client that fetches.
    Afar(Arc<Outbox>),
}

impl Berth {
    pub(super) fn outbox(&self) -> &Arc<Outbox> {
        match self {
            Self::Here(conn) => conn.outbox(),
            Self::Afar(outbox) => outbox,
        }
    }
}

#[derive(Debug, Default)]
struct Slab {
    slots: Vec<Option<Berth>>,
    free: Vec<u32>,
}

impl Slab {
    /// A slot that nobody has.
    fn take_slot(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        })
    }

    fn put(&mut self, slot: u32, berth: Berth) {
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(berth);
        }
    }
}

impl Hub {
    /// Starts the writer and the reaper on this thread's local set. One hub for each worker.
    #[must_use]
    pub fn start(limits: HubLimits) -> Self {
        let local = Rc::new(Local {
            shared: Arc::new(HubShared::default()),
            conns: RefCell::default(),
            visiting: RefCell::default(),
            batch: RefCell::default(),
            gap: Gap {
                length: limits.signal_gap,
                began: Cell::default(),
                rest: RefCell::default(),
            },
            ticks: Ticks::new(limits),
            swept: Cell::new(0),
        });
        let writer = Rc::clone(&local);
        actix_rt::spawn(poll_fn(move |cx| writer.poll_write(cx)));
        actix_rt::spawn(super::reaper::run(Rc::clone(&local)));
        Self(local)
    }

    /// Takes a connection over. `lead` goes out before everything else.
    #[must_use]
    pub fn register(
        &self,
        socket: impl Into<Socket>,
        lead: Option<Bytes>,
        outbox_max_bytes: usize,
    ) -> Rc<Conn> {
        self.0.register(socket.into(), lead, outbox_max_bytes)
    }

    /// A place for a client that fetches what it is owed.
    #[must_use]
    pub fn register_afar(&self, outbox_max_bytes: usize) -> Afar {
        let outbox = self.0.register_afar(outbox_max_bytes);
        Afar::new(Rc::clone(&self.0), outbox)
    }

    /// How many connections this worker has.
    #[must_use]
    pub fn len(&self) -> usize {
        let conns = self.0.conns.borrow();
        conns.slots.len() - conns.free.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What other threads may hold of it.
    #[must_use]
    pub fn handle(&self) -> HubHandle {
        HubHandle(Arc::clone(&self.0.shared))
    }
}

impl Local {
    fn register(&self, socket: Socket, lead: Option<Bytes>, outbox_max_bytes: usize) -> Rc<Conn> {
        let mut state = OutboxState::new(outbox_max_bytes);
        let lead_bytes = lead.as_ref().map_or(0, Bytes::len);
        if let Some(bytes) = lead {
            state.lead_with(Frame::raw(bytes));
        }
        let mut conns = self.conns.borrow_mut();
        let slot = conns.take_slot();
        let outbox = Outbox::attached(Arc::clone(&self.shared), slot, state);
        let conn = Rc::new(Conn::new(socket, Arc::clone(&outbox), self.shared.now()));
        conns.put(slot, Berth::Here(Rc::clone(&conn)));
        drop(conns);
        stats::connected(lead_bytes);
        outbox.call_hub();
        conn
    }

    fn register_afar(&self, outbox_max_bytes: usize) -> Arc<Outbox> {
        let mut conns = self.conns.borrow_mut();
        let slot = conns.take_slot();
        let state = OutboxState::new(outbox_max_bytes);
        let outbox = Outbox::attached(Arc::clone(&self.shared), slot, state);
        outbox.lock().blocked = true;
        conns.put(slot, Berth::Afar(Arc::clone(&outbox)));
        drop(conns);
        stats::connected(0);
        outbox
    }

    /// A socket takes the place of a client that fetched.
    pub(super) fn board(&self, socket: Socket, outbox: &Arc<Outbox>) -> Rc<Conn> {
        let conn = Rc::new(Conn::new(socket, Arc::clone(outbox), self.shared.now()));
        let berth = Berth::Here(Rc::clone(&conn));
        self.conns.borrow_mut().put(outbox.slot(), berth);
        outbox.call_hub();
        conn
    }

    /// Forgets a connection whose socket goes on in another place; `None` when somebody else still holds it.
    pub(super) fn release(&self, conn: Rc<Conn>) -> Option<Socket> {
        let mut conns = self.conns.borrow_mut();
        let slot = conn.outbox().slot();
        conns.slots.get_mut(slot as usize)?.take()?;
        conns.free.push(slot);
        stats::moved();
        Rc::into_inner(conn).map(Conn::into_socket)
    }

    /// Empties the outboxes on the list, a slice of them at a time.
    fn poll_write(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.shared.waker.register(cx.waker());
        let mut visiting = self.visiting.borrow_mut();
        let continued = !visiting.is_empty();
        if !continued {
            // Cleared before the list is taken: who comes later calls again.
            let urgent = self.shared.urgent.swap(false, AcqRel);
            if self.gap.is_resting(cx) && !urgent {
                return Poll::Pending;
            }
            std::mem::swap(&mut *visiting, &mut *self.shared.ready.lock());
            if !visiting.is_empty() {
                self.gap.begin();
            }
        }
        let mut batch = self.batch.borrow_mut();
        let mut written = Written::default();
        for _ in 0..SLICE {
            let Some(slot) = visiting.pop() else { break };
            self.visit(slot, &mut batch, &mut written);
        }
        written.record();
        self.shared.behind.store(!visiting.is_empty(), Relaxed);
        if visiting.is_empty() {
            self.gap.end();
        }
        // A turn that began in the middle of a list has not looked at what came meanwhile, and whoever
        // found that list not empty has not called.
        if continued || !visiting.is_empty() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn visit(&self, slot: u32, batch: &mut Batch, written: &mut Written) {
        // A slot may have gone to another connection meanwhile: it is visited in vain.
        let conn = match self.berth(slot) {
            Some(Berth::Here(conn)) => conn,
            Some(Berth::Afar(outbox)) => return outbox.call_fetcher(),
            None => return,
        };
        match conn.flush(batch, written, self.shared.now(), self.ticks.close_timeout) {
            Visit::Done => {}
            Visit::More => conn.outbox().call_hub(),
            Visit::Over => self.remove(slot),
        }
    }

    pub(super) fn berth(&self, slot: u32) -> Option<Berth> {
        self.conns.borrow().slots.get(slot as usize)?.clone()
    }

    pub(super) fn slots(&self) -> usize {
        self.conns.borrow().slots.len()
    }

    /// Forgets a connection, which closes its socket once the session lets go of it.
    pub(super) fn remove(&self, slot: u32) {
        let mut conns = self.conns.borrow_mut();
        let Some(berth) = conns.slots.get_mut(slot as usize).and_then(Option::take) else {
            return;
        };
        conns.free.push(slot);
        drop(conns);
        let outbox = berth.outbox();
        outbox.fail(EndReason::Broken);
        outbox.wake_reader();
        stats::ended(outbox.end_reason().unwrap_or(EndReason::Broken));
    }
}
