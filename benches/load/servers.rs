//! The servers below many nodes: one MongoDB, a replica set of one member, and one Redis, as the tests start them.

#[path = "../../tests/it/support/mongo.rs"]
#[expect(clippy::unwrap_used, reason = "a server that does not start ends the tool")]
mod mongo;
#[path = "../../tests/it/support/redis.rs"]
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "a server that does not start ends the tool"
)]
mod redis;

use crate::Result;
use crate::engine::usage_of;

/// What nodes must have in common; nobody else ever hears of it.
const SHARED: [(&str, &str); 3] = [
    ("AUTH__INTERNAL_TOKEN", "an-internal-token-of-the-load-tester"),
    (
        "AUTH__DEVICE_SECRET",
        "a-device-secret-of-the-load-tester-and-nobody-else",
    ),
    (
        "ABUSE__BLOCK_SECRET",
        "a-block-secret-of-the-load-tester-and-nobody-else",
    ),
];

/// Both servers; they end with this.
pub struct Servers {
    redis: redis::Redis,
    mongo: mongo::Set,
}

impl Servers {
    /// Starts them and waits until they take writes.
    pub fn start() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(Self {
            mongo: runtime.block_on(mongo::Set::start(1)),
            redis: redis::Redis::start(),
        })
    }

    /// The settings by which nodes are one.
    pub fn settings(&self) -> Vec<(String, String)> {
        let addresses = [
            ("STORE__URL", self.mongo.url("load")),
            ("BUS__URL", self.redis.url()),
        ];
        let shared = SHARED.map(|(key, value)| (key, value.to_owned()));
        let all = addresses.into_iter().chain(shared);
        all.map(|(key, value)| (format!("MAYDAY__{key}"), value))
            .collect()
    }

    /// The CPU time of Redis and of MongoDB so far, in seconds.
    pub fn cpu_seconds(&self) -> [f64; 2] {
        let of = |pids: Vec<u32>| pids.iter().map(|pid| usage_of(*pid).cpu_seconds).sum();
        [of(self.redis.pid().into_iter().collect()), of(self.mongo.pids())]
    }
}
