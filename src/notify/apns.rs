//! Apple's push service: HTTP/2, and a signed token that is used for three quarters of an hour.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use parking_lot::Mutex;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::client::{Answer, Http, at};
use super::settings::{ApnsSettings, Common, SettingsError};
use super::{Provider, Sent, Templates, bearer, push_data};
use crate::domain::notify::{Destination, Lane, Outgoing, PushToken, Vendor};

/// Apple refuses tokens that are older than an hour, and those that change more often than every twenty minutes.
const RENEWED_AFTER: Duration = Duration::from_secs(45 * 60);
const KEPT_AT_LEAST: Duration = Duration::from_secs(20 * 60);
/// The largest payload.
const PAYLOAD_MAX_BYTES: usize = 4_096;
/// The longest `apns-collapse-id`.
const COLLAPSE_ID_MAX: usize = 64;

/// Carries pushes to Apple's devices.
pub(super) struct Apns {
    http: Http,
    base: Url,
    sign: bearer::Sign,
    key_id: String,
    team_id: String,
    topic: String,
    signed: Mutex<Option<(String, Instant)>>,
    templates: Arc<Templates>,
}

impl Apns {
    pub(super) fn of(
        common: &Common,
        settings: &ApnsSettings,
        templates: Arc<Templates>,
    ) -> Result<Self, SettingsError> {
        Ok(Self {
            http: Http::of_http2(common, &settings.base_url, "notify.apns.base_url")?,
            base: settings.base_url.clone(),
            sign: bearer::es256(settings.key.clone()),
            key_id: settings.key_id.clone(),
            team_id: settings.team_id.clone(),
            topic: settings.topic.clone(),
            signed: Mutex::new(None),
            templates,
        })
    }

    /// The token to show, and since when it is.
    fn token(&self) -> (String, Instant) {
        let mut signed = self.signed.lock();
        if let Some(held) = signed.as_ref().filter(|(_, made)| made.elapsed() < RENEWED_AFTER) {
            return held.clone();
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let header = json!({"alg": "ES256", "kid": self.key_id});
        let claims = json!({"iss": self.team_id, "iat": now.as_secs()});
        let token = (self.sign)(&header, &claims).unwrap_or_default();
        signed.insert((token, Instant::now())).clone()
    }

    /// Apple took it for too old: another one, unless it is too young for that.
    fn sign_anew(&self, made: Instant) -> bool {
        let mut signed = self.signed.lock();
        if made.elapsed() < KEPT_AT_LEAST {
            return false;
        }
        if signed.as_ref().is_some_and(|held| held.1 == made) {
            *signed = None;
        }
        true
    }

    fn payload(&self, message: &Outgoing) -> Result<String, super::templates::NoText> {
        push_data::fitted(&self.templates, message, PAYLOAD_MAX_BYTES, |fields| {
            let mut payload = json!({"aps": {
                "alert": {"title": fields["title"], "body": fields["body"]},
                "sound": "default",
                "interruption-level": "time-sensitive",
            }});
            for (name, value) in fields
                .iter()
                .filter(|(name, _)| !matches!(name.as_str(), "title" | "body"))
            {
                payload[name] = json!(value);
            }
            payload.to_string()
        })
    }
}

enum Verdict {
    Is(Sent),
    TokenTooOld,
}

/// What its answer means.
fn verdict(answer: &Answer) -> Verdict {
    let json = answer.json().unwrap_or(Value::Null);
    let reason = json["reason"].as_str();
    let code = answer.code_or(reason);
    Verdict::Is(match (answer.status, reason.unwrap_or_default()) {
        (200..=299, _) => Sent::Accepted { reference: None },
        (410, _) | (_, "BadDeviceToken" | "Unregistered" | "ExpiredToken") => {
            Sent::Dead { code, forget: true }
        }
        (403, "ExpiredProviderToken") => return Verdict::TokenTooOld,
        (_, "DeviceTokenNotForTopic") => Sent::Dead { code, forget: false },
        (429 | 500..=599, _) => answer.busy(reason),
        (403, _) | (_, "TopicDisallowed" | "BadTopic" | "MissingTopic") => Sent::Barred { code },
        (408, _) => Sent::Unknown { code },
        _ => Sent::Refused { code },
    })
}

fn is_hex(token: &PushToken) -> bool {
    (16..=512).contains(&token.reveal().len()) && token.reveal().bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[async_trait]
impl Provider for Apns {
    fn vendor(&self) -> Vendor {
        Vendor::Apns
    }

    fn carries(&self, to: &Destination) -> bool {
        matches!(to, Destination::Apns(_))
    }

    async fn send(&self, message: &Outgoing) -> Sent {
        let Destination::Apns(to) = &message.to else {
            return Sent::misdirected();
        };
        if !is_hex(to) {
            return Sent::Dead {
                code: "BadDeviceToken".into(),
                forget: true,
            };
        }
        let Ok(payload) = self.payload(message) else {
            return Sent::no_text();
        };
        let until = SystemTime::now() + message.ttl.min(Duration::from_secs(30 * 86_400));
        let until = until.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let (token, made) = self.token();
        let request = self
            .http
            .post(at(&self.base, ["3", "device", to.reveal()]))
            .bearer_auth(token)
            .header(CONTENT_TYPE, "application/json")
            .header("apns-topic", &self.topic)
            .header("apns-push-type", "alert")
            .header(
                "apns-priority",
                if message.lane == Lane::Low { "5" } else { "10" },
            )
            .header("apns-expiration", until)
            .header(
                "apns-collapse-id",
                message.key.get(..COLLAPSE_ID_MAX).unwrap_or(&message.key),
            )
            .body(payload);
        let answer = match self.http.ask(request).await {
            Ok(answer) => answer,
            Err(silence) => return silence.into(),
        };
        match verdict(&answer) {
            Verdict::Is(sent) => sent,
            Verdict::TokenTooOld if self.sign_anew(made) => Sent::Busy {
                code: "ExpiredProviderToken".into(),
                after: Some(Duration::ZERO),
            },
            // Just signed: the clock is wrong, and signing again would not help.
            Verdict::TokenTooOld => Sent::Barred {
                code: "ExpiredProviderToken".into(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::answer;
    use super::*;

    #[test]
    fn each_reason_means_what_its_documents_say() {
        let told =
            |status, reason: &str| match verdict(&answer(status, &json!({"reason": reason}).to_string())) {
                Verdict::Is(sent) => Some(sent),
                Verdict::TokenTooOld => None,
            };
        let dead = |code: &str, forget| {
            Some(Sent::Dead {
                code: code.into(),
                forget,
            })
        };
        let busy = |code: &str| {
            Some(Sent::Busy {
                code: code.into(),
                after: None,
            })
        };
        assert_eq!(told(410, "Unregistered"), dead("Unregistered", true));
        assert_eq!(told(400, "BadDeviceToken"), dead("BadDeviceToken", true));
        assert_eq!(
            told(400, "DeviceTokenNotForTopic"),
            dead("DeviceTokenNotForTopic", false)
        );
        assert_eq!(told(429, "TooManyRequests"), busy("TooManyRequests"));
        assert_eq!(told(503, "Shutdown"), busy("Shutdown"));
        assert_eq!(told(403, "ExpiredProviderToken"), None);
        assert!(matches!(
            told(403, "InvalidProviderToken"),
            Some(Sent::Barred { .. })
        ));
        assert!(matches!(told(413, "PayloadTooLarge"), Some(Sent::Refused { .. })));
    }
}
