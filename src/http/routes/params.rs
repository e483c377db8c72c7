//! What routes read besides JSON bodies: ids in the path, a body that may be missing, an idempotency key.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use actix_web::web::Bytes;
use actix_web::{Error, FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;

use crate::domain::ids::{ParticipantId, RoomId, UserId};
use crate::domain::room::Seq;
use crate::http::error::ApiError;
use crate::http::extract::JsonBytes;

/// `{id}`: an incident. What cannot be an id is an incident that is not there.
pub(super) struct SosId(pub RoomId);

impl FromRequest for SosId {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = request.match_info().get("id").unwrap_or_default();
        let id = RoomId::new(id).map_err(|_| ApiError::not_found("SOS not found").into());
        ready(id.map(Self))
    }
}

/// `{trip}`: a trip. What cannot be an id is a trip that is not there.
pub(super) struct TripId(pub RoomId);

impl FromRequest for TripId {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = request.match_info().get("trip").unwrap_or_default();
        let id = RoomId::new(id).map_err(|_| ApiError::not_found("Trip not found").into());
        ready(id.map(Self))
    }
}

/// `{user}`: somebody with an account, as tokens name them.
pub(super) struct UserPath(pub UserId);

impl FromRequest for UserPath {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = UserId::new(request.match_info().query("user"));
        ready(
            id.map(Self)
                .map_err(|_| ApiError::not_found("User not found").into()),
        )
    }
}

/// `{seq}`: an event's place in its log. What cannot be one is an event that is not there.
pub(super) struct EventSeq(pub Seq);

impl FromRequest for EventSeq {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let seq = request.match_info().get("seq").unwrap_or_default().parse();
        let seq = seq.map_err(|_| ApiError::not_found("Dead letter not found").into());
        ready(seq.map(|seq| Self(Seq::new(seq))))
    }
}

/// `{participant}`: somebody in an incident.
pub(super) struct SomebodysId(pub ParticipantId);

impl FromRequest for SomebodysId {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = request.match_info().get("participant").unwrap_or_default();
        ready(id.parse().map(Self).map_err(|_| no_such_participant().into()))
    }
}

/// 404 for a participant.
pub(super) fn no_such_participant() -> ApiError {
    ApiError::not_found("Participant not found")
}

/// A JSON body all of whose fields are optional, so that there may be none. One that is there must be JSON
/// by its type all the same.
pub(super) struct OptionalBody(pub Bytes);

impl FromRequest for OptionalBody {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        if is_missing(request.headers()) {
            return Box::pin(async { Ok(Self(Bytes::new())) });
        }
        let body = JsonBytes::from_request(request, payload);
        Box::pin(async { Ok(Self(body.await?.0)) })
    }
}

fn is_missing(headers: &HeaderMap) -> bool {
    let length = headers.get(CONTENT_LENGTH).map(HeaderValue::as_bytes);
    !headers.contains_key(CONTENT_TYPE)
        && !headers.contains_key(TRANSFER_ENCODING)
        && length.is_none_or(|length| length == b"0")
}

/// The header by which a retry finds the first answer.
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
/// The longest key, in characters.
pub(super) const KEY_MAX_CHARS: usize = 200;

/// `Idempotency-Key`: 1 to 200 printable characters, or none.
pub(super) struct RetryKey(pub Option<String>);

impl FromRequest for RetryKey {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let key = request.headers().get(IDEMPOTENCY_KEY).map(|value| {
            value
                .to_str()
                .ok()
                .filter(|key| (1..=KEY_MAX_CHARS).contains(&key.len()))
                .filter(|key| key.bytes().all(|byte| (b' '..=b'~').contains(&byte)))
                .map(str::to_owned)
                .ok_or_else(|| {
                    ApiError::invalid(
                        IDEMPOTENCY_KEY,
                        format!("must have 1 to {KEY_MAX_CHARS} printable characters"),
                    )
                })
        });
        ready(key.transpose().map(Self).map_err(Error::from))
    }
}
