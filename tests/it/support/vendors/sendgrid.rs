//! SendGrid v3.

use std::time::Instant;

use mayday::domain::notify::Vendor;
use serde_json::{Value, json};

use super::server::{Asked, Reply, keys, only};
use super::{Message, State};

pub const API_KEY: &str = "SG.the-sendgrid-key-of-the-tests";
const FROM: &str = "sos@example.org";
pub const SETTINGS: [(&str, &str); 2] = [("api_key", API_KEY), ("from", FROM)];

pub fn refusal(status: u16, code: &str) -> Reply {
    Reply::json(
        status,
        &json!({"errors": [{"message": code, "field": null, "help": null}]}),
    )
}

pub fn answer(asked: &Asked, state: &mut State) -> Result<Reply, String> {
    if (asked.method.as_str(), asked.path.as_str()) != ("POST", "/v3/mail/send") {
        return Err("unknown path".into());
    }
    if asked.header("authorization") != format!("Bearer {API_KEY}") {
        return Ok(refusal(401, "authorization required"));
    }
    let body = asked.json()?;
    only(&["personalizations", "from", "subject", "content"], keys(&body)?)?;
    let to = &body["personalizations"][0]["to"][0]["email"];
    let expected = json!([{"to": [{"email": to}]}]);
    if body["personalizations"] != expected || body["from"] != json!({"email": FROM}) {
        return Err(format!("{body}"));
    }
    let part = |place: usize, kind: &str| -> Result<&str, String> {
        let part = &body["content"][place];
        only(&["type", "value"], keys(part)?)?;
        if part["type"] != kind {
            return Err(format!("content {place} is {}", part["type"]));
        }
        part["value"]
            .as_str()
            .filter(|text| !text.is_empty())
            .ok_or_else(|| "no value".into())
    };
    let (text, _html) = (part(0, "text/plain")?, part(1, "text/html")?);
    let subject = body["subject"]
        .as_str()
        .filter(|text| !text.is_empty())
        .ok_or("no subject")?;
    let reference = format!("mail-{:016x}", state.messages.len() + 1);
    state.take(Message {
        vendor: Vendor::Sendgrid,
        to: to
            .as_str()
            .filter(|to| to.contains('@'))
            .ok_or("no address")?
            .to_owned(),
        text: format!("{subject}\n{text}"),
        reference: reference.clone(),
        content: body.clone(),
        at: Instant::now(),
        callback: None,
    });
    Ok(Reply {
        headers: vec![("x-message-id", reference)],
        ..Reply::empty(202)
    })
}

/// One event as SendGrid tells it of a message.
pub fn event(message: &Message, kind: &str, at: i64) -> Value {
    json!({
        "email": message.to, "timestamp": at, "event": kind, "sg_event_id": format!("{kind}-{at}"),
        "sg_message_id": format!("{}.filterdrecv-5d8-0.0", message.reference),
    })
}
