//! From settings to what the vendors are set up by.

use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use url::Url;

use super::super::sections::Config;
use super::{Notify, NotifySecrets};
use crate::domain::notify::{Locale, Vendor};
use crate::notify::{
    Common, Credential, Msg91Settings, Settings, SettingsError, TemplateSettings, TwilioSettings,
    VendorTemplates,
};

/// What the vendors that are on are set up by.
///
/// # Errors
/// When a file cannot be read, or what a setting or a secret holds cannot be used.
pub fn notify_settings(config: &Config, secrets: &NotifySecrets) -> Result<Settings, SettingsError> {
    let notify = &config.notify;
    let made = Made { notify, secrets };
    Ok(Settings {
        common: made.common()?,
        templates: TemplateSettings {
            folder: (!notify.templates_folder.is_empty()).then(|| notify.templates_folder.clone().into()),
            locale: Locale::parse(&notify.default_locale)
                .map_err(|error| SettingsError::new("notify.default_locale", error.to_string()))?,
            sms_segments_max: notify.sms_segments_max,
        },
        twilio: made.when(Vendor::Twilio, Made::twilio)?,
        msg91: made.when(Vendor::Msg91, Made::msg91)?,
    })
}

struct Made<'c> {
    notify: &'c Notify,
    secrets: &'c NotifySecrets,
}

impl Made<'_> {
    fn when<T>(
        &self,
        vendor: Vendor,
        make: impl FnOnce(&Self) -> Result<T, SettingsError>,
    ) -> Result<Option<T>, SettingsError> {
        self.secrets.is_on(vendor).then(|| make(self)).transpose()
    }

    fn secret(&self, key: &str) -> Result<Credential, SettingsError> {
        self.secrets
            .get(key)
            .ok_or_else(|| SettingsError::new(key, "must be set"))
    }

    fn common(&self) -> Result<Common, SettingsError> {
        let notify = self.notify;
        Ok(Common {
            public_url: match notify.public_url.as_str() {
                "" => None,
                text => Some(address("notify.public_url", text)?),
            },
            authorities: authorities(&notify.ca_file)?,
            timeout: Duration::from_millis(notify.timeout_ms),
            connect_timeout: Duration::from_millis(notify.connect_timeout_ms),
            answer_max_bytes: notify.answer_max_bytes,
            connections_idle_max: notify.connections_idle_max,
        })
    }

    fn twilio(&self) -> Result<TwilioSettings, SettingsError> {
        let twilio = &self.notify.twilio;
        Ok(TwilioSettings {
            base_url: address("notify.twilio.base_url", &twilio.base_url)?,
            account_sid: twilio.account_sid.clone(),
            auth_token: self.secret("notify.twilio.auth_token")?,
            from: twilio.from.clone(),
        })
    }

    fn msg91(&self) -> Result<Msg91Settings, SettingsError> {
        let msg91 = &self.notify.msg91;
        Ok(Msg91Settings {
            base_url: address("notify.msg91.base_url", &msg91.base_url)?,
            authkey: self.secret("notify.msg91.authkey")?,
            templates: VendorTemplates::parse(&msg91.template_id, &msg91.variables, &msg91.templates)
                .map_err(|why| SettingsError::new("notify.msg91.templates", why))?,
        })
    }
}

fn address(key: &str, text: &str) -> Result<Url, SettingsError> {
    Url::parse(text).map_err(|error| SettingsError::new(key, format!("must be an address: {error}")))
}

fn authorities(path: &str) -> Result<Vec<Vec<u8>>, SettingsError> {
    if path.is_empty() {
        return Ok(vec![]);
    }
    let failed = |why: String| SettingsError::new("notify.ca_file", format!("{path}: {why}"));
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(error.to_string()))?;
    if found.is_empty() {
        return Err(failed("holds no certificate".into()));
    }
    Ok(found
        .into_iter()
        .map(|certificate| certificate.to_vec())
        .collect())
}
