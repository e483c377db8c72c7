//! What the vendors are set up by: plain values, already checked for their shape. A vendor that is not there is off.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::Credential;
use crate::domain::notify::{Locale, Occasion};

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
