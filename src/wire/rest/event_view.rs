//! The audit trail: every event of a log, none left out, in words that stay.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::people_view::SYSTEM;
use super::sos_view::PlaceView;
use crate::domain::ids::{MessageId, RoomId};
use crate::domain::incident::Report;
use crate::domain::notify::Vendor;
use crate::domain::room::{Event, EventBody, Genesis, Planned, Relay, UserType};
use crate::wire::stamp::Stamp;

/// An entry of `GET /sos/{id}/events`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventView<'a> {
    sos_id: &'a str,
    seq: u64,
    at: Stamp,
    actor: String,
    #[serde(rename = "type")]
    kind: &'static str,
    data: Value,
}

impl<'a> EventView<'a> {
    /// Shows an event. It names people by participant ids, as the log does.
    pub fn of(event: &'a Event) -> Self {
        Self {
            sos_id: event.room.as_str(),
            seq: event.seq.get(),
            at: Stamp(event.at),
            actor: event
                .actor
                .participant()
                .map_or_else(|| "system".to_owned(), |who| who.to_string()),
            kind: event.body.kind(),
            data: data(&event.body),
        }
    }
}

/// What the service that keeps incidents is told of an event: `POST {sos_service}/internal/realtime/event`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToldEvent<'a> {
    sos_id: &'a str,
    event: &'static str,
    data: EventView<'a>,
}

impl<'a> ToldEvent<'a> {
    /// Shows an event as `GET /sos/{id}/events` does, under its name.
    pub fn of(event: &'a Event) -> Self {
        Self {
            sos_id: event.room.as_str(),
            event: event.body.kind(),
            data: EventView::of(event),
        }
    }
}

/// An event of a room's log that somebody did, or that happened to them, as they are told it themselves.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DeedView {
    seq: u64,
    at: Stamp,
    #[serde(rename = "type")]
    kind: &'static str,
    data: Value,
}

impl DeedView {
    /// Shows an event.
    pub fn of(event: &Event) -> Self {
        Self {
            seq: event.seq.get(),
            at: Stamp(event.at),
            kind: event.body.kind(),
            data: data(&event.body),
        }
    }
}

fn data(body: &EventBody) -> Value {
    match body {
        EventBody::Created(Genesis::Circle) => json!({ "kind": "circle" }),
        EventBody::Created(Genesis::Incident(report)) => created(report),
        EventBody::Created(Genesis::Trip(manifest)) => json!({
            "kind": "trip",
            "driverId": manifest.driver().to_string(),
            "passengerIds": manifest.passengers().iter().map(ToString::to_string).collect::<Vec<_>>(),
            "bookingId": manifest.booking(),
        }),
        EventBody::Joined {
            who,
            user_type,
            as_contact,
        } => json!({
            "participantId": who.to_string(),
            "userType": user_type.as_str(),
            "asContact": as_contact,
        }),
        EventBody::Left { who, reason } => {
            json!({ "participantId": who.to_string(), "reason": reason.as_str() })
        }
        EventBody::JoinRequested { who }
        | EventBody::JoinDenied { who }
        | EventBody::ContactAlerted { who }
        | EventBody::ContactUnreached { who } => json!({ "participantId": who.to_string() }),
        EventBody::MessageSent { id, content, relay } => said(id, content, relay.as_ref()),
        EventBody::Activated | EventBody::Deactivated | EventBody::Emptied | EventBody::TripEnded => {
            json!({})
        }
        EventBody::EmergencyRaised { sos } | EventBody::EmergencyEnded { sos } => {
            json!({ "sosId": sos.as_str() })
        }
        EventBody::StatusChanged { from, to, note, .. } => {
            json!({ "from": from.as_str(), "to": to.as_str(), "note": note })
        }
        EventBody::TypeChanged { from, to } => json!({ "from": from.as_str(), "to": to.as_str() }),
        EventBody::LinkRaised { room } | EventBody::LinkEnded { room } => json!({ "roomId": room.as_str() }),
        EventBody::NotificationsPlanned {
            step,
            occasion,
            planned,
        } => json!({
            "step": step,
            "occasion": occasion.as_str(),
            "notifications": planned.iter().map(planned_view).collect::<Vec<_>>(),
        }),
        EventBody::NotificationMoved(change) => json!({
            "notificationId": change.id,
            "state": change.to.as_str(),
            "vendor": change.vendor.map(Vendor::as_str),
            "code": change.code,
            "possiblyTwice": change.possibly_twice,
        }),
        EventBody::Acknowledged { means } => json!({ "means": means.as_str() }),
        EventBody::Duress { from, to, note } => {
            json!({ "status": from.as_str(), "shown": to.as_str(), "note": note })
        }
    }
}

fn planned_view(planned: &Planned) -> Value {
    json!({ "participantId": planned.to.map(|who| who.to_string()), "channel": planned.channel.as_str() })
}

fn said(id: &MessageId, content: &str, relay: Option<&Relay>) -> Value {
    let mut said = json!({ "id": id.as_str(), "content": content });
    if let Some(relay) = relay {
        said["relayed"] = json!({
            "senderType": relay.sender.map_or(SYSTEM, UserType::as_str),
            "contentType": if relay.notice { "system" } else { "text" },
            "createdAt": Stamp(relay.written_at),
        });
    }
    said
}

fn created(report: &Report) -> Value {
    json!({
        "kind": "sos",
        "type": report.kind.as_str(),
        "message": report.message,
        "silent": report.silent,
        "drill": report.drill,
        "raisedAt": report.raised_at.map(Stamp),
        "severity": report.severity.as_str(),
        "visibility": report.visibility.as_str(),
        "location": report.position.map(|position| PlaceView::new(position, report.accuracy)),
        "address": { "city": report.address.city, "barangay": report.address.barangay },
        "cityId": report.city_id,
        "tripId": report.trip_id,
        "bookingId": report.booking_id,
        "raisedFrom": report.raised_from.iter().map(RoomId::as_str).collect::<Vec<_>>(),
    })
}
