//! What goes between nodes, on real Redis servers.

mod board;
mod connection;
pub mod contract;
mod engines;
mod faults;
mod history;
mod order;
mod shared;

use std::time::Duration;

use mayday::bus::redis::{BusUrl, Options, TlsFiles};

/// What the tests go by: like the settings' defaults, but quicker to notice that Redis is back.
fn options(url: &str) -> Options {
    Options {
        address: BusUrl::new(url).parse().unwrap().unwrap(),
        tls: TlsFiles::default(),
        connect_timeout: Duration::from_secs(2),
        response_timeout: Duration::from_secs(1),
        reconnect_min: Duration::from_millis(20),
        reconnect_max: Duration::from_millis(200),
        health_interval: Duration::from_millis(200),
        sharded: true,
        commands_max: 1_000,
    }
}
