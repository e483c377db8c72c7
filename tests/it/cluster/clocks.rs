//! Nodes whose clocks are half a minute apart are one engine all the same.

use serde_json::{Value, json};

use super::{Cluster, NodeSettings};
use crate::support::redis::Redis;
use crate::support::{HERE, eventually, fire};

/// Seconds that the second node is ahead of the others.
const AHEAD: &str = "+30s";

#[tokio::test]
async fn clocks_that_are_half_a_minute_apart_cost_nobody_a_word() {
    let redis = Redis::start();
    let node = |clock| NodeSettings {
        bus: redis.url(),
        clock,
        ..NodeSettings::default()
    };
    let nodes = vec![node(None), node(Some(AHEAD)), node(None)];
    let mut cluster = Cluster::of(redis, nodes, &[]).await;
    let (ana, ben) = (cluster.nodes[0].user("Ana"), cluster.nodes[1].user("Ben"));
    let sos = ana.raises(fire()).await;
    // A ticket of one node is good on another, though it lives for half a minute only.
    let ticket = ana.post("/api/v1/tickets", json!({})).await.data(201)["ticket"].clone();
    let door = format!("/api/ws?ticket={}", ticket.as_str().unwrap());
    let mut at_ana = cluster.nodes[1].nobody().try_open(&door).await.unwrap();
    at_ana
        .expect(json!({"type": "connected", "roomIds": [sos]}))
        .await;
    at_ana.joins(&sos).await;
    let mut at_ben = cluster.nodes[0].user("Ben").connect().await;
    at_ben.joins(&sos).await;
    at_ana
        .expect(json!({"type": "user-joined", "user": {"name": "Ben"}}))
        .await;
    for n in 0..5 {
        at_ana.writes(&sos, &format!("ahead {n}")).await;
        at_ben.reads(&sos, &format!("ahead {n}")).await;
        at_ben.writes(&sos, &format!("behind {n}")).await;
        at_ana.reads(&sos, &format!("behind {n}")).await;
    }
    // They are: what is said later by the one is earlier by the other.
    let mut told = [Value::Null, Value::Null];
    for (client, told) in [&mut at_ana, &mut at_ben].into_iter().zip(&mut told) {
        client.says(json!({"type": "ping"})).await;
        *told = client.expect(json!({"type": "pong"})).await["timestamp"].clone();
    }
    assert!(told[0].as_str() > told[1].as_str(), "{told:?}");
    // The log is in the order of what was said, whatever the clocks say.
    let page = ben
        .get(&format!("/api/v1/sos/{sos}/messages?limit=20"))
        .await
        .page()
        .0;
    let mut seqs: Vec<u64> = page
        .iter()
        .map(|message| message["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs.len(), 10);
    seqs.reverse();
    assert!(seqs.is_sorted(), "{page:?}");

    // Where somebody is, by the node that is ahead, is not from the future to the others.
    let here = json!({"type": "location-update", "roomId": sos, "latitude": HERE.0, "longitude": HERE.1});
    at_ana.says(here).await;
    at_ana.expect(json!({"type": "location-update-confirmed"})).await;
    at_ben
        .expect(json!({"type": "location-update", "roomId": sos, "data": {"latitude": HERE.0}}))
        .await;
    eventually("the third node knows where", || async {
        let told = cluster.nodes[2]
            .user("Ben")
            .get(&format!("/api/v1/sos/{sos}"))
            .await;
        (told.data(200)["lastLocation"]["latitude"] == HERE.0).then_some(())
    })
    .await;

    // All three are alive to each other, and one that dies fades from the sight of all.
    let living = async |cluster: &Cluster| -> Vec<usize> {
        let mut living = Vec::new();
        for node in &cluster.nodes {
            let told = node.user("Olga").role("ADMIN").get("/api/rooms-info").await.text;
            let told: Value = serde_json::from_str(&told).unwrap();
            let nodes = told["counts"]["nodes"].as_array().map_or(0, Vec::len);
            living.push(nodes);
        }
        living
    };
    eventually("each knows three", || async {
        (living(&cluster).await == [3, 3, 3]).then_some(())
    })
    .await;
    cluster.nodes.remove(2).kill9();
    eventually("both know that it is gone", || async {
        (living(&cluster).await == [2, 2]).then_some(())
    })
    .await;
    for client in [&mut at_ana, &mut at_ben] {
        client.hears_nothing_more().await;
    }
}
