//! What those who run the engine look at.

use serde_json::json;

use crate::support::{Engine, circle, fire};

#[tokio::test]
async fn a_healthy_node_says_so() {
    let engine = Engine::start(&[]);
    let ready = json!({"status": "ready", "channels": {}});
    for (path, well) in [("/health", json!({"status": "ok"})), ("/ready", ready)] {
        assert_eq!(engine.nobody().get(path).await.ok(200), well, "{path}");
    }
}

#[tokio::test]
async fn the_node_in_numbers() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    circle.at_ana.writes(&room, "hello").await;
    circle
        .at_ana
        .says(json!({"type": "location-update", "latitude": 14.5, "longitude": 120.9}))
        .await;
    circle
        .at_ana
        .expect(json!({"type": "location-update-confirmed"}))
        .await;
    circle.ana.raises(fire()).await;
    let answer = circle.engine.nobody().get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("Content-Type").unwrap().starts_with("text/plain"));
    let names: Vec<&str> = answer
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .collect();
    for part in [
        "connections gauge",
        "rooms",
        "events",
        "positions",
        "deliver",
        "dropped",
        "queue",
        "append",
        "fan",
        "sos",
        "histogram",
    ] {
        assert!(
            names.iter().any(|name| name.contains(part)),
            "nothing counts {part}:\n{}",
            names.join("\n")
        );
    }
    assert!(
        names
            .iter()
            .all(|name| name.starts_with("mayday_") || name.starts_with("process_")),
        "{names:?}"
    );
    let connections = answer
        .text
        .lines()
        .find(|line| line.starts_with("mayday_connections "))
        .unwrap();
    assert!(connections.ends_with(" 2"), "{connections}");
}
