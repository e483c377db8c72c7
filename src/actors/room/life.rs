//! What a room does without being asked: notices departures, keeps its deadlines, goes to rest.

use std::sync::Arc;
use std::time::Duration;

use actix::{ActorContext, AsyncContext, Context};

use super::actor::RoomActor;
use super::core::Recent;
use super::messages::Work;
use super::seats::Phase;
use crate::domain::ids::ParticipantId;
use crate::domain::people::Subject;
use crate::domain::room::{RoomKind, due, next_deadline};
use crate::store::Sign;

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
    fn forget_person(&mut self, subject: &Subject) {
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
        if !matches!(self.phase, Phase::Ready | Phase::Writing) || !self.node.notes.has_room() {
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
        let wait = at.since(self.node.now()) + Duration::from_millis(1);
        let timer = ctx.run_later(wait, |act, ctx| {
            act.timer = None;
            act.deadlines_moved = true;
            act.deadline(ctx);
        });
        self.timer = Some((at, timer));
    }

    fn deadline(&mut self, ctx: &mut Ctx) {
        if self.phase == Phase::Ready {
            let now = self.node.now();
            for what in due(
                &self.core.state,
                &self.core.presence,
                &self.node.settings.policy,
                now,
            ) {
                self.queue.push_back((Work::system(what.command()), None));
            }
            self.pump(ctx);
        }
        self.arm(ctx);
    }

    /// A room that was asked for and does not exist leaves no trace.
    pub(super) fn vanish(&mut self, ctx: &mut Ctx) {
        if !self.core.state.exists() && self.shared.is_deserted() && self.gate.close_if_empty() {
            self.resting = true;
            ctx.stop();
        }
    }

    pub(super) fn rest(&mut self, ctx: &mut Ctx) {
        let policy = &self.node.settings.policy;
        let due = next_deadline(&self.core.state, &self.core.presence, policy).is_some();
        let busy = self.phase != Phase::Ready || !self.queue.is_empty() || self.core.state.has_link_work();
        let fresh = self.used.elapsed() < self.node.settings.passivate_after;
        if due || busy || fresh || !self.shared.is_deserted() || !self.gate.close_if_empty() {
            return;
        }
        self.resting = true;
        ctx.stop();
    }
}
