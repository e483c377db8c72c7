//! Firebase Cloud Messaging, HTTP v1: the service account signs for a token that is good for an hour.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use ring::signature::RsaKeyPair;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::client::{Answer, Http, at};
use super::settings::{Common, FcmSettings, SettingsError};
use super::{Provider, Sent, Templates, bearer, push_data};
use crate::domain::notify::{Destination, Lane, Outgoing, PushToken, Vendor};

const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
/// A token is given up so long before it ends.
const MARGIN: Duration = Duration::from_secs(120);
/// One that was fetched just now and is not believed is not fetched again.
const FRESH: Duration = Duration::from_secs(60);
/// So long a failed fetch counts for all who wait for it.
const FAILURE_COUNTS: Duration = Duration::from_secs(1);
/// The largest message that it takes, without its envelope.
const DATA_MAX_BYTES: usize = 4_000;
/// The longest time that it keeps one.
const TTL_MAX: Duration = Duration::from_secs(28 * 86_400);

/// Carries pushes to apps.
pub(super) struct Fcm {
    http: Http,
    send: Url,
    token_url: Url,
    email: String,
    key_id: Option<String>,
    sign: bearer::Sign,
    held: Mutex<Option<Held>>,
    templates: Arc<Templates>,
}

/// What came of the last fetch.
#[derive(Clone)]
struct Held {
    token: Result<String, Sent>,
    made: Instant,
    until: Instant,
}

impl Fcm {
    pub(super) fn of(
        common: &Common,
        settings: &FcmSettings,
        templates: Arc<Templates>,
    ) -> Result<Self, SettingsError> {
        let wrong = |why: &str| SettingsError::new("notify.fcm.service_account", why);
        let key = RsaKeyPair::from_pkcs8(&settings.private_key)
            .map_err(|error| wrong(&format!("holds no RSA key: {error}")))?;
        let parts = ["v1", "projects", &settings.project_id, "messages:send"];
        Ok(Self {
            http: Http::of(common, &settings.base_url, "notify.fcm.base_url")?,
            send: at(&settings.base_url, parts),
            token_url: settings.token_url.clone(),
            email: settings.client_email.clone(),
            key_id: settings.private_key_id.clone(),
            sign: bearer::rs256(key),
            held: Mutex::new(None),
            templates,
        })
    }

    /// A token that is good for a while. One at a time fetches it; the others wait for that.
    async fn token(&self) -> Held {
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_ref().filter(|held| Instant::now() < held.until) {
            return held.clone();
        }
        let fetched = self.fetch().await;
        let made = Instant::now();
        let new = match fetched {
            Ok((token, lives)) => Held {
                token: Ok(token),
                made,
                until: made + lives.saturating_sub(MARGIN).max(FAILURE_COUNTS),
            },
            Err(sent) => Held {
                token: Err(sent),
                made,
                until: made + FAILURE_COUNTS,
            },
        };
        held.insert(new).clone()
    }

    /// Gives up a token that is not believed; answers whether another one may be.
    async fn give_up(&self, token: &Held) -> bool {
        let mut held = self.held.lock().await;
        if held.as_ref().is_some_and(|held| held.made == token.made) {
            *held = None;
        }
        token.made.elapsed() >= FRESH
    }

    /// RFC 7523: a signed claim for a token.
    async fn fetch(&self) -> Result<(String, Duration), Sent> {
        let busy = |code: &str| Sent::Busy {
            code: code.into(),
            after: None,
        };
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.key_id});
        let claims = json!({
            "iss": self.email, "scope": SCOPE, "aud": self.token_url.as_str(), "iat": now, "exp": now + 3_600,
        });
        let assertion = (self.sign)(&header, &claims).ok_or_else(|| busy("oauth_random"))?;
        // Finished before anything is waited for: it may not change threads.
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
            .append_pair("assertion", &assertion)
            .finish();
        let request = self
            .http
            .post(self.token_url.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form);
        // Whatever became of this, the message was not sent.
        let answer = self
            .http
            .ask(request)
            .await
            .map_err(|_| busy("oauth_unreachable"))?;
        let code = format!("oauth_{}", answer.status);
        if matches!(answer.status, 400..=403) {
            return Err(Sent::Barred { code });
        }
        let json = answer.json().filter(|_| answer.is_success());
        let json = json.ok_or_else(|| busy(&code))?;
        let token = json["access_token"].as_str().filter(|token| !token.is_empty());
        let lives = json["expires_in"].as_u64().unwrap_or(3_600);
        match token {
            Some(token) => Ok((token.to_owned(), Duration::from_secs(lives.min(86_400)))),
            None => Err(busy("oauth_unreadable")),
        }
    }

    fn body(&self, message: &Outgoing, token: &PushToken) -> Result<String, super::templates::NoText> {
        let priority = if message.lane == Lane::Low {
            "NORMAL"
        } else {
            "HIGH"
        };
        let ttl = format!("{}s", message.ttl.min(TTL_MAX).as_secs());
        let envelope = |data: Value| {
            json!({"message": {
                "token": token.reveal(),
                "data": data,
                "android": {"priority": priority, "ttl": ttl},
            }})
        };
        let data = push_data::fitted(&self.templates, message, DATA_MAX_BYTES, |fields| {
            json!(fields).to_string()
        })?;
        let data = serde_json::from_str(&data).map_err(|_| super::templates::NoText)?;
        Ok(envelope(data).to_string())
    }
}

/// What its answer means; `None`: the token is not believed.
fn sent(answer: &Answer) -> Option<Sent> {
    let json = answer.json().unwrap_or(Value::Null);
    let error = &json["error"];
    let own = error["details"]
        .as_array()
        .into_iter()
        .flatten()
        .find_map(|detail| detail["errorCode"].as_str())
        .or_else(|| error["status"].as_str());
    let code = answer.code_or(own);
    Some(match (answer.status, own) {
        (200..=299, _) => Sent::Accepted { reference: None },
        (401, _) => return None,
        (_, Some("UNREGISTERED")) => Sent::Dead { code, forget: true },
        // The token belongs to another project: no project of ours reaches it.
        (_, Some("SENDER_ID_MISMATCH")) => Sent::Dead { code, forget: false },
        (429 | 500..=599, _) => answer.busy(own),
        (403, _) => Sent::Barred { code },
        (408, _) => Sent::Unknown { code },
        _ => Sent::Refused { code },
    })
}

#[async_trait]
impl Provider for Fcm {
    fn vendor(&self) -> Vendor {
        Vendor::Fcm
    }

    fn carries(&self, to: &Destination) -> bool {
        matches!(to, Destination::Fcm(_))
    }

    async fn send(&self, message: &Outgoing) -> Sent {
        let Destination::Fcm(to) = &message.to else {
            return Sent::misdirected();
        };
        let Ok(body) = self.body(message, to) else {
            return Sent::no_text();
        };
        let held = self.token().await;
        let token = match &held.token {
            Ok(token) => token,
            Err(sent) => return sent.clone(),
        };
        let request = self
            .http
            .post(self.send.clone())
            .bearer_auth(token)
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        let answer = match self.http.ask(request).await {
            Ok(answer) => answer,
            Err(silence) => return silence.into(),
        };
        if let Some(sent) = sent(&answer) {
            return sent;
        }
        let code = answer.code();
        if self.give_up(&held).await {
            Sent::Busy {
                code,
                after: Some(Duration::ZERO),
            }
        } else {
            Sent::Barred { code }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::answer;
    use super::*;

    #[test]
    fn each_error_means_what_its_documents_say() {
        let told = |status, own: &str| {
            let body = json!({"error": {"code": status, "status": "X", "details": [{
                "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": own}]}});
            sent(&answer(status, &body.to_string())).unwrap()
        };
        let dead = |code: &str, forget| Sent::Dead {
            code: code.into(),
            forget,
        };
        assert_eq!(told(404, "UNREGISTERED"), dead("UNREGISTERED", true));
        assert_eq!(told(403, "SENDER_ID_MISMATCH"), dead("SENDER_ID_MISMATCH", false));
        for (status, own) in [(429, "QUOTA_EXCEEDED"), (500, "INTERNAL"), (503, "UNAVAILABLE")] {
            assert!(matches!(told(status, own), Sent::Busy { .. }), "{own}");
        }
        let refused = Sent::Refused {
            code: "INVALID_ARGUMENT".into(),
        };
        assert_eq!(told(400, "INVALID_ARGUMENT"), refused);
        assert!(matches!(told(403, "THIRD_PARTY_AUTH_ERROR"), Sent::Barred { .. }));
        assert_eq!(sent(&answer(401, "")), None);
        assert_eq!(sent(&answer(200, "{}")), Some(Sent::Accepted { reference: None }));
    }
}
