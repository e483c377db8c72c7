//! A room that panics under load is rebuilt from its log, and those in it hear every event, once, in order.

use std::collections::BTreeMap;

use mayday::actors::Settings;
use mayday::domain::ids::RoomId;
use mayday::domain::room::{Command, Seq, UserType};
use mayday::store::Store;
use serde_json::Value;

use super::node::{Node, Seated, count, creates};

/// How often the room panics, each time in another way and place.
const PANICS: usize = 6;
/// Messages between two panics.
const BURST: usize = 200;

#[actix::test]
async fn a_room_that_panics_under_load_leaves_no_gap_for_those_in_it() {
    // Small batches, so that a burst is many writes.
    let settings = Settings {
        room_batch_max: 8,
        ..Settings::default()
    };
    let node = Node::start(settings);
    let room = RoomId::new("circle").unwrap();
    let owner = node.session("ana");
    creates(&node, &owner, &room);
    let mut heard: BTreeMap<usize, Vec<Value>> = BTreeMap::new();
    let start = owner
        .hears_until("the room is there", |heard| count(heard, "room-created") == 1)
        .await;
    heard.insert(0, start);

    // An alarm while three quiet people sit there too. They are let in as the log says: by asking.
    let quiet: Vec<Seated> = (0..3).map(|n| node.session(&format!("quiet-{n}"))).collect();
    for (n, session) in quiet.iter().enumerate() {
        session.says(&node, &room, Command::RequestJoin);
        let asked = owner
            .hears_until("asked", |heard| count(heard, "join-request") == 1)
            .await;
        let request = asked
            .iter()
            .find(|message| message["type"] == "join-request")
            .unwrap();
        let who = request["requesterId"].as_str().unwrap().parse().unwrap();
        owner.says(
            &node,
            &room,
            Command::ApproveJoin {
                who,
                user_type: UserType::Citizen,
            },
        );
        let let_in = session
            .hears_until("let in", |heard| count(heard, "join-approved") == 1)
            .await;
        heard.insert(n + 1, let_in);
        heard.get_mut(&0).unwrap().extend(asked);
    }

    let mut sent = 0;
    for panic in 0..PANICS {
        match panic % 2 {
            0 => node.store.panic_before_write(panic * 3),
            _ => node.store.panic_after_write(panic * 3),
        }
        for _ in 0..BURST {
            owner.writes(&node, &room, &format!("m-{sent}"));
            sent += 1;
        }
        // Those whose message was on its way are told to ask again, and do: by its id it is the same one.
        again_until_accepted(
            &node,
            &room,
            &owner,
            sent - BURST..sent,
            heard.get_mut(&0).unwrap(),
        )
        .await;
        assert!(node.store.has_panicked(), "panic {panic} did not happen");
    }

    let log = node.store.events(&room, Seq::ZERO, 100_000).await.unwrap();
    let seqs: Vec<u64> = log.iter().map(|event| event.seq.get()).collect();
    assert_eq!(
        seqs,
        (1..=seqs.len() as u64).collect::<Vec<_>>(),
        "a gap in the log"
    );
    let kept: Vec<u64> = log
        .iter()
        .filter(|event| event.body.kind() == "message")
        .map(|event| event.seq.get())
        .collect();
    assert_eq!(kept.len(), sent, "messages are missing or doubled");

    let last = *kept.last().unwrap();
    for (n, session) in std::iter::once(&owner).chain(&quiet).enumerate() {
        let heard = heard.get_mut(&n).unwrap();
        let reached = |more: &[Value]| {
            more.iter()
                .any(|message| message["seq"] == last && is_message(message))
        };
        if !reached(heard) {
            let rest = session.hears_until("the last message", reached).await;
            heard.extend(rest);
        }
        let told: Vec<u64> = heard
            .iter()
            .filter(|message| is_message(message))
            .map(|message| message["seq"].as_u64().unwrap())
            .collect();
        assert_eq!(
            told, kept,
            "session {n} heard a gap, a repetition or another order"
        );
    }

    // Operators read the same: how often it died, and that it is at rest between two writes.
    let shared = node.engine.node().registry.get(&room);
    crate::support::eventually("the deaths are counted and the room is ready", || async {
        let rebuilt = node
            .engine
            .node()
            .janitor
            .rebuilt
            .load(std::sync::atomic::Ordering::Relaxed);
        let ready = shared.shared().phase() == mayday::actors::room::Phase::Ready;
        (rebuilt >= 1 && ready).then_some(())
    })
    .await;
}

fn is_message(message: &Value) -> bool {
    message["type"] == "room-message"
}

/// Sends again what was not accepted, as clients do, until everything is.
async fn again_until_accepted(
    node: &Node,
    room: &RoomId,
    owner: &Seated,
    sent: std::ops::Range<usize>,
    heard: &mut Vec<Value>,
) {
    let mut missing: Vec<String> = sent.map(|n| format!("m-{n}")).collect();
    let mut answered = 0;
    loop {
        let wanted = missing.len();
        // Every message is answered: accepted, or told to ask again.
        let news = owner
            .hears_until("every message is answered", |news| {
                count(news, "message-accepted") + count(news, "error") >= wanted
            })
            .await;
        answered += news.len();
        assert!(answered < 100_000, "it never ends");
        for message in news.iter().filter(|message| message["type"] == "error") {
            let code = message["code"].as_str().unwrap();
            assert!(["ROOM_RESTARTED", "BUSY"].contains(&code), "{message}");
        }
        for message in news
            .iter()
            .filter(|message| message["type"] == "message-accepted")
        {
            missing.retain(|id| message["id"] != id.as_str());
        }
        heard.extend(news);
        if missing.is_empty() {
            return;
        }
        for id in &missing {
            owner.writes(node, room, id);
        }
    }
}
