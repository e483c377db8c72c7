//! The operators' feed: every event of every incident in the one order in which they happened, over all nodes, and every
//! few seconds where everybody is. Who may follow it, and how it is spelled, is the business of those who call.
//!
//! [`Ops`] is the handle. While somebody follows, one task reads the order for the node ([`reader`]) into a [`feed`],
//! whose newest events all followers share; each follower has a task of its own ([`follower`]) that takes from there at
//! the pace at which its sink drains, or from the order itself when it comes from further back. So a slow follower costs
//! no memory and misses nothing. What rooms make durable is said by [`Ops::happened`]; what nobody said is found by the
//! [`sweep`].

pub mod feed;
mod follower;
mod item;
mod positions;
mod reader;
mod source;
mod sweep;

#[cfg(test)]
mod properties;

use std::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed,
};
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix::ArbiterHandle;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use self::feed::Feed;
pub use self::item::{BadCursor, Cursor, OpsEvent, OpsPosition, OpsPositions};
pub use self::positions::Gathered;
use self::source::{MemoryOrder, StoreOrder};
use super::clock::{Clock, random};
use super::node::Node;
use crate::bus::order::{Order, OrderCounts, Place, Said};
use crate::bus::{Bus, Sighting};
use crate::domain::room::{Event, RoomKind, RoomState};
use crate::store::Store;

pub use crate::domain::ops::{Filter, Summary};

/// What the feed goes by.
#[derive(Clone, Debug)]
pub struct OpsSettings {
    /// Followers on this node.
    pub followers_max: usize,
    /// The newest events that they share.
    pub recent_max: usize,
    /// Incidents whose standing is remembered.
    pub known_max: usize,
    /// With so many bytes waiting in its sink a follower gets nothing more until half of them are gone.
    pub behind_max_bytes: usize,
    /// How often positions are told.
    pub positions_every: Duration,
    /// Positions in one message; the rest waits for the next.
    pub positions_max: usize,
    /// Positions that wait.
    pub positions_waiting_max: usize,
    /// The widest circle of a filter, in km.
    pub radius_max_km: u32,
    /// How often it is looked, with many nodes, whether anything was not said.
    pub sweep: Duration,
}

impl Default for OpsSettings {
    fn default() -> Self {
        Self {
            followers_max: 200,
            recent_max: 4_096,
            known_max: 200_000,
            behind_max_bytes: 256 * 1024,
            positions_every: Duration::from_secs(3),
            positions_max: 5_000,
            positions_waiting_max: 100_000,
            radius_max_km: 500,
            sweep: Duration::from_secs(60),
        }
    }
}

/// Where a follower's share goes. It takes what it is given at once; what it has not passed on yet it tells by
/// `queued_bytes`, and gets no more while that is too much.
pub trait OpsSink: Send + Sync + 'static {
    /// The next event that passes the filter.
    fn event(&self, event: &Arc<OpsEvent>);
    /// Who moved since the last time; left out while it is behind.
    fn positions(&self, positions: &Arc<OpsPositions>);
    /// What comes next happens after this place: at the beginning, when there was no cursor; and, with `gap`, when what
    /// followed the cursor is not kept any more, so that whatever is shown must be loaded anew.
    fn begins(&self, cursor: Cursor, gap: bool);
    /// Whether anybody still listens; when not, following ends.
    fn is_open(&self) -> bool;
    /// Bytes that wait in it.
    fn queued_bytes(&self) -> usize;
    /// Resolves when at most `below` bytes wait, or nobody listens any more.
    fn drained(&self, below: usize) -> BoxFuture<'static, ()>;
}

/// Why somebody cannot follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpsError {
    /// There are as many followers as there may be.
    #[error("too many follow the feed on this node")]
    TooMany,
    /// The node is not running yet.
    #[error("the feed is not there yet")]
    Away,
}

/// Somebody follows as long as this is held.
#[derive(Debug)]
pub struct Following {
    /// Its end is heard by the follower's task.
    _held: watch::Sender<()>,
}

/// What the feed has done, for metrics.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Events read from the order.
    read: AtomicU64,
    /// Events given to followers.
    told: AtomicU64,
    /// Times that a follower was told of a gap.
    gaps: AtomicU64,
    /// Events that the order named and the store did not have.
    missing: AtomicU64,
    /// Followers that were refused.
    refused: AtomicU64,
    /// Positions told, and those that found no room.
    positions: AtomicU64,
    positions_dropped: AtomicU64,
    /// Times that the order or the store could not be read.
    failed: AtomicU64,
    /// Sweeps, and what they found that nobody had said.
    sweeps: AtomicU64,
    found: AtomicU64,
}

/// The feed in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Followers now, and how many there may be.
    pub followers: (usize, usize),
    /// Events in the ring.
    pub recent: usize,
    /// Incidents whose standing is remembered, and how many may be.
    pub known: (usize, usize),
    /// Events read from the order, and given to followers.
    pub events: (u64, u64),
    /// Times that a follower was told of a gap.
    pub gaps: u64,
    /// Events that the order named and the store did not have.
    pub missing: u64,
    /// Followers that were refused.
    pub refused: u64,
    /// Positions told, and those for which there was no room.
    pub positions: (u64, u64),
    /// Positions that wait, and how many may.
    pub positions_waiting: (usize, usize),
    /// Times that the order or the store could not be read.
    pub failed: u64,
    /// Sweeps, and stretches they found that nobody had said.
    pub sweeps: (u64, u64),
    /// What was said to the order.
    pub order: OrderCounts,
}

struct Shared {
    order: Arc<dyn Order>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    settings: OpsSettings,
    followers: AtomicUsize,
    /// Somebody came, when there was nobody.
    came: Notify,
    /// `None` while nobody follows.
    feed: Mutex<Option<Feed>>,
    /// Changes whenever the feed has something new.
    moved: watch::Sender<u64>,
    gathered: Gathered,
    positions: watch::Sender<Option<Arc<OpsPositions>>>,
    counts: Counts,
    arbiter: Mutex<Option<ArbiterHandle>>,
    ended: AtomicBool,
}

/// The handle on the feed.
pub struct Ops {
    shared: Arc<Shared>,
}

impl Ops {
    /// Of a node with this bus and this store: the bus's order, or the store's, or one in memory.
    pub fn new(bus: &dyn Bus, store: &Arc<dyn Store>, clock: &Arc<dyn Clock>, settings: OpsSettings) -> Self {
        let order: Arc<dyn Order> = match bus.order() {
            Some(order) => order,
            None if store.keeps_feed() => StoreOrder::new(Arc::clone(store)),
            None => MemoryOrder::new(u64::from_be_bytes(random()), settings.recent_max),
        };
        Self {
            shared: Arc::new(Shared {
                order,
                store: Arc::clone(store),
                clock: Arc::clone(clock),
                followers: AtomicUsize::new(0),
                came: Notify::new(),
                feed: Mutex::new(None),
                moved: watch::Sender::new(0),
                gathered: Gathered::new(settings.positions_waiting_max),
                positions: watch::Sender::new(None),
                counts: Counts::default(),
                arbiter: Mutex::new(None),
                ended: AtomicBool::new(false),
                settings,
            }),
        }
    }

    /// Starts its tasks in `arbiter`. They end with the node.
    pub(super) fn start(&self, node: &Arc<Node>, arbiter: &ArbiterHandle) {
        let weak = || (Arc::downgrade(&self.shared), Arc::downgrade(node));
        let (shared, _) = weak();
        arbiter.spawn(reader::run(shared));
        let (shared, of) = weak();
        arbiter.spawn(positions::run(shared, of));
        if self.shared.order.is_shared() {
            let (shared, of) = weak();
            arbiter.spawn(sweep::run(shared, of));
        }
        *self.shared.arbiter.lock() = Some(arbiter.clone());
    }

    /// An event is durable and announced. `own`: this node wrote it.
    pub(super) fn happened(&self, event: &Event, state: &RoomState, own: bool) {
        if state.kind != Some(RoomKind::Sos) || !own && self.shared.order.is_shared() {
            return;
        }
        let is_open = state
            .incident
            .as_ref()
            .is_some_and(|incident| incident.status.is_open());
        self.shared
            .order
            .say(Said::event(event, state.created_at, !is_open));
    }

    /// Whether anybody follows: only then is anything gathered.
    pub(super) fn is_followed(&self) -> bool {
        self.shared.is_followed()
    }

    /// Fixes that this node took, where there is no board by which all nodes see them.
    pub(super) fn saw(&self, sightings: &[Sighting]) {
        let dropped = self.shared.gathered.add(sightings);
        self.shared.counts.positions_dropped.fetch_add(dropped, Relaxed);
    }

    /// The widest circle of a filter, in km: for `Area::new`.
    pub fn radius_max_km(&self) -> u32 {
        self.shared.settings.radius_max_km
    }

    /// Follows the feed: after `cursor` everything that passes the filter, without a cursor what happens from now on.
    /// Ends when what this answers is dropped, or the sink is closed. Who wants another filter follows anew, with the
    /// cursor that they have.
    ///
    /// # Errors
    /// When too many follow, or the node does not run yet.
    pub fn follow(
        &self,
        filter: Filter,
        cursor: Option<Cursor>,
        sink: Arc<dyn OpsSink>,
    ) -> Result<Following, OpsError> {
        let shared = &self.shared;
        let arbiter = shared.arbiter.lock().clone().ok_or(OpsError::Away)?;
        let Some(place) = Seat::take(shared) else {
            shared.counts.refused.fetch_add(1, Relaxed);
            return Err(OpsError::TooMany);
        };
        let (held, ended) = watch::channel(());
        let follower = follower::Follower {
            seat: place,
            filter,
            from: cursor.map(|Cursor(place)| place),
            sink,
            ended,
        };
        if arbiter.spawn(follower.run()) {
            Ok(Following { _held: held })
        } else {
            Err(OpsError::Away)
        }
    }

    /// In numbers.
    pub fn observe(&self) -> Observed {
        let shared = &self.shared;
        let counts = &shared.counts;
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        let (recent, known) = shared
            .feed
            .lock()
            .as_ref()
            .map_or((0, 0), |feed| (feed.recent(), feed.reader().known()));
        let settings = &shared.settings;
        Observed {
            followers: (shared.followers.load(Relaxed), settings.followers_max),
            recent,
            known: (known, settings.known_max),
            events: (read(&counts.read), read(&counts.told)),
            gaps: read(&counts.gaps),
            missing: read(&counts.missing),
            refused: read(&counts.refused),
            positions: (read(&counts.positions), read(&counts.positions_dropped)),
            positions_waiting: (shared.gathered.count(), settings.positions_waiting_max),
            failed: read(&counts.failed),
            sweeps: (read(&counts.sweeps), read(&counts.found)),
            order: shared.order.counts(),
        }
    }
}

impl Drop for Ops {
    fn drop(&mut self) {
        self.shared.ended.store(true, Relaxed);
        self.shared.came.notify_waiters();
        self.shared.moved.send_modify(|n| *n += 1);
    }
}

impl Shared {
    fn is_followed(&self) -> bool {
        self.followers.load(Acquire) > 0
    }

    fn failed(&self) {
        self.counts.failed.fetch_add(1, Relaxed);
    }
}

/// A follower's place among them.
struct Seat(Weak<Shared>);

impl Seat {
    fn take(shared: &Arc<Shared>) -> Option<Self> {
        let before = shared.followers.fetch_add(1, AcqRel);
        if before >= shared.settings.followers_max {
            shared.followers.fetch_sub(1, AcqRel);
            return None;
        }
        shared.came.notify_one();
        Some(Self(Arc::downgrade(shared)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.followers.fetch_sub(1, AcqRel);
        }
    }
}

/// Before the first read of a feed.
const fn nowhere() -> Place {
    Place::start(0)
}
