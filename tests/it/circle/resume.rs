//! Who comes back hears what they missed: nothing twice, nothing missing.

use serde_json::{Value, json};

use crate::support::{Circle, Client, Engine, Heard, UNLIMITED, circle, circle_on, fire};

/// Ben is back and has been seated by himself.
async fn back(circle: &Circle) -> Client {
    let mut at_ben = circle.ben.connect().await;
    at_ben
        .expect(json!({"type": "auto-joined", "roomId": circle.room}))
        .await;
    at_ben.expect(json!({"type": "auto-join-summary"})).await;
    at_ben
}

fn resume(room: &str, since: &Value) -> Value {
    json!({"type": "join-room", "roomId": room, "since": since})
}

#[tokio::test]
async fn who_comes_back_hears_exactly_what_they_missed() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    let last = circle.at_ana.writes(&room, "the last he heard").await["seq"].clone();
    circle.at_ben.reads(&room, "the last he heard").await;
    let at_ben = std::mem::replace(&mut circle.at_ben, circle.engine.device().connect().await);
    at_ben.leaves().await;
    circle
        .at_ana
        .expect(json!({"type": "user-left", "userName": "Ben"}))
        .await;
    for n in 0..5 {
        circle.at_ana.writes(&room, &format!("missed {n}")).await;
    }
    let mut at_ben = back(&circle).await;
    circle
        .at_ana
        .expect(json!({"type": "emergency-contact-joined", "contactName": "Ben"}))
        .await;
    circle.at_ana.writes(&room, "after he sat down").await;
    at_ben.reads(&room, "after he sat down").await;

    at_ben.says(resume(&room, &last)).await;
    at_ben
        .expect(json!({"type": "join-approved", "roomId": room, "recovered": true}))
        .await;
    for n in 0..5 {
        at_ben.reads(&room, &format!("missed {n}")).await;
    }
    at_ben.hears_nothing_more().await;
    circle.at_ana.writes(&room, "live").await;
    at_ben.reads(&room, "live").await;
    at_ben.hears_nothing_more().await;
    circle.at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn a_stranger_who_was_let_in_resumes_too() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let sos = ana.raises(fire()).await;
    let mut at_ana = ana.connect().await;
    at_ana.joins(&sos).await;
    let device = engine.device();
    let mut at_device = device.connect().await;
    let approved = at_device.joins(&sos).await;
    at_ana.expect(json!({"type": "user-joined"})).await;
    at_device.leaves().await;
    at_ana.expect(json!({"type": "user-left"})).await;
    at_ana.writes(&sos, "missed").await;

    let mut at_device = device.open().await;
    at_device
        .expect(json!({"type": "connected", "roomIds": [sos]}))
        .await;
    at_device.says(resume(&sos, &approved["seq"])).await;
    let again = json!({
        "type": "join-approved", "roomId": sos, "recovered": true, "participantId": approved["participantId"],
    });
    at_device.expect(again).await;
    at_device.reads(&sos, "missed").await;
    at_device.hears_nothing_more().await;
    at_ana
        .expect(json!({"type": "user-joined", "clientId": approved["participantId"]}))
        .await;
    at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn resuming_under_fire_neither_repeats_nor_skips() {
    let mut settings = UNLIMITED.to_vec();
    settings.push(("rooms.recent_max_events", "16"));
    let mut circle = circle_on(Engine::start(&settings)).await;
    let room = circle.room.clone();
    let first = circle.at_ana.writes(&room, "n 0").await["seq"].clone();
    circle.at_ben.reads(&room, "n 0").await;
    let at_ben = std::mem::replace(&mut circle.at_ben, circle.engine.device().connect().await);
    at_ben.leaves().await;
    circle.at_ana.expect(json!({"type": "user-left"})).await;
    // More than the room remembers: the rest comes from the store, while more is said.
    for n in 1..300 {
        circle
            .at_ana
            .says(json!({"type": "room-message", "roomId": room, "content": format!("n {n}")}))
            .await;
    }
    let mut at_ben = circle.ben.connect().await;
    at_ben.says(resume(&room, &first)).await;
    for n in 300..400 {
        circle
            .at_ana
            .says(json!({"type": "room-message", "roomId": room, "content": format!("n {n}")}))
            .await;
    }
    // What came after he sat down may overtake what he missed; each comes once, and each part in order.
    let (mut missed, mut live, mut from) = (Vec::new(), Vec::new(), None);
    while missed.len() + live.len() < 399 {
        let Heard::Message(message) = at_ben.hears().await else {
            panic!("the connection ended")
        };
        match message["type"].as_str().unwrap() {
            "auto-joined" => from = message["seq"].as_u64(),
            "join-approved" => assert_eq!(message["recovered"], true),
            "auto-join-summary" => {}
            "room-message" => {
                let seq = message["seq"].as_u64().unwrap();
                let said: u32 = message["content"].as_str().unwrap()[2..].parse().unwrap();
                let part = if from.is_some_and(|from| seq > from) {
                    &mut live
                } else {
                    &mut missed
                };
                part.push(said);
            }
            other => panic!("unexpected {other}: {message}"),
        }
    }
    at_ben.hears_nothing_more().await;
    let all: Vec<u32> = missed.iter().chain(&live).copied().collect();
    assert_eq!(all, (1..400).collect::<Vec<u32>>());
}

#[tokio::test]
async fn who_comes_back_after_a_crash_hears_what_they_missed() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    let last = circle.at_ana.writes(&room, "heard").await["seq"].clone();
    circle.at_ben.reads(&room, "heard").await;
    circle.at_ana.writes(&room, "written just before").await;
    circle.engine.kill9();
    circle.engine.restart();
    let mut at_ana = circle.ana.open().await;
    at_ana
        .expect(json!({"type": "connected", "roomIds": [room]}))
        .await;
    at_ana.says(resume(&room, &last)).await;
    at_ana
        .expect(json!({"type": "join-approved", "recovered": true}))
        .await;
    at_ana.reads(&room, "written just before").await;
    at_ana.hears_nothing_more().await;

    let mut at_ben = back(&circle).await;
    at_ana
        .expect(json!({"type": "emergency-contact-joined", "contactName": "Ben"}))
        .await;
    at_ben.says(resume(&room, &last)).await;
    at_ben
        .expect(json!({"type": "join-approved", "recovered": true}))
        .await;
    at_ben.reads(&room, "written just before").await;
    at_ana.writes(&room, "and on it goes").await;
    at_ben.reads(&room, "and on it goes").await;
    at_ben.hears_nothing_more().await;
    at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn who_claims_to_know_more_than_there_is_reloads() {
    let mut circle = circle().await;
    let mut second = circle.ana.connect().await;
    second.says(resume(&circle.room, &json!(1_000_000))).await;
    second
        .expect(json!({"type": "join-approved", "roomId": circle.room, "recovered": false}))
        .await;
    second.hears_nothing_more().await;
    circle.at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn who_missed_nothing_hears_nothing() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    let last = circle.at_ana.writes(&room, "the last").await["seq"].clone();
    let mut second = circle.ana.connect().await;
    second.says(resume(&room, &last)).await;
    second
        .expect(json!({"type": "join-approved", "seq": last, "recovered": true}))
        .await;
    second.hears_nothing_more().await;
    second.says(resume(&room, &json!(0))).await;
    second.expect_error_text("Already in room").await;
}

#[tokio::test]
async fn a_long_absence_is_caught_up_however_much_more_it_is_than_the_outbox_holds() {
    let engine = Engine::start(&UNLIMITED);
    let ana = engine.user("Ana");
    let sos = ana.raises(fire()).await;
    let mut at_ana = ana.connect().await;
    at_ana.joins(&sos).await;
    let device = engine.device();
    let mut at_device = device.connect().await;
    let since = at_device.joins(&sos).await["seq"].clone();
    at_ana.expect(json!({"type": "user-joined"})).await;
    at_device.leaves().await;
    at_ana.expect(json!({"type": "user-left"})).await;
    // Many times what one connection may be owed: first what the room remembers, then more than that.
    let content = |n: usize| format!("{n:06}{}", "🆘".repeat(1_994));
    let mut written = 0;
    for upto in [200, 600] {
        while written < upto {
            at_ana.writes(&sos, &content(written)).await;
            written += 1;
        }
        let mut again = device.connect().await;
        again.says(resume(&sos, &since)).await;
        again
            .expect(json!({"type": "join-approved", "recovered": true}))
            .await;
        for n in 0..upto {
            again.reads(&sos, &content(n)).await;
        }
        again.hears_nothing_more().await;
        again.leaves().await;
        at_ana.expect(json!({"type": "user-joined"})).await;
        at_ana.expect(json!({"type": "user-left"})).await;
    }
}

#[tokio::test]
async fn two_long_absences_are_caught_up_side_by_side() {
    const MESSAGES: usize = 300;
    let mut settings = UNLIMITED.to_vec();
    settings.push(("rooms.recent_max_events", "16"));
    let engine = Engine::start(&settings);
    let (ana, device) = (engine.user("Ana"), engine.device());
    let (mut at_ana, mut at_device) = (ana.connect().await, device.connect().await);
    let mut rooms = Vec::new();
    for _ in 0..2 {
        let sos = ana.raises(fire()).await;
        at_ana.joins(&sos).await;
        let since = at_device.joins(&sos).await["seq"].clone();
        at_ana.expect(json!({"type": "user-joined"})).await;
        rooms.push((sos, since));
    }
    at_device.leaves().await;
    for _ in &rooms {
        at_ana.expect(json!({"type": "user-left"})).await;
    }
    // Many times what one connection may be owed, in each of them.
    let content = |n: usize| format!("{n:06}{}", "🆘".repeat(1_994));
    for n in 0..MESSAGES {
        for (sos, _) in &rooms {
            at_ana.writes(sos, &content(n)).await;
        }
    }
    let mut again = device.connect().await;
    for (sos, since) in &rooms {
        again.says(resume(sos, since)).await;
    }
    let (mut approved, mut read) = (0, [0; 2]);
    while approved < 2 || read != [MESSAGES; 2] {
        let Heard::Message(message) = again.hears().await else {
            panic!("the connection ended after {read:?}")
        };
        let room = rooms.iter().position(|(sos, _)| message["roomId"] == **sos);
        let room = room.unwrap_or_else(|| panic!("of no room: {message}"));
        match message["type"].as_str().unwrap() {
            "join-approved" => approved += 1,
            "room-message" => {
                assert_eq!(message["content"], content(read[room]), "in room {room}");
                read[room] += 1;
            }
            other => panic!("unexpected {other}: {message}"),
        }
    }
    again.hears_nothing_more().await;
    for _ in &rooms {
        at_ana.expect(json!({"type": "user-joined"})).await;
    }
    at_ana.hears_nothing_more().await;
}
