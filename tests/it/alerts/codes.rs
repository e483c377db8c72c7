//! Codes that prove that a number is somebody's.

use serde_json::{Value, json};

use super::{ANA, BEN, engine};
use crate::services::sister;
use crate::support::vendors::Vendors;
use crate::support::{Engine, UNLIMITED};

async fn send(engine: &Engine, to: &str) -> Value {
    let body = json!({"to": to, "channel": "sms", "purpose": "login"});
    let answer = sister(engine).posts("/internal/otp", body).await;
    answer.data(202)
}

fn typed(sent: &Value, code: &str) -> Value {
    json!({"id": sent["id"], "code": code})
}

/// The code in the text that came to a number.
async fn code(vendors: &Vendors, to: &str) -> String {
    let text = vendors.expect_sms(to).await.text;
    let mut words = text.split(|c: char| !c.is_ascii_digit());
    let code = words.find(|word| word.len() == 6);
    code.unwrap_or_else(|| panic!("no code in {text:?}")).to_owned()
}

fn other_than(code: &str) -> &'static str {
    if code == "000000" { "111111" } else { "000000" }
}

#[tokio::test]
async fn a_code_that_arrives_proves_the_number_once() {
    let vendors = Vendors::start();
    let engine = engine(&vendors, &[]);
    let sister = sister(&engine);
    let sent = send(&engine, ANA).await;
    let code = code(&vendors, ANA).await;
    let verify = "/internal/otp/verify";
    sister
        .posts(verify, typed(&sent, other_than(&code)))
        .await
        .refused(422, "WRONG_CODE");
    let proof = sister.posts(verify, typed(&sent, &code)).await.data(200);
    assert_eq!(
        (&proof["verified"], &proof["purpose"]),
        (&json!(true), &json!("login"))
    );
    sister
        .posts(verify, typed(&sent, &code))
        .await
        .refused(404, "NOT_FOUND");
    // Another one so soon is one too many, to the same number only.
    let again = json!({"to": ANA, "channel": "SMS"});
    sister
        .posts("/internal/otp", again)
        .await
        .refused(429, "RATE_LIMITED");
    send(&engine, BEN).await;
    vendors.expect_sms(BEN).await;
    vendors.expect_nothing_more();
    assert!(!engine.log().contains(&code) && !engine.log().contains(ANA));
}

#[tokio::test]
async fn a_code_is_good_for_so_many_attempts_and_for_so_long() {
    let vendors = Vendors::start();
    let engine = engine(
        &vendors,
        &[
            ("otp.attempts_max", "2"),
            ("otp.ttl_s", "2"),
            ("otp.cool_down_s", "0"),
        ],
    );
    let sister = sister(&engine);
    let verify = "/internal/otp/verify";
    let sent = send(&engine, ANA).await;
    let right = code(&vendors, ANA).await;
    let wrong = typed(&sent, other_than(&right));
    sister
        .posts(verify, wrong.clone())
        .await
        .refused(422, "WRONG_CODE");
    sister
        .posts(verify, wrong)
        .await
        .refused(409, "TOO_MANY_ATTEMPTS");
    sister
        .posts(verify, typed(&sent, &right))
        .await
        .refused(409, "TOO_MANY_ATTEMPTS");
    crate::support::eventually("it is too late", || async {
        let answer = sister.posts(verify, typed(&sent, &right)).await;
        (answer.status == 410).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_code_that_no_vendor_carries_is_refused() {
    let engine = Engine::start(&UNLIMITED);
    let body = json!({"to": ANA, "channel": "SMS"});
    sister(&engine)
        .posts("/internal/otp", body)
        .await
        .refused(409, "CONFLICT");
    let bad = json!({"to": "ana", "channel": "EMAIL"});
    let refused = sister(&engine).posts("/internal/otp", bad).await.ok(400);
    assert_eq!(refused["fields"][0]["field"], "to");
}
