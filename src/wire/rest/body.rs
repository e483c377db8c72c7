//! Why a body or a query was refused.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::wire::field::Problem;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FieldError {
    /// The field's path, such as `location.latitude` or `emergency_contacts.0.phone_no`.
    pub field: String,
    /// A sentence that names the field.
    pub message: String,
}

impl FieldError {
    /// A problem of a field that lies in `path`, which is empty or ends in a dot.
    pub(super) fn at(path: &str, problem: Problem) -> Self {
        Self {
            field: format!("{path}{}", problem.field),
            message: problem.message,
        }
    }
}

/// Why a body or a query cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is not a JSON object.
    #[error("the body must be a JSON object: {0}")]
    Json(String),
    /// These fields are wrong: at least one.
    #[error("{}", .0.first().map_or("a field is wrong", |first| first.message.as_str()))]
    Fields(Vec<FieldError>),
}

impl BodyError {
    /// For programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Json(_) => "BAD_JSON",
            Self::Fields(_) => "INVALID_FIELD",
        }
    }

    /// The fields at fault.
    pub fn fields(&self) -> &[FieldError] {
        match self {
            Self::Json(_) => &[],
            Self::Fields(fields) => fields,
        }
    }
}

/// A body of which nothing is needed: it may be missing, or hold what is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoFields;

impl NoFields {
    /// Reads the body.
    ///
    /// # Errors
    /// When it is no JSON object.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        object(body).map(|_| Self)
    }
}

impl From<serde_json::Error> for BodyError {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error.to_string())
    }
}

/// Reads a body as an object. No body at all is an empty one: what is required will be missed by name.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, BodyError> {
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    insist_on_object(body)?;
    Ok(serde_json::from_slice(body)?)
}

/// serde would also fill a struct from an array.
pub(super) fn insist_on_object(body: &[u8]) -> Result<(), BodyError> {
    if body.trim_ascii_start().starts_with(b"{") {
        Ok(())
    } else {
        Err(BodyError::Json("it starts with something else".to_owned()))
    }
}
