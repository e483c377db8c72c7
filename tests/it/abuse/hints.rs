//! What staff are told of an incident beside what it says itself, and nobody else.

use reqwest::Method;
use serde_json::{Value, json};

use super::metric;
use super::reports::join;
use crate::support::stories::HERE;
use crate::support::{Engine, Person, fire, fire_with};

const BEHIND_A_PROXY: (&str, &str) = ("http.trusted_proxies", "127.0.0.1");

async fn raise_from(person: &Person, address: &str, body: &Value) -> String {
    let request = person.request(Method::POST, "/api/v1/sos");
    let raised = request.header("X-Forwarded-For", address).json(body).send().await;
    raised.data(201)["sosId"].as_str().unwrap().to_owned()
}

async fn hints(reader: &Person, sos: &str) -> Value {
    reader.get(&format!("/api/v1/sos/{sos}")).await.data(200)["hints"].clone()
}

#[tokio::test]
async fn incidents_that_may_be_the_same_hoax_are_told_to_staff_only() {
    let engine = Engine::start(&[BEHIND_A_PROXY]);
    let staff = engine.user("Dina").role("DISPATCHER");
    let (liar, other) = (engine.device(), engine.device());
    let near = fire_with(json!({"location": {"latitude": HERE.0 + 0.001, "longitude": HERE.1}}));
    let far = fire_with(json!({"location": {"latitude": HERE.0 + 1.0, "longitude": HERE.1}}));
    let one = raise_from(&liar, "203.0.113.7", &fire()).await;
    // A new device id from the same address; the same device from another; and two that are neither.
    let two = raise_from(&engine.device(), "203.0.113.7", &near).await;
    let three = raise_from(&liar, "203.0.113.8", &fire()).await;
    let elsewhere = raise_from(&liar, "203.0.113.7", &far).await;
    let neighbour = raise_from(&other, "203.0.113.9", &fire()).await;
    assert_eq!(
        hints(&staff, &one).await,
        json!({"possibleDuplicates": [three, two]})
    );
    assert_eq!(hints(&staff, &two).await, json!({"possibleDuplicates": [one]}));
    for alone in [&elsewhere, &neighbour] {
        assert_eq!(hints(&staff, alone).await, Value::Null);
    }
    for reader in [&liar, &other, &engine.user("Ana"), &engine.nobody()] {
        for path in [format!("/api/v1/sos/{one}"), "/api/v1/sos".to_owned()] {
            let text = reader.get(&path).await.text;
            assert!(text.contains(&one) && !text.contains("hints"), "{text}");
        }
    }
    // Lists tell it too.
    let (listed, _) = staff.get("/api/v1/sos").await.page();
    let of = |sos: &str| listed.iter().find(|item| item["sosId"] == json!(sos)).unwrap()["hints"].clone();
    assert_eq!(of(&two), json!({"possibleDuplicates": [one]}));
    assert_eq!(of(&neighbour), Value::Null);
    // And nobody's address stands anywhere.
    let log = engine.log();
    for entry in std::fs::read_dir(engine.data()).unwrap().flatten() {
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        assert!(
            !String::from_utf8_lossy(&bytes).contains("203.0.113."),
            "{:?}",
            entry.path()
        );
    }
    assert!(!log.contains("203.0.113."));
}

#[tokio::test]
async fn several_devices_of_one_address_in_one_incident_are_told_together() {
    let engine = Engine::start(&[]);
    let staff = engine.user("Dina").role("DISPATCHER");
    let sos = engine.user("Ana").raises(fire()).await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(join(&engine.device(), &sos, "ANON_RESCUER").await);
    }
    // One comes over a socket, and one has an account.
    let mut at_third = engine.device().connect().await;
    ids.push(
        at_third.joins(&sos).await["participantId"]
            .as_str()
            .unwrap()
            .to_owned(),
    );
    join(&engine.user("Ben"), &sos, "CITIZEN").await;
    ids.sort();
    assert_eq!(hints(&staff, &sos).await, json!({"sameAddress": [ids]}));
}

#[tokio::test]
async fn staff_are_told_of_calls_over_the_budget_of_an_address_by_the_blocked_and_without_a_position() {
    let engine = Engine::start(&[("limits.address_sos_per_hour", "1")]);
    let staff = engine.user("Dina").role("DISPATCHER");
    let (first, rude) = (engine.device(), engine.device());
    let sos = first.raises(fire()).await;
    let rude_id = join(&rude, &sos, "ANON_RESCUER").await;
    staff
        .post(&format!("/api/v1/devices/{rude_id}/block"), json!({}))
        .await
        .data(201);
    let nowhere = fire_with(json!({"location": {"latitude": 0.0, "longitude": 0.0}}));
    let call = rude.raises(nowhere).await;
    let flags = json!({"flags": ["ADDRESS_OVER_BUDGET", "RAISED_BY_BLOCKED", "NO_POSITION"]});
    assert_eq!(hints(&staff, &call).await, flags);
    assert_eq!(hints(&staff, &sos).await, Value::Null);
}

#[tokio::test]
async fn an_sos_from_outside_the_area_is_refused_by_name_unless_the_fix_is_too_vague_to_tell() {
    let engine = Engine::start(&[("abuse.service_area", "14.3,120.9,14.8,121.2")]);
    let staff = engine.user("Dina").role("DISPATCHER");
    let device = engine.device();
    let at = |latitude: f64, longitude: f64, accuracy: Value| {
        fire_with(json!({"location": {"latitude": latitude, "longitude": longitude, "accuracy": accuracy}}))
    };
    for (latitude, longitude) in [(15.0, 121.0), (-14.5, 121.0), (14.5, -121.0)] {
        let refused = device
            .post("/api/v1/sos", at(latitude, longitude, Value::Null))
            .await;
        refused.names_fields(&["location"]);
    }
    assert_eq!(
        metric(&engine, "mayday_refused_total{reason=\"outside_area\"}").await,
        3
    );
    // Refusals cost no SOS: all five are there.
    device.raises(at(14.5, 121.0, Value::Null)).await;
    device.raises(at(14.85, 121.0, json!(6_000))).await;
    let nowhere = device.raises(at(0.0, 0.0, Value::Null)).await;
    assert_eq!(hints(&staff, &nowhere).await, json!({"flags": ["NO_POSITION"]}));
}

#[tokio::test]
async fn an_operator_may_take_calls_from_outside_and_mark_them() {
    let settings = [
        ("abuse.service_area", "14.3,120.9,14.8,121.2"),
        ("abuse.outside_area", "mark"),
    ];
    let engine = Engine::start(&settings);
    let staff = engine.user("Dina").role("DISPATCHER");
    let away = fire_with(json!({"location": {"latitude": 48.2, "longitude": 16.4}}));
    let sos = engine.device().raises(away).await;
    assert_eq!(hints(&staff, &sos).await, json!({"flags": ["OUTSIDE_AREA"]}));
}

#[tokio::test]
async fn calls_and_circles_over_a_socket_are_charged_like_those_over_rest() {
    let engine = Engine::start(&[("limits.sos_per_hour", "2"), ("limits.anon_writes", "2")]);
    let device = engine.device();
    let mut client = device.connect().await;
    client.creates("one").await;
    client.creates("two").await;
    client
        .says(json!({"type": "create-room", "roomId": "three"}))
        .await;
    client.expect_error("RATE_LIMITED").await;
    for round in 0..3 {
        client
            .says(json!({"type": "emergency-sos", "roomId": "one"}))
            .await;
        if round == 2 {
            client.expect_error("RATE_LIMITED").await;
            break;
        }
        // Pressed again while it stands, it is the same one and costs nothing.
        let told = until(&mut client, "emergency-confirmed").await;
        client
            .says(json!({"type": "emergency-sos", "roomId": "one"}))
            .await;
        assert_eq!(
            until(&mut client, "emergency-confirmed").await["sosId"],
            told["sosId"]
        );
        client
            .says(json!({"type": "emergency-resolve", "roomId": "one"}))
            .await;
        until(&mut client, "emergency-resolved").await;
        client.says(json!({"type": "ping"})).await;
        until(&mut client, "pong").await;
    }
    device
        .post("/api/v1/sos", fire())
        .await
        .refused(429, "RATE_LIMITED");
}

async fn until(client: &mut crate::support::Client, kind: &str) -> Value {
    loop {
        let heard = client.expect(json!({"type": "*"})).await;
        if heard["type"] == json!(kind) {
            return heard;
        }
    }
}

#[tokio::test]
async fn a_position_that_nobody_can_have_reached_is_not_shown_until_a_second_one_agrees() {
    let engine = Engine::start(&[
        ("locations.max_speed_mps", "350"),
        ("locations.min_interval_ms", "0"),
    ]);
    let (ana, ben) = (engine.device(), engine.device());
    let sos = ana.raises(fire()).await;
    join(&ben, &sos, "ANON_RESCUER").await;
    let mut at_ben = ben.connect().await;
    at_ben.joins(&sos).await;
    let path = format!("/api/v1/sos/{sos}/location");
    let begun = crate::support::now_ms() - 60_000;
    let fix = |north: f64, s: u64| json!({"latitude": 14.0 + north, "longitude": 121.0, "timestamp": begun + s * 1_000});
    for (north, s, shown) in [
        (0.0, 0, true),
        (1.0, 2, false),
        (0.001, 4, true),
        (1.0, 6, false),
        (1.001, 8, true),
    ] {
        ana.post(&path, fix(north, s)).await.data(200);
        if shown {
            let data = json!({"latitude": 14.0 + north});
            at_ben
                .expect(json!({"type": "location-update", "roomId": sos, "data": data}))
                .await;
        } else {
            at_ben.hears_nothing_more().await;
        }
    }
    assert_eq!(metric(&engine, "mayday_positions_doubtful_total").await, 2);
}
