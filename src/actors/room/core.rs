//! A room's state with the records beside it: who stands how, who is called what, what is remembered for
//! newcomers. No actor, no socket, no clock.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::delivery::Frame;
use crate::domain::geo::Fix;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::people::{ContactBook, Identity, Named, Person, Role, Subject};
use crate::domain::phone::PhoneNumber;
use crate::domain::room::{
    Actor, Command, Event, EventBody, Policy, Presence, Rejection, RoomKind, RoomState, Seq, Standing,
    UserType, decide,
};
use crate::domain::time::Timestamp;
use crate::store::StoredRoom;

/// The records of the people that a room's log names.
#[derive(Debug, Default)]
pub(super) struct People {
    by_id: HashMap<ParticipantId, Person>,
    by_subject: HashMap<Subject, ParticipantId>,
    /// What stood in the place of records that are not on disk yet, oldest first.
    undo: Option<Vec<(ParticipantId, Option<Person>)>>,
}

impl People {
    /// From here on it can be put back.
    fn mark(&mut self) {
        self.undo = Some(Vec::new());
    }

    /// What was inserted since the mark is on disk.
    fn settle(&mut self) {
        self.undo = None;
    }

    /// Back to the mark.
    fn put_back(&mut self) {
        for (who, before) in self.undo.take().unwrap_or_default().into_iter().rev() {
            if let Some(after) = self.by_id.remove(&who) {
                self.by_subject.remove(&after.subject);
            }
            if let Some(before) = before {
                self.by_subject.insert(before.subject.clone(), who);
                self.by_id.insert(who, before);
            }
        }
    }

    pub fn get(&self, who: ParticipantId) -> Option<&Person> {
        self.by_id.get(&who)
    }

    pub fn find(&self, subject: &Subject) -> Option<ParticipantId> {
        self.by_subject.get(subject).copied()
    }

    pub fn insert(&mut self, person: Person) {
        if let Some(undo) = &mut self.undo {
            undo.push((person.participant, self.by_id.get(&person.participant).cloned()));
        }
        self.by_subject.insert(person.subject.clone(), person.participant);
        self.by_id.insert(person.participant, person);
    }

    pub fn all(&self) -> impl Iterator<Item = &Person> {
        self.by_id.values()
    }

    /// Forgets somebody: their pseudonym points nowhere. Answers who they were.
    pub fn forget(&mut self, subject: &Subject) -> Option<ParticipantId> {
        let who = self.by_subject.remove(subject)?;
        self.by_id.remove(&who);
        if let Some(undo) = &mut self.undo {
            undo.retain(|(other, _)| *other != who);
        }
        Some(who)
    }
}

/// Frames of recent events, for those who resume.
#[derive(Debug, Default)]
pub(super) struct Recent {
    frames: VecDeque<(Seq, Frame)>,
    /// Every event after this one that has a frame is here.
    from: Seq,
}

impl Recent {
    pub fn starting(from: Seq) -> Self {
        Self {
            frames: VecDeque::new(),
            from,
        }
    }

    pub fn push(&mut self, seq: Seq, frame: Frame, max: usize) {
        self.frames.push_back((seq, frame));
        while self.frames.len() > max {
            if let Some((seq, _)) = self.frames.pop_front() {
                self.from = seq;
            }
        }
    }

    /// How many bytes the frames after `since` up to `upto` have; `None` when it does not reach back that far.
    pub fn bytes_after(&self, since: Seq, upto: Seq) -> Option<u64> {
        (since >= self.from).then(|| self.after(since, upto).map(|frame| frame.len() as u64).sum())
    }

    /// The frames after `since` up to `upto`.
    pub fn after(&self, since: Seq, upto: Seq) -> impl Iterator<Item = &Frame> {
        self.frames
            .iter()
            .filter(move |(seq, _)| *seq > since && *seq <= upto)
            .map(|(_, frame)| frame)
    }
}

/// A decision: what happened and whose doing, with the record of anybody new.
pub(super) struct Decided {
    pub participant: Option<ParticipantId>,
    pub events: Vec<Event>,
    pub person: Option<Person>,
}

/// Somebody who wants something of a room.
pub(super) struct Asker<'a> {
    pub identity: &'a Identity,
    /// A name to go by here instead of the credential's.
    pub display_name: Option<&'a str>,
    /// Who they are if they are new here.
    pub fresh: ParticipantId,
}

/// Somebody for whom a sister service acts.
pub(super) struct Behalf<'a> {
    pub named: &'a Named,
    /// As what, if they are new here.
    pub role: Role,
    /// What the service calls them.
    pub display_name: Option<&'a str>,
    /// Who they are if they are new here.
    pub fresh: ParticipantId,
}

/// A room as it is on disk, while memory runs ahead of it.
#[derive(Debug)]
struct Checkpoint {
    state: RoomState,
    strangers: usize,
}

/// The room without its shell.
pub(super) struct RoomCore {
    pub state: RoomState,
    pub people: People,
    pub presence: Presence,
    pub newest: HashMap<ParticipantId, Fix>,
    pub recent: Recent,
    /// The owner's emergency contacts, for a circle.
    pub contacts: Arc<ContactBook>,
    /// How many are in who are neither the owner nor came as a contact.
    pub strangers: usize,
    checkpoint: Option<Box<Checkpoint>>,
}

impl RoomCore {
    /// A room of a process that was started when `began`.
    pub fn new(id: RoomId, began: Timestamp) -> Self {
        Self {
            state: RoomState::new(id),
            people: People::default(),
            presence: Presence::new(began),
            newest: HashMap::new(),
            recent: Recent::default(),
            contacts: Arc::default(),
            strangers: 0,
            checkpoint: None,
        }
    }

    /// From here on decisions can be taken back: somebody else may write first.
    pub fn mark(&mut self) {
        self.people.mark();
        self.checkpoint = Some(Box::new(Checkpoint {
            state: self.state.clone(),
            strangers: self.strangers,
        }));
    }

    /// Whether decisions can be taken back.
    pub fn is_marked(&self) -> bool {
        self.checkpoint.is_some()
    }

    /// What was decided is on disk.
    pub fn settle(&mut self) {
        self.people.settle();
        self.checkpoint = None;
    }

    /// Takes back what was decided since the mark; false: there was none.
    pub fn take_back(&mut self) -> bool {
        self.people.put_back();
        let Some(checkpoint) = self.checkpoint.take() else {
            return false;
        };
        self.state = checkpoint.state;
        self.strangers = checkpoint.strangers;
        true
    }

    /// How far the log is known to be on disk.
    pub fn durable(&self) -> Seq {
        self.checkpoint
            .as_ref()
            .map_or(self.state.seq, |checkpoint| checkpoint.state.seq)
    }

    /// Makes an event so that another writer has put on disk: the next one of the log.
    pub fn take_in(&mut self, event: &Event) {
        self.state.apply(event);
        if changes_who_is_in(&event.body) {
            self.count_strangers();
        }
    }

    /// Reads the log from the start. Presence is kept: it is not in the log.
    pub fn restore(&mut self, stored: StoredRoom, now: Timestamp) {
        self.state = RoomState::new(self.state.id.clone());
        self.people = People::default();
        self.checkpoint = None;
        for event in &stored.events {
            self.state.apply(event);
        }
        for person in stored.people {
            self.people.insert(person);
        }
        for (who, at) in stored.seen {
            self.presence.recall(who, at);
        }
        self.newest.retain(|who, _| self.state.is_in(*who));
        for (who, fix) in stored.newest {
            if self.state.is_in(who) {
                // Whoever sent a position was there, though perhaps not so late as their clock said.
                self.presence.recall(who, fix.at.min(now));
                self.note_fix(who, fix);
            }
        }
        self.recent = Recent::starting(self.state.seq);
        self.count_strangers();
    }

    /// Back to a room before its first event.
    pub fn forget(&mut self) {
        self.state = RoomState::new(self.state.id.clone());
        self.people = People::default();
        self.checkpoint = None;
        self.newest.clear();
        self.recent = Recent::default();
    }

    /// Remembers a fix if it is newer than what is known of its subject.
    pub fn note_fix(&mut self, who: ParticipantId, fix: Fix) -> bool {
        let newer = self.newest.get(&who).is_none_or(|known| known.at < fix.at);
        if newer {
            self.newest.insert(who, fix);
        }
        newer
    }

    /// Counts the strangers anew, after somebody came or went.
    pub fn count_strangers(&mut self) {
        let owner = self.state.owner;
        let people = self.state.active_participants();
        self.strangers = people
            .filter(|(who, person)| owner != Some(*who) && !person.as_contact)
            .count();
    }

    pub fn owner(&self) -> Option<&Person> {
        self.state.owner.and_then(|owner| self.people.get(owner))
    }

    pub fn is_contact(&self, phone: Option<&PhoneNumber>) -> bool {
        phone.is_some_and(|phone| self.contacts.lists(phone))
    }

    /// A circle shows the numbers of its owner and contacts, who have each other's anyway, while they are among
    /// themselves.
    pub fn phone_visible(&self, who: ParticipantId) -> bool {
        self.state.kind == Some(RoomKind::Circle)
            && self.strangers == 0
            && (self.state.owner == Some(who)
                || self
                    .people
                    .get(who)
                    .is_some_and(|person| self.is_contact(person.phone.as_ref())))
    }

    pub fn standing(&self, identity: &Identity) -> Standing {
        if self.state.kind == Some(RoomKind::Circle) && self.is_contact(identity.phone.as_ref()) {
            Standing::Contact
        } else if identity.role.is_staff() {
            Standing::Staff
        } else if identity.mission.as_ref() == Some(&self.state.id) {
            Standing::Mission
        } else if identity.role == Role::Rescuer {
            Standing::Rescuer
        } else {
            Standing::Stranger
        }
    }

    /// As what somebody comes in when they do not say.
    pub fn user_type(&self, identity: &Identity) -> UserType {
        match identity.role {
            Role::Rescuer => UserType::Rescuer,
            Role::Dispatcher | Role::Admin if self.state.kind == Some(RoomKind::Sos) => UserType::Admin,
            Role::Anon if self.state.kind == Some(RoomKind::Sos) => UserType::AnonRescuer,
            Role::Anon | Role::Citizen | Role::Dispatcher | Role::Admin => UserType::Citizen,
        }
    }

    /// The same; whoever was brought in by a service comes as what it said.
    pub fn brought_as(&self, identity: &Identity) -> UserType {
        let known = self.people.find(&identity.subject);
        let brought = known.filter(|who| self.state.brought.contains(who));
        let stay = brought.and_then(|who| self.state.participants.get(&who));
        stay.map_or_else(|| self.user_type(identity), |stay| stay.user_type)
    }

    /// Whether `identity` may see what only participants and staff see.
    pub fn is_inside(&self, identity: &Identity) -> bool {
        if !identity.may_enter(&self.state.id) {
            return false;
        }
        let known = self.people.find(&identity.subject);
        let took_part = known
            .and_then(|who| self.state.participants.get(&who))
            .is_some_and(|person| !person.removed);
        took_part
            || matches!(
                self.standing(identity),
                Standing::Staff | Standing::Mission | Standing::Contact
            )
    }

    /// Whether `identity` is shown where people are: in an incident those who are in it, as long as it is open,
    /// and operators; in a circle its owner, the owner's contacts and those who are in; in a trip those who are in,
    /// as long as it goes on, and operators.
    pub fn shows_positions_to(&self, identity: &Identity) -> bool {
        let standing = self.standing(identity);
        let known = self.people.find(&identity.subject);
        let is_in = known.is_some_and(|who| self.state.is_in(who));
        match self.state.kind {
            Some(RoomKind::Sos) => standing == Standing::Staff || (is_in && self.state.is_open()),
            Some(RoomKind::Trip) => is_in || standing == Standing::Staff,
            Some(RoomKind::Circle) => {
                let owner = known.is_some() && known == self.state.owner;
                is_in || owner || matches!(standing, Standing::Staff | Standing::Contact)
            }
            None => false,
        }
    }

    /// Where those who are in were last, as far as that is no longer ago than `stale_after`.
    pub fn present_positions(
        &self,
        stale_after: Duration,
        now: Timestamp,
    ) -> impl Iterator<Item = (ParticipantId, &Fix)> {
        self.newest
            .iter()
            .map(|(who, fix)| (*who, fix))
            .filter(move |(who, fix)| {
                let fresh = stale_after.is_zero() || now.since(fix.at) <= stale_after;
                fresh && self.state.is_in(*who)
            })
    }

    /// Whether somebody, or nobody in particular, may know that it is there.
    pub fn is_shown_to(&self, identity: Option<&Identity>) -> bool {
        let public = self
            .state
            .incident
            .as_ref()
            .is_some_and(|incident| incident.report.is_public());
        self.state.exists() && (public || identity.is_some_and(|who| self.is_inside(who)))
    }

    /// An incident or a trip that is not shown to them is none: a refusal must not tell that it is there.
    fn refusal(&self, identity: &Identity, rejection: Rejection) -> Rejection {
        let hidden = matches!(self.state.kind, Some(RoomKind::Sos | RoomKind::Trip));
        if hidden && !self.is_shown_to(Some(identity)) {
            Rejection::NotFound
        } else {
            rejection
        }
    }

    /// Decides a person's command and makes it so in memory.
    pub fn decide(
        &mut self,
        policy: &Policy,
        asker: &Asker<'_>,
        command: Command,
        now: Timestamp,
    ) -> Result<Decided, Rejection> {
        let Asker {
            identity,
            display_name,
            fresh,
        } = *asker;
        let standing = self.standing(identity);
        if !identity.may_enter(&self.state.id) {
            return Err(self.refusal(identity, Rejection::Forbidden));
        }
        identity
            .allows(command.scope())
            .map_err(|scope| self.refusal(identity, Rejection::OutOfScope(scope)))?;
        let known = self.people.find(&identity.subject);
        let who = known.unwrap_or(fresh);
        let bodies = decide(&self.state, policy, Actor::Participant(who), standing, command)
            .map_err(|rejection| self.refusal(identity, rejection))?;
        let mut person = Person::new(who, identity);
        if let Some(name) = display_name {
            person.name = Some(name.to_owned());
        } else if person.name.is_none() {
            person.name = self.people.get(who).and_then(|known| known.name.clone());
        }
        let person = (!bodies.is_empty() && self.people.get(who) != Some(&person)).then_some(person);
        if let Some(person) = &person {
            self.people.insert(person.clone());
        }
        let events = self.apply(Actor::Participant(who), bodies, now);
        Ok(Decided {
            participant: known.or((!events.is_empty()).then_some(who)),
            events,
            person,
        })
    }

    /// Who somebody is whom a service names, if that is known here.
    pub fn subject_of<'a>(&'a self, named: &'a Named) -> Option<&'a Subject> {
        match named {
            Named::Subject(subject) => Some(subject),
            Named::Participant(who) => self.people.get(*who).map(|person| &person.subject),
        }
    }

    /// Decides what a sister service wants for somebody, and makes it so in memory. Services speak of incidents; the
    /// key's scopes were looked at when it asked.
    pub fn decide_for(
        &mut self,
        policy: &Policy,
        behalf: &Behalf<'_>,
        command: Command,
        now: Timestamp,
    ) -> Result<Decided, Rejection> {
        let new = !self.state.exists();
        if !new && matches!(command, Command::Create { .. }) {
            return Err(Rejection::AlreadyExists);
        }
        if !new && self.state.kind != Some(RoomKind::Sos) {
            return Err(Rejection::WrongKind);
        }
        let who = match behalf.named {
            Named::Subject(subject) => self.people.find(subject).unwrap_or(behalf.fresh),
            Named::Participant(who) if self.knows(*who) => *who,
            // An incident that is not there has nobody in it.
            Named::Participant(_) if new && !matches!(command, Command::Create { .. }) => behalf.fresh,
            Named::Participant(_) => return Err(Rejection::NoSuchParticipant),
        };
        let bodies = decide(
            &self.state,
            policy,
            Actor::Participant(who),
            Standing::System,
            command,
        )?;
        let person = self.record_for(behalf, who);
        let person = person.filter(|person| !bodies.is_empty() && self.people.get(who) != Some(person));
        if let Some(person) = &person {
            self.people.insert(person.clone());
        }
        let mut events = Vec::with_capacity(bodies.len());
        for body in bodies {
            // That they came is the service's word, until they come.
            let actor = match body {
                EventBody::Joined { .. } => Actor::System,
                _ => Actor::Participant(who),
            };
            events.extend(self.apply(actor, vec![body], now));
        }
        Ok(Decided {
            participant: Some(who),
            events,
            person,
        })
    }

    /// Whether the room has anything of `who`.
    pub fn knows(&self, who: ParticipantId) -> bool {
        self.people.get(who).is_some() || self.state.participants.contains_key(&who)
    }

    /// What a service says of somebody, beside what is known; nothing of the erased.
    fn record_for(&self, behalf: &Behalf<'_>, who: ParticipantId) -> Option<Person> {
        let name = behalf.display_name.map(str::to_owned);
        match (self.people.get(who), behalf.named) {
            (Some(known), _) => Some(Person {
                name: name.or_else(|| known.name.clone()),
                ..known.clone()
            }),
            (None, Named::Subject(subject)) => Some(Person {
                participant: who,
                subject: subject.clone(),
                name,
                phone: None,
                role: behalf.role,
            }),
            (None, Named::Participant(_)) => None,
        }
    }

    /// Decides one of the engine's own commands, or one on behalf of `who`, and makes it so in memory.
    pub fn decide_as(
        &mut self,
        policy: &Policy,
        actor: Actor,
        standing: Standing,
        command: Command,
        now: Timestamp,
    ) -> Result<Vec<Event>, Rejection> {
        let bodies = decide(&self.state, policy, actor, standing, command)?;
        Ok(self.apply(actor, bodies, now))
    }

    fn apply(&mut self, actor: Actor, bodies: Vec<EventBody>, now: Timestamp) -> Vec<Event> {
        let mut events = Vec::with_capacity(bodies.len());
        for body in bodies {
            let event = Event {
                room: self.state.id.clone(),
                seq: self.state.seq.next(),
                at: now.max(self.state.last_at),
                actor,
                body,
            };
            self.state.apply(&event);
            if changes_who_is_in(&event.body) {
                self.count_strangers();
            }
            events.push(event);
        }
        events
    }
}

fn changes_who_is_in(body: &EventBody) -> bool {
    matches!(
        body,
        EventBody::Joined { .. } | EventBody::Left { .. } | EventBody::Emptied
    )
}
