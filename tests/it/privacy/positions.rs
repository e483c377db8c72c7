//! Where somebody is, is for those who are in with them, and only as long as it goes on.

use serde_json::{Value, json};

use crate::support::{Client, Engine, HERE, Person, UNLIMITED, eventually, fire, now_ms};

fn fix(north: f64) -> Value {
    json!({"latitude": HERE.0 + north, "longitude": HERE.1, "timestamp": now_ms()})
}

async fn uploads(who: &Person, sos: &str, north: f64) {
    who.post(&format!("/api/v1/sos/{sos}/location"), fix(north))
        .await
        .data(200);
}

async fn joins(who: &Person, sos: &str) -> String {
    let body = json!({"userType": "CITIZEN"});
    let path = format!("/api/v1/sos/{sos}/participants/join");
    let joined = who.post(&path, body).await.data(201);
    joined["id"].as_str().unwrap().to_owned()
}

async fn leaves(who: &Person, sos: &str) {
    let path = format!("/api/v1/sos/{sos}/participants/leave");
    who.post(&path, json!({})).await.data(200);
}

async fn last(who: &Person, sos: &str) -> Value {
    who.get(&format!("/api/v1/sos/{sos}")).await.data(200)["lastLocation"].clone()
}

/// Until the engine shows what was uploaded.
async fn until_shown(who: &Person, sos: &str, north: f64) {
    eventually("the position is shown", || async {
        (last(who, sos).await["latitude"] == HERE.0 + north).then_some(())
    })
    .await;
}

/// Says something over this socket so that what was sent before has been heard, and answers what that was.
async fn heard_positions(client: &mut Client) -> Vec<Value> {
    client.says(json!({"type": "ping"})).await;
    let mut positions = Vec::new();
    loop {
        let crate::support::Heard::Message(message) = client.hears().await else {
            panic!("the connection ended")
        };
        match message["type"].as_str() {
            Some("pong") => return positions,
            Some("location-update") => positions.push(message["data"]["latitude"].clone()),
            _ => {}
        }
    }
}

#[tokio::test]
async fn whoever_leaves_sees_no_more_and_is_seen_no_more() {
    let engine = Engine::start(&UNLIMITED);
    let (ana, ben, cara) = (engine.user("Ana"), engine.user("Ben"), engine.user("Cara"));
    let dora = engine.user("Dora").role("DISPATCHER");
    let sos = ana.raises(fire()).await;
    let list = format!("/api/v1/sos/{sos}/locations");
    let ben_id = joins(&ben, &sos).await;
    // Each subject's positions go a way of their own: only what is shown is known to have arrived.
    uploads(&ana, &sos, 0.001).await;
    until_shown(&ana, &sos, 0.001).await;
    uploads(&ben, &sos, 0.002).await;
    until_shown(&ana, &sos, 0.002).await;
    // Strangers look at the incident, not at people.
    assert_eq!(last(&cara, &sos).await, Value::Null);
    cara.get(&list).await.refused(403, "FORBIDDEN");
    assert_eq!(ben.get(&list).await.page().0.len(), 2);

    let mut at_ben = ben.connect().await;
    at_ben.joins(&sos).await;
    // They follow the approval when they are found.
    let shown = |north: f64| json!({"type": "location-update", "data": {"latitude": HERE.0 + north}});
    at_ben.expect(shown(0.001)).await;
    assert_eq!(heard_positions(&mut at_ben).await, Vec::<Value>::new());
    leaves(&ben, &sos).await;
    uploads(&ana, &sos, 0.003).await;
    until_shown(&ana, &sos, 0.003).await;
    assert_eq!(heard_positions(&mut at_ben).await, Vec::<Value>::new());
    assert_eq!(last(&ben, &sos).await, Value::Null);
    ben.get(&list).await.refused(403, "FORBIDDEN");
    // The log he may read on.
    ben.get(&format!("/api/v1/sos/{sos}/events")).await.ok(200);

    // A newcomer is told of those who are in, and operators of everybody.
    let mut at_cara = cara.connect().await;
    at_cara.joins(&sos).await;
    at_cara.expect(shown(0.003)).await;
    assert_eq!(heard_positions(&mut at_cara).await, Vec::<Value>::new());
    let (seen, _) = cara.get(&list).await.page();
    assert!(
        seen.iter().all(|fix| fix["participantId"] != ben_id.as_str()),
        "{seen:?}"
    );
    assert!(!seen.is_empty());
    let of_ben = format!("{list}?subject={ben_id}");
    assert_eq!(cara.get(&of_ben).await.page().0, Vec::<Value>::new());
    assert_eq!(dora.get(&of_ben).await.page().0.len(), 1);
    // Ben's own are his.
    let own = ben.get("/api/locations").await.ok(200);
    assert_eq!(own["locations"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn when_it_is_over_only_operators_look_back() {
    let engine = Engine::start(&UNLIMITED);
    let (ana, ben) = (engine.user("Ana"), engine.user("Ben"));
    let dora = engine.user("Dora").role("DISPATCHER");
    let sos = ana.raises(fire()).await;
    let list = format!("/api/v1/sos/{sos}/locations");
    joins(&ben, &sos).await;
    uploads(&ana, &sos, 0.001).await;
    until_shown(&ben, &sos, 0.001).await;
    ana.patch(
        &format!("/api/v1/sos/{sos}/status"),
        json!({"status": "RESOLVED"}),
    )
    .await
    .data(200);
    for who in [&ana, &ben] {
        assert_eq!(last(who, &sos).await, Value::Null);
        who.get(&list).await.refused(403, "FORBIDDEN");
        who.get(&format!("/api/v1/sos/{sos}/events")).await.ok(200);
    }
    assert_eq!(last(&dora, &sos).await, Value::Null, "nobody is anywhere now");
    assert_eq!(dora.get(&list).await.page().0.len(), 1);
    ana.post(&format!("/api/v1/sos/{sos}/location"), fix(0.002))
        .await
        .refused(409, "SOS_CLOSED");
}

#[tokio::test]
async fn an_old_position_is_not_shown_as_the_present_one() {
    let mut settings = UNLIMITED.to_vec();
    settings.push(("locations.stale_after_s", "1"));
    let engine = Engine::start(&settings);
    let (ana, ben) = (engine.user("Ana"), engine.user("Ben"));
    let sos = ana.raises(fire()).await;
    uploads(&ana, &sos, 0.001).await;
    eventually("it grows old", || async {
        (last(&ana, &sos).await == Value::Null).then_some(())
    })
    .await;
    let mut at_ben = ben.connect().await;
    at_ben.joins(&sos).await;
    assert_eq!(heard_positions(&mut at_ben).await, Vec::<Value>::new());
    let history = ben.get(&format!("/api/v1/sos/{sos}/locations")).await.page().0;
    assert_eq!(history.len(), 1, "history has it");
    uploads(&ana, &sos, 0.002).await;
    at_ben
        .expect(json!({"type": "location-update", "data": {"latitude": HERE.0 + 0.002}}))
        .await;
}
