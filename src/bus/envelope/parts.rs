//! What news are made of, as they travel. Converted by hand, both ways: after this edge nothing is checked twice.

use serde::{Deserialize, Serialize};

use super::Unread;
use crate::bus::news::Attendance;
use crate::domain::geo::{Fix, Position};
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::incident::Status;
use crate::domain::people::{Person, Role, Subject};
use crate::domain::phone::PhoneNumber;
use crate::domain::room::{Actor, Event, Seq};
use crate::domain::time::Timestamp;
use crate::store::{IncidentRow, codec};

pub(super) use crate::store::codec::subject_text;

pub(super) fn subject(text: &str) -> Result<Subject, Unread> {
    codec::parse_subject(text).map_err(|_| Unread::Damaged)
}

pub(super) fn room(text: &str) -> Result<RoomId, Unread> {
    RoomId::new(text).map_err(|_| Unread::Damaged)
}

pub(super) fn phone(text: &str) -> Result<PhoneNumber, Unread> {
    PhoneNumber::from_e164(text).map_err(|_| Unread::Damaged)
}

pub(super) fn participant(bits: u64) -> ParticipantId {
    ParticipantId::from_bits(bits)
}

pub(super) fn each<A>(all: &[String], one: impl Fn(&str) -> Result<A, Unread>) -> Result<Vec<A>, Unread> {
    all.iter().map(|text| one(text)).collect()
}

/// An event; its body is the text that the store keeps.
#[derive(Serialize, Deserialize)]
pub(super) struct EventDto {
    #[serde(rename = "s")]
    seq: u64,
    #[serde(rename = "t")]
    at: i64,
    /// Nobody: the engine itself.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    actor: Option<u64>,
    #[serde(rename = "b")]
    body: String,
}

impl From<&Event> for EventDto {
    fn from(event: &Event) -> Self {
        Self {
            seq: event.seq.get(),
            at: event.at.ms(),
            actor: event.actor.participant().map(ParticipantId::bits),
            body: codec::encode_body(&event.body).unwrap_or_default(),
        }
    }
}

impl EventDto {
    pub(super) fn of(self, room: &RoomId) -> Result<Event, Unread> {
        Ok(Event {
            room: room.clone(),
            seq: Seq::new(self.seq),
            at: Timestamp::from_ms(self.at),
            actor: self
                .actor
                .map_or(Actor::System, |bits| Actor::Participant(participant(bits))),
            body: codec::decode_body(&self.body).map_err(|_| Unread::Damaged)?,
        })
    }
}

/// Who somebody is in a room.
#[derive(Serialize, Deserialize)]
pub(super) struct PersonDto {
    #[serde(rename = "w")]
    who: u64,
    #[serde(rename = "s")]
    subject: String,
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    #[serde(rename = "r")]
    role: String,
}

impl From<&Person> for PersonDto {
    fn from(person: &Person) -> Self {
        Self {
            who: person.participant.bits(),
            subject: subject_text(&person.subject),
            name: person.name.clone(),
            phone: person.phone.as_ref().map(|phone| phone.reveal().into()),
            role: person.role.as_str().into(),
        }
    }
}

impl TryFrom<PersonDto> for Person {
    type Error = Unread;

    fn try_from(dto: PersonDto) -> Result<Self, Unread> {
        Ok(Self {
            participant: participant(dto.who),
            subject: subject(&dto.subject)?,
            name: dto.name,
            phone: dto.phone.as_deref().map(phone).transpose()?,
            role: Role::parse(&dto.role).ok_or(Unread::Damaged)?,
        })
    }
}

/// Where somebody is.
#[derive(Serialize, Deserialize)]
pub(super) struct FixDto {
    #[serde(rename = "w")]
    who: u64,
    #[serde(rename = "t")]
    at: i64,
    #[serde(rename = "y")]
    latitude: f64,
    #[serde(rename = "x")]
    longitude: f64,
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    accuracy: Option<f64>,
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    speed: Option<f64>,
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    heading: Option<f64>,
}

impl From<&(ParticipantId, Fix)> for FixDto {
    fn from((who, fix): &(ParticipantId, Fix)) -> Self {
        Self {
            who: who.bits(),
            at: fix.at.ms(),
            latitude: fix.position.latitude(),
            longitude: fix.position.longitude(),
            accuracy: fix.accuracy,
            speed: fix.speed,
            heading: fix.heading,
        }
    }
}

impl TryFrom<FixDto> for (ParticipantId, Fix) {
    type Error = Unread;

    fn try_from(dto: FixDto) -> Result<Self, Unread> {
        let position = Position::new(dto.latitude, dto.longitude).map_err(|_| Unread::Damaged)?;
        let fix = Fix::new(position, Timestamp::from_ms(dto.at))
            .with_motion(dto.accuracy, dto.speed, dto.heading)
            .map_err(|_| Unread::Damaged)?;
        Ok((participant(dto.who), fix))
    }
}

/// Whether somebody is connected.
#[derive(Serialize, Deserialize)]
pub(super) struct AttendanceDto {
    #[serde(rename = "w")]
    who: u64,
    #[serde(rename = "h")]
    here: bool,
    #[serde(rename = "g", default, skip_serializing_if = "is_false")]
    greet: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(value: &bool) -> bool {
    !value
}

impl From<&Attendance> for AttendanceDto {
    fn from(attendance: &Attendance) -> Self {
        Self {
            who: attendance.who.bits(),
            here: attendance.here,
            greet: attendance.greet,
        }
    }
}

impl From<AttendanceDto> for Attendance {
    fn from(dto: AttendanceDto) -> Self {
        Self {
            who: participant(dto.who),
            here: dto.here,
            greet: dto.greet,
        }
    }
}

/// How an incident stands; what was reported is the text that the store keeps.
#[derive(Serialize, Deserialize)]
pub(super) struct RowDto {
    #[serde(rename = "r")]
    room: String,
    #[serde(rename = "c")]
    creator: u64,
    #[serde(rename = "p")]
    report: String,
    #[serde(rename = "s")]
    status: String,
    #[serde(rename = "t")]
    created_at: i64,
    #[serde(rename = "u")]
    updated_at: i64,
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    ended_at: Option<i64>,
    #[serde(rename = "q")]
    seq: u64,
    #[serde(rename = "a", default)]
    active_participants: u32,
}

impl From<&IncidentRow> for RowDto {
    fn from(row: &IncidentRow) -> Self {
        Self {
            room: row.room.to_string(),
            creator: row.creator.bits(),
            report: codec::encode_report(&row.report).unwrap_or_default(),
            status: row.status.as_str().into(),
            created_at: row.created_at.ms(),
            updated_at: row.updated_at.ms(),
            ended_at: row.ended_at.map(Timestamp::ms),
            seq: row.seq.get(),
            active_participants: row.active_participants,
        }
    }
}

impl TryFrom<RowDto> for IncidentRow {
    type Error = Unread;

    fn try_from(dto: RowDto) -> Result<Self, Unread> {
        Ok(Self {
            room: room(&dto.room)?,
            creator: participant(dto.creator),
            report: codec::decode_report(&dto.report).map_err(|_| Unread::Damaged)?,
            status: Status::parse(&dto.status).ok_or(Unread::Damaged)?,
            created_at: Timestamp::from_ms(dto.created_at),
            updated_at: Timestamp::from_ms(dto.updated_at),
            ended_at: dto.ended_at.map(Timestamp::from_ms),
            seq: Seq::new(dto.seq),
            active_participants: dto.active_participants,
        })
    }
}
