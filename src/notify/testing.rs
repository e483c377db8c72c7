//! What the tests of vendors share.

use reqwest::header::HeaderMap;

use super::client::Answer;

/// An answer without headers.
pub(super) fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status,
        headers: HeaderMap::new(),
        after: None,
        body: Some(body.as_bytes().to_vec()),
    }
}
