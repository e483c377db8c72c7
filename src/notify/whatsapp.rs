//! WhatsApp's Cloud API: a template that it has approved, filled with texts.

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::client::{Answer, Http, at};
use super::settings::{Common, SettingsError, VendorTemplates, WhatsappSettings};
use super::{Credential, Provider, Sent, Templates};
use crate::domain::notify::{Destination, Locale, Outgoing, Vendor};

/// Carries WhatsApp messages.
pub(super) struct Whatsapp {
    http: Http,
    messages: Url,
    access_token: Credential,
    own: VendorTemplates,
    languages: Vec<String>,
    templates: Arc<Templates>,
}

impl Whatsapp {
    pub(super) fn of(
        common: &Common,
        settings: &WhatsappSettings,
        templates: Arc<Templates>,
    ) -> Result<Self, SettingsError> {
        let parts = [
            settings.api_version.as_str(),
            &settings.phone_number_id,
            "messages",
        ];
        Ok(Self {
            http: Http::of(common, &settings.base_url, "notify.whatsapp.base_url")?,
            messages: at(&settings.base_url, parts),
            access_token: settings.access_token.clone(),
            own: settings.templates.clone(),
            languages: settings.languages.clone(),
            templates,
        })
    }

    /// The language of the template, as it names languages (`en_US`): the one asked for or the nearest, else the first.
    fn language(&self, locale: &Locale) -> &str {
        let same = |tag: &str, own: &str| own.replace('_', "-").eq_ignore_ascii_case(tag);
        let exact = locale
            .fallbacks()
            .find_map(|tag| self.languages.iter().find(|own| same(tag, own)));
        exact.or(self.languages.first()).map_or("en", String::as_str)
    }

    fn body(&self, message: &Outgoing, to: &str) -> Result<Value, super::templates::NoText> {
        let own = self.own.of(message.content.occasion);
        let filled = self
            .templates
            .variables(&message.content, &own.variables, message.possibly_twice)?;
        let parameters: Vec<_> = filled
            .into_iter()
            .map(|text| json!({"type": "text", "text": text}))
            .collect();
        let mut template = json!({
            "name": own.name,
            "language": {"code": self.language(&message.content.locale), "policy": "deterministic"},
        });
        if !parameters.is_empty() {
            template["components"] = json!([{"type": "body", "parameters": parameters}]);
        }
        Ok(json!({
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": to.trim_start_matches('+'),
            "type": "template",
            "template": template,
        }))
    }
}

/// What its answer means.
fn sent(answer: &Answer) -> Sent {
    let json = answer.json().unwrap_or(Value::Null);
    if answer.is_success() {
        return match json["messages"][0]["id"].as_str() {
            Some(id) if is_id(id) => Sent::Accepted {
                reference: Some(id.to_owned()),
            },
            _ => Sent::Unknown {
                code: "answer_unreadable".into(),
            },
        };
    }
    let own = json["error"]["code"].as_i64();
    let text = own.map(|code| code.to_string());
    let code = answer.code_or(text.as_deref());
    match (own, answer.status) {
        // Too many, too many to this one, its own trouble.
        (Some(4 | 80_007 | 130_429 | 131_056 | 131_016 | 131_000), _) | (_, 429) => {
            answer.busy(text.as_deref())
        }
        // The token, its rights, the account, its bill.
        (Some(0 | 3 | 10 | 190 | 200..=299 | 131_005 | 131_031 | 131_042 | 368), _) | (None, 401 | 403) => {
            Sent::Barred { code }
        }
        // There is no WhatsApp at this number.
        (Some(131_026), _) => Sent::Dead { code, forget: false },
        (None, 408 | 500..=599) => Sent::Unknown { code },
        _ => Sent::Refused { code },
    }
}

/// `wamid.` and base64.
pub(crate) fn is_id(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-=+/:".contains(&byte);
    (1..=256).contains(&text.len()) && text.bytes().all(good)
}

#[async_trait]
impl Provider for Whatsapp {
    fn vendor(&self) -> Vendor {
        Vendor::WhatsappCloud
    }

    fn carries(&self, to: &Destination) -> bool {
        matches!(to, Destination::Whatsapp(_))
    }

    async fn send(&self, message: &Outgoing) -> Sent {
        let Destination::Whatsapp(to) = &message.to else {
            return Sent::misdirected();
        };
        let Ok(body) = self.body(message, to.reveal()) else {
            return Sent::no_text();
        };
        let request = self
            .http
            .post(self.messages.clone())
            .bearer_auth(self.access_token.reveal())
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
    fn each_code_means_what_its_documents_say() {
        let code = |code: i64| format!(r#"{{"error":{{"code":{code},"message":"x"}}}}"#);
        for own in [130_429, 131_056, 131_016, 131_000] {
            assert!(
                matches!(sent(&answer(400, &code(own))), Sent::Busy { .. }),
                "{own}"
            );
        }
        for own in [131_047, 132_000, 132_001, 132_015, 131_008] {
            let expected = Sent::Refused {
                code: own.to_string(),
            };
            assert_eq!(sent(&answer(400, &code(own))), expected);
        }
        assert_eq!(
            sent(&answer(401, &code(190))),
            Sent::Barred { code: "190".into() }
        );
        assert_eq!(
            sent(&answer(400, &code(131_026))),
            Sent::Dead {
                code: "131026".into(),
                forget: false
            }
        );
        assert_eq!(
            sent(&answer(502, "")),
            Sent::Unknown {
                code: "http_502".into()
            }
        );
        assert_eq!(
            sent(&answer(200, r#"{"messages":[{"id":"wamid.HBgL="}]}"#)),
            Sent::Accepted {
                reference: Some("wamid.HBgL=".into())
            }
        );
        assert!(matches!(sent(&answer(200, "{}")), Sent::Unknown { .. }));
    }
}
