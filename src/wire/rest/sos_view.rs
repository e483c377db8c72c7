//! Incidents as REST shows them.

use schemars::JsonSchema;
use serde::Serialize;

use super::hints_view::HintsView;
use super::location_view::LocationView;
use super::people_view::ParticipantView;
use crate::domain::geo::{Fix, Position};
use crate::domain::hints::Hint;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::incident::{Address, Report, Status};
use crate::domain::people::Person;
use crate::domain::room::{RoomState, Seq};
use crate::domain::time::Timestamp;
use crate::wire::schema;
use crate::wire::stamp::Stamp;

/// What is known of an incident, from its room or from a projection of it.
#[derive(Clone, Copy, Debug)]
pub struct IncidentFacts<'a> {
    /// The incident.
    pub room: &'a RoomId,
    /// Who raised it; nobody when a service did.
    pub creator: Option<ParticipantId>,
    /// What was said.
    pub report: &'a Report,
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
    pub active_participants: usize,
}

impl<'a> IncidentFacts<'a> {
    /// The facts of an incident's room; `None` when it is none.
    pub fn of(state: &'a RoomState) -> Option<Self> {
        let incident = state.incident.as_ref()?;
        Some(Self {
            room: &state.id,
            creator: state.owner,
            report: &incident.report,
            status: incident.status,
            created_at: state.created_at,
            updated_at: incident.status_at,
            ended_at: incident.ended_at,
            seq: state.seq,
            active_participants: state.active_participants().count(),
        })
    }
}

/// A point of the map.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct PlaceView {
    /// Degrees north, WGS 84.
    #[schemars(extend("minimum" = -90, "maximum" = 90))]
    latitude: f64,
    /// Degrees east, WGS 84.
    #[schemars(extend("minimum" = -180, "maximum" = 180))]
    longitude: f64,
    /// Radius in metres.
    #[schemars(range(min = 0))]
    accuracy: Option<f64>,
}

impl PlaceView {
    /// Shows a position.
    pub fn new(position: Position, accuracy: Option<f64>) -> Self {
        Self {
            latitude: position.latitude(),
            longitude: position.longitude(),
            accuracy,
        }
    }
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
struct AddressView<'a> {
    /// City.
    city: Option<&'a str>,
    /// Barangay, the smallest district.
    barangay: Option<&'a str>,
}

/// What every view of an incident has.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SosCore<'a> {
    /// The incident, and its room on the WebSocket.
    #[schemars(with = "schema::Room")]
    sos_id: &'a str,
    #[serde(rename = "type")]
    #[schemars(with = "schema::IncidentKind")]
    kind: &'static str,
    /// In the words of whoever raised it.
    message: &'a str,
    /// Raised without a sound: seen by staff and participants only.
    silent: bool,
    #[schemars(with = "schema::Urgency")]
    severity: &'static str,
    #[schemars(with = "schema::IncidentStatus")]
    status: &'static str,
    #[schemars(with = "schema::Sight")]
    visibility: &'static str,
    /// Where it was raised; a circle's SOS may come without.
    location: Option<PlaceView>,
    /// For a person.
    address: Option<AddressView<'a>>,
    /// The city's code.
    city_id: Option<&'a str>,
    /// The trip that it was raised on.
    trip_id: Option<&'a str>,
    /// The booking that it was raised on.
    booking_id: Option<&'a str>,
    /// Who raised it.
    #[schemars(with = "Option<schema::Participant>")]
    creator_id: Option<String>,
    /// When it was raised.
    created_at: Stamp,
    /// When its status changed last.
    updated_at: Stamp,
    /// When it ended; not there while it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Stamp")]
    ended_at: Option<Stamp>,
    /// Its log's newest event.
    seq: u64,
}

impl<'a> SosCore<'a> {
    /// Shows an incident.
    pub fn new(facts: &IncidentFacts<'a>) -> Self {
        let report = facts.report;
        Self {
            sos_id: facts.room.as_str(),
            kind: report.kind.as_str(),
            message: &report.message,
            silent: report.silent,
            severity: report.severity.as_str(),
            status: facts.status.as_str(),
            visibility: report.visibility.as_str(),
            location: report
                .position
                .map(|position| PlaceView::new(position, report.accuracy)),
            address: address(&report.address),
            city_id: report.city_id.as_deref(),
            trip_id: report.trip_id.as_deref(),
            booking_id: report.booking_id.as_deref(),
            creator_id: facts.creator.map(|id| id.to_string()),
            created_at: Stamp(facts.created_at),
            updated_at: Stamp(facts.updated_at),
            ended_at: facts.ended_at.map(Stamp),
            seq: facts.seq.get(),
        }
    }
}

fn address(address: &Address) -> Option<AddressView<'_>> {
    (*address != Address::default()).then_some(AddressView {
        city: address.city.as_deref(),
        barangay: address.barangay.as_deref(),
    })
}

/// An entry of `GET /sos`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SosListItem<'a> {
    #[serde(flatten)]
    core: SosCore<'a>,
    /// How many are in.
    participants_count: usize,
    /// Metres from the position that was asked for; there only when one was.
    #[serde(rename = "distanceM", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64", range(min = 0))]
    distance_m: Option<f64>,
    /// What staff are told beside; nobody else is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "HintsView")]
    hints: Option<HintsView>,
}

impl<'a> SosListItem<'a> {
    /// With what staff are told beside.
    #[must_use]
    pub fn hinted(self, hint: Option<Hint>) -> Self {
        let hints = hint.map(HintsView::from);
        Self { hints, ..self }
    }

    /// Shows an incident, and how far it is from the position asked about.
    pub fn new(facts: &IncidentFacts<'a>, distance_m: Option<f64>) -> Self {
        // A decimetre is more than any phone knows.
        let distance_m = distance_m.map(|metres| (metres * 10.0).round() / 10.0);
        Self {
            core: SosCore::new(facts),
            participants_count: facts.active_participants,
            distance_m,
            hints: None,
        }
    }
}

/// `GET /sos/{id}`, and the answer of whatever changes it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SosView<'a> {
    #[serde(flatten)]
    core: SosCore<'a>,
    /// How many are in.
    participants_count: usize,
    /// Those who are in.
    active_participants: Vec<ParticipantView<'a>>,
    /// How many messages were sent.
    messages_count: u64,
    /// The newest position of anybody in it, for those who are in.
    last_location: Option<LocationView<'a>>,
    /// The circles that it was raised from, for those who are in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<schema::Room>")]
    linked_rooms: Option<Vec<&'a str>>,
    /// What staff are told beside; nobody else is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "HintsView")]
    hints: Option<HintsView>,
    /// For staff: whoever raised it was made to end it, is shown that it is over, and it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    duress: Option<bool>,
}

/// A silent incident, for whoever raised it: whoever looks over their shoulder learns nothing more.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuietSosView<'a> {
    /// The incident.
    #[schemars(with = "schema::Room")]
    sos_id: &'a str,
    #[schemars(with = "schema::IncidentStatus")]
    status: &'static str,
    /// When it was raised.
    created_at: Stamp,
    /// Its log's newest event.
    seq: u64,
}

impl<'a> QuietSosView<'a> {
    /// Shows it.
    pub fn new(facts: &IncidentFacts<'a>) -> Self {
        Self {
            sos_id: facts.room.as_str(),
            status: facts.status.as_str(),
            created_at: Stamp(facts.created_at),
            seq: facts.seq.get(),
        }
    }
}

/// An entry of `GET /sos`, as whoever asks is shown it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum SosListShown<'a> {
    /// To anybody else.
    Whole(Box<SosListItem<'a>>),
    /// A silent one, to whoever raised it.
    Quiet(QuietSosView<'a>),
}

/// An incident, as whoever asks is shown it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum SosShown<'a> {
    /// To anybody else.
    Whole(Box<SosView<'a>>),
    /// A silent one, to whoever raised it.
    Quiet(QuietSosView<'a>),
}

impl<'a> SosShown<'a> {
    /// Of a silent incident, to whoever raised it; `None` when it is none.
    pub fn quiet(state: &'a RoomState) -> Option<Self> {
        let facts = IncidentFacts::of(state)?;
        Some(Self::Quiet(QuietSosView::new(&facts)))
    }

    /// With what staff are told beside.
    #[must_use]
    pub fn hinted(self, hint: Option<Hint>, duress: bool) -> Self {
        match self {
            Self::Whole(view) => Self::Whole(Box::new(view.hinted(hint, duress))),
            quiet @ Self::Quiet(_) => quiet,
        }
    }
}

impl<'a> SosView<'a> {
    /// With what staff are told beside.
    fn hinted(self, hint: Option<Hint>, duress: bool) -> Self {
        Self {
            hints: hint.map(HintsView::from),
            duress: duress.then_some(true),
            ..self
        }
    }

    /// Shows an incident's room with its people; `None` when it is none. `last` is the newest fix,
    /// `shows_links` is whether the reader may know which rooms it was raised from.
    pub fn of(
        state: &'a RoomState,
        people: &dyn Fn(ParticipantId) -> Option<&'a Person>,
        last: Option<(ParticipantId, &Fix)>,
        shows_links: bool,
    ) -> Option<Self> {
        let facts = IncidentFacts::of(state)?;
        let name = |id| people(id).and_then(|person| person.name.as_deref());
        let active = state
            .active_participants()
            .map(|(id, participant)| ParticipantView::of(&state.id, id, participant, name(id)));
        let links = state
            .incident
            .as_ref()
            .map(|incident| &incident.links)
            .filter(|_| shows_links);
        Some(Self {
            core: SosCore::new(&facts),
            participants_count: facts.active_participants,
            active_participants: active.collect(),
            messages_count: state.messages,
            last_location: last.map(|(id, fix)| LocationView::new(id, name(id), fix)),
            hints: None,
            duress: None,
            linked_rooms: links.map(|links| links.keys().map(RoomId::as_str).collect()),
        })
    }
}
