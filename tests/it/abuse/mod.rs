//! What guards the engine and people from people: budgets, connections, slow and oversized requests.

mod blocks;
mod connections;
mod flood;
mod hints;
mod hostile;
mod raw;
mod reports;

use crate::support::Engine;

/// A number among the engine's metrics by its whole name with labels; one that was never counted is 0.
async fn metric(engine: &Engine, name: &str) -> u64 {
    try_metric(engine, name)
        .await
        .expect("the engine tells its metrics")
}

async fn try_metric(engine: &Engine, name: &str) -> Option<u64> {
    let request = engine.nobody().request(reqwest::Method::GET, "/metrics");
    let text = request.try_send().await.ok()?.text;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Some(value.map_or(0, |value| value.trim().parse().unwrap()))
}

/// Waits until a number among the metrics is what it should be, and until it can be asked for at all.
async fn until_metric(engine: &Engine, name: &str, wanted: impl Fn(u64) -> bool) {
    let until = std::time::Instant::now() + crate::support::DEADLINE;
    loop {
        let value = try_metric(engine, name).await;
        if value.is_some_and(&wanted) {
            return;
        }
        assert!(std::time::Instant::now() < until, "{name} stays at {value:?}");
    }
}
