//! What the vendors are set up by: plain values, already checked for their shape. A vendor that is not there is off.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use p256::ecdsa::SigningKey;
use p256::pkcs8::DecodePrivateKey as _;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use url::Url;

use super::Credential;
use crate::domain::notify::{Email, Locale, Occasion};

/// A vendor or the templates cannot be used as the settings say. What is secret is not shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {why}")]
pub struct SettingsError {
    /// The key of the settings, or a file.
    pub key: String,
    /// Why.
    pub why: String,
}

impl SettingsError {
    /// That this is wrong with that key.
    pub fn new(key: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            why: why.into(),
        }
    }
}

/// What all vendors share.
#[derive(Clone, Debug)]
pub struct Common {
    /// Where the world reaches this engine, for vendors that call back; `None`: they are not asked to.
    pub public_url: Option<Url>,
    /// Authorities, DER, that vouch for vendors beside those of the system.
    pub authorities: Vec<Vec<u8>>,
    /// A vendor must have answered by then.
    pub timeout: Duration,
    /// A connection to it must stand by then.
    pub connect_timeout: Duration,
    /// As much of its answer is read.
    pub answer_max_bytes: usize,
    /// Unused connections that are kept for each vendor.
    pub connections_idle_max: usize,
}

impl Default for Common {
    fn default() -> Self {
        Self {
            public_url: None,
            authorities: vec![],
            timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(2),
            answer_max_bytes: 65_536,
            connections_idle_max: 64,
        }
    }
}

/// What messages say.
#[derive(Clone, Debug)]
pub struct TemplateSettings {
    /// Templates of the operators, in place of those in the program.
    pub folder: Option<PathBuf>,
    /// The language of whoever's has no template.
    pub locale: Locale,
    /// Segments of one text message.
    pub sms_segments_max: usize,
}

impl Default for TemplateSettings {
    fn default() -> Self {
        Self {
            folder: None,
            locale: Locale::default(),
            sms_segments_max: 3,
        }
    }
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What all vendors share.
    pub common: Common,
    /// What messages say.
    pub templates: TemplateSettings,
    /// Twilio.
    pub twilio: Option<TwilioSettings>,
    /// MSG91.
    pub msg91: Option<Msg91Settings>,
    /// WhatsApp.
    pub whatsapp: Option<WhatsappSettings>,
    /// SendGrid.
    pub sendgrid: Option<SendgridSettings>,
    /// Amazon SES.
    pub ses: Option<SesSettings>,
    /// A mail server.
    pub smtp: Option<SmtpSettings>,
    /// Firebase Cloud Messaging.
    pub fcm: Option<FcmSettings>,
    /// Apple's push service.
    pub apns: Option<ApnsSettings>,
    /// Browsers' push services.
    pub webpush: Option<WebPushSettings>,
    /// PagerDuty.
    pub pagerduty: Option<PagerdutySettings>,
    /// An address of the operators.
    pub webhook: Option<WebhookSettings>,
}

/// Twilio's Messages.
#[derive(Clone, Debug)]
pub struct TwilioSettings {
    /// `https://api.twilio.com`
    pub base_url: Url,
    /// `AC…`
    pub account_sid: String,
    /// Its password, by which callbacks are signed as well.
    pub auth_token: Credential,
    /// A number in E.164, a name, or the SID of a messaging service (`MG…`).
    pub from: String,
}

/// MSG91's Flow.
#[derive(Clone, Debug)]
pub struct Msg91Settings {
    /// `https://control.msg91.com`
    pub base_url: Url,
    /// What it knows us by.
    pub authkey: Credential,
    /// Templates that it has approved.
    pub templates: VendorTemplates,
}

/// WhatsApp's Cloud API.
#[derive(Clone, Debug)]
pub struct WhatsappSettings {
    /// `https://graph.facebook.com`
    pub base_url: Url,
    /// `v23.0`
    pub api_version: String,
    /// Of the number that sends.
    pub phone_number_id: String,
    /// What it knows us by.
    pub access_token: Credential,
    /// Templates that it has approved.
    pub templates: VendorTemplates,
    /// The languages in which they are, as it names them; the first is for everybody else.
    pub languages: Vec<String>,
}

/// SendGrid v3.
#[derive(Clone, Debug)]
pub struct SendgridSettings {
    /// `https://api.sendgrid.com`
    pub base_url: Url,
    /// What it knows us by.
    pub api_key: Credential,
    /// From whom e-mails come.
    pub from: Email,
}

/// Amazon SES v2.
#[derive(Clone, Debug)]
pub struct SesSettings {
    /// `https://email.{region}.amazonaws.com`
    pub base_url: Url,
    /// `ap-southeast-1`
    pub region: String,
    /// Which key signs.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: Credential,
    /// From whom e-mails come; the address or its domain is verified.
    pub from: Email,
    /// By which it knows where to tell what becomes of them.
    pub configuration_set: Option<String>,
}

/// How a mail server's connection is made safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// Not at all.
    None,
    /// The server is asked to begin with it, and not spoken to if it will not.
    StartTls,
    /// From the first byte.
    Implicit,
}

/// A mail server.
#[derive(Clone, Debug)]
pub struct SmtpSettings {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How its connection is made safe.
    pub tls: SmtpTls,
    /// Name and password, where it asks for them.
    pub login: Option<(String, Credential)>,
    /// From whom e-mails come.
    pub from: Email,
}

/// Firebase Cloud Messaging.
#[derive(Clone)]
pub struct FcmSettings {
    /// `https://fcm.googleapis.com`
    pub base_url: Url,
    /// Where a token is asked for.
    pub token_url: Url,
    /// Whose apps.
    pub project_id: String,
    /// The service account.
    pub client_email: String,
    /// Which of its keys.
    pub private_key_id: Option<String>,
    /// That key: RSA, PKCS#8.
    pub private_key: Vec<u8>,
}

impl fmt::Debug for FcmSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FcmSettings(…)")
    }
}

impl FcmSettings {
    /// Reads a service account, the JSON that Google gives out for it.
    ///
    /// # Errors
    /// With what is missing; nothing of it is shown.
    pub fn read(base_url: Url, account: &str) -> Result<Self, String> {
        let account: Value =
            serde_json::from_str(account).map_err(|_| "must be the JSON of a service account")?;
        let text = |name: &str| {
            let text = account[name].as_str().filter(|text| !text.is_empty());
            text.ok_or_else(|| format!("must be the JSON of a service account, with {name}"))
        };
        let key = PrivatePkcs8KeyDer::from_pem_slice(text("private_key")?.as_bytes())
            .map_err(|_| "its private_key must be PKCS#8 in PEM")?;
        let token_url = Url::parse(text("token_uri")?).map_err(|_| "its token_uri must be an address")?;
        Ok(Self {
            base_url,
            token_url,
            project_id: text("project_id")?.to_owned(),
            client_email: text("client_email")?.to_owned(),
            private_key_id: text("private_key_id").ok().map(str::to_owned),
            private_key: key.secret_pkcs8_der().to_vec(),
        })
    }
}

/// Apple's push service.
#[derive(Clone, Debug)]
pub struct ApnsSettings {
    /// `https://api.push.apple.com`
    pub base_url: Url,
    /// Whose apps.
    pub team_id: String,
    /// Which key signs.
    pub key_id: String,
    /// The key.
    pub key: SigningKey,
    /// The app's bundle id.
    pub topic: String,
}

impl ApnsSettings {
    /// Reads the key, the `.p8` that Apple gives out.
    ///
    /// # Errors
    /// When it is none; nothing of it is shown.
    pub fn read_key(text: &str) -> Result<SigningKey, String> {
        SigningKey::from_pkcs8_pem(text.trim()).map_err(|_| "must be a P-256 key, PKCS#8 in PEM".into())
    }
}

/// Browsers' push services.
#[derive(Clone, Debug)]
pub struct WebPushSettings {
    /// By which they know us (VAPID).
    pub key: SigningKey,
    /// Whom they may turn to: a `mailto:` or https address.
    pub subject: String,
    /// The hosts of push services; what is below one is one too.
    pub hosts: Vec<String>,
    /// They may be spoken to in the clear.
    pub allow_http: bool,
}

impl WebPushSettings {
    /// Reads the private key: 32 bytes in base64url.
    ///
    /// # Errors
    /// When it is none; nothing of it is shown.
    pub fn read_key(text: &str) -> Result<SigningKey, String> {
        super::encrypted::vapid_key(text).ok_or_else(|| "must be a P-256 key, 32 bytes in base64url".into())
    }
}

/// PagerDuty Events v2.
#[derive(Clone, Debug)]
pub struct PagerdutySettings {
    /// `https://events.pagerduty.com`
    pub base_url: Url,
    /// The service's integration key.
    pub routing_key: Credential,
    /// Where alerts say that they come from.
    pub source: String,
}

/// An address of the operators.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// Where.
    pub url: Url,
    /// By which requests are signed.
    pub secret: Credential,
}

/// A template that a vendor keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VendorTemplate {
    /// Its name or id there.
    pub name: String,
    /// What its variables are filled with, in order: names of values, or `text` for the whole short text.
    pub variables: Vec<String>,
}

/// The templates that a vendor keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VendorTemplates {
    /// For what has none of its own.
    pub default: VendorTemplate,
    /// By occasion.
    pub own: Vec<(Occasion, VendorTemplate)>,
}

/// Names that a variable may have.
pub const VARIABLES: [&str; 14] = [
    "text",
    "title",
    "person",
    "kind",
    "message",
    "place",
    "map",
    "acknowledge",
    "age",
    "code",
    "minutes",
    "reason",
    "incident",
    "drill",
];

impl VendorTemplates {
    /// Reads `own`: `OTP=name:code,minutes; SOS_OVER=name:person`. A template without variables of its own has those of
    /// the default one.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn parse(name: &str, variables: &str, own: &str) -> Result<Self, String> {
        let default = VendorTemplate {
            name: plain(name)?,
            variables: names(variables)?,
        };
        let own = own
            .split(';')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| {
                let (occasion, template) = part
                    .split_once('=')
                    .ok_or("must be OCCASION=template, separated by semicolons")?;
                let occasion = Occasion::parse(occasion.trim())
                    .ok_or_else(|| format!("{:?} is no occasion", occasion.trim()))?;
                let (name, variables) = match template.split_once(':') {
                    Some((name, variables)) => (name, names(variables)?),
                    None => (template, default.variables.clone()),
                };
                let name = plain(name)?;
                Ok((occasion, VendorTemplate { name, variables }))
            })
            .collect::<Result<_, String>>()?;
        Ok(Self { default, own })
    }

    /// The one for an occasion.
    pub fn of(&self, occasion: Occasion) -> &VendorTemplate {
        let own = self.own.iter().find(|(its, _)| *its == occasion);
        own.map_or(&self.default, |(_, template)| template)
    }
}

fn plain(name: &str) -> Result<String, String> {
    let name = name.trim();
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if (1..=512).contains(&name.len()) && name.bytes().all(good) {
        Ok(name.to_owned())
    } else {
        Err(format!("{name:?} is no name of a template"))
    }
}

fn names(text: &str) -> Result<Vec<String>, String> {
    text.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(|name| {
            if VARIABLES.contains(&name) {
                Ok(name.to_owned())
            } else {
                Err(format!(
                    "{name:?} is no value: there are {}",
                    VARIABLES.join(", ")
                ))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_occasion_may_have_a_template_of_its_own() {
        let read =
            VendorTemplates::parse("sos", "person, map", "OTP=code:code,minutes; SOS_OVER=over;").unwrap();
        assert_eq!(read.of(Occasion::SosRaised).name, "sos");
        assert_eq!(read.of(Occasion::Otp).variables, ["code", "minutes"]);
        assert_eq!(
            *read.of(Occasion::SosOver),
            VendorTemplate {
                name: "over".into(),
                variables: vec!["person".into(), "map".into()]
            }
        );
    }

    #[test]
    fn what_is_wrong_with_a_template_is_told() {
        for (name, variables, own, told) in [
            ("", "person", "", "no name of a template"),
            ("sos", "persona", "", "\"persona\" is no value"),
            ("sos", "person", "OTP", "OCCASION=template"),
            ("sos", "person", "OTTER=x", "\"OTTER\" is no occasion"),
            ("sos", "person", "OTP=a b", "\"a b\" is no name"),
        ] {
            let error = VendorTemplates::parse(name, variables, own).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }
}
