//! Whoever asks again for what has not changed gets 304 and no body; whoever may see something else does not.

use reqwest::Method;
use serde_json::json;

use crate::support::{Engine, HERE, Person, UNLIMITED, fire, fire_with};

/// An answer's status, tag and body, asked for with this tag.
async fn ask(person: &Person, path: &str, known: Option<&str>) -> (u16, Option<String>, String) {
    let request = person.request(Method::GET, path);
    let request = match known {
        Some(tag) => request.header("If-None-Match", tag),
        None => request,
    };
    let answer = request.send().await;
    let tag = answer.header("etag").map(str::to_owned);
    if tag.is_some() {
        assert_eq!(
            answer.header("cache-control"),
            Some("private, no-cache"),
            "{path}"
        );
        let vary: Vec<&str> = answer
            .headers
            .get_all("vary")
            .iter()
            .map(|line| line.to_str().unwrap())
            .collect();
        for name in ["Authorization", "X-Device-ID", "Cookie", "Accept"] {
            assert!(vary.iter().any(|line| line.contains(name)), "{path}: {vary:?}");
        }
    }
    (answer.status, tag, answer.text)
}

/// The tag of an answer that is whole.
async fn tag(person: &Person, path: &str) -> String {
    let (status, tag, body) = ask(person, path, None).await;
    assert_eq!(status, 200, "{path}: {body}");
    tag.unwrap_or_else(|| panic!("{path} has no tag"))
}

async fn unchanged(person: &Person, path: &str, known: &str) {
    let (status, tag, body) = ask(person, path, Some(known)).await;
    assert_eq!(
        (status, tag.as_deref(), body.as_str()),
        (304, Some(known), ""),
        "{path}"
    );
}

async fn changed(person: &Person, path: &str, known: &str) {
    let (status, tag, _) = ask(person, path, Some(known)).await;
    assert_eq!(status, 200, "{path}");
    assert_ne!(tag.as_deref(), Some(known), "{path}");
}

#[tokio::test]
async fn what_is_polled_is_told_once_until_it_changes() {
    let engine = Engine::start(&UNLIMITED);
    let (ana, ben) = (engine.user("Ana"), engine.user("Ben"));
    let sos = ana.raises(fire()).await;
    let of = |part: &str| format!("/api/v1/sos/{sos}{part}");
    let near = format!("/api/v1/sos?lat={}&lng={}", HERE.0, HERE.1);
    let paths = [
        "/api/v1/sos?status=ACTIVE".to_owned(),
        near,
        of(""),
        of("/messages"),
        of("/messages?q=help"),
        of("/events"),
        of("/participants/active"),
        of("/participants/history"),
        of("/participants/anonymous/count"),
        "/api/rooms-info".to_owned(),
    ];
    let mut tags = Vec::new();
    for path in &paths {
        let known = tag(&ana, path).await;
        unchanged(&ana, path, &known).await;
        let (status, ..) = ask(&ana, path, Some(&format!("\"other\", {known}"))).await;
        assert_eq!(status, 304, "{path}");
        tags.push(known);
    }
    // A device, so that the count of the anonymous changes, too.
    let device = engine.device();
    device
        .post(
            &of("/participants/join"),
            json!({"userType": "ANON_RESCUER", "displayName": "Cy"}),
        )
        .await
        .data(201);
    ana.post(&of("/messages"), json!({"content": "help is near"}))
        .await
        .data(201);
    for (path, known) in paths.iter().zip(&tags) {
        changed(&ana, path, known).await;
        let known = tag(&ana, path).await;
        unchanged(&ana, path, &known).await;
    }
    let stats = of("/participants/stats");
    let (status, ..) = ask(&ben, &stats, Some("*")).await;
    assert_eq!(status, 304, "any answer will do");
}

#[tokio::test]
async fn contacts_are_unchanged_until_they_are_replaced() {
    let engine = Engine::start(&UNLIMITED);
    let ana = engine.user("Ana");
    let known = tag(&ana, "/api/contacts").await;
    unchanged(&ana, "/api/contacts", &known).await;
    let book = json!({"emergency_contacts": [{"name": "Ben", "phone_no": "+639171234567"}]});
    ana.put("/api/contacts", book).await;
    changed(&ana, "/api/contacts", &known).await;
}

#[tokio::test]
async fn words_do_not_change_who_is_in() {
    let engine = Engine::start(&UNLIMITED);
    let ana = engine.user("Ana");
    let sos = ana.raises(fire()).await;
    let active = format!("/api/v1/sos/{sos}/participants/active");
    let known = tag(&ana, &active).await;
    ana.post(
        &format!("/api/v1/sos/{sos}/messages"),
        json!({"content": "hello"}),
    )
    .await
    .data(201);
    unchanged(&ana, &active, &known).await;
}

#[tokio::test]
async fn a_tag_is_good_for_its_reader_only() {
    let engine = Engine::start(&UNLIMITED);
    let (ana, ben) = (engine.user("Ana"), engine.user("Ben"));
    let sos = ana.raises(fire()).await;
    let path = format!("/api/v1/sos/{sos}");
    let known = tag(&ana, &path).await;
    changed(&ben, &path, &known).await;
    changed(&engine.device(), &path, &known).await;
    // Nobody learns by a tag that something is there which they may not see.
    let hidden = ana.raises(fire_with(json!({"silent": true}))).await;
    let path = format!("/api/v1/sos/{hidden}");
    let known = tag(&ana, &path).await;
    for asked in [known.as_str(), "*"] {
        let (status, tag, _) = ask(&ben, &path, Some(asked)).await;
        assert_eq!((status, tag), (404, None));
    }
}
