//! The rooms in use on this node: starts them, finds them, rebuilds those that died.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use actix::dev::channel::channel;
use actix::{Addr, Arbiter, ArbiterHandle, Context};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use std::hash::{DefaultHasher, Hash, Hasher};
use tokio::sync::mpsc;

use super::node::Node;
use super::room::{RoomActor, RoomHandle, RoomShared};
use crate::domain::ids::RoomId;

/// Rooms by id. A room's actor may die or rest; its `RoomShared` (who sits in it, and how far the log has
/// been announced to them) outlives the actor, so that nobody loses an event.
pub struct Registry {
    rooms: DashMap<RoomId, Arc<RoomHandle>>,
    arbiters: OnceLock<Vec<ArbiterHandle>>,
    node: OnceLock<Weak<Node>>,
    numbers: AtomicU64,
    deaths: mpsc::Sender<RoomId>,
}

impl Registry {
    /// The rooms that die are named in `deaths`.
    pub fn new(deaths: mpsc::Sender<RoomId>) -> Self {
        Self {
            rooms: DashMap::new(),
            arbiters: OnceLock::new(),
            node: OnceLock::new(),
            numbers: AtomicU64::new(1),
            deaths,
        }
    }

    pub(super) fn bind(&self, node: &Arc<Node>) {
        let _ = self.node.set(Arc::downgrade(node));
    }

    /// From now on rooms are spread over `arbiters`.
    pub(super) fn spread_over(&self, arbiters: Vec<ArbiterHandle>) {
        let _ = self.arbiters.set(arbiters);
    }

    /// The room's handle; its actor is started if need be. Whether such a room exists is for the actor to
    /// find out.
    pub fn get(&self, room: &RoomId) -> Arc<RoomHandle> {
        if let Some(handle) = self.rooms.get(room)
            && handle.is_alive()
        {
            return Arc::clone(&handle);
        }
        match self.rooms.entry(room.clone()) {
            Entry::Occupied(mut entry) => {
                if !entry.get().is_alive() {
                    let shared = Arc::clone(entry.get().shared());
                    entry.insert(self.start(room, shared, false));
                }
                Arc::clone(entry.get())
            }
            Entry::Vacant(entry) => {
                let number = self.numbers.fetch_add(1, Ordering::Relaxed);
                let handle = self.start(room, RoomShared::new(number), false);
                Arc::clone(&entry.insert(handle))
            }
        }
    }

    /// Starts a room whose id was drawn just now: there is nothing to read.
    pub(super) fn begin(&self, room: &RoomId) {
        if let Entry::Vacant(entry) = self.rooms.entry(room.clone()) {
            let number = self.numbers.fetch_add(1, Ordering::Relaxed);
            entry.insert(self.start(room, RoomShared::new(number), true));
        }
    }

    /// The room's handle, if it is in use.
    pub fn peek(&self, room: &RoomId) -> Option<Arc<RoomHandle>> {
        self.rooms.get(room).map(|handle| Arc::clone(&handle))
    }

    /// Rebuilds a room that died: somebody may sit in it, or something may be due.
    pub fn revive(&self, room: &RoomId) {
        if self.peek(room).is_some_and(|handle| !handle.is_alive()) {
            let _ = self.get(room);
        }
    }

    /// Forgets a room whose actor has gone to rest with nobody in it.
    pub(super) fn rested(&self, room: &RoomId, shared: &Arc<RoomShared>) {
        self.rooms.remove_if(room, |_, handle| {
            Arc::ptr_eq(handle.shared(), shared) && !handle.is_alive() && shared.is_deserted()
        });
    }

    /// How many rooms are in use.
    pub fn len(&self) -> usize {
        self.rooms.len()
    }

    /// Whether no room is in use.
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }

    /// The handles of all rooms in use, a shard of the map at a time.
    pub fn handles(&self) -> Vec<Arc<RoomHandle>> {
        self.rooms.iter().map(|entry| Arc::clone(entry.value())).collect()
    }

    /// Messages that wait before rooms, all together.
    pub fn waiting(&self) -> usize {
        self.rooms.iter().map(|entry| entry.value().waiting()).sum()
    }

    /// Names the rooms that died; also found by the janitor when the channel was full.
    pub(super) fn deaths(&self) -> &mpsc::Sender<RoomId> {
        &self.deaths
    }

    fn start(&self, room: &RoomId, shared: Arc<RoomShared>, fresh: bool) -> Arc<RoomHandle> {
        let node = self
            .node
            .get()
            .and_then(Weak::upgrade)
            .expect("invariant: bound before use");
        let limit = node.settings.room_mailbox_max;
        let (id, seats) = (room.clone(), Arc::clone(&shared));
        let gate = super::gate::Gate::new(limit);
        // Room for what passes without a permit: positions, pokes. All of it from the first moment on: many may come at
        // once to a room that its thread has not started yet.
        let (sender, mailbox) = channel(limit.saturating_add(64));
        let actor_gate = Arc::clone(&gate);
        self.arbiter(room).spawn_fn(move || {
            let actor = RoomActor::new(id, node, seats, actor_gate, fresh);
            Context::with_receiver(mailbox).run(actor);
        });
        let addr = Addr::new(sender);
        Arc::new(RoomHandle::new(room.clone(), shared, gate, addr))
    }

    /// The room's thread; before there are any to spread over, the caller's own.
    fn arbiter(&self, room: &RoomId) -> ArbiterHandle {
        let Some(arbiters) = self.arbiters.get().filter(|arbiters| !arbiters.is_empty()) else {
            return Arbiter::current();
        };
        let mut hasher = DefaultHasher::new();
        room.hash(&mut hasher);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "only used modulo the number of arbiters"
        )]
        let slot = hasher.finish() as usize % arbiters.len();
        arbiters[slot].clone()
    }
}
