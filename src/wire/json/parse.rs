//! Reads a client's message in one pass: every field that any message may have is read loosely into one
//! struct, then the message's own fields are judged. `location-update` arrives 25,000 times a second, so
//! there is no tree of values and nothing is copied but what is kept.

use serde::Deserialize;

use super::client::{ClientMessage, EmergencySos, HISTORY_LIMIT_MAX};
use super::error::{BAD_JSON, ClientError, UNKNOWN_TYPE};
use crate::domain::area::Area;
use crate::domain::geo::Fix;
use crate::domain::ids::{MessageId, RoomId};
use crate::domain::incident::{IncidentType, Severity};
use crate::domain::room::Seq;
use crate::wire::field::{self, Checked, FixFields, Problem};
use crate::wire::loose::Loose;
use crate::wire::{Reading, SentToken};

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Raw<'a> {
    #[serde(borrow, rename = "type")]
    kind: Loose<'a>,
    #[serde(borrow)]
    room_id: Loose<'a>,
    #[serde(borrow)]
    trip_id: Loose<'a>,
    #[serde(borrow)]
    latitude: Loose<'a>,
    #[serde(borrow)]
    longitude: Loose<'a>,
    #[serde(borrow)]
    accuracy: Loose<'a>,
    #[serde(borrow)]
    speed: Loose<'a>,
    #[serde(borrow)]
    heading: Loose<'a>,
    #[serde(borrow)]
    timestamp: Loose<'a>,
    #[serde(borrow)]
    content: Loose<'a>,
    #[serde(borrow)]
    id: Loose<'a>,
    #[serde(borrow)]
    since: Loose<'a>,
    #[serde(borrow)]
    limit: Loose<'a>,
    #[serde(borrow)]
    requester_id: Loose<'a>,
    #[serde(borrow)]
    formatted_location: Loose<'a>,
    #[serde(borrow)]
    severity: Loose<'a>,
    #[serde(borrow)]
    emergency_type: Loose<'a>,
    #[serde(borrow)]
    radius_km: Loose<'a>,
    #[serde(borrow)]
    token: Loose<'a>,
    #[serde(borrow)]
    pin: Loose<'a>,
}

/// Reads one text frame.
///
/// # Errors
/// What is wrong with it, in a form that can be sent back.
pub fn parse(text: &str, reading: &Reading) -> Result<ClientMessage, ClientError> {
    // serde would also fill the struct from an array.
    if !text.trim_ascii_start().starts_with('{') {
        return Err(bad_json("a message must be a JSON object"));
    }
    let raw: Raw<'_> = serde_json::from_str(text).map_err(|error| bad_json(&error.to_string()))?;
    let kind = match &raw.kind {
        Loose::Text(kind) => kind.as_ref(),
        Loose::Absent => return Err(Problem::missing("type").into()),
        _ => return Err(Problem::wants("type", "text").into()),
    };
    raw.message(kind, reading)?.ok_or_else(|| unknown(kind))
}

impl Raw<'_> {
    /// `None` when there is no such type.
    fn message(&self, kind: &str, reading: &Reading) -> Checked<Option<ClientMessage>> {
        Ok(Some(match kind {
            "location-update" => ClientMessage::LocationUpdate {
                room: self.room_if_given()?,
                fix: self.fix(reading)?,
            },
            "room-message" => ClientMessage::RoomMessage {
                room: self.room()?,
                content: field::required(
                    "content",
                    field::words("content", &self.content, 1..=reading.content_max_chars)?,
                )?,
                id: field::parsed("id", &self.id, |id| MessageId::new(id))?,
            },
            "ping" => ClientMessage::Ping,
            "create-room" => ClientMessage::CreateRoom {
                room: self.room_if_given()?,
            },
            "join-room" => ClientMessage::JoinRoom {
                room: self.room()?,
                since: self.since()?,
            },
            "leave-room" => ClientMessage::LeaveRoom { room: self.room()? },
            "trip:join" => ClientMessage::TripJoin {
                trip: self.trip()?,
                since: self.since()?,
            },
            "trip:leave" => ClientMessage::TripLeave { trip: self.trip()? },
            "activate-room" => ClientMessage::ActivateRoom { room: self.room()? },
            "deactivate-room" => ClientMessage::DeactivateRoom { room: self.room()? },
            "request-join" => ClientMessage::RequestJoin { room: self.room()? },
            "approve-join" => ClientMessage::ApproveJoin {
                room: self.room()?,
                requester: self.requester()?,
            },
            "deny-join" => ClientMessage::DenyJoin {
                room: self.room()?,
                requester: self.requester()?,
            },
            "emergency-sos" => ClientMessage::EmergencySos(self.sos(reading)?),
            "emergency-resolve" => ClientMessage::EmergencyResolve {
                room: self.room_if_given()?,
                pin: field::pin("pin", &self.pin)?,
            },
            "acknowledge" => ClientMessage::Acknowledge { room: self.room()? },
            "get_users" => ClientMessage::GetUsers { room: self.room()? },
            "get-history" => ClientMessage::GetHistory {
                room: self.room()?,
                since: self.since()?.unwrap_or(Seq::ZERO),
                limit: field::limit(&self.limit, HISTORY_LIMIT_MAX, HISTORY_LIMIT_MAX)?,
            },
            "watch-area" => ClientMessage::WatchArea(self.area(reading)?),
            "unwatch-area" => ClientMessage::UnwatchArea,
            "refresh-credential" => ClientMessage::RefreshCredential { token: self.token()? },
            _ => return Ok(None),
        }))
    }

    fn room_if_given(&self) -> Checked<Option<RoomId>> {
        field::parsed("roomId", &self.room_id, |id| RoomId::new(id))
    }

    fn room(&self) -> Checked<RoomId> {
        field::required("roomId", self.room_if_given()?)
    }

    fn trip(&self) -> Checked<RoomId> {
        let trip = field::parsed("tripId", &self.trip_id, |id| RoomId::new(id))?;
        field::required("tripId", trip)
    }

    fn requester(&self) -> Checked<crate::domain::ids::ParticipantId> {
        field::required(
            "requesterId",
            field::parsed("requesterId", &self.requester_id, str::parse)?,
        )
    }

    fn token(&self) -> Checked<SentToken> {
        field::token(&self.token)
    }

    fn since(&self) -> Checked<Option<Seq>> {
        Ok(field::whole("since", &self.since, 0..=u64::MAX)?.map(Seq::new))
    }

    fn fix(&self, reading: &Reading) -> Checked<Fix> {
        FixFields {
            latitude: &self.latitude,
            longitude: &self.longitude,
            accuracy: &self.accuracy,
            speed: &self.speed,
            heading: &self.heading,
            timestamp: &self.timestamp,
        }
        .live(reading)
    }

    fn sos(&self, reading: &Reading) -> Checked<EmergencySos> {
        let position = field::position(&self.latitude, &self.longitude)?;
        let at = field::measured_at("timestamp", &self.timestamp, reading)?;
        let accuracy = field::accuracy("accuracy", &self.accuracy)?;
        Ok(EmergencySos {
            position,
            accuracy: position.and(accuracy),
            at,
            formatted_location: field::note(
                "formattedLocation",
                &self.formatted_location,
                field::NOTE_MAX_CHARS,
            )?,
            room: self.room_if_given()?,
            severity: field::one_of(
                "severity",
                &self.severity,
                Severity::parse,
                Severity::ALL,
                Severity::as_str,
            )?,
            kind: self.emergency_type()?,
        })
    }

    /// Circle clients name emergencies in words of their own: one that we do not know must not cost
    /// anybody their SOS.
    fn emergency_type(&self) -> Checked<Option<IncidentType>> {
        let text = field::text("emergencyType", &self.emergency_type, 0..=field::NAME_MAX_CHARS)?;
        Ok(text
            .filter(|text| !text.is_empty())
            .map(|text| IncidentType::parse(text).unwrap_or(IncidentType::Other)))
    }

    fn area(&self, reading: &Reading) -> Checked<Area> {
        let centre = field::required("latitude", field::position(&self.latitude, &self.longitude)?)?;
        let radius = field::required("radiusKm", field::number("radiusKm", &self.radius_km)?)?;
        Area::new(centre, radius, reading.radius_max_km).map_err(|error| Problem {
            field: "radiusKm",
            message: error.to_string(),
        })
    }
}

fn bad_json(message: &str) -> ClientError {
    ClientError {
        code: BAD_JSON,
        field: None,
        message: message.to_owned(),
    }
}

/// Quotes the type back, but not a page of it.
fn unknown(kind: &str) -> ClientError {
    let shown: String = kind.chars().filter(|c| !c.is_control()).take(40).collect();
    ClientError {
        code: UNKNOWN_TYPE,
        field: Some("type"),
        message: format!("there is no message of type '{shown}'"),
    }
}
