//! Incident clients on many nodes: in one room, back on another node, and sent away cleanly from one that knows nothing of
//! them.

use serde_json::json;

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
    let mut left = vec![
        "message:typing:start",
        "location:broadcast",
        "location:updated",
        "message:broadcast",
        "sos:status:broadcast",
        "sos:updated",
    ];
    while !left.is_empty() {
        let heard = at_ben.hears().await;
        let at = left.iter().position(|event| heard["event"] == **event);
        left.remove(at.unwrap_or_else(|| panic!("nobody expected {heard}; left: {left:?}")));
        if heard["event"] == "sos:status:broadcast" {
            assert_eq!(
                heard["args"][0]["status"], "assigned",
                "in the case in which it was said"
            );
        }
    }
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
    let answer = get(0, open).await;
    let sid = answer
        .split("\"sid\":\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let answer = get(1, &format!("{open}&sid={sid}")).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(
        answer.ends_with(r#"{"code":1,"message":"Session ID unknown"}"#),
        "{answer}"
    );
}
