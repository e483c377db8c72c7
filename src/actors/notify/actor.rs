//! The worker: claims what is due, lane by lane, and has it carried out.
//!
//! Each job is a task of its own. An actor looks at everything it waits for whenever one of it moves: with hundreds of jobs
//! in hand that would be most of its work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, ArbiterHandle, AsyncContext, Context, Handler, Message,
    WrapFuture,
};
use tokio::sync::oneshot;

use super::errand::{Errand, fresh_token};
use super::places::Places;
use super::{Shared, check_in, incident, send};
use crate::domain::notify::Lane;
use crate::store::{Job, JobClaim};

use super::body::JobBody;

/// How often it is counted what waits.
const COUNT_EVERY: Duration = Duration::from_secs(5);
/// When a store that failed is asked again.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// It is to take nothing more, and end when what it has in hand is done.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Stop(pub oneshot::Sender<()>);

/// One lane on this node.
#[derive(Debug)]
struct LaneState {
    claiming: bool,
    /// There may be something due from then on.
    look_at: Instant,
}

/// A node's worker.
pub struct NotifyActor {
    shared: Arc<Shared>,
    lanes: Vec<LaneState>,
    places: Arc<Places>,
    timer: Option<(Instant, actix::SpawnHandle)>,
    stopping: Option<oneshot::Sender<()>>,
    done: bool,
}

type Ctx = Context<NotifyActor>;

impl NotifyActor {
    pub(super) fn launch(shared: Arc<Shared>, on: &ArbiterHandle) -> Addr<Self> {
        Self::start_in_arbiter(on, move |_| {
            let lane = |_: &Lane| LaneState {
                claiming: false,
                look_at: Instant::now(),
            };
            Self {
                lanes: Lane::ALL.iter().map(lane).collect(),
                places: Places::new(Arc::clone(&shared)),
                shared,
                timer: None,
                stopping: None,
                done: false,
            }
        })
    }

    /// Takes in hand what is due, as far as there is room.
    fn pump(&mut self, ctx: &mut Ctx) {
        if self.stopping.is_some() {
            if self.lanes.iter().all(|lane| !lane.claiming)
                && Lane::ALL.iter().all(|lane| self.places.taken(*lane) == 0)
                && let Some(done) = self.stopping.take()
            {
                self.done = true;
                let _ = done.send(());
                ctx.stop();
            }
            return;
        }
        let now = Instant::now();
        for lane in Lane::ALL {
            let at_once = self.shared.settings.lanes[lane.index()].at_once;
            let state = &mut self.lanes[lane.index()];
            let in_hand = self.places.taken(*lane);
            let free = at_once.saturating_sub(in_hand);
            // A claim costs more than what it gets when that is one.
            let worth = free * 4 >= at_once || in_hand == 0;
            if !state.claiming && worth && free > 0 && state.look_at <= now {
                state.claiming = true;
                state.look_at = now + self.shared.settings.poll;
                self.claim(*lane, free, ctx);
            }
        }
        self.arm(ctx);
    }

    fn claim(&self, lane: Lane, limit: usize, ctx: &mut Ctx) {
        let begun = Instant::now();
        let token = fresh_token();
        let claim = JobClaim {
            token,
            lane,
            lease: self.shared.settings.lease,
            limit,
        };
        let store = Arc::clone(&self.shared.store);
        let claimed = async move { store.claim_jobs(claim).await };
        ctx.spawn(claimed.into_actor(self).map(move |claimed, act, ctx| {
            act.lanes[lane.index()].claiming = false;
            match claimed {
                Ok(jobs) => {
                    act.places.set_calm(lane, jobs.len() < limit);
                    if jobs.len() >= limit {
                        act.lanes[lane.index()].look_at = Instant::now();
                    }
                    for job in jobs {
                        act.carry_out(job, (token, begun));
                    }
                }
                Err(error) => {
                    tracing::warn!(lane = lane.as_str(), %error, "jobs cannot be claimed");
                    act.lanes[lane.index()].look_at = Instant::now() + STORE_PAUSE;
                }
            }
            act.pump(ctx);
        }));
    }

    fn carry_out(&mut self, job: Job, (token, claimed_at): (i64, Instant)) {
        let lane = job.lane;
        self.shared.tally.taken(lane, job.interrupted);
        let errand = Errand::new(Arc::clone(&self.shared), job, token, claimed_at);
        let places = Arc::clone(&self.places);
        let mut place = Places::take(&places, lane);
        let carried = async move {
            let again = match JobBody::decode(&errand.job.body) {
                Ok(JobBody::Incident) => incident::look(&errand, &places).await,
                Ok(JobBody::CheckIn(id)) => check_in::look(&errand, &id).await,
                Ok(JobBody::Send(body)) => send::carry(&errand, *body).await,
                Err(error) => {
                    // A newer version wrote it: a node of that version takes it over.
                    tracing::error!(key = %errand.job.key, %error, "a job is left to others");
                    None
                }
            };
            place.look_again(again);
        };
        actix::spawn(carried);
    }

    /// Notes when jobs that are out of hand want their lanes to be looked at again.
    fn note_again(&mut self) {
        for (lane, at) in self.places.again() {
            let state = &mut self.lanes[lane.index()];
            state.look_at = state.look_at.min(at);
        }
    }

    /// One timer, set to when something may be due next.
    fn arm(&mut self, ctx: &mut Ctx) {
        let at = self.lanes.iter().map(|lane| lane.look_at).min();
        let Some(at) = at else { return };
        let now = Instant::now();
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
        let wait = at.saturating_duration_since(now).max(Duration::from_millis(5));
        let timer = ctx.run_later(wait, |act, ctx| {
            act.timer = None;
            act.pump(ctx);
        });
        self.timer = Some((now + wait, timer));
    }

    fn hear_wakes(&self, ctx: &mut Ctx) {
        let shared = Arc::clone(&self.shared);
        let woken = async move { shared.woken().await };
        ctx.spawn(woken.into_actor(self).map(|lanes, act, ctx| {
            let now = Instant::now();
            for lane in Lane::ALL.iter().filter(|lane| lanes & (1 << lane.index()) != 0) {
                act.lanes[lane.index()].look_at = now;
            }
            act.note_again();
            act.pump(ctx);
            act.hear_wakes(ctx);
        }));
    }

    /// Counts what waits, now and then; nobody waits for that.
    fn count(&self, ctx: &mut Ctx) {
        let store = Arc::clone(&self.shared.store);
        let depth = async move { store.jobs_depth().await };
        ctx.spawn(depth.into_actor(self).map(|depth, act, ctx| {
            if let Ok(depth) = depth {
                act.shared.counted(depth);
            }
            ctx.run_later(COUNT_EVERY, |act, ctx| act.count(ctx));
        }));
    }
}

impl Actor for NotifyActor {
    type Context = Ctx;

    fn started(&mut self, ctx: &mut Ctx) {
        self.hear_wakes(ctx);
        self.count(ctx);
        self.pump(ctx);
    }
}

impl Drop for NotifyActor {
    fn drop(&mut self) {
        if !self.done {
            // A panic, or the end of its thread.
            tracing::error!("whoever tells people has died on this node; the next message starts it anew");
        }
    }
}

impl Handler<Stop> for NotifyActor {
    type Result = ();

    fn handle(&mut self, Stop(done): Stop, ctx: &mut Ctx) {
        self.stopping = Some(done);
        self.pump(ctx);
    }
}
