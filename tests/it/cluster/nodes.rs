//! People on different nodes are in one room, and lose nothing when a node or the way between them goes.

use serde_json::json;

use super::Cluster;
use crate::support::fire;

#[tokio::test]
async fn people_on_three_nodes_are_in_one_incident_and_one_of_them_goes_on_elsewhere() {
    let mut cluster = Cluster::start(3, &[]).await;
    let (ana, ben, cara) = (
        cluster.nodes[0].user("Ana"),
        cluster.nodes[1].user("Ben"),
        cluster.nodes[2].user("Cara"),
    );
    let sos = ana.raises(fire()).await;
    let mut at_ana = ana.connect().await;
    at_ana.joins(&sos).await;
    let mut at_ben = ben.connect().await;
    at_ben.joins(&sos).await;
    at_ana
        .expect(json!({"type": "user-joined", "roomId": sos, "user": {"name": "Ben"}}))
        .await;
    let mut at_cara = cara.connect().await;
    at_cara.joins(&sos).await;
    for client in [&mut at_ana, &mut at_ben] {
        client
            .expect(json!({"type": "user-joined", "roomId": sos, "user": {"name": "Cara"}}))
            .await;
    }

    let first = at_ana.writes(&sos, "who can come?").await["seq"].clone();
    at_ben.reads(&sos, "who can come?").await;
    at_cara.reads(&sos, "who can come?").await;
    at_cara.writes(&sos, "I can").await;
    at_ana.reads(&sos, "I can").await;
    at_ben.reads(&sos, "I can").await;

    // What one node took is read from another, by whatever was cached there.
    let messages = cluster.nodes[2]
        .user("Ana")
        .get(&format!("/api/v1/sos/{sos}/messages"))
        .await;
    assert_eq!(messages.data(200).as_array().unwrap().len(), 2);

    // Ben's node dies; Ben comes to another one and hears what he missed, once and in order.
    cluster.nodes[1].kill9();
    let heard = at_ben.hears().await;
    assert!(!matches!(heard, crate::support::Heard::Message(_)), "{heard:?}");
    at_ana
        .expect(json!({"type": "user-left", "roomId": sos, "userName": "Ben"}))
        .await;
    at_cara
        .expect(json!({"type": "user-left", "roomId": sos, "userName": "Ben"}))
        .await;
    at_ana.writes(&sos, "he misses this").await;
    at_cara.reads(&sos, "he misses this").await;
    let mut at_ben = cluster.nodes[2].user("Ben").open().await;
    at_ben
        .expect(json!({"type": "connected", "roomIds": [sos]}))
        .await;
    at_ben
        .says(json!({"type": "join-room", "roomId": sos, "since": first}))
        .await;
    at_ben
        .expect(json!({"type": "join-approved", "roomId": sos, "recovered": true}))
        .await;
    at_ben.reads(&sos, "I can").await;
    at_ben.reads(&sos, "he misses this").await;
    for client in [&mut at_ana, &mut at_cara] {
        client
            .expect(json!({"type": "user-joined", "roomId": sos, "user": {"name": "Ben"}}))
            .await;
    }
    at_ana.writes(&sos, "welcome back").await;
    at_ben.reads(&sos, "welcome back").await;
    at_cara.reads(&sos, "welcome back").await;
    for client in [&mut at_ana, &mut at_ben, &mut at_cara] {
        client.hears_nothing_more().await;
    }
}

#[tokio::test]
async fn redis_dies_and_comes_back_and_nobody_misses_a_word() {
    let mut cluster = Cluster::start(2, &[]).await;
    let (ana, ben) = (cluster.nodes[0].user("Ana"), cluster.nodes[1].user("Ben"));
    let sos = ana.raises(fire()).await;
    let mut at_ana = ana.connect().await;
    at_ana.joins(&sos).await;
    let mut at_ben = ben.connect().await;
    at_ben.joins(&sos).await;
    at_ana
        .expect(json!({"type": "user-joined", "user": {"name": "Ben"}}))
        .await;

    cluster.redis.kill9();
    cluster.are_ready(&[false, false]).await;
    // Each node serves its own, and takes new calls for help.
    for n in 0..5 {
        at_ana.writes(&sos, &format!("alone {n}")).await;
    }
    cluster.nodes[1].user("Cara").raises(fire()).await;

    cluster.redis.restart();
    for n in 0..5 {
        at_ben.reads(&sos, &format!("alone {n}")).await;
    }
    cluster.are_ready(&[true, true]).await;
    at_ben.writes(&sos, "together again").await;
    at_ana.reads(&sos, "together again").await;
}
