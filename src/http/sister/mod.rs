//! The engine as a client of sister services (that which keeps incidents, that which keeps contacts): for each one
//! connection pool, one address, one credential.

mod contacts;
mod feed;
mod lookup;

pub use self::contacts::ContactsKeeper;
pub use self::feed::SosEvents;

use std::error::Error as _;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Response, Url};

use crate::actors::lookup::Trouble;
use crate::config::{Contacts, Secret, Services};

const INTERNAL_TOKEN: HeaderName = HeaderName::from_static("x-internal-token");
/// How long a connection that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(60);

/// The service cannot be spoken to as the settings say.
#[derive(Debug, thiserror::Error)]
pub enum SisterError {
    /// The authorities to trust cannot be read.
    #[error("{key}: {}: {why}", path.display())]
    Authorities {
        /// By which setting.
        key: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// There can be no requests to such an address, or with such a token.
    #[error("{key}: {why}")]
    Setting {
        /// Which.
        key: &'static str,
        /// Why.
        why: String,
    },
}

/// How a service is reached; texts with the keys of their settings.
struct Way<'s> {
    url: (&'static str, &'s str),
    ca_file: (&'static str, &'s str),
    token_key: &'static str,
    connect_timeout: Duration,
    at_once: usize,
    answer_max_bytes: usize,
}

/// A service, as it is reached.
#[derive(Clone)]
pub struct Sister {
    client: Client,
    base: Url,
    token: HeaderValue,
    answer_max_bytes: usize,
}

impl fmt::Debug for Sister {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sister(…)")
    }
}

impl Sister {
    /// The one that keeps incidents, by the settings; `token` is what it wants to see.
    ///
    /// # Errors
    /// When it cannot be spoken to so.
    pub fn of(settings: &Services, token: &Secret) -> Result<Self, SisterError> {
        Self::by(
            &Way {
                url: ("services.sos_url", &settings.sos_url),
                ca_file: ("services.sos_ca_file", &settings.sos_ca_file),
                token_key: "services.sos_token",
                connect_timeout: settings.connect_timeout(),
                at_once: settings.lookups_max.max(settings.feed_requests_max),
                answer_max_bytes: settings.answer_max_bytes,
            },
            token,
        )
    }

    /// The one that keeps contacts.
    ///
    /// # Errors
    /// As [`Sister::of`].
    pub fn of_contacts(settings: &Contacts, token: &Secret) -> Result<Self, SisterError> {
        Self::by(
            &Way {
                url: ("contacts.url", &settings.url),
                ca_file: ("contacts.ca_file", &settings.ca_file),
                token_key: "contacts.contacts_token",
                connect_timeout: settings.connect_timeout(),
                at_once: settings.requests_max,
                answer_max_bytes: settings.answer_max_bytes,
            },
            token,
        )
    }

    fn by(way: &Way<'_>, token: &Secret) -> Result<Self, SisterError> {
        let wrong = |key, why: String| SisterError::Setting { key, why };
        let (url_key, url) = way.url;
        let base = Url::parse(url).map_err(|error| wrong(url_key, error.to_string()))?;
        let mut builder = Client::builder()
            // The settings name whom to trust.
            .redirect(Policy::none())
            .connect_timeout(way.connect_timeout)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(way.at_once)
            .tcp_nodelay(true)
            .referer(false)
            .user_agent(concat!("mayday/", env!("CARGO_PKG_VERSION")));
        if base.scheme() == "http" {
            // Nothing to prove to anybody, and a proxy for the world outside does not know the neighbours.
            builder = builder.no_proxy().tls_built_in_root_certs(false);
        } else {
            builder = builder.https_only(true);
        }
        for authority in authorities(way.ca_file)? {
            builder = builder.add_root_certificate(authority);
        }
        let client = builder.build().map_err(|error| wrong(url_key, chain(&error)))?;
        let mut token = HeaderValue::from_bytes(token.reveal())
            .map_err(|_| wrong(way.token_key, "is no text for a header".into()))?;
        token.set_sensitive(true);
        Ok(Self {
            client,
            base,
            token,
            answer_max_bytes: way.answer_max_bytes,
        })
    }

    /// An address of the service: its own and these parts of a path.
    fn at(&self, parts: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(parts);
        }
        url
    }

    /// The body of an answer, as far as it is not too long.
    async fn body(&self, mut answer: Response) -> Result<Option<Vec<u8>>, Trouble> {
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(trouble)? {
            if body.len() + chunk.len() > self.answer_max_bytes {
                return Ok(None);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Some(body))
    }
}

/// When the service wants to be asked again, in seconds or as a date.
fn retry_after(answer: &Response) -> Option<Duration> {
    let text = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(
        at.duration_since(std::time::SystemTime::now())
            .unwrap_or_default(),
    )
}

/// Without the address, which is the operator's affair.
fn trouble(error: reqwest::Error) -> Trouble {
    if error.is_timeout() {
        Trouble::Timeout
    } else {
        Trouble::Unreachable(chain(&error.without_url()))
    }
}

fn authorities((key, path): (&'static str, &str)) -> Result<Vec<Certificate>, SisterError> {
    if path.is_empty() {
        return Ok(vec![]);
    }
    let failed = |why: String| SisterError::Authorities {
        key,
        path: path.into(),
        why,
    };
    let text = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let found = Certificate::from_pem_bundle(&text).map_err(|error| failed(chain(&error)))?;
    if found.is_empty() {
        return Err(failed("holds no certificate".into()));
    }
    Ok(found)
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

    fn sister(url: &str) -> Sister {
        let settings = Services {
            sos_url: url.into(),
            ..Services::default()
        };
        Sister::of(&settings, &Secret::new(&"t".repeat(32)).unwrap()).unwrap()
    }

    #[test]
    fn an_address_is_the_services_own_and_a_path_that_stays_one() {
        for (url, whole) in [
            ("http://127.0.0.1:9", "http://127.0.0.1:9/internal/sos/a:b"),
            ("http://127.0.0.1:9/", "http://127.0.0.1:9/internal/sos/a:b"),
            (
                "http://127.0.0.1:9/api/",
                "http://127.0.0.1:9/api/internal/sos/a:b",
            ),
        ] {
            assert_eq!(sister(url).at(&["internal", "sos", "a:b"]).as_str(), whole);
        }
        // No id leads elsewhere.
        let url = sister("http://127.0.0.1:9").at(&["internal", "sos", "../x?y#z"]);
        assert_eq!(url.path(), "/internal/sos/..%2Fx%3Fy%23z");
    }

    #[test]
    fn neither_its_address_nor_its_token_is_shown() {
        assert_eq!(format!("{:?}", sister("http://127.0.0.1:9")), "Sister(…)");
    }
}
