//! Bodies, queries and paths as typed values, with errors that name what is wrong.

use std::io::Read as _;

use actix_web::error::PayloadError;
use actix_web::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue};
use actix_web::web::{self, Bytes};
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, dev::Payload};
use flate2::read::MultiGzDecoder;
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;

use super::error::{ApiError, Code};

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
        let packing = match Packing::of(request) {
            Ok(packing) => packing,
            Err(error) => return Box::pin(async { Err(error.into()) }),
        };
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
                Ok(bytes) => Ok(Self(packing.unpack(bytes, limit)?)),
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

/// How a body was packed for its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    None,
    Gzip,
}

impl Packing {
    /// By `Content-Encoding`: gzip, which phones use for what they upload in batches, or nothing.
    fn of(request: &HttpRequest) -> Result<Self, ApiError> {
        let mut codings = Vec::new();
        for value in request.headers().get_all(CONTENT_ENCODING) {
            let text = value.to_str().unwrap_or("?");
            codings.extend(text.split(',').map(|coding| coding.trim().to_ascii_lowercase()));
        }
        codings.retain(|coding| coding != "identity" && !coding.is_empty());
        match codings.as_slice() {
            [] => Ok(Self::None),
            [one] if one == "gzip" || one == "x-gzip" => Ok(Self::Gzip),
            _ => Err(ApiError::new(
                Code::UnsupportedMediaType,
                "Content-Encoding may be gzip, once, or be left out",
            )
            .with_header(ACCEPT_ENCODING, HeaderValue::from_static("gzip"))),
        }
    }

    /// The body as it was. No more than `limit` bytes are ever made of it, whatever they would come to.
    fn unpack(self, bytes: Bytes, limit: usize) -> Result<Bytes, ApiError> {
        if self == Self::None {
            return Ok(bytes);
        }
        let mut plain = Vec::new();
        let most = u64::try_from(limit).unwrap_or(u64::MAX);
        // One byte more than is allowed tells a body that is too large from one that fits exactly.
        let mut reading = MultiGzDecoder::new(&bytes[..]).take(most.saturating_add(1));
        if reading.read_to_end(&mut plain).is_err() {
            return Err(ApiError::malformed("The body is not valid gzip"));
        }
        if plain.len() > limit {
            return Err(ApiError::payload_too_large(limit));
        }
        Ok(plain.into())
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
    use actix_web::test::TestRequest;
    use serde::Deserialize;
    use std::io::Write as _;

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

    fn gzip(plain: &[u8]) -> Bytes {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(plain).unwrap();
        packer.finish().unwrap().into()
    }

    #[test]
    fn what_a_packed_body_comes_to_is_within_the_limit_too() {
        let unpack = |bytes: &[u8], limit| Packing::Gzip.unpack(Bytes::copy_from_slice(bytes), limit);
        assert_eq!(unpack(&gzip(b"{\"a\":1}"), 7).unwrap(), "{\"a\":1}");
        assert_eq!(
            unpack(&gzip(b"{\"a\":1}"), 6).unwrap_err().code(),
            Code::PayloadTooLarge
        );
        // A bomb: 64 MiB in 64 KiB. Only what is allowed is ever made of it.
        let bomb = gzip(&vec![b' '; 64 << 20]);
        assert!(bomb.len() < 70_000, "{}", bomb.len());
        assert_eq!(unpack(&bomb, 65_536).unwrap_err().code(), Code::PayloadTooLarge);
        // Several members one after the other are one body, and a bomb all the same.
        let twice = [gzip(b"[1,"), gzip(b"2]")].concat();
        assert_eq!(unpack(&twice, 5).unwrap(), "[1,2]");
        assert_eq!(unpack(&twice, 4).unwrap_err().code(), Code::PayloadTooLarge);
        for broken in [&b"{}"[..], b"", &gzip(b"{}")[..12]] {
            assert_eq!(unpack(broken, 100).unwrap_err().code(), Code::ValidationFailed);
        }
    }

    #[test]
    fn other_packings_are_refused() {
        let packing = |values: &[&str]| {
            let mut request = TestRequest::post();
            for value in values {
                request = request.append_header((CONTENT_ENCODING, *value));
            }
            Packing::of(&request.to_http_request()).map_err(|error| error.code())
        };
        assert_eq!(packing(&[]), Ok(Packing::None));
        assert_eq!(packing(&["identity"]), Ok(Packing::None));
        assert_eq!(packing(&["GZIP"]), Ok(Packing::Gzip));
        for values in [&["br"][..], &["gzip, gzip"], &["gzip", "br"], &["deflate"]] {
            assert_eq!(packing(values), Err(Code::UnsupportedMediaType), "{values:?}");
        }
    }
}
