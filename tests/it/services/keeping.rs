//! Contacts that another service keeps: as it says, or as it said last.

use std::time::Duration;

use serde_json::{Value, json};

use super::sister;
use crate::support::sister::{Mood, SosService, TOKEN};
use crate::support::{BEN, CARA, Engine, eventually};

fn book(name: &str, phone: &str) -> Value {
    json!({"emergency_contacts": [{"name": name, "phone_no": phone}], "dependent_contacts": []})
}

fn engine(service: &SosService, settings: &[(&str, &str)]) -> Engine {
    let url = service.url();
    let mut all = vec![
        ("contacts.url", url.as_str()),
        ("contacts.contacts_token", TOKEN),
        ("contacts.timeout_ms", "2000"),
        ("contacts.deadline_ms", "3000"),
        ("contacts.stale_s", "1"),
    ];
    all.extend(settings);
    Engine::start(&all)
}

#[tokio::test]
async fn lists_are_as_the_service_says_and_are_changed_there() {
    let service = SosService::that(|_| Mood::json(&book("Ben", BEN)));
    let engine = engine(&service, &[]);
    let ana = engine.user("Ana");
    for _ in 0..2 {
        assert_eq!(ana.get("/api/contacts").await.ok(200), book("Ben", BEN));
    }
    let asked = service.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].path.starts_with("/internal/contacts/"), "{asked:?}");
    assert_eq!(asked[0].header("x-internal-token"), Some(TOKEN));
    ana.put("/api/contacts", book("Cara", CARA)).await.bare_error(409);
    // It tells of a change, and it is there at once.
    service.is(Mood::json(&json!({"success": true, "data": book("Cara", CARA)})));
    let owner = asked[0].path.rsplit('/').next().unwrap().to_owned();
    let path = format!("/internal/contacts/{owner}/changed");
    assert_eq!(
        sister(&engine).posts(&path, json!({})).await.data(200)["userId"],
        owner
    );
    assert_eq!(ana.get("/api/contacts").await.ok(200), book("Cara", CARA));
}

#[tokio::test]
async fn while_the_service_is_down_wrong_or_slow_its_last_word_counts() {
    let service = SosService::that(|_| Mood::json(&book("Ben", BEN)));
    let engine = engine(
        &service,
        &[
            ("contacts.fresh_s", "1"),
            ("contacts.timeout_ms", "100"),
            ("contacts.deadline_ms", "200"),
        ],
    );
    let ana = engine.user("Ana");
    assert_eq!(ana.get("/api/contacts").await.ok(200), book("Ben", BEN));
    for mood in [
        Mood::status(500),
        Mood::HangsUp,
        Mood::Hangs,
        Mood::json(&json!({"emergency_contacts": "Ben"})),
        Mood::Slowly(Duration::from_secs(30), Box::new(Mood::json(&book("Cara", CARA)))),
    ] {
        service.is(mood.clone());
        let before = service.times();
        eventually("it is asked again", || async {
            assert_eq!(
                ana.get("/api/contacts").await.ok(200),
                book("Ben", BEN),
                "{mood:?}"
            );
            (service.times() > before).then_some(())
        })
        .await;
    }
    service.is(Mood::status(404));
    eventually("nobody is nobody's contact", || async {
        let found = ana.get("/api/contacts").await.ok(200);
        (found["emergency_contacts"] == json!([])).then_some(())
    })
    .await;
}

#[tokio::test]
async fn contacts_that_are_kept_here_are_nobodys_to_tell_of() {
    let engine = Engine::start(&[]);
    let told = sister(&engine)
        .posts("/internal/contacts/ana/changed", json!({}))
        .await;
    told.refused(409, "CONFLICT");
}
