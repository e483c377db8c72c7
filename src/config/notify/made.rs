//! From settings to what the vendors are set up by.

use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use url::Url;

use super::super::check::check_url;
use super::super::derived::list;
use super::super::sections::Config;
use super::{Notify, NotifySecrets};
use crate::domain::notify::{Email, Locale, Vendor};
use crate::notify::callback::{
    AmazonCallbacks, Callbacks, HttpAmazon, Msg91Callbacks, SendgridCallbacks, TwilioCallbacks,
    WhatsappCallbacks,
};
use crate::notify::{
    ApnsSettings, Common, Credential, FcmSettings, Msg91Settings, PagerdutySettings, SendgridSettings,
    SesSettings, Settings, SettingsError, SmtpSettings, TemplateSettings, TwilioSettings, VendorTemplates,
    WebPushSettings, WebhookSettings, WhatsappSettings,
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
        whatsapp: made.when(Vendor::WhatsappCloud, Made::whatsapp)?,
        sendgrid: made.when(Vendor::Sendgrid, Made::sendgrid)?,
        ses: made.when(Vendor::Ses, Made::ses)?,
        smtp: made.when(Vendor::Smtp, Made::smtp)?,
        fcm: made.when(Vendor::Fcm, Made::fcm)?,
        apns: made.when(Vendor::Apns, Made::apns)?,
        webpush: made.when(Vendor::WebPush, Made::webpush)?,
        pagerduty: made.when(Vendor::Pagerduty, Made::pagerduty)?,
        webhook: made.when(Vendor::Webhook, Made::webhook)?,
    })
}

/// What vendors may call back with: each that is on and signs, or has a secret in its address.
///
/// # Errors
/// When a key cannot be used.
pub fn notify_callbacks(config: &Config, secrets: &NotifySecrets) -> Result<Callbacks, SettingsError> {
    let notify = &config.notify;
    let made = Made { notify, secrets };
    let common = made.common()?;
    let on = |vendor, key| secrets.get(key).filter(|_| secrets.is_on(vendor));
    let token = on(Vendor::Twilio, "notify.twilio.auth_token");
    let app = on(Vendor::WhatsappCloud, "notify.whatsapp.app_secret");
    let report = on(Vendor::Msg91, "notify.msg91.callback_secret");
    let events = notify.sendgrid.webhook_key.as_str();
    let topics: Vec<String> = list(&notify.ses.sns_topics).map(str::to_owned).collect();
    Ok(Callbacks {
        twilio: token
            .zip(common.public_url.clone())
            .map(|(token, url)| TwilioCallbacks::new(token, url)),
        msg91: report.map(Msg91Callbacks::new),
        whatsapp: app.map(|app| {
            let verify = secrets.get("notify.whatsapp.verify_token");
            WhatsappCallbacks::new(app, verify)
        }),
        sendgrid: if secrets.is_on(Vendor::Sendgrid) && !events.is_empty() {
            let made = SendgridCallbacks::new(events);
            Some(made.map_err(|why| SettingsError::new("notify.sendgrid.webhook_key", why))?)
        } else {
            None
        },
        ses: if secrets.is_on(Vendor::Ses) && !topics.is_empty() {
            Some(AmazonCallbacks::new(topics, HttpAmazon::of(&common)?))
        } else {
            None
        },
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

    fn whatsapp(&self) -> Result<WhatsappSettings, SettingsError> {
        let own = &self.notify.whatsapp;
        Ok(WhatsappSettings {
            base_url: address("notify.whatsapp.base_url", &own.base_url)?,
            api_version: own.api_version.clone(),
            phone_number_id: own.phone_number_id.clone(),
            access_token: self.secret("notify.whatsapp.access_token")?,
            templates: VendorTemplates::parse(&own.template, &own.variables, &own.templates)
                .map_err(|why| SettingsError::new("notify.whatsapp.templates", why))?,
            languages: list(&own.languages).map(str::to_owned).collect(),
        })
    }

    fn sendgrid(&self) -> Result<SendgridSettings, SettingsError> {
        let own = &self.notify.sendgrid;
        Ok(SendgridSettings {
            base_url: address("notify.sendgrid.base_url", &own.base_url)?,
            api_key: self.secret("notify.sendgrid.api_key")?,
            from: email("notify.sendgrid.from", &own.from)?,
        })
    }

    fn ses(&self) -> Result<SesSettings, SettingsError> {
        let own = &self.notify.ses;
        let base = match own.base_url.as_str() {
            "" => format!("https://email.{}.amazonaws.com", own.region),
            given => given.to_owned(),
        };
        Ok(SesSettings {
            base_url: address("notify.ses.base_url", &base)?,
            region: own.region.clone(),
            access_key_id: own.access_key_id.clone(),
            secret_access_key: self.secret("notify.ses.secret_access_key")?,
            from: email("notify.ses.from", &own.from)?,
            configuration_set: Some(own.configuration_set.clone()).filter(|name| !name.is_empty()),
        })
    }

    fn smtp(&self) -> Result<SmtpSettings, SettingsError> {
        let own = &self.notify.smtp;
        let login = match own.user.as_str() {
            "" => None,
            user => Some((user.to_owned(), self.secret("notify.smtp.password")?)),
        };
        Ok(SmtpSettings {
            host: own.host.clone(),
            port: own.port,
            tls: own.tls,
            login,
            from: email("notify.smtp.from", &own.from)?,
        })
    }

    fn fcm(&self) -> Result<FcmSettings, SettingsError> {
        const KEY: &str = "notify.fcm.service_account";
        let notify = self.notify;
        let base = address("notify.fcm.base_url", &notify.fcm.base_url)?;
        let wrong = |why| SettingsError::new(KEY, why);
        let settings = FcmSettings::read(base, self.secret(KEY)?.reveal()).map_err(wrong)?;
        check_url(
            settings.token_url.as_str(),
            notify.allow_http,
            "notify.allow_http",
        )
        .map_err(|why| wrong(format!("its token_uri {why}")))?;
        Ok(settings)
    }

    fn apns(&self) -> Result<ApnsSettings, SettingsError> {
        const KEY: &str = "notify.apns.key";
        let own = &self.notify.apns;
        Ok(ApnsSettings {
            base_url: address("notify.apns.base_url", &own.base_url)?,
            team_id: own.team_id.clone(),
            key_id: own.key_id.clone(),
            key: ApnsSettings::read_key(self.secret(KEY)?.reveal())
                .map_err(|why| SettingsError::new(KEY, why))?,
            topic: own.topic.clone(),
        })
    }

    fn webpush(&self) -> Result<WebPushSettings, SettingsError> {
        const KEY: &str = "notify.webpush.private_key";
        let own = &self.notify.webpush;
        Ok(WebPushSettings {
            key: WebPushSettings::read_key(self.secret(KEY)?.reveal())
                .map_err(|why| SettingsError::new(KEY, why))?,
            subject: own.subject.clone(),
            hosts: list(&own.hosts).map(str::to_ascii_lowercase).collect(),
            allow_http: self.notify.allow_http,
        })
    }

    fn pagerduty(&self) -> Result<PagerdutySettings, SettingsError> {
        let own = &self.notify.pagerduty;
        Ok(PagerdutySettings {
            base_url: address("notify.pagerduty.base_url", &own.base_url)?,
            routing_key: self.secret("notify.pagerduty.routing_key")?,
            source: own.source.clone(),
        })
    }

    fn webhook(&self) -> Result<WebhookSettings, SettingsError> {
        Ok(WebhookSettings {
            url: address("notify.webhook.url", &self.notify.webhook.url)?,
            secret: self.secret("notify.webhook.secret")?,
        })
    }
}

fn email(key: &str, text: &str) -> Result<Email, SettingsError> {
    Email::parse(text).map_err(|error| SettingsError::new(key, error.to_string()))
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
