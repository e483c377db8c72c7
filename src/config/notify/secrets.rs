//! Which vendors are on, and what they know us by: from the settings, or from files of the data folder.

use std::collections::BTreeMap;

use super::super::secrets::{SecretError, read_credential};
use super::super::sections::Config;
use super::Notify;
use crate::domain::notify::Vendor;
use crate::notify::Credential;

/// What a vendor's being on hangs on.
pub(super) enum Field<'c> {
    /// Needed.
    Text(&'static str, &'c str),
    /// Needed, and may be in a file.
    Secret(&'static str, &'c Option<Credential>),
    /// Not needed, and may be in a file.
    Extra(&'static str, &'c Option<Credential>),
}

impl Field<'_> {
    pub(super) const fn key(&self) -> &'static str {
        match self {
            Self::Text(key, _) | Self::Secret(key, _) | Self::Extra(key, _) => key,
        }
    }

    /// Whether the settings have it, which says that the vendor is wanted.
    pub(super) const fn marks(&self) -> bool {
        match self {
            Self::Text(_, text) => !text.is_empty(),
            Self::Secret(_, secret) => secret.is_some(),
            Self::Extra(..) => false,
        }
    }
}

/// Every vendor, in the order in which those of a channel are tried.
pub(super) fn vendors(notify: &Notify) -> Vec<(Vendor, Vec<Field<'_>>)> {
    use Field::{Extra, Secret, Text};
    let Notify {
        twilio,
        msg91,
        whatsapp,
        sendgrid,
        ses,
        smtp,
        fcm,
        apns,
        webpush,
        pagerduty,
        webhook,
        ..
    } = notify;
    vec![
        (
            Vendor::Twilio,
            vec![
                Text("notify.twilio.account_sid", &twilio.account_sid),
                Secret("notify.twilio.auth_token", &twilio.auth_token),
                Text("notify.twilio.from", &twilio.from),
            ],
        ),
        (
            Vendor::Msg91,
            vec![
                Secret("notify.msg91.authkey", &msg91.authkey),
                Text("notify.msg91.template_id", &msg91.template_id),
                Extra("notify.msg91.callback_secret", &msg91.callback_secret),
            ],
        ),
        (
            Vendor::WhatsappCloud,
            vec![
                Text("notify.whatsapp.phone_number_id", &whatsapp.phone_number_id),
                Secret("notify.whatsapp.access_token", &whatsapp.access_token),
                Text("notify.whatsapp.template", &whatsapp.template),
                Extra("notify.whatsapp.app_secret", &whatsapp.app_secret),
                Extra("notify.whatsapp.verify_token", &whatsapp.verify_token),
            ],
        ),
        (
            Vendor::Sendgrid,
            vec![
                Secret("notify.sendgrid.api_key", &sendgrid.api_key),
                Text("notify.sendgrid.from", &sendgrid.from),
            ],
        ),
        (
            Vendor::Ses,
            vec![
                Text("notify.ses.region", &ses.region),
                Text("notify.ses.access_key_id", &ses.access_key_id),
                Secret("notify.ses.secret_access_key", &ses.secret_access_key),
                Text("notify.ses.from", &ses.from),
            ],
        ),
        (
            Vendor::Smtp,
            vec![
                Text("notify.smtp.host", &smtp.host),
                Text("notify.smtp.from", &smtp.from),
                Extra("notify.smtp.password", &smtp.password),
            ],
        ),
        (
            Vendor::Fcm,
            vec![Secret("notify.fcm.service_account", &fcm.service_account)],
        ),
        (
            Vendor::Apns,
            vec![
                Text("notify.apns.team_id", &apns.team_id),
                Text("notify.apns.key_id", &apns.key_id),
                Secret("notify.apns.key", &apns.key),
                Text("notify.apns.topic", &apns.topic),
            ],
        ),
        (
            Vendor::WebPush,
            vec![
                Secret("notify.webpush.private_key", &webpush.private_key),
                Text("notify.webpush.subject", &webpush.subject),
            ],
        ),
        (
            Vendor::Pagerduty,
            vec![Secret("notify.pagerduty.routing_key", &pagerduty.routing_key)],
        ),
        (
            Vendor::Webhook,
            vec![
                Text("notify.webhook.url", &webhook.url),
                Secret("notify.webhook.secret", &webhook.secret),
            ],
        ),
    ]
}

/// The credentials of the vendors that are on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotifySecrets {
    on: Vec<Vendor>,
    credentials: BTreeMap<&'static str, Credential>,
}

impl NotifySecrets {
    /// What the settings hold; what they do not, from files: `notify.twilio.auth_token` is in
    /// `secrets/notify_twilio_auth_token` of the data folder. Nothing is generated. A vendor of which nothing is set,
    /// and of whose needs not all are in files, is off.
    ///
    /// # Errors
    /// When a vendor is wanted and its secret is nowhere, or a file cannot be read, is readable by others, or is empty.
    pub fn load(config: &Config) -> Result<Self, SecretError> {
        let folder = config.data.path.join("secrets");
        let mut found = Self::default();
        for (vendor, fields) in vendors(&config.notify) {
            let wanted = fields.iter().any(Field::marks);
            let mut own = BTreeMap::new();
            let mut whole = true;
            for field in fields {
                let (key, given, needed) = match field {
                    Field::Text(_, text) => {
                        whole &= !text.is_empty();
                        continue;
                    }
                    Field::Secret(key, given) => (key, given, true),
                    Field::Extra(key, given) => (key, given, false),
                };
                let path = folder.join(key.replace('.', "_"));
                let secret = match given {
                    Some(secret) => Some(secret.clone()),
                    None => read_credential(&path)?,
                };
                match secret {
                    Some(secret) => drop(own.insert(key, secret)),
                    None if needed && wanted => return Err(SecretError::NotAgreed { key, path }),
                    None => whole &= !needed,
                }
            }
            if whole {
                found.on.push(vendor);
                found.credentials.extend(own);
            }
        }
        Ok(found)
    }

    pub(super) fn get(&self, key: &str) -> Option<Credential> {
        self.credentials.get(key).cloned()
    }

    pub(super) fn is_on(&self, vendor: Vendor) -> bool {
        self.on.contains(&vendor)
    }
}

/// The vendors that are on, those of each channel in the order in which they are tried.
pub fn vendors_on(secrets: &NotifySecrets) -> &[Vendor] {
    &secrets.on
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_comes_from_the_settings_or_from_its_file_and_is_never_made_up() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.data.path = folder.path().join("data");
        assert!(vendors_on(&NotifySecrets::load(&config).unwrap()).is_empty());

        config.notify.twilio.account_sid = "AC1".into();
        config.notify.twilio.from = "+15005550006".into();
        let error = NotifySecrets::load(&config).unwrap_err().to_string();
        assert!(error.starts_with("notify.twilio.auth_token: "), "{error}");
        assert!(error.contains("secrets/notify_twilio_auth_token"), "{error}");

        std::fs::create_dir_all(config.data.path.join("secrets")).unwrap();
        let path = config.data.path.join("secrets/notify_twilio_auth_token");
        std::fs::write(&path, "12345\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            NotifySecrets::load(&config),
            Err(SecretError::Exposed { .. })
        ));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let secrets = NotifySecrets::load(&config).unwrap();
        assert_eq!(vendors_on(&secrets), [Vendor::Twilio]);
        assert!(secrets.get("notify.twilio.auth_token").unwrap().matches(b"12345"));

        std::fs::write(&path, "\n").unwrap();
        assert!(matches!(
            NotifySecrets::load(&config),
            Err(SecretError::Empty { .. })
        ));
    }
}
