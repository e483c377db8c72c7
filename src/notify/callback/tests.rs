use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use p256::ecdsa::signature::Signer as _;
use p256::pkcs8::EncodePublicKey as _;
use proptest::prelude::*;
use rsa::RsaPrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::EncodePrivateKey as _;
use rsa::signature::SignatureEncoding as _;
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::*;
use crate::notify::Credential;

fn secret(text: &str) -> Credential {
    Credential::new(text).unwrap()
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

const NOW: u64 = 1_795_000_000;
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

fn news(reference: &str, state: DeliveryState, code: Option<&str>) -> News {
    News {
        reference: reference.into(),
        state,
        code: code.map(str::to_owned),
        at: None,
    }
}

fn without_times(heard: Heard) -> Vec<News> {
    let news = heard.news.into_iter();
    news.map(|news| News { at: None, ..news }).collect()
}

// Twilio.

fn twilio() -> TwilioCallbacks {
    TwilioCallbacks::new(secret("12345"), Url::parse("https://mycompany.com").unwrap())
}

fn hmac_sha1(text: &str) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(b"12345").unwrap();
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[test]
fn twilios_own_example_verifies_and_nothing_beside_it() {
    let body =
        "Digits=1234&To=%2B18005551212&From=%2B14158675309&Caller=%2B14158675309&CallSid=CA1234567890ABCDE";
    let (path, signature) = ("/myapp.php?foo=1&bar=2", "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
    assert_eq!(
        twilio().status(path, FORM, signature, body.as_bytes()),
        Ok(Heard::default())
    );
    for (path, signature, body) in [
        ("/myapp.php?foo=1&bar=3", signature, body),
        (path, "RSOYDt4T1cUTdK1PDd93/VVr8B9=", body),
        (path, "", body),
        (path, signature, &body[1..]),
        (path, signature, &format!("{body}&x=1")),
    ] {
        let refused = twilio().status(path, FORM, signature, body.as_bytes());
        assert_eq!(refused, Err(Refused::Signature), "{path} {signature} {body}");
    }
}

#[test]
fn a_status_of_twilios_is_news_and_a_text_to_us_is_an_answer() {
    let path = "/callbacks/twilio/status";
    let signed = |body: &str| {
        let mut fields: Vec<(String, String)> = url::form_urlencoded::parse(body.as_bytes())
            .into_owned()
            .collect();
        fields.sort();
        let text: String = fields
            .iter()
            .map(|(key, value)| format!("{key}{value}"))
            .collect();
        hmac_sha1(&format!("https://mycompany.com{path}{text}"))
    };
    let status = |body: &str| {
        twilio()
            .status(path, FORM, &signed(body), body.as_bytes())
            .unwrap()
            .news
    };
    assert_eq!(
        status("MessageSid=SM12&MessageStatus=delivered&ErrorCode="),
        [news("TWILIO:SM12", DeliveryState::Delivered, None)]
    );
    assert_eq!(
        status("MessageSid=SM12&MessageStatus=undelivered&ErrorCode=30005"),
        [news("TWILIO:SM12", DeliveryState::FailedTemporary, Some("30005"))]
    );
    for unknown in [
        "MessageSid=SM12&MessageStatus=weird",
        "MessageSid=../x&MessageStatus=sent",
        "",
    ] {
        assert_eq!(status(unknown), [], "{unknown}");
    }
    let body = "MessageSid=SM13&From=%2B639171234567&Body=+YES%2C+coming+";
    let heard = twilio()
        .message(path, FORM, &signed(body), body.as_bytes())
        .unwrap();
    let reply = Reply {
        id: "TWILIO:SM13".into(),
        channel: Channel::Sms,
        from: PhoneNumber::from_e164("+639171234567").unwrap(),
        text: "YES, coming".into(),
    };
    assert_eq!(heard.replies, [reply]);
}

#[test]
fn json_of_twilios_is_bound_by_its_hash_in_the_address() {
    let body = r#"{"MessageSid":"SM12","MessageStatus":"sent"}"#;
    let path = format!(
        "/callbacks/twilio/status?bodySHA256={}",
        hex::encode(Sha256::digest(body))
    );
    let signature = hmac_sha1(&format!("https://mycompany.com{path}"));
    let heard = twilio().status(&path, JSON, &signature, body.as_bytes()).unwrap();
    assert_eq!(heard.news, [news("TWILIO:SM12", DeliveryState::Accepted, None)]);
    let changed = body.replace("sent", "read");
    let refused = twilio().status(&path, JSON, &signature, changed.as_bytes());
    assert_eq!(refused, Err(Refused::Signature));
    // Without the hash, the signature would be good for every body.
    let bare = "/callbacks/twilio/status";
    let signature = hmac_sha1(&format!("https://mycompany.com{bare}"));
    assert_eq!(
        twilio().status(bare, JSON, &signature, body.as_bytes()),
        Err(Refused::Signature)
    );
}

// WhatsApp.

fn whatsapp() -> WhatsappCallbacks {
    WhatsappCallbacks::new(secret("app-secret"), Some(secret("verify")))
}

fn hub_signature(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"app-secret").unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

#[test]
fn whatsapp_tells_statuses_and_answers_and_what_it_tells_beside_them_fails_nothing() {
    let status = |id: &str, status: &str| json!({"id": id, "status": status, "timestamp": "1795000000", "recipient_id": "1"});
    let mut failed = status("wamid.2", "failed");
    failed["errors"] = json!([{"code": 131_026, "title": "x"}]);
    let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [
        {"field": "messages", "value": {"statuses": [
            status("wamid.1", "read"), status("wamid.1", "delivered"), failed, status("wamid.3", "warped"), 7, null,
        ]}},
        {"field": "account_update", "value": null},
        {"field": "messages", "value": {"messages": [
            {"id": "wamid.9", "from": "639171234567", "type": "text", "text": {"body": "on my way"}},
            {"id": "wamid.10", "from": "639171234567", "type": "button", "button": {"text": "I can help", "payload": "x"}},
            {"id": "wamid.11", "from": "639171234567", "type": "interactive",
             "interactive": {"type": "button_reply", "button_reply": {"id": "a", "title": "Yes"}}},
            {"id": "wamid.12", "from": "639171234567", "type": "image", "image": {}},
        ]}},
    ]}, {}]})
    .to_string();
    let heard = whatsapp()
        .heard(&hub_signature(body.as_bytes()), body.as_bytes())
        .unwrap();
    let texts: Vec<_> = heard.replies.iter().map(|reply| reply.text.as_str()).collect();
    assert_eq!(texts, ["on my way", "I can help", "Yes"]);
    assert_eq!(heard.news[0].at, Some(Timestamp::from_ms(1_795_000_000_000)));
    assert_eq!(
        without_times(heard),
        [
            news("WHATSAPP_CLOUD:wamid.1", DeliveryState::Read, None),
            news("WHATSAPP_CLOUD:wamid.1", DeliveryState::Delivered, None),
            news(
                "WHATSAPP_CLOUD:wamid.2",
                DeliveryState::FailedTemporary,
                Some("131026")
            ),
        ]
    );
}

#[test]
fn whatsapps_challenge_is_answered_to_whoever_knows_the_token() {
    let asked = |query: &str| whatsapp().challenge(query);
    assert_eq!(
        asked("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=verify"),
        Ok("1158201444".into())
    );
    for query in [
        "",
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=verifx",
        "hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=verify",
    ] {
        assert_eq!(asked(query), Err(Refused::Signature), "{query}");
    }
    let query = "hub.mode=subscribe&hub.challenge=%3Cscript%3E&hub.verify_token=verify";
    assert_eq!(asked(query), Err(Refused::Malformed));
}

// MSG91.

#[test]
fn msg91_reports_in_two_forms_to_whoever_knows_the_address() {
    let callbacks = Msg91Callbacks::new(secret("in-the-address"));
    let heard = |kind: &str, body: &str| callbacks.heard("in-the-address", kind, body.as_bytes());
    let data = json!([
        {"requestId": "3567a1", "userId": "1", "report": [
            {"number": "639171234567", "status": "1", "date": "2026-11-21 12:00:00", "desc": "DELIVERED"}]},
        {"requestId": "3567a2", "report": [{"number": "639171234567", "status": 17}, {"status": "99"}, null]},
        {"requestId": "../etc", "report": [{"status": "1"}]},
        "x",
    ]);
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("data", &data.to_string());
    let expected = [
        news("MSG91:3567a1", DeliveryState::Delivered, None),
        news("MSG91:3567a2", DeliveryState::FailedTemporary, Some("17")),
    ];
    assert_eq!(heard(FORM, &form.finish()).unwrap().news, expected);
    assert_eq!(heard(JSON, &data.to_string()).unwrap().news, expected);
    let flat = r#"{"requestId":"3567a1","status":"2","number":"639171234567"}"#;
    assert_eq!(
        heard(JSON, flat).unwrap().news,
        [news("MSG91:3567a1", DeliveryState::FailedTemporary, Some("2"))]
    );
    assert_eq!(heard(JSON, "{"), Err(Refused::Malformed));
    assert_eq!(heard(FORM, "x=1"), Err(Refused::Malformed));
    for wrong in ["", "in-the-addres", "in-the-addresS"] {
        let refused = callbacks.heard(wrong, JSON, flat.as_bytes());
        assert_eq!(refused, Err(Refused::Signature), "{wrong}");
    }
}

// SendGrid.

fn sendgrid() -> (SendgridCallbacks, p256::ecdsa::SigningKey) {
    let key = p256::ecdsa::SigningKey::from_slice(&[3; 32]).unwrap();
    let public = key.verifying_key().to_public_key_der().unwrap();
    let callbacks = SendgridCallbacks::new(&STANDARD.encode(public.as_bytes())).unwrap();
    (callbacks, key)
}

fn sendgrid_signature(key: &p256::ecdsa::SigningKey, timestamp: &str, body: &str) -> String {
    let signature: p256::ecdsa::Signature = key.sign(format!("{timestamp}{body}").as_bytes());
    STANDARD.encode(signature.to_der())
}

#[test]
fn sendgrids_events_are_news_while_their_signature_is_fresh() {
    let (callbacks, key) = sendgrid();
    let event = |id: &str, kind: &str| json!({"sg_message_id": id, "event": kind, "timestamp": NOW, "email": "a@b.ph"});
    let mut bounced = event("mail-2.filter0001.16648.0", "bounce");
    bounced["status"] = json!("5.1.1");
    let mut machine = event("mail-1.recvd-x", "open");
    machine["sg_machine_open"] = json!(true);
    let body = json!([
        event("mail-1.filterdrecv-5d8-0.0", "delivered"), event("mail-1.recvd-5d8-0", "open"), bounced, machine,
        event("mail-1", "deferred"), event("", "open"), 5, {"event": "open"},
    ])
    .to_string();
    let timestamp = NOW.to_string();
    let signature = sendgrid_signature(&key, &timestamp, &body);
    let heard = |timestamp: &str, body: &str, now: u64| {
        callbacks.heard(&signature, timestamp, body.as_bytes(), at(now))
    };
    assert_eq!(
        without_times(heard(&timestamp, &body, NOW).unwrap()),
        [
            news("SENDGRID:mail-1", DeliveryState::Delivered, None),
            news("SENDGRID:mail-1", DeliveryState::Read, None),
            news("SENDGRID:mail-2", DeliveryState::FailedTemporary, Some("5.1.1")),
        ]
    );
    assert!(heard(&timestamp, &body, NOW + 3_500).is_ok());
    assert_eq!(heard(&timestamp, &body, NOW + 3_700), Err(Refused::Stale));
    assert_eq!(heard(&timestamp, &body, NOW - 400), Err(Refused::Stale));
    assert_eq!(heard(&(NOW + 1).to_string(), &body, NOW), Err(Refused::Signature));
    assert!(SendgridCallbacks::new("AAAA").is_err() && SendgridCallbacks::new("").is_err());
}

// SES.

fn rsa_key() -> RsaPrivateKey {
    RsaPrivateKey::from_pkcs1_der(include_bytes!("../../../tests/fixtures/rsa-of-the-tests.der")).unwrap()
}

fn certificate() -> Vec<u8> {
    let key = rsa_key().to_pkcs8_der().unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.as_bytes());
    let key = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&key, &rcgen::PKCS_RSA_SHA256).unwrap();
    let parameters = rcgen::CertificateParams::new(vec!["sns.amazonaws.com".to_owned()]).unwrap();
    parameters.self_signed(&key).unwrap().pem().into_bytes()
}

struct TestAmazon {
    certificate: Vec<u8>,
    asked: Arc<AtomicUsize>,
}

#[async_trait]
impl Amazon for TestAmazon {
    async fn get(&self, _: &Url) -> Option<Vec<u8>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Some(self.certificate.clone())
    }
}

const TOPIC: &str = "arn:aws:sns:ap-southeast-1:123456789012:mail";

/// What SNS would send, signed in one of its two ways.
fn sns(kind: &str, message: &str, version: &str, change: impl Fn(&mut Value)) -> String {
    let mut json = json!({
        "Type": kind, "MessageId": "m-1", "TopicArn": TOPIC, "Message": message,
        "Timestamp": "2026-11-18T05:06:40.000Z", "SignatureVersion": version,
        "SigningCertURL": "https://sns.ap-southeast-1.amazonaws.com/SimpleNotificationService-1.pem",
    });
    if kind == "SubscriptionConfirmation" {
        json["SubscribeURL"] = json!("https://sns.ap-southeast-1.amazonaws.com/?Action=ConfirmSubscription");
        json["Token"] = json!("t");
    }
    change(&mut json);
    let names = [
        "Message",
        "MessageId",
        "Subject",
        "SubscribeURL",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    ];
    let text: String = names
        .iter()
        .filter_map(|name| Some(format!("{name}\n{}\n", json[*name].as_str()?)))
        .collect();
    let signature = if version == "1" {
        rsa::pkcs1v15::SigningKey::<Sha1>::new(rsa_key())
            .sign(text.as_bytes())
            .to_vec()
    } else {
        rsa::pkcs1v15::SigningKey::<Sha256>::new(rsa_key())
            .sign(text.as_bytes())
            .to_vec()
    };
    json["Signature"] = json!(STANDARD.encode(signature));
    json.to_string()
}

fn amazon() -> (AmazonCallbacks, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let amazon = TestAmazon {
        certificate: certificate(),
        asked: Arc::clone(&asked),
    };
    (AmazonCallbacks::new(vec![TOPIC.into()], amazon), asked)
}

/// 2026-11-18T05:06:40Z
const SIGNED_AT: u64 = 1_794_978_400;

#[tokio::test]
async fn what_ses_tells_by_sns_is_news_by_either_signature_and_its_certificate_is_fetched_once() {
    let (callbacks, asked) = amazon();
    let event = |kind: &str| {
        json!({"eventType": kind, "mail": {"messageId": "010f-1"}, "bounce": {"bounceType": "Permanent"}})
            .to_string()
    };
    for (kind, version, expected) in [
        (
            "Delivery",
            "1",
            Some(news("SES:010f-1", DeliveryState::Delivered, None)),
        ),
        (
            "Delivery",
            "2",
            Some(news("SES:010f-1", DeliveryState::Delivered, None)),
        ),
        (
            "Bounce",
            "2",
            Some(news(
                "SES:010f-1",
                DeliveryState::FailedTemporary,
                Some("Permanent"),
            )),
        ),
        ("Complaint", "2", None),
    ] {
        let body = sns("Notification", &event(kind), version, |_| {});
        let heard = callbacks.heard(body.as_bytes(), at(SIGNED_AT)).await.unwrap();
        assert_eq!(
            without_times(heard),
            expected.into_iter().collect::<Vec<_>>(),
            "{kind}"
        );
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let body = sns("Notification", &event("Delivery"), "2", |_| {});
    let late = callbacks.heard(body.as_bytes(), at(SIGNED_AT + 4_000)).await;
    assert_eq!(late, Err(Refused::Stale));
    let changed = body.replace("010f-1", "010f-2");
    assert_eq!(
        callbacks.heard(changed.as_bytes(), at(SIGNED_AT)).await,
        Err(Refused::Signature)
    );
    // A subject is signed where there is one.
    let body = sns("Notification", &event("Delivery"), "2", |json| {
        json["Subject"] = json!("x");
    });
    assert!(callbacks.heard(body.as_bytes(), at(SIGNED_AT)).await.is_ok());
}

#[tokio::test]
async fn a_topic_of_ours_is_subscribed_to_and_nobody_elses() {
    let (callbacks, asked) = amazon();
    let body = sns("SubscriptionConfirmation", "You have chosen", "2", |_| {});
    assert_eq!(
        callbacks.heard(body.as_bytes(), at(SIGNED_AT)).await,
        Ok(Heard::default())
    );
    assert_eq!(
        asked.load(Ordering::Relaxed),
        2,
        "the certificate, and the address to confirm at"
    );
    let elses = sns("SubscriptionConfirmation", "x", "2", |json| {
        json["TopicArn"] = json!("arn:aws:sns:x:1:y");
    });
    assert_eq!(
        callbacks.heard(elses.as_bytes(), at(SIGNED_AT)).await,
        Err(Refused::Topic)
    );
    for place in [
        "http://sns.ap-southeast-1.amazonaws.com/a.pem",
        "https://sns.evil.example/a.pem",
        "https://sns.x.amazonaws.com.evil.example/a.pem",
        "https://evil.s3.amazonaws.com/a.pem",
        "https://sns.a.b.amazonaws.com/a.pem",
        "https://me@sns.x.amazonaws.com/a.pem",
        "https://sns.x.amazonaws.com:8443/a.pem",
        "https://sns.x.amazonaws.com/a.txt",
    ] {
        let body = sns("Notification", "{}", "2", |json| {
            json["SigningCertURL"] = json!(place);
        });
        let refused = callbacks.heard(body.as_bytes(), at(SIGNED_AT)).await;
        assert_eq!(refused, Err(Refused::Signature), "{place}");
    }
    assert_eq!(
        asked.load(Ordering::Relaxed),
        2,
        "nothing was fetched from elsewhere"
    );
}

fn any_body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        "[\\[\\]{}\",:a-zA-Z0-9.=&%+ ]{0,300}".prop_map(String::into_bytes),
        "(MessageSid|MessageStatus|From|Body|data|entry|requestId|report|status)[=:&a-z0-9\\[\\{\"]{0,40}"
            .prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(body in any_body(), kind in prop_oneof![Just(FORM), Just(JSON), Just("")], word in "\\PC{0,60}") {
        let form = hmac_sha1(&format!("https://mycompany.com/{}", String::from_utf8_lossy(&body)));
        for signature in [&word, &form] {
            let _ = twilio().status(&word, kind, signature, &body);
            let _ = twilio().message(&word, kind, signature, &body);
        }
        let _ = whatsapp().challenge(&word);
        let _ = whatsapp().heard(&hub_signature(&body), &body);
        let _ = Msg91Callbacks::new(secret("s")).heard("s", kind, &body);
        let (callbacks, key) = sendgrid();
        let text = String::from_utf8_lossy(&body);
        let _ = callbacks.heard(&sendgrid_signature(&key, "5", &text), "5", text.as_bytes(), at(5));
        let _ = callbacks.heard(&word, &word, &body, at(NOW));
        if let Ok(envelope) = Envelope::read(&body) {
            let _ = envelope.verify(&body, at(NOW));
        }
    }

    #[test]
    fn a_changed_byte_never_verifies(place in 0_usize..1_000, change in 1_u8..=255) {
        let changed = |body: &str| {
            let mut bytes = body.as_bytes().to_vec();
            let place = place % bytes.len();
            bytes[place] ^= change;
            bytes
        };
        let body = r#"{"entry":[{"changes":[{"value":{"statuses":[{"id":"wamid.1","status":"read"}]}}]}]}"#;
        prop_assert_eq!(whatsapp().heard(&hub_signature(body.as_bytes()), &changed(body)), Err(Refused::Signature));

        let (callbacks, key) = sendgrid();
        let (timestamp, body) = (NOW.to_string(), r#"[{"sg_message_id":"m","event":"open","timestamp":1}]"#);
        let signature = sendgrid_signature(&key, &timestamp, body);
        prop_assert_eq!(callbacks.heard(&signature, &timestamp, &changed(body), at(NOW)), Err(Refused::Signature));

        let path = format!("/x?bodySHA256={}", hex::encode(Sha256::digest(body)));
        let signature = hmac_sha1(&format!("https://mycompany.com{path}"));
        prop_assert_eq!(twilio().status(&path, JSON, &signature, &changed(body)), Err(Refused::Signature));
    }
}
