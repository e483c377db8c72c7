//! E-mails: SendGrid, then SES (against moto), then a mail server (against aiosmtpd).

use std::time::Duration;

use mayday::domain::notify::{Destination, Email, Vendor};
use mayday::notify::{Providers, Sent};

use super::{configured, providers, sos};
use crate::support::tools::{MailServer, Moto};
use crate::support::vendors::{Fault, Vendors};

const MAILBOX: &str = "ana@example.org";

fn to_ana() -> Destination {
    Destination::Email(Email::parse(MAILBOX).unwrap())
}

fn named(settings: &[(&str, &str)]) -> Providers {
    let owned = settings
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    configured(owned)
}

#[tokio::test]
async fn sendgrid_takes_a_mail_in_text_and_html() {
    let vendors = Vendors::start();
    let providers = providers(&vendors, &[Vendor::Sendgrid]);
    let sendgrid = providers.get(Vendor::Sendgrid).unwrap();
    let mut message = sos(to_ana());
    let script = "<script>\r\nBcc: eve@example.org";
    message.content.values.insert("person".into(), script.into());
    let sent = sendgrid.send(&message).await;
    let taken = vendors.expect_email(MAILBOX).await;
    assert_eq!(
        sent,
        Sent::Accepted {
            reference: Some(taken.reference)
        }
    );
    assert_eq!(
        taken.content["subject"],
        "SOS: <script> Bcc: eve@example.org needs help"
    );
    let html = taken.content["content"][1]["value"].as_str().unwrap();
    assert!(
        html.contains("&lt;script&gt;") && !html.contains("<script>"),
        "{html}"
    );

    let busy = |code: &str, after: Option<u64>| Sent::Busy {
        code: code.into(),
        after: after.map(Duration::from_secs),
    };
    for (fault, expected) in [
        (Fault::Later(429, 3), busy("http_429", Some(3))),
        (Fault::Status(500), busy("http_500", None)),
        (
            Fault::Code(400, "bad"),
            Sent::Refused {
                code: "http_400".into(),
            },
        ),
        (
            Fault::Code(401, "who"),
            Sent::Barred {
                code: "http_401".into(),
            },
        ),
        (
            Fault::Silence,
            Sent::Unknown {
                code: "timeout".into(),
            },
        ),
        (
            Fault::HangsUp,
            Sent::Unknown {
                code: "broken_off".into(),
            },
        ),
    ] {
        vendors.fail(Vendor::Sendgrid, fault.clone());
        assert_eq!(sendgrid.send(&message).await, expected, "{fault:?}");
        vendors.expect_nothing_more();
    }
}

#[tokio::test]
async fn ses_takes_a_signed_mail_from_a_sender_that_it_has_verified() {
    let moto = Moto::start();
    let url = moto.url();
    let mut settings = vec![
        ("notify.ses.base_url", url.as_str()),
        ("notify.ses.region", "ap-southeast-1"),
        ("notify.ses.access_key_id", "AKIAIOSFODNN7EXAMPLE"),
        ("notify.ses.secret_access_key", "wJalrXUtnFEMI"),
        ("notify.ses.from", "sos@example.org"),
    ];
    let ses = named(&settings);
    let ses = ses.get(Vendor::Ses).unwrap();
    let refused = ses.send(&sos(to_ana())).await;
    assert_eq!(
        refused,
        Sent::Refused {
            code: "MessageRejected".into()
        }
    );
    moto.verify("sos@example.org").await;
    let Sent::Accepted {
        reference: Some(reference),
    } = ses.send(&sos(to_ana())).await
    else {
        panic!("not taken")
    };
    let sent = moto.sent().await;
    let [mail] = sent.as_slice() else {
        panic!("{sent:?}")
    };
    assert_eq!(mail["id"], reference);
    assert_eq!(mail["subject"], "SOS: Maria needs help");
    assert_eq!(mail["destinations"]["ToAddresses"][0], MAILBOX);
    assert!(mail["body"].as_str().unwrap().contains("I fell"), "{mail}");
    drop(moto);
    settings[0].1 = "http://127.0.0.1:9";
    let gone = named(&settings);
    let gone = gone.get(Vendor::Ses).unwrap();
    assert_eq!(
        gone.send(&sos(to_ana())).await,
        Sent::Busy {
            code: "connect".into(),
            after: None
        }
    );
}

#[tokio::test]
async fn a_mail_server_gets_one_letter_in_two_forms_and_its_refusals_are_told_apart() {
    let server = MailServer::start();
    let port = server.port().to_string();
    let settings = [
        ("notify.smtp.host", "127.0.0.1"),
        ("notify.smtp.port", port.as_str()),
        ("notify.smtp.tls", "none"),
        ("notify.smtp.user", "mayday"),
        ("notify.smtp.password", "the-mail-password-of-the-tests"),
        ("notify.smtp.from", "sos@example.org"),
        ("notify.timeout_ms", "3000"),
    ];
    let smtp = named(&settings);
    let smtp = smtp.get(Vendor::Smtp).unwrap();
    let mut message = sos(to_ana());
    message
        .content
        .values
        .insert("person".into(), "María\r\nBcc: eve@example.org".into());
    assert_eq!(smtp.send(&message).await, Sent::Accepted { reference: None });
    let letters = server.letters(1).await;
    let letter = &letters[0];
    assert_eq!(letter["to"], serde_json::json!([MAILBOX]));
    assert_eq!(letter["subject"], "SOS: María Bcc: eve@example.org needs help");
    assert_eq!(letter["message_id"], "<sos-1_1_a_SMS@example.org>");
    assert_eq!(letter["bcc"], serde_json::Value::Null);
    assert!(
        letter["text"].as_str().unwrap().contains("Message: I fell"),
        "{letter}"
    );
    assert!(
        letter["html"]
            .as_str()
            .unwrap()
            .contains("<p>Message: I fell</p>"),
        "{letter}"
    );

    let at = |mailbox: &str| sos(Destination::Email(Email::parse(mailbox).unwrap()));
    let dead = Sent::Dead {
        code: "smtp_550".into(),
        forget: false,
    };
    assert_eq!(smtp.send(&at("nobody@example.org")).await, dead);
    let busy = Sent::Busy {
        code: "smtp_451".into(),
        after: None,
    };
    assert_eq!(smtp.send(&at("later@example.org")).await, busy);
    let refused = Sent::Refused {
        code: "smtp_554".into(),
    };
    assert_eq!(smtp.send(&at("policy@example.org")).await, refused);
    let mut wrong = settings;
    wrong[4].1 = "another password";
    let barred = Sent::Barred {
        code: "smtp_535".into(),
    };
    assert_eq!(
        named(&wrong).get(Vendor::Smtp).unwrap().send(&message).await,
        barred
    );
    wrong[1].1 = "9";
    let busy = Sent::Busy {
        code: "connect".into(),
        after: None,
    };
    assert_eq!(
        named(&wrong).get(Vendor::Smtp).unwrap().send(&message).await,
        busy
    );
}
