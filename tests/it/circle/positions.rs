//! Where everybody is: one a second, the newest wins, and nobody hears of themselves.

use serde_json::json;

use crate::support::{ANA, Circle, HERE, circle, now_ms};

fn fix(north: f64) -> serde_json::Value {
    json!({"type": "location-update", "latitude": HERE.0 + north, "longitude": HERE.1})
}

#[tokio::test]
async fn a_position_reaches_the_members_except_its_sender() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    let at = now_ms();
    circle
        .at_ana
        .says(json!({
            "type": "location-update", "latitude": HERE.0, "longitude": HERE.1, "accuracy": 5.5, "speed": 1.25,
            "heading": 270, "timestamp": at,
        }))
        .await;
    circle
        .at_ana
        .expect(json!({"type": "location-update-confirmed", "rooms": [room]}))
        .await;
    let heard = circle
        .at_ben
        .expect(json!({
            "type": "location-update", "roomId": room,
            "data": {
                "userId": circle.ana_id, "userName": "Ana", "visiblePhone": ANA, "latitude": HERE.0,
                "longitude": HERE.1, "accuracy": 5.5, "speed": 1.25, "heading": 270, "timestamp": "20*",
            },
        }))
        .await;
    let measured = time::OffsetDateTime::parse(
        heard["data"]["timestamp"].as_str().unwrap(),
        &time::format_description::well_known::Rfc3339,
    );
    assert_eq!(
        measured.unwrap().unix_timestamp_nanos() / 1_000_000,
        i128::from(at)
    );
    circle.at_ana.hears_nothing_more().await;
    circle.at_ben.hears_nothing_more().await;
}

#[tokio::test]
async fn within_a_second_only_the_newest_waits() {
    let mut circle = circle().await;
    let begun = std::time::Instant::now();
    for n in 0..10_u32 {
        let mut fix = fix(f64::from(n) / 1000.0);
        fix["timestamp"] = json!(now_ms() - 100 + u64::from(n));
        circle.at_ana.says(fix).await;
    }
    for _ in 0..10 {
        circle
            .at_ana
            .expect(json!({"type": "location-update-confirmed"}))
            .await;
    }
    let place = |n: f64| json!({"type": "location-update", "data": {"latitude": HERE.0 + n / 1000.0}});
    circle.at_ben.expect(place(0.0)).await;
    circle.at_ben.expect(place(9.0)).await;
    assert!(
        begun.elapsed().as_millis() >= 990,
        "twice within {:?}",
        begun.elapsed()
    );
    circle.at_ben.hears_nothing_more().await;
    circle.at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn an_older_fix_never_moves_anybody_back() {
    let mut circle = circle().await;
    let now = now_ms();
    for (north, at) in [(0.001, now), (0.002, now - 60_000), (0.003, now + 1)] {
        let mut fix = fix(north);
        fix["timestamp"] = json!(at);
        circle.at_ana.says(fix).await;
        circle
            .at_ana
            .expect(json!({"type": "location-update-confirmed"}))
            .await;
    }
    for north in [0.001, 0.003] {
        let place = json!({"type": "location-update", "data": {"latitude": HERE.0 + north}});
        circle.at_ben.expect(place).await;
    }
    circle.at_ben.hears_nothing_more().await;
}

#[tokio::test]
async fn a_newcomer_sees_where_everybody_was_last() {
    let mut circle = circle().await;
    circle.at_ana.says(fix(0.0)).await;
    circle
        .at_ana
        .expect(json!({"type": "location-update-confirmed"}))
        .await;
    circle.at_ben.expect(json!({"type": "location-update"})).await;
    let Circle {
        at_ben, ben, room, ..
    } = &mut circle;
    let mut second = ben.connect().await;
    second
        .expect(json!({"type": "auto-joined", "roomId": room}))
        .await;
    second
        .expect_in_any_order([
            json!({"type": "auto-join-summary"}),
            json!({"type": "location-update", "roomId": room, "data": {"latitude": HERE.0}}),
        ])
        .await;
    second.hears_nothing_more().await;
    at_ben.hears_nothing_more().await;
}

#[tokio::test]
async fn a_position_may_be_for_one_room_only() {
    let mut circle = circle().await;
    circle.at_ana.creates("second-circle").await;
    circle
        .at_ana
        .expect(json!({"type": "emergency-contact-joined"}))
        .await;
    circle.at_ben.expect(json!({"type": "auto-joined"})).await;
    let mut one = fix(0.0);
    one["roomId"] = json!("second-circle");
    circle.at_ana.says(one).await;
    circle
        .at_ana
        .expect(json!({"type": "location-update-confirmed", "rooms": ["second-circle"]}))
        .await;
    circle
        .at_ben
        .expect(json!({"type": "location-update", "roomId": "second-circle"}))
        .await;
    circle.at_ben.hears_nothing_more().await;

    circle.at_ana.says(fix(0.001)).await;
    let confirmed = circle
        .at_ana
        .expect(json!({"type": "location-update-confirmed"}))
        .await;
    assert_eq!(confirmed["rooms"].as_array().unwrap().len(), 2);
    let place = |room: &str| json!({"type": "location-update", "roomId": room});
    circle
        .at_ben
        .expect_in_any_order([place(&circle.room), place("second-circle")])
        .await;
    circle.at_ben.hears_nothing_more().await;
}

#[tokio::test]
async fn positions_for_no_room_are_refused() {
    let mut circle = circle().await;
    let mut sam = circle.engine.user("Sam").connect().await;
    sam.says(fix(0.0)).await;
    sam.expect_error("NO_ACTIVE_ROOM").await;
    let mut foreign = fix(0.0);
    foreign["roomId"] = json!(circle.room);
    sam.says(foreign).await;
    sam.expect_error("NOT_IN_ROOM").await;
    circle.at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn wrong_fields_of_a_position_are_named() {
    let mut circle = circle().await;
    let cases = [
        (json!({"longitude": 120.9}), "latitude"),
        (json!({"latitude": 14.5}), "longitude"),
        (json!({"latitude": 90.01, "longitude": 120.9}), "latitude"),
        (json!({"latitude": 14.5, "longitude": -180.5}), "longitude"),
        (json!({"latitude": "14.5", "longitude": 120.9}), "latitude"),
        (json!({"latitude": null, "longitude": 120.9}), "latitude"),
        (
            json!({"latitude": 14.5, "longitude": 120.9, "accuracy": -3}),
            "accuracy",
        ),
        (
            json!({"latitude": 14.5, "longitude": 120.9, "speed": "fast"}),
            "speed",
        ),
        (
            json!({"latitude": 14.5, "longitude": 120.9, "heading": 361}),
            "heading",
        ),
        (
            json!({"latitude": 14.5, "longitude": 120.9, "timestamp": "yesterday"}),
            "timestamp",
        ),
        (
            json!({"latitude": 14.5, "longitude": 120.9, "timestamp": now_ms() + 600_000}),
            "timestamp",
        ),
        (
            json!({"latitude": 14.5, "longitude": 120.9, "roomId": 5}),
            "roomId",
        ),
    ];
    for (mut message, field) in cases {
        message["type"] = json!("location-update");
        circle.at_ana.says(message).await;
        let error = circle
            .at_ana
            .expect(json!({"type": "error", "code": "INVALID_FIELD", "field": field}))
            .await;
        assert!(error["message"].as_str().unwrap().contains(field), "{error}");
    }
    circle.at_ana.hears_nothing_more().await;
    circle.at_ben.hears_nothing_more().await;
}

#[tokio::test]
async fn each_room_is_told_in_its_own_time() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    circle.at_ana.creates("second-circle").await;
    circle
        .at_ana
        .expect(json!({"type": "emergency-contact-joined"}))
        .await;
    circle.at_ben.expect(json!({"type": "auto-joined"})).await;
    let at = now_ms() - 100;
    // The second for the first room has to wait; the one for the other room neither waits nor takes its place.
    for (n, room) in [(0, room.as_str()), (1, &room), (2, "second-circle")] {
        let mut fix = fix(f64::from(n) / 1000.0);
        fix["roomId"] = json!(room);
        fix["timestamp"] = json!(at + u64::try_from(n).unwrap());
        circle.at_ana.says(fix).await;
    }
    for _ in 0..3 {
        circle
            .at_ana
            .expect(json!({"type": "location-update-confirmed"}))
            .await;
    }
    let place = |room: &str, north: f64| json!({"type": "location-update", "roomId": room, "data": {"latitude": HERE.0 + north}});
    circle
        .at_ben
        .expect_in_any_order([place(&room, 0.0), place("second-circle", 0.002)])
        .await;
    circle.at_ben.expect(place(&room, 0.001)).await;
    circle.at_ben.hears_nothing_more().await;
    circle.at_ana.hears_nothing_more().await;
}
