//! People on different nodes are in one room, and lose nothing when a node or the way between them goes.

use serde_json::json;

use super::Cluster;
use crate::services::{at, sister};
use crate::support::{eventually, fire};

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
    // However long it is away here, nobody is taken for gone meanwhile.
    let mut cluster = Cluster::start(2, &[("bus.fades_after_ms", "60000")]).await;
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

#[tokio::test]
async fn what_a_service_says_on_one_node_is_heard_and_told_on_the_other() {
    let cluster = Cluster::start(2, &[]).await;
    let [here, there] = [0, 1].map(|n| sister(&cluster.nodes[n]));
    let init = json!({"sosId": "sos-1", "citizenId": "user-ana"});
    let state = here
        .posts("/internal/realtime/sos/init", init.clone())
        .await
        .data(201);
    assert_eq!(
        there.posts("/internal/realtime/sos/init", init).await.data(201),
        state
    );
    let mut at_ana = cluster.nodes[1].user("Ana").connect().await;
    at_ana.joins("sos-1").await;
    let fix = json!({"rescuerId": "user-rob", "latitude": 14.6, "longitude": 121});
    let path = at("sos-1", "rescuer-location");
    let taken = here.posts(&path, fix).await.data(200);
    let rob = json!({"id": taken["participantId"], "role": "RESCUER"});
    at_ana
        .expect(json!({"type": "user-joined", "roomId": "sos-1", "user": rob}))
        .await;
    at_ana
        .expect(json!({"type": "location-update", "data": {"userId": taken["participantId"]}}))
        .await;
    let found = eventually("the position is known there, too", async || {
        let found = there.gets(&path).await.data(200);
        (!found.is_null()).then_some(found)
    })
    .await;
    assert_eq!(found, taken);
    let said = json!({"sosId": "sos-1", "message": {
        "id": "m-1", "senderType": "RESCUER", "senderId": "user-eve", "senderDisplayName": "Unit 7", "content": "soon",
    }});
    let message = here
        .posts("/internal/messaging/broadcast", said.clone())
        .await
        .data(201);
    at_ana
        .expect(json!({"type": "room-message", "userName": "Unit 7", "clientId": message["senderId"]}))
        .await;
    let again = there.posts("/internal/messaging/broadcast", said).await;
    assert_eq!(again.data(201), message);
    let retype = Some(json!({"type": "FIRE"}));
    here.asks(reqwest::Method::PATCH, &at("sos-1", "type"), retype)
        .await
        .data(200);
    at_ana
        .expect(json!({"type": "sos-type", "incidentType": "FIRE", "from": "OTHER"}))
        .await;
    let stale = json!({"status": "ARRIVED", "updatedBy": "user-rob", "oldStatus": "ASSIGNED"});
    there
        .posts(&at("sos-1", "status"), stale)
        .await
        .refused(409, "CONFLICT");
    let went = json!({"sosId": "sos-1", "userId": "user-rob"});
    there.posts("/api/participants/left", went).await.data(200);
    at_ana
        .expect(json!({"type": "user-left", "clientId": taken["participantId"]}))
        .await;
    let closed = here
        .posts(&at("sos-1", "close"), json!({"closedBy": "user-rob"}))
        .await
        .data(200);
    at_ana
        .expect(json!({"type": "sos-status", "status": "CLOSED", "clientId": taken["participantId"]}))
        .await;
    at_ana
        .expect(json!({"type": "room-left", "roomId": "sos-1"}))
        .await;
    assert_eq!(there.state("sos-1").await, closed);
    at_ana.hears_nothing_more().await;
}
