//! Slow commands are told of with their plan, and without what they were about.

use super::{engine_on, metric};
use crate::support::{HERE, circle_on, eventually, fire_with, mongo};

#[tokio::test]
async fn slow_commands_are_logged_with_their_plan_and_without_values() {
    // So that all of them are.
    let engine = engine_on(&mongo::shared().await, &[("mongo.slow_command_ms", "1")]).await;
    let mut circle = circle_on(engine).await;
    let room = circle.room.clone();
    circle.at_ana.writes(&room, "nobody else must read this").await;
    let sos = circle
        .ana
        .raises(fire_with(
            serde_json::json!({"message": "a fire that nobody logs"}),
        ))
        .await;
    let dora = circle.engine.user("Dora").role("ADMIN");
    let near = format!("/api/v1/sos?lat={}&lng={}&radius=1000", HERE.0, HERE.1);
    eventually("plans were told", || async {
        dora.get(&near).await.page();
        dora.get("/api/v1/sos?status=ACTIVE").await.page();
        let log = circle.engine.log();
        (log.contains("slow command") && log.contains("IXSCAN(")).then_some(())
    })
    .await;
    assert!(metric(&circle.engine, "mayday_store_slow_commands_total").await >= 1.0);
    let log = circle.engine.log();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("slow command")).collect();
    let (latitude, longitude) = (HERE.0.to_string(), HERE.1.to_string());
    let secrets = [
        "nobody else must read this",
        "a fire that nobody logs",
        sos.as_str(),
        room.as_str(),
        "Ana",
        "+639",
        latitude.as_str(),
        longitude.as_str(),
    ];
    for line in told {
        for secret in secrets {
            assert!(!line.contains(secret), "{secret:?} is in: {line}");
        }
    }
}
