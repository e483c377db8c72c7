//! The pages in a real browser: what somebody sees, does and hears read out, on a phone and at a desk.

mod access;
mod browser;
mod connection;
mod incident;
mod modules;
mod start;
mod strangers;
mod tiles;

use std::time::Duration;

use serde_json::{Value, json};

use super::support::*;
use browser::Browser;

/// Somebody's live page of an incident, connected.
async fn looks_at(browser: &Browser, somebody: &Person, sos: &str) {
    browser
        .opens(&somebody.url("http", &format!("/live/{sos}")))
        .await;
    browser.sees("#incident").await;
    browser.reads("#connectionWords", "Live").await;
}

/// Joins from the live page under this name.
async fn joins(browser: &Browser, name: &str) {
    browser.types("#joinName", name).await;
    browser.clicks("#joinButton").await;
    browser.sees("#writeForm").await;
}

/// A person without an account who is in an incident over the socket.
async fn helper(engine: &Engine, sos: &str, name: &str) -> (Person, Client) {
    let person = engine.device();
    let path = format!("/api/v1/sos/{sos}/participants/join");
    let body = json!({"userType": "ANON_RESCUER", "displayName": name});
    person.post(&path, body).await.ok(201);
    let mut client = person.connect().await;
    client.joins(sos).await;
    (person, client)
}

/// Hears everything until a message fits; others in between are none of this story's business.
async fn hears_of(client: &mut Client, pattern: Value) -> Value {
    loop {
        match client.hears().await {
            Heard::Message(message) if matching::misfit(&pattern, &message).is_none() => return message,
            Heard::Message(_) => {}
            end => panic!("expected {pattern} and heard {end:?}"),
        }
    }
}

/// How long the page may take to do something.
const PATIENCE: Duration = Duration::from_secs(20);
