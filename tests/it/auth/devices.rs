//! Device tokens: who registered a device id can prove it.

use mayday::config::{DeviceSecrets, Secret};
use mayday::domain::ids::DeviceId;
use mayday::http::device_tokens::DeviceTokens;
use serde_json::json;

use super::issuer::metric;
use crate::support::{Engine, fire, uuid4};

const DEVICE_SECRET: &str = "a-device-secret-of-the-tests-0123456789-abcdef";

/// What registering hands out, by the secret that the engine was given.
fn token_of(device: &str) -> String {
    let secrets = DeviceSecrets {
        current: Secret::new(DEVICE_SECRET).unwrap(),
        previous: None,
    };
    DeviceTokens::new(&secrets).issue(DeviceId::new(device).unwrap())
}

#[tokio::test]
async fn where_tokens_are_required_a_device_id_alone_is_nobody() {
    let engine = Engine::start(&[
        ("auth.require_device_token", "true"),
        ("auth.device_secret", DEVICE_SECRET),
    ]);
    let device = engine.device();
    let (mine, others) = (token_of(device.device_id()), token_of(&uuid4()));
    let raise = async |token: Option<&str>| {
        let request = device.request(reqwest::Method::POST, "/api/v1/sos").json(&fire());
        match token {
            Some(token) => request.header("X-Device-Token", token),
            None => request,
        }
        .send()
        .await
    };
    raise(None).await.refused(401, "UNAUTHENTICATED");
    raise(Some(&others)).await.refused(401, "UNAUTHENTICATED");
    raise(Some("")).await.refused(401, "UNAUTHENTICATED");
    raise(Some(&mine)).await.data(201);

    let id = device.device_id();
    let nobody = engine.nobody();
    for path in [
        format!("/api/ws?deviceId={id}"),
        format!("/api/ws?deviceId={id}&deviceToken={others}"),
        format!("/api/ws?deviceToken={mine}"),
    ] {
        assert_eq!(
            nobody.try_open(&path).await.err().map(|refused| refused.status),
            Some(401),
            "{path}"
        );
    }
    let good = format!("/api/ws?deviceId={id}&deviceToken={mine}");
    let mut client = nobody.try_open(&good).await.unwrap();
    client
        .expect(json!({"type": "connected", "user": {"id": id}}))
        .await;
    // Accounts need none.
    engine.user("Ana").raises(fire()).await;
    let counted = metric(&engine, r#"mayday_auth_refused_total{reason="device"}"#).await;
    assert_eq!(counted, 6.0);
}

#[tokio::test]
async fn elsewhere_a_token_is_checked_when_it_is_sent() {
    let engine = Engine::start(&[("auth.device_secret", DEVICE_SECRET)]);
    let device = engine.device();
    device.raises(fire()).await;
    let with = async |token: &str| {
        let request = device.request(reqwest::Method::GET, "/api/rooms-info");
        request.header("X-Device-Token", token).send().await.status
    };
    assert_eq!(with(&token_of(device.device_id())).await, 200);
    assert_eq!(with(&token_of(&uuid4())).await, 401);
}

#[tokio::test]
async fn tokens_outlive_a_change_of_the_secret_while_the_old_one_is_kept() {
    let mut engine = Engine::start(&[
        ("auth.require_device_token", "true"),
        ("auth.device_secret", DEVICE_SECRET),
    ]);
    let device = engine.device();
    let mine = token_of(device.device_id());
    let asks = async |engine: &Engine| {
        let request = engine.nobody().request(reqwest::Method::GET, "/api/rooms-info");
        let request = request.header("X-Device-ID", device.device_id());
        request.header("X-Device-Token", &mine).send().await.status
    };
    assert_eq!(asks(&engine).await, 200);
    engine.terminate();
    engine.set(
        "auth.device_secret",
        "another-device-secret-of-the-tests-0123456789",
    );
    engine.set("auth.device_secret_previous", DEVICE_SECRET);
    engine.restart();
    assert_eq!(asks(&engine).await, 200);
    engine.terminate();
    engine.set("auth.device_secret_previous", "");
    engine.restart();
    assert_eq!(asks(&engine).await, 401);
}
