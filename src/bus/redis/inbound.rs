//! From Redis to the listener: a few threads, each with a bounded queue, one topic always on the same thread.
//!
//! The connection must never wait, so what does not fit is dropped; the listener is then told to look for itself,
//! as soon as there is room again.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::bus::envelope::{self, Unread};
use crate::bus::{Listener, News, NodeId, Topic};

/// Topics that the listener is told of at once.
const SLICE: usize = 256;
/// After so many messages a gap is told although more wait.
const GAP_AFTER: usize = 1_024;

/// What a thread is given.
enum Item {
    Heard(Topic, Vec<u8>),
    Listening(Topic),
}

/// What became of what arrived.
#[derive(Debug, Default)]
pub struct InboundCounts {
    /// Messages of other nodes that were handed on.
    pub heard: AtomicU64,
    /// This node's own, which Redis sends back.
    pub own: AtomicU64,
    /// Dropped for want of room.
    pub dropped: AtomicU64,
    /// Of a kind or a layout that only newer versions know.
    pub unknown: AtomicU64,
    /// Damaged.
    pub damaged: AtomicU64,
    /// Times that the listener panicked.
    pub panics: AtomicU64,
}

/// What all threads share.
struct Shared {
    node: NodeId,
    listener: OnceLock<Arc<dyn Listener>>,
    counts: InboundCounts,
}

struct Lane {
    queue: SyncSender<Item>,
    waiting: Arc<AtomicUsize>,
    gaps: Arc<Mutex<HashSet<Topic>>>,
}

/// The threads. They end with this.
pub struct Inbound {
    shared: Arc<Shared>,
    lanes: Vec<Lane>,
    /// Messages that may wait for one thread.
    max: usize,
    hasher: RandomState,
}

impl Inbound {
    /// Starts the threads; each holds at most `max` messages.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(node: NodeId, threads: usize, max: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            node,
            listener: OnceLock::new(),
            counts: InboundCounts::default(),
        });
        let lane = |n: usize| {
            let (queue, items) = sync_channel(max);
            let lane = Lane {
                queue,
                waiting: Arc::default(),
                gaps: Arc::default(),
            };
            let worker = Worker {
                shared: Arc::clone(&shared),
                items,
                waiting: Arc::clone(&lane.waiting),
                gaps: Arc::clone(&lane.gaps),
            };
            std::thread::Builder::new()
                .name(format!("bus-{n}"))
                .spawn(move || worker.run())?;
            Ok(lane)
        };
        let lanes = (0..threads.max(1)).map(lane).collect::<std::io::Result<_>>()?;
        Ok(Self {
            shared,
            lanes,
            max,
            hasher: RandomState::new(),
        })
    }

    /// Who hears; the first call counts. What comes before is lost.
    pub fn attach(&self, listener: Arc<dyn Listener>) {
        let _ = self.shared.listener.set(listener);
    }

    /// A message arrived.
    pub fn heard(&self, topic: Topic, bytes: Vec<u8>) {
        if envelope::speaker(&bytes) == Some(self.shared.node) {
            self.shared.counts.own.fetch_add(1, Relaxed);
            return;
        }
        self.give(Item::Heard(topic, bytes));
    }

    /// A topic is listened to from now on.
    pub fn listening(&self, topic: Topic) {
        self.give(Item::Listening(topic));
    }

    fn give(&self, item: Item) {
        let topic = match &item {
            Item::Heard(topic, _) | Item::Listening(topic) => topic,
        };
        let lane = self.hasher.hash_one(topic);
        let count = u64::try_from(self.lanes.len()).unwrap_or(1);
        let Some(lane) = usize::try_from(lane % count)
            .ok()
            .and_then(|lane| self.lanes.get(lane))
        else {
            return;
        };
        lane.waiting.fetch_add(1, Relaxed);
        if let Err(full) = lane.queue.try_send(item) {
            lane.waiting.fetch_sub(1, Relaxed);
            let (std::sync::mpsc::TrySendError::Full(item)
            | std::sync::mpsc::TrySendError::Disconnected(item)) = full;
            self.shared.counts.dropped.fetch_add(1, Relaxed);
            // At most as many as there are subscriptions: nothing comes of other topics.
            let (Item::Heard(topic, _) | Item::Listening(topic)) = item;
            lane.gaps.lock().insert(topic);
        }
    }

    /// What became of what arrived so far.
    pub fn counts(&self) -> &InboundCounts {
        &self.shared.counts
    }

    /// Messages that wait, and how many may.
    pub fn depth(&self) -> (usize, usize) {
        let waiting = self.lanes.iter().map(|lane| lane.waiting.load(Relaxed)).sum();
        (waiting, self.max.saturating_mul(self.lanes.len()))
    }
}

struct Worker {
    shared: Arc<Shared>,
    items: Receiver<Item>,
    waiting: Arc<AtomicUsize>,
    gaps: Arc<Mutex<HashSet<Topic>>>,
}

impl Worker {
    fn run(self) {
        let mut listening = Vec::with_capacity(SLICE);
        let mut since_gap = 0;
        while let Ok(item) = self.items.recv() {
            let mut next = Some(item);
            while let Some(item) = next {
                self.waiting.fetch_sub(1, Relaxed);
                since_gap += 1;
                match item {
                    Item::Listening(topic) => listening.push(topic),
                    Item::Heard(topic, bytes) => {
                        // What was said after the subscription is told after it.
                        self.tell(&mut listening);
                        self.hear(&topic, &bytes);
                    }
                }
                if listening.len() >= SLICE {
                    self.tell(&mut listening);
                }
                if since_gap >= GAP_AFTER {
                    since_gap = 0;
                    self.tell_gaps();
                }
                next = self.items.try_recv().ok();
            }
            self.tell(&mut listening);
            self.tell_gaps();
        }
    }

    fn hear(&self, topic: &Topic, bytes: &[u8]) {
        let counts = &self.shared.counts;
        match envelope::decode(bytes) {
            Ok((from, news)) => {
                counts.heard.fetch_add(1, Relaxed);
                self.call(|listener| listener.hear(from, topic, news));
            }
            // Newer nodes say things among themselves; what concerns us too, they also say in a way that we know.
            Err(Unread::Kind(_)) => {
                counts.unknown.fetch_add(1, Relaxed);
            }
            Err(unread) => {
                let counter = match unread {
                    Unread::Version(_) => &counts.unknown,
                    _ => &counts.damaged,
                };
                counter.fetch_add(1, Relaxed);
                let from = envelope::speaker(bytes).unwrap_or(NodeId::from_bits(0));
                self.call(|listener| listener.hear(from, topic, News::Missed));
            }
        }
    }

    fn tell(&self, topics: &mut Vec<Topic>) {
        if !topics.is_empty() {
            self.call(|listener| listener.listening(topics));
            topics.clear();
        }
    }

    fn tell_gaps(&self) {
        let gaps = std::mem::take(&mut *self.gaps.lock());
        if gaps.is_empty() {
            return;
        }
        let gaps: Vec<Topic> = gaps.into_iter().collect();
        for slice in gaps.chunks(SLICE) {
            self.call(|listener| listener.listening(slice));
        }
    }

    /// A listener that panics must not take the thread, and with it all its topics, along.
    fn call(&self, tell: impl FnOnce(&dyn Listener)) {
        let Some(listener) = self.shared.listener.get() else {
            return;
        };
        if catch_unwind(AssertUnwindSafe(|| tell(&**listener))).is_err() {
            self.shared.counts.panics.fetch_add(1, Relaxed);
            tracing::error!("the listener of the bus panicked");
        }
    }
}

#[cfg(test)]
mod tests;
