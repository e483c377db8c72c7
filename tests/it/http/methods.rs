//! HEAD and OPTIONS on every route, and what a 405 says.

use reqwest::Method;

use crate::support::{Engine, exchange, fire};

#[tokio::test]
async fn head_is_a_get_without_its_body() {
    let engine = Engine::start(&[("limits.anon_requests", "3")]);
    let device = engine.device();
    let id = device.raises(fire()).await;
    let path = format!("/api/v1/sos/{id}");
    let whole = device.get(&path).await;
    let head = device.request(Method::HEAD, &path).send().await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    assert_eq!(
        head.header("Content-Length"),
        Some(whole.text.len().to_string().as_str())
    );
    assert_eq!(head.header("Content-Type"), whole.header("Content-Type"));
    // It costs what the GET costs.
    assert_eq!(head.header("RateLimit-Remaining"), Some("1"));
    assert_eq!(
        device
            .request(Method::HEAD, "/api/v1/sos/nothing")
            .send()
            .await
            .status,
        404
    );
    let refused = device.request(Method::HEAD, &path).send().await;
    assert_eq!((refused.status, refused.text.as_str()), (429, ""));
    // On the wire, too, nothing follows the head.
    let request = "HEAD /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let raw = exchange(engine.address(), request).await;
    assert_eq!((raw.status, raw.body.len()), (200, 0));
    assert_ne!(raw.header("content-length"), Some("0"));
}

#[tokio::test]
async fn options_says_what_a_path_takes_and_costs_nothing() {
    let engine = Engine::start(&[("limits.anon_requests", "1")]);
    let device = engine.device();
    for (path, allow) in [
        ("/api/v1/sos", "GET, HEAD, OPTIONS, POST"),
        ("/api/v1/sos/some-id/status", "OPTIONS, PATCH"),
        ("/api/contacts", "GET, HEAD, OPTIONS, PUT"),
        ("/api/location", "OPTIONS, POST"),
        ("/health", "GET, HEAD, OPTIONS"),
    ] {
        let answer = device.request(Method::OPTIONS, path).send().await;
        assert_eq!(
            (answer.status, answer.header("Allow")),
            (204, Some(allow)),
            "{path}"
        );
        assert_eq!(answer.text, "");
    }
    device
        .request(Method::OPTIONS, "/nowhere")
        .send()
        .await
        .refused(404, "NOT_FOUND");
    device.get("/api/v1/sos").await.ok(200);
}

#[tokio::test]
async fn another_method_is_refused_with_those_that_are_not() {
    let engine = Engine::start(&[]);
    let device = engine.device();
    for (method, path, allow) in [
        (Method::DELETE, "/api/v1/sos", "GET, HEAD, OPTIONS, POST"),
        (Method::PUT, "/api/v1/sos/some-id/status", "OPTIONS, PATCH"),
        (Method::HEAD, "/api/location", "OPTIONS, POST"),
        (Method::GET, "/api/v1/sos/some-id/close", "OPTIONS, POST"),
        (Method::TRACE, "/health", "GET, HEAD, OPTIONS"),
    ] {
        let answer = device.request(method.clone(), path).send().await;
        assert_eq!(
            (answer.status, answer.header("Allow")),
            (405, Some(allow)),
            "{method} {path}"
        );
    }
    device
        .request(Method::DELETE, "/api/v1/sos")
        .send()
        .await
        .refused(405, "METHOD_NOT_ALLOWED");
}
