//! An engine whose store is MongoDB, on real servers.

mod away;
mod commands;
mod failover;
mod slow;
mod story;

use std::process::Output;

use crate::support::{Engine, UNLIMITED};

/// An engine on a database.
async fn engine_on(url: &str, settings: &[(&str, &str)]) -> Engine {
    let mut all = UNLIMITED.to_vec();
    all.push(("store.url", url));
    all.extend(settings);
    let all: Vec<(String, String)> = all
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    // It waits for the process: whatever else the test does goes on meanwhile.
    let start = move || {
        let all: Vec<(&str, &str)> = all
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        Engine::start(&all)
    };
    tokio::task::spawn_blocking(start).await.unwrap()
}

/// How a command of the engine's program ended, and what it said.
async fn runs(engine: &Engine, arguments: &[&str]) -> (bool, String) {
    let mut command = engine.command(arguments);
    let output: Output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

/// The value of a metric without labels.
async fn metric(engine: &Engine, name: &str) -> f64 {
    let all = engine.nobody().get("/metrics").await.text;
    let line = all
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let value = line.unwrap_or_else(|| panic!("{name} is not counted:\n{all}"));
    value.parse().unwrap()
}
