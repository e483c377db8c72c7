//! The issuer's keys change, and the issuer is not always there.

use std::time::{Duration, Instant};

use super::issuer::{Issuer, Mood, bearer, claims, metric, metric_reaches, takes, takes_soon};
use super::signer::Signer;
use crate::support::eventually;

/// Nothing is fetched unless a token asks for it.
const RARELY: (&str, &str) = ("auth.jwks_refresh_s", "3600");
const OFTEN: (&str, &str) = ("auth.jwks_refresh_s", "1");
const SOON: (&str, &str) = ("auth.jwks_early_min_s", "1");

#[tokio::test]
async fn a_new_key_is_fetched_when_its_first_token_comes_and_the_old_one_ends() {
    let (old, new) = (Signer::es256("2025"), Signer::es256("2026"));
    let issuer = Issuer::of(&[&old]).await;
    let engine = issuer.engine(&[RARELY, SOON]);
    assert!(
        takes(&engine, &old).await,
        "the first request waits for the first fetch"
    );
    issuer.serves(&[&new]);
    metric_reaches(&engine, "mayday_jwks_age_seconds", 2.0).await;
    assert!(takes(&engine, &new).await, "the very first one");
    let error = bearer(&engine, &old).get("/api/rooms-info").await.ok(401);
    assert_eq!(error["message"], "the token's key is not known");
}

#[tokio::test]
async fn a_socket_is_opened_with_a_key_that_is_new() {
    let (old, new) = (Signer::es256("2025"), Signer::eddsa("2026"));
    let issuer = Issuer::of(&[&old]).await;
    let engine = issuer.engine(&[RARELY, SOON]);
    assert!(takes(&engine, &old).await);
    issuer.serves(&[&old, &new]);
    metric_reaches(&engine, "mayday_jwks_age_seconds", 2.0).await;
    bearer(&engine, &new).connect().await.hears_nothing_more().await;
}

#[tokio::test]
async fn made_up_key_ids_cost_the_issuer_next_to_nothing() {
    let ours = Signer::es256("ours");
    let issuer = Issuer::of(&[&ours]).await;
    let engine = issuer.engine(&[RARELY, ("auth.jwks_early_min_s", "3600")]);
    assert!(takes(&engine, &ours).await);
    let asked = issuer.asked();
    for n in 0..100 {
        let made_up = ours.sign_as(&claims("u-1"), Some(&format!("made-up-{n}")));
        engine.bearer(&made_up).get("/api/rooms-info").await.ok(401);
    }
    assert_eq!(issuer.asked(), asked);
    let counted = metric(
        &engine,
        r#"mayday_auth_refused_total{reason="token_key_unknown"}"#,
    )
    .await;
    assert_eq!(counted, 100.0);
}

#[tokio::test]
async fn an_issuer_that_is_away_or_talks_rubbish_does_no_harm() {
    let ours = Signer::es256("ours");
    let issuer = Issuer::of(&[&ours]).await;
    let engine = issuer.engine(&[
        OFTEN,
        SOON,
        ("auth.jwks_timeout_ms", "300"),
        ("auth.jwks_max_bytes", "4096"),
        ("auth.jwks_keys_max", "3"),
    ]);
    assert!(takes(&engine, &ours).await);
    let many: Vec<&Signer> = std::iter::repeat_n(&ours, 4).collect();
    let body = |text: &str| Mood::Answers(200, text.to_owned());
    for (mood, outcome) in [
        (Mood::Away, "unreachable"),
        (Mood::Hangs, "timeout"),
        (Mood::Answers(500, "oh".into()), "status"),
        (body(&"x".repeat(5_000)), "too_large"),
        (body("<html>down for maintenance</html>"), "invalid"),
        (body("{\"keys\":[]}"), "invalid"),
        (body(&super::signer::set_of(&many).to_string()), "invalid"),
    ] {
        let name = format!("mayday_jwks_refreshes_total{{outcome=\"{outcome}\"}}");
        let before = metric(&engine, &name).await;
        issuer.is(mood);
        metric_reaches(&engine, &name, before + 1.0).await;
        assert!(takes(&engine, &ours).await, "after {outcome}");
    }
    // And when it is well again, so is everything.
    let new = Signer::eddsa("new");
    issuer.serves(&[&new]);
    takes_soon(&engine, &new).await;
}

#[tokio::test]
async fn keys_outlive_a_restart_while_the_issuer_is_away() {
    let ours = Signer::rs256("ours");
    let issuer = Issuer::of(&[&ours]).await;
    let mut engine = issuer.engine(&[RARELY, SOON]);
    assert!(takes(&engine, &ours).await);
    let cache = engine.data().join("jwks.json");
    eventually("the keys are kept", || async { cache.exists().then_some(()) }).await;
    engine.kill9();
    issuer.is(Mood::Away);
    engine.restart();
    assert!(takes(&engine, &ours).await);
    assert!(engine.log().contains("the issuer's keys are remembered"));
    // Keys of another address are not.
    engine.kill9();
    let other = Issuer::of(&[]).await;
    other.is(Mood::Away);
    engine.set("auth.jwks_url", &other.url());
    engine.restart();
    assert!(!takes(&engine, &ours).await);
}

#[tokio::test]
async fn keys_that_are_too_old_are_refused_until_the_issuer_is_back() {
    let ours = Signer::es256("ours");
    let issuer = Issuer::of(&[&ours]).await;
    let engine = issuer.engine(&[OFTEN, SOON, ("auth.jwks_stale_max_s", "2")]);
    assert!(takes(&engine, &ours).await);
    assert_eq!(metric(&engine, "mayday_jwks_stale").await, 0.0);
    issuer.is(Mood::Away);
    let error = eventually("the keys are too old", || async {
        let answer = bearer(&engine, &ours).get("/api/rooms-info").await;
        (answer.status == 401).then(|| answer.json())
    })
    .await;
    assert_eq!(
        error["message"],
        "the keys of the token's issuer are too old: it cannot be reached"
    );
    assert_eq!(metric(&engine, "mayday_jwks_stale").await, 1.0);
    assert!(metric(&engine, "mayday_jwks_age_seconds").await >= 2.0);
    // An SOS needs no issuer.
    engine.device().raises(crate::support::fire()).await;
    eventually("the log says so", || async {
        engine.log().contains("its tokens are refused").then_some(())
    })
    .await;
    issuer.serves(&[&ours]);
    takes_soon(&engine, &ours).await;
    assert_eq!(metric(&engine, "mayday_jwks_stale").await, 0.0);
}

#[tokio::test]
async fn whoever_has_a_known_key_never_waits_and_others_not_for_long() {
    let ours = Signer::es256("ours");
    let issuer = Issuer::of(&[&ours]).await;
    let engine = issuer.engine(&[
        RARELY,
        SOON,
        ("auth.jwks_timeout_ms", "60000"),
        ("auth.jwks_wait_ms", "400"),
    ]);
    assert!(takes(&engine, &ours).await);
    issuer.is(Mood::Hangs);
    let asked = issuer.asked();
    let new = Signer::es256("new");
    eventually("the issuer is asked, and hangs", || async {
        assert!(!takes(&engine, &new).await);
        (issuer.asked() > asked).then_some(())
    })
    .await;
    // From here on a fetch is under way that does not end.
    let begun = Instant::now();
    for _ in 0..20 {
        assert!(takes(&engine, &ours).await);
    }
    let known = begun.elapsed() / 20;
    let begun = Instant::now();
    assert!(!takes(&engine, &new).await);
    let unknown = begun.elapsed();
    assert!(known < Duration::from_millis(400), "{known:?}");
    assert!(
        unknown >= Duration::from_millis(400) && unknown < Duration::from_secs(5),
        "{unknown:?}"
    );
}
