//! What is kept of somebody, as they are told it: in numbers, and whole.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::conduct::Complaint;
use crate::domain::ids::{DeviceId, ParticipantId};
use crate::domain::people::Subject;
use crate::store::{DeviceRecord, KeptKey, Place, Tally};
use crate::wire::stamp::Stamp;

/// Whose data they are.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SubjectView {
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
}

impl SubjectView {
    /// Shows a subject to themselves.
    pub fn of(subject: &Subject) -> Self {
        let (kind, id) = match subject {
            Subject::User(id) => ("USER", id.to_string()),
            Subject::Device(id) => ("DEVICE", id.reveal()),
            Subject::Service(name) => ("SERVICE", name.to_string()),
            Subject::Phone(phone) => ("PHONE", phone.reveal().to_owned()),
        };
        Self { kind, id }
    }
}

/// A device that was registered.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegisteredView {
    device_id: String,
    device_token: String,
}

impl RegisteredView {
    /// Shows a device its id and token.
    pub fn new(id: DeviceId, device_token: String) -> Self {
        Self {
            device_id: id.reveal(),
            device_token,
        }
    }
}

/// A device's record; all of it null when there is none.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeviceView {
    device_id: Option<String>,
    os: Option<String>,
    app_version: Option<String>,
    locale: Option<String>,
    first_seen: Option<Stamp>,
    last_seen: Option<Stamp>,
}

impl DeviceView {
    /// Shows a device, known or not, to itself.
    pub fn of(device: Option<(DeviceId, Option<DeviceRecord>)>) -> Self {
        let Some((id, record)) = device else {
            return Self::default();
        };
        let seen = record
            .as_ref()
            .map(|record| (record.first_seen, record.last_seen));
        let record = record.unwrap_or_default();
        Self {
            device_id: Some(id.reveal()),
            os: record.os,
            app_version: record.app_version,
            locale: record.locale,
            first_seen: seen.map(|(first, _)| Stamp(first)),
            last_seen: seen.map(|(_, last)| Stamp(last)),
        }
    }
}

/// `GET /devices/me`
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct OwnView {
    #[serde(flatten)]
    device: DeviceView,
    subjects: Vec<SubjectView>,
    counts: CountsView,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CountsView {
    incidents: u64,
    circles: u64,
    participations: u64,
    positions: u64,
    idempotency_keys: u64,
    contacts: u64,
}

impl OwnView {
    /// Shows what is kept, counted.
    pub fn new(
        device: Option<(DeviceId, Option<DeviceRecord>)>,
        subjects: impl Iterator<Item = Subject>,
        tally: &Tally,
    ) -> Self {
        Self {
            device: DeviceView::of(device),
            subjects: subjects.map(|subject| SubjectView::of(&subject)).collect(),
            counts: CountsView {
                incidents: tally.incidents,
                circles: tally.circles,
                participations: tally.places,
                positions: tally.fixes,
                idempotency_keys: tally.keys,
                contacts: tally.contacts,
            },
        }
    }
}

/// `DELETE /devices/me`
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErasedView {
    /// Rooms that knew who they were.
    pub participations: u64,
    /// Positions.
    pub positions: u64,
    /// Contacts, device record, idempotency keys.
    pub others: u64,
    /// Connections that were closed.
    pub connections: u64,
}

/// What one room has of somebody, without what they did there.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Whereabouts {
    room_id: String,
    kind: &'static str,
    participant_id: String,
    is_owner: bool,
    name: Option<String>,
    phone: Option<String>,
    role: &'static str,
    user_type: Option<&'static str>,
    joined_at: Option<Stamp>,
    left_at: Option<Stamp>,
    seen_at: Option<Stamp>,
}

impl Whereabouts {
    /// Shows a place to whom it is of.
    pub fn of(place: &Place) -> Self {
        let stay = place.stay.as_ref();
        Self {
            room_id: place.room.to_string(),
            kind: place.kind.as_str(),
            participant_id: place.person.participant.to_string(),
            is_owner: place.is_owner,
            name: place.person.name.clone(),
            phone: place.person.phone.as_ref().map(|phone| phone.reveal().to_owned()),
            role: place.person.role.as_str(),
            user_type: stay.map(|stay| stay.user_type.as_str()),
            joined_at: stay.map(|stay| Stamp(stay.joined_at)),
            left_at: stay.and_then(|stay| stay.left_at).map(Stamp),
            seen_at: place.seen_at.map(Stamp),
        }
    }
}

/// A report of misconduct that somebody wrote, or that was written of them.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnReport {
    at: Stamp,
    /// Of whom.
    participant_id: String,
    /// In their own words; those of somebody else are not theirs to read.
    reason: Option<String>,
}

impl OwnReport {
    /// Shows a report to `who`; `None` when it is neither by nor of them.
    pub fn of(complaint: &Complaint, who: ParticipantId) -> Option<Self> {
        let wrote = complaint.reporter == who;
        (wrote || complaint.participant == who).then(|| Self {
            at: Stamp(complaint.at),
            participant_id: complaint.participant.to_string(),
            reason: wrote.then(|| complaint.reason.clone()),
        })
    }
}

/// An idempotency key.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyView {
    key: String,
    sos_id: String,
    at: Stamp,
}

impl KeyView {
    /// Shows a key.
    pub fn of(kept: &KeptKey) -> Self {
        Self {
            key: kept.key.clone(),
            sos_id: kept.room.to_string(),
            at: Stamp(kept.at),
        }
    }
}
