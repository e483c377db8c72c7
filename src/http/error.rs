//! What a request that failed is told. One type for all routes; each code is documented here.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

/// Why a request failed, as clients tell it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// No credential, or a bad one.
    Unauthenticated,
    /// Not theirs to do.
    Forbidden,
    /// Staff keep them out.
    Blocked,
    /// There is no such thing, or none that they may see.
    NotFound,
    /// The path knows other methods.
    MethodNotAllowed,
    /// The path is a WebSocket's, and the request does not ask for one.
    UpgradeRequired,
    /// The request is not what it should be; `fields` says where.
    ValidationFailed,
    /// The incident's state machine has no such move; `allowed` says which there are.
    InvalidTransition,
    /// They take part in this incident already.
    AlreadyJoined,
    /// The incident is over.
    SosClosed,
    /// Something else stands against it.
    Conflict,
    /// It takes their PIN to end what they have raised.
    PinRequired,
    /// It is not their PIN.
    WrongPin,
    /// It is not the code that was sent.
    WrongCode,
    /// The code came too late.
    CodeExpired,
    /// Too many wrong codes were tried.
    TooManyAttempts,
    /// The body is over the limit.
    PayloadTooLarge,
    /// The path and query are over the limit.
    UriTooLong,
    /// The headers are over the limit, in number or in bytes.
    HeadersTooLarge,
    /// The body is not JSON.
    UnsupportedMediaType,
    /// Over a budget; come back after `Retry-After`.
    RateLimited,
    /// A fault of ours. The log knows more, under the request's id.
    Internal,
    /// Too much to do, or the store is away; come back after `Retry-After`.
    Unavailable,
    /// Not answered in time; it may have happened all the same.
    Timeout,
}

impl Code {
    /// Every code.
    pub const ALL: &'static [Self] = &[
        Self::Unauthenticated,
        Self::Forbidden,
        Self::Blocked,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::UpgradeRequired,
        Self::ValidationFailed,
        Self::InvalidTransition,
        Self::AlreadyJoined,
        Self::SosClosed,
        Self::Conflict,
        Self::PinRequired,
        Self::WrongPin,
        Self::WrongCode,
        Self::CodeExpired,
        Self::TooManyAttempts,
        Self::PayloadTooLarge,
        Self::UriTooLong,
        Self::HeadersTooLarge,
        Self::UnsupportedMediaType,
        Self::RateLimited,
        Self::Internal,
        Self::Unavailable,
        Self::Timeout,
    ];

    /// The wire's name and status.
    fn wire(self) -> (&'static str, StatusCode) {
        match self {
            Self::Unauthenticated => ("UNAUTHENTICATED", StatusCode::UNAUTHORIZED),
            Self::Forbidden => ("FORBIDDEN", StatusCode::FORBIDDEN),
            Self::Blocked => ("BLOCKED", StatusCode::FORBIDDEN),
            Self::NotFound => ("NOT_FOUND", StatusCode::NOT_FOUND),
            Self::MethodNotAllowed => ("METHOD_NOT_ALLOWED", StatusCode::METHOD_NOT_ALLOWED),
            Self::UpgradeRequired => ("UPGRADE_REQUIRED", StatusCode::UPGRADE_REQUIRED),
            Self::ValidationFailed => ("VALIDATION_FAILED", StatusCode::BAD_REQUEST),
            Self::InvalidTransition => ("INVALID_TRANSITION", StatusCode::CONFLICT),
            Self::AlreadyJoined => ("ALREADY_JOINED", StatusCode::CONFLICT),
            Self::SosClosed => ("SOS_CLOSED", StatusCode::CONFLICT),
            Self::Conflict => ("CONFLICT", StatusCode::CONFLICT),
            Self::PinRequired => ("PIN_REQUIRED", StatusCode::FORBIDDEN),
            Self::WrongPin => ("WRONG_PIN", StatusCode::FORBIDDEN),
            Self::WrongCode => ("WRONG_CODE", StatusCode::UNPROCESSABLE_ENTITY),
            Self::CodeExpired => ("CODE_EXPIRED", StatusCode::GONE),
            Self::TooManyAttempts => ("TOO_MANY_ATTEMPTS", StatusCode::CONFLICT),
            Self::PayloadTooLarge => ("PAYLOAD_TOO_LARGE", StatusCode::PAYLOAD_TOO_LARGE),
            Self::UriTooLong => ("URI_TOO_LONG", StatusCode::URI_TOO_LONG),
            Self::HeadersTooLarge => ("HEADERS_TOO_LARGE", StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
            Self::UnsupportedMediaType => ("UNSUPPORTED_MEDIA_TYPE", StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Self::RateLimited => ("RATE_LIMITED", StatusCode::TOO_MANY_REQUESTS),
            Self::Internal => ("INTERNAL", StatusCode::INTERNAL_SERVER_ERROR),
            Self::Unavailable => ("UNAVAILABLE", StatusCode::SERVICE_UNAVAILABLE),
            Self::Timeout => ("TIMEOUT", StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    /// The wire's name.
    pub fn as_str(self) -> &'static str {
        self.wire().0
    }

    /// The status it goes with.
    pub fn status(self) -> StatusCode {
        self.wire().1
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Which, as a path: `location.latitude`, `fixes[3].timestamp`.
    pub field: String,
    /// What it must be.
    pub message: String,
}

impl FieldError {
    /// `message` says what `field` must be.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    code: Code,
    message: Cow<'static, str>,
    fields: Vec<FieldError>,
    allowed: Option<Vec<&'static str>>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl ApiError {
    /// An error of any code, with a message for a person.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            fields: Vec::new(),
            allowed: None,
            headers: Vec::new(),
        }
    }

    /// 401.
    pub fn unauthenticated(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Unauthenticated, message)
    }

    /// 403.
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Forbidden, message)
    }

    /// 403: kept out by staff.
    pub fn blocked() -> Self {
        Self::new(Code::Blocked, "Blocked by the operators")
    }

    /// 404.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::NotFound, message)
    }

    /// 400 with the fields at fault.
    pub fn validation(fields: Vec<FieldError>) -> Self {
        let message = match fields.as_slice() {
            [] => "The request is not valid".into(),
            fields => fields
                .iter()
                .map(|f| format!("{}: {}", f.field, f.message))
                .collect::<Vec<_>>()
                .join("; "),
        };
        Self {
            fields,
            ..Self::new(Code::ValidationFailed, message)
        }
    }

    /// 400 with the one field at fault.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::validation(vec![FieldError::new(field, message)])
    }

    /// 400 for the body as a whole.
    pub fn malformed(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::ValidationFailed, message)
    }

    /// 409 with the moves that are allowed.
    pub fn invalid_transition(
        message: impl Into<Cow<'static, str>>,
        allowed: impl IntoIterator<Item = &'static str>,
    ) -> Self {
        Self {
            allowed: Some(allowed.into_iter().collect()),
            ..Self::new(Code::InvalidTransition, message)
        }
    }

    /// 409 for a second join.
    pub fn already_joined() -> Self {
        Self::new(Code::AlreadyJoined, "User already joined this SOS")
    }

    /// 409 for an incident that is over.
    pub fn sos_closed() -> Self {
        Self::new(Code::SosClosed, "SOS is closed")
    }

    /// 409 for anything else.
    pub fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Conflict, message)
    }

    /// 413.
    pub fn payload_too_large(max_bytes: usize) -> Self {
        Self::new(
            Code::PayloadTooLarge,
            format!("The body may have at most {max_bytes} bytes"),
        )
    }

    /// 415.
    pub fn unsupported_media_type() -> Self {
        Self::new(
            Code::UnsupportedMediaType,
            "Content-Type must be application/json",
        )
    }

    /// 429.
    pub fn rate_limited(retry_after: Duration) -> Self {
        let error = Self::new(Code::RateLimited, "Too many requests, come back later");
        error.with_retry_after(retry_after)
    }

    /// 503: come back later.
    pub fn unavailable(message: impl Into<Cow<'static, str>>, retry_after: Duration) -> Self {
        Self::new(Code::Unavailable, message).with_retry_after(retry_after)
    }

    /// 503: it took too long.
    pub fn timeout() -> Self {
        let error = Self::new(
            Code::Timeout,
            "The request took too long; it may have been carried out",
        );
        error.with_retry_after(Duration::from_secs(1))
    }

    /// 500. What went wrong belongs in the log, not in the answer.
    pub fn internal() -> Self {
        Self::new(Code::Internal, "Something went wrong on our side")
    }

    /// Adds a header: a number, or a fixed text as `HeaderValue::from_static`.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Whole seconds, and never 0: that would mean "at once".
    fn with_retry_after(self, after: Duration) -> Self {
        self.with_header(RETRY_AFTER, whole_seconds(after).max(1))
    }

    /// Its code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What a person reads.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The JSON body in `dialect`.
    pub fn body(&self, dialect: Dialect, request_id: Option<&str>) -> String {
        // Section 1 of the contract gives 401 and 429 the envelope everywhere; `error` is there for clients
        // of the bare dialect.
        let everywhere = matches!(self.code, Code::Unauthenticated | Code::RateLimited);
        let bare = dialect == Dialect::Bare;
        let body = Body {
            envelope: (!bare || everywhere).then(|| Envelope {
                success: false,
                code: self.code.as_str(),
                message: &self.message,
                request_id,
                fields: &self.fields,
                allowed: self.allowed.as_deref(),
            }),
            error: bare.then_some(&*self.message),
        };
        serde_json::to_string(&body).expect("invariant: strings and lists always serialize")
    }
}

/// `span` in seconds, rounded up.
pub fn whole_seconds(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}

/// How answers are dressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `{"success", "code", "message", …}`.
    Envelope,
    /// `{"error"}`, for circle clients.
    Bare,
}

impl Dialect {
    /// The dialect of the clients that use `path`.
    pub fn of(path: &str) -> Self {
        let circle = ["/api/location", "/api/contacts", "/api/rooms-info"];
        if circle.iter().any(|start| path.starts_with(start)) {
            Self::Bare
        } else {
            Self::Envelope
        }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(flatten)]
    envelope: Option<Envelope<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    success: bool,
    code: &'static str,
    message: &'a str,
    #[serde(rename = "requestId", skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    fields: &'a [FieldError],
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed: Option<&'a [&'static str]>,
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    /// The body lacks the request's id and dialect, which an error cannot know; the middleware in `request`
    /// puts a better one in its place.
    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        for (name, value) in &self.headers {
            response.insert_header((name.clone(), value.clone()));
        }
        response
            .content_type("application/json")
            .body(self.body(Dialect::Envelope, None))
    }
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
