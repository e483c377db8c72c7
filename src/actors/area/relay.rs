//! The actor behind an area: it finds out who watches where an incident lies.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use parking_lot::Mutex;

use super::news::{Held, News, frame_of, summary};
use super::{Hearing, Inbox, Relay, Unwatch, Watch, WatcherId};
use crate::actors::node::Node;
use crate::actors::session::SessionShared;
use crate::bus::{Health, Topic};
use crate::delivery::Frame;
use crate::domain::area::{Area, Cell};
use crate::domain::ids::RoomId;
use crate::domain::incident::Status;
use crate::domain::room::Seq;
use crate::domain::time::Timestamp;
use crate::store::{IncidentQuery, Listed, Sight, StoreError};
use crate::wire::json::{ServerMessage, SosSummary};

/// The most incidents in the list that a newcomer gets, nearest first.
const LIST_MAX: usize = 500;
/// How many incidents' news are relayed before other work on this thread gets its turn.
const SLICE: usize = 256;
/// News of what a list told already may come so late; whoever got the list does not hear them.
const LATE: Duration = Duration::from_secs(30);
/// The first list waits so long for the bus at most.
const LISTEN_WITHIN: Duration = Duration::from_millis(500);

struct Watcher {
    session: Arc<SessionShared>,
    area: Area,
    staff: bool,
    /// What waits until the present list was sent, or until the session has read what it is owed; `None`: nothing
    /// stands in the way.
    held: Option<Held>,
    /// How far the last list told of each incident, as long as news of that may come late.
    listed: HashMap<RoomId, Seq>,
    /// The first list waits until what is said of its cells is heard.
    waiting: bool,
}

/// A cell of the map that somebody watches.
#[derive(Default)]
struct Watched {
    by: Vec<WatcherId>,
    /// What other nodes say of it is heard.
    open: bool,
}

impl Watcher {
    fn sees(&self, news: &News) -> bool {
        (news.public || self.staff) && self.area.contains(news.position)
    }

    /// How this one is to hear of it, of what is told to those who do not know the incident; `None`: not at all.
    fn framed(&self, news: &News, frame: &Frame, now: Timestamp) -> Option<Frame> {
        match self.listed.get(&news.summary.sos) {
            Some(listed) if *listed >= news.summary.seq => None,
            Some(_) if news.created => Some(frame_of(news, false, now)),
            _ => Some(frame.clone()),
        }
    }
}

/// The relay.
pub(super) struct AreaRelay {
    node: Arc<Node>,
    inbox: Arc<Mutex<Inbox>>,
    poked: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    watchers: HashMap<WatcherId, Watcher>,
    cells: HashMap<Cell, Watched>,
    /// How far each incident was told: what comes twice or late is told once.
    told: HashMap<RoomId, Seq>,
}

impl AreaRelay {
    pub fn new(
        node: Arc<Node>,
        inbox: Arc<Mutex<Inbox>>,
        poked: Arc<AtomicBool>,
        count: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            node,
            inbox,
            poked,
            count,
            watchers: HashMap::new(),
            cells: HashMap::new(),
            told: HashMap::new(),
        }
    }

    fn relay(&mut self, ctx: &mut Context<Self>) {
        self.poked.store(false, Ordering::Release);
        let (slice, more, hearing) = {
            let mut inbox = self.inbox.lock();
            let hearing = std::mem::take(&mut inbox.hearing);
            let count = inbox.order.len().min(SLICE);
            let rooms: Vec<RoomId> = inbox.order.drain(..count).collect();
            let slice: Vec<Arc<News>> = rooms
                .iter()
                .filter_map(|room| inbox.news.remove(room))
                .map(Arc::new)
                .collect();
            (slice, !inbox.order.is_empty(), hearing)
        };
        self.hark(hearing, ctx);
        let mut dead = Vec::new();
        for news in slice {
            self.tell(&news, &mut dead, ctx);
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

    fn tell(&mut self, news: &Arc<News>, dead: &mut Vec<WatcherId>, ctx: &mut Context<Self>) {
        let Some(watched) = self.cells.get(&Cell::of(news.position)) else {
            return;
        };
        let (room, seq) = (&news.summary.sos, news.summary.seq);
        if self.told.get(room).is_some_and(|told| *told >= seq) {
            return;
        }
        if self.told.len() >= self.node.settings.watcher_backlog_max {
            self.told.clear();
        }
        self.told.insert(room.clone(), seq);
        let now = self.node.now();
        let frame = frame_of(news, news.created, now);
        let (full, held_max) = (
            self.node.settings.catch_up_bytes,
            self.node.settings.watcher_backlog_max,
        );
        let mut lagging = Vec::new();
        for id in &watched.by {
            let Some(watcher) = self.watchers.get_mut(id).filter(|watcher| watcher.sees(news)) else {
                continue;
            };
            if !watcher.session.is_open() {
                dead.push(*id);
            } else if let Some(held) = &mut watcher.held {
                held.add(news, held_max);
            } else if watcher.session.outbox().queued_bytes() + frame.len() > full {
                // An area has no log to resume from: who does not keep up is told less, and never closed.
                watcher.held.insert(Held::default()).add(news, held_max);
                lagging.push(*id);
            } else if let Some(frame) = watcher.framed(news, &frame, now) {
                watcher.session.push(&frame);
            }
        }
        for id in lagging {
            self.wait_for(id, ctx);
        }
    }

    /// Goes on with a watcher when they have read what they are owed.
    fn wait_for(&self, id: WatcherId, ctx: &mut Context<Self>) {
        let Some(watcher) = self.watchers.get(&id) else {
            return;
        };
        let drained = watcher
            .session
            .outbox()
            .drained(self.node.settings.catch_up_bytes / 2);
        ctx.spawn(
            drained
                .into_actor(self)
                .map(move |(), act, ctx| act.go_on(id, ctx)),
        );
    }

    fn go_on(&mut self, id: WatcherId, ctx: &mut Context<Self>) {
        let full = self.node.settings.catch_up_bytes;
        let Some(watcher) = self.watchers.get_mut(&id) else {
            return;
        };
        if !watcher.session.is_open() {
            self.forget(id);
            return;
        }
        let Some(mut held) = watcher.held.take() else {
            return;
        };
        if held.overflowed {
            watcher.held = Some(Held::default());
            self.list(id, ctx);
            return;
        }
        let (mut sent, now) = (0, self.node.now());
        for room in &held.order {
            if watcher.session.outbox().queued_bytes() > full {
                break;
            }
            if let Some(news) = held.news.remove(room) {
                let frame = frame_of(&news, news.created, now);
                if let Some(frame) = watcher.framed(&news, &frame, now) {
                    watcher.session.push(&frame);
                }
            }
            sent += 1;
        }
        held.order.drain(..sent);
        if !held.order.is_empty() {
            watcher.held = Some(held);
            self.wait_for(id, ctx);
        }
    }

    fn watch(&mut self, Watch { id, area, session }: Watch, ctx: &mut Context<Self>) {
        let staff = session.identity().role.is_staff();
        let clustered = self.node.cluster.clustered;
        let mut waiting = false;
        for cell in area.cells() {
            let watched = self.cells.entry(cell).or_default();
            if clustered && watched.by.is_empty() {
                self.node.bus.subscribe(Topic::Cell(cell));
            }
            waiting |= clustered && !watched.open;
            watched.by.push(id);
        }
        // What happened elsewhere before it is heard is in the list, if that is read afterwards.
        waiting &= self.node.bus.health() == Health::Connected;
        self.watchers.insert(
            id,
            Watcher {
                session,
                area,
                staff,
                held: Some(Held::default()),
                listed: HashMap::new(),
                waiting,
            },
        );
        if waiting {
            ctx.run_later(LISTEN_WITHIN, move |act, ctx| act.first_list(id, ctx));
        } else {
            self.list(id, ctx);
        }
    }

    fn first_list(&mut self, id: WatcherId, ctx: &mut Context<Self>) {
        let watcher = self.watchers.get_mut(&id);
        if watcher.is_some_and(|watcher| std::mem::take(&mut watcher.waiting)) {
            self.list(id, ctx);
        }
    }

    /// What other nodes say of these cells is heard from now on, or something was not heard.
    fn hark(&mut self, hearing: Hearing, ctx: &mut Context<Self>) {
        let mut again: HashSet<WatcherId> = HashSet::new();
        if hearing.missed_all {
            again.extend(self.watchers.keys());
        }
        for cell in hearing.missed {
            again.extend(self.cells.get(&cell).into_iter().flat_map(|watched| &watched.by));
        }
        let mut first: HashSet<WatcherId> = HashSet::new();
        for cell in hearing.listening {
            let Some(watched) = self.cells.get_mut(&cell) else {
                continue;
            };
            watched.open = true;
            for id in &watched.by {
                match self.watchers.get(id) {
                    Some(watcher) if watcher.waiting => first.insert(*id),
                    _ => again.insert(*id),
                };
            }
        }
        for id in first {
            let Some(watcher) = self.watchers.get(&id) else {
                continue;
            };
            let cells = watcher.area.cells();
            let open = |cell: &Cell| self.cells.get(cell).is_some_and(|watched| watched.open);
            if cells.iter().all(open) {
                self.first_list(id, ctx);
            }
        }
        for id in again {
            self.list_again(id, ctx);
        }
    }

    /// Sends the present list again.
    fn list_again(&mut self, id: WatcherId, ctx: &mut Context<Self>) {
        let Some(watcher) = self.watchers.get_mut(&id).filter(|watcher| !watcher.waiting) else {
            return;
        };
        let busy = watcher.held.is_some();
        watcher.held = Some(Held {
            overflowed: busy,
            ..Held::default()
        });
        // Whoever has a list on its way, or has not read what it is owed, gets another one after that.
        if !busy {
            self.list(id, ctx);
        }
    }

    /// Reads the present list for a watcher, whose news are held meanwhile.
    fn list(&mut self, id: WatcherId, ctx: &mut Context<Self>) {
        let Some(watcher) = self.watchers.get(&id) else {
            return;
        };
        let sight = if watcher.staff {
            Sight::All
        } else {
            // Those who are in one that is not public hear of it there.
            Sight::Public
        };
        let query = IncidentQuery {
            status: Status::ALL
                .iter()
                .copied()
                .filter(|status| status.is_open())
                .collect(),
            kind: None,
            city_id: None,
            near: Some((watcher.area.centre(), watcher.area.radius_m())),
            sight,
            limit: LIST_MAX,
            after: None,
        };
        let node = Arc::clone(&self.node);
        let list = async move { node.store.incidents(&query).await };
        ctx.spawn(
            list.into_actor(self)
                .map(move |list, act, ctx| act.begin(id, list, ctx)),
        );
    }

    /// The present list, then what came meanwhile.
    fn begin(&mut self, id: WatcherId, list: Result<Vec<Listed>, StoreError>, ctx: &mut Context<Self>) {
        let Some(watcher) = self.watchers.get_mut(&id) else {
            return;
        };
        let now = self.node.now();
        let summaries: Vec<SosSummary> = match list {
            Ok(list) => list.iter().map(|listed| summary(&listed.incident)).collect(),
            Err(error) => {
                watcher.session.error(&error.into(), now);
                self.forget(id);
                return;
            }
        };
        watcher
            .session
            .send(&ServerMessage::Area { sos: &summaries }, now);
        watcher.listed = summaries.iter().map(|s| (s.sos.clone(), s.seq)).collect();
        ctx.run_later(LATE, move |act, _| {
            if let Some(watcher) = act.watchers.get_mut(&id) {
                watcher.listed = HashMap::new();
            }
        });
        self.go_on(id, ctx);
    }

    fn forget(&mut self, id: WatcherId) {
        let Some(watcher) = self.watchers.remove(&id) else {
            return;
        };
        self.count.fetch_sub(1, Ordering::AcqRel);
        for cell in watcher.area.cells() {
            if let Some(watched) = self.cells.get_mut(&cell) {
                watched.by.retain(|other| *other != id);
                if watched.by.is_empty() {
                    self.cells.remove(&cell);
                    if self.node.cluster.clustered {
                        self.node.bus.unsubscribe(&Topic::Cell(cell));
                    }
                }
            }
        }
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
