//! Who was erased after a backup was made does not come back with it.

use std::path::Path;

use reqwest::Method;
use serde_json::json;

use super::{backs_up, file, log_of, restores, run};
use crate::support::{Engine, Person, fire_with, now_ms};

/// Which files of a folder hold this text.
fn holding(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, text));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

async fn is_unknown(device: &Person, sos: &str) {
    let answer = device.get("/api/v1/devices/me").await;
    assert_eq!(answer.status, 404, "{answer:?}");
    let positions = device.get("/api/locations").await.ok(200);
    assert_eq!(positions["data"], json!([]), "{positions}");
    let _ = sos;
}

#[tokio::test]
async fn an_erased_device_does_not_come_back_with_a_backup() {
    let mut engine = Engine::unlimited();
    let (device, other) = (engine.device(), engine.device());
    let dora = engine.user("Dora").role("ADMIN");
    let body = fire_with(json!({"deviceInfo": {"os": "Android 15"}}));
    let request = device
        .request(Method::POST, "/api/v1/sos")
        .header("Idempotency-Key", "once");
    let sos = request.json(&body).send().await.data(201)["sosId"]
        .as_str()
        .unwrap()
        .to_owned();
    other.raises(body).await;
    let fix = json!({"latitude": 14.58, "longitude": 120.97, "timestamp": now_ms()});
    device
        .post(&format!("/api/v1/sos/{sos}/location"), fix)
        .await
        .ok(200);
    let log = log_of(&dora, &sos).await;
    let backup = file(&engine, "a.backup");
    backs_up(&engine, &backup).await;
    assert_ne!(holding(engine.data(), device.device_id()), Vec::<String>::new());
    let erased = device.request(Method::DELETE, "/api/v1/devices/me").send().await;
    assert!(erased.status < 300, "{erased:?}");
    is_unknown(&device, &sos).await;

    // Into the engine that runs.
    restores(&engine, &backup).await.well();
    is_unknown(&device, &sos).await;
    // In place of what is there.
    assert!(engine.terminate().success());
    assert_eq!(holding(engine.data(), device.device_id()), Vec::<String>::new());
    run(&engine, &["restore", "--force", backup.to_str().unwrap()])
        .await
        .well();
    assert_eq!(holding(engine.data(), device.device_id()), Vec::<String>::new());
    assert_ne!(
        holding(engine.data(), other.device_id()),
        Vec::<String>::new(),
        "the other is here"
    );
    engine.restart();
    is_unknown(&device, &sos).await;
    // And into an engine that has only the mark: what stays is the audit trail.
    restores(&engine, &backup).await.well();
    is_unknown(&device, &sos).await;
    let kept = log_of(&dora, &sos).await;
    assert_eq!(kept.len(), log.len());
    assert!(engine.terminate().success());
    assert_eq!(holding(engine.data(), device.device_id()), Vec::<String>::new());
}
