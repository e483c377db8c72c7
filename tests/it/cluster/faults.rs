//! Redis dies in each of the ways in which it is run, or is out of one node's reach: members are served on, and nobody
//! misses a word.

use serde_json::json;

use super::Cluster;
use crate::support::cable::Cable;
use crate::support::redis::{Redis, RedisCluster, Sentinels};
use crate::support::{Client, fire};

/// Two people in an incident, each on a node of their own, and one more beside the first.
struct Three {
    sos: String,
    at_ana: Client,
    at_cara: Client,
    at_ben: Client,
}

impl Three {
    async fn meet<R>(cluster: &Cluster<R>) -> Self {
        let ana = cluster.nodes[0].user("Ana");
        let sos = ana.raises(fire()).await;
        let mut at_ana = ana.connect().await;
        at_ana.joins(&sos).await;
        let mut at_cara = cluster.nodes[0].user("Cara").connect().await;
        at_cara.joins(&sos).await;
        at_ana.expect(joined("Cara")).await;
        let mut at_ben = cluster.nodes[1].user("Ben").connect().await;
        at_ben.joins(&sos).await;
        at_ana.expect(joined("Ben")).await;
        at_cara.expect(joined("Ben")).await;
        Self {
            sos,
            at_ana,
            at_cara,
            at_ben,
        }
    }

    /// Ana speaks, and who is on her node hears it at once.
    async fn ana_writes(&mut self, word: &str) {
        self.at_ana.writes(&self.sos, word).await;
        self.at_cara.reads(&self.sos, word).await;
    }

    async fn talk(&mut self) {
        self.ana_writes("is everybody here?").await;
        self.at_ben.reads(&self.sos, "is everybody here?").await;
        self.at_ben.writes(&self.sos, "I am").await;
        for client in [&mut self.at_ana, &mut self.at_cara] {
            client.reads(&self.sos, "I am").await;
        }
        for client in [&mut self.at_ana, &mut self.at_cara, &mut self.at_ben] {
            client.hears_nothing_more().await;
        }
    }
}

fn joined(name: &str) -> serde_json::Value {
    json!({"type": "user-joined", "user": {"name": name}})
}

fn words() -> impl Iterator<Item = String> {
    (0..5).map(|n| format!("meanwhile {n}"))
}

#[tokio::test]
async fn a_primary_of_the_redis_cluster_dies_and_nobody_misses_a_word() {
    let redis = RedisCluster::start();
    let ways = vec![redis.url(); 2];
    let mut cluster = Cluster::by(redis, ways, &[]).await;
    let mut three = Three::meet(&cluster).await;
    // The one over which this room is heard.
    let room = format!("{{{}}}", three.sos);
    cluster.redis.primary_of(&room).kill9();
    for word in words() {
        three.ana_writes(&word).await;
    }
    // Its replica takes over.
    for word in words() {
        three.at_ben.reads(&three.sos, &word).await;
    }
    cluster.are_ready(&[true, true]).await;
    three.talk().await;
}

#[tokio::test]
async fn the_master_dies_the_sentinels_make_another_and_nobody_misses_a_word() {
    let redis = Sentinels::start();
    let ways = vec![redis.url(); 2];
    let mut cluster = Cluster::by(redis, ways, &[]).await;
    let mut three = Three::meet(&cluster).await;
    cluster.redis.servers[0].kill9();
    for word in words() {
        three.ana_writes(&word).await;
    }
    for word in words() {
        three.at_ben.reads(&three.sos, &word).await;
    }
    cluster.are_ready(&[true, true]).await;
    three.talk().await;
}

#[tokio::test]
async fn a_node_that_does_not_reach_redis_serves_its_own_and_makes_up_for_it() {
    let redis = Redis::start();
    let cable = Cable::to(redis.port()).await;
    let ways = vec![redis.url(), format!("redis://{}", cable.address())];
    let cluster = Cluster::by(redis, ways, &[]).await;
    let mut three = Three::meet(&cluster).await;
    cable.cut();
    // It says so, and the other one is well.
    cluster.are_ready(&[true, false]).await;
    // What is acknowledged there is in the store, and whoever looks finds it, on either node.
    three.at_ben.writes(&three.sos, "can you hear me?").await;
    cluster.nodes[1].user("Dan").raises(fire()).await;
    let messages = format!("/api/v1/sos/{}/messages", three.sos);
    for node in &cluster.nodes {
        let (page, _) = node.user("Ana").get(&messages).await.page();
        assert_eq!(page.len(), 1, "{page:?}");
    }
    for client in [&mut three.at_ana, &mut three.at_cara] {
        client.reads(&three.sos, "can you hear me?").await;
        // His node has been silent for too long.
        client
            .expect(json!({"type": "user-left", "userName": "Ben"}))
            .await;
    }
    for word in words() {
        three.ana_writes(&word).await;
    }
    cable.mend();
    for word in words() {
        three.at_ben.reads(&three.sos, &word).await;
    }
    for client in [&mut three.at_ana, &mut three.at_cara] {
        client.expect(joined("Ben")).await;
    }
    cluster.are_ready(&[true, true]).await;
    three.talk().await;
}
