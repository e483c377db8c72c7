//! Coming in, going, asking to be let in.

use serde_json::{Value, json};

use crate::support::{ANA, BEN, Circle, HERE, circle, fire};

#[tokio::test]
async fn what_cannot_be_joined_is_denied_in_words() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    let mut stranger = circle.engine.user("Sam").connect().await;
    stranger
        .says(json!({"type": "join-room", "roomId": "no-such-room"}))
        .await;
    stranger
        .expect(json!({"type": "join-denied", "roomId": "no-such-room", "message": "Room not found"}))
        .await;
    stranger.says(json!({"type": "join-room", "roomId": room})).await;
    let message = "Not authorized to join this room";
    stranger
        .expect(json!({"type": "join-denied", "roomId": room, "message": message}))
        .await;
    stranger.hears_nothing_more().await;
    circle.at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn who_leaves_is_out_until_they_join_again() {
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
    circle.at_ben.hears_nothing_more().await;
    circle
        .at_ana
        .expect(json!({"type": "user-left", "roomId": room, "clientId": circle.ben_id, "userName": "Ben"}))
        .await;
    circle.at_ana.writes(&room, "gone?").await;
    circle.at_ben.hears_nothing_more().await;
    circle
        .at_ben
        .says(json!({"type": "room-message", "roomId": room, "content": "x"}))
        .await;
    circle.at_ben.expect_error("NOT_IN_ROOM").await;
    circle
        .at_ben
        .says(json!({"type": "leave-room", "roomId": room}))
        .await;
    circle.at_ben.expect_error("NOT_IN_ROOM").await;

    let approved = circle.at_ben.joins(&room).await;
    assert!(approved["seq"].as_u64().unwrap() > 0);
    circle
        .at_ana
        .expect(json!({"type": "emergency-contact-joined", "contactId": circle.ben_id}))
        .await;
    circle.at_ana.hears_nothing_more().await;
    circle.at_ben.hears_nothing_more().await;
}

#[tokio::test]
async fn joining_twice_is_an_error() {
    let mut circle = circle().await;
    for client in [&mut circle.at_ana, &mut circle.at_ben] {
        client
            .says(json!({"type": "join-room", "roomId": circle.room}))
            .await;
        client.expect_error_text("Already in room").await;
        client.hears_nothing_more().await;
    }
}

#[tokio::test]
async fn a_stranger_who_asks_is_let_in_by_the_owner() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    let mut sam = circle.engine.user("Sam").phone("+639171234599").connect().await;
    sam.says(json!({"type": "request-join", "roomId": room})).await;
    sam.expect(json!({"type": "join-requested", "roomId": room}))
        .await;
    let request = circle
        .at_ana
        .expect(json!({
            "type": "join-request", "roomId": room, "requesterId": "p-*", "requesterName": "Sam",
            "requesterUser": {"name": "Sam", "phone_no": null},
        }))
        .await;
    // Only the owner is asked, and only the owner answers.
    circle.at_ben.hears_nothing_more().await;
    circle
        .at_ben
        .says(json!({"type": "approve-join", "roomId": room, "requesterId": request["requesterId"]}))
        .await;
    circle.at_ben.expect_error("FORBIDDEN").await;

    circle
        .at_ana
        .says(json!({"type": "approve-join", "roomId": room, "requesterId": request["requesterId"]}))
        .await;
    sam.expect(json!({"type": "join-approved", "roomId": room, "recovered": false}))
        .await;
    let joined = json!({
        "type": "user-joined", "roomId": room, "seq": "*", "clientId": request["requesterId"],
        "user": {"id": request["requesterId"], "name": "Sam"},
    });
    let mut joined = joined;
    joined.as_object_mut().unwrap().remove("seq");
    circle.at_ana.expect(joined.clone()).await;
    circle.at_ben.expect(joined).await;
    for client in [&mut circle.at_ana, &mut circle.at_ben, &mut sam] {
        client.hears_nothing_more().await;
    }
    sam.writes(&room, "thank you").await;
    circle.at_ana.reads(&room, "thank you").await;
    circle.at_ben.reads(&room, "thank you").await;
}

#[tokio::test]
async fn a_stranger_who_asks_may_be_refused() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    let mut sam = circle.engine.user("Sam").connect().await;
    sam.says(json!({"type": "request-join", "roomId": room})).await;
    sam.expect(json!({"type": "join-requested", "roomId": room}))
        .await;
    let request = circle
        .at_ana
        .expect(json!({"type": "join-request", "requesterName": "Sam"}))
        .await;
    let deny = json!({"type": "deny-join", "roomId": room, "requesterId": request["requesterId"]});
    circle.at_ana.says(deny.clone()).await;
    sam.expect(json!({"type": "join-denied", "roomId": room, "message": "*"}))
        .await;
    sam.hears_nothing_more().await;
    circle.at_ana.hears_nothing_more().await;
    circle.at_ben.hears_nothing_more().await;
    // There is nothing left to answer.
    circle.at_ana.says(deny).await;
    circle.at_ana.expect_error("NO_SUCH_REQUEST").await;
}

#[tokio::test]
async fn a_request_reaches_the_owner_wherever_they_are_connected() {
    let mut circle = circle().await;
    let mut second = circle.ana.connect().await;
    let mut sam = circle.engine.user("Sam").connect().await;
    sam.says(json!({"type": "request-join", "roomId": circle.room}))
        .await;
    sam.expect(json!({"type": "join-requested"})).await;
    for client in [&mut circle.at_ana, &mut second] {
        client
            .expect(json!({"type": "join-request", "roomId": circle.room, "requesterName": "Sam"}))
            .await;
        client.hears_nothing_more().await;
    }
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    circle
        .at_ben
        .says(json!({"type": "request-join", "roomId": room}))
        .await;
    circle.at_ben.expect_error_text("Already in room").await;
    circle
        .at_ben
        .says(json!({"type": "request-join", "roomId": "no-such-room"}))
        .await;
    circle
        .at_ben
        .expect(json!({"type": "join-denied", "message": "Room not found"}))
        .await;
    for say in ["approve-join", "deny-join"] {
        let nobody = json!({"type": say, "roomId": room, "requesterId": "p-0123456789abcdef"});
        circle.at_ana.says(nobody).await;
        circle.at_ana.expect_error("NO_SUCH_REQUEST").await;
        circle
            .at_ana
            .says(json!({"type": say, "roomId": room, "requesterId": "user-sam"}))
            .await;
        circle
            .at_ana
            .expect(json!({"type": "error", "code": "INVALID_FIELD", "field": "requesterId"}))
            .await;
    }
}

#[tokio::test]
async fn a_public_incident_is_joined_by_strangers_and_a_restricted_one_is_not() {
    let circle = circle().await;
    let engine = &circle.engine;
    let ana = engine.user("Ana");
    let public = ana.raises(fire()).await;
    let restricted = ana
        .raises(crate::support::fire_with(json!({"visibility": "RESTRICTED"})))
        .await;
    let mut at_ana = ana.connect().await;
    at_ana.joins(&public).await;
    let mut sam = engine.user("Sam").connect().await;
    let approved = sam.joins(&public).await;
    at_ana
        .expect(json!({
            "type": "user-joined", "roomId": public, "clientId": approved["participantId"],
            "user": {"id": approved["participantId"], "name": "Sam", "phone_no": null},
        }))
        .await;
    sam.says(json!({"type": "join-room", "roomId": restricted})).await;
    let message = "Room not found";
    sam.expect(json!({"type": "join-denied", "roomId": restricted, "message": message}))
        .await;
    at_ana.hears_nothing_more().await;
    let mut staff = engine.user("Dora").role("dispatcher").connect().await;
    staff.joins(&restricted).await;
}

#[tokio::test]
async fn an_owner_who_was_away_hears_who_has_asked() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    let at_ana = std::mem::replace(&mut circle.at_ana, circle.engine.device().connect().await);
    at_ana.leaves().await;
    circle
        .at_ben
        .expect(json!({"type": "user-left", "userName": "Ana"}))
        .await;
    let mut sam = circle.engine.user("Sam").phone("+639171234599").connect().await;
    sam.says(json!({"type": "request-join", "roomId": room})).await;
    sam.expect(json!({"type": "join-requested", "roomId": room}))
        .await;
    circle.at_ben.hears_nothing_more().await;

    let mut at_ana = circle.ana.connect().await;
    at_ana.joins(&room).await;
    let request = at_ana
        .expect(json!({
            "type": "join-request", "roomId": room, "requesterId": "p-*", "requesterName": "Sam",
            "requesterUser": {"name": "Sam", "phone_no": null},
        }))
        .await;
    at_ana.hears_nothing_more().await;
    circle
        .at_ben
        .expect(json!({"type": "user-joined", "clientId": circle.ana_id}))
        .await;
    at_ana
        .says(json!({"type": "approve-join", "roomId": room, "requesterId": request["requesterId"]}))
        .await;
    sam.expect(json!({"type": "join-approved", "roomId": room})).await;
    for client in [&mut at_ana, &mut circle.at_ben] {
        client
            .expect(json!({"type": "user-joined", "clientId": request["requesterId"]}))
            .await;
    }
    // It has been answered.
    let mut second = circle.ana.connect().await;
    second.joins(&room).await;
    for client in [&mut at_ana, &mut second, &mut circle.at_ben, &mut sam] {
        client.hears_nothing_more().await;
    }
}

#[tokio::test]
async fn numbers_are_shown_while_the_circle_is_among_itself() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    shows(&mut circle, &json!(ANA)).await;

    let mut sam = circle.engine.user("Sam").phone("+639171234599").connect().await;
    sam.says(json!({"type": "request-join", "roomId": room})).await;
    sam.expect(json!({"type": "join-requested"})).await;
    let request = circle.at_ana.expect(json!({"type": "join-request"})).await;
    // Whoever only asks sees nothing yet.
    shows(&mut circle, &json!(ANA)).await;
    circle
        .at_ana
        .says(json!({"type": "approve-join", "roomId": room, "requesterId": request["requesterId"]}))
        .await;
    for client in [&mut circle.at_ana, &mut circle.at_ben] {
        client
            .expect(json!({"type": "user-joined", "user": {"name": "Sam", "phone_no": null}}))
            .await;
    }
    sam.expect(json!({"type": "join-approved"})).await;
    // Where Ana was last is shown to whoever comes.
    sam.expect(json!({"type": "location-update", "data": {"visiblePhone": null}}))
        .await;
    sam.hears_nothing_more().await;
    shows(&mut circle, &Value::Null).await;
    sam.expect_in_any_order([
        json!({"type": "room-message", "user": {"phone_no": null}}),
        json!({"type": "location-update", "data": {"visiblePhone": null}}),
    ])
    .await;
    sam.says(json!({"type": "get_users", "roomId": room})).await;
    let users = sam.expect(json!({"type": "room-users"})).await.to_string();
    for number in [ANA, BEN] {
        assert!(!users.contains(number), "{users}");
    }
    sam.hears_nothing_more().await;

    sam.says(json!({"type": "leave-room", "roomId": room})).await;
    sam.expect(json!({"type": "room-left"})).await;
    for client in [&mut circle.at_ana, &mut circle.at_ben] {
        client
            .expect(json!({"type": "user-left", "userName": "Sam"}))
            .await;
    }
    shows(&mut circle, &json!(ANA)).await;
}

/// Ben sees this as Ana's number, wherever it stands.
async fn shows(circle: &mut Circle, number: &Value) {
    let room = circle.room.clone();
    circle.at_ana.writes(&room, "hello").await;
    circle
        .at_ana
        .says(json!({"type": "location-update", "latitude": HERE.0, "longitude": HERE.1}))
        .await;
    circle
        .at_ana
        .expect(json!({"type": "location-update-confirmed"}))
        .await;
    circle
        .at_ben
        .expect_in_any_order([
            json!({"type": "room-message", "user": {"phone_no": number}}),
            json!({"type": "location-update", "data": {"visiblePhone": number}}),
        ])
        .await;
    circle
        .at_ben
        .says(json!({"type": "get_users", "roomId": room}))
        .await;
    let users = circle.at_ben.expect(json!({"type": "room-users"})).await;
    let users = users["users"].as_array().unwrap();
    let ana = users.iter().find(|user| user["name"] == "Ana").unwrap();
    assert_eq!(ana["user"]["phone_no"], *number, "{users:?}");
    circle.at_ben.hears_nothing_more().await;
}
