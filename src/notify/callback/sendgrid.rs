//! SendGrid's event webhook: JSON, signed by ECDSA over its time and itself.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::DecodePublicKey as _;
use serde_json::Value;

use super::super::{code, reference};
use super::{Heard, NEWS_MAX, News, Refused, fresh, seconds};
use crate::domain::notify::{DeliveryState, Vendor};

/// Reads what SendGrid calls back with.
#[derive(Clone, Debug)]
pub struct SendgridCallbacks {
    key: VerifyingKey,
}

impl SendgridCallbacks {
    /// By the verification key that SendGrid shows: base64 of the public key.
    ///
    /// # Errors
    /// When it is none.
    pub fn new(key: &str) -> Result<Self, String> {
        let der = STANDARD.decode(key.trim()).ok();
        let key = der.and_then(|der| VerifyingKey::from_public_key_der(&der).ok());
        let key = key.ok_or("must be the verification key of SendGrid's event webhook, in base64")?;
        Ok(Self { key })
    }

    /// How messages stand; `signature` and `timestamp` are `X-Twilio-Email-Event-Webhook-Signature` and `-Timestamp`.
    ///
    /// # Errors
    /// When it is not SendGrid's, too old, or no JSON.
    pub fn heard(
        &self,
        signature: &str,
        timestamp: &str,
        body: &[u8],
        now: SystemTime,
    ) -> Result<Heard, Refused> {
        let signature = STANDARD
            .decode(signature)
            .ok()
            .and_then(|der| Signature::from_der(&der).ok())
            .ok_or(Refused::Signature)?;
        let signed = [timestamp.as_bytes(), body].concat();
        self.key
            .verify(&signed, &signature)
            .map_err(|_| Refused::Signature)?;
        let at = timestamp.parse().map_err(|_| Refused::Malformed)?;
        let at = SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_secs(at))
            .ok_or(Refused::Malformed)?;
        fresh(at, now)?;
        let json: Value = serde_json::from_slice(body).map_err(|_| Refused::Malformed)?;
        let events = json.as_array().ok_or(Refused::Malformed)?;
        Ok(Heard {
            news: events.iter().filter_map(event).take(NEWS_MAX).collect(),
            replies: vec![],
        })
    }
}

fn event(event: &Value) -> Option<News> {
    // The name that sending was answered with, and then which server had it.
    let id = event["sg_message_id"].as_str()?;
    let end = [".filter", ".recv"].iter().filter_map(|mark| id.find(mark)).min();
    let id = &id[..end.unwrap_or(id.len())];
    if !(1..=128).contains(&id.len()) {
        return None;
    }
    let state = match event["event"].as_str()? {
        "processed" => DeliveryState::Accepted,
        "delivered" => DeliveryState::Delivered,
        // A machine that looks at mails before their reader does has read nothing.
        "open" if event["sg_machine_open"] == true => return None,
        "open" | "click" => DeliveryState::Read,
        "bounce" | "dropped" => DeliveryState::FailedTemporary,
        _ => return None,
    };
    let failed = state == DeliveryState::FailedTemporary;
    let own = event["status"].as_str().or_else(|| event["event"].as_str());
    Some(News {
        reference: reference(Vendor::Sendgrid, id),
        state,
        code: own.filter(|_| failed).map(code),
        at: seconds(&event["timestamp"]),
    })
}
