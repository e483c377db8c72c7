//! Nodes on one Redis and one MongoDB: one order for all.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mayday::actors::blocks::Blocks;
use mayday::actors::engine::Parts;
use mayday::actors::ops::OpsSettings;
use mayday::actors::settings::ClusterSettings;
use mayday::actors::{Engine, NoObserver, Settings, SystemClock};
use mayday::domain::geo::{Fix, Position};
use mayday::domain::ids::RoomId;
use mayday::domain::incident::Status;
use mayday::domain::time::Timestamp;
use mayday::store::{Mongo, MongoOptions, Store};
use smallvec::smallvec;

use super::{Ear, follow, is_whole, person, raise, say, set, total};
use crate::bus::contract::{Nodes, settings};
use crate::support::redis::Redis;
use crate::support::{DEADLINE, HERE, eventually, mongo, now_ms};

struct Pair {
    redis: Redis,
    engines: [Engine; 2],
    store: Arc<dyn Store>,
    nodes: Nodes,
}

impl Pair {
    async fn start() -> Self {
        let redis = Redis::start();
        let store = Mongo::open(MongoOptions::new(mongo::shared().await))
            .await
            .unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let mut bridge = settings(&redis.url());
        bridge.board.patience = DEADLINE;
        let mut nodes = Nodes::on(bridge);
        let mut engines = Vec::new();
        for _ in 0..2 {
            engines.push(Engine::start(Parts {
                lookups: None,
                bus: nodes.join().await,
                blocks: Arc::new(Blocks::new(b"a secret of the test", 100)),
                store: Arc::clone(&store),
                clock: Arc::new(SystemClock),
                settings: Settings {
                    cluster: ClusterSettings {
                        heartbeat: Duration::from_millis(100),
                        ..ClusterSettings::default()
                    },
                    ops: OpsSettings {
                        positions_every: Duration::from_millis(100),
                        sweep: Duration::from_secs(2),
                        ..OpsSettings::default()
                    },
                    ..Settings::default()
                },
                observer: Arc::new(NoObserver),
                chores: vec![],
            }));
        }
        let pair = Self {
            redis,
            engines: engines.try_into().unwrap_or_else(|_| panic!("two")),
            store,
            nodes,
        };
        for engine in &pair.engines {
            eventually("the nodes know each other", || async {
                (engine.node().cluster.peers.alive().len() == 2).then_some(())
            })
            .await;
        }
        pair
    }

    /// Raises so many on both nodes, and moves each on the other one.
    async fn storm(&self, name: &str, count: usize) -> Vec<RoomId> {
        let one = |n: usize| async move {
            let (here, there) = (&self.engines[n % 2], &self.engines[(n + 1) % 2]);
            let sos = raise(here, &format!("{name}-{n}")).await;
            set(there, &sos, Status::Responding).await;
            say(here, &sos, &format!("{name}-{n}"), &format!("words of {n}")).await;
            if n.is_multiple_of(3) {
                set(here, &sos, Status::Resolved).await;
            }
            sos
        };
        join_all((0..count).map(one)).await
    }
}

#[actix::test]
async fn on_both_nodes_the_same_order_is_heard_and_from_any_cursor_the_rest() {
    let pair = Pair::start().await;
    let ears = [Ear::new(), Ear::new()];
    let _one = follow(&pair.engines[0], &ears[0], None).await;
    let _other = follow(&pair.engines[1], &ears[1], None).await;
    let incidents = pair.storm("ana", 200).await;
    let count = total(&*pair.store, &incidents).await;
    for ear in &ears {
        ear.hears(count).await;
        is_whole(&*pair.store, &ear.told(), &incidents).await;
    }
    assert_eq!(ears[0].told(), ears[1].told());
    // A cursor that one node gave is good on the other.
    let events = ears[0].events();
    for from in [0, count / 3, count - 1] {
        let again = Ear::new();
        let _following = follow(&pair.engines[1], &again, Some(events[from].cursor())).await;
        again.hears(count - from - 1).await;
        assert_eq!(again.told(), ears[1].told()[from + 1..]);
        assert_eq!(again.gaps(), 0);
    }
    // Positions that one node took are told by the other.
    let at = Timestamp::from_ms(i64::try_from(now_ms()).unwrap());
    let fix = Fix::new(Position::new(HERE.0, HERE.1).unwrap(), at);
    let ana = person("ana-1");
    eventually("the other node tells where they are", || async {
        let later = Fix {
            at: at + Duration::from_millis(1),
            ..fix
        };
        pair.engines[0]
            .upload(&ana, None, smallvec![fix, later])
            .await
            .unwrap();
        let told = ears[1].positions();
        told.iter().any(|one| one.room == incidents[1]).then_some(())
    })
    .await;
}

#[actix::test]
async fn nothing_is_missing_after_redis_lost_its_memory() {
    let mut pair = Pair::start().await;
    let ears = [Ear::new(), Ear::new()];
    let _one = follow(&pair.engines[0], &ears[0], None).await;
    let _other = follow(&pair.engines[1], &ears[1], None).await;
    let mut incidents = pair.storm("before", 30).await;
    let before = total(&*pair.store, &incidents).await;
    for ear in &ears {
        ear.hears(before).await;
    }
    pair.redis.kill9();
    // Old ones move, and new ones are raised, while nobody can say so.
    for sos in &incidents[1..3] {
        set(&pair.engines[0], sos, Status::Arrived).await;
    }
    let meanwhile = join_all((0..20).map(|n| raise(&pair.engines[n % 2], "meanwhile"))).await;
    incidents.extend(meanwhile);
    pair.redis.restart();
    incidents.extend(pair.storm("after", 20).await);
    let count = total(&*pair.store, &incidents).await;
    for ear in &ears {
        ear.hears(count).await;
        is_whole(&*pair.store, &ear.told(), &incidents).await;
        assert_eq!(ear.gaps(), 0);
    }
}

#[actix::test]
async fn what_a_node_did_not_say_before_it_died_is_found() {
    let mut pair = Pair::start().await;
    let ear = Ear::new();
    let _following = follow(&pair.engines[1], &ear, None).await;
    let mut incidents = pair.storm("before", 10).await;
    ear.hears(total(&*pair.store, &incidents).await).await;
    // Its way to Redis ends; what it writes from now on it cannot say.
    let dying = pair.engines[0].node().bus.node();
    pair.nodes.kill(dying);
    for n in 0..5 {
        incidents.push(raise(&pair.engines[0], &format!("last-{n}")).await);
    }
    set(&pair.engines[0], &incidents[1], Status::Arrived).await;
    let open = incidents[2].clone();
    set(&pair.engines[0], &open, Status::Resolved).await;
    let count = total(&*pair.store, &incidents).await;
    ear.hears(count).await;
    is_whole(&*pair.store, &ear.told(), &incidents).await;
    assert!(pair.engines[1].node().ops.observe().sweeps.0 > 0);
}
