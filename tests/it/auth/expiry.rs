//! A credential ends while its bearer is connected.

use serde_json::json;

use super::issuer::{Issuer, claims, metric_reaches};
use super::signer::Signer;
use crate::support::{Client, Engine, now_ms, now_s, sign, uuid4};

const QUICK: [(&str, &str); 2] = [("auth.leeway_s", "1"), ("auth.expiry_warning_s", "1")];

fn token(user: &str, seconds: u64) -> String {
    sign(&json!({"userId": user, "role": "CITIZEN", "name": user, "exp": now_s() + seconds}))
}

async fn connected(engine: &Engine, token: &str) -> Client {
    engine.bearer(token).connect().await
}

async fn sends_token(client: &mut Client, token: &str) {
    client
        .says(json!({"type": "refresh-credential", "token": token}))
        .await;
}

#[tokio::test]
async fn who_does_nothing_is_warned_and_then_closed_after_the_leeway() {
    let engine = Engine::start(&QUICK);
    let exp = now_s() + 3;
    let token = sign(&json!({"userId": "ana", "role": "CITIZEN", "exp": exp}));
    let mut ana = connected(&engine, &token).await;
    let warning = ana
        .expect(json!({"type": "credential-expiring", "expiresAt": "*"}))
        .await;
    assert!(now_ms() >= (exp - 1) * 1000, "not sooner than a second before");
    assert!(warning["expiresAt"].as_str().unwrap() > warning["timestamp"].as_str().unwrap());
    ana.hears_nothing_more().await;
    assert_eq!(ana.expect_close(4001).await, "credential expired");
    assert!(now_ms() >= (exp + 1) * 1000, "the leeway is theirs");
}

#[tokio::test]
async fn a_credential_that_ends_soon_is_told_at_once_and_after_the_greeting() {
    let engine = Engine::start(&[]);
    let mut ana = connected(&engine, &token("ana", 30)).await;
    ana.expect(json!({"type": "credential-expiring", "expiresAt": "*"}))
        .await;
    ana.hears_nothing_more().await;
    // One that is told nothing, because the settings say so.
    let engine = Engine::start(&[("auth.expiry_warning_s", "0")]);
    connected(&engine, &token("ana", 30))
        .await
        .hears_nothing_more()
        .await;
}

#[tokio::test]
async fn a_new_token_keeps_the_socket_open_beyond_the_old_ones_end() {
    let engine = Engine::start(&QUICK);
    let short = token("ana", 3);
    let mut witness = connected(&engine, &short).await;
    let mut ana = connected(&engine, &short).await;
    ana.creates("home").await;
    ana.expect(json!({"type": "credential-expiring"})).await;
    sends_token(&mut ana, &token("ana", 3600)).await;
    let refreshed = ana
        .expect(json!({"type": "credential-refreshed", "expiresAt": "*"}))
        .await;
    assert!(refreshed["expiresAt"].as_str().unwrap() > refreshed["timestamp"].as_str().unwrap());
    // The same token on another connection is over: so would this one be.
    witness.expect(json!({"type": "credential-expiring"})).await;
    witness.expect_close(4001).await;
    ana.writes("home", "still here").await;
}

#[tokio::test]
async fn a_new_token_is_warned_of_and_ends_like_the_first() {
    let engine = Engine::start(&QUICK);
    let mut ana = connected(&engine, &token("ana", 3600)).await;
    sends_token(&mut ana, &token("ana", 3)).await;
    ana.expect(json!({"type": "credential-refreshed"})).await;
    ana.expect(json!({"type": "credential-expiring"})).await;
    ana.expect_close(4001).await;
}

#[tokio::test]
async fn a_token_that_is_no_good_or_anothers_is_refused_and_the_connection_stays() {
    let engine = Engine::start(&[]);
    let mut ana = connected(&engine, &token("ana", 3600)).await;
    let say = |changes: serde_json::Value| {
        let mut claims = json!({"userId": "ana", "role": "CITIZEN", "name": "ana", "exp": now_s() + 3600});
        for (key, value) in changes.as_object().unwrap() {
            claims[key] = value.clone();
        }
        sign(&claims)
    };
    for (token, what) in [
        (token("ben", 3600), "subject"),
        (say(json!({"role": "ADMIN"})), "role"),
        (say(json!({"phone_no": "+639171234501"})), "phone number"),
        (say(json!({"name": "Anna"})), "name"),
    ] {
        sends_token(&mut ana, &token).await;
        let error = ana.expect_error("CREDENTIAL_CHANGED").await;
        let wanted = format!("the token's {what} is another: connect again with it");
        assert_eq!(
            (&error["message"], &error["field"]),
            (&json!(wanted), &json!("token"))
        );
    }
    for (bad, why) in [
        ("a.b.c".to_owned(), "the token is not valid"),
        (say(json!({"exp": now_s() - 60})), "the token has expired"),
        (say(json!({"role": "KING"})), "the token's role is not valid"),
    ] {
        sends_token(&mut ana, &bad).await;
        let error = ana.expect_error("UNAUTHENTICATED").await;
        assert_eq!(error["message"], why);
    }
    ana.says(json!({"type": "refresh-credential"})).await;
    ana.expect_error("INVALID_FIELD").await;
    ana.creates("home").await;
    ana.hears_nothing_more().await;
}

#[tokio::test]
async fn a_token_bound_to_another_incident_is_anothers() {
    let engine = Engine::start(&[]);
    let device = uuid4();
    let bound =
        |sos: &str| sign(&json!({"deviceId": device, "role": "ANON", "sosId": sos, "exp": now_s() + 3600}));
    let mut rescuer = connected(&engine, &bound("s1")).await;
    sends_token(&mut rescuer, &bound("s2")).await;
    rescuer.expect_error("CREDENTIAL_CHANGED").await;
    sends_token(&mut rescuer, &bound("s1")).await;
    rescuer.expect(json!({"type": "credential-refreshed"})).await;
}

#[tokio::test]
async fn a_ticket_ends_with_the_token_behind_it() {
    let engine = Engine::start(&QUICK);
    let ana = engine.bearer(&token("ana", 3));
    let ticket = ana.post("/api/v1/tickets", json!({})).await.data(201);
    let spare = ana.post("/api/v1/tickets", json!({})).await.data(201);
    let path = |ticket: &serde_json::Value| format!("/api/ws?ticket={}", ticket["ticket"].as_str().unwrap());
    let mut client = engine.nobody().try_open(&path(&ticket)).await.unwrap();
    client.expect(json!({"type": "connected"})).await;
    client.expect(json!({"type": "credential-expiring"})).await;
    client.expect_close(4001).await;
    let refused = engine.nobody().try_open(&path(&spare)).await.err().unwrap();
    assert_eq!(
        (refused.status, &refused.body["message"]),
        (401, &json!("the token has expired"))
    );
}

#[tokio::test]
async fn the_new_token_may_be_of_a_key_that_is_new_too() {
    let (old, new) = (Signer::es256("2025"), Signer::eddsa("2026"));
    let issuer = Issuer::of(&[&old]).await;
    let engine = issuer.engine(&[("auth.jwks_refresh_s", "3600"), ("auth.jwks_early_min_s", "1")]);
    let mut ana = connected(&engine, &old.sign(&claims("ana"))).await;
    issuer.serves(&[&new]);
    metric_reaches(&engine, "mayday_jwks_age_seconds", 2.0).await;
    sends_token(&mut ana, &new.sign(&claims("ana"))).await;
    ana.expect(json!({"type": "credential-refreshed"})).await;
}
