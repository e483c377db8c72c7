//! Twilio's Messages.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use reqwest::{RequestBuilder, Url};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use time::macros::format_description;

use super::client::{Answer, Http, at};
use super::settings::{Common, SettingsError, TwilioSettings};
use super::{Asked, Credential, Provider, Sent, Templates};
use crate::domain::notify::{DeliveryState, Destination, Outgoing, Vendor};

/// The longest time that it keeps a message which cannot be delivered yet.
const VALIDITY_MAX: Duration = Duration::from_secs(36_000);
/// Where it tells how a message stands, below the public address.
pub(crate) const STATUS_PATH: [&str; 3] = ["callbacks", "twilio", "status"];
/// Messages that are looked through for one whose sending had no answer.
const SEARCHED_MAX: &str = "50";
/// Its clock and ours may differ by so much, and it tells whole seconds.
const CLOCK_SLACK: Duration = Duration::from_secs(5);

/// Carries text messages.
pub(super) struct Twilio {
    http: Http,
    messages: Url,
    account_sid: String,
    auth_token: Credential,
    from: String,
    status_callback: Option<Url>,
    templates: Arc<Templates>,
}

impl Twilio {
    pub(super) fn of(
        common: &Common,
        settings: &TwilioSettings,
        templates: Arc<Templates>,
    ) -> Result<Self, SettingsError> {
        let account = ["2010-04-01", "Accounts", &settings.account_sid];
        let public = common.public_url.as_ref();
        Ok(Self {
            http: Http::of(common, &settings.base_url, "notify.twilio.base_url")?,
            messages: at(&settings.base_url, account),
            account_sid: settings.account_sid.clone(),
            auth_token: settings.auth_token.clone(),
            from: settings.from.clone(),
            status_callback: public.map(|url| at(url, STATUS_PATH)),
            templates,
        })
    }

    fn with_credentials(&self, request: RequestBuilder) -> RequestBuilder {
        request.basic_auth(&self.account_sid, Some(self.auth_token.reveal()))
    }

    fn form(&self, message: &Outgoing, to: &str, body: &str) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        let service = self.from.len() == 34 && self.from.starts_with("MG");
        form.append_pair("To", to)
            .append_pair(if service { "MessagingServiceSid" } else { "From" }, &self.from)
            .append_pair("Body", body)
            .append_pair(
                "ValidityPeriod",
                &message.ttl.min(VALIDITY_MAX).as_secs().max(1).to_string(),
            );
        if let Some(url) = &self.status_callback {
            form.append_pair("StatusCallback", url.as_str());
        }
        form.finish()
    }
}

/// What its answer to a new message means.
fn sent(answer: &Answer) -> Sent {
    let json = answer.json().unwrap_or(Value::Null);
    let own = number(&json["code"]).or_else(|| number(&json["error_code"]));
    if answer.is_success() {
        return match json["sid"].as_str() {
            Some(sid) if is_sid(sid) => match (json["status"].as_str(), own) {
                (Some("failed" | "undelivered"), code) => refused(&answer.code_or(code.as_deref())),
                _ => Sent::Accepted {
                    reference: Some(sid.to_owned()),
                },
            },
            // It took it and did not say what it calls it.
            _ => Sent::Unknown {
                code: "answer_unreadable".into(),
            },
        };
    }
    let code = answer.code_or(own.as_deref());
    match (answer.status, own.as_deref()) {
        (429, _) | (_, Some("20429")) => answer.busy(own.as_deref()),
        (401, _) | (_, Some("20003" | "20005" | "20006" | "30002")) => Sent::Barred { code },
        (408 | 500..=599, _) => Sent::Unknown { code },
        _ => refused(&code),
    }
}

/// What it says about the message itself.
fn refused(code: &str) -> Sent {
    let code = code.to_owned();
    match code.as_str() {
        // Not a number, opted out, not a mobile: nor will another vendor reach it.
        "21211" | "21610" | "21614" => Sent::Dead { code, forget: false },
        _ => Sent::Refused { code },
    }
}

fn number(value: &Value) -> Option<String> {
    value
        .as_u64()
        .map(|n| n.to_string())
        .or_else(|| value.as_str().map(str::to_owned))
}

/// `SM` or `MM` and hex digits.
pub(crate) fn is_sid(text: &str) -> bool {
    (3..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// What a status of Twilio's means; `None`: it is not one.
pub(crate) fn state(status: &str) -> Option<DeliveryState> {
    Some(match status {
        "accepted" | "scheduled" | "queued" | "sending" | "sent" => DeliveryState::Accepted,
        "delivered" => DeliveryState::Delivered,
        "read" => DeliveryState::Read,
        "undelivered" | "failed" | "canceled" => DeliveryState::FailedTemporary,
        _ => return None,
    })
}

#[async_trait]
impl Provider for Twilio {
    fn vendor(&self) -> Vendor {
        Vendor::Twilio
    }

    fn carries(&self, to: &Destination) -> bool {
        matches!(to, Destination::Sms(_))
    }

    async fn send(&self, message: &Outgoing) -> Sent {
        let Destination::Sms(number) = &message.to else {
            return Sent::misdirected();
        };
        let Ok(body) = self.templates.sms(&message.content, message.possibly_twice) else {
            return Sent::no_text();
        };
        let request = self
            .with_credentials(self.http.post(at(&self.messages, ["Messages.json"])))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(self.form(message, number.reveal(), &body));
        match self.http.ask(request).await {
            Ok(answer) => sent(&answer),
            Err(silence) => silence.into(),
        }
    }

    async fn ask(&self, reference: &str) -> Option<Asked> {
        if !is_sid(reference) {
            return Some(Asked::Unheard);
        }
        let name = format!("{reference}.json");
        let request = self.with_credentials(self.http.get(at(&self.messages, ["Messages", &name])));
        let Ok(answer) = self.http.ask(request).await else {
            return Some(Asked::Unanswered);
        };
        if answer.status == 404 {
            return Some(Asked::Unheard);
        }
        let json = answer.json().filter(|_| answer.is_success());
        Some(json.map_or(
            Asked::Unanswered,
            |json| match json["status"].as_str().and_then(state) {
                Some(state) => Asked::Stands {
                    state,
                    code: number(&json["error_code"]).map(|own| super::code(&own)),
                },
                None => Asked::Unanswered,
            },
        ))
    }

    fn can_search(&self) -> bool {
        true
    }

    async fn search(&self, message: &Outgoing, age: Duration) -> Result<Option<String>, ()> {
        let Destination::Sms(to) = &message.to else {
            return Err(());
        };
        let since = SystemTime::now()
            .checked_sub(age.saturating_add(CLOCK_SLACK))
            .ok_or(())?;
        let since = OffsetDateTime::from(since);
        let bodies = [false, true].map(|twice| self.templates.sms(&message.content, twice).ok());
        let mut url = at(&self.messages, ["Messages.json"]);
        let day = since
            .format(format_description!("[year]-[month]-[day]"))
            .map_err(|_| ())?;
        url.query_pairs_mut()
            .append_pair("To", to.reveal())
            .append_pair("DateSent>", &day)
            .append_pair("PageSize", SEARCHED_MAX);
        let request = self.with_credentials(self.http.get(url));
        let answer = self.http.ask(request).await.map_err(|_| ())?;
        let json = answer.json().filter(|_| answer.is_success()).ok_or(())?;
        for found in json["messages"].as_array().ok_or(())? {
            let ours = found["body"]
                .as_str()
                .is_some_and(|body| bodies.iter().flatten().any(|own| own == body.trim()));
            let outgoing = found["direction"]
                .as_str()
                .is_none_or(|way| way.starts_with("outbound"));
            let made = found["date_created"]
                .as_str()
                .and_then(|at| OffsetDateTime::parse(at, &Rfc2822).ok());
            if ours && outgoing && made.is_some_and(|made| made >= since) {
                let sid = found["sid"].as_str().filter(|sid| is_sid(sid)).ok_or(())?;
                return Ok(Some(sid.to_owned()));
            }
        }
        // More than one page of messages: what was looked for may stand on another.
        match json["next_page_uri"].as_str() {
            Some(next) if !next.is_empty() => Err(()),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::answer;
    use super::*;

    #[test]
    fn each_answer_means_what_its_documents_say() {
        let unknown = |code: &str| Sent::Unknown { code: code.into() };
        let refused = |code: &str| Sent::Refused { code: code.into() };
        let dead = |code: &str| Sent::Dead {
            code: code.into(),
            forget: false,
        };
        let busy = |code: &str| Sent::Busy {
            code: code.into(),
            after: None,
        };
        let barred = |code: &str| Sent::Barred { code: code.into() };
        let accepted = Sent::Accepted {
            reference: Some("SM1".into()),
        };
        for (status, body, expected) in [
            (201, r#"{"sid":"SM1","status":"queued"}"#, accepted),
            (
                201,
                r#"{"sid":"SM1","status":"failed","error_code":30001}"#,
                refused("30001"),
            ),
            (201, r#"{"sid":"S/1"}"#, unknown("answer_unreadable")),
            (201, "<html>", unknown("answer_unreadable")),
            (429, "", busy("http_429")),
            (429, r#"{"code":20429}"#, busy("20429")),
            (400, r#"{"code":20429}"#, busy("20429")),
            (400, r#"{"code":21611}"#, refused("21611")),
            (400, r#"{"code":30001}"#, refused("30001")),
            (400, r#"{"code":21211}"#, dead("21211")),
            (400, r#"{"code":21610}"#, dead("21610")),
            (400, r#"{"code":21614}"#, dead("21614")),
            (401, r#"{"code":20003}"#, barred("20003")),
            (401, "", barred("http_401")),
            (403, r#"{"code":20003}"#, barred("20003")),
            (500, r#"{"code":20500}"#, unknown("20500")),
            (503, "", unknown("http_503")),
            (302, "", refused("http_302")),
            (404, r#"{"code":20404}"#, refused("20404")),
        ] {
            assert_eq!(sent(&answer(status, body)), expected, "{status} {body}");
        }
    }

    #[test]
    fn a_status_is_one_of_ours_or_none() {
        assert_eq!(state("sent"), Some(DeliveryState::Accepted));
        assert_eq!(state("delivered"), Some(DeliveryState::Delivered));
        assert_eq!(state("read"), Some(DeliveryState::Read));
        assert_eq!(state("undelivered"), Some(DeliveryState::FailedTemporary));
        assert_eq!(state("receiving"), None);
    }
}
