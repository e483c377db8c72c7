//! MSG91's Flow: a template that it has approved, filled with variables.

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Map, Value, json};

use super::client::{Answer, Http, at};
use super::settings::{Common, Msg91Settings, SettingsError, VendorTemplates};
use super::{Provider, Sent, Templates};
use crate::domain::notify::{DeliveryState, Destination, Outgoing, Vendor};

/// Carries text messages.
pub(super) struct Msg91 {
    http: Http,
    flow: Url,
    authkey: HeaderValue,
    own: VendorTemplates,
    templates: Arc<Templates>,
}

impl Msg91 {
    pub(super) fn of(
        common: &Common,
        settings: &Msg91Settings,
        templates: Arc<Templates>,
    ) -> Result<Self, SettingsError> {
        let mut authkey = HeaderValue::from_str(settings.authkey.reveal())
            .map_err(|_| SettingsError::new("notify.msg91.authkey", "is no text for a header"))?;
        authkey.set_sensitive(true);
        Ok(Self {
            http: Http::of(common, &settings.base_url, "notify.msg91.base_url")?,
            flow: at(&settings.base_url, ["api", "v5", "flow"]),
            authkey,
            own: settings.templates.clone(),
            templates,
        })
    }
}

/// What its answer means. It decides by `type`: an error may come with status 200.
fn sent(answer: &Answer) -> Sent {
    let json = answer.json().unwrap_or(Value::Null);
    let told = json["message"].as_str().unwrap_or_default();
    let own = match &json["code"] {
        Value::String(code) => Some(code.clone()),
        Value::Number(code) => Some(code.to_string()),
        _ => None,
    };
    let own = own.as_deref().filter(|code| !code.is_empty());
    let code = answer.code_or(own);
    match (json["type"].as_str(), answer.status) {
        (Some("success"), 200..=299) => Sent::Accepted {
            reference: is_id(told).then(|| told.to_owned()),
        },
        (_, 429) | (Some("error"), 500..=599) => answer.busy(own),
        (_, 401 | 403) => Sent::Barred { code },
        (Some("error"), _) if bars(own, told) => Sent::Barred { code },
        (Some("error"), _) if own == Some("202") => Sent::Dead { code, forget: false },
        (Some("error"), _) => Sent::Refused { code },
        (_, 200..=299) => Sent::Unknown {
            code: "answer_unreadable".into(),
        },
        (_, 408 | 500..=599) => Sent::Unknown { code },
        _ => Sent::Refused { code },
    }
}

/// Whether no message goes through: it does not know us, or we have not paid.
fn bars(code: Option<&str>, told: &str) -> bool {
    let told = told.to_ascii_lowercase();
    matches!(
        code,
        Some("106" | "201" | "207" | "208" | "301" | "302" | "303" | "418")
    ) || [
        "authkey",
        "auth key",
        "authentication",
        "unauthorized",
        "balance",
        "ip not whitelisted",
    ]
    .iter()
    .any(|word| told.contains(word))
}

/// By which its report names the request.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// What a status of its delivery report means; `None`: not known.
pub(crate) fn state(status: &str) -> Option<DeliveryState> {
    Some(match status {
        "1" => DeliveryState::Delivered,
        // Failed; the number wants nothing of the sort; rejected; blocked.
        "2" | "9" | "16" | "25" | "17" => DeliveryState::FailedTemporary,
        _ => return None,
    })
}

#[async_trait]
impl Provider for Msg91 {
    fn vendor(&self) -> Vendor {
        Vendor::Msg91
    }

    fn carries(&self, to: &Destination) -> bool {
        matches!(to, Destination::Sms(_))
    }

    async fn send(&self, message: &Outgoing) -> Sent {
        let Destination::Sms(number) = &message.to else {
            return Sent::misdirected();
        };
        let own = self.own.of(message.content.occasion);
        let Ok(filled) = self
            .templates
            .variables(&message.content, &own.variables, message.possibly_twice)
        else {
            return Sent::no_text();
        };
        let mut recipient = Map::new();
        recipient.insert(
            "mobiles".into(),
            number.reveal().trim_start_matches('+').to_owned().into(),
        );
        for (place, text) in filled.into_iter().enumerate() {
            recipient.insert(format!("VAR{}", place + 1), text.into());
        }
        let body = json!({"template_id": own.name, "recipients": [recipient]});
        let request = self
            .http
            .post(self.flow.clone())
            .header("authkey", self.authkey.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string());
        match self.http.ask(request).await {
            Ok(answer) => sent(&answer),
            Err(silence) => silence.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::answer;
    use super::*;

    #[test]
    fn the_type_decides_and_not_the_status_alone() {
        let unknown = |code: &str| Sent::Unknown { code: code.into() };
        let refused = |code: &str| Sent::Refused { code: code.into() };
        let barred = |code: &str| Sent::Barred { code: code.into() };
        let busy = |code: &str| Sent::Busy {
            code: code.into(),
            after: None,
        };
        let accepted = Sent::Accepted {
            reference: Some("3567a1".into()),
        };
        for (status, body, expected) in [
            (200, r#"{"type":"success","message":"3567a1"}"#, accepted),
            (
                200,
                r#"{"type":"error","message":"template id missing"}"#,
                refused("http_200"),
            ),
            (
                200,
                r#"{"type":"error","message":"x","code":"211"}"#,
                refused("211"),
            ),
            (
                200,
                r#"{"type":"error","message":"Authkey invalid","code":"207"}"#,
                barred("207"),
            ),
            (
                401,
                r#"{"type":"error","message":"Unauthorized"}"#,
                barred("http_401"),
            ),
            (418, r#"{"type":"error","code":418}"#, barred("418")),
            (429, "", busy("http_429")),
            (500, r#"{"type":"error","message":"x"}"#, busy("http_500")),
            (
                500,
                r#"{"type":"success","message":"3567a1"}"#,
                unknown("http_500"),
            ),
            (502, "<html>", unknown("http_502")),
            (200, "<html>", unknown("answer_unreadable")),
            (404, "", refused("http_404")),
        ] {
            assert_eq!(sent(&answer(status, body)), expected, "{status} {body}");
        }
        assert_eq!(
            sent(&answer(200, r#"{"type":"error","message":"x","code":"202"}"#)),
            Sent::Dead {
                code: "202".into(),
                forget: false
            }
        );
    }
}
