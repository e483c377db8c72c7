//! A full mailbox: what does not fit is refused by name, and what was taken is not lost.

use mayday::actors::Settings;
use mayday::domain::ids::RoomId;
use mayday::domain::room::Seq;
use mayday::store::Store;

use super::node::{Node, count, creates};
use crate::support::eventually;

const LIMIT: usize = 16;
const SENT: usize = 100;

#[actix::test]
async fn a_full_mailbox_refuses_by_name_and_loses_nothing_it_took() {
    let settings = Settings {
        room_mailbox_max: LIMIT,
        ..Settings::default()
    };
    let node = Node::start(settings);
    let (room, owner) = (RoomId::new("circle").unwrap(), node.session("ana"));
    creates(&node, &owner, &room);
    owner
        .hears_until("the room is there", |heard| count(heard, "room-created") == 1)
        .await;

    // Whoever made the room is answered a moment before their place in the queue is free.
    eventually("nothing waits", || async {
        (node.engine.node().registry.get(&room).waiting() == 0).then_some(())
    })
    .await;

    node.store.hold();
    for n in 0..SENT {
        owner.writes(&node, &room, &format!("m-{n}"));
    }
    let refused = owner
        .hears_until("the rest is refused", |heard| {
            count(heard, "error") >= SENT - LIMIT
        })
        .await;
    assert_eq!(refused.len(), SENT - LIMIT, "{refused:?}");
    assert!(
        refused.iter().all(|message| message["code"] == "BUSY"),
        "{refused:?}"
    );
    assert_eq!(node.engine.node().registry.get(&room).waiting(), LIMIT);

    node.store.release();
    let heard = owner
        .hears_until("what was taken is accepted", |heard| {
            count(heard, "room-message") == LIMIT
        })
        .await;
    assert_eq!(count(&heard, "message-accepted"), LIMIT);
    let accepted: Vec<_> = heard
        .iter()
        .filter(|message| message["type"] == "message-accepted")
        .map(|message| message["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(accepted, (0..LIMIT).map(|n| format!("m-{n}")).collect::<Vec<_>>());
    let log = node.store.events(&room, Seq::ZERO, 1_000).await.unwrap();
    let kept = log.iter().filter(|event| event.body.kind() == "message").count();
    assert_eq!(kept, LIMIT);

    // There is room again.
    owner.writes(&node, &room, "afterwards");
    owner
        .hears_until("it goes on", |heard| count(heard, "message-accepted") == 1)
        .await;
}
