use super::testing::{Signer, set_of};
use super::*;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::ring::NoKey;
use crate::config::{Auth, KeyFile, KeyFiles, Secret, TokenAlgorithms};
use crate::domain::phone::Region;
use crate::domain::time::Timestamp;
use crate::http::auth::Clock;
use crate::http::jwt::{TokenError, Verifier};

const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);

fn secret() -> Secret {
    Secret::new(&"s".repeat(32)).unwrap()
}

fn claims() -> Value {
    json!({"sub": "u1", "role": "CITIZEN", "exp": NOW.ms() / 1000 + 60})
}

fn all() -> TokenAlgorithms {
    TokenAlgorithms::default()
}

fn only(name: &str) -> TokenAlgorithms {
    let text = format!("[auth]\nalgorithms = '{name}'");
    let config = crate::config::Config::parse("t.toml", &text, []).unwrap();
    config.auth.algorithms
}

fn clock_at(at: Timestamp) -> Clock {
    Arc::new(move || at)
}

/// A verifier whose key set is in a file of `folder`, read once.
async fn with_set(folder: &Path, set: &Value, change: impl FnOnce(&mut Auth)) -> Verifier {
    let file = folder.join("set.json");
    std::fs::write(&file, set.to_string()).unwrap();
    let mut auth = Auth {
        jwks_file: file.display().to_string(),
        ..Auth::default()
    };
    change(&mut auth);
    let ring = KeyRing::load(&auth, &secret(), folder, clock_at(NOW)).unwrap();
    let jwks = Arc::clone(ring.jwks().unwrap());
    let running = tokio::spawn(Arc::clone(&jwks).run());
    jwks.refreshed().await;
    running.abort();
    Verifier::new(&auth, Arc::new(ring), Region::new("PH").unwrap())
}

fn refusal(verifier: &Verifier, token: &str) -> Option<TokenError> {
    verifier.verify(token, NOW).err()
}

#[tokio::test]
async fn each_kind_of_key_verifies_its_own_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let signers = Signer::all();
    let set = set_of(&signers.iter().collect::<Vec<_>>());
    let verifier = with_set(folder.path(), &set, |_| {}).await;
    for signer in &signers {
        assert_eq!(refusal(&verifier, &signer.sign(&claims())), None);
        assert_eq!(
            refusal(&verifier, &signer.sign_as(&claims(), None)),
            None,
            "without a kid"
        );
        let other = signer.sign_as(&claims(), Some("x"));
        assert_eq!(refusal(&verifier, &other), Some(TokenError::UnknownKey));
    }
    let stranger = Signer::es256("e").sign(&claims());
    assert_eq!(
        refusal(&verifier, &stranger),
        Some(TokenError::Invalid),
        "another key of the same id"
    );
    let confused = signers[1].sign_as(&claims(), Some("d"));
    assert_eq!(
        refusal(&verifier, &confused),
        Some(TokenError::Algorithm),
        "a key of another algorithm"
    );
}

#[tokio::test]
async fn a_public_key_is_never_a_shared_secret() {
    let folder = tempfile::tempdir().unwrap();
    let signer = Signer::rs256("r");
    let verifier = with_set(folder.path(), &set_of(&[&signer]), |_| {}).await;
    let forge = |secret: &[u8], id: Option<&str>| {
        let mut header = jsonwebtoken::Header::new(Algorithm::HS256);
        header.kid = id.map(str::to_owned);
        jsonwebtoken::encode(
            &header,
            &claims(),
            &jsonwebtoken::EncodingKey::from_secret(secret),
        )
        .unwrap()
    };
    for secret in [
        signer.pem.as_bytes(),
        signer.jwk["n"].as_str().unwrap().as_bytes(),
    ] {
        for id in [None, Some("r")] {
            let refused = refusal(&verifier, &forge(secret, id));
            assert!(matches!(refused, Some(TokenError::Invalid)), "{refused:?}");
        }
    }
    // {"alg":"none"} and a name that is none.
    for header in ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJoczI1NiJ9"] {
        let good = signer.sign(&claims());
        let (_, rest) = good.split_once('.').unwrap();
        for token in [
            format!("{header}.{rest}"),
            format!("{header}.{}.", rest.split_once('.').unwrap().0),
        ] {
            assert_eq!(refusal(&verifier, &token), Some(TokenError::Algorithm));
        }
    }
}

#[tokio::test]
async fn an_algorithm_that_is_not_configured_is_refused_whatever_keys_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let (ec, ed) = (Signer::es256("e"), Signer::eddsa("d"));
    let set = set_of(&[&ec, &ed]);
    let verifier = with_set(folder.path(), &set, |auth| auth.algorithms = only("EdDSA")).await;
    assert_eq!(refusal(&verifier, &ed.sign(&claims())), None);
    assert_eq!(
        refusal(&verifier, &ec.sign(&claims())),
        Some(TokenError::Algorithm)
    );
    let shared = jsonwebtoken::EncodingKey::from_secret(secret().reveal());
    let shared = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims(), &shared).unwrap();
    assert_eq!(refusal(&verifier, &shared), Some(TokenError::Algorithm));
}

#[tokio::test]
async fn a_token_does_not_bring_its_own_key_and_asks_for_nothing_special() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Signer::es256("e"), Signer::es256("e"));
    let verifier = with_set(folder.path(), &set_of(&[&ours]), |_| {}).await;
    let mut header = jsonwebtoken::Header::new(Algorithm::ES256);
    header.kid = Some("e".into());
    header.jku = Some("https://example.org/keys".into());
    header.jwk = serde_json::from_value(theirs.jwk.clone()).ok();
    assert_eq!(
        refusal(&verifier, &theirs.sign_with(&header, &claims())),
        Some(TokenError::Invalid)
    );
    header.crit = Some(vec!["b64".into()]);
    assert_eq!(
        refusal(&verifier, &ours.sign_with(&header, &claims())),
        Some(TokenError::Critical)
    );
}

#[test]
fn a_key_of_a_set_is_used_only_for_what_it_is() {
    let (ec, ed, rsa) = (
        Signer::es256("e").jwk,
        Signer::eddsa("d").jwk,
        Signer::rs256("r").jwk,
    );
    let change = |jwk: &Value, field: &str, value: Value| {
        let mut jwk = jwk.clone();
        jwk[field] = value;
        jwk
    };
    let why = |jwk: Value| {
        let good = Signer::es256("good").jwk;
        let set = json!({"keys": [good, jwk]}).to_string();
        let (keys, unusable) = read_set(set.as_bytes(), 10, &all()).unwrap();
        assert_eq!(
            keys.len() + unusable.len(),
            2,
            "one key does not spoil the others"
        );
        unusable.first().copied()
    };
    assert_eq!(why(change(&ec, "key_ops", json!(["verify"]))), None);
    assert_eq!(why(change(&ed, "alg", json!("Ed25519"))), None);
    for (jwk, expected) in [
        (change(&ec, "use", json!("enc")), Unusable::Purpose),
        (change(&ec, "key_ops", json!(["sign"])), Unusable::Purpose),
        (change(&ec, "alg", json!("RS256")), Unusable::Algorithm),
        (change(&rsa, "alg", json!("PS256")), Unusable::Algorithm),
        (change(&rsa, "alg", json!("RSA-OAEP")), Unusable::Algorithm),
        (change(&ec, "crv", json!("P-384")), Unusable::Kind),
        (change(&ed, "crv", json!("Ed448")), Unusable::Kind),
        (change(&ec, "kty", json!("EC2")), Unusable::Kind),
        (json!({"kty": "oct", "k": "c2VjcmV0"}), Unusable::Secret),
        (json!({"kid": "x"}), Unusable::Malformed),
        (json!(7), Unusable::Malformed),
        (change(&ec, "x", json!("AAAA")), Unusable::Malformed),
        (change(&ec, "x", ec["y"].clone()), Unusable::Malformed),
        (change(&ec, "y", json!("not base64!")), Unusable::Malformed),
        // The library would read beyond the end of a short one.
        (change(&ed, "x", json!("AAAA")), Unusable::Malformed),
        (
            change(&ed, "x", json!("AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")),
            Unusable::Malformed,
        ),
        (change(&rsa, "n", json!("AQAB")), Unusable::Size),
        (change(&rsa, "e", json!("AA")), Unusable::Malformed),
    ] {
        assert_eq!(why(jwk.clone()), Some(expected), "{jwk}");
    }
}

#[test]
fn a_set_is_refused_as_a_whole_when_it_is_none_too_large_or_of_no_use() {
    let one = Signer::es256("e");
    let read = |text: String, max| read_set(text.as_bytes(), max, &all()).map(|(keys, _)| keys.len());
    assert_eq!(read(set_of(&[&one, &one]).to_string(), 2), Ok(2));
    assert_eq!(
        read(set_of(&[&one, &one]).to_string(), 1),
        Err(SetError::TooMany(2))
    );
    for text in ["", "[]", "{}", "<html>", "{\"keys\":7}"] {
        assert_eq!(read(text.into(), 2), Err(SetError::NotASet), "{text}");
    }
    assert_eq!(read("{\"keys\":[]}".into(), 2), Err(SetError::NoneUsable(0)));
    assert_eq!(read("{\"keys\":[{}]}".into(), 2), Err(SetError::NoneUsable(1)));
}

fn ring_of_files(
    files: &[(Option<&str>, &Path)],
    algorithms: TokenAlgorithms,
) -> Result<KeyRing, KeyFileError> {
    let files = files.iter().map(|(id, path)| KeyFile {
        id: id.map(str::to_owned),
        path: path.to_path_buf(),
    });
    let auth = Auth {
        key_files: KeyFiles(files.collect()),
        algorithms,
        ..Auth::default()
    };
    KeyRing::of(&auth, &secret())
}

#[test]
fn a_key_file_verifies_tokens_of_its_id_and_without_an_id_all_of_its_algorithm() {
    let folder = tempfile::tempdir().unwrap();
    for signer in Signer::all() {
        let path = folder.path().join("key.pem");
        std::fs::write(&path, &signer.pem).unwrap();
        let region = Region::new("PH").unwrap();
        let verifier = |id| {
            let ring = ring_of_files(&[(id, &path)], all()).unwrap();
            Verifier::new(&Auth::default(), Arc::new(ring), region)
        };
        for id in [None, Some("a")] {
            assert_eq!(refusal(&verifier(None), &signer.sign_as(&claims(), id)), None);
            assert_eq!(
                refusal(&verifier(Some("a")), &signer.sign_as(&claims(), id)),
                None
            );
        }
        let other = signer.sign_as(&claims(), Some("b"));
        assert_eq!(
            refusal(&verifier(Some("a")), &other),
            Some(TokenError::UnknownKey)
        );
    }
}

#[test]
fn a_key_file_of_no_use_is_refused_by_name_and_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    let why = |text: &str, algorithms| {
        std::fs::write(&path, text).unwrap();
        ring_of_files(&[(None, &path)], algorithms)
            .unwrap_err()
            .to_string()
    };
    let pem = Signer::es256("e").pem;
    let private = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for (text, algorithms, part) in [
        ("", all(), "holds no public key"),
        (private, all(), "holds a private key"),
        ("-----BEGIN CERTIFICATE-----", all(), "holds a certificate"),
        (&pem.replace("MFkw", "MFkx"), all(), "holds no public key"),
        (&pem, only("RS256"), "ES256, is not in auth.algorithms"),
    ] {
        let error = why(text, algorithms);
        assert!(error.contains("key.pem") && error.contains(part), "{error}");
    }
    let error = ring_of_files(&[(None, &folder.path().join("no.pem"))], all()).unwrap_err();
    assert!(error.to_string().contains("no.pem"));
}

#[tokio::test]
async fn keys_that_are_too_old_are_refused_and_known_ones_never_wait() {
    let folder = tempfile::tempdir().unwrap();
    let signer = Signer::es256("e");
    let stale_max = |auth: &mut Auth| auth.jwks_stale_max_s = 60;
    let verifier = with_set(folder.path(), &set_of(&[&signer]), stale_max).await;
    let long = json!({"sub": "u1", "role": "CITIZEN", "exp": NOW.ms() / 1000 + 3600});
    let token = signer.sign(&long);
    let after = |s| verifier.verify(&token, NOW + Duration::from_secs(s)).err();
    assert_eq!(after(60), None);
    assert_eq!(after(61), Some(TokenError::StaleKeys));
    assert!(verifier.may_be_new(&token, NOW).is_none(), "its key is known");
    let later = NOW + Duration::from_secs(61);
    assert!(verifier.may_be_new(&token, later).is_some(), "and too old then");
    let other = signer.sign_as(&long, Some("new"));
    assert!(verifier.may_be_new(&other, NOW).is_some());
    assert!(verifier.may_be_new("a.b.c", NOW).is_none());
    let keys = verifier.keys();
    let of = |algorithm, id| keys.candidates(algorithm, id, NOW).map(|found| found.len());
    assert_eq!(
        of(TokenAlgorithm::Hs256, Some("whatever")),
        Ok(1),
        "the secret has no id"
    );
    assert_eq!(of(TokenAlgorithm::Rs256, None), Err(NoKey::Unknown));
}

#[tokio::test]
async fn what_was_fetched_is_remembered_for_its_address_only() {
    let folder = tempfile::tempdir().unwrap();
    let signer = Signer::eddsa("d");
    let cached = json!({
        "address": "http://127.0.0.1:1/keys", "fetchedAtMs": NOW.ms() - 5_000, "set": set_of(&[&signer]),
    });
    let path = folder.path().join("jwks.json");
    std::fs::write(&path, cached.to_string()).unwrap();
    let known = |url: &str| {
        let auth = Auth {
            jwks_url: url.into(),
            ..Auth::default()
        };
        let ring = KeyRing::load(&auth, &secret(), folder.path(), clock_at(NOW)).unwrap();
        let known = ring.jwks().unwrap().known();
        known.keys.len()
    };
    assert_eq!(known("http://127.0.0.1:1/keys"), 1);
    assert_eq!(known("http://127.0.0.1:1/others"), 0);
    std::fs::write(&path, "{").unwrap();
    assert_eq!(
        known("http://127.0.0.1:1/keys"),
        0,
        "half a file is no reason not to start"
    );
}
