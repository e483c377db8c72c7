//! WhatsApp: JSON, signed by HMAC-SHA256 over the body.

use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::super::{Credential, reference, whatsapp};
use super::{Heard, NEWS_MAX, News, Refused, Reply, said, same, seconds};
use crate::domain::notify::{Channel, DeliveryState, Vendor};
use crate::domain::phone::PhoneNumber;

/// The longest challenge that is given back.
const CHALLENGE_MAX: usize = 256;

/// Reads what WhatsApp calls back with.
#[derive(Clone, Debug)]
pub struct WhatsappCallbacks {
    app_secret: Credential,
    verify_token: Option<Credential>,
}

impl WhatsappCallbacks {
    /// By the app's secret, and what was entered where the webhook was registered.
    pub fn new(app_secret: Credential, verify_token: Option<Credential>) -> Self {
        Self {
            app_secret,
            verify_token,
        }
    }

    /// What to answer to `GET …?hub.mode=subscribe&hub.verify_token=…&hub.challenge=…`.
    ///
    /// # Errors
    /// When whoever asks does not know the token.
    pub fn challenge(&self, query: &str) -> Result<String, Refused> {
        let get = |name: &str| {
            let mut pairs = url::form_urlencoded::parse(query.as_bytes());
            pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
        };
        let token = get("hub.verify_token").unwrap_or_default();
        let known = self
            .verify_token
            .as_ref()
            .is_some_and(|own| own.matches(token.as_bytes()));
        if !known || get("hub.mode").as_deref() != Some("subscribe") {
            return Err(Refused::Signature);
        }
        let good = |text: &String| {
            text.len() <= CHALLENGE_MAX && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        get("hub.challenge").filter(good).ok_or(Refused::Malformed)
    }

    /// Statuses and answers; `signature` is `X-Hub-Signature-256`.
    ///
    /// # Errors
    /// When it is not WhatsApp's, or no JSON.
    pub fn heard(&self, signature: &str, body: &[u8]) -> Result<Heard, Refused> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.app_secret.reveal().as_bytes())
            .expect("invariant: HMAC takes a key of any length");
        mac.update(body);
        let expected = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        if !same(expected.as_bytes(), signature.as_bytes()) {
            return Err(Refused::Signature);
        }
        let json: Value = serde_json::from_slice(body).map_err(|_| Refused::Malformed)?;
        let values = items(&json["entry"])
            .flat_map(|entry| items(&entry["changes"]))
            .map(|change| &change["value"]);
        let mut heard = Heard::default();
        for value in values {
            heard.news.extend(items(&value["statuses"]).filter_map(status));
            heard
                .replies
                .extend(items(&value["messages"]).filter_map(message));
        }
        heard.news.truncate(NEWS_MAX);
        heard.replies.truncate(NEWS_MAX);
        Ok(heard)
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn status(status: &Value) -> Option<News> {
    let id = status["id"].as_str().filter(|id| whatsapp::is_id(id))?;
    let state = match status["status"].as_str()? {
        "sent" => DeliveryState::Accepted,
        "delivered" => DeliveryState::Delivered,
        "read" => DeliveryState::Read,
        "failed" => DeliveryState::FailedTemporary,
        _ => return None,
    };
    let failed = state == DeliveryState::FailedTemporary;
    let code = status["errors"][0]["code"].as_i64().filter(|_| failed);
    Some(News {
        reference: reference(Vendor::WhatsappCloud, id),
        state,
        code: code.map(|code| code.to_string()),
        at: seconds(&status["timestamp"]),
    })
}

fn message(message: &Value) -> Option<Reply> {
    let id = message["id"].as_str().filter(|id| whatsapp::is_id(id))?;
    let from = PhoneNumber::from_e164(&format!("+{}", message["from"].as_str()?)).ok()?;
    let text = match message["type"].as_str()? {
        "text" => &message["text"]["body"],
        // A button of a template, and one of a later message.
        "button" => &message["button"]["text"],
        "interactive" => &message["interactive"]["button_reply"]["title"],
        _ => return None,
    };
    Some(Reply {
        id: reference(Vendor::WhatsappCloud, id),
        channel: Channel::Whatsapp,
        from,
        text: said(text.as_str()?),
    })
}
