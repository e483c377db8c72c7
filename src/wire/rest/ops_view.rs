//! What operators are shown: an event as the audit trail has it, how its incident stands, and the cursor to go on from.

use serde::Serialize;

use super::event_view::EventView;
use super::sos_view::PlaceView;
use crate::domain::geo::{Fix, Position};
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::ops::Summary;
use crate::domain::room::{Event, EventBody, RoomKind};
use crate::domain::time::Timestamp;
use crate::wire::stamp::Stamp;

/// An event of an incident for staff.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OpsEventView<'a> {
    #[serde(flatten)]
    event: EventView<'a>,
    sos: OpsSummaryView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<OpsAlertView>,
    cursor: &'a str,
}

/// That somebody at a screen must hear of an event at once.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OpsAlertView {
    /// It is worth a sound.
    audio: bool,
    /// Where it is, on a map.
    #[serde(skip_serializing_if = "Option::is_none")]
    map_url: Option<String>,
}

impl OpsAlertView {
    /// An SOS was raised, somebody who was to be told of one was reached over no channel, or somebody is under duress.
    fn of(event: &Event, summary: &Summary) -> Option<Self> {
        let loud = matches!(
            event.body,
            EventBody::Created(_) | EventBody::ContactUnreached { .. } | EventBody::Duress { .. }
        );
        let map = |position: Position| {
            let (lat, lon) = (position.latitude(), position.longitude());
            format!("https://www.openstreetmap.org/?mlat={lat}&mlon={lon}#map=17/{lat}/{lon}")
        };
        loud.then(|| Self {
            audio: true,
            map_url: summary.position.map(map),
        })
    }
}

/// How an incident stands after an event.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OpsSummaryView<'a> {
    status: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    severity: &'static str,
    city_id: Option<&'a str>,
    location: Option<PlaceView>,
    silent: bool,
    visibility: &'static str,
    created_at: Stamp,
}

impl<'a> OpsEventView<'a> {
    /// Shows an event.
    pub fn of(event: &'a Event, summary: &'a Summary, cursor: &'a str) -> Self {
        Self {
            event: EventView::of(event),
            alert: OpsAlertView::of(event, summary),
            sos: OpsSummaryView {
                status: summary.status.as_str(),
                kind: summary.kind.as_str(),
                severity: summary.severity.as_str(),
                city_id: summary.city_id.as_deref(),
                location: summary.position.map(|position| PlaceView::new(position, None)),
                silent: summary.silent,
                visibility: summary.visibility.as_str(),
                created_at: Stamp(summary.created_at),
            },
            cursor,
        }
    }
}

/// Where somebody is now.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OpsPositionView<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    sos_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trip_id: Option<&'a str>,
    participant_id: String,
    latitude: f64,
    longitude: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    speed: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heading: Option<f64>,
    at: Stamp,
}

impl<'a> OpsPositionView<'a> {
    /// Of a participant of an incident, or the driver of a trip.
    pub fn of(room: &'a RoomId, kind: RoomKind, participant: ParticipantId, fix: &Fix) -> Self {
        let is_trip = kind == RoomKind::Trip;
        Self {
            sos_id: (!is_trip).then_some(room.as_str()),
            trip_id: is_trip.then_some(room.as_str()),
            participant_id: participant.to_string(),
            latitude: fix.position.latitude(),
            longitude: fix.position.longitude(),
            accuracy: fix.accuracy,
            speed: fix.speed,
            heading: fix.heading,
            at: Stamp(fix.at),
        }
    }
}

/// The newest position of everybody who moved since the last time.
#[derive(Clone, Debug, Serialize)]
pub struct OpsPositionsView<'a> {
    positions: Vec<OpsPositionView<'a>>,
    at: Stamp,
}

impl<'a> OpsPositionsView<'a> {
    /// Shows them.
    pub fn new(at: Timestamp, positions: Vec<OpsPositionView<'a>>) -> Self {
        Self {
            positions,
            at: Stamp(at),
        }
    }
}
