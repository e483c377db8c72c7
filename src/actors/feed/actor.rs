//! The worker: carries out what the core says, and tells it what came of that.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, ArbiterHandle, AsyncContext, Context, Handler, Message,
    WrapFuture,
};
use tokio::sync::oneshot;

use super::core::{Core, Effect, FeedSettings, Reply};
use super::{EventService, FeedShared, ResendError};
use crate::actors::clock::{Clock, random};
use crate::domain::ids::RoomId;
use crate::domain::room::{Event, Seq};
use crate::store::{Claim, DeadLetter, Store};

/// How often it is counted what waits.
const COUNT_EVERY: Duration = Duration::from_secs(5);
/// Wake-ups are taken together: an incident that is raised has more than one event.
const GATHER: Duration = Duration::from_millis(10);

/// A node's worker.
pub struct FeedActor {
    core: Core,
    settings: FeedSettings,
    dead_letters_max: usize,
    store: Arc<dyn Store>,
    service: Arc<dyn EventService>,
    clock: Arc<dyn Clock>,
    shared: Arc<FeedShared>,
    begun: Instant,
    timer: Option<(Duration, actix::SpawnHandle)>,
    stopping: Option<oneshot::Sender<()>>,
}

/// A dead letter is to be sent again.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Resend {
    pub room: RoomId,
    pub seq: Seq,
    pub to: oneshot::Sender<Result<(), ResendError>>,
}

/// It is to let go of everything and end.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Stop(pub oneshot::Sender<()>);

/// What a worker is made of.
#[derive(Clone)]
pub struct FeedParts {
    /// The durable truth.
    pub store: Arc<dyn Store>,
    /// Who is told.
    pub service: Arc<dyn EventService>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// The numbers.
    pub settings: FeedSettings,
    /// Dead letters that are kept.
    pub dead_letters_max: usize,
}

type Ctx = Context<FeedActor>;

impl FeedActor {
    pub(super) fn launch(parts: FeedParts, shared: Arc<FeedShared>, on: &ArbiterHandle) -> Addr<Self> {
        Self::start_in_arbiter(on, move |_| Self {
            core: Core::new(parts.settings.clone()),
            settings: parts.settings,
            dead_letters_max: parts.dead_letters_max,
            store: parts.store,
            service: parts.service,
            clock: parts.clock,
            shared,
            begun: Instant::now(),
            timer: None,
            stopping: None,
        })
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Carries out what the core wants, until it wants nothing more for now.
    fn run(&mut self, ctx: &mut Ctx) {
        for effect in self.core.effects() {
            match effect {
                Effect::Claim(limit) => self.claim(limit, ctx),
                Effect::Read { room, after, limit } => self.read(room, after, limit, ctx),
                Effect::Send(event) => self.send(*event, ctx),
                Effect::Settle(all) => self.settle(all, ctx),
            }
        }
        self.show();
        if self.core.is_done() {
            if let Some(done) = self.stopping.take() {
                let _ = done.send(());
            }
            ctx.stop();
            return;
        }
        self.arm(ctx);
    }

    fn show(&self) {
        let mut state = self.shared.state.lock();
        state.stand = self.core.stand(self.now());
        state.opened = self.core.opened();
        state.tally = self.core.tally();
        state.in_hand = self.core.in_hand();
    }

    /// One timer, set to what is due next.
    fn arm(&mut self, ctx: &mut Ctx) {
        let now = self.now();
        let at = self.core.next(now);
        if self
            .timer
            .as_ref()
            .is_some_and(|(set, _)| *set <= at && *set > now)
        {
            return;
        }
        if let Some((_, timer)) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let timer = ctx.run_later(at.saturating_sub(now), |act, ctx| {
            act.timer = None;
            let now = act.now();
            act.core.tick(now);
            act.run(ctx);
        });
        self.timer = Some((at, timer));
    }

    fn claim(&self, limit: usize, ctx: &mut Ctx) {
        let asked = self.now();
        // Never 0, which is nobody's.
        let token = (i64::from_be_bytes(random()) & i64::MAX).max(1);
        let claim = Claim {
            token,
            lease: self.settings.lease,
            limit,
        };
        let store = Arc::clone(&self.store);
        let claimed = async move { store.outbox_claim(claim).await };
        ctx.spawn(claimed.into_actor(self).map(move |claimed, act, ctx| {
            let found = claimed
                .inspect_err(|error| tracing::warn!(%error, "the outbox cannot be read"))
                .ok();
            let now = act.now();
            act.core
                .claimed(token, asked, found.map(|found| (found, limit)), now);
            act.run(ctx);
        }));
    }

    fn read(&self, room: RoomId, after: Seq, limit: usize, ctx: &mut Ctx) {
        let Some(token) = self.core.token(&room) else {
            return;
        };
        let (store, of) = (Arc::clone(&self.store), room.clone());
        let read = async move { store.events(&of, after, limit).await };
        ctx.spawn(read.into_actor(self).map(move |events, act, ctx| {
            let events = events
                .inspect_err(|error| tracing::warn!(%room, %error, "a log cannot be read for the outbox"))
                .ok();
            let now = act.now();
            act.core.read(&room, token, events, now);
            act.run(ctx);
        }));
    }

    fn send(&self, event: Event, ctx: &mut Ctx) {
        let Some(token) = self.core.token(&event.room) else {
            return;
        };
        let (service, room, seq) = (Arc::clone(&self.service), event.room.clone(), event.seq);
        let patience = self.settings.timeout;
        let sent = async move {
            let sent = tokio::time::timeout(patience, service.tell(&event)).await;
            sent.unwrap_or(Reply::Failed(None))
        };
        ctx.spawn(sent.into_actor(self).map(move |reply, act, ctx| {
            if let Reply::Refused(status) = reply {
                tracing::warn!(%room, seq = seq.get(), status, "the SOS service refused an event");
            }
            let before = act.core.opened();
            let at = (act.clock.now(), u64::from_be_bytes(random()));
            let now = act.now();
            act.core.answered(&room, token, reply, at, now);
            if act.core.opened() > before {
                tracing::error!("the SOS service does not take events: it is left alone for a while");
            }
            act.run(ctx);
        }));
    }

    fn settle(&self, all: Vec<crate::store::Settle>, ctx: &mut Ctx) {
        let asked = self.now();
        let store = Arc::clone(&self.store);
        let (sent, buries) = (all.clone(), all.iter().any(|settle| !settle.dead.is_empty()));
        let (max, shared) = (self.dead_letters_max, Arc::clone(&self.shared));
        let settled = async move {
            let settled = store.outbox_settle(sent).await;
            if buries && settled.is_ok() {
                match store.trim_dead_letters(max).await {
                    Ok(gone) => drop(shared.dropped.fetch_add(gone, Ordering::Relaxed)),
                    Err(error) => tracing::warn!(%error, "dead letters could not be counted"),
                }
            }
            settled
        };
        ctx.spawn(settled.into_actor(self).map(move |outcome, act, ctx| {
            let outcome = outcome
                .inspect_err(|error| tracing::warn!(%error, "the outbox cannot be written"))
                .ok();
            let now = act.now();
            act.core.settled(asked, all, outcome, now);
            act.run(ctx);
        }));
    }

    /// Counts what waits, now and then; nobody waits for that.
    fn count(&self, ctx: &mut Ctx) {
        let store = Arc::clone(&self.store);
        let depth = async move { store.outbox_depth().await };
        ctx.spawn(depth.into_actor(self).map(|depth, act, ctx| {
            if let Ok(depth) = depth {
                act.shared.state.lock().depth = depth;
            }
            ctx.run_later(COUNT_EVERY, |act, ctx| act.count(ctx));
        }));
    }

    fn hear_wakes(&self, ctx: &mut Ctx) {
        let shared = Arc::clone(&self.shared);
        let woken = async move {
            shared.wake.notified().await;
            tokio::time::sleep(GATHER).await;
        };
        ctx.spawn(woken.into_actor(self).map(|(), act, ctx| {
            let now = act.now();
            act.core.woken(now);
            act.run(ctx);
            act.hear_wakes(ctx);
        }));
    }
}

impl Actor for FeedActor {
    type Context = Ctx;

    fn started(&mut self, ctx: &mut Ctx) {
        self.hear_wakes(ctx);
        self.count(ctx);
        let now = self.now();
        self.core.tick(now);
        self.run(ctx);
    }
}

impl Drop for FeedActor {
    fn drop(&mut self) {
        if !self.core.is_done() {
            // A panic, or the end of its thread.
            tracing::error!("the event feed of this node has died; the next event starts it anew");
        }
    }
}

impl Handler<Stop> for FeedActor {
    type Result = ();

    fn handle(&mut self, Stop(done): Stop, ctx: &mut Ctx) {
        self.stopping = Some(done);
        let now = self.now();
        self.core.stop(now);
        self.run(ctx);
    }
}

impl Handler<Resend> for FeedActor {
    type Result = ();

    fn handle(&mut self, Resend { room, seq, to }: Resend, ctx: &mut Ctx) {
        let now = self.now();
        if let Err(wait) = self.core.admit(now) {
            let _ = to.send(Err(ResendError::Away(wait)));
            return;
        }
        let (store, service) = (Arc::clone(&self.store), Arc::clone(&self.service));
        let (patience, at) = (self.settings.timeout, self.clock.now());
        let sent = async move {
            let letter = match store.dead_letter(&room, seq).await {
                Ok(Some(letter)) => letter,
                Ok(None) => return (None, Err(ResendError::Unknown)),
                Err(error) => return (None, Err(error.into())),
            };
            let before = Seq::new(seq.get().saturating_sub(1));
            let event = match store.events(&room, before, 1).await {
                Ok(events) => events.into_iter().next(),
                Err(error) => return (None, Err(error.into())),
            };
            let Some(event) = event else {
                return (None, Err(ResendError::Unknown));
            };
            let reply = tokio::time::timeout(patience, service.tell(&event)).await;
            let reply = reply.unwrap_or(Reply::Failed(None));
            let kept = match reply {
                Reply::Taken => store.drop_dead_letter(&room, seq).await.map(drop),
                Reply::Refused(status) => {
                    let again = DeadLetter {
                        status,
                        attempts: letter.attempts.saturating_add(1),
                        at,
                        ..letter
                    };
                    store.put_dead_letter(again).await
                }
                Reply::Failed(_) => Ok(()),
            };
            let outcome = match reply {
                Reply::Taken => kept.map_err(ResendError::from),
                Reply::Refused(status) => Err(ResendError::Refused(status)),
                Reply::Failed(after) => Err(ResendError::Away(after.unwrap_or(Duration::from_secs(5)))),
            };
            (Some(reply), outcome)
        };
        ctx.spawn(sent.into_actor(self).map(move |(reply, outcome), act, ctx| {
            let now = act.now();
            // One that was not sent after all says nothing of the service.
            if let Some(reply) = reply {
                act.core.admitted(reply, now);
            }
            if outcome.is_ok() {
                act.shared.revived.fetch_add(1, Ordering::Relaxed);
            }
            let _ = to.send(outcome);
            act.run(ctx);
        }));
    }
}
