//! The janitor: rebuilds rooms that died, wakes those that have something due after a restart, sends rooms
//! that nobody uses to rest, and removes what was kept for long enough.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, StreamHandler, WrapFuture};
use futures_util::stream::unfold;
use tokio::sync::mpsc;

use super::node::Node;
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
        }
    }

    fn wake(&self, ctx: &mut Context<Self>) {
        let node = Arc::clone(&self.node);
        let woken = async move {
            let mut after: Option<RoomId> = None;
            loop {
                let page = node.store.live_rooms(after.as_ref(), WAKE_PAGE).await?;
                let Some(last) = page.last().cloned() else { break };
                for room in &page {
                    let _ = node.registry.get(room);
                }
                node.janitor.woken.fetch_add(page.len() as u64, Relaxed);
                after = Some(last);
                tokio::time::sleep(WAKE_PAUSE).await;
            }
            Ok::<(), StoreError>(())
        };
        ctx.spawn(woken.into_actor(self).map(|woken, act, ctx| {
            if let Err(error) = woken {
                tracing::warn!(%error, "could not wake rooms, will try again");
                ctx.run_later(act.node.settings.sweep, |act, ctx| act.wake(ctx));
            }
        }));
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
        self.node.janitor.sweeps.fetch_add(1, Relaxed);
        self.node.memberships.sweep();
        self.chores.iter().for_each(|chore| chore());
        let epoch = self.node.board.epoch();
        let lost = std::mem::replace(&mut self.epoch, epoch) != epoch;
        let sweeps = self.node.janitor.sweeps.load(Relaxed);
        self.node.refresh_sessions(sweeps, lost);
        if std::mem::replace(&mut self.sweeping, true) {
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
        }
        total.locations += slice.locations;
        total.idempotency += slice.idempotency;
        total.devices_anonymised += slice.devices_anonymised;
        total.devices += slice.devices;
        total.leftovers += slice.leftovers;
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
        self.wake(ctx);
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
