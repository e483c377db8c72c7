//! What cannot be understood is answered by name, and the connection stays. What is too much ends it.

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Engine, UNLIMITED, circle};

#[tokio::test]
async fn what_cannot_be_understood_is_an_error_and_the_connection_stays() {
    let mut circle = circle().await;
    let client = &mut circle.at_ana;
    for (text, code) in [
        ("{", "BAD_JSON"),
        ("hello", "BAD_JSON"),
        ("[]", "BAD_JSON"),
        ("null", "BAD_JSON"),
        ("", "BAD_JSON"),
        ("[\"ping\"]", "BAD_JSON"),
        ("{\"type\":\"ping\"} x", "BAD_JSON"),
        ("{\"type\":\"explode\"}", "UNKNOWN_TYPE"),
        ("{\"type\":\"Ping\"}", "UNKNOWN_TYPE"),
        ("{\"type\":\"\"}", "UNKNOWN_TYPE"),
        ("{}", "INVALID_FIELD"),
        ("{\"type\":7}", "INVALID_FIELD"),
        ("{\"type\":null}", "INVALID_FIELD"),
    ] {
        client.sends(Message::text(text)).await;
        client.expect_error(code).await;
    }
    client.hears_nothing_more().await;
    circle.at_ben.hears_nothing_more().await;
}

#[tokio::test]
async fn a_wrong_field_is_named() {
    let mut circle = circle().await;
    for (message, field) in [
        (json!({"type": "join-room"}), "roomId"),
        (json!({"type": "join-room", "roomId": 5}), "roomId"),
        (json!({"type": "join-room", "roomId": ""}), "roomId"),
        (json!({"type": "join-room", "roomId": "x".repeat(65)}), "roomId"),
        (json!({"type": "join-room", "roomId": "a/b"}), "roomId"),
        (
            json!({"type": "join-room", "roomId": circle.room, "since": -1}),
            "since",
        ),
        (
            json!({"type": "join-room", "roomId": circle.room, "since": "5"}),
            "since",
        ),
        (json!({"type": "leave-room"}), "roomId"),
        (json!({"type": "activate-room"}), "roomId"),
        (json!({"type": "deactivate-room"}), "roomId"),
        (json!({"type": "request-join"}), "roomId"),
        (
            json!({"type": "approve-join", "roomId": circle.room}),
            "requesterId",
        ),
        (json!({"type": "deny-join", "roomId": circle.room}), "requesterId"),
        (json!({"type": "get_users"}), "roomId"),
        (json!({"type": "get-history"}), "roomId"),
        (
            json!({"type": "get-history", "roomId": circle.room, "limit": 201}),
            "limit",
        ),
        (
            json!({"type": "get-history", "roomId": circle.room, "limit": 0}),
            "limit",
        ),
        (json!({"type": "create-room", "roomId": "white space"}), "roomId"),
        (json!({"type": "emergency-resolve", "roomId": []}), "roomId"),
    ] {
        circle.at_ana.says(message).await;
        let error = circle
            .at_ana
            .expect(json!({"type": "error", "code": "INVALID_FIELD", "field": field}))
            .await;
        assert!(error["message"].as_str().unwrap().contains(field), "{error}");
    }
    circle.at_ana.hears_nothing_more().await;
    circle.at_ben.hears_nothing_more().await;
}

#[tokio::test]
async fn a_ping_is_a_pong() {
    let engine = Engine::start(&[]);
    let mut device = engine.device().connect().await;
    device.says(json!({"type": "ping"})).await;
    device.expect(json!({"type": "pong"})).await;
    device.hears_nothing_more().await;
}

#[tokio::test]
async fn a_binary_frame_is_an_error_and_the_connection_stays() {
    let engine = Engine::start(&[]);
    let mut device = engine.device().connect().await;
    device
        .sends(Message::binary(b"{\"type\":\"ping\"}".to_vec()))
        .await;
    device.expect(json!({"type": "error", "message": "*"})).await;
    device.hears_nothing_more().await;
}

#[tokio::test]
async fn a_frame_over_the_limit_closes_with_1009() {
    let engine = Engine::start(&[]);
    let mut device = engine.device().connect().await;
    device
        .says(json!({"type": "ping", "pad": "x".repeat(60_000)}))
        .await;
    device.expect(json!({"type": "pong"})).await;
    device.tries_to_send(Message::text("x".repeat(65_537))).await;
    device.expect_close(1009).await;
}

#[tokio::test]
async fn more_messages_than_the_budget_close_with_4029() {
    let engine = Engine::start(&[
        ("limits.messages_per_second", "5"),
        ("limits.messages_burst", "10"),
    ]);
    let mut device = engine.device().connect().await;
    for _ in 0..40 {
        if !device.tries_to_send(Message::text("{\"type\":\"ping\"}")).await {
            break;
        }
    }
    let (pongs, code, _) = device.reads_to_the_close().await;
    assert_eq!(code, 4029);
    assert!(
        pongs.len() >= 10,
        "{} of a burst of 10 were answered",
        pongs.len()
    );
    assert!(pongs.len() < 40, "all were answered");
    assert!(pongs.iter().all(|pong| pong["type"] == "pong"), "{pongs:?}");
    // Who comes back is welcome.
    engine.device().connect().await.hears_nothing_more().await;
}

#[tokio::test]
async fn without_a_budget_nobody_is_closed() {
    let engine = Engine::start(&UNLIMITED);
    let mut device = engine.device().connect().await;
    for _ in 0..500 {
        device.says(json!({"type": "ping"})).await;
    }
    for _ in 0..500 {
        device.expect(json!({"type": "pong"})).await;
    }
}

#[tokio::test]
async fn one_connection_is_in_so_many_rooms_and_no_more() {
    let engine = Engine::start(&[("sessions.rooms_max", "2")]);
    let mut at_ana = engine.user("Ana").connect().await;
    let olga = engine.user("Olga");
    for room in ["one", "two"] {
        at_ana.creates(room).await;
    }
    let sos = olga.raises(crate::support::fire()).await;
    at_ana.says(json!({"type": "join-room", "roomId": sos})).await;
    at_ana
        .expect(json!({"type": "join-denied", "roomId": sos, "message": "*"}))
        .await;
    at_ana.says(json!({"type": "leave-room", "roomId": "two"})).await;
    at_ana.expect(json!({"type": "room-left"})).await;
    at_ana.joins(&sos).await;
}

#[tokio::test]
async fn more_connections_than_an_address_may_have_get_429() {
    let engine = Engine::start(&[("limits.connections_per_address", "2")]);
    let (_one, two) = (engine.device().connect().await, engine.device().connect().await);
    let refused = engine
        .device()
        .try_open("/api/ws")
        .await
        .err()
        .expect("the third is refused");
    assert_eq!(refused.status, 429);
    assert_eq!(refused.body["code"], "RATE_LIMITED");
    two.leaves().await;
    crate::support::eventually("a place is free again", || async {
        engine.device().try_open("/api/ws").await.ok()
    })
    .await;
}
