//! Every row of the vocabulary, over every transport.

use serde_json::{Value, json};

use super::{POLLING, Scene, UPGRADE, WEBSOCKET, scene};
use crate::support::HERE;

#[tokio::test]
async fn every_event_has_its_effect_by_polling() {
    every_event(POLLING).await;
}

#[tokio::test]
async fn every_event_has_its_effect_by_websocket() {
    every_event(WEBSOCKET).await;
}

#[tokio::test]
async fn every_event_has_its_effect_while_moving_from_polling_to_a_websocket() {
    every_event(UPGRADE).await;
}

async fn every_event(transports: &[&str]) {
    let mut scene = scene(transports).await;
    messages(&mut scene).await;
    typing(&mut scene).await;
    positions(&mut scene).await;
    questions(&mut scene).await;
    status(&mut scene).await;
    coming_and_going(&mut scene).await;
    the_end(&mut scene).await;
}

async fn messages(scene: &mut Scene) {
    let said = json!({"sosId": scene.sos, "content": "who can come?", "id": "m-1"});
    let done = scene.at_ana.asks("message:send", said.clone()).await;
    assert_eq!(done["success"], true, "{done}");
    let told = json!({
        "id": "m-1", "sosId": scene.sos, "senderType": "CITIZEN", "senderId": scene.ana_id,
        "senderDisplayName": "Ana", "contentType": "text", "content": "who can come?", "seq": done["seq"],
    });
    for client in [&mut scene.at_ana, &mut scene.at_ben, &mut scene.at_rita] {
        client.expect("message:broadcast", told.clone()).await;
    }
    // The same again is the same message.
    let again = scene.at_ana.asks("message:send", said).await;
    assert_eq!(again, done);
    scene.is_quiet().await;
}

async fn typing(scene: &mut Scene) {
    let about = json!({"sosId": scene.sos});
    for event in ["message:typing:start", "message:typing:stop"] {
        scene.at_ben.emits(event, about.clone()).await;
        let told = json!({"sosId": scene.sos, "userId": scene.ben_id, "displayName": "Ben"});
        scene.at_ana.expect(event, told.clone()).await;
        scene.at_rita.expect(event, told).await;
    }
    scene.is_quiet().await;
}

async fn positions(scene: &mut Scene) {
    let (latitude, longitude) = HERE;
    let here = json!({
        "sosId": scene.sos, "latitude": latitude, "longitude": longitude, "accuracy": 5, "address": "Rizal Park",
    });
    let done = scene.at_ana.asks("location:update", here).await;
    assert_eq!(done["success"], true, "{done}");
    let told = json!({
        "userId": scene.ana_id, "sosId": scene.sos, "latitude": latitude, "longitude": longitude, "accuracy": 5.0,
    });
    for client in [&mut scene.at_ben, &mut scene.at_rita] {
        client
            .expect_each(&["location:broadcast", "location:updated"], told.clone())
            .await;
    }

    let there = json!({"sosId": scene.sos, "latitude": latitude, "longitude": longitude});
    scene.at_rita.emits("rescuer:location", there.clone()).await;
    let told = json!({"userId": scene.rita_id, "sosId": scene.sos, "latitude": latitude});
    let names = [
        "location:broadcast",
        "location:updated",
        "rescuer:location:broadcast",
    ];
    for client in [&mut scene.at_ana, &mut scene.at_ben] {
        client.expect_each(&names, told.clone()).await;
    }
    // Others have no such position.
    let refused = scene.at_ben.asks("rescuer:location", there).await;
    assert_eq!(refused["code"], "UNAUTHORIZED", "{refused}");
    scene.at_ben.expect_error("UNAUTHORIZED").await;
    scene.is_quiet().await;
}

async fn questions(scene: &mut Scene) {
    let asked = json!({"sosId": scene.sos, "limit": 10, "skip": 0});
    scene.at_ben.emits("message:history:request", asked).await;
    let history = json!({"sosId": scene.sos, "messages": [{"id": "m-1", "content": "who can come?"}]});
    scene.at_ben.expect("message:history:response", history).await;

    scene
        .at_rita
        .emits("participants:active:request", json!({"sosId": scene.sos}))
        .await;
    let active = scene
        .at_rita
        .expect(
            "participants:active:response",
            json!({"sosId": scene.sos, "count": 3}),
        )
        .await;
    let names: Vec<&Value> = active["participants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["displayName"])
        .collect();
    assert_eq!(names.len(), 3, "{active}");
    assert!(names.contains(&&json!("Rita")), "{active}");

    scene.at_ana.emits("ping", json!({"mine": [1, "x"]})).await;
    scene
        .at_ana
        .expect("pong", json!({"mine": [1, "x"], "respondedAt": "*"}))
        .await;
    let done = scene.at_ana.asks("heartbeat", json!({})).await;
    assert_eq!(done, json!({"success": true}));
    scene
        .at_ana
        .expect("heartbeat:ack", json!({"timestamp": "*"}))
        .await;
    scene.is_quiet().await;
}

async fn status(scene: &mut Scene) {
    // In the case in which it was said.
    for (status, before) in [("assigned", "active"), ("RESPONDING", "ASSIGNED")] {
        let update = json!({"sosId": scene.sos, "status": status});
        let done = scene.at_rita.asks("sos:status:update", update).await;
        assert_eq!(done["success"], true, "{done}");
        let told = json!({
            "sosId": scene.sos, "status": status, "oldStatus": before, "updatedBy": scene.rita_id, "seq": done["seq"],
        });
        for client in [&mut scene.at_ana, &mut scene.at_ben, &mut scene.at_rita] {
            client
                .expect_each(&["sos:status:broadcast", "sos:updated"], told.clone())
                .await;
        }
    }
    let backwards = json!({"sosId": scene.sos, "status": "assigned"});
    let refused = scene.at_rita.asks("sos:status:update", backwards).await;
    assert_eq!(refused["code"], "INVALID_STATUS_DATA", "{refused}");
    scene.at_rita.expect_error("INVALID_STATUS_DATA").await;

    // Who has arrived has moved the incident; saying so again changes nothing.
    let (latitude, longitude) = HERE;
    let arrived = json!({
        "sosId": scene.sos, "latitude": latitude + 0.001, "longitude": longitude, "rescuerArrived": true,
    });
    let done = scene.at_rita.asks("rescuer:location", arrived.clone()).await;
    assert_eq!(done["success"], true, "{done}");
    let told = json!({"sosId": scene.sos, "status": "ARRIVED"});
    scene
        .at_rita
        .expect_each(&["sos:status:broadcast", "sos:updated"], told.clone())
        .await;
    let done = scene.at_rita.asks("rescuer:location", arrived).await;
    assert_eq!(done["success"], true, "{done}");
    for client in [&mut scene.at_ana, &mut scene.at_ben] {
        // The position comes when its second is over, before or after.
        let told = [
            "sos:status:broadcast",
            "sos:updated",
            "location:broadcast",
            "location:updated",
            "rescuer:location:broadcast",
        ];
        client.expect_in_any_order(&told).await;
    }
    scene.is_quiet().await;
}

async fn coming_and_going(scene: &mut Scene) {
    let cara = scene.engine.user("Cara");
    let body = json!({"userType": "CITIZEN", "displayName": "Cara"});
    let path = format!("/api/v1/sos/{}/participants/join", scene.sos);
    let joined = cara.post(&path, body).await.data(201);
    let told = json!({"sosId": scene.sos, "userId": joined["id"]});
    let names = ["sos:init", "sos:room:joined", "participant:joined"];
    for client in [&mut scene.at_ana, &mut scene.at_ben, &mut scene.at_rita] {
        client.expect_each(&names, told.clone()).await;
    }
    let path = format!("/api/v1/sos/{}/participants/leave", scene.sos);
    cara.post(&path, json!({})).await.ok(200);
    for client in [&mut scene.at_ana, &mut scene.at_ben, &mut scene.at_rita] {
        client
            .expect_each(&["sos:room:left", "participant:left"], told.clone())
            .await;
    }

    let done = scene
        .at_ben
        .asks("sos:room:leave", json!({"sosId": scene.sos}))
        .await;
    assert_eq!(done["success"], true, "{done}");
    let told = json!({"sosId": scene.sos, "userId": scene.ben_id});
    scene.at_ben.expect("sos:room:left", told.clone()).await;
    for client in [&mut scene.at_ana, &mut scene.at_rita] {
        client
            .expect_each(&["sos:room:left", "participant:left"], told.clone())
            .await;
    }
    // Whoever is out says nothing there.
    let refused = scene
        .at_ben
        .asks(
            "message:send",
            json!({"sosId": scene.sos, "content": "still here"}),
        )
        .await;
    assert_eq!(refused["code"], "UNAUTHORIZED_SOS", "{refused}");
    scene.at_ben.expect_error("UNAUTHORIZED_SOS").await;
    scene.is_quiet().await;

    let back = json!({"sosId": scene.sos, "displayName": "Benjamin"});
    let done = scene.at_ben.asks("sos:room:join", back).await;
    assert_eq!(done["success"], true, "{done}");
    scene.at_ben.expect("sos:init", told.clone()).await;
    // And where everybody is.
    let positions = [
        "location:broadcast",
        "location:updated",
        "location:broadcast",
        "location:updated",
        "rescuer:location:broadcast",
    ];
    for position in scene.at_ben.expect_in_any_order(&positions).await {
        assert!(
            position["userId"] == scene.ana_id || position["userId"] == scene.rita_id,
            "{position}"
        );
    }
    for client in [&mut scene.at_ana, &mut scene.at_rita] {
        client.expect_each(&names, told.clone()).await;
    }
    // Who asks twice is told twice, and nobody else.
    scene.at_ben.emits("sos:init", json!({"sosId": scene.sos})).await;
    scene.at_ben.expect("sos:init", told).await;
    scene.is_quiet().await;
}

async fn the_end(scene: &mut Scene) {
    let refused = scene.at_ben.asks("sos:close", json!({"sosId": scene.sos})).await;
    assert_eq!(refused["code"], "UNAUTHORIZED", "{refused}");
    scene.at_ben.expect_error("UNAUTHORIZED").await;

    let dora = scene.engine.user("Dora").role("DISPATCHER");
    let mut at_dora = scene.puppets.connect("Dora", &dora, "/", WEBSOCKET).await;
    let done = at_dora.asks("sos:close", json!({"sosId": scene.sos})).await;
    assert_eq!(done["success"], true, "{done}");
    let told = json!({"sosId": scene.sos, "closedBy": "*", "timestamp": "*"});
    for (client, who) in [
        (&mut scene.at_ana, &scene.ana_id),
        (&mut scene.at_ben, &scene.ben_id),
        (&mut scene.at_rita, &scene.rita_id),
    ] {
        client
            .expect_each(&["sos:close", "sos:closed"], told.clone())
            .await;
        client
            .expect("sos:room:left", json!({"sosId": scene.sos, "userId": who}))
            .await;
    }
    let refused = scene
        .at_ana
        .asks("message:send", json!({"sosId": scene.sos, "content": "thanks"}))
        .await;
    assert_eq!(refused["success"], false, "{refused}");
    scene
        .at_ana
        .expect("error", json!({"code": refused["code"]}))
        .await;
    scene.is_quiet().await;
    at_dora.hears_nothing_more().await;
}
