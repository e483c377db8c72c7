//! What every answer of `/api/v1` and every internal answer comes in.

use serde::Serialize;

use super::body::FieldError;

/// `{"success":true,"data":...}`
#[derive(Clone, Debug, Serialize)]
pub struct Success<T> {
    success: bool,
    data: T,
}

impl<T> Success<T> {
    /// Wraps an answer.
    pub fn new(data: T) -> Self {
        Self { success: true, data }
    }
}

/// A page of a list: `{"success":true,"data":[...],"nextCursor":...}`, `null` on the last page.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    success: bool,
    data: Vec<T>,
    next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Wraps a page.
    pub fn new(data: Vec<T>, next_cursor: Option<String>) -> Self {
        Self {
            success: true,
            data,
            next_cursor,
        }
    }
}

/// `{"success":false,"code":...,"message":...,"requestId":...,"fields"?:[...]}`
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure<'a> {
    success: bool,
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    fields: &'a [FieldError],
}

impl<'a> Failure<'a> {
    /// Wraps an error: `code` for programs, `message` for a person.
    pub fn new(
        code: &'a str,
        message: &'a str,
        request_id: Option<&'a str>,
        fields: &'a [FieldError],
    ) -> Self {
        Self {
            success: false,
            code,
            message,
            request_id,
            fields,
        }
    }
}
