//! Text messages: Twilio, then MSG91.

use std::time::Duration;

use mayday::domain::notify::{DeliveryState, Occasion, Vendor};
use mayday::notify::{Asked, Sent};

use super::{A, configured, providers, sos, to_a};
use crate::support::vendors::{Fault, Vendors};

fn busy(code: &str) -> Sent {
    Sent::Busy {
        code: code.into(),
        after: None,
    }
}

fn unknown(code: &str) -> Sent {
    Sent::Unknown { code: code.into() }
}

#[tokio::test]
async fn twilio_takes_a_message_tells_how_it_stands_and_finds_it_again() {
    let vendors = Vendors::start();
    let providers = providers(&vendors, &[Vendor::Twilio, Vendor::Msg91]);
    let order: Vec<_> = providers
        .for_destination(&to_a())
        .map(|one| one.vendor())
        .collect();
    assert_eq!(order, [Vendor::Twilio, Vendor::Msg91]);
    let twilio = providers.get(Vendor::Twilio).unwrap();
    let message = sos(to_a());
    assert_eq!(twilio.search(&message, Duration::from_secs(5)).await, Ok(None));

    let Sent::Accepted {
        reference: Some(reference),
    } = twilio.send(&message).await
    else {
        panic!("not taken")
    };
    let taken = vendors.expect_sms(A).await;
    assert_eq!(taken.reference, reference);
    assert_eq!(
        taken.text,
        "SOS: Maria needs help (medical). Message: I fell. Map: https://sos.example.org/live/1 \
         I can help: https://sos.example.org/a/xyz"
    );
    assert_eq!(taken.content["ValidityPeriod"], "3600");
    assert_eq!(
        taken.callback.as_deref(),
        Some("https://sos.example.org/callbacks/twilio/status")
    );

    let stands = |state, code: Option<&str>| {
        Some(Asked::Stands {
            state,
            code: code.map(str::to_owned),
        })
    };
    assert_eq!(
        twilio.ask(&reference).await,
        stands(DeliveryState::Accepted, None)
    );
    vendors.twilio_says(&taken, "delivered", None);
    assert_eq!(
        twilio.ask(&reference).await,
        stands(DeliveryState::Delivered, None)
    );
    vendors.twilio_says(&taken, "undelivered", Some(30005));
    assert_eq!(
        twilio.ask(&reference).await,
        stands(DeliveryState::FailedTemporary, Some("30005"))
    );
    assert_eq!(twilio.ask("SM00").await, Some(Asked::Unheard));
    assert_eq!(twilio.ask("../Calls").await, Some(Asked::Unheard));

    assert!(twilio.can_search());
    let found = twilio.search(&message, Duration::from_secs(5)).await;
    assert_eq!(found, Ok(Some(reference)));
    let mut another = message.clone();
    another.content.values.insert("person".into(), "Jose".into());
    assert_eq!(twilio.search(&another, Duration::from_secs(5)).await, Ok(None));
}

#[tokio::test]
async fn each_way_in_which_twilio_fails_is_told_apart() {
    let vendors = Vendors::start();
    let providers = providers(&vendors, &[Vendor::Twilio]);
    let twilio = providers.get(Vendor::Twilio).unwrap();
    let message = sos(to_a());
    let after = Sent::Busy {
        code: "http_429".into(),
        after: Some(Duration::from_secs(7)),
    };
    let refused = Sent::Refused { code: "30001".into() };
    let dead = Sent::Dead {
        code: "21610".into(),
        forget: false,
    };
    let barred = Sent::Barred { code: "20003".into() };
    for (fault, expected, taken) in [
        (Fault::Later(429, 7), after, false),
        (Fault::Code(400, "30001"), refused, false),
        (Fault::Code(400, "21610"), dead, false),
        (Fault::Code(401, "20003"), barred, false),
        (Fault::Status(503), unknown("http_503"), false),
        (Fault::HangsUp, unknown("broken_off"), false),
        (Fault::Silence, unknown("timeout"), false),
        (Fault::TakesInSilence, unknown("timeout"), true),
        (Fault::Gibberish, unknown("answer_unreadable"), true),
        (Fault::BreaksOff, unknown("answer_unreadable"), true),
    ] {
        vendors.fail(Vendor::Twilio, fault.clone());
        assert_eq!(twilio.send(&message).await, expected, "{fault:?}");
        // Nobody sends twice in one call.
        if taken {
            let taken = vendors.expect_sms_by(Vendor::Twilio, A).await;
            let found = twilio.search(&message, Duration::from_secs(9)).await;
            assert_eq!(found, Ok(Some(taken.reference)), "{fault:?}");
        }
        vendors.expect_nothing_more();
    }
    assert_eq!(vendors.times_asked(Vendor::Twilio), 10);
    vendors.fail(Vendor::Twilio, Fault::Slow(Duration::from_millis(300)));
    assert!(matches!(twilio.send(&message).await, Sent::Accepted { .. }));
    vendors.expect_sms(A).await;
    vendors.close(Vendor::Twilio);
    let fresh = configured(vendors.settings_of(&[Vendor::Twilio]));
    let twilio = fresh.get(Vendor::Twilio).unwrap();
    assert_eq!(twilio.send(&message).await, busy("connect"));
    assert_eq!(twilio.search(&message, Duration::ZERO).await, Err(()));
    assert_eq!(twilio.ask("SM1").await, Some(Asked::Unanswered));
}

#[tokio::test]
async fn msg91_fills_the_template_that_it_keeps() {
    let vendors = Vendors::start();
    let providers = providers(&vendors, &[Vendor::Msg91]);
    let msg91 = providers.get(Vendor::Msg91).unwrap();
    let mut message = sos(to_a());
    message.content.drill = true;
    let sent = msg91.send(&message).await;
    let taken = vendors.expect_sms_by(Vendor::Msg91, A).await;
    assert_eq!(
        sent,
        Sent::Accepted {
            reference: Some(taken.reference)
        }
    );
    assert_eq!(
        taken.text,
        "DRILL, nothing has happened. Maria | I fell | https://sos.example.org/live/1 | https://sos.example.org/a/xyz"
    );
    message.content.drill = false;
    message.content.occasion = Occasion::Otp;
    message.content.values = [("code".into(), "123456".into())].into();
    msg91.send(&message).await;
    let taken = vendors.expect_sms(A).await;
    assert_eq!(taken.text, "123456 | -");
    assert_eq!(taken.content["template_id"], "61e7f0c1d6fc05000000000f");
    assert!(!msg91.can_search());
    assert_eq!(msg91.ask("1").await, None);
}

#[tokio::test]
async fn msg91_is_believed_by_its_type_and_not_by_its_status() {
    let vendors = Vendors::start();
    let providers = providers(&vendors, &[Vendor::Msg91]);
    let msg91 = providers.get(Vendor::Msg91).unwrap();
    let message = sos(to_a());
    let refused = Sent::Refused { code: "211".into() };
    let barred = Sent::Barred { code: "207".into() };
    for (fault, expected, taken) in [
        (Fault::Code(200, "211"), refused, false),
        (Fault::Code(200, "207"), barred, false),
        (Fault::Status(429), busy("http_429"), false),
        (Fault::Status(502), unknown("http_502"), false),
        (Fault::Gibberish, unknown("answer_unreadable"), true),
        (Fault::TakesInSilence, unknown("timeout"), true),
    ] {
        vendors.fail(Vendor::Msg91, fault.clone());
        assert_eq!(msg91.send(&message).await, expected, "{fault:?}");
        if taken {
            vendors.expect_sms(A).await;
        }
        vendors.expect_nothing_more();
    }
}
