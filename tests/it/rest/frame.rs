//! What all answers have in common, and what happens to requests that are none.

use reqwest::Method;
use serde_json::json;

use crate::support::{Engine, fire};

#[tokio::test]
async fn every_answer_carries_a_request_id_and_a_good_one_is_kept() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let (one, two) = (ana.get("/api/v1/sos").await, ana.get("/api/v1/sos").await);
    assert_ne!(one.header("X-Request-Id"), two.header("X-Request-Id"));
    let named = ana
        .request(Method::GET, "/api/v1/sos")
        .header("X-Request-Id", "trace-42")
        .send()
        .await;
    assert_eq!(named.header("X-Request-Id"), Some("trace-42"));
    let odd = "x".repeat(500);
    let odd_one = ana
        .request(Method::GET, "/api/v1/sos")
        .header("X-Request-Id", &odd)
        .send()
        .await;
    assert_ne!(odd_one.header("X-Request-Id"), Some(odd.as_str()));
}

#[tokio::test]
async fn an_unknown_route_is_not_found_in_the_envelope() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    for path in [
        "/live",
        "/api",
        "/api/v1",
        "/api/v1/nothing",
        "/nothing",
        "/api/v1/sos/a/b/c",
    ] {
        ana.get(path).await.refused(404, "NOT_FOUND");
    }
}

#[tokio::test]
async fn another_method_is_not_allowed() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let refused = ana.request(Method::DELETE, "/api/v1/sos").send().await;
    assert_eq!(refused.status, 405, "{refused:?}");
    refused.refused(405, "METHOD_NOT_ALLOWED");
    let refused = ana.put("/api/location", json!({})).await;
    assert_eq!(refused.status, 405, "{refused:?}");
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    for body in [
        "",
        "{",
        "[]",
        "5",
        "null",
        "{\"type\": }",
        "{\"type\":\"FIRE\"} x",
    ] {
        let request = ana
            .request(Method::POST, "/api/v1/sos")
            .body("application/json", body);
        let refused = request.send().await;
        assert_eq!(refused.status, 400, "{body}: {refused:?}");
        assert_eq!(refused.json()["code"], "VALIDATION_FAILED", "{body}");
    }
}

#[tokio::test]
async fn another_content_type_is_refused() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ] {
        let request = ana
            .request(Method::POST, "/api/v1/sos")
            .body(kind, fire().to_string());
        request.send().await.refused(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    let request = ana.request(Method::POST, "/api/v1/sos");
    let request = request.body("application/json; charset=utf-8", fire().to_string());
    request.send().await.data(201);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let engine = Engine::start(&[("http.body_max_bytes", "4096")]);
    let ana = engine.user("Ana");
    let request = ana
        .request(Method::POST, "/api/v1/sos")
        .body("application/json", "x".repeat(4_097));
    request.send().await.refused(413, "PAYLOAD_TOO_LARGE");
    let request = ana
        .request(Method::POST, "/api/location")
        .body("application/json", "x".repeat(4_097));
    let refused = request.send().await;
    assert_eq!(refused.status, 413, "{refused:?}");
}

#[tokio::test]
async fn a_plain_request_to_the_socket_is_told_so() {
    let engine = Engine::start(&[]);
    let answer = engine.user("Ana").get("/api/ws").await;
    assert!([400, 405, 426].contains(&answer.status), "{answer:?}");
    assert_eq!(answer.json()["success"], false);
}
