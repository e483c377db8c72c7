//! Coming and going: who sits down, who stands up, and who is told.

use std::sync::Arc;

use actix::Context;

use super::actor::RoomActor;
use super::messages::{Act, By, Manner, Reply, Work};
use super::seats::Seat;
use crate::actors::area::News;
use crate::actors::session::{Entry, SessionShared};
use crate::bus::{self, Topic};
use crate::delivery::{Except, Frame};
use crate::domain::area::Cell;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::people::{ContactBook, Subject};
use crate::domain::room::{Command, LeaveReason, RoomKind, RoomState, Seq};
use crate::domain::time::Timestamp;
use crate::store::IncidentRow;
use crate::wire::json::{ServerMessage, SosSummary};

/// How a session comes to its seat.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    /// It has what it needs of the past.
    pub resumed: bool,
    /// The others are told that somebody is back; the log does not tell them.
    pub greet: bool,
}

/// How somebody comes in who may.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coming {
    /// The others are told that somebody is back; the log does not tell them.
    pub greet: bool,
    /// How they asked.
    pub manner: Manner,
}

impl Coming {
    /// They asked the owner, and are new.
    pub const ASKED: Self = Self {
        greet: false,
        manner: Manner::Asked,
    };
}

/// How many sessions of one person wait for an owner's answer.
const ASKING_MAX: usize = 8;

impl RoomActor {
    /// Somebody asked to come in and may: answered, caught up, seated.
    pub(super) fn join_session(
        &mut self,
        session: &Arc<SessionShared>,
        who: ParticipantId,
        since: Option<Seq>,
        Coming { greet, manner }: Coming,
        ctx: &mut Context<Self>,
    ) {
        let (now, head) = (self.node.now(), self.shared.announced());
        // First the seat: whoever is told that they are in, is.
        if !self.enter(session, who, now) {
            return;
        }
        let recovered = since.is_some_and(|since| since <= head);
        let approved = ServerMessage::JoinApproved {
            room: &self.id,
            seq: head,
            recovered,
            participant: who,
        };
        let message = match &self.core.state.trip {
            Some(trip) if manner == Manner::Trip => ServerMessage::TripJoined {
                trip: &self.id,
                seq: head,
                recovered,
                participant: who,
                manifest: &trip.manifest,
            },
            _ => approved,
        };
        session.push(&Frame::text(&message.encode(now)));
        let since = since.filter(|_| recovered);
        match self.shared.seat(session.id()) {
            // It sat down by itself before it asked for what it missed: only the gap is filled.
            Some(seat) => {
                self.shared.update(session.id(), |seat| seat.resumed = true);
                if let Some(since) = since {
                    self.catch_up(session, who, since, seat.from, false, ctx);
                }
            }
            None => self.sit(session, who, since, Arrival { resumed: true, greet }, ctx),
        }
    }

    /// Whether the session could sit down. One that ended on its way was never here for the others either.
    fn enter(&self, session: &SessionShared, who: ParticipantId, now: Timestamp) -> bool {
        let entry = session.enter(&self.id);
        if entry == Entry::Ended && !self.core.presence.is_connected(who) && self.core.state.is_in(who) {
            self.announce_presence(who, false, now);
        }
        entry == Entry::Seated
    }

    /// A contact's session is brought in without having asked.
    pub(super) fn seat_automatically(
        &mut self,
        session: &Arc<SessionShared>,
        who: ParticipantId,
        greet: bool,
        ctx: &mut Context<Self>,
    ) {
        let (now, head) = (self.node.now(), self.shared.announced());
        if self.shared.seat(session.id()).is_some() || !self.enter(session, who, now) {
            return;
        }
        // Whoever raised it is told by the answer to that.
        if self.core.state.owner != Some(who) {
            let owner_name = self.core.owner().and_then(|owner| owner.name.as_deref());
            let incident = self.core.state.incident.as_ref();
            let message = ServerMessage::AutoJoined {
                room: &self.id,
                owner_name,
                on_trip: incident.is_some_and(|incident| incident.report.is_from_trip()),
                participant: who,
                seq: head,
            };
            session.push(&Frame::text(&message.encode(now)));
        }
        self.sit(
            session,
            who,
            None,
            Arrival {
                resumed: false,
                greet,
            },
            ctx,
        );
    }

    /// Seats a session that has entered. With `since` it hears first what it missed.
    pub(super) fn sit(
        &mut self,
        session: &Arc<SessionShared>,
        who: ParticipantId,
        since: Option<Seq>,
        arrival: Arrival,
        ctx: &mut Context<Self>,
    ) {
        let (now, head) = (self.node.now(), self.shared.announced());
        let was_here = self.core.presence.is_connected(who);
        self.shared.sit(Seat {
            session: Arc::clone(session),
            participant: who,
            from: head,
            resumed: arrival.resumed,
            behind: None,
        });
        let first_here = !self.core.presence.is_here(who);
        self.core.presence.arrive(who, now);
        if first_here {
            self.say_change(who, true, arrival.greet);
        }
        self.listen_to_others();
        if self.core.state.kind == Some(RoomKind::Sos) {
            session.pass().joined(&self.id, who);
        }
        if !was_here && arrival.greet {
            self.announce_presence(who, true, now);
        }
        match since.filter(|since| *since < head) {
            Some(since) => {
                self.catch_up(session, who, since, head, true, ctx);
                if self.tokens.contains_key(&session.id()) {
                    self.send_newest(session, who);
                }
            }
            None => {
                self.listen(session, who);
                self.send_newest(session, who);
            }
        }
        self.remind(session, who);
        // One that ended between its entry and its seat has found no seat to leave.
        if !session.is_in(&self.id) && self.shared.depart(session.id()) {
            self.departures(ctx);
        }
    }

    /// What whoever sits down must know at once: the emergency that stands, and who waits for their answer.
    fn remind(&self, session: &SessionShared, who: ParticipantId) {
        let (state, now) = (&self.core.state, self.node.now());
        if state.owner == Some(who) {
            for stranger in &state.requests {
                session.push(&self.request_frame(*stranger, now));
            }
            return;
        }
        let as_contact = state
            .participants
            .get(&who)
            .is_some_and(|person| person.as_contact);
        if let (Some(sos), Some(owner), true) = (&state.emergency, self.core.owner(), as_contact) {
            let alert = ServerMessage::EmergencyAlert {
                user: owner.participant,
                user_name: owner.name.as_deref(),
                room: &self.id,
                sos,
                message: None,
            };
            session.send(&alert, now);
        }
    }

    fn request_frame(&self, who: ParticipantId, now: Timestamp) -> Frame {
        let user = self.user_view(who);
        let message = ServerMessage::JoinRequest {
            room: &self.id,
            requester: who,
            name: user.name,
            user,
        };
        Frame::text(&message.encode(now))
    }

    /// Stands up the sessions of `who`, or of everybody. The one whose doing it was has had its answer.
    pub(super) fn unseat(&mut self, who: Option<ParticipantId>, origin: Option<&Arc<SessionShared>>) {
        let now = self.node.now();
        let left = |participant| {
            let room = &self.id;
            Frame::text(&ServerMessage::RoomLeft { room, participant }.encode(now))
        };
        for seat in self.shared.seats() {
            if who.is_some_and(|who| who != seat.participant) {
                continue;
            }
            let id = seat.session.id();
            self.shared.stand_up(id);
            if let Some(token) = self.tokens.remove(&id) {
                self.audience.remove(token);
            }
            self.core.presence.depart(seat.participant, now);
            if !self.core.presence.is_here(seat.participant) {
                self.say_change(seat.participant, false, false);
            }
            seat.session.exit(&self.id);
            // What waits there of where people are is no longer for them.
            seat.session.outbox().forget_signals(self.shared.number());
            if origin.is_none_or(|origin| origin.id() != id) {
                seat.session.push(&left(seat.participant));
            }
        }
    }

    /// A session of `who` has ended; when it was their last, the others are told.
    pub(super) fn gone(&mut self, who: ParticipantId, now: Timestamp) {
        if self.core.presence.depart(who, now) && self.core.state.is_in(who) {
            self.announce_presence(who, false, now);
        }
        if !self.core.presence.is_here(who) {
            self.say_change(who, false, false);
        }
    }

    /// Presence is a passing thing: it is told, and not in the log.
    pub(super) fn announce_presence(&self, who: ParticipantId, here: bool, now: Timestamp) {
        let (room, client, user) = (&self.id, who.to_string(), self.user_view(who));
        let as_contact = self
            .core
            .state
            .participants
            .get(&who)
            .is_some_and(|person| person.as_contact);
        let message = match (here, as_contact) {
            (true, true) => ServerMessage::EmergencyContactJoined {
                room,
                contact: who,
                name: user.name,
                seq: None,
            },
            (true, false) => ServerMessage::UserJoined {
                room,
                seq: None,
                client_id: &client,
                user,
            },
            (false, _) => ServerMessage::UserLeft {
                room,
                participant: who,
                seq: None,
                client_id: &client,
                user_name: user.name,
            },
        };
        self.audience
            .send_event(&Frame::text(&message.encode(now)), Except::Origin(who.bits()));
    }

    /// Other nodes call the owner's contacts who are connected there, or alert them of the SOS that stands.
    pub(super) fn call_contacts_elsewhere(&self, alarm: bool) {
        let owner = self.core.owner().filter(|_| self.clustered);
        if let Some(owner) = owner.filter(|_| !self.core.contacts.emergency.is_empty()) {
            let (room, owner) = (self.id.clone(), owner.subject.clone());
            let news = bus::News::Called { room, owner, alarm };
            self.node.bus.publish(Topic::Everyone, news);
        }
    }

    /// The owner has something to decide, and may be connected to a node that has nothing to do with the room.
    pub(super) fn concern_owner_elsewhere(&self) {
        if let Some(owner) = self.core.owner().filter(|_| self.clustered) {
            let (room, subject) = (self.id.clone(), owner.subject.clone());
            self.node
                .bus
                .publish(Topic::Everyone, bus::News::Concerns { subject, room });
        }
    }

    /// Another node has called: contacts who are connected here come in, save those who were in before and went by
    /// themselves, and are alerted if an SOS stands.
    pub(super) fn answer_call(&mut self) {
        if self.core.state.kind != Some(RoomKind::Circle) {
            return;
        }
        self.call_contacts();
        // Whoever comes in now is told of it when they sit, and those who sit have been.
        let untold = self.core.state.emergency.clone();
        if let Some(sos) = untold.filter(|sos| self.remote.alerted.as_ref() != Some(sos)) {
            self.remote.alerted = Some(sos.clone());
            let people = &self.core.state.participants;
            let went = |session: &SessionShared| {
                let known = self.core.people.find(&session.identity().subject);
                !session.is_in(&self.id) && known.is_some_and(|who| people.contains_key(&who))
            };
            let alerted = self.alert(&sos, self.node.now(), went);
            self.note_alerted(alerted);
        }
    }

    /// Something waits for somebody who is connected here: the owner hears who wants to be let in.
    pub(super) fn concern(&mut self, subject: &Subject) {
        let who = self.core.people.find(subject);
        if who.is_some() && who == self.core.state.owner {
            let requests = &self.core.state.requests;
            let untold: Vec<_> = requests.difference(&self.remote.told_of).copied().collect();
            untold
                .into_iter()
                .for_each(|stranger| self.tell_owner_of(stranger));
        }
    }

    /// The circle calls the owner's contacts who are connected to this node.
    pub(super) fn call_contacts(&mut self) {
        let book = Arc::clone(&self.core.contacts);
        for session in book
            .emergency
            .iter()
            .flat_map(|contact| self.node.directory.of_phone(&contact.phone))
        {
            let known = self.core.people.find(&session.identity().subject);
            if known.is_some_and(|who| self.core.state.participants.contains_key(&who)) {
                continue;
            }
            let by = By::Person(Arc::clone(session.identity()), Some(session));
            let user_type = match &by {
                By::Person(identity, _) => self.core.user_type(identity),
                By::Behalf(..) | By::System | By::Raiser(_) => continue,
            };
            let mut act = Act::new(by, Command::Join { user_type }, Reply::nobody());
            act.manner = Manner::Automatic;
            self.queue.push_back((Work::Act(Box::new(act)), None));
        }
    }

    /// A stranger wants in: the owner's connections are told, in the room or not.
    pub(super) fn tell_owner_of(&mut self, who: ParticipantId) {
        self.remote
            .told_of
            .retain(|who| self.core.state.requests.contains(who));
        self.remote.told_of.insert(who);
        let Some(owner) = self.core.owner() else { return };
        let frame = self.request_frame(who, self.node.now());
        let mut told = Vec::new();
        for seat in self
            .shared
            .seats()
            .into_iter()
            .filter(|seat| seat.participant == owner.participant)
        {
            told.push(seat.session.id());
            seat.session.push(&frame);
        }
        for session in self.node.directory.of_subject(&owner.subject) {
            if !told.contains(&session.id()) {
                session.push(&frame);
            }
        }
    }

    /// Remembers a session that waits for the owner's answer.
    pub(super) fn wait_for_owner(&mut self, who: ParticipantId, session: &Arc<SessionShared>) {
        let waiting = self.asking.entry(who).or_default();
        waiting.retain(|other| other.is_open() && other.id() != session.id());
        if waiting.len() < ASKING_MAX {
            waiting.push(Arc::clone(session));
        }
    }

    /// Every contact's live connection is handed the alert, in the room or not.
    pub(super) fn alert_contacts(&mut self, sos: &RoomId, at: Timestamp) {
        if self.remote.alerted.as_ref() == Some(sos) {
            return;
        }
        self.remote.alerted = Some(sos.clone());
        let alerted = self.alert(sos, at, |_| true);
        self.note_alerted(alerted);
    }

    /// Alerts contacts' connections to this node, as far as `whom` says so. Answers who they are in the room.
    fn alert(
        &self,
        sos: &RoomId,
        at: Timestamp,
        whom: impl Fn(&SessionShared) -> bool,
    ) -> Vec<ParticipantId> {
        let Some(owner) = self.core.owner() else {
            return vec![];
        };
        let message = ServerMessage::EmergencyAlert {
            user: owner.participant,
            user_name: owner.name.as_deref(),
            room: &self.id,
            sos,
            message: None,
        };
        let frame = Frame::text(&message.encode(at));
        let mut alerted = Vec::new();
        for contact in &self.core.contacts.emergency {
            let sessions = self.node.directory.of_phone(&contact.phone);
            for session in sessions.iter().filter(|session| whom(session)) {
                session.push(&frame);
                alerted.extend(self.core.people.find(&session.identity().subject));
            }
        }
        alerted.sort_unstable();
        alerted.dedup();
        alerted
    }

    fn note_alerted(&mut self, alerted: Vec<ParticipantId>) {
        if !alerted.is_empty() {
            self.queue
                .push_back((Work::system(Command::NoteAlerted { who: alerted }), None));
        }
    }

    /// The owner's list has changed: new contacts hear of it, former ones are put out.
    pub(super) fn contacts_changed(&mut self, book: &Arc<ContactBook>) {
        let old = std::mem::replace(&mut self.core.contacts, Arc::clone(book));
        let now = self.node.now();
        let owner_name = self.core.owner().and_then(|owner| owner.name.clone());
        let owner_name = owner_name.as_deref();
        let added = ServerMessage::AddedAsEmergencyContact {
            room: &self.id,
            owner_name,
        };
        let added = Frame::text(&added.encode(now));
        let removed = ServerMessage::RemovedAsEmergencyContact {
            room: &self.id,
            owner_name,
        };
        let removed = Frame::text(&removed.encode(now));
        for contact in book.emergency.iter().filter(|contact| !old.lists(&contact.phone)) {
            self.node
                .directory
                .of_phone(&contact.phone)
                .iter()
                .for_each(|session| session.push(&added));
        }
        for contact in old.emergency.iter().filter(|contact| !book.lists(&contact.phone)) {
            self.node
                .directory
                .of_phone(&contact.phone)
                .iter()
                .for_each(|session| session.push(&removed));
        }
        self.put_out_former();
    }

    /// Those who came as contacts and are none any more go. Only a circle has a list of its own: who came into an
    /// incident by one stays until it ends, whatever is restarted meanwhile.
    pub(super) fn put_out_former(&mut self) {
        if self.core.state.kind != Some(RoomKind::Circle) {
            return;
        }
        let former: Vec<_> = self
            .core
            .state
            .active_participants()
            .filter(|(_, person)| person.as_contact)
            .map(|(who, _)| who)
            .filter(|who| {
                self.core
                    .people
                    .get(*who)
                    .is_some_and(|p| !self.core.is_contact(p.phone.as_ref()))
            })
            .collect();
        for who in former {
            let command = Command::Remove {
                who,
                reason: LeaveReason::Removed,
            };
            // Before what waits: a room that is being read may have been asked by one of them already.
            self.queue.push_front((Work::system(command), None));
        }
    }

    /// Those who watch the part of the map where the incident lies are told.
    pub(super) fn publish_to_areas(&self, created: bool) {
        let Some(incident) = &self.core.state.incident else {
            return;
        };
        let (Some(position), Some(summary)) = (incident.report.position, SosSummary::of(&self.core.state))
        else {
            return;
        };
        let open = incident.status.is_open();
        if self.clustered
            && let Some(row) = incident_row(&self.core.state)
        {
            let news = bus::News::Incident {
                row: Arc::new(row),
                created,
            };
            self.node.bus.publish(Topic::Cell(Cell::of(position)), news);
        }
        self.node.areas.publish(News {
            position,
            summary,
            public: incident.report.is_public(),
            open,
            created,
        });
    }
}

/// An incident as lists show it.
fn incident_row(state: &RoomState) -> Option<IncidentRow> {
    let incident = state.incident.as_ref()?;
    let people = state.active_participants().count();
    Some(IncidentRow {
        room: state.id.clone(),
        creator: state.owner.unwrap_or(ParticipantId::from_bits(0)),
        report: incident.report.clone(),
        status: incident.status,
        created_at: state.created_at,
        updated_at: incident.status_at,
        ended_at: incident.ended_at,
        seq: state.seq,
        active_participants: u32::try_from(people).unwrap_or(u32::MAX),
    })
}
