//! People and incidents as circle clients see them.

use crate::domain::geo::Position;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::incident::{IncidentType, Severity, Status};
use crate::domain::people::{Identity, Person, Role, Subject};
use crate::domain::phone::PhoneNumber;
use crate::domain::room::{RoomState, Seq};
use crate::domain::time::Timestamp;
use crate::wire::NAMELESS;
use crate::wire::frame::Frame;

/// Somebody as the others in the room see them.
#[derive(Clone, Copy, Debug)]
pub struct UserView<'a> {
    /// Who they are in this room.
    pub id: ParticipantId,
    /// What they are called.
    pub name: Option<&'a str>,
    /// As what they came.
    pub role: Role,
    /// Their number, for those who may see it.
    pub phone: Option<&'a PhoneNumber>,
}

impl<'a> UserView<'a> {
    /// Somebody by their record, with their number only if it `shows_phone`.
    pub fn of(person: &'a Person, shows_phone: bool) -> Self {
        Self {
            id: person.participant,
            name: person.name.as_deref(),
            role: person.role,
            phone: person.phone.as_ref().filter(|_| shows_phone),
        }
    }

    /// Somebody whose record was erased.
    pub fn unknown(id: ParticipantId) -> Self {
        Self {
            id,
            name: None,
            role: Role::Anon,
            phone: None,
        }
    }

    /// What they are called, in any case.
    pub fn shown_name(&self) -> &'a str {
        self.name.unwrap_or(NAMELESS)
    }

    pub(super) fn write(&self, frame: &mut Frame) {
        frame.person("id", self.id);
        frame.text("name", self.shown_name());
        frame.null("email");
        frame.word("role", self.role.as_str());
        frame.maybe_text("phone_no", self.phone.map(PhoneNumber::reveal));
    }
}

/// Oneself, by the id that one's own credential states.
pub(super) fn write_self(frame: &mut Frame, identity: &Identity) {
    match &identity.subject {
        Subject::User(id) => frame.text("id", id.as_str()),
        Subject::Device(id) => frame.word("id", &id.reveal()),
        Subject::Service(name) => frame.word("id", name.as_str()),
        Subject::Phone(phone) => frame.word("id", phone.reveal()),
    }
    frame.text("name", identity.name.as_deref().unwrap_or(NAMELESS));
    frame.maybe_text("email", identity.email.as_deref());
    frame.word("role", identity.role.as_str());
    frame.maybe_text("phone_no", identity.phone.as_ref().map(PhoneNumber::reveal));
}

/// An incident as those see it who watch the area that it lies in.
#[derive(Clone, Debug, PartialEq)]
pub struct SosSummary {
    /// The incident.
    pub sos: RoomId,
    /// What has happened.
    pub kind: IncidentType,
    /// In whose words.
    pub message: String,
    /// How bad.
    pub severity: Severity,
    /// Where it stands.
    pub status: Status,
    /// Where.
    pub position: Option<Position>,
    /// The city's code.
    pub city_id: Option<String>,
    /// When it was raised.
    pub created_at: Timestamp,
    /// When its status changed last.
    pub updated_at: Timestamp,
    /// The log's head.
    pub seq: Seq,
    /// How many are in.
    pub active_participants: u64,
}

impl SosSummary {
    /// The summary of an incident's room; `None` when it is none.
    pub fn of(state: &RoomState) -> Option<Self> {
        let incident = state.incident.as_ref()?;
        let report = &incident.report;
        Some(Self {
            sos: state.id.clone(),
            kind: report.kind,
            message: report.message.clone(),
            severity: report.severity,
            status: incident.status,
            position: report.position,
            city_id: report.city_id.clone(),
            created_at: state.created_at,
            updated_at: incident.status_at,
            seq: state.seq,
            active_participants: state.active_participants().count() as u64,
        })
    }

    pub(super) fn write(&self, frame: &mut Frame) {
        frame.room("sosId", &self.sos);
        frame.word("type", self.kind.as_str());
        frame.text("message", &self.message);
        frame.word("severity", self.severity.as_str());
        frame.word("status", self.status.as_str());
        match self.position {
            Some(position) => frame.object("location", |frame| {
                frame.number("latitude", position.latitude());
                frame.number("longitude", position.longitude());
            }),
            None => frame.null("location"),
        }
        frame.maybe_text("cityId", self.city_id.as_deref());
        frame.instant("createdAt", self.created_at);
        frame.instant("updatedAt", self.updated_at);
        frame.whole("seq", self.seq.get());
        frame.whole("activeParticipants", self.active_participants);
    }
}
