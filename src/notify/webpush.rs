//! The push service of a browser: encrypted for it (RFC 8291), by whom it is from (RFC 8292).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::client::{Answer, Http};
use super::encrypted;
use super::settings::{Common, SettingsError, WebPushSettings};
use super::{Provider, Sent, Templates, bearer, push_data};
use crate::domain::notify::{Destination, Lane, Outgoing, Vendor, WebPushKeys};

/// A token is good for so long; a day is the most.
const TOKEN_LIVES: Duration = Duration::from_secs(12 * 3_600);
/// It is used for so long.
const TOKEN_USED: Duration = Duration::from_secs(6 * 3_600);
/// Push services whose token is remembered; with more of them all are signed anew.
const TOKENS_MAX: usize = 64;
/// The longest time that services keep a message.
const TTL_MAX: Duration = Duration::from_secs(28 * 86_400);

/// Carries pushes to browsers.
pub(super) struct WebPush {
    http: Http,
    sign: bearer::Sign,
    public: String,
    subject: String,
    hosts: Vec<String>,
    allow_http: bool,
    tokens: Mutex<HashMap<String, (String, Instant)>>,
    templates: Arc<Templates>,
}

impl WebPush {
    pub(super) fn of(
        common: &Common,
        settings: &WebPushSettings,
        templates: Arc<Templates>,
    ) -> Result<Self, SettingsError> {
        let point = settings.key.verifying_key().to_encoded_point(false);
        Ok(Self {
            http: Http::of_many(common, settings.allow_http, "notify.webpush")?,
            sign: bearer::es256(settings.key.clone()),
            public: URL_SAFE_NO_PAD.encode(point.as_bytes()),
            subject: settings.subject.clone(),
            hosts: settings.hosts.clone(),
            allow_http: settings.allow_http,
            tokens: Mutex::new(HashMap::new()),
            templates,
        })
    }

    /// The address to post to, if it is a push service's: subscriptions come from outside, and must not lead anybody to
    /// our neighbours.
    fn endpoint(&self, keys: &WebPushKeys) -> Option<Url> {
        let url = Url::parse(keys.endpoint.reveal()).ok()?;
        let host = url.host_str()?;
        let known = self.hosts.iter().any(|own| {
            let below = host.strip_suffix(own.as_str());
            below.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        });
        let secure = url.scheme() == "https" || (self.allow_http && url.scheme() == "http");
        (known && secure && url.username().is_empty() && url.password().is_none()).then_some(url)
    }

    /// `vapid t=…, k=…` for a push service.
    fn authorization(&self, url: &Url) -> String {
        let origin = url.origin().ascii_serialization();
        let mut tokens = self.tokens.lock();
        let held = tokens
            .get(&origin)
            .filter(|(_, made)| made.elapsed() < TOKEN_USED);
        let token = if let Some((token, _)) = held {
            token.clone()
        } else {
            let ends = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .saturating_add(TOKEN_LIVES);
            let claims = json!({"aud": origin, "exp": ends.as_secs(), "sub": self.subject});
            let header = json!({"typ": "JWT", "alg": "ES256"});
            let token = (self.sign)(&header, &claims).unwrap_or_default();
            if tokens.len() >= TOKENS_MAX {
                tokens.clear();
            }
            tokens.insert(origin, (token.clone(), Instant::now()));
            token
        };
        format!("vapid t={token}, k={}", self.public)
    }
}

/// What an answer means.
fn sent(answer: &Answer) -> Sent {
    let code = answer.code();
    match answer.status {
        200..=299 => Sent::Accepted { reference: None },
        404 | 410 => Sent::Dead { code, forget: true },
        401 | 403 => Sent::Barred { code },
        408 => Sent::Unknown { code },
        429 | 500..=599 => answer.busy(None),
        _ => Sent::Refused { code },
    }
}

/// By which a push service replaces a message with one of the same name: 32 characters of base64url (RFC 8030).
fn topic(key: &str) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(key)[..24])
}

#[async_trait]
impl Provider for WebPush {
    fn vendor(&self) -> Vendor {
        Vendor::WebPush
    }

    fn carries(&self, to: &Destination) -> bool {
        matches!(to, Destination::WebPush(_))
    }

    async fn send(&self, message: &Outgoing) -> Sent {
        let Destination::WebPush(keys) = &message.to else {
            return Sent::misdirected();
        };
        let dead = |code: &str| Sent::Dead {
            code: code.into(),
            forget: false,
        };
        let Some(url) = self.endpoint(keys) else {
            return dead("endpoint_not_allowed");
        };
        let fitted = push_data::fitted(&self.templates, message, encrypted::PLAIN_MAX_BYTES, |fields| {
            json!(fields).to_string()
        });
        let Ok(plain) = fitted else {
            return Sent::no_text();
        };
        let Some(body) = encrypted::seal(plain.as_bytes(), keys.p256dh.reveal(), keys.auth.reveal()) else {
            return dead("keys");
        };
        let request = self
            .http
            .post(url.clone())
            .header(AUTHORIZATION, self.authorization(&url))
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_ENCODING, "aes128gcm")
            .header("ttl", message.ttl.min(TTL_MAX).as_secs())
            .header(
                "urgency",
                if message.lane == Lane::Low {
                    "normal"
                } else {
                    "high"
                },
            )
            .header("topic", topic(&message.key))
            .body(body);
        match self.http.ask(request).await {
            Ok(answer) => sent(&answer),
            Err(silence) => silence.into(),
        }
    }
}
