//! A restore into an engine that runs, with people in its rooms.

use serde_json::json;

use super::{backs_up, file, log_of, restores, run};
use crate::support::{Circle, Heard, circle, fire};

/// An engine that has been put back to an older backup, though a newer one exists.
struct PutBack {
    circle: Circle,
    sos: String,
    newer: std::path::PathBuf,
}

/// Ana's circle and incident with a message each in the older backup, and two in the newer.
async fn put_back() -> PutBack {
    let mut circle = circle().await;
    let room = circle.room.clone();
    let sos = circle.ana.raises(fire()).await;
    let messages = format!("/api/v1/sos/{sos}/messages");
    // She hears what happens in her incident.
    circle.at_ana.writes(&room, "one").await;
    circle.at_ben.reads(&room, "one").await;
    circle
        .ana
        .post(&messages, json!({"content": "one"}))
        .await
        .data(201);
    let (older, newer) = (file(&circle.engine, "older"), file(&circle.engine, "newer"));
    backs_up(&circle.engine, &older).await;
    circle
        .ana
        .post(&messages, json!({"content": "two"}))
        .await
        .data(201);
    circle
        .ben
        .post(
            &format!("/api/v1/sos/{sos}/participants/join"),
            json!({"userType": "CITIZEN"}),
        )
        .await
        .data(201);
    backs_up(&circle.engine, &newer).await;
    assert!(circle.engine.terminate().success());
    let older = older.to_str().unwrap().to_owned();
    run(&circle.engine, &["restore", "--force", &older]).await.well();
    circle.engine.restart();
    PutBack { circle, sos, newer }
}

#[tokio::test]
async fn who_sits_in_a_room_hears_what_the_backup_has_more_and_the_log_goes_on() {
    let PutBack { circle, sos, newer } = put_back().await;
    let dora = circle.engine.user("Dora").role("ADMIN");
    assert_eq!(log_of(&dora, &sos).await.len(), 3);
    let mut at_ana = circle.ana.connect().await;
    at_ana
        .says(json!({"type": "join-room", "roomId": sos, "since": 3}))
        .await;
    at_ana
        .expect(json!({"type": "join-approved", "roomId": sos, "recovered": true, "seq": 3}))
        .await;
    let said = restores(&circle.engine, &newer).await.well();
    assert!(said.contains("0 were taken and 1 continued"), "{said}");
    // What came from the backup reaches her as if it had just happened.
    let heard = loop {
        match at_ana.hears().await {
            Heard::Message(heard) if heard["type"] == "room-message" => break heard,
            Heard::Message(_) => {}
            end => panic!("{end:?}"),
        }
    };
    assert_eq!((&heard["content"], &heard["seq"]), (&json!("two"), &json!(4)));
    let log = log_of(&dora, &sos).await;
    assert_eq!(log.len(), 5);
    // Ben, who came in after the older backup, is in again and may write.
    let said = circle
        .ben
        .post(
            &format!("/api/v1/sos/{sos}/messages"),
            json!({"content": "three"}),
        )
        .await
        .data(201);
    assert_eq!(said["seq"], 6);
    assert_eq!(circle.engine.log().matches("ERROR").count(), 0);
}

#[tokio::test]
async fn a_room_that_has_gone_another_way_stays_and_is_named() {
    let PutBack { circle, sos, newer } = put_back().await;
    let dora = circle.engine.user("Dora").role("ADMIN");
    circle
        .ana
        .post(
            &format!("/api/v1/sos/{sos}/messages"),
            json!({"content": "another way"}),
        )
        .await
        .data(201);
    let log = log_of(&dora, &sos).await;
    let said = restores(&circle.engine, &newer).await;
    assert_eq!(said.code, Some(3), "{}", said.text);
    assert!(said.text.contains(&sos), "{}", said.text);
    assert_eq!(log_of(&dora, &sos).await, log);
}
