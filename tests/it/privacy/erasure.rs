//! Whoever asks is erased: on disk, in memory, on the wire; what they did stays, and is nobody's.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Circle, Engine, HERE, Person, UNLIMITED, circle_on, eventually, fire, now_ms};

async fn erase(who: &Person) -> Value {
    who.request(Method::DELETE, "/api/v1/devices/me")
        .send()
        .await
        .data(200)
}

async fn joins_as(who: &Person, sos: &str, name: &str) -> String {
    let body = json!({"userType": "ANON_RESCUER", "displayName": name});
    let path = format!("/api/v1/sos/{sos}/participants/join");
    who.post(&path, body).await.data(201)["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn fix(at: u64) -> Value {
    json!({"latitude": HERE.0, "longitude": HERE.1, "timestamp": at})
}

#[tokio::test]
async fn what_they_did_stays_and_nobody_can_tell_whose_it_was() {
    let engine = Engine::start(&UNLIMITED);
    let (ana, device) = (engine.user("Ana"), engine.device());
    let dora = engine.user("Dora").role("ADMIN");
    let sos = ana.raises(fire()).await;
    let mut at_ana = ana.connect().await;
    at_ana.joins(&sos).await;
    let maria = joins_as(&device, &sos, "Maria").await;
    let mut at_maria = device.connect().await;
    at_maria.joins(&sos).await;
    at_maria.writes(&sos, "I am at the back door").await;
    let upload = format!("/api/v1/sos/{sos}/location");
    device.post(&upload, fix(now_ms())).await.data(200);

    let erased = erase(&device).await;
    assert_eq!(
        erased,
        json!({"participations": 1, "positions": 1, "others": 1, "connections": 1})
    );
    let (_, code, text) = at_maria.reads_to_the_close().await;
    assert_eq!((code, text.as_str()), (4500, "erased"));

    // The others heard her leave, and are told the log without her name, from memory as from the disk.
    at_ana.leaves().await;
    let mut at_ana = ana.connect().await;
    at_ana
        .says(json!({"type": "join-room", "roomId": sos, "since": 0}))
        .await;
    at_ana
        .expect(json!({"type": "join-approved", "recovered": true}))
        .await;
    let mut log = String::new();
    let mut said = None;
    while said.is_none() || !log.contains("user-left") {
        let crate::support::Heard::Message(message) = at_ana.hears().await else {
            panic!("the connection ended")
        };
        log += &message.to_string();
        if message["type"] == "room-message" {
            said = Some(message);
        }
    }
    let said = said.unwrap();
    assert_eq!(
        (&said["content"], &said["userName"], &said["clientId"]),
        (
            &json!("I am at the back door"),
            &json!("Anonymous"),
            &json!(maria)
        )
    );
    let mut seen = log;
    for path in ["", "/events", "/messages", "/participants/history", "/locations"] {
        seen += &dora.get(&format!("/api/v1/sos/{sos}{path}")).await.text;
    }
    assert!(!seen.contains("Maria"), "{seen}");
    assert!(seen.contains(&maria) && seen.contains("I am at the back door"));
    let track = format!("/api/v1/sos/{sos}/locations?subject={maria}");
    assert_eq!(dora.get(&track).await.page().0, Vec::<Value>::new());

    // Again it finds nothing; and whoever comes back is somebody new.
    assert_eq!(
        erase(&device).await,
        json!({"participations": 0, "positions": 0, "others": 0, "connections": 0})
    );
    assert_ne!(joins_as(&device, &sos, "Maria").await, maria);
}

#[tokio::test]
async fn an_sos_does_not_end_because_whoever_raised_it_is_erased() {
    let engine = Engine::start(&UNLIMITED);
    let (device, ben) = (engine.device(), engine.user("Ben"));
    let sos = device.raises(fire()).await;
    joins_as(&ben, &sos, "Ben").await;
    erase(&device).await;
    let stands = ben.get(&format!("/api/v1/sos/{sos}")).await.data(200);
    assert_eq!(
        (&stands["status"], &stands["participantsCount"]),
        (&json!("ACTIVE"), &json!(1))
    );
    // It is nobody's now: the same device has no more say in it than a stranger.
    device
        .post(&format!("/api/v1/sos/{sos}/cancel"), json!({}))
        .await
        .refused(403, "FORBIDDEN");
    let own = device.get("/api/v1/devices/me").await.data(200);
    assert_eq!(own["counts"]["incidents"], 0);
    assert_eq!(own["firstSeen"], Value::Null);
}

#[tokio::test]
async fn what_was_on_its_way_does_not_come_back() {
    let engine = Engine::start(&UNLIMITED);
    let (ana, device) = (engine.user("Ana"), engine.device());
    let dora = engine.user("Dora").role("ADMIN");
    let sos = ana.raises(fire()).await;
    let maria = joins_as(&device, &sos, "Maria").await;
    let mut at_maria = device.connect().await;
    at_maria.joins(&sos).await;
    // Positions and words pour in by REST and by socket while she is erased.
    let upload = format!("/api/v1/sos/{sos}/location");
    let start = now_ms() - 1_000_000;
    let storm = {
        let device = device.clone();
        async move {
            for n in 0..60_u64 {
                let sent = device
                    .request(Method::POST, &upload)
                    .json(&fix(start + n * 16_000))
                    .send();
                sent.await;
                at_maria
                    .says(json!({"type": "location-update", "latitude": HERE.0, "longitude": HERE.1}))
                    .await;
            }
        }
    };
    let erasing = async {
        eventually("she has a history", || async {
            let own = device.get("/api/v1/devices/me").await.data(200);
            (own["counts"]["positions"].as_u64() >= Some(5)).then_some(())
        })
        .await;
        erase(&device).await
    };
    let ((), erased) = tokio::join!(storm, erasing);
    assert!(erased["positions"].as_u64().unwrap() >= 5);
    let track = format!("/api/v1/sos/{sos}/locations?subject={maria}");
    assert_eq!(dora.get(&track).await.page().0, Vec::<Value>::new());
    let own = device.get("/api/v1/devices/me").await.data(200);
    assert_eq!(own["counts"]["positions"], 0);
    assert_eq!(own["counts"]["participations"], 0);
}

#[tokio::test]
async fn a_circle_lets_go_of_its_contacts_when_its_owner_is_erased() {
    let Circle {
        engine: _engine,
        ana,
        ben,
        room,
        mut at_ana,
        mut at_ben,
        ..
    } = circle_on(Engine::start(&UNLIMITED)).await;
    at_ana.writes(&room, "dinner at six").await;
    at_ben.reads(&room, "dinner at six").await;
    let erased = erase(&ana).await;
    assert_eq!(
        (&erased["participations"], &erased["connections"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(at_ana.reads_to_the_close().await.1, 4500);
    let heard = [
        json!({"type": "user-left", "roomId": room}),
        json!({"type": "removed-as-emergency-contact", "roomId": room}),
        json!({"type": "room-left", "roomId": room}),
    ];
    at_ben.expect_in_any_order(heard).await;
    let listed = ben.get("/api/locations/contacts").await.ok(200);
    assert_eq!(listed["locations_by_user"], json!({}));
    let own = ana.get("/api/v1/devices/me").await.data(200);
    assert_eq!(own["counts"]["contacts"], 0);
    assert_eq!(own["counts"]["circles"], 0);
    let mut back = ben.connect().await;
    back.hears_nothing_more().await;
    back.says(json!({"type": "join-room", "roomId": room})).await;
    back.expect(json!({"type": "join-denied", "roomId": room})).await;
}
