//! Firebase Cloud Messaging, and the server that gives out its tokens.

use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mayday::domain::notify::Vendor;
use rsa::RsaPrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs1v15::{Signature, VerifyingKey};
use rsa::pkcs8::{EncodePrivateKey, LineEnding};
use rsa::signature::Verifier;
use serde_json::{Value, json};
use sha2::Sha256;

use super::super::people::now_s;
use super::server::{Asked, Reply, keys, only};
use super::{Message, State};

const EMAIL: &str = "push@mayday-tests.iam.gserviceaccount.com";
/// The path of the server that gives out tokens.
const TOKEN_PATH: &str = "/token";
/// What its tokens begin with; none may be logged.
pub const TOKEN: &str = "ya29.the-fcm-token-of-the-tests";

/// What it keeps.
#[derive(Default)]
pub struct Own {
    /// How many tokens it has given out; only the newest is good.
    pub tokens: usize,
    /// How long they are said to be good, in seconds.
    pub lives: Option<u64>,
    /// Apps that are no longer there.
    pub gone: Vec<String>,
    /// It gives out no token.
    pub barred: bool,
}

fn key() -> RsaPrivateKey {
    RsaPrivateKey::from_pkcs1_der(include_bytes!("../../../fixtures/rsa-of-the-tests.der")).unwrap()
}

/// The service account, with a token server here.
pub fn settings(url: &str) -> Vec<(&'static str, String)> {
    let account = json!({
        "type": "service_account", "project_id": "mayday-tests", "private_key_id": "k1",
        "private_key": key().to_pkcs8_pem(LineEnding::LF).unwrap().as_str(),
        "client_email": EMAIL, "token_uri": format!("{url}{TOKEN_PATH}"),
    });
    vec![("service_account", account.to_string())]
}

pub fn refusal(status: u16, code: &str) -> Reply {
    Reply::json(
        status,
        &json!({"error": {"code": status, "message": "no", "status": "NO", "details": [
            {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}]}}),
    )
}

pub fn is_token_path(asked: &Asked) -> bool {
    asked.path == TOKEN_PATH
}

pub fn answer(asked: &Asked, state: &mut State) -> Result<Reply, String> {
    match (asked.method.as_str(), asked.path.as_str()) {
        ("POST", TOKEN_PATH) => grant(asked, state),
        ("POST", "/v1/projects/mayday-tests/messages:send") => take(asked, state),
        _ => Err("unknown path".into()),
    }
}

fn grant(asked: &Asked, state: &mut State) -> Result<Reply, String> {
    let form = asked.form()?;
    only(&["grant_type", "assertion"], form.keys())?;
    if form["grant_type"] != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
        return Err(form["grant_type"].clone());
    }
    let parts: Vec<&str> = form["assertion"].split('.').collect();
    let [header, claims, signature] = parts[..] else {
        return Err("no token".into());
    };
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|error| error.to_string());
    let read =
        |part: &str| serde_json::from_slice::<Value>(&decoded(part)?).map_err(|error| error.to_string());
    let signature = Signature::try_from(decoded(signature)?.as_slice()).map_err(|error| error.to_string())?;
    VerifyingKey::<Sha256>::new(key().to_public_key())
        .verify(format!("{header}.{claims}").as_bytes(), &signature)
        .map_err(|error| error.to_string())?;
    let (header, claims) = (read(header)?, read(claims)?);
    let (from, to) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    if header != json!({"alg": "RS256", "typ": "JWT", "kid": "k1"})
        || claims["iss"] != EMAIL
        || claims["scope"] != "https://www.googleapis.com/auth/firebase.messaging"
        || !claims["aud"].as_str().unwrap().ends_with(TOKEN_PATH)
        || to - from > 3_600
        || (from - i64::try_from(now_s()).unwrap()).abs() > 30
    {
        return Err(format!("{header} {claims}"));
    }
    if state.fcm.barred {
        return Ok(Reply::json(400, &json!({"error": "invalid_grant"})));
    }
    state.fcm.tokens += 1;
    let token = format!("{TOKEN}-{}", state.fcm.tokens);
    let lives = state.fcm.lives.unwrap_or(3_599);
    Ok(Reply::json(
        200,
        &json!({"access_token": token, "expires_in": lives, "token_type": "Bearer"}),
    ))
}

fn take(asked: &Asked, state: &mut State) -> Result<Reply, String> {
    if asked.header("authorization") != format!("Bearer {TOKEN}-{}", state.fcm.tokens) {
        return Ok(Reply::json(
            401,
            &json!({"error": {"code": 401, "status": "UNAUTHENTICATED"}}),
        ));
    }
    let body = asked.json()?;
    only(&["message"], keys(&body)?)?;
    let message = &body["message"];
    only(&["token", "data", "android"], keys(message)?)?;
    only(&["priority", "ttl"], keys(&message["android"])?)?;
    if !["HIGH", "NORMAL"]
        .iter()
        .any(|known| message["android"]["priority"] == *known)
        || !message["android"]["ttl"]
            .as_str()
            .is_some_and(|ttl| ttl.ends_with('s'))
    {
        return Err(format!("{}", message["android"]));
    }
    if message["data"].to_string().len() > 4_096
        || keys(&message["data"])?.any(|key| !message["data"][key].is_string())
    {
        return Err(format!("data {}", message["data"]));
    }
    let token = message["token"].as_str().ok_or("no token")?.to_owned();
    if state.fcm.gone.contains(&token) {
        return Ok(refusal(404, "UNREGISTERED"));
    }
    let reference = format!("projects/mayday-tests/messages/{}", state.messages.len() + 1);
    let text = |name: &str| message["data"][name].as_str().unwrap_or_default();
    state.take(Message {
        vendor: Vendor::Fcm,
        to: token,
        text: format!("{}\n{}", text("title"), text("body")),
        reference: reference.clone(),
        content: message.clone(),
        at: Instant::now(),
        callback: None,
    });
    Ok(Reply::json(200, &json!({"name": reference})))
}
