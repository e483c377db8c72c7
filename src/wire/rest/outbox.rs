//! What operators see of the event feed.

use schemars::JsonSchema;
use serde::Serialize;

use super::body::BodyError;
use super::conduct::PAGE;
use super::cursor::NOT_OURS;
use super::fields::Fields;
use super::query::{limit, parameters};
use crate::domain::dead_letter::{DeadLetter, DeadPlace};
use crate::domain::ids::RoomId;
use crate::domain::room::Seq;
use crate::domain::time::Timestamp;
use crate::wire::field;
use crate::wire::schema;
use crate::wire::stamp::Stamp;

/// `GET /internal/outbox`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxQuery {
    /// At most so many dead letters.
    pub limit: usize,
    /// Continue after this one.
    pub cursor: Option<DeadPlace>,
}

impl OutboxQuery {
    /// Reads the query string.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(query: &str) -> Result<Self, BodyError> {
        let parameters = parameters(query);
        let mut fields = Fields::of_query(&parameters);
        let limit = limit(&mut fields, PAGE);
        let cursor = fields.optional("cursor", |name, value| field::parsed(name, value, place));
        fields.finish(limit.map(|limit| Self { limit, cursor }))
    }

    /// A place in the list as text for a client.
    pub fn next(place: &DeadPlace) -> String {
        let mut bytes = Vec::with_capacity(80);
        bytes.extend_from_slice(&place.at.ms().to_be_bytes());
        bytes.extend_from_slice(&place.seq.get().to_be_bytes());
        bytes.extend_from_slice(place.room.as_str().as_bytes());
        hex::encode(bytes)
    }
}

fn place(text: &str) -> Result<DeadPlace, &'static str> {
    let bytes = hex::decode(text).map_err(|_| NOT_OURS)?;
    let (at, rest) = bytes.split_first_chunk().ok_or(NOT_OURS)?;
    let (seq, room) = rest.split_first_chunk().ok_or(NOT_OURS)?;
    let room = std::str::from_utf8(room)
        .ok()
        .and_then(|room| RoomId::new(room).ok());
    Ok(DeadPlace {
        at: Timestamp::from_ms(i64::from_be_bytes(*at)),
        room: room.ok_or(NOT_OURS)?,
        seq: Seq::new(u64::from_be_bytes(*seq)),
    })
}

/// What waits to be told to the service that keeps incidents.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutboxView {
    /// Whether it is told at all.
    pub on: bool,
    /// Whether this node speaks to it: `OPEN` when it does not, because there was no answer; `HALF_OPEN` when one attempt
    /// decides. `null`: it is not told.
    #[schemars(schema_with = "breaker")]
    pub breaker: Option<&'static str>,
    /// Incidents with events that it has not taken.
    pub waiting: u64,
    /// When the oldest of those events happened.
    pub oldest_at: Option<Stamp>,
    /// How long ago that was, in seconds.
    pub oldest_age_s: Option<u64>,
    /// Events that it refused for good.
    pub dead: u64,
    /// A page of those, the newest first.
    pub dead_letters: Vec<DeadLetterView>,
    /// Continue after this page; `null`: there are no more.
    pub next_cursor: Option<String>,
}

fn breaker(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"enum": ["CLOSED", "OPEN", "HALF_OPEN", null]})
}

/// An event that the service refused for good.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetterView {
    /// The incident.
    #[schemars(with = "schema::Room")]
    pub sos_id: String,
    /// Its place in the log.
    pub seq: u64,
    /// What kind of event.
    pub event: String,
    /// How it was refused last: a status of HTTP.
    pub status: u16,
    /// How often it was sent.
    pub attempts: u32,
    /// When it was refused last.
    pub at: Stamp,
}

impl From<DeadLetter> for DeadLetterView {
    fn from(letter: DeadLetter) -> Self {
        Self {
            sos_id: letter.room.to_string(),
            seq: letter.seq.get(),
            event: letter.kind,
            status: letter.status,
            attempts: letter.attempts,
            at: Stamp(letter.at),
        }
    }
}

/// The answer to a dead letter that was sent again.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResentView {
    /// The incident.
    #[schemars(with = "schema::Room")]
    pub sos_id: String,
    /// Its place in the log.
    pub seq: u64,
    /// The service has it now.
    pub taken: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_the_list_comes_back_as_it_went() {
        let place = DeadPlace {
            at: Timestamp::from_ms(1_700_000_000_123),
            room: RoomId::new("sos-1").unwrap(),
            seq: Seq::new(7),
        };
        let query = format!("limit=5&cursor={}", OutboxQuery::next(&place));
        let read = OutboxQuery::parse(&query).unwrap();
        assert_eq!((read.limit, read.cursor), (5, Some(place)));
        for wrong in [
            "cursor=zz",
            "cursor=00",
            "limit=0",
            "cursor=00000000000000000000000000000000",
        ] {
            assert!(OutboxQuery::parse(wrong).is_err(), "{wrong}");
        }
    }
}
