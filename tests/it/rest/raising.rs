//! Raising an incident.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Engine, HERE, fire, fire_with};

#[tokio::test]
async fn an_incident_is_there_as_it_was_raised() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let body = json!({
        "type": "medical", "message": "He does not breathe", "silent": false, "severity": "CRITICAL",
        "location": {"latitude": HERE.0, "longitude": HERE.1, "accuracy": 7.5},
        "address": {"city": "Manila", "barangay": "Ermita"}, "visibility": "PUBLIC",
        "tripId": "trip-1", "bookingId": "booking-1",
        "deviceInfo": {"os": "Android 16", "appVersion": "1.2.3", "locale": "fil-PH"},
    });
    let created = ana.post("/api/v1/sos", body).await.data(201);
    let expected = json!({
        "type": "MEDICAL", "message": "He does not breathe", "silent": false, "severity": "CRITICAL",
        "status": "ACTIVE", "visibility": "PUBLIC",
        "location": {"latitude": HERE.0, "longitude": HERE.1, "accuracy": 7.5},
        "address": {"city": "Manila", "barangay": "Ermita"}, "tripId": "trip-1", "bookingId": "booking-1",
        "participantsCount": 1, "messagesCount": 0,
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(created[key], *value, "{key} of {created}");
    }
    let sos = created["sosId"].as_str().unwrap();
    assert_eq!(sos.len(), 32);
    assert!(created["creatorId"].as_str().unwrap().starts_with("p-"));
    let read = ana.get(&format!("/api/v1/sos/{sos}")).await.data(200);
    assert_eq!(read, created);
    assert_eq!(read["activeParticipants"][0]["displayName"], "Ana");
}

#[tokio::test]
async fn a_device_without_an_account_raises_an_incident() {
    let engine = Engine::start(&[]);
    let device = engine.device();
    let sos = device.raises(fire()).await;
    let read = engine.device().get(&format!("/api/v1/sos/{sos}")).await.data(200);
    assert_eq!(read["severity"], "MEDIUM");
    assert_eq!(read["activeParticipants"][0]["displayName"], "Anonymous");
}

#[tokio::test]
async fn each_wrong_field_is_named() {
    let engine = Engine::start(&[("limits.user_requests", "0"), ("limits.user_sos_per_hour", "0")]);
    let ana = engine.user("Ana");
    let without = |field: &str| {
        let mut body = fire();
        body.as_object_mut().unwrap().remove(field);
        body
    };
    let place = |latitude: Value, longitude: Value| {
        fire_with(json!({"location": {"latitude": latitude, "longitude": longitude}}))
    };
    let cases: Vec<(Value, &[&str])> = vec![
        (without("type"), &["type"]),
        (without("message"), &["message"]),
        (without("location"), &["location"]),
        (json!({}), &["type", "message", "location"]),
        (fire_with(json!({"type": "EARTHQUAKE"})), &["type"]),
        (fire_with(json!({"type": 5})), &["type"]),
        (fire_with(json!({"message": "too short"})), &["message"]),
        (fire_with(json!({"message": "x".repeat(501)})), &["message"]),
        (fire_with(json!({"message": " ".repeat(20)})), &["message"]),
        (fire_with(json!({"message": 1234567890})), &["message"]),
        (fire_with(json!({"silent": "yes"})), &["silent"]),
        (fire_with(json!({"severity": "AWFUL"})), &["severity"]),
        (fire_with(json!({"visibility": "SECRET"})), &["visibility"]),
        (place(json!(91), json!(0)), &["location.latitude"]),
        (place(json!(0), json!(-180.1)), &["location.longitude"]),
        (place(json!("14"), json!(0)), &["location.latitude"]),
        (
            fire_with(json!({"location": {"latitude": 14.5}})),
            &["location.longitude"],
        ),
        (fire_with(json!({"location": {}})), &["location.latitude"]),
        (fire_with(json!({"location": "here"})), &["location"]),
        (
            fire_with(json!({"location": {"latitude": 1, "longitude": 2, "accuracy": -1}})),
            &["location.accuracy"],
        ),
        (fire_with(json!({"address": "Manila"})), &["address"]),
        (fire_with(json!({"address": {"city": 5}})), &["address.city"]),
        (fire_with(json!({"deviceInfo": {"os": []}})), &["deviceInfo.os"]),
        (fire_with(json!({"tripId": {}})), &["tripId"]),
        (
            fire_with(json!({"type": "X", "severity": "Y"})),
            &["type", "severity"],
        ),
    ];
    for (body, fields) in cases {
        ana.post("/api/v1/sos", body.clone()).await.names_fields(fields);
    }
    let (found, _) = ana.get("/api/v1/sos").await.page();
    assert!(found.is_empty(), "{found:?}");
    for message in ["x".repeat(10), "ü".repeat(500)] {
        ana.raises(fire_with(json!({"message": message}))).await;
    }
}

#[tokio::test]
async fn a_retry_with_the_same_key_gets_the_first_answer() {
    let mut engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let key = "retry-0001";
    let first = keyed(&ana, key).await.data(201);
    assert_eq!(keyed(&ana, key).await.data(201), first);
    // Whatever has become of it meanwhile, and after a crash.
    let sos = first["sosId"].as_str().unwrap();
    ana.post(&format!("/api/v1/sos/{sos}/cancel"), json!({}))
        .await
        .data(200);
    assert_eq!(keyed(&ana, key).await.data(201), first);
    engine.kill9();
    engine.restart();
    assert_eq!(keyed(&ana, key).await.data(201), first);
    // Another key or another person is another incident.
    let other = keyed(&ana, "retry-0002").await.data(201);
    assert_ne!(other["sosId"], first["sosId"]);
    let bens = keyed(&engine.user("Ben"), key).await.data(201);
    assert_ne!(bens["sosId"], first["sosId"]);
    let (found, _) = engine.user("Dora").role("ADMIN").get("/api/v1/sos").await.page();
    assert_eq!(found.len(), 3);
}

#[tokio::test]
async fn ten_retries_at_once_are_one_incident() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let answers = futures_util::future::join_all((0..10).map(|_| keyed(&ana, "at-once"))).await;
    let mut ids: Vec<String> = Vec::new();
    for answer in answers {
        let id = answer.data(201)["sosId"].as_str().unwrap().to_owned();
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    assert_eq!(ids.len(), 1, "{ids:?}");
}

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let long = "x".repeat(201);
    keyed(&ana, &long).await.refused(400, "VALIDATION_FAILED");
}

async fn keyed(person: &crate::support::Person, key: &str) -> crate::support::http::Answer {
    let request = person.request(Method::POST, "/api/v1/sos");
    request.header("Idempotency-Key", key).json(&fire()).send().await
}
