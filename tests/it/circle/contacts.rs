//! Lists of contacts, and how a change of them reaches the open rooms.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{ANA, BEN, CARA, Engine, circle, circle_on};

#[tokio::test]
async fn a_list_is_kept_as_numbers_in_e164() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let empty = json!({"emergency_contacts": [], "dependent_contacts": []});
    assert_eq!(ana.get("/api/contacts").await.ok(200), empty);
    let book = json!({
        "emergency_contacts": [{"name": "Ben", "phone_no": "0917 123 4502"}, {"name": "Ben again", "phone_no": BEN}],
        "dependent_contacts": [{"name": "Cara", "phone_no": CARA}],
    });
    ana.put("/api/contacts", book).await.ok(200);
    let kept = json!({
        "emergency_contacts": [{"name": "Ben", "phone_no": BEN}],
        "dependent_contacts": [{"name": "Cara", "phone_no": CARA}],
    });
    assert_eq!(ana.get("/api/contacts").await.ok(200), kept);
    // Nobody else's list has changed.
    assert_eq!(engine.user("Ben").get("/api/contacts").await.ok(200), empty);
}

#[tokio::test]
async fn how_a_contact_is_told_is_kept_as_far_as_it_was_said() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let told = json!({
        "name": "Ben", "phone_no": BEN, "email": "ben@example.com", "locale": "fil-PH", "channels": ["push", "SMS", "PUSH"],
        "quiet_hours": {"from": "22:30", "to": "06:00", "utc_offset_minutes": 480},
    });
    let book = json!({"emergency_contacts": [told, {"name": "Cara", "phone_no": CARA}]});
    let mut kept = ana.put("/api/contacts", book).await.ok(200);
    assert_eq!(ana.get("/api/contacts").await.ok(200), kept);
    let mut expected = told.clone();
    expected["channels"] = json!(["PUSH", "SMS"]);
    assert_eq!(
        kept["emergency_contacts"].take(),
        json!([expected, {"name": "Cara", "phone_no": CARA}])
    );
    for (field, value) in [
        ("email", json!("ben@")),
        ("locale", json!("_")),
        ("channels", json!(["PAGER"])),
        ("channels", json!("SMS")),
        ("quiet_hours", json!({"from": "22:30"})),
        ("quiet_hours", json!({"from": "24:00", "to": "06:00"})),
        (
            "quiet_hours",
            json!({"from": "22:00", "to": "06:00", "utc_offset_minutes": 9_000}),
        ),
    ] {
        let mut wrong = told.clone();
        wrong[field] = value;
        let error = ana
            .put("/api/contacts", json!({"emergency_contacts": [wrong]}))
            .await
            .bare_error(400);
        assert!(error.contains(field), "{error}");
    }
}

#[tokio::test]
async fn a_list_that_is_wrong_changes_nothing() {
    let engine = Engine::start(&[("contacts.contacts_max", "2")]);
    let ana = engine.user("Ana");
    ana.trusts(&[("Ben", BEN)]).await;
    let one = |name: &str, phone: &str| json!({"name": name, "phone_no": phone});
    let cases = [
        (json!({}), "emergency_contacts"),
        (json!({"emergency_contacts": "Ben"}), "emergency_contacts"),
        (json!({"emergency_contacts": [one("Ben", "12")]}), "phone_no"),
        (json!({"emergency_contacts": [{"name": "Ben"}]}), "phone_no"),
        (json!({"emergency_contacts": [one("", BEN)]}), "name"),
        (
            json!({"emergency_contacts": [one("A", ANA), one("B", BEN), one("C", CARA)]}),
            "emergency_contacts",
        ),
    ];
    for (body, field) in cases {
        let error = ana.put("/api/contacts", body.clone()).await.bare_error(400);
        assert!(error.contains(field), "{body}: {error}");
    }
    let kept = ana.get("/api/contacts").await.ok(200);
    assert_eq!(kept["emergency_contacts"], json!([one("Ben", BEN)]));
    engine.nobody().get("/api/contacts").await.ok(401);
}

#[tokio::test]
async fn a_new_contact_hears_of_it_at_once_and_may_come() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    let mut at_cara = circle.engine.user("Cara").phone(CARA).connect().await;
    at_cara.says(json!({"type": "join-room", "roomId": room})).await;
    at_cara.expect(json!({"type": "join-denied"})).await;

    let begun = Instant::now();
    circle.ana.trusts(&[("Ben", BEN), ("Cara", CARA)]).await;
    at_cara
        .expect(json!({"type": "added-as-emergency-contact", "roomId": room, "roomOwner": "Ana"}))
        .await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    at_cara.hears_nothing_more().await;
    circle.at_ben.hears_nothing_more().await;
    at_cara.joins(&room).await;
    for client in [&mut circle.at_ana, &mut circle.at_ben] {
        client
            .expect(json!({"type": "emergency-contact-joined", "contactName": "Cara"}))
            .await;
        client.hears_nothing_more().await;
    }
}

#[tokio::test]
async fn a_former_contact_hears_of_it_and_is_out() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    let begun = Instant::now();
    circle.ana.trusts(&[("Cara", CARA)]).await;
    circle
        .at_ben
        .expect(json!({"type": "removed-as-emergency-contact", "roomId": room, "roomOwner": "Ana"}))
        .await;
    circle
        .at_ben
        .expect(json!({"type": "room-left", "roomId": room}))
        .await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    circle
        .at_ana
        .expect(json!({"type": "user-left", "roomId": room, "userName": "Ben"}))
        .await;
    circle.at_ana.hears_nothing_more().await;
    circle
        .at_ben
        .says(json!({"type": "join-room", "roomId": room}))
        .await;
    let message = "Not authorized to join this room";
    circle
        .at_ben
        .expect(json!({"type": "join-denied", "message": message}))
        .await;
    circle.at_ana.writes(&room, "he does not hear this").await;
    circle.at_ben.hears_nothing_more().await;
}

#[tokio::test]
async fn a_changed_list_holds_after_a_crash() {
    let mut circle = circle().await;
    circle.ana.trusts(&[("Ben", BEN), ("Cara", CARA)]).await;
    circle.engine.kill9();
    circle.engine.restart();
    let mut at_cara = circle.engine.user("Cara").phone(CARA).connect().await;
    at_cara
        .expect(json!({"type": "auto-joined", "roomId": circle.room}))
        .await;
    at_cara.expect(json!({"type": "auto-join-summary"})).await;
}

const DENIED: &str = "Not authorized to join this room";

#[tokio::test]
async fn a_former_contact_who_was_away_stays_out() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    let at_ben = std::mem::replace(&mut circle.at_ben, circle.engine.device().connect().await);
    at_ben.leaves().await;
    circle
        .at_ana
        .expect(json!({"type": "user-left", "userName": "Ben"}))
        .await;
    circle.ana.trusts(&[("Cara", CARA)]).await;
    circle
        .at_ana
        .expect(json!({"type": "user-left", "roomId": room, "userName": "Ben"}))
        .await;
    circle.at_ana.hears_nothing_more().await;
    let mut at_ben = circle.ben.connect().await;
    assert_eq!(at_ben.greeting["roomIds"], json!([]));
    at_ben.says(json!({"type": "join-room", "roomId": room})).await;
    at_ben
        .expect(json!({"type": "join-denied", "message": DENIED}))
        .await;
    at_ben.hears_nothing_more().await;
    circle.at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn a_former_contact_who_had_dropped_out_stays_out() {
    let mut circle = circle_on(Engine::start(&[("rooms.idle_participant_s", "1")])).await;
    let room = circle.room.clone();
    let at_ben = std::mem::replace(&mut circle.at_ben, circle.engine.device().connect().await);
    at_ben.leaves().await;
    let offline = circle
        .at_ana
        .expect(json!({"type": "user-left", "userName": "Ben"}))
        .await;
    let out = circle
        .at_ana
        .expect(json!({"type": "user-left", "userName": "Ben"}))
        .await;
    assert!(
        offline.get("seq").is_none() && out["seq"].is_u64(),
        "{offline} {out}"
    );
    circle.ana.trusts(&[("Cara", CARA)]).await;
    let mut at_ben = circle.ben.connect().await;
    at_ben.says(json!({"type": "join-room", "roomId": room})).await;
    at_ben
        .expect(json!({"type": "join-denied", "message": DENIED}))
        .await;
    at_ben.hears_nothing_more().await;
    circle.at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn a_contact_removed_while_nobody_looked_stays_out() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    circle.engine.kill9();
    circle.engine.restart();
    // Nobody has used the circle since, and it may not come to hear of the change before the next crash.
    circle.ana.trusts(&[("Cara", CARA)]).await;
    circle.engine.kill9();
    circle.engine.restart();
    let mut at_ben = circle.ben.connect().await;
    at_ben.says(json!({"type": "join-room", "roomId": room})).await;
    at_ben
        .expect(json!({"type": "join-denied", "message": DENIED}))
        .await;
    at_ben.hears_nothing_more().await;
    let mut at_ana = circle.ana.connect().await;
    at_ana.joins(&room).await;
    at_ana.says(json!({"type": "get_users", "roomId": room})).await;
    at_ana
        .expect(json!({"type": "room-users", "users": [{"name": "Ana"}]}))
        .await;
    at_ana.hears_nothing_more().await;
}
