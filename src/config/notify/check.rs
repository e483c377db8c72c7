//! What can be wrong with the settings of messages.

use super::super::check::check_url;
use super::super::derived::list;
use super::super::load::Problem;
use super::super::sections::Config;
use super::Notify;
use super::secrets::{Field, vendors};
use crate::domain::notify::{Email, Locale};
use crate::notify::VendorTemplates;
use crate::notify::callback::SendgridCallbacks;

/// A longer wait for a vendor is a mistake in the unit.
const TIMEOUT_MAX_MS: u64 = 60_000;

impl Config {
    /// Adds what is wrong with `[notify]` and its sections to `problems`.
    pub(in crate::config) fn check_notify(&self, problems: &mut Vec<Problem>) {
        let notify = &self.notify;
        let mut wrong = |key: &str, what: String| problems.push(Problem::new(key, what));
        check_common(notify, &mut wrong);
        check_addresses(notify, &mut wrong);
        check_vendors(notify, &mut wrong);
        for (vendor, fields) in vendors(notify) {
            // What is secret may be in a file: that it is nowhere is found where files are read.
            let Some(given) = fields.iter().find(|field| field.marks()) else {
                continue;
            };
            for field in &fields {
                if let Field::Text(key, "") = field {
                    wrong(
                        key,
                        format!("must be set for {} when {} is", vendor.as_str(), given.key()),
                    );
                }
            }
        }
    }
}

fn check_common(notify: &Notify, wrong: &mut impl FnMut(&str, String)) {
    let at_least_one = [
        ("notify.timeout_ms", notify.timeout_ms),
        ("notify.connect_timeout_ms", notify.connect_timeout_ms),
        ("notify.answer_max_bytes", notify.answer_max_bytes as u64),
        ("notify.sms_segments_max", notify.sms_segments_max as u64),
        ("notify.callback_max_bytes", notify.callback_max_bytes as u64),
    ];
    for (key, value) in at_least_one {
        if value == 0 {
            wrong(key, "must be at least 1".into());
        }
    }
    if notify.timeout_ms > TIMEOUT_MAX_MS {
        wrong("notify.timeout_ms", format!("must be at most {TIMEOUT_MAX_MS}"));
    }
    if notify.sms_segments_max > 10 {
        wrong("notify.sms_segments_max", "must be at most 10".into());
    }
    if notify.connect_timeout_ms >= notify.timeout_ms {
        let what = "must be less than notify.timeout_ms: a connection that is not made must not look like a lost answer";
        wrong("notify.connect_timeout_ms", what.into());
    }
    if Locale::parse(&notify.default_locale).is_err() {
        wrong(
            "notify.default_locale",
            "must be a language tag such as en or fil-PH".into(),
        );
    }
}

fn check_addresses(notify: &Notify, wrong: &mut impl FnMut(&str, String)) {
    if !notify.public_url.is_empty() {
        let good = url::Url::parse(&notify.public_url).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.query().is_none()
                && url.fragment().is_none()
                && url.username().is_empty()
        });
        if !good {
            let what = "must be an address such as https://sos.example.org, without a query";
            wrong("notify.public_url", what.into());
        }
    }
    let addresses = [
        ("notify.twilio.base_url", &notify.twilio.base_url),
        ("notify.msg91.base_url", &notify.msg91.base_url),
        ("notify.whatsapp.base_url", &notify.whatsapp.base_url),
        ("notify.sendgrid.base_url", &notify.sendgrid.base_url),
        ("notify.ses.base_url", &notify.ses.base_url),
        ("notify.fcm.base_url", &notify.fcm.base_url),
        ("notify.apns.base_url", &notify.apns.base_url),
        ("notify.pagerduty.base_url", &notify.pagerduty.base_url),
        ("notify.webhook.url", &notify.webhook.url),
    ];
    // These two may be empty: by the region, and off.
    let given = |key: &str, text: &str| {
        !text.is_empty() || !matches!(key, "notify.ses.base_url" | "notify.webhook.url")
    };
    for (key, text) in addresses.into_iter().filter(|(key, text)| given(key, text)) {
        let plain = || match url::Url::parse(text) {
            Ok(url) if url.username().is_empty() && url.password().is_none() && url.query().is_none() => {
                Ok(())
            }
            _ => Err("must hold no name, password or query".to_owned()),
        };
        let checked = check_url(text, notify.allow_http, "notify.allow_http").and_then(|()| plain());
        if let Err(what) = checked {
            wrong(key, what);
        }
    }
}

fn check_vendors(notify: &Notify, wrong: &mut impl FnMut(&str, String)) {
    let msg91 = &notify.msg91;
    if !msg91.template_id.is_empty()
        && let Err(what) = VendorTemplates::parse(&msg91.template_id, &msg91.variables, &msg91.templates)
    {
        wrong("notify.msg91.templates", what);
    }
    let whatsapp = &notify.whatsapp;
    if !whatsapp.template.is_empty()
        && let Err(what) =
            VendorTemplates::parse(&whatsapp.template, &whatsapp.variables, &whatsapp.templates)
    {
        wrong("notify.whatsapp.templates", what);
    }
    let webhook_key = &notify.sendgrid.webhook_key;
    if !webhook_key.is_empty()
        && let Err(what) = SendgridCallbacks::new(webhook_key)
    {
        wrong("notify.sendgrid.webhook_key", what);
    }
    if list(&whatsapp.languages).next().is_none() {
        wrong(
            "notify.whatsapp.languages",
            "must be one or more languages such as en or pt_BR".into(),
        );
    }
    let plain = [
        ("notify.twilio.account_sid", &notify.twilio.account_sid),
        ("notify.whatsapp.phone_number_id", &whatsapp.phone_number_id),
        ("notify.whatsapp.api_version", &whatsapp.api_version),
        ("notify.ses.region", &notify.ses.region),
        ("notify.ses.access_key_id", &notify.ses.access_key_id),
        ("notify.apns.team_id", &notify.apns.team_id),
        ("notify.apns.key_id", &notify.apns.key_id),
        ("notify.apns.topic", &notify.apns.topic),
    ];
    for (key, text) in plain {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !text.bytes().all(good) {
            wrong(key, "must be letters, digits, '-', '_' and '.'".into());
        }
    }
    let senders = [
        ("notify.sendgrid.from", &notify.sendgrid.from),
        ("notify.ses.from", &notify.ses.from),
        ("notify.smtp.from", &notify.smtp.from),
    ];
    for (key, text) in senders {
        if !text.is_empty() && Email::parse(text).is_err() {
            wrong(key, "must be an e-mail address".into());
        }
    }
    let subject = &notify.webpush.subject;
    if !subject.is_empty() && !subject.starts_with("mailto:") && !subject.starts_with("https://") {
        let what = "must be whom push services may turn to, such as mailto:ops@example.org";
        wrong("notify.webpush.subject", what.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let error = Config::parse("test.toml", text, []).unwrap_err();
        error.0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, key) in [
            ("[notify]\ntimeout_ms = 0", "notify.timeout_ms: "),
            ("[notify]\ntimeout_ms = 100000", "notify.timeout_ms: "),
            (
                "[notify]\nconnect_timeout_ms = 5000",
                "notify.connect_timeout_ms: ",
            ),
            ("[notify]\nsms_segments_max = 0", "notify.sms_segments_max: "),
            ("[notify]\ndefault_locale = 'english!'", "notify.default_locale: "),
            ("[notify]\npublic_url = 'sos.example.org'", "notify.public_url: "),
            (
                "[notify]\npublic_url = 'https://a.example/?x'",
                "notify.public_url: ",
            ),
            ("[notify]\ntwillio = 3", "notify.twillio: unknown key"),
            ("[notify.twillio]\nfrom = 'x'", "notify.twillio: unknown key"),
            ("[notify.twilio]\nform = 'x'", "notify.twilio.form: unknown key"),
            (
                "[notify.twilio]\nbase_url = 'http://twilio.example/'",
                "notify.twilio.base_url: must be https",
            ),
            (
                "[notify.twilio]\nfrom = '+15005550006'",
                "notify.twilio.account_sid: must be set for TWILIO when notify.twilio.from is",
            ),
            (
                "[notify.twilio]\naccount_sid = 'AC1'",
                "notify.twilio.from: must be set",
            ),
            (
                "[notify.twilio]\nauth_token = 'hunter2'",
                "notify.twilio.from: must be set",
            ),
            (
                "[notify.msg91]\nauthkey = 'k'",
                "notify.msg91.template_id: must be set",
            ),
            (
                "[notify.msg91]\nauthkey = 'k'\ntemplate_id = 't'\nvariables = 'x'",
                "notify.msg91.templates: \"x\" is no value",
            ),
        ] {
            let problems = problems(text);
            assert!(
                problems.iter().any(|found| found.starts_with(key)),
                "{text}: {problems:?}"
            );
            assert!(!problems.join("").contains("hunter2"));
        }
    }

    #[test]
    fn the_environment_names_a_vendors_setting() {
        let environment = [
            ("MAYDAY__NOTIFY__TWILIO__BASE_URL", "http://127.0.0.1:9"),
            ("MAYDAY__NOTIFY__TWILIO__ACCOUNT_SID", "AC1"),
            ("MAYDAY__NOTIFY__TWILIO__AUTH_TOKEN", "12345"),
            ("MAYDAY__NOTIFY__TWILIO__FROM", "+15005550006"),
            ("MAYDAY__NOTIFY__MSG91__AUTHKEY", "98765"),
            ("MAYDAY__NOTIFY__MSG91__TEMPLATE_ID", "61e"),
        ];
        let config = Config::parse(
            "",
            "",
            environment.map(|(name, value)| (name.into(), value.into())),
        )
        .unwrap();
        assert_eq!(config.notify.twilio.account_sid, "AC1");
        assert!(config.notify.twilio.auth_token.unwrap().matches(b"12345"));
        assert!(config.notify.msg91.authkey.unwrap().matches(b"98765"));
        let problems =
            Config::parse("", "", [("MAYDAY__NOTIFY__TWILIO__FROM".into(), "x".into())]).unwrap_err();
        assert_eq!(problems.0.len(), 1, "{problems}");
    }
}
