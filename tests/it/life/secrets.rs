//! Secrets are made once, kept private and printed nowhere.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use crate::support::{Engine, now_s, sign_with};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn without_secrets_strong_ones_are_made_kept_and_never_printed() {
    let mut engine = Engine::start(&[
        ("auth.jwt_secret", ""),
        ("auth.internal_token", ""),
        ("log.filter", "trace"),
    ]);
    let folder = engine.data().join("secrets");
    let read = || {
        ["jwt_secret", "internal_token"].map(|name| {
            let path = folder.join(name);
            assert_eq!(mode(&path), 0o600, "{name}");
            std::fs::read_to_string(path).unwrap().trim().to_owned()
        })
    };
    let secrets = read();
    assert_ne!(secrets[0], secrets[1]);
    assert!(secrets.iter().all(|secret| secret.len() >= 32));

    // They sign what the engine accepts, also after a restart.
    let token = sign_with(
        &json!({"userId": "u-1", "role": "CITIZEN", "exp": now_s() + 600}),
        &secrets[0],
    );
    engine.bearer(&token).get("/api/v1/sos").await.ok(200);
    engine.user("Ana").get("/api/v1/sos").await.ok(401);
    let output = engine
        .command(&["token", "--user", "u-2", "--role", "CITIZEN"])
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    engine.bearer(printed.trim()).get("/api/v1/sos").await.ok(200);
    assert!(engine.terminate().success());
    engine.restart();
    assert_eq!(read(), secrets);
    engine.bearer(&token).get("/api/v1/sos").await.ok(200);

    let log = engine.log() + &String::from_utf8_lossy(&output.stderr) + &printed;
    for secret in &secrets {
        assert!(!log.contains(secret.as_str()), "a secret was printed");
    }
}

#[tokio::test]
async fn a_secret_that_others_can_read_is_made_private_or_refused() {
    let mut engine = Engine::start(&[("auth.jwt_secret", ""), ("auth.internal_token", "")]);
    let path = engine.data().join("secrets/jwt_secret");
    assert!(engine.terminate().success());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let output = engine
        .command(&["token", "--user", "u-1", "--role", "CITIZEN"])
        .output()
        .unwrap();
    assert!(
        !output.status.success() || mode(&path) == 0o600,
        "others can read the key, and it is used"
    );
}

#[tokio::test]
async fn the_files_of_the_data_folder_are_the_owners_only() {
    let engine = Engine::start(&[]);
    engine.user("Ana").raises(crate::support::fire()).await;
    for entry in std::fs::read_dir(engine.data()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(
            mode(&path) & 0o007,
            0,
            "{} can be read by anybody",
            path.display()
        );
    }
}
