//! How many connections somebody may hold.

use serde_json::json;

use super::raw::Raw;
use super::{metric, until_metric};
use crate::support::{Engine, fire};

#[tokio::test]
async fn one_person_holds_so_many_sockets_and_gets_a_place_back() {
    let engine = Engine::start(&[("limits.connections_per_subject", "2")]);
    let ana = engine.user("Ana");
    let (one, _two) = (ana.connect().await, ana.connect().await);
    let refused = ana.try_open("/api/ws").await.map(drop).unwrap_err();
    assert_eq!(
        (refused.status, &refused.body["code"]),
        (429, &json!("RATE_LIMITED"))
    );
    let counted = "mayday_rate_limited_total{class=\"subject_connections\"}";
    assert_eq!(metric(&engine, counted).await, 1);
    // Others at the same address are not concerned.
    engine.user("Ben").connect().await;
    engine.device().connect().await;
    one.leaves().await;
    let until = std::time::Instant::now() + crate::support::DEADLINE;
    while ana.try_open("/api/ws").await.is_err() {
        assert!(std::time::Instant::now() < until, "the place is not given back");
    }
}

#[tokio::test]
async fn an_address_holds_so_many_plain_connections_and_no_more() {
    let engine = Engine::start(&[("limits.http_connections_per_address", "3")]);
    let mut idle = Vec::new();
    for _ in 0..3 {
        let mut raw = Raw::open(&engine).await;
        assert!(raw.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await);
        assert_eq!(raw.statuses(1).await, [200]);
        idle.push(raw);
    }
    let (text, _) = Raw::open(&engine).await.reads_to_the_end().await;
    assert_eq!(text, "", "closed without a word");
    drop(idle.pop());
    until_metric(
        &engine,
        "mayday_refused_total{reason=\"http_connections\"}",
        |n| n >= 1,
    )
    .await;
    // With a place free again the engine is there for others, whose connections end after use.
    let device = engine.device();
    let raise = || {
        device
            .request(reqwest::Method::POST, "/api/v1/sos")
            .json(&fire())
            .try_send()
    };
    let until = std::time::Instant::now() + crate::support::DEADLINE;
    while raise().await.is_err() {
        assert!(std::time::Instant::now() < until, "no place is free");
    }
}

#[tokio::test]
async fn a_socket_is_not_counted_as_a_plain_connection() {
    let engine = Engine::start(&[("limits.http_connections_per_address", "2")]);
    let mut sockets = Vec::new();
    for n in 0..6 {
        sockets.push(engine.user(&format!("User {n}")).connect().await);
    }
    engine.device().raises(fire()).await;
    drop(sockets);
}
