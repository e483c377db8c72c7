//! What the service that runs trips can do, and what it is told when it cannot.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::{Dispatch, TRIP, body, fix, trip};
use crate::support::{Engine, HERE, eventually};

#[tokio::test]
async fn the_same_trip_told_again_gets_the_same_answer_also_after_a_restart() {
    let mut engine = Engine::start(&[]);
    let first = Dispatch(&engine).begins(TRIP).await;
    assert_eq!(
        first,
        json!({
            "tripId": TRIP, "driverId": "user-dan", "passengerIds": ["user-pia", "user-pol"], "bookingId": "b-1",
            "status": "ACTIVE", "createdAt": first["createdAt"], "endedAt": null,
        })
    );
    let mut turned = body(TRIP);
    turned["passengerIds"] = json!(["user-pol", "user-pia"]);
    let again = Dispatch(&engine).posts("/internal/trips", turned).await.data(201);
    assert_eq!(again, first);
    engine.kill9();
    engine.restart();
    assert_eq!(Dispatch(&engine).begins(TRIP).await, first);
}

#[tokio::test]
async fn another_trip_of_the_same_id_is_a_conflict_that_says_in_what() {
    let engine = Engine::start(&[]);
    let dispatch = Dispatch(&engine);
    dispatch.begins(TRIP).await;
    for (field, other) in [
        ("driverId", json!("user-eve")),
        ("passengerIds", json!(["user-pia"])),
        ("passengerIds", json!(["user-pia", "user-eve"])),
        ("passengerIds", json!(["user-pia", "user-pol", "user-eve"])),
        ("bookingId", json!("b-2")),
        ("bookingId", json!(null)),
    ] {
        let mut changed = body(TRIP);
        changed[field] = other;
        let refused = dispatch.posts("/internal/trips", changed).await;
        let refused = refused.refused(409, "CONFLICT");
        assert_eq!(
            refused["message"],
            format!("There is such a trip with another {field}")
        );
    }
    dispatch.ends(TRIP).await;
    let refused = dispatch.posts("/internal/trips", body(TRIP)).await;
    assert_eq!(refused.refused(409, "CONFLICT")["message"], "Trip has ended");
    let mut at_ana = engine.user("Ana").connect().await;
    at_ana.creates("ana-circle").await;
    let refused = dispatch.posts("/internal/trips", body("ana-circle")).await;
    assert_eq!(
        refused.refused(409, "CONFLICT")["message"],
        "tripId is taken by another room"
    );
    dispatch
        .posts("/internal/trips/ana-circle/end", json!({}))
        .await
        .refused(404, "NOT_FOUND");
    at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let engine = Engine::start(&[("trips.passengers_max", "2"), ("trips.radius_max_km", "10")]);
    let dispatch = Dispatch(&engine);
    for (field, wrong) in [
        ("tripId", json!("no spaces")),
        ("tripId", json!(null)),
        ("driverId", json!("")),
        ("passengerIds", json!(["a", "b", "c"])),
        ("passengerIds", json!("a")),
        ("passengerIds.1", json!(["a", "a"])),
        ("passengerIds.0", json!(["user-dan"])),
        ("bookingId", json!(7)),
    ] {
        let mut body = body(TRIP);
        body[field.split('.').next().unwrap()] = wrong;
        let refused = dispatch.posts("/internal/trips", body).await;
        let refused = refused.refused(400, "VALIDATION_FAILED");
        assert_eq!(refused["fields"][0]["field"], field, "{refused}");
    }
    for (query, field) in [
        ("", "latitude"),
        ("latitude=1", "longitude"),
        ("latitude=1&longitude=1&radius=11", "radius"),
        ("latitude=1&longitude=1&limit=0", "limit"),
    ] {
        let refused = dispatch.gets(&format!("/internal/trips/nearby?{query}")).await;
        let refused = refused.refused(400, "VALIDATION_FAILED");
        assert_eq!(refused["fields"][0]["field"], field, "{refused}");
    }
    for path in ["/internal/trips/none/end", "/internal/trips/no%20spaces/end"] {
        let refused = dispatch.posts(path, json!({})).await;
        assert_eq!(refused.refused(404, "NOT_FOUND")["message"], "Trip not found");
    }
    dispatch
        .gets("/internal/trips/none")
        .await
        .refused(404, "NOT_FOUND");
    let none = dispatch.gets(&format!("/internal/trips/{TRIP}")).await;
    none.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn nobody_but_a_service_with_the_scope_comes_in() {
    let engine = Engine::start(&[]);
    for who in [engine.nobody(), engine.device(), engine.user("Ada").role("ADMIN")] {
        for (method, path) in [
            (Method::POST, "/internal/trips"),
            (Method::GET, "/internal/trips/nearby?latitude=1&longitude=1"),
            (Method::GET, "/internal/trips/trip-1"),
            (Method::POST, "/internal/trips/trip-1/end"),
        ] {
            let request = who.request(method, path).json(&body(TRIP));
            request.send().await.refused(401, "UNAUTHENTICATED");
        }
    }
}

#[tokio::test]
async fn trips_are_found_near_where_their_driver_is_until_they_end() {
    let mut trip = trip().await;
    assert!(
        Dispatch(&trip.engine).near(50.0).await.is_empty(),
        "nobody knows where"
    );
    trip.at_dan.says(fix(0.01)).await;
    trip.at_pia
        .expect(json!({"type": "location-update", "roomId": TRIP}))
        .await;
    let found = Dispatch(&trip.engine).near(5.0).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["tripId"], TRIP);
    assert_eq!(found[0]["driverId"], "user-dan");
    assert_eq!(found[0]["location"]["latitude"], HERE.0 + 0.01);
    let distance = found[0]["distanceM"].as_f64().unwrap();
    assert!((1_100.0..1_120.0).contains(&distance), "{distance}");
    assert!(Dispatch(&trip.engine).near(1.0).await.is_empty());

    // Positions are kept a moment later; a start finds them again.
    eventually("the position is kept", async || {
        let kept = trip.dan.get("/api/locations").await.ok(200);
        (!kept["locations"].as_array()?.is_empty()).then_some(())
    })
    .await;
    trip.engine.kill9();
    trip.engine.restart();
    eventually("the trip is found again", async || {
        (Dispatch(&trip.engine).near(5.0).await.len() == 1).then_some(())
    })
    .await;
    Dispatch(&trip.engine).ends(TRIP).await;
    assert!(Dispatch(&trip.engine).near(50.0).await.is_empty());
}

#[tokio::test]
async fn a_trip_that_nobody_ends_is_over_after_a_while() {
    let engine = Engine::start(&[("trips.longest_s", "1")]);
    let mut at_dan = engine.user("Dan").connect().await;
    Dispatch(&engine).begins(TRIP).await;
    super::joins(&mut at_dan).await;
    let begun = std::time::Instant::now();
    at_dan
        .expect(json!({"type": "trip:ended", "tripId": TRIP, "roomId": TRIP}))
        .await;
    assert!(begun.elapsed() < Duration::from_secs(9));
    at_dan.expect(json!({"type": "room-left", "roomId": TRIP})).await;
    let over = Dispatch(&engine).gets(&format!("/internal/trips/{TRIP}")).await;
    assert_eq!(over.data(200)["status"], "ENDED");
}
