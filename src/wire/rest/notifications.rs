//! Who was told of an incident.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::ids::RoomId;
use crate::domain::notify::{Channel, Vendor};
use crate::domain::room::{Notification, Seq};
use crate::wire::schema;
use crate::wire::stamp::Stamp;

/// An entry of `GET /sos/{id}/notifications`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotificationView {
    /// Its number in the incident.
    id: u32,
    /// The step of the escalation in which it was planned, from 1.
    step: u16,
    /// What it is about.
    occasion: &'static str,
    /// Over which channel.
    channel: &'static str,
    /// To whom; null: to the operators.
    participant_id: Option<String>,
    /// What the owner's list calls them; null once they were erased.
    name: Option<String>,
    /// `PENDING`, `SENDING`, `FAILED_TEMPORARY`, `ACCEPTED`, `DELIVERED`, `READ`, `FAILED_PERMANENT`, `EXPIRED`,
    /// `CANCELLED` or `SUPERSEDED`.
    state: &'static str,
    /// Who carried it last.
    vendor: Option<&'static str>,
    /// What that one said, when it failed.
    code: Option<String>,
    /// It may have got there more than once: what became of an attempt could not be found out.
    possibly_twice: bool,
    /// When it was planned.
    planned_at: Stamp,
    /// When it moved last.
    changed_at: Stamp,
}

impl NotificationView {
    /// Shows one to staff.
    pub fn of(id: u32, one: &Notification, name: Option<&str>) -> Self {
        Self {
            id,
            step: one.step,
            occasion: one.occasion.as_str(),
            channel: Channel::as_str(one.channel),
            participant_id: one.to.map(|who| who.to_string()),
            name: name.map(str::to_owned),
            state: one.state.as_str(),
            vendor: one.vendor.map(Vendor::as_str),
            code: one.code.clone(),
            possibly_twice: one.possibly_twice,
            planned_at: Stamp(one.planned_at),
            changed_at: Stamp(one.moved_at),
        }
    }
}

/// `POST /sos/{id}/acknowledge`
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AcknowledgedView {
    /// The incident.
    #[schemars(with = "schema::Room")]
    sos_id: String,
    /// The log's newest event.
    seq: u64,
    /// It was news; false: they had said so before.
    acknowledged: bool,
}

impl AcknowledgedView {
    /// After an acknowledgement.
    pub fn new(sos: &RoomId, seq: Seq, acknowledged: bool) -> Self {
        Self {
            sos_id: sos.to_string(),
            seq: seq.get(),
            acknowledged,
        }
    }
}
