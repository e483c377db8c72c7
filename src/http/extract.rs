//! Bodies, queries and paths as typed values, with errors that name what is wrong.

use actix_web::error::PayloadError;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::web::{self, Bytes};
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, dev::Payload};
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;

use super::error::ApiError;

/// The most bytes in a body, for the scope or resource whose `app_data` it is. Without one there, the
/// application's counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimit(pub usize);

/// What `http.body_max_bytes` says when nobody said anything.
const DEFAULT_LIMIT: BodyLimit = BodyLimit(65_536);

/// A JSON body as bytes: of the right content type and within the limit, not parsed yet.
#[derive(Debug)]
pub struct JsonBytes(pub Bytes);

/// A JSON body.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl FromRequest for JsonBytes {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        // Asked for always: a form of another site can send JSON text, but not this type.
        if !is_json(request) {
            return Box::pin(async { Err(ApiError::unsupported_media_type().into()) });
        }
        let limit = request
            .app_data::<BodyLimit>()
            .copied()
            .unwrap_or(DEFAULT_LIMIT)
            .0;
        // What says that it is too long need not be waited for.
        if announced(request).is_some_and(|length| length > limit as u64) {
            return Box::pin(async move { Err(ApiError::payload_too_large(limit).into()) });
        }
        let reading = web::Payload::from_request(request, payload);
        Box::pin(async move {
            let read = reading.await?.to_bytes_limited(limit).await;
            match read.map_err(|_| ApiError::payload_too_large(limit))? {
                Ok(bytes) => Ok(Self(bytes)),
                Err(error) => Err(unreadable(&error, limit).into()),
            }
        })
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let reading = JsonBytes::from_request(request, payload);
        Box::pin(async move { Ok(Self(parse_json(&reading.await?.0)?)) })
    }
}

fn announced(request: &HttpRequest) -> Option<u64> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn is_json(request: &HttpRequest) -> bool {
    let Ok(Some(mime)) = request.mime_type() else {
        return false;
    };
    let (kind, suffix) = (mime.subtype(), mime.suffix());
    mime.type_() == "application" && (kind == "json" || suffix.is_some_and(|suffix| suffix == "json"))
}

fn unreadable(error: &Error, limit: usize) -> ApiError {
    match error.as_error::<PayloadError>() {
        Some(PayloadError::Overflow) => ApiError::payload_too_large(limit),
        _ => ApiError::malformed("The body ended before it was complete"),
    }
}

/// Parses JSON; an error names the field at fault by its path.
///
/// # Errors
/// When it is not JSON, or not what it should be.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut from = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut from).map_err(|error| {
        let (path, inner) = (error.path().to_string(), error.inner());
        if inner.is_data() {
            misfit(path, &inner.to_string())
        } else {
            not_json(inner)
        }
    })?;
    from.end().map_err(|error| not_json(&error))?;
    Ok(parsed)
}

fn not_json(error: &serde_json::Error) -> ApiError {
    ApiError::malformed(format!(
        "The body is not valid JSON (line {}, column {})",
        error.line(),
        error.column()
    ))
}

/// serde names a missing or unknown field in the message only, by its parent in the path.
fn misfit(path: String, message: &str) -> ApiError {
    let message = message
        .rsplit_once(" at line ")
        .map_or(message, |(message, _)| message);
    let parent = if path == "." { "" } else { path.as_str() };
    let named = |start: &str| Some(message.strip_prefix(start)?.split_once('`')?.0);
    if let Some(name) = named("missing field `") {
        return ApiError::invalid(joined(parent, name), "is required");
    }
    if let Some(name) = named("unknown field `") {
        // The path of an unknown field ends in its name already.
        let field = if parent.ends_with(name) {
            parent.to_owned()
        } else {
            joined(parent, name)
        };
        return ApiError::invalid(field, "is not known");
    }
    ApiError::invalid(
        if parent.is_empty() {
            "body".to_owned()
        } else {
            path
        },
        message,
    )
}

fn joined(parent: &str, name: &str) -> String {
    if parent.is_empty() {
        name.to_owned()
    } else {
        format!("{parent}.{name}")
    }
}

/// Makes `web::Query` fail with `VALIDATION_FAILED`.
pub fn query_config() -> web::QueryConfig {
    web::QueryConfig::default().error_handler(|error, _| {
        let text = error.to_string();
        let text = text.strip_prefix("Query deserialize error: ").unwrap_or(&text);
        misfit(".".into(), text).into()
    })
}

/// Makes `web::Path` fail with `NOT_FOUND`: no such thing can be there.
pub fn path_config() -> web::PathConfig {
    web::PathConfig::default().error_handler(|_, _| ApiError::not_found("Not found").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::error::Code;
    use actix_web::test::TestRequest;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code)]
        latitude: f64,
    }

    #[derive(Debug, Deserialize)]
    struct Outer {
        #[expect(dead_code)]
        location: Inner,
    }

    fn message(body: &str) -> String {
        parse_json::<Outer>(body.as_bytes())
            .unwrap_err()
            .message()
            .to_owned()
    }

    #[test]
    fn the_field_at_fault_is_named_by_its_path() {
        assert_eq!(
            message(r#"{"location":{"latitude":1},"more":1}x"#),
            "The body is not valid JSON (line 1, column 37)"
        );
        assert_eq!(
            message(r#"{"location":"#),
            "The body is not valid JSON (line 1, column 12)"
        );
        assert_eq!(message("{}"), "location: is required");
        assert_eq!(message(r#"{"location":{}}"#), "location.latitude: is required");
        assert_eq!(
            message(r#"{"location":{"latitude":1,"x":2}}"#),
            "location.x: is not known"
        );
        assert_eq!(
            message(r#"{"location":{"latitude":"north"}}"#),
            "location.latitude: invalid type: string \"north\", expected f64"
        );
        assert!(
            message("[]").starts_with("body: ") || message("[]").starts_with("location"),
            "{}",
            message("[]")
        );
    }

    async fn extract(content_type: &str, body: &'static str, limit: usize) -> Result<Bytes, ApiError> {
        let request = TestRequest::post()
            .insert_header(("content-type", content_type))
            .app_data(BodyLimit(limit))
            .set_payload(body);
        let (request, mut payload) = request.to_http_parts();
        let extracted = JsonBytes::from_request(&request, &mut payload).await;
        extracted
            .map(|body| body.0)
            .map_err(|error| error.as_error::<ApiError>().unwrap().clone())
    }

    #[actix_web::test]
    async fn a_body_must_be_json_by_its_type_and_within_the_limit() {
        assert_eq!(
            extract("application/json; charset=utf-8", "{}", 2).await.unwrap(),
            "{}"
        );
        assert_eq!(extract("application/geo+json", "{}", 2).await.unwrap(), "{}");
        assert_eq!(
            extract("text/plain", "{}", 2).await.unwrap_err().code(),
            Code::UnsupportedMediaType
        );
        assert_eq!(
            extract("application/json", "{ }", 2).await.unwrap_err().code(),
            Code::PayloadTooLarge
        );
    }
}
