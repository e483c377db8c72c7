//! What is left when a room's log is applied.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::event::Seq;
use super::participant::{Participant, Statistics};
use super::told::Told;
use super::trip::Trip;
use crate::domain::ids::{MessageId, ParticipantId, RoomId};
use crate::domain::incident::{Report, Status};
use crate::domain::time::Timestamp;

/// How many messages back a repeated message id is recognised.
pub(super) const REMEMBERED_MESSAGES: usize = 256;

/// How many SOS back a circle remembers that they are over.
pub(super) const REMEMBERED_EMERGENCIES: usize = 64;

/// Kinds of room that have a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoomKind {
    /// An incident.
    Sos,
    /// A person's circle of emergency contacts.
    Circle,
    /// A driver and passengers.
    Trip,
}

impl RoomKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[Self::Sos, Self::Circle, Self::Trip];

    /// The stored name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sos => "sos",
            Self::Circle => "circle",
            Self::Trip => "trip",
        }
    }
}

/// How far the emergency of an incident has reached a room that it was raised from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Not there yet.
    Pending,
    /// It stands there.
    Raised,
    /// It has ended there.
    Ended,
}

/// What is still to be told to a linked room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkWork {
    /// That the emergency stands.
    Raise,
    /// That it has ended.
    End,
}

/// An incident's own part of the state.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// What was said when it was raised.
    pub report: Report,
    /// Where it stands.
    pub status: Status,
    /// When it moved last.
    pub status_at: Timestamp,
    /// When it stopped being open.
    pub ended_at: Option<Timestamp>,
    /// Who ended it, if somebody did.
    pub ended_by: Option<ParticipantId>,
    /// The rooms it was raised from.
    pub links: BTreeMap<RoomId, Link>,
    /// Who was to be told who is not connected.
    pub told: Told,
}

impl Incident {
    /// What linked rooms have not been told yet.
    pub fn link_work(&self) -> impl Iterator<Item = (&RoomId, LinkWork)> {
        let open = self.status.is_open();
        self.links
            .iter()
            .filter_map(move |(room, link)| match (open, link) {
                (true, Link::Pending) => Some((room, LinkWork::Raise)),
                (false, Link::Pending | Link::Raised) => Some((room, LinkWork::End)),
                _ => None,
            })
    }
}

/// A room, as its log tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct RoomState {
    /// The room.
    pub id: RoomId,
    /// What it is; `None` before it is created.
    pub kind: Option<RoomKind>,
    /// The last event applied.
    pub seq: Seq,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its last event happened.
    pub last_at: Timestamp,
    /// Whose it is.
    pub owner: Option<ParticipantId>,
    /// It takes newcomers.
    pub active: bool,
    /// Nobody was in for so long that it sleeps.
    pub asleep: bool,
    /// Everybody who was ever in.
    pub participants: BTreeMap<ParticipantId, Participant>,
    /// Those in an incident whom a service brought in and who have not come with a credential of their own yet: no more
    /// is known of them than what it said.
    pub brought: BTreeSet<ParticipantId>,
    /// Strangers who wait for the owner's answer.
    pub requests: BTreeSet<ParticipantId>,
    /// The SOS that was raised from here last, while it lasts.
    pub emergency: Option<RoomId>,
    /// Those that others on a trip raised before it and that last, too.
    pub overtaken: Vec<RoomId>,
    /// How many SOS were raised from here so far.
    pub emergencies: u64,
    /// The last of those that are over: they are not raised again by whoever hears late of the end.
    pub(super) over: VecDeque<RoomId>,
    /// Its incident, when it is one.
    pub incident: Option<Incident>,
    /// Its trip, when it is one.
    pub trip: Option<Trip>,
    /// How many messages it has.
    pub messages: u64,
    /// What whoever raised the incident is shown since they were made to end it: the room as it would be if it had ended
    /// then.
    pub(super) mask: Option<Box<RoomState>>,
    pub(super) recent: VecDeque<(ParticipantId, MessageId, Seq)>,
}

impl RoomState {
    /// A room before its first event.
    pub fn new(id: RoomId) -> Self {
        Self {
            id,
            kind: None,
            seq: Seq::ZERO,
            created_at: Timestamp::default(),
            last_at: Timestamp::default(),
            owner: None,
            active: false,
            asleep: false,
            participants: BTreeMap::new(),
            brought: BTreeSet::new(),
            requests: BTreeSet::new(),
            emergency: None,
            overtaken: Vec::new(),
            emergencies: 0,
            over: VecDeque::new(),
            incident: None,
            trip: None,
            messages: 0,
            mask: None,
            recent: VecDeque::new(),
        }
    }

    /// Whether it has been created.
    pub fn exists(&self) -> bool {
        self.kind.is_some()
    }

    /// Whether whoever raised the incident was made to end it.
    pub fn is_under_duress(&self) -> bool {
        self.mask.is_some()
    }

    /// The last event that `viewer` is shown, when that is not the last one: they were made to end the incident.
    pub fn shown_until(&self, viewer: Option<ParticipantId>) -> Option<Seq> {
        let seen = self.seen_by(viewer);
        (!std::ptr::eq(seen, self)).then_some(seen.seq)
    }

    /// The room as `viewer` is to see it.
    pub fn seen_by(&self, viewer: Option<ParticipantId>) -> &Self {
        match &self.mask {
            Some(mask) if viewer.is_some() && viewer == self.owner => mask,
            _ => self,
        }
    }

    /// Whether `who` is in.
    pub fn is_in(&self, who: ParticipantId) -> bool {
        self.participants.get(&who).is_some_and(Participant::is_active)
    }

    /// Whether `who` is in by others' word alone: their coming is told when they come, and with it what they are called.
    pub fn is_awaited(&self, who: ParticipantId) -> bool {
        let on_trip = self.trip.as_ref().is_some_and(|trip| trip.awaited.contains(&who));
        on_trip || self.brought.contains(&who)
    }

    /// Those who are in.
    pub fn active_participants(&self) -> impl Iterator<Item = (ParticipantId, &Participant)> {
        self.participants
            .iter()
            .filter(|(_, p)| p.is_active())
            .map(|(id, p)| (*id, p))
    }

    /// Whether it can still change by itself or be joined: an open incident, a circle that is not asleep, a trip
    /// that goes on.
    pub fn is_live(&self) -> bool {
        match self.kind {
            Some(RoomKind::Sos) => self.is_open() || self.has_link_work(),
            Some(RoomKind::Circle) => !self.asleep,
            Some(RoomKind::Trip) => self.trip.as_ref().is_some_and(Trip::is_open),
            None => false,
        }
    }

    /// Whether its incident is open.
    pub fn is_open(&self) -> bool {
        self.incident
            .as_ref()
            .is_some_and(|incident| incident.status.is_open())
    }

    /// Whether `sos` was raised from here and lasts.
    pub fn has_emergency(&self, sos: &RoomId) -> bool {
        self.emergency.as_ref() == Some(sos) || self.overtaken.contains(sos)
    }

    /// Whether where `who` is is for the others here: in a trip, where its driver is and nobody else.
    pub fn shows_position_of(&self, who: ParticipantId) -> bool {
        self.is_in(who)
            && self
                .trip
                .as_ref()
                .is_none_or(|trip| trip.manifest.driver() == who)
    }

    /// Whether linked rooms are still to be told something.
    pub fn has_link_work(&self) -> bool {
        self.incident
            .as_ref()
            .is_some_and(|incident| incident.link_work().next().is_some())
    }

    /// Its people in numbers.
    pub fn statistics(&self, now: Timestamp) -> Statistics {
        Statistics::of(self.participants.values(), now)
    }

    /// Where a message that `who` sent before stands, if it is remembered.
    pub fn sent_before(&self, who: ParticipantId, id: &MessageId) -> Option<Seq> {
        self.recent
            .iter()
            .rev()
            .find(|(by, known, _)| *by == who && known == id)
            .map(|(_, _, seq)| *seq)
    }
}
