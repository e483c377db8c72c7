//! Counters of everything that is delivered, dropped and ended, for the metrics layer.
//!
//! They are global and relaxed, and are touched once for a fan-out or a slice of writes rather
//! than once for a frame.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use super::EndReason;

const ENDS: usize = EndReason::LABELS.len();

static DELIVERED: AtomicU64 = AtomicU64::new(0);
static CONFLATED: AtomicU64 = AtomicU64::new(0);
static DROPPED: AtomicU64 = AtomicU64::new(0);
static TO_CLOSED: AtomicU64 = AtomicU64::new(0);
static TOO_SLOW: AtomicU64 = AtomicU64::new(0);
static QUEUED_BYTES: AtomicI64 = AtomicI64::new(0);
static FRAMES: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
static WRITES: AtomicU64 = AtomicU64::new(0);
static BLOCKED: AtomicU64 = AtomicU64::new(0);
static WAKEUPS: AtomicU64 = AtomicU64::new(0);
static CONNECTIONS: AtomicI64 = AtomicI64::new(0);
static ACCEPTED: AtomicU64 = AtomicU64::new(0);
static ENDED: [AtomicU64; ENDS] = [const { AtomicU64::new(0) }; ENDS];

/// What one push or fan-out did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Frames queued.
    pub delivered: u64,
    /// Signals that took the place of an older one.
    pub conflated: u64,
    /// Signals for which there was no room.
    pub dropped: u64,
    /// Frames for connections that were closed already.
    pub closed: u64,
    /// Connections that this closed as too slow.
    pub too_slow: u64,
    /// Change of what waits, in bytes.
    pub(super) bytes: i64,
}

impl Sent {
    pub(super) fn add(&mut self, more: &Self) {
        self.delivered += more.delivered;
        self.conflated += more.conflated;
        self.dropped += more.dropped;
        self.closed += more.closed;
        self.too_slow += more.too_slow;
        self.bytes += more.bytes;
    }

    pub(super) fn record(&self) {
        add(&DELIVERED, self.delivered);
        add(&CONFLATED, self.conflated);
        add(&DROPPED, self.dropped);
        add(&TO_CLOSED, self.closed);
        add(&TOO_SLOW, self.too_slow);
        if self.bytes != 0 {
            QUEUED_BYTES.fetch_add(self.bytes, Relaxed);
        }
    }
}

/// What a slice of writes did.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) frames: u64,
    pub(super) bytes: u64,
    pub(super) writes: u64,
    pub(super) blocked: u64,
    pub(super) sent: Sent,
}

impl Written {
    pub(super) fn record(&mut self) {
        add(&FRAMES, self.frames);
        add(&BYTES, self.bytes);
        add(&WRITES, self.writes);
        add(&BLOCKED, self.blocked);
        self.sent.record();
        *self = Self::default();
    }
}

fn add(counter: &AtomicU64, n: u64) {
    if n != 0 {
        counter.fetch_add(n, Relaxed);
    }
}

pub(super) fn woke() {
    WAKEUPS.fetch_add(1, Relaxed);
}

pub(super) fn connected(lead_bytes: usize) {
    QUEUED_BYTES.fetch_add(i64::try_from(lead_bytes).unwrap_or(0), Relaxed);
    CONNECTIONS.fetch_add(1, Relaxed);
    ACCEPTED.fetch_add(1, Relaxed);
}

/// A connection goes on as another one.
pub(super) fn moved() {
    CONNECTIONS.fetch_sub(1, Relaxed);
}

pub(super) fn ended(end: EndReason) {
    CONNECTIONS.fetch_sub(1, Relaxed);
    ENDED[end.index()].fetch_add(1, Relaxed);
}

/// The counters at one moment.
#[derive(Clone, Debug)]
pub struct DeliverySnapshot {
    /// Frames queued by pushes and fan-outs.
    pub delivered: u64,
    /// Signals replaced by newer ones.
    pub conflated: u64,
    /// Signals dropped for want of room.
    pub dropped: u64,
    /// Frames for connections that were closed already.
    pub to_closed: u64,
    /// Connections closed because an event found no room.
    pub too_slow: u64,
    /// Bytes that wait in all outboxes.
    pub queued_bytes: i64,
    /// Frames written.
    pub frames_written: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// System calls that wrote.
    pub writes: u64,
    /// Times a socket took no more.
    pub blocked: u64,
    /// Wake-ups of a worker's writer.
    pub wakeups: u64,
    /// Connections open now, closing ones included.
    pub connections: i64,
    /// Connections opened since the start.
    pub accepted: u64,
    /// Connections ended, by reason.
    pub ended: Vec<(&'static str, u64)>,
}

/// Reads all counters.
#[must_use]
pub fn snapshot() -> DeliverySnapshot {
    DeliverySnapshot {
        delivered: DELIVERED.load(Relaxed),
        conflated: CONFLATED.load(Relaxed),
        dropped: DROPPED.load(Relaxed),
        to_closed: TO_CLOSED.load(Relaxed),
        too_slow: TOO_SLOW.load(Relaxed),
        queued_bytes: QUEUED_BYTES.load(Relaxed),
        frames_written: FRAMES.load(Relaxed),
        bytes_written: BYTES.load(Relaxed),
        writes: WRITES.load(Relaxed),
        blocked: BLOCKED.load(Relaxed),
        wakeups: WAKEUPS.load(Relaxed),
        connections: CONNECTIONS.load(Relaxed),
        accepted: ACCEPTED.load(Relaxed),
        ended: EndReason::LABELS
            .iter()
            .zip(&ENDED)
            .map(|(label, count)| (*label, count.load(Relaxed)))
            .collect(),
    }
}
