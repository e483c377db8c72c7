//! A backup while SOS and positions pour in, and a restore into an engine that has taken new ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;

use super::{backs_up, file, listed, log_of, restores, wipe};
use crate::support::{Engine, Person, eventually, fire, now_ms};

const RAISERS: usize = 4;
/// Incidents that are acknowledged before the backup begins, and after it has begun.
const BEFORE: usize = 60;
const AFTER: usize = 30;

/// What clients were told.
#[derive(Default)]
struct Storm {
    acknowledged: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    clients: Vec<tokio::task::JoinHandle<Vec<String>>>,
}

impl Storm {
    fn rage(engine: &Engine, name: &str) -> Self {
        let mut storm = Self::default();
        for n in 0..RAISERS {
            let person = engine.user(&format!("{name}{n}"));
            let (acknowledged, over) = (Arc::clone(&storm.acknowledged), Arc::clone(&storm.over));
            storm
                .clients
                .push(tokio::spawn(raise_and_move(person, acknowledged, over)));
        }
        storm
    }

    async fn reaches(&self, enough: usize) {
        eventually("enough is acknowledged", || async {
            (self.acknowledged.load(Ordering::Acquire) >= enough).then_some(())
        })
        .await;
    }

    async fn ends(self) -> Vec<String> {
        self.over.store(true, Ordering::Release);
        let mut all = Vec::new();
        for client in self.clients {
            all.extend(client.await.unwrap());
        }
        all
    }
}

async fn raise_and_move(
    person: Person,
    acknowledged: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
) -> Vec<String> {
    let mut raised = Vec::new();
    while !over.load(Ordering::Acquire) {
        let sos = person.raises(fire()).await;
        let fix = json!({"latitude": 14.58, "longitude": 120.97, "timestamp": now_ms()});
        person
            .post(&format!("/api/v1/sos/{sos}/location"), fix)
            .await
            .ok(200);
        raised.push(sos);
        acknowledged.fetch_add(1, Ordering::AcqRel);
    }
    raised
}

#[tokio::test]
async fn what_was_acknowledged_before_a_backup_survives_the_loss_of_everything_else() {
    let mut engine = Engine::unlimited();
    let dora = engine.user("Dora").role("ADMIN");
    let storm = Storm::rage(&engine, "Early");
    storm.reaches(BEFORE).await;
    let before = listed(&dora).await;
    let backup = file(&engine, "a.backup");
    let told = backs_up(&engine, &backup).await;
    assert!(told.contains("wrote"), "{told}");
    let then = storm.acknowledged.load(Ordering::Acquire);
    storm.reaches(then + AFTER).await;
    let early = storm.ends().await;
    assert!(before.len() >= BEFORE && early.len() > before.len());

    // The machine burns down. A new one takes new calls at once, and the backup is brought to it meanwhile.
    wipe(&mut engine);
    engine.restart();
    let storm = Storm::rage(&engine, "Late");
    storm.reaches(AFTER).await;
    let said = restores(&engine, &backup).await.well();
    let then = storm.acknowledged.load(Ordering::Acquire);
    storm.reaches(then + AFTER).await;
    let late = storm.ends().await;
    assert!(said.contains("restored"), "{said}");
    let there = listed(&dora).await;
    for sos in before.iter().chain(&late) {
        assert!(there.binary_search(sos).is_ok(), "{sos} is gone");
    }
    assert!(
        there.len() <= early.len() + late.len(),
        "an incident out of nowhere"
    );
    for sos in &there {
        let log = log_of(&dora, sos).await;
        let created = log.iter().filter(|event| event["type"] == log[0]["type"]).count();
        assert_eq!(created, 1, "{sos} was created twice");
    }
    // Once more changes nothing, and it is all there after the power went.
    let said = restores(&engine, &backup).await.well();
    assert!(said.contains(" 0 were taken and 0 continued; 0 events"), "{said}");
    engine.kill9();
    engine.restart();
    assert_eq!(listed(&dora).await, there);
}
