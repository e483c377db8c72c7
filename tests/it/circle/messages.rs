//! What is said in a room.

use serde_json::json;

use crate::support::circle;

#[tokio::test]
async fn a_message_is_accepted_and_reaches_everybody_the_sender_included() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    circle
        .at_ana
        .says(json!({"type": "room-message", "roomId": room, "content": "hello", "id": "m-1"}))
        .await;
    let accepted = circle
        .at_ana
        .expect(json!({"type": "message-accepted", "roomId": room, "id": "m-1"}))
        .await;
    circle
        .at_ana
        .expect(json!({
            "type": "room-message", "roomId": room, "seq": accepted["seq"], "content": "hello",
            "clientId": circle.at_ana.greeting["clientId"], "userName": "Ana",
            "user": {"id": circle.ana_id, "name": "Ana"},
        }))
        .await;
    circle
        .at_ben
        .expect(json!({
            "type": "room-message", "roomId": room, "seq": accepted["seq"], "content": "hello",
            "clientId": circle.ana_id, "userName": "Ana", "user": {"id": circle.ana_id, "name": "Ana"},
        }))
        .await;
    circle.at_ana.hears_nothing_more().await;
    circle.at_ben.hears_nothing_more().await;
}

#[tokio::test]
async fn a_repeated_id_is_one_message() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    let message = json!({"type": "room-message", "roomId": room, "content": "only once", "id": "m-1"});
    circle.at_ana.says(message.clone()).await;
    let first = circle
        .at_ana
        .expect(json!({"type": "message-accepted", "id": "m-1"}))
        .await;
    circle.at_ana.reads(&room, "only once").await;
    circle.at_ben.reads(&room, "only once").await;
    circle.at_ana.says(message.clone()).await;
    let again = json!({"type": "message-accepted", "roomId": room, "id": "m-1", "seq": first["seq"]});
    circle.at_ana.expect(again.clone()).await;
    circle.at_ana.hears_nothing_more().await;
    circle.at_ben.hears_nothing_more().await;

    // It is the same message after a restart, too.
    circle.engine.kill9();
    circle.engine.restart();
    let mut at_ana = circle.ana.connect().await;
    at_ana.joins(&room).await;
    at_ana.says(message).await;
    at_ana.expect(again).await;
    at_ana.hears_nothing_more().await;
    // Somebody else's message of the same id is another one.
    let mut at_ben = circle.ben.connect().await;
    at_ben.expect(json!({"type": "auto-joined"})).await;
    at_ben.expect(json!({"type": "auto-join-summary"})).await;
    at_ben
        .says(json!({"type": "room-message", "roomId": room, "content": "mine", "id": "m-1"}))
        .await;
    let other = at_ben
        .expect(json!({"type": "message-accepted", "id": "m-1"}))
        .await;
    assert_ne!(other["seq"], first["seq"]);
}

#[tokio::test]
async fn messages_of_many_arrive_in_one_order_for_all() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    for n in 0..20 {
        let say =
            |who: &str| json!({"type": "room-message", "roomId": room, "content": format!("{who} {n}")});
        circle.at_ana.says(say("Ana")).await;
        circle.at_ben.says(say("Ben")).await;
    }
    let mut orders = Vec::new();
    for client in [&mut circle.at_ana, &mut circle.at_ben] {
        let mut order = Vec::new();
        while order.len() < 40 {
            match client.hears().await {
                crate::support::Heard::Message(message) if message["type"] == "room-message" => {
                    order.push((message["seq"].as_u64().unwrap(), message["content"].clone()));
                }
                crate::support::Heard::Message(message) => assert_eq!(message["type"], "message-accepted"),
                end => panic!("{end:?}"),
            }
        }
        assert!(order.is_sorted_by(|a, b| a.0 < b.0), "{order:?}");
        orders.push(order);
    }
    assert_eq!(orders[0], orders[1]);
}

#[tokio::test]
async fn words_that_are_no_message_are_refused() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    let cases = [
        (json!({"type": "room-message", "roomId": room}), "content"),
        (
            json!({"type": "room-message", "roomId": room, "content": ""}),
            "content",
        ),
        (
            json!({"type": "room-message", "roomId": room, "content": "  "}),
            "content",
        ),
        (
            json!({"type": "room-message", "roomId": room, "content": 7}),
            "content",
        ),
        (
            json!({"type": "room-message", "roomId": room, "content": "x".repeat(2001)}),
            "content",
        ),
        (json!({"type": "room-message", "content": "x"}), "roomId"),
        (
            json!({"type": "room-message", "roomId": "a room", "content": "x"}),
            "roomId",
        ),
        (
            json!({"type": "room-message", "roomId": room, "content": "x", "id": "an id"}),
            "id",
        ),
    ];
    for (message, field) in cases {
        circle.at_ana.says(message).await;
        circle
            .at_ana
            .expect(json!({"type": "error", "code": "INVALID_FIELD", "field": field}))
            .await;
    }
    let longest = "ü".repeat(2000);
    circle.at_ana.writes(&room, &longest).await;
    circle.at_ben.reads(&room, &longest).await;
    circle.at_ben.hears_nothing_more().await;
}

#[tokio::test]
async fn only_members_speak_in_a_room_that_is_there() {
    let mut circle = circle().await;
    let mut sam = circle.engine.user("Sam").connect().await;
    sam.says(json!({"type": "room-message", "roomId": circle.room, "content": "x"}))
        .await;
    sam.expect_error("NOT_IN_ROOM").await;
    sam.says(json!({"type": "room-message", "roomId": "no-such-room", "content": "x"}))
        .await;
    sam.expect_error("ROOM_NOT_FOUND").await;
    circle.at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn members_are_listed_for_members() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    circle
        .at_ana
        .says(json!({"type": "get_users", "roomId": room}))
        .await;
    let listed = circle
        .at_ana
        .expect(json!({"type": "room-users", "roomId": room}))
        .await;
    let mut users = listed["users"].as_array().unwrap().clone();
    users.sort_by_key(|user| user["name"].to_string());
    assert_eq!(users.len(), 2);
    for (user, (name, id)) in users
        .iter()
        .zip([("Ana", &circle.ana_id), ("Ben", &circle.ben_id)])
    {
        assert_eq!((&user["name"], &user["id"]), (&json!(name), id));
        assert_eq!(user["user"]["id"], *id);
    }
    let mut sam = circle.engine.user("Sam").connect().await;
    sam.says(json!({"type": "get_users", "roomId": room})).await;
    sam.expect_error("NOT_IN_ROOM").await;
    sam.hears_nothing_more().await;
}
