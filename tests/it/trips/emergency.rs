//! An SOS raised on a trip: one incident, into which everybody on the trip is brought at once.

use serde_json::{Value, json};

use super::{Dispatch, TRIP, Trip, trip};
use crate::support::{Client, fire_with};

/// Hears that an emergency stands on the trip, and is brought into it.
async fn is_called(client: &mut Client, sos: &str) {
    client
        .expect_in_any_order([
            json!({"type": "emergency-activated", "roomId": TRIP, "sosId": sos}),
            json!({"type": "auto-joined", "roomId": sos}),
        ])
        .await;
}

async fn raises(trip: &Trip, changes: Value) -> String {
    trip.pia.raises(fire_with(changes)).await
}

#[tokio::test]
async fn an_sos_on_a_trip_brings_everybody_on_it_into_the_incident() {
    let mut trip = trip().await;
    // Pol's app is open, and has not asked for the trip.
    let mut at_pol = trip.engine.user("Pol").connect().await;
    let sos = raises(&trip, json!({"tripId": TRIP, "visibility": "RESTRICTED"})).await;
    is_called(&mut trip.at_dan, &sos).await;
    let called = at_pol
        .expect(json!({"type": "auto-joined", "roomId": sos, "roomOwner": "Pia"}))
        .await;
    let sentence = called["message"].as_str().unwrap();
    assert!(sentence.contains("on your trip"), "{sentence}");
    // Pia's own connection is seated too, without being told what she knows.
    let activated = json!({"type": "emergency-activated", "roomId": TRIP, "sosId": sos, "userName": "Pia"});
    trip.at_pia.expect(activated).await;

    let listed = trip.pia.get(&format!("/api/v1/sos/{sos}")).await.data(200);
    assert_eq!(listed["linkedRooms"], json!([TRIP]));
    assert_eq!(listed["tripId"], TRIP);
    let path = format!("/api/v1/sos/{sos}/participants/active");
    let active = trip.pia.get(&path).await.page().0;
    assert_eq!(active.len(), 3, "{active:?}");

    trip.at_dan.writes(&sos, "I have stopped the car").await;
    at_pol.reads(&sos, "I have stopped the car").await;
    trip.at_pia.reads(&sos, "I have stopped the car").await;

    let path = format!("/api/v1/sos/{sos}/status");
    trip.pia
        .patch(&path, json!({"status": "RESOLVED"}))
        .await
        .data(200);
    for client in [&mut trip.at_dan, &mut trip.at_pia] {
        client
            .expect_in_any_order([
                json!({"type": "sos-status", "roomId": sos, "status": "RESOLVED"}),
                json!({"type": "room-left", "roomId": sos}),
                json!({"type": "emergency-ended", "roomId": TRIP, "sosId": sos}),
            ])
            .await;
    }
    Dispatch(&trip.engine).ends(TRIP).await;
}

#[tokio::test]
async fn a_booking_finds_its_trip() {
    let mut trip = trip().await;
    let sos = raises(&trip, json!({"bookingId": "b-1"})).await;
    is_called(&mut trip.at_dan, &sos).await;
    let other = raises(&trip, json!({"bookingId": "b-2"})).await;
    let listed = trip.pia.get(&format!("/api/v1/sos/{other}")).await.data(200);
    assert_eq!(listed["linkedRooms"], json!([]));
    trip.at_dan.hears_nothing_more().await;
}

#[tokio::test]
async fn an_sos_that_names_a_trip_of_others_is_taken_and_told_nobody_there() {
    let mut trip = trip().await;
    let sos = trip
        .engine
        .user("Eve")
        .raises(fire_with(json!({"tripId": TRIP})))
        .await;
    let seen = trip.engine.user("Eve").get(&format!("/api/v1/sos/{sos}")).await;
    assert_eq!(seen.data(200)["linkedRooms"], json!([]));
    let sos = trip
        .engine
        .device()
        .raises(fire_with(json!({"tripId": "any thing"})))
        .await;
    assert_eq!(sos.len(), 32);
    trip.at_dan.hears_nothing_more().await;
    trip.at_pia.hears_nothing_more().await;
}

#[tokio::test]
async fn a_silent_sos_is_not_told_to_whoever_it_may_be_about() {
    let mut trip = trip().await;
    let sos = raises(&trip, json!({"tripId": TRIP, "silent": true})).await;
    let staff = trip.engine.user("Ada").role("ADMIN");
    let seen = staff.get(&format!("/api/v1/sos/{sos}")).await.data(200);
    assert_eq!(
        (&seen["tripId"], &seen["linkedRooms"]),
        (&json!(TRIP), &json!([]))
    );
    trip.at_dan.hears_nothing_more().await;
}

#[tokio::test]
async fn the_end_of_a_trip_leaves_its_sos_standing_and_two_stand_beside_each_other() {
    let mut trip = trip().await;
    let first = raises(&trip, json!({"tripId": TRIP})).await;
    is_called(&mut trip.at_dan, &first).await;
    trip.at_pia
        .expect(json!({"type": "emergency-activated", "sosId": first}))
        .await;
    let second = trip.dan.raises(fire_with(json!({"tripId": TRIP}))).await;
    trip.at_dan
        .expect(json!({"type": "emergency-activated", "sosId": second}))
        .await;
    is_called(&mut trip.at_pia, &second).await;
    let path = format!("/api/v1/sos/{first}/status");
    trip.pia
        .patch(&path, json!({"status": "RESOLVED"}))
        .await
        .data(200);
    trip.at_dan
        .expect_in_any_order([
            json!({"type": "sos-status", "roomId": first}),
            json!({"type": "room-left", "roomId": first}),
            json!({"type": "emergency-ended", "roomId": TRIP, "sosId": first}),
        ])
        .await;
    Dispatch(&trip.engine).ends(TRIP).await;
    trip.at_dan.expect(json!({"type": "trip:ended"})).await;
    trip.at_dan
        .expect(json!({"type": "room-left", "roomId": TRIP}))
        .await;
    trip.at_dan.writes(&second, "We are still here").await;
    let state = trip.dan.get(&format!("/api/v1/sos/{second}")).await.data(200);
    assert_eq!(state["status"], "ACTIVE");
}
