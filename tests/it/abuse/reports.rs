//! People of an incident report each other; only staff read it.

use serde_json::{Value, json};

use crate::support::{Engine, Person, fire};

/// Joins an incident; answers who they are in it.
pub(super) async fn join(person: &Person, sos: &str, user_type: &str) -> String {
    let body = json!({"userType": user_type});
    let joined = person
        .post(&format!("/api/v1/sos/{sos}/participants/join"), body)
        .await;
    joined.data(201)["id"].as_str().unwrap().to_owned()
}

/// Who raised an incident.
pub(super) async fn creator(person: &Person, sos: &str) -> String {
    let sos = person.get(&format!("/api/v1/sos/{sos}")).await.data(200);
    sos["creatorId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_report_reaches_staff_and_never_the_one_it_is_about() {
    let engine = Engine::start(&[]);
    let (ana, rude) = (engine.device(), engine.device());
    let staff = engine.user("Dina").role("DISPATCHER");
    let sos = ana.raises(fire()).await;
    let rude_id = join(&rude, &sos, "ANON_RESCUER").await;
    let mut at_rude = rude.connect().await;
    at_rude.joins(&sos).await;

    let reports = format!("/api/v1/sos/{sos}/reports");
    let body = json!({"participantId": rude_id, "reason": "He threatened me"});
    let made = ana.post(&reports, body.clone()).await.data(201);
    let ana_id = creator(&ana, &sos).await;
    assert_eq!(made["participantId"], json!(rude_id));
    assert_eq!(
        (&made["sosId"], &made["reporterId"]),
        (&json!(sos), &json!(ana_id))
    );

    let (found, more) = staff.get(&reports).await.page();
    assert_eq!((found.len(), more), (1, None));
    assert_eq!(found[0], made);
    // Neither the one it is about nor anybody else hears or reads of it.
    at_rude.hears_nothing_more().await;
    for reader in [&rude, &ana] {
        reader.get(&reports).await.refused(403, "FORBIDDEN");
        reader.get("/api/v1/reports").await.refused(403, "FORBIDDEN");
        for path in ["", "/events", "/messages", "/participants/history"] {
            let text = reader.get(&format!("/api/v1/sos/{sos}{path}")).await.text;
            assert!(!text.contains("threatened"), "{path}: {text}");
        }
    }
    // Again by the same about the same: the newer one stands.
    let again = json!({"participantId": rude_id, "reason": "He threatened me twice"});
    ana.post(&reports, again).await.data(201);
    let (found, _) = staff.get(&reports).await.page();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["reason"], "He threatened me twice");
}

#[tokio::test]
async fn only_who_takes_part_reports_and_only_who_does() {
    let engine = Engine::start(&[]);
    let (ana, ben, stranger) = (engine.device(), engine.user("Ben"), engine.device());
    let sos = ana.raises(fire()).await;
    let ben_id = join(&ben, &sos, "CITIZEN").await;
    let reports = format!("/api/v1/sos/{sos}/reports");
    let of = |who: &str| json!({"participantId": who, "reason": "a liar"});
    let own = creator(&ana, &sos).await;
    stranger
        .post(&reports, of(&ben_id))
        .await
        .refused(403, "FORBIDDEN");
    engine
        .nobody()
        .post(&reports, of(&ben_id))
        .await
        .refused(401, "UNAUTHENTICATED");
    ana.post(&reports, of(&own))
        .await
        .names_fields(&["participantId"]);
    ana.post(&reports, of("p-0000000000000001"))
        .await
        .names_fields(&["participantId"]);
    ana.post(&reports, of("ben"))
        .await
        .names_fields(&["participantId"]);
    ana.post(&reports, json!({}))
        .await
        .names_fields(&["participantId", "reason"]);
    let long = json!({"participantId": ben_id, "reason": "x".repeat(501)});
    ana.post(&reports, long).await.names_fields(&["reason"]);
    ana.post("/api/v1/sos/nowhere/reports", of(&ben_id))
        .await
        .refused(404, "NOT_FOUND");
    // Whoever has gone may still tell, and of somebody who has; also when it is over.
    let leave = format!("/api/v1/sos/{sos}/participants/leave");
    ben.post(&leave, json!({})).await.data(200);
    ben.post(&reports, of(&own)).await.data(201);
    ana.post(&format!("/api/v1/sos/{sos}/cancel"), json!({}))
        .await
        .data(200);
    ana.post(&reports, of(&ben_id)).await.data(201);
}

#[tokio::test]
async fn reports_survive_a_crash_and_come_in_pages() {
    let mut engine = Engine::start(&[("limits.reports_per_hour", "0")]);
    let ana = engine.device();
    let staff = engine.user("Dina").role("ADMIN");
    let (mut about, mut incidents) = (Vec::new(), Vec::new());
    for n in 0..3 {
        let sos = ana.raises(fire()).await;
        for m in 0..2 {
            let one = join(&engine.device(), &sos, "ANON_RESCUER").await;
            let body = json!({"participantId": one, "reason": format!("reason {n} {m}")});
            ana.post(&format!("/api/v1/sos/{sos}/reports"), body)
                .await
                .data(201);
            about.push(json!(one));
        }
        incidents.push(sos);
    }
    engine.kill9();
    engine.restart();
    let (mut found, mut cursor): (Vec<Value>, _) = (vec![], String::new());
    loop {
        let (page, next) = staff
            .get(&format!("/api/v1/reports?limit=4{cursor}"))
            .await
            .page();
        found.extend(page.iter().map(|report| report["participantId"].clone()));
        let Some(next) = next else { break };
        cursor = format!("&cursor={next}");
    }
    found.reverse();
    found.sort_by_key(|one| about.iter().position(|other| other == one));
    assert_eq!(found, about);
    let (of_one, _) = staff
        .get(&format!("/api/v1/sos/{}/reports", incidents[1]))
        .await
        .page();
    assert_eq!(of_one.len(), 2);
    staff
        .get("/api/v1/reports?cursor=zz")
        .await
        .names_fields(&["cursor"]);
}

#[tokio::test]
async fn reports_have_a_budget() {
    let engine = Engine::start(&[("limits.reports_per_hour", "1")]);
    let (ana, ben) = (engine.device(), engine.device());
    let sos = ana.raises(fire()).await;
    let ben_id = join(&ben, &sos, "ANON_RESCUER").await;
    let body = json!({"participantId": ben_id, "reason": "a liar"});
    let reports = format!("/api/v1/sos/{sos}/reports");
    ana.post(&reports, body.clone()).await.data(201);
    ana.post(&reports, body).await.refused(429, "RATE_LIMITED");
    ana.raises(fire()).await;
}
