//! Incidents, as sister services speak of them: by their own names for people.

use serde_json::{Map, Value};

use super::body::{self, BodyError};
use super::fields::Fields;
use super::query::parameters;
use super::sos::{address, place};
use crate::domain::geo::Fix;
use crate::domain::ids::{MessageId, RoomId};
use crate::domain::incident::{Address, IncidentType, Report, Severity, Status, Visibility};
use crate::domain::people::Named;
use crate::domain::room::{Relay, UserType};
use crate::wire::Reading;
use crate::wire::field::{self, Checked, FixFields, NAME_MAX_CHARS, NOTE_MAX_CHARS};
use crate::wire::loose::Loose;

/// What an incident says when the service gives no words.
const WORDLESS: &str = "Emergency SOS";

/// `POST /internal/realtime/sos/init`
#[derive(Clone, Debug, PartialEq)]
pub struct InitBody {
    /// The incident's id, and its room's.
    pub sos: RoomId,
    /// Whose it is.
    pub citizen: Named,
    /// What is known of it.
    pub report: Report,
}

impl InitBody {
    /// Reads the body. An address is `{city, barangay}`, or a line for a person.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        Self::read(&body::object(body)?)
    }

    pub(super) fn read(object: &Map<String, Value>) -> Result<Self, BodyError> {
        let mut fields = Fields::of_body(object);
        let sos = sos(&mut fields);
        let citizen = named(&mut fields, "citizenId");
        let place = fields.nested("location", place).flatten();
        let (address, line) = match object.get("address") {
            Some(Value::String(_)) => {
                let line = fields.optional("address", |name, value| field::note(name, value, NOTE_MAX_CHARS));
                (Address::default(), line)
            }
            _ => (fields.nested("address", address).unwrap_or_default(), None),
        };
        let kind = fields.optional("type", kind).unwrap_or(IncidentType::Other);
        let report = Report {
            kind,
            message: line.unwrap_or_else(|| WORDLESS.to_owned()),
            silent: false,
            drill: false,
            raised_at: None,
            guarded: false,
            severity: Severity::Medium,
            position: place.map(|(position, _)| position),
            accuracy: place.and_then(|(_, accuracy)| accuracy),
            city_id: address.city.clone(),
            address,
            visibility: Visibility::Public,
            trip_id: None,
            booking_id: None,
            raised_from: Vec::new(),
        };
        let whole = sos.zip(citizen);
        fields.finish(whole.map(|(sos, citizen)| Self { sos, citizen, report }))
    }
}

/// `POST /internal/realtime/sos/{id}/close`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloserBody {
    /// Who closes it.
    pub by: Named,
}

impl CloserBody {
    /// Reads the body.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let object = body::object(body)?;
        let mut fields = Fields::of_body(&object);
        let by = named(&mut fields, "closedBy");
        fields.finish(by.map(|by| Self { by }))
    }
}

/// `POST /internal/realtime/sos/{id}/status`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveBody {
    /// To where.
    pub to: Status,
    /// Who moves it.
    pub by: Named,
    /// What the service takes its present state for.
    pub expected: Option<Status>,
}

impl MoveBody {
    /// Reads the body; states in any letter case and by their synonyms.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let object = body::object(body)?;
        let mut fields = Fields::of_body(&object);
        let to = fields.required("status", status);
        let by = named(&mut fields, "updatedBy");
        let expected = fields.optional("oldStatus", status);
        fields.finish(to.zip(by).map(|(to, by)| Self { to, by, expected }))
    }
}

/// `PATCH /internal/realtime/sos/{id}/type`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeBody {
    /// What it is.
    pub to: IncidentType,
}

impl TypeBody {
    /// Reads the body; types in any letter case.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let object = body::object(body)?;
        let mut fields = Fields::of_body(&object);
        let to = fields.required("type", kind);
        fields.finish(to.map(|to| Self { to }))
    }
}

/// `POST /internal/realtime/sos/{id}/rescuer-location`
#[derive(Clone, Debug, PartialEq)]
pub struct RescuerBody {
    /// Whose position it is.
    pub rescuer: Named,
    /// Where they are now.
    pub fix: Fix,
}

impl RescuerBody {
    /// Reads the body.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &[u8], reading: &Reading) -> Result<Self, BodyError> {
        let object = body::object(body)?;
        let mut fields = Fields::of_body(&object);
        let rescuer = named(&mut fields, "rescuerId");
        let parts = ["latitude", "longitude", "accuracy"].map(|name| fields.loose(name));
        let [latitude, longitude, accuracy] = &parts;
        let fix = FixFields {
            latitude,
            longitude,
            accuracy,
            speed: &Loose::Absent,
            heading: &Loose::Absent,
            // A service says where somebody is, not where they were.
            timestamp: &Loose::Absent,
        };
        let fix = fields.keep(fix.live(reading));
        fields.finish(rescuer.zip(fix).map(|(rescuer, fix)| Self { rescuer, fix }))
    }
}

/// `GET /internal/realtime/sos/{id}/rescuer-location`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RescuerQuery {
    /// Only this one's.
    pub rescuer: Option<Named>,
}

impl RescuerQuery {
    /// Reads the query string.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(query: &str) -> Result<Self, BodyError> {
        let parameters = parameters(query);
        let mut fields = Fields::of_query(&parameters);
        let rescuer = fields.optional("rescuerId", |name, value| {
            field::parsed(name, value, Named::parse)
        });
        fields.finish(Some(Self { rescuer }))
    }
}

/// `POST /internal/messaging/broadcast`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayBody {
    /// The incident.
    pub sos: RoomId,
    /// What was said.
    pub message: OutsideMessage,
}

/// A message that was not said here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutsideMessage {
    /// Its id, by which a repeated one is recognised.
    pub id: MessageId,
    /// Whose words they are; `None`: the service's own.
    pub sender: Option<Named>,
    /// What they are called.
    pub display_name: Option<String>,
    /// The words.
    pub content: String,
    /// What else the service says of it.
    pub relay: Relay,
}

/// The type of a sender that is nobody.
pub(super) const NOBODY: &str = "SYSTEM";
/// What a message may be.
pub(super) const CONTENT_TYPES: [&str; 2] = ["text", "system"];

impl RelayBody {
    /// Reads the body.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &[u8], reading: &Reading) -> Result<Self, BodyError> {
        let object = body::object(body)?;
        let mut fields = Fields::of_body(&object);
        let sos = sos(&mut fields);
        let message = fields.nested("message", |fields| said(fields, reading));
        if message.is_none() && !matches!(object.get("message"), Some(Value::Object(_))) {
            fields.required("message", |_, value| Ok(value.is_present().then_some(())));
        }
        let whole = sos.zip(message.flatten());
        fields.finish(whole.map(|(sos, message)| Self { sos, message }))
    }
}

fn said(fields: &mut Fields<'_>, reading: &Reading) -> Option<OutsideMessage> {
    let id = fields.required("id", |name, value| {
        field::parsed(name, value, |id| MessageId::new(id))
    });
    let sender_type = fields.required("senderType", sender_type);
    // Of its own words a service need not say whose they are.
    let own = sender_type == Some(None);
    let sender = if own {
        fields.optional("senderId", |name, value| field::parsed(name, value, Named::parse));
        None
    } else {
        named(fields, "senderId")
    };
    let display_name = fields.optional("senderDisplayName", |name, value| {
        field::note(name, value, NAME_MAX_CHARS)
    });
    let notice = fields.optional("contentType", |name, value| {
        field::one_of(name, value, content_type, &[false, true], |notice| {
            CONTENT_TYPES[usize::from(notice)]
        })
    });
    let content = fields.required("content", |name, value| {
        field::words(name, value, 1..=reading.content_max_chars)
    });
    let written_at = fields.loose("createdAt");
    let written_at = fields.keep(field::measured_at("createdAt", &written_at, reading))?;
    let relay = Relay {
        sender: sender_type?,
        notice: notice.unwrap_or(own),
        written_at: written_at.unwrap_or(reading.now),
    };
    if sender.is_none() && !own {
        return None;
    }
    Some(OutsideMessage {
        id: id?,
        sender,
        display_name,
        content: content?,
        relay,
    })
}

/// `POST /api/participants/joined`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedBody {
    /// The incident.
    pub sos: RoomId,
    /// Who came.
    pub who: Named,
    /// As what.
    pub user_type: UserType,
    /// What others may call them.
    pub display_name: Option<String>,
}

impl JoinedBody {
    /// Reads the body.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let object = body::object(body)?;
        let mut fields = Fields::of_body(&object);
        let sos = sos(&mut fields);
        let who = named(&mut fields, "userId");
        let user_type = fields.optional("userType", |name, value| {
            field::one_of(name, value, UserType::parse, UserType::ALL, UserType::as_str)
        });
        let display_name = fields.optional("displayName", |name, value| {
            field::note(name, value, NAME_MAX_CHARS)
        });
        moment(&mut fields, "joinedAt");
        fields.finish(sos.zip(who).map(|(sos, who)| Self {
            sos,
            who,
            user_type: user_type.unwrap_or(UserType::Citizen),
            display_name,
        }))
    }
}

/// `POST /api/participants/left`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftBody {
    /// The incident.
    pub sos: RoomId,
    /// Who went.
    pub who: Named,
}

impl LeftBody {
    /// Reads the body.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let object = body::object(body)?;
        let mut fields = Fields::of_body(&object);
        let sos = sos(&mut fields);
        let who = named(&mut fields, "userId");
        moment(&mut fields, "leftAt");
        fields.finish(sos.zip(who).map(|(sos, who)| Self { sos, who }))
    }
}

fn sos(fields: &mut Fields<'_>) -> Option<RoomId> {
    fields.required("sosId", |name, value| {
        field::parsed(name, value, |id| RoomId::new(id))
    })
}

fn named(fields: &mut Fields<'_>, name: &'static str) -> Option<Named> {
    fields.required(name, |name, value| field::parsed(name, value, Named::parse))
}

/// A time by the service's clock: it must be one, and the log goes by the engine's own.
fn moment(fields: &mut Fields<'_>, name: &'static str) {
    let value = fields.loose(name);
    fields.keep(field::instant(name, &value));
}

fn kind(name: &'static str, value: &Loose<'_>) -> Checked<Option<IncidentType>> {
    field::one_of(
        name,
        value,
        IncidentType::parse,
        IncidentType::ALL,
        IncidentType::as_str,
    )
}

pub(super) fn status(name: &'static str, value: &Loose<'_>) -> Checked<Option<Status>> {
    field::one_of(name, value, Status::parse, Status::ALL, Status::as_str)
}

fn sender_type(name: &'static str, value: &Loose<'_>) -> Checked<Option<Option<UserType>>> {
    let all: Vec<_> = UserType::ALL.iter().copied().map(Some).chain([None]).collect();
    let parse = |text: &str| {
        if text.eq_ignore_ascii_case(NOBODY) {
            Some(None)
        } else {
            UserType::parse(text).map(Some)
        }
    };
    field::one_of(name, value, parse, &all, |one| {
        one.map_or(NOBODY, UserType::as_str)
    })
}

fn content_type(text: &str) -> Option<bool> {
    CONTENT_TYPES
        .iter()
        .position(|known| known.eq_ignore_ascii_case(text))
        .map(|at| at == 1)
}

#[cfg(test)]
#[path = "services_tests.rs"]
mod tests;
