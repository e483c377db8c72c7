//! MongoDB is away: whoever comes is told so soon, with when to come back; and when it is back everything goes on.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use super::{engine_on, metric};
use crate::support::mongo::Set;
use crate::support::{eventually, fire};

#[tokio::test]
async fn a_node_without_its_store_says_so_at_once_and_goes_on_when_it_is_back() {
    let mut set = Set::start(1).await;
    let settings = [
        ("mongo.server_selection_timeout_ms", "500"),
        ("mongo.write_timeout_ms", "1500"),
        ("mongo.operation_timeout_ms", "1500"),
        ("mongo.breaker_failures", "3"),
        ("mongo.breaker_probe_ms", "100"),
    ];
    let engine = engine_on(&set.url("away"), &settings).await;
    let ana = engine.user("Ana");
    let before = ana.raises(fire()).await;

    set.kill_all();
    let begun = Instant::now();
    let answer = ana
        .request(Method::POST, "/api/v1/sos")
        .json(&fire())
        .send()
        .await;
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "it took {:?}",
        begun.elapsed()
    );
    assert!(answer.header("Retry-After").is_some());
    answer.refused(503, "UNAVAILABLE");
    let ready = eventually("it is known to be away", || async {
        let ready = engine.nobody().get("/ready").await;
        (ready.status == 503).then_some(ready)
    })
    .await;
    assert_eq!(ready.json()["failing"], json!(["store"]));
    eventually("the breaker has opened", || async {
        ana.get("/api/v1/sos").await;
        (metric(&engine, "mayday_store_breaker").await > 0.5).then_some(())
    })
    .await;
    let begun = Instant::now();
    let answer = ana
        .request(Method::POST, "/api/v1/sos")
        .json(&fire())
        .send()
        .await;
    assert!(
        begun.elapsed() < Duration::from_millis(450),
        "nobody waits in vain: {:?}",
        begun.elapsed()
    );
    assert!(answer.header("Retry-After").is_some());
    answer.refused(503, "UNAVAILABLE");

    set.restart_all();
    eventually("it is back", || async {
        (engine.nobody().get("/ready").await.status == 200).then_some(())
    })
    .await;
    let after = ana.raises(fire()).await;
    let dora = engine.user("Dora").role("ADMIN");
    for sos in [before, after] {
        dora.get(&format!("/api/v1/sos/{sos}")).await.data(200);
    }
    assert!(metric(&engine, "mayday_store_breaker_opened_total").await >= 1.0);
    assert!(metric(&engine, "mayday_store_breaker").await < 0.5);
}
