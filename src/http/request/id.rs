//! A request's id, by which its answer and its log lines find each other.

use std::sync::Arc;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpMessage, HttpRequest};

/// The header in which a request's id comes and goes.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A request's id: the client's if it is a sane one, else made up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    const MAX_CHARS: usize = 64;

    /// The client's id, or a fresh one.
    pub fn of(header: Option<&HeaderValue>) -> Self {
        let sane = |text: &&str| {
            let slug = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
            !text.is_empty() && text.len() <= Self::MAX_CHARS && text.bytes().all(slug)
        };
        header
            .and_then(|value| value.to_str().ok())
            .filter(sane)
            .map_or_else(Self::fresh, |text| Self(text.into()))
    }

    fn fresh() -> Self {
        let mut bytes = [0u8; 12];
        // An id that is not unique is a nuisance for whoever reads the log; no reason to fail a request.
        let _ = getrandom::fill(&mut bytes);
        Self(hex::encode(bytes).into())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The id of a request that went through [`frame`](super::frame).
pub fn id_of(request: &HttpRequest) -> Option<RequestId> {
    request.extensions().get::<RequestId>().cloned()
}
