//! Participants, their words and their numbers as REST shows them.

use serde::Serialize;

use crate::domain::ids::{MessageId, ParticipantId, RoomId};
use crate::domain::room::{Participant, Seq, Statistics, UserType};
use crate::domain::time::Timestamp;
use crate::wire::NAMELESS;
use crate::wire::stamp::Stamp;

/// Somebody's stay in an incident.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ParticipantView<'a> {
    id: String,
    sos_id: &'a str,
    user_type: &'static str,
    display_name: &'a str,
    status: &'static str,
    joined_at: Stamp,
    #[serde(skip_serializing_if = "Option::is_none")]
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
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageView<'a> {
    id: &'a str,
    sos_id: &'a str,
    seq: u64,
    sender_type: &'static str,
    sender_id: Option<String>,
    sender_display_name: &'a str,
    content_type: &'static str,
    content: &'a str,
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
            sender_type: sender.map_or("SYSTEM", |sender| sender.user_type.as_str()),
            sender_id: sender.map(|sender| sender.id.to_string()),
            sender_display_name: sender.map_or("System", |sender| sender.name.unwrap_or(NAMELESS)),
            content_type: if sender.is_some() { "text" } else { "system" },
            content,
            created_at: Stamp(at),
        }
    }
}

/// `GET /sos/{id}/participants/stats`
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatsView {
    total_participants: usize,
    active_participants: usize,
    registered_rescuers: usize,
    anonymous_rescuers: usize,
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
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AnonymousCount {
    /// Rescuers without an account who are or were in.
    pub anonymous_count: usize,
}
