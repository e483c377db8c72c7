//! Twilio: a form or JSON, signed by HMAC-SHA1 over the address and the form's fields, sorted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use url::Url;

use super::super::{Credential, code, reference, twilio};
use super::{Heard, News, Refused, Reply, public, said, same};
use crate::domain::notify::{Channel, DeliveryState, Vendor};
use crate::domain::phone::PhoneNumber;

/// Fields of one form; no call of Twilio's has as many.
const FIELDS_MAX: usize = 200;

/// Reads what Twilio calls back with.
#[derive(Clone, Debug)]
pub struct TwilioCallbacks {
    auth_token: Credential,
    public_url: Url,
}

impl TwilioCallbacks {
    /// By the token that signs, and the address that Twilio knows.
    pub fn new(auth_token: Credential, public_url: Url) -> Self {
        Self {
            auth_token,
            public_url,
        }
    }

    /// How a message stands. `path_and_query` is the request's, `signature` its `X-Twilio-Signature`.
    ///
    /// # Errors
    /// When it is not Twilio's, or cannot be read.
    pub fn status(
        &self,
        path_and_query: &str,
        content_type: &str,
        signature: &str,
        body: &[u8],
    ) -> Result<Heard, Refused> {
        let fields = self.verified(path_and_query, content_type, signature, body)?;
        let get = |name: &str| field(&fields, name);
        let sid = get("MessageSid").filter(|sid| twilio::is_sid(sid));
        let state = get("MessageStatus").and_then(twilio::state);
        let news = sid.zip(state).map(|(sid, state)| News {
            reference: reference(Vendor::Twilio, sid),
            state,
            code: get("ErrorCode")
                .filter(|own| !own.is_empty() && state == DeliveryState::FailedTemporary)
                .map(code),
            at: None,
        });
        Ok(Heard {
            news: news.into_iter().collect(),
            replies: vec![],
        })
    }

    /// A text message that somebody sent to us.
    ///
    /// # Errors
    /// When it is not Twilio's, or cannot be read.
    pub fn message(
        &self,
        path_and_query: &str,
        content_type: &str,
        signature: &str,
        body: &[u8],
    ) -> Result<Heard, Refused> {
        let fields = self.verified(path_and_query, content_type, signature, body)?;
        let get = |name: &str| field(&fields, name);
        let sid = get("MessageSid").filter(|sid| twilio::is_sid(sid));
        // Short codes and names send messages, too; they answer to nothing.
        let from = get("From").and_then(|from| PhoneNumber::from_e164(from).ok());
        let reply = sid.zip(from).map(|(sid, from)| Reply {
            id: reference(Vendor::Twilio, sid),
            channel: Channel::Sms,
            from,
            text: said(get("Body").unwrap_or_default()),
        });
        Ok(Heard {
            news: vec![],
            replies: reply.into_iter().collect(),
        })
    }

    /// The fields of a call that is Twilio's.
    fn verified(
        &self,
        path_and_query: &str,
        content_type: &str,
        signature: &str,
        body: &[u8],
    ) -> Result<Vec<(String, String)>, Refused> {
        let url = public(&self.public_url, path_and_query);
        let token = self.auth_token.reveal();
        if content_type.starts_with("application/json") {
            let query = path_and_query.split_once('?').map_or("", |(_, query)| query);
            let told = url::form_urlencoded::parse(query.as_bytes())
                .find_map(|(key, value)| (key == "bodySHA256").then(|| value.into_owned()));
            let told = told.ok_or(Refused::Signature)?;
            let found = hex::encode(Sha256::digest(body));
            let whole = same(found.as_bytes(), told.to_ascii_lowercase().as_bytes());
            if !whole || !same(sign(token, &url, &[]).as_bytes(), signature.as_bytes()) {
                return Err(Refused::Signature);
            }
            let json: serde_json::Map<String, serde_json::Value> =
                serde_json::from_slice(body).map_err(|_| Refused::Malformed)?;
            let fields = json.into_iter().take(FIELDS_MAX);
            return Ok(fields
                .filter_map(|(key, value)| {
                    let text = match value {
                        serde_json::Value::String(text) => text,
                        serde_json::Value::Number(number) => number.to_string(),
                        _ => return None,
                    };
                    Some((key, text))
                })
                .collect());
        }
        let mut fields: Vec<(String, String)> = url::form_urlencoded::parse(body)
            .into_owned()
            .take(FIELDS_MAX + 1)
            .collect();
        if fields.len() > FIELDS_MAX {
            return Err(Refused::Malformed);
        }
        fields.sort();
        fields.dedup();
        if same(sign(token, &url, &fields).as_bytes(), signature.as_bytes()) {
            Ok(fields)
        } else {
            Err(Refused::Signature)
        }
    }
}

fn field<'f>(fields: &'f [(String, String)], name: &str) -> Option<&'f str> {
    fields
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}

/// The signature of a call to `url` with these fields, which are sorted.
fn sign(token: &str, url: &str, fields: &[(String, String)]) -> String {
    let mut mac =
        Hmac::<Sha1>::new_from_slice(token.as_bytes()).expect("invariant: HMAC takes a key of any length");
    mac.update(url.as_bytes());
    for (key, value) in fields {
        mac.update(key.as_bytes());
        mac.update(value.as_bytes());
    }
    STANDARD.encode(mac.finalize().into_bytes())
}
