//! Whose tokens count: those of a key that the settings or the issuer's set name, in that key's algorithm.

use serde_json::json;

use super::issuer::{Issuer, Mood, bearer, claims, metric, takes};
use super::signer::{Signer, set_of};
use crate::support::engine::mayday;
use crate::support::{Engine, sign};

#[tokio::test]
async fn tokens_of_every_algorithm_are_taken_by_the_issuers_set() {
    let signers = Signer::all();
    let issuer = Issuer::of(&signers.iter().collect::<Vec<_>>()).await;
    let engine = issuer.engine(&[]);
    for signer in &signers {
        bearer(&engine, signer).get("/api/rooms-info").await.ok(200);
        let mut client = bearer(&engine, signer).connect().await;
        client.hears_nothing_more().await;
    }
    // Beside them, those of the engine's own secret.
    engine.user("Ana").get("/api/rooms-info").await.ok(200);
    assert_eq!(metric(&engine, "mayday_jwks_keys").await, 3.0);
}

#[tokio::test]
async fn tokens_of_every_algorithm_are_taken_by_key_files() {
    let folder = tempfile::tempdir().unwrap();
    let signers = Signer::all();
    let paths: Vec<String> = signers
        .iter()
        .enumerate()
        .map(|(n, signer)| {
            let path = folder.path().join(format!("{n}.pem"));
            std::fs::write(&path, &signer.pem).unwrap();
            path.display().to_string()
        })
        .collect();
    let engine = Engine::start(&[("auth.key_files", &paths.join(", "))]);
    for signer in &signers {
        assert!(takes(&engine, signer).await);
    }
    assert!(!takes(&engine, &Signer::es256("e")).await, "another key");
}

#[tokio::test]
async fn a_set_may_be_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let signer = Signer::eddsa("d");
    let path = folder.path().join("set.json");
    std::fs::write(&path, set_of(&[&signer]).to_string()).unwrap();
    let engine = Engine::start(&[("auth.jwks_file", path.to_str().unwrap())]);
    bearer(&engine, &signer).get("/api/rooms-info").await.ok(200);
}

#[tokio::test]
async fn an_algorithm_that_is_not_configured_is_refused_and_counted() {
    let (ec, ed) = (Signer::es256("e"), Signer::eddsa("d"));
    let issuer = Issuer::of(&[&ec, &ed]).await;
    let engine = issuer.engine(&[("auth.algorithms", "EdDSA")]);
    assert!(takes(&engine, &ed).await);
    let good = ed.sign(&claims("u-1"));
    let (_, rest) = good.split_once('.').unwrap();
    let refused = [
        ec.sign(&claims("u-1")),
        sign(&claims("u-1")),
        // {"alg":"none","typ":"JWT"}
        format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{rest}"),
        format!(
            "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.",
            rest.split_once('.').unwrap().0
        ),
    ];
    for token in &refused {
        let error = engine.bearer(token).get("/api/rooms-info").await.ok(401);
        assert_eq!(error["message"], "the token's algorithm is not accepted");
        let refused = engine.bearer(token).try_open("/api/ws").await;
        assert_eq!(refused.err().map(|refused| refused.status), Some(401));
    }
    let counted = metric(&engine, r#"mayday_auth_refused_total{reason="token_algorithm"}"#).await;
    assert_eq!(counted, 8.0);
}

#[tokio::test]
async fn issuer_and_audience_are_looked_at_when_they_are_configured() {
    let signer = Signer::es256("e");
    let issuer = Issuer::of(&[&signer]).await;
    let engine = issuer.engine(&[
        ("auth.issuer", "https://id.example.org"),
        ("auth.audience", "mayday, mayday-staging"),
    ]);
    let ask = async |iss: &str, aud: serde_json::Value| {
        let mut claims = claims("u-1");
        claims["iss"] = json!(iss);
        claims["aud"] = aud;
        let answer = engine.bearer(&signer.sign(&claims)).get("/api/rooms-info").await;
        answer.status
    };
    let ours = "https://id.example.org";
    assert_eq!(ask(ours, json!("mayday")).await, 200);
    assert_eq!(ask(ours, json!(["else", "mayday-staging"])).await, 200);
    assert_eq!(ask(ours, json!("else")).await, 401);
    assert_eq!(ask("https://evil.example", json!("mayday")).await, 401);
    assert!(!takes(&engine, &signer).await, "without either");
}

#[tokio::test]
async fn a_set_is_not_fetched_from_where_the_issuer_points() {
    let (ours, theirs) = (Signer::es256("e"), Signer::es256("e"));
    let (issuer, other) = (Issuer::of(&[&ours]).await, Issuer::of(&[&theirs]).await);
    issuer.is(Mood::Redirects(other.url()));
    let engine = issuer.engine(&[]);
    assert!(!takes(&engine, &theirs).await);
    assert_eq!(other.asked(), 0);
}

#[test]
fn keys_of_no_use_are_told_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("private.pem"), "-----BEGIN PRIVATE KEY-----\n").unwrap();
    for (key, value, part) in [
        (
            "KEY_FILES",
            "missing.pem",
            "auth.key_files: missing.pem: No such file",
        ),
        (
            "KEY_FILES",
            "private.pem",
            "auth.key_files: private.pem: holds a private key",
        ),
        (
            "JWKS_URL",
            "http://id.example.org/jwks",
            "auth.jwks_url: must be https",
        ),
        ("ALGORITHMS", "HS256, none", "auth.algorithms: "),
        ("API_KEYS", "dispatch 00 *", "auth.api_keys: "),
    ] {
        for command in ["check", "serve"] {
            let output = mayday(folder.path())
                .arg(command)
                .env(format!("MAYDAY__AUTH__{key}"), value)
                .env("MAYDAY__HTTP__PORT", "0")
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(
                !output.status.success() && text.contains(part),
                "{command} {key}={value}: {text}"
            );
        }
    }
}
