//! `kill -9` in a storm: whatever was acknowledged is there afterwards, exactly once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::messages_of;
use crate::support::{Client, Engine, Heard, Person, fire};

/// How many of each kind are acknowledged before the power goes.
const ENOUGH: usize = 100;
const ROUNDS: usize = 4;
/// Clients that raise incidents at once.
const RAISERS: usize = 8;

#[derive(Default)]
struct Acknowledged {
    /// Incidents, with the key that they were raised by.
    sos: Vec<(String, String)>,
    /// Messages of the circle: place and id.
    circle: Vec<(u64, Value)>,
    /// Messages of an incident, by REST.
    rest: Vec<(u64, Value)>,
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_or_doubled_by_kill_9() {
    let mut engine = Engine::unlimited();
    let (ana, dora) = (engine.user("Ana"), engine.user("Dora").role("ADMIN"));
    let mut at_ana = ana.connect().await;
    at_ana.creates("circle").await;
    let sos = ana.raises(fire()).await;
    at_ana.leaves().await;
    let mut all = Acknowledged::default();
    all.sos.push((String::new(), sos.clone()));
    for round in 0..ROUNDS {
        let storm = storm(&mut engine, &ana, &sos, round).await;
        assert!(
            storm.sos.len() >= ENOUGH && storm.circle.len() >= ENOUGH,
            "the storm was a breeze"
        );
        all.sos.extend(storm.sos);
        all.circle.extend(storm.circle);
        all.rest.extend(storm.rest);
        engine.restart();
        check(&ana, &dora, &sos, &all).await;
    }
    assert!(engine.terminate().success());
}

/// Incidents and messages pour in until enough are acknowledged; then the process is killed while more are
/// on their way.
async fn storm(engine: &mut Engine, ana: &Person, sos: &str, round: usize) -> Acknowledged {
    let (raised, written) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut raisers = Vec::new();
    for raiser in 0..RAISERS {
        let (person, raised) = (engine.user(&format!("Raiser {raiser}")), Arc::clone(&raised));
        raisers.push(tokio::spawn(raise(person, format!("{round}-{raiser}"), raised)));
    }
    let at_ana = ana.connect().await;
    let writer = tokio::spawn(write(at_ana, round, Arc::clone(&written)));
    let rest = tokio::spawn(write_by_rest(ana.clone(), sos.to_owned(), round));
    crate::support::eventually("enough is acknowledged", || async {
        let enough = raised.load(Ordering::Relaxed) >= ENOUGH && written.load(Ordering::Relaxed) >= ENOUGH;
        enough.then_some(())
    })
    .await;
    engine.kill9();
    let mut acknowledged = Acknowledged::default();
    for raiser in raisers {
        acknowledged.sos.extend(raiser.await.unwrap());
    }
    acknowledged.circle = writer.await.unwrap();
    acknowledged.rest = rest.await.unwrap();
    acknowledged
}

async fn raise(person: Person, name: String, raised: Arc<AtomicUsize>) -> Vec<(String, String)> {
    let mut acknowledged = Vec::new();
    for n in 0.. {
        let key = format!("{name}-{n}");
        let request = person
            .request(Method::POST, "/api/v1/sos")
            .header("Idempotency-Key", &key);
        let Ok(answer) = request.json(&fire()).try_send().await else {
            break;
        };
        let data = answer.data(201);
        acknowledged.push((key, data["sosId"].as_str().unwrap().to_owned()));
        raised.fetch_add(1, Ordering::Relaxed);
    }
    acknowledged
}

/// Keeps several messages on their way at once.
async fn write(mut client: Client, round: usize, written: Arc<AtomicUsize>) -> Vec<(u64, Value)> {
    let mut acknowledged = Vec::new();
    client
        .says(json!({"type": "join-room", "roomId": "circle"}))
        .await;
    client.expect(json!({"type": "join-approved"})).await;
    let message = |n: usize| {
        let id = format!("{round}-{n}");
        let body = json!({"type": "room-message", "roomId": "circle", "content": id, "id": id});
        Message::text(body.to_string())
    };
    let mut next = 0;
    while next < 16 {
        client.tries_to_send(message(next)).await;
        next += 1;
    }
    while let Heard::Message(heard) = client.hears().await {
        if heard["type"] == "message-accepted" {
            acknowledged.push((heard["seq"].as_u64().unwrap(), heard["id"].clone()));
            written.fetch_add(1, Ordering::Relaxed);
            client.tries_to_send(message(next)).await;
            next += 1;
        }
    }
    acknowledged
}

async fn write_by_rest(person: Person, sos: String, round: usize) -> Vec<(u64, Value)> {
    let mut acknowledged = Vec::new();
    for n in 0.. {
        let body = json!({"content": "by REST", "id": format!("rest-{round}-{n}")});
        let request = person.request(Method::POST, &format!("/api/v1/sos/{sos}/messages"));
        let Ok(answer) = request.json(&body).try_send().await else {
            break;
        };
        let data = answer.data(201);
        acknowledged.push((data["seq"].as_u64().unwrap(), data["id"].clone()));
    }
    acknowledged
}

async fn check(ana: &Person, dora: &Person, sos: &str, all: &Acknowledged) {
    let mut listed: Vec<String> = Vec::new();
    let mut cursor = String::new();
    loop {
        let (page, next) = dora.get(&format!("/api/v1/sos?limit=100{cursor}")).await.page();
        listed.extend(page.iter().map(|sos| sos["sosId"].as_str().unwrap().to_owned()));
        match next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    listed.sort_unstable();
    assert!(listed.is_sorted_by(|a, b| a < b), "an incident is listed twice");
    for (key, sos) in &all.sos {
        assert!(
            listed.binary_search(sos).is_ok(),
            "the acknowledged incident {sos} of {key} is gone"
        );
    }
    // Those on their way when the power went may be there or not; nothing else may.
    let on_their_way = ROUNDS * RAISERS;
    assert!(
        listed.len() <= all.sos.len() + on_their_way,
        "{} of {}",
        listed.len(),
        all.sos.len()
    );

    let circle = messages_of(ana, "circle").await;
    exactly_once(&circle, &all.circle);
    let (mut rest, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/sos/{sos}/messages?limit=100{cursor}");
        let (page, next) = ana.get(&path).await.page();
        rest.extend(
            page.iter()
                .map(|message| (message["seq"].as_u64().unwrap(), message["id"].clone())),
        );
        match next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    exactly_once(&rest, &all.rest);
    let (mut next_seq, mut since) = (1, 0);
    loop {
        let (page, next) = ana
            .get(&format!("/api/v1/sos/{sos}/events?since={since}"))
            .await
            .page();
        for event in &page {
            assert_eq!(event["seq"], json!(next_seq), "a gap in the log");
            next_seq += 1;
        }
        match next {
            Some(next) => since = next.parse().unwrap(),
            None => break,
        }
    }
}

fn exactly_once(found: &[(u64, Value)], acknowledged: &[(u64, Value)]) {
    use std::collections::HashMap;
    let mut places: HashMap<&str, Vec<u64>> = HashMap::new();
    for (seq, id) in found {
        places.entry(id.as_str().unwrap()).or_default().push(*seq);
    }
    for (seq, id) in acknowledged {
        let there = places.get(id.as_str().unwrap()).map_or(&[][..], Vec::as_slice);
        assert_eq!(there, [*seq], "message {id} was acknowledged at {seq}");
    }
    assert!(
        places.values().all(|there| there.len() == 1),
        "a message is there twice"
    );
}
