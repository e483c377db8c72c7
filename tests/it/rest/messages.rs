//! What is said in an incident, and its log.

use serde_json::{Value, json};

use crate::support::{Engine, Person, UNLIMITED, fire};

async fn pages(person: &Person, path: &str) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let (page, next) = person.get(&format!("{path}{cursor}")).await.page();
        found.extend(page);
        match next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

#[tokio::test]
async fn messages_are_kept_newest_first_in_pages_and_searched() {
    let engine = Engine::start(&UNLIMITED);
    let ana = engine.user("Ana");
    let sos = ana.raises(fire()).await;
    let path = format!("/api/v1/sos/{sos}/messages");
    for n in 0..7 {
        let sent = ana
            .post(&path, json!({"content": format!("Message {n}")}))
            .await
            .data(201);
        assert_eq!(sent["content"], format!("Message {n}"));
        assert_eq!(sent["senderType"], "CITIZEN");
        assert_eq!(sent["senderDisplayName"], "Ana");
        assert_eq!(sent["contentType"], "text");
        assert_eq!(sent["sosId"], json!(sos));
        assert!(sent["id"].is_string() && sent["seq"].is_u64() && sent["createdAt"].is_string());
    }
    for limit in [2, 7, 100] {
        let found = pages(&ana, &format!("{path}?limit={limit}")).await;
        let said: Vec<_> = found
            .iter()
            .map(|message| message["content"].as_str().unwrap())
            .collect();
        let wanted: Vec<_> = (0..7).rev().map(|n| format!("Message {n}")).collect();
        assert_eq!(said, wanted, "limit {limit}");
    }
    let found = pages(&ana, &format!("{path}?q=message%203")).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["content"], "Message 3");
    let before = found[0]["seq"].as_u64().unwrap();
    let older = pages(&ana, &format!("{path}?before={before}")).await;
    assert_eq!(older.len(), 3);
    let incident = ana.get(&format!("/api/v1/sos/{sos}")).await.data(200);
    assert_eq!(incident["messagesCount"], 7);
}

#[tokio::test]
async fn a_message_that_is_sent_again_by_its_id_is_one() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let sos = ana.raises(fire()).await;
    let path = format!("/api/v1/sos/{sos}/messages");
    let body = json!({"content": "once", "id": "m-1"});
    let first = ana.post(&path, body.clone()).await.data(201);
    assert_eq!(ana.post(&path, body).await.data(201), first);
    assert_eq!(ana.get(&path).await.page().0.len(), 1);
}

#[tokio::test]
async fn who_is_not_in_neither_speaks_nor_reads() {
    let engine = Engine::start(&[]);
    let (ana, sam) = (engine.user("Ana"), engine.user("Sam"));
    let sos = ana.raises(fire()).await;
    let path = format!("/api/v1/sos/{sos}/messages");
    sam.post(&path, json!({"content": "x"}))
        .await
        .refused(403, "FORBIDDEN");
    sam.get(&path).await.refused(403, "FORBIDDEN");
    sam.get(&format!("/api/v1/sos/{sos}/events"))
        .await
        .refused(403, "FORBIDDEN");
    sam.get(&format!("/api/v1/sos/{sos}/locations"))
        .await
        .refused(403, "FORBIDDEN");
    for (body, field) in [
        (json!({}), "content"),
        (json!({"content": ""}), "content"),
        (json!({"content": "x".repeat(2001)}), "content"),
        (json!({"content": "x", "id": "white space"}), "id"),
    ] {
        ana.post(&path, body).await.names_fields(&[field]);
    }
    ana.post(&format!("/api/v1/sos/{sos}/cancel"), json!({}))
        .await
        .data(200);
    ana.post(&path, json!({"content": "too late"}))
        .await
        .refused(409, "SOS_CLOSED");
}

#[tokio::test]
async fn the_log_tells_everything_in_order_and_names_nobody() {
    let mut engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let sos = ana.raises(fire()).await;
    ana.post(
        &format!("/api/v1/sos/{sos}/messages"),
        json!({"content": "hello"}),
    )
    .await
    .data(201);
    engine
        .user("Sam")
        .post(
            &format!("/api/v1/sos/{sos}/participants/join"),
            json!({"userType": "CITIZEN"}),
        )
        .await
        .data(201);
    ana.patch(
        &format!("/api/v1/sos/{sos}/status"),
        json!({"status": "RESOLVED"}),
    )
    .await
    .data(200);
    let path = format!("/api/v1/sos/{sos}/events");
    let log = pages(&ana, &format!("{path}?limit=2")).await;
    let kinds: Vec<_> = log.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["created", "joined", "message", "joined", "status-changed"]
    );
    let seqs: Vec<_> = log.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5]);
    assert!(
        log.iter()
            .all(|event| event["actor"].as_str().unwrap().starts_with("p-"))
    );
    let text = serde_json::to_string(&log).unwrap();
    for secret in ["user-ana", "user-sam", "\"Ana\"", "\"Sam\""] {
        assert!(!text.contains(secret), "{secret} stands in the log: {text}");
    }
    let (rest, _) = ana.get(&format!("{path}?since=3")).await.page();
    assert_eq!(rest.len(), 2);
    engine.kill9();
    engine.restart();
    assert_eq!(pages(&ana, &format!("{path}?limit=2")).await, log);
}
