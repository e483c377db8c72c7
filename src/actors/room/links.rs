//! An incident and the rooms it was raised from: they are told of its beginning and its end, as often as it
//! takes. What is still to be told follows from the log, so a crash forgets none of it.

use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use tokio::sync::oneshot;

use super::actor::RoomActor;
use super::messages::{Act, Admission, By, LINK_RETRY, Reply, Work};
use crate::actors::error::CommandError;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::room::{Command, LinkWork, Rejection};
use crate::domain::scopes::Scope;

/// Whoever waits for linked rooms to be told waits so long for another node to do it.
const OTHERS_TELL: Duration = Duration::from_secs(1);

impl RoomActor {
    /// Tells linked rooms what they have not been told.
    pub(super) fn drive_links(&mut self, ctx: &mut Context<Self>) {
        let Some(incident) = &self.core.state.incident else {
            return;
        };
        let todo: Vec<(RoomId, LinkWork)> = incident
            .link_work()
            .filter(|(room, _)| !self.linking.contains_key(*room))
            .map(|(room, work)| (room.clone(), work))
            .collect();
        if todo.is_empty() && self.linking.is_empty() {
            for waiter in self.link_waiters.drain(..) {
                let _ = waiter.send(());
            }
        }
        if !self.remote.drives {
            // Somebody waits for it: if whoever should do it does not, it is done here.
            let waits = !todo.is_empty() && !self.link_waiters.is_empty();
            if waits && !std::mem::replace(&mut self.remote.drives_soon, true) {
                ctx.run_later(OTHERS_TELL, |act, ctx| {
                    act.remote.drives_soon = false;
                    act.remote.drives = true;
                    act.drive_links(ctx);
                });
            }
            return;
        }
        for (room, work) in todo {
            self.linking.insert(room.clone(), 0);
            self.tell(room, work, ctx);
        }
    }

    fn tell(&mut self, room: RoomId, work: LinkWork, ctx: &mut Context<Self>) {
        let (node, sos) = (Arc::clone(&self.node), self.id.clone());
        let command = match work {
            LinkWork::Raise => Command::RaiseEmergency { sos },
            LinkWork::End => Command::EndEmergency { sos },
        };
        let by_owner = self.core.state.incident.as_ref().is_some_and(|incident| {
            incident.status.is_open()
                || (incident.ended_by.is_some() && incident.ended_by == self.core.state.owner)
        });
        let owner = self.core.owner().map(|owner| owner.subject.clone());
        let by = if by_owner { By::Raiser(owner) } else { By::System };
        let target = room.clone();
        let told = async move {
            node.room(&target)
                .act(Act::new(by, command, Reply::nobody()))
                .await
        };
        ctx.spawn(told.into_actor(self).map(move |told, act, ctx| match told {
            Ok(outcome) => {
                let next = match work {
                    LinkWork::Raise => {
                        Work::Admit { people: outcome.people, link: Some(room), together: true, done: None }
                    }
                    LinkWork::End => Work::LinkEnded(room),
                };
                act.queue.push_back((next, None));
                act.pump(ctx);
            }
            Err(CommandError::Rejected(
                Rejection::NotFound | Rejection::WrongKind | Rejection::TripEnded,
            )) => {
                act.queue.push_back((Work::LinkEnded(room), None));
                act.pump(ctx);
            }
            Err(error) => {
                let tries = act.linking.get(&room).copied().unwrap_or(0);
                tracing::warn!(sos = %act.id, %room, %error, tries, "could not tell a linked room, will try again");
                act.linking.insert(room.clone(), tries + 1);
                let wait = LINK_RETRY[tries.min(LINK_RETRY.len() - 1)];
                ctx.run_later(wait, move |act, ctx| {
                    // The incident may have ended meanwhile: what is to be told is worked out anew.
                    let work = act.core.state.incident.as_ref().and_then(|incident| {
                        incident.link_work().find(|(other, _)| **other == room).map(|(_, work)| work)
                    });
                    match work {
                        Some(work) => act.tell(room, work, ctx),
                        None => {
                            act.linking.remove(&room);
                            act.drive_links(ctx);
                        }
                    }
                });
            }
        }));
    }

    /// A linked room was told that the emergency stands. If it has ended meanwhile, another node may have told the
    /// room so before it heard of the beginning.
    pub(super) fn told_of_beginning(&mut self, room: RoomId, ctx: &mut Context<Self>) {
        self.linking.remove(&room);
        if self.clustered && !self.core.state.is_open() {
            self.linking.insert(room.clone(), 0);
            self.tell(room, LinkWork::End, ctx);
        }
    }

    /// What linked rooms are to be told is told from here if nobody else does it: this node minds the room.
    pub(super) fn mind_links(&mut self, ctx: &mut Context<Self>) {
        let minds = self.node.cluster.peers.minds(&self.id);
        if self.clustered && minds && self.core.state.has_link_work() {
            self.remote.drives = true;
            self.drive_links(ctx);
        }
    }

    /// Another node has brought everybody who is in this circle into an incident. Those who are connected here sit
    /// down in it.
    pub(super) fn bring_in(&mut self, sos: &RoomId, ctx: &mut Context<Self>) {
        let people: Vec<Admission> = self.admissions();
        let people: Vec<Admission> = people
            .into_iter()
            .filter(|one| !one.sessions.is_empty())
            .collect();
        if !people.is_empty() {
            self.hand_in(sos.clone(), people, true, ctx);
        }
    }

    /// Everybody who is in, with their live connections: they are brought into the incident.
    pub(super) fn admissions(&self) -> Vec<Admission> {
        self.core
            .state
            .active_participants()
            .filter_map(|(who, _)| self.admission(who))
            .collect()
    }

    fn admission(&self, who: ParticipantId) -> Option<Admission> {
        let mut person = self.core.people.get(who)?.clone();
        // Those on a trip need not have asked for it to be told: whatever connection they have will do.
        let sessions: Vec<_> = if self.core.state.trip.is_some() {
            let mut theirs = self.node.directory.of_subject(&person.subject).into_vec();
            theirs.retain(|session| {
                let identity = session.identity();
                identity.mission.is_none() && identity.may(Scope::IncidentsRead)
            });
            theirs
        } else {
            let seats = self.shared.seats().into_iter();
            let theirs = seats.filter(|seat| seat.participant == who);
            theirs.map(|seat| seat.session).collect()
        };
        if person.name.is_none() {
            let named = sessions
                .iter()
                .find_map(|session| session.identity().name.clone());
            person.name = named;
        }
        Some(Admission { person, sessions })
    }

    /// Brings somebody who joined a circle or a trip during its emergency into the incident too.
    pub(super) fn pass_on(&mut self, who: ParticipantId, ctx: &mut Context<Self>) {
        let Some(admission) = self.admission(who) else {
            return;
        };
        let state = &self.core.state;
        let standing: Vec<_> = state.overtaken.iter().chain(&state.emergency).cloned().collect();
        for sos in standing {
            self.hand_in(sos, vec![admission.clone()], false, ctx);
        }
    }

    /// Brings people into an incident, as often as it takes.
    fn hand_in(&mut self, sos: RoomId, people: Vec<Admission>, together: bool, ctx: &mut Context<Self>) {
        let node = Arc::clone(&self.node);
        let passed = async move {
            for wait in LINK_RETRY {
                let (done, brought_in) = oneshot::channel();
                let work = Work::Admit {
                    people: people.clone(),
                    link: None,
                    together,
                    done: Some(done),
                };
                let brought_in = tokio::time::timeout(node.settings.command_timeout, brought_in);
                if node.room(&sos).hand_over(work).is_ok() && matches!(brought_in.await, Ok(Ok(()))) {
                    return;
                }
                tokio::time::sleep(wait).await;
            }
            tracing::warn!(%sos, "could not bring contacts into the incident");
        };
        ctx.spawn(passed.into_actor(self));
    }
}
