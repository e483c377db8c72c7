//! Coming back: to the same node, after a restart, on another node.

use serde_json::{Value, json};

use super::{POLLING, UPGRADE, WEBSOCKET, scene};
use crate::support::redis::free_port;
use crate::support::{Engine, Person, Puppet, Puppets, fire};

#[tokio::test]
async fn a_client_whose_connection_broke_hears_what_it_missed_once_and_in_order() {
    for transports in [POLLING, WEBSOCKET] {
        let mut scene = scene(transports).await;
        let said = json!({"sosId": scene.sos, "content": "before"});
        scene.at_ana.asks("message:send", said).await;
        for client in [&mut scene.at_ana, &mut scene.at_ben, &mut scene.at_rita] {
            client
                .expect("message:broadcast", json!({"content": "before"}))
                .await;
        }
        scene.at_ben.is_cut().await;
        scene.at_ben.expect_disconnect("forced close").await;
        for n in 0..3 {
            let said = json!({"sosId": scene.sos, "content": format!("missed {n}")});
            scene.at_ana.asks("message:send", said).await;
        }
        scene.at_ben.expect_connect(true).await;
        for n in 0..3 {
            scene
                .at_ben
                .expect("message:broadcast", json!({"content": format!("missed {n}")}))
                .await;
        }
        let said = json!({"sosId": scene.sos, "content": "after"});
        scene.at_ana.asks("message:send", said).await;
        scene
            .at_ben
            .expect("message:broadcast", json!({"content": "after"}))
            .await;
        scene.at_ben.hears_nothing_more().await;
    }
}

#[tokio::test]
async fn clients_come_back_to_where_they_were_when_the_engine_was_killed() {
    // Clients look for it where it was.
    let port = free_port().to_string();
    let engine = Engine::start(&[("http.port", &port)]);
    let mut scene = super::scene_on(engine, UPGRADE).await;
    let seq = scene
        .at_rita
        .asks("message:send", json!({"sosId": scene.sos, "content": "before"}))
        .await;
    assert_eq!(seq["success"], true);
    for client in [&mut scene.at_ana, &mut scene.at_ben, &mut scene.at_rita] {
        client
            .expect("message:broadcast", json!({"content": "before"}))
            .await;
    }
    scene.engine.kill9();
    for client in [&mut scene.at_ana, &mut scene.at_ben, &mut scene.at_rita] {
        let heard = client.hears().await;
        assert_eq!(heard["is"], "disconnect", "{heard}");
    }
    scene.engine.restart();
    // By REST, before or after they are back.
    let path = format!("/api/v1/sos/{}/messages", scene.sos);
    scene
        .ana
        .post(&path, json!({"content": "while you were away"}))
        .await
        .data(201);
    for client in [&mut scene.at_ana, &mut scene.at_ben, &mut scene.at_rita] {
        client.expect_connect(true).await;
        // Others are back, too, before or after the message.
        loop {
            let heard = client.hears().await;
            match heard["event"].as_str() {
                Some("message:broadcast") => {
                    assert_eq!(heard["args"][0]["content"], "while you were away");
                    break;
                }
                Some("sos:init" | "sos:room:joined") => {}
                _ => panic!("nobody expected {heard}"),
            }
        }
    }
}

#[tokio::test]
async fn a_client_of_many_incidents_misses_nothing_in_any_of_them() {
    let engine = Engine::start(&[]);
    let puppets = Puppets::start();
    let (ana, rita) = (engine.user("Ana"), engine.user("Rita").role("RESCUER"));
    let mut incidents = Vec::new();
    for _ in 0..3 {
        incidents.push(ana.raises(fire()).await);
    }
    // She comes back only when she is told to: all of what she is to miss has happened by then.
    let options = json!({"transports": WEBSOCKET, "auth": rita.shows(), "reconnection": false});
    let mut at_rita = puppets.open("Rita", &rita, "/", options).await;
    at_rita.expect_connect(false).await;
    for sos in &incidents {
        at_rita.joins(sos).await;
    }
    let says = async |n: usize, sos: &str| {
        let path = format!("/api/v1/sos/{sos}/messages");
        ana.post(&path, json!({"content": format!("{n}")}))
            .await
            .data(201);
    };
    // The last that she hears is of the first; what she missed is of all.
    for (n, sos) in [(0, 2), (1, 1), (2, 0)] {
        says(n, &incidents[sos]).await;
        at_rita
            .expect(
                "message:broadcast",
                json!({"content": n.to_string(), "sosId": incidents[sos]}),
            )
            .await;
    }
    at_rita.is_cut().await;
    at_rita.expect_disconnect("forced close").await;
    for (n, sos) in [(3, 1), (4, 2), (5, 1), (6, 0)] {
        says(n, &incidents[sos]).await;
    }
    // One of them ends meanwhile.
    let dora = engine.user("Dora").role("DISPATCHER");
    dora.post(&format!("/api/v1/sos/{}/close", incidents[2]), json!({}))
        .await
        .data(200);
    at_rita.connects().await;
    at_rita.expect_connect(true).await;
    let mut heard = std::collections::BTreeMap::<String, Vec<String>>::new();
    for _ in 0..6 {
        let event = at_rita.hears().await;
        let body = &event["args"][0];
        let what = match event["event"].as_str() {
            Some("message:broadcast") => body["content"].as_str().unwrap().to_owned(),
            Some(end @ ("sos:close" | "sos:closed")) => end.to_owned(),
            _ => panic!("nobody expected {event}"),
        };
        heard
            .entry(body["sosId"].as_str().unwrap().to_owned())
            .or_default()
            .push(what);
    }
    assert_eq!(heard[&incidents[0]], ["6"]);
    assert_eq!(heard[&incidents[1]], ["3", "5"]);
    assert_eq!(heard[&incidents[2]], ["4", "sos:close", "sos:closed"]);
    at_rita.hears_nothing_more().await;
}

/// Ben over there, who comes back only when he is told to, and Ana, who is in by REST.
async fn absent(engine: &Engine, puppets: &Puppets) -> (Person, String, Puppet, Value) {
    let (ana, ben) = (engine.user("Ana"), engine.user("Ben"));
    let sos = ana.raises(fire()).await;
    let options = json!({"transports": WEBSOCKET, "auth": ben.shows(), "reconnection": false});
    let mut at_ben = puppets.open("Ben", &ben, "/", options).await;
    at_ben.expect_connect(false).await;
    let ben_id = at_ben.joins(&sos).await;
    at_ben.is_cut().await;
    at_ben.expect_disconnect("forced close").await;
    (ana, sos, at_ben, ben_id)
}

#[tokio::test]
async fn whoever_was_put_out_meanwhile_begins_anew_and_is_told_nothing() {
    let (engine, puppets) = (Engine::start(&[]), Puppets::start());
    let (ana, sos, mut at_ben, ben_id) = absent(&engine, &puppets).await;
    let dora = engine.user("Dora").role("DISPATCHER");
    let path = format!(
        "/api/v1/sos/{sos}/participants/{}/leave",
        ben_id.as_str().unwrap()
    );
    dora.patch(&path, json!({})).await.data(200);
    let said = json!({"content": "not for Ben"});
    ana.post(&format!("/api/v1/sos/{sos}/messages"), said)
        .await
        .data(201);
    at_ben.connects().await;
    at_ben.expect_connect(false).await;
    at_ben.hears_nothing_more().await;
}

#[tokio::test]
async fn whoever_missed_too_much_begins_anew() {
    let (engine, puppets) = (
        Engine::start(&[("socketio.recovery_max_events", "3")]),
        Puppets::start(),
    );
    let (ana, sos, mut at_ben, _) = absent(&engine, &puppets).await;
    let path = format!("/api/v1/sos/{sos}/messages");
    for n in 0..3 {
        ana.post(&path, json!({"content": n.to_string()})).await.data(201);
    }
    at_ben.connects().await;
    at_ben.expect_connect(true).await;
    for n in 0..3 {
        at_ben
            .expect("message:broadcast", json!({"content": n.to_string()}))
            .await;
    }
    at_ben.is_cut().await;
    at_ben.expect_disconnect("forced close").await;
    for n in 3..7 {
        ana.post(&path, json!({"content": n.to_string()})).await.data(201);
    }
    at_ben.connects().await;
    at_ben.expect_connect(false).await;
    at_ben.joins(&sos).await;
    at_ben.hears_nothing_more().await;
}

#[tokio::test]
async fn without_recovery_everybody_begins_anew() {
    let (engine, puppets) = (Engine::start(&[("socketio.recovery", "false")]), Puppets::start());
    let (ana, sos, mut at_ben, _) = absent(&engine, &puppets).await;
    ana.post(
        &format!("/api/v1/sos/{sos}/messages"),
        json!({"content": "missed"}),
    )
    .await
    .data(201);
    at_ben.connects().await;
    at_ben.expect_connect(false).await;
    at_ben.joins(&sos).await;
    at_ben.hears_nothing_more().await;
}

#[tokio::test]
async fn the_secret_of_a_seat_is_nothing_without_its_owners_credential() {
    let (engine, puppets) = (Engine::start(&[]), Puppets::start());
    let (ana, sos, mut at_ben, _) = absent(&engine, &puppets).await;
    ana.post(
        &format!("/api/v1/sos/{sos}/messages"),
        json!({"content": "for Ben only"}),
    )
    .await
    .data(201);
    // Ben's client comes back with the seat of Ben and the credential of somebody else.
    let eve = engine.user("Eve");
    at_ben.shows(eve.shows()).await;
    at_ben.connects().await;
    at_ben.expect_connect(false).await;
    at_ben.hears_nothing_more().await;
    at_ben.shows(json!({})).await;
    at_ben.is_cut().await;
    at_ben.expect_disconnect("forced close").await;
    at_ben.connects().await;
    at_ben.expect_connect_error("UNAUTHENTICATED").await;
}
