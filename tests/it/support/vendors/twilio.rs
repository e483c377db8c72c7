//! Twilio's Messages, and how it calls back.

use std::time::{Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use mayday::domain::notify::Vendor;
use serde_json::{Value, json};
use sha1::Sha1;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::server::{Asked, Reply, only};
use super::{Message, State, Vendors};

pub const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
pub const TOKEN: &str = "the-twilio-token-of-the-tests";
const FROM: &str = "+15005550006";
pub const SETTINGS: [(&str, &str); 3] = [("account_sid", ACCOUNT), ("auth_token", TOKEN), ("from", FROM)];

/// What it keeps.
#[derive(Default)]
pub struct Own {
    messages: Vec<Value>,
}

pub fn refusal(status: u16, code: &str) -> Reply {
    let code: u32 = code.parse().unwrap();
    Reply::json(
        status,
        &json!({"code": code, "message": "no", "more_info": "https://www.twilio.com/docs", "status": status}),
    )
}

pub fn answer(asked: &Asked, state: &mut State) -> Result<Reply, String> {
    let expected = format!("Basic {}", STANDARD.encode(format!("{ACCOUNT}:{TOKEN}")));
    if asked.header("authorization") != expected {
        return Ok(refusal(401, "20003"));
    }
    let account = format!("/2010-04-01/Accounts/{ACCOUNT}");
    let path = asked.path.strip_prefix(&account).ok_or("another account")?;
    match (asked.method.as_str(), path) {
        ("POST", "/Messages.json") => take(asked, state),
        ("GET", "/Messages.json") => list(asked, state),
        ("GET", path) => {
            let sid = path
                .strip_prefix("/Messages/")
                .and_then(|name| name.strip_suffix(".json"))
                .ok_or("unknown path")?;
            let found = state.twilio.messages.iter().find(|message| message["sid"] == sid);
            Ok(found.map_or_else(|| refusal(404, "20404"), |message| Reply::json(200, message)))
        }
        _ => Err("unknown path".into()),
    }
}

fn take(asked: &Asked, state: &mut State) -> Result<Reply, String> {
    let form = asked.form()?;
    only(
        &["To", "From", "Body", "StatusCallback", "ValidityPeriod"],
        form.keys(),
    )?;
    let (to, body) = (form.get("To").ok_or("no To")?, form.get("Body").ok_or("no Body")?);
    if !to.starts_with('+') || form.get("From").map(String::as_str) != Some(FROM) {
        return Err(format!("from {:?} to {to}", form.get("From")));
    }
    if body.is_empty() || body.chars().count() > 1600 {
        return Err(format!("a body of {} characters", body.chars().count()));
    }
    let validity = form
        .get("ValidityPeriod")
        .map_or(Ok(36_000), |text| text.parse::<u32>())
        .map_err(|error| error.to_string())?;
    if !(1..=36_000).contains(&validity) {
        return Err(format!("ValidityPeriod {validity}"));
    }
    let sid = format!("SM{:032x}", state.twilio.messages.len() + 1);
    let now = OffsetDateTime::from(SystemTime::now())
        .replace_nanosecond(0)
        .unwrap();
    let message = json!({
        "sid": sid, "account_sid": ACCOUNT, "to": to, "from": FROM, "body": body, "status": "queued",
        "direction": "outbound-api", "date_created": now.format(&Rfc2822).unwrap(), "date_sent": null,
        "error_code": null, "error_message": null, "num_segments": "1",
    });
    state.twilio.messages.push(message.clone());
    state.take(Message {
        vendor: Vendor::Twilio,
        to: to.clone(),
        text: body.clone(),
        reference: sid,
        callback: form.get("StatusCallback").cloned(),
        content: json!(form),
        at: Instant::now(),
    });
    Ok(Reply::json(201, &message))
}

fn list(asked: &Asked, state: &State) -> Result<Reply, String> {
    only(
        &["To", "DateSent>", "PageSize"],
        asked.query.iter().map(|(key, _)| key),
    )?;
    let given = |name: &str| {
        asked
            .query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    };
    let to = given("To").ok_or("no To")?;
    let day = given("DateSent>").ok_or("no DateSent>")?;
    if day.len() != 10 || day.as_bytes()[4] != b'-' {
        return Err(format!("DateSent>={day}"));
    }
    let found: Vec<_> = state
        .twilio
        .messages
        .iter()
        .rev()
        .filter(|message| message["to"] == to.as_str())
        .collect();
    Ok(Reply::json(
        200,
        &json!({"messages": found, "next_page_uri": null}),
    ))
}

/// What `X-Twilio-Signature` is for a form that is posted to a URL.
pub fn signature(url: &str, form: &[(&str, &str)], token: &str) -> String {
    let mut sorted = form.to_vec();
    sorted.sort_unstable();
    let mut mac = Hmac::<Sha1>::new_from_slice(token.as_bytes()).unwrap();
    mac.update(url.as_bytes());
    for (key, value) in sorted {
        mac.update(key.as_bytes());
        mac.update(value.as_bytes());
    }
    STANDARD.encode(mac.finalize().into_bytes())
}

fn encoded(form: &[(&str, &str)]) -> String {
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    text.extend_pairs(form);
    text.finish()
}

/// A signed call: headers and body.
#[derive(Clone, Debug)]
pub struct Call {
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Vendors {
    /// From now on Twilio says so of a message when it is asked.
    pub fn twilio_says(&self, message: &Message, status: &str, code: Option<u32>) {
        let mut state = self.lock();
        let found = state
            .twilio
            .messages
            .iter_mut()
            .find(|own| own["sid"] == message.reference.as_str());
        let found = found.expect("Twilio has it");
        found["status"] = status.into();
        found["error_code"] = code.into();
    }

    /// Twilio's word that a message has come so far, as it posts it to the callback that the message named.
    pub fn twilio_status(&self, message: &Message, status: &str, code: Option<u32>) -> Call {
        let code = code.map(|code| code.to_string());
        let mut form = vec![
            ("AccountSid", ACCOUNT),
            ("MessageSid", message.reference.as_str()),
            ("MessageStatus", status),
            ("To", message.to.as_str()),
            ("From", FROM),
        ];
        if let Some(code) = &code {
            form.push(("ErrorCode", code));
        }
        let url = message.callback.as_deref().expect("a callback was asked for");
        call(url, &form)
    }

    /// A text message that somebody sends to our number.
    pub fn twilio_message(&self, from: &str, text: &str) -> Call {
        let url = format!("{}/callbacks/twilio/message", super::PUBLIC_URL);
        let sid = format!("SM{:032x}", 0xffff_0000_u32 + u32::try_from(text.len()).unwrap());
        let form = [
            ("MessageSid", sid.as_str()),
            ("From", from),
            ("To", FROM),
            ("Body", text),
        ];
        call(&url, &form)
    }
}

fn call(url: &str, form: &[(&str, &str)]) -> Call {
    Call {
        path: url
            .strip_prefix(super::PUBLIC_URL)
            .expect("our address")
            .to_owned(),
        headers: vec![
            ("content-type", "application/x-www-form-urlencoded".into()),
            ("x-twilio-signature", signature(url, form, TOKEN)),
        ],
        body: encoded(form),
    }
}
