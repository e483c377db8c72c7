//! What operators have: PagerDuty, and a webhook of their own.

use std::time::Instant;

use hmac::{Hmac, Mac};
use mayday::domain::notify::Vendor;
use serde_json::json;
use sha2::Sha256;

use super::server::{Asked, Reply, keys, only};
use super::{Message, State};

pub const ROUTING_KEY: &str = "the-pagerduty-key-of-the-tests00";
pub const WEBHOOK_SECRET: &str = "the-webhook-secret-of-the-tests";

pub fn pagerduty_refusal(status: u16, code: &str) -> Reply {
    Reply::json(
        status,
        &json!({"status": "invalid event", "message": "no", "errors": [code]}),
    )
}

pub fn pagerduty(asked: &Asked, state: &mut State) -> Result<Reply, String> {
    if (asked.method.as_str(), asked.path.as_str()) != ("POST", "/v2/enqueue") {
        return Err("unknown path".into());
    }
    let body = asked.json()?;
    only(
        &["routing_key", "event_action", "dedup_key", "payload", "links"],
        keys(&body)?,
    )?;
    if body["routing_key"] != ROUTING_KEY {
        return Ok(pagerduty_refusal(400, "invalid routing key"));
    }
    let action = body["event_action"].as_str().unwrap_or_default();
    let payload = &body["payload"];
    match action {
        "trigger" => {
            only(&["summary", "source", "severity"], keys(payload)?)?;
            let known = ["critical", "error", "warning", "info"];
            if !known.iter().any(|known| payload["severity"] == *known) || !payload["summary"].is_string() {
                return Err(format!("{payload}"));
            }
        }
        "acknowledge" | "resolve" if payload.is_null() => {}
        _ => return Err(format!("{body}")),
    }
    let key = body["dedup_key"]
        .as_str()
        .filter(|key| key.len() <= 255)
        .ok_or("no dedup_key")?;
    state.take(Message {
        vendor: Vendor::Pagerduty,
        to: action.to_owned(),
        text: payload["summary"].as_str().unwrap_or_default().to_owned(),
        reference: key.to_owned(),
        content: body.clone(),
        at: Instant::now(),
        callback: None,
    });
    Ok(Reply::json(
        202,
        &json!({"status": "success", "message": "Event processed", "dedup_key": key}),
    ))
}

pub fn webhook(asked: &Asked, state: &mut State) -> Result<Reply, String> {
    if (asked.method.as_str(), asked.path.as_str()) != ("POST", "/hooks/mayday") {
        return Err("unknown path".into());
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(WEBHOOK_SECRET.as_bytes()).unwrap();
    mac.update(asked.header("x-mayday-timestamp").as_bytes());
    mac.update(b".");
    mac.update(&asked.body);
    let expected = format!("v1={}", hex::encode(mac.finalize().into_bytes()));
    if asked.header("x-mayday-signature") != expected {
        return Ok(Reply::empty(401));
    }
    let body = asked.json()?;
    let known = ["id", "occasion", "drill", "possiblyTwice", "text", "values"];
    only(&known, keys(&body)?)?;
    if body["id"] != asked.header("idempotency-key") {
        return Err("another key".into());
    }
    state.take(Message {
        vendor: Vendor::Webhook,
        to: body["occasion"].as_str().ok_or("no occasion")?.to_owned(),
        text: body["text"].as_str().ok_or("no text")?.to_owned(),
        reference: asked.header("idempotency-key").to_owned(),
        content: body.clone(),
        at: Instant::now(),
        callback: None,
    });
    Ok(Reply::empty(204))
}
