//! What pages of other sites may do: CORS.
//!
//! One rule with the cookie's (`auth`): `cors.origins` may use the API with credentials that they hold, a token or
//! a device id; `auth.cookie_origins` may besides have the browser add its cookie. Only to those the browser is
//! told that credentials are allowed, and only from those the cookie counts. A WebSocket needs none of this: the
//! browser asks nobody's leave for one, and without the cookie it brings no credential that its page does not hold.
//!
//! The crate for this, actix-cors, allows credentials to all origins or to none and answers preflights by
//! itself, without a request id or a metric; here it is a part of the frame that all answers go through.

use actix_http::RequestHead;
use actix_web::HttpResponse;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN,
};
use actix_web::http::{Method, StatusCode};

use super::headers::vary;
use crate::config::Config;

/// Whose pages may do what.
#[derive(Clone, Debug)]
pub(super) struct Cors {
    /// Origins, and whether the cookie counts from there.
    origins: Vec<(HeaderValue, bool)>,
    methods: HeaderValue,
    request_headers: HeaderValue,
    expose_headers: HeaderValue,
    max_age_s: u64,
}

/// A page that may read the answer.
#[derive(Clone, Debug)]
pub(super) struct Page {
    origin: HeaderValue,
    cookie: bool,
}

/// From where a request comes.
#[derive(Clone, Debug)]
pub(super) enum Asker {
    /// CORS has nothing to say: it is off, or the request has no `Origin`.
    Nobody,
    /// A page of an origin that is not listed.
    Stranger,
    /// A page of one that is.
    Allowed(Page),
}

impl Cors {
    pub(super) fn new(config: &Config) -> Self {
        let mut origins: Vec<(HeaderValue, bool)> = Vec::new();
        // Those of the cookie first: they may be in both lists.
        let with_cookie = config.auth.cookie_origins().map(|origin| (origin, true));
        let plain = config.cors.origins().map(|origin| (origin, false));
        for (origin, cookie) in with_cookie.chain(plain) {
            let known =
                |(known, _): &(HeaderValue, bool)| known.as_bytes().eq_ignore_ascii_case(origin.as_bytes());
            if let Ok(value) = HeaderValue::from_str(origin)
                && !origins.iter().any(known)
            {
                origins.push((value, cookie));
            }
        }
        let text = |text: &str| HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""));
        Self {
            origins,
            methods: text(&config.cors.methods),
            request_headers: text(&config.cors.request_headers),
            expose_headers: text(&config.cors.expose_headers),
            max_age_s: config.cors.max_age_s,
        }
    }

    /// Who asks.
    pub(super) fn asker(&self, head: &RequestHead) -> Asker {
        let Some(origin) = head.headers.get(ORIGIN).filter(|_| !self.origins.is_empty()) else {
            return Asker::Nobody;
        };
        let listed = self
            .origins
            .iter()
            .find(|(listed, _)| listed.as_bytes().eq_ignore_ascii_case(origin.as_bytes()));
        listed.map_or(Asker::Stranger, |(_, cookie)| {
            Asker::Allowed(Page {
                // As the browser wrote it, which is what it compares.
                origin: origin.clone(),
                cookie: *cookie,
            })
        })
    }

    /// The answer to a browser that asks what a listed page may do. To any other page the route's own answer to
    /// OPTIONS goes, which allows it nothing.
    pub(super) fn preflight(&self, head: &RequestHead, asker: &Asker) -> Option<HttpResponse> {
        let asks = head.method == Method::OPTIONS && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        let (true, Asker::Allowed(_)) = (asks, asker) else {
            return None;
        };
        let mut response = HttpResponse::new(StatusCode::NO_CONTENT);
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, self.request_headers.clone());
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(self.max_age_s));
        vary(
            headers,
            &[ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_REQUEST_HEADERS],
        );
        Some(response)
    }

    /// Lets the page read the answer. The answer depends on the origin, whether or not this one is listed.
    pub(super) fn dress(&self, headers: &mut HeaderMap, asker: &Asker) {
        if self.origins.is_empty() {
            return;
        }
        vary(headers, &[ORIGIN]);
        let Asker::Allowed(page) = asker else { return };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, page.origin.clone());
        if page.cookie {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        if !self.expose_headers.is_empty() {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, self.expose_headers.clone());
        }
    }
}
