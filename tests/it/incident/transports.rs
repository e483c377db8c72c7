//! What the transports promise.

use serde_json::json;

use super::{POLLING, UPGRADE, scene};
use crate::support::{Engine, Pki, Puppets, eventually, exchange, fire};

#[tokio::test]
async fn nothing_is_lost_twice_or_out_of_order_while_a_client_moves_to_a_websocket() {
    let settings = [
        ("limits.messages_per_second", "0"),
        ("socketio.pending_max_commands", "1000"),
    ];
    let engine = Engine::start(&settings);
    let puppets = Puppets::start();
    let (ana, ben) = (engine.user("Ana"), engine.user("Ben"));
    let sos = ana.raises(fire()).await;
    let mut at_ana = puppets.connect("Ana", &ana, "/", &["websocket"]).await;
    at_ana.joins(&sos).await;
    // Several, since a worker may be the first one's or another.
    for round in 0..4 {
        let mut at_ben = puppets.connect("Ben", &ben, "/", UPGRADE).await;
        // By a poll: the move goes on meanwhile.
        at_ben.joins(&sos).await;
        let mut next = 0;
        let said = async {
            for n in 0..100 {
                at_ana
                    .emits(
                        "message:send",
                        json!({"sosId": sos, "content": format!("{round} {n}")}),
                    )
                    .await;
            }
        };
        let heard = async {
            loop {
                let heard = at_ben.hears().await;
                assert_eq!(heard["event"], "message:broadcast", "{heard}");
                let content = json!(format!("{round} {next}"));
                assert_eq!(
                    heard["args"][0]["content"], content,
                    "in order, none lost, none twice"
                );
                next += 1;
                if next == 100 {
                    break;
                }
            }
        };
        tokio::join!(said, heard);
        at_ben.hears_nothing_more().await;
        at_ben.moves_to("websocket").await;
        at_ben.disconnects().await;
        at_ben.expect_disconnect("io client disconnect").await;
        // Ana hears all of it; that is not what this story is about.
        while at_ana.hears().await["event"] != "sos:room:left" {}
    }
}

#[tokio::test]
async fn binary_arguments_come_back_as_they_were_sent() {
    let engine = Engine::start(&[]);
    let puppets = Puppets::start();
    let ana = engine.user("Ana");
    for transports in [POLLING, UPGRADE] {
        let mut at_ana = puppets.connect("Ana", &ana, "/", transports).await;
        // An attachment where none belongs is an error of the field, on a connection that stays.
        let wrong = json!({"sosId": {"bytes": [1, 2, 3]}, "content": "x"});
        let answer = at_ana.asks("message:send", wrong).await;
        assert_eq!(answer["code"], "INVALID_SOS_ID", "{answer}");
        at_ana.expect_error("INVALID_SOS_ID").await;
        at_ana.hears_nothing_more().await;
    }
}

#[tokio::test]
async fn a_client_that_polls_gets_the_newest_position_and_every_message() {
    let mut scene = scene(POLLING).await;
    // Ben's client is stopped between two polls for as long as it takes to say all this.
    for n in 0..50 {
        let content = format!("word {n}");
        let done = scene
            .at_ana
            .asks("message:send", json!({"sosId": scene.sos, "content": content}))
            .await;
        assert_eq!(done["success"], true, "{done}");
    }
    for client in [&mut scene.at_ana, &mut scene.at_ben, &mut scene.at_rita] {
        for n in 0..50 {
            client
                .expect("message:broadcast", json!({"content": format!("word {n}")}))
                .await;
        }
    }
    scene.is_quiet().await;
}

/// An HTTP request by hand, and its answer.
async fn asked(engine: &Engine, method: &str, target: &str, body: &str) -> String {
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = exchange(engine.address(), &request).await;
    format!(
        "{}\r\n\r\n{}",
        answer.head.trim_end(),
        String::from_utf8_lossy(&answer.body)
    )
}

#[tokio::test]
async fn requests_that_are_none_are_refused_in_the_words_that_clients_know() {
    let engine = Engine::start(&[]);
    let open = "/socket.io/?EIO=4&transport=polling";
    let wrong = [
        (
            "GET",
            "/socket.io/".to_owned(),
            r#"{"code":0,"message":"Transport unknown"}"#,
        ),
        (
            "GET",
            "/socket.io/?EIO=4&transport=carrier-pigeon".to_owned(),
            r#"{"code":0,"message":"Transport unknown"}"#,
        ),
        (
            "GET",
            format!("{open}&sid=nobody"),
            r#"{"code":1,"message":"Session ID unknown"}"#,
        ),
        (
            "POST",
            format!("{open}&sid=nobody"),
            r#"{"code":1,"message":"Session ID unknown"}"#,
        ),
        (
            "POST",
            open.to_owned(),
            r#"{"code":2,"message":"Bad handshake method"}"#,
        ),
        (
            "GET",
            "/socket.io/?EIO=4&transport=websocket".to_owned(),
            r#"{"code":3,"message":"Bad request"}"#,
        ),
        (
            "GET",
            "/socket.io/?EIO=3&transport=polling".to_owned(),
            r#"{"code":5,"message":"Unsupported protocol version"}"#,
        ),
        (
            "GET",
            "/socket.io/?transport=polling".to_owned(),
            r#"{"code":5,"message":"Unsupported protocol version"}"#,
        ),
    ];
    for (method, target, body) in wrong {
        let answer = asked(&engine, method, &target, "").await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{method} {target}: {answer}");
        assert!(answer.ends_with(body), "{method} {target}: {answer}");
    }
}

#[tokio::test]
async fn a_session_is_opened_posted_to_and_ended_by_a_second_poll() {
    let engine = Engine::start(&[]);
    let open = "/socket.io/?EIO=4&transport=polling";
    let answer = asked(&engine, "GET", open, "").await;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let handshake: serde_json::Value = serde_json::from_str(body.strip_prefix('0').unwrap()).unwrap();
    let mut keys: Vec<_> = handshake.as_object().unwrap().keys().cloned().collect();
    keys.sort();
    assert_eq!(
        keys,
        ["maxPayload", "pingInterval", "pingTimeout", "sid", "upgrades"]
    );
    assert_eq!(handshake["upgrades"], json!(["websocket"]));
    assert_eq!(
        (&handshake["pingInterval"], &handshake["pingTimeout"]),
        (&json!(25000), &json!(20000))
    );

    let session = format!("{open}&sid={}", handshake["sid"].as_str().unwrap());
    let device = engine.device();
    let connect = format!("40{{\"deviceId\":\"{}\"}}", device.device_id());
    let answer = asked(&engine, "POST", &session, &connect).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nok"),
        "{answer}"
    );
    let answer = asked(&engine, "GET", &session, "").await;
    assert!(answer.contains("\r\n\r\n40{"), "{answer}");

    // Two at once: the second is refused, and the session is over.
    let first = asked(&engine, "GET", &session, "");
    let second = async {
        let waits = async || {
            let answer = asked(&engine, "GET", &session, "").await;
            answer.starts_with("HTTP/1.1 400 ").then_some(answer)
        };
        eventually("a second poll is refused", waits).await
    };
    let (first, second) = tokio::join!(first, second);
    assert!(first.starts_with("HTTP/1.1 "), "{first}");
    assert!(
        second.contains("\"code\":3") || second.contains("\"code\":1"),
        "{second}"
    );
    let answer = asked(&engine, "GET", &session, "").await;
    assert!(
        answer.ends_with(r#"{"code":1,"message":"Session ID unknown"}"#),
        "{answer}"
    );
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_with_413_and_ends_the_session() {
    let engine = Engine::start(&[("socketio.max_payload_bytes", "1000")]);
    let open = "/socket.io/?EIO=4&transport=polling";
    let answer = asked(&engine, "GET", open, "").await;
    assert!(answer.contains("\"maxPayload\":1000"), "{answer}");
    let sid = answer
        .split("\"sid\":\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let session = format!("{open}&sid={sid}");
    let answer = asked(&engine, "POST", &session, &"4".repeat(1001)).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let answer = asked(&engine, "POST", &session, "2").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test]
async fn whoever_connects_to_nothing_is_sent_away() {
    let engine = Engine::start(&[("socketio.connect_timeout_ms", "300")]);
    let open = "/socket.io/?EIO=4&transport=polling";
    let answer = asked(&engine, "GET", open, "").await;
    let sid = answer
        .split("\"sid\":\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let session = format!("{open}&sid={sid}");
    // The poll waits, and is told of the end.
    let answer = asked(&engine, "GET", &session, "").await;
    assert!(answer.ends_with("\r\n\r\n1"), "{answer}");
    let answer = asked(&engine, "GET", &session, "").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test]
async fn clients_move_to_a_websocket_under_tls() {
    let pki = Pki::new();
    let engine = pki.engine(&[]);
    let puppets = Puppets::start();
    let (ana, ben) = (engine.user("Ana"), engine.user("Ben"));
    let sos = ana.raises(fire()).await;
    // Several, since the socket may come to the worker that has the polls, or to another one.
    for round in 0..4 {
        let url = format!("https://{}/sos", engine.tls_address());
        let options = json!({"transports": UPGRADE, "auth": ben.shows(), "rejectUnauthorized": false});
        let mut at_ben = puppets.open_at("Ben", &url, options).await;
        at_ben.expect_connect(false).await;
        at_ben.joins(&sos).await;
        let content = format!("word {round}");
        let path = format!("/api/v1/sos/{sos}/messages");
        ana.post(&path, json!({"content": content})).await.data(201);
        at_ben
            .expect("message:broadcast", json!({"content": content}))
            .await;
        at_ben.moves_to("websocket").await;
        at_ben.hears_nothing_more().await;
        at_ben.disconnects().await;
        at_ben.expect_disconnect("io client disconnect").await;
    }
}

#[tokio::test]
async fn whoever_is_there_when_the_engine_ends_is_sent_away_and_it_ends_in_time() {
    let settings = [("drain.grace_ms", "20000"), ("drain.spread_ms", "100")];
    let mut engine = Engine::start(&settings);
    let puppets = Puppets::start();
    let ana = engine.user("Ana");
    let options =
        |transports: &[&str]| json!({"transports": transports, "auth": ana.shows(), "reconnection": false});
    let mut clients = Vec::new();
    for transports in [POLLING, &["websocket"]] {
        let mut client = puppets.open("Ana", &ana, "/", options(transports)).await;
        client.expect_connect(false).await;
        clients.push(client);
    }
    engine.ask_to_end();
    for client in &mut clients {
        client.expect_disconnect("transport close").await;
    }
    assert!(engine.ended().success());
}
