//! Both dialects in one room: each hears everything once, in its own words.

use serde_json::json;

use super::{POLLING, WEBSOCKET};
use crate::support::{Engine, HERE, Puppets, fire};

#[tokio::test]
async fn json_and_socketio_clients_hear_the_same_side_by_side() {
    let engine = Engine::start(&[]);
    let puppets = Puppets::start();
    let (ana, ben, cara) = (engine.user("Ana"), engine.user("Ben"), engine.user("Cara"));
    let ben = ben.role("RESCUER");
    let sos = ana.raises(fire()).await;
    let mut at_ana = ana.connect().await;
    at_ana.joins(&sos).await;
    let mut at_ben = puppets.connect("Ben", &ben, "/", WEBSOCKET).await;
    let ben_id = at_ben.joins(&sos).await;
    at_ana
        .expect(json!({"type": "user-joined", "roomId": sos, "clientId": ben_id, "user": {"name": "Ben"}}))
        .await;
    let mut at_cara = puppets.connect("Cara", &cara, "/sos", POLLING).await;
    let cara_id = at_cara.joins(&sos).await;
    at_ana
        .expect(json!({"type": "user-joined", "roomId": sos, "clientId": cara_id, "user": {"name": "Cara"}}))
        .await;
    super::come(&mut [&mut at_ben], &sos, &cara_id, "Cara").await;

    // A message each way: the same id and place in the log for everybody.
    at_ana
        .says(json!({"type": "room-message", "roomId": sos, "content": "by JSON", "id": "m-1"}))
        .await;
    let accepted = at_ana
        .expect(json!({"type": "message-accepted", "id": "m-1"}))
        .await;
    let told = at_ana
        .expect(json!({"type": "room-message", "content": "by JSON"}))
        .await;
    assert_eq!(told["seq"], accepted["seq"]);
    for client in [&mut at_ben, &mut at_cara] {
        let words =
            json!({"content": "by JSON", "id": "m-1", "senderDisplayName": "Ana", "seq": accepted["seq"]});
        client.expect("message:broadcast", words).await;
    }
    let done = at_cara
        .asks(
            "message:send",
            json!({"sosId": sos, "content": "by Socket.IO", "id": "m-2"}),
        )
        .await;
    at_ana
        .expect(json!({
            "type": "room-message", "content": "by Socket.IO", "clientId": cara_id, "userName": "Cara",
            "seq": done["seq"],
        }))
        .await;
    for client in [&mut at_ben, &mut at_cara] {
        client
            .expect(
                "message:broadcast",
                json!({"id": "m-2", "senderId": cara_id, "seq": done["seq"]}),
            )
            .await;
    }

    // A position each way.
    let (latitude, longitude) = HERE;
    at_ana
        .says(json!({"type": "location-update", "roomId": sos, "latitude": latitude, "longitude": longitude}))
        .await;
    at_ana
        .expect(json!({"type": "location-update-confirmed", "rooms": [sos]}))
        .await;
    for client in [&mut at_ben, &mut at_cara] {
        let there = json!({"sosId": sos, "latitude": latitude, "longitude": longitude});
        client
            .expect_each(&["location:broadcast", "location:updated"], there)
            .await;
    }
    let there = json!({"sosId": sos, "latitude": latitude, "longitude": longitude, "accuracy": 3});
    at_ben.emits("location:update", there).await;
    at_ana
        .expect(json!({
            "type": "location-update", "roomId": sos,
            "data": {"userId": ben_id, "userName": "Ben", "latitude": latitude, "accuracy": 3.0},
        }))
        .await;
    let names = [
        "location:broadcast",
        "location:updated",
        "rescuer:location:broadcast",
    ];
    at_cara.expect_each(&names, json!({"userId": ben_id})).await;

    // The status, in the case of whoever moved it here and as ever there.
    at_ben
        .emits("sos:status:update", json!({"sosId": sos, "status": "en_route"}))
        .await;
    let words = json!({"sosId": sos, "status": "responding", "updatedBy": ben_id});
    for client in [&mut at_ben, &mut at_cara] {
        client
            .expect_each(&["sos:status:broadcast", "sos:updated"], words.clone())
            .await;
    }
    at_ana
        .expect(json!({"type": "sos-status", "roomId": sos, "status": "RESPONDING", "from": "ACTIVE"}))
        .await;

    // Typing has no word in the JSON dialect.
    at_ben.emits("message:typing:start", json!({"sosId": sos})).await;
    at_cara
        .expect("message:typing:start", json!({"userId": ben_id}))
        .await;

    // One goes, and one is gone.
    at_cara.emits("leave:sos", json!(sos)).await;
    at_cara.expect("sos:room:left", json!({"userId": cara_id})).await;
    at_ben
        .expect_each(&["sos:room:left", "participant:left"], json!({"userId": cara_id}))
        .await;
    at_ana
        .expect(json!({"type": "user-left", "roomId": sos, "clientId": cara_id}))
        .await;
    at_ana.leaves().await;
    at_ben.expect("sos:room:left", json!({"sosId": sos})).await;
    at_ben.hears_nothing_more().await;
    at_cara.hears_nothing_more().await;
}

#[tokio::test]
async fn one_connection_with_two_namespaces_hears_everything_once_in_each() {
    let engine = Engine::start(&[]);
    let puppets = Puppets::start();
    let (ana, ben) = (engine.user("Ana"), engine.user("Ben"));
    let sos = ana.raises(fire()).await;
    let mut main = puppets.connect("Ben", &ben, "/", WEBSOCKET).await;
    let mut inner = puppets.connect("Ben in /sos", &ben, "/sos", WEBSOCKET).await;
    let who = main.joins(&sos).await;
    // It is the same person, who has come already.
    assert_eq!(inner.joins(&sos).await, who);
    ana.post(
        &format!("/api/v1/sos/{sos}/messages"),
        json!({"content": "hello"}),
    )
    .await
    .data(201);
    for client in [&mut main, &mut inner] {
        client
            .expect("message:broadcast", json!({"content": "hello"}))
            .await;
        client.hears_nothing_more().await;
    }
    inner.disconnects().await;
    inner.expect_disconnect("io client disconnect").await;
    ana.post(
        &format!("/api/v1/sos/{sos}/messages"),
        json!({"content": "and now"}),
    )
    .await
    .data(201);
    main.expect("message:broadcast", json!({"content": "and now"}))
        .await;
    main.hears_nothing_more().await;
}
