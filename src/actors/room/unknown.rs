//! Somebody wants to join a room that does not exist here. If it may be an incident of the SOS service, that is asked,
//! and what it knows is created as if it had told of it by itself: whoever joins waits for that, and nobody else.

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use std::sync::Arc;

use super::actor::{RoomActor, refuse};
use super::messages::{Act, By, Manner, Reply, Work};
use super::seats::Phase;
use super::steps::{Kind, Step};
use crate::actors::error::CommandError;
use crate::actors::gate::Permit;
use crate::actors::lookup::{Found, Known};
use crate::domain::incident::{Status, Visibility};
use crate::domain::people::{Named, Role};
use crate::domain::room::{Command, Genesis, Proof, Rejection, UserType};

type Ctx = Context<RoomActor>;

/// Those who wait for the service's answer, each with their place in the room's queue.
#[derive(Default)]
pub(super) struct Unknown {
    waiting: Vec<(Box<Act>, Option<Permit>)>,
    /// The service has been asked.
    asked: bool,
}

impl RoomActor {
    /// Sets a refused join aside if the service may know better.
    pub(super) fn set_aside(&mut self, step: Step) -> Option<Step> {
        let unknown =
            matches!(&step.kind, Kind::Acted { act, result: Err(Rejection::NotFound) } if joins(act));
        if self.core.state.exists() || !unknown {
            return Some(step);
        }
        let Some(lookups) = self.node.lookups.as_ref().filter(|all| all.takes(&self.id)) else {
            return Some(step);
        };
        let Step {
            kind: Kind::Acted { act, .. },
            permit,
        } = step
        else {
            return Some(step);
        };
        // Only whoever makes us ask pays for it: an answer that is there, or on its way, costs nothing.
        if let By::Person(_, Some(session)) = &act.by
            && !self.unknown.asked
            && self.unknown.waiting.is_empty()
            && lookups.recall(&self.id).is_none()
            && let Err(wait) = session.pass().look_up()
        {
            let error = CommandError::TooMany(wait);
            self.node.observer.refused(error.code());
            act.reply.fail(error, self.node.now(), None);
            return None;
        }
        self.unknown.waiting.push((act, permit));
        None
    }

    /// Asks the service for those who were set aside; false: nobody was.
    pub(super) fn ask_service(&mut self, ctx: &mut Ctx) -> bool {
        if self.unknown.waiting.is_empty() {
            return false;
        }
        if !std::mem::replace(&mut self.unknown.asked, true) {
            let (node, id) = (Arc::clone(&self.node), self.id.clone());
            let ask = async move {
                match &node.lookups {
                    Some(lookups) => lookups.find(&id).await,
                    None => Found::Absent,
                }
            };
            ctx.spawn(
                ask.into_actor(self)
                    .map(|found, act, ctx| act.heard_of_it(found, ctx)),
            );
        }
        true
    }

    fn heard_of_it(&mut self, found: Found, ctx: &mut Ctx) {
        let now = self.node.now();
        self.unknown.asked = false;
        let waiting = std::mem::take(&mut self.unknown.waiting);
        match found {
            // Somebody told of it meanwhile: what the service said is of no interest any more.
            _ if self.core.state.exists() => self.go_on(waiting),
            Found::Absent => self.go_on(waiting),
            Found::Open(known) => {
                self.go_on(waiting);
                self.take_over(&known);
            }
            Found::Over => waiting
                .into_iter()
                .for_each(|(act, _)| self.reject(*act, Rejection::Closed, now)),
            Found::Away(wait) => {
                let error = CommandError::SosServiceAway(wait);
                for (act, _) in waiting {
                    if matches!(act.by, By::Person(_, Some(_))) {
                        self.node.observer.refused(error.code());
                    }
                    refuse(Work::Act(act), &error, now);
                }
            }
        }
        if self.phase == Phase::Ready {
            self.pump(ctx);
        }
    }

    /// They are decided again, before what waits.
    fn go_on(&mut self, waiting: Vec<(Box<Act>, Option<Permit>)>) {
        for (mut act, permit) in waiting.into_iter().rev() {
            act.looked_up = true;
            self.queue.push_front((Work::Act(act), permit));
        }
    }

    /// Creates what the service knows, before anybody joins it. Another node that does so at the same moment is first
    /// or second: its log is the one log.
    fn take_over(&mut self, known: &Known) {
        tracing::info!(room = %self.id, "taken over from the SOS service");
        let mut report = known.report.clone();
        if self.node.blocks.holds(&known.citizen, self.node.now()) {
            // As when they raise it themselves: staff look, and nobody else is sent.
            report.visibility = Visibility::Restricted;
        }
        if known.status != Status::Active {
            // Whoever created it first has moved it along as well.
            let command = Command::SetStatus {
                to: known.status,
                expected: Some(Status::Active),
                note: None,
                lower_case: false,
                proof: Proof::Nothing,
            };
            self.queue.push_front((Work::system(command), None));
        }
        let by = By::Behalf(Named::Subject(known.citizen.clone()), Role::Citizen);
        let command = Command::Create {
            genesis: Genesis::Incident(Box::new(report)),
            user_type: UserType::Citizen,
        };
        let act = Act::new(by, command, Reply::nobody());
        self.queue.push_front((Work::Act(Box::new(act)), None));
    }
}

/// Whether somebody asked to join, and no service was asked for it yet.
fn joins(act: &Act) -> bool {
    matches!(act.command, Command::Join { .. })
        && matches!(act.by, By::Person(..) | By::Behalf(..))
        && matches!(act.manner, Manner::Asked | Manner::Incident | Manner::Stated)
        && !act.looked_up
}
