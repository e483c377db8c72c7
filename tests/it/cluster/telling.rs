//! Nodes that share a store share what is to be told: each event is told by one of them, in order, and what a node that
//! dies had in hand by another.

use std::time::Duration;

use serde_json::{Value, json};

use super::Cluster;
use crate::services::{sister, telling::in_order};
use crate::support::sister::{Mood, SosService, TOKEN};
use crate::support::{Engine, Person, eventually, fire};

const INCIDENTS: usize = 8;
const MESSAGES: usize = 6;

async fn happens(by: &[Person]) {
    for n in 0..INCIDENTS {
        let sos = by[n % by.len()].raises(fire()).await;
        let path = format!("/api/v1/sos/{sos}/messages");
        for m in 0..MESSAGES {
            // Whichever node it comes to.
            let answer = by[m % by.len()]
                .post(&path, json!({"content": "on my way"}))
                .await;
            answer.data(201);
        }
    }
}

async fn outbox(node: &Engine) -> Value {
    sister(node).gets("/internal/outbox").await.data(200)
}

#[tokio::test]
async fn each_event_is_told_once_and_those_of_a_node_that_dies_at_least_once() {
    let taken = || Mood::Slowly(Duration::from_millis(10), Box::new(Mood::status(200)));
    let service = SosService::that(move |_| taken());
    let url = service.url();
    let quick = [
        ("services.feed_lease_s", "2"),
        ("services.feed_timeout_ms", "1000"),
    ];
    let mut cluster = Cluster::start(2, &SosService::told(&url, &quick)).await;
    let ana = cluster.nodes[0].user("Ana");
    let people = [ana.clone(), ana.at(cluster.nodes[1].address())];
    happens(&people).await;
    let all = INCIDENTS * (MESSAGES + 2);
    let asked = service.was_asked(all).await;
    assert_eq!(in_order(&asked, false).len(), INCIDENTS);
    eventually("nothing waits", || async {
        (outbox(&cluster.nodes[1]).await["waiting"] == 0).then_some(())
    })
    .await;
    assert_eq!(service.times(), all, "none twice");

    // Now one of them dies in the middle of it.
    happens(&people).await;
    cluster.nodes[0].kill9();
    happens(&people[1..]).await;
    eventually("all of it was told", || async {
        let heads = in_order(&service.asked()[all..], true);
        let whole = heads
            .values()
            .filter(|head| **head == u64::try_from(MESSAGES + 2).unwrap());
        (whole.count() == 2 * INCIDENTS).then_some(())
    })
    .await;
    let state = outbox(&cluster.nodes[1]).await;
    assert_eq!((&state["on"], &state["dead"]), (&json!(true), &json!(0)));
}

#[tokio::test]
async fn an_incident_that_both_are_asked_to_join_at_once_is_created_once() {
    let service = SosService::that(|_| {
        let found = Mood::json(&json!({"citizenId": "user-ana", "status": "ASSIGNED"}));
        Mood::Slowly(Duration::from_millis(200), Box::new(found))
    });
    let url = service.url();
    let settings = [
        ("services.sos_url", url.as_str()),
        ("services.sos_token", TOKEN),
        ("services.feed", "false"),
    ];
    let cluster = Cluster::start(2, &settings).await;
    let join = "/api/v1/sos/sos-of-theirs/participants/join";
    let joins = (0..10).map(|n| {
        let who = cluster.nodes[n % 2].user(&format!("P{n}"));
        async move { who.post(join, json!({"userType": "CITIZEN"})).await }
    });
    for answer in futures_util::future::join_all(joins).await {
        answer.data(201);
    }
    assert!((1..=2).contains(&service.times()), "once for each node at most");
    let state = sister(&cluster.nodes[0]).state("sos-of-theirs").await;
    assert_eq!(
        (&state["participantsCount"], &state["status"]),
        (&json!(11), &json!("ASSIGNED"))
    );
    let dora = cluster.nodes[1].user("Dora").role("ADMIN");
    let path = "/api/v1/sos/sos-of-theirs/events?limit=100";
    let (events, _) = dora.get(path).await.page();
    let created = events.iter().filter(|event| event["type"] == "created");
    assert_eq!(created.count(), 1);
}
