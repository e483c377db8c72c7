//! Answers of the REST beside the circle clients' WebSocket: bare JSON, no envelope.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::location::RejectedFix;
use super::location_view::LocationView;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::phone::PhoneNumber;
use crate::domain::room::RoomState;
use crate::domain::time::Timestamp;
use crate::wire::NAMELESS;
use crate::wire::schema;
use crate::wire::stamp::Stamp;

/// `POST /api/location`
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LocationAnswer<'a> {
    #[schemars(extend("const" = true))]
    success: bool,
    /// When it was taken.
    timestamp: Stamp,
    /// The rooms that it was taken for.
    #[schemars(with = "Vec<schema::Room>")]
    rooms: Vec<&'a str>,
}

impl<'a> LocationAnswer<'a> {
    /// The fix was taken at `now` for these rooms.
    pub fn new(now: Timestamp, rooms: &'a [RoomId]) -> Self {
        Self {
            success: true,
            timestamp: Stamp(now),
            rooms: rooms.iter().map(RoomId::as_str).collect(),
        }
    }
}

/// `POST /api/location/batch`
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct BatchAnswer {
    /// How many were taken.
    pub accepted: usize,
    /// Those that were not, by their places.
    pub rejected: Vec<RejectedFix>,
}

/// `GET /api/locations/contacts`
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct LocationsByUser<'a> {
    /// By the owner's participant id in their circle.
    locations_by_user: BTreeMap<String, UserLocations<'a>>,
}

/// Where one person was.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct UserLocations<'a> {
    /// What they are called.
    user_name: &'a str,
    #[schemars(with = "Option<schema::Phone>")]
    user_phone: Option<&'a str>,
    /// Positions, oldest first.
    locations: Vec<LocationView<'a>>,
    #[serde(rename = "nextCursor", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Cursor>")]
    next_cursor: Option<String>,
}

impl<'a> LocationsByUser<'a> {
    /// Adds a person by whatever id the reader may know them by; a second entry of the same id adds to the
    /// first. `next_cursor` is where there is more of them.
    pub fn add(
        &mut self,
        id: String,
        name: Option<&'a str>,
        phone: Option<&'a PhoneNumber>,
        locations: Vec<LocationView<'a>>,
        next_cursor: Option<String>,
    ) {
        let entry = self.locations_by_user.entry(id).or_insert_with(|| UserLocations {
            user_name: name.unwrap_or(NAMELESS),
            user_phone: phone.map(PhoneNumber::reveal),
            locations: Vec::new(),
            next_cursor: None,
        });
        entry.next_cursor = entry.next_cursor.take().or(next_cursor);
        entry.locations.extend(locations);
    }
}

/// `GET /api/rooms-info`
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RoomsInfo<'a> {
    /// The rooms that the reader may see.
    pub rooms: Vec<RoomInfo<'a>>,
    /// Where the next page begins, when the reader asked for pages.
    #[serde(rename = "nextCursor", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Cursor>")]
    pub next_cursor: Option<String>,
    /// For `ADMIN`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RoomCounts")]
    pub counts: Option<RoomCounts>,
}

/// A node of a cluster, as it says of itself.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeInfo {
    /// Its name for as long as it runs.
    pub node: String,
    /// Open connections.
    pub connections: u64,
    /// Rooms in use on it.
    pub rooms: u64,
    /// It is on its way out.
    pub draining: bool,
}

/// The engine in numbers.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoomCounts {
    /// Rooms in use.
    pub rooms: usize,
    /// Open connections.
    pub connections: usize,
    /// People in those rooms, each counted once a room.
    pub members: usize,
    /// Rooms in which an emergency stands.
    pub emergencies: usize,
    /// The nodes that are alive; not there when there is only one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodeInfo>,
}

/// A room in a list.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoomInfo<'a> {
    #[schemars(with = "schema::Room")]
    room_id: &'a str,
    #[schemars(with = "Option<schema::RoomType>")]
    kind: Option<&'static str>,
    #[schemars(with = "Option<schema::Participant>")]
    owner: Option<String>,
    /// What the owner is called.
    owner_name: &'a str,
    /// Whether it is yours.
    is_owner: bool,
    /// Whether newcomers are let in.
    active: bool,
    /// How many are in.
    members: usize,
    /// Its log's newest event.
    seq: u64,
    /// The emergency that stands in it, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schema::Room")]
    sos_id: Option<&'a str>,
    created_at: Stamp,
}

impl<'a> RoomInfo<'a> {
    /// Shows a room to somebody who is `reader` in it.
    pub fn of(state: &'a RoomState, owner_name: Option<&'a str>, reader: Option<ParticipantId>) -> Self {
        Self {
            room_id: state.id.as_str(),
            kind: state.kind.map(crate::domain::room::RoomKind::as_str),
            owner: state.owner.map(|owner| owner.to_string()),
            owner_name: owner_name.unwrap_or(NAMELESS),
            is_owner: reader.is_some() && reader == state.owner,
            active: state.active && !state.asleep,
            members: state.active_participants().count(),
            seq: state.seq.get(),
            sos_id: state.emergency.as_ref().map(RoomId::as_str),
            created_at: Stamp(state.created_at),
        }
    }
}
