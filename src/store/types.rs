//! What goes into the store and what comes out.

use std::sync::Arc;

use super::jobs::JobWrite;
use crate::domain::geo::{Fix, Position};
use crate::domain::ids::{MessageId, ParticipantId, RoomId};
use crate::domain::incident::{Report, Status};
use crate::domain::people::{Person, Subject};
use crate::domain::phone::PhoneNumber;
use crate::domain::room::{Event, EventBody, Genesis, Relay, RoomKind, Seq, UserType};
use crate::domain::time::Timestamp;

/// Events of one room that are to be made durable together, and what belongs to them.
#[derive(Clone, Debug)]
pub struct Append {
    /// The room.
    pub room: RoomId,
    /// The last event the writer knows of: the first new one has the `seq` after it.
    pub after: Seq,
    /// The new events, in order, `after.next()` upwards.
    pub events: Vec<Event>,
    /// Records of people whom these events name for the first time, or whose record changed. An existing
    /// record of the same (room, participant) is replaced.
    pub people: Vec<Person>,
    /// Makes a retry of the same request find this room.
    pub idempotency: Option<IdempotencyKey>,
    /// Changes to jobs, made in the same step.
    pub jobs: Vec<JobWrite>,
}

impl Append {
    /// Whether it is an SOS or moves one along: it goes before what else people do.
    pub fn helps(&self) -> bool {
        let moves = |event: &Event| {
            matches!(
                event.body,
                EventBody::Created(Genesis::Incident(_))
                    | EventBody::StatusChanged { .. }
                    | EventBody::EmergencyRaised { .. }
                    | EventBody::EmergencyEnded { .. }
                    | EventBody::LinkRaised { .. }
                    | EventBody::LinkEnded { .. }
            )
        };
        self.events.iter().any(moves)
    }
}

/// A client's name for one request of theirs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey {
    /// Whose.
    pub subject: Subject,
    /// Their name for it, 1 to 200 characters.
    pub key: String,
}

/// Somebody's last sign of life in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign {
    /// The room.
    pub room: RoomId,
    /// Whose.
    pub participant: ParticipantId,
    /// When.
    pub at: Timestamp,
}

/// A room's log with the records beside it.
#[derive(Clone, Debug, Default)]
pub struct StoredRoom {
    /// The whole log, in order.
    pub events: Vec<Event>,
    /// The records of everybody it names, save the erased ones.
    pub people: Vec<Person>,
    /// The newest fix of each participant.
    pub newest: Vec<(ParticipantId, Fix)>,
    /// The last signs of life that were noted of those who are in.
    pub seen: Vec<(ParticipantId, Timestamp)>,
}

/// Somebody's place in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The room.
    pub room: RoomId,
    /// What it is.
    pub kind: RoomKind,
    /// Who they are there.
    pub participant: ParticipantId,
    /// They own it.
    pub is_owner: bool,
}

impl Membership {
    /// Whether the room shows where they are: a trip shows where its driver is, and nobody else.
    pub fn takes_positions(&self) -> bool {
        self.kind != RoomKind::Trip || self.is_owner
    }
}

/// A circle whose owner lists somebody as an emergency contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListingCircle {
    /// The circle.
    pub room: RoomId,
    /// Its owner's name, if they gave one.
    pub owner_name: Option<String>,
    /// It sleeps.
    pub asleep: bool,
}

/// An incident as lists show it: a projection of its log.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentRow {
    /// The incident's room.
    pub room: RoomId,
    /// Who raised it; participant 0 when the engine did.
    pub creator: ParticipantId,
    /// What was said.
    pub report: Report,
    /// Where it stands.
    pub status: Status,
    /// When it was raised.
    pub created_at: Timestamp,
    /// When its status changed last.
    pub updated_at: Timestamp,
    /// When it stopped being open.
    pub ended_at: Option<Timestamp>,
    /// The log's head.
    pub seq: Seq,
    /// How many are in.
    pub active_participants: u32,
}

/// Which incidents somebody may see in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Staff: all.
    All,
    /// The public ones, and those that this subject is or was in.
    PublicAnd(Subject),
    /// The public ones.
    Public,
}

/// Which incidents to list, and in what order.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentQuery {
    /// Only these states; empty: all.
    pub status: Vec<Status>,
    /// Only this kind.
    pub kind: Option<crate::domain::incident::IncidentType>,
    /// Only this city.
    pub city_id: Option<String>,
    /// Only within this many metres of the position, nearest first. Without: newest first.
    pub near: Option<(Position, f64)>,
    /// Who asks.
    pub sight: Sight,
    /// At most so many.
    pub limit: usize,
    /// Continue after this one: what the previous page's last entry was.
    pub after: Option<IncidentCursor>,
}

/// A place in a list of incidents.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentCursor {
    /// Its creation time (newest-first lists).
    pub created_at: Timestamp,
    /// Its distance in metres (nearest-first lists).
    pub distance_m: f64,
    /// The incident, which breaks ties.
    pub room: RoomId,
}

/// A listed incident.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The incident; shared with whoever else lists it.
    pub incident: Arc<IncidentRow>,
    /// How far away, when a position was given.
    pub distance_m: Option<f64>,
}

/// A fix that is to be kept in history.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptFix {
    /// In which room's history.
    pub room: RoomId,
    /// Whose.
    pub participant: ParticipantId,
    /// The fix.
    pub fix: Fix,
    /// The sampling rule was applied already (live fixes). If not, the store keeps it only when the rule
    /// says so against the kept fix before it in time.
    pub sampled: bool,
}

/// Whose history to read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistoryQuery {
    /// Only this room; without: all rooms of `subject`.
    pub room: Option<RoomId>,
    /// Only this participant of the room.
    pub participant: Option<ParticipantId>,
    /// Only these participants; without: all.
    pub among: Option<std::collections::BTreeSet<ParticipantId>>,
    /// All that this subject uploaded, each fix once even when it went to several rooms.
    pub subject: Option<Subject>,
    /// From this fix time on.
    pub from: Option<Timestamp>,
    /// Up to this fix time.
    pub to: Option<Timestamp>,
    /// Continue after this one.
    pub after: Option<(Timestamp, ParticipantId)>,
    /// At most so many, oldest first.
    pub limit: usize,
}

/// A fix of the history.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryFix {
    /// Whose.
    pub participant: ParticipantId,
    /// The fix.
    pub fix: Fix,
}

/// A message of a room's log.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredMessage {
    /// Its place in the log.
    pub seq: Seq,
    /// When.
    pub at: Timestamp,
    /// By whom; `None`: the system.
    pub sender: Option<ParticipantId>,
    /// Its id.
    pub id: MessageId,
    /// The words.
    pub content: String,
    /// What the service says of it that passed it on.
    pub relay: Option<Relay>,
}

/// A page of a room's messages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FoundMessages {
    /// Newest first.
    pub messages: Vec<StoredMessage>,
    /// Continue before this one; `None`: there are no more. A search that has looked through many messages ends its
    /// page there, be it empty.
    pub more_before: Option<Seq>,
}

/// What is kept of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceRecord {
    /// Operating system.
    pub os: Option<String>,
    /// The app's version.
    pub app_version: Option<String>,
    /// Language and region, BCP 47.
    pub locale: Option<String>,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// When it was last seen.
    pub last_seen: Timestamp,
}

/// What one room has of a subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The room.
    pub room: RoomId,
    /// What it is.
    pub kind: RoomKind,
    /// They own it: it is their circle, or they raised the incident.
    pub is_owner: bool,
    /// Their record in it.
    pub person: Person,
    /// Their stay; `None` when they never were in (they only asked).
    pub stay: Option<Stay>,
    /// Their last sign of life that was noted.
    pub seen_at: Option<Timestamp>,
}

/// A participant's stay in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stay {
    /// As what.
    pub user_type: UserType,
    /// When they came last.
    pub joined_at: Timestamp,
    /// When they went.
    pub left_at: Option<Timestamp>,
}

/// An idempotency key that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptKey {
    /// The client's name for the request.
    pub key: String,
    /// The room that the request made.
    pub room: RoomId,
    /// When.
    pub at: Timestamp,
}

/// What is kept of a subject, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Incidents they raised.
    pub incidents: u64,
    /// Circles they own.
    pub circles: u64,
    /// Rooms that know who they are, those included.
    pub places: u64,
    /// Fixes.
    pub fixes: u64,
    /// Idempotency keys.
    pub keys: u64,
    /// Entries of their contact lists.
    pub contacts: u64,
}

impl Tally {
    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            incidents: self.incidents + other.incidents,
            circles: self.circles + other.circles,
            places: self.places + other.places,
            fixes: self.fixes + other.fixes,
            keys: self.keys + other.keys,
            contacts: self.contacts + other.contacts,
        }
    }
}

/// How long things are kept. Zero: for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Fixes.
    pub locations: std::time::Duration,
    /// Idempotency keys.
    pub idempotency: std::time::Duration,
    /// What tells which participants a device was, after it was seen last.
    pub device_links: std::time::Duration,
    /// Records of devices, after they were seen last.
    pub devices: std::time::Duration,
    /// Reports of misconduct.
    pub reports: std::time::Duration,
    /// The order of incidents' events, by which operators resume.
    pub feed: std::time::Duration,
    /// Events that a service refused for good.
    pub dead_letters: std::time::Duration,
    /// By which vendors name messages that they took.
    pub receipts: std::time::Duration,
    /// Marks of the erased, by which a backup knows whom not to bring back.
    pub erasures: std::time::Duration,
    /// The most rows of each kind that one call removes; 0 counts as 1.
    pub slice_max_rows: usize,
}

/// What the janitor removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Fixes.
    pub locations: u64,
    /// Idempotency keys.
    pub idempotency: u64,
    /// Devices that can no longer be told to have been anybody.
    pub devices_anonymised: u64,
    /// Records of devices.
    pub devices: u64,
    /// Positions of the erased that a crash had left.
    pub leftovers: u64,
    /// Whom rooms no longer know; one that is in memory must forget them, too.
    pub forgotten: Vec<(RoomId, Subject)>,
    /// Reports of misconduct.
    pub reports: u64,
    /// Blocks that had ended.
    pub blocks: u64,
    /// Places in the order of incidents' events.
    pub feed: u64,
    /// Events that a service had refused for good.
    pub dead_letters: u64,
    /// Names that vendors gave to messages.
    pub receipts: u64,
    /// There may be more: call again.
    pub more: bool,
}

/// What was removed of a subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Person records: rooms that knew who they were.
    pub people: u64,
    /// Fixes.
    pub fixes: u64,
    /// Contacts, device record, idempotency keys, reports they wrote, what was to be done for them.
    pub others: u64,
    /// Who they were where: pseudonyms that point nowhere now.
    pub places: Vec<(RoomId, ParticipantId)>,
}

/// The store in numbers.
#[derive(Clone, Debug, Default)]
pub struct StoreStats {
    /// Writes that wait.
    pub queue_depth: u64,
    /// The most that may wait.
    pub queue_max: u64,
    /// Writes refused because the queue was full.
    pub refused: u64,
    /// Transactions committed.
    pub commits: u64,
    /// Events made durable.
    pub events: u64,
    /// Fixes kept.
    pub fixes: u64,
}

/// Somebody's number and name, as a room that lists them shows it.
pub type ListedContact = (PhoneNumber, String);
