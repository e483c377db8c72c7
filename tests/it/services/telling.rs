//! What happens in incidents, told to the sister service: signed, in order, again until it is taken.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::sister;
use crate::support::engine::made;
use crate::support::sister::{Asked, Mood, SIGNING, SosService, TOKEN};
use crate::support::{Engine, Person, UNLIMITED, eventually, fire, now_s};

/// Of which incident, and which event of it.
pub fn place(asked: &Asked) -> (String, u64) {
    let body = asked.json();
    (
        body["sosId"].as_str().unwrap().to_owned(),
        body["data"]["seq"].as_u64().unwrap(),
    )
}

/// Sees that no event came before the one before it, and answers how far each incident was told. `doubles`: some may
/// have come more than once.
pub fn in_order(all: &[Asked], doubles: bool) -> BTreeMap<String, u64> {
    let mut heads = BTreeMap::new();
    for asked in all {
        let (sos, seq) = place(asked);
        let head = heads.entry(sos).or_insert(0);
        let fits = if doubles {
            seq <= *head + 1
        } else {
            seq == *head + 1
        };
        assert!(fits, "{seq} after {head}: {asked:?}");
        *head = seq.max(*head);
    }
    heads
}

fn check_signature(asked: &Asked) {
    let timestamp = asked.header("x-mayday-timestamp").unwrap();
    let at: u64 = timestamp.parse().unwrap();
    assert!(at.abs_diff(now_s()) < 60, "{asked:?}");
    let mut mac = Hmac::<Sha256>::new_from_slice(SIGNING.as_bytes()).unwrap();
    mac.update(format!("{timestamp}.{}", asked.body).as_bytes());
    let expected = format!("v1={}", hex::encode(mac.finalize().into_bytes()));
    assert_eq!(asked.header("x-mayday-signature"), Some(expected.as_str()));
}

fn taken() -> Mood {
    Mood::status(204)
}

fn telling(service: &SosService, settings: &[(&str, &str)]) -> Engine {
    let url = service.url();
    let mut all = UNLIMITED.to_vec();
    all.extend(SosService::told(&url, settings));
    Engine::start(&all)
}

async fn says(who: &Person, sos: &str, times: usize) {
    let path = format!("/api/v1/sos/{sos}/messages");
    for n in 0..times {
        let body = json!({"content": format!("message {n}")});
        who.post(&path, body).await.data(201);
    }
}

async fn outbox(engine: &Engine) -> Value {
    sister(engine).gets("/internal/outbox").await.data(200)
}

/// Waits until everything was taken.
async fn is_empty(engine: &Engine) {
    eventually("the outbox is empty", || async {
        (outbox(engine).await["waiting"] == 0).then_some(())
    })
    .await;
}

fn seqs(letters: &Value) -> Vec<u64> {
    let letters = letters.as_array().unwrap().iter();
    letters.map(|letter| letter["seq"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn every_event_of_an_incident_is_told_in_order_and_signed() {
    let service = SosService::that(|_| taken());
    let engine = telling(&service, &[]);
    let ana = engine.user("Ana");
    let mut at_ana = ana.connect().await;
    at_ana.creates("ana-circle").await;
    let sos = ana.raises(fire()).await;
    says(&ana, &sos, 3).await;
    let path = format!("/api/v1/sos/{sos}/status");
    let dora = engine.user("Dora").role("DISPATCHER");
    dora.patch(&path, json!({"status": "RESOLVED"})).await.data(200);
    let path = format!("/api/v1/sos/{sos}/events?limit=100");
    let (log, _) = ana.get(&path).await.page();
    let asked = service.was_asked(log.len()).await;
    is_empty(&engine).await;
    assert_eq!(service.times(), log.len(), "nothing else, and nothing of circles");
    in_order(&asked, false);
    for (asked, event) in asked.iter().zip(&log) {
        assert_eq!(
            (asked.method.as_str(), asked.path.as_str()),
            ("POST", "/internal/realtime/event")
        );
        assert_eq!(
            asked.json(),
            json!({"sosId": sos, "event": event["type"], "data": event})
        );
        assert_eq!(asked.header("x-internal-token"), Some(TOKEN));
        assert_eq!(asked.header("content-type"), Some("application/json"));
        let key = format!("{sos}:{}", event["seq"]);
        assert_eq!(asked.header("idempotency-key"), Some(key.as_str()));
        check_signature(asked);
    }
    assert!(!engine.log().contains(SIGNING) && !engine.log().contains(TOKEN));
}

#[tokio::test]
async fn a_service_that_is_away_loses_nothing_and_slows_nothing() {
    let mut service = SosService::that(|_| taken());
    let engine = telling(&service, &[]);
    let ana = engine.user("Ana");
    says(&ana, &ana.raises(fire()).await, 1).await;
    is_empty(&engine).await;
    let before = service.times();
    service.ends();
    let begun = Instant::now();
    for _ in 0..20 {
        let sos = ana.raises(fire()).await;
        says(&ana, &sos, 3).await;
    }
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "it waited for the service"
    );
    let state = eventually("it is left alone", || async {
        let state = outbox(&engine).await;
        (state["breaker"] != "CLOSED" && state["waiting"] == 20).then_some(state)
    })
    .await;
    assert_eq!((&state["on"], &state["dead"]), (&json!(true), &json!(0)));
    assert!(state["oldestAt"].is_string() && state["oldestAgeS"].is_u64());
    service.starts();
    is_empty(&engine).await;
    let heads = in_order(&service.asked()[before..], false);
    assert_eq!(heads.len(), 20);
    assert!(heads.values().all(|head| *head == 5), "{heads:?}");
    assert_eq!(outbox(&engine).await["breaker"], "CLOSED");
}

#[tokio::test]
async fn whatever_goes_wrong_is_tried_again_until_it_is_taken() {
    for trouble in [
        Mood::status(500),
        Mood::status(503),
        Mood::status(408),
        Mood::status(425),
        Mood::status(302),
        Mood::HangsUp,
        Mood::Hangs,
    ] {
        let (mut times, told) = (0, trouble.clone());
        let service = SosService::that(move |_| {
            times += 1;
            // More often than a refusal is taken.
            if times <= 4 { told.clone() } else { taken() }
        });
        let quick = [
            ("services.feed_timeout_ms", "200"),
            ("services.feed_refusals_max", "2"),
            ("services.breaker_failures", "0"),
        ];
        let engine = telling(&service, &quick);
        let sos = engine.user("Ana").raises(fire()).await;
        is_empty(&engine).await;
        let asked = service.asked();
        assert!(asked.len() >= 6, "{trouble:?}: {}", asked.len());
        let heads = in_order(&asked, true);
        assert_eq!(heads, BTreeMap::from([(sos, 2)]), "{trouble:?}");
        assert_eq!(outbox(&engine).await["dead"], 0);
    }
}

#[tokio::test]
async fn a_service_that_says_when_to_come_back_is_left_alone_until_then() {
    let mut times = 0;
    let service = SosService::that(move |_| {
        times += 1;
        if times == 1 { Mood::later(429, 2) } else { taken() }
    });
    let engine = telling(&service, &[]);
    let ana = engine.user("Ana");
    let sos = ana.raises(fire()).await;
    service.was_asked(1).await;
    // What others have to tell does not go to it meanwhile either, once the answer is there.
    is_empty(&engine).await;
    ana.raises(fire()).await;
    is_empty(&engine).await;
    let asked = service.asked();
    assert_eq!((asked.len(), place(&asked[0])), (5, (sos, 1)));
    let pause = asked[1].at - asked[0].at;
    assert!(pause >= Duration::from_millis(1_950), "{pause:?}");
}

#[tokio::test]
async fn what_is_refused_for_good_is_put_aside_listed_and_sent_again_on_demand() {
    let picky = |asked: &Asked| {
        let body = asked.json();
        let refused = body["event"] == "message" && body["data"]["data"]["content"] != "message 2";
        Mood::status(if refused { 422 } else { 200 })
    };
    let service = SosService::that(picky);
    let (reader, read_entry) = made("watcher", &["outbox:read"]);
    let (writer, write_entry) = made("mender", &["outbox:write"]);
    let keys = [read_entry, write_entry].join(";");
    let settings = [
        ("services.feed_refusals_max", "3"),
        ("auth.api_keys", keys.as_str()),
    ];
    let engine = telling(&service, &settings);
    let ana = engine.user("Ana");
    let sos = ana.raises(fire()).await;
    says(&ana, &sos, 3).await;
    is_empty(&engine).await;
    let state = outbox(&engine).await;
    assert_eq!(state["dead"], 2);
    assert_eq!(seqs(&state["deadLetters"]), [4, 3], "the newest first");
    let first = &state["deadLetters"][1];
    assert_eq!(
        *first,
        json!({
            "sosId": sos, "seq": 3, "event": "message", "status": 422, "attempts": 3, "at": first["at"],
        })
    );
    let all = service.asked();
    assert_eq!(all.iter().filter(|asked| place(asked).1 == 3).count(), 3);
    // Page by page.
    let page = sister(&engine).gets("/internal/outbox?limit=1").await.data(200);
    let next = page["nextCursor"].as_str().unwrap();
    let path = format!("/internal/outbox?limit=1&cursor={next}");
    let rest = sister(&engine).gets(&path).await.data(200);
    assert_eq!(
        (seqs(&rest["deadLetters"]), &rest["nextCursor"]),
        (vec![3], &Value::Null)
    );
    // By whom it may be, and nobody else.
    let retry = format!("/internal/outbox/{sos}/3/retry");
    let by = |key: &str| {
        let request = engine.nobody().request(reqwest::Method::POST, &retry);
        request.header("X-Internal-Token", key)
    };
    by(&reader).send().await.refused(403, "FORBIDDEN");
    let look = engine.nobody().request(reqwest::Method::GET, "/internal/outbox");
    let look = look.header("X-Internal-Token", &writer);
    look.send().await.refused(403, "FORBIDDEN");
    by(&writer).send().await.refused(409, "CONFLICT");
    let again = outbox(&engine).await;
    assert_eq!(
        again["deadLetters"][0]["attempts"], 4,
        "it was sent once more: {again}"
    );
    service.is(taken());
    let revived = by(&writer).send().await.data(200);
    assert_eq!(revived, json!({"sosId": sos, "seq": 3, "taken": true}));
    by(&writer).send().await.refused(404, "NOT_FOUND");
    let last = service.asked().pop().unwrap();
    assert_eq!(place(&last), (sos.clone(), 3));
    check_signature(&last);
    assert_eq!(outbox(&engine).await["dead"], 1);
    for odd in ["0", "99", "x", "-1"] {
        let path = format!("/internal/outbox/{sos}/{odd}/retry");
        sister(&engine)
            .posts(&path, json!({}))
            .await
            .refused(404, "NOT_FOUND");
    }
    service.is(Mood::status(500));
    let away = format!("/internal/outbox/{sos}/4/retry");
    let refused = sister(&engine).posts(&away, json!({})).await;
    assert!(refused.header("Retry-After").is_some());
    refused.refused(503, "UNAVAILABLE");
}

#[tokio::test]
async fn only_so_many_dead_letters_are_kept() {
    let service = SosService::that(|_| Mood::status(400));
    let settings = [
        ("services.feed_refusals_max", "1"),
        ("services.dead_letters_max", "3"),
    ];
    let engine = telling(&service, &settings);
    let ana = engine.user("Ana");
    let sos = ana.raises(fire()).await;
    says(&ana, &sos, 5).await;
    is_empty(&engine).await;
    let state = eventually("the oldest are gone", || async {
        let state = outbox(&engine).await;
        (state["dead"] == 3).then_some(state)
    })
    .await;
    assert_eq!(seqs(&state["deadLetters"]), [7, 6, 5]);
}

#[tokio::test]
async fn a_process_that_is_killed_in_the_middle_goes_on_where_it_was() {
    let service = SosService::that(|_| Mood::Slowly(Duration::from_millis(5), Box::new(taken())));
    let mut engine = telling(&service, &[]);
    for n in 1..=10 {
        let ana = engine.user("Ana");
        let sos = ana.raises(fire()).await;
        says(&ana, &sos, 18).await;
        if n % 3 == 0 {
            engine.kill9();
            engine.restart();
        }
    }
    is_empty(&engine).await;
    let heads = in_order(&service.asked(), true);
    assert_eq!(heads.len(), 10);
    assert!(heads.values().all(|head| *head == 20), "{heads:?}");
}

#[tokio::test]
async fn who_is_told_to_stop_lets_go_and_the_next_start_goes_on() {
    let mut service = SosService::that(|_| taken());
    let mut engine = telling(&service, &[("services.feed_lease_s", "600")]);
    service.ends();
    let sos = engine.user("Ana").raises(fire()).await;
    assert!(engine.terminate().success());
    service.starts();
    engine.restart();
    is_empty(&engine).await;
    assert_eq!(in_order(&service.asked(), true), BTreeMap::from([(sos, 2)]));
}

#[tokio::test]
async fn a_service_that_is_not_named_is_told_nothing() {
    let engine = Engine::start(&[]);
    engine.user("Ana").raises(fire()).await;
    assert_eq!(
        outbox(&engine).await,
        json!({
            "on": false, "breaker": null, "waiting": 0, "oldestAt": null, "oldestAgeS": null, "dead": 0,
            "deadLetters": [], "nextCursor": null,
        })
    );
    let retry = "/internal/outbox/sos-1/1/retry";
    sister(&engine)
        .posts(retry, json!({}))
        .await
        .refused(404, "NOT_FOUND");
    for cursor in ["x", "00"] {
        let path = format!("/internal/outbox?cursor={cursor}");
        sister(&engine).gets(&path).await.names_fields(&["cursor"]);
    }
}
