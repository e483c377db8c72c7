//! HTTP/2, and what one connection may make the engine hold.

use std::future::poll_fn;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use http::Request;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{DEADLINE, Engine, Pki, eventually, fire};

/// A client that does what it is told, also what no browser would.
async fn connect<T>(io: T) -> (SendRequest<Bytes>, tokio::task::JoinHandle<Result<(), h2::Error>>)
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (client, connection) = Builder::new()
        .initial_max_send_streams(1_000)
        .max_header_list_size(1 << 20)
        .handshake(io)
        .await
        .unwrap();
    (client, tokio::spawn(connection))
}

fn get(path: &str) -> http::request::Builder {
    Request::get(format!("https://localhost{path}"))
}

async fn answer(client: &mut SendRequest<Bytes>, request: Request<()>) -> (u16, http::HeaderMap, Vec<u8>) {
    poll_fn(|cx| client.poll_ready(cx)).await.unwrap();
    let (response, _) = client.send_request(request, true).unwrap();
    let response = timeout(DEADLINE, response).await.expect("no answer").unwrap();
    let (head, mut body) = response.into_parts();
    let mut read = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk.unwrap();
        body.flow_control().release_capacity(chunk.len()).unwrap();
        read.extend_from_slice(&chunk);
    }
    (head.status.as_u16(), head.headers, read)
}

#[tokio::test]
async fn http2_is_spoken_to_who_asks_for_it_and_does_all_that_http1_does() {
    let pki = Pki::new();
    let engine = pki.engine(&[]);
    let device = engine.device();
    let client = pki.http(&["h2", "http/1.1"]);
    let url = |path: &str| format!("https://{}{path}", engine.tls_address());
    let request = client
        .post(url("/api/v1/sos"))
        .header("X-Device-ID", device.device_id());
    let created = request.json(&fire()).send().await.unwrap();
    assert_eq!(
        (created.status().as_u16(), created.version()),
        (201, reqwest::Version::HTTP_2)
    );
    assert!(created.headers().contains_key("x-request-id") && created.headers().contains_key("date"));
    let body: Value = created.json().await.unwrap();
    let path = format!("/api/v1/sos/{}", body["data"]["sosId"].as_str().unwrap());
    let read = client
        .get(url(&path))
        .header("X-Device-ID", device.device_id())
        .send()
        .await
        .unwrap();
    assert_eq!(read.json::<Value>().await.unwrap()["data"]["type"], "FIRE");
    let missing = client.get(url("/api/v1/nothing")).send().await.unwrap();
    assert_eq!(missing.status(), 404);
    assert_eq!(missing.json::<Value>().await.unwrap()["code"], "NOT_FOUND");
    // Many at once, on the one connection.
    let asked = (0..100).map(|_| client.get(url("/health")).send());
    for answer in futures_util::future::join_all(asked).await {
        assert_eq!(answer.unwrap().status(), 200);
    }
    let metrics = client
        .get(url("/metrics"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        metrics.contains("mayday_http_connections{listener=\"tls\"} 1\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn the_settings_may_forbid_it() {
    let pki = Pki::new();
    let engine = pki.engine(&[("http.http2", "false")]);
    let stream = pki.connect(engine.tls_address(), &["h2", "http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[tokio::test]
async fn head_is_a_get_without_its_body() {
    let pki = Pki::new();
    let engine = pki.engine(&[]);
    let (mut client, _) = connect(pki.connect(engine.tls_address(), &["h2"]).await).await;
    let (_, whole, body) = answer(&mut client, get("/health").body(()).unwrap()).await;
    let request = Request::head("https://localhost/health").body(()).unwrap();
    let (status, headers, nothing) = answer(&mut client, request).await;
    assert_eq!((status, nothing.len()), (200, 0));
    assert_eq!(headers["content-length"], body.len().to_string());
    assert_eq!(headers["content-type"], whole["content-type"]);
}

#[tokio::test]
async fn headers_over_the_limit_are_refused() {
    let pki = Pki::new();
    let engine = pki.engine(&[("http.headers_max_bytes", "4096"), ("http.headers_max", "20")]);
    let (mut client, _) = connect(pki.connect(engine.tls_address(), &["h2"]).await).await;
    for (count, bytes) in [(1, 5_000), (1, 60_000), (25, 10)] {
        let mut request = get("/health");
        for n in 0..count {
            request = request.header(format!("x-many-{n}"), "v".repeat(bytes));
        }
        let (status, ..) = answer(&mut client, request.body(()).unwrap()).await;
        assert_eq!(status, 431, "{count} of {bytes}");
    }
    let (status, ..) = answer(&mut client, get("/health").body(()).unwrap()).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn no_more_requests_are_in_hand_than_the_settings_allow() {
    let pki = Pki::new();
    let engine = pki.engine(&[("http.h2_streams_max", "4")]);
    let (mut client, _) = connect(pki.connect(engine.tls_address(), &["h2"]).await).await;
    answer(&mut client, get("/health").body(()).unwrap()).await;
    eventually("the client was told the limit", || async {
        (client.current_max_send_streams() == 4).then_some(())
    })
    .await;
}

#[tokio::test]
async fn who_takes_requests_back_at_once_is_cut_off_and_others_are_served() {
    let pki = Pki::new();
    let engine = pki.engine(&[("http.h2_streams_max", "4")]);
    let (client, connection) = connect(pki.connect(engine.tls_address(), &["h2"]).await).await;
    let attack = async {
        let mut client = client.ready().await?;
        for _ in 0..20_000 {
            let request = get("/api/v1/sos").body(()).unwrap();
            let (_, mut stream) = client.send_request(request, true)?;
            stream.send_reset(h2::Reason::CANCEL);
            client = client.ready().await?;
        }
        Ok::<_, h2::Error>(())
    };
    let _ = timeout(DEADLINE, attack).await;
    // Either its requests were few enough at a time to be no burden, or the connection is at its end.
    if connection.is_finished() {
        let end = connection.await.unwrap();
        assert!(end.is_err_and(|error| error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM)));
    }
    let (mut other, _) = connect(pki.connect(engine.tls_address(), &["h2"]).await).await;
    let (status, ..) = answer(&mut other, get("/health").body(()).unwrap()).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn without_tls_it_is_spoken_when_the_settings_say_so() {
    let engine = Engine::start(&[("http.h2c", "true")]);
    let (mut client, _) = connect(TcpStream::connect(engine.address()).await.unwrap()).await;
    let request = Request::get("http://localhost/health").body(()).unwrap();
    assert_eq!(answer(&mut client, request).await.0, 200);
    // HTTP/1 beside it, WebSockets too.
    engine.nobody().get("/health").await.ok(200);
    engine.user("Ana").connect().await.hears_nothing_more().await;
    let without = Engine::start(&[]);
    let stream = TcpStream::connect(without.address()).await.unwrap();
    let (client, connection) = Builder::new().handshake::<_, Bytes>(stream).await.unwrap();
    assert!(timeout(DEADLINE, connection).await.unwrap().is_err());
    drop(client);
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_let_go_and_a_drain_ends_it() {
    let pki = Pki::new();
    let mut engine = pki.engine(&[("http.keep_alive_s", "1")]);
    used_once_it_ends(&pki, &engine, || {}).await;
    engine.terminate();
    engine.set("http.keep_alive_s", "75");
    engine.restart();
    used_once_it_ends(&pki, &engine, || engine.ask_to_end()).await;
    assert!(engine.ended().success());
}

/// Asks once, and waits for the engine to end the connection.
async fn used_once_it_ends(pki: &Pki, engine: &Engine, then: impl FnOnce()) {
    let (mut client, connection) = connect(pki.connect(engine.tls_address(), &["h2"]).await).await;
    answer(&mut client, get("/health").body(()).unwrap()).await;
    then();
    let ended = timeout(DEADLINE, connection)
        .await
        .expect("it stays open")
        .unwrap();
    // What the client still says when it has been told goes nowhere.
    let told = |error: &h2::Error| error.is_go_away() || error.is_io();
    assert!(ended.as_ref().err().is_none_or(told), "{ended:?}");
}

#[tokio::test]
async fn a_body_that_is_too_large_or_never_comes_is_refused() {
    let pki = Pki::new();
    let engine = pki.engine(&[
        ("http.request_timeout_ms", "500"),
        ("rooms.command_timeout_ms", "400"),
    ]);
    let ana = engine.user("Ana");
    let (client, _) = connect(pki.connect(engine.tls_address(), &["h2"]).await).await;
    let post = || {
        Request::post("https://localhost/api/v1/sos")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", ana.token()))
            .body(())
            .unwrap()
    };
    let mut client = client.ready().await.unwrap();
    let (response, mut body) = client.send_request(post(), false).unwrap();
    body.send_data(Bytes::from(vec![b'x'; 60_000]), false).unwrap();
    body.send_data(Bytes::from(vec![b'x'; 60_000]), true).unwrap();
    assert_eq!(timeout(DEADLINE, response).await.unwrap().unwrap().status(), 413);
    let mut client = client.ready().await.unwrap();
    let (response, _body) = client.send_request(post(), false).unwrap();
    let response = timeout(DEADLINE, response).await.unwrap().unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
}
