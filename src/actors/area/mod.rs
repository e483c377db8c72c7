//! Areas of the map: whoever watches one hears of the incidents in it. An area has no log of its own: it
//! relays what incidents tell, and a newcomer gets the present list first.

mod news;
mod relay;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use actix::{Actor, Addr, ArbiterHandle, Message};
use parking_lot::Mutex;

pub use news::News;

use self::relay::AreaRelay;
use super::node::Node;
use super::session::{SessionId, SessionShared};
use crate::domain::area::{Area, Cell};
use crate::domain::ids::RoomId;

/// Names one watched area.
pub type WatcherId = SessionId;

#[derive(Default)]
struct Inbox {
    order: VecDeque<RoomId>,
    news: HashMap<RoomId, News>,
    hearing: Hearing,
}

/// What the bus did since the relay looked last. Bounded by the cells that are watched.
#[derive(Default)]
struct Hearing {
    listening: HashSet<Cell>,
    missed: HashSet<Cell>,
    missed_all: bool,
}

/// The handle: publishing never waits and is bounded by the number of incidents.
#[derive(Default)]
pub struct Areas {
    relay: OnceLock<Addr<AreaRelay>>,
    inbox: Arc<Mutex<Inbox>>,
    poked: Arc<AtomicBool>,
    watchers: Arc<AtomicUsize>,
}

impl Areas {
    /// Starts the relay in `arbiter`.
    pub fn start(&self, node: &Arc<Node>, arbiter: &ArbiterHandle) {
        let capacity = node.settings.watchers_max.saturating_mul(2).saturating_add(16);
        let (node, inbox, poked, count) = (
            Arc::clone(node),
            Arc::clone(&self.inbox),
            Arc::clone(&self.poked),
            Arc::clone(&self.watchers),
        );
        let addr = AreaRelay::start_in_arbiter(arbiter, move |ctx| {
            ctx.set_mailbox_capacity(capacity);
            AreaRelay::new(node, inbox, poked, count)
        });
        let _ = self.relay.set(addr);
    }

    /// Tells those who watch.
    pub fn publish(&self, news: News) {
        if self.watchers.load(Ordering::Relaxed) == 0 {
            return;
        }
        {
            let mut inbox = self.inbox.lock();
            let created = news.created;
            let room = news.summary.sos.clone();
            match inbox.news.get_mut(&room) {
                // What other nodes say may come late.
                Some(waiting) if waiting.summary.seq > news.summary.seq => waiting.created |= created,
                Some(waiting) => {
                    let created = created || waiting.created;
                    *waiting = News { created, ..news };
                }
                None => {
                    inbox.order.push_back(room.clone());
                    inbox.news.insert(room, news);
                }
            }
        }
        self.poke();
    }

    fn poke(&self) {
        if !self.poked.swap(true, Ordering::AcqRel)
            && self
                .relay
                .get()
                .is_none_or(|relay| relay.try_send(Relay).is_err())
        {
            self.poked.store(false, Ordering::Release);
        }
    }

    /// What other nodes say of these cells is heard from now on.
    pub(super) fn listening(&self, cells: &[Cell]) {
        self.inbox.lock().hearing.listening.extend(cells);
        self.poke();
    }

    /// Something about these cells was not heard.
    pub(super) fn missed(&self, cells: &[Cell]) {
        self.inbox.lock().hearing.missed.extend(cells);
        self.poke();
    }

    /// Something about any cell was not heard.
    pub(super) fn missed_all(&self) {
        self.inbox.lock().hearing.missed_all = true;
        self.poke();
    }

    /// Starts to watch; the session hears from now on. `None` when too many are watched.
    pub fn watch(&self, area: Area, session: &Arc<SessionShared>, node: &Node) -> Option<WatcherId> {
        let taken = self.watchers.fetch_add(1, Ordering::AcqRel);
        let id = SessionId::fresh();
        let sent = taken < node.settings.watchers_max
            && self.relay.get().is_some_and(|relay| {
                relay
                    .try_send(Watch {
                        id,
                        area,
                        session: Arc::clone(session),
                    })
                    .is_ok()
            });
        if !sent {
            self.watchers.fetch_sub(1, Ordering::AcqRel);
        }
        sent.then_some(id)
    }

    /// Stops watching.
    pub fn unwatch(&self, watcher: WatcherId) {
        // When it cannot be told, the relay finds the closed session by itself.
        let _ = self.relay.get().map(|relay| relay.try_send(Unwatch(watcher)));
    }

    /// How many areas are watched.
    pub fn watchers(&self) -> usize {
        self.watchers.load(Ordering::Relaxed)
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Relay;

#[derive(Message)]
#[rtype(result = "()")]
struct Watch {
    id: WatcherId,
    area: Area,
    session: Arc<SessionShared>,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Unwatch(WatcherId);
