//! Incidents that a service raises for somebody.

use serde_json::{Value, json};

use super::{at, sister};
use crate::support::{Engine, HERE};

const SOS: &str = "sos-4711";
const INIT: &str = "/internal/realtime/sos/init";

fn body() -> Value {
    json!({
        "sosId": SOS, "citizenId": "user-ana", "type": "medical",
        "location": {"latitude": HERE.0, "longitude": HERE.1, "accuracy": 8},
        "address": {"city": "Manila"},
    })
}

#[tokio::test]
async fn whoever_it_is_for_is_in_it_and_those_near_hear_of_it() {
    let engine = Engine::start(&[]);
    let (mut at_ben, mut at_ana) = (
        engine.user("Ben").connect().await,
        engine.user("Ana").connect().await,
    );
    at_ben
        .says(json!({"type": "watch-area", "latitude": HERE.0, "longitude": HERE.1, "radiusKm": 5}))
        .await;
    at_ben.expect(json!({"type": "area", "sos": []})).await;
    let state = sister(&engine).posts(INIT, body()).await.data(201);
    assert_eq!(
        state,
        json!({
            "sosId": SOS, "citizenId": "user-ana", "type": "MEDICAL", "status": "ACTIVE",
            "createdAt": state["createdAt"], "lastLocationUpdate": null,
            "location": {"latitude": HERE.0, "longitude": HERE.1, "accuracy": 8.0},
            "participants": [{
                "id": state["participants"][0]["id"], "userId": "user-ana", "userType": "CITIZEN",
                "displayName": "Anonymous", "joinedAt": state["createdAt"],
            }],
            "participantsCount": 1, "seq": 2,
        })
    );
    at_ben
        .expect(json!({"type": "sos-created", "sosId": SOS, "sos": {"type": "MEDICAL"}}))
        .await;
    // It is hers: she is in it, and may call it off.
    let joined = at_ana.joins(SOS).await;
    assert_eq!(joined["seq"], 3, "her coming is told, and with it her name");
    let seen = engine
        .user("Cara")
        .get(&format!("/api/v1/sos/{SOS}"))
        .await
        .data(200);
    assert_eq!(seen["activeParticipants"][0]["displayName"], "Ana");
    assert_eq!(joined["participantId"], state["participants"][0]["id"]);
    at_ana.writes(SOS, "I cannot stand up").await;
    let fix =
        json!({"type": "location-update", "roomId": SOS, "latitude": HERE.0 + 0.01, "longitude": HERE.1});
    at_ana.says(fix).await;
    at_ana.expect(json!({"type": "location-update-confirmed"})).await;
    let moved = crate::support::eventually("where she is", async || {
        let state = sister(&engine).state(SOS).await;
        (!state["lastLocationUpdate"].is_null()).then_some(state)
    })
    .await;
    assert_eq!(moved["location"]["latitude"], HERE.0 + 0.01);
    let cancel = format!("/api/v1/sos/{SOS}/cancel");
    let own = engine.user("Ana").post(&cancel, json!({})).await.data(200);
    assert_eq!(own["address"]["city"], "Manila");
    let state = sister(&engine).state(SOS).await;
    assert_eq!(
        (&state["status"], &state["closedBy"], &state["participants"]),
        (&json!("CANCELLED"), &json!("user-ana"), &json!([]))
    );
    assert!(state["closedAt"].is_string());
}

#[tokio::test]
async fn told_again_it_is_the_same_one_as_it_stands_by_now_also_after_a_restart() {
    let mut engine = Engine::start(&[]);
    sister(&engine).posts(INIT, body()).await.data(201);
    let moving = json!({"status": "RESPONDING", "updatedBy": "user-ben"});
    sister(&engine).posts(&at(SOS, "status"), moving).await.data(200);
    let stands = sister(&engine).state(SOS).await;
    assert_eq!(stands["seq"], 3);
    let mut other = body();
    (other["type"], other["location"]) = (json!("FIRE"), json!(null));
    assert_eq!(sister(&engine).posts(INIT, other).await.data(201), stands);
    engine.kill9();
    engine.restart();
    assert_eq!(sister(&engine).posts(INIT, body()).await.data(201), stands);
    // By the name that others know her by.
    let mut by_participant = body();
    by_participant["citizenId"] = stands["participants"][0]["id"].clone();
    assert_eq!(
        sister(&engine).posts(INIT, by_participant).await.data(201),
        stands
    );
    let closing = json!({"closedBy": "user-dora"});
    let closed = sister(&engine).posts(&at(SOS, "close"), closing).await.data(200);
    assert_eq!(sister(&engine).posts(INIT, body()).await.data(201), closed);
}

#[tokio::test]
async fn somebody_elses_incident_and_another_room_are_conflicts() {
    let engine = Engine::start(&[]);
    sister(&engine).posts(INIT, body()).await.data(201);
    let mut other = body();
    other["citizenId"] = json!("user-eve");
    let refused = sister(&engine).posts(INIT, other).await.refused(409, "CONFLICT");
    assert_eq!(refused["message"], "There is such an SOS with another citizenId");
    let mut at_ana = engine.user("Ana").connect().await;
    at_ana.creates("ana-circle").await;
    let mut taken = body();
    taken["sosId"] = json!("ana-circle");
    let refused = sister(&engine).posts(INIT, taken).await.refused(409, "CONFLICT");
    assert_eq!(refused["message"], "sosId is taken by another room");
    at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn an_address_for_a_person_is_what_the_incident_says() {
    let engine = Engine::start(&[]);
    let least = json!({"sosId": SOS, "citizenId": "user-ana", "address": "12 Rizal Street"});
    let state = sister(&engine).posts(INIT, least).await.data(201);
    assert_eq!(
        (&state["type"], &state["location"]),
        (&json!("OTHER"), &json!(null))
    );
    let seen = engine
        .user("Ben")
        .get(&format!("/api/v1/sos/{SOS}"))
        .await
        .data(200);
    assert_eq!(seen["message"], "12 Rizal Street");
    // A stranger sees a pseudonym, and no id.
    assert!(!seen.to_string().contains("user-ana"), "{seen}");
}

#[tokio::test]
async fn somebody_who_is_blocked_is_helped_out_of_sight() {
    let engine = Engine::start(&[]);
    let (ana, staff) = (engine.user("Ana"), engine.user("Dora").role("DISPATCHER"));
    let before = ana.raises(crate::support::fire()).await;
    let creator = staff.get(&format!("/api/v1/sos/{before}")).await.data(200)["creatorId"].clone();
    let block = format!("/api/v1/devices/{}/block", creator.as_str().unwrap());
    staff.post(&block, json!({})).await.data(201);
    sister(&engine).posts(INIT, body()).await.data(201);
    let path = format!("/api/v1/sos/{SOS}");
    assert_eq!(staff.get(&path).await.data(200)["visibility"], "RESTRICTED");
    engine.user("Ben").get(&path).await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn open_incidents_are_found_near_where_they_were_raised_until_they_end() {
    let engine = Engine::start(&[]);
    let sister = sister(&engine);
    for (sos, north) in [("far", 0.1), ("near", 0.01), ("here", 0.0)] {
        let mut body = body();
        body["sosId"] = json!(sos);
        body["location"] = json!({"latitude": HERE.0 + north, "longitude": HERE.1});
        sister.posts(INIT, body).await.data(201);
    }
    let hidden = crate::support::fire_with(json!({"silent": true}));
    let hidden = engine.user("Eve").raises(hidden).await;
    let near = async |km: f64| -> Vec<Value> {
        let path = format!(
            "/internal/realtime/sos/nearby?latitude={}&longitude={}&radius={km}",
            HERE.0, HERE.1
        );
        sister.gets(&path).await.data(200).as_array().unwrap().clone()
    };
    let names = |found: &[Value]| -> Vec<String> {
        found
            .iter()
            .map(|one| one["sosId"].as_str().unwrap().to_owned())
            .collect()
    };
    let found = near(5.0).await;
    assert_eq!(names(&found), ["here", &hidden, "near"]);
    assert_eq!(
        (&found[2]["citizenId"], &found[2]["status"]),
        (&json!("user-ana"), &json!("ACTIVE"))
    );
    let distance = found[2]["distanceM"].as_f64().unwrap();
    assert!((1_100.0..1_120.0).contains(&distance), "{distance}");
    assert_eq!(near(20.0).await.len(), 4);
    let closing = json!({"closedBy": "user-dora"});
    sister.posts(&at("here", "close"), closing).await.data(200);
    assert_eq!(names(&near(5.0).await), [hidden.as_str(), "near"]);
}
