//! Those on a trip: what they hear, and what nobody else does.

use serde_json::json;

use super::{Dispatch, TRIP, Trip, fix, joins, trip};
use crate::support::{Engine, HERE};

#[tokio::test]
async fn the_drivers_positions_reach_those_on_the_trip_and_nobody_else() {
    let mut trip = trip().await;
    let mut at_eve = trip.engine.user("Eve").connect().await;
    trip.at_dan.says(fix(0.0)).await;
    trip.at_dan
        .expect(json!({"type": "location-update-confirmed", "rooms": [TRIP]}))
        .await;
    let seen = json!({
        "type": "location-update", "roomId": TRIP,
        "data": {"userId": trip.dan_id, "userName": "Dan", "visiblePhone": null, "latitude": HERE.0},
    });
    trip.at_pia.expect(seen.clone()).await;

    // Pol, who comes later, sees where the car is.
    let mut at_pol = trip.engine.user("Pol").connect().await;
    joins(&mut at_pol).await;
    at_pol.expect(seen).await;
    trip.at_dan
        .expect(json!({"type": "user-joined", "user": {"name": "Pol"}}))
        .await;
    trip.at_pia
        .expect(json!({"type": "user-joined", "user": {"name": "Pol"}}))
        .await;

    // Where a passenger is is not for the others.
    trip.at_pia.says(fix(0.5)).await;
    trip.at_pia.expect_error("NO_ACTIVE_ROOM").await;
    let mut there = fix(0.5);
    there["roomId"] = json!(TRIP);
    trip.at_pia.says(there).await;
    trip.at_pia.expect_error("NOT_AUTHORIZED").await;
    let now = crate::support::now_ms();
    let upload = json!({"latitude": 1, "longitude": 1, "timestamp": now, "roomId": TRIP});
    trip.pia.post("/api/location", upload.clone()).await.ok(403);
    trip.engine
        .user("Eve")
        .post("/api/location", upload)
        .await
        .ok(403);
    for client in [&mut trip.at_dan, &mut trip.at_pia, &mut at_pol, &mut at_eve] {
        client.hears_nothing_more().await;
    }
}

#[tokio::test]
async fn a_stranger_is_told_that_there_is_no_such_trip() {
    let trip = trip().await;
    let mut at_eve = trip.engine.user("Eve").connect().await;
    for (message, code) in [
        (json!({"type": "trip:join", "tripId": TRIP}), "TRIP_NOT_FOUND"),
        (json!({"type": "trip:join", "tripId": "none"}), "TRIP_NOT_FOUND"),
        (json!({"type": "trip:leave", "tripId": "none"}), "TRIP_NOT_FOUND"),
        (json!({"type": "trip:join"}), "INVALID_FIELD"),
        (json!({"type": "trip:join", "tripId": 7}), "INVALID_FIELD"),
        (json!({"type": "trip:leave", "tripId": "a b"}), "INVALID_FIELD"),
    ] {
        at_eve.says(message.clone()).await;
        let refused = at_eve.expect_error(code).await;
        assert_eq!(refused["field"], "tripId", "{message}");
    }
    at_eve.says(json!({"type": "join-room", "roomId": TRIP})).await;
    at_eve
        .expect(json!({"type": "join-denied", "roomId": TRIP, "message": "Room not found"}))
        .await;
    // A circle is no trip, even to its owner.
    at_eve.creates("eve-circle").await;
    at_eve
        .says(json!({"type": "trip:leave", "tripId": "eve-circle"}))
        .await;
    at_eve.expect_error("TRIP_NOT_FOUND").await;
    at_eve.hears_nothing_more().await;
    // An incident's route does not reach into a trip.
    let path = format!("/api/v1/sos/{TRIP}");
    trip.pia.get(&path).await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_trip_is_a_room_that_one_talks_in_leaves_and_comes_back_to() {
    let Trip {
        engine,
        mut at_dan,
        mut at_pia,
        pia,
        pia_id,
        ..
    } = trip().await;
    at_dan.writes(TRIP, "I am at the gate").await;
    let heard = at_pia.reads(TRIP, "I am at the gate").await;
    at_pia.says(json!({"type": "trip:join", "tripId": TRIP})).await;
    assert_eq!(at_pia.expect_error("ALREADY_IN_ROOM").await["field"], "tripId");

    // Somebody who lost the connection is on the trip all the same, and resumes.
    at_pia.leaves().await;
    at_dan
        .expect(json!({"type": "user-left", "clientId": pia_id}))
        .await;
    at_dan.writes(TRIP, "By the red door").await;
    let mut at_pia = pia.connect().await;
    at_pia
        .says(json!({"type": "trip:join", "tripId": TRIP, "since": heard["seq"]}))
        .await;
    at_pia
        .expect(json!({"type": "trip:joined", "recovered": true, "participantId": pia_id}))
        .await;
    at_pia.reads(TRIP, "By the red door").await;
    at_dan
        .expect(json!({"type": "user-joined", "clientId": pia_id}))
        .await;

    at_pia.says(json!({"type": "trip:leave", "tripId": TRIP})).await;
    at_pia.expect(json!({"type": "trip:left", "tripId": TRIP})).await;
    at_dan
        .expect(json!({"type": "user-left", "clientId": pia_id}))
        .await;
    at_dan.says(fix(0.0)).await;
    at_dan.expect(json!({"type": "location-update-confirmed"})).await;
    at_pia.hears_nothing_more().await;
    at_pia.says(json!({"type": "trip:leave", "tripId": TRIP})).await;
    assert_eq!(at_pia.expect_error("NOT_IN_ROOM").await["field"], "tripId");
    at_pia.says(json!({"type": "trip:join", "tripId": TRIP})).await;
    at_pia
        .expect(json!({"type": "trip:joined", "participantId": pia_id}))
        .await;
    at_pia
        .expect(json!({"type": "location-update", "roomId": TRIP}))
        .await;
    drop(engine);
}

#[tokio::test]
async fn the_end_is_told_and_everybody_is_out() {
    let mut trip = trip().await;
    let over = Dispatch(&trip.engine).ends(TRIP).await;
    assert_eq!(over["status"], "ENDED");
    assert_eq!(Dispatch(&trip.engine).ends(TRIP).await, over, "once");
    for client in [&mut trip.at_dan, &mut trip.at_pia] {
        client
            .expect(json!({"type": "trip:ended", "tripId": TRIP, "roomId": TRIP}))
            .await;
        client.expect(json!({"type": "room-left", "roomId": TRIP})).await;
        client.says(json!({"type": "trip:join", "tripId": TRIP})).await;
        assert_eq!(client.expect_error("TRIP_ENDED").await["field"], "tripId");
    }
    trip.at_dan.says(fix(0.0)).await;
    trip.at_dan.expect_error("NO_ACTIVE_ROOM").await;
    trip.at_pia.hears_nothing_more().await;
    let fresh = trip.dan.connect().await;
    assert_eq!(fresh.greeting["roomIds"], json!([]));
}

#[tokio::test]
async fn a_trip_goes_on_where_it_was_after_the_engine_was_killed() {
    let mut trip = trip().await;
    trip.engine.kill9();
    trip.engine.restart();
    let (mut at_dan, mut at_pia) = (trip.dan.connect().await, trip.pia.connect().await);
    assert_eq!(joins(&mut at_dan).await["participantId"], trip.dan_id);
    assert_eq!(joins(&mut at_pia).await["participantId"], trip.pia_id);
    at_dan.expect(json!({"type": "user-joined"})).await;
    at_dan.says(fix(0.1)).await;
    at_pia
        .expect(json!({"type": "location-update", "data": {"userId": trip.dan_id, "userName": "Dan"}}))
        .await;
}

#[tokio::test]
async fn what_a_driver_sends_by_rest_reaches_the_passengers() {
    let engine = Engine::start(&[]);
    let trip = super::trip_on(engine).await;
    let (dan, mut at_pia) = (trip.dan, trip.at_pia);
    let upload = json!({"latitude": HERE.0, "longitude": HERE.1, "timestamp": crate::support::now_ms()});
    let taken = dan.post("/api/location", upload).await.ok(200);
    assert_eq!(taken["rooms"], json!([TRIP]));
    at_pia
        .expect(json!({"type": "location-update", "roomId": TRIP, "data": {"userId": trip.dan_id}}))
        .await;
}
