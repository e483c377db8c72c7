//! `/`: the engine tried out in a minute.

use serde_json::json;

use super::browser::{Browser, DESK, PHONE};
use super::*;

#[tokio::test]
async fn a_test_sos_is_raised_from_the_start_page_and_watched_live() {
    let engine = Engine::start(&[]);
    let address = engine.address().to_string();
    let browser = Browser::start(PHONE).await;
    browser.opens(&format!("http://{address}/")).await;
    browser.reads("#healthWords", "The engine is ready").await;
    let example = browser.text("#curlRaise").await;
    assert!(
        example.contains(&format!("http://{address}/api/v1/sos")),
        "{example}"
    );
    let example = browser.text("#socket").await;
    assert!(
        example.contains(&format!("ws://{address}/api/ws?deviceId=")),
        "{example}"
    );

    // What is wrong is said by name, and nothing is raised.
    browser.types("#latitude", "91").await;
    browser.clicks("#tryButton").await;
    browser
        .reads("#tryProblem", "Latitude must be a number from -90 to 90")
        .await;
    browser.types("#latitude", "2.5").await;
    browser.clicks("#tryButton").await;
    browser.sees("#raised").await;
    assert_eq!(browser.focus().await, "raisedTitle");
    let sos = browser.text("#raisedId").await;
    let raised = engine.device().get(&format!("/api/v1/sos/{sos}")).await.data(200);
    assert!(
        raised["message"].as_str().unwrap().starts_with("[TEST] "),
        "{raised}"
    );
    assert_eq!(
        (&raised["severity"], &raised["location"]["latitude"]),
        (&json!("LOW"), &json!(2.5))
    );
    browser.pictures("start-phone").await;

    browser.clicks("#openLive").await;
    browser.reads("#connectionWords", "Live").await;
    browser.reads("#joinedWords", "You raised this SOS").await;
    browser.reads("#status", "Active").await;
    browser.reads("#people", "(you)").await;
    browser.reads("#timeline", "raised the SOS").await;

    // The same browser as somebody else, in another tab: the link of the start page.
    browser.opens(&format!("http://{address}/live/{sos}#guest")).await;
    browser.sees("#joinForm").await;
    browser.opens(&format!("http://{address}/")).await;
    browser.counts("#raisedList li", 1).await;
    browser.ends(&[&address], &[]).await;
}

#[tokio::test]
async fn everything_can_be_done_by_keyboard() {
    let engine = Engine::start(&[]);
    let address = engine.address().to_string();
    let browser = Browser::start(DESK).await;
    browser.opens(&format!("http://{address}/")).await;
    browser.reads("#healthWords", "ready").await;
    browser.tabs_to("tryButton").await;
    browser.keys("\u{e007}").await;
    browser.sees("#raised").await;
    let sos = browser.text("#raisedId").await;
    browser.tabs_to("openLive").await;
    browser.keys("\u{e007}").await;
    browser.reads("#joinedWords", "You raised this SOS").await;

    browser.opens(&format!("http://{address}/live/{sos}#guest")).await;
    browser.sees("#joinForm").await;
    browser.tabs_to("joinName").await;
    browser.keys("Kim").await;
    browser.keys("\u{e007}").await;
    browser.sees("#writeForm").await;
    browser
        .until(
            "the focus is where one writes",
            "return document.activeElement.id === 'write'",
            vec![],
        )
        .await;
    browser.keys("I have a boat").await;
    browser.keys("\u{e007}").await;
    browser.reads("#messages", "I have a boat").await;
    browser.misses(".message .when:empty").await;

    browser.tabs_to("map").await;
    let before: f64 = browser.attribute("#map", "data-zoom").await.parse().unwrap();
    browser.keys("+").await;
    let nearer = format!(
        "return Number(document.querySelector('#map').dataset.zoom) === {}",
        before + 1.0
    );
    browser.until("the map is nearer", &nearer, vec![]).await;
    browser.keys("0").await;

    browser.value("document.querySelector('#title').focus()").await;
    browser.tabs_to("leave").await;
    browser.keys("\u{e00d}").await;
    browser.sees("#joinForm").await;
    browser
        .until(
            "the focus is where one joins",
            "return document.activeElement.id === 'joinButton'",
            vec![],
        )
        .await;
    browser.ends(&[&address], &[]).await;
}
