//! Incidents that a service moves along, closes, and says the type of.

use reqwest::Method;
use serde_json::json;

use super::{at, burning, sister};

#[tokio::test]
async fn a_move_is_heard_with_who_moved_it() {
    let mut fire = burning().await;
    let sister = sister(&fire.engine);
    let moving = json!({"status": "en_route", "updatedBy": "user-ana", "oldStatus": "active"});
    let state = sister.posts(&at(&fire.sos, "status"), moving).await.data(200);
    assert_eq!(
        (&state["status"], &state["seq"]),
        (&json!("RESPONDING"), &json!(3))
    );
    let heard = json!({
        "type": "sos-status", "roomId": fire.sos, "seq": 3, "status": "RESPONDING", "from": "ACTIVE",
        "clientId": fire.ana_id,
    });
    fire.at_ana.expect(heard).await;
    // Somebody who never was in it moves it, too; others learn a pseudonym of theirs and no id.
    let moving = json!({"status": "ARRIVED", "updatedBy": "user-dora"});
    sister.posts(&at(&fire.sos, "status"), moving).await.data(200);
    let heard = fire
        .at_ana
        .expect(json!({"type": "sos-status", "status": "ARRIVED", "from": "RESPONDING", "clientId": "p-*"}))
        .await;
    assert_ne!(heard["clientId"], fire.ana_id);
    fire.at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn a_service_that_is_out_of_date_is_told_so_and_nothing_moves() {
    let mut fire = burning().await;
    let sister = sister(&fire.engine);
    let path = at(&fire.sos, "status");
    let late = json!({"status": "ARRIVED", "updatedBy": "user-dora", "oldStatus": "RESPONDING"});
    let refused = sister.posts(&path, late).await.refused(409, "CONFLICT");
    assert_eq!(refused["message"], "status is ACTIVE, not RESPONDING");
    let moving = json!({"status": "RESPONDING", "updatedBy": "user-dora"});
    let moved = sister.posts(&path, moving.clone()).await.data(200);
    fire.at_ana
        .expect(json!({"type": "sos-status", "status": "RESPONDING"}))
        .await;
    let back = json!({"status": "ASSIGNED", "updatedBy": "user-dora"});
    let refused = sister.posts(&path, back).await.refused(409, "INVALID_TRANSITION");
    assert_eq!(
        refused["allowed"],
        json!(["ARRIVED", "RESOLVED", "CANCELLED", "CLOSED"])
    );
    // A retry: it is where it should be.
    assert_eq!(sister.posts(&path, moving).await.data(200), moved);
    fire.at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn a_closed_incident_puts_everybody_out_and_stays_closed() {
    let mut fire = burning().await;
    let sister = sister(&fire.engine);
    let path = at(&fire.sos, "close");
    let closed = sister
        .posts(&path, json!({"closedBy": "user-dora"}))
        .await
        .data(200);
    assert_eq!(
        (
            &closed["status"],
            &closed["closedBy"],
            &closed["participantsCount"]
        ),
        (&json!("CLOSED"), &json!("user-dora"), &json!(0))
    );
    fire.at_ana
        .expect(json!({"type": "sos-status", "roomId": fire.sos, "status": "CLOSED", "from": "ACTIVE"}))
        .await;
    fire.at_ana
        .expect(json!({"type": "room-left", "roomId": fire.sos}))
        .await;
    let again = sister
        .posts(&path, json!({"closedBy": "user-eve"}))
        .await
        .data(200);
    assert_eq!(again, closed);
    let moving = json!({"status": "ARRIVED", "updatedBy": "user-dora"});
    sister
        .posts(&at(&fire.sos, "status"), moving)
        .await
        .refused(409, "INVALID_TRANSITION");
    fire.at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn what_it_turns_out_to_be_is_heard_listed_and_logged_and_survives_a_restart() {
    let mut fire = burning().await;
    let mut at_ben = fire.engine.user("Ben").connect().await;
    let here = crate::support::HERE;
    at_ben
        .says(json!({"type": "watch-area", "latitude": here.0, "longitude": here.1, "radiusKm": 5}))
        .await;
    at_ben.expect(json!({"type": "area"})).await;
    let retypes = async |fire: &super::Fire, to: &str| {
        let path = at(&fire.sos, "type");
        let body = Some(json!({"type": to}));
        sister(&fire.engine).asks(Method::PATCH, &path, body).await
    };
    let state = retypes(&fire, "medical").await.data(200);
    assert_eq!((&state["type"], &state["seq"]), (&json!("MEDICAL"), &json!(3)));
    let heard = json!({
        "type": "sos-type", "roomId": fire.sos, "sosId": fire.sos, "seq": 3, "clientId": "system",
        "incidentType": "MEDICAL", "from": "FIRE",
    });
    fire.at_ana.expect(heard).await;
    at_ben
        .expect(json!({"type": "sos-updated", "sosId": fire.sos, "sos": {"type": "MEDICAL"}}))
        .await;
    assert_eq!(retypes(&fire, "MEDICAL").await.data(200), state);
    fire.at_ana.hears_nothing_more().await;

    let log = format!("/api/v1/sos/{}/events?since=2", fire.sos);
    let (log, _) = fire.ana.get(&log).await.page();
    assert_eq!(log.len(), 1);
    assert_eq!(
        (&log[0]["type"], &log[0]["data"]),
        (&json!("type-changed"), &json!({"from": "FIRE", "to": "MEDICAL"}))
    );
    fire.engine.kill9();
    fire.engine.restart();
    for (kind, count) in [("MEDICAL", 1), ("FIRE", 0)] {
        let list = format!("/api/v1/sos?type={kind}&lat={}&lng={}", here.0, here.1);
        let (list, _) = fire.ana.get(&list).await.page();
        assert_eq!(list.len(), count, "{kind}");
    }
    assert_eq!(sister(&fire.engine).state(&fire.sos).await, state);
    let closing = json!({"closedBy": "user-dora"});
    sister(&fire.engine)
        .posts(&at(&fire.sos, "close"), closing)
        .await
        .data(200);
    retypes(&fire, "FIRE").await.refused(409, "SOS_CLOSED");
}
