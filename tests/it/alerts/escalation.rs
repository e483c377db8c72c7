//! The story goes on until somebody acknowledges, and everybody who was told hears of its end.

use mayday::domain::notify::Vendor;
use serde_json::json;

use super::{ANA, BEN, engine, fall, link, messages, stand};
use crate::support::vendors::{Fault, Vendors};

#[tokio::test]
async fn the_next_contact_is_told_when_the_first_does_not_acknowledge() {
    let vendors = Vendors::start();
    let steps = [("alerts.steps", "0 first-1, 1 all"), ("alerts.cool_down_s", "0")];
    let engine = engine(&vendors, &steps);
    let maria = engine.user("Maria");
    maria.trusts(&[("Ana", ANA), ("Ben", BEN)]).await;
    let sos = maria.raises(fall()).await;
    vendors.expect_sms(ANA).await;
    let staff = engine.user("Dora").role("DISPATCHER");
    assert_eq!(messages(&staff, &sos).await.len(), 1);
    vendors.expect_sms(BEN).await;
    vendors.expect_sms(ANA).await;
    let told = stand(&staff, &sos, &["ACCEPTED", "ACCEPTED", "ACCEPTED"]).await;
    let occasions: Vec<_> = told.iter().map(|one| one["occasion"].clone()).collect();
    assert_eq!(occasions, ["SOS_RAISED", "SOS_REMINDER", "SOS_REMINDER"]);
    vendors.expect_nothing_more();
}

#[tokio::test]
async fn a_contact_acknowledges_by_the_link_and_looking_at_it_changes_nothing() {
    let vendors = Vendors::start();
    let engine = engine(&vendors, &[]);
    let maria = engine.user("Maria");
    maria.trusts(&[("Ana", ANA)]).await;
    let sos = maria.raises(fall()).await;
    let path = link(&vendors.expect_sms(ANA).await.text);
    let staff = engine.user("Dora").role("DISPATCHER");
    let anybody = engine.nobody();
    let page = anybody.get(&path).await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("Maria called for help") && page.text.contains("<form method=\"post\">"));
    assert!(!logged(&staff, &sos, "acknowledged").await);
    let page = anybody.post(&path, json!({})).await;
    assert_eq!(page.status, 200);
    assert!(logged(&staff, &sos, "acknowledged").await);
    assert!(
        !anybody.get(&path).await.text.contains("<form"),
        "it is known already"
    );
    assert_eq!(anybody.get("/a/AAAA").await.status, 404);
    let over = maria.post(&format!("/api/v1/sos/{sos}/cancel"), json!({})).await;
    assert_eq!(over.status, 200);
    assert_eq!(anybody.get(&path).await.status, 410);
    let last = vendors.expect_sms(ANA).await;
    assert!(
        last.text.to_lowercase().contains("false alarm") || last.text.to_lowercase().contains("cancel"),
        "{:?}",
        last.text
    );
    vendors.expect_nothing_more();
}

async fn logged(staff: &crate::support::Person, sos: &str, kind: &str) -> bool {
    let (events, _) = staff.get(&format!("/api/v1/sos/{sos}/events")).await.page();
    events.iter().any(|event| event["type"] == kind)
}

#[tokio::test]
async fn whoever_was_told_hears_of_the_end_and_what_waits_is_not_sent() {
    let vendors = Vendors::start();
    vendors.fail(Vendor::Msg91, Fault::Later(429, 3600));
    let engine = engine(&vendors, &[]);
    let maria = engine.user("Maria");
    maria.trusts(&[("Ana", ANA)]).await;
    let sos = maria.raises(fall()).await;
    vendors.expect_sms(ANA).await;
    let staff = engine.user("Dora").role("DISPATCHER");
    stand(&staff, &sos, &["ACCEPTED"]).await;
    let close = format!("/api/v1/sos/{sos}/status");
    staff.patch(&close, json!({"status": "RESOLVED"})).await.data(200);
    vendors.expect_sms(ANA).await;
    let told = stand(&staff, &sos, &["ACCEPTED", "ACCEPTED"]).await;
    assert_eq!(told[1]["occasion"], "SOS_OVER");
    vendors.expect_nothing_more();
}

#[tokio::test]
async fn what_was_not_sent_yet_when_it_ended_is_not_sent() {
    let vendors = Vendors::start();
    // Nobody takes anything: both want to be asked in an hour.
    vendors.fail(Vendor::Twilio, Fault::Later(429, 3600));
    vendors.fail(Vendor::Msg91, Fault::Later(429, 3600));
    let engine = engine(&vendors, &[("alerts.ttl_s", "7200")]);
    let maria = engine.user("Maria");
    maria.trusts(&[("Ana", ANA)]).await;
    let sos = maria.raises(fall()).await;
    let staff = engine.user("Dora").role("DISPATCHER");
    stand(&staff, &sos, &["FAILED_TEMPORARY"]).await;
    vendors.was_asked(Vendor::Msg91, 1).await;
    maria
        .post(&format!("/api/v1/sos/{sos}/cancel"), json!({}))
        .await
        .data(200);
    stand(&staff, &sos, &["CANCELLED"]).await;
    vendors.expect_nothing_more();
}
