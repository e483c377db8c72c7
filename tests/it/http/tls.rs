//! HTTPS, and certificates that change while the engine runs.

use std::fs;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Engine, Pki, eventually, fire};

#[tokio::test]
async fn https_answers_beside_http_from_the_same_engine() {
    let pki = Pki::new();
    let engine = pki.engine(&[]);
    let ana = engine.device();
    let url = format!("https://{}/api/v1/sos", engine.tls_address());
    let request = pki
        .http(&["http/1.1"])
        .post(&url)
        .header("X-Device-ID", ana.device_id());
    let answer = request.json(&fire()).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.version(), reqwest::Version::HTTP_11);
    assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000");
    let created: Value = answer.json().await.unwrap();
    let path = format!("/api/v1/sos/{}", created["data"]["sosId"].as_str().unwrap());
    let plain = ana.get(&path).await;
    assert_eq!(plain.header("Strict-Transport-Security"), None);
    plain.data(200);
}

#[tokio::test]
async fn without_the_plain_listener_there_is_tls_only() {
    let pki = Pki::new();
    let engine = pki.engine(&[("http.plain", "false")]);
    let url = format!("https://{}/health", engine.tls_address());
    assert_eq!(
        pki.http(&["http/1.1"]).get(url).send().await.unwrap().status(),
        200
    );
    // Who speaks plain HTTP to the TLS port gets no answer, and nobody else notices.
    let plain = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/health", engine.tls_address());
    assert!(plain.get(url).send().await.is_err());
    pki.shown(engine.tls_address()).await;
}

#[tokio::test]
async fn old_versions_of_tls_are_refused_as_the_settings_say() {
    let pki = Pki::new();
    let engine = pki.engine(&[]);
    let only = |version| pki.client_config(&[], &[version]);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        pki.try_connect(engine.tls_address(), only(version))
            .await
            .unwrap();
    }
    let strict = pki.engine(&[("tls.min_version", "1.3")]);
    let refused = pki
        .try_connect(strict.tls_address(), only(&rustls::version::TLS12))
        .await;
    assert!(refused.is_err());
    pki.try_connect(strict.tls_address(), only(&rustls::version::TLS13))
        .await
        .unwrap();
    eventually("a failed handshake is counted", || async {
        let metrics = strict.nobody().get("/metrics").await.text;
        let failed = "mayday_tls_handshakes_total{outcome=\"failed\"} 1";
        let done = "mayday_tls_handshakes_total{outcome=\"ok\"} 1";
        (metrics.contains(failed) && metrics.contains(done)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_new_certificate_is_shown_without_a_restart() {
    let pki = Pki::new();
    let engine = pki.engine(&[("tls.reload_s", "1")]);
    let old = pki.shown(engine.tls_address()).await;
    // A connection from before goes on.
    let mut before = pki.connect(engine.tls_address(), &["http/1.1"]).await;
    let new = pki.renew();
    assert_ne!(old, new);
    eventually("the new certificate is shown", || async {
        (pki.shown(engine.tls_address()).await == new).then_some(())
    })
    .await;
    let request = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    before.write_all(request).await.unwrap();
    let mut answer = String::new();
    before.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

#[tokio::test]
async fn sighup_loads_the_certificate_and_a_broken_one_changes_nothing() {
    let pki = Pki::new();
    let engine = pki.engine(&[("tls.reload_s", "3600")]);
    let count = |outcome: &'static str, wanted: u32| {
        let line = format!("mayday_tls_certificate_reloads_total{{outcome=\"{outcome}\"}} {wanted}");
        let nobody = engine.nobody();
        eventually("the reload is counted", move || {
            let (line, nobody) = (line.clone(), nobody.clone());
            async move { nobody.get("/metrics").await.text.contains(&line).then_some(()) }
        })
    };
    let old = pki.shown(engine.tls_address()).await;
    fs::write(pki.path("chain.pem"), "not a certificate").unwrap();
    engine.hang_up();
    count("failed", 1).await;
    assert_eq!(pki.shown(engine.tls_address()).await, old);
    assert!(engine.log().contains("the old one stays"), "{}", engine.log());
    let new = pki.renew();
    engine.hang_up();
    count("ok", 1).await;
    assert_eq!(pki.shown(engine.tls_address()).await, new);
}

#[tokio::test]
async fn the_end_of_the_certificate_is_a_metric() {
    let pki = Pki::new();
    let metrics = pki.engine(&[]).nobody().get("/metrics").await.text;
    // What rcgen writes when it is not told: the year 4096.
    let line = metrics
        .lines()
        .find(|line| line.starts_with("mayday_tls_certificate_expires_timestamp_seconds "))
        .unwrap();
    let seconds: f64 = line.split_once(' ').unwrap().1.parse().unwrap();
    assert!((6.7e10..6.8e10).contains(&seconds), "{line}");
}

#[tokio::test]
async fn sighup_without_tls_ends_nothing() {
    let engine = Engine::start(&[]);
    engine.hang_up();
    eventually("it was heard", || async {
        engine.log().contains("SIGHUP").then_some(())
    })
    .await;
    engine.nobody().get("/health").await.ok(200);
}

#[tokio::test]
async fn who_never_finishes_the_handshake_is_let_go() {
    let pki = Pki::new();
    let engine = pki.engine(&[("tls.handshake_timeout_ms", "200"), ("tls.handshakes_max", "1")]);
    let mut idle = Vec::new();
    for _ in 0..3 {
        let mut socket = tokio::net::TcpStream::connect(engine.tls_address())
            .await
            .unwrap();
        socket.write_all(&[0x16, 0x03, 0x01]).await.unwrap();
        idle.push(socket);
    }
    for mut socket in idle {
        let mut end = [0; 64];
        let read = tokio::time::timeout(Duration::from_secs(10), socket.read(&mut end)).await;
        assert!(matches!(read.unwrap(), Ok(0) | Err(_)));
    }
    pki.shown(engine.tls_address()).await;
}

#[tokio::test]
async fn a_start_without_a_usable_certificate_says_which_file_is_at_fault() {
    let pki = Pki::new();
    let engine = pki.engine(&[]);
    for (text, said) in [
        ("nonsense", "chain.pem: holds no certificate"),
        ("", "chain.pem: holds no certificate"),
    ] {
        fs::write(pki.path("chain.pem"), text).unwrap();
        let mut command = engine.command(&["serve"]);
        let folder = tempfile::tempdir().unwrap();
        let output = command.env("MAYDAY__DATA__PATH", folder.path()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && told.contains(said), "{told}");
        let checked = engine.command(&["check"]).output().unwrap();
        assert!(!checked.status.success(), "{checked:?}");
    }
}
