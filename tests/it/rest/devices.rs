//! Devices register, and are told what is kept of them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Engine, Person, UNLIMITED, fire, fire_with, now_s, uuid4};

const ME: &str = "/api/v1/devices/me";

async fn me(who: &Person) -> Value {
    who.get(ME).await.data(200)
}

#[tokio::test]
async fn a_device_gets_an_id_and_a_token_without_any_credential() {
    let engine = Engine::start(&UNLIMITED);
    let body = json!({"os": "Android 15", "appVersion": "4.1.0", "locale": "fil-PH"});
    let registered = engine
        .nobody()
        .post("/api/v1/devices", body.clone())
        .await
        .data(201);
    let id = registered["deviceId"].as_str().unwrap().to_owned();
    assert_eq!(id.len(), 36);
    assert_eq!(&id[14..15], "4", "a version 4 UUID");
    assert!(!registered["deviceToken"].as_str().unwrap().is_empty());
    let another = engine.nobody().post("/api/v1/devices", body).await.data(201);
    assert_ne!(another["deviceId"], registered["deviceId"]);

    let own = engine
        .nobody()
        .request(Method::GET, ME)
        .header("X-Device-ID", &id)
        .header("X-Device-Token", registered["deviceToken"].as_str().unwrap())
        .send()
        .await
        .data(200);
    assert_eq!(own["deviceId"], id.as_str());
    assert_eq!(
        (&own["os"], &own["appVersion"], &own["locale"]),
        (&json!("Android 15"), &json!("4.1.0"), &json!("fil-PH"))
    );
    assert!(own["firstSeen"].is_string() && own["lastSeen"].is_string());
    assert_eq!(own["counts"]["participations"], 0);
    assert_eq!(own["subjects"], json!([{"type": "DEVICE", "id": id}]));
}

#[tokio::test]
async fn a_device_that_has_an_id_keeps_it_and_tells_only_what_is_new() {
    let engine = Engine::start(&UNLIMITED);
    let device = engine.device();
    let unknown = me(&device).await;
    assert_eq!(unknown["deviceId"], device.device_id());
    assert_eq!(
        (&unknown["os"], &unknown["firstSeen"]),
        (&Value::Null, &Value::Null)
    );

    let first = device
        .post("/api/v1/devices", json!({"os": "iOS 19", "locale": "en-PH"}))
        .await
        .data(201);
    assert_eq!(first["deviceId"], device.device_id());
    let again = device
        .post("/api/v1/devices", json!({"appVersion": "2.0"}))
        .await
        .data(201);
    assert_eq!(again, first, "the same token, too");
    // An SOS may tell of the device in passing.
    device
        .raises(fire_with(json!({"deviceInfo": {"appVersion": "2.1"}})))
        .await;
    let own = me(&device).await;
    assert_eq!(
        (&own["os"], &own["appVersion"], &own["locale"]),
        (&json!("iOS 19"), &json!("2.1"), &json!("en-PH"))
    );
    assert_eq!(
        (&own["counts"]["incidents"], &own["counts"]["participations"]),
        (&json!(1), &json!(1))
    );
}

#[tokio::test]
async fn a_body_may_be_missing_and_must_not_be_wrong() {
    let engine = Engine::start(&UNLIMITED);
    let nobody = engine.nobody();
    let none = nobody.request(Method::POST, "/api/v1/devices").send().await;
    assert!(none.data(201)["deviceId"].is_string());
    nobody
        .post(
            "/api/v1/devices",
            json!({"os": 15, "appVersion": "x".repeat(129), "locale": ["en"]}),
        )
        .await
        .names_fields(&["os", "appVersion", "locale"]);
    let bad = nobody
        .request(Method::POST, "/api/v1/devices")
        .header("X-Device-ID", "not-a-uuid");
    bad.json(&json!({})).send().await.refused(401, "UNAUTHENTICATED");
    nobody.get(ME).await.refused(401, "UNAUTHENTICATED");
}

#[tokio::test]
async fn a_registered_user_is_told_of_their_own_and_of_the_device_in_their_token() {
    let engine = Engine::start(&UNLIMITED);
    let device = engine.device();
    device.raises(fire()).await;
    let ana = engine.user("Ana");
    ana.raises(fire()).await;
    ana.raises(fire()).await;
    let alone = me(&ana).await;
    assert_eq!(
        (&alone["deviceId"], &alone["counts"]["incidents"]),
        (&Value::Null, &json!(2))
    );
    let with_device = me(&ana.clone().claim("deviceId", device.device_id())).await;
    assert_eq!(with_device["deviceId"], device.device_id());
    assert_eq!(with_device["counts"]["incidents"], 3);
    assert_eq!(
        with_device["subjects"],
        json!([{"type": "USER", "id": "user-ana"}, {"type": "DEVICE", "id": device.device_id()}])
    );
    // A token that names no device one can read still counts.
    assert_eq!(me(&ana.claim("deviceId", "x")).await["deviceId"], Value::Null);
}

#[tokio::test]
async fn whoever_is_bound_to_one_incident_has_no_say_over_the_rest() {
    let engine = Engine::start(&UNLIMITED);
    let sos = engine.device().raises(fire()).await;
    let claims = json!({
        "identity": {"userId": "r-1", "role": "RESCUER"}, "actor": {"type": "ANON"},
        "mission": {"sosId": sos}, "deviceId": uuid4(), "exp": now_s() + 600,
    });
    let sent = engine.bearer(&crate::support::sign(&claims));
    sent.get(ME).await.refused(403, "FORBIDDEN");
    sent.get(&format!("{ME}/export")).await.refused(403, "FORBIDDEN");
    let erase = sent.request(Method::DELETE, ME).send().await;
    erase.refused(403, "FORBIDDEN");
}

#[tokio::test]
async fn that_a_device_was_seen_is_noted_without_its_asking() {
    let engine = Engine::start(&[("devices.seen_every_s", "1"), ("retention.sweep_s", "1")]);
    let device = engine.device();
    device.post("/api/v1/devices", json!({"os": "x"})).await.data(201);
    let first = me(&device).await;
    crate::support::eventually("the record moves on", || async {
        let now = me(&device).await;
        assert_eq!(now["firstSeen"], first["firstSeen"]);
        (now["lastSeen"].as_str() > first["lastSeen"].as_str()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_person_says_where_their_devices_are_pushed_to_and_of_too_many_the_oldest_go() {
    let engine = Engine::start(&[UNLIMITED.as_slice(), &[("push.targets_max", "2")]].concat());
    let ana = engine.user("Ana");
    let path = "/api/v1/devices/me/push";
    let fcm = |n: u32| json!({"service": "fcm", "token": format!("token-{n}")});
    let kept = ana.put(path, fcm(1)).await.data(200);
    assert_eq!(kept["service"], "FCM");
    assert!(kept["until"].is_string() && !kept.to_string().contains("token-1"));
    for n in [2, 3] {
        ana.put(path, fcm(n)).await.data(200);
    }
    let exported = ana.get("/api/v1/devices/me/export").await.data(200);
    assert_eq!(exported["pushTargets"].as_array().map(Vec::len), Some(2));
    let forget = |who: Person, body: Option<Value>| async move {
        let request = who.request(Method::DELETE, path);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        request.send().await.data(200)["forgotten"].clone()
    };
    assert_eq!(
        forget(engine.user("Ana"), Some(fcm(1))).await,
        0,
        "it went when there were too many"
    );
    assert_eq!(forget(engine.user("Ana"), Some(fcm(2))).await, 1);
    // Whoever says a token last has it.
    engine.user("Ben").put(path, fcm(3)).await.data(200);
    assert_eq!(forget(engine.user("Ana"), None).await, 0);
    assert_eq!(forget(engine.user("Ben"), None).await, 1);
    for (body, field) in [
        (json!({}), "service"),
        (json!({"service": "fcm"}), "token"),
        (json!({"service": "apns", "token": "xyz"}), "token"),
        (json!({"service": "webpush"}), "subscription"),
    ] {
        let refused = ana.put(path, body).await.ok(400);
        assert_eq!(
            (&refused["code"], &refused["fields"][0]["field"]),
            (&json!("VALIDATION_FAILED"), &json!(field))
        );
    }
}
