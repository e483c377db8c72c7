//! The vendors who carry messages, each behind [`Provider`].
//!
//! A provider speaks one vendor's format, once for each call: it keeps no queue, repeats nothing and decides nothing.
//! What an answer means for the message is one of [`Sent`]; what is done about it is decided by whoever called.

mod apns;
mod bearer;
pub mod callback;
mod client;
mod credential;
mod encrypted;
mod fcm;
mod msg91;
mod pagerduty;
mod push_data;
mod sendgrid;
mod ses;
mod settings;
mod sms;
mod smtp;
mod templates;
#[cfg(test)]
mod testing;
mod twilio;
mod webhook;
mod webpush;
mod whatsapp;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use self::credential::Credential;
pub use self::settings::{
    ApnsSettings, Common, FcmSettings, Msg91Settings, PagerdutySettings, SendgridSettings, SesSettings,
    Settings, SettingsError, SmtpSettings, SmtpTls, TemplateSettings, TwilioSettings, VARIABLES,
    VendorTemplate, VendorTemplates, WebPushSettings, WebhookSettings, WhatsappSettings,
};
pub use self::templates::Templates;
use crate::domain::notify::{DeliveryState, Destination, Outgoing, Vendor};

/// What came of handing a message to a vendor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The vendor has it.
    Accepted {
        /// By which its later news names the message; `None`: there will be none.
        reference: Option<String>,
    },
    /// The vendor certainly does not have it, and may take it later: too many requests, or no connection was made.
    Busy {
        /// The vendor's code or a word for what failed, at most 64 characters; never an address or a text.
        code: String,
        /// When the vendor wants to be asked again.
        after: Option<Duration>,
    },
    /// The vendor may or may not have it: it did not answer in time, or failed while it worked.
    Unknown {
        /// As above.
        code: String,
    },
    /// The vendor will never take this message; another one may.
    Refused {
        /// As above.
        code: String,
    },
    /// Nothing reaches this destination, whoever carries it: a dead token, a number that is none, somebody who opted out.
    Dead {
        /// As above.
        code: String,
        /// The vendor says that the destination is gone for good: whoever keeps it forgets it.
        forget: bool,
    },
    /// The vendor refuses every message for now: its credentials are wrong or its account is suspended.
    Barred {
        /// As above.
        code: String,
    },
}

impl Sent {
    /// It was handed to a vendor of another channel.
    pub(crate) fn misdirected() -> Self {
        Self::Refused {
            code: "destination".into(),
        }
    }

    /// There is nothing to say: its template cannot be filled.
    pub(crate) fn no_text() -> Self {
        Self::Refused {
            code: "template".into(),
        }
    }
}

/// What a vendor says when it is asked about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// How it stands: `Accepted`, `Delivered`, `Read`, or `FailedTemporary` when it was given back (another vendor may
    /// be tried).
    Stands {
        /// The state.
        state: DeliveryState,
        /// The vendor's code when it failed.
        code: Option<String>,
    },
    /// The vendor knows of no such message.
    Unheard,
    /// It did not say.
    Unanswered,
}

/// A vendor.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// Which.
    fn vendor(&self) -> Vendor;

    /// Whether it can carry something to this destination.
    fn carries(&self, to: &Destination) -> bool;

    /// Hands it a message, once; returns within its timeout.
    async fn send(&self, message: &Outgoing) -> Sent;

    /// Asks about a message that it took, by its reference. `None`: this vendor cannot be asked.
    async fn ask(&self, reference: &str) -> Option<Asked> {
        let _ = reference;
        None
    }

    /// Whether it can be asked what it took for a destination lately, to find out about an attempt of unknown outcome.
    fn can_search(&self) -> bool {
        false
    }

    /// Looks for a message among what the vendor took since the attempt began, `age` ago. Answers with its reference.
    /// `Ok(None)`: it certainly has none. `Err`: it did not say, or cannot be asked.
    async fn search(&self, message: &Outgoing, age: Duration) -> Result<Option<String>, ()> {
        let _ = (message, age);
        Err(())
    }
}

/// Every vendor that is on, by channel in the order in which they are tried.
#[derive(Clone, Default)]
pub struct Providers(Vec<Arc<dyn Provider>>);

impl Providers {
    /// By the settings.
    ///
    /// # Errors
    /// When a vendor cannot be spoken to as they say, or a template of the operators is none.
    pub fn of(settings: &Settings) -> Result<Self, SettingsError> {
        let templates = Arc::new(Templates::load(&settings.templates)?);
        let common = &settings.common;
        let mut all: Vec<Arc<dyn Provider>> = vec![];
        if let Some(own) = &settings.twilio {
            all.push(Arc::new(twilio::Twilio::of(common, own, Arc::clone(&templates))?));
        }
        if let Some(own) = &settings.msg91 {
            all.push(Arc::new(msg91::Msg91::of(common, own, Arc::clone(&templates))?));
        }
        if let Some(own) = &settings.whatsapp {
            all.push(Arc::new(whatsapp::Whatsapp::of(
                common,
                own,
                Arc::clone(&templates),
            )?));
        }
        if let Some(own) = &settings.sendgrid {
            all.push(Arc::new(sendgrid::Sendgrid::of(
                common,
                own,
                Arc::clone(&templates),
            )?));
        }
        if let Some(own) = &settings.ses {
            all.push(Arc::new(ses::Ses::of(common, own, Arc::clone(&templates))?));
        }
        if let Some(own) = &settings.smtp {
            all.push(Arc::new(smtp::Smtp::of(common, own, Arc::clone(&templates))?));
        }
        if let Some(own) = &settings.fcm {
            all.push(Arc::new(fcm::Fcm::of(common, own, Arc::clone(&templates))?));
        }
        if let Some(own) = &settings.apns {
            all.push(Arc::new(apns::Apns::of(common, own, Arc::clone(&templates))?));
        }
        if let Some(own) = &settings.webpush {
            all.push(Arc::new(webpush::WebPush::of(
                common,
                own,
                Arc::clone(&templates),
            )?));
        }
        if let Some(own) = &settings.pagerduty {
            all.push(Arc::new(pagerduty::Pagerduty::of(
                common,
                own,
                Arc::clone(&templates),
            )?));
        }
        if let Some(own) = &settings.webhook {
            all.push(Arc::new(webhook::Webhook::of(
                common,
                own,
                Arc::clone(&templates),
            )?));
        }
        Ok(Self(all))
    }

    /// All of them.
    pub fn all(&self) -> &[Arc<dyn Provider>] {
        &self.0
    }

    /// Those that can carry something there, in the order in which they are tried.
    pub fn for_destination<'p>(
        &'p self,
        to: &'p Destination,
    ) -> impl Iterator<Item = &'p Arc<dyn Provider>> + 'p {
        self.0.iter().filter(|provider| provider.carries(to))
    }

    /// One of them.
    pub fn get(&self, vendor: Vendor) -> Option<&Arc<dyn Provider>> {
        self.0.iter().find(|provider| provider.vendor() == vendor)
    }
}

impl std::fmt::Debug for Providers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|provider| provider.vendor()))
            .finish()
    }
}

/// A message by its vendor's name and what that calls it, `TWILIO:SM12…`: so callbacks name it. What
/// [`Sent::Accepted`] holds is only the second part.
pub fn reference(vendor: Vendor, own: &str) -> String {
    format!("{}:{own}", vendor.as_str())
}

/// A vendor's code as it may stand in logs and records: at most 64 letters, digits, `-`, `_` and `.`.
pub(crate) fn code(text: &str) -> String {
    let kept = text.chars().map(|c| match c {
        c if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') => c,
        _ => '_',
    });
    kept.take(64).collect()
}
