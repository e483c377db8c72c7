//! Conditional requests (RFC 9110, section 13): whoever asks again for what has not changed gets 304 and no body.
//!
//! A tag is made of what an answer depends on, the log's position above all, before anything is rendered and where
//! possible before anything is read. It is weak: it says that two answers mean the same, whatever bytes they are
//! sent in. It differs between readers, so that one who is shown more never takes another's answer for theirs.

use std::hash::{DefaultHasher, Hash, Hasher};

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, VARY};
use actix_web::{HttpRequest, HttpResponse};

use crate::domain::people::Identity;

/// A browser may keep the answer for its user and asks each time whether it still holds.
const REVALIDATE: HeaderValue = HeaderValue::from_static("private, no-cache");

/// Everything in a request, besides the URL, that decides what is answered.
const DEPENDS_ON: HeaderValue =
    HeaderValue::from_static("Authorization, Cookie, X-Device-ID, X-Device-Token, Accept");

/// What an answer depends on, part by part: the request's URL, the reader, and what a route adds. It knows what the
/// client has already, so that it can be judged where the answer lives.
#[derive(Clone, Debug)]
pub struct Stamp {
    hasher: DefaultHasher,
    known: Vec<HeaderValue>,
}

/// An answer that was judged: its tag, and what is to be told if the client does not have it.
#[derive(Debug)]
pub struct Judged<T> {
    tag: String,
    new: Option<T>,
}

impl Stamp {
    /// The URL asked for, and who reads.
    pub fn new(request: &HttpRequest, reader: Option<&Identity>) -> Self {
        let mut hasher = DefaultHasher::new();
        // Another version may tell the same things in another shape.
        env!("CARGO_PKG_VERSION").hash(&mut hasher);
        (request.path(), request.query_string()).hash(&mut hasher);
        reader
            .map(|reader| (&reader.subject, reader.role, &reader.mission, &reader.phone))
            .hash(&mut hasher);
        let known = request.headers().get_all(IF_NONE_MATCH).cloned();
        Self {
            hasher,
            known: known.collect(),
        }
    }

    /// Something else that the answer depends on.
    #[must_use]
    pub fn with(mut self, part: impl Hash) -> Self {
        part.hash(&mut self.hasher);
        self
    }

    /// A number with a fraction that the answer depends on.
    #[must_use]
    pub fn with_number(self, number: f64) -> Self {
        self.with(number.to_bits())
    }

    fn tag(&self) -> String {
        format!("W/\"{:016x}\"", self.hasher.finish())
    }

    /// Whether the client has the answer already; if not, `make` makes what it is to be told.
    pub fn judge<T>(&self, make: impl FnOnce() -> T) -> Judged<T> {
        let tag = self.tag();
        let new = (!is_known(&self.known, &tag)).then(make);
        Judged { tag, new }
    }

    /// 304 when the client has this answer already, else what `render` makes, with the tag by which to ask again.
    pub fn answer(&self, render: impl FnOnce() -> HttpResponse) -> HttpResponse {
        self.judge(render).told(|response| response)
    }

    /// 304 when the client has this answer already: then there is nothing to read or make ready.
    pub fn unchanged(&self) -> Option<HttpResponse> {
        let judged = self.judge(|| ());
        judged
            .new
            .is_none()
            .then(|| judged.told(|()| HttpResponse::NotModified().finish()))
    }
}

impl<T> Judged<T> {
    /// 304, or what `render` makes of what is new.
    pub fn told(self, render: impl FnOnce(T) -> HttpResponse) -> HttpResponse {
        let mut response = match self.new {
            Some(new) => render(new),
            None => HttpResponse::NotModified().finish(),
        };
        let status = response.status();
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            mark(response.headers_mut(), &self.tag);
        }
        response
    }
}

fn mark(headers: &mut HeaderMap, tag: &str) {
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(ETAG, tag);
    }
    headers.insert(CACHE_CONTROL, REVALIDATE);
    headers.append(VARY, DEPENDS_ON);
}

/// Whether `If-None-Match` names the tag. Tags are compared weakly; what is no list of tags names nothing.
fn is_known(given: &[HeaderValue], tag: &str) -> bool {
    let mut given = given.iter().map(HeaderValue::as_bytes);
    given.any(|list| list.trim_ascii() == b"*" || Tags(list).any(|known| known == opaque(tag.as_bytes())))
}

/// The part of a tag that is compared.
fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// The tags of a list, quotation marks included. A comma may stand inside one.
struct Tags<'a>(&'a [u8]);

impl<'a> Iterator for Tags<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let from = self.0.iter().position(|byte| !b" \t,".contains(byte))?;
        let tag = opaque(&self.0[from..]);
        let end = tag.strip_prefix(b"\"")?.iter().position(|byte| *byte == b'"')? + 2;
        let (tag, rest) = tag.split_at(end);
        self.0 = rest;
        Some(tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::DeviceId;
    use actix_web::http::header::HeaderName;
    use actix_web::test::TestRequest;

    fn asked(lines: &[&str]) -> HttpRequest {
        let request = TestRequest::get().uri("/api/v1/sos?limit=3");
        let add = |request: TestRequest, line: &&str| request.append_header((IF_NONE_MATCH, *line));
        lines.iter().fold(request, add).to_http_request()
    }

    fn status(request: &HttpRequest) -> u16 {
        let stamp = Stamp::new(request, None);
        stamp.answer(|| HttpResponse::Ok().body("it")).status().as_u16()
    }

    fn header(response: &HttpResponse, name: HeaderName) -> String {
        response.headers().get(name).unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn an_answer_goes_with_a_tag_and_the_tag_brings_304_with_the_same_headers() {
        let stamp = |request: &HttpRequest| Stamp::new(request, None).with(7);
        let whole = stamp(&asked(&[])).answer(|| HttpResponse::Ok().body("it"));
        assert_eq!(whole.status(), 200);
        let tag = header(&whole, ETAG);
        assert!(tag.starts_with("W/\"") && tag.ends_with('"'), "{tag}");
        let again = asked(&[&tag]);
        let rest = stamp(&again).answer(|| unreachable!("nothing is rendered"));
        assert_eq!(rest.status(), 304);
        assert!(stamp(&again).unchanged().is_some() && stamp(&asked(&[])).unchanged().is_none());
        for name in [ETAG, CACHE_CONTROL, VARY] {
            assert_eq!(header(&whole, name.clone()), header(&rest, name));
        }
        assert_eq!(header(&rest, CACHE_CONTROL), "private, no-cache");
        assert!(header(&rest, VARY).contains("Authorization") && header(&rest, VARY).contains("X-Device-ID"));
    }

    #[test]
    fn an_answer_that_depends_on_something_else_has_another_tag() {
        let request = asked(&[]);
        let device = |n| Identity::device(DeviceId::from_random([n; 16]));
        let stamps = [
            Stamp::new(&request, None),
            Stamp::new(&request, None).with(1),
            Stamp::new(&request, None).with(2),
            Stamp::new(&request, None).with_number(0.5),
            Stamp::new(&request, Some(&device(1))),
            Stamp::new(&request, Some(&device(2))),
            Stamp::new(
                &TestRequest::get().uri("/api/v1/sos?limit=4").to_http_request(),
                None,
            ),
        ];
        for (n, one) in stamps.iter().enumerate() {
            for other in &stamps[n + 1..] {
                assert_ne!(one.tag(), other.tag());
            }
        }
    }

    #[test]
    fn if_none_match_is_a_list_that_is_compared_weakly() {
        let stamp = Stamp::new(&asked(&[]), None);
        let tag = stamp.tag();
        let strong = tag.strip_prefix("W/").unwrap();
        for known in [
            vec![tag.as_str()],
            vec![strong],
            vec!["*"],
            vec![" * "],
            vec!["\"a\"", &tag],
            vec![&format!("\"a\", W/\"b,c\" ,{tag}")],
            vec![&format!(",, {strong},\"z\"")],
        ] {
            assert_eq!(status(&asked(&known)), 304, "{known:?}");
        }
        for unknown in [
            vec!["\"a\""],
            vec![""],
            vec!["W/"],
            vec!["\"*\""],
            vec![strong.trim_matches('"')],
            vec![&format!("\"{}", strong.trim_matches('"'))],
            vec![&format!("\"x{strong}")],
            vec![&tag.to_lowercase()],
        ] {
            assert_eq!(status(&asked(&unknown)), 200, "{unknown:?}");
        }
    }

    #[test]
    fn an_error_has_no_tag() {
        let stamp = Stamp::new(&asked(&[]), None);
        let refused = stamp.answer(|| HttpResponse::NotFound().finish());
        assert!(!refused.headers().contains_key(ETAG) && !refused.headers().contains_key(CACHE_CONTROL));
    }
}
