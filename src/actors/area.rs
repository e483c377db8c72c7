//! Areas of the map: whoever watches one hears of the incidents in it. An area has no log of its own: it
//! relays what incidents tell, and a newcomer gets the present list first.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use actix::{
    Actor, ActorFutureExt, Addr, ArbiterHandle, AsyncContext, Context, Handler, Message, WrapFuture,
};
use parking_lot::Mutex;

use super::node::Node;
use super::session::{SessionId, SessionShared};
use crate::delivery::Frame;
use crate::domain::area::{Area, Cell};
use crate::domain::geo::Position;
use crate::domain::ids::RoomId;
use crate::domain::incident::Status;
use crate::store::{IncidentQuery, Listed, Sight, StoreError};
use crate::wire::json::{ServerMessage, SosSummary};

/// The most incidents in the list that a newcomer gets, nearest first.
const LIST_MAX: usize = 500;
/// How many incidents' news are relayed before other work on this thread gets its turn.
const SLICE: usize = 256;

/// Names one watched area.
pub type WatcherId = SessionId;

/// What became of an incident. A newer one takes the place of an older that waits.
#[derive(Clone, Debug)]
pub struct News {
    /// Where it lies.
    pub position: Position,
    /// How it stands.
    pub summary: SosSummary,
    /// Strangers may know.
    pub public: bool,
    /// It is open.
    pub open: bool,
    /// It was just raised.
    pub created: bool,
}

#[derive(Default)]
struct Inbox {
    order: VecDeque<RoomId>,
    news: HashMap<RoomId, News>,
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
            AreaRelay {
                node,
                inbox,
                poked,
                count,
                watchers: HashMap::new(),
                cells: HashMap::new(),
            }
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
        if !self.poked.swap(true, Ordering::AcqRel)
            && self
                .relay
                .get()
                .is_none_or(|relay| relay.try_send(Relay).is_err())
        {
            self.poked.store(false, Ordering::Release);
        }
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

struct Watcher {
    session: Arc<SessionShared>,
    area: Area,
    staff: bool,
    /// News that came while the present list was read; `None` once it was sent.
    held: Option<Vec<News>>,
}

impl Watcher {
    fn sees(&self, news: &News) -> bool {
        (news.public || self.staff) && self.area.contains(news.position)
    }
}

struct AreaRelay {
    node: Arc<Node>,
    inbox: Arc<Mutex<Inbox>>,
    poked: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    watchers: HashMap<WatcherId, Watcher>,
    cells: HashMap<Cell, Vec<WatcherId>>,
}

impl AreaRelay {
    fn relay(&mut self, ctx: &mut Context<Self>) {
        self.poked.store(false, Ordering::Release);
        let (slice, more) = {
            let mut inbox = self.inbox.lock();
            let count = inbox.order.len().min(SLICE);
            let rooms: Vec<RoomId> = inbox.order.drain(..count).collect();
            let slice: Vec<News> = rooms.iter().filter_map(|room| inbox.news.remove(room)).collect();
            (slice, !inbox.order.is_empty())
        };
        let mut dead = Vec::new();
        for news in slice {
            self.tell(&news, &mut dead);
        }
        for watcher in dead {
            self.forget(watcher);
        }
        if more {
            self.poked.store(true, Ordering::Release);
            ctx.spawn(
                tokio::task::yield_now()
                    .into_actor(self)
                    .map(|(), act, ctx| act.relay(ctx)),
            );
        }
    }

    fn tell(&mut self, news: &News, dead: &mut Vec<WatcherId>) {
        let Some(ids) = self.cells.get(&Cell::of(news.position)) else {
            return;
        };
        let frame = frame_of(news, news.created, &self.node);
        for id in ids {
            let Some(watcher) = self.watchers.get_mut(id).filter(|watcher| watcher.sees(news)) else {
                continue;
            };
            match &mut watcher.held {
                Some(held) => held.push(news.clone()),
                None if watcher.session.is_open() => watcher.session.push(&frame),
                None => dead.push(*id),
            }
        }
    }

    fn watch(&mut self, Watch { id, area, session }: Watch, ctx: &mut Context<Self>) {
        let identity = session.identity();
        let staff = identity.role.is_staff();
        let sight = if staff {
            Sight::All
        } else {
            Sight::PublicAnd(identity.subject.clone())
        };
        let query = IncidentQuery {
            status: Status::ALL
                .iter()
                .copied()
                .filter(|status| status.is_open())
                .collect(),
            kind: None,
            city_id: None,
            near: Some((area.centre(), area.radius_m())),
            sight,
            limit: LIST_MAX,
            after: None,
        };
        for cell in area.cells() {
            self.cells.entry(cell).or_default().push(id);
        }
        self.watchers.insert(
            id,
            Watcher {
                session,
                area,
                staff,
                held: Some(Vec::new()),
            },
        );
        let node = Arc::clone(&self.node);
        let list = async move { node.store.incidents(&query).await };
        ctx.spawn(list.into_actor(self).map(move |list, act, _| act.begin(id, list)));
    }

    /// The present list, then what came meanwhile.
    fn begin(&mut self, id: WatcherId, list: Result<Vec<Listed>, StoreError>) {
        let Some(watcher) = self.watchers.get_mut(&id) else {
            return;
        };
        let held = watcher.held.take().unwrap_or_default();
        let now = self.node.now();
        match list {
            Ok(list) => {
                let summaries: Vec<SosSummary> = list.into_iter().map(summary).collect();
                watcher
                    .session
                    .send(&ServerMessage::Area { sos: &summaries }, now);
                let listed: HashSet<&RoomId> = summaries.iter().map(|summary| &summary.sos).collect();
                for news in held {
                    let known = listed.contains(&news.summary.sos);
                    let stale = known
                        && summaries
                            .iter()
                            .any(|s| s.sos == news.summary.sos && s.seq >= news.summary.seq);
                    if !stale {
                        watcher
                            .session
                            .push(&frame_of(&news, news.created && !known, &self.node));
                    }
                }
            }
            Err(error) => {
                watcher.session.error(&error.into(), now);
                self.forget(id);
            }
        }
    }

    fn forget(&mut self, id: WatcherId) {
        let Some(watcher) = self.watchers.remove(&id) else {
            return;
        };
        self.count.fetch_sub(1, Ordering::AcqRel);
        for cell in watcher.area.cells() {
            if let Some(ids) = self.cells.get_mut(&cell) {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.cells.remove(&cell);
                }
            }
        }
    }
}

fn frame_of(news: &News, created: bool, node: &Node) -> Frame {
    let message = match (news.open, created) {
        (true, true) => ServerMessage::SosCreated(&news.summary),
        (true, false) => ServerMessage::SosUpdated(&news.summary),
        (false, _) => ServerMessage::SosClosed(&news.summary),
    };
    Frame::text(&message.encode(node.now()))
}

fn summary(listed: Listed) -> SosSummary {
    let row = listed.incident;
    SosSummary {
        sos: row.room,
        kind: row.report.kind,
        message: row.report.message,
        severity: row.report.severity,
        status: row.status,
        position: row.report.position,
        city_id: row.report.city_id,
        created_at: row.created_at,
        updated_at: row.updated_at,
        seq: row.seq,
        active_participants: row.active_participants.into(),
    }
}

impl Actor for AreaRelay {
    type Context = Context<Self>;
}

impl Handler<Relay> for AreaRelay {
    type Result = ();

    fn handle(&mut self, _: Relay, ctx: &mut Self::Context) {
        self.relay(ctx);
    }
}

impl Handler<Watch> for AreaRelay {
    type Result = ();

    fn handle(&mut self, watch: Watch, ctx: &mut Self::Context) {
        self.watch(watch, ctx);
    }
}

impl Handler<Unwatch> for AreaRelay {
    type Result = ();

    fn handle(&mut self, Unwatch(id): Unwatch, _: &mut Self::Context) {
        self.forget(id);
    }
}
