//! Documents as they are stored, and the ways to and from the domain's types.
//!
//! Participants are named by their text (`p-…`): it sorts as the ids do. Times are BSON dates, whose milliseconds are
//! the domain's. Bodies and reports are the texts of `store::codec`, as in every store.

use std::collections::BTreeSet;

use mongodb::bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use serde::{Deserialize, Serialize};

use crate::domain::geo::{Fix, Position};
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::incident::Report;
use crate::domain::people::{Person, Role, Subject};
use crate::domain::phone::PhoneNumber;
use crate::domain::room::{Actor, Event, EventBody, RoomKind, Seq};
use crate::domain::time::Timestamp;
use crate::store::codec::{self, corrupt};
use crate::store::contract::StoreError;
use crate::store::projection::RoomRow;
use crate::store::types::{IncidentRow, Stay};

/// The collections.
pub(super) const ROOMS: &str = "rooms";
pub(super) const EVENTS: &str = "events";
pub(super) const PARTICIPANTS: &str = "participants";
pub(super) const TRACKED: &str = "tracked";
pub(super) const HISTORY: &str = "location_history";
pub(super) const CONTACTS: &str = "contacts";
pub(super) const DEVICES: &str = "devices";
pub(super) const IDEMPOTENCY: &str = "idempotency";
pub(super) const REPORTS: &str = "reports";
pub(super) const BLOCKS: &str = "blocks";
pub(super) const OUTBOX: &str = "outbox";
pub(super) const OUTBOX_NOTES: &str = "outbox_notes";
pub(super) const DEAD_LETTERS: &str = "dead_letters";
pub(super) const JOBS: &str = "jobs";
pub(super) const RECEIPTS: &str = "receipts";
/// What the engine notes of itself: migrations, the lock, the pulse, how far positions were purged.
pub(super) const ENGINE: &str = "engine";

pub(super) fn date(at: Timestamp) -> DateTime {
    DateTime::from_millis(at.ms())
}

pub(super) fn instant(at: DateTime) -> Timestamp {
    Timestamp::from_ms(at.timestamp_millis())
}

pub(super) fn participant(text: &str) -> Result<ParticipantId, StoreError> {
    text.parse().map_err(|_| corrupt("a participant id"))
}

pub(super) fn seq(n: i64) -> Seq {
    Seq::new(n.cast_unsigned())
}

/// Beyond what any log has is as far as a log can go.
pub(super) fn number(seq: Seq) -> i64 {
    i64::try_from(seq.get()).unwrap_or(i64::MAX)
}

pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// The key of what one room has of one participant. No room id has a slash.
pub(super) fn place_key(room: &RoomId, who: ParticipantId) -> String {
    format!("{room}/{who}")
}

/// All such keys of a room: '0' is what follows '/'.
pub(super) fn keys_of(room: &RoomId) -> Document {
    doc! { "$gte": format!("{room}/"), "$lt": format!("{room}0") }
}

pub(super) fn phone(text: &str) -> Result<PhoneNumber, StoreError> {
    PhoneNumber::from_e164(text).map_err(|_| corrupt("a phone number"))
}

/// An event of a log.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventDoc {
    pub room_id: String,
    pub seq: i64,
    pub at: DateTime,
    /// `None`: the engine itself.
    pub actor: Option<String>,
    /// It is what lists of messages read.
    pub message: bool,
    pub body: String,
}

impl EventDoc {
    pub fn of(event: &Event) -> Result<Self, StoreError> {
        Ok(Self {
            room_id: event.room.as_str().to_owned(),
            seq: number(event.seq),
            at: date(event.at),
            actor: event.actor.participant().map(|who| who.to_string()),
            message: matches!(event.body, EventBody::MessageSent { .. }),
            body: codec::encode_body(&event.body)?,
        })
    }

    pub fn event(&self, room: &RoomId) -> Result<Event, StoreError> {
        Ok(Event {
            room: room.clone(),
            seq: seq(self.seq),
            at: instant(self.at),
            actor: match &self.actor {
                None => Actor::System,
                Some(who) => Actor::Participant(participant(who)?),
            },
            body: codec::decode_body(&self.body)?,
        })
    }
}

/// A room and, if it is one, its incident: a projection of its log.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RoomDoc {
    #[serde(rename = "_id")]
    pub id: String,
    /// Rises with each room that a node makes: the order of lists of rooms.
    pub born: ObjectId,
    pub kind: Option<String>,
    pub owner: Option<String>,
    pub active: bool,
    pub asleep: bool,
    pub live: bool,
    pub open: bool,
    pub members: u32,
    pub head: i64,
    pub created_at: DateTime,
    pub last_at: DateTime,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentDoc>,
}

/// What lists of incidents read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IncidentDoc {
    pub report: String,
    pub status: String,
    pub kind: String,
    pub public: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    pub updated_at: DateTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<DateTime>,
    /// GeoJSON, for the index; the exact position is the report's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Point>,
}

/// A GeoJSON point.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Point {
    #[serde(rename = "type")]
    kind: String,
    coordinates: [f64; 2],
}

impl Point {
    pub fn of(position: Position) -> Self {
        Self {
            kind: "Point".to_owned(),
            coordinates: [position.longitude(), position.latitude()],
        }
    }

    pub fn document(position: Position) -> Document {
        doc! { "type": "Point", "coordinates": [position.longitude(), position.latitude()] }
    }
}

pub(super) fn kind(text: &str) -> Result<RoomKind, StoreError> {
    RoomKind::ALL
        .iter()
        .copied()
        .find(|kind| kind.as_str() == text)
        .ok_or_else(|| corrupt("a kind of room"))
}

impl RoomDoc {
    /// Takes over what the projection says; the incident is kept up by whoever carries its changes out.
    pub fn put(&mut self, row: &RoomRow) {
        self.kind = row.kind.map(|kind| kind.as_str().to_owned());
        self.owner = row.owner.map(|who| who.to_string());
        (self.active, self.asleep) = (row.active, row.asleep);
        (self.live, self.open) = (row.is_live(), row.open);
        (self.members, self.head) = (row.members, number(row.head));
        (self.created_at, self.last_at) = (date(row.created_at), date(row.last_at));
        self.links = row.links.iter().map(|room| room.as_str().to_owned()).collect();
    }

    /// One that has no event yet.
    pub fn new(room: &RoomId) -> Self {
        let mut new = Self {
            id: room.as_str().to_owned(),
            born: ObjectId::new(),
            kind: None,
            owner: None,
            active: false,
            asleep: false,
            live: false,
            open: false,
            members: 0,
            head: 0,
            created_at: date(Timestamp::default()),
            last_at: date(Timestamp::default()),
            links: vec![],
            incident: None,
        };
        new.put(&RoomRow::default());
        new
    }

    pub fn row(&self) -> Result<RoomRow, StoreError> {
        let links: Result<BTreeSet<RoomId>, StoreError> =
            self.links.iter().map(|room| codec::parse_room(room)).collect();
        Ok(RoomRow {
            kind: self.kind.as_deref().map(kind).transpose()?,
            owner: self.owner.as_deref().map(participant).transpose()?,
            active: self.active,
            asleep: self.asleep,
            open: self.open,
            members: self.members,
            head: seq(self.head),
            created_at: instant(self.created_at),
            last_at: instant(self.last_at),
            links: links?,
        })
    }

    /// The incident as lists show it.
    pub fn incident(&self) -> Result<Option<IncidentRow>, StoreError> {
        let Some(incident) = &self.incident else {
            return Ok(None);
        };
        let creator = self.owner.as_deref().map(participant).transpose()?;
        Ok(Some(IncidentRow {
            room: codec::parse_room(&self.id)?,
            creator: creator.unwrap_or(ParticipantId::from_bits(0)),
            report: Report {
                // The report is as it was made; what the incident is taken for now stands beside it.
                kind: codec::parse_type(&incident.kind)?,
                ..codec::decode_report(&incident.report)?
            },
            status: codec::parse_status(&incident.status)?,
            created_at: instant(self.created_at),
            updated_at: instant(incident.updated_at),
            ended_at: incident.ended_at.map(instant),
            seq: seq(self.head),
            active_participants: self.members,
        }))
    }
}

/// All that one room has of one participant but their positions: the record that can be erased, and their stay, which
/// is a projection of the log.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ParticipantDoc {
    #[serde(rename = "_id")]
    pub id: String,
    pub room: String,
    pub who: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stay: Option<StayDoc>,
    /// They are in.
    #[serde(default)]
    pub present: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<DateTime>,
    /// The pseudonym was erased then, and is not to be tied to anybody again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<DateTime>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StayDoc {
    pub user_type: String,
    pub joined_at: DateTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_at: Option<DateTime>,
}

impl ParticipantDoc {
    pub fn new(room: &RoomId, who: ParticipantId) -> Self {
        Self {
            id: place_key(room, who),
            room: room.as_str().to_owned(),
            who: who.to_string(),
            ..Self::default()
        }
    }

    pub fn record(&mut self, person: &Person) {
        self.subject = Some(codec::subject_text(&person.subject));
        self.name.clone_from(&person.name);
        self.phone = person.phone.as_ref().map(|phone| phone.reveal().to_owned());
        self.role = Some(person.role.as_str().to_owned());
    }

    /// The record; `None` when there is none, or none any more.
    pub fn person(&self) -> Result<Option<Person>, StoreError> {
        let Some(subject) = &self.subject else {
            return Ok(None);
        };
        Ok(Some(Person {
            participant: self.who()?,
            subject: codec::parse_subject(subject)?,
            name: self.name.clone(),
            phone: self.phone.as_deref().map(phone).transpose()?,
            role: self
                .role
                .as_deref()
                .and_then(Role::parse)
                .ok_or_else(|| corrupt("a role"))?,
        }))
    }

    pub fn who(&self) -> Result<ParticipantId, StoreError> {
        participant(&self.who)
    }

    pub fn room(&self) -> Result<RoomId, StoreError> {
        codec::parse_room(&self.room)
    }

    pub fn stay(&self) -> Result<Option<Stay>, StoreError> {
        let Some(stay) = &self.stay else { return Ok(None) };
        Ok(Some(Stay {
            user_type: codec::parse_user_type(&stay.user_type)?,
            joined_at: instant(stay.joined_at),
            left_at: stay.left_at.map(instant),
        }))
    }
}

/// A fix without whose it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct FixDoc {
    pub at: DateTime,
    pub lat: f64,
    pub lon: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heading: Option<f64>,
}

impl FixDoc {
    pub fn of(fix: &Fix) -> Self {
        Self {
            at: date(fix.at),
            lat: fix.position.latitude(),
            lon: fix.position.longitude(),
            accuracy: fix.accuracy,
            speed: fix.speed,
            heading: fix.heading,
        }
    }

    pub fn fix(&self) -> Result<Fix, StoreError> {
        let position = Position::new(self.lat, self.lon).map_err(|_| corrupt("a position"))?;
        Fix::new(position, instant(self.at))
            .with_motion(self.accuracy, self.speed, self.heading)
            .map_err(|_| corrupt("a fix"))
    }

    /// As a document of its own, for an update.
    pub fn document(&self) -> Document {
        let mut text = doc! { "at": self.at, "lat": self.lat, "lon": self.lon };
        for (name, value) in [
            ("accuracy", self.accuracy),
            ("speed", self.speed),
            ("heading", self.heading),
        ] {
            if let Some(value) = value {
                text.insert(name, value);
            }
        }
        text
    }
}

/// A measurement of the time series.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct HistoryDoc {
    pub meta: Meta,
    #[serde(flatten)]
    pub fix: FixDoc,
}

/// By what the series is kept together and found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Meta {
    pub participant: String,
    pub room: String,
}

/// The newest kept fix of one participant of one room, or that they were erased.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct TrackedDoc {
    #[serde(rename = "_id")]
    pub id: String,
    pub room: String,
    pub who: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<FixDoc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<DateTime>,
    /// How often the positions of the erased were removed since.
    #[serde(default)]
    pub cleared: i32,
}

/// An idempotency key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct KeyDoc {
    #[serde(rename = "_id")]
    pub id: KeyName,
    pub room: String,
    pub at: DateTime,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct KeyName {
    pub subject: String,
    pub key: String,
}

impl KeyName {
    pub fn of(name: &crate::store::types::IdempotencyKey) -> Self {
        Self {
            subject: codec::subject_text(&name.subject),
            key: name.key.clone(),
        }
    }
}

impl From<KeyName> for Bson {
    fn from(name: KeyName) -> Self {
        Self::Document(doc! { "subject": name.subject, "key": name.key })
    }
}

pub(super) fn subject(subject: &Subject) -> String {
    codec::subject_text(subject)
}
