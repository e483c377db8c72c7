//! `POST {sos_service}/internal/realtime/event`.

use std::time::Duration;

use async_trait::async_trait;
use hmac::{Hmac, Mac};
use reqwest::header::{CONTENT_TYPE, HeaderName};
use sha2::Sha256;

use super::{INTERNAL_TOKEN, Sister, retry_after};
use crate::actors::feed::{EventService, Reply};
use crate::config::Secret;
use crate::domain::room::Event;
use crate::http::auth::Clock;
use crate::wire::rest::ToldEvent;

const TIMESTAMP: HeaderName = HeaderName::from_static("x-mayday-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("x-mayday-signature");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// How long the rest of an answer is waited for, so that its connection can be used again.
const DRAIN: Duration = Duration::from_secs(1);

/// The service, told of events.
pub struct SosEvents {
    sister: Sister,
    secret: Secret,
    timeout: Duration,
    clock: Clock,
}

impl SosEvents {
    /// Events go to `sister`, signed with `secret`, each within `timeout`.
    pub fn new(sister: Sister, secret: Secret, timeout: Duration, clock: Clock) -> Self {
        Self {
            sister,
            secret,
            timeout,
            clock,
        }
    }
}

/// `v1=` and the hex digits of HMAC-SHA256 over `timestamp.body`.
fn signature(secret: &Secret, timestamp: &str, body: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.reveal()).expect("invariant: HMAC takes a key of any length");
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    format!("v1={}", hex::encode(mac.finalize().into_bytes()))
}

/// What a status means.
fn reply(status: u16, after: Option<Duration>) -> Reply {
    match status {
        200..=299 => Reply::Taken,
        408 | 425 | 429 => Reply::Failed(after),
        400..=499 => Reply::Refused(status),
        // A redirection, too: the settings name whom to trust, and what is wrong there is not the event's fault.
        _ => Reply::Failed(after),
    }
}

#[async_trait]
impl EventService for SosEvents {
    async fn tell(&self, event: &Event) -> Reply {
        let body = match serde_json::to_vec(&ToldEvent::of(event)) {
            Ok(body) => body,
            Err(error) => {
                tracing::error!(room = %event.room, seq = event.seq.get(), %error, "an event cannot be written");
                return Reply::Failed(None);
            }
        };
        let timestamp = (self.clock)().ms().div_euclid(1_000).to_string();
        let request = self
            .sister
            .client
            .post(self.sister.at(&["internal", "realtime", "event"]))
            .header(INTERNAL_TOKEN, self.sister.token.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(SIGNATURE, signature(&self.secret, &timestamp, &body))
            .header(TIMESTAMP, timestamp)
            .header(IDEMPOTENCY_KEY, format!("{}:{}", event.room, event.seq.get()))
            .timeout(self.timeout)
            .body(body);
        match request.send().await {
            Ok(answer) => {
                let reply = reply(answer.status().as_u16(), retry_after(&answer));
                // It has said what it has to say; how the answer ends changes nothing.
                let _ = tokio::time::timeout(DRAIN, self.sister.body(answer)).await;
                reply
            }
            Err(error) => {
                let error = super::trouble(error);
                tracing::debug!(room = %event.room, seq = event.seq.get(), %error, "an event was sent in vain");
                Reply::Failed(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_others_compute_too() {
        // By `printf '1700000000.{}' | openssl dgst -sha256 -hmac kkk…k`.
        let secret = Secret::new(&"k".repeat(32)).unwrap();
        let found = signature(&secret, "1700000000", b"{}");
        assert_eq!(
            found,
            "v1=0b3b35525c10b3757ffa78df69037021fc3168d8390a51a4fcb4a8d56a25b557"
        );
        assert_ne!(found, signature(&secret, "1700000001", b"{}"));
        assert_ne!(found, signature(&secret, "1700000000", b"{ }"));
    }

    #[test]
    fn a_status_is_a_taking_a_refusal_or_a_failure() {
        let after = Some(Duration::from_secs(3));
        for (status, expected) in [
            (200, Reply::Taken),
            (202, Reply::Taken),
            (204, Reply::Taken),
            (302, Reply::Failed(after)),
            (400, Reply::Refused(400)),
            (401, Reply::Refused(401)),
            (404, Reply::Refused(404)),
            (408, Reply::Failed(after)),
            (422, Reply::Refused(422)),
            (425, Reply::Failed(after)),
            (429, Reply::Failed(after)),
            (500, Reply::Failed(after)),
            (503, Reply::Failed(after)),
        ] {
            assert_eq!(reply(status, after), expected, "{status}");
        }
    }
}
