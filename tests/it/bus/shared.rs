//! What nodes keep in common in Redis: budgets and tickets.

use std::time::{Duration, Instant};

use mayday::bus::redis::Connection;
use mayday::domain::ids::DeviceId;
use mayday::domain::people::Identity;
use mayday::http::auth::Caller;
use mayday::http::cluster::Cluster;
use mayday::http::cluster::budgets::{Want, Wants};
use mayday::http::limits::Scope;
use smallvec::smallvec;

use super::options;
use crate::support::redis::{Redis, RedisCluster};
use crate::support::{DEADLINE, eventually};

const PREFIX: &str = "mayday/0/";
const HOUR: Duration = Duration::from_secs(3_600);

/// One node's view. In the tests nothing is given up for being slow, unless that is what they are about.
async fn node(url: &str, patience: Duration) -> Cluster {
    let connection = Connection::open(options(url));
    assert!(connection.connected(DEADLINE).await);
    Cluster::new(&connection, PREFIX, patience, 0)
}

async fn two(url: &str) -> [Cluster; 2] {
    [node(url, DEADLINE).await, node(url, DEADLINE).await]
}

fn want(name: &'static str, limit: u32) -> Want {
    Want {
        name,
        key: 7,
        limit,
        one_each: HOUR / limit,
        scope: Scope::Own,
    }
}

async fn a_small_budget_holds_exactly(url: &str) {
    let nodes = two(url).await;
    let wants: Wants = smallvec![want("sos/device", 5)];
    for n in 0..5 {
        let left = nodes[n % 2].budgets.charge(&wants).await.unwrap().unwrap();
        assert_eq!((left.limit, left.remaining), (5, 4 - u32::try_from(n).unwrap()));
    }
    for node in &nodes {
        for _ in 0..3 {
            let spent = node.budgets.charge(&wants).await.unwrap_err();
            let wait = HOUR / 5;
            assert!(
                spent.budget.wait <= wait && spent.budget.wait > wait - Duration::from_secs(60),
                "{spent:?}"
            );
        }
    }
    // Whoever has nothing left costs Redis nothing.
    assert_eq!(nodes[0].budgets.counts().1, 4);
    let other: Wants = smallvec![Want {
        key: 8,
        ..want("sos/device", 5)
    }];
    assert!(nodes[0].budgets.charge(&other).await.is_ok());
}

#[tokio::test]
async fn a_small_budget_holds_over_all_nodes_exactly() {
    let redis = Redis::start();
    a_small_budget_holds_exactly(&redis.url()).await;
}

#[tokio::test]
async fn a_budget_holds_in_a_cluster_of_redis_servers_too() {
    let redis = RedisCluster::start();
    a_small_budget_holds_exactly(&redis.url()).await;
}

#[tokio::test]
async fn a_large_budget_is_never_passed_and_costs_few_round_trips() {
    let redis = Redis::start();
    let nodes = two(&redis.url()).await;
    let wants: Wants = smallvec![want("general/user", 1_000)];
    let mut passed = 0;
    for n in 0..1_500 {
        passed += u32::from(nodes[n % 2].budgets.charge(&wants).await.is_ok());
    }
    // Some come back within the test's time; what a node holds and does not spend is at most a twentieth.
    assert!((950..=1_005).contains(&passed), "{passed}");
    let asked = nodes[0].budgets.counts().1 + nodes[1].budgets.counts().1;
    assert!(asked < 40, "{asked} round trips for {passed} requests");
}

#[tokio::test]
async fn who_is_refused_by_one_budget_is_charged_by_none() {
    let redis = Redis::start();
    let nodes = two(&redis.url()).await;
    let address = want("sos/address", 3);
    let both: Wants = smallvec![want("sos/device", 1), address];
    let alone: Wants = smallvec![address];
    assert!(nodes[0].budgets.charge(&both).await.is_ok());
    for node in &nodes {
        assert!(node.budgets.charge(&both).await.is_err());
    }
    // Each of the two that were refused has left it to its node.
    assert!(nodes[0].budgets.charge(&alone).await.is_ok());
    assert!(nodes[1].budgets.charge(&alone).await.is_ok());
    assert!(nodes[0].budgets.charge(&alone).await.is_err());
}

#[tokio::test]
async fn what_cannot_wait_goes_by_what_is_known() {
    let redis = Redis::start();
    let nodes = two(&redis.url()).await;
    let wants: Wants = smallvec![want("sos/user", 1)];
    assert!(nodes[0].budgets.charge_now(&wants).is_ok());
    eventually("both know that nothing is left", || async {
        let refused = |node: &Cluster| node.budgets.charge_now(&wants).is_err();
        nodes.iter().all(refused).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_hangs_refuses_nobody_and_keeps_nobody_waiting() {
    let redis = Redis::start();
    let node = node(&redis.url(), Duration::from_millis(5)).await;
    let wants: Wants = smallvec![want("sos/device", 1)];
    redis.freeze();
    for _ in 0..3 {
        let asked = Instant::now();
        assert_eq!(node.budgets.charge(&wants).await, Ok(None));
        assert!(
            asked.elapsed() < Duration::from_millis(300),
            "{:?}",
            asked.elapsed()
        );
    }
    assert_eq!(node.budgets.counts().2, 3);
    redis.thaw();
}

fn caller() -> Caller {
    Caller::new(Identity::device(DeviceId::from_random([7; 16])), None)
}

#[tokio::test]
async fn a_ticket_is_good_once_on_any_node_for_a_short_time() {
    let redis = Redis::start();
    let [here, there] = two(&redis.url()).await;
    let ticket = "ab".repeat(32);
    here.tickets.put(&ticket, &caller(), HOUR).await.unwrap();
    // Neither the ticket nor the device stand in the name of a key.
    let keys = redis.cli(&["keys", "*"]);
    assert!(keys.contains("ticket/") && !keys.contains(&ticket), "{keys}");
    let (one, other) = tokio::join!(here.tickets.take(&ticket), there.tickets.take(&ticket));
    assert_eq!([one, other].into_iter().flatten().collect::<Vec<_>>(), [caller()]);
    assert_eq!(there.tickets.take("never one").await, None);

    here.tickets
        .put(&ticket, &caller(), Duration::from_millis(30))
        .await
        .unwrap();
    eventually("it is too old", || async {
        (redis.cli(&["keys", "*"]).is_empty()).then_some(())
    })
    .await;
    assert_eq!(there.tickets.take(&ticket).await, None);
}

#[tokio::test]
async fn without_redis_there_are_no_shared_tickets() {
    let mut redis = Redis::start();
    let node = node(&redis.url(), DEADLINE).await;
    redis.kill9();
    assert!(node.tickets.put("a", &caller(), HOUR).await.is_err());
    assert_eq!(node.tickets.take("a").await, None);
}
