//! One node on MongoDB: what happens is there after a power cut, and who comes back hears what they missed.

use serde_json::json;

use super::{engine_on, metric};
use crate::support::{HERE, circle_on, fire, mongo};

#[tokio::test]
async fn a_circle_lives_on_mongodb_and_outlives_its_node() {
    let mut circle = circle_on(engine_on(&mongo::shared().await, &[]).await).await;
    let room = circle.room.clone();
    assert_eq!(circle.engine.nobody().get("/ready").await.status, 200);
    circle.at_ana.writes(&room, "before").await;
    let heard = circle.at_ben.reads(&room, "before").await["seq"].clone();
    circle.at_ana.writes(&room, "he misses this").await;
    let sos = circle.ana.raises(fire()).await;
    assert!(metric(&circle.engine, "mayday_store_commits_total").await >= 4.0);

    circle.engine.kill9();
    circle.engine.restart();

    let mut at_ben = circle.ben.connect().await;
    at_ben
        .expect(json!({"type": "auto-joined", "roomId": room}))
        .await;
    at_ben.expect(json!({"type": "auto-join-summary"})).await;
    at_ben
        .says(json!({"type": "join-room", "roomId": room, "since": heard}))
        .await;
    at_ben
        .expect(json!({"type": "join-approved", "roomId": room, "recovered": true}))
        .await;
    at_ben.reads(&room, "he misses this").await;

    let near = format!("/api/v1/sos?lat={}&lng={}&radius=1000", HERE.0, HERE.1);
    let (found, _) = circle.engine.user("Dora").role("ADMIN").get(&near).await.page();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["sosId"], json!(sos));
    assert!(metric(&circle.engine, "mayday_store_breaker").await < 0.5);
    assert!(circle.engine.terminate().success());
}
