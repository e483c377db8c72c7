//! What was said before, in pages.

use serde_json::{Value, json};

use crate::support::{Client, Engine, UNLIMITED, circle, circle_on};

/// All that `get-history` answers, in pages of `limit`.
async fn all(client: &mut Client, room: &str, limit: u64) -> Vec<Value> {
    let (mut since, mut events) = (0, Vec::new());
    loop {
        client
            .says(json!({"type": "get-history", "roomId": room, "since": since, "limit": limit}))
            .await;
        let page = client.expect(json!({"type": "history", "roomId": room})).await;
        let found = page["events"].as_array().unwrap();
        assert!(found.len() as u64 <= limit, "{page}");
        events.extend(found.iter().cloned());
        let seq = page["seq"].as_u64().unwrap();
        if page["more"] == false {
            return events;
        }
        assert!(seq > since, "no progress: {page}");
        since = seq;
    }
}

#[tokio::test]
async fn history_comes_in_pages_each_event_once_and_in_order() {
    let mut circle = circle_on(Engine::start(&UNLIMITED)).await;
    let room = circle.room.clone();
    for n in 0..30 {
        circle.at_ana.writes(&room, &format!("m-{n}")).await;
        circle.at_ben.reads(&room, &format!("m-{n}")).await;
    }
    for limit in [7, 200] {
        let events = all(&mut circle.at_ben, &room, limit).await;
        let seqs: Vec<_> = events
            .iter()
            .map(|event| event["seq"].as_u64().unwrap())
            .collect();
        assert!(seqs.is_sorted_by(|a, b| a < b), "{seqs:?}");
        let said: Vec<_> = events
            .iter()
            .filter(|event| event["type"] == "room-message")
            .map(|event| event["content"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(said, (0..30).map(|n| format!("m-{n}")).collect::<Vec<_>>());
        assert!(
            events
                .iter()
                .any(|event| event["type"] == "emergency-contact-joined"),
            "{events:?}"
        );
    }
    circle.at_ben.hears_nothing_more().await;
    circle.at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn history_is_the_same_after_a_crash() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    circle.at_ana.writes(&room, "before").await;
    let before = all(&mut circle.at_ana, &room, 200).await;
    circle.engine.kill9();
    circle.engine.restart();
    let mut at_ana = circle.ana.connect().await;
    at_ana.joins(&room).await;
    assert_eq!(all(&mut at_ana, &room, 200).await, before);
}

#[tokio::test]
async fn the_end_of_history_is_empty_and_says_so() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    let seq = circle.at_ana.writes(&room, "last").await["seq"].clone();
    circle
        .at_ana
        .says(json!({"type": "get-history", "roomId": room, "since": seq}))
        .await;
    circle
        .at_ana
        .expect(json!({"type": "history", "roomId": room, "events": [], "seq": seq, "more": false}))
        .await;
}

#[tokio::test]
async fn history_is_for_those_who_are_in() {
    let mut circle = circle().await;
    let mut sam = circle.engine.user("Sam").connect().await;
    sam.says(json!({"type": "get-history", "roomId": circle.room, "since": 0}))
        .await;
    sam.expect_error("NOT_IN_ROOM").await;
    sam.hears_nothing_more().await;
    circle.at_ana.hears_nothing_more().await;
}
