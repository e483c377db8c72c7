//! What the tests of vendors share.

use super::client::Answer;

/// An answer without headers.
pub(super) fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status,
        after: None,
        body: Some(body.as_bytes().to_vec()),
    }
}
