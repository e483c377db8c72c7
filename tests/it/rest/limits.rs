//! Budgets: who has spent theirs is told when to come back, and can still call for help.

use serde_json::json;

use crate::support::http::Answer;
use crate::support::{Engine, fire, fire_with, now_ms};

#[track_caller]
fn over(answer: Answer, limit: &str) {
    assert_eq!(answer.status, 429, "{answer:?}");
    assert_eq!(answer.header("RateLimit-Limit"), Some(limit));
    assert_eq!(answer.header("RateLimit-Remaining"), Some("0"));
    let seconds = |name: &str| {
        answer
            .header(name)
            .unwrap_or_else(|| panic!("no {name}"))
            .parse::<u64>()
            .unwrap()
    };
    assert!(seconds("Retry-After") >= 1);
    assert!(seconds("RateLimit-Reset") >= 1);
    answer.refused(429, "RATE_LIMITED");
}

#[tokio::test]
async fn a_spent_budget_is_answered_with_429_and_when_to_come_back() {
    let engine = Engine::start(&[("limits.anon_requests", "5")]);
    let device = engine.device();
    for left in (0..5).rev() {
        let answer = device.get("/api/v1/sos").await;
        assert_eq!(answer.header("RateLimit-Limit"), Some("5"));
        assert_eq!(
            answer.header("RateLimit-Remaining"),
            Some(left.to_string().as_str())
        );
        assert!(answer.header("RateLimit-Reset").is_some());
        answer.ok(200);
    }
    over(device.get("/api/v1/sos").await, "5");
    let text = device.get("/api/rooms-info").await;
    assert_eq!(text.json()["code"], "RATE_LIMITED");
    // Others have budgets of their own.
    engine.device().get("/api/v1/sos").await.ok(200);
    engine.user("Ana").get("/api/v1/sos").await.ok(200);
}

#[tokio::test]
async fn who_has_spent_the_general_budget_still_raises_an_sos_and_sends_positions() {
    let engine = Engine::start(&[("limits.anon_requests", "2")]);
    let device = engine.device();
    for _ in 0..2 {
        device.get("/api/v1/sos").await.ok(200);
    }
    over(device.get("/api/v1/sos").await, "2");
    let sos = device.raises(fire()).await;
    let fix = json!({"latitude": 14.5, "longitude": 120.9, "timestamp": now_ms()});
    device
        .post(&format!("/api/v1/sos/{sos}/location"), fix.clone())
        .await
        .data(200);
    device.post("/api/location", fix).await.ok(200);
    // And is heard on a socket.
    device.connect().await.joins(&sos).await;
    over(device.get("/api/v1/sos").await, "2");
}

#[tokio::test]
async fn so_many_incidents_an_hour_and_a_retry_is_not_another_one() {
    let engine = Engine::start(&[("limits.sos_per_hour", "2")]);
    let device = engine.device();
    let keyed = |key: &'static str| {
        let request = device.request(reqwest::Method::POST, "/api/v1/sos");
        request.header("Idempotency-Key", key).json(&fire()).send()
    };
    let first = keyed("first").await.data(201);
    keyed("second").await.data(201);
    over(keyed("third").await, "2");
    // The one that stands is found again.
    assert_eq!(keyed("first").await.data(201), first);
    engine.device().raises(fire()).await;
}

#[tokio::test]
async fn uploads_have_a_budget_of_their_own() {
    let engine = Engine::start(&[("limits.locations_per_minute", "3")]);
    let device = engine.device();
    let sos = device.raises(fire()).await;
    let upload = format!("/api/v1/sos/{sos}/location");
    for n in 0..3 {
        let fix = json!({"latitude": 14.5, "longitude": 120.9, "timestamp": now_ms() + n});
        device.post(&upload, fix).await.data(200);
    }
    let fix = json!({"latitude": 14.5, "longitude": 120.9, "timestamp": now_ms()});
    over(device.post(&upload, fix).await, "3");
    device.get("/api/v1/sos").await.ok(200);
}

#[tokio::test]
async fn zero_is_no_limit() {
    let engine = Engine::start(&[("limits.anon_requests", "0"), ("limits.sos_per_hour", "0")]);
    let device = engine.device();
    for _ in 0..110 {
        device.get("/api/v1/sos").await.ok(200);
    }
    for _ in 0..10 {
        device.raises(fire()).await;
    }
}

#[tokio::test]
async fn a_registered_user_has_more() {
    let engine = Engine::start(&[("limits.anon_requests", "1"), ("limits.user_requests", "3")]);
    let (device, ana) = (engine.device(), engine.user("Ana"));
    device.get("/api/v1/sos").await.ok(200);
    over(device.get("/api/v1/sos").await, "1");
    for _ in 0..3 {
        ana.get("/api/v1/sos").await.ok(200);
    }
    over(ana.get("/api/v1/sos").await, "3");
}

#[tokio::test]
async fn wrong_fields_cost_nobody_their_sos() {
    let engine = Engine::start(&[("limits.sos_per_hour", "1")]);
    let device = engine.device();
    for (changes, field) in [
        (json!({"type": "EARTHQUAKE OR SO"}), "type"),
        (json!({"message": "help"}), "message"),
        (
            json!({"location": {"latitude": 91, "longitude": 0}}),
            "location.latitude",
        ),
    ] {
        let answer = device.post("/api/v1/sos", fire_with(changes)).await;
        answer.names_fields(&[field]);
    }
    device.raises(fire()).await;
    over(device.post("/api/v1/sos", fire()).await, "1");
}
