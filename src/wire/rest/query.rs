//! Queries of lists. An empty parameter is as good as none; one that is given twice is a list.

use serde_json::{Map, Value};

use super::body::BodyError;
use super::cursor::{IncidentCursor, PersonCursor, RoomCursor};
use super::fields::Fields;
use crate::domain::geo::{InvalidGeo, Position};
use crate::domain::ids::ParticipantId;
use crate::domain::incident::{IncidentType, Status};
use crate::domain::room::Seq;
use crate::domain::time::Timestamp;
use crate::wire::field::{self, Checked, Problem};
use crate::wire::loose::Loose;

/// The most entries of a page.
pub(super) const LIMIT_MAX: usize = 100;
/// Entries of a page of incidents, when the client does not say.
pub(super) const INCIDENTS_DEFAULT: usize = 20;
/// The longest text that is searched for, in characters.
pub(super) const SEARCH_MAX_CHARS: usize = 200;
/// Messages of a page, when the client does not say.
pub(super) const MESSAGES_DEFAULT: usize = 50;

/// How far around a position incidents are listed, in metres.
pub(super) const RADIUS_DEFAULT_M: f64 = 5_000.0;
pub(super) const RADIUS_MAX_M: f64 = 25_000.0;

/// `GET /sos`
#[derive(Clone, Debug, PartialEq)]
pub struct SosListQuery {
    /// Only these states; empty: all.
    pub status: Vec<Status>,
    /// Only this kind.
    pub kind: Option<IncidentType>,
    /// Only this city.
    pub city_id: Option<String>,
    /// Only within so many metres of here, nearest first.
    pub near: Option<(Position, f64)>,
    /// At most so many.
    pub limit: usize,
    /// Continue after this one.
    pub cursor: Option<IncidentCursor>,
}

impl SosListQuery {
    /// Reads the query string.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(query: &str) -> Result<Self, BodyError> {
        let parameters = parameters(query);
        let mut fields = Fields::of_query(&parameters);
        let status = fields.optional("status", statuses).unwrap_or_default();
        let kind = fields.optional("type", |name, value| {
            field::one_of(
                name,
                value,
                IncidentType::parse,
                IncidentType::ALL,
                IncidentType::as_str,
            )
        });
        let city_id = fields.optional("cityId", |name, value| {
            field::note(name, value, field::NAME_MAX_CHARS)
        });
        let (lat, lng) = (fields.loose("lat"), fields.loose("lng"));
        let position = fields.keep(point(&lat, &lng)).flatten();
        let radius = fields.loose("radius");
        let radius = fields.keep(metres(&radius)).flatten().unwrap_or(RADIUS_DEFAULT_M);
        let limit = limit(&mut fields, INCIDENTS_DEFAULT);
        let cursor = fields.optional("cursor", |name, value| {
            field::parsed(name, value, IncidentCursor::decode)
        });
        fields.finish(limit.map(|limit| Self {
            status,
            kind,
            city_id,
            near: position.map(|position| (position, radius)),
            limit,
            cursor,
        }))
    }
}

/// `GET /sos/{id}/locations`, `GET /api/locations`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocationsQuery {
    /// From this time on.
    pub from: Option<Timestamp>,
    /// Up to this time.
    pub to: Option<Timestamp>,
    /// Only this participant's.
    pub subject: Option<ParticipantId>,
    /// At most so many.
    pub limit: usize,
    /// Continue after this one.
    pub cursor: Option<PersonCursor>,
}

impl LocationsQuery {
    /// Reads the query string.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(query: &str) -> Result<Self, BodyError> {
        let parameters = parameters(query);
        let mut fields = Fields::of_query(&parameters);
        let from = instant(&mut fields, "from");
        let to = instant(&mut fields, "to");
        if from.zip(to).is_some_and(|(from, to)| from > to) {
            fields.keep::<()>(Err(Problem::wants("to", "later than from")));
        }
        let subject = fields.optional("subject", |name, value| field::parsed(name, value, str::parse));
        let limit = limit(&mut fields, LIMIT_MAX);
        let cursor = person_cursor(&mut fields);
        fields.finish(limit.map(|limit| Self {
            from,
            to,
            subject,
            limit,
            cursor,
        }))
    }
}

/// `GET /sos/{id}/messages`, newest first
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagesQuery {
    /// Only messages before this event; `nextCursor` is such a number too.
    pub before: Option<Seq>,
    /// Only messages that hold this text.
    pub text: Option<String>,
    /// At most so many.
    pub limit: usize,
}

impl MessagesQuery {
    /// Reads the query string.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(query: &str) -> Result<Self, BodyError> {
        let parameters = parameters(query);
        let mut fields = Fields::of_query(&parameters);
        let before = seq(&mut fields, "before");
        let cursor = seq(&mut fields, "cursor");
        let text = fields.optional("q", |name, value| field::note(name, value, SEARCH_MAX_CHARS));
        let limit = limit(&mut fields, MESSAGES_DEFAULT);
        fields.finish(limit.map(|limit| Self {
            before: cursor.or(before),
            text,
            limit,
        }))
    }
}

/// `GET /sos/{id}/events`, oldest first
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventsQuery {
    /// Only events after this one; `nextCursor` is such a number too.
    pub since: Seq,
    /// At most so many.
    pub limit: usize,
}

impl EventsQuery {
    /// Reads the query string.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(query: &str) -> Result<Self, BodyError> {
        let parameters = parameters(query);
        let mut fields = Fields::of_query(&parameters);
        let since = seq(&mut fields, "since");
        let cursor = seq(&mut fields, "cursor");
        let limit = limit(&mut fields, LIMIT_MAX);
        fields.finish(limit.map(|limit| Self {
            since: cursor.or(since).unwrap_or(Seq::ZERO),
            limit,
        }))
    }
}

/// `GET /sos/{id}/participants/…`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParticipantsQuery {
    /// At most so many.
    pub limit: usize,
    /// Continue after this one.
    pub cursor: Option<PersonCursor>,
}

impl ParticipantsQuery {
    /// Reads the query string.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(query: &str) -> Result<Self, BodyError> {
        let parameters = parameters(query);
        let mut fields = Fields::of_query(&parameters);
        let limit = limit(&mut fields, LIMIT_MAX);
        let cursor = person_cursor(&mut fields);
        fields.finish(limit.map(|limit| Self { limit, cursor }))
    }
}

/// `GET /api/rooms-info`, by the rooms' ids
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomsQuery {
    /// At most so many; `None`: all.
    pub limit: Option<usize>,
    /// Continue after this one.
    pub cursor: Option<RoomCursor>,
}

impl RoomsQuery {
    /// Reads the query string.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(query: &str) -> Result<Self, BodyError> {
        let parameters = parameters(query);
        let mut fields = Fields::of_query(&parameters);
        let is_limited = !matches!(fields.loose("limit"), Loose::Absent);
        let limit = limit(&mut fields, LIMIT_MAX);
        let cursor = fields.optional("cursor", |name, value| {
            field::parsed(name, value, RoomCursor::decode)
        });
        fields.finish(limit.map(|limit| Self {
            limit: is_limited.then_some(limit),
            cursor,
        }))
    }
}

pub(super) fn parameters(query: &str) -> Map<String, Value> {
    let mut found: Map<String, Value> = Map::new();
    for (name, text) in url::form_urlencoded::parse(query.as_bytes()) {
        if text.is_empty() {
            continue;
        }
        match found.get_mut(name.as_ref()) {
            Some(Value::String(known)) => {
                known.push(',');
                known.push_str(&text);
            }
            _ => {
                found.insert(name.into_owned(), Value::String(text.into_owned()));
            }
        }
    }
    found
}

pub(super) fn limit(fields: &mut Fields<'_>, default: usize) -> Option<usize> {
    let value = fields.loose("limit");
    fields.keep(field::limit(&value, LIMIT_MAX, default))
}

fn seq(fields: &mut Fields<'_>, name: &'static str) -> Option<Seq> {
    let value = fields.loose(name);
    fields
        .keep(field::whole(name, &value, 0..=u64::MAX))
        .flatten()
        .map(Seq::new)
}

fn person_cursor(fields: &mut Fields<'_>) -> Option<PersonCursor> {
    fields.optional("cursor", |name, value| {
        field::parsed(name, value, PersonCursor::decode)
    })
}

/// A `+` of an offset that nobody escaped arrives as a space.
fn instant(fields: &mut Fields<'_>, name: &'static str) -> Option<Timestamp> {
    let value = match fields.loose(name) {
        Loose::Text(text) => Loose::Text(text.replace(' ', "+").into()),
        value => value,
    };
    fields.keep(field::instant(name, &value)).flatten()
}

fn statuses(name: &'static str, value: &Loose<'_>) -> Checked<Option<Vec<Status>>> {
    let Loose::Text(list) = value else { return Ok(None) };
    let mut found = Vec::new();
    for word in list.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let word = Loose::Text(word.into());
        let status = field::one_of(name, &word, Status::parse, Status::ALL, Status::as_str)?;
        found.extend(status.filter(|status| !found.contains(status)));
    }
    Ok(Some(found))
}

fn point(lat: &Loose<'_>, lng: &Loose<'_>) -> Checked<Option<Position>> {
    let (lat, lng) = (field::number("lat", lat)?, field::number("lng", lng)?);
    if lat.is_none() && lng.is_none() {
        return Ok(None);
    }
    let position = Position::new(field::required("lat", lat)?, field::required("lng", lng)?);
    position.map(Some).map_err(|error| match error {
        InvalidGeo::Latitude => Problem::wants("lat", "a number from -90 to 90 degrees"),
        _ => Problem::wants("lng", "a number from -180 to 180 degrees"),
    })
}

fn metres(radius: &Loose<'_>) -> Checked<Option<f64>> {
    match field::number("radius", radius)? {
        Some(metres) if !(metres > 0.0 && metres <= RADIUS_MAX_M) => Err(Problem::wants(
            "radius",
            format_args!("a number of metres over 0, at most {RADIUS_MAX_M}"),
        )),
        metres => Ok(metres),
    }
}
