//! One message for each person and channel, whatever vendors do.

use mayday::domain::notify::Vendor;
use serde_json::json;

use super::{ANA, BEN, claimed, engine, fall, messages, stand};
use crate::support::vendors::{Fault, Vendors};

#[tokio::test]
async fn every_contact_hears_of_an_sos_once() {
    let vendors = Vendors::start();
    let engine = engine(&vendors, &[]);
    let maria = engine.user("Maria");
    maria.trusts(&[("Ana", ANA), ("Ben", BEN)]).await;
    let sos = maria.raises(fall()).await;
    for number in [ANA, BEN] {
        let heard = vendors.expect_sms_by(Vendor::Twilio, number).await;
        for part in [
            "Maria",
            "I fell and cannot stand up",
            "14.599500",
            "https://sos.example.org/a/",
        ] {
            assert!(heard.text.contains(part), "{part} in {:?}", heard.text);
        }
    }
    let staff = engine.user("Dora").role("DISPATCHER");
    let told = stand(&staff, &sos, &["ACCEPTED", "ACCEPTED"]).await;
    for (one, name) in told.iter().zip(["Ana", "Ben"]) {
        assert_eq!(one["name"], name);
        assert_eq!(
            (&one["channel"], &one["vendor"]),
            (&json!("SMS"), &json!("TWILIO"))
        );
        assert_eq!(one["possiblyTwice"], false);
    }
    vendors.expect_nothing_more();
}

#[tokio::test]
async fn what_twilio_does_not_take_msg91_does_and_whoever_acknowledges_is_left_alone() {
    let vendors = Vendors::start();
    vendors.fail(Vendor::Twilio, Fault::Code(400, "30001"));
    let engine = engine(&vendors, &[("alerts.steps", "0 all, 1 all")]);
    let maria = engine.user("Maria");
    maria.trusts(&[("Ana", ANA)]).await;
    let sos = maria.raises(fall()).await;
    vendors.expect_sms_by(Vendor::Msg91, ANA).await;
    let staff = engine.user("Dora").role("DISPATCHER");
    let said = staff
        .post(&format!("/api/v1/sos/{sos}/acknowledge"), json!({}))
        .await
        .data(200);
    assert_eq!(said["acknowledged"], true);
    let told = stand(&staff, &sos, &["ACCEPTED"]).await;
    assert_eq!(told[0]["vendor"], "MSG91");
    // Jobs: a look, the message, and another look when the next step would have been due.
    claimed(&engine, 3).await;
    assert_eq!(messages(&staff, &sos).await.len(), 1);
    vendors.expect_nothing_more();
}

#[tokio::test]
async fn an_attempt_of_unknown_outcome_is_asked_about_and_not_repeated() {
    let vendors = Vendors::start();
    vendors.fail_times(Vendor::Twilio, 1, Fault::TakesInSilence);
    let engine = engine(&vendors, &[]);
    let maria = engine.user("Maria");
    maria.trusts(&[("Ana", ANA)]).await;
    let sos = maria.raises(fall()).await;
    vendors.expect_sms_by(Vendor::Twilio, ANA).await;
    let staff = engine.user("Dora").role("DISPATCHER");
    let told = stand(&staff, &sos, &["ACCEPTED"]).await;
    assert_eq!(
        (&told[0]["vendor"], &told[0]["possiblyTwice"]),
        (&json!("TWILIO"), &json!(false))
    );
    vendors.expect_nothing_more();
}

#[tokio::test]
async fn where_it_cannot_be_found_out_the_next_vendor_gets_it_and_it_is_marked() {
    let vendors = Vendors::start();
    // It takes the message and answers nothing, to that and to any question.
    vendors.fail(Vendor::Twilio, Fault::TakesAndIsGone);
    let engine = engine(&vendors, &[]);
    let maria = engine.user("Maria");
    maria.trusts(&[("Ana", ANA)]).await;
    let sos = maria.raises(fall()).await;
    vendors.expect_sms_by(Vendor::Twilio, ANA).await;
    vendors.expect_sms_by(Vendor::Msg91, ANA).await;
    let staff = engine.user("Dora").role("DISPATCHER");
    let told = stand(&staff, &sos, &["ACCEPTED"]).await;
    assert_eq!(
        (&told[0]["vendor"], &told[0]["possiblyTwice"]),
        (&json!("MSG91"), &json!(true))
    );
    vendors.expect_nothing_more();
}

#[tokio::test]
async fn a_vendor_that_is_busy_is_tried_again() {
    let vendors = Vendors::start();
    vendors.fail_times(Vendor::Twilio, 2, Fault::Status(429));
    let engine = engine(&vendors, &[]);
    let maria = engine.user("Maria");
    maria.trusts(&[("Ana", ANA)]).await;
    let sos = maria.raises(fall()).await;
    vendors.expect_sms_by(Vendor::Twilio, ANA).await;
    let staff = engine.user("Dora").role("DISPATCHER");
    stand(&staff, &sos, &["ACCEPTED"]).await;
    assert_eq!(vendors.times_asked(Vendor::Twilio), 3);
    vendors.expect_nothing_more();
}

#[tokio::test]
async fn a_drill_says_so_before_anything_else() {
    let vendors = Vendors::start();
    let engine = engine(&vendors, &[]);
    let maria = engine.user("Maria");
    maria.trusts(&[("Ana", ANA)]).await;
    let mut drill = fall();
    drill["drill"] = true.into();
    maria.raises(drill).await;
    let heard = vendors.expect_sms(ANA).await;
    let first = heard
        .text
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_uppercase();
    assert!(
        first.contains("DRILL") || first.contains("EXERCISE"),
        "{:?}",
        heard.text
    );
    vendors.expect_nothing_more();
}

#[tokio::test]
async fn an_sos_that_comes_late_is_one_and_says_how_late() {
    let vendors = Vendors::start();
    let engine = engine(&vendors, &[]);
    let maria = engine.user("Maria");
    maria.trusts(&[("Ana", ANA)]).await;
    let mut late = fall();
    late["raisedAt"] = (crate::support::now_ms() - 3 * 3_600_000).into();
    maria.raises(late).await;
    let heard = vendors.expect_sms(ANA).await;
    assert!(heard.text.contains("3 h"), "{:?}", heard.text);
    vendors.expect_nothing_more();
}

#[tokio::test]
async fn nobody_is_told_where_no_vendor_is_on() {
    let engine = crate::support::Engine::start(&[]);
    let maria = engine.user("Maria");
    maria.trusts(&[("Ana", ANA)]).await;
    let sos = maria.raises(fall()).await;
    let staff = engine.user("Dora").role("DISPATCHER");
    assert!(messages(&staff, &sos).await.is_empty());
    let ready = engine.nobody().get("/ready").await.ok(200);
    assert_eq!(ready["channels"], json!({}));
}
