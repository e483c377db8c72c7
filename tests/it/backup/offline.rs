//! Backup files, and a restore while no engine runs.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::{backs_up, file, log_of, restores, run, wipe};
use crate::support::sister::{Mood, SosService};
use crate::support::{Engine, fire, now_ms};

#[tokio::test]
async fn a_wiped_engine_is_as_it_was_when_the_backup_was_made() {
    let mut engine = Engine::start(&[]);
    let ana = engine.user("Ana").phone(crate::support::ANA);
    ana.trusts(&[("Ben", crate::support::BEN)]).await;
    let sos = ana.raises(fire()).await;
    let fix = json!({"latitude": 14.58, "longitude": 120.97, "timestamp": now_ms()});
    ana.post(&format!("/api/v1/sos/{sos}/location"), fix)
        .await
        .ok(200);
    let log = log_of(&ana, &sos).await;
    let incident = ana.get(&format!("/api/v1/sos/{sos}")).await.data(200);
    let backup = file(&engine, "a.backup");
    backs_up(&engine, &backup).await;
    assert_eq!(backup.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    ana.post(
        &format!("/api/v1/sos/{sos}/messages"),
        json!({"content": "later"}),
    )
    .await
    .data(201);

    wipe(&mut engine);
    restores(&engine, &backup).await.well();
    engine.restart();
    assert_eq!(log_of(&ana, &sos).await, log);
    assert_eq!(ana.get(&format!("/api/v1/sos/{sos}")).await.data(200), incident);
    let contacts = ana.get("/api/contacts").await.ok(200);
    assert_eq!(contacts["emergency_contacts"][0]["name"], "Ben");
    let positions = ana.get(&format!("/api/v1/sos/{sos}/locations")).await;
    assert_eq!(positions.page().0.len(), 1);
    // The log goes on.
    let said = ana
        .post(
            &format!("/api/v1/sos/{sos}/messages"),
            json!({"content": "after"}),
        )
        .await
        .data(201);
    assert_eq!(said["seq"], json!(log.len() + 1));
}

#[tokio::test]
async fn neither_a_file_nor_a_store_is_overwritten_unless_that_is_wanted() {
    let mut engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let first = ana.raises(fire()).await;
    let backup = file(&engine, "a.backup");
    backs_up(&engine, &backup).await;
    run(&engine, &["backup", backup.to_str().unwrap()])
        .await
        .refused("--force");
    run(&engine, &["backup", "--force", backup.to_str().unwrap()])
        .await
        .well();
    let second = ana.raises(fire()).await;
    assert!(engine.terminate().success());
    restores(&engine, &backup).await.refused("--force");
    let said = run(&engine, &["restore", "--force", backup.to_str().unwrap()])
        .await
        .well();
    let aside = said
        .lines()
        .find_map(|line| line.strip_prefix("the old database is "))
        .unwrap_or_else(|| panic!("where is the old one? {said}"));
    assert!(std::fs::metadata(aside).unwrap().len() > 0);
    engine.restart();
    ana.get(&format!("/api/v1/sos/{first}")).await.data(200);
    ana.get(&format!("/api/v1/sos/{second}"))
        .await
        .refused(404, "NOT_FOUND");
    // Nobody noticed anything half done.
    let left: Vec<_> = std::fs::read_dir(engine.data().join("restore"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name != "turn")
        .collect();
    assert_eq!(left, Vec::<std::ffi::OsString>::new());
}

#[tokio::test]
async fn a_damaged_backup_changes_nothing() {
    let mut engine = Engine::start(&[]);
    engine.user("Ana").raises(fire()).await;
    let backup = file(&engine, "a.backup");
    backs_up(&engine, &backup).await;
    wipe(&mut engine);
    let whole = std::fs::read(&backup).unwrap();
    let damaged = file(&engine, "b.backup");
    let mut flipped = whole.clone();
    flipped[5_000] ^= 1;
    for (bytes, says) in [
        (&flipped[..], "checksum"),
        (&whole[..whole.len() - 1], "not a backup"),
        (&whole[..whole.len() / 2], "not a backup"),
        (b"", "not a backup"),
    ] {
        std::fs::write(&damaged, bytes).unwrap();
        restores(&engine, &damaged).await.refused(says);
        assert!(!engine.data().join("mayday.db").exists());
    }
    let nowhere = file(&engine, "nowhere");
    restores(&engine, &nowhere).await.refused("cannot be opened");
    restores(&engine, &backup).await.well();
}

#[tokio::test]
async fn secrets_are_in_a_backup_only_when_asked_for() {
    let mut engine = Engine::start(&[("auth.jwt_secret", ""), ("auth.internal_token", "")]);
    let token = run(&engine, &["token", "--user", "ana", "--role", "CITIZEN"])
        .await
        .well();
    let sos = engine.bearer(token.trim()).raises(fire()).await;
    let key = std::fs::read_to_string(engine.data().join("secrets/jwt_secret")).unwrap();
    let (without, with) = (file(&engine, "without"), file(&engine, "with"));
    backs_up(&engine, &without).await;
    run(&engine, &["backup", "--with-secrets", with.to_str().unwrap()])
        .await
        .well();
    let holds = |path: &std::path::Path| {
        let bytes = std::fs::read(path).unwrap();
        bytes
            .windows(key.trim().len())
            .any(|window| window == key.trim().as_bytes())
    };
    assert!(!holds(&without));
    assert!(holds(&with));
    wipe(&mut engine);
    run(&engine, &["restore", "--with-secrets", with.to_str().unwrap()])
        .await
        .well();
    let mode = engine
        .data()
        .join("secrets/jwt_secret")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    engine.restart();
    // Her token is as good as it was.
    let ana = engine.bearer(token.trim());
    ana.get(&format!("/api/v1/sos/{sos}")).await.data(200);
}

#[tokio::test]
async fn what_was_not_told_yet_is_told_after_a_restore() {
    let mut service = SosService::that(|_| Mood::status(200));
    let url = service.url();
    let mut engine = Engine::start(&SosService::told(&url, &[]));
    let ana = engine.user("Ana");
    let told = ana.raises(fire()).await;
    service.was_asked(2).await;
    service.ends();
    let untold = ana.raises(fire()).await;
    let backup = file(&engine, "a.backup");
    backs_up(&engine, &backup).await;
    wipe(&mut engine);
    restores(&engine, &backup).await.well();
    engine.restart();
    service.starts();
    let asked = service.was_asked(4).await;
    let heads = crate::services::telling::in_order(&asked, true);
    assert_eq!(heads, std::collections::BTreeMap::from([(told, 2), (untold, 2)]));
}
