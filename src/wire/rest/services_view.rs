//! Incidents as sister services are shown them: users by the ids that the services know them by. A device has no
//! other name than who it is in the incident, for services too: its id is its credential.

use schemars::JsonSchema;
use serde::Serialize;

use super::people_view::ParticipantView;
use super::sos_view::PlaceView;
use crate::domain::geo::Fix;
use crate::domain::ids::ParticipantId;
use crate::domain::people::{Person, Subject};
use crate::domain::room::RoomState;
use crate::wire::NAMELESS;
use crate::wire::schema;
use crate::wire::stamp::Stamp;

/// Participants that a state names; how many there are it always says.
pub const NAMED_MAX: usize = 100;

/// What a service calls somebody: a user's or service's id, else who they are in the incident.
fn id_of(who: ParticipantId, person: Option<&Person>) -> String {
    user_id(person)
        .or_else(|| match &person?.subject {
            Subject::Service(name) => Some(name.to_string()),
            _ => None,
        })
        .unwrap_or_else(|| who.to_string())
}

fn user_id(person: Option<&Person>) -> Option<String> {
    match &person?.subject {
        Subject::User(id) => Some(id.to_string()),
        Subject::Device(_) | Subject::Service(_) | Subject::Phone(_) => None,
    }
}

/// `GET /internal/realtime/sos/{id}/state`, and the answer of whatever changes it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StateView {
    /// The incident, and its room on the WebSocket.
    #[schemars(with = "schema::Room")]
    sos_id: String,
    /// Whose it is: a user's id; a participant's for a device, and once they were erased. Null when nobody's.
    citizen_id: Option<String>,
    #[serde(rename = "type")]
    #[schemars(with = "schema::IncidentKind")]
    kind: &'static str,
    #[schemars(with = "schema::IncidentStatus")]
    status: &'static str,
    /// When it was raised.
    created_at: Stamp,
    /// When it ended; not there while it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Stamp")]
    closed_at: Option<Stamp>,
    /// Who ended it, if that was somebody.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    closed_by: Option<String>,
    /// Where whoever raised it was last, or said to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PlaceView")]
    location: Option<PlaceView>,
    /// When that was measured; null when it was only said.
    last_location_update: Option<Stamp>,
    /// Those who are in, the first hundred of them.
    participants: Vec<AttendeeView>,
    /// How many are in.
    participants_count: usize,
    /// Its log's newest event.
    seq: u64,
}

/// Somebody who is in.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct AttendeeView {
    /// Who they are in this incident.
    #[schemars(with = "schema::Participant")]
    id: String,
    /// Their id, if they have an account.
    user_id: Option<String>,
    #[schemars(with = "schema::ParticipantType")]
    user_type: &'static str,
    /// What others may call them.
    display_name: String,
    /// When they came.
    joined_at: Stamp,
}

impl StateView {
    /// Shows an incident's room with its people; `None` when it is none. `located` is where its owner was last.
    pub fn of<'p>(
        state: &RoomState,
        people: &dyn Fn(ParticipantId) -> Option<&'p Person>,
        located: Option<&Fix>,
    ) -> Option<Self> {
        let incident = state.incident.as_ref()?;
        let id = |who| id_of(who, people(who));
        let said = || {
            Some(PlaceView::new(
                incident.report.position?,
                incident.report.accuracy,
            ))
        };
        let found = located.map(|fix| PlaceView::new(fix.position, fix.accuracy));
        let attendee = |(who, stay): (ParticipantId, &crate::domain::room::Participant)| {
            let person = people(who);
            let name = person.and_then(|person| person.name.as_deref());
            AttendeeView {
                id: who.to_string(),
                user_id: user_id(person),
                user_type: stay.user_type.as_str(),
                display_name: name.unwrap_or(NAMELESS).to_owned(),
                joined_at: Stamp(stay.joined_at),
            }
        };
        let named = state.active_participants().take(NAMED_MAX);
        Some(Self {
            sos_id: state.id.to_string(),
            citizen_id: state.owner.map(id),
            kind: incident.report.kind.as_str(),
            status: incident.status.as_str(),
            created_at: Stamp(state.created_at),
            closed_at: incident.ended_at.map(Stamp),
            closed_by: incident.ended_by.map(id),
            location: found.or_else(said),
            last_location_update: located.map(|fix| Stamp(fix.at)),
            participants: named.map(attendee).collect(),
            participants_count: state.active_participants().count(),
            seq: state.seq.get(),
        })
    }
}

/// An entry of `GET /internal/realtime/sos/nearby`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NearStateView {
    #[serde(flatten)]
    state: StateView,
    /// How far from where was asked it was raised, in metres.
    #[schemars(range(min = 0))]
    distance_m: f64,
}

impl NearStateView {
    /// Shows an incident that was raised `distance_m` from where was asked.
    pub fn new(state: StateView, distance_m: f64) -> Self {
        // To the decimetre: receivers know no better.
        let distance_m = (distance_m * 10.0).round() / 10.0;
        Self { state, distance_m }
    }
}

/// Somebody's stay, for a service.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberView<'a> {
    #[serde(flatten)]
    stay: ParticipantView<'a>,
    /// Their id, if they have an account.
    user_id: Option<String>,
}

impl<'a> MemberView<'a> {
    /// Shows a participant of an incident; `None` when they never were in it.
    pub fn of(state: &'a RoomState, who: ParticipantId, person: Option<&'a Person>) -> Option<Self> {
        let stay = state.participants.get(&who)?;
        let name = person.and_then(|person| person.name.as_deref());
        Some(Self {
            stay: ParticipantView::of(&state.id, who, stay, name),
            user_id: user_id(person),
        })
    }
}

/// `GET /api/participants/{id}/count`
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CountView {
    #[schemars(with = "schema::Room")]
    sos_id: String,
    /// How many are in.
    count: usize,
}

impl CountView {
    /// Counts those who are in.
    pub fn of(state: &RoomState) -> Self {
        Self {
            sos_id: state.id.to_string(),
            count: state.active_participants().count(),
        }
    }
}

/// `POST` and `GET /internal/realtime/sos/{id}/rescuer-location`
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RescuerView {
    #[schemars(with = "schema::Room")]
    sos_id: String,
    /// A user's id; who they are in the incident, of a device.
    rescuer_id: String,
    /// Who they are in the incident, as its members hear of them.
    #[schemars(with = "schema::Participant")]
    participant_id: String,
    /// Degrees north, WGS 84.
    #[schemars(extend("minimum" = -90, "maximum" = 90))]
    latitude: f64,
    /// Degrees east, WGS 84.
    #[schemars(extend("minimum" = -180, "maximum" = 180))]
    longitude: f64,
    /// Radius in metres.
    #[schemars(range(min = 0))]
    accuracy: Option<f64>,
    /// When that was.
    timestamp: Stamp,
}

impl RescuerView {
    /// Shows where a rescuer is.
    pub fn new(state: &RoomState, who: ParticipantId, person: Option<&Person>, fix: &Fix) -> Self {
        Self {
            sos_id: state.id.to_string(),
            rescuer_id: id_of(who, person),
            participant_id: who.to_string(),
            latitude: fix.position.latitude(),
            longitude: fix.position.longitude(),
            accuracy: fix.accuracy,
            timestamp: Stamp(fix.at),
        }
    }
}
