//! Participants, their words and their numbers as REST shows them.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::ids::{MessageId, ParticipantId, RoomId};
use crate::domain::room::{Participant, Relay, Seq, Statistics, UserType};
use crate::domain::time::Timestamp;
use crate::wire::NAMELESS;
use crate::wire::schema;
use crate::wire::stamp::Stamp;

/// Somebody's stay in an incident.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParticipantView<'a> {
    /// Who they are in this incident.
    #[schemars(with = "schema::Participant")]
    id: String,
    #[schemars(with = "schema::Room")]
    sos_id: &'a str,
    #[schemars(with = "schema::ParticipantType")]
    user_type: &'static str,
    /// What others may call them.
    display_name: &'a str,
    #[schemars(with = "schema::Stay")]
    status: &'static str,
    /// When they came.
    joined_at: Stamp,
    /// When they left; not there while they are in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Stamp")]
    left_at: Option<Stamp>,
}

impl<'a> ParticipantView<'a> {
    /// Shows a stay.
    pub fn new(
        room: &'a RoomId,
        id: ParticipantId,
        user_type: UserType,
        joined_at: Timestamp,
        left_at: Option<Timestamp>,
        name: Option<&'a str>,
    ) -> Self {
        Self {
            id: id.to_string(),
            sos_id: room.as_str(),
            user_type: user_type.as_str(),
            display_name: name.unwrap_or(NAMELESS),
            status: if left_at.is_some() { "LEFT" } else { "ACTIVE" },
            joined_at: Stamp(joined_at),
            left_at: left_at.map(Stamp),
        }
    }

    /// Shows a participant of a room's state.
    pub fn of(room: &'a RoomId, id: ParticipantId, participant: &Participant, name: Option<&'a str>) -> Self {
        Self::new(
            room,
            id,
            participant.user_type,
            participant.joined_at,
            participant.left_at,
            name,
        )
    }
}

/// What stands for the type of a sender that is nobody.
pub(super) const SYSTEM: &str = "SYSTEM";

/// Who said something.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// Who they are in the room.
    pub id: ParticipantId,
    /// As what they are there.
    pub user_type: UserType,
    /// What others may call them.
    pub name: Option<&'a str>,
}

/// A message of an incident.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageView<'a> {
    #[schemars(with = "schema::Message")]
    id: &'a str,
    #[schemars(with = "schema::Room")]
    sos_id: &'a str,
    /// Its place in the incident's log.
    seq: u64,
    #[schemars(with = "schema::SenderType")]
    sender_type: &'static str,
    #[schemars(with = "Option<schema::Participant>")]
    sender_id: Option<String>,
    /// What others may call them.
    sender_display_name: &'a str,
    #[schemars(with = "schema::ContentType")]
    content_type: &'static str,
    /// The words.
    content: &'a str,
    /// When it was sent.
    created_at: Stamp,
}

impl<'a> MessageView<'a> {
    /// Shows a message; without a sender it is the system's.
    pub fn new(
        room: &'a RoomId,
        id: &'a MessageId,
        seq: Seq,
        at: Timestamp,
        sender: Option<Sender<'a>>,
        content: &'a str,
    ) -> Self {
        Self {
            id: id.as_str(),
            sos_id: room.as_str(),
            seq: seq.get(),
            sender_type: sender.map_or(SYSTEM, |sender| sender.user_type.as_str()),
            sender_id: sender.map(|sender| sender.id.to_string()),
            sender_display_name: sender.map_or("System", |sender| sender.name.unwrap_or(NAMELESS)),
            content_type: if sender.is_some() { "text" } else { "system" },
            content,
            created_at: Stamp(at),
        }
    }

    /// As the service has it that passed the message on: as what its sender said it, who need not be in, and when.
    #[must_use]
    pub fn relayed(self, relay: Option<&Relay>) -> Self {
        let Some(relay) = relay else { return self };
        Self {
            sender_type: relay.sender.map_or(SYSTEM, UserType::as_str),
            content_type: if relay.notice { "system" } else { "text" },
            created_at: Stamp(relay.written_at),
            ..self
        }
    }
}

/// `GET /sos/{id}/participants/stats`
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatsView {
    /// Who ever was in.
    total_participants: usize,
    /// Who is in.
    active_participants: usize,
    /// Rescuers with an account who are or were in.
    registered_rescuers: usize,
    /// Rescuers without an account who are or were in.
    anonymous_rescuers: usize,
    /// How long people were in, in seconds; 0 when nobody was.
    #[schemars(range(min = 0))]
    average_participation_time: f64,
}

impl From<Statistics> for StatsView {
    fn from(stats: Statistics) -> Self {
        let average = stats.average_seconds;
        Self {
            total_participants: stats.total,
            active_participants: stats.active,
            registered_rescuers: stats.registered_rescuers,
            anonymous_rescuers: stats.anonymous_rescuers,
            average_participation_time: if average.is_finite() { average } else { 0.0 },
        }
    }
}

/// `GET /sos/{id}/participants/anonymous/count`
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnonymousCount {
    /// Rescuers without an account who are or were in.
    pub anonymous_count: usize,
}
