//! From work to decisions, and from what became durable to what is said.

use std::sync::Arc;
use std::time::Instant;

use actix::Context;
use tokio::sync::oneshot;

use super::actor::RoomActor;
use super::core::Decided;
use super::messages::{Act, Admission, By, Look, Outcome, RoomView, Work};
use super::seating::Arrival;
use crate::actors::clock::random;
use crate::actors::error::CommandError;
use crate::actors::gate::Permit;
use crate::actors::session::SessionShared;
use crate::delivery::{Except, Frame, Signal, SignalKey};
use crate::domain::geo::Fix;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::people::{ContactBook, Identity, Person, Role};
use crate::domain::room::{Actor, Command, Event, EventBody, Rejection, RoomKind, Seq, Standing, UserType};
use crate::domain::time::Timestamp;
use crate::store::Append;
use crate::wire::json::{ServerMessage, UserView, encode_event};

/// Work that was decided and waits for the disk.
pub(super) struct Step {
    kind: Kind,
    pub permit: Option<Permit>,
}

enum Kind {
    Acted {
        act: Box<Act>,
        result: Result<Decided, Rejection>,
    },
    Admitted {
        people: Vec<Admission>,
        link: Option<RoomId>,
        done: Option<oneshot::Sender<()>>,
        events: Vec<Event>,
    },
    LinkEnded(RoomId, Vec<Event>),
    Look(Look),
    Contacts(Arc<ContactBook>),
}

impl Step {
    /// The work again, to be decided anew or refused.
    pub fn into_work(self) -> Option<(Work, Option<Permit>)> {
        let work = match self.kind {
            Kind::Acted { act, .. } => Work::Act(act),
            Kind::Admitted {
                people, link, done, ..
            } => Work::Admit { people, link, done },
            Kind::LinkEnded(room, _) => Work::LinkEnded(room),
            Kind::Look(look) => Work::Look(look),
            Kind::Contacts(book) => Work::Contacts(book),
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
                    append.events.extend(decided.events.iter().cloned());
                    append.people.extend(decided.person.clone());
                    if !decided.events.is_empty() && act.idempotency.is_some() {
                        append.idempotency.clone_from(&act.idempotency);
                    }
                }
                Kind::Acted { act, result }
            }
            Work::Admit { people, link, done } => {
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
        };
        Step { kind, permit: None }
    }

    fn decide_act(&mut self, act: &mut Act, now: Timestamp) -> Result<Decided, Rejection> {
        let policy = &self.node.settings.policy;
        let command = act.command.clone();
        let actor = match &act.by {
            By::Person(identity, session) => {
                if let (Command::Join { .. }, Some(session)) = (&command, session)
                    && let Some(decided) = self.core_return(identity, session, act.since)
                {
                    return decided;
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
                    (Command::Join { .. }, Some(_)) => Command::Join {
                        user_type: self.core.user_type(identity),
                    },
                    (other, _) => other,
                };
                let (standing, fresh) = (
                    self.core.standing(identity),
                    ParticipantId::from_bits(u64::from_be_bytes(random())),
                );
                let name = act.display_name.as_deref();
                return self
                    .core
                    .decide(policy, identity, name, standing, fresh, command, now);
            }
            By::System => Actor::System,
            By::Owner => self.core.state.owner.map_or(Actor::System, Actor::Participant),
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

    /// A session of somebody who is in comes back: nothing happens to the log.
    fn core_return(
        &self,
        identity: &Identity,
        session: &SessionShared,
        since: Option<Seq>,
    ) -> Option<Result<Decided, Rejection>> {
        let who = self
            .core
            .people
            .find(&identity.subject)
            .filter(|who| self.core.state.is_in(*who))?;
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

    /// Carries out what is durable now, in order.
    pub(super) fn release(&mut self, steps: Vec<Step>, ctx: &mut Context<Self>) {
        for Step { kind, permit } in steps {
            match kind {
                Kind::Acted { act, result } => self.release_act(*act, result, ctx),
                Kind::Admitted {
                    people,
                    link,
                    done,
                    events,
                } => {
                    if let Some(room) = link {
                        self.linking.remove(&room);
                    }
                    for event in &events {
                        self.announce(event, None);
                    }
                    for admission in people {
                        let found = self.core.people.find(&admission.person.subject);
                        if let Some(who) = found.filter(|who| self.core.state.is_in(*who)) {
                            let greet = !events.iter().any(|event| joins(event, who));
                            for session in admission.sessions {
                                self.seat_automatically(&session, who, greet, ctx);
                            }
                        }
                    }
                    if let Some(done) = done {
                        let _ = done.send(());
                    }
                }
                Kind::LinkEnded(room, events) => {
                    self.linking.remove(&room);
                    for event in &events {
                        self.announce(event, None);
                    }
                }
                Kind::Look(look) => self.answer(look),
                Kind::Contacts(book) => self.contacts_changed(book),
            }
            drop(permit);
        }
        self.drive_links(ctx);
        self.arm(ctx);
    }

    fn release_act(&mut self, act: Act, result: Result<Decided, Rejection>, ctx: &mut Context<Self>) {
        let now = self.node.now();
        let decided = match result {
            Ok(decided) => decided,
            Err(rejection) => {
                self.reject(act, rejection, now);
                return;
            }
        };
        let origin = match &act.by {
            By::Person(_, session) => session.clone(),
            By::System | By::Owner => None,
        };
        let people = if matches!(act.command, Command::RaiseEmergency { .. }) {
            self.admissions()
        } else {
            vec![]
        };
        let participant = decided.participant;
        let seq = decided
            .events
            .last()
            .map_or(self.shared.announced(), |event| event.seq);
        // Who waits is told first, then everybody.
        let outcome = || Outcome {
            seq,
            participant,
            events: decided.events.clone(),
            people,
        };
        let session = act.reply.into_session(outcome);
        if let (Some(session), Some(who)) = (&session, participant) {
            self.answer_session(session, who, &act.command, &decided, now);
        }
        for event in &decided.events {
            self.announce(event, origin.as_ref());
            self.follow_up(event, ctx);
        }
        // Somebody who was in already is told of by their presence, not by the log.
        let greet = participant.is_some_and(|who| !decided.events.iter().any(|event| joins(event, who)));
        if let (Some(session), Some(who)) = (session.as_ref().or(origin.as_ref()), participant) {
            match act.command {
                Command::Create { .. } if session.is_open() => {
                    self.sit(session, who, None, Arrival { resumed: true, greet }, ctx);
                    self.call_contacts();
                }
                Command::Join { .. } if act.manner == super::Manner::Automatic => {
                    self.seat_automatically(session, who, greet, ctx);
                }
                Command::Join { .. } => self.join_session(session, who, act.since, greet, ctx),
                Command::RequestJoin => self.wait_for_owner(who, session),
                _ => {}
            }
        }
    }

    fn reject(&mut self, act: Act, rejection: Rejection, now: Timestamp) {
        self.node
            .observer
            .refused(CommandError::Rejected(rejection.clone()).code());
        let refuse = match (&act.command, &rejection) {
            (Command::SendMessage { id, .. }, Rejection::SentBefore { seq }) => Some(
                ServerMessage::MessageAccepted {
                    room: &self.id,
                    seq: *seq,
                    id,
                }
                .encode(now),
            ),
            (Command::Join { .. } | Command::RequestJoin, Rejection::AlreadyIn) => None,
            (Command::Join { .. } | Command::RequestJoin, _) => {
                let message = rejection.to_string();
                Some(
                    ServerMessage::JoinDenied {
                        room: &self.id,
                        message: &message,
                    }
                    .encode(now),
                )
            }
            _ => None,
        };
        act.reply
            .fail(rejection.into(), now, refuse.map(|bytes| Frame::text(&bytes)));
    }

    fn answer_session(
        &self,
        session: &SessionShared,
        who: ParticipantId,
        command: &Command,
        decided: &Decided,
        now: Timestamp,
    ) {
        let room = &self.id;
        let seq = decided.events.last().map(|event| event.seq);
        let message = match command {
            Command::Create { .. } => {
                let phones: Vec<_> = self
                    .core
                    .contacts
                    .emergency
                    .iter()
                    .map(|c| c.phone.clone())
                    .collect();
                let seq = seq.unwrap_or_default();
                let created = ServerMessage::RoomCreated {
                    room,
                    owner: who,
                    emergency_contacts: &phones,
                    participant: who,
                    seq,
                };
                session.push(&Frame::text(&created.encode(now)));
                return;
            }
            Command::Leave => ServerMessage::RoomLeft { room },
            Command::RequestJoin => ServerMessage::JoinRequested { room },
            Command::SendMessage { id, .. } => ServerMessage::MessageAccepted {
                room,
                seq: seq.unwrap_or_default(),
                id,
            },
            Command::Activate => ServerMessage::RoomActivated { room, seq },
            Command::Deactivate => ServerMessage::RoomDeactivated { room, seq },
            _ => return,
        };
        session.push(&Frame::text(&message.encode(now)));
    }

    /// Tells everybody what happened. `origin` is the connection whose doing it was: it knows itself by its
    /// own client id, and has had its answer.
    pub(super) fn announce(&mut self, event: &Event, origin: Option<&Arc<SessionShared>>) {
        let begun = Instant::now();
        let token = origin.and_then(|session| self.tokens.get(&session.id()).copied());
        if let Some(bytes) = self.encode(event, None) {
            let frame = Frame::text(&bytes);
            let answered = matches!(event.body, EventBody::Activated | EventBody::Deactivated);
            let except = match (&event.body, token) {
                (EventBody::Joined { who, .. } | EventBody::Left { who, .. }, _) => {
                    Except::Origin(who.bits())
                }
                (_, Some(token)) => Except::Member(token),
                (_, None) => Except::Nobody,
            };
            let sent = self.audience.send_event(&frame, except);
            if let (Some(session), Some(_), false) = (origin, token, answered)
                && !matches!(event.body, EventBody::Joined { .. } | EventBody::Left { .. })
                && let Some(own) = self.encode(event, Some(&session.client_id()))
            {
                session.push(&Frame::text(&own));
            }
            self.core
                .recent
                .push(event.seq, frame, self.node.settings.room_recent_max);
            self.node.observer.fanned_out(sent.delivered, begun.elapsed());
        }
        self.shared.set_announced(event.seq);
        self.note_change(event, origin);
    }

    /// What an event changes beyond the log: who is in which rooms, who sits where, what the map shows.
    fn note_change(&mut self, event: &Event, origin: Option<&Arc<SessionShared>>) {
        match &event.body {
            EventBody::Joined { who, .. } => {
                self.deadlines_moved = true;
                self.forget_membership(*who);
            }
            EventBody::Left { who, .. } => {
                self.forget_membership(*who);
                self.core.presence.forget(*who);
                self.unseat(Some(*who), origin);
            }
            EventBody::Emptied => self.everybody_left(),
            EventBody::StatusChanged { to, .. } if !to.is_open() => self.everybody_left(),
            _ => {}
        }
        if matches!(
            event.body,
            EventBody::Created(_) | EventBody::StatusChanged { .. }
        ) {
            self.publish_to_areas(matches!(event.body, EventBody::Created(_)));
        }
    }

    fn everybody_left(&mut self) {
        let everybody: Vec<_> = self.core.state.participants.keys().copied().collect();
        for who in everybody {
            self.forget_membership(who);
        }
        self.unseat(None, None);
    }

    fn forget_membership(&self, who: ParticipantId) {
        if let Some(person) = self.core.people.get(who) {
            self.node.memberships.forget(&person.subject);
        }
    }

    /// What else has to be done because of an event, once.
    fn follow_up(&mut self, event: &Event, ctx: &mut Context<Self>) {
        match &event.body {
            EventBody::JoinRequested { who } => self.tell_owner_of(*who),
            EventBody::JoinDenied { who } => {
                let now = self.node.now();
                let message = ServerMessage::JoinDenied {
                    room: &self.id,
                    message: "Join request denied",
                };
                let frame = Frame::text(&message.encode(now));
                for session in self.asking.remove(who).unwrap_or_default() {
                    session.push(&frame);
                }
            }
            EventBody::Joined { who, .. } => {
                for session in self.asking.remove(who).unwrap_or_default() {
                    self.join_session(&session, *who, None, false, ctx);
                }
                if self.core.state.kind == Some(RoomKind::Circle) {
                    self.pass_on(*who, ctx);
                }
            }
            EventBody::EmergencyRaised { sos } => self.alert_contacts(sos, event),
            _ => {}
        }
    }

    fn answer(&mut self, look: Look) {
        match look {
            Look::View(identity, to) => {
                let _ = to.send(self.view(&identity));
            }
            Look::Broadcaster(identity, to) => {
                let _ = to.send(self.broadcaster(&identity));
            }
            Look::Emergency(to) => {
                let _ = to.send(self.core.state.emergency.clone());
            }
            Look::LinksSettled(to) => self.link_waiters.push(to),
            Look::Users(session) => self.tell_users(&session),
        }
    }

    fn view(&self, identity: &Identity) -> Result<Box<RoomView>, CommandError> {
        let state = &self.core.state;
        let inside = self.core.is_inside(identity);
        let public = state
            .incident
            .as_ref()
            .is_some_and(|incident| incident.report.is_public());
        if !state.exists() || !(inside || public) || !identity.may_enter(&self.id) {
            return Err(Rejection::NotFound.into());
        }
        let online = state.active_participants().map(|(who, _)| who);
        Ok(Box::new(RoomView {
            state: state.clone(),
            people: self.core.people.all().cloned().collect(),
            newest: self.core.newest.iter().map(|(who, fix)| (*who, *fix)).collect(),
            online: online
                .filter(|who| self.core.presence.is_connected(*who))
                .collect(),
            viewer: self.core.people.find(&identity.subject),
            inside,
        }))
    }

    fn broadcaster(&self, identity: &Identity) -> Result<Option<ParticipantId>, CommandError> {
        let state = &self.core.state;
        let known = self.core.people.find(&identity.subject);
        if !state.exists() {
            return Err(Rejection::NotFound.into());
        }
        if let Some(who) = known.filter(|who| state.is_in(*who)) {
            return Ok(Some(who));
        }
        let owner = known.is_some() && known == state.owner;
        let belongs = owner || self.core.standing(identity) == Standing::Contact;
        if state.kind == Some(RoomKind::Circle) && belongs && identity.may_enter(&self.id) {
            Ok(None)
        } else {
            Err(CommandError::MayNotBroadcast)
        }
    }

    fn tell_users(&self, session: &SessionShared) {
        let now = self.node.now();
        if !self.is_seated(session.id()) {
            session.error(&CommandError::Rejected(Rejection::NotIn), now);
            return;
        }
        let users: Vec<UserView<'_>> = self
            .core
            .state
            .active_participants()
            .map(|(who, _)| self.user_view(who))
            .collect();
        let message = ServerMessage::RoomUsers {
            room: &self.id,
            users: &users,
        };
        session.push(&Frame::text(&message.encode(now)));
    }

    pub(super) fn user_view(&self, who: ParticipantId) -> UserView<'_> {
        match self.core.people.get(who) {
            Some(person) => UserView::of(person, self.core.phone_visible(who)),
            None => UserView::unknown(who),
        }
    }

    pub(super) fn encode(&self, event: &Event, client_id: Option<&str>) -> Option<Vec<u8>> {
        encode_event(
            event,
            &|who| self.core.people.get(who),
            &|who| self.core.phone_visible(who),
            client_id,
        )
    }

    pub(super) fn encode_fix(&self, who: ParticipantId, fix: &Fix, now: Timestamp) -> Vec<u8> {
        let person = self.core.people.get(who);
        let phone = person.and_then(|person| person.phone.as_ref());
        let message = ServerMessage::LocationUpdate {
            room: &self.id,
            user: who,
            name: person.and_then(|person| person.name.as_deref()),
            visible_phone: phone.filter(|_| self.core.phone_visible(who)),
            fix,
        };
        message.encode(now)
    }

    pub(super) fn signal_key(&self, who: ParticipantId) -> SignalKey {
        SignalKey {
            room: self.shared.number(),
            subject: who.bits(),
        }
    }

    /// Shows positions to everybody but those whose they are.
    pub(super) fn show(&mut self, fixes: Vec<(ParticipantId, Fix)>) {
        let (begun, now) = (Instant::now(), self.node.now());
        let mut signals = Vec::with_capacity(fixes.len());
        for (who, fix) in fixes {
            if !self.core.state.is_in(who) || !self.core.note_fix(who, fix) {
                continue;
            }
            self.core.presence.touch(who, now);
            if !self.audience.is_empty() {
                let frame = Frame::text(&self.encode_fix(who, &fix, now));
                signals.push(Signal {
                    key: self.signal_key(who),
                    origin: who.bits(),
                    frame,
                });
            }
        }
        if signals.is_empty() {
            return;
        }
        let sent = self.audience.send_signals(&signals);
        self.node.observer.position("broadcast", signals.len() as u64);
        self.node.observer.fanned_out(sent.delivered, begun.elapsed());
    }
}

fn joins(event: &Event, who: ParticipantId) -> bool {
    matches!(event.body, EventBody::Joined { who: joined, .. } if joined == who)
}
