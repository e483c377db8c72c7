//! Everything that is kept of somebody, in one document, however much it is.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ANA, BEN, Engine, HERE, UNLIMITED, fire_with, now_ms};

const EXPORT: &str = "/api/v1/devices/me/export";

/// Every text and number in a document.
fn leaves(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => object.values().for_each(|value| leaves(value, found)),
        Value::Array(list) => list.iter().for_each(|value| leaves(value, found)),
        Value::String(text) => found.push(text.clone()),
        other => found.push(other.to_string()),
    }
}

#[tokio::test]
async fn a_device_takes_everything_with_it() {
    let engine = Engine::start(&UNLIMITED);
    let (device, ana) = (engine.device(), engine.user("Ana"));
    let info = json!({"os": "Android 15", "appVersion": "4.1.0", "locale": "fil-PH"});
    device.post("/api/v1/devices", info).await.data(201);
    let report = fire_with(json!({"message": "Smoke in the stairwell", "address": {"city": "Manila"}}));
    let raised = device
        .request(Method::POST, "/api/v1/sos")
        .header("Idempotency-Key", "retry-me")
        .json(&report)
        .send()
        .await
        .data(201);
    let (own, me) = (raised["sosId"].clone(), raised["creatorId"].clone());
    let other = ana.raises(fire_with(json!({}))).await;
    let join = json!({"userType": "ANON_RESCUER", "displayName": "Maria"});
    let path = format!("/api/v1/sos/{other}/participants/join");
    let there = device.post(&path, join).await.data(201)["id"].clone();
    let say = |text: &str| json!({"content": text});
    let messages = format!("/api/v1/sos/{other}/messages");
    device.post(&messages, say("I am coming")).await.data(201);
    ana.post(&messages, say("Thank you")).await.data(201);
    let fix = json!({"latitude": HERE.0 + 0.5, "longitude": HERE.1, "timestamp": now_ms()});
    device
        .post(&format!("/api/v1/sos/{other}/location"), fix)
        .await
        .data(200);
    let ana_id = ana.get(&format!("/api/v1/sos/{other}")).await.data(200)["creatorId"].clone();
    let reports = format!("/api/v1/sos/{other}/reports");
    for (who, of, reason) in [
        (&device, &ana_id, "she shouts at us"),
        (&ana, &there, "he only films"),
    ] {
        let report = json!({"participantId": of, "reason": reason});
        who.post(&reports, report).await.data(201);
    }
    device
        .patch(
            &format!("/api/v1/sos/{}/status", own.as_str().unwrap()),
            json!({"status": "RESOLVED", "note": "it was a barbecue"}),
        )
        .await
        .data(200);

    let answer = device.get(EXPORT).await;
    assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    let export = answer.data(200);
    assert_eq!(export["complete"], true);
    assert_eq!(
        export["subjects"],
        json!([{"type": "DEVICE", "id": device.device_id()}])
    );
    assert_eq!(export["device"]["locale"], "fil-PH");
    let rooms = export["participations"].as_array().unwrap();
    assert_eq!(rooms.len(), 2);
    let room = |id: &Value| rooms.iter().find(|room| room["place"]["roomId"] == *id).unwrap();
    let (raised, joined) = (room(&own), room(&json!(other)));
    assert_eq!(
        (&raised["place"]["participantId"], &raised["place"]["isOwner"]),
        (&me, &json!(true))
    );
    assert_eq!(joined["place"]["participantId"], there);
    assert_eq!(
        (
            &joined["place"]["name"],
            &joined["place"]["userType"],
            &joined["place"]["isOwner"]
        ),
        (&json!("Maria"), &json!("ANON_RESCUER"), &json!(false))
    );
    let kinds = |room: &Value| -> Vec<Value> {
        let events = room["events"].as_array().unwrap();
        events.iter().map(|event| event["type"].clone()).collect()
    };
    assert_eq!(kinds(raised), ["created", "joined", "status-changed"]);
    assert_eq!(kinds(joined), ["joined", "message"]);
    assert_eq!(raised["events"][0]["data"]["message"], "Smoke in the stairwell");
    assert_eq!(raised["events"][2]["data"]["note"], "it was a barbecue");
    assert_eq!(joined["events"][1]["data"]["content"], "I am coming");
    assert_eq!(export["positions"].as_array().unwrap().len(), 1);
    assert_eq!(export["positions"][0]["latitude"], HERE.0 + 0.5);
    assert_eq!(export["idempotencyKeys"][0]["key"], "retry-me");
    assert_eq!(export["idempotencyKeys"][0]["sosId"], own);

    let mut reports = joined["reports"].as_array().unwrap().clone();
    reports.sort_by_key(|report| report["reason"].is_null());
    assert_eq!(
        (&reports[0]["participantId"], &reports[0]["reason"]),
        (&ana_id, &json!("she shouts at us"))
    );
    assert_eq!(
        (&reports[1]["participantId"], &reports[1]["reason"]),
        (&there, &Value::Null),
        "that they were reported, not in whose words"
    );

    // What is of others is not in it.
    let mut told = Vec::new();
    leaves(&export, &mut told);
    assert!(
        !told
            .iter()
            .any(|text| ["Thank you", "Ana", "he only films"].contains(&text.as_str())),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_registered_user_gets_their_circles_and_contacts() {
    let engine = Engine::start(&UNLIMITED);
    let ana = engine.user("Ana").phone(ANA);
    ana.trusts(&[("Benedikt", BEN)]).await;
    let mut at_ana = ana.connect().await;
    at_ana.creates("ana-circle").await;
    at_ana.writes("ana-circle", "dinner at six").await;
    let export = ana.get(EXPORT).await.data(200);
    assert_eq!(export["subjects"], json!([{"type": "USER", "id": "user-ana"}]));
    assert_eq!(export["device"]["deviceId"], Value::Null);
    let contact = json!([{"name": "Benedikt", "phone_no": BEN}]);
    assert_eq!(export["contacts"]["emergency_contacts"], contact);
    let circle = &export["participations"][0];
    assert_eq!(
        (&circle["place"]["kind"], &circle["place"]["phone"]),
        (&json!("circle"), &json!(ANA))
    );
    assert_eq!(circle["events"][2]["data"]["content"], "dinner at six");
}

#[tokio::test]
async fn a_long_history_comes_whole() {
    let engine = Engine::start(&UNLIMITED);
    let device = engine.device();
    let sos = device.raises(fire_with(json!({}))).await;
    let start = now_ms() - 40_000_000;
    for batch in 0..3_u64 {
        let fixes: Vec<Value> = (0..500)
            .map(|n| {
                let at = start + (batch * 500 + n) * 20_000;
                json!({"latitude": HERE.0, "longitude": HERE.1, "timestamp": at, "roomId": sos})
            })
            .collect();
        let taken = device.post("/api/location/batch", json!({"fixes": fixes})).await;
        assert_eq!(taken.ok(200)["accepted"], 500);
    }
    let mut at_device = device.connect().await;
    at_device.joins(&sos).await;
    let words = "x".repeat(1_500);
    for n in 0..600 {
        let content = format!("{n} {words}");
        at_device.writes(&sos, &content).await;
        if n % 40 == 39 {
            // Within the budget of a connection there is none; this keeps the two in step.
            at_device.hears_nothing_more().await;
        }
    }
    let export = device.get(EXPORT).await.data(200);
    assert_eq!(export["complete"], true);
    let positions = export["positions"].as_array().unwrap();
    assert_eq!(positions.len(), 1_500);
    assert!(positions.is_sorted_by_key(|fix| fix["timestamp"].as_str().unwrap().to_owned()));
    let events = export["participations"][0]["events"].as_array().unwrap();
    let said = events.iter().filter(|event| event["type"] == "message");
    assert_eq!(said.count(), 600);
    assert_eq!(
        device.get("/api/v1/devices/me").await.data(200)["counts"]["positions"],
        1_500
    );
}

#[tokio::test]
async fn nothing_kept_is_a_document_too() {
    let engine = Engine::start(&UNLIMITED);
    let export = engine.device().get(EXPORT).await.data(200);
    assert_eq!(
        (
            &export["participations"],
            &export["positions"],
            &export["idempotencyKeys"]
        ),
        (&json!([]), &json!([]), &json!([]))
    );
    assert_eq!(export["complete"], true);
    engine.nobody().get(EXPORT).await.refused(401, "UNAUTHENTICATED");
}
