//! What happens to news when servers die and listeners are slow.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use mayday::actors::redis_bridge::RedisBus;
use mayday::bus::contract_tests::Ear;
use mayday::bus::{Bus, Health, Listener, News, NodeId, Topic};
use mayday::domain::ids::{ParticipantId, RoomId};
use mayday::domain::people::Subject;

use super::contract::{Nodes, settings};
use crate::support::eventually;
use crate::support::redis::{Redis, RedisCluster, Sentinels};

/// A failover takes the servers some four seconds when nothing else runs.
const FAILOVER: Duration = Duration::from_secs(40);

fn topic(n: usize) -> Topic {
    Topic::Room(RoomId::new(format!("room{n}")).unwrap())
}

/// News that can be told from each other.
fn number(n: u64) -> News {
    let device = mayday::domain::ids::DeviceId::from_random([1; 16]);
    News::Erased {
        subject: Subject::Device(device),
        places: vec![(RoomId::new("x").unwrap(), ParticipantId::from_bits(n))],
    }
}

async fn within(patience: Duration, what: &str, look: impl Fn() -> bool) {
    let until = tokio::time::Instant::now() + patience;
    while !look() {
        assert!(tokio::time::Instant::now() < until, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn listen(bus: &Arc<RedisBus>) -> Arc<Ear> {
    Ear::on(&(Arc::clone(bus) as Arc<dyn Bus>)).await
}

/// Says numbers until one is heard.
async fn heard_in_the_end(bus: &RedisBus, ear: &Ear, about: &Topic) {
    let before = ear.heard(about).len();
    let until = tokio::time::Instant::now() + FAILOVER;
    while ear.heard(about).len() == before {
        assert!(
            tokio::time::Instant::now() < until,
            "nothing is heard of {about:?}: {:?}, {:?}, {:?}",
            bus.observe(),
            bus.connection().state(),
            bus.connection().counts()
        );
        bus.publish(about.clone(), number(0));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[actix::test]
async fn thousands_of_subscriptions_are_renewed_after_redis_was_killed() {
    const TOPICS: usize = 3_000;
    let mut redis = Redis::start();
    let mut nodes = Nodes::on(settings(&redis.url()));
    let (one, other) = (nodes.join().await, nodes.join().await);
    let ear = listen(&other).await;
    let topics: Vec<Topic> = (0..TOPICS).map(topic).collect();
    topics.iter().for_each(|topic| other.subscribe(topic.clone()));
    let all = TOPICS + 1;
    within(FAILOVER, "all are listened to", || {
        other.observe().topics == (all, all)
    })
    .await;
    for round in 1..=2 {
        ear.forget_listening();
        redis.kill9();
        within(FAILOVER, "it is noticed", || other.health() == Health::Away).await;
        redis.restart();
        within(FAILOVER, "all are listened to again", || {
            topics.iter().all(|topic| ear.listens_to(topic))
        })
        .await;
        within(FAILOVER, "the way is open", || one.health() == Health::Connected).await;
        for topic in topics.iter().step_by(100) {
            one.publish(topic.clone(), number(round));
        }
        for topic in topics.iter().step_by(100) {
            within(FAILOVER, "it is heard", || {
                ear.heard(topic).last() == Some(&number(round))
            })
            .await;
        }
    }
}

#[actix::test]
async fn news_go_on_after_a_sentinel_failover() {
    let mut redis = Sentinels::start();
    let mut nodes = Nodes::on(settings(&redis.url()));
    let (one, other) = (nodes.join().await, nodes.join().await);
    let ear = listen(&other).await;
    other.subscribe(topic(1));
    heard_in_the_end(&one, &ear, &topic(1)).await;
    ear.forget_listening();
    redis.servers[0].kill9();
    within(FAILOVER, "it is noticed", || other.health() == Health::Away).await;
    within(FAILOVER, "it is listened to at the new master", || {
        ear.listens_to(&topic(1))
    })
    .await;
    heard_in_the_end(&one, &ear, &topic(1)).await;
    within(FAILOVER, "both know each other", || one.nodes().len() == 2).await;
}

#[actix::test]
async fn news_of_every_shard_go_on_after_a_primary_of_the_cluster_was_killed() {
    let mut redis = RedisCluster::start();
    let mut nodes = Nodes::on(settings(&redis.url()));
    let (one, other) = (nodes.join().await, nodes.join().await);
    let ear = listen(&other).await;
    // Some for each shard.
    let topics: Vec<Topic> = (0..30).map(topic).collect();
    for topic in &topics {
        other.subscribe(topic.clone());
        heard_in_the_end(&one, &ear, topic).await;
    }
    ear.forget_listening();
    redis.primary_of("{room1}").kill9();
    within(FAILOVER, "it is noticed", || other.health() == Health::Away).await;
    within(FAILOVER, "all is well again", || {
        other.health() == Health::Connected && one.health() == Health::Connected
    })
    .await;
    // What was said while the shard was away was not heard: all look.
    within(FAILOVER, "all look into the store", || {
        topics.iter().all(|topic| ear.listens_to(topic))
    })
    .await;
    for topic in &topics {
        heard_in_the_end(&one, &ear, topic).await;
    }
}

#[actix::test]
async fn what_a_node_says_while_it_is_cut_off_is_made_up_for() {
    const SAID: u64 = 200;
    let redis = Redis::start();
    let mut nodes = Nodes::on(settings(&redis.url()));
    let (one, other) = (nodes.join().await, nodes.join().await);
    let ear = listen(&other).await;
    other.subscribe(topic(1));
    within(FAILOVER, "it is listened to", || ear.listens_to(&topic(1))).await;
    // The speakers' connections are closed again and again; the listener's, which subscribes, stands.
    let cut = || {
        for line in redis.cli(&["client", "list"]).lines() {
            let field = |name: &str| line.split(' ').find_map(|field| field.strip_prefix(name));
            if field("resp=") == Some("3") && field("ssub=") == Some("0") {
                redis.cli(&["client", "kill", "id", field("id=").unwrap()]);
            }
        }
    };
    for n in 0..SAID {
        if n % 50 == 10 {
            cut();
        }
        one.publish(topic(1), number(n));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    within(
        FAILOVER,
        "the last one, or that something was missed, is heard",
        || {
            let heard = ear.heard(&topic(1));
            heard.last() == Some(&number(SAID - 1)) || heard.last() == Some(&News::Missed)
        },
    )
    .await;
    within(FAILOVER, "nothing is left to be said", || {
        one.observe().outbound.0 == 0
    })
    .await;
    // Nothing is missing without a word.
    let all = || (0..SAID).all(|n| ear.heard(&topic(1)).contains(&number(n)));
    within(FAILOVER, "all was heard, or that something was missed", || {
        all() || ear.heard(&topic(1)).contains(&News::Missed)
    })
    .await;
    assert_eq!(
        other.hearing().state().generation,
        1,
        "the listener was never cut off"
    );
}

#[actix::test]
async fn a_subscriber_whom_redis_throws_out_comes_back_and_looks() {
    let redis = Redis::start();
    let mut nodes = Nodes::on(settings(&redis.url()));
    let (one, other) = (nodes.join().await, nodes.join().await);
    let ear = listen(&other).await;
    other.subscribe(topic(1));
    heard_in_the_end(&one, &ear, &topic(1)).await;
    ear.forget_listening();
    // As Redis does when a subscriber takes too long to read.
    redis.cli(&["client", "kill", "type", "pubsub"]);
    within(FAILOVER, "it listens again", || ear.listens_to(&topic(1))).await;
    heard_in_the_end(&one, &ear, &topic(1)).await;
}

/// Waits at a gate before it takes anything.
#[derive(Default)]
struct Slow {
    open: (Mutex<bool>, Condvar),
    heard: AtomicUsize,
    looks: Mutex<HashSet<Topic>>,
    largest_slice: AtomicUsize,
}

impl Slow {
    fn open(&self) {
        *self.open.0.lock().unwrap() = true;
        self.open.1.notify_all();
    }
}

impl Listener for Slow {
    fn hear(&self, _: NodeId, _: &Topic, _: News) {
        let open = self.open.0.lock().unwrap();
        drop(self.open.1.wait_while(open, |open| !*open).unwrap());
        self.heard.fetch_add(1, Relaxed);
    }

    fn listening(&self, topics: &[Topic]) {
        self.looks.lock().unwrap().extend(topics.iter().cloned());
        self.largest_slice.fetch_max(topics.len(), Relaxed);
    }
}

#[actix::test]
async fn what_does_not_fit_into_the_queue_of_a_slow_listener_is_looked_up() {
    const ROOMS: usize = 20;
    const MESSAGES: usize = 5_000;
    let redis = Redis::start();
    let mut few = settings(&redis.url());
    (few.inbound_max, few.threads) = (100, 2);
    let (mut speakers, mut listeners) = (Nodes::on(settings(&redis.url())), Nodes::on(few));
    let (one, other) = (speakers.join().await, listeners.join().await);
    let slow = Arc::new(Slow::default());
    other.attach(Arc::clone(&slow) as Arc<dyn Listener>);
    for n in 0..ROOMS {
        other.subscribe(topic(n));
    }
    let looked = |slow: &Slow| slow.looks.lock().unwrap().len();
    within(FAILOVER, "all are listened to", || looked(&slow) == ROOMS + 1).await;
    slow.looks.lock().unwrap().clear();
    for n in 0..MESSAGES {
        one.publish(topic(n % ROOMS), number(n as u64));
    }
    let arrived = || {
        let counts = other.heard();
        usize::try_from(counts.heard.load(Relaxed) + counts.dropped.load(Relaxed)).unwrap()
            + other.observe().inbound.0
    };
    within(FAILOVER, "all have arrived", || arrived() >= MESSAGES).await;
    let dropped = other.heard().dropped.load(Relaxed);
    assert!(dropped >= (MESSAGES - 300) as u64, "{dropped}");
    assert_eq!(other.health(), Health::Connected, "the connection never waits");
    slow.open();
    // Every room lost something, so every room is looked up.
    within(FAILOVER, "all rooms are looked up", || looked(&slow) == ROOMS).await;
    assert!(slow.heard.load(Relaxed) <= 300);
}

#[actix::test]
async fn a_node_that_ends_says_goodbye() {
    let redis = Redis::start();
    let mut slow_to_fade = settings(&redis.url());
    slow_to_fade.fades_after = Duration::from_secs(600);
    slow_to_fade.heartbeat = Duration::from_millis(50);
    let mut nodes = Nodes::on(slow_to_fade);
    let (one, other) = (nodes.join().await, nodes.join().await);
    within(FAILOVER, "they know each other", || one.nodes().len() == 2).await;
    let ear = listen(&one).await;
    one.subscribe(topic(1));
    eventually("it is listened to", || async {
        ear.listens_to(&topic(1)).then_some(())
    })
    .await;
    for n in 0..500 {
        other.publish(topic(1), number(n));
    }
    other.close().await;
    within(FAILOVER, "it is gone at once", || one.nodes().len() == 1).await;
    within(FAILOVER, "what it said last was said", || {
        ear.heard(&topic(1)).len() == 500
    })
    .await;
}
