//! What vendors call back with, at a running engine.

use mayday::domain::notify::Vendor;
use reqwest::Method;
use serde_json::json;

use crate::alerts::{ANA, fall, stand};
use crate::support::vendors::{Call, Vendors};
use crate::support::{Engine, UNLIMITED, eventually};

const OF: [Vendor; 3] = [Vendor::Twilio, Vendor::Msg91, Vendor::WhatsappCloud];

fn engine(vendors: &Vendors) -> Engine {
    let own = vendors.settings_of(&OF);
    let own = own.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let quick = [
        ("alerts.poll_ms", "200"),
        ("notify.callback_max_bytes", "20000"),
        ("alerts.channels", "SMS"),
    ];
    let all: Vec<_> = own.chain(UNLIMITED).chain(quick).collect();
    Engine::start(&all)
}

async fn told(engine: &Engine, call: &Call) -> u16 {
    let mut request = engine.nobody().request(Method::POST, &call.path);
    let mut kind = "";
    for (name, value) in &call.headers {
        if *name == "content-type" {
            kind = value;
        } else {
            request = request.header(name, value);
        }
    }
    request.body(kind, call.body.clone()).send().await.status
}

#[tokio::test]
async fn receipts_move_a_message_on_whatever_order_they_come_in_and_an_answer_acknowledges() {
    let vendors = Vendors::start();
    let engine = engine(&vendors);
    let maria = engine.user("Maria");
    maria.trusts(&[("Ana", ANA)]).await;
    let sos = maria.raises(fall()).await;
    let message = vendors.expect_sms_by(Vendor::Twilio, ANA).await;
    // Out of order, and each twice.
    for status in ["delivered", "sent", "delivered", "queued", "sent"] {
        let call = vendors.twilio_status(&message, status, None);
        assert_eq!(told(&engine, &call).await, 204, "{status}");
    }
    let staff = engine.user("Dora").role("DISPATCHER");
    stand(&staff, &sos, &["DELIVERED"]).await;
    let call = vendors.twilio_message(ANA, "Yes, I am coming");
    assert_eq!(told(&engine, &call).await, 200);
    assert_eq!(told(&engine, &call).await, 200, "told twice");
    eventually("the incident is acknowledged", || async {
        let events = staff.get(&format!("/api/v1/sos/{sos}/events")).await.text;
        events.to_lowercase().contains("acknowledged").then_some(())
    })
    .await;
    vendors.expect_nothing_more();
}

#[tokio::test]
async fn nobody_else_is_believed() {
    let vendors = Vendors::start();
    let engine = engine(&vendors);
    let good = vendors.whatsapp_call(&json!({"entry": []}));
    assert_eq!(told(&engine, &good).await, 200);
    let mut call = good.clone();
    call.body.push(' ');
    assert_eq!(told(&engine, &call).await, 403);
    call.headers.clear();
    assert_eq!(told(&engine, &call).await, 403);
    call.body = "x".repeat(20_001);
    assert_eq!(told(&engine, &call).await, 413);
    let call = vendors.twilio_message(ANA, "YES");
    for (path, body) in [("?x=1", call.body.clone()), ("", call.body.replace("YES", "NO"))] {
        let forged = Call {
            path: format!("{}{path}", call.path),
            body,
            ..call.clone()
        };
        assert_eq!(told(&engine, &forged).await, 403);
    }
    let report = |secret: &str| Call {
        path: format!("/callbacks/msg91/{secret}"),
        headers: vec![("content-type", "application/json".into())],
        body: json!({"requestId": "1", "status": "7"}).to_string(),
    };
    assert_eq!(
        told(&engine, &report(crate::support::vendors::SECRETS[2])).await,
        200
    );
    assert_eq!(told(&engine, &report("guess")).await, 403);
    // These have no key here.
    for path in ["/callbacks/sendgrid", "/callbacks/ses"] {
        let call = Call {
            path: path.into(),
            headers: vec![],
            body: "[]".into(),
        };
        assert_eq!(told(&engine, &call).await, 404);
    }
    let asked = |token: &str| {
        let path =
            format!("/callbacks/whatsapp?hub.mode=subscribe&hub.challenge=115820&hub.verify_token={token}");
        let engine = &engine;
        async move { engine.nobody().get(&path).await }
    };
    assert_eq!(
        asked("the-whatsapp-verify-token-of-the-tests").await.text,
        "115820"
    );
    assert_eq!(asked("guess").await.status, 403);
    let metrics = engine.nobody().get("/metrics").await.text;
    let refused = metrics.lines().find(|line| {
        ["mayday_vendor_calls_total", "\"REFUSED\"", "\"WHATSAPP_CLOUD\""]
            .iter()
            .all(|part| line.contains(part))
    });
    assert!(refused.is_some_and(|line| line.ends_with(" 3")), "{metrics}");
}
