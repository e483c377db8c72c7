//! How large the head of a request may be, how many connections there may be, and what every answer tells
//! browsers.

use std::fmt::Write as _;

use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Engine, eventually, exchange};

#[tokio::test]
async fn a_target_over_the_limit_is_refused_with_414() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let target = |bytes: usize| {
        format!(
            "/api/v1/sos?cityId={}",
            "x".repeat(bytes - "/api/v1/sos?cityId=".len())
        )
    };
    assert_ne!(ana.get(&target(8_192)).await.status, 414);
    ana.get(&target(8_193)).await.refused(414, "URI_TOO_LONG");
}

#[tokio::test]
async fn headers_over_the_limit_are_refused_with_431() {
    let engine = Engine::start(&[]);
    let ask = |headers: String| {
        let request = format!("GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
        exchange(engine.address(), request)
    };
    let many = |count: usize, bytes: usize| {
        (0..count).fold(String::new(), |mut text, n| {
            let _ = write!(text, "X-H{n}: {}\r\n", "v".repeat(bytes));
            text
        })
    };
    assert_eq!(ask(many(60, 10)).await.status, 200);
    for headers in [many(63, 10), many(1, 32_768), many(50, 1_000)] {
        let refused = ask(headers).await;
        assert_eq!(
            (refused.status, &refused.json()["code"]),
            (431, &"HEADERS_TOO_LARGE".into())
        );
        assert!(refused.header("x-request-id").is_some());
    }
    // Beyond what is read at all: the parser answers.
    assert_eq!(ask(many(90, 2_000)).await.status, 431);
    assert_eq!(ask(many(120, 10)).await.status, 431);
}

#[tokio::test]
async fn an_upgrade_has_the_same_limits() {
    let engine = Engine::start(&[]);
    let request = format!(
        "GET /api/ws?deviceId={} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n",
        "x".repeat(9_000)
    );
    assert_eq!(exchange(engine.address(), request).await.status, 414);
}

#[tokio::test]
async fn connections_over_the_limit_are_told_to_come_back() {
    let engine = Engine::start(&[("http.connections_max", "3")]);
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut socket = TcpStream::connect(engine.address()).await.unwrap();
        socket
            .write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let mut some = [0; 512];
        assert!(socket.read(&mut some).await.unwrap() > 0);
        open.push(socket);
    }
    // A WebSocket counts too.
    let socket = engine.user("Ana").connect().await;
    let refused = exchange(engine.address(), "GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    assert_eq!(refused.json()["code"], "UNAVAILABLE");
    drop(socket);
    let metrics = eventually("there is room again", || async {
        let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let answer = exchange(engine.address(), request).await;
        (answer.status == 200).then(|| String::from_utf8(answer.body).unwrap())
    })
    .await;
    assert!(
        metrics.contains("mayday_http_connections{listener=\"plain\"} 3\n"),
        "{metrics}"
    );
    assert!(metrics.contains("mayday_connections_max 3\n"), "{metrics}");
    assert!(
        !metrics.contains("mayday_http_connections_refused_total 0\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn every_answer_protects_who_reads_it() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    for (method, path) in [
        (Method::GET, "/api/v1/sos"),
        (Method::GET, "/health"),
        (Method::GET, "/nowhere"),
        (Method::POST, "/api/v1/sos"),
        (Method::OPTIONS, "/api/v1/sos"),
        (Method::GET, "/api/ws"),
    ] {
        let answer = ana.request(method, path).send().await;
        for (name, value) in [
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            (
                "Content-Security-Policy",
                "default-src 'none'; frame-ancestors 'none'",
            ),
            ("Permissions-Policy", "geolocation=(), camera=(), microphone=()"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}: {answer:?}");
        }
        assert!(answer.header("Cache-Control").is_some(), "{path}: {answer:?}");
        for absent in ["Server", "X-Powered-By", "Strict-Transport-Security"] {
            assert_eq!(answer.header(absent), None, "{path}: {answer:?}");
        }
    }
    assert_eq!(ana.get("/health").await.header("Cache-Control"), Some("no-store"));
}
