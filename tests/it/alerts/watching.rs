//! What staff see, and nobody else.

use mayday::domain::notify::Vendor;
use serde_json::json;

use super::{ANA, engine, fall, stand};
use crate::support::vendors::{Fault, Vendors};

#[tokio::test]
async fn only_staff_see_who_was_told() {
    let vendors = Vendors::start();
    let engine = engine(&vendors, &[]);
    let maria = engine.user("Maria");
    maria.trusts(&[("Ana", ANA)]).await;
    let sos = maria.raises(fall()).await;
    vendors.expect_sms(ANA).await;
    let staff = engine.user("Dora").role("DISPATCHER");
    stand(&staff, &sos, &["ACCEPTED"]).await;
    let path = format!("/api/v1/sos/{sos}/notifications");
    maria.get(&path).await.refused(403, "FORBIDDEN");
    engine.nobody().get(&path).await.refused(401, "UNAUTHENTICATED");
    let log = format!("/api/v1/sos/{sos}/events");
    let kinds = |events: Vec<serde_json::Value>| -> Vec<String> {
        events
            .iter()
            .filter_map(|event| event["type"].as_str().map(str::to_owned))
            .collect()
    };
    let (seen, _) = maria.get(&log).await.page();
    assert_eq!(kinds(seen), ["created", "joined"]);
    let (seen, _) = staff.get(&log).await.page();
    let all = [
        "created",
        "joined",
        "notifications-planned",
        "notification-changed",
        "notification-changed",
    ];
    assert_eq!(kinds(seen), all);
    let printed = engine.log();
    assert!(
        !printed.contains(ANA) && !printed.contains("9170000001"),
        "a number in the log"
    );
}

#[tokio::test]
async fn somebody_who_is_reached_over_no_channel_is_not_passed_over_in_silence() {
    let vendors = Vendors::start();
    // No such number.
    vendors.fail(Vendor::Twilio, Fault::Code(400, "21211"));
    let engine = engine(&vendors, &[]);
    let maria = engine.user("Maria");
    maria.trusts(&[("Ana", ANA)]).await;
    let sos = maria.raises(fall()).await;
    let staff = engine.user("Dora").role("DISPATCHER");
    let told = stand(&staff, &sos, &["FAILED_PERMANENT"]).await;
    assert_eq!(told[0]["code"], "21211");
    let (events, _) = staff.get(&format!("/api/v1/sos/{sos}/events")).await.page();
    let last = events.last().expect("an event");
    assert_eq!(
        (&last["type"], &last["data"]["participantId"]),
        (&json!("contact-unreached"), &told[0]["participantId"])
    );
    let metrics = engine.nobody().get("/metrics").await;
    assert!(metrics.text.contains("mayday_contacts_unreached_total 1"));
    vendors.expect_nothing_more();
}

#[tokio::test]
async fn a_contact_for_whom_no_channel_is_on_is_not_passed_over_either() {
    let vendors = Vendors::start();
    let engine = engine(&vendors, &[]);
    let maria = engine.user("Maria");
    let by_mail = json!({
        "name": "Eve", "phone_no": "+639170000003", "email": "eve@example.org", "channels": ["EMAIL"],
    });
    maria
        .put("/api/contacts", json!({"emergency_contacts": [by_mail]}))
        .await
        .ok(200);
    let staff = engine.user("Dora").role("DISPATCHER");
    let sos = maria.raises(fall()).await;
    crate::support::eventually("operators see that Eve was not told", || async {
        let (events, _) = staff.get(&format!("/api/v1/sos/{sos}/events")).await.page();
        let unreached = events.iter().filter(|event| event["type"] == "contact-unreached");
        (unreached.count() == 1).then_some(())
    })
    .await;
    vendors.expect_nothing_more();
}

#[tokio::test]
async fn whoever_raised_it_cannot_acknowledge_it() {
    let vendors = Vendors::start();
    let engine = engine(&vendors, &[]);
    let maria = engine.user("Maria");
    let sos = maria.raises(fall()).await;
    let path = format!("/api/v1/sos/{sos}/acknowledge");
    maria.post(&path, json!({})).await.refused(403, "FORBIDDEN");
    let ready = engine.nobody().get("/ready").await.ok(200);
    assert_eq!(ready["channels"], json!({"SMS": ["TWILIO", "MSG91"]}));
}
