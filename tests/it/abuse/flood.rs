//! Somebody uses a new device id for each request.

use std::fmt::Write as _;

use reqwest::Method;
use serde_json::json;

use super::raw::Raw;
use super::{metric, until_metric};
use crate::support::people::uuid4;
use crate::support::{Engine, Person, fire, now_ms};

/// A window so long that nothing comes back while the story goes on, however slow the machine.
const A_DAY: (&str, &str) = ("limits.anon_window_s", "86400");

/// Sends so many requests of made-up devices on one connection; answers how many were let through.
async fn flood(engine: &Engine, from: Option<&str>, count: usize) -> usize {
    let mut raw = Raw::open(engine).await;
    let mut passed = 0;
    for batch in std::iter::repeat_n(50, count / 50) {
        let mut requests = String::new();
        for _ in 0..batch {
            let id = uuid4();
            write!(
                requests,
                "GET /api/v1/sos?limit=1 HTTP/1.1\r\nHost: x\r\nX-Device-ID: {id}\r\n"
            )
            .unwrap();
            if let Some(from) = from {
                write!(requests, "X-Forwarded-For: {from}\r\n").unwrap();
            }
            requests.push_str("\r\n");
        }
        assert!(raw.send(&requests).await);
        for status in raw.statuses(batch).await {
            assert!([200, 429].contains(&status), "{status}");
            passed += usize::from(status == 200);
        }
    }
    passed
}

async fn raise(person: &Person, from: &str) -> crate::support::http::Answer {
    let request = person.request(Method::POST, "/api/v1/sos");
    request.header("X-Forwarded-For", from).json(&fire()).send().await
}

#[tokio::test]
async fn made_up_ids_meet_the_budget_of_their_address_while_an_honest_neighbour_calls_for_help() {
    let engine = Engine::start(&[("limits.address_requests", "400"), A_DAY]);
    let honest = engine.device();
    honest.get("/api/v1/sos").await.ok(200);
    // One more for every 2.25 s that it takes.
    let passed = flood(&engine, None, 2_000).await;
    assert!((399..=404).contains(&passed), "{passed}");
    assert_eq!(
        metric(&engine, "mayday_address_limited_total{class=\"general\"}").await,
        2_000 - passed as u64
    );
    // What was refused left nothing behind: a key for each that passed, and one for the address.
    assert!(metric(&engine, "mayday_rate_limit_keys").await <= passed as u64 + 3);
    assert!(metric(&engine, "mayday_rate_limit_bytes").await < 100_000);
    // The neighbour, at the same address, cannot read just now, but is heard.
    honest.get("/api/v1/sos").await.refused(429, "RATE_LIMITED");
    let sos = honest.raises(fire()).await;
    let fix = json!({"latitude": 14.5, "longitude": 120.9, "timestamp": now_ms()});
    honest
        .post(&format!("/api/v1/sos/{sos}/location"), fix)
        .await
        .data(200);
    let help = json!({"content": "I am on the second floor"});
    honest
        .post(&format!("/api/v1/sos/{sos}/messages"), help)
        .await
        .data(201);
    honest.connect().await.joins(&sos).await;
    // And so is whoever has an account.
    engine.user("Ana").get("/api/v1/sos").await.ok(200);
}

#[tokio::test]
async fn a_flood_from_one_address_is_not_felt_at_another() {
    let engine = Engine::start(&[
        ("limits.address_requests", "100"),
        A_DAY,
        ("http.trusted_proxies", "127.0.0.1"),
    ]);
    assert_eq!(flood(&engine, Some("203.0.113.7"), 500).await, 100);
    assert_eq!(flood(&engine, Some("203.0.113.8"), 100).await, 100);
    // An IPv6 subscriber is one address whatever the last 64 bits say.
    assert_eq!(flood(&engine, Some("2001:db8::1"), 100).await, 100);
    assert_eq!(flood(&engine, Some("2001:db8::2"), 100).await, 0);
}

#[tokio::test]
async fn a_full_memory_forgets_nobody_and_starves_nobody() {
    let engine = Engine::start(&[
        ("limits.keys_max", "100"),
        ("limits.anon_requests", "3"),
        A_DAY,
        ("http.trusted_proxies", "127.0.0.1"),
    ]);
    let known = engine.device();
    for _ in 0..3 {
        known.get("/api/v1/sos").await.ok(200);
    }
    flood(&engine, Some("203.0.113.7"), 1_000).await;
    // Two classes were used: each remembers at most so many devices and so many addresses.
    assert!(metric(&engine, "mayday_rate_limit_keys").await <= 202);
    known.get("/api/v1/sos").await.refused(429, "RATE_LIMITED");
    let newcomer = engine.device();
    for _ in 0..20 {
        newcomer.get("/api/v1/sos").await.ok(200);
    }
    raise(&newcomer, "203.0.113.9").await.data(201);
}

#[tokio::test]
async fn many_may_call_from_one_address_and_over_its_budget_those_who_have_not_yet() {
    let engine = Engine::start(&[
        ("limits.address_sos_per_hour", "3"),
        ("limits.address_sos_max_per_hour", "6"),
        ("http.trusted_proxies", "127.0.0.1"),
    ]);
    let centre = "203.0.113.7";
    let first = engine.device();
    for _ in 0..3 {
        raise(&first, centre).await.data(201);
    }
    // The first has called; the others have not.
    let refused = raise(&first, centre).await;
    assert_eq!(refused.header("RateLimit-Limit"), Some("3"));
    assert!(refused.header("Retry-After").is_some());
    refused.refused(429, "RATE_LIMITED");
    for _ in 0..3 {
        raise(&engine.device(), centre).await.data(201);
    }
    assert_eq!(metric(&engine, "mayday_sos_over_address_total").await, 3);
    // The engine protects itself, and says so.
    let refused = raise(&engine.device(), centre).await;
    assert_eq!(refused.header("RateLimit-Limit"), Some("6"));
    refused.refused(429, "RATE_LIMITED");
    until_metric(&engine, "mayday_address_limited_total{class=\"sos\"}", |n| n == 2).await;
    // A user is vouched for, and elsewhere nothing has happened.
    raise(&engine.user("Ana"), centre).await.data(201);
    raise(&engine.device(), "203.0.113.8").await.data(201);
}

#[tokio::test]
async fn trying_out_credentials_spends_the_address() {
    let engine = Engine::start(&[("limits.address_requests", "5"), A_DAY]);
    let liar = engine.bearer("not.a.token");
    for _ in 0..5 {
        liar.get("/api/v1/sos").await.refused(401, "UNAUTHENTICATED");
    }
    let refused = liar.get("/api/v1/sos").await;
    assert!(refused.header("Retry-After").is_some());
    refused.refused(429, "RATE_LIMITED");
}

#[tokio::test]
async fn reading_writing_and_connecting_have_budgets_of_their_own() {
    let engine = Engine::start(&[
        ("limits.anon_requests", "2"),
        ("limits.anon_writes", "2"),
        A_DAY,
        ("limits.connects_per_minute", "2"),
    ]);
    let device = engine.device();
    let sos = device.raises(fire()).await;
    for _ in 0..2 {
        device.get("/api/v1/sos").await.ok(200);
    }
    device.get("/api/v1/sos").await.refused(429, "RATE_LIMITED");
    let messages = format!("/api/v1/sos/{sos}/messages");
    for _ in 0..2 {
        device
            .post(&messages, json!({"content": "hello"}))
            .await
            .data(201);
    }
    let refused = device.post(&messages, json!({"content": "hello"})).await;
    refused.refused(429, "RATE_LIMITED");
    // A ticket is paid for when it is asked for, and not again when it is used.
    let ticket = device.post("/api/v1/tickets", json!({})).await.data(201);
    let client = device.connect().await;
    let path = format!("/api/ws?ticket={}", ticket["ticket"].as_str().unwrap());
    engine.nobody().try_open(&path).await.map(drop).unwrap();
    let refused = device.try_open("/api/ws").await.map(drop).unwrap_err();
    assert_eq!(
        (refused.status, &refused.body["code"]),
        (429, &json!("RATE_LIMITED"))
    );
    device
        .post("/api/v1/tickets", json!({}))
        .await
        .refused(429, "RATE_LIMITED");
    client.leaves().await;
}
