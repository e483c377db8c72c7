//! Watching a part of the map.

use serde_json::json;

use crate::support::{Engine, HERE, fire, fire_with};

/// About a kilometre of latitude, in degrees.
const KM: f64 = 0.009;

fn watch(radius_km: f64) -> serde_json::Value {
    json!({"type": "watch-area", "latitude": HERE.0, "longitude": HERE.1, "radiusKm": radius_km})
}

#[tokio::test]
async fn a_watcher_gets_the_present_list_and_then_the_news() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let there = ana.raises(fire()).await;
    let far = json!({"location": {"latitude": HERE.0 + 10.0 * KM, "longitude": HERE.1}});
    ana.raises(fire_with(far.clone())).await;
    ana.raises(fire_with(json!({"silent": true}))).await;
    ana.raises(fire_with(json!({"visibility": "RESTRICTED"}))).await;
    let over = ana.raises(fire()).await;
    ana.post(&format!("/api/v1/sos/{over}/cancel"), json!({}))
        .await
        .data(200);

    let mut sam = engine.user("Sam").connect().await;
    sam.says(watch(5.0)).await;
    let area = sam.expect(json!({"type": "area"})).await;
    let ids: Vec<_> = area["sos"]
        .as_array()
        .unwrap()
        .iter()
        .map(|sos| sos["sosId"].clone())
        .collect();
    assert_eq!(ids, [json!(there)]);
    assert_eq!(area["sos"][0]["type"], "FIRE");
    assert_eq!(area["sos"][0]["status"], "ACTIVE");
    assert_eq!(
        area["sos"][0]["location"],
        json!({"latitude": HERE.0, "longitude": HERE.1})
    );

    // Only what lies inside and may be seen is told.
    ana.raises(fire_with(far)).await;
    ana.raises(fire_with(json!({"silent": true}))).await;
    let near = json!({"location": {"latitude": HERE.0 + 4.0 * KM, "longitude": HERE.1}});
    let new = ana.raises(fire_with(near)).await;
    sam.expect(json!({"type": "sos-created", "sosId": new, "sos": {"status": "ACTIVE", "type": "FIRE"}}))
        .await;
    sam.hears_nothing_more().await;

    let status = |status: &str| json!({"status": status});
    ana.patch(&format!("/api/v1/sos/{new}/status"), status("RESPONDING"))
        .await
        .data(200);
    sam.expect(json!({"type": "sos-updated", "sosId": new, "sos": {"status": "RESPONDING"}}))
        .await;
    ana.patch(&format!("/api/v1/sos/{new}/status"), status("RESOLVED"))
        .await
        .data(200);
    sam.expect(json!({"type": "sos-closed", "sosId": new, "sos": {"status": "RESOLVED"}}))
        .await;
    sam.hears_nothing_more().await;
}

#[tokio::test]
async fn who_stops_watching_hears_no_more() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let mut sam = engine.user("Sam").connect().await;
    let mut other = engine.user("Olga").connect().await;
    for client in [&mut sam, &mut other] {
        client.says(watch(1.0)).await;
        client.expect(json!({"type": "area", "sos": []})).await;
    }
    sam.says(json!({"type": "unwatch-area"})).await;
    sam.hears_nothing_more().await;
    let new = ana.raises(fire()).await;
    other.expect(json!({"type": "sos-created", "sosId": new})).await;
    sam.hears_nothing_more().await;
    // Stopping twice is no error.
    sam.says(json!({"type": "unwatch-area"})).await;
    sam.hears_nothing_more().await;
}

#[tokio::test]
async fn watching_another_area_leaves_the_first() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let mut sam = engine.user("Sam").connect().await;
    sam.says(watch(1.0)).await;
    sam.expect(json!({"type": "area", "sos": []})).await;
    sam.says(json!({"type": "watch-area", "latitude": 10.3, "longitude": 123.9, "radiusKm": 1}))
        .await;
    sam.expect(json!({"type": "area", "sos": []})).await;
    ana.raises(fire()).await;
    let there = json!({"location": {"latitude": 10.3, "longitude": 123.9}});
    let there = ana.raises(fire_with(there)).await;
    sam.expect(json!({"type": "sos-created", "sosId": there})).await;
    sam.hears_nothing_more().await;
}

#[tokio::test]
async fn staff_see_what_strangers_do_not() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let hidden = ana.raises(fire_with(json!({"silent": true}))).await;
    let mut dora = engine.user("Dora").role("DISPATCHER").connect().await;
    dora.says(watch(1.0)).await;
    dora.expect(json!({"type": "area", "sos": [{"sosId": hidden}]}))
        .await;
    let new = ana.raises(fire_with(json!({"visibility": "RESTRICTED"}))).await;
    dora.expect(json!({"type": "sos-created", "sosId": new})).await;
    dora.hears_nothing_more().await;
}

#[tokio::test]
async fn an_area_that_is_none_is_refused() {
    let engine = Engine::start(&[]);
    let mut sam = engine.user("Sam").connect().await;
    let cases = [
        (json!({"latitude": HERE.0, "longitude": HERE.1}), "radiusKm"),
        (
            json!({"latitude": HERE.0, "longitude": HERE.1, "radiusKm": 25.1}),
            "radiusKm",
        ),
        (
            json!({"latitude": HERE.0, "longitude": HERE.1, "radiusKm": 0}),
            "radiusKm",
        ),
        (
            json!({"latitude": HERE.0, "longitude": HERE.1, "radiusKm": "5"}),
            "radiusKm",
        ),
        (json!({"radiusKm": 5}), "latitude"),
        (
            json!({"latitude": HERE.0, "longitude": 181, "radiusKm": 5}),
            "longitude",
        ),
    ];
    for (mut message, field) in cases {
        message["type"] = json!("watch-area");
        sam.says(message).await;
        sam.expect(json!({"type": "error", "code": "INVALID_FIELD", "field": field}))
            .await;
    }
    sam.says(watch(25.0)).await;
    sam.expect(json!({"type": "area", "sos": []})).await;
    sam.hears_nothing_more().await;
}
