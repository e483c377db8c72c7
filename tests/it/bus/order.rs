//! The one order of what happens on all nodes, in a real Redis alone and in a cluster.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mayday::bus::order::{Heads, Order, Place, Said};
use mayday::bus::redis::{Channels, Connection, OrderSettings, RedisOrder};
use mayday::domain::ids::RoomId;
use mayday::domain::room::Seq;

use super::options;
use crate::support::redis::{Redis, RedisCluster};
use crate::support::{DEADLINE, eventually};

fn settings() -> OrderSettings {
    OrderSettings {
        patience: DEADLINE,
        ..OrderSettings::default()
    }
}

async fn node(url: &str, settings: OrderSettings, epoch: u64) -> Arc<RedisOrder> {
    let connection = Connection::open(options(url));
    assert!(connection.connected(DEADLINE).await);
    RedisOrder::start(connection, &Channels::new(0), settings, epoch)
}

fn said(incident: u64, first: u64, last: u64) -> Said {
    Said {
        room: RoomId::new(format!("sos-{incident}")).unwrap(),
        first: Seq::new(first),
        last: Seq::new(last),
        over: false,
    }
}

type Told = (RoomId, u64, u64);

/// All that follows a place, in pages.
async fn all(order: &RedisOrder, mut place: Place) -> Vec<Told> {
    let mut found = Vec::new();
    loop {
        let stretch = order.after(place, 7).await.unwrap();
        assert!(stretch.follows(place));
        let new = stretch.entries.iter().filter(|entry| entry.at > place.at);
        found.extend(new.map(|entry| (entry.room.clone(), entry.first.get(), entry.last.get())));
        if stretch.upto == place {
            return found;
        }
        place = stretch.upto;
    }
}

/// Whatever is said, in whatever order and how often: the script does what [`Heads`] says.
async fn the_script_goes_by_the_rule(url: &str) {
    let nodes = [node(url, settings(), 1).await, node(url, settings(), 2).await];
    let begun = nodes[0].ends().await.unwrap().last;
    assert_eq!(
        nodes[1].ends().await.unwrap().last,
        begun,
        "one order, by one of the two"
    );
    let (mut heads, mut expected, mut random) = (Heads::default(), Vec::new(), 1_u64);
    for n in 0..400 {
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % below
        };
        let (incident, first) = (next(5), 1 + next(4 + n / 20));
        let said = said(incident, first, first + next(4));
        if let Some(from) = heads.news(&said.room, said.first, said.last) {
            heads.told(&said.room, said.last);
            expected.push((said.room.clone(), from.get(), said.last.get()));
        }
        let speaker = &nodes[usize::from(n % 3 == 0)];
        speaker.say(said);
        // The model has one order: so must the speakers.
        assert!(speaker.settle().await);
    }
    for node in &nodes {
        assert_eq!(all(node, begun).await, expected);
    }
    let (next, told) = nodes[1].heads(0).await.unwrap();
    assert_eq!(next, 0);
    let told: HashMap<_, _> = told.into_iter().collect();
    let known: HashMap<_, _> = heads.iter().map(|(room, seq)| (room.clone(), seq)).collect();
    assert_eq!(told, known);
    assert_eq!(nodes[0].swept().await, Ok(None));
    nodes[0].set_swept(77).await.unwrap();
    assert_eq!(nodes[1].swept().await, Ok(Some(77)));
}

#[tokio::test]
async fn what_nodes_say_comes_into_one_order_without_gaps() {
    let redis = Redis::start();
    the_script_goes_by_the_rule(&redis.url()).await;
}

#[tokio::test]
async fn and_in_a_cluster_of_redis_servers_too() {
    let redis = RedisCluster::start();
    the_script_goes_by_the_rule(&redis.url()).await;
}

#[tokio::test]
async fn what_one_incident_says_in_a_row_is_one_entry() {
    let redis = Redis::start();
    let order = node(&redis.url(), settings(), 1).await;
    let begun = order.ends().await.unwrap().last;
    for n in 1..=20 {
        order.say(said(1, 1, n));
    }
    assert!(order.settle().await);
    let told = all(&order, begun).await;
    assert!(told.len() < 20, "{told:?}");
    assert_eq!(told.last().unwrap().2, 20);
    assert!(
        redis
            .cli(&["xrange", "mayday/0/{feed}", "-", "+"])
            .contains("sosId")
    );
}

#[tokio::test]
async fn a_place_that_was_cut_off_or_is_of_another_memory_is_told_apart() {
    let mut redis = Redis::start();
    let short = OrderSettings {
        stream_max: 100,
        ..settings()
    };
    let order = node(&redis.url(), short, 1).await;
    let begun = order.ends().await.unwrap().last;
    for n in 1..=1_000 {
        order.say(said(n, 1, 1));
    }
    assert!(order.settle().await);
    let stretch = order.after(begun, 10).await.unwrap();
    assert!(!stretch.follows(begun), "the stream is shorter");
    let oldest = stretch.oldest();
    assert!(order.after(oldest, 10).await.unwrap().follows(oldest));
    let last = order.ends().await.unwrap().last;
    assert!(order.after(last, 10).await.unwrap().follows(last));
    // It comes back empty: places that were given out mean nothing any more.
    redis.kill9();
    redis.restart();
    let stretch = eventually("it answers again", async || order.after(last, 10).await.ok()).await;
    assert!(!stretch.follows(last));
    assert!(order.losses() > 1, "what was said may be lost");
}

#[tokio::test]
async fn what_waits_while_redis_is_away_is_said_later_as_far_as_there_is_room() {
    let mut redis = Redis::start();
    let small = OrderSettings {
        waiting_max: 10,
        ..settings()
    };
    let order = node(&redis.url(), small, 1).await;
    order.say(said(0, 1, 1));
    assert!(order.settle().await);
    redis.kill9();
    for n in 1..=15 {
        order.say(said(n, 1, 1));
    }
    let counts = order.counts();
    assert_eq!((counts.waiting_max, counts.said), (10, 1));
    assert!(counts.dropped >= 5, "{counts:?}");
    redis.restart();
    eventually("it is said", async || (order.counts().waiting == 0).then_some(())).await;
    eventually("ten of them", async || {
        let count = order.heads(0).await.ok()?.1.len();
        (count >= 9).then_some(())
    })
    .await;
}

#[tokio::test]
async fn incidents_that_are_over_are_forgotten_after_a_while() {
    let redis = Redis::start();
    let quick = OrderSettings {
        over_keep: Duration::from_millis(1),
        ..settings()
    };
    let order = node(&redis.url(), quick, 1).await;
    order.say(Said {
        over: true,
        ..said(1, 1, 3)
    });
    order.say(said(2, 1, 3));
    eventually("only the open one is known", async || {
        order.ends().await.ok()?;
        let (_, heads) = order.heads(0).await.ok()?;
        (heads == [(RoomId::new("sos-2").unwrap(), Seq::new(3))]).then_some(())
    })
    .await;
}
