//! SendGrid v3.

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use serde_json::json;

use super::client::{Answer, Http, at};
use super::settings::{Common, SendgridSettings, SettingsError};
use super::{Credential, Provider, Sent, Templates};
use crate::domain::notify::{Destination, Email, Outgoing, Vendor};

/// Names the message in its answer; events begin their id with it.
const MESSAGE_ID: &str = "x-message-id";

/// Carries e-mails.
pub(super) struct Sendgrid {
    http: Http,
    send: Url,
    api_key: Credential,
    from: Email,
    templates: Arc<Templates>,
}

impl Sendgrid {
    pub(super) fn of(
        common: &Common,
        settings: &SendgridSettings,
        templates: Arc<Templates>,
    ) -> Result<Self, SettingsError> {
        Ok(Self {
            http: Http::of(common, &settings.base_url, "notify.sendgrid.base_url")?,
            send: at(&settings.base_url, ["v3", "mail", "send"]),
            api_key: settings.api_key.clone(),
            from: settings.from.clone(),
            templates,
        })
    }
}

/// What its answer means.
fn sent(answer: &Answer) -> Sent {
    let code = answer.code();
    match answer.status {
        200..=299 => Sent::Accepted {
            reference: answer
                .header(MESSAGE_ID)
                .filter(|id| (1..=128).contains(&id.len()))
                .map(str::to_owned),
        },
        401 | 403 => Sent::Barred { code },
        408 => Sent::Unknown { code },
        429 | 500..=599 => answer.busy(None),
        _ => Sent::Refused { code },
    }
}

#[async_trait]
impl Provider for Sendgrid {
    fn vendor(&self) -> Vendor {
        Vendor::Sendgrid
    }

    fn carries(&self, to: &Destination) -> bool {
        matches!(to, Destination::Email(_))
    }

    async fn send(&self, message: &Outgoing) -> Sent {
        let Destination::Email(to) = &message.to else {
            return Sent::misdirected();
        };
        let Ok(mail) = self.templates.mail(&message.content, message.possibly_twice) else {
            return Sent::no_text();
        };
        let body = json!({
            "personalizations": [{"to": [{"email": to.reveal()}]}],
            "from": {"email": self.from.reveal()},
            "subject": mail.subject,
            // From the plainest to the richest, as it asks for.
            "content": [
                {"type": "text/plain", "value": mail.text},
                {"type": "text/html", "value": mail.html},
            ],
        });
        let request = self
            .http
            .post(self.send.clone())
            .bearer_auth(self.api_key.reveal())
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
    fn each_status_means_what_its_documents_say() {
        let busy = |code: &str| Sent::Busy {
            code: code.into(),
            after: None,
        };
        for (status, expected) in [
            (202, Sent::Accepted { reference: None }),
            (
                400,
                Sent::Refused {
                    code: "http_400".into(),
                },
            ),
            (
                401,
                Sent::Barred {
                    code: "http_401".into(),
                },
            ),
            (
                403,
                Sent::Barred {
                    code: "http_403".into(),
                },
            ),
            (
                413,
                Sent::Refused {
                    code: "http_413".into(),
                },
            ),
            (429, busy("http_429")),
            (500, busy("http_500")),
            (503, busy("http_503")),
        ] {
            assert_eq!(sent(&answer(status, "")), expected, "{status}");
        }
    }
}
