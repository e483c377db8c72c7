//! Whoever does not say in time that they are well needs help.

use serde_json::{Value, json};

use super::{ANA, engine, messages, stand};
use crate::support::people::now_ms;
use crate::support::vendors::Vendors;
use crate::support::{Person, eventually};

const MARIA: &str = "+639170000009";
const CHECK_INS: &str = "/api/v1/checkins";

fn due(in_ms: u64, grace_s: u64) -> Value {
    json!({
        "dueAt": now_ms() + in_ms, "grace": grace_s, "message": "Walking home through the park",
        "location": {"latitude": 14.6, "longitude": 121},
    })
}

/// The incident that somebody's check-in has become.
async fn raised(staff: &Person) -> Value {
    eventually("it has become an SOS", || async {
        let (all, _) = staff.get("/api/v1/sos").await.page();
        all.into_iter().next()
    })
    .await
}

#[tokio::test]
async fn what_is_not_confirmed_is_a_reminder_and_then_an_sos_also_of_an_engine_that_was_killed() {
    let vendors = Vendors::start();
    let mut engine = engine(&vendors, &[]);
    let maria = engine.user("Maria").phone(MARIA);
    maria.trusts(&[("Ana", ANA)]).await;
    let begun = maria.post(CHECK_INS, due(500, 3)).await.data(201);
    assert_eq!((&begun["grace"], &begun["sosId"]), (&json!(3), &Value::Null));
    let waits = maria.get(CHECK_INS).await.data(200);
    assert_eq!(waits[0]["id"], begun["id"]);
    let reminder = vendors.expect_sms(MARIA).await;
    assert!(reminder.text.contains("Are you well?"), "{}", reminder.text);
    engine.kill9();
    engine.restart();
    let staff = engine.user("Dora").role("DISPATCHER");
    let sos = raised(&staff).await;
    assert_eq!(
        (
            &sos["message"],
            &sos["severity"],
            &sos["visibility"],
            &sos["location"]["latitude"]
        ),
        (
            &json!("Walking home through the park"),
            &json!("HIGH"),
            &json!("RESTRICTED"),
            &json!(14.6)
        )
    );
    let news = vendors.expect_sms(ANA).await;
    assert!(news.text.contains("Maria"), "{}", news.text);
    let sos = sos["sosId"].as_str().unwrap();
    stand(&staff, sos, &["ACCEPTED"]).await;
    let maria = engine.user("Maria").phone(MARIA);
    eventually("it is no check-in any more", || async {
        let waits = maria.get(CHECK_INS).await.data(200);
        (waits == json!([])).then_some(())
    })
    .await;
    assert_eq!(
        maria.get(&format!("/api/v1/sos/{sos}")).await.data(200)["status"],
        "ACTIVE"
    );
    let (all, _) = staff.get("/api/v1/sos").await.page();
    assert_eq!(all.len(), 1, "once");
    vendors.expect_nothing_more();
}

#[tokio::test]
async fn what_is_confirmed_is_nothing_and_only_by_whom_it_is() {
    let vendors = Vendors::start();
    let engine = engine(&vendors, &[("checkins.per_person_max", "2")]);
    let maria = engine.user("Maria");
    let begun = maria.post(CHECK_INS, due(600_000, 60)).await.data(201);
    let id = begun["id"].as_str().unwrap();
    let confirm = format!("{CHECK_INS}/{id}/confirm");
    let rosa = engine.user("Rosa");
    rosa.post(&confirm, json!({})).await.refused(404, "NOT_FOUND");
    let other = maria.post(CHECK_INS, due(600_000, 60)).await.data(201);
    maria
        .post(CHECK_INS, due(600_000, 60))
        .await
        .refused(409, "CONFLICT");
    maria.post(&confirm, json!({})).await.data(200);
    maria.post(&confirm, json!({})).await.refused(404, "NOT_FOUND");
    let drop = format!("{CHECK_INS}/{}", other["id"].as_str().unwrap());
    maria.delete_with(&drop, json!({})).await.data(200);
    assert_eq!(maria.get(CHECK_INS).await.data(200), json!([]));
    maria
        .post(CHECK_INS, json!({"dueAt": 1, "grace": -1, "message": "short"}))
        .await
        .names_fields(&["dueAt", "grace", "message"]);
    vendors.expect_nothing_more();
}

#[tokio::test]
async fn a_check_in_that_is_confirmed_by_the_duress_pin_is_a_silent_sos_at_once() {
    let vendors = Vendors::start();
    let engine = engine(&vendors, &[]);
    let maria = engine.user("Maria");
    maria.trusts(&[("Ana", ANA)]).await;
    let pins = json!({"pin": "4711", "duressPin": "1174"});
    maria.put("/api/v1/pin", pins).await.data(200);
    let begun = maria.post(CHECK_INS, due(600_000, 60)).await.data(201);
    let confirm = format!("{CHECK_INS}/{}/confirm", begun["id"].as_str().unwrap());
    maria.post(&confirm, json!({})).await.refused(403, "PIN_REQUIRED");
    let answer = maria.post(&confirm, json!({"pin": "1174"})).await.data(200);
    assert_eq!(answer, json!({"id": begun["id"], "confirmed": true}));
    assert_eq!(maria.get(CHECK_INS).await.data(200), json!([]));
    let staff = engine.user("Dora").role("DISPATCHER");
    let sos = raised(&staff).await;
    let id = sos["sosId"].as_str().unwrap();
    vendors.expect_sms(ANA).await;
    stand(&staff, id, &["ACCEPTED"]).await;
    eventually("operators see that it is under duress", || async {
        let truth = staff.get(&format!("/api/v1/sos/{id}")).await.data(200);
        (truth["duress"] == true && truth["status"] == "ACTIVE").then_some(())
    })
    .await;
    let (own, _) = maria.get("/api/v1/sos").await.page();
    assert_eq!((own.len(), &own[0]["status"]), (1, &json!("CANCELLED")));
    assert_eq!(messages(&staff, id).await.len(), 1);
    vendors.expect_nothing_more();
}
