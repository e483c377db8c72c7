//! Those who are not connected hear of an SOS: over which vendor, when, how often, and what is seen of it.

mod check_ins;
mod codes;
mod escalation;
mod faults;
mod safety;
mod sending;
mod watching;

use serde_json::{Value, json};

use crate::support::vendors::Vendors;
use crate::support::{Engine, Person, UNLIMITED, eventually, eventually_or};

pub const ANA: &str = "+639170000001";
pub const BEN: &str = "+639170000002";

/// An engine that speaks to these vendors, with waits that suit a test.
pub fn engine(vendors: &Vendors, settings: &[(&str, &str)]) -> Engine {
    let own = vendors.settings();
    let quick = [
        ("alerts.backoff_min_ms", "20"),
        ("alerts.backoff_max_ms", "100"),
        ("alerts.poll_ms", "200"),
    ];
    let all: Vec<(&str, &str)> = own
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .chain(quick)
        .chain(UNLIMITED)
        .chain(settings.iter().copied())
        .collect();
    Engine::start(&all)
}

/// What is reported when somebody falls.
pub fn fall() -> Value {
    json!({
        "type": "MEDICAL", "message": "I fell and cannot stand up", "severity": "HIGH", "visibility": "RESTRICTED",
        "location": {"latitude": 14.5995, "longitude": 120.9842},
    })
}

/// How the messages of an incident stand, as an operator sees them.
pub async fn messages(staff: &Person, sos: &str) -> Vec<Value> {
    let path = format!("/api/v1/sos/{sos}/notifications");
    let shown = staff.get(&path).await.data(200);
    shown.as_array().expect("a list").clone()
}

/// Waits until the messages of an incident stand so, in the order in which they were planned.
pub async fn stand(staff: &Person, sos: &str, states: &[&str]) -> Vec<Value> {
    eventually_or(&format!("messages stand as {states:?}"), || async {
        let found = messages(staff, sos).await;
        let now: Vec<_> = found.iter().filter_map(|one| one["state"].as_str()).collect();
        if now == states {
            Ok(found)
        } else {
            Err(format!("{found:?}"))
        }
    })
    .await
}

/// The part of a link in a text that leads to this engine.
pub fn link(text: &str) -> String {
    let begin = text
        .find("https://sos.example.org/a/")
        .expect("a link that acknowledges");
    let rest = &text[begin + "https://sos.example.org".len()..];
    rest.split_whitespace().next().expect("a path").to_owned()
}

/// Waits until an engine has taken so many jobs about SOS in hand.
pub async fn claimed(engine: &Engine, jobs: u64) {
    let name = "mayday_jobs_claimed_total{lane=\"SOS\"} ";
    eventually(&format!("{jobs} jobs were taken in hand"), || async {
        let metrics = engine.nobody().get("/metrics").await.text;
        let line = metrics.lines().find_map(|line| line.strip_prefix(name))?;
        (line.trim().parse::<u64>().ok()? >= jobs).then_some(())
    })
    .await;
}
