//! WhatsApp's Cloud API.

use std::time::Instant;

use hmac::{Hmac, Mac};
use mayday::domain::notify::Vendor;
use serde_json::{Value, json};
use sha2::Sha256;

use super::server::{Asked, Reply, keys, only};
use super::{Call, Message, State, Vendors};

pub const ACCESS_TOKEN: &str = "the-whatsapp-token-of-the-tests";
pub const APP_SECRET: &str = "the-whatsapp-app-secret-of-the-tests";
pub const VERIFY_TOKEN: &str = "the-whatsapp-verify-token-of-the-tests";
pub const SETTINGS: [(&str, &str); 6] = [
    ("phone_number_id", "106540352242922"),
    ("access_token", ACCESS_TOKEN),
    ("app_secret", APP_SECRET),
    ("verify_token", VERIFY_TOKEN),
    ("template", "sos_alert"),
    ("languages", "en, fil, pt_BR"),
];

pub fn refusal(status: u16, code: &str) -> Reply {
    let code: i64 = code.parse().unwrap();
    Reply::json(
        status,
        &json!({"error": {"message": "no", "type": "OAuthException", "code": code, "fbtrace_id": "x"}}),
    )
}

pub fn answer(asked: &Asked, state: &mut State) -> Result<Reply, String> {
    if (asked.method.as_str(), asked.path.as_str()) != ("POST", "/v23.0/106540352242922/messages") {
        return Err("unknown path".into());
    }
    if asked.header("authorization") != format!("Bearer {ACCESS_TOKEN}") {
        return Ok(refusal(401, "190"));
    }
    let body = asked.json()?;
    let known = ["messaging_product", "recipient_type", "to", "type", "template"];
    only(&known, keys(&body)?)?;
    only(&["name", "language", "components"], keys(&body["template"])?)?;
    if body["messaging_product"] != "whatsapp" || body["type"] != "template" {
        return Err(format!("{body}"));
    }
    let language = &body["template"]["language"];
    let code = language["code"].as_str().unwrap_or_default();
    if *language != json!({"code": code, "policy": "deterministic"}) {
        return Err(format!("{language}"));
    }
    if !["en", "fil", "pt_BR"].contains(&code) {
        return Ok(refusal(404, "132001"));
    }
    let to = body["to"].as_str().ok_or("no to")?;
    if !to.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("to {to}"));
    }
    let mut texts = vec![];
    for parameter in body["template"]["components"][0]["parameters"]
        .as_array()
        .ok_or("no parameters")?
    {
        only(&["type", "text"], keys(parameter)?)?;
        let text = parameter["text"].as_str().ok_or("no text")?;
        if text.is_empty() || text.contains(['\n', '\t']) || text.contains("     ") {
            return Err(format!("parameter {text:?}"));
        }
        texts.push(text);
    }
    let reference = format!("wamid.{:032X}=", state.messages.len() + 1);
    state.take(Message {
        vendor: Vendor::WhatsappCloud,
        to: format!("+{to}"),
        text: texts.join(" | "),
        reference: reference.clone(),
        content: body.clone(),
        at: Instant::now(),
        callback: None,
    });
    Ok(Reply::json(
        200,
        &json!({"messaging_product": "whatsapp", "contacts": [{"input": to, "wa_id": to}], "messages": [{"id": reference}]}),
    ))
}

impl Vendors {
    /// What WhatsApp posts, signed.
    pub fn whatsapp_call(&self, body: &Value) -> Call {
        let body = body.to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(APP_SECRET.as_bytes()).unwrap();
        mac.update(body.as_bytes());
        let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        Call {
            path: "/callbacks/whatsapp".into(),
            headers: vec![
                ("content-type", "application/json".into()),
                ("x-hub-signature-256", signature),
            ],
            body,
        }
    }
}
