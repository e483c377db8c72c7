//! The janitor: rebuilds rooms that died, wakes those that have something due after a restart, sends rooms
//! that nobody uses to rest, and removes what was kept for long enough.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, StreamHandler, WrapFuture};
use futures_util::stream::unfold;
use tokio::sync::mpsc;

use super::cluster::Counts;
use super::node::Node;
use crate::bus::{Health, News, Topic, Vitals};
use crate::domain::ids::RoomId;
use crate::store::{Purged, StoreError};

/// Rooms woken at once after a restart.
const WAKE_PAGE: usize = 200;
/// The pause between two such pages, so that newcomers are served meanwhile.
const WAKE_PAUSE: Duration = Duration::from_millis(20);
/// How long a room that died rests before it is rebuilt, so that one that dies at once does not spin.
const REBUILD_AFTER: Duration = Duration::from_millis(10);

/// After a sweep rooms have this long to say what is to be noted.
const NOTE_AFTER: Duration = Duration::from_secs(1);

/// Heartbeats after which a node that has just started knows the others.
const WAIT_FIRST: u32 = 3;
/// Heartbeats for which it waits for the bus to come; then it takes everything for its own.
const WAIT_AWAY: u32 = 30;
/// Sweeps after which a node of many looks whether all its rooms are seen to.
const WAKE_EVERY: u32 = 15;
/// Whoever minds a room of this name removes what is too old.
const PURGE: &str = "purge";

/// Something that wants to be done at every sweep.
pub type Chore = Box<dyn Fn() + Send>;

/// What the janitor has done since the start, for tests and operators to read.
#[derive(Debug, Default)]
pub struct Done {
    /// Looks round the node.
    pub sweeps: AtomicU64,
    /// Rooms woken after a restart because something may be due in them.
    pub woken: AtomicU64,
    /// Rooms that died and were rebuilt.
    pub rebuilt: AtomicU64,
    /// Rows removed from the store.
    pub removed: AtomicU64,
    /// Of them positions.
    pub locations: AtomicU64,
    /// Of them idempotency keys.
    pub idempotency: AtomicU64,
    /// Devices cut from their pseudonyms.
    pub devices_anonymised: AtomicU64,
    /// Records of devices that were removed.
    pub devices: AtomicU64,
    /// Positions that an erasure left behind in a crash.
    pub leftovers: AtomicU64,
    /// Places in the order of incidents' events.
    pub feed: AtomicU64,
    /// Events that a service had refused for good.
    pub dead_letters: AtomicU64,
    /// Names that vendors gave to messages.
    pub receipts: AtomicU64,
    /// Signs of life and sights of devices that were written.
    pub noted: AtomicU64,
}

impl Done {
    fn add(&self, slice: &Purged) {
        for (counter, rows) in [
            (&self.locations, slice.locations),
            (&self.idempotency, slice.idempotency),
            (&self.devices_anonymised, slice.devices_anonymised),
            (&self.devices, slice.devices),
            (&self.leftovers, slice.leftovers),
            (&self.feed, slice.feed),
            (&self.dead_letters, slice.dead_letters),
            (&self.receipts, slice.receipts),
        ] {
            counter.fetch_add(rows, Relaxed);
            self.removed.fetch_add(rows, Relaxed);
        }
    }
}

/// The janitor.
pub struct Janitor {
    node: Arc<Node>,
    deaths: Option<mpsc::Receiver<RoomId>>,
    chores: Vec<Chore>,
    sweeping: bool,
    noting: bool,
    /// What the board was at the last sweep.
    epoch: u64,
    waking: bool,
    wake_again: bool,
    /// Rooms have been woken since the start.
    woken: bool,
    heartbeats_waited: u32,
    sweeps: u32,
}

impl Janitor {
    /// Hears of deaths by `deaths`, and does `chores` at every sweep.
    pub fn new(node: Arc<Node>, deaths: mpsc::Receiver<RoomId>, chores: Vec<Chore>) -> Self {
        Self {
            node,
            deaths: Some(deaths),
            chores,
            sweeping: false,
            noting: false,
            epoch: 0,
            waking: false,
            wake_again: false,
            woken: false,
            heartbeats_waited: 0,
            sweeps: 0,
        }
    }

    /// Wakes the rooms in which something may be due: of many nodes each its own share.
    fn wake(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.waking, true) {
            self.wake_again = true;
            return;
        }
        let node = Arc::clone(&self.node);
        let woken = async move { wake(&node).await };
        ctx.spawn(woken.into_actor(self).map(|woken, act, ctx| {
            act.waking = false;
            if std::mem::take(&mut act.wake_again) {
                act.wake(ctx);
            } else if let Err(error) = woken {
                tracing::warn!(%error, "could not wake rooms, will try again");
                ctx.run_later(act.node.settings.sweep, Self::wake);
            }
        }));
    }

    /// Says that this node lives, and looks who else does.
    fn beat(&mut self, ctx: &mut Context<Self>) {
        let node = &self.node;
        node.bus.beat(Vitals {
            connections: node.directory.connections() as u64,
            rooms: node.registry.len() as u64,
            draining: node.is_draining(),
        });
        if !node.cluster.peers.update(node.bus.nodes()) {
            return;
        }
        Counts::add(&node.cluster.counts.membership_changes, 1);
        tracing::info!(
            nodes = node.cluster.peers.alive().len(),
            "the set of living nodes has changed"
        );
        for room in node.registry.handles() {
            room.census();
        }
        if self.woken {
            self.wake(ctx);
        }
    }

    /// A node that has just started does not know the others yet: it must not take everything for its own.
    fn wake_first(&mut self, ctx: &mut Context<Self>) {
        let heartbeat = self.node.settings.cluster.heartbeat;
        self.heartbeats_waited += 1;
        let away = self.node.bus.health() == Health::Away && self.heartbeats_waited < WAIT_AWAY;
        if self.node.cluster.clustered && (self.heartbeats_waited <= WAIT_FIRST || away) {
            ctx.run_later(heartbeat, Self::wake_first);
            return;
        }
        self.woken = true;
        self.wake(ctx);
    }

    fn sweep(&mut self, ctx: &mut Context<Self>) {
        for room in self.node.registry.handles() {
            if !room.is_alive() {
                self.node.registry.revive(room.id());
            } else {
                room.rest();
            }
        }
        let wait = NOTE_AFTER.min(self.node.settings.sweep / 2);
        ctx.run_later(wait, Self::write_notes);
        self.sweeps += 1;
        if self.node.cluster.clustered && self.woken && self.sweeps.is_multiple_of(WAKE_EVERY) {
            // Whoever makes a room sees to it, and when they die that is noticed. This finds what fell between.
            self.wake(ctx);
        }
        self.node.janitor.sweeps.fetch_add(1, Relaxed);
        self.node.memberships.sweep();
        self.chores.iter().for_each(|chore| chore());
        let epoch = self.node.board.epoch();
        let lost = std::mem::replace(&mut self.epoch, epoch) != epoch;
        let sweeps = self.node.janitor.sweeps.load(Relaxed);
        self.node.refresh_sessions(sweeps, lost);
        // One node is enough to look for what is too old.
        let mine = RoomId::new(PURGE).is_ok_and(|name| self.node.cluster.peers.minds(&name));
        if !mine || std::mem::replace(&mut self.sweeping, true) {
            return;
        }
        let node = Arc::clone(&self.node);
        let purged = async move {
            node.sweep_board().await;
            purge(&node).await
        };
        ctx.spawn(purged.into_actor(self).map(|purged, act, _| {
            act.sweeping = false;
            match purged {
                Ok(purged) if purged == Purged::default() => {}
                Ok(purged) => tracing::info!(
                    locations = purged.locations,
                    idempotency_keys = purged.idempotency,
                    devices_anonymised = purged.devices_anonymised,
                    devices = purged.devices,
                    "removed what was kept for long enough"
                ),
                Err(error) => tracing::warn!(%error, "could not sweep the store"),
            }
        }));
    }

    /// Writes what rooms and sessions left to be noted.
    fn write_notes(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.noting, true) {
            return;
        }
        let node = Arc::clone(&self.node);
        let written = async move { note(&node).await };
        ctx.spawn(written.into_actor(self).map(|written, act, _| {
            act.noting = false;
            if let Err(error) = written {
                tracing::warn!(%error, "could not note signs of life, will try again");
            }
        }));
    }
}

/// Starts the rooms that may change by themselves and are this node's to mind.
async fn wake(node: &Node) -> Result<(), StoreError> {
    let mut after: Option<RoomId> = None;
    loop {
        let page = node.store.live_rooms(after.as_ref(), WAKE_PAGE).await?;
        let Some(last) = page.last().cloned() else {
            return Ok(());
        };
        let mut woken = 0;
        for room in page.iter().filter(|room| node.cluster.peers.minds(room)) {
            if node.registry.peek(room).is_none() {
                let _ = node.registry.get(room);
                woken += 1;
            }
        }
        node.janitor.woken.fetch_add(woken, Relaxed);
        after = Some(last);
        tokio::time::sleep(WAKE_PAUSE).await;
    }
}

/// Removes what was kept for long enough, slice by slice, and has the rooms forget whom they no longer know.
async fn purge(node: &Node) -> Result<Purged, StoreError> {
    let mut total = Purged::default();
    loop {
        let slice = node.store.purge(node.now(), &node.settings.retention).await?;
        node.janitor.add(&slice);
        for (room, subject) in &slice.forgotten {
            node.memberships.forget(subject);
            if let Some(room) = node.registry.peek(room) {
                room.forget(subject.clone());
            }
            // Other nodes read the records of those whom they remember.
            if node.cluster.clustered {
                node.bus.publish(Topic::Room(room.clone()), News::Missed);
            }
        }
        total.locations += slice.locations;
        total.idempotency += slice.idempotency;
        total.devices_anonymised += slice.devices_anonymised;
        total.devices += slice.devices;
        total.leftovers += slice.leftovers;
        total.dead_letters += slice.dead_letters;
        total.receipts += slice.receipts;
        if !slice.more {
            return Ok(total);
        }
    }
}

/// Writes what waits to be noted; what could not be written waits on.
pub(super) async fn note(node: &Node) -> Result<(), StoreError> {
    let (devices, signs) = node.notes.take();
    let count = (devices.len() + signs.len()) as u64;
    if count == 0 {
        return Ok(());
    }
    let seen = node.store.see_devices(devices.clone()).await;
    let signed = node.store.note_signs(signs.clone()).await;
    if seen.is_err() || signed.is_err() {
        // To note something twice changes nothing.
        node.notes.give_back(devices, signs);
    } else {
        node.janitor.noted.fetch_add(count, Relaxed);
    }
    seen.and(signed)
}

impl Actor for Janitor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(deaths) = self.deaths.take() {
            ctx.add_stream(unfold(deaths, |mut deaths| async {
                deaths.recv().await.map(|room| (room, deaths))
            }));
        }
        self.beat(ctx);
        self.wake_first(ctx);
        ctx.run_interval(self.node.settings.cluster.heartbeat, Self::beat);
        ctx.run_interval(self.node.settings.sweep, Self::sweep);
    }
}

impl StreamHandler<RoomId> for Janitor {
    fn handle(&mut self, room: RoomId, ctx: &mut Self::Context) {
        tracing::error!(%room, "a room died and is rebuilt from its log");
        self.node.janitor.rebuilt.fetch_add(1, Relaxed);
        self.node.observer.room_rebuilt();
        ctx.run_later(REBUILD_AFTER, move |act, _| act.node.registry.revive(&room));
    }

    fn finished(&mut self, _: &mut Self::Context) {}
}
