//! The location batcher: each shard an actor that holds the newest fix of its subjects, tells rooms at most
//! once an interval, and hands history what is worth keeping.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, Addr, ArbiterHandle, AsyncContext, Context, Handler, Message, SpawnHandle,
    WrapFuture,
};
use smallvec::{SmallVec, smallvec};
use tokio::sync::oneshot;

use super::error::CommandError;
use super::gate::{Gate, Permit};
use super::node::Node;
use super::observer::Positions;
use crate::bus::{Note, Sighting};
use crate::domain::geo::Fix;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::location::{Board, Offer};
use crate::domain::people::Subject;
use crate::domain::time::Timestamp;
use crate::store::{KeptFix, Membership};

type Answer = oneshot::Sender<Result<(), CommandError>>;

/// One subject's fixes and the rooms that they are for.
#[derive(Debug)]
pub struct Upload {
    subject: Subject,
    targets: Arc<[Membership]>,
    fixes: SmallVec<[Fix; 1]>,
    reply: Option<Answer>,
}

impl Upload {
    /// A live fix. Nobody waits until history has it.
    pub fn live(subject: Subject, targets: Arc<[Membership]>, fix: Fix) -> Self {
        Self {
            subject,
            targets,
            fixes: smallvec![fix],
            reply: None,
        }
    }

    /// Fixes whose sender waits until what history keeps of them is on disk.
    pub fn durable(
        subject: Subject,
        targets: Arc<[Membership]>,
        fixes: SmallVec<[Fix; 1]>,
        reply: Answer,
    ) -> Self {
        Self {
            subject,
            targets,
            fixes,
            reply: Some(reply),
        }
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Ticketed(Upload, Permit);

struct Shard {
    addr: Addr<LocationBatcher>,
    gate: Arc<Gate>,
}

/// A typed way to all shards.
#[derive(Clone, Default)]
pub struct Batchers(Arc<OnceLock<Vec<Shard>>>);

impl Batchers {
    /// Starts the shards, spread over `arbiters`.
    pub fn start(&self, node: &Arc<Node>, arbiters: &[ArbiterHandle]) {
        let settings = &node.settings;
        let shards = settings.batcher_shards.max(1);
        let shard = |n: usize| {
            let (node, limit) = (Arc::clone(node), settings.batcher_mailbox_max);
            let subjects = (settings.subjects_max / shards).max(1);
            let addr = LocationBatcher::start_in_arbiter(&arbiters[n % arbiters.len()], move |ctx| {
                ctx.set_mailbox_capacity(limit);
                LocationBatcher::new(node, subjects)
            });
            Shard {
                addr,
                gate: Gate::new(limit),
            }
        };
        let _ = self.0.set((0..shards).map(shard).collect());
    }

    /// Hands an upload to its subject's shard.
    ///
    /// # Errors
    /// `Busy` when too many wait there, or nothing has been started yet.
    pub fn offer(&self, upload: Upload) -> Result<(), CommandError> {
        let shards = self.0.get().ok_or(CommandError::Busy)?;
        let mut hasher = DefaultHasher::new();
        upload.subject.hash(&mut hasher);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "only used modulo the number of shards"
        )]
        let shard = &shards[hasher.finish() as usize % shards.len()];
        let permit = shard.gate.enter().map_err(|_| CommandError::Busy)?;
        shard
            .addr
            .try_send(Ticketed(upload, permit))
            .map_err(|_| CommandError::Busy)
    }

    /// Waits until all that history keeps is on disk, at most as long as `timeout`.
    pub async fn flush(&self, timeout: Duration) {
        let flushed = self.0.get().into_iter().flatten().filter_map(|shard| {
            let (done, flushed) = oneshot::channel();
            shard.addr.try_send(Flush(done)).ok().map(|()| flushed)
        });
        let all = futures_util::future::join_all(flushed.collect::<Vec<_>>());
        if tokio::time::timeout(timeout, all).await.is_err() {
            tracing::warn!("positions were still being written");
        }
    }

    /// Forgets where these were, and what is still to be shown or kept of it.
    pub async fn forget(&self, gone: &[(RoomId, ParticipantId)], timeout: Duration) {
        let gone: Arc<HashSet<Key>> = Arc::new(gone.iter().cloned().collect());
        let forgotten = self.0.get().into_iter().flatten().map(|shard| {
            let forget = shard.addr.send(Forget(Arc::clone(&gone)));
            tokio::time::timeout(timeout, forget)
        });
        let answers = futures_util::future::join_all(forgotten).await;
        if answers.iter().any(Result::is_err) {
            tracing::warn!("a batcher is too busy to forget positions; the store refuses to keep them");
        }
    }

    /// How many uploads wait.
    pub fn waiting(&self) -> usize {
        self.0
            .get()
            .into_iter()
            .flatten()
            .map(|shard| shard.gate.inside())
            .sum()
    }
}

/// Whose position, where: a subject's rooms are told each in their own time.
type Key = (RoomId, ParticipantId);

/// What becomes of a fix that counts.
struct Taken {
    /// No newer one of its subject is known.
    newest: bool,
    /// It was not known before.
    new: bool,
    /// History keeps it.
    keep: bool,
}

/// One shard.
struct LocationBatcher {
    node: Arc<Node>,
    board: Board<Key, ()>,
    /// The last fix that history keeps of each.
    kept: HashMap<Key, Fix>,
    subjects_max: usize,
    outgoing: HashMap<RoomId, Vec<(ParticipantId, Fix)>>,
    to_keep: Vec<KeptFix>,
    /// What was taken since the last flush, for the board or, where there is none, the operators' feed.
    sightings: Vec<Sighting>,
    waiting: Vec<Answer>,
    flushing: Vec<oneshot::Sender<()>>,
    keeping: bool,
    flush_due: bool,
    timer: Option<(Timestamp, SpawnHandle)>,
    history_timer: bool,
    history_due: bool,
}

impl LocationBatcher {
    fn new(node: Arc<Node>, subjects_max: usize) -> Self {
        let board = Board::new(node.settings.locations.clone(), subjects_max);
        Self {
            node,
            board,
            kept: HashMap::new(),
            subjects_max,
            outgoing: HashMap::new(),
            to_keep: Vec::new(),
            sightings: Vec::new(),
            waiting: Vec::new(),
            flushing: Vec::new(),
            keeping: false,
            flush_due: false,
            timer: None,
            history_timer: false,
            history_due: false,
        }
    }

    fn take(&mut self, upload: Upload) {
        let now = self.node.now();
        let observer = &self.node.observer;
        observer.positions(Positions::Received, upload.fixes.len() as u64);
        // History may be full; what is live goes on all the same.
        let full = self.to_keep.len() >= self.node.settings.batcher_mailbox_max;
        if full {
            observer.positions(Positions::Dropped, upload.fixes.len() as u64);
        }
        let before = self.to_keep.len();
        let (durable, boarded) = (upload.reply.is_some(), self.node.board.is_there());
        let followed = self.node.ops.is_followed();
        // What nobody waits for goes into history by the board's stream, where there is one.
        let streamed = boarded && !durable;
        for fix in &upload.fixes {
            for target in &*upload.targets {
                let key = (target.room.clone(), target.participant);
                let Some(taken) = self.offer(now, &key, *fix, durable, streamed || !full) else {
                    continue;
                };
                if taken.keep && !streamed {
                    self.to_keep.push(KeptFix {
                        room: key.0,
                        participant: key.1,
                        fix: *fix,
                        sampled: taken.newest,
                    });
                }
                if (boarded || followed) && taken.new {
                    self.sightings.push(Sighting {
                        room: target.room.clone(),
                        participant: target.participant,
                        fix: *fix,
                        newest: taken.newest,
                        kind: target.kind,
                        keep: taken.keep && streamed,
                    });
                }
            }
        }
        match upload.reply {
            Some(reply) if full => {
                let _ = reply.send(Err(CommandError::Busy));
            }
            Some(reply) if self.to_keep.len() > before => self.waiting.push(reply),
            Some(reply) => {
                let _ = reply.send(Ok(()));
            }
            None => {}
        }
    }

    /// What becomes of a fix; `None` when it does not count. `room`: history has room for it.
    fn offer(&mut self, now: Timestamp, key: &Key, fix: Fix, durable: bool, room: bool) -> Option<Taken> {
        let twin = self.board.newest(key).is_some_and(|newest| newest.at == fix.at);
        let waited = self.board.waiting();
        let offer = self.board.offer(now, key, fix, ());
        match offer {
            Offer::Now => self.send(key, fix),
            Offer::Waits if self.board.waiting() == waited => {
                self.node.observer.positions(Positions::Conflated, 1);
            }
            Offer::Waits => {}
            Offer::Old => self.node.observer.positions(Positions::Stale, 1),
            Offer::Doubtful => {
                self.node.observer.positions(Positions::Doubtful, 1);
                return None;
            }
        }
        let newest = offer != Offer::Old;
        Some(Taken {
            newest,
            new: newest || !twin,
            keep: room
                && if newest {
                    self.samples(key, fix)
                } else {
                    // The same fix again. Its sender may not know that history has it, and history may not have it.
                    !twin || durable
                },
        })
    }

    fn send(&mut self, (room, who): &Key, fix: Fix) {
        match self.outgoing.get_mut(room) {
            Some(fixes) => fixes.push((*who, fix)),
            None => {
                self.outgoing.insert(room.clone(), vec![(*who, fix)]);
            }
        }
    }

    /// Whether the sampling rule keeps a live fix.
    fn samples(&mut self, key: &Key, fix: Fix) -> bool {
        if !self.board.policy().keeps(self.kept.get(key), &fix) {
            return false;
        }
        if self.kept.len() >= self.subjects_max {
            // Forgetting keeps a fix too many, never one too few.
            self.kept.clear();
        }
        self.kept.insert(key.clone(), fix);
        true
    }

    /// Sends what is due, once all that waits in the mailbox has been taken.
    fn flush(&mut self, ctx: &mut Context<Self>) {
        let now = self.node.now();
        for due in self.board.due(now, usize::MAX) {
            self.send(&due.subject, due.fix);
        }
        let mut late = HashMap::new();
        for (room, fixes) in self.outgoing.drain() {
            if let Err(fixes) = self.node.registry.get(&room).show(fixes) {
                // The room is too busy: the newest of each subject waits for the next tick.
                let mut newest: HashMap<ParticipantId, Fix> = HashMap::new();
                for (who, fix) in fixes {
                    let known = newest.entry(who).or_insert(fix);
                    if known.at < fix.at {
                        *known = fix;
                    }
                }
                late.insert(room, newest.into_iter().collect());
            }
        }
        self.outgoing = late;
        if !self.sightings.is_empty() {
            let seen = std::mem::take(&mut self.sightings);
            if self.node.board.is_there() {
                self.node.board.put(Note::Positions(seen));
            } else {
                self.node.ops.saw(&seen);
            }
        }
        self.write(ctx);
        self.arm(ctx);
    }

    /// Hands history what it keeps, one batch at a time. What nobody waits for gathers for a moment: each
    /// batch costs a write to the disk.
    fn write(&mut self, ctx: &mut Context<Self>) {
        if self.keeping {
            return;
        }
        if self.to_keep.is_empty() {
            for flushed in self.flushing.drain(..) {
                let _ = flushed.send(());
            }
            return;
        }
        let settings = &self.node.settings;
        let young = self.to_keep.len() < settings.history_batch_max && !self.history_due;
        if young && self.waiting.is_empty() && self.flushing.is_empty() {
            if !std::mem::replace(&mut self.history_timer, true) {
                ctx.run_later(settings.history_delay, |act, ctx| {
                    act.history_timer = false;
                    act.history_due = true;
                    act.write(ctx);
                });
            }
            return;
        }
        self.history_due = false;
        self.keeping = true;
        let (fixes, waiting) = (
            std::mem::take(&mut self.to_keep),
            std::mem::take(&mut self.waiting),
        );
        let (node, count) = (Arc::clone(&self.node), fixes.len() as u64);
        let policy = self.board.policy().clone();
        let kept = async move { node.store.keep_fixes(fixes, &policy).await };
        ctx.spawn(kept.into_actor(self).map(move |kept, act, ctx| {
            act.keeping = false;
            if kept.is_err() {
                // What was thought to be kept is not: the next fix of everybody is kept again.
                act.kept.clear();
            }
            let outcome = if kept.is_ok() {
                Positions::Kept
            } else {
                Positions::Dropped
            };
            act.node.observer.positions(outcome, count);
            for reply in waiting {
                let _ = reply.send(kept.clone().map(|_| ()).map_err(CommandError::Store));
            }
            act.write(ctx);
        }));
    }

    /// Sets the one timer to what is due next, if that is sooner than what it is set to.
    fn arm(&mut self, ctx: &mut Context<Self>) {
        let now = self.node.now();
        let next = if self.outgoing.is_empty() {
            self.board.next_deadline()
        } else {
            Some(now)
        };
        let Some(at) = next else { return };
        if self.timer.as_ref().is_some_and(|(set, _)| *set <= at) {
            return;
        }
        if let Some((_, timer)) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let wait = at
            .since(now)
            .clamp(self.node.settings.tick, Duration::from_secs(1));
        let timer = ctx.run_later(wait, |act, ctx| {
            act.timer = None;
            act.flush(ctx);
        });
        self.timer = Some((at, timer));
    }
}

impl Actor for LocationBatcher {
    type Context = Context<Self>;
}

impl Handler<Ticketed> for LocationBatcher {
    type Result = ();

    fn handle(&mut self, Ticketed(upload, permit): Ticketed, ctx: &mut Self::Context) {
        self.take(upload);
        drop(permit);
        if !self.flush_due {
            self.flush_due = true;
            let rest = tokio::task::yield_now();
            ctx.spawn(rest.into_actor(self).map(|(), act, ctx| {
                act.flush_due = false;
                act.flush(ctx);
            }));
        }
    }
}

/// Write all that waits to be kept.
#[derive(Message)]
#[rtype(result = "()")]
struct Flush(oneshot::Sender<()>);

impl Handler<Flush> for LocationBatcher {
    type Result = ();

    fn handle(&mut self, Flush(done): Flush, ctx: &mut Self::Context) {
        self.flushing.push(done);
        self.write(ctx);
    }
}

/// Somebody was erased.
#[derive(Message)]
#[rtype(result = "()")]
struct Forget(Arc<HashSet<Key>>);

impl Handler<Forget> for LocationBatcher {
    type Result = ();

    fn handle(&mut self, Forget(gone): Forget, _: &mut Self::Context) {
        for key in &*gone {
            self.board.forget(key);
            self.kept.remove(key);
            if let Some(fixes) = self.outgoing.get_mut(&key.0) {
                fixes.retain(|(who, _)| *who != key.1);
            }
        }
        self.outgoing.retain(|_, fixes| !fixes.is_empty());
        self.sightings.retain(|seen| {
            !gone
                .iter()
                .any(|(room, who)| *who == seen.participant && *room == seen.room)
        });
        self.to_keep.retain(|kept| {
            !gone
                .iter()
                .any(|(room, who)| *who == kept.participant && *room == kept.room)
        });
    }
}
