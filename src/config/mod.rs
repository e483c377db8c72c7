//! Every setting: its default, where it may come from, and what is wrong with it.
//!
//! `sections` declares the settings, `derived` says what they mean, `load` reads a file and the environment, `check` holds the rules that
//! concern more than one value's type. Everything may read a [`Config`]; only `main` and `cli` load one.

mod alerts;
mod check;
mod derived;
mod load;
mod notify;
mod proxies;
mod secret;
mod secrets;
mod sections;
mod tokens;
mod value;

#[cfg(test)]
mod tests;

pub use check::INTERNAL;
pub use load::{ConfigError, Problem};
pub use notify::{Msg91, Notify, NotifySecrets, Twilio, notify_callbacks, notify_settings, vendors_on};
pub use proxies::TrustedProxies;
pub use secret::Secret;
pub use secrets::{DeviceSecrets, SecretError, Secrets, SosSecrets, contacts_token};
pub use sections::{
    Abuse, Areas, Auth, Cluster, Compression, Config, Contacts, Cors, Data, Drain, Http, Limits, Locations,
    Log, Mongo, Pages, Retention, Rooms, Services, Sessions, Store, Tls, Trips,
};
pub use tokens::{ApiKey, ApiKeys, KeyFile, KeyFiles, TokenAlgorithm, TokenAlgorithms};
pub use value::{LogFormat, OutsideArea, ProxyHeader, StoreUrl, TlsVersion};
