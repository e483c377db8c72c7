//! Reports of misconduct and blocks: bodies, queries, views.

use schemars::JsonSchema;
use serde::Serialize;

use super::body::{self, BodyError};
use super::cursor::NOT_OURS;
use super::fields::Fields;
use super::query::{limit, parameters};
use crate::domain::conduct::{Block, BlockKey, Complaint, ComplaintCursor};
use crate::domain::ids::ParticipantId;
use crate::domain::people::Subject;
use crate::domain::time::Timestamp;
use crate::wire::field::{self, NOTE_MAX_CHARS, Problem};
use crate::wire::schema;
use crate::wire::stamp::Stamp;

/// Entries of a page when nobody says how many.
pub(super) const PAGE: usize = 50;

/// `POST /sos/{id}/reports`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportBody {
    /// Whom.
    pub participant: ParticipantId,
    /// What they did.
    pub reason: String,
}

impl ReportBody {
    /// Reads the body.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let object = body::object(body)?;
        let mut fields = Fields::of_body(&object);
        let participant = fields.required("participantId", |name, value| {
            field::parsed(name, value, str::parse::<ParticipantId>)
        });
        let reason = fields.required("reason", |name, value| {
            field::words(name, value, 1..=NOTE_MAX_CHARS)
        });
        let whole = participant.zip(reason);
        fields.finish(whole.map(|(participant, reason)| Self { participant, reason }))
    }
}

/// `POST /devices/{participantId}/block`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockBody {
    /// Why.
    pub reason: Option<String>,
    /// Until when; `None`: until it is lifted.
    pub until: Option<Timestamp>,
}

impl BlockBody {
    /// Reads the body, which may be empty; `until` lies ahead of `now`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &[u8], now: Timestamp) -> Result<Self, BodyError> {
        let object = body::object(body)?;
        let mut fields = Fields::of_body(&object);
        let reason = fields.optional("reason", |name, value| field::note(name, value, NOTE_MAX_CHARS));
        let until = fields.optional("until", |name, value| match field::instant(name, value)? {
            Some(until) if until <= now => Err(Problem::wants(name, "a time in the future")),
            until => Ok(until),
        });
        fields.finish(Some(Self { reason, until }))
    }
}

/// `GET /sos/{id}/reports`, `GET /reports`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportsQuery {
    /// At most so many.
    pub limit: usize,
    /// Continue after this one.
    pub cursor: Option<ComplaintCursor>,
}

impl ReportsQuery {
    /// Reads the query string.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(query: &str) -> Result<Self, BodyError> {
        let parameters = parameters(query);
        let mut fields = Fields::of_query(&parameters);
        let limit = limit(&mut fields, PAGE);
        let cursor = fields.optional("cursor", |name, value| {
            field::parsed(name, value, complaint_place)
        });
        fields.finish(limit.map(|limit| Self { limit, cursor }))
    }

    /// A place in the list as text for a client.
    pub fn next(place: ComplaintCursor) -> String {
        let mut bytes = Vec::with_capacity(24);
        bytes.extend_from_slice(&place.at.ms().to_be_bytes());
        bytes.extend_from_slice(&place.participant.bits().to_be_bytes());
        bytes.extend_from_slice(&place.reporter.bits().to_be_bytes());
        hex::encode(bytes)
    }
}

fn complaint_place(text: &str) -> Result<ComplaintCursor, &'static str> {
    let mut bytes = [0; 24];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| NOT_OURS)?;
    let word = |n: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[8 * n..8 * n + 8]);
        word
    };
    Ok(ComplaintCursor {
        at: Timestamp::from_ms(i64::from_be_bytes(word(0))),
        participant: ParticipantId::from_bits(u64::from_be_bytes(word(1))),
        reporter: ParticipantId::from_bits(u64::from_be_bytes(word(2))),
    })
}

/// `GET /blocks`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlocksQuery {
    /// At most so many.
    pub limit: usize,
    /// Continue after this one.
    pub cursor: Option<BlockKey>,
}

impl BlocksQuery {
    /// Reads the query string.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(query: &str) -> Result<Self, BodyError> {
        let parameters = parameters(query);
        let mut fields = Fields::of_query(&parameters);
        let limit = limit(&mut fields, PAGE);
        let cursor = fields.optional("cursor", |name, value| {
            field::parsed(name, value, |text| {
                let mut bytes = [0; 16];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| NOT_OURS)?;
                Ok::<_, &'static str>(BlockKey::new(bytes))
            })
        });
        fields.finish(limit.map(|limit| Self { limit, cursor }))
    }

    /// A place in the list as text for a client.
    pub fn next(key: BlockKey) -> String {
        hex::encode(key.bytes())
    }
}

/// A report.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportView<'a> {
    /// The incident.
    #[schemars(with = "schema::Room")]
    sos_id: &'a str,
    /// Of whom.
    #[schemars(with = "schema::Participant")]
    participant_id: String,
    /// By whom.
    #[schemars(with = "schema::Participant")]
    reporter_id: String,
    /// What they did.
    reason: &'a str,
    /// When it was reported.
    reported_at: Stamp,
}

impl<'a> From<&'a Complaint> for ReportView<'a> {
    fn from(complaint: &'a Complaint) -> Self {
        Self {
            sos_id: complaint.room.as_str(),
            participant_id: complaint.participant.to_string(),
            reporter_id: complaint.reporter.to_string(),
            reason: &complaint.reason,
            reported_at: Stamp(complaint.at),
        }
    }
}

/// A block.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlockView<'a> {
    /// By this name staff blocked them.
    #[schemars(with = "schema::Participant")]
    participant_id: String,
    /// Whether it stands.
    blocked: bool,
    /// When they were blocked.
    blocked_at: Stamp,
    /// Until when; null: until it is lifted.
    until: Option<Stamp>,
    /// Why.
    reason: Option<&'a str>,
    /// Who of the staff did it.
    blocked_by: Option<&'a str>,
}

impl<'a> BlockView<'a> {
    /// Shows a block as it is at `now`.
    pub fn new(block: &'a Block, now: Timestamp) -> Self {
        Self {
            participant_id: block.participant.to_string(),
            blocked: block.stands(now),
            blocked_at: Stamp(block.at),
            until: block.until.map(Stamp),
            reason: block.reason.as_deref(),
            blocked_by: match &block.by {
                Some(Subject::User(id)) => Some(id.as_str()),
                Some(Subject::Service(name)) => Some(name.as_str()),
                Some(Subject::Device(_) | Subject::Phone(_)) | None => None,
            },
        }
    }
}

/// `DELETE /devices/{participantId}/block`
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnblockedView {
    /// Whom.
    #[schemars(with = "schema::Participant")]
    pub participant_id: String,
    /// Whether they are kept out: no.
    pub blocked: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(at: i64) -> Timestamp {
        Timestamp::from_ms(at)
    }

    fn names(error: &BodyError) -> Vec<&str> {
        error.fields().iter().map(|field| field.field.as_str()).collect()
    }

    #[test]
    fn a_report_names_somebody_and_says_why() {
        let body = br#"{"participantId":"p-00000000000000ff","reason":"threatened me"}"#;
        let report = ReportBody::parse(body).unwrap();
        assert_eq!(report.participant, ParticipantId::from_bits(255));
        assert_eq!(report.reason, "threatened me");
        let long = format!(r#"{{"participantId":"p-1","reason":"{}"}}"#, "x".repeat(501));
        for wrong in ["{}", r#"{"participantId":7,"reason":" "}"#, &long] {
            let error = ReportBody::parse(wrong.as_bytes()).unwrap_err();
            assert_eq!(names(&error), ["participantId", "reason"], "{wrong}");
        }
    }

    #[test]
    fn a_block_may_say_nothing_and_ends_in_the_future() {
        assert_eq!(BlockBody::parse(b"", ms(0)).unwrap(), BlockBody::default());
        let body = br#"{"reason":"spam","until":"2026-11-21T12:00:00Z"}"#;
        let block = BlockBody::parse(body, ms(0)).unwrap();
        assert_eq!(block.until, Some(ms(1_795_262_400_000)));
        let error = BlockBody::parse(body, ms(1_795_262_400_000)).unwrap_err();
        assert_eq!(names(&error), ["until"]);
    }

    #[test]
    fn a_place_survives_text_and_a_foreign_one_is_refused() {
        let place = ComplaintCursor {
            at: ms(-5),
            participant: ParticipantId::from_bits(u64::MAX),
            reporter: ParticipantId::from_bits(1),
        };
        let query = format!("cursor={}&limit=7", ReportsQuery::next(place));
        let read = ReportsQuery::parse(&query).unwrap();
        assert_eq!((read.limit, read.cursor), (7, Some(place)));
        let key = BlockKey::new([7; 16]);
        let read = BlocksQuery::parse(&format!("cursor={}", BlocksQuery::next(key))).unwrap();
        assert_eq!((read.limit, read.cursor), (PAGE, Some(key)));
        assert!(ReportsQuery::parse("cursor=00").is_err() && BlocksQuery::parse("cursor=zz").is_err());
    }
}
