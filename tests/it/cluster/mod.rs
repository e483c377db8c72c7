//! Many nodes as one: real processes on a real MongoDB and a real Redis.

mod balancing;
mod clocks;
mod faults;
mod history;
mod incident;
mod nodes;
mod telling;

use crate::support::redis::Redis;
use crate::support::{Engine, UNLIMITED, eventually, mongo};

/// Nodes that share a store and a bus.
struct Cluster<R = Redis> {
    nodes: Vec<Engine>,
    redis: R,
}

/// How one of them is started.
#[derive(Default)]
struct NodeSettings {
    /// Its way to Redis.
    bus: String,
    /// By how much its clock is wrong, as `faketime` is told.
    clock: Option<&'static str>,
    /// Where it listens, for one that is to be there again after a restart; `None`: on any port.
    port: Option<u16>,
}

/// What nodes must have in common, and would otherwise make up each for itself.
const SHARED: [(&str, &str); 2] = [
    (
        "auth.device_secret",
        "a-device-secret-of-the-tests-0123456789-abcdef",
    ),
    (
        "abuse.block_secret",
        "a-block-secret-of-the-tests-0123456789-abcdefg",
    ),
];

impl Cluster {
    /// So many nodes on a database and a Redis of their own.
    async fn start(count: usize, settings: &[(&str, &str)]) -> Self {
        let redis = Redis::start();
        let bus = redis.url();
        Self::by(redis, vec![bus; count], settings).await
    }
}

impl<R> Cluster<R> {
    /// A node for each of these ways to `redis`, on a database of their own.
    async fn by(redis: R, ways: Vec<String>, settings: &[(&str, &str)]) -> Self {
        let node = |bus| NodeSettings {
            bus,
            ..NodeSettings::default()
        };
        Self::of(redis, ways.into_iter().map(node).collect(), settings).await
    }

    /// These nodes, on a database of their own.
    async fn of(redis: R, nodes: Vec<NodeSettings>, settings: &[(&str, &str)]) -> Self {
        let store = mongo::shared().await;
        let common: Vec<(String, String)> = UNLIMITED
            .iter()
            .chain(&SHARED)
            .chain(settings)
            .copied()
            .chain([("store.url", store.as_str())])
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let starts = nodes.into_iter().map(|node| {
            let mut all = common.clone();
            all.push(("bus.url".into(), node.bus));
            all.push(("http.port".into(), node.port.unwrap_or(0).to_string()));
            // It waits for the process.
            tokio::task::spawn_blocking(move || {
                let all: Vec<_> = all
                    .iter()
                    .map(|(key, value)| (key.as_str(), value.as_str()))
                    .collect();
                match node.clock {
                    Some(clock) => Engine::start_by_clock(clock, &all),
                    None => Engine::start(&all),
                }
            })
        });
        let mut nodes = Vec::new();
        for started in starts.collect::<Vec<_>>() {
            nodes.push(started.await.unwrap());
        }
        Self { nodes, redis }
    }

    /// Waits until each node says that it is ready, or that it is not.
    async fn are_ready(&self, ready: &[bool]) {
        eventually(&format!("the nodes are ready: {ready:?}"), async || {
            for (node, ready) in self.nodes.iter().zip(ready) {
                let answer = node.nobody().get("/ready").await;
                let fits = match answer.status {
                    200 => *ready,
                    503 => !ready && answer.text.contains("redis"),
                    _ => false,
                };
                if !fits {
                    return None;
                }
            }
            Some(())
        })
        .await;
    }

    /// WebSocket connections of each node, as it counts them.
    async fn connections(&self) -> Vec<usize> {
        let mut counts = Vec::new();
        for node in &self.nodes {
            let metrics = node.nobody().get("/metrics").await.text;
            let line = metrics
                .lines()
                .find_map(|line| line.strip_prefix("mayday_connections "));
            counts.push(line.unwrap().parse().unwrap());
        }
        counts
    }
}
