//! What a client is told when it sent something that cannot be read. The connection stays.

use crate::wire::field::Problem;

/// Not a JSON object.
pub const BAD_JSON: &str = "BAD_JSON";
/// The object's `type` is none of ours.
pub const UNKNOWN_TYPE: &str = "UNKNOWN_TYPE";
/// A field is missing or not what it must be.
pub const INVALID_FIELD: &str = "INVALID_FIELD";

/// Why a message could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ClientError {
    /// For programs.
    pub code: &'static str,
    /// The field at fault.
    pub field: Option<&'static str>,
    /// For the person who wrote the client; names the field.
    pub message: String,
}

impl From<Problem> for ClientError {
    fn from(problem: Problem) -> Self {
        Self {
            code: INVALID_FIELD,
            field: Some(problem.field),
            message: problem.message,
        }
    }
}
