//! The vendors' side: what each provider sends, and what it makes of every answer.

mod callbacks;
mod mail;
mod others;
mod push;
mod settings;
mod sms;

use std::time::Duration;

use mayday::config::{Config, NotifySecrets, notify_settings};
use mayday::domain::notify::{Content, Destination, Lane, Locale, Occasion, Outgoing, Vendor};
use mayday::domain::phone::PhoneNumber;
use mayday::notify::Providers;

use crate::support::vendors::Vendors;

pub const A: &str = "+639171234567";

/// The providers of an engine that these vendors serve.
pub fn providers(vendors: &Vendors, of: &[Vendor]) -> Providers {
    configured(vendors.settings_of(of))
}

/// The providers by these settings.
pub fn configured(settings: impl IntoIterator<Item = (String, String)>) -> Providers {
    let variable = |key: String| format!("MAYDAY__{}", key.replace('.', "__").to_uppercase());
    let environment = settings
        .into_iter()
        .map(|(key, value)| (variable(key).into(), value.into()));
    let mut config = Config::parse("", "", environment).unwrap();
    let folder = tempfile::tempdir().unwrap();
    config.data.path = folder.path().into();
    let secrets = NotifySecrets::load(&config).unwrap();
    Providers::of(&notify_settings(&config, &secrets).unwrap()).unwrap()
}

/// An SOS of Maria's, for this destination.
pub fn sos(to: Destination) -> Outgoing {
    let values = [
        ("person", "Maria"),
        ("kind", "medical"),
        ("message", "I fell"),
        ("map", "https://sos.example.org/live/1"),
        ("acknowledge", "https://sos.example.org/a/xyz"),
        ("incident", "0f8fad5b"),
    ];
    Outgoing {
        key: "sos-1:1:a:SMS".into(),
        to,
        content: Content {
            occasion: Occasion::SosRaised,
            locale: Locale::default(),
            drill: false,
            values: values
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        },
        lane: Lane::Sos,
        ttl: Duration::from_secs(3_600),
        possibly_twice: false,
    }
}

pub fn to_a() -> Destination {
    Destination::Sms(PhoneNumber::from_e164(A).unwrap())
}
