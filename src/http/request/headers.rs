//! What every answer tells browsers and caches, unless its route says otherwise.

use std::fmt::Write as _;

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, VARY, X_CONTENT_TYPE_OPTIONS,
};

use crate::config::Config;

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

/// The headers that protect who reads the answer.
#[derive(Clone, Debug)]
pub(super) struct Protection {
    hsts: Option<HeaderValue>,
}

impl Protection {
    pub(super) fn new(config: &Config) -> Self {
        let age = config.tls.hsts_max_age_s;
        Self {
            hsts: (age > 0)
                .then(|| HeaderValue::from_str(&format!("max-age={age}")).ok())
                .flatten(),
        }
    }

    /// Adds what the route has not set itself: a page brings its own content policy, and what may be cached says
    /// so.
    pub(super) fn dress(&self, headers: &mut HeaderMap, https: bool) {
        for (name, value) in [
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
            (CACHE_CONTROL, "no-store"),
            (
                CONTENT_SECURITY_POLICY,
                "default-src 'none'; frame-ancestors 'none'",
            ),
            (PERMISSIONS_POLICY, "geolocation=(), camera=(), microphone=()"),
        ] {
            if !headers.contains_key(&name) {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
        if let (true, Some(hsts)) = (https, &self.hsts) {
            headers.insert(STRICT_TRANSPORT_SECURITY, hsts.clone());
        }
    }
}

/// Notes on which headers of the request the answer depends.
pub(super) fn vary(headers: &mut HeaderMap, on: &[HeaderName]) {
    let mut noted = String::new();
    for value in headers.get_all(VARY).filter_map(|value| value.to_str().ok()) {
        let gap = if noted.is_empty() { "" } else { ", " };
        let _ = write!(noted, "{gap}{value}");
    }
    for name in on {
        let is_noted = noted
            .split(',')
            .any(|known| known.trim().eq_ignore_ascii_case(name.as_str()));
        if !is_noted {
            let gap = if noted.is_empty() { "" } else { ", " };
            let _ = write!(noted, "{gap}{name}");
        }
    }
    if let Ok(value) = HeaderValue::from_str(&noted) {
        headers.insert(VARY, value);
    }
}
