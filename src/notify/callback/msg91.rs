//! MSG91's delivery report: a form whose `data` is JSON, or flat JSON. It is not signed: who knows the address is believed.

use serde_json::Value;

use super::super::{Credential, msg91, reference};
use super::{Heard, NEWS_MAX, News, Refused};
use crate::domain::notify::{DeliveryState, Vendor};

/// Reads what MSG91 calls back with.
#[derive(Clone, Debug)]
pub struct Msg91Callbacks {
    secret: Credential,
}

impl Msg91Callbacks {
    /// By what stands in the address.
    pub fn new(secret: Credential) -> Self {
        Self { secret }
    }

    /// How messages stand; `secret` is what stood in the address.
    ///
    /// # Errors
    /// When it is not our secret, or the report cannot be read.
    pub fn heard(&self, secret: &str, content_type: &str, body: &[u8]) -> Result<Heard, Refused> {
        if !self.secret.matches(secret.as_bytes()) {
            return Err(Refused::Signature);
        }
        let json: Value = if content_type.starts_with("application/x-www-form-urlencoded") {
            let data = url::form_urlencoded::parse(body)
                .find_map(|(key, value)| (key == "data").then(|| value.into_owned()))
                .ok_or(Refused::Malformed)?;
            serde_json::from_str(&data)
        } else {
            serde_json::from_slice(body)
        }
        .map_err(|_| Refused::Malformed)?;
        let one = std::slice::from_ref(&json);
        let all = json.as_array().map_or(one, Vec::as_slice);
        let news = all.iter().flat_map(report).take(NEWS_MAX).collect();
        Ok(Heard {
            news,
            replies: vec![],
        })
    }
}

/// The news of one request: each of its numbers, or itself. We send to one number in each.
fn report(request: &Value) -> Vec<News> {
    let id = ["requestId", "request_id"]
        .iter()
        .find_map(|name| request[*name].as_str());
    let Some(id) = id.filter(|id| msg91::is_id(id)) else {
        return vec![];
    };
    let one = std::slice::from_ref(request);
    let numbers = request["report"].as_array().map_or(one, Vec::as_slice);
    numbers.iter().filter_map(|number| status(id, number)).collect()
}

fn status(id: &str, number: &Value) -> Option<News> {
    let status = match &number["status"] {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let state = msg91::state(&status)?;
    Some(News {
        reference: reference(Vendor::Msg91, id),
        state,
        code: (state == DeliveryState::FailedTemporary).then_some(status),
        at: None,
    })
}
