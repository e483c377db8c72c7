//! An SOS from a circle: it stands in the circle, it is an incident of its own, and everybody who must know
//! hears of it.

use serde_json::{Value, json};

use crate::support::{CARA, Circle, Client, HERE, circle};

/// Ana raises an SOS in her circle, and everybody hears what they must. Answers the incident's id.
async fn alarm(circle: &mut Circle, sos: Value) -> String {
    let room = circle.room.clone();
    circle.at_ana.says(sos).await;
    // She is in the incident too; what tells her is the answer.
    let [activated, confirmed] = circle
        .at_ana
        .expect_in_any_order([
            json!({"type": "emergency-activated", "roomId": room}),
            json!({"type": "emergency-confirmed", "activatedRooms": [room], "sosId": "*"}),
        ])
        .await;
    let sos = confirmed["sosId"].clone();
    let [alert, heard, joined] = circle
        .at_ben
        .expect_in_any_order([
            json!({
                "type": "emergency-alert", "emergencyUserId": circle.ana_id, "emergencyUserName": "Ana",
                "roomId": room, "message": "*",
            }),
            json!({
                "type": "emergency-activated", "roomId": room, "seq": activated["seq"], "clientId": circle.ana_id,
                "userName": "Ana", "user": {"id": circle.ana_id, "name": "Ana"},
            }),
            json!({"type": "auto-joined", "roomId": sos, "roomOwner": "Ana"}),
        ])
        .await;
    assert!(alert["message"].as_str().unwrap().contains("Ana"));
    assert!(heard["seq"].is_u64());
    assert_eq!(joined["roomId"], sos);
    sos.as_str().unwrap().to_owned()
}

async fn quiet(clients: [&mut Client; 2]) {
    for client in clients {
        client.hears_nothing_more().await;
    }
}

#[tokio::test]
async fn an_sos_reaches_the_circle_and_is_an_incident() {
    let mut circle = circle().await;
    let sos = alarm(&mut circle, json!({"type": "emergency-sos"})).await;
    quiet([&mut circle.at_ana, &mut circle.at_ben]).await;
    let incident = circle.ana.get(&format!("/api/v1/sos/{sos}")).await.data(200);
    assert_eq!(incident["status"], "ACTIVE");
    assert_eq!(incident["visibility"], "RESTRICTED");
    assert_eq!(incident["participantsCount"], 2);
    // The family is in it, and talks there.
    circle.at_ana.writes(&sos, "I am in the cellar").await;
    circle.at_ben.reads(&sos, "I am in the cellar").await;
    circle.at_ben.writes(&sos, "I am coming").await;
    circle.at_ana.reads(&sos, "I am coming").await;
    quiet([&mut circle.at_ana, &mut circle.at_ben]).await;
    // A stranger does not even learn that it exists.
    let sam = circle.engine.user("Sam");
    sam.get(&format!("/api/v1/sos/{sos}"))
        .await
        .refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn an_sos_tells_what_and_where() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    circle
        .at_ana
        .says(json!({
            "type": "emergency-sos", "roomId": room, "latitude": HERE.0, "longitude": HERE.1, "accuracy": 12.5,
            "severity": "high", "emergencyType": "medical", "formattedLocation": "Rizal Park, Manila",
        }))
        .await;
    let [_, confirmed] = circle
        .at_ana
        .expect_in_any_order([
            json!({"type": "emergency-activated", "roomId": room}),
            json!({"type": "emergency-confirmed", "activatedRooms": [room]}),
        ])
        .await;
    let sos = confirmed["sosId"].as_str().unwrap();
    // Those in the circle and in the incident see where.
    let position = json!({"latitude": HERE.0, "longitude": HERE.1, "accuracy": 12.5, "userName": "Ana"});
    circle
        .at_ben
        .expect_in_any_order([
            json!({"type": "emergency-alert", "roomId": room}),
            json!({"type": "emergency-activated", "roomId": room}),
            json!({"type": "auto-joined", "roomId": sos}),
            json!({"type": "location-update", "roomId": room, "data": position}),
            json!({"type": "location-update", "roomId": sos, "data": position}),
        ])
        .await;
    quiet([&mut circle.at_ana, &mut circle.at_ben]).await;
    let incident = circle.ana.get(&format!("/api/v1/sos/{sos}")).await.data(200);
    assert_eq!(incident["type"], "MEDICAL");
    assert_eq!(incident["severity"], "HIGH");
    assert_eq!(
        incident["location"],
        json!({"latitude": HERE.0, "longitude": HERE.1, "accuracy": 12.5})
    );
}

#[tokio::test]
async fn an_sos_without_a_room_of_ones_own_is_refused() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    circle.at_ben.says(json!({"type": "emergency-sos"})).await;
    circle.at_ben.expect_error_text("No owned rooms found").await;
    // Ana's room is not Ben's.
    circle
        .at_ben
        .says(json!({"type": "emergency-sos", "roomId": room}))
        .await;
    circle.at_ben.expect_error_text("No owned rooms found").await;
    circle
        .at_ana
        .says(json!({"type": "emergency-sos", "roomId": "no-such-room"}))
        .await;
    circle.at_ana.expect_error_text("No owned rooms found").await;
    quiet([&mut circle.at_ana, &mut circle.at_ben]).await;
}

#[tokio::test]
async fn wrong_fields_of_an_sos_are_named() {
    let mut circle = circle().await;
    let cases = [
        (json!({"latitude": 91, "longitude": 0}), "latitude"),
        (json!({"latitude": 14.5}), "longitude"),
        (json!({"latitude": "14.5", "longitude": 120}), "latitude"),
        (json!({"severity": "terrible"}), "severity"),
        (
            json!({"latitude": 14.5, "longitude": 120.9, "accuracy": -1}),
            "accuracy",
        ),
    ];
    for (fields, field) in cases {
        let mut sos = json!({"type": "emergency-sos"});
        sos.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        circle.at_ana.says(sos).await;
        circle
            .at_ana
            .expect(json!({"type": "error", "code": "INVALID_FIELD", "field": field}))
            .await;
    }
    quiet([&mut circle.at_ana, &mut circle.at_ben]).await;
    // A word for an emergency that we do not know costs nobody their SOS.
    alarm(
        &mut circle,
        json!({"type": "emergency-sos", "emergencyType": "kidnapping"}),
    )
    .await;
}

#[tokio::test]
async fn an_sos_stands_in_all_rooms_that_its_owner_has() {
    let mut circle = circle().await;
    circle.at_ana.creates("second-circle").await;
    circle
        .at_ana
        .expect(json!({"type": "emergency-contact-joined", "roomId": "second-circle"}))
        .await;
    circle
        .at_ben
        .expect(json!({"type": "auto-joined", "roomId": "second-circle"}))
        .await;
    circle.at_ana.says(json!({"type": "emergency-sos"})).await;
    let [_, _, confirmed] = circle
        .at_ana
        .expect_in_any_order([
            json!({"type": "emergency-activated", "roomId": circle.room}),
            json!({"type": "emergency-activated", "roomId": "second-circle"}),
            json!({"type": "emergency-confirmed"}),
        ])
        .await;
    let mut rooms: Vec<_> = confirmed["activatedRooms"].as_array().unwrap().clone();
    rooms.sort_by_key(Value::to_string);
    assert_eq!(rooms, [json!(circle.room), json!("second-circle")]);
    circle
        .at_ben
        .expect_in_any_order([
            json!({"type": "emergency-alert", "roomId": circle.room}),
            json!({"type": "emergency-activated", "roomId": circle.room}),
            json!({"type": "emergency-alert", "roomId": "second-circle"}),
            json!({"type": "emergency-activated", "roomId": "second-circle"}),
            json!({"type": "auto-joined", "roomId": confirmed["sosId"]}),
        ])
        .await;
    quiet([&mut circle.at_ana, &mut circle.at_ben]).await;
}

#[tokio::test]
async fn a_contact_who_is_online_elsewhere_is_alerted() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    circle
        .at_ben
        .says(json!({"type": "leave-room", "roomId": room}))
        .await;
    circle.at_ben.expect(json!({"type": "room-left"})).await;
    circle.at_ana.expect(json!({"type": "user-left"})).await;
    circle.at_ana.says(json!({"type": "emergency-sos"})).await;
    circle
        .at_ana
        .expect_in_any_order([
            json!({"type": "emergency-activated"}),
            json!({"type": "emergency-confirmed"}),
        ])
        .await;
    circle
        .at_ben
        .expect(json!({"type": "emergency-alert", "roomId": room, "emergencyUserName": "Ana"}))
        .await;
    quiet([&mut circle.at_ana, &mut circle.at_ben]).await;
}

#[tokio::test]
async fn a_contact_who_comes_during_an_emergency_is_brought_into_the_incident() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    circle
        .ana
        .trusts(&[("Ben", crate::support::BEN), ("Cara", CARA)])
        .await;
    let sos = alarm(&mut circle, json!({"type": "emergency-sos"})).await;
    let mut at_cara = circle.engine.user("Cara").phone(CARA).connect().await;
    at_cara
        .expect_in_any_order([
            json!({"type": "auto-joined", "roomId": room, "roomOwner": "Ana"}),
            json!({"type": "emergency-alert", "roomId": room, "sosId": sos, "emergencyUserName": "Ana"}),
            json!({"type": "auto-joined", "roomId": sos, "roomOwner": "Ana"}),
            json!({"type": "auto-join-summary"}),
        ])
        .await;
    for client in [&mut circle.at_ana, &mut circle.at_ben] {
        client
            .expect_in_any_order([
                json!({"type": "emergency-contact-joined", "roomId": room, "contactName": "Cara"}),
                json!({"type": "emergency-contact-joined", "roomId": sos, "contactName": "Cara"}),
            ])
            .await;
        client.hears_nothing_more().await;
    }
}

#[tokio::test]
async fn an_emergency_wakes_an_inactive_room() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    circle
        .at_ana
        .says(json!({"type": "deactivate-room", "roomId": room}))
        .await;
    circle.at_ana.expect(json!({"type": "room-deactivated"})).await;
    circle.at_ben.expect(json!({"type": "room-deactivated"})).await;
    alarm(&mut circle, json!({"type": "emergency-sos"})).await;
    let mut second = circle.ben.connect().await;
    second
        .expect(json!({"type": "auto-joined", "roomId": room}))
        .await;
}

#[tokio::test]
async fn raised_again_while_it_stands_it_is_the_same_sos() {
    let mut circle = circle().await;
    let sos = alarm(&mut circle, json!({"type": "emergency-sos"})).await;
    circle.at_ana.says(json!({"type": "emergency-sos"})).await;
    circle
        .at_ana
        .expect(json!({"type": "emergency-confirmed", "sosId": sos}))
        .await;
    quiet([&mut circle.at_ana, &mut circle.at_ben]).await;
}

#[tokio::test]
async fn an_emergency_ends_when_its_owner_says_so() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    let sos = alarm(&mut circle, json!({"type": "emergency-sos"})).await;
    circle.at_ben.says(json!({"type": "emergency-resolve"})).await;
    circle.at_ben.expect_error("NO_EMERGENCY").await;

    circle.at_ana.says(json!({"type": "emergency-resolve"})).await;
    circle
        .at_ana
        .expect_in_any_order([
            json!({"type": "emergency-ended", "roomId": room}),
            json!({"type": "sos-status", "roomId": sos, "status": "RESOLVED"}),
            json!({"type": "room-left", "roomId": sos}),
            json!({"type": "emergency-resolved", "rooms": [room]}),
        ])
        .await;
    circle
        .at_ben
        .expect_in_any_order([
            json!({"type": "emergency-ended", "roomId": room, "clientId": circle.ana_id}),
            json!({"type": "sos-status", "roomId": sos, "status": "RESOLVED"}),
            json!({"type": "room-left", "roomId": sos}),
        ])
        .await;
    quiet([&mut circle.at_ana, &mut circle.at_ben]).await;
    let incident = circle.ana.get(&format!("/api/v1/sos/{sos}")).await.data(200);
    assert_eq!(incident["status"], "RESOLVED");
    circle.at_ana.says(json!({"type": "emergency-resolve"})).await;
    circle.at_ana.expect_error("NO_EMERGENCY").await;
    // The next one is another incident.
    let next = alarm(&mut circle, json!({"type": "emergency-sos"})).await;
    assert_ne!(next, sos);
}

#[tokio::test]
async fn an_emergency_ends_when_its_incident_does() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    let sos = alarm(&mut circle, json!({"type": "emergency-sos"})).await;
    let staff = circle.engine.user("Dora").role("DISPATCHER");
    staff
        .post(
            &format!("/api/v1/sos/{sos}/close"),
            json!({"resolution": "all well"}),
        )
        .await
        .data(200);
    for client in [&mut circle.at_ana, &mut circle.at_ben] {
        client
            .expect_in_any_order([
                json!({"type": "emergency-ended", "roomId": room}),
                json!({"type": "sos-status", "roomId": sos, "status": "CLOSED"}),
                json!({"type": "room-left", "roomId": sos}),
            ])
            .await;
        client.hears_nothing_more().await;
    }
}

#[tokio::test]
async fn an_emergency_stands_after_a_crash() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    let sos = alarm(&mut circle, json!({"type": "emergency-sos"})).await;
    circle.engine.kill9();
    circle.engine.restart();
    let mut at_ana = circle.ana.connect().await;
    let mut rooms = at_ana.greeting["roomIds"].as_array().unwrap().clone();
    rooms.sort_by_key(Value::to_string);
    let mut expected = vec![json!(room), json!(sos)];
    expected.sort_by_key(Value::to_string);
    assert_eq!(rooms, expected);
    at_ana
        .says(json!({"type": "emergency-resolve", "roomId": room}))
        .await;
    at_ana
        .expect(json!({"type": "emergency-resolved", "rooms": [room]}))
        .await;
    at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn a_contact_who_was_away_is_alerted_when_they_are_back() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    let at_ben = std::mem::replace(&mut circle.at_ben, circle.engine.device().connect().await);
    at_ben.leaves().await;
    circle
        .at_ana
        .expect(json!({"type": "user-left", "userName": "Ben"}))
        .await;
    circle.at_ana.says(json!({"type": "emergency-sos"})).await;
    let [_, confirmed] = circle
        .at_ana
        .expect_in_any_order([
            json!({"type": "emergency-activated", "roomId": room}),
            json!({"type": "emergency-confirmed", "activatedRooms": [room]}),
        ])
        .await;
    let sos = confirmed["sosId"].as_str().unwrap();
    circle.at_ana.hears_nothing_more().await;

    let mut at_ben = circle.ben.connect().await;
    at_ben
        .expect_in_any_order([
            json!({"type": "auto-joined", "roomId": room, "roomOwner": "Ana"}),
            json!({"type": "emergency-alert", "roomId": room, "sosId": sos, "emergencyUserName": "Ana"}),
            json!({"type": "auto-joined", "roomId": sos, "roomOwner": "Ana"}),
            json!({"type": "auto-join-summary"}),
        ])
        .await;
    circle
        .at_ana
        .expect_in_any_order(
            [room.as_str(), sos].map(
                |room| json!({"type": "emergency-contact-joined", "roomId": room, "contactName": "Ben"}),
            ),
        )
        .await;
    at_ben.writes(sos, "I am coming").await;
    circle.at_ana.reads(sos, "I am coming").await;
    at_ben.hears_nothing_more().await;
    circle.at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn several_devices_that_raise_at_once_raise_one_sos() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    let mut devices = Vec::new();
    for _ in 0..8 {
        devices.push(circle.ana.connect().await);
    }
    let sos = json!({"type": "emergency-sos"});
    futures_util::future::join_all(devices.iter_mut().map(|device| device.says(sos.clone()))).await;
    let mut raised = Vec::new();
    for device in &mut devices {
        let confirmed = json!({"type": "emergency-confirmed", "sosId": "*"});
        raised.push(device.expect(confirmed).await["sosId"].clone());
    }
    let sos = raised[0].clone();
    assert!(raised.iter().all(|other| *other == sos), "{raised:?}");
    circle
        .at_ana
        .expect(json!({"type": "emergency-activated", "roomId": room, "sosId": sos}))
        .await;
    circle
        .at_ben
        .expect_in_any_order([
            json!({"type": "emergency-alert", "roomId": room, "sosId": sos}),
            json!({"type": "emergency-activated", "roomId": room, "sosId": sos}),
            json!({"type": "auto-joined", "roomId": sos}),
        ])
        .await;
    quiet([&mut circle.at_ana, &mut circle.at_ben]).await;
    for device in &mut devices {
        device.hears_nothing_more().await;
    }
}
