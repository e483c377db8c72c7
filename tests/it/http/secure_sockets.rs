//! WebSockets over TLS do what plain ones do.

use std::net::SocketAddr;

use futures_util::future::join_all;
use serde_json::json;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Pki, UNLIMITED, eventually};

#[tokio::test]
async fn people_meet_over_tls_and_without_it() {
    let pki = Pki::new();
    let engine = pki.engine(&[]);
    let (ana, ben) = (engine.user("Ana"), engine.user("Ben"));
    let mut at_ana = pki.open(&engine, &ana, "Ana").await;
    at_ana.expect(json!({"type": "connected", "protocol": 1})).await;
    at_ana.creates("ana-circle").await;
    let mut at_ben = ben.connect().await;
    at_ben
        .says(json!({"type": "request-join", "roomId": "ana-circle"}))
        .await;
    at_ben
        .expect(json!({"type": "join-requested", "roomId": "ana-circle"}))
        .await;
    let asked = at_ana
        .expect(json!({"type": "join-request", "roomId": "ana-circle", "requesterId": "*"}))
        .await;
    at_ana
        .says(json!({"type": "approve-join", "roomId": "ana-circle", "requesterId": asked["requesterId"]}))
        .await;
    at_ben
        .expect(json!({"type": "join-approved", "roomId": "ana-circle"}))
        .await;
    at_ana
        .expect(json!({"type": "user-joined", "roomId": "ana-circle"}))
        .await;
    at_ana.writes("ana-circle", "over TLS").await;
    at_ben.reads("ana-circle", "over TLS").await;
    at_ben.writes("ana-circle", "and back").await;
    at_ana.reads("ana-circle", "and back").await;
}

#[tokio::test]
async fn a_device_connects_by_its_id() {
    let pki = Pki::new();
    let engine = pki.engine(&[]);
    let mut socket = pki.open(&engine, &engine.device(), "a device").await;
    socket.expect(json!({"type": "connected", "protocol": 1})).await;
    socket.hears_nothing_more().await;
}

#[tokio::test]
async fn large_messages_and_many_pass_whole_and_in_order() {
    let pki = Pki::new();
    let engine = pki.engine(&UNLIMITED);
    let ana = engine.user("Ana");
    let mut socket = pki.open(&engine, &ana, "Ana").await;
    socket.expect(json!({"type": "connected"})).await;
    socket.creates("ana-circle").await;
    // More than a TLS record holds, in one frame and in many that leave together.
    let content = "x".repeat(1_900);
    for n in 0..60 {
        let id = format!("m-{n}");
        socket
            .says(json!({"type": "room-message", "roomId": "ana-circle", "content": content, "id": id}))
            .await;
    }
    for n in 0..60 {
        let id = format!("m-{n}");
        socket
            .expect(json!({"type": "message-accepted", "roomId": "ana-circle", "id": id}))
            .await;
        socket
            .expect(json!({"type": "room-message", "roomId": "ana-circle", "content": content}))
            .await;
    }
    socket
        .says(json!({"type": "get-history", "roomId": "ana-circle", "since": 0, "limit": 200}))
        .await;
    let history = socket
        .expect(json!({"type": "history", "roomId": "ana-circle"}))
        .await;
    assert!(history["events"].as_array().unwrap().len() >= 60, "{history}");
    // And the other way: a frame of many records, which is no message of ours.
    socket
        .sends(Message::text(format!("{{\"type\":\"{}\"}}", "y".repeat(60_000))))
        .await;
    socket.expect(json!({"type": "error"})).await;
}

#[tokio::test]
async fn a_frame_over_the_limit_closes_it_with_1009() {
    let pki = Pki::new();
    let engine = pki.engine(&[]);
    let mut socket = pki.open(&engine, &engine.user("Ana"), "Ana").await;
    socket.expect(json!({"type": "connected"})).await;
    socket.sends(Message::text("z".repeat(70_000))).await;
    socket.expect_close(1009).await;
}

#[tokio::test]
async fn a_drain_sends_them_away_with_1001() {
    let pki = Pki::new();
    let mut engine = pki.engine(&[("drain.spread_ms", "100")]);
    let mut sockets = Vec::new();
    for n in 0..5 {
        let name = format!("Person{n}");
        let mut socket = pki.open(&engine, &engine.user(&name), &name).await;
        socket.expect(json!({"type": "connected"})).await;
        sockets.push(socket);
    }
    engine.ask_to_end();
    let closes = join_all(sockets.iter_mut().map(|socket| socket.expect_close(1001))).await;
    assert_eq!(closes.len(), 5);
    drop(sockets);
    assert!(engine.ended().success());
}

#[tokio::test]
async fn an_upgrade_without_a_credential_is_refused_in_words() {
    let pki = Pki::new();
    let engine = pki.engine(&[]);
    let url = format!("https://{}/api/ws", engine.tls_address());
    let request = pki
        .http(&["http/1.1"])
        .get(url)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "MDEyMzQ1Njc4OWFiY2RlZg==");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 401);
    assert!(answer.headers().contains_key("x-request-id"));
    assert!(answer.headers().contains_key("strict-transport-security"));
    assert_eq!(
        answer.json::<serde_json::Value>().await.unwrap()["code"],
        "UNAUTHENTICATED"
    );
}

#[tokio::test]
async fn who_reads_late_over_tls_gets_all_of_it_whole() {
    let pki = Pki::new();
    let mut settings = UNLIMITED.to_vec();
    settings.push(("sessions.outbox_max_bytes", "33554432"));
    let engine = pki.engine(&settings);
    let ana = engine.user("Ana");
    let narrow = narrow_socket(engine.tls_address()).await;
    let mut socket = pki.open_on(narrow, &engine, &ana, "Ana").await;
    socket.expect(json!({"type": "connected"})).await;
    socket.creates("ana-circle").await;
    for n in 0..50 {
        socket
            .writes("ana-circle", &format!("{n} {}", "x".repeat(1_900)))
            .await;
    }
    // Some 100 KB each, of which the kernel takes a part only: the rest waits in the outbox and in TLS.
    let asked: Vec<u64> = (0..120).map(|n| n % 5).collect();
    for since in &asked {
        socket
            .says(json!({"type": "get-history", "roomId": "ana-circle", "since": since, "limit": 200}))
            .await;
    }
    let blocked = || async {
        let metrics = engine.nobody().get("/metrics").await.text;
        let queued = "mayday_queue_depth{queue=\"outboxes_bytes\"} ";
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix(queued))
            .unwrap();
        (line.parse::<f64>().unwrap() > 100_000.0).then_some(())
    };
    eventually("much waits for a reader", blocked).await;
    for _ in &asked {
        let history = socket
            .expect(json!({"type": "history", "roomId": "ana-circle"}))
            .await;
        let seqs = history["events"].as_array().unwrap().iter();
        let seqs: Vec<u64> = seqs.map(|event| event["seq"].as_u64().unwrap()).collect();
        assert!(
            seqs.len() > 40 && seqs.windows(2).all(|two| two[0] + 1 == two[1]),
            "{seqs:?}"
        );
        assert_eq!(Some(history["seq"].as_u64().unwrap()), seqs.last().copied());
    }
    socket.hears_nothing_more().await;
}

/// A client whose kernel keeps little of what it has not read.
async fn narrow_socket(to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8_192).unwrap();
    socket.connect(to).await.unwrap()
}
