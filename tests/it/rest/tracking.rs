//! Positions in an incident.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Engine, HERE, UNLIMITED, fire, now_ms};

fn fix(north: f64, at: u64) -> Value {
    json!({"latitude": HERE.0 + north, "longitude": HERE.1, "timestamp": at, "accuracy": 4, "speed": 2, "heading": 90})
}

#[tokio::test]
async fn positions_are_kept_listed_and_shown_on_a_map() {
    let engine = Engine::start(&UNLIMITED);
    let (ana, rosa) = (engine.user("Ana"), engine.user("Rosa").role("RESCUER"));
    let sos = ana.raises(fire()).await;
    let upload = format!("/api/v1/sos/{sos}/location");
    let join = json!({"userType": "RESCUER"});
    let rosa_id = rosa
        .post(&format!("/api/v1/sos/{sos}/participants/join"), join)
        .await
        .data(201)["id"]
        .clone();
    let start = now_ms() - 100_000;
    for n in 0..4_u32 {
        let taken = ana
            .post(&upload, fix(f64::from(n) / 1000.0, start + u64::from(n) * 20_000))
            .await
            .data(200);
        assert_eq!(taken["rooms"], json!([sos]));
    }
    rosa.post(&upload, fix(0.05, start + 1)).await.data(200);

    let list = format!("/api/v1/sos/{sos}/locations");
    let (found, _) = ana.get(&list).await.page();
    assert_eq!(found.len(), 5);
    assert!(found.is_sorted_by_key(|fix| fix["timestamp"].as_str().unwrap().to_owned()));
    let (one, _) = ana
        .get(&format!("{list}?subject={}", rosa_id.as_str().unwrap()))
        .await
        .page();
    assert_eq!(one.len(), 1);
    assert_eq!(one[0]["displayName"], "Rosa");
    let (some, _) = ana
        .get(&format!("{list}?from={}&to={}", start + 2, start + 45_000))
        .await
        .page();
    assert_eq!(some.len(), 2);
    let (first, next) = ana.get(&format!("{list}?limit=3")).await.page();
    let (rest, end) = ana
        .get(&format!("{list}?limit=3&cursor={}", next.unwrap()))
        .await
        .page();
    assert_eq!(end, None);
    assert_eq!([first, rest].concat(), found);

    let map = ana
        .request(Method::GET, &list)
        .header("Accept", "application/geo+json")
        .send()
        .await;
    assert_eq!(map.header("Content-Type"), Some("application/geo+json"));
    let map = map.ok(200);
    assert_eq!(map["type"], "FeatureCollection");
    assert_eq!(map["features"].as_array().unwrap().len(), 5);
    assert_eq!(map["features"][0]["type"], "Feature");
    let point = json!({"type": "Point", "coordinates": [HERE.1, HERE.0]});
    assert_eq!(map["features"][0]["geometry"], point);
    assert!(map["features"][0]["properties"]["timestamp"].is_string());

    // The newest is told once a second, to those who look as to those who listen.
    crate::support::eventually("the newest is shown", || async {
        let incident = ana.get(&format!("/api/v1/sos/{sos}")).await.data(200);
        (incident["lastLocation"]["latitude"] == HERE.0 + 0.003).then_some(())
    })
    .await;
}

#[tokio::test]
async fn only_those_who_are_in_send_positions() {
    let engine = Engine::start(&[]);
    let (ana, sam) = (engine.user("Ana"), engine.user("Sam"));
    let sos = ana.raises(fire()).await;
    let upload = format!("/api/v1/sos/{sos}/location");
    sam.post(&upload, fix(0.0, now_ms()))
        .await
        .refused(403, "FORBIDDEN");
    let unknown = format!("/api/v1/sos/{}/location", "0".repeat(32));
    ana.post(&unknown, fix(0.0, now_ms()))
        .await
        .refused(404, "NOT_FOUND");
    ana.post(&upload, json!({"latitude": 99, "longitude": 0}))
        .await
        .names_fields(&["latitude", "timestamp"]);
    ana.post(&format!("/api/v1/sos/{sos}/cancel"), json!({}))
        .await
        .data(200);
    ana.post(&upload, fix(0.0, now_ms()))
        .await
        .refused(409, "SOS_CLOSED");
}

#[tokio::test]
async fn a_position_by_rest_is_seen_on_the_sockets() {
    let engine = Engine::start(&[]);
    let (ana, sam) = (engine.user("Ana"), engine.user("Sam"));
    let sos = ana.raises(fire()).await;
    let mut at_sam = sam.connect().await;
    let who = at_sam.joins(&sos).await;
    ana.post(&format!("/api/v1/sos/{sos}/location"), fix(0.0, now_ms()))
        .await
        .data(200);
    let seen = at_sam
        .expect(json!({
            "type": "location-update", "roomId": sos,
            "data": {"userId": "p-*", "userName": "Ana", "visiblePhone": null, "latitude": HERE.0},
        }))
        .await;
    assert_ne!(seen["data"]["userId"], who["participantId"]);
    at_sam.hears_nothing_more().await;
}
