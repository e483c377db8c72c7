//! Staff keep somebody out: at once, everywhere, and for as long as they say.

use serde_json::json;

use super::reports::{creator, join};
use super::{metric, until_metric};
use crate::support::{Engine, fire, now_ms, now_s};

#[tokio::test]
async fn a_block_closes_open_sockets_at_once_and_keeps_them_out() {
    let engine = Engine::start(&[]);
    let (ana, rude) = (engine.device(), engine.device());
    let staff = engine.user("Dina").role("DISPATCHER");
    let sos = ana.raises(fire()).await;
    let rude_id = join(&rude, &sos, "ANON_RESCUER").await;
    let (mut at_ana, mut at_rude, mut elsewhere) =
        (ana.connect().await, rude.connect().await, rude.connect().await);
    at_ana.joins(&sos).await;
    at_rude.joins(&sos).await;
    at_ana
        .expect(json!({"type": "user-joined", "clientId": rude_id}))
        .await;
    let ticket = rude.post("/api/v1/tickets", json!({})).await.data(201);

    let path = format!("/api/v1/devices/{rude_id}/block");
    let block = staff
        .post(&path, json!({"reason": "threatens people"}))
        .await
        .data(201);
    assert_eq!(block["participantId"], json!(rude_id));
    assert_eq!((&block["blocked"], &block["until"]), (&json!(true), &json!(null)));
    assert_eq!(block["reason"], "threatens people");
    // Their sockets, in the incident and not, are closed; the others see them go.
    let (_, code, _) = at_rude.reads_to_the_close().await;
    assert_eq!(code, 4003);
    elsewhere.expect_close(4003).await;
    // Perhaps twice: that they are offline, and that they are out, which is in the log.
    while at_ana
        .expect(json!({"type": "user-left", "clientId": rude_id}))
        .await["seq"]
        .is_null()
    {}
    let active = ana
        .get(&format!("/api/v1/sos/{sos}/participants/active"))
        .await
        .page()
        .0;
    assert_eq!(active.len(), 1, "{active:?}");

    // From here on nothing of theirs is served, by any way in.
    let fix = json!({"latitude": 14.5, "longitude": 120.9, "timestamp": now_ms()});
    rude.get("/api/v1/sos").await.refused(403, "BLOCKED");
    rude.get(&format!("/api/v1/sos/{sos}"))
        .await
        .refused(403, "BLOCKED");
    rude.post(&format!("/api/v1/sos/{sos}/location"), fix.clone())
        .await
        .refused(403, "BLOCKED");
    assert_eq!(rude.post("/api/location", fix).await.status, 403);
    let message = json!({"content": "you will see"});
    rude.post(&format!("/api/v1/sos/{sos}/messages"), message)
        .await
        .refused(403, "BLOCKED");
    rude.post("/api/v1/tickets", json!({}))
        .await
        .refused(403, "BLOCKED");
    let refused = rude.try_open("/api/ws").await.map(drop).unwrap_err();
    assert_eq!((refused.status, &refused.body["code"]), (403, &json!("BLOCKED")));
    let path = format!("/api/ws?ticket={}", ticket["ticket"].as_str().unwrap());
    let refused = engine.nobody().try_open(&path).await.map(drop).unwrap_err();
    assert_eq!((refused.status, &refused.body["code"]), (403, &json!("BLOCKED")));
    assert!(metric(&engine, "mayday_refused_total{reason=\"blocked\"}").await >= 7);
    assert_eq!(metric(&engine, "mayday_blocked").await, 1);
    // Nobody else is concerned.
    ana.get("/api/v1/sos").await.ok(200);
    at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn a_block_survives_a_crash_and_the_erasure_of_the_device_and_can_be_lifted() {
    let mut engine = Engine::start(&[]);
    let (ana, rude) = (engine.device(), engine.device());
    let staff = engine.user("Ada").role("ADMIN");
    let sos = ana.raises(fire()).await;
    let rude_id = join(&rude, &sos, "ANON_RESCUER").await;
    let path = format!("/api/v1/devices/{rude_id}/block");
    staff.post(&path, json!({})).await.data(201);
    engine.kill9();
    engine.restart();
    rude.get("/api/v1/sos").await.refused(403, "BLOCKED");
    // The list tells who made it, and neither the device's id nor what it is recognised by.
    let (blocks, _) = staff.get("/api/v1/blocks").await.page();
    assert_eq!(blocks.len(), 1);
    assert_eq!(
        (&blocks[0]["participantId"], &blocks[0]["blocked"]),
        (&json!(rude_id), &json!(true))
    );
    assert!(!blocks[0].to_string().contains(rude.device_id()));
    // Lifted, they are served again; who was put out of an incident stays out of that one.
    let lifted = staff
        .request(reqwest::Method::DELETE, &path)
        .send()
        .await
        .data(200);
    assert_eq!(lifted["blocked"], false);
    rude.get("/api/v1/sos").await.ok(200);
    rude.connect().await;
    let again = json!({"userType": "ANON_RESCUER"});
    let refused = rude
        .post(&format!("/api/v1/sos/{sos}/participants/join"), again)
        .await;
    assert_eq!(refused.status, 403, "{refused:?}");
    staff
        .request(reqwest::Method::DELETE, &path)
        .send()
        .await
        .data(200);
    engine.kill9();
    engine.restart();
    rude.get("/api/v1/sos").await.ok(200);
    assert!(staff.get("/api/v1/blocks").await.page().0.is_empty());
}

#[tokio::test]
async fn a_block_ends_when_it_says_so() {
    let engine = Engine::start(&[("limits.anon_requests", "0"), ("retention.sweep_s", "1")]);
    let (ana, rude) = (engine.device(), engine.device());
    let staff = engine.user("Ada").role("ADMIN");
    let sos = ana.raises(fire()).await;
    let rude_id = join(&rude, &sos, "ANON_RESCUER").await;
    let path = format!("/api/v1/devices/{rude_id}/block");
    staff
        .post(&path, json!({"until": now_s() - 1}))
        .await
        .names_fields(&["until"]);
    staff
        .post(&path, json!({"until": "tomorrow"}))
        .await
        .names_fields(&["until"]);
    staff
        .post(&path, json!({"until": now_ms() + 1_500}))
        .await
        .data(201);
    rude.get("/api/v1/sos").await.refused(403, "BLOCKED");
    let until = std::time::Instant::now() + crate::support::DEADLINE;
    while rude.get("/api/v1/sos").await.status == 403 {
        assert!(std::time::Instant::now() < until, "the block does not end");
    }
    until_metric(&engine, "mayday_blocked", |n| n == 0).await;
}

#[tokio::test]
async fn only_staff_block_and_staff_are_not_blocked() {
    let engine = Engine::start(&[]);
    let (ana, rude) = (engine.user("Ana"), engine.user("Rita"));
    let (dina, ada) = (
        engine.user("Dina").role("DISPATCHER"),
        engine.user("Ada").role("ADMIN"),
    );
    let sos = ana.raises(fire()).await;
    let rude_id = join(&rude, &sos, "CITIZEN").await;
    let ada_id = join(&ada, &sos, "ADMIN").await;
    let path = format!("/api/v1/devices/{rude_id}/block");
    ana.post(&path, json!({})).await.refused(403, "FORBIDDEN");
    engine
        .nobody()
        .post(&path, json!({}))
        .await
        .refused(401, "UNAUTHENTICATED");
    ana.request(reqwest::Method::DELETE, &path)
        .send()
        .await
        .refused(403, "FORBIDDEN");
    ana.get("/api/v1/blocks").await.refused(403, "FORBIDDEN");
    let of_staff = format!("/api/v1/devices/{ada_id}/block");
    dina.post(&of_staff, json!({})).await.refused(409, "CONFLICT");
    let nobody = "/api/v1/devices/p-0000000000000001/block";
    dina.post(nobody, json!({})).await.refused(404, "NOT_FOUND");
    dina.request(reqwest::Method::DELETE, nobody)
        .send()
        .await
        .refused(404, "NOT_FOUND");
    // An account is blocked as a device is.
    dina.post(&path, json!({})).await.data(201);
    rude.get("/api/v1/sos").await.refused(403, "BLOCKED");
    rude.get("/api/contacts").await;
    ada.get("/api/v1/sos").await.ok(200);
}

#[tokio::test]
async fn a_blocked_device_may_call_for_help_and_only_staff_see_it() {
    let engine = Engine::start(&[]);
    let (ana, rude) = (engine.device(), engine.device());
    let staff = engine.user("Dina").role("DISPATCHER");
    let sos = ana.raises(fire()).await;
    let rude_id = join(&rude, &sos, "ANON_RESCUER").await;
    staff
        .post(&format!("/api/v1/devices/{rude_id}/block"), json!({}))
        .await
        .data(201);
    let call = rude.post("/api/v1/sos", fire()).await.data(201);
    assert_eq!(call["visibility"], "RESTRICTED");
    let id = call["sosId"].as_str().unwrap();
    staff.get(&format!("/api/v1/sos/{id}")).await.data(200);
    ana.get(&format!("/api/v1/sos/{id}"))
        .await
        .refused(404, "NOT_FOUND");
    // Once an hour, and nothing else.
    rude.post("/api/v1/sos", fire())
        .await
        .refused(429, "RATE_LIMITED");
    rude.get(&format!("/api/v1/sos/{id}"))
        .await
        .refused(403, "BLOCKED");
    assert_eq!(call["creatorId"], json!(creator(&staff, id).await));
}

#[tokio::test]
async fn an_operator_may_leave_the_blocked_nothing() {
    let engine = Engine::start(&[("abuse.blocked_sos_per_hour", "0")]);
    let (ana, rude) = (engine.device(), engine.device());
    let staff = engine.user("Dina").role("DISPATCHER");
    let sos = ana.raises(fire()).await;
    let rude_id = join(&rude, &sos, "ANON_RESCUER").await;
    staff
        .post(&format!("/api/v1/devices/{rude_id}/block"), json!({}))
        .await
        .data(201);
    rude.post("/api/v1/sos", fire()).await.refused(403, "BLOCKED");
}

#[tokio::test]
async fn so_many_are_blocked_and_no_more() {
    let engine = Engine::start(&[("abuse.blocks_max", "1")]);
    let ana = engine.device();
    let staff = engine.user("Dina").role("DISPATCHER");
    let sos = ana.raises(fire()).await;
    let one = join(&engine.device(), &sos, "ANON_RESCUER").await;
    let two = join(&engine.device(), &sos, "ANON_RESCUER").await;
    staff
        .post(&format!("/api/v1/devices/{one}/block"), json!({}))
        .await
        .data(201);
    staff
        .post(&format!("/api/v1/devices/{two}/block"), json!({}))
        .await
        .refused(409, "CONFLICT");
    staff
        .post(
            &format!("/api/v1/devices/{one}/block"),
            json!({"reason": "again"}),
        )
        .await
        .data(201);
}
