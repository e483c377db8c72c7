//! An address of the operators' own, told in JSON and signed like the feed of events: `X-Mayday-Signature` is `v1=` and the
//! hex digits of HMAC-SHA256 over `timestamp.body`.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use hmac::{Hmac, Mac};
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderName};
use serde_json::json;
use sha2::Sha256;

use super::client::{Answer, Http};
use super::settings::{Common, SettingsError, WebhookSettings};
use super::{Credential, Provider, Sent, Templates};
use crate::domain::notify::{Destination, Outgoing, Vendor};

const TIMESTAMP: HeaderName = HeaderName::from_static("x-mayday-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("x-mayday-signature");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Tells the operators' own service.
pub(super) struct Webhook {
    http: Http,
    url: Url,
    secret: Credential,
    templates: Arc<Templates>,
}

impl Webhook {
    pub(super) fn of(
        common: &Common,
        settings: &WebhookSettings,
        templates: Arc<Templates>,
    ) -> Result<Self, SettingsError> {
        Ok(Self {
            http: Http::of(common, &settings.url, "notify.webhook.url")?,
            url: settings.url.clone(),
            secret: settings.secret.clone(),
            templates,
        })
    }
}

fn signature(secret: &Credential, timestamp: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes())
        .expect("invariant: HMAC takes a key of any length");
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    format!("v1={}", hex::encode(mac.finalize().into_bytes()))
}

fn sent(answer: &Answer) -> Sent {
    let code = answer.code();
    match answer.status {
        200..=299 => Sent::Accepted { reference: None },
        401 | 403 => Sent::Barred { code },
        408 | 425 | 429 | 500..=599 => answer.busy(None),
        _ => Sent::Refused { code },
    }
}

#[async_trait]
impl Provider for Webhook {
    fn vendor(&self) -> Vendor {
        Vendor::Webhook
    }

    fn carries(&self, to: &Destination) -> bool {
        matches!(to, Destination::Webhook)
    }

    async fn send(&self, message: &Outgoing) -> Sent {
        let content = &message.content;
        let Ok(text) = self.templates.text(content, message.possibly_twice) else {
            return Sent::no_text();
        };
        let body = json!({
            "id": message.key,
            "occasion": content.occasion.as_str(),
            "drill": content.drill,
            "possiblyTwice": message.possibly_twice,
            "text": text,
            "values": self.templates.values(content),
        })
        .to_string();
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let timestamp = since.as_secs().to_string();
        let request = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(SIGNATURE, signature(&self.secret, &timestamp, &body))
            .header(TIMESTAMP, timestamp)
            .header(IDEMPOTENCY_KEY, &message.key)
            .body(body);
        match self.http.ask(request).await {
            Ok(answer) => sent(&answer),
            Err(silence) => silence.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_others_compute_too() {
        // By `printf '1700000000.{}' | openssl dgst -sha256 -hmac kkk…k`.
        let secret = Credential::new(&"k".repeat(32)).unwrap();
        assert_eq!(
            signature(&secret, "1700000000", "{}"),
            "v1=0b3b35525c10b3757ffa78df69037021fc3168d8390a51a4fcb4a8d56a25b557"
        );
    }
}
