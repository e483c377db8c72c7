//! The vendors that carry messages.

use super::AppError;
use crate::config::{Config, NotifySecrets, notify_settings, vendors_on};
use crate::domain::notify::{Channel, Vendor};
use crate::notify::Providers;

/// What is wrong with the vendors' settings, files and templates, if anything; else a line about each channel.
pub(super) fn check(config: &Config) -> Result<Vec<String>, AppError> {
    let secrets = NotifySecrets::load(config)?;
    Providers::of(&notify_settings(config, &secrets)?)?;
    Ok(Channel::ALL
        .iter()
        .map(|channel| line(*channel, vendors_on(&secrets)))
        .collect())
}

fn line(channel: Channel, on: &[Vendor]) -> String {
    let own = on.iter().filter(|vendor| vendor.channel() == channel);
    let names: Vec<_> = own.map(|vendor| vendor.as_str()).collect();
    let by = if names.is_empty() {
        "off".to_owned()
    } else {
        names.join(", then ")
    };
    format!("{}: {by}", channel.as_str())
}
