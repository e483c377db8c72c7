//! WhatsApp, the pager, and the operators' webhook.

use std::time::Duration;

use mayday::domain::notify::{Destination, Locale, Occasion, Vendor};
use mayday::domain::phone::PhoneNumber;
use mayday::notify::Sent;

use super::{A, providers, sos};
use crate::support::vendors::{Fault, Vendors};

#[tokio::test]
async fn whatsapp_fills_a_template_in_the_nearest_language() {
    let vendors = Vendors::start();
    let providers = providers(&vendors, &[Vendor::WhatsappCloud]);
    let whatsapp = providers.get(Vendor::WhatsappCloud).unwrap();
    let mut message = sos(Destination::Whatsapp(PhoneNumber::from_e164(A).unwrap()));
    for (locale, language) in [
        ("fil-PH", "fil"),
        ("pt-BR", "pt_BR"),
        ("de", "en"),
        ("en-US", "en"),
    ] {
        message.content.locale = Locale::parse(locale).unwrap();
        let sent = whatsapp.send(&message).await;
        let taken = vendors.expect_whatsapp(A).await;
        assert_eq!(
            sent,
            Sent::Accepted {
                reference: Some(taken.reference)
            }
        );
        assert_eq!(taken.content["template"]["language"]["code"], language);
        assert_eq!(
            taken.text,
            "Maria | I fell | https://sos.example.org/live/1 | https://sos.example.org/a/xyz"
        );
    }
    let dead = Sent::Dead {
        code: "131026".into(),
        forget: false,
    };
    let busy = Sent::Busy {
        code: "130429".into(),
        after: None,
    };
    for (fault, expected) in [
        (Fault::Code(400, "131026"), dead),
        (Fault::Code(429, "130429"), busy),
        (
            Fault::Code(400, "132001"),
            Sent::Refused {
                code: "132001".into(),
            },
        ),
        (Fault::Code(401, "190"), Sent::Barred { code: "190".into() }),
        (
            Fault::Status(502),
            Sent::Unknown {
                code: "http_502".into(),
            },
        ),
    ] {
        vendors.fail(Vendor::WhatsappCloud, fault.clone());
        assert_eq!(whatsapp.send(&message).await, expected, "{fault:?}");
    }
}

#[tokio::test]
async fn the_pager_has_one_alert_for_an_incident_which_is_taken_on_and_resolved() {
    let vendors = Vendors::start();
    let providers = providers(&vendors, &[Vendor::Pagerduty]);
    let pager = providers.get(Vendor::Pagerduty).unwrap();
    let mut message = sos(Destination::Pager);
    for (occasion, action) in [
        (Occasion::SosRaised, "trigger"),
        (Occasion::SosReminder, "trigger"),
        (Occasion::SosAcknowledged, "acknowledge"),
        (Occasion::SosOver, "resolve"),
    ] {
        message.content.occasion = occasion;
        assert_eq!(pager.send(&message).await, Sent::Accepted { reference: None });
        let page = vendors.expect_page(action).await;
        assert_eq!(page.reference, "0f8fad5b");
    }
    message.content.occasion = Occasion::SosRaised;
    message.content.drill = true;
    pager.send(&message).await;
    let page = vendors.expect_page("trigger").await;
    assert!(page.text.starts_with("DRILL"), "{}", page.text);
    assert_eq!(page.content["payload"]["severity"], "info");
    let later = Sent::Busy {
        code: "http_429".into(),
        after: Some(Duration::from_secs(9)),
    };
    vendors.fail(Vendor::Pagerduty, Fault::Later(429, 9));
    assert_eq!(pager.send(&message).await, later);
}

#[tokio::test]
async fn the_operators_webhook_gets_what_is_signed() {
    let vendors = Vendors::start();
    let providers = providers(&vendors, &[Vendor::Webhook]);
    let webhook = providers.get(Vendor::Webhook).unwrap();
    let mut message = sos(Destination::Webhook);
    message.possibly_twice = true;
    assert_eq!(webhook.send(&message).await, Sent::Accepted { reference: None });
    let taken = vendors.expect_webhook("SOS_RAISED").await;
    assert_eq!(taken.reference, "sos-1:1:a:SMS");
    assert_eq!(taken.content["possiblyTwice"], true);
    assert_eq!(taken.content["values"]["person"], "Maria");
    assert!(
        taken.text.starts_with("You may have this message already."),
        "{}",
        taken.text
    );
    vendors.fail(Vendor::Webhook, Fault::Status(410));
    let refused = Sent::Refused {
        code: "http_410".into(),
    };
    assert_eq!(webhook.send(&message).await, refused);
}
