//! The way to the other nodes: opened by the settings, closed with a goodbye, and seen in the metrics.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use actix::Arbiter;

use super::{AppError, settings};
use crate::actors::clock::random;
use crate::actors::redis_bridge::RedisBus;
use crate::bus::redis::Connection;
use crate::bus::{Alone, Bus, Health, NodeId};
use crate::config::Config;
use crate::http::cluster::Cluster;
use crate::telemetry::{Metrics, Scrape};

/// How long a start waits for Redis, so that who is told that it runs finds the whole cluster.
const PATIENCE: Duration = Duration::from_secs(3);

/// The bus of this node.
pub(super) enum Way {
    /// There are no others.
    Alone(Arc<Alone>),
    /// Over Redis, on a thread of its own, which ends with this.
    Redis(Arc<RedisBus>, Arbiter),
}

/// Opens it.
///
/// # Errors
/// When a certificate cannot be read or there is no thread for it. Redis need not be there.
pub(super) async fn open(config: &Config) -> Result<Way, AppError> {
    let node = NodeId::from_bits(u64::from_be_bytes(random()));
    // What is wrong with the address was told when the settings were checked.
    let Ok(Some(address)) = config.bus.url.parse() else {
        return Ok(Way::Alone(Alone::new(node)));
    };
    let settings = settings::bridge(config, address).map_err(AppError::BusCertificate)?;
    let arbiter = Arbiter::new();
    let bus = RedisBus::start(node, settings, arbiter.handle()).await?;
    tracing::info!(%node, "this node is one of a cluster");
    if !bus.connection().connected(PATIENCE).await {
        tracing::warn!("Redis is away: this node serves its own clients until it comes");
    }
    Ok(Way::Redis(bus, arbiter))
}

impl Way {
    /// As the actors see it.
    pub(super) fn bus(&self) -> Arc<dyn Bus> {
        match self {
            Self::Alone(alone) => Arc::clone(alone) as Arc<dyn Bus>,
            Self::Redis(bus, _) => Arc::clone(bus) as Arc<dyn Bus>,
        }
    }

    /// What all nodes keep in common; `None`: this node is alone.
    pub(super) fn cluster(&self, config: &Config) -> Option<Cluster> {
        let Self::Redis(bus, _) = self else { return None };
        let (prefix, patience) = (bus.channels().prefix(), config.bus.limits_timeout());
        let keys_max = config.limits.keys_max;
        Some(Cluster::new(bus.connection(), prefix, patience, keys_max))
    }

    /// Says goodbye.
    pub(super) async fn close(&self) {
        if let Self::Redis(bus, arbiter) = self {
            bus.close().await;
            arbiter.stop();
        }
    }

    /// Lets the metrics read what it counts.
    pub(super) fn register(&self, metrics: &Metrics) {
        if let Self::Redis(bus, _) = self {
            let bus = Arc::clone(bus);
            metrics.register_source(move |scrape| observe(scrape, &bus));
        }
    }
}

fn observe(scrape: &mut Scrape, bus: &RedisBus) {
    let wide = |n: usize| n as u64;
    let connected = u64::from(bus.health() == Health::Connected);
    scrape.gauge(
        "mayday_bus_connected",
        "1: news go between nodes and come.",
        &[],
        connected,
    );
    let seen = bus.observe();
    scrape.gauge(
        "mayday_bus_nodes",
        "Nodes that are alive, this one among them.",
        &[],
        wide(seen.nodes),
    );
    for (what, count) in [("wanted", seen.topics.0), ("listened_to", seen.topics.1)] {
        let help = "Topics that this node wants to hear of.";
        scrape.gauge("mayday_bus_topics", help, &[("what", what)], wide(count));
    }
    scrape.queue("bus_outbound", wide(seen.outbound.0), wide(seen.outbound.1));
    scrape.queue("bus_inbound", wide(seen.inbound.0), wide(seen.inbound.1));
    let heard = bus.heard();
    for (what, count) in [
        ("said", seen.said.0),
        ("not_said", seen.lost.0),
        ("too_large", seen.lost.1),
        ("heard", heard.heard.load(Relaxed)),
        ("own", heard.own.load(Relaxed)),
        ("dropped", heard.dropped.load(Relaxed)),
        ("unknown", heard.unknown.load(Relaxed)),
        ("damaged", heard.damaged.load(Relaxed)),
    ] {
        let help = "Messages between nodes, by what became of them.";
        scrape.counter("mayday_bus_messages_total", help, &[("what", what)], count);
    }
    let help = "Pipelines in which messages were sent.";
    scrape.counter("mayday_bus_pipelines_total", help, &[], seen.said.1);
    let help = "Times that the bus's own actor or its listener panicked.";
    let panics = seen.revived + heard.panics.load(Relaxed);
    scrape.counter("mayday_bus_panics_total", help, &[], panics);
    for (connection, name) in [(bus.connection(), "commands"), (bus.hearing(), "hearing")] {
        redis(scrape, connection, name);
    }
}

fn redis(scrape: &mut Scrape, connection: &Connection, name: &str) {
    let counts = connection.counts();
    for (outcome, count) in [
        ("answered", &counts.answered),
        ("away", &counts.away),
        ("slow", &counts.slow),
        ("busy", &counts.busy),
        ("refused", &counts.refused),
    ] {
        let help = "Commands and pipelines sent to Redis, by what came of them.";
        let labels = [("connection", name), ("outcome", outcome)];
        scrape.counter("mayday_redis_commands_total", help, &labels, count.load(Relaxed));
    }
    let help = "Microseconds that answered commands took, all together.";
    let labels = [("connection", name)];
    scrape.counter(
        "mayday_redis_command_microseconds_total",
        help,
        &labels,
        counts.micros.load(Relaxed),
    );
    for (outcome, count) in [("made", &counts.connected), ("failed", &counts.not_connected)] {
        let help = "Attempts to connect to Redis.";
        let labels = [("connection", name), ("outcome", outcome)];
        scrape.counter(
            "mayday_redis_connections_total",
            help,
            &labels,
            count.load(Relaxed),
        );
    }
    let (depth, max) = connection.in_flight();
    scrape.queue(&format!("redis_{name}"), depth as u64, max as u64);
}
