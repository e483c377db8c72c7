//! Events as they are stored: JSON text, `[version, body]`, with short names that never change.
//!
//! The domain knows no serde, so each body is converted by hand, both ways. A body that this version does
//! not know is `Corrupt`, never a panic. Text of the log must not reach an error: it holds what people said.

mod report;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use self::report::Said;
use super::contract::StoreError;
use crate::domain::ids::{DeviceId, MessageId, ParticipantId, RoomId, ServiceName, UserId};
use crate::domain::incident::{IncidentType, Report, Status};
use crate::domain::notify::{Channel, DeliveryState, Occasion, Vendor};
use crate::domain::people::Subject;
use crate::domain::phone::PhoneNumber;
use crate::domain::room::{EventBody, Genesis, LeaveReason, Manifest, Means, Move, Planned, Relay, UserType};
use crate::domain::time::Timestamp;

/// The version that is written. Older ones stay readable.
const VERSION: u8 = 1;

/// Writes an event's body.
///
/// # Errors
/// Never, for what JSON can hold; the type says so because the encoder does.
pub fn encode_body(body: &EventBody) -> Result<String, StoreError> {
    write(&Body::from(body))
}

/// Reads an event's body.
///
/// # Errors
/// `Corrupt` when it is not one, or of a version that is not known.
pub fn decode_body(text: &str) -> Result<EventBody, StoreError> {
    read::<Body>(text)?.try_into()
}

/// Writes a report.
///
/// # Errors
/// As [`encode_body`].
pub fn encode_report(report: &Report) -> Result<String, StoreError> {
    write(&Said::from(report))
}

/// Reads a report.
///
/// # Errors
/// As [`decode_body`].
pub fn decode_report(text: &str) -> Result<Report, StoreError> {
    read::<Said>(text)?.try_into()
}

/// A subject as records name it: `u:` a user, `d:` a device, `s:` a service, `p:` a phone number.
pub fn subject_text(subject: &Subject) -> String {
    match subject {
        Subject::User(id) => format!("u:{id}"),
        Subject::Device(id) => format!("d:{}", id.reveal()),
        Subject::Service(name) => format!("s:{name}"),
        Subject::Phone(phone) => format!("p:{}", phone.reveal()),
    }
}

/// Reads what [`subject_text`] wrote.
///
/// # Errors
/// `Corrupt` when it is nothing of the kind.
pub fn parse_subject(text: &str) -> Result<Subject, StoreError> {
    let subject = match text.split_at_checked(2) {
        Some(("u:", id)) => UserId::new(id).map(Subject::User),
        Some(("d:", id)) => DeviceId::new(id).map(Subject::Device),
        Some(("s:", name)) => ServiceName::new(name).map(Subject::Service),
        Some(("p:", phone)) => {
            return PhoneNumber::from_e164(phone)
                .map(Subject::Phone)
                .map_err(|_| corrupt("a subject"));
        }
        _ => return Err(corrupt("a subject")),
    };
    subject.map_err(|_| corrupt("a subject"))
}

pub(crate) fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("{what} cannot be read"))
}

fn write(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(&(VERSION, value))
        .map_err(|_| StoreError::Corrupt("an event cannot be written".into()))
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, StoreError> {
    let (version, value): (u8, &RawValue) = serde_json::from_str(text).map_err(|_| corrupt("an event"))?;
    if version != VERSION {
        return Err(StoreError::Corrupt(format!(
            "an event has version {version}, this is {VERSION}"
        )));
    }
    serde_json::from_str(value.get()).map_err(|_| corrupt("an event's body"))
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Body {
    Circle,
    Incident(Box<Said>),
    Trip {
        driver: String,
        passengers: Vec<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        booking: Option<String>,
    },
    TripEnded,
    Joined {
        who: String,
        r#as: String,
        contact: bool,
    },
    Left {
        who: String,
        why: String,
    },
    Asked {
        who: String,
    },
    Denied {
        who: String,
    },
    Message {
        id: String,
        text: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        via: Option<Via>,
    },
    Activated,
    Deactivated,
    Emptied,
    Raised {
        sos: String,
    },
    Ended {
        sos: String,
    },
    Alerted {
        who: String,
    },
    Status {
        from: String,
        to: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        /// Left out when it is not so: nodes of before it was written read the others.
        #[serde(default, skip_serializing_if = "is_false")]
        lower: bool,
    },
    Type {
        from: String,
        to: String,
    },
    LinkRaised {
        room: String,
    },
    LinkEnded {
        room: String,
    },
    Planned {
        step: u16,
        on: String,
        /// Whom, and over which channel.
        all: Vec<(Option<String>, String)>,
    },
    Moved {
        id: u32,
        to: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        #[serde(default, skip_serializing_if = "is_false")]
        twice: bool,
    },
    Unreached {
        who: String,
    },
    Acknowledged {
        by: String,
    },
    Duress {
        from: String,
        to: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
}

/// What a service said of a message.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Via {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r#as: Option<String>,
    notice: bool,
    at: i64,
}

impl From<&EventBody> for Body {
    fn from(body: &EventBody) -> Self {
        match body {
            EventBody::Created(Genesis::Circle) => Self::Circle,
            EventBody::Created(Genesis::Incident(report)) => Self::Incident(Box::new(report.as_ref().into())),
            EventBody::Created(Genesis::Trip(manifest)) => Self::Trip {
                driver: manifest.driver().to_string(),
                passengers: manifest.passengers().iter().map(ToString::to_string).collect(),
                booking: manifest.booking().map(str::to_owned),
            },
            EventBody::TripEnded => Self::TripEnded,
            EventBody::Joined {
                who,
                user_type,
                as_contact,
            } => Self::Joined {
                who: who.to_string(),
                r#as: user_type.as_str().into(),
                contact: *as_contact,
            },
            EventBody::Left { who, reason } => Self::Left {
                who: who.to_string(),
                why: reason.as_str().into(),
            },
            EventBody::JoinRequested { who } => Self::Asked { who: who.to_string() },
            EventBody::JoinDenied { who } => Self::Denied { who: who.to_string() },
            EventBody::MessageSent { id, content, relay } => Self::Message {
                id: id.to_string(),
                text: content.clone(),
                via: relay.map(Via::from),
            },
            EventBody::Activated => Self::Activated,
            EventBody::Deactivated => Self::Deactivated,
            EventBody::Emptied => Self::Emptied,
            EventBody::EmergencyRaised { sos } => Self::Raised { sos: sos.to_string() },
            EventBody::EmergencyEnded { sos } => Self::Ended { sos: sos.to_string() },
            EventBody::ContactAlerted { who } => Self::Alerted { who: who.to_string() },
            EventBody::StatusChanged {
                from,
                to,
                note,
                lower_case,
            } => Self::Status {
                from: from.as_str().into(),
                to: to.as_str().into(),
                note: note.clone(),
                lower: *lower_case,
            },
            EventBody::TypeChanged { from, to } => Self::Type {
                from: from.as_str().into(),
                to: to.as_str().into(),
            },
            EventBody::LinkRaised { room } => Self::LinkRaised {
                room: room.to_string(),
            },
            EventBody::LinkEnded { room } => Self::LinkEnded {
                room: room.to_string(),
            },
            EventBody::NotificationsPlanned {
                step,
                occasion,
                planned,
            } => Self::Planned {
                step: *step,
                on: occasion.as_str().into(),
                all: planned
                    .iter()
                    .map(|one| (one.to.map(|who| who.to_string()), one.channel.as_str().into()))
                    .collect(),
            },
            EventBody::NotificationMoved(change) => Self::Moved {
                id: change.id,
                to: change.to.as_str().into(),
                by: change.vendor.map(|vendor| vendor.as_str().into()),
                code: change.code.clone(),
                twice: change.possibly_twice,
            },
            EventBody::ContactUnreached { who } => Self::Unreached { who: who.to_string() },
            EventBody::Acknowledged { means } => Self::Acknowledged {
                by: means.as_str().into(),
            },
            EventBody::Duress { from, to, note } => Self::Duress {
                from: from.as_str().into(),
                to: to.as_str().into(),
                note: note.clone(),
            },
        }
    }
}

impl TryFrom<Body> for EventBody {
    type Error = StoreError;

    fn try_from(body: Body) -> Result<Self, StoreError> {
        Ok(match body {
            Body::Circle => Self::Created(Genesis::Circle),
            Body::Incident(said) => Self::Created(Genesis::Incident(Box::new((*said).try_into()?))),
            Body::Trip {
                driver,
                passengers,
                booking,
            } => {
                let passengers = passengers.iter().map(|who| participant(who));
                let passengers = passengers.collect::<Result<_, _>>()?;
                let manifest = Manifest::new(participant(&driver)?, passengers, booking);
                Self::Created(Genesis::Trip(Box::new(manifest)))
            }
            Body::TripEnded => Self::TripEnded,
            Body::Joined { who, r#as, contact } => Self::Joined {
                who: participant(&who)?,
                user_type: parse_user_type(&r#as)?,
                as_contact: contact,
            },
            Body::Left { who, why } => Self::Left {
                who: participant(&who)?,
                reason: leave_reason(&why)?,
            },
            Body::Asked { who } => Self::JoinRequested {
                who: participant(&who)?,
            },
            Body::Denied { who } => Self::JoinDenied {
                who: participant(&who)?,
            },
            Body::Message { id, text, via } => Self::MessageSent {
                id: MessageId::new(id).map_err(|_| corrupt("a message id"))?,
                content: text,
                relay: via.map(Relay::try_from).transpose()?,
            },
            Body::Activated => Self::Activated,
            Body::Deactivated => Self::Deactivated,
            Body::Emptied => Self::Emptied,
            Body::Raised { sos } => Self::EmergencyRaised {
                sos: parse_room(&sos)?,
            },
            Body::Ended { sos } => Self::EmergencyEnded {
                sos: parse_room(&sos)?,
            },
            Body::Alerted { who } => Self::ContactAlerted {
                who: participant(&who)?,
            },
            Body::Status {
                from,
                to,
                note,
                lower,
            } => Self::StatusChanged {
                from: parse_status(&from)?,
                to: parse_status(&to)?,
                note,
                lower_case: lower,
            },
            Body::Type { from, to } => Self::TypeChanged {
                from: parse_type(&from)?,
                to: parse_type(&to)?,
            },
            Body::LinkRaised { room } => Self::LinkRaised {
                room: parse_room(&room)?,
            },
            Body::LinkEnded { room } => Self::LinkEnded {
                room: parse_room(&room)?,
            },
            Body::Planned { step, on, all } => Self::NotificationsPlanned {
                step,
                occasion: Occasion::parse(&on).ok_or_else(|| corrupt("an occasion"))?,
                planned: all.iter().map(parse_planned).collect::<Result<_, _>>()?,
            },
            Body::Moved {
                id,
                to,
                by,
                code,
                twice,
            } => Self::NotificationMoved(Move {
                id,
                to: DeliveryState::parse(&to).ok_or_else(|| corrupt("a delivery state"))?,
                vendor: by.as_deref().map(parse_vendor).transpose()?,
                code,
                possibly_twice: twice,
            }),
            Body::Unreached { who } => Self::ContactUnreached {
                who: participant(&who)?,
            },
            Body::Acknowledged { by } => Self::Acknowledged {
                means: Means::parse(&by).ok_or_else(|| corrupt("an acknowledgement"))?,
            },
            Body::Duress { from, to, note } => Self::Duress {
                from: parse_status(&from)?,
                to: parse_status(&to)?,
                note,
            },
        })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl From<Relay> for Via {
    fn from(relay: Relay) -> Self {
        Self {
            r#as: relay.sender.map(|sender| sender.as_str().to_owned()),
            notice: relay.notice,
            at: relay.written_at.ms(),
        }
    }
}

impl TryFrom<Via> for Relay {
    type Error = StoreError;

    fn try_from(via: Via) -> Result<Self, StoreError> {
        Ok(Self {
            sender: via.r#as.as_deref().map(parse_user_type).transpose()?,
            notice: via.notice,
            written_at: Timestamp::from_ms(via.at),
        })
    }
}

pub(crate) fn parse_room(text: &str) -> Result<RoomId, StoreError> {
    RoomId::new(text).map_err(|_| corrupt("a room id"))
}

pub(crate) fn parse_status(text: &str) -> Result<Status, StoreError> {
    Status::parse(text).ok_or_else(|| corrupt("a status"))
}

pub(crate) fn parse_type(text: &str) -> Result<IncidentType, StoreError> {
    IncidentType::parse(text).ok_or_else(|| corrupt("a kind of incident"))
}

pub(crate) fn parse_user_type(text: &str) -> Result<UserType, StoreError> {
    UserType::parse(text).ok_or_else(|| corrupt("a user type"))
}

fn parse_vendor(text: &str) -> Result<Vendor, StoreError> {
    Vendor::parse(text).ok_or_else(|| corrupt("a vendor"))
}

fn parse_planned((to, channel): &(Option<String>, String)) -> Result<Planned, StoreError> {
    Ok(Planned {
        to: to.as_deref().map(participant).transpose()?,
        channel: Channel::parse(channel).ok_or_else(|| corrupt("a channel"))?,
    })
}

fn participant(text: &str) -> Result<ParticipantId, StoreError> {
    text.parse().map_err(|_| corrupt("a participant id"))
}

fn leave_reason(text: &str) -> Result<LeaveReason, StoreError> {
    [LeaveReason::Left, LeaveReason::Idle, LeaveReason::Removed]
        .into_iter()
        .find(|reason| reason.as_str() == text)
        .ok_or_else(|| corrupt("a reason to leave"))
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
