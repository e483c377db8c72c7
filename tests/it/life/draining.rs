//! Being told to stop: clients are sent away with a hint, and what was acknowledged is there afterwards.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Engine, HERE, Heard, UNLIMITED, circle, circle_on, eventually, fire, now_ms};

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

/// The place and id of a message that was accepted.
fn acceptance(message: &Value) -> Option<(u64, Value)> {
    let accepted = message["type"] == "message-accepted";
    accepted.then(|| (message["seq"].as_u64().unwrap(), message["id"].clone()))
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
        // On a slow machine the engine may not have read anything yet when it is told to end.
        while accepted.is_empty() {
            let Heard::Message(message) = circle.at_ana.hears().await else {
                break;
            };
            accepted.extend(acceptance(&message));
        }
    }
    while let Heard::Message(message) = circle.at_ana.hears().await {
        accepted.extend(acceptance(&message));
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

#[tokio::test]
async fn positions_taken_just_before_are_in_history_afterwards() {
    // By itself history would not be written before this is over.
    let mut circle = circle_on(Engine::start(&[("locations.history_delay_ms", "60000")])).await;
    circle
        .at_ana
        .says(json!({"type": "location-update", "latitude": HERE.0, "longitude": HERE.1}))
        .await;
    circle
        .at_ana
        .expect(json!({"type": "location-update-confirmed"}))
        .await;
    circle.at_ben.expect(json!({"type": "location-update"})).await;
    circle.engine.ask_to_end();
    for client in [&mut circle.at_ana, &mut circle.at_ben] {
        let (missed, code, _) = client.reads_to_the_close().await;
        assert_eq!(code, 1001, "{missed:?}");
    }
    assert_eq!(circle.engine.ended().code(), Some(0));

    circle.engine.restart();
    let kept = circle.ana.get("/api/locations").await.ok(200);
    let kept = kept["locations"].as_array().unwrap();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(kept[0]["latitude"], HERE.0);
    assert_eq!(kept[0]["longitude"], HERE.1);
}

#[tokio::test]
async fn a_restart_puts_nobody_out_as_idle() {
    const IDLE: Duration = Duration::from_secs(2);
    let mut settings = UNLIMITED.to_vec();
    settings.push(("rooms.idle_participant_s", "2"));
    let mut engine = Engine::start(&settings);
    let (ana, sam) = (engine.user("Ana"), engine.user("Sam"));
    let sos = ana.raises(fire()).await;
    let path = |rest: &str| format!("/api/v1/sos/{sos}/{rest}");
    let joined = sam
        .post(&path("participants/join"), json!({"userType": "CITIZEN"}))
        .await
        .data(201);
    // All that Sam does is send positions, of which the log knows nothing, for longer than the idle time.
    let begun = Instant::now();
    eventually("Sam has been in for longer than the idle time", || async {
        let fix = json!({"latitude": HERE.0, "longitude": HERE.1, "timestamp": now_ms()});
        sam.post(&path("location"), fix).await.data(200);
        (begun.elapsed() > IDLE + IDLE / 4).then_some(())
    })
    .await;
    engine.kill9();

    let restarted = Instant::now();
    engine.restart();
    let active = async || ana.get(&path("participants/active")).await.page().0.len();
    assert_eq!(active().await, 2);
    let mut at_ana = ana.connect().await;
    at_ana.joins(&sos).await;
    // Where Sam was last, and then that he is out, but only after he was quiet for so long.
    at_ana
        .expect(json!({"type": "location-update", "data": {"userId": joined["id"]}}))
        .await;
    at_ana
        .expect(json!({"type": "user-left", "roomId": sos, "clientId": joined["id"], "seq": "*"}))
        .await;
    assert!(restarted.elapsed() >= IDLE, "out after {:?}", restarted.elapsed());
    assert_eq!(active().await, 1);
    at_ana.hears_nothing_more().await;
}
