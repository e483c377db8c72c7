//! A rescuer without an account, sent to one incident by a token: there and nowhere else, as far as it allows.

use serde_json::{Value, json};

use crate::support::{ANA, Engine, HERE, fire, fire_with, now_s, sign};

/// The token of a rescuer who was sent to `sos`.
fn sent_to(sos: &str, scopes: &Value) -> String {
    sign(&json!({
        "identity": {"userId": "rescuer-9", "role": "RESCUER"}, "actor": {"type": "ANON", "cityCode": "MNL"},
        "mission": {"sosId": sos, "rescuerMissionId": "m-1", "scopes": scopes}, "exp": now_s() + 3600,
    }))
}

fn position() -> Value {
    json!({"latitude": HERE.0, "longitude": HERE.1, "timestamp": now_s()})
}

#[tokio::test]
async fn a_mission_acts_in_its_incident_and_nowhere_else() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana").phone(ANA);
    let hidden = fire_with(json!({"visibility": "RESTRICTED"}));
    let (sos, other, secret) = (
        ana.raises(hidden.clone()).await,
        ana.raises(fire()).await,
        ana.raises(hidden).await,
    );
    let rescuer = engine.bearer(&sent_to(&sos, &Value::Null));
    let at = |sos: &str, part: &str| format!("/api/v1/sos/{sos}{part}");
    let join = json!({"userType": "ANON_RESCUER", "displayName": "Rescue 9"});

    // In theirs: everything that is done there.
    rescuer.get(&at(&sos, "")).await.data(200);
    rescuer.get(&at(&sos, "/events")).await.page();
    rescuer
        .post(&at(&sos, "/participants/join"), join.clone())
        .await
        .data(201);
    rescuer.post(&at(&sos, "/location"), position()).await.data(200);
    rescuer
        .post(&at(&sos, "/messages"), json!({"content": "On my way"}))
        .await
        .data(201);
    rescuer
        .patch(&at(&sos, "/status"), json!({"status": "RESPONDING"}))
        .await
        .data(200);

    // In another that anybody sees: looking. In one that is hidden: not even that.
    rescuer.get(&at(&other, "")).await.data(200);
    rescuer.get(&at(&secret, "")).await.refused(404, "NOT_FOUND");
    for (sos, status, code) in [(&other, 403, "FORBIDDEN"), (&secret, 404, "NOT_FOUND")] {
        rescuer.get(&at(sos, "/events")).await.refused(status, code);
        rescuer
            .post(&at(sos, "/participants/join"), join.clone())
            .await
            .refused(status, code);
        rescuer
            .post(&at(sos, "/messages"), json!({"content": "Hello"}))
            .await
            .refused(status, code);
        rescuer
            .patch(&at(sos, "/status"), json!({"status": "ARRIVED"}))
            .await
            .refused(status, code);
        let upload = rescuer.post(&at(sos, "/location"), position()).await;
        assert!([403, 404].contains(&upload.status), "{upload:?}");
    }
    rescuer
        .post("/api/v1/sos", fire())
        .await
        .refused(403, "FORBIDDEN");
    assert_eq!(rescuer.get("/api/contacts").await.status, 403);
    let mut upload = position();
    upload["roomId"] = json!(other);
    assert_eq!(rescuer.post("/api/location", upload).await.status, 403);
}

#[tokio::test]
async fn a_missions_socket_is_confined_too_however_it_was_opened() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let (sos, other) = (ana.raises(fire()).await, ana.raises(fire()).await);
    let rescuer = engine.bearer(&sent_to(&sos, &Value::Null));
    let ticket = rescuer.post("/api/v1/tickets", json!({})).await.data(201);
    let path = format!("/api/ws?ticket={}", ticket["ticket"].as_str().unwrap());
    let mut by_ticket = engine.nobody().try_open(&path).await.unwrap();
    by_ticket.expect(json!({"type": "connected"})).await;
    let mut client = rescuer.connect().await;
    for client in [&mut client, &mut by_ticket] {
        client.says(json!({"type": "join-room", "roomId": other})).await;
        client
            .expect(json!({"type": "join-denied", "roomId": other}))
            .await;
        client
            .says(json!({"type": "create-room", "roomId": "mine"}))
            .await;
        client.expect(json!({"type": "error"})).await;
        client.says(json!({"type": "emergency-sos"})).await;
        client.expect_error("FORBIDDEN").await;
        client
            .says(json!({"type": "get-history", "roomId": other, "since": 0}))
            .await;
        client.expect_error("NOT_IN_ROOM").await;
        client
            .says(json!({"type": "location-update", "roomId": other, "latitude": 1, "longitude": 1}))
            .await;
        client.expect_error("NOT_IN_ROOM").await;
    }
    client.joins(&sos).await;
    client.writes(&sos, "On my way").await;
}

#[tokio::test]
async fn the_device_behind_a_mission_keeps_its_other_rooms_to_itself() {
    let engine = Engine::start(&[]);
    let device = engine.device();
    let own = device.raises(fire()).await;
    device
        .post(&format!("/api/v1/sos/{own}/location"), position())
        .await
        .data(200);
    let sos = engine.user("Ana").raises(fire()).await;
    let claims = json!({"deviceId": device.device_id(), "role": "ANON", "sosId": sos, "exp": now_s() + 3600});
    let bound = engine.bearer(&sign(&claims));
    let mine = device.get("/api/locations").await.ok(200);
    assert_eq!(mine["locations"].as_array().unwrap().len(), 1);
    let theirs = bound.get("/api/locations").await.ok(200);
    assert_eq!(theirs["locations"], json!([]));
    let rooms = bound.get("/api/rooms-info").await.ok(200);
    assert_eq!(rooms["rooms"], json!([]));
    let client = bound.connect().await;
    assert_eq!(client.greeting["roomIds"], json!([]));
}

#[tokio::test]
async fn scopes_restrict_what_is_done_and_not_being_there() {
    let engine = Engine::start(&[]);
    let sos = engine.user("Ana").raises(fire()).await;
    let at = |part: &str| format!("/api/v1/sos/{sos}{part}");
    let status = json!({"status": "RESPONDING"});
    for scopes in [json!(["messages:write", "not-known"]), json!("messages:write")] {
        let rescuer = engine.bearer(&sent_to(&sos, &scopes));
        rescuer.get(&at("/events")).await.page();
        let join = json!({"userType": "ANON_RESCUER"});
        let joined = rescuer.post(&at("/participants/join"), join).await;
        assert!([201, 409].contains(&joined.status));
        rescuer
            .post(&at("/messages"), json!({"content": "Here"}))
            .await
            .data(201);
        let refused = rescuer
            .patch(&at("/status"), status.clone())
            .await
            .refused(403, "FORBIDDEN");
        assert_eq!(
            refused["message"],
            "The credential lacks the scope incidents:write"
        );
        let refused = rescuer
            .post(&at("/location"), position())
            .await
            .refused(403, "FORBIDDEN");
        assert_eq!(
            refused["message"],
            "The credential lacks the scope positions:write"
        );
        let mut client = rescuer.connect().await;
        client.joins(&sos).await;
        client
            .says(json!({"type": "location-update", "latitude": HERE.0, "longitude": HERE.1}))
            .await;
        client.expect_error("FORBIDDEN").await;
        client.writes(&sos, "Still here").await;
        client.leaves().await;
    }
    // One that names no scopes is not restricted.
    let free = engine.bearer(&sent_to(&sos, &Value::Null));
    free.patch(&at("/status"), status).await.data(200);
}
