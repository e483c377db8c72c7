//! Whatever dies, nobody who was to be told is forgotten, and nobody is told twice without a mark.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use mayday::domain::notify::Vendor;
use serde_json::Value;

use super::{engine, fall, messages};
use crate::support::eventually;
use crate::support::vendors::{Fault, Vendors};

/// Emergency contacts of each of those who call for help.
const CONTACTS: usize = 10;
/// How many call: 1,000 messages in all.
const CALLS: usize = 100;

fn number(call: usize, contact: usize) -> String {
    format!("+6391{:04}{:04}", 7000 + call, contact)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_engine_forgets_none_of_a_thousand_messages() {
    let vendors = Vendors::start();
    vendors.fail(Vendor::Twilio, Fault::Slow(Duration::from_millis(30)));
    let mut engine = engine(
        &vendors,
        &[("alerts.lease_ms", "3000"), ("alerts.sos_at_once", "32")],
    );
    let people: Vec<_> = (0..CALLS).map(|n| engine.user(&format!("Maria {n}"))).collect();
    for (call, maria) in people.iter().enumerate() {
        let book: Vec<_> = (0..CONTACTS)
            .map(|n| (format!("Contact {n}"), number(call, n)))
            .collect();
        let book: Vec<_> = book
            .iter()
            .map(|(name, phone)| (name.as_str(), phone.as_str()))
            .collect();
        maria.trusts(&book).await;
    }
    let calls: Vec<String> = join_all(people.iter().map(|maria| maria.raises(fall()))).await;
    for killed_after in [200, 500, 800] {
        eventually(&format!("{killed_after} messages were sent"), || async {
            (vendors.unexpected().len() >= killed_after).then_some(())
        })
        .await;
        engine.kill9();
        engine.restart();
    }
    let staff = engine.user("Dora").role("DISPATCHER");
    let mut told: Vec<Value> = Vec::new();
    for sos in &calls {
        let all = eventually("every message of an incident was taken", || async {
            let all = messages(&staff, sos).await;
            let taken = all.len() == CONTACTS && all.iter().all(|one| one["state"] == "ACCEPTED");
            taken.then_some(all)
        })
        .await;
        told.extend(all);
    }
    assert_eq!(told.len(), CALLS * CONTACTS);
    let marked = told.iter().filter(|one| one["possiblyTwice"] == true).count();
    let mut heard: HashMap<String, usize> = HashMap::new();
    for message in vendors.expect_all() {
        *heard.entry(message.to).or_default() += 1;
    }
    for call in 0..CALLS {
        for contact in 0..CONTACTS {
            let number = number(call, contact);
            assert!(heard.contains_key(&number), "{call}/{contact} heard nothing");
        }
    }
    let twice = heard.values().filter(|times| **times > 1).count();
    assert!(twice <= marked, "{twice} heard it twice, {marked} are marked");
    vendors.expect_nothing_more();
}
