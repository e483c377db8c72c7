//! Incidents that only the sister service knows: asked for when somebody joins.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::sister;
use crate::support::sister::{Mood, SosService, TOKEN};
use crate::support::{Engine, HERE, Person, eventually, fire, now_s, sign};

const SOS: &str = "sos-4711";

fn known(status: &str) -> Mood {
    Mood::json(&json!({
        "sosId": SOS, "citizenId": "user-ana", "type": "medical", "status": status,
        "location": {"latitude": HERE.0, "longitude": HERE.1}, "address": {"city": "Manila"},
    }))
}

fn join_path(sos: &str) -> String {
    format!("/api/v1/sos/{sos}/participants/join")
}

async fn joins(who: &Person, sos: &str) -> crate::support::http::Answer {
    who.post(&join_path(sos), json!({"userType": "CITIZEN"})).await
}

/// What a join over a socket is answered with.
async fn answer_to_join(engine: &Engine, name: &str, sos: &str) -> Value {
    let mut socket = engine.user(name).connect().await;
    socket.says(json!({"type": "join-room", "roomId": sos})).await;
    serde_json::from_str(&socket.next_text().await.unwrap()).unwrap()
}

fn retry_after(answer: &crate::support::http::Answer) -> u64 {
    answer.header("Retry-After").unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_incident_of_the_service_is_created_when_somebody_joins_and_then_it_is_ours() {
    let service = SosService::that(|_| known("en_route"));
    let engine = service.engine(&[]);
    let joined = joins(&engine.user("Ben"), SOS).await.data(201);
    assert_eq!(
        (&joined["sosId"], &joined["status"]),
        (&json!(SOS), &json!("ACTIVE"))
    );
    let state = sister(&engine).state(SOS).await;
    assert_eq!(
        (
            &state["citizenId"],
            &state["status"],
            &state["type"],
            &state["location"]["latitude"]
        ),
        (
            &json!("user-ana"),
            &json!("RESPONDING"),
            &json!("MEDICAL"),
            &json!(HERE.0)
        )
    );
    assert_eq!(state["participantsCount"], 2);
    // Others find it here.
    engine.user("Cara").connect().await.joins(SOS).await;
    // It is hers, and nobody is asked about what is known.
    let cancelled = engine
        .user("Ana")
        .post(&format!("/api/v1/sos/{SOS}/cancel"), json!({}))
        .await;
    cancelled.data(200);
    joins(&engine.user("Dan"), SOS).await.refused(409, "SOS_CLOSED");
    let asked = service.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(
        (asked[0].method.as_str(), asked[0].path.as_str()),
        ("GET", "/internal/sos/sos-4711")
    );
    assert_eq!(asked[0].header("x-internal-token"), Some(TOKEN));
    assert!(!engine.log().contains(TOKEN));
}

#[tokio::test]
async fn every_door_asks_and_many_who_come_at_once_ask_once() {
    let service = SosService::that(|asked| {
        let sos = asked.path.rsplit('/').next().unwrap();
        let found = json!({"citizenId": "user-ana", "id": sos});
        Mood::Slowly(Duration::from_millis(300), Box::new(Mood::json(&found)))
    });
    let engine = service.engine(&[]);
    let mut at_ben = engine.user("Ben").connect().await;
    at_ben.joins("by-socket").await;
    let told = json!({"sosId": "by-service", "userId": "user-ben", "userType": "RESCUER"});
    sister(&engine)
        .posts("/api/participants/joined", told)
        .await
        .data(200);
    let people: Vec<Person> = (0..20).map(|n| engine.user(&format!("P{n}"))).collect();
    let all = futures_util::future::join_all(people.iter().map(|who| joins(who, "by-many"))).await;
    for answer in all {
        answer.data(201);
    }
    let paths: Vec<String> = service.asked().into_iter().map(|asked| asked.path).collect();
    assert_eq!(
        paths,
        ["by-socket", "by-service", "by-many"].map(|sos| format!("/internal/sos/{sos}"))
    );
    assert_eq!(sister(&engine).state("by-many").await["participantsCount"], 21);
}

#[tokio::test]
async fn what_the_service_does_not_know_is_not_found_and_that_is_remembered_for_a_while() {
    let service = SosService::that(|_| Mood::status(404));
    let engine = service.engine(&[("services.lookup_absent_s", "600")]);
    for _ in 0..3 {
        let refused = joins(&engine.user("Ben"), SOS).await.refused(404, "NOT_FOUND");
        assert_eq!(refused["message"], "SOS not found");
        let denied = answer_to_join(&engine, "Ben", SOS).await;
        assert_eq!(
            (&denied["type"], &denied["message"]),
            (&json!("join-denied"), &json!("Room not found"))
        );
    }
    assert_eq!(service.times(), 1);
    // It may be raised later. Another engine remembers for a moment only.
    let engine = service.engine(&[("services.lookup_absent_s", "1")]);
    joins(&engine.user("Ben"), SOS).await.refused(404, "NOT_FOUND");
    service.does(|_| known("ACTIVE"));
    eventually("it is asked for again", || async {
        let answer = joins(&engine.user("Ben"), SOS).await;
        (answer.status == 201).then_some(())
    })
    .await;
    assert!(service.times() > 2);
}

#[tokio::test]
async fn one_that_is_over_is_closed_and_not_created() {
    for status in ["RESOLVED", "CANCELLED", "closed"] {
        let service = SosService::that(move |_| known(status));
        let engine = service.engine(&[]);
        joins(&engine.user("Ben"), SOS).await.refused(409, "SOS_CLOSED");
        let denied = answer_to_join(&engine, "Cara", SOS).await;
        assert_eq!(denied["type"], "join-denied");
        assert_ne!(denied["message"], "Room not found");
        sister(&engine)
            .gets(&super::at(SOS, "state"))
            .await
            .refused(404, "NOT_FOUND");
        assert_eq!(service.times(), 1);
    }
}

#[tokio::test]
async fn a_service_that_fails_is_away_and_what_it_would_know_is_never_not_found() {
    let wrong_json = Mood::Answers(200, vec![], "<html>".into());
    let other = Mood::json(&json!({"sosId": "another", "citizenId": "user-ana"}));
    let nobodys = Mood::json(&json!({"sosId": SOS}));
    let huge = Mood::Answers(
        200,
        vec![],
        format!("{{\"citizenId\": \"{}\"}}", "x".repeat(70_000)),
    );
    for (mood, tries) in [
        (Mood::status(500), 3),
        (Mood::status(403), 3),
        (Mood::status(302), 3),
        (Mood::HangsUp, 3),
        (Mood::BreaksOff, 3),
        (Mood::Hangs, 3),
        (wrong_json, 1),
        (other, 1),
        (nobodys, 1),
        (huge, 1),
    ] {
        let told = mood.clone();
        let service = SosService::that(move |_| told.clone());
        let engine = service.engine(&[
            ("services.lookup_timeout_ms", "200"),
            ("services.lookup_pause_ms", "1"),
        ]);
        let refused = joins(&engine.user("Ben"), SOS).await;
        assert!((1..=60).contains(&retry_after(&refused)), "{mood:?}");
        refused.refused(503, "UNAVAILABLE");
        // A broken connection that was kept may be tried once more by the client itself.
        assert!(service.times() >= tries, "{mood:?}: {}", service.times());
        let error = answer_to_join(&engine, "Cara", SOS).await;
        assert_eq!(
            (&error["type"], &error["code"]),
            (&json!("error"), &json!("SOS_SERVICE_UNAVAILABLE")),
            "{mood:?}"
        );
        // Whoever calls for help here does not wait for it.
        let own = engine.user("Ana").raises(fire()).await;
        joins(&engine.user("Ben"), &own).await.data(201);
    }
}

#[tokio::test]
async fn an_attempt_that_fails_is_repeated() {
    let mut times = 0;
    let service = SosService::that(move |_| {
        times += 1;
        if times < 3 {
            Mood::status(503)
        } else {
            known("ACTIVE")
        }
    });
    let engine = service.engine(&[("services.lookup_pause_ms", "1")]);
    joins(&engine.user("Ben"), SOS).await.data(201);
    assert_eq!(service.times(), 3);
}

#[tokio::test]
async fn a_service_that_says_when_to_come_back_is_believed() {
    let service = SosService::that(|_| Mood::later(429, 7));
    let engine = service.engine(&[]);
    let refused = joins(&engine.user("Ben"), SOS).await;
    assert_eq!(retry_after(&refused), 7);
    refused.refused(503, "UNAVAILABLE");
    assert_eq!(service.times(), 1);
}

#[tokio::test]
async fn one_that_stays_away_is_left_alone_until_it_may_be_back() {
    let service = SosService::that(|_| Mood::status(500));
    let engine = service.engine(&[
        ("services.lookup_tries", "1"),
        ("services.breaker_failures", "3"),
        ("services.breaker_rest_ms", "1000"),
    ]);
    for n in 0..6 {
        let refused = joins(&engine.user("Ben"), &format!("sos-{n}")).await;
        refused.refused(503, "UNAVAILABLE");
    }
    assert_eq!(service.times(), 3, "then it was left alone");
    service.does(|_| known("ACTIVE"));
    eventually("it is asked again", || async {
        (joins(&engine.user("Ben"), SOS).await.status == 201).then_some(())
    })
    .await;
    assert_eq!(service.times(), 4);
}

#[tokio::test]
async fn nobody_is_asked_for_those_who_may_not_join_nor_for_what_cannot_be_one_of_theirs() {
    let service = SosService::that(|_| known("ACTIVE"));
    let engine = service.engine(&[("services.lookup_ids", "uuid")]);
    let uuid = "0b8f9d4e-6a53-4c1f-9a77-3d2f1e5c8b60";
    let visitor = engine.nobody().request(Method::POST, &join_path(uuid));
    visitor
        .json(&json!({"userType": "CITIZEN"}))
        .send()
        .await
        .refused(401, "UNAUTHENTICATED");
    // Bound to another incident.
    let bound = engine.bearer(&sign(&json!({
        "identity": {"userId": "rob", "role": "RESCUER"}, "actor": {"type": "ANON"},
        "mission": {"sosId": "another"}, "exp": now_s() + 3600,
    })));
    let refused = joins(&bound, uuid).await;
    assert!(refused.status == 403 || refused.status == 404, "{refused:?}");
    joins(&engine.user("Ben"), "ffffffffffffffffffffffffffffffff")
        .await
        .refused(404, "NOT_FOUND");
    joins(&engine.user("Ben"), "sos-1")
        .await
        .refused(404, "NOT_FOUND");
    // A trip is not an incident, and looking at one is not joining it.
    let mut at_ben = engine.user("Ben").connect().await;
    at_ben.says(json!({"type": "trip:join", "tripId": uuid})).await;
    at_ben.expect_error("TRIP_NOT_FOUND").await;
    engine
        .user("Ben")
        .get(&format!("/api/v1/sos/{uuid}"))
        .await
        .refused(404, "NOT_FOUND");
    // A circle that is there is none of theirs.
    at_ben.creates("ben-circle").await;
    joins(&engine.user("Cara"), "ben-circle")
        .await
        .refused(404, "NOT_FOUND");
    assert_eq!(service.times(), 0);
}

#[tokio::test]
async fn guessing_costs() {
    let service = SosService::that(|_| Mood::status(404));
    let engine = service.engine(&[("limits.user_writes", "3")]);
    let mut at_ben = engine.user("Ben").connect().await;
    for n in 0..3 {
        let room = format!("guess-{n}");
        at_ben.says(json!({"type": "join-room", "roomId": room})).await;
        at_ben
            .expect(json!({"type": "join-denied", "roomId": room}))
            .await;
    }
    // What is remembered is free.
    at_ben
        .says(json!({"type": "join-room", "roomId": "guess-0"}))
        .await;
    at_ben.expect(json!({"type": "join-denied"})).await;
    at_ben
        .says(json!({"type": "join-room", "roomId": "guess-3"}))
        .await;
    at_ben.expect_error("RATE_LIMITED").await;
    joins(&engine.user("Ben"), "guess-4")
        .await
        .refused(429, "RATE_LIMITED");
    assert_eq!(service.times(), 3);
}

#[tokio::test]
async fn without_such_a_service_or_its_token_things_are_as_ever_or_said() {
    let engine = Engine::start(&[]);
    joins(&engine.user("Ben"), SOS).await.refused(404, "NOT_FOUND");
    let folder = tempfile::tempdir().unwrap();
    let settings = [("services.sos_url", "http://127.0.0.1:9")];
    let unstarted = Engine::not_started(&folder.path().join("data"), &settings);
    for command in ["check", "serve"] {
        let output = unstarted.command(&[command]).output().unwrap();
        assert!(!output.status.success());
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("services.sos_token"), "{command}: {text}");
    }
}
