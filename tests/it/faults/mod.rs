//! What the engine does when things break. These tests are greedy: nextest runs few of them at once.

mod durable;
mod full_disk;
mod kill;
mod mailbox;
mod node;
mod panic;
mod stalled_reader;

use serde_json::{Value, json};

use crate::support::{Client, Person};

/// The messages that a room's log holds, by place and id, as a member reads them.
pub async fn messages_of(person: &Person, room: &str) -> Vec<(u64, Value)> {
    let mut client = person.connect().await;
    client.says(json!({"type": "join-room", "roomId": room})).await;
    client
        .expect(json!({"type": "join-approved", "roomId": room}))
        .await;
    history_of(&mut client, room).await
}

/// The same on a connection that is in.
pub async fn history_of(client: &mut Client, room: &str) -> Vec<(u64, Value)> {
    let (mut since, mut found) = (0, Vec::new());
    loop {
        client
            .says(json!({"type": "get-history", "roomId": room, "since": since, "limit": 200}))
            .await;
        let page = client.expect(json!({"type": "history", "roomId": room})).await;
        for event in page["events"].as_array().unwrap() {
            if event["type"] == "room-message" {
                found.push((event["seq"].as_u64().unwrap(), event["id"].clone()));
            }
        }
        since = page["seq"].as_u64().unwrap();
        if page["more"] == false {
            return found;
        }
    }
}
