//! A connection that is lost and comes back.

use serde_json::json;

use super::browser::{Browser, PHONE};
use super::*;

#[tokio::test]
async fn a_lost_connection_is_shown_and_what_was_missed_comes_with_the_next() {
    let mut engine = Engine::unlimited();
    let address = engine.address().to_string();
    let port = engine.address().port().to_string();
    let ana = engine.user("Ana");
    let sos = ana.raises(fire()).await;
    let browser = Browser::start(PHONE).await;
    looks_at(&browser, &ana, &sos).await;
    joins(&browser, "Cara").await;
    browser.types("#write", "before").await;
    browser.clicks("#writeForm button").await;
    browser.reads("#messages", "before").await;

    engine.kill9();
    browser.reads("#connectionWords", "Not connected").await;
    browser.reads("#stale", "No news since").await;
    browser.reads("#alert", "What you see may be old").await;
    // What was known stays, and what is written waits.
    browser.reads("#messages", "before").await;
    browser.types("#write", "written in the dark").await;
    browser.clicks("#writeForm button").await;
    browser.reads("#messages", "sending").await;
    browser.pictures("lost").await;

    engine.set("http.port", &port);
    engine.restart();
    let path = format!("/api/v1/sos/{sos}");
    ana.post(&format!("{path}/messages"), json!({"content": "said meanwhile"}))
        .await
        .ok(201);
    browser.value("document.querySelector('#retry').click()").await;
    browser.reads("#connectionWords", "Live").await;
    browser.misses("#stale").await;
    browser.misses("#alert").await;
    browser.reads("#messages", "said meanwhile").await;
    browser
        .until(
            "all of it has been sent",
            "return !document.querySelector('#messages').innerText.includes('sending')",
            vec![],
        )
        .await;
    browser.counts("#messages li", 3).await;
    let (messages, _) = ana.get(&format!("{path}/messages")).await.page();
    let sent = messages
        .iter()
        .filter(|message| message["content"] == "written in the dark");
    assert_eq!(sent.count(), 1, "{messages:?}");
    browser
        .ends(
            &[&address],
            &["net::ERR_CONNECTION_REFUSED", "WebSocket connection to"],
        )
        .await;
}
