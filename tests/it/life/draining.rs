//! Being told to stop: clients are sent away with a hint, and what was acknowledged is there afterwards.

use serde_json::json;

use crate::support::{Engine, Heard, circle, circle_on, eventually, fire};

#[tokio::test]
async fn told_to_stop_it_sends_everybody_away_and_keeps_everything() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    circle.at_ana.writes(&room, "written").await;
    circle.at_ben.reads(&room, "written").await;
    let sos = circle.ana.raises(fire()).await;
    circle.engine.ask_to_end();
    let mut hints = Vec::new();
    for client in [&mut circle.at_ana, &mut circle.at_ben] {
        let (_, code, text) = client.reads_to_the_close().await;
        assert_eq!(code, 1001);
        let hint = text
            .strip_prefix("retry-after-ms=")
            .unwrap_or_else(|| panic!("no hint in {text:?}"));
        hints.push(hint.parse::<u64>().unwrap());
    }
    assert!(hints.iter().all(|hint| *hint <= 10_000), "{hints:?}");
    let status = circle.engine.ended();
    assert_eq!(status.code(), Some(0), "{status}");

    circle.engine.restart();
    circle.ana.get(&format!("/api/v1/sos/{sos}")).await.data(200);
    let mut at_ana = circle.ana.connect().await;
    at_ana
        .says(json!({"type": "join-room", "roomId": room, "since": 0}))
        .await;
    at_ana
        .expect(json!({"type": "join-approved", "recovered": true}))
        .await;
    loop {
        let Heard::Message(message) = at_ana.hears().await else {
            panic!("the connection ended")
        };
        if message["content"] == "written" {
            break;
        }
    }
}

#[tokio::test]
async fn a_draining_node_is_not_ready() {
    // A client that does not answer the close keeps the drain waiting, so that it can be looked at.
    let engine = Engine::start(&[("sessions.close_timeout_ms", "4000"), ("drain.grace_ms", "4000")]);
    let mut circle = circle_on(engine).await;
    let nobody = circle.engine.nobody();
    nobody.get("/ready").await.ok(200);
    circle.engine.ask_to_end();
    let answer = eventually("not ready", || async {
        let answer = nobody
            .request(reqwest::Method::GET, "/ready")
            .try_send()
            .await
            .ok()?;
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert_eq!(answer.status, 503);
    assert!(
        answer.json()["failing"]
            .as_array()
            .unwrap()
            .contains(&json!("draining")),
        "{answer:?}"
    );
    drop((circle.at_ana, circle.at_ben));
    assert_eq!(circle.engine.ended().code(), Some(0));
}

#[tokio::test]
async fn the_hints_are_spread() {
    let mut engine = Engine::start(&[("drain.spread_ms", "5000")]);
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(engine.device().connect().await);
    }
    engine.ask_to_end();
    let mut hints = Vec::new();
    for client in &mut clients {
        let (_, code, text) = client.reads_to_the_close().await;
        assert_eq!(code, 1001);
        hints.push(
            text.strip_prefix("retry-after-ms=")
                .unwrap()
                .parse::<u64>()
                .unwrap(),
        );
    }
    hints.sort_unstable();
    hints.dedup();
    assert!(hints.len() > 5, "they would all come back at once: {hints:?}");
    assert_eq!(engine.ended().code(), Some(0));
}

#[tokio::test]
async fn it_ends_while_messages_pour_in_and_loses_none_it_accepted() {
    let mut circle = circle_on(Engine::unlimited()).await;
    let room = circle.room.clone();
    let mut accepted = Vec::new();
    for n in 0..400 {
        let message = json!({"type": "room-message", "roomId": room, "content": format!("n {n}"), "id": format!("n{n}")});
        if n == 200 {
            circle.engine.ask_to_end();
        }
        let frame = tokio_tungstenite::tungstenite::Message::text(message.to_string());
        if !circle.at_ana.tries_to_send(frame).await {
            break;
        }
    }
    while let Heard::Message(message) = circle.at_ana.hears().await {
        if message["type"] == "message-accepted" {
            accepted.push((message["seq"].as_u64().unwrap(), message["id"].clone()));
        }
    }
    assert_eq!(circle.engine.ended().code(), Some(0));
    assert!(!accepted.is_empty());
    circle.engine.restart();
    let found = crate::faults::messages_of(&circle.ana, &room).await;
    for kept in &accepted {
        assert_eq!(
            found.iter().filter(|message| *message == kept).count(),
            1,
            "{kept:?}"
        );
    }
}
