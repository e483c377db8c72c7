//! What is said to everybody: durable events in order, positions as they come.

use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{AsyncContext, Context};

use super::actor::RoomActor;
use super::seating::Coming;
use crate::actors::observer::Positions;
use crate::actors::session::SessionShared;
use crate::actors::session::voice::{INCIDENT, JSON, frame};
use crate::bus::Note;
use crate::delivery::{Except, Frame, Mark, Signal, SignalKey, Versions};
use crate::domain::geo::Fix;
use crate::domain::ids::ParticipantId;
use crate::domain::room::{Event, EventBody, Genesis, Participant, RoomKind, Seq};
use crate::wire::incident::{self, Words};
use crate::wire::json::{ServerMessage, encode_event};

/// With fewer connections than this there is nothing to save by gathering.
const GATHER_FROM: usize = 64;

/// How long positions are gathered while the writers are behind.
const GATHER: Duration = Duration::from_millis(5);

impl RoomActor {
    /// Tells those who sit here what happened on another node.
    pub(super) fn announce_heard(&mut self, event: &Event) {
        self.say(event, None);
        self.node.ops.happened(event, &self.core.state, false);
        self.note_change(event, None);
    }

    /// Tells everybody what happened. `origin` is the connection whose doing it was: it knows itself by its
    /// own client id, and has had its answer.
    pub(super) fn announce(&mut self, event: &Event, origin: Option<&Arc<SessionShared>>) {
        self.say(event, origin);
        self.node.observer.event(event.body.kind());
        self.node.ops.happened(event, &self.core.state, true);
        self.tell_of_change(event);
        self.note_change(event, origin);
    }

    fn say(&mut self, event: &Event, origin: Option<&Arc<SessionShared>>) {
        let begun = Instant::now();
        if matches!(event.body, EventBody::Duress { .. }) {
            self.pretend(event);
        }
        // Whoever speaks another dialect has not had an answer that says it.
        let origin = origin.filter(|session| session.speaks_json());
        let token = origin.and_then(|session| self.tokens.get(&session.id()).copied());
        let except = match (&event.body, token) {
            (EventBody::Joined { who, .. } | EventBody::Left { who, .. }, _) => Except::Origin(who.bits()),
            (_, Some(token)) => Except::Member(token),
            (_, None) => Except::Nobody,
        };
        let json = self.encode(event, None).map(|bytes| Frame::text(&bytes));
        let versions = self.versions(json.clone(), || self.words(event));
        if !versions.is_empty() {
            let mark = self.mark(event.seq);
            self.audience.send_event(&versions, Some(mark), except);
        }
        if let Some(frame) = json {
            let answered = matches!(event.body, EventBody::Activated | EventBody::Deactivated);
            if let (Some(session), Some(_), false) = (origin, token, answered)
                && !matches!(event.body, EventBody::Joined { .. } | EventBody::Left { .. })
                && let Some(own) = self.encode(event, Some(&session.client_id()))
            {
                session.push(&Frame::text(&own));
            }
            self.core
                .recent
                .push(event.seq, frame, self.node.settings.room_recent_max);
            self.node.observer.fanned_out(begun.elapsed());
        }
        self.shared.set_announced(event.seq);
    }

    /// Whoever raised the incident is told that it stands where they were made to set it, and nobody else is told
    /// anything.
    fn pretend(&mut self, event: &Event) {
        let (Some(shown), Some(owner)) = (event.masked(), self.core.state.owner) else {
            return;
        };
        let json = self.encode(&shown, None).map(|bytes| Frame::text(&bytes));
        let words = self.words(&shown);
        for seat in self.shared.seats() {
            if seat.participant == owner {
                if let Some(json) = &json {
                    seat.session.push(json);
                }
                seat.session.tell(&shown, &words, self.shared.number());
            }
        }
    }

    /// One piece of news in each tongue that is heard here.
    pub(super) fn versions(&self, json: Option<Frame>, words: impl FnOnce() -> Words) -> Versions {
        let versions = Versions::default().with(JSON, json);
        if !INCIDENT.iter().any(|(_, tongue)| self.audience.hears(*tongue)) {
            return versions;
        }
        let words = words();
        let heard = INCIDENT.iter().filter(|(_, tongue)| self.audience.hears(*tongue));
        heard.fold(versions, |versions, (namespace, tongue)| {
            versions.with(*tongue, frame(namespace, &words))
        })
    }

    /// What incident clients are told of an event.
    pub(super) fn words(&self, event: &Event) -> Words {
        let stays = &self.core.state.participants;
        let came_as = |who| stays.get(&who).map(|stay: &Participant| stay.user_type);
        incident::encode_event(event, &|who| self.core.people.get(who), &came_as)
    }

    /// A place in this room's log, for those who are told how far they are.
    pub(super) fn mark(&self, seq: Seq) -> Mark {
        Mark {
            room: self.shared.number(),
            seq: seq.get(),
        }
    }

    /// Tells those outside the room what this node's own doing has changed: who is in which rooms, what the map shows.
    fn tell_of_change(&self, event: &Event) {
        match &event.body {
            EventBody::Created(_) => self.publish_to_areas(true),
            EventBody::StatusChanged { .. } | EventBody::TypeChanged { .. } => self.publish_to_areas(false),
            _ => {}
        }
        if !self.clustered {
            return;
        }
        let gossip = |who: &ParticipantId| {
            if let Some(person) = self.core.people.get(*who) {
                self.node.cluster.gossip.moved(&person.subject);
            }
        };
        match &event.body {
            EventBody::Joined { who, .. } | EventBody::Left { who, .. } => gossip(who),
            EventBody::Emptied => self.core.state.participants.keys().for_each(gossip),
            EventBody::StatusChanged { to, .. } if !to.is_open() => {
                self.core.state.participants.keys().for_each(gossip);
            }
            _ => {}
        }
    }

    /// What an event changes on this node beyond the log: who is in which rooms, who sits where.
    fn note_change(&mut self, event: &Event, origin: Option<&Arc<SessionShared>>) {
        match &event.body {
            EventBody::Joined { who, .. } => {
                self.deadlines_moved = true;
                self.forget_membership(*who);
            }
            EventBody::Left { who, .. } => {
                self.forget_membership(*who);
                self.core.presence.forget(*who);
                self.drop_position(*who);
                self.note_absence(*who);
                self.unseat(Some(*who), origin);
            }
            EventBody::Created(Genesis::Trip(manifest)) => {
                manifest.people().for_each(|who| self.forget_membership(who));
                self.deadlines_moved = true;
            }
            EventBody::Emptied => self.everybody_left(),
            EventBody::TripEnded => {
                self.everybody_left();
                self.node.trips.ended(&self.id);
                self.node.board.put(Note::TripEnded(self.id.clone()));
            }
            EventBody::StatusChanged { to, .. } if !to.is_open() => self.everybody_left(),
            // It is over for whoever raised it, and for nobody else.
            EventBody::Duress { .. } => self.unseat(self.core.state.owner, None),
            _ => {}
        }
        if matches!(
            event.body,
            EventBody::Left { .. }
                | EventBody::EmergencyEnded { .. }
                | EventBody::Emptied
                | EventBody::TripEnded
                | EventBody::StatusChanged { .. }
        ) {
            self.deadlines_moved = true;
        }
    }

    fn everybody_left(&mut self) {
        let everybody: Vec<_> = self.core.state.participants.keys().copied().collect();
        for who in everybody {
            self.forget_membership(who);
            self.drop_position(who);
        }
        self.unseat(None, None);
    }

    fn forget_membership(&self, who: ParticipantId) {
        if let Some(person) = self.core.people.get(who) {
            self.node.memberships.forget(&person.subject);
        }
    }

    /// What else has to be done because of an event, once.
    pub(super) fn follow_up(&mut self, event: &Event, ctx: &mut Context<Self>) {
        match &event.body {
            EventBody::JoinRequested { who } => {
                self.tell_owner_of(*who);
                self.concern_owner_elsewhere();
            }
            EventBody::JoinDenied { who } => {
                let now = self.node.now();
                let message = ServerMessage::JoinDenied {
                    room: &self.id,
                    message: "Join request denied",
                };
                for session in self.asking.remove(who).unwrap_or_default() {
                    session.send(&message, now);
                }
            }
            EventBody::Joined { who, .. } => {
                self.let_in(*who, ctx);
                if matches!(self.core.state.kind, Some(RoomKind::Circle | RoomKind::Trip)) {
                    self.pass_on(*who, ctx);
                }
            }
            EventBody::EmergencyRaised { sos } => {
                self.alert_contacts(sos, event.at);
                self.call_contacts_elsewhere(true);
            }
            _ => {}
        }
    }

    /// Those who waited for the owner's answer and have it sit down.
    pub(super) fn let_in(&mut self, who: ParticipantId, ctx: &mut Context<Self>) {
        for session in self.asking.remove(&who).unwrap_or_default() {
            self.join_session(&session, who, None, Coming::ASKED, ctx);
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

    /// Runs `tell` with what is said of where somebody is.
    pub(super) fn with_fix<T>(
        &self,
        who: ParticipantId,
        fix: &Fix,
        tell: impl FnOnce(&ServerMessage<'_>) -> T,
    ) -> T {
        let person = self.core.people.get(who);
        let phone = person.and_then(|person| person.phone.as_ref());
        tell(&ServerMessage::LocationUpdate {
            room: &self.id,
            user: who,
            name: person.and_then(|person| person.name.as_deref()),
            visible_phone: phone.filter(|_| self.core.phone_visible(who)),
            fix,
            rescuer: self
                .core
                .state
                .participants
                .get(&who)
                .is_some_and(Participant::rescues),
        })
    }

    pub(super) fn signal_key(&self, who: ParticipantId) -> SignalKey {
        SignalKey {
            room: self.shared.number(),
            subject: who.bits(),
        }
    }

    /// Shows positions to everybody but those whose they are. While the writers are behind with what they
    /// have, the newest of each subject is gathered here once rather than in every outbox.
    pub(super) fn show(&mut self, fixes: Vec<(ParticipantId, Fix)>, ctx: &mut Context<Self>) {
        let few = self.audience.len() < GATHER_FROM;
        if self.gathered.is_empty() && (few || !self.audience.is_behind()) {
            self.broadcast(fixes);
            return;
        }
        let arms = self.gathered.is_empty();
        let mut conflated = 0;
        for (who, fix) in fixes {
            match self.gathered.entry(who) {
                Entry::Vacant(entry) => {
                    entry.insert(fix);
                }
                Entry::Occupied(mut entry) => {
                    conflated += 1;
                    if entry.get().at < fix.at {
                        entry.insert(fix);
                    }
                }
            }
        }
        self.node.observer.positions(Positions::Conflated, conflated);
        if arms {
            ctx.run_later(GATHER, |act, _| {
                let gathered = act.gathered.drain().collect();
                act.broadcast(gathered);
            });
        }
    }

    fn broadcast(&mut self, fixes: Vec<(ParticipantId, Fix)>) {
        let (begun, now) = (Instant::now(), self.node.now());
        let mut signals = Vec::with_capacity(fixes.len());
        for (who, fix) in fixes {
            if !self.core.state.shows_position_of(who) || !self.core.note_fix(who, fix) {
                continue;
            }
            if self.core.state.trip.is_some() {
                self.node.trips.moved(&self.id, &fix);
            }
            self.core.presence.touch(who, now);
            self.note_movement(who);
            if !self.audience.is_empty() {
                let json = self.audience.hears(JSON);
                let versions = self.with_fix(who, &fix, |message| {
                    let json = json.then(|| Frame::text(&message.encode(now)));
                    self.versions(json, || incident::translate(message, now))
                });
                signals.push(Signal {
                    key: self.signal_key(who),
                    origin: who.bits(),
                    versions,
                });
            }
        }
        if signals.is_empty() {
            return;
        }
        self.audience.send_signals(&signals);
        self.node
            .observer
            .positions(Positions::Broadcast, signals.len() as u64);
        self.node.observer.fanned_out(begun.elapsed());
    }
}
