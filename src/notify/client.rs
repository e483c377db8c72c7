//! What all vendors that are spoken to over HTTP have in common: how the client is set up, how much of an answer is read,
//! and what it means when there is none.

use std::error::Error as _;
use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, RequestBuilder, Response, Url};
use serde_json::Value;

use super::settings::{Common, SettingsError};
use super::{Sent, code};

/// How long a connection that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(60);
/// A vendor that wants to be left alone for longer is not believed: what waits would be over.
const AFTER_MAX: Duration = Duration::from_secs(3_600);

/// A way to one vendor.
#[derive(Clone, Debug)]
pub(super) struct Http {
    client: Client,
    timeout: Duration,
    answer_max_bytes: usize,
}

/// What is spoken.
#[derive(Clone, Copy)]
enum Way {
    /// `http` to a base address of the settings.
    Clear,
    Secure,
    Either,
}

impl Way {
    fn of(base: &Url) -> Self {
        if base.scheme() == "http" {
            Self::Clear
        } else {
            Self::Secure
        }
    }
}

/// What a vendor answered.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// When it wants to be asked again.
    pub after: Option<Duration>,
    /// `None`: it broke off, took too long, or is too large. What the status says holds all the same.
    pub body: Option<Vec<u8>>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// The request certainly did not reach the vendor.
    Unsent(&'static str),
    /// It may have.
    Unsure(&'static str),
}

impl From<Silence> for Sent {
    fn from(silence: Silence) -> Self {
        match silence {
            Silence::Unsent(code) => Self::Busy {
                code: code.into(),
                after: None,
            },
            Silence::Unsure(code) => Self::Unknown { code: code.into() },
        }
    }
}

impl Http {
    /// A client for one vendor, at `base`.
    pub(super) fn of(common: &Common, base: &Url, key: &'static str) -> Result<Self, SettingsError> {
        Self::build(common, Way::of(base), false, key)
    }

    /// One that speaks HTTP/2 only, also in the clear.
    pub(super) fn of_http2(common: &Common, base: &Url, key: &'static str) -> Result<Self, SettingsError> {
        Self::build(common, Way::of(base), true, key)
    }

    /// One for addresses that are not in the settings; `allow_http`: in the clear, too.
    pub(super) fn of_many(
        common: &Common,
        allow_http: bool,
        key: &'static str,
    ) -> Result<Self, SettingsError> {
        let way = if allow_http { Way::Either } else { Way::Secure };
        Self::build(common, way, false, key)
    }

    fn build(common: &Common, way: Way, http2: bool, key: &'static str) -> Result<Self, SettingsError> {
        let mut builder = Client::builder()
            // The settings name whom to trust.
            .redirect(Policy::none())
            .connect_timeout(common.connect_timeout)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(common.connections_idle_max)
            .tcp_nodelay(true)
            .referer(false)
            .user_agent(concat!("mayday/", env!("CARGO_PKG_VERSION")));
        if http2 {
            builder = builder
                .http2_prior_knowledge()
                .http2_keep_alive_interval(IDLE)
                .http2_keep_alive_timeout(common.timeout);
        }
        builder = match way {
            // Nothing to prove to anybody, and a proxy for the world outside does not know the neighbours.
            Way::Clear => builder.no_proxy().tls_built_in_root_certs(false),
            Way::Secure => builder.https_only(true),
            Way::Either => builder.no_proxy(),
        };
        for authority in &common.authorities {
            let authority =
                Certificate::from_der(authority).map_err(|error| SettingsError::new(key, chain(&error)))?;
            builder = builder.add_root_certificate(authority);
        }
        Ok(Self {
            client: builder
                .build()
                .map_err(|error| SettingsError::new(key, chain(&error)))?,
            timeout: common.timeout,
            answer_max_bytes: common.answer_max_bytes,
        })
    }

    pub(super) fn post(&self, url: Url) -> RequestBuilder {
        self.client.post(url).timeout(self.timeout)
    }

    pub(super) fn get(&self, url: Url) -> RequestBuilder {
        self.client.get(url).timeout(self.timeout)
    }

    /// Sends it and reads what comes back.
    pub(super) async fn ask(&self, request: RequestBuilder) -> Result<Answer, Silence> {
        let answer = request.send().await.map_err(|error| silence(&error))?;
        Ok(Answer {
            status: answer.status().as_u16(),
            after: retry_after(answer.headers(), SystemTime::now()),
            headers: answer.headers().clone(),
            body: self.body(answer).await,
        })
    }

    async fn body(&self, mut answer: Response) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.ok()? {
            if body.len() + chunk.len() > self.answer_max_bytes {
                return None;
            }
            body.extend_from_slice(&chunk);
        }
        Some(body)
    }
}

impl Answer {
    /// The body as JSON, if it is.
    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(self.body.as_deref()?).ok()
    }

    /// A header that is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether it says that all is well.
    pub(super) const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// `http_503`.
    pub(super) fn code(&self) -> String {
        format!("http_{}", self.status)
    }

    /// The vendor's own code, or the status.
    pub(super) fn code_or(&self, own: Option<&str>) -> String {
        own.map_or_else(|| self.code(), code)
    }

    /// The vendor wants to be asked later.
    pub(super) fn busy(&self, own: Option<&str>) -> Sent {
        Sent::Busy {
            code: self.code_or(own),
            after: self.after,
        }
    }
}

/// What it means that a request failed.
fn silence(error: &reqwest::Error) -> Silence {
    // A connection that was not made in time counts as both.
    if error.is_connect() {
        Silence::Unsent("connect")
    } else if error.is_builder() {
        Silence::Unsent("request")
    } else if error.is_timeout() {
        Silence::Unsure("timeout")
    } else {
        Silence::Unsure("broken_off")
    }
}

/// When a vendor wants to be asked again, in seconds or as a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let after = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text)
            .ok()?
            .duration_since(now)
            .unwrap_or_default(),
    };
    Some(after.min(AFTER_MAX))
}

/// `base` and these parts of a path; none of them leads elsewhere.
pub(super) fn at<'p>(base: &Url, parts: impl IntoIterator<Item = &'p str>) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(parts);
    }
    url
}

/// What is behind an error stands in its causes.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn when_to_come_back_is_read_in_seconds_and_as_a_date_and_is_bounded() {
        let now = httpdate::parse_http_date("Sat, 21 Nov 2026 12:00:00 GMT").unwrap();
        for (text, expected) in [
            ("7", Some(7)),
            ("Sat, 21 Nov 2026 12:00:30 GMT", Some(30)),
            ("Sat, 21 Nov 2026 11:00:00 GMT", Some(0)),
            ("99999999", Some(3_600)),
            ("soon", None),
            ("-1", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
            assert_eq!(
                retry_after(&headers, now),
                expected.map(Duration::from_secs),
                "{text}"
            );
        }
    }

    #[test]
    fn no_part_of_a_path_leads_elsewhere() {
        let base = Url::parse("https://a.example/api/").unwrap();
        assert_eq!(
            at(&base, ["x", "../y?z#w"]).as_str(),
            "https://a.example/api/x/..%2Fy%3Fz%23w"
        );
    }
}
