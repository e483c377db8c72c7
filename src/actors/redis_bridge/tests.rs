use std::sync::Arc;

use super::*;
use crate::bus::contract_tests::{Ear, eventually};
use crate::bus::redis::BusUrl;

thread_local! {
    /// The bridges of this thread die when it is told.
    static DIE: Arc<Notify> = Arc::default();
}

pub(super) async fn die_when_told(_: Arc<Shared>) {
    DIE.with(Arc::clone).notified().await;
    panic!("on purpose");
}

/// A bridge to a Redis that is not there.
async fn lonely() -> Arc<RedisBus> {
    let settings = BridgeSettings {
        board: BoardSettings::default(),
        order: OrderSettings::default(),
        redis: Options {
            address: BusUrl::new("redis://127.0.0.1:1").parse().unwrap().unwrap(),
            tls: crate::bus::redis::TlsFiles::default(),
            connect_timeout: Duration::from_millis(100),
            response_timeout: Duration::from_millis(100),
            reconnect_min: Duration::from_millis(10),
            reconnect_max: Duration::from_millis(10),
            health_interval: Duration::from_millis(100),
            sharded: true,
            commands_max: 10,
        },
        outbound: OutboundLimits {
            messages_max: 100,
            message_max_bytes: 1_000,
            missed_max: 10,
        },
        flush_max: 64,
        flush_after: Duration::from_micros(100),
        threads: 1,
        inbound_max: 10,
        batch_max: 10,
        grace: Duration::from_millis(10),
        heartbeat: Duration::from_millis(100),
        fades_after: Duration::from_millis(400),
    };
    let arbiter = actix::Arbiter::current();
    RedisBus::start(NodeId::from_bits(7), settings, arbiter)
        .await
        .unwrap()
}

#[actix::test]
async fn without_redis_nobody_waits_and_it_knows_itself() {
    let bus = lonely().await;
    let ear = Arc::new(Ear::default());
    bus.attach(Arc::clone(&ear) as Arc<dyn Listener>);
    for _ in 0..1_000 {
        bus.publish(Topic::Everyone, News::Blocks);
    }
    eventually("what cannot be said is given up", || {
        bus.observe().outbound.0 == 0
    })
    .await;
    assert_eq!(bus.observe().lost, (1_000, 0));
    assert_eq!(bus.health(), Health::Away);
    assert_eq!(bus.nodes().len(), 1);
    let begun = Instant::now();
    bus.close().await;
    assert!(
        begun.elapsed() < FAREWELL / 2,
        "there is nobody to say goodbye to"
    );
}

#[actix::test]
async fn a_bridge_that_dies_is_started_again() {
    let bus = lonely().await;
    for n in 1..=3 {
        eventually("it lives", || bus.shared.alive.load(Relaxed)).await;
        DIE.with(|die| die.notify_one());
        eventually("it is started again", || bus.observe().revived == n).await;
    }
    bus.publish(Topic::Everyone, News::Blocks);
    eventually("it goes on", || bus.observe().outbound.0 == 0).await;
}
