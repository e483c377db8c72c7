//! Reads an event of a client in one pass: every field that any event may have is read loosely into one struct, then
//! the event's own fields are judged. Nothing is copied but what is kept.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::client::{
    ClientError, ClientMessage, HISTORY_LIMIT_DEFAULT, HISTORY_LIMIT_MAX, HISTORY_SKIP_MAX, INVALID_FIELD,
    PING_MAX_BYTES, UNKNOWN_EVENT,
};
use crate::domain::geo::Fix;
use crate::domain::ids::{MessageId, RoomId};
use crate::domain::incident::Status;
use crate::domain::room::UserType;
use crate::wire::Reading;
use crate::wire::field::{self, Checked, FixFields, NAME_MAX_CHARS, NOTE_MAX_CHARS, Problem};
use crate::wire::loose::Loose;
use crate::wire::socketio::{Args, Json};

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Raw<'a> {
    #[serde(borrow)]
    sos_id: Loose<'a>,
    #[serde(borrow)]
    latitude: Loose<'a>,
    #[serde(borrow)]
    longitude: Loose<'a>,
    #[serde(borrow)]
    accuracy: Loose<'a>,
    #[serde(borrow)]
    speed: Loose<'a>,
    #[serde(borrow)]
    heading: Loose<'a>,
    #[serde(borrow)]
    timestamp: Loose<'a>,
    /// The one field that may be an object.
    #[serde(borrow)]
    address: Option<&'a RawValue>,
    #[serde(borrow)]
    rescuer_arrived: Loose<'a>,
    #[serde(borrow)]
    user_type: Loose<'a>,
    #[serde(borrow)]
    display_name: Loose<'a>,
    #[serde(borrow)]
    status: Loose<'a>,
    #[serde(borrow)]
    pin: Loose<'a>,
    #[serde(borrow)]
    content: Loose<'a>,
    #[serde(borrow)]
    id: Loose<'a>,
    #[serde(borrow)]
    limit: Loose<'a>,
    #[serde(borrow)]
    skip: Loose<'a>,
    #[serde(borrow)]
    token: Loose<'a>,
    /// What stands in the place of binary data.
    #[serde(borrow, rename = "_placeholder")]
    placeholder: Loose<'a>,
}

/// A place as an object.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Place<'a> {
    #[serde(borrow)]
    city: Loose<'a>,
    #[serde(borrow)]
    barangay: Loose<'a>,
}

/// Reads one event by its name and its arguments, of which the first counts.
///
/// # Errors
/// What is wrong with it, in a form that can be sent back.
pub fn parse(name: &str, args: &Args, reading: &Reading) -> Result<ClientMessage, ClientError> {
    match name {
        "ping" => return echo(args).map(|echo| ClientMessage::Ping { echo }),
        "heartbeat" => return Ok(ClientMessage::Heartbeat),
        _ => {}
    }
    // Whoever asks for what there is not is told so, whatever they sent with it.
    let raw = Raw::first_of(args).map_err(|error| match Raw::default().message(name, reading) {
        Ok(None) => unknown(name),
        _ => error,
    })?;
    raw.message(name, reading)?.ok_or_else(|| unknown(name))
}

impl<'a> Raw<'a> {
    /// The fields of the first argument. What is no object is taken for the incident's id: that is how some clients
    /// send it.
    fn first_of(args: &'a Args) -> Result<Self, ClientError> {
        let list = args.list().trim_ascii_start();
        if list.is_empty() {
            return Ok(Self::default());
        }
        let mut reader = serde_json::Deserializer::from_str(list);
        // serde would also fill the struct from an array.
        let read = if list.starts_with('{') {
            Self::deserialize(&mut reader)
        } else {
            Loose::deserialize(&mut reader).map(|sos_id| Self {
                sos_id,
                ..Self::default()
            })
        };
        let raw = read.map_err(|error| whole(error.to_string()))?;
        if raw.placeholder == Loose::Flag(true) {
            return Err(whole("the first argument may not be binary data".to_owned()));
        }
        Ok(raw)
    }

    /// `None` when there is no such event.
    fn message(&self, name: &str, reading: &Reading) -> Checked<Option<ClientMessage>> {
        Ok(Some(match name {
            "location:update" => ClientMessage::Location {
                sos: self.sos()?,
                fix: self.fix(reading)?,
                address: self.address()?,
            },
            "rescuer:location" => ClientMessage::RescuerLocation {
                sos: self.sos()?,
                fix: self.fix(reading)?,
                arrived: field::flag("rescuerArrived", &self.rescuer_arrived)?.unwrap_or(false),
            },
            "message:send" => ClientMessage::Message {
                sos: self.sos()?,
                content: field::required(
                    "content",
                    field::words("content", &self.content, 1..=reading.content_max_chars)?,
                )?,
                id: field::parsed("id", &self.id, |id| MessageId::new(id))?,
            },
            "message:typing:start" => self.typing(true)?,
            "message:typing:stop" => self.typing(false)?,
            "join:sos" | "sos:init" | "sos:room:join" => ClientMessage::Join {
                sos: self.sos()?,
                user_type: field::one_of(
                    "userType",
                    &self.user_type,
                    UserType::parse,
                    UserType::ALL,
                    UserType::as_str,
                )?,
                display_name: self.display_name()?,
            },
            "leave:sos" | "sos:room:leave" => ClientMessage::Leave { sos: self.sos()? },
            "sos:close" => ClientMessage::Close { sos: self.sos()? },
            "sos:acknowledge" => ClientMessage::Acknowledge { sos: self.sos()? },
            "sos:status:update" => {
                let sos = self.sos()?;
                let (status, lower_case) = self.status()?;
                ClientMessage::SetStatus {
                    sos,
                    status,
                    lower_case,
                    pin: field::pin("pin", &self.pin)?,
                }
            }
            "message:history:request" => ClientMessage::History {
                sos: self.sos()?,
                limit: field::limit(&self.limit, HISTORY_LIMIT_MAX, HISTORY_LIMIT_DEFAULT)?,
                skip: self.skip()?,
            },
            "participants:active:request" => ClientMessage::Participants { sos: self.sos()? },
            "refresh-credential" => ClientMessage::RefreshCredential {
                token: field::token(&self.token)?,
            },
            _ => return Ok(None),
        }))
    }

    fn sos(&self) -> Checked<RoomId> {
        let sos = field::parsed("sosId", &self.sos_id, |id| RoomId::new(id))?;
        field::required("sosId", sos)
    }

    fn fix(&self, reading: &Reading) -> Checked<Fix> {
        FixFields {
            latitude: &self.latitude,
            longitude: &self.longitude,
            accuracy: &self.accuracy,
            speed: &self.speed,
            heading: &self.heading,
            timestamp: &self.timestamp,
        }
        .live(reading)
    }

    fn display_name(&self) -> Checked<Option<String>> {
        field::note("displayName", &self.display_name, NAME_MAX_CHARS)
    }

    fn typing(&self, on: bool) -> Checked<ClientMessage> {
        Ok(ClientMessage::Typing {
            sos: self.sos()?,
            on,
            display_name: self.display_name()?,
        })
    }

    /// The status, and whether it was written in lower case.
    fn status(&self) -> Checked<(Status, bool)> {
        let status = field::one_of("status", &self.status, Status::parse, Status::ALL, Status::as_str)?;
        let lower = match &self.status {
            Loose::Text(text) => !text.bytes().any(|byte| byte.is_ascii_uppercase()),
            _ => false,
        };
        Ok((field::required("status", status)?, lower))
    }

    fn skip(&self) -> Checked<usize> {
        let skip = field::whole("skip", &self.skip, 0..=HISTORY_SKIP_MAX as u64)?;
        Ok(skip.and_then(|skip| usize::try_from(skip).ok()).unwrap_or(0))
    }

    /// A line for a person, or `{city, barangay}`, of which one is made.
    fn address(&self) -> Checked<Option<String>> {
        let wrong = |_| Problem::wants("address", "text, or an object with city and barangay");
        let Some(raw) = self.address else {
            return Ok(None);
        };
        if !raw.get().starts_with('{') {
            let line: Loose<'_> = serde_json::from_str(raw.get()).map_err(wrong)?;
            return field::note("address", &line, NOTE_MAX_CHARS);
        }
        let place: Place<'_> = serde_json::from_str(raw.get()).map_err(wrong)?;
        let parts = [
            field::note("address", &place.barangay, NAME_MAX_CHARS)?,
            field::note("address", &place.city, NAME_MAX_CHARS)?,
        ];
        let line = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
        Ok(Some(line).filter(|line| !line.is_empty()))
    }
}

/// What is sent back with the answer: the object, if one came. A ping asks whether the other side hears, so it is
/// refused for nothing but its size and for binary data, which an answer of one object cannot carry.
fn echo(args: &Args) -> Result<Json, ClientError> {
    if !args.attachments().is_empty() {
        return Err(whole("a ping may not hold binary data".to_owned()));
    }
    if args.list().len() > PING_MAX_BYTES {
        return Err(whole(format!("a ping may hold {PING_MAX_BYTES} bytes")));
    }
    let first = args.items().into_iter().next();
    Ok(first.filter(Json::is_object).unwrap_or(Json::EMPTY))
}

/// It is not one field that is wrong.
fn whole(message: String) -> ClientError {
    ClientError {
        code: INVALID_FIELD,
        message,
        field: None,
    }
}

/// Quotes the name back, but not a page of it.
fn unknown(name: &str) -> ClientError {
    let shown: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
    ClientError {
        code: UNKNOWN_EVENT,
        message: format!("there is no event '{shown}'"),
        field: None,
    }
}
