//! Puts a node together.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use actix::{Actor, Arbiter, ArbiterHandle};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::Engine;
use crate::actors::area::Areas;
use crate::actors::batcher::Batchers;
use crate::actors::blocks::Blocks;
use crate::actors::clock::Clock;
use crate::actors::cluster::{Cluster, Hearing, Herald};
use crate::actors::directory::Directory;
use crate::actors::janitor::{Chore, Done, Janitor};
use crate::actors::lookup::Lookups;
use crate::actors::memberships::Memberships;
use crate::actors::node::Node;
use crate::actors::notes::Notes;
use crate::actors::observer::Observer;
use crate::actors::ops::Ops;
use crate::actors::pins::Pins;
use crate::actors::registry::Registry;
use crate::actors::settings::Settings;
use crate::actors::trips::Trips;
use crate::actors::turns::Turns;
use crate::bus::{Bus, Health};
use crate::domain::ids::RoomId;
use crate::store::Store;

/// How many deaths of rooms wait to be heard of; the janitor finds the rest.
const DEATHS_MAX: usize = 1024;

/// What a node is made of.
pub struct Parts {
    /// The durable truth.
    pub store: Arc<dyn Store>,
    /// The way to the other nodes; [`crate::bus::Alone`] when there are none.
    pub bus: Arc<dyn Bus>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The numbers.
    pub settings: Settings,
    /// Who counts.
    pub observer: Arc<dyn Observer>,
    /// Whom staff keep out.
    pub blocks: Arc<Blocks>,
    /// Who is asked for incidents that are not known here.
    pub lookups: Option<Arc<Lookups>>,
    /// What else is to be done at every sweep.
    pub chores: Vec<Chore>,
}

impl Engine {
    /// Puts a node together. Needs a running actix system. With threads of their own in the settings its
    /// actors run at once; without, when [`Engine::run_on`] says where.
    pub fn start(parts: Parts) -> Self {
        let Parts {
            store,
            bus,
            clock,
            settings,
            observer,
            blocks,
            lookups,
            chores,
        } = parts;
        let own = settings.arbiters;
        let (deaths, heard) = mpsc::channel(DEATHS_MAX);
        let cluster = Cluster::new(
            bus.node(),
            bus.health() != Health::Alone,
            settings.cluster.looks_at_once,
        );
        let node = Arc::new(Node {
            cluster,
            notes: Notes::new(settings.devices_seen_every, settings.devices_seen_max),
            started: clock.now(),
            memberships: Memberships::new(Arc::clone(&store), settings.subjects_max),
            registry: Registry::new(deaths),
            directory: Directory::default(),
            areas: Areas::default(),
            trips: Trips::new(settings.trips_max),
            ops: Ops::new(&*bus, &store, &clock, settings.ops.clone()),
            janitor: Done::default(),
            raising: Turns::default(),
            draining: AtomicBool::new(false),
            pins: Pins::new(settings.pins, settings.pin_hashes_at_once),
            board: bus.board(),
            store,
            bus,
            clock,
            settings,
            observer,
            blocks,
            lookups,
            feed: OnceLock::new(),
            contacts: OnceLock::new(),
            notifier: OnceLock::new(),
        });
        node.registry.bind(&node);
        let janitor = Janitor::new(Arc::clone(&node), heard, chores);
        let engine = Self {
            node,
            batchers: Batchers::default(),
            janitor: Arc::new(Mutex::new(Some(janitor))),
        };
        if own > 0 {
            engine.run_on((0..own).map(|_| Arbiter::new().handle()).collect());
        }
        engine
    }

    /// Spreads rooms, batchers and areas over these threads. The first call counts. On the threads that serve
    /// the sockets a message need not change threads on its way.
    pub fn run_on(&self, arbiters: Vec<ArbiterHandle>) {
        let (Some(first), Some(janitor)) = (arbiters.first().cloned(), self.janitor.lock().take()) else {
            return;
        };
        self.node.areas.start(&self.node, &first);
        self.node.ops.start(&self.node, &first);
        self.batchers.start(&self.node, &arbiters);
        self.node.registry.spread_over(arbiters);
        Janitor::start_in_arbiter(&first, move |_| janitor);
        if self.node.cluster.clustered {
            self.join_others(&first);
        }
    }

    /// From now on the other nodes hear of this one, and this one of them.
    fn join_others(&self, arbiter: &ArbiterHandle) {
        let (orders, waiting) = mpsc::channel(self.node.settings.cluster.orders_max.max(1));
        let overflowed = Arc::new(AtomicBool::new(false));
        let herald = Herald::new(
            Arc::clone(&self.node),
            self.batchers.clone(),
            Arc::clone(&overflowed),
        );
        arbiter.spawn(Arc::clone(&herald).tell());
        arbiter.spawn(herald.serve(waiting));
        self.node.bus.attach(Hearing::new(&self.node, orders, overflowed));
    }

    /// Rooms were written beside the actors, by a restore: who remembers them reads them again, and `live` ones, in
    /// which something may be due, are woken. Answers those that could not be told, because too much waits before
    /// them.
    pub fn refresh(&self, rooms: Vec<RoomId>, live: &[RoomId]) -> Vec<RoomId> {
        self.node.memberships.forget_all();
        let told = |room: &RoomId| self.node.registry.peek(room).is_none_or(|handle| handle.reload());
        let untold = rooms.into_iter().filter(|room| !told(room)).collect();
        for room in live {
            let _ = self.node.registry.get(room);
        }
        untold
    }

    /// Waits until positions that were taken are on disk, as far as history keeps them, and what is for other nodes is
    /// with them.
    pub async fn flush(&self) {
        self.batchers.flush(self.node.settings.command_timeout).await;
        self.node.board.settle().await;
    }

    /// From now on the node is on its way out: rooms that end are not rebuilt.
    pub fn drain(&self) {
        self.node.draining.store(true, Ordering::Relaxed);
    }
}
