//! Apple's push service, which speaks HTTP/2 only.

use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mayday::domain::notify::Vendor;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use p256::pkcs8::{EncodePrivateKey, LineEnding};
use serde_json::{Value, json};

use super::super::people::now_s;
use super::server::{Asked, Reply, keys};
use super::{Message, State};

const TOPIC: &str = "org.example.mayday";

/// What it keeps.
#[derive(Default)]
pub struct Own {
    /// Tokens that it was shown, each once.
    pub shown: Vec<String>,
    /// Apps that are no longer there.
    pub gone: Vec<String>,
}

fn key() -> SigningKey {
    SigningKey::from_slice(&[7; 32]).unwrap()
}

pub fn settings() -> Vec<(&'static str, String)> {
    let key = p256::SecretKey::from(key());
    vec![
        ("key", key.to_pkcs8_pem(LineEnding::LF).unwrap().to_string()),
        ("key_id", "ABC123DEFG".into()),
        ("team_id", "DEF123GHIJ".into()),
        ("topic", TOPIC.into()),
    ]
}

pub fn refusal(status: u16, code: &str) -> Reply {
    Reply::json(status, &json!({"reason": code}))
}

pub fn answer(asked: &Asked, state: &mut State) -> Result<Reply, String> {
    if asked.version != "HTTP/2.0" {
        return Err(asked.version.clone());
    }
    let device = asked.path.strip_prefix("/3/device/").ok_or("unknown path")?;
    let token = asked
        .header("authorization")
        .strip_prefix("Bearer ")
        .ok_or("no token")?;
    if !believed(token)? {
        return Ok(refusal(403, "InvalidProviderToken"));
    }
    if !state.apns.shown.iter().any(|shown| shown == token) {
        state.apns.shown.push(token.to_owned());
    }
    if asked.header("apns-topic") != TOPIC {
        return Ok(refusal(400, "DeviceTokenNotForTopic"));
    }
    let until: u64 = asked
        .header("apns-expiration")
        .parse()
        .map_err(|_| "no expiration")?;
    if asked.header("apns-push-type") != "alert"
        || !["5", "10"].contains(&asked.header("apns-priority"))
        || !(1..=64).contains(&asked.header("apns-collapse-id").len())
        || until <= now_s()
    {
        return Err(format!("{:?}", asked.headers));
    }
    let body = asked.json()?;
    let alert = &body["aps"]["alert"];
    if asked.body.len() > 4_096 || keys(alert)?.count() != 2 {
        return Err(format!("{body}"));
    }
    if state.apns.gone.iter().any(|gone| gone == device) {
        return Ok(refusal(410, "Unregistered"));
    }
    let reference = format!("{:08x}-0000-4000-8000-000000000000", state.messages.len() + 1);
    let text = |name: &str| alert[name].as_str().unwrap_or_default();
    state.take(Message {
        vendor: Vendor::Apns,
        to: device.to_owned(),
        text: format!("{}\n{}", text("title"), text("body")),
        reference: reference.clone(),
        content: json!({"body": body, "collapse": asked.header("apns-collapse-id"), "priority": asked.header("apns-priority")}),
        at: Instant::now(),
        callback: None,
    });
    Ok(Reply {
        headers: vec![("apns-id", reference)],
        ..Reply::empty(200)
    })
}

fn believed(token: &str) -> Result<bool, String> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        return Err("no token".into());
    };
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|error| error.to_string());
    let read =
        |part: &str| serde_json::from_slice::<Value>(&decoded(part)?).map_err(|error| error.to_string());
    let signature = Signature::from_slice(&decoded(signature)?).map_err(|error| error.to_string())?;
    let good = VerifyingKey::from(&key()).verify(format!("{header}.{claims}").as_bytes(), &signature);
    let (header, claims) = (read(header)?, read(claims)?);
    let age = i64::try_from(now_s()).unwrap() - claims["iat"].as_i64().ok_or("no iat")?;
    Ok(good.is_ok()
        && header == json!({"alg": "ES256", "kid": "ABC123DEFG"})
        && claims["iss"] == "DEF123GHIJ"
        && (-30..3_600).contains(&age))
}
