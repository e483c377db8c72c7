//! What a room does without being asked: notices departures, keeps its deadlines, goes to rest.

use std::sync::Arc;
use std::time::Duration;

use actix::{ActorContext, ActorFutureExt, AsyncContext, Context, WrapFuture};

use super::actor::RoomActor;
use super::core::Recent;
use super::messages::Work;
use super::seats::Phase;
use crate::domain::ids::ParticipantId;
use crate::domain::people::Subject;
use crate::domain::room::{Deadline, RoomKind, due, next_deadline};
use crate::store::Sign;

/// A deadline is kept so much later by a node that does not mind the room.
const OTHERS_FIRST: Duration = Duration::from_secs(2);
/// When signs of life that could not be read are asked for again.
const SIGNS_AGAIN: Duration = Duration::from_secs(5);

type Ctx = Context<RoomActor>;

impl RoomActor {
    /// Those whose sessions ended since it looked last, and those whom it must forget.
    pub(super) fn departures(&mut self, ctx: &mut Ctx) {
        if self.phase == Phase::Loading {
            return;
        }
        let now = self.node.now();
        for subject in self.shared.take_forgotten() {
            self.forget_person(&subject);
        }
        for departure in self.shared.take_departed() {
            if let Some(token) = self.tokens.remove(&departure.session) {
                self.audience.remove(token);
            }
            self.gone(departure.participant, now);
            self.deadlines_moved = true;
        }
        self.arm(ctx);
    }

    /// Somebody was erased: nothing in memory tells any more who their pseudonym was.
    pub(super) fn forget_person(&mut self, subject: &Subject) {
        let state = &self.core.state;
        let who = self.core.people.find(subject);
        if who.is_some() && who == state.owner && state.kind == Some(RoomKind::Circle) {
            self.contacts_changed(&Arc::default());
        }
        let Some(who) = self.core.people.forget(subject) else {
            return;
        };
        self.drop_position(who);
        self.asking.remove(&who);
        // Those who resume are told the log anew: the frames at hand have the name in them.
        self.core.recent = Recent::starting(self.shared.announced());
        self.node.memberships.forget(subject);
    }

    /// Where somebody was last is nobody's business any more.
    pub(super) fn drop_position(&mut self, who: ParticipantId) {
        self.core.newest.remove(&who);
        self.gathered.remove(&who);
        self.early.remove(&who);
    }

    /// Hands over the signs of life that deadlines need after a restart.
    pub(super) fn note_signs(&mut self) {
        let knows = matches!(self.phase, Phase::Ready | Phase::Writing | Phase::Looking);
        if !knows || !self.node.notes.has_room() {
            return;
        }
        let (now, policy) = (self.node.now(), &self.node.settings.policy);
        let signs = self.core.presence.unnoted(&self.core.state, policy, now);
        self.node
            .notes
            .add(signs.into_iter().map(|(participant, at)| Sign {
                room: self.id.clone(),
                participant,
                at,
            }));
    }

    /// Sets the one timer to what is due next, if that is sooner than what it is set to.
    pub(super) fn arm(&mut self, ctx: &mut Ctx) {
        if !std::mem::take(&mut self.deadlines_moved) {
            return;
        }
        let Some(at) = next_deadline(&self.core.state, &self.core.presence, &self.node.settings.policy)
        else {
            return;
        };
        if self.timer.as_ref().is_some_and(|(set, _)| *set <= at) {
            return;
        }
        if let Some((_, timer)) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let mut wait = at.since(self.node.now()) + Duration::from_millis(1);
        if !self.node.cluster.peers.minds(&self.id) {
            // Whoever minds the room does it, unless it has died.
            wait += OTHERS_FIRST;
        }
        let timer = ctx.run_later(wait, |act, ctx| {
            act.timer = None;
            act.deadlines_moved = true;
            act.deadline(ctx);
        });
        self.timer = Some((at, timer));
    }

    fn deadline(&mut self, ctx: &mut Ctx) {
        if self.phase == Phase::Ready {
            let due = self.due();
            if self.clustered && !due.is_empty() {
                self.ask_for_signs(ctx);
                return;
            }
            self.carry_out(due, ctx);
        }
        self.arm(ctx);
    }

    /// Timers know nothing of a clock that was put forward, or of a machine that slept.
    pub(super) fn keep_late_deadlines(&mut self, ctx: &mut Ctx) {
        if self.phase == Phase::Ready && !self.due().is_empty() {
            self.deadline(ctx);
        }
    }

    fn due(&self) -> Vec<Deadline> {
        let policy = &self.node.settings.policy;
        due(&self.core.state, &self.core.presence, policy, self.node.now())
    }

    fn carry_out(&mut self, due: Vec<Deadline>, ctx: &mut Ctx) {
        for what in due {
            self.queue.push_back((Work::system(what.command()), None));
        }
        self.pump(ctx);
    }

    /// Whoever seems to be away may be connected to a node that cannot be heard just now. It notes their signs of
    /// life in the store.
    fn ask_for_signs(&mut self, ctx: &mut Ctx) {
        if std::mem::replace(&mut self.asking_signs, true) {
            return;
        }
        let (node, id) = (Arc::clone(&self.node), self.id.clone());
        let signs = async move { node.store.signs(&id).await };
        ctx.spawn(signs.into_actor(self).map(|signs, act, ctx| {
            act.asking_signs = false;
            act.deadlines_moved = true;
            match signs {
                Ok(signs) => {
                    for (who, at) in signs {
                        act.core.presence.recall(who, at);
                    }
                    if act.phase == Phase::Ready {
                        let due = act.due();
                        act.carry_out(due, ctx);
                    }
                    act.arm(ctx);
                }
                Err(error) => {
                    tracing::warn!(room = %act.id, %error, "could not see who gave a sign of life");
                    ctx.run_later(SIGNS_AGAIN, Self::deadline);
                }
            }
        }));
    }

    /// A room that was asked for and does not exist leaves no trace.
    pub(super) fn vanish(&mut self, ctx: &mut Ctx) {
        if !self.core.state.exists() && self.shared.is_deserted() && self.gate.close_if_empty() {
            self.leave_others();
            self.resting = true;
            ctx.stop();
        }
    }

    pub(super) fn rest(&mut self, ctx: &mut Ctx) {
        let policy = &self.node.settings.policy;
        let minds = self.node.cluster.peers.minds(&self.id);
        let due = next_deadline(&self.core.state, &self.core.presence, policy).is_some();
        let linking = (minds || !self.linking.is_empty()) && self.core.state.has_link_work();
        let busy = self.phase != Phase::Ready || !self.queue.is_empty() || linking;
        let fresh = self.used.elapsed() < self.node.settings.passivate_after;
        if due || busy || fresh || !self.shared.is_deserted() || !self.gate.close_if_empty() {
            return;
        }
        self.leave_others();
        self.resting = true;
        ctx.stop();
    }
}
