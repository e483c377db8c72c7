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
use crate::store::Purged;

/// Rooms woken at once after a restart.
const WAKE_PAGE: usize = 200;
/// The pause between two such pages, so that newcomers are served meanwhile.
const WAKE_PAUSE: Duration = Duration::from_millis(20);
/// How long a room that died rests before it is rebuilt, so that one that dies at once does not spin.
const REBUILD_AFTER: Duration = Duration::from_millis(10);

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
}

/// The janitor.
pub struct Janitor {
    node: Arc<Node>,
    deaths: Option<mpsc::Receiver<RoomId>>,
    chores: Vec<Chore>,
    sweeping: bool,
}

impl Janitor {
    /// Hears of deaths by `deaths`, and does `chores` at every sweep.
    pub fn new(node: Arc<Node>, deaths: mpsc::Receiver<RoomId>, chores: Vec<Chore>) -> Self {
        Self {
            node,
            deaths: Some(deaths),
            chores,
            sweeping: false,
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
            Ok::<(), crate::store::StoreError>(())
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
            } else if room.shared().is_deserted() {
                room.rest();
            }
        }
        self.node.janitor.sweeps.fetch_add(1, Relaxed);
        self.node.memberships.sweep();
        self.chores.iter().for_each(|chore| chore());
        if std::mem::replace(&mut self.sweeping, true) {
            return;
        }
        let node = Arc::clone(&self.node);
        let purged = async move {
            let mut total = Purged::default();
            loop {
                let slice = node.store.purge(node.now(), &node.settings.retention).await?;
                total.locations += slice.locations;
                total.idempotency += slice.idempotency;
                let removed = slice.locations + slice.idempotency;
                node.janitor.removed.fetch_add(removed, Relaxed);
                if !slice.more {
                    return Ok::<_, crate::store::StoreError>(total);
                }
            }
        };
        ctx.spawn(purged.into_actor(self).map(|purged, act, _| {
            act.sweeping = false;
            match purged {
                Ok(purged) if purged == Purged::default() => {}
                Ok(purged) => tracing::info!(
                    locations = purged.locations,
                    idempotency_keys = purged.idempotency,
                    "removed what was kept for long enough"
                ),
                Err(error) => tracing::warn!(%error, "could not sweep the store"),
            }
        }));
    }
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
