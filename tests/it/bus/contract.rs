//! The suite that every bus must pass, over real servers in each arrangement.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::Arbiter;
use mayday::actors::redis_bridge::{BridgeSettings, RedisBus};
use mayday::bus::contract_tests::{Harness, bus_contract};
use mayday::bus::redis::{BoardSettings, OrderSettings, OutboundLimits};
use mayday::bus::{Bus, NodeId};

use super::options;
use crate::support::redis::{Redis, RedisCluster, Sentinels};

/// What the tests go by: quicker than the defaults.
pub fn settings(url: &str) -> BridgeSettings {
    BridgeSettings {
        board: BoardSettings::default(),
        order: OrderSettings::default(),
        redis: options(url),
        outbound: OutboundLimits {
            messages_max: 65_536,
            message_max_bytes: 1_048_576,
            missed_max: 10_000,
        },
        flush_max: 64,
        flush_after: Duration::from_micros(100),
        threads: 2,
        inbound_max: 16_384,
        batch_max: 256,
        grace: Duration::from_millis(50),
        heartbeat: Duration::from_millis(100),
        fades_after: Duration::from_millis(1_000),
    }
}

/// Nodes on one Redis, each on a thread of its own.
pub struct Nodes {
    settings: BridgeSettings,
    arbiters: HashMap<NodeId, Arbiter>,
}

impl Nodes {
    pub fn on(settings: BridgeSettings) -> Self {
        Self {
            settings,
            arbiters: HashMap::new(),
        }
    }

    /// One more node, whose way is open.
    pub async fn join(&mut self) -> Arc<RedisBus> {
        let mut bits = [0u8; 8];
        getrandom::fill(&mut bits).unwrap();
        let (node, arbiter) = (NodeId::from_bits(u64::from_le_bytes(bits)), Arbiter::new());
        let bus = RedisBus::start(node, self.settings.clone(), arbiter.handle())
            .await
            .unwrap();
        for connection in [bus.connection(), bus.hearing()] {
            assert!(connection.connected(crate::support::DEADLINE).await);
        }
        self.arbiters.insert(node, arbiter);
        bus
    }

    /// It dies without a word.
    pub fn kill(&mut self, node: NodeId) {
        let arbiter = self.arbiters.remove(&node).unwrap();
        arbiter.stop();
        arbiter.join().unwrap();
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for arbiter in self.arbiters.values() {
            arbiter.stop();
        }
    }
}

struct Standalone(Redis, Nodes);

impl Harness for Standalone {
    async fn start() -> Self {
        let redis = Redis::start();
        let nodes = Nodes::on(settings(&redis.url()));
        Self(redis, nodes)
    }

    async fn join(&mut self) -> Arc<dyn Bus> {
        self.1.join().await
    }

    async fn kill(&mut self, node: NodeId) {
        self.1.kill(node);
    }

    async fn cut(&mut self) {
        self.0.kill9();
    }

    async fn mend(&mut self) {
        self.0.restart();
    }
}

bus_contract!(standalone, Standalone);

/// As with a Redis that is older than 7.0.
struct Plain(Standalone);

impl Harness for Plain {
    async fn start() -> Self {
        let mut standalone = Standalone::start().await;
        standalone.1.settings.redis.sharded = false;
        Self(standalone)
    }

    async fn join(&mut self) -> Arc<dyn Bus> {
        self.0.join().await
    }

    async fn kill(&mut self, node: NodeId) {
        self.0.kill(node).await;
    }

    async fn cut(&mut self) {
        self.0.cut().await;
    }

    async fn mend(&mut self) {
        self.0.mend().await;
    }
}

bus_contract! { plain, Plain:
    nodes_hear_each_other_and_not_themselves,
    who_unsubscribes_hears_no_more_and_may_take_it_back,
    nobody_waits_while_the_way_is_closed_and_everything_is_listened_to_again_afterwards,
}

struct Guarded(Sentinels, Nodes);

impl Harness for Guarded {
    async fn start() -> Self {
        let redis = Sentinels::start();
        let nodes = Nodes::on(settings(&redis.url()));
        Self(redis, nodes)
    }

    async fn join(&mut self) -> Arc<dyn Bus> {
        self.1.join().await
    }

    async fn kill(&mut self, node: NodeId) {
        self.1.kill(node);
    }

    async fn cut(&mut self) {
        self.0.freeze();
    }

    async fn mend(&mut self) {
        self.0.thaw();
    }
}

// What differs from one server is only how it is found, so not every promise is looked at again.
bus_contract! { sentinel, Guarded:
    nodes_hear_each_other_and_not_themselves,
    nobody_waits_while_the_way_is_closed_and_everything_is_listened_to_again_afterwards,
    nodes_know_each_other_and_one_that_died_fades,
}

struct Spread(RedisCluster, Nodes);

impl Harness for Spread {
    async fn start() -> Self {
        let redis = RedisCluster::start();
        let nodes = Nodes::on(settings(&redis.url()));
        Self(redis, nodes)
    }

    async fn join(&mut self) -> Arc<dyn Bus> {
        self.1.join().await
    }

    async fn kill(&mut self, node: NodeId) {
        self.1.kill(node);
    }

    async fn cut(&mut self) {
        self.0.freeze();
    }

    async fn mend(&mut self) {
        self.0.thaw();
    }
}

bus_contract!(cluster, Spread);
