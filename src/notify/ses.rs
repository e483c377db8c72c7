//! Amazon SES v2, signed by Signature Version 4.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use hmac::{Hmac, Mac};
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::macros::format_description;

use super::client::{Answer, Http, at};
use super::settings::{Common, SesSettings, SettingsError};
use super::{Provider, Sent, Templates};
use crate::domain::notify::{Destination, Outgoing, Vendor};

const JSON: &str = "application/json";
const SIGNED: &str = "content-type;host;x-amz-date";

/// Carries e-mails.
pub(super) struct Ses {
    http: Http,
    emails: Url,
    own: SesSettings,
    templates: Arc<Templates>,
}

impl Ses {
    pub(super) fn of(
        common: &Common,
        settings: &SesSettings,
        templates: Arc<Templates>,
    ) -> Result<Self, SettingsError> {
        Ok(Self {
            http: Http::of(common, &settings.base_url, "notify.ses.base_url")?,
            emails: at(&settings.base_url, ["v2", "email", "outbound-emails"]),
            own: settings.clone(),
            templates,
        })
    }

    /// What is asked for by `POST` to the address, with this body, at this time.
    fn authorization(&self, body: &str, at: &Moment) -> String {
        let host = host(&self.emails);
        let request = format!(
            "POST\n{}\n\ncontent-type:{JSON}\nhost:{host}\nx-amz-date:{}\n\n{SIGNED}\n{}",
            self.emails.path(),
            at.whole,
            hex::encode(Sha256::digest(body))
        );
        let key = self.own.secret_access_key.reveal();
        let region = &self.own.region;
        let signature = signature(key, at, region, "ses", &request);
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{}/{region}/ses/aws4_request, SignedHeaders={SIGNED}, Signature={signature}",
            self.own.access_key_id, at.day
        )
    }
}

/// A time as signatures have it.
struct Moment {
    /// `20261121`
    day: String,
    /// `20261121T120000Z`
    whole: String,
}

impl Moment {
    fn of(at: SystemTime) -> Option<Self> {
        let at = OffsetDateTime::from(at);
        let whole = at
            .format(format_description!("[year][month][day]T[hour][minute][second]Z"))
            .ok()?;
        Some(Self {
            day: whole[..8].to_owned(),
            whole,
        })
    }
}

/// The signature of a canonical request.
fn signature(secret: &str, at: &Moment, region: &str, service: &str, request: &str) -> String {
    let scope = format!("{}/{region}/{service}/aws4_request", at.day);
    let text = format!(
        "AWS4-HMAC-SHA256\n{}\n{scope}\n{}",
        at.whole,
        hex::encode(Sha256::digest(request))
    );
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [&at.day, region, service, "aws4_request"] {
        key = mac(&key, part);
    }
    hex::encode(mac(&key, &text))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("invariant: HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// As the client writes it into the request.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// What its answer means.
fn sent(answer: &Answer) -> Sent {
    let json = answer.json().unwrap_or(Value::Null);
    if answer.is_success() {
        let id = json["MessageId"].as_str();
        return match id.filter(|id| (1..=128).contains(&id.len())) {
            Some(id) => Sent::Accepted {
                reference: Some(id.to_owned()),
            },
            None => Sent::Unknown {
                code: "answer_unreadable".into(),
            },
        };
    }
    // `x-amzn-ErrorType: MessageRejected:http://…`, or in the body.
    let own = answer
        .header("x-amzn-errortype")
        .or_else(|| json["__type"].as_str())
        .or_else(|| json["code"].as_str())
        .map(|name| name.split(':').next().unwrap_or_default())
        .map(|name| name.rsplit('#').next().unwrap_or_default())
        .filter(|name| !name.is_empty());
    let code = answer.code_or(own);
    match (own.unwrap_or_default(), answer.status) {
        ("TooManyRequestsException" | "LimitExceededException" | "ThrottlingException", _)
        | (_, 429 | 500..=599) => answer.busy(own),
        (
            "MailFromDomainNotVerifiedException"
            | "AccountSuspendedException"
            | "SendingPausedException"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "AccessDeniedException"
            | "MissingAuthenticationTokenException"
            | "ExpiredTokenException",
            _,
        )
        | (_, 401 | 403) => Sent::Barred { code },
        (_, 408) => Sent::Unknown { code },
        _ => Sent::Refused { code },
    }
}

#[async_trait]
impl Provider for Ses {
    fn vendor(&self) -> Vendor {
        Vendor::Ses
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
        let text = |data: String| json!({"Data": data, "Charset": "UTF-8"});
        let mut body = json!({
            "FromEmailAddress": self.own.from.reveal(),
            "Destination": {"ToAddresses": [to.reveal()]},
            "Content": {"Simple": {
                "Subject": text(mail.subject),
                "Body": {"Text": text(mail.text), "Html": text(mail.html)},
            }},
        });
        if let Some(set) = &self.own.configuration_set {
            body["ConfigurationSetName"] = json!(set);
        }
        let body = body.to_string();
        let Some(at) = Moment::of(SystemTime::now()) else {
            return Sent::Refused { code: "clock".into() };
        };
        let request = self
            .http
            .post(self.emails.clone())
            .header(AUTHORIZATION, self.authorization(&body, &at))
            .header("x-amz-date", at.whole)
            .header(CONTENT_TYPE, JSON)
            .body(body);
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
    fn a_signature_is_what_the_documents_compute() {
        // The example of the vendor's documents: ListUsers of IAM.
        let request = "GET\n/\nAction=ListUsers&Version=2010-05-08\n\
                       content-type:application/x-www-form-urlencoded; charset=utf-8\nhost:iam.amazonaws.com\n\
                       x-amz-date:20150830T123600Z\n\ncontent-type;host;x-amz-date\n\
                       e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let at = Moment {
            day: "20150830".into(),
            whole: "20150830T123600Z".into(),
        };
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        assert_eq!(
            signature(secret, &at, "us-east-1", "iam", request),
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
    }

    #[test]
    fn each_error_means_what_its_documents_say() {
        let told = |status, name: &str| sent(&answer(status, &format!(r#"{{"__type":"{name}"}}"#)));
        for (status, name) in [
            (429, "TooManyRequestsException"),
            (400, "LimitExceededException"),
            (503, "ServiceUnavailable"),
        ] {
            assert!(matches!(told(status, name), Sent::Busy { .. }), "{name}");
        }
        for name in ["MessageRejected", "BadRequestException", "NotFoundException"] {
            assert_eq!(told(400, name), Sent::Refused { code: name.into() });
        }
        for name in [
            "MailFromDomainNotVerifiedException",
            "AccountSuspendedException",
            "SendingPausedException",
        ] {
            assert_eq!(told(400, name), Sent::Barred { code: name.into() });
        }
        assert!(matches!(told(403, ""), Sent::Barred { .. }));
        assert_eq!(
            sent(&answer(200, r#"{"MessageId":"010f-1"}"#)),
            Sent::Accepted {
                reference: Some("010f-1".into())
            }
        );
        assert!(matches!(sent(&answer(200, "")), Sent::Unknown { .. }));
    }
}
