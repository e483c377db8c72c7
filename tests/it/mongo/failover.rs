//! The primary of three is killed in a storm of SOS: what was acknowledged is there, and nobody was told worse than to
//! come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use reqwest::Method;

use super::engine_on;
use crate::support::mongo::Set;
use crate::support::{Person, eventually, fire};

/// People who raise incidents at once.
const RAISERS: usize = 16;
/// How many are acknowledged before the primary is killed, and again after.
const ENOUGH: usize = 150;

#[derive(Default)]
struct Storm {
    acknowledged: AtomicUsize,
    told_to_come_back: AtomicUsize,
    is_over: AtomicBool,
}

/// Raises one incident after the other, each until it is acknowledged; answers their keys and ids.
async fn raise(person: Person, name: String, storm: Arc<Storm>) -> Vec<(String, String)> {
    let mut acknowledged = Vec::new();
    for n in 0.. {
        if storm.is_over.load(Ordering::Relaxed) {
            break;
        }
        let key = format!("{name}-{n}");
        loop {
            let request = person.request(Method::POST, "/api/v1/sos");
            let answer = request.header("Idempotency-Key", &key).json(&fire()).send().await;
            if answer.status == 503 {
                assert!(
                    answer.header("Retry-After").is_some(),
                    "a 503 says when to come back"
                );
                storm.told_to_come_back.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            // 200: it had been written, and the answer was lost.
            assert!(
                [200, 201].contains(&answer.status),
                "{}: {}",
                answer.status,
                answer.text
            );
            let sos = answer.json()["data"]["sosId"].as_str().unwrap().to_owned();
            acknowledged.push((key, sos));
            storm.acknowledged.fetch_add(1, Ordering::Relaxed);
            break;
        }
    }
    acknowledged
}

#[tokio::test]
async fn no_acknowledged_sos_is_lost_when_the_primary_is_killed() {
    let mut set = Set::start(3).await;
    let engine = engine_on(&set.url("storm"), &[("mongo.breaker_probe_ms", "100")]).await;
    let storm = Arc::new(Storm::default());
    let raisers: Vec<_> = (0..RAISERS)
        .map(|n| {
            let person = engine.user(&format!("Raiser {n}"));
            tokio::spawn(raise(person, n.to_string(), Arc::clone(&storm)))
        })
        .collect();
    let reached = |count: usize| {
        let storm = Arc::clone(&storm);
        async move { (storm.acknowledged.load(Ordering::Relaxed) >= count).then_some(()) }
    };
    eventually("the storm has begun", || reached(ENOUGH)).await;
    let killed = set.kill_primary().await;
    let then = storm.acknowledged.load(Ordering::Relaxed);
    eventually("the storm goes on with a new primary", || reached(then + ENOUGH)).await;
    storm.is_over.store(true, Ordering::Relaxed);
    let mut acknowledged = Vec::new();
    for raiser in raisers {
        acknowledged.extend(raiser.await.unwrap());
    }

    let dora = engine.user("Dora").role("ADMIN");
    for (key, sos) in &acknowledged {
        let events = dora.get(&format!("/api/v1/sos/{sos}/events")).await;
        assert_eq!(
            events.status, 200,
            "the acknowledged incident {sos} of {key} is gone"
        );
    }
    let mut ids: Vec<&String> = acknowledged.iter().map(|(_, sos)| sos).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), acknowledged.len(), "two keys, one incident");
    // The one that was killed comes back and agrees.
    set.restart(killed);
    set.is_up().await;
    println!(
        "{} acknowledged, {} times told to come back",
        acknowledged.len(),
        storm.told_to_come_back.load(Ordering::Relaxed)
    );
}
