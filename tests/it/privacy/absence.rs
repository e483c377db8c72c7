//! Who is away for too long has left, whatever becomes of the process meanwhile; and the end is everybody's leaving.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::support::{Engine, Person, UNLIMITED, eventually, fire, now_ms};

fn ms(stamp: &Value) -> i128 {
    let text = stamp.as_str().unwrap_or_else(|| panic!("no time: {stamp}"));
    OffsetDateTime::parse(text, &Rfc3339)
        .unwrap()
        .unix_timestamp_nanos()
        / 1_000_000
}

async fn until(moment: i128) {
    eventually("the moment comes", || async {
        (i128::from(now_ms()) >= moment).then_some(())
    })
    .await;
}

/// Somebody's stay, as staff see it.
async fn stay(staff: &Person, sos: &str, who: &str) -> Value {
    let (all, _) = staff
        .get(&format!("/api/v1/sos/{sos}/participants/history"))
        .await
        .page();
    let found = all.into_iter().find(|stay| stay["id"] == who);
    found.expect("they were in")
}

async fn has_left(staff: &Person, sos: &str, who: &str) -> i128 {
    eventually("they have left", || async {
        let stay = stay(staff, sos, who).await;
        stay["leftAt"].is_string().then(|| ms(&stay["leftAt"]))
    })
    .await
}

#[tokio::test]
async fn the_time_away_goes_on_while_the_engine_is_down() {
    let mut settings = UNLIMITED.to_vec();
    settings.extend([("rooms.idle_participant_s", "6"), ("rooms.return_grace_s", "0")]);
    let mut engine = Engine::start(&settings);
    let (ana, ben) = (engine.user("Ana"), engine.user("Ben"));
    let dora = engine.user("Dora").role("ADMIN");
    let sos = ana.raises(fire()).await;
    let path = format!("/api/v1/sos/{sos}/participants/join");
    let joined = ben.post(&path, json!({"userType": "CITIZEN"})).await.data(201);
    let (ben_id, came) = (joined["id"].as_str().unwrap(), ms(&joined["joinedAt"]));
    until(came + 2_000).await;
    engine.kill9();
    until(came + 4_000).await;
    engine.restart();
    let restarted = i128::from(now_ms());
    let left = has_left(&dora, &sos, ben_id).await;
    assert!(left - came >= 6_000, "not before its time: {}", left - came);
    assert!(
        left < (restarted + 5_000).max(came + 9_000),
        "it did not begin anew: {} ms after the restart",
        left - restarted
    );
    let ana_stays = ana.get(&format!("/api/v1/sos/{sos}")).await.data(200);
    assert_eq!(ana_stays["participantsCount"], 1, "an owner stays");
}

#[tokio::test]
async fn who_was_connected_until_the_crash_has_the_time_from_then_on() {
    let mut settings = UNLIMITED.to_vec();
    settings.extend([
        ("rooms.idle_participant_s", "8"),
        ("rooms.return_grace_s", "0"),
        ("retention.sweep_s", "1"),
    ]);
    let mut engine = Engine::start(&settings);
    let (ana, ben) = (engine.user("Ana"), engine.user("Ben"));
    let dora = engine.user("Dora").role("ADMIN");
    let sos = ana.raises(fire()).await;
    let mut at_ben = ben.connect().await;
    let approved = at_ben.joins(&sos).await;
    let ben_id = approved["participantId"].as_str().unwrap().to_owned();
    let came = ms(&stay(&dora, &sos, &ben_id).await["joinedAt"]);
    until(came + 6_000).await;
    engine.kill9();
    engine.restart();
    let left = has_left(&dora, &sos, &ben_id).await;
    // Without the notes it would be 8 s after he came.
    assert!(left - came >= 10_000, "{} ms after he came", left - came);
}

#[tokio::test]
async fn the_time_that_people_took_part_ends_with_the_incident() {
    let engine = Engine::start(&UNLIMITED);
    let (ana, ben) = (engine.user("Ana"), engine.user("Ben"));
    let sos = ana.raises(fire()).await;
    let path = format!("/api/v1/sos/{sos}/participants/join");
    ben.post(&path, json!({"userType": "CITIZEN"})).await.data(201);
    let begun = i128::from(now_ms());
    until(begun + 100).await;
    let cancelled = ana
        .post(&format!("/api/v1/sos/{sos}/cancel"), json!({}))
        .await
        .data(200);
    assert_eq!(cancelled["participantsCount"], 0);
    let stats = format!("/api/v1/sos/{sos}/participants/stats");
    let at_the_end = ben.get(&stats).await.data(200);
    assert!(at_the_end["averageParticipationTime"].as_f64().unwrap() >= 0.1);
    assert_eq!(at_the_end["activeParticipants"], 0);
    until(i128::from(now_ms()) + 200).await;
    assert_eq!(ben.get(&stats).await.data(200), at_the_end, "it grows no more");
    let (all, _) = ben
        .get(&format!("/api/v1/sos/{sos}/participants/history"))
        .await
        .page();
    assert_eq!(all.len(), 2);
    for stay in all {
        assert_eq!(stay["leftAt"], cancelled["endedAt"], "{stay}");
    }
}
