//! Answers made smaller, and bodies that come so.

use std::io::{Read, Write};

use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Engine, Person, UNLIMITED, fire};

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(plain).unwrap();
    packer.finish().unwrap()
}

/// A list that is worth packing.
async fn busy() -> (Engine, Person) {
    let engine = Engine::start(&UNLIMITED);
    let device = engine.device();
    for _ in 0..20 {
        device.raises(fire()).await;
    }
    (engine, device)
}

async fn list(
    engine: &Engine,
    device: &Person,
    accept: Option<&str>,
) -> (reqwest::header::HeaderMap, Vec<u8>) {
    let url = format!("http://{}/api/v1/sos?limit=20", engine.address());
    let request = reqwest::Client::builder().no_proxy().build().unwrap().get(url);
    let mut request = request.header("X-Device-ID", device.device_id());
    if let Some(accept) = accept {
        request = request.header("Accept-Encoding", accept);
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    (
        response.headers().clone(),
        response.bytes().await.unwrap().to_vec(),
    )
}

#[tokio::test]
async fn a_long_answer_is_packed_as_the_client_likes_best() {
    let (engine, device) = busy().await;
    let (headers, plain) = list(&engine, &device, None).await;
    assert!(headers.get("content-encoding").is_none());
    let vary = headers["vary"].to_str().unwrap();
    assert!(vary.ends_with("accept-encoding"), "{vary}");
    let expected: Value = serde_json::from_slice(&plain).unwrap();
    let same = |unpacked: &[u8]| {
        let found: Value = serde_json::from_slice(unpacked).unwrap();
        assert_eq!(
            found["data"].as_array().unwrap().len(),
            expected["data"].as_array().unwrap().len()
        );
    };
    for accept in ["gzip", "deflate, gzip;q=0.5", "br;q=0.1, gzip", "GZIP"] {
        let (headers, packed) = list(&engine, &device, Some(accept)).await;
        assert_eq!(headers["content-encoding"], "gzip", "{accept}");
        assert_eq!(headers["content-length"], packed.len().to_string());
        assert!(
            packed.len() * 3 < plain.len(),
            "{} of {}",
            packed.len(),
            plain.len()
        );
        let mut unpacked = Vec::new();
        GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
        same(&unpacked);
    }
    for accept in ["br", "gzip, deflate, br", "gzip;q=0.9, br;q=0.9"] {
        let (headers, packed) = list(&engine, &device, Some(accept)).await;
        assert_eq!(headers["content-encoding"], "br", "{accept}");
        let mut unpacked = Vec::new();
        brotli::Decompressor::new(&packed[..], 4096)
            .read_to_end(&mut unpacked)
            .unwrap();
        same(&unpacked);
    }
    for accept in ["", "identity", "deflate", "gzip;q=0, br;q=0", "nonsense;;q=x"] {
        let (headers, _) = list(&engine, &device, Some(accept)).await;
        assert!(headers.get("content-encoding").is_none(), "{accept}");
    }
}

#[tokio::test]
async fn a_short_answer_is_left_as_it_is() {
    let engine = Engine::start(&[]);
    let request = engine
        .nobody()
        .request(Method::GET, "/health")
        .header("Accept-Encoding", "gzip, br");
    let answer = request.send().await;
    assert_eq!(answer.header("Content-Encoding"), None);
    assert_eq!(answer.json()["status"], "ok");
}

#[tokio::test]
async fn the_settings_may_forbid_it_or_move_the_bound() {
    for (settings, packed) in [
        (
            [("compression.enabled", "false"), ("compression.min_bytes", "1")],
            false,
        ),
        (
            [("compression.enabled", "true"), ("compression.min_bytes", "1")],
            false,
        ),
        (
            [
                ("compression.enabled", "true"),
                ("compression.min_bytes", "1000000"),
            ],
            false,
        ),
        (
            [("compression.enabled", "true"), ("compression.min_bytes", "1000")],
            true,
        ),
    ] {
        let engine = Engine::start(&settings);
        // What would grow by being packed is not; metrics are long, health is short.
        let path = if settings[1].1 == "1" {
            "/health"
        } else {
            "/metrics"
        };
        let url = format!("http://{}{path}", engine.address());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client
            .get(url)
            .header("Accept-Encoding", "gzip")
            .send()
            .await
            .unwrap();
        assert_eq!(
            answer.headers().contains_key("content-encoding"),
            packed,
            "{settings:?}"
        );
    }
}

#[tokio::test]
async fn what_a_phone_packs_for_its_way_is_taken() {
    let engine = Engine::start(&[]);
    let device = engine.device();
    let body = gzip(fire().to_string().as_bytes());
    let request = device
        .request(Method::POST, "/api/v1/sos")
        .header("Content-Encoding", "gzip");
    request
        .body("application/json", body.clone())
        .send()
        .await
        .data(201);
    let request = device
        .request(Method::POST, "/api/v1/sos")
        .header("Content-Encoding", "gzip");
    let broken = request
        .body("application/json", body[..body.len() / 2].to_vec())
        .send()
        .await;
    broken.refused(400, "VALIDATION_FAILED");
    for coding in ["br", "deflate", "gzip, gzip"] {
        let request = device
            .request(Method::POST, "/api/v1/sos")
            .header("Content-Encoding", coding);
        let refused = request.body("application/json", body.clone()).send().await;
        assert_eq!(refused.header("Accept-Encoding"), Some("gzip"), "{coding}");
        refused.refused(415, "UNSUPPORTED_MEDIA_TYPE");
    }
}

#[tokio::test]
async fn a_body_that_unpacks_to_more_than_is_allowed_is_refused() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    // 64 MiB of blanks before the end of the object.
    let mut bomb = json!({"type": "FIRE"}).to_string().into_bytes();
    bomb.splice(1..1, std::iter::repeat_n(b' ', 60 << 20));
    let bomb = gzip(&bomb);
    assert!(bomb.len() < 65_536, "{}", bomb.len());
    for path in ["/api/v1/sos", "/api/location", "/api/location/batch"] {
        let request = ana.request(Method::POST, path).header("Content-Encoding", "gzip");
        let refused = request.body("application/json", bomb.clone()).send().await;
        assert_eq!(refused.status, 413, "{path}: {refused:?}");
    }
}
