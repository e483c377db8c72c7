//! `/live/{sosId}` among others: messages, positions, coming and going, the end, and text that means harm.

use serde_json::json;

use super::browser::{Browser, DESK, PHONE};
use super::*;

#[tokio::test]
async fn a_browser_and_a_socket_in_one_incident_meet_in_words_and_places() {
    let engine = Engine::unlimited();
    let address = engine.address().to_string();
    let ana = engine.user("Ana");
    let sos = ana.raises(fire()).await;
    let (_, mut ben) = helper(&engine, &sos, "Ben").await;
    ben.says(
        json!({"type": "location-update", "roomId": sos, "latitude": HERE.0 + 0.001, "longitude": HERE.1}),
    )
    .await;

    let browser = Browser::start(PHONE).await;
    browser
        .is_at(&format!("http://{address}"), HERE.0, HERE.1 + 0.002)
        .await;
    looks_at(&browser, &ana, &sos).await;
    browser.reads("#peopleCount", "2 people").await;
    joins(&browser, "Cara").await;
    hears_of(&mut ben, json!({"type": "user-joined", "user": {"name": "Cara"}})).await;
    browser.reads("#peopleCount", "3 people").await;

    browser.types("#write", "I am at the gate").await;
    browser.clicks("#writeForm button").await;
    hears_of(
        &mut ben,
        json!({"type": "room-message", "content": "I am at the gate", "userName": "Cara"}),
    )
    .await;
    browser
        .until(
            "it is no longer on its way",
            "return !document.querySelector('#messages').innerText.includes('sending')",
            vec![],
        )
        .await;
    ben.says(json!({"type": "room-message", "roomId": sos, "content": "I see you"}))
        .await;
    browser.reads("#messages", "I see you").await;
    browser.reads("#announcer", "Ben: I see you").await;
    browser.counts("#messages li", 2).await;

    // Ben stood 111 m north before she came: the newest position is shown to whoever joins.
    browser.reads("#places", "110 m north of the incident").await;
    browser.clicks("#share").await;
    browser
        .reads("#sharingWords", "Your position is shared with 2 people")
        .await;
    let told = hears_of(
        &mut ben,
        json!({"type": "location-update", "data": {"userName": "Cara", "accuracy": 12.0}}),
    )
    .await;
    assert_eq!(told["data"]["longitude"], HERE.1 + 0.002);
    browser.reads("#places", "220 m east of the incident").await;
    browser.reads("#places", "240 m north-west of you").await;
    browser.pictures("incident-phone").await;

    browser.clicks("#stopSharing").await;
    browser.misses("#sharingBar").await;
    assert_eq!(browser.focus().await, "share");
    ben.says(json!({"type": "leave-room", "roomId": sos})).await;
    browser.reads("#timeline", "Ben left").await;
    browser.misses("#places li").await;
    browser.clicks("#leave").await;
    browser.sees("#joinForm").await;
    browser.reads("#noPlaces", "shown to those who join").await;
    browser.reads("#peopleCount", "1 person").await;
    browser.ends(&[&address], &[]).await;
}

#[tokio::test]
async fn when_an_incident_ends_everybody_is_out_and_no_position_is_left() {
    let engine = Engine::unlimited();
    let address = engine.address().to_string();
    let ana = engine.user("Ana");
    let sos = ana.raises(fire()).await;
    let (_, mut ben) = helper(&engine, &sos, "Ben").await;
    let browser = Browser::start(DESK).await;
    browser.is_at(&format!("http://{address}"), HERE.0, HERE.1).await;
    looks_at(&browser, &ana, &sos).await;
    joins(&browser, "Cara").await;
    ben.says(
        json!({"type": "location-update", "roomId": sos, "latitude": HERE.0, "longitude": HERE.1 - 0.001}),
    )
    .await;
    browser.clicks("#share").await;
    browser.counts("#places li", 2).await;
    browser.pictures("incident-desk").await;

    let path = format!("/api/v1/sos/{sos}/status");
    ana.patch(&path, json!({"status": "RESPONDING"})).await.ok(200);
    browser.reads("#status", "Responding").await;
    ana.patch(&path, json!({"status": "RESOLVED"})).await.ok(200);
    browser.reads("#status", "Resolved").await;
    browser.sees("#over").await;
    browser.misses("#places li").await;
    browser.misses("#sharingBar").await;
    browser.misses("#writeForm").await;
    browser.reads("#peopleCount", "Nobody").await;
    browser.reads("#timeline", "Resolved").await;
    browser.counts("#people li", 0).await;
    assert_eq!(
        browser.value("return document.title").await,
        "Fire, resolved · Mayday"
    );
    // Who took part can still read what was said, after a reload too.
    browser.reloads().await;
    browser.reads("#status", "Resolved").await;
    browser.reads("#timeline", "Cara").await;
    browser.ends(&[&address], &[]).await;
}

/// Whatever people call themselves and write, it is text.
#[tokio::test]
async fn hostile_text_stays_text() {
    let engine = Engine::unlimited();
    let address = engine.address().to_string();
    let evil =
        "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>&lt;b&gt;";
    let ana = engine.user("Ana").claim("name", evil);
    let body = fire_with(
        json!({"message": evil, "address": {"city": "<img src=x onerror=alert(1)>", "barangay": "\u{202e}<b>x</b>"}}),
    );
    let sos = ana.raises(body).await;
    let (_, mut ben) = helper(&engine, &sos, "<svg onload=alert(1)>").await;
    ben.says(json!({"type": "room-message", "roomId": sos, "content": evil}))
        .await;
    ben.says(
        json!({"type": "location-update", "roomId": sos, "latitude": HERE.0, "longitude": HERE.1 + 0.001}),
    )
    .await;
    let browser = Browser::start(PHONE).await;
    looks_at(&browser, &ana, &sos).await;
    joins(&browser, "<iframe srcdoc=x>").await;
    ana.patch(
        &format!("/api/v1/sos/{sos}/status"),
        json!({"status": "ARRIVED", "note": evil}),
    )
    .await
    .ok(200);
    browser.reads("#status", "Arrived").await;
    browser.reads("#messages", evil).await;
    browser.reads("#message", evil).await;
    browser.reads("#people", "<iframe srcdoc=x>").await;
    browser.reads("#places", "<svg onload=alert(1)>").await;
    browser.reads("#timeline", evil).await;
    browser.reads("#address", "<img src=x onerror=alert(1)>").await;
    let foreign =
        "return document.querySelectorAll('main img, main script, main svg, main iframe, main b').length";
    assert_eq!(browser.value(foreign).await, 0);
    assert_eq!(
        browser.value("return document.title").await,
        "Fire, arrived · Mayday"
    );
    // The page's own policy would stop whoever forgot: a string is no HTML here.
    let refused = browser
        .value("try { document.body.innerHTML = '<b>x</b>'; return 'taken'; } catch (e) { return e.name; }")
        .await;
    assert_eq!(refused, "TypeError");
    let wide = browser
        .value("return document.documentElement.scrollWidth > innerWidth")
        .await;
    assert_eq!(wide, false, "long words push the page aside");
    browser
        .ends(&[&address], &["TrustedHTML", "trusted-types", "Trusted Type"])
        .await;
}
