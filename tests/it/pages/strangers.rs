//! What those see who have not joined, and those to whom an incident is not shown.

use serde_json::json;

use super::browser::{Browser, DESK};
use super::*;

#[tokio::test]
async fn a_stranger_sees_the_incident_change_and_nothing_of_words_or_places() {
    // The change must reach the page by the socket: nobody asks again so soon.
    let engine = Engine::unlimited();
    let address = engine.address().to_string();
    let ana = engine.user("Ana");
    let sos = ana.raises(fire()).await;
    let (_, mut ben) = helper(&engine, &sos, "Ben").await;
    ben.writes(&sos, "between us").await;
    ben.says(json!({"type": "location-update", "roomId": sos, "latitude": HERE.0, "longitude": HERE.1}))
        .await;
    let browser = Browser::start(DESK).await;
    looks_at(&browser, &ana, &sos).await;
    browser.reads("#people", "Ben").await;
    browser
        .reads("#noMessages", "1 message. Join to read and write")
        .await;
    browser.counts("#places li", 0).await;
    browser.sees("#logHint").await;
    ana.patch(
        &format!("/api/v1/sos/{sos}/status"),
        json!({"status": "RESPONDING"}),
    )
    .await
    .ok(200);
    browser.reads("#status", "Responding").await;
    let all = browser.text("body").await;
    assert!(!all.contains("between us"), "{all}");
    browser.ends(&[&address], &[]).await;
}

#[tokio::test]
async fn an_incident_that_is_not_shown_to_strangers_opens_with_a_token() {
    let engine = Engine::unlimited();
    let address = engine.address().to_string();
    let ana = engine.user("Ana");
    let sos = ana.raises(fire_with(json!({"visibility": "RESTRICTED"}))).await;
    ana.post(
        &format!("/api/v1/sos/{sos}/messages"),
        json!({"content": "only for those inside"}),
    )
    .await
    .ok(201);
    let browser = Browser::start(DESK).await;
    browser.opens(&ana.url("http", &format!("/live/{sos}"))).await;
    browser
        .reads(
            "#unavailableWords",
            "There is no such incident, or it is not shown to you",
        )
        .await;
    browser.misses("#incident").await;

    // An operator reads it all without being in it.
    let operator = engine.user("Olga").role("DISPATCHER");
    browser.clicks("footer summary").await;
    browser.types("#token", &operator.token()).await;
    browser.clicks("#tokenForm button").await;
    browser.sees("#incident").await;
    browser.reads("#restricted", "Restricted").await;
    browser.reads("#messages", "only for those inside").await;
    browser.reads("#timeline", "Ana joined").await;
    browser.counts("#places li", 0).await;
    browser.reads("#connectionWords", "Live").await;
    browser.clicks("#manage summary").await;
    browser.clicks("#manage button").await;
    browser.reads("#status", "Assigned").await;
    browser.reads("#timeline", "Assigned").await;

    // A token that is none says so.
    browser.clicks("footer summary").await;
    browser.types("#token", "not-a-token").await;
    browser.clicks("#tokenForm button").await;
    browser.sees("#unavailable").await;
    browser
        .ends(&[&address], &["404 (Not Found)", "401 (Unauthorized)"])
        .await;
}
