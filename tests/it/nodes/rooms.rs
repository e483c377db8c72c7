//! One room on several nodes: every member hears every event once and in order, whatever becomes of the hints.

use std::collections::HashSet;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use mayday::bus::local::Faults;
use mayday::bus::{Health, Topic};
use mayday::domain::geo::{Fix, Position};
use mayday::domain::ids::{MessageId, RoomId};
use mayday::domain::room::{Command, EventBody, UserType};
use smallvec::smallvec;

use super::cluster::{Cluster, Guest, HERE, each_once_in_order};
use crate::support::eventually;

fn room(name: &str) -> RoomId {
    RoomId::new(name).unwrap()
}

fn message(id: String) -> Command {
    let id = MessageId::new(id).unwrap();
    let content = id.as_str().to_owned();
    Command::SendMessage { id, content }
}

/// Who said what, as somebody heard it.
fn contents(guest: &Guest) -> Vec<String> {
    let heard = guest.all_of("room-message");
    let content = |message: &serde_json::Value| message["content"].as_str().unwrap().to_owned();
    heard.iter().map(content).collect()
}

/// Everybody has heard each of these messages once, in the order of the log.
async fn all_hear(cluster: &Cluster, sos: &RoomId, guests: &[&Guest], count: usize) {
    for guest in guests {
        guest.hears_times("room-message", count).await;
        each_once_in_order(&guest.seqs());
    }
    let log = cluster.log(sos).await;
    let logged: Vec<String> = log
        .iter()
        .filter_map(|event| match &event.body {
            EventBody::MessageSent { content, .. } => Some(content.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(logged.len(), count);
    for guest in guests {
        assert_eq!(contents(guest), logged);
    }
}

#[actix::test]
async fn members_on_different_nodes_hear_each_event_once_and_in_order() {
    let cluster = Cluster::start(3).await;
    let sos = room("sos");
    let guests = [0, 1, 2].map(|node| cluster.guest(node, &format!("guest{node}")));
    guests[0].raises(&sos).await;
    guests[1].joins(&sos).await;
    guests[2].joins(&sos).await;
    guests[0].hears_times("user-joined", 2).await;
    for n in 0..40 {
        for guest in &guests {
            guest.writes(&sos, &format!("{}-{n}", guest.identity().name.as_ref().unwrap()));
        }
        if n % 10 == 0 {
            tokio::task::yield_now().await;
        }
    }
    all_hear(&cluster, &sos, &guests.each_ref(), 120).await;
    for guest in &guests {
        assert_eq!(guest.all_of("message-accepted").len(), 40, "each is answered");
        assert_eq!(guest.all_of("error"), Vec::<serde_json::Value>::new());
    }
    // A name that came by a hint.
    let names: HashSet<String> = guests[2]
        .all_of("room-message")
        .iter()
        .map(|message| message["userName"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names.len(), 3, "{names:?}");
}

#[actix::test]
async fn hints_that_are_lost_late_and_repeated_change_nothing() {
    let cluster = Cluster::start(2).await;
    let sos = room("sos");
    let (one, other) = (cluster.guest(0, "one"), cluster.guest(1, "other"));
    one.raises(&sos).await;
    other.joins(&sos).await;
    one.hears("user-joined").await;
    let faults = Faults {
        lose: 0.3,
        repeat: 0.3,
        delay: Duration::from_millis(30),
    };
    cluster.hub.suffer(faults, 7);
    for n in 0..60 {
        let (from, name) = if n % 3 == 0 { (&other, "b") } else { (&one, "a") };
        from.writes(&sos, &format!("{name}{n}"));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // The last hint may be lost, too: then the room looks by itself.
    all_hear(&cluster, &sos, &[&one, &other], 60).await;
    let repaired = |node: usize| {
        let counts = &cluster.nodes[node].node().cluster.counts;
        (
            counts.repaired.load(Relaxed),
            counts.repaired_events.load(Relaxed),
        )
    };
    let (gaps, events) = (repaired(0).0 + repaired(1).0, repaired(0).1 + repaired(1).1);
    assert!(gaps > 0 && events >= gaps, "{gaps} {events}");
}

#[actix::test]
async fn a_node_that_is_cut_off_serves_its_own_and_catches_up_when_it_is_back() {
    let cluster = Cluster::start(2).await;
    let sos = room("sos");
    let (one, other) = (cluster.guest(0, "one"), cluster.guest(1, "other"));
    one.raises(&sos).await;
    other.joins(&sos).await;
    one.hears("user-joined").await;
    cluster.hub.cut(cluster.id(1));
    assert_eq!(cluster.nodes[1].node().bus.health(), Health::Away);
    for n in 0..10 {
        one.writes(&sos, &format!("a{n}"));
        other.writes(&sos, &format!("b{n}"));
        other.hears_times("message-accepted", n + 1).await;
        one.hears_times("message-accepted", n + 1).await;
    }
    // Whoever writes learns what the others wrote before, and a question is answered as things are.
    let seq = one.calls(&sos, message("c0".into())).await.unwrap().seq;
    let view = cluster.nodes[1].view(&sos, other.identity()).await.unwrap();
    assert!(view.state.seq >= seq);
    one.writes(&sos, "a10");
    one.hears_times("message-accepted", 11).await;
    cluster.hub.mend(cluster.id(1));
    all_hear(&cluster, &sos, &[&one, &other], 22).await;
}

#[actix::test]
async fn a_member_of_a_node_that_died_resumes_on_another_and_misses_nothing() {
    let cluster = Cluster::start(2).await;
    let sos = room("sos");
    let (one, other) = (cluster.guest(0, "one"), cluster.guest(1, "other"));
    one.raises(&sos).await;
    other.joins(&sos).await;
    for n in 0..5 {
        one.writes(&sos, &format!("a{n}"));
    }
    other.hears_times("room-message", 5).await;
    let since = *other.seqs().last().unwrap();
    cluster.kill(1);
    // Their node is gone, and so are they, until they are back.
    one.hears_that("user-left", |left| left["seq"].is_null()).await;
    for n in 5..10 {
        one.writes(&sos, &format!("a{n}"));
    }
    let back = cluster.guest(0, "other");
    back.asks_to_join(&sos, Some(since));
    let approved = back.hears("join-approved").await;
    assert_eq!(approved["recovered"], true);
    let heard: Vec<String> = back
        .hears_times("room-message", 5)
        .await
        .iter()
        .map(|m| m["content"].to_string())
        .collect();
    assert_eq!(heard, (5..10).map(|n| format!("\"a{n}\"")).collect::<Vec<_>>());
    each_once_in_order(&back.seqs());
    one.hears_that("user-joined", |joined| joined["seq"].is_null())
        .await;
}

#[actix::test]
async fn whoever_comes_with_a_since_that_this_node_has_not_heard_of_resumes_all_the_same() {
    let cluster = Cluster::start(2).await;
    let sos = room("sos");
    let (one, other) = (cluster.guest(0, "one"), cluster.guest(1, "other"));
    one.raises(&sos).await;
    other.joins(&sos).await;
    let late = Faults {
        delay: Duration::from_millis(500),
        ..Faults::default()
    };
    cluster.hub.suffer(late, 1);
    for n in 0..20 {
        one.writes(&sos, &format!("a{n}"));
        one.hears_times("message-accepted", n + 1).await;
    }
    let since = *one.seqs().last().unwrap();
    let moved = cluster.guest(1, "one");
    moved.asks_to_join(&sos, Some(since));
    let approved = moved.hears("join-approved").await;
    assert_eq!(
        (&approved["recovered"], approved["seq"].as_u64().unwrap()),
        (&true.into(), since)
    );
    assert_eq!(
        moved.all_of("room-message"),
        Vec::<serde_json::Value>::new(),
        "nothing twice"
    );
    all_hear(&cluster, &sos, &[&other], 20).await;
}

#[actix::test]
async fn what_was_acknowledged_on_one_node_is_answered_by_every_other_at_once() {
    let cluster = Cluster::start(3).await;
    let late = Faults {
        delay: Duration::from_millis(300),
        ..Faults::default()
    };
    cluster.hub.suffer(late, 3);
    let one = cluster.guest(0, "one");
    let sos = cluster.nodes[0]
        .create_sos(one.identity(), super::cluster::report(), None)
        .await
        .unwrap()
        .sos;
    for n in 0..30 {
        let told = one.calls(&sos, message(format!("m{n}"))).await.unwrap();
        for node in [1, 2] {
            let view = cluster.nodes[node].view(&sos, one.identity()).await.unwrap();
            assert!(
                view.state.seq >= told.seq,
                "node {node} tells what is out of date"
            );
        }
    }
    // Neither is anything refused, or thought done, that is no longer so.
    let somebody = cluster.guest(1, "somebody");
    let user_type = UserType::Admin;
    for _ in 0..10 {
        let joined = cluster.nodes[1]
            .act(&sos, somebody.identity(), Command::Join { user_type }, None)
            .await;
        assert_eq!(joined.map(|outcome| outcome.events.len()), Ok(1));
        let left = cluster.nodes[2]
            .act(&sos, somebody.identity(), Command::Leave, None)
            .await;
        assert_eq!(left.map(|outcome| outcome.events.len()), Ok(1));
    }
}

#[actix::test]
async fn three_nodes_that_write_without_a_pause_are_all_served() {
    let cluster = Cluster::start(3).await;
    let sos = room("sos");
    let guests = [0, 1, 2].map(|node| cluster.guest(node, &format!("guest{node}")));
    guests[0].raises(&sos).await;
    guests[1].joins(&sos).await;
    guests[2].joins(&sos).await;
    let writing = guests.iter().map(|guest| {
        let sos = &sos;
        async move {
            let name = guest.identity().name.clone().unwrap();
            let callers = (0..8).map(|caller| {
                let name = name.clone();
                async move {
                    for n in 0..25 {
                        guest
                            .calls(sos, message(format!("{name}-{caller}-{n}")))
                            .await
                            .unwrap();
                    }
                }
            });
            futures_util::future::join_all(callers).await;
        }
    });
    futures_util::future::join_all(writing).await;
    all_hear(&cluster, &sos, &guests.each_ref(), 600).await;
    // And what all of them think of it is the same.
    let mut views = vec![];
    for guest in &guests {
        views.push(guest.engine.view(&sos, guest.identity()).await.unwrap().state);
    }
    assert!(views.windows(2).all(|pair| pair[0] == pair[1]));
}

#[actix::test]
async fn positions_are_seen_on_every_node() {
    let cluster = Cluster::start(2).await;
    let sos = room("sos");
    let (one, other) = (cluster.guest(0, "one"), cluster.guest(1, "other"));
    one.raises(&sos).await;
    other.joins(&sos).await;
    one.hears("user-joined").await;
    let now = cluster.nodes[0].node().now();
    let fix = Fix::new(Position::new(HERE.0, HERE.1).unwrap(), now);
    // By REST, on the node where they are not connected.
    let rooms = cluster.nodes[1]
        .upload(one.identity(), Some(&sos), smallvec![fix])
        .await
        .unwrap();
    assert_eq!(rooms, std::slice::from_ref(&sos));
    let shown = other.hears("location-update").await;
    assert!((shown["data"]["latitude"].as_f64().unwrap() - HERE.0).abs() < 1e-6);
    eventually("every node knows where they are", || async {
        let view = cluster.nodes[0].view(&sos, other.identity()).await.unwrap();
        (view.newest.len() == 1).then_some(())
    })
    .await;
    let moved = Fix::new(
        Position::new(HERE.0 + 0.01, HERE.1).unwrap(),
        now + Duration::from_secs(30),
    );
    let third = cluster.guest(0, "third");
    third.joins(&sos).await;
    cluster.nodes[1]
        .upload(one.identity(), Some(&sos), smallvec![moved])
        .await
        .unwrap();
    third
        .hears_that("location-update", |shown| {
            shown["data"]["latitude"].as_f64().unwrap() > HERE.0 + 0.005
        })
        .await;
}

#[actix::test]
async fn a_node_listens_to_the_rooms_that_are_in_use_on_it_and_to_no_others() {
    let cluster = Cluster::with(2, |settings| settings.passivate_after = Duration::from_millis(50)).await;
    // One that node 0 minds: node 1 does not hold it for its own sake.
    let mut names = (0..).map(|n| room(&format!("sos{n}")));
    let minds = |sos: &RoomId| cluster.nodes[0].node().cluster.peers.minds(sos);
    let sos = names.find(minds).unwrap();
    let topic = Topic::Room(sos.clone());
    let (one, other) = (cluster.guest(0, "one"), cluster.guest(1, "other"));
    let listen = |count: usize| {
        let (cluster, topic) = (&cluster, &topic);
        async move {
            eventually(&format!("{count} listen"), || async {
                (cluster.hub.listeners(topic) == count).then_some(())
            })
            .await;
        }
    };
    one.raises(&sos).await;
    listen(1).await;
    other.joins(&sos).await;
    listen(2).await;
    other.says(&sos, Command::Leave);
    other.hears("room-left").await;
    listen(1).await;
    // A room that is not there is listened to by nobody.
    let nowhere = room("nowhere");
    assert!(cluster.nodes[1].view(&nowhere, other.identity()).await.is_err());
    assert_eq!(cluster.hub.listeners(&Topic::Room(nowhere)), 0);
}

#[actix::test]
async fn an_incident_that_was_only_raised_costs_no_subscription() {
    let cluster = Cluster::with(2, |settings| settings.sweep = Duration::from_secs(3_600)).await;
    let one = cluster.guest(0, "one");
    let raised = cluster.nodes[0]
        .create_sos(one.identity(), super::cluster::report(), None)
        .await
        .unwrap();
    cluster.nodes[0]
        .known_view(&raised.sos, one.identity())
        .await
        .unwrap();
    let topic = Topic::Room(raised.sos.clone());
    assert_eq!(cluster.hub.listeners(&topic), 0);
    cluster.nodes[1].view(&raised.sos, one.identity()).await.unwrap();
    assert_eq!(cluster.hub.listeners(&topic), 1);
}

#[actix::test]
async fn a_room_that_dies_of_a_panic_hears_the_others_again() {
    let cluster = Cluster::start(2).await;
    let sos = room("sos");
    let (one, other) = (cluster.guest(0, "one"), cluster.guest(1, "other"));
    one.raises(&sos).await;
    other.joins(&sos).await;
    one.writes(&sos, "a0");
    other.hears("room-message").await;
    // A question that panics where the room lives takes its actor with it.
    let asked = cluster.nodes[1]
        .glance(&sos, Some(other.identity()), |_| -> () {
            panic!("the test wants it")
        })
        .await;
    assert!(asked.is_err());
    one.writes(&sos, "a1");
    // What came to it while it died is refused, and asked for again.
    eventually("it serves again", || async {
        other.calls(&sos, message("b0".into())).await.ok()
    })
    .await;
    all_hear(&cluster, &sos, &[&one, &other], 3).await;
    let one_view = cluster.nodes[0].view(&sos, one.identity()).await.unwrap();
    assert_eq!(
        one_view.state,
        cluster.nodes[1].view(&sos, one.identity()).await.unwrap().state
    );
}
