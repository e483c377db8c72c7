//! Places in lists, opaque to clients: hex of fixed fields, so that nobody builds one by hand and a URL takes
//! it as it is.

use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::time::Timestamp;

/// What a cursor that we did not make is told.
pub(super) const NOT_OURS: &str = "must be a nextCursor that this list answered";

/// A place in a list of incidents: where its last entry stands in the order asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentCursor {
    /// Its creation time (newest-first lists).
    pub created_at: Timestamp,
    /// Its distance in metres (nearest-first lists), else 0.
    pub distance_m: f64,
    /// The incident, which breaks ties.
    pub room: RoomId,
}

impl IncidentCursor {
    /// As text for a client.
    pub fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(80);
        bytes.extend_from_slice(&self.created_at.ms().to_be_bytes());
        bytes.extend_from_slice(&self.distance_m.to_be_bytes());
        bytes.extend_from_slice(self.room.as_str().as_bytes());
        hex::encode(bytes)
    }

    pub(super) fn decode(text: &str) -> Result<Self, &'static str> {
        let bytes = decode_hex(text)?;
        let (created_at, rest) = bytes.split_first_chunk().ok_or(NOT_OURS)?;
        let (distance_m, room) = rest.split_first_chunk().ok_or(NOT_OURS)?;
        let distance_m = f64::from_be_bytes(*distance_m);
        let room = std::str::from_utf8(room)
            .ok()
            .and_then(|room| RoomId::new(room).ok());
        if !distance_m.is_finite() {
            return Err(NOT_OURS);
        }
        Ok(Self {
            created_at: Timestamp::from_ms(i64::from_be_bytes(*created_at)),
            distance_m,
            room: room.ok_or(NOT_OURS)?,
        })
    }
}

/// A place in a list of fixes or stays: a time, and a participant who breaks ties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PersonCursor {
    /// The last entry's time.
    pub at: Timestamp,
    /// Whose it was.
    pub participant: ParticipantId,
}

impl PersonCursor {
    /// As text for a client.
    pub fn encode(&self) -> String {
        format!(
            "{}{}",
            hex::encode(self.at.ms().to_be_bytes()),
            hex::encode(self.participant.bits().to_be_bytes())
        )
    }

    pub(super) fn decode(text: &str) -> Result<Self, &'static str> {
        let bytes = decode_hex(text)?;
        let (at, rest) = bytes.split_first_chunk().ok_or(NOT_OURS)?;
        let participant = <[u8; 8]>::try_from(rest).map_err(|_| NOT_OURS)?;
        Ok(Self {
            at: Timestamp::from_ms(i64::from_be_bytes(*at)),
            participant: ParticipantId::from_bits(u64::from_be_bytes(participant)),
        })
    }
}

/// A place in a list of rooms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomCursor(pub RoomId);

impl RoomCursor {
    /// As text for a client.
    pub fn encode(&self) -> String {
        hex::encode(self.0.as_str())
    }

    pub(super) fn decode(text: &str) -> Result<Self, &'static str> {
        let room = String::from_utf8(decode_hex(text)?).map_err(|_| NOT_OURS)?;
        RoomId::new(&room).map(Self).map_err(|_| NOT_OURS)
    }
}

fn decode_hex(text: &str) -> Result<Vec<u8>, &'static str> {
    // The longest room id, the two numbers ahead of it, two digits for each byte.
    let longest = 2 * (RoomId::MAX_CHARS + 16);
    if text.len() > longest {
        return Err(NOT_OURS);
    }
    hex::decode(text).map_err(|_| NOT_OURS)
}
