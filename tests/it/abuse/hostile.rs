//! Slow and oversized: each is cut off, and counted.

use std::time::Duration;

use super::raw::Raw;
use super::{metric, until_metric};
use crate::support::people::uuid4;
use crate::support::{Engine, fire};

fn post(path: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nX-Device-ID: {}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n",
        uuid4()
    )
}

#[tokio::test]
async fn a_head_that_trickles_in_is_cut_off() {
    let engine = Engine::start(&[("http.header_timeout_ms", "1500")]);
    let mut raw = Raw::open(&engine).await;
    assert!(raw.send("GET /api/v1/sos HTTP/1.1\r\nHost: x\r\nX-").await);
    let (answer, took) = raw.reads_to_the_end().await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    until_metric(&engine, "mayday_refused_total{reason=\"no_request\"}", |n| n == 1).await;
    engine.device().raises(fire()).await;
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_cut_off() {
    let engine = Engine::start(&[("http.header_timeout_ms", "1500")]);
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(Raw::open(&engine).await);
    }
    for raw in &mut silent {
        raw.reads_to_the_end().await;
    }
    until_metric(&engine, "mayday_refused_total{reason=\"no_request\"}", |n| {
        n == 20
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_has_nothing_more_to_say_is_closed() {
    let engine = Engine::start(&[("http.keep_alive_s", "1")]);
    let mut raw = Raw::open(&engine).await;
    assert!(raw.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await);
    let (answer, took) = raw.reads_to_the_end().await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[tokio::test]
async fn a_second_head_that_trickles_in_is_cut_off_too() {
    let engine = Engine::start(&[("http.header_timeout_ms", "1500"), ("http.keep_alive_s", "1")]);
    let mut raw = Raw::open(&engine).await;
    assert!(raw.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /hea").await);
    let (answer, took) = raw.reads_to_the_end().await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[tokio::test]
async fn a_body_that_trickles_in_is_cut_off() {
    let engine = Engine::start(&[("http.request_timeout_ms", "300")]);
    let mut raw = Raw::open(&engine).await;
    assert!(raw.send(post("/api/v1/sos", 5_000) + "{\"type\":").await);
    let (answer, took) = raw.reads_to_the_end().await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(
        answer.contains("TIMEOUT") && answer.to_ascii_lowercase().contains("retry-after"),
        "{answer}"
    );
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[tokio::test]
async fn a_head_over_the_limit_is_refused() {
    let engine = Engine::start(&[]);
    for head in [
        format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(300_000)),
        format!(
            "GET /health HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n",
            "a".repeat(300_000)
        ),
        format!(
            "GET /health HTTP/1.1\r\nHost: x\r\n{}\r\n",
            "X-Many: a\r\n".repeat(5_000)
        ),
    ] {
        let mut raw = Raw::open(&engine).await;
        raw.send(&head).await;
        let (answer, _) = raw.reads_to_the_end().await;
        // Who still writes when the connection is closed may not get to read the answer.
        let refused = ["", "HTTP/1.1 400 ", "HTTP/1.1 414 ", "HTTP/1.1 431 "];
        assert!(
            refused
                .iter()
                .any(|start| answer.starts_with(start) && start.is_empty() == answer.is_empty()),
            "{answer}"
        );
    }
    let (large, bad) = (
        metric(&engine, "mayday_refused_total{reason=\"head_too_large\"}").await,
        metric(&engine, "mayday_refused_total{reason=\"malformed\"}").await,
    );
    assert_eq!(large + bad, 3);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_is_read() {
    let engine = Engine::start(&[]);
    let mut raw = Raw::open(&engine).await;
    // A gigabyte is announced and not a byte of it sent.
    assert!(raw.send(post("/api/v1/sos", 1 << 30)).await);
    let answer = raw.read(20).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // One of unknown length is read as far as it may be long.
    let mut raw = Raw::open(&engine).await;
    let head = post("/api/v1/sos", 0).replace("Content-Length: 0", "Transfer-Encoding: chunked");
    raw.send(head).await;
    for _ in 0..20 {
        raw.send(format!("1000\r\n{}\r\n", "x".repeat(4_096))).await;
    }
    let answer = raw.read(20).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_eq!(
        metric(
            &engine,
            "mayday_http_requests_total{route=\"sos\",status=\"413\"}"
        )
        .await,
        2
    );
}

#[tokio::test]
async fn whoever_asks_much_and_reads_nothing_is_cut_off() {
    let engine = Engine::start(&[("sessions.tcp_user_timeout_ms", "1000")]);
    let mut raw = Raw::open(&engine).await;
    let request = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1_000);
    // The engine stops reading when what it writes does not leave, and then gives up.
    while raw.send(&request).await {}
    until_metric(&engine, "mayday_refused_total{reason=\"slow_reader\"}", |n| {
        n == 1
    })
    .await;
    engine.device().raises(fire()).await;
}
