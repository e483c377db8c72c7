//! Whoever raised an SOS can call it off before it frightens anybody, and whoever is made to only seems to.

use mayday::domain::notify::Vendor;
use serde_json::{Value, json};

use super::{ANA, engine, fall, messages, stand};
use crate::support::vendors::Vendors;
use crate::support::{Engine, Person, UNLIMITED, eventually};

const PIN: &str = "4711";
const DURESS: &str = "1174";

/// An engine with a pager beside text messages.
fn paged(vendors: &Vendors, window_s: &str) -> Engine {
    let own = vendors.settings_of(&[Vendor::Twilio, Vendor::Pagerduty]);
    let own = own.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let quick = [("alerts.poll_ms", "200"), ("alerts.cancel_window_s", window_s)];
    let all: Vec<_> = own.chain(UNLIMITED).chain(quick).collect();
    Engine::start(&all)
}

/// Maria, who has both PINs and a contact.
async fn maria(engine: &Engine) -> Person {
    let maria = engine.user("Maria");
    maria.trusts(&[("Ana", ANA)]).await;
    let pins = json!({"pin": PIN, "duressPin": DURESS});
    let set = maria.put("/api/v1/pin", pins).await.data(200);
    assert_eq!(set, json!({"set": true}));
    maria
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| event["type"].as_str()).collect()
}

#[tokio::test]
async fn what_is_called_off_by_the_pin_within_the_window_frightens_nobody() {
    let vendors = Vendors::start();
    let engine = paged(&vendors, "60");
    let maria = maria(&engine).await;
    let sos = maria.raises(fall()).await;
    // Operators do not wait for second thoughts.
    vendors.expect_page("trigger").await;
    let cancel = format!("/api/v1/sos/{sos}/cancel");
    maria.post(&cancel, json!({})).await.refused(403, "PIN_REQUIRED");
    let status = format!("/api/v1/sos/{sos}/status");
    let resolved = json!({"status": "RESOLVED"});
    maria.patch(&status, resolved).await.refused(403, "PIN_REQUIRED");
    maria
        .post(&cancel, json!({"pin": "0000"}))
        .await
        .refused(403, "WRONG_PIN");
    let staff = engine.user("Dora").role("DISPATCHER");
    stand(&staff, &sos, &["ACCEPTED", "PENDING"]).await;
    let over = maria.post(&cancel, json!({"pin": PIN})).await.data(200);
    assert_eq!(over["status"], "CANCELLED");
    vendors.expect_page("resolve").await;
    stand(&staff, &sos, &["ACCEPTED", "CANCELLED", "ACCEPTED"]).await;
    vendors.expect_nothing_more();
}

#[tokio::test]
async fn an_sos_that_nobody_calls_off_reaches_its_contacts_after_the_window_and_a_silent_one_at_once() {
    let vendors = Vendors::start();
    let engine = paged(&vendors, "1");
    let maria = maria(&engine).await;
    let sos = maria.raises(fall()).await;
    vendors.expect_page("trigger").await;
    vendors.expect_sms(ANA).await;
    let staff = engine.user("Dora").role("DISPATCHER");
    let told = stand(&staff, &sos, &["ACCEPTED", "ACCEPTED"]).await;
    let ms = |value: &Value| {
        let text = value.as_str().expect("a time");
        let at = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339);
        at.unwrap().unix_timestamp_nanos() / 1_000_000
    };
    let waited = ms(&told[1]["changedAt"]) - ms(&told[1]["plannedAt"]);
    assert!(waited >= 900, "{waited} ms");

    let other = engine.user("Rosa");
    other.trusts(&[("Ana", ANA)]).await;
    other.put("/api/v1/pin", json!({"pin": PIN})).await.data(200);
    let mut silent = fall();
    silent["silent"] = true.into();
    let raised = other.post("/api/v1/sos", silent).await.data(201);
    let mut shown: Vec<_> = raised.as_object().unwrap().keys().cloned().collect();
    shown.sort();
    assert_eq!(
        shown,
        ["createdAt", "seq", "sosId", "status"],
        "and nothing of what was said"
    );
    let silent = raised["sosId"].as_str().unwrap();
    vendors.expect_page("trigger").await;
    vendors.expect_sms(ANA).await;
    let told = stand(&staff, silent, &["ACCEPTED", "ACCEPTED"]).await;
    let waited = ms(&told[1]["changedAt"]) - ms(&told[1]["plannedAt"]);
    assert!(waited < 900, "{waited} ms");
    // Nor do lists say more on that phone; operators see all of it.
    let (own, _) = other.get("/api/v1/sos").await.page();
    let mine = own.iter().find(|one| one["sosId"] == silent).expect("hers");
    assert_eq!(mine.as_object().unwrap().len(), 4, "{mine}");
    let whole = staff.get(&format!("/api/v1/sos/{silent}")).await.data(200);
    assert_eq!(
        (&whole["message"], &whole["silent"]),
        (&json!("I fell and cannot stand up"), &json!(true))
    );
    vendors.expect_nothing_more();
}

#[tokio::test]
async fn by_the_duress_pin_it_is_over_for_whoever_raised_it_and_for_nobody_else() {
    let vendors = Vendors::start();
    let engine = paged(&vendors, "0");
    let maria = maria(&engine).await;
    let sos = maria.raises(fall()).await;
    vendors.expect_page("trigger").await;
    vendors.expect_sms(ANA).await;
    let staff = engine.user("Dora").role("DISPATCHER");
    let mut at_dora = staff.connect().await;
    at_dora.joins(&sos).await;
    let mut at_maria = maria.connect().await;
    at_maria.joins(&sos).await;
    at_dora
        .expect(json!({"type": "user-joined", "roomId": sos}))
        .await;

    let path = format!("/api/v1/sos/{sos}");
    let cancel = format!("{path}/cancel");
    let body = json!({"pin": DURESS, "reason": "Nothing happened"});
    let over = maria.post(&cancel, body).await.data(200);
    assert_eq!(
        (&over["status"], &over["participantsCount"]),
        (&json!("CANCELLED"), &json!(0))
    );
    // What she sees, wherever she looks.
    at_maria
        .expect(json!({"type": "sos-status", "roomId": sos, "status": "CANCELLED"}))
        .await;
    at_maria.expect(json!({"type": "room-left", "roomId": sos})).await;
    let seen = maria.get(&path).await.data(200);
    assert_eq!(
        (&seen["status"], &seen["duress"]),
        (&json!("CANCELLED"), &Value::Null)
    );
    assert!(seen["endedAt"].is_string());
    let (own, _) = maria.get("/api/v1/sos").await.page();
    let mine = own.iter().find(|one| one["sosId"] == sos.as_str()).expect("hers");
    assert_eq!(mine["status"], "CANCELLED");
    let (open, _) = maria.get("/api/v1/sos?status=ACTIVE").await.page();
    assert!(open.iter().all(|one| one["sosId"] != sos.as_str()));
    maria
        .post(&cancel, json!({"pin": PIN}))
        .await
        .refused(409, "INVALID_TRANSITION");
    let message = json!({"content": "is anybody there?"});
    let say = format!("{path}/messages");
    maria.post(&say, message.clone()).await.refused(409, "SOS_CLOSED");
    at_maria.says(json!({"type": "join-room", "roomId": sos})).await;
    at_maria
        .expect(json!({"type": "join-denied", "roomId": sos, "message": "SOS is closed"}))
        .await;

    // Operators know, and it goes on.
    let page = vendors.expect_page("trigger").await;
    assert!(page.text.contains("DURESS"), "{}", page.text);
    let truth = staff.get(&path).await.data(200);
    assert_eq!(
        (&truth["status"], &truth["duress"]),
        (&json!("ACTIVE"), &json!(true))
    );
    staff.post(&say, message).await.data(201);
    let (log, _) = staff.get(&format!("{path}/events")).await.page();
    assert!(kinds(&log).contains(&"duress") && kinds(&log).ends_with(&["message"]));
    // Nothing of that reaches her.
    let (log, _) = maria.get(&format!("{path}/events")).await.page();
    assert_eq!(kinds(&log).last(), Some(&"status-changed"));
    let (said, _) = maria.get(&say).await.page();
    assert!(said.is_empty(), "{said:?}");
    at_maria.hears_nothing_more().await;
    // Somebody else who is in is told of none of it.
    let (log, _) = engine
        .user("Dora")
        .role("DISPATCHER")
        .get(&format!("{path}/events"))
        .await
        .page();
    assert!(!kinds(&log).contains(&"status-changed"));
    assert!(!engine.log().contains(DURESS) && !engine.log().contains(PIN));
    // Whoever was told of it was told of no end.
    let told = messages(&staff, &sos).await;
    assert!(told.iter().all(|one| one["occasion"] == "SOS_RAISED"), "{told:?}");
    vendors.expect_nothing_more();
}

#[tokio::test]
async fn too_many_wrong_pins_lock_it_and_a_new_one_takes_the_old_one() {
    let vendors = Vendors::start();
    let engine = engine(&vendors, &[("pins.attempts_max", "2"), ("pins.lock_s", "2")]);
    let maria = maria(&engine).await;
    let pin = "/api/v1/pin";
    maria
        .put(pin, json!({"pin": "2580"}))
        .await
        .refused(403, "PIN_REQUIRED");
    let new = |current: &str| json!({"pin": "2580", "currentPin": current});
    maria.put(pin, new("1")).await.refused(403, "WRONG_PIN");
    maria.put(pin, new("2")).await.refused(429, "RATE_LIMITED");
    let locked = maria.put(pin, new(PIN)).await;
    assert!(locked.header("retry-after").is_some());
    locked.refused(429, "RATE_LIMITED");
    eventually("it is taken again", || async {
        let answer = maria.put(pin, new(PIN)).await;
        (answer.status == 200).then_some(())
    })
    .await;
    maria
        .delete_with(pin, json!({"currentPin": PIN}))
        .await
        .refused(403, "WRONG_PIN");
    maria
        .delete_with(pin, json!({"currentPin": "2580"}))
        .await
        .data(200);
    assert_eq!(maria.get(pin).await.data(200), json!({"set": false}));
    maria
        .put(pin, json!({"pin": "12a4", "duressPin": "123"}))
        .await
        .names_fields(&["pin", "duressPin"]);
    maria
        .put(pin, json!({"pin": PIN, "duressPin": PIN}))
        .await
        .names_fields(&["duressPin"]);
    vendors.expect_nothing_more();
}
