//! Many nodes as one: real processes on a real MongoDB and a real Redis.

mod balancing;
mod history;
mod nodes;

use crate::support::redis::{Redis, free_port};
use crate::support::{Engine, UNLIMITED, mongo};

/// Nodes that share a store and a bus.
struct Cluster {
    nodes: Vec<Engine>,
    redis: Redis,
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
        let (redis, store) = (Redis::start(), mongo::shared().await);
        let bus = redis.url();
        let all: Vec<(String, String)> = UNLIMITED
            .iter()
            .chain(&SHARED)
            .chain(settings)
            .copied()
            .chain([("store.url", store.as_str()), ("bus.url", bus.as_str())])
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let starts = (0..count).map(|_| {
            let mut all = all.clone();
            // One that is there again after a restart.
            all.push(("http.port".into(), free_port().to_string()));
            // It waits for the process.
            tokio::task::spawn_blocking(move || {
                let all: Vec<_> = all
                    .iter()
                    .map(|(key, value)| (key.as_str(), value.as_str()))
                    .collect();
                Engine::start(&all)
            })
        });
        let mut nodes = Vec::new();
        for started in starts.collect::<Vec<_>>() {
            nodes.push(started.await.unwrap());
        }
        Self { nodes, redis }
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
