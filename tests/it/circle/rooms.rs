//! Making rooms, waking them and putting them to sleep.

use serde_json::json;

use crate::support::{ANA, BEN, Engine, circle, circle_on};

#[tokio::test]
async fn who_creates_a_room_owns_it_and_sees_its_contacts() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana").phone(ANA);
    ana.trusts(&[("Ben", BEN)]).await;
    let mut at_ana = ana.connect().await;
    at_ana
        .says(json!({"type": "create-room", "roomId": "ana-circle"}))
        .await;
    at_ana
        .expect(json!({
            "type": "room-created", "roomId": "ana-circle", "owner": "p-*", "emergencyContacts": [BEN],
        }))
        .await;
    at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn a_room_without_a_name_gets_32_random_hex_digits() {
    let engine = Engine::start(&[]);
    let mut at_ana = engine.user("Ana").connect().await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        at_ana.says(json!({"type": "create-room"})).await;
        let created = at_ana
            .expect(json!({"type": "room-created", "emergencyContacts": []}))
            .await;
        let id = created["roomId"].as_str().unwrap().to_owned();
        assert_eq!(id.len(), 32, "{id}");
        assert!(
            id.chars()
                .all(|c| c.is_ascii_hexdigit() && !c.is_ascii_uppercase()),
            "{id}"
        );
        ids.push(id);
    }
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn a_taken_id_is_refused_whoever_asks() {
    let mut circle = circle().await;
    for client in [&mut circle.at_ana, &mut circle.at_ben] {
        client
            .says(json!({"type": "create-room", "roomId": circle.room}))
            .await;
        client.expect_error_text("Room already exists").await;
        client.hears_nothing_more().await;
    }
    // And still after a restart.
    circle.engine.kill9();
    circle.engine.restart();
    let mut again = circle.engine.user("Dina").connect().await;
    again
        .says(json!({"type": "create-room", "roomId": circle.room}))
        .await;
    again.expect_error_text("Room already exists").await;
}

#[tokio::test]
async fn an_incident_and_a_circle_cannot_have_one_id() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let sos = ana.raises(crate::support::fire()).await;
    let mut at_ana = ana.connect().await;
    at_ana.says(json!({"type": "create-room", "roomId": sos})).await;
    at_ana.expect_error_text("Room already exists").await;
}

#[tokio::test]
async fn while_a_room_is_inactive_nobody_new_joins() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    circle
        .at_ben
        .says(json!({"type": "leave-room", "roomId": room}))
        .await;
    circle
        .at_ben
        .expect(json!({"type": "room-left", "roomId": room}))
        .await;
    circle
        .at_ana
        .expect(json!({"type": "user-left", "roomId": room}))
        .await;

    circle
        .at_ana
        .says(json!({"type": "deactivate-room", "roomId": room}))
        .await;
    circle
        .at_ana
        .expect(json!({"type": "room-deactivated", "roomId": room}))
        .await;
    circle.at_ana.hears_nothing_more().await;

    let denied = json!({"type": "join-denied", "roomId": room, "message": "Room is not active"});
    circle
        .at_ben
        .says(json!({"type": "join-room", "roomId": room}))
        .await;
    circle.at_ben.expect(denied.clone()).await;
    let mut stranger = circle.engine.user("Sam").connect().await;
    stranger
        .says(json!({"type": "request-join", "roomId": room}))
        .await;
    stranger.expect(denied).await;
    circle.at_ana.hears_nothing_more().await;

    circle
        .at_ana
        .says(json!({"type": "activate-room", "roomId": room}))
        .await;
    circle
        .at_ana
        .expect(json!({"type": "room-activated", "roomId": room}))
        .await;
    circle.at_ben.joins(&room).await;
    circle
        .at_ana
        .expect(json!({"type": "emergency-contact-joined", "roomId": room}))
        .await;
    circle.at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn members_hear_that_a_room_goes_and_comes_back() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    for (say, hear) in [
        ("deactivate-room", "room-deactivated"),
        ("activate-room", "room-activated"),
    ] {
        circle.at_ana.says(json!({"type": say, "roomId": room})).await;
        circle.at_ana.expect(json!({"type": hear, "roomId": room})).await;
        circle.at_ana.hears_nothing_more().await;
        circle.at_ben.expect(json!({"type": hear, "roomId": room})).await;
        circle.at_ben.hears_nothing_more().await;
    }
}

#[tokio::test]
async fn only_the_owner_switches_a_room() {
    let mut circle = circle().await;
    for say in ["deactivate-room", "activate-room"] {
        circle
            .at_ben
            .says(json!({"type": say, "roomId": circle.room}))
            .await;
        circle.at_ben.expect_error("FORBIDDEN").await;
        circle
            .at_ben
            .says(json!({"type": say, "roomId": "no-such-room"}))
            .await;
        circle.at_ben.expect_error("ROOM_NOT_FOUND").await;
    }
    circle.at_ben.hears_nothing_more().await;
    circle.at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn an_empty_room_sleeps_and_comes_back_for_its_owner() {
    let engine = Engine::start(&[("rooms.empty_room_s", "1"), ("rooms.passivate_after_s", "1")]);
    let mut circle = circle_on(engine).await;
    let room = circle.room.clone();
    circle.at_ana.writes(&room, "good night").await;
    circle.at_ben.reads(&room, "good night").await;
    circle.at_ana.leaves().await;
    circle
        .at_ben
        .expect(json!({"type": "user-left", "userName": "Ana"}))
        .await;
    circle.at_ben.leaves().await;

    crate::support::eventually("the room sleeps", || async {
        let metrics = circle.engine.nobody().get("/metrics").await;
        let emptied = "mayday_events_appended_total{kind=\"emptied\"} 1";
        metrics.text.contains(emptied).then_some(())
    })
    .await;
    let mut stranger = circle.engine.user("Sam").connect().await;
    stranger.says(json!({"type": "join-room", "roomId": room})).await;
    stranger
        .expect(json!({"type": "join-denied", "roomId": room, "message": "Room not found"}))
        .await;

    let mut at_ana = circle.ana.open().await;
    at_ana.expect(json!({"type": "connected", "roomIds": []})).await;
    at_ana.joins(&room).await;
    at_ana
        .says(json!({"type": "get-history", "roomId": room, "since": 0}))
        .await;
    let history = at_ana.expect(json!({"type": "history", "roomId": room})).await;
    let events = history["events"].as_array().unwrap();
    assert!(
        events.iter().any(|event| event["content"] == "good night"),
        "{events:?}"
    );

    // Its contacts survive too.
    let mut at_ben = circle.ben.connect().await;
    at_ben
        .expect(json!({"type": "auto-joined", "roomId": room, "roomOwner": "Ana"}))
        .await;
    at_ben.expect(json!({"type": "auto-join-summary"})).await;
    at_ana
        .expect(json!({"type": "emergency-contact-joined", "roomId": room}))
        .await;
    at_ana.writes(&room, "good morning").await;
    at_ben.reads(&room, "good morning").await;
}

#[tokio::test]
async fn a_sleeping_room_comes_back_for_a_contact() {
    let engine = Engine::start(&[("rooms.empty_room_s", "1"), ("rooms.passivate_after_s", "1")]);
    let circle = circle_on(engine).await;
    let room = circle.room.clone();
    circle.at_ana.leaves().await;
    circle.at_ben.leaves().await;
    let ana = circle.ana.clone();
    crate::support::eventually("the room sleeps", || async {
        let info = ana.get("/api/rooms-info").await.ok(200);
        let info = info["rooms"]
            .as_array()
            .unwrap()
            .iter()
            .find(|info| info["roomId"] == room)
            .cloned();
        info.filter(|info| info["active"] == false)
    })
    .await;
    let mut at_ben = circle.ben.connect().await;
    at_ben
        .expect(json!({"type": "auto-joined", "roomId": room, "roomOwner": "Ana"}))
        .await;
    at_ben.expect(json!({"type": "auto-join-summary"})).await;
    at_ben.writes(&room, "I am back").await;
}
