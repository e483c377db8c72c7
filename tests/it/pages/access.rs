//! For whoever cannot see well, has a small screen, large fingers or a dark room.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::browser::{Browser, DESK, Look, PHONE};
use super::*;

/// What axe-core finds against WCAG 2.2 A and AA, and its own good practice.
async fn faults(browser: &Browser) -> Vec<String> {
    browser.with(&axe()).await;
    let found = browser
        .awaits("return (await axe.run(document, {resultTypes: ['violations']})).violations.map((v) => ({id: v.id, nodes: v.nodes.map((n) => n.html + ' ' + n.failureSummary)}))")
        .await;
    let found = found.as_array().unwrap_or_else(|| panic!("{found}"));
    found.iter().map(Value::to_string).collect()
}

/// Elsewhere than in the build's folder, so that all checkouts share it.
fn axe() -> String {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(home);
    let path = cache
        .unwrap_or_default()
        .join("mayday-tools/node_modules/axe-core/axe.min.js");
    std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("axe-core is missing: run scripts/setup"))
}

/// Controls that a finger would miss: smaller than 44 by 44, text links aside.
const SMALL: &str = "return [...document.querySelectorAll('button, input, select, textarea, summary, a.button')]
    .filter((e) => e.checkVisibility()).map((e) => [e.id || e.textContent, e.getBoundingClientRect()])
    .filter(([, box]) => box.height < 44 || box.width < 44).map(([name, box]) => `${name}: ${box.width}x${box.height}`)";

async fn fits(browser: &Browser, page: &str) {
    for width in [320, 360, 412] {
        for dark in [false, true] {
            browser.looks(Look { width, dark, ..PHONE }).await;
            let wide = browser
                .value("return document.documentElement.scrollWidth - innerWidth")
                .await;
            assert!(
                wide.as_i64().unwrap() <= 0,
                "{page} is {wide} px too wide at {width}"
            );
            browser
                .pictures(&format!("{page}-{width}-{}", if dark { "dark" } else { "light" }))
                .await;
        }
    }
    assert_eq!(
        browser.value(SMALL).await,
        json!([]),
        "{page}: too small to touch"
    );
    for look in [
        PHONE,
        Look { dark: true, ..PHONE },
        DESK,
        Look { dark: true, ..DESK },
    ] {
        browser.looks(look).await;
        let faults = faults(browser).await;
        assert!(
            faults.is_empty(),
            "{page}, dark: {}\n{}",
            look.dark,
            faults.join("\n")
        );
    }
}

#[tokio::test]
async fn both_pages_fit_a_phone_and_break_no_rule_of_accessibility() {
    let engine = Engine::unlimited();
    let address = engine.address().to_string();
    let ana = engine.user("Ana");
    let sos = ana.raises(fire_with(json!({"severity": "CRITICAL"}))).await;
    let (_, mut ben) = helper(&engine, &sos, "Ben").await;
    ben.writes(&sos, &"a-long-word-without-any-space".repeat(6)).await;
    ben.says(json!({"type": "location-update", "roomId": sos, "latitude": HERE.0 + 0.001, "longitude": HERE.1, "accuracy": 30}))
        .await;
    let browser = Browser::start(PHONE).await;
    browser.opens(&format!("http://{address}/")).await;
    browser.reads("#healthWords", "ready").await;
    fits(&browser, "start").await;

    browser.looks(PHONE).await;
    looks_at(&browser, &ana, &sos).await;
    fits(&browser, "stranger").await;
    browser.looks(PHONE).await;
    joins(&browser, &"Bartholomäus-".repeat(6)).await;
    browser.counts("#places li", 1).await;
    browser.clicks("#joinedPanel summary").await;
    fits(&browser, "joined").await;

    // Nothing jumps while the page fills.
    browser.looks(PHONE).await;
    let watch = json!({"source": "window.shift = 0; new PerformanceObserver((l) => l.getEntries().forEach((e) => { if (!e.hadRecentInput) window.shift += e.value; })).observe({type: 'layout-shift', buffered: true});"});
    browser
        .devtools("Page.addScriptToEvaluateOnNewDocument", watch)
        .await;
    browser.reloads().await;
    browser.sees("#writeForm").await;
    browser.counts("#places li", 1).await;
    let shift = browser.value("return window.shift").await.as_f64().unwrap();
    assert!(shift < 0.1, "the layout shifts by {shift}");
    browser.ends(&[&address], &[]).await;
}
