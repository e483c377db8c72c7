//! Sister services: each with a key of its own, which says what it may do.

use serde_json::{Value, json};

use super::issuer::metric;
use crate::support::engine::{INTERNAL_TOKEN, made};
use crate::support::http::Answer;
use crate::support::{Engine, fire};

async fn asks(
    engine: &Engine,
    key: &str,
    method: reqwest::Method,
    path: &str,
    body: Option<Value>,
) -> Answer {
    let request = engine
        .nobody()
        .request(method, path)
        .header("X-Internal-Token", key);
    match body {
        Some(body) => request.json(&body),
        None => request,
    }
    .send()
    .await
}

async fn gets(engine: &Engine, key: &str, path: &str) -> Answer {
    asks(engine, key, reqwest::Method::GET, path, None).await
}

async fn posts(engine: &Engine, key: &str, path: &str, body: Value) -> Answer {
    asks(engine, key, reqwest::Method::POST, path, Some(body)).await
}

#[tokio::test]
async fn a_key_lets_its_service_do_what_its_scopes_say() {
    let (reader, first) = made("reader", &["incidents:read"]);
    let (writer, second) = made(
        "writer",
        &[
            "incidents:read",
            "INCIDENTS:WRITE",
            "participants:write",
            "messages:write",
        ],
    );
    let (blind, third) = made("blind", &["messages:write"]);
    let engine = Engine::start(&[("auth.api_keys", &[first, second, third].join(";"))]);
    let sos = engine
        .user("Ana")
        .raises(crate::support::fire_with(json!({"silent": true})))
        .await;
    let at = |part: &str| format!("/api/v1/sos/{sos}{part}");
    let status = json!({"status": "ASSIGNED"});
    let patch = reqwest::Method::PATCH;

    // A service sees what operators see.
    gets(&engine, &reader, &at("")).await.data(200);
    gets(&engine, &reader, &at("/events")).await.page();
    assert_eq!(gets(&engine, &reader, "/api/v1/sos").await.page().0.len(), 1);
    let refused = asks(
        &engine,
        &reader,
        patch.clone(),
        &at("/status"),
        Some(status.clone()),
    )
    .await;
    let refused = refused.refused(403, "FORBIDDEN");
    assert_eq!(
        refused["message"],
        "The credential lacks the scope incidents:write"
    );
    posts(&engine, &reader, "/api/v1/sos", fire())
        .await
        .refused(403, "FORBIDDEN");

    asks(&engine, &writer, patch, &at("/status"), Some(status))
        .await
        .data(200);
    posts(
        &engine,
        &writer,
        &at("/participants/join"),
        json!({"userType": "ADMIN"}),
    )
    .await
    .data(201);
    posts(
        &engine,
        &writer,
        &at("/messages"),
        json!({"content": "Unit 7 is on its way"}),
    )
    .await
    .data(201);

    for path in [
        at(""),
        at("/events"),
        "/api/v1/sos".into(),
        "/api/rooms-info".into(),
    ] {
        let refused = gets(&engine, &blind, &path).await;
        assert_eq!(refused.status, 403, "{path}");
    }
    gets(&engine, &blind, "/health").await.ok(200);
}

#[tokio::test]
async fn the_internal_token_may_do_everything_and_a_wrong_one_nothing() {
    let engine = Engine::start(&[]);
    let sos = posts(&engine, INTERNAL_TOKEN, "/api/v1/sos", fire())
        .await
        .data(201);
    let sos = sos["sosId"].as_str().unwrap();
    posts(
        &engine,
        INTERNAL_TOKEN,
        &format!("/api/v1/sos/{sos}/close"),
        json!({}),
    )
    .await
    .data(200);
    for wrong in ["", "internal", &INTERNAL_TOKEN[1..]] {
        gets(&engine, wrong, "/api/v1/sos")
            .await
            .refused(401, "UNAUTHENTICATED");
    }
    let counted = metric(&engine, r#"mayday_auth_refused_total{reason="service"}"#).await;
    assert_eq!(counted, 3.0);
}

#[tokio::test]
async fn a_service_that_may_only_send_does_not_listen() {
    let (blind, entry) = made("blind", &["messages:write", "participants:write"]);
    let engine = Engine::start(&[("auth.api_keys", &entry)]);
    let sos = engine.user("Ana").raises(fire()).await;
    let ticket = posts(&engine, &blind, "/api/v1/tickets", json!({}))
        .await
        .data(201);
    let path = format!("/api/ws?ticket={}", ticket["ticket"].as_str().unwrap());
    let mut client = engine.nobody().try_open(&path).await.unwrap();
    client
        .expect(json!({"type": "connected", "user": {"id": "blind"}}))
        .await;
    client.says(json!({"type": "join-room", "roomId": sos})).await;
    client.expect(json!({"type": "join-denied"})).await;
    client
        .says(json!({"type": "watch-area", "latitude": 1, "longitude": 1, "radiusKm": 1}))
        .await;
    client.expect_error("FORBIDDEN").await;
}
