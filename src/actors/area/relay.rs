//! The actor behind an area: it finds out who watches where an incident lies.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use parking_lot::Mutex;

use super::news::{Held, News, frame_of};
use super::{Inbox, Relay, Unwatch, Watch, WatcherId};
use crate::actors::node::Node;
use crate::actors::session::SessionShared;
use crate::domain::area::{Area, Cell};
use crate::domain::ids::RoomId;
use crate::domain::incident::Status;
use crate::domain::room::Seq;
use crate::store::{IncidentQuery, Listed, Sight, StoreError};
use crate::wire::json::{ServerMessage, SosSummary};

/// The most incidents in the list that a newcomer gets, nearest first.
const LIST_MAX: usize = 500;
/// How many incidents' news are relayed before other work on this thread gets its turn.
const SLICE: usize = 256;

struct Watcher {
    session: Arc<SessionShared>,
    area: Area,
    staff: bool,
    /// What waits until the present list was sent, or until the session has read what it is owed; `None`: nothing
    /// stands in the way.
    held: Option<Held>,
}

impl Watcher {
    fn sees(&self, news: &News) -> bool {
        (news.public || self.staff) && self.area.contains(news.position)
    }
}

/// The relay.
pub(super) struct AreaRelay {
    node: Arc<Node>,
    inbox: Arc<Mutex<Inbox>>,
    poked: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    watchers: HashMap<WatcherId, Watcher>,
    cells: HashMap<Cell, Vec<WatcherId>>,
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
        }
    }

    fn relay(&mut self, ctx: &mut Context<Self>) {
        self.poked.store(false, Ordering::Release);
        let (slice, more) = {
            let mut inbox = self.inbox.lock();
            let count = inbox.order.len().min(SLICE);
            let rooms: Vec<RoomId> = inbox.order.drain(..count).collect();
            let slice: Vec<Arc<News>> = rooms
                .iter()
                .filter_map(|room| inbox.news.remove(room))
                .map(Arc::new)
                .collect();
            (slice, !inbox.order.is_empty())
        };
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
        let Some(ids) = self.cells.get(&Cell::of(news.position)) else {
            return;
        };
        let frame = frame_of(news, news.created, self.node.now());
        let (full, held_max) = (
            self.node.settings.catch_up_bytes,
            self.node.settings.watcher_backlog_max,
        );
        let mut lagging = Vec::new();
        for id in ids {
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
            } else {
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
        let mut sent = 0;
        for room in &held.order {
            if watcher.session.outbox().queued_bytes() > full {
                break;
            }
            if let Some(news) = held.news.remove(room) {
                watcher
                    .session
                    .push(&frame_of(&news, news.created, self.node.now()));
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
        for cell in area.cells() {
            self.cells.entry(cell).or_default().push(id);
        }
        self.watchers.insert(
            id,
            Watcher {
                session,
                area,
                staff,
                held: Some(Held::default()),
            },
        );
        self.list(id, ctx);
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
            Ok(list) => list.into_iter().map(summary).collect(),
            Err(error) => {
                watcher.session.error(&error.into(), now);
                self.forget(id);
                return;
            }
        };
        watcher
            .session
            .send(&ServerMessage::Area { sos: &summaries }, now);
        if let Some(held) = &mut watcher.held {
            let listed: HashMap<&RoomId, Seq> = summaries.iter().map(|s| (&s.sos, s.seq)).collect();
            held.order.retain(|room| {
                let Some(news) = held.news.get_mut(room) else {
                    return false;
                };
                match listed.get(room) {
                    Some(seq) if *seq >= news.summary.seq => false,
                    Some(_) => {
                        *news = Arc::new(News {
                            created: false,
                            ..News::clone(news)
                        });
                        true
                    }
                    None => true,
                }
            });
        }
        self.go_on(id, ctx);
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

fn summary(listed: Listed) -> SosSummary {
    let row = Arc::unwrap_or_clone(listed.incident);
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
