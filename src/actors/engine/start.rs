//! Puts a node together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::{Actor, Arbiter, ArbiterHandle};
use tokio::sync::mpsc;

use super::Engine;
use crate::actors::area::Areas;
use crate::actors::batcher::Batchers;
use crate::actors::clock::Clock;
use crate::actors::directory::Directory;
use crate::actors::janitor::{Chore, Janitor};
use crate::actors::memberships::Memberships;
use crate::actors::node::Node;
use crate::actors::observer::Observer;
use crate::actors::registry::Registry;
use crate::actors::settings::Settings;
use crate::store::Store;

/// How many deaths of rooms wait to be heard of; the janitor finds the rest.
const DEATHS_MAX: usize = 1024;

/// What a node is made of.
pub struct Parts {
    /// The durable truth.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The numbers.
    pub settings: Settings,
    /// Who counts.
    pub observer: Arc<dyn Observer>,
    /// What else is to be done at every sweep.
    pub chores: Vec<Chore>,
}

impl Engine {
    /// Starts a node. Needs a running actix system.
    pub fn start(parts: Parts) -> Self {
        let Parts {
            store,
            clock,
            settings,
            observer,
            chores,
        } = parts;
        let arbiters: Vec<ArbiterHandle> = (0..settings.arbiters.max(1))
            .map(|_| Arbiter::new().handle())
            .collect();
        let (deaths, heard) = mpsc::channel(DEATHS_MAX);
        let node = Arc::new(Node {
            memberships: Memberships::new(Arc::clone(&store), settings.subjects_max),
            registry: Registry::new(arbiters.clone(), deaths),
            directory: Directory::default(),
            areas: Areas::default(),
            draining: AtomicBool::new(false),
            store,
            clock,
            settings,
            observer,
        });
        node.registry.bind(&node);
        node.areas.start(&node, &arbiters[0]);
        let batchers = Batchers::start(&node, &arbiters);
        let janitor = Arc::clone(&node);
        Janitor::start_in_arbiter(&arbiters[0], move |_| Janitor::new(janitor, heard, chores));
        Self { node, batchers }
    }

    /// From now on the node is on its way out: rooms that end are not rebuilt.
    pub fn drain(&self) {
        self.node.draining.store(true, Ordering::Relaxed);
    }
}
