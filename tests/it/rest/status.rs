//! An incident moves along its states.

use serde_json::{Value, json};

use crate::support::{Engine, Person, fire};

async fn moves(person: &Person, sos: &str, status: &str) -> crate::support::http::Answer {
    person
        .patch(&format!("/api/v1/sos/{sos}/status"), json!({"status": status}))
        .await
}

#[tokio::test]
async fn an_incident_moves_forwards_step_by_step_or_in_leaps() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let sos = ana.raises(fire()).await;
    for (said, shown) in [
        ("assigned", "ASSIGNED"),
        ("En_Route", "RESPONDING"),
        ("ARRIVED", "ARRIVED"),
        ("completed", "RESOLVED"),
    ] {
        assert_eq!(moves(&ana, &sos, said).await.data(200)["status"], shown);
    }
    let other = ana.raises(fire()).await;
    let body = json!({"status": "IN_PROGRESS", "note": "two streets away"});
    let answer = ana.patch(&format!("/api/v1/sos/{other}/status"), body).await;
    assert_eq!(answer.data(200)["status"], "RESPONDING");
    let (events, _) = ana.get(&format!("/api/v1/sos/{other}/events")).await.page();
    let change = events
        .iter()
        .find(|event| event["type"] == "status-changed")
        .unwrap();
    assert_eq!(
        change["data"],
        json!({"from": "ACTIVE", "to": "RESPONDING", "note": "two streets away"})
    );
}

#[tokio::test]
async fn a_move_that_is_not_allowed_names_those_that_are() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let sos = ana.raises(fire()).await;
    moves(&ana, &sos, "ARRIVED").await.data(200);
    for back in ["ACTIVE", "ASSIGNED", "RESPONDING", "ARRIVED"] {
        let refused = moves(&ana, &sos, back).await.refused(409, "INVALID_TRANSITION");
        assert_eq!(
            refused["allowed"],
            json!(["RESOLVED", "CANCELLED", "CLOSED"]),
            "{back}"
        );
    }
    moves(&ana, &sos, "RESOLVED").await.data(200);
    let refused = moves(&ana, &sos, "ACTIVE")
        .await
        .refused(409, "INVALID_TRANSITION");
    assert_eq!(refused["allowed"], json!(["CLOSED"]));
    let refused = ana.post(&format!("/api/v1/sos/{sos}/cancel"), json!({})).await;
    refused.refused(409, "INVALID_TRANSITION");
}

#[tokio::test]
async fn a_state_that_is_none_is_refused() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let sos = ana.raises(fire()).await;
    for body in [
        json!({}),
        json!({"status": "DONE"}),
        json!({"status": 4}),
        json!({"status": null}),
    ] {
        ana.patch(&format!("/api/v1/sos/{sos}/status"), body)
            .await
            .names_fields(&["status"]);
    }
    let unknown = "0".repeat(32);
    moves(&ana, &unknown, "RESOLVED").await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn an_incident_is_cancelled_by_its_creator_or_staff() {
    let engine = Engine::start(&[]);
    let (ana, sam) = (engine.user("Ana"), engine.user("Sam"));
    let cancel = |sos: &str| format!("/api/v1/sos/{sos}/cancel");
    let sos = ana.raises(fire()).await;
    sam.post(&cancel(&sos), json!({})).await.refused(403, "FORBIDDEN");
    let cancelled = ana
        .post(&cancel(&sos), json!({"reason": "false alarm"}))
        .await
        .data(200);
    assert_eq!(cancelled["status"], "CANCELLED");
    assert!(cancelled["endedAt"].is_string());
    let sos = ana.raises(fire()).await;
    let dora = engine.user("Dora").role("DISPATCHER");
    assert_eq!(
        dora.post(&cancel(&sos), json!({})).await.data(200)["status"],
        "CANCELLED"
    );
    let sos = ana.raises(fire()).await;
    // Without any body, too.
    let bare = ana.request(reqwest::Method::POST, &cancel(&sos)).send().await;
    assert_eq!(bare.data(200)["status"], "CANCELLED");
}

#[tokio::test]
async fn an_incident_is_closed_by_staff_only_and_from_any_state() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let dora = engine.user("Dora").role("ADMIN");
    for first in [None, Some("RESPONDING"), Some("RESOLVED"), Some("CANCELLED")] {
        let sos = ana.raises(fire()).await;
        if let Some(first) = first {
            moves(&ana, &sos, first).await.data(200);
        }
        let close = format!("/api/v1/sos/{sos}/close");
        ana.post(&close, json!({})).await.refused(403, "FORBIDDEN");
        moves(&ana, &sos, "CLOSED").await.refused(403, "FORBIDDEN");
        let closed = dora
            .post(&close, json!({"resolution": "put out"}))
            .await
            .data(200);
        assert_eq!(closed["status"], "CLOSED", "from {first:?}");
        let again = dora
            .post(&close, json!({}))
            .await
            .refused(409, "INVALID_TRANSITION");
        assert_eq!(again["allowed"], json!([]));
    }
}

#[tokio::test]
async fn strangers_do_not_move_an_incident_and_rescuers_in_it_do() {
    let engine = Engine::start(&[]);
    let (ana, rosa) = (engine.user("Ana"), engine.user("Rosa").role("RESCUER"));
    let sos = ana.raises(fire()).await;
    moves(&engine.user("Sam"), &sos, "RESPONDING")
        .await
        .refused(403, "FORBIDDEN");
    moves(&rosa, &sos, "RESPONDING").await.refused(403, "FORBIDDEN");
    let join = json!({"userType": "RESCUER"});
    rosa.post(&format!("/api/v1/sos/{sos}/participants/join"), join)
        .await
        .data(201);
    moves(&rosa, &sos, "RESPONDING").await.data(200);
    moves(&rosa, &sos, "CANCELLED").await.refused(403, "FORBIDDEN");
    moves(&rosa, &sos, "RESOLVED").await.data(200);
}

#[tokio::test]
async fn those_in_an_incident_hear_how_it_goes() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let sos = ana.raises(fire()).await;
    let mut at_ana = ana.connect().await;
    at_ana.joins(&sos).await;
    moves(&ana, &sos, "RESPONDING").await.data(200);
    let status = |status: &str, from: &str| -> Value {
        json!({"type": "sos-status", "roomId": sos, "status": status, "from": from})
    };
    at_ana.expect(status("RESPONDING", "ACTIVE")).await;
    moves(&ana, &sos, "RESOLVED").await.data(200);
    at_ana.expect(status("RESOLVED", "RESPONDING")).await;
    at_ana.expect(json!({"type": "room-left", "roomId": sos})).await;
    at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn a_stranger_who_came_to_help_does_not_move_it_and_a_rescuer_does() {
    let engine = Engine::start(&[]);
    let (ana, stranger) = (engine.user("Ana"), engine.device());
    let rosa = engine.user("Rosa").role("RESCUER");
    let sos = ana.raises(fire()).await;
    for (person, kind) in [(&stranger, "ANON_RESCUER"), (&rosa, "RESCUER")] {
        person
            .post(
                &format!("/api/v1/sos/{sos}/participants/join"),
                json!({"userType": kind}),
            )
            .await
            .data(201);
    }
    let status = format!("/api/v1/sos/{sos}/status");
    for to in [
        "ASSIGNED",
        "RESPONDING",
        "ARRIVED",
        "RESOLVED",
        "CANCELLED",
        "CLOSED",
    ] {
        stranger
            .patch(&status, json!({"status": to}))
            .await
            .refused(403, "FORBIDDEN");
    }
    let read = ana.get(&format!("/api/v1/sos/{sos}")).await.data(200);
    assert_eq!(read["status"], "ACTIVE");
    for to in ["ASSIGNED", "RESPONDING", "ARRIVED", "RESOLVED"] {
        let moved = rosa.patch(&status, json!({"status": to})).await.data(200);
        assert_eq!(moved["status"], to);
    }
}
