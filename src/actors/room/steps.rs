//! From work to decisions.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::actor::RoomActor;
use super::core::{Asker, Behalf, Decided};
use super::messages::{Act, Admission, By, Look, Manner, Work};
use crate::actors::clock::random;
use crate::actors::gate::Permit;
use crate::actors::session::SessionShared;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::people::{ContactBook, Identity, Person, Role, Subject};
use crate::domain::room::{Actor, Command, Event, Rejection, RoomKind, Seq, Standing, UserType};
use crate::domain::scopes::Scope;
use crate::domain::time::Timestamp;
use crate::store::{Append, JobWrite};

/// Work that was decided and waits for the disk.
pub(super) struct Step {
    pub kind: Kind,
    pub permit: Option<Permit>,
}

/// The work, and what was decided.
pub(super) enum Kind {
    Acted {
        act: Box<Act>,
        result: Result<Decided, Rejection>,
    },
    Admitted {
        people: Vec<Admission>,
        link: Option<RoomId>,
        together: bool,
        done: Option<oneshot::Sender<()>>,
        events: Vec<Event>,
    },
    LinkEnded(RoomId, Vec<Event>),
    Look(Look),
    Contacts(Arc<ContactBook>),
    Call,
    Concerns(Subject),
}

impl Step {
    /// The work again, to be decided anew or refused.
    pub fn into_work(self) -> Option<(Work, Option<Permit>)> {
        let work = match self.kind {
            Kind::Acted { act, .. } => Work::Act(act),
            Kind::Admitted {
                people,
                link,
                together,
                done,
                ..
            } => Work::Admit {
                people,
                link,
                together,
                done,
            },
            Kind::LinkEnded(room, _) => Work::LinkEnded(room),
            Kind::Look(look) => Work::Look(look),
            Kind::Contacts(book) => Work::Contacts(book),
            Kind::Call => Work::Call,
            Kind::Concerns(subject) => Work::Concerns(subject),
        };
        Some((work, self.permit))
    }
}

impl RoomActor {
    /// Decides one piece of work; what happened goes into `append`.
    pub(super) fn decide_step(&mut self, work: Work, now: Timestamp, append: &mut Append) -> Step {
        let kind = match work {
            Work::Act(mut act) => {
                let result = self.decide_act(&mut act, now);
                if let Ok(decided) = &result {
                    append.jobs.extend(self.jobs_of(&decided.events));
                    append.events.extend(decided.events.iter().cloned());
                    append.people.extend(decided.person.clone());
                    if !decided.events.is_empty() {
                        for person in &act.people {
                            self.core.people.insert(person.clone());
                        }
                        append.people.extend(act.people.iter().cloned());
                        append.jobs.extend(act.jobs.iter().cloned());
                    }
                    if !decided.events.is_empty() && act.idempotency.is_some() {
                        append.idempotency.clone_from(&act.idempotency);
                    }
                }
                Kind::Acted { act, result }
            }
            Work::Admit {
                people,
                link,
                together,
                done,
            } => {
                let mut events = Vec::new();
                for admission in &people {
                    events.extend(self.admit(admission, now, append));
                }
                if let Some(room) = link.clone() {
                    events.extend(self.by_system(Command::NoteLinkRaised { room }, now));
                }
                append.events.extend(events.iter().cloned());
                Kind::Admitted {
                    people,
                    link,
                    together,
                    done,
                    events,
                }
            }
            Work::LinkEnded(room) => {
                let events = self.by_system(Command::NoteLinkEnded { room: room.clone() }, now);
                append.events.extend(events.iter().cloned());
                Kind::LinkEnded(room, events)
            }
            Work::Look(look) => Kind::Look(look),
            Work::Contacts(book) => Kind::Contacts(book),
            Work::Call => Kind::Call,
            Work::Concerns(subject) => Kind::Concerns(subject),
        };
        Step { kind, permit: None }
    }

    fn decide_act(&mut self, act: &mut Act, now: Timestamp) -> Result<Decided, Rejection> {
        let policy = &self.node.settings.policy;
        let command = act.command.clone();
        let actor = match &act.by {
            By::Person(identity, session) => {
                if matches!(command, Command::Join { .. } | Command::RequestJoin) {
                    self.not_blocked(&identity.subject, now)?;
                }
                if act.manner == Manner::Trip && self.core.state.trip.is_none() {
                    return Err(Rejection::NotFound);
                }
                if matches!(act.manner, Manner::Incident | Manner::Stated)
                    && self.core.state.kind.is_some_and(|kind| kind != RoomKind::Sos)
                {
                    return Err(Rejection::NotFound);
                }
                // Who sits in a room hears everything in it.
                if session.is_some() && matches!(command, Command::Join { .. } | Command::Create { .. }) {
                    let reading = identity.allows(Scope::IncidentsRead);
                    reading.map_err(Rejection::OutOfScope)?;
                }
                if let (Command::Join { .. }, Some(session)) = (&command, session)
                    && let Some(decided) = self.core_return(identity, session, act.since)
                {
                    return decided;
                }
                if act.manner == Manner::Resumed {
                    return Err(Rejection::NotIn);
                }
                if let (Command::Create { .. }, Some(book)) = (&command, &act.contacts)
                    && !self.core.state.exists()
                {
                    self.core.contacts = Arc::clone(book);
                }
                // Over a socket nobody says as what they come: their credential and the room do.
                let command = match (command, session) {
                    (Command::ApproveJoin { who, .. }, _) => Command::ApproveJoin {
                        who,
                        user_type: self.type_of(who),
                    },
                    (Command::Join { .. }, Some(_)) if act.manner != Manner::Stated => Command::Join {
                        user_type: self.core.brought_as(identity),
                    },
                    (other, _) => other,
                };
                let asker = Asker {
                    identity,
                    display_name: act.display_name.as_deref(),
                    fresh: ParticipantId::from_bits(u64::from_be_bytes(random())),
                };
                return self.core.decide(policy, &asker, command, now);
            }
            By::Behalf(named, role) => {
                if let (Command::Join { .. }, Some(subject)) = (&command, self.core.subject_of(named)) {
                    self.not_blocked(&subject.clone(), now)?;
                }
                let behalf = Behalf {
                    named,
                    role: *role,
                    display_name: act.display_name.as_deref(),
                    fresh: ParticipantId::from_bits(u64::from_be_bytes(random())),
                };
                return self.core.decide_for(policy, &behalf, command, now);
            }
            By::System => Actor::System,
            By::Raiser(subject) => self.raiser(subject.as_ref()),
        };
        let events = self
            .core
            .decide_as(policy, actor, Standing::System, command, now)?;
        Ok(Decided {
            participant: None,
            events,
            person: None,
        })
    }

    /// What is to be done because of events, whatever becomes of this process: people are to be told.
    fn jobs_of(&self, events: &[Event]) -> Vec<JobWrite> {
        let Some(notifier) = self.node.notifier.get() else {
            return vec![];
        };
        events.iter().flat_map(|event| notifier.jobs_of(event)).collect()
    }

    /// Who somebody is here who raised an SOS from here.
    fn raiser(&self, subject: Option<&Subject>) -> Actor {
        let state = &self.core.state;
        let who = match state.kind {
            Some(RoomKind::Trip) => subject.and_then(|subject| self.core.people.find(subject)),
            _ => state.owner,
        };
        who.map_or(Actor::System, Actor::Participant)
    }

    /// Nobody whom staff keep out comes in, even if they asked before they were blocked.
    fn not_blocked(&self, subject: &Subject, now: Timestamp) -> Result<(), Rejection> {
        if self.node.blocks.holds(subject, now) {
            Err(Rejection::Forbidden)
        } else {
            Ok(())
        }
    }

    /// A session of somebody who is in comes back: nothing happens to the log.
    fn core_return(
        &self,
        identity: &Identity,
        session: &SessionShared,
        since: Option<Seq>,
    ) -> Option<Result<Decided, Rejection>> {
        let who = self.core.people.find(&identity.subject).filter(|who| {
            // Nobody comes back to where they are shown that it is over.
            let seen = self.core.state.seen_by(Some(*who));
            seen.is_in(*who) && !seen.is_awaited(*who)
        })?;
        if !identity.may_enter(&self.id) {
            return Some(Err(Rejection::Forbidden));
        }
        let resumes = match self.shared.seat(session.id()) {
            Some(seat) => !seat.resumed && since.is_some(),
            None => true,
        };
        Some(if resumes {
            Ok(Decided {
                participant: Some(who),
                events: vec![],
                person: None,
            })
        } else {
            Err(Rejection::AlreadyIn)
        })
    }

    fn type_of(&self, who: ParticipantId) -> UserType {
        match self.core.people.get(who).map(|person| person.role) {
            Some(Role::Rescuer) => UserType::Rescuer,
            Some(Role::Dispatcher | Role::Admin) => UserType::Admin,
            _ => UserType::Citizen,
        }
    }

    fn by_system(&mut self, command: Command, now: Timestamp) -> Vec<Event> {
        let policy = &self.node.settings.policy;
        self.core
            .decide_as(policy, Actor::System, Standing::System, command, now)
            .unwrap_or_default()
    }

    fn admit(&mut self, admission: &Admission, now: Timestamp, append: &mut Append) -> Vec<Event> {
        let subject = &admission.person.subject;
        if self.not_blocked(subject, now).is_err() {
            return vec![];
        }
        let known = self.core.people.find(subject);
        let who = known.unwrap_or_else(|| ParticipantId::from_bits(u64::from_be_bytes(random())));
        let user_type = match admission.person.role {
            Role::Rescuer => UserType::Rescuer,
            _ => UserType::Citizen,
        };
        let policy = &self.node.settings.policy;
        let command = Command::Join { user_type };
        let joined = self
            .core
            .decide_as(policy, Actor::Participant(who), Standing::Contact, command, now);
        let Ok(events) = joined else { return vec![] };
        if known.is_none() {
            let person = Person {
                participant: who,
                ..admission.person.clone()
            };
            self.core.people.insert(person.clone());
            append.people.push(person);
        }
        events
    }
}
