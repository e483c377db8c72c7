//! MSG91's Flow.

use std::time::Instant;

use mayday::domain::notify::Vendor;
use serde_json::json;

use super::server::{Asked, Reply, only};
use super::{Message, State};

pub const AUTHKEY: &str = "the-msg91-key-of-the-tests";
pub const CALLBACK_SECRET: &str = "the-msg91-callback-secret-of-the-tests";
const TEMPLATE: &str = "61e7f0c1d6fc0512345678ab";
pub const SETTINGS: [(&str, &str); 4] = [
    ("authkey", AUTHKEY),
    ("template_id", TEMPLATE),
    ("templates", "OTP=61e7f0c1d6fc05000000000f:code,minutes"),
    ("callback_secret", CALLBACK_SECRET),
];

pub fn refusal(status: u16, code: &str) -> Reply {
    Reply::json(status, &json!({"type": "error", "message": "no", "code": code}))
}

pub fn answer(asked: &Asked, state: &mut State) -> Result<Reply, String> {
    if (asked.method.as_str(), asked.path.as_str()) != ("POST", "/api/v5/flow") {
        return Err("unknown path".into());
    }
    if asked.header("authkey") != AUTHKEY {
        return Ok(refusal(200, "207"));
    }
    let body = asked.json()?;
    only(
        &["template_id", "recipients"],
        body.as_object().ok_or("no object")?.keys(),
    )?;
    if !body["template_id"]
        .as_str()
        .is_some_and(|id| id.starts_with("61e7f0c1d6fc05"))
    {
        return Ok(refusal(200, "211"));
    }
    let recipients = body["recipients"].as_array().ok_or("no recipients")?;
    let [recipient] = recipients.as_slice() else {
        return Err("more than one recipient".into());
    };
    let mut texts = vec![];
    for (place, (key, value)) in recipient.as_object().ok_or("no object")?.iter().enumerate() {
        if key != "mobiles" && key != &format!("VAR{}", if texts.is_empty() { 1 } else { texts.len() + 1 }) {
            return Err(format!("field {place} is {key}"));
        }
        let text = value.as_str().filter(|text| !text.is_empty()).ok_or("no text")?;
        if key != "mobiles" {
            texts.push(text);
        }
    }
    let mobiles = recipient["mobiles"].as_str().ok_or("no mobiles")?;
    if !mobiles.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("mobiles {mobiles}"));
    }
    let reference = format!("{:024x}", state.messages.len() + 1);
    state.take(Message {
        vendor: Vendor::Msg91,
        to: format!("+{mobiles}"),
        text: texts.join(" | "),
        reference: reference.clone(),
        content: body.clone(),
        at: Instant::now(),
        callback: None,
    });
    Ok(Reply::json(
        200,
        &json!({"type": "success", "message": reference}),
    ))
}
