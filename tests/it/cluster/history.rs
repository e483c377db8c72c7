//! Positions over sockets reach history by the stream that the nodes share, also those of a node that dies.

use serde_json::json;

use super::Cluster;
use crate::support::{HERE, eventually, fire, now_ms};

/// Each far enough from the last to be kept.
const FIXES: usize = 40;

#[tokio::test]
async fn where_somebody_was_is_in_history_though_their_node_died() {
    let quick = [("bus.history_interval_s", "1"), ("bus.history_take_over_s", "2")];
    let mut cluster = Cluster::start(2, &quick).await;
    let ana = cluster.nodes[0].user("Ana");
    let sos = ana.raises(fire()).await;
    let mut at_ana = ana.connect().await;
    at_ana.joins(&sos).await;
    // Two of one millisecond are one: each says when it was measured, or quick answers would lose some.
    let begun = now_ms() - FIXES as u64;
    for n in 1..=FIXES {
        at_ana
            .says(json!({
                "type": "location-update", "roomId": sos, "timestamp": begun + n as u64,
                "latitude": HERE.0 + n as f64 * 0.001, "longitude": HERE.1,
            }))
            .await;
        at_ana.expect(json!({"type": "location-update-confirmed"})).await;
    }
    eventually("all of them are in the stream", || async {
        (cluster.redis.cli(&["xlen", "location_stream"]) == FIXES.to_string()).then_some(())
    })
    .await;
    cluster.nodes[0].kill9();
    // The second node never heard of them otherwise.
    let ana = cluster.nodes[1].user("Ana");
    let found = eventually("the other node has written them", || async {
        let page = ana
            .get(&format!("/api/v1/sos/{sos}/locations?limit=100"))
            .await
            .page()
            .0;
        (page.len() >= FIXES).then_some(page)
    })
    .await;
    assert_eq!(found.len(), FIXES, "and none twice: {found:?}");
}
