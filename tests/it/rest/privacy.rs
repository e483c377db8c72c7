//! Others learn a participant id and a name, and nothing else: no device id, no user id, no number. Neither
//! do the logs.

use serde_json::json;

use crate::support::{ANA, BEN, Engine, HERE, Heard, SECRET_WORDS, fire, now_ms};

#[tokio::test]
async fn others_learn_a_pseudonym_and_the_logs_learn_nothing() {
    let engine = Engine::start(&[("log.filter", "trace"), ("log.format", "json")]);
    let device = engine.device();
    let ana = engine.user("Ana").phone(ANA).claim("email", "ana@example.org");
    let sos = device.raises(fire()).await;

    // A stranger watches everything that can be seen of it.
    let sam = engine.user("Sam");
    let mut seen = String::new();
    let mut at_sam = sam.connect().await;
    seen += &at_sam.joins(&sos).await.to_string();
    let mut at_device = device.connect().await;
    at_device.joins(&sos).await;
    let mut at_ana = ana.connect().await;
    at_ana.joins(&sos).await;
    at_device
        .says(json!({"type": "room-message", "roomId": sos, "content": "help"}))
        .await;
    at_device
        .says(json!({"type": "location-update", "roomId": sos, "latitude": HERE.0, "longitude": HERE.1}))
        .await;
    at_ana
        .says(json!({"type": "room-message", "roomId": sos, "content": "coming"}))
        .await;
    at_sam.says(json!({"type": "get_users", "roomId": sos})).await;
    at_sam
        .says(json!({"type": "get-history", "roomId": sos, "since": 0}))
        .await;
    let (mut said, mut listed, mut history) = (0, false, false);
    while said < 2 || !listed || !history {
        let Heard::Message(message) = at_sam.hears().await else {
            panic!("the connection ended")
        };
        said += i32::from(message["type"] == "room-message");
        listed |= message["type"] == "room-users";
        history |= message["type"] == "history";
        seen += &message.to_string();
    }
    let fix = json!({"latitude": HERE.0, "longitude": HERE.1, "timestamp": now_ms()});
    ana.post(&format!("/api/v1/sos/{sos}/location"), fix)
        .await
        .data(200);
    let everything = [
        "",
        "/messages",
        "/events",
        "/locations",
        "/participants/active",
        "/participants/history",
    ];
    for path in everything {
        seen += &sam.get(&format!("/api/v1/sos/{sos}{path}")).await.text;
    }
    seen += &sam.get("/api/v1/sos").await.text;

    let device_id = device.device_id();
    let plain = device_id.replace('-', "");
    for secret in [
        device_id,
        &plain,
        "user-ana",
        ANA,
        "9171234501",
        "ana@example.org",
    ] {
        assert!(!seen.contains(secret), "{secret} was told to a stranger:\n{seen}");
    }
    assert!(seen.contains("help") && seen.contains("coming") && seen.contains("\"p-"));

    // The same person is somebody else in another incident.
    let other = device.raises(fire()).await;
    let creator = |sos: String| async move {
        sam.get(&format!("/api/v1/sos/{sos}")).await.data(200)["creatorId"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_ne!(creator.clone()(sos).await, creator(other).await);

    let log = engine.log();
    assert!(log.contains("request"), "the log is empty");
    for secret in [
        device_id,
        &plain,
        "user-ana",
        ANA,
        "9171234501",
        "ana@example.org",
        &ana.token(),
    ] {
        assert!(
            !log.contains(secret),
            "{secret} stands in the log: {}",
            line_with(&log, secret)
        );
    }
    for secret in SECRET_WORDS {
        assert!(
            !log.contains(secret),
            "a secret stands in the log: {}",
            line_with(&log, secret)
        );
    }
}

#[tokio::test]
async fn tickets_tokens_and_contacts_never_reach_the_log() {
    let engine = Engine::start(&[("log.filter", "trace")]);
    let ana = engine.user("Ana").phone(ANA);
    ana.trusts(&[("Benedikt", BEN)]).await;
    let ticket = ana.post("/api/v1/tickets", json!({})).await.data(201);
    let ticket = ticket["ticket"].as_str().unwrap();
    let mut at_ana = engine
        .nobody()
        .try_open(&format!("/api/ws?ticket={ticket}"))
        .await
        .unwrap();
    at_ana.expect(json!({"type": "connected"})).await;
    at_ana.creates("ana-circle").await;
    let device = engine.device();
    let path = format!("/api/ws?deviceId={}", device.device_id());
    let mut at_device = engine.nobody().try_open(&path).await.unwrap();
    at_device.expect(json!({"type": "connected"})).await;
    let bad = "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0LWNsYWltcw.c2lnbmF0dXJl";
    engine
        .nobody()
        .get(&format!("/api/v1/sos?token={bad}"))
        .await
        .ok(200);
    engine.bearer(bad).get("/api/v1/sos").await.ok(401);
    let pin = "pin-4711-secret";
    let sos = ana.raises(fire()).await;
    ana.post(&format!("/api/v1/sos/{sos}/cancel"), json!({"pin": pin}))
        .await
        .data(200);
    ana.put(
        "/api/contacts",
        json!({"emergency_contacts": [{"name": "X", "phone_no": "+63917555"}]}),
    )
    .await
    .ok(400);

    let log = engine.log();
    let token = ana.token();
    for secret in [
        ticket,
        device.device_id(),
        bad,
        pin,
        ANA,
        BEN,
        "Benedikt",
        "+63917555",
        &token,
    ] {
        assert!(
            !log.contains(secret),
            "{secret} stands in the log: {}",
            line_with(&log, secret)
        );
    }
    for secret in SECRET_WORDS {
        assert!(
            !log.contains(secret),
            "a secret stands in the log: {}",
            line_with(&log, secret)
        );
    }
}

fn line_with<'a>(log: &'a str, secret: &str) -> &'a str {
    log.lines().find(|line| line.contains(secret)).unwrap_or_default()
}
