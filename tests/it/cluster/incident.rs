//! Incident clients on many nodes: in one room, back on another node, and sent away cleanly from one that knows nothing of
//! them.

use serde_json::{Value, json};

use super::Cluster;
use crate::support::{Puppets, exchange, fire};

#[tokio::test]
async fn incident_clients_on_two_nodes_are_in_one_incident_and_come_back_on_the_other() {
    let mut cluster = Cluster::start(2, &[]).await;
    let puppets = Puppets::start();
    let (ana, ben) = (cluster.nodes[0].user("Ana"), cluster.nodes[1].user("Ben"));
    let sos = ana.raises(fire()).await;
    let mut at_ana = puppets.connect("Ana", &ana, "/", &["websocket"]).await;
    let ana_id = at_ana.joins(&sos).await;
    let options = json!({"transports": ["websocket"], "auth": ben.shows(), "reconnection": false});
    let mut at_ben = puppets.open("Ben", &ben, "/sos", options).await;
    at_ben.expect_connect(false).await;
    let ben_id = at_ben.joins(&sos).await;
    at_ana
        .expect_each(
            &["sos:init", "sos:room:joined", "participant:joined"],
            json!({"userId": ben_id}),
        )
        .await;

    for (event, args) in [
        ("message:typing:start", json!({"sosId": sos})),
        (
            "location:update",
            json!({"sosId": sos, "latitude": 14.58, "longitude": 120.98}),
        ),
        ("message:send", json!({"sosId": sos, "content": "over there"})),
        ("sos:status:update", json!({"sosId": sos, "status": "assigned"})),
    ] {
        at_ana.emits(event, args).await;
    }
    // What passes and what stays go ways of their own.
    let told = [
        "message:typing:start",
        "location:broadcast",
        "location:updated",
        "message:broadcast",
        "sos:status:broadcast",
        "sos:updated",
    ];
    // In the case in which it was said, on the other node, too.
    let statuses = |body: &Value| body["status"] == "assigned";
    let heard = at_ben.expect_in_any_order(&told).await;
    assert_eq!(heard.iter().filter(|body| statuses(body)).count(), 2, "{heard:?}");
    at_ana
        .expect("message:broadcast", json!({"senderId": ana_id}))
        .await;
    at_ana
        .expect_each(
            &["sos:status:broadcast", "sos:updated"],
            json!({"status": "assigned"}),
        )
        .await;

    // Ben's node dies, and he comes to the other one: where he was, with what he missed.
    cluster.nodes[1].kill9();
    at_ben.expect_disconnect("transport close").await;
    at_ana.expect("sos:room:left", json!({"userId": ben_id})).await;
    at_ana
        .asks(
            "message:send",
            json!({"sosId": sos, "content": "while he is away"}),
        )
        .await;
    at_ana
        .expect("message:broadcast", json!({"content": "while he is away"}))
        .await;
    at_ben.goes_to(&cluster.nodes[0].user("Ben")).await;
    at_ben.connects().await;
    at_ben.expect_connect(true).await;
    at_ben
        .expect("message:broadcast", json!({"content": "while he is away"}))
        .await;
    // And where Ana is.
    at_ben
        .expect_each(
            &["location:broadcast", "location:updated"],
            json!({"userId": ana_id}),
        )
        .await;
    at_ana
        .expect_each(&["sos:init", "sos:room:joined"], json!({"userId": ben_id}))
        .await;
    at_ben
        .asks("message:send", json!({"sosId": sos, "content": "back"}))
        .await;
    for client in [&mut at_ana, &mut at_ben] {
        client
            .expect(
                "message:broadcast",
                json!({"content": "back", "senderId": ben_id}),
            )
            .await;
        client.hears_nothing_more().await;
    }
}

#[tokio::test]
async fn a_poll_that_comes_to_another_node_has_its_client_begin_anew() {
    let cluster = Cluster::start(2, &[]).await;
    let get = async |node: usize, target: &str| {
        let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        exchange(cluster.nodes[node].address(), &request).await
    };
    let open = "/socket.io/?EIO=4&transport=polling";
    let opened = String::from_utf8(get(0, open).await.body).unwrap();
    let sid = opened
        .split("\"sid\":\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let answer = get(1, &format!("{open}&sid={sid}")).await;
    assert!(answer.head.starts_with("HTTP/1.1 400 "), "{}", answer.head);
    assert_eq!(answer.json(), json!({"code": 1, "message": "Session ID unknown"}));
}
