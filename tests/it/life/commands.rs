//! The command line.

use std::process::Output;

use serde_json::json;

use crate::support::engine::mayday;
use crate::support::{Engine, fire};

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn check_finds_nothing_wrong_with_the_defaults_and_with_the_file_of_all_settings() {
    let folder = tempfile::tempdir().unwrap();
    let output = mayday(folder.path()).arg("check").output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml");
    let output = mayday(folder.path())
        .args(["check", "--config", file])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn check_names_the_key_that_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("[http]\nport = 70000\n", "http.port"),
        ("[http]\nport = \"many\"\n", "http.port"),
        ("[htpp]\nport = 80\n", "htpp"),
        ("[http]\nprot = 80\n", "prot"),
        ("[log]\nformat = \"xml\"\n", "log.format"),
        (
            "[contacts]\ndefault_region = \"Narnia\"\n",
            "contacts.default_region",
        ),
        ("[store]\nurl = \"punchcards\"\n", "store.url"),
        ("[locations]\nmin_interval_ms = -1\n", "locations.min_interval_ms"),
        ("[auth]\njwt_secret = \"short\"\n", "auth.jwt_secret"),
        ("this is not toml", "config.toml"),
    ];
    for (content, key) in cases {
        let file = folder.path().join("config.toml");
        std::fs::write(&file, content).unwrap();
        let output = mayday(folder.path())
            .args(["check", "--config"])
            .arg(&file)
            .output()
            .unwrap();
        assert!(!output.status.success(), "{content} passed: {}", text(&output));
        assert!(
            text(&output).contains(key),
            "{content}: {key} is not named in: {}",
            text(&output)
        );
        assert!(
            !text(&output).contains("short\""),
            "a secret is printed: {}",
            text(&output)
        );
    }
    let output = mayday(folder.path())
        .args(["check", "--config", "no-such-file"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(text(&output).contains("no-such-file"), "{}", text(&output));
}

#[test]
fn check_names_a_variable_that_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    for (variable, value) in [("MAYDAY__HTTP__PORT", "none"), ("MAYDAY__HTTP__PROT", "80")] {
        let output = mayday(folder.path())
            .arg("check")
            .env(variable, value)
            .output()
            .unwrap();
        assert!(!output.status.success(), "{variable}={value} passed");
        let named = text(&output).to_lowercase().replace("__", ".");
        let key = variable.to_lowercase().replace("__", ".");
        assert!(
            named.contains(key.strip_prefix("mayday.").unwrap()),
            "{}",
            text(&output)
        );
    }
}

#[test]
fn all_wrong_settings_are_named_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, "[http]\nport = 70000\n[log]\nformat = \"xml\"\n").unwrap();
    let output = mayday(folder.path())
        .args(["check", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    for key in ["http.port", "log.format"] {
        assert!(text(&output).contains(key), "{}", text(&output));
    }
}

#[tokio::test]
async fn a_printed_token_is_good() {
    let engine = Engine::start(&[]);
    let arguments = [
        "token",
        "--user",
        "u-1",
        "--role",
        "DISPATCHER",
        "--phone",
        "0917 123 4501",
        "--name",
        "Dora",
    ];
    let output = engine.command(&arguments).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let token = String::from_utf8(output.stdout).unwrap();
    let token = token.trim();
    assert_eq!(token.split('.').count(), 3);
    let mut client = engine.bearer(token).open().await;
    let user = json!({"id": "u-1", "role": "DISPATCHER", "name": "Dora", "phone_no": "+639171234501"});
    client.expect(json!({"type": "connected", "user": user})).await;

    let sos = engine.user("Ana").raises(fire()).await;
    let arguments = [
        "token", "--user", "anon-1", "--role", "RESCUER", "--sos", &sos, "--ttl", "30m",
    ];
    let output = engine.command(&arguments).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let rescuer = engine.bearer(String::from_utf8(output.stdout).unwrap().trim());
    let join = json!({"userType": "ANON_RESCUER"});
    rescuer
        .post(&format!("/api/v1/sos/{sos}/participants/join"), join)
        .await
        .data(201);
}

#[test]
fn a_token_that_makes_no_sense_is_not_printed() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["token"][..],
        &["token", "--user", "u-1"],
        &["token", "--user", "u-1", "--role", "EMPEROR"],
        &["token", "--user", "u-1", "--role", "CITIZEN", "--ttl", "soon"],
        &["token", "--user", "u-1", "--role", "CITIZEN", "--phone", "12"],
        &["explode"],
    ] {
        let output = mayday(folder.path()).args(arguments).output().unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}: {}", text(&output));
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

#[tokio::test]
async fn projections_are_built_anew_from_the_logs() {
    let mut engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let sos = ana.raises(fire()).await;
    ana.post(&format!("/api/v1/sos/{sos}/messages"), json!({"content": "kept"}))
        .await
        .data(201);
    ana.patch(&format!("/api/v1/sos/{sos}/status"), json!({"status": "ARRIVED"}))
        .await
        .data(200);
    let before = (
        ana.get("/api/v1/sos").await.ok(200),
        ana.get(&format!("/api/v1/sos/{sos}")).await.ok(200),
        ana.get(&format!("/api/v1/sos/{sos}/messages")).await.ok(200),
    );
    let output = engine.command(&["migrate", "--rebuild"]).output().unwrap();
    assert!(
        !output.status.success(),
        "it rebuilt what a running engine uses: {}",
        text(&output)
    );
    assert!(engine.terminate().success());
    for arguments in [&["migrate"][..], &["migrate", "--rebuild"]] {
        let output = engine.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
    }
    engine.restart();
    let after = (
        ana.get("/api/v1/sos").await.ok(200),
        ana.get(&format!("/api/v1/sos/{sos}")).await.ok(200),
        ana.get(&format!("/api/v1/sos/{sos}/messages")).await.ok(200),
    );
    assert_eq!(after, before);
}

#[tokio::test]
async fn the_status_of_the_schema_is_told_while_the_engine_runs() {
    let engine = Engine::start(&[]);
    for arguments in [&["migrate", "--status"][..], &["migrate", "--dry-run"]] {
        let output = engine.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        assert!(text(&output).contains("schema version"), "{}", text(&output));
    }
    let output = engine.command(&["migrate", "--status"]).output().unwrap();
    let told = text(&output);
    assert!(
        told.contains("0001_rooms") && told.contains("applied 20"),
        "{told}"
    );
    assert!(!told.contains("pending"), "{told}");
    let output = engine
        .command(&["migrate", "--status", "--dry-run"])
        .output()
        .unwrap();
    assert!(!output.status.success(), "two things at once: {}", text(&output));
}

#[test]
fn an_engine_that_is_not_to_migrate_by_itself_says_what_to_run() {
    let folder = tempfile::tempdir().unwrap();
    let command = |arguments: &[&str]| {
        let mut command = mayday(folder.path());
        command
            .args(arguments)
            .env("MAYDAY__STORE__MIGRATE_ON_START", "false");
        text(&command.output().unwrap())
    };
    let refused = command(&["serve"]);
    assert!(refused.contains("mayday migrate"), "{refused}");
    assert!(command(&["migrate", "--status"]).contains("pending"));
    assert!(command(&["migrate", "--dry-run"]).contains("nothing was changed"));
    assert!(
        command(&["migrate", "--status"]).contains("pending"),
        "a rehearsal is no premiere"
    );
    let migrated = command(&["migrate"]);
    assert!(migrated.contains("applied 0001_rooms"), "{migrated}");
    assert!(!command(&["migrate", "--status"]).contains("pending"));
    let left: Vec<_> = std::fs::read_dir(folder.path().join("data"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("rehearsal"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
}

#[tokio::test]
async fn two_engines_do_not_share_a_folder() {
    let engine = Engine::start(&[]);
    let output = engine.command(&["serve"]).output().unwrap();
    assert!(!output.status.success());
    assert!(!text(&output).contains("listening on"), "{}", text(&output));
    engine.nobody().get("/ready").await.ok(200);
}
