//! Pushes: FCM, APNs, and browsers (against web-push-testing, which really decrypts).

use std::time::Duration;

use mayday::domain::notify::{Destination, PushToken, Vendor, WebPushKeys};
use mayday::notify::Sent;

use super::{configured, providers, sos};
use crate::support::tools::Browsers;
use crate::support::vendors::{Fault, Vendors};

const APP: &str = "fcm-token-of-ana";
const DEVICE: &str = "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0";

fn token(text: &str) -> PushToken {
    PushToken::parse(text).unwrap()
}

const TAKEN: Sent = Sent::Accepted { reference: None };

fn busy(code: &str, after: Option<u64>) -> Sent {
    Sent::Busy {
        code: code.into(),
        after: after.map(Duration::from_secs),
    }
}

#[tokio::test]
async fn fcm_takes_pushes_by_one_token_that_is_fetched_once_however_many_ask() {
    let vendors = Vendors::start();
    let providers = providers(&vendors, &[Vendor::Fcm]);
    let fcm = providers.get(Vendor::Fcm).unwrap();
    let message = sos(Destination::Fcm(token(APP)));
    let sends = (0..20).map(|_| fcm.send(&message));
    for sent in futures_util::future::join_all(sends).await {
        assert_eq!(sent, TAKEN);
    }
    for _ in 0..20 {
        let push = vendors.expect_push(APP).await;
        assert!(
            push.text
                .starts_with("SOS: Maria needs help\nSOS: Maria needs help (medical).")
        );
        assert_eq!(push.content["android"]["ttl"], "3600s");
        assert_eq!(push.content["data"]["incident"], "0f8fad5b");
    }
    assert_eq!(vendors.fcm_tokens(), 1);

    vendors.uninstall(APP);
    let dead = Sent::Dead {
        code: "UNREGISTERED".into(),
        forget: true,
    };
    assert_eq!(fcm.send(&message).await, dead);
    vendors.fail_times(Vendor::Fcm, 1, Fault::Later(429, 30));
    assert_eq!(fcm.send(&message).await, busy("http_429", Some(30)));
    vendors.fail_times(Vendor::Fcm, 1, Fault::Code(503, "UNAVAILABLE"));
    assert_eq!(fcm.send(&message).await, busy("UNAVAILABLE", None));
    // A token that was fetched just now and is not believed: fetching more of them would not help.
    vendors.fcm_forgets_tokens();
    let barred = Sent::Barred {
        code: "http_401".into(),
    };
    assert_eq!(fcm.send(&message).await, barred);
    assert_eq!(fcm.send(&message).await, dead, "with the next one it goes on");
}

#[tokio::test]
async fn fcm_renews_a_token_before_it_ends_and_says_when_it_gets_none() {
    let vendors = Vendors::start();
    vendors.fcm_tokens_live(121);
    let providers = providers(&vendors, &[Vendor::Fcm]);
    let fcm = providers.get(Vendor::Fcm).unwrap();
    let message = sos(Destination::Fcm(token(APP)));
    assert_eq!(fcm.send(&message).await, TAKEN);
    // Two minutes before its end it is given up: of this one a second is left.
    crate::support::eventually("another token was fetched", || async {
        assert_eq!(fcm.send(&message).await, TAKEN);
        (vendors.fcm_tokens() == 2).then_some(())
    })
    .await;
    vendors.expect_all();
    vendors.bar_fcm(true);
    let fresh = self::providers(&vendors, &[Vendor::Fcm]);
    let barred = Sent::Barred {
        code: "oauth_400".into(),
    };
    assert_eq!(fresh.get(Vendor::Fcm).unwrap().send(&message).await, barred);
}

#[tokio::test]
async fn a_push_that_is_too_long_is_cut_and_its_links_are_kept() {
    let vendors = Vendors::start();
    let providers = providers(&vendors, &[Vendor::Fcm, Vendor::Apns]);
    for (vendor, to) in [
        (Vendor::Fcm, Destination::Fcm(token(APP))),
        (Vendor::Apns, Destination::Apns(token(DEVICE))),
    ] {
        let mut message = sos(to);
        message.content.values.insert("message".into(), "🆘".repeat(900));
        message.content.values.insert("place".into(), "\"".repeat(900));
        assert_eq!(providers.get(vendor).unwrap().send(&message).await, TAKEN);
        let taken = vendors.expect("a push", |push| push.vendor == vendor).await;
        let whole = taken.content.to_string();
        assert!(
            whole.contains("https://sos.example.org/a/xyz") && whole.len() > 3_000,
            "{}",
            whole.len()
        );
    }
}

#[tokio::test]
async fn apns_takes_pushes_over_http2_by_one_token() {
    let vendors = Vendors::start();
    let providers = providers(&vendors, &[Vendor::Apns]);
    let apns = providers.get(Vendor::Apns).unwrap();
    let message = sos(Destination::Apns(token(DEVICE)));
    for _ in 0..3 {
        assert_eq!(apns.send(&message).await, TAKEN);
        let push = vendors.expect_push(DEVICE).await;
        assert_eq!(push.content["collapse"], "sos-1:1:a:SMS");
        assert_eq!(push.content["priority"], "10");
    }
    assert_eq!(vendors.apns_tokens(), 1);
    vendors.fail_times(Vendor::Apns, 1, Fault::Code(429, "TooManyRequests"));
    assert_eq!(apns.send(&message).await, busy("TooManyRequests", None));
    vendors.fail_times(Vendor::Apns, 1, Fault::TakesInSilence);
    assert_eq!(
        apns.send(&message).await,
        Sent::Unknown {
            code: "timeout".into()
        }
    );
    vendors.expect_push(DEVICE).await;
    vendors.fail_times(Vendor::Apns, 1, Fault::Code(403, "ExpiredProviderToken"));
    let barred = Sent::Barred {
        code: "ExpiredProviderToken".into(),
    };
    assert_eq!(apns.send(&message).await, barred, "it is too young to be too old");
    vendors.uninstall(DEVICE);
    let dead = |code: &str| Sent::Dead {
        code: code.into(),
        forget: true,
    };
    assert_eq!(apns.send(&message).await, dead("Unregistered"));
    let none = sos(Destination::Apns(token("../../3/device/x")));
    assert_eq!(apns.send(&none).await, dead("BadDeviceToken"));
    vendors.close(Vendor::Apns);
    let fresh = self::providers(&vendors, &[Vendor::Apns]);
    assert_eq!(
        fresh.get(Vendor::Apns).unwrap().send(&message).await,
        busy("connect", None)
    );
}

#[tokio::test]
async fn a_browser_reads_what_was_encrypted_for_it() {
    let browsers = Browsers::start().await;
    let settings = [
        ("notify.webpush.private_key", browsers.private_key()),
        ("notify.webpush.subject", "mailto:ops@example.org"),
        ("notify.webpush.hosts", "localhost, 127.0.0.1"),
        ("notify.allow_http", "true"),
    ];
    let providers = configured(settings.map(|(key, value)| (key.to_owned(), value.to_owned())));
    let webpush = providers.get(Vendor::WebPush).unwrap();
    let (hash, keys) = browsers.subscribe().await;
    let message = sos(Destination::WebPush(Box::new(keys.clone())));
    assert_eq!(webpush.send(&message).await, TAKEN);
    let read = browsers.read(&hash).await;
    assert_eq!(read["title"], "SOS: Maria needs help");
    assert_eq!(read["acknowledge"], "https://sos.example.org/a/xyz");

    browsers.expire(&hash).await;
    let dead = Sent::Dead {
        code: "http_410".into(),
        forget: true,
    };
    assert_eq!(webpush.send(&message).await, dead);
    // A subscription that leads elsewhere.
    for endpoint in [
        "http://10.0.0.1/x",
        "https://localhost.example.org/",
        "http://xlocalhost/",
        "ftp://localhost/",
        "http://a:b@localhost/",
    ] {
        let keys = WebPushKeys {
            endpoint: token(endpoint),
            ..keys.clone()
        };
        let refused = Sent::Dead {
            code: "endpoint_not_allowed".into(),
            forget: false,
        };
        let to = Destination::WebPush(Box::new(keys));
        assert_eq!(webpush.send(&sos(to)).await, refused, "{endpoint}");
    }
}
