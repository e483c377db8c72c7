//! People over nodes: their memberships, their blocks, their erasure.

use mayday::delivery::{CloseReason, EndReason};
use mayday::domain::geo::{Fix, Position};
use mayday::domain::ids::RoomId;
use mayday::domain::room::{Command, UserType};
use smallvec::smallvec;

use super::cluster::{Cluster, Guest, HERE, report};
use crate::support::eventually;

fn room(name: &str) -> RoomId {
    RoomId::new(name).unwrap()
}

async fn is_closed(guest: &Guest, reason: CloseReason) {
    eventually("the connection is closed", || async {
        let ended = guest.shared.outbox().end_reason();
        ended.map(|ended| assert_eq!(ended, EndReason::Closed(reason)))
    })
    .await;
}

#[actix::test]
async fn an_upload_goes_to_the_rooms_that_one_is_in_whichever_node_they_were_joined_on() {
    let cluster = Cluster::start(2).await;
    let one = cluster.guest(0, "one");
    let fix = |n: u8| {
        let position = Position::new(HERE.0 + f64::from(n) / 1_000.0, HERE.1).unwrap();
        smallvec![Fix::new(position, cluster.nodes[0].node().now())]
    };
    let first = cluster.nodes[0]
        .create_sos(one.identity(), report(), None)
        .await
        .unwrap()
        .sos;
    // The other node remembers what it finds.
    let rooms = cluster.nodes[1]
        .upload(one.identity(), None, fix(0))
        .await
        .unwrap();
    assert_eq!(rooms, std::slice::from_ref(&first));
    let second = cluster.nodes[0]
        .create_sos(one.identity(), report(), None)
        .await
        .unwrap()
        .sos;
    eventually("it has heard of the second", || async {
        let rooms = cluster.nodes[1]
            .upload(one.identity(), None, fix(1))
            .await
            .unwrap();
        (rooms.len() == 2).then_some(())
    })
    .await;
    cluster.nodes[0]
        .act(&first, one.identity(), Command::Leave, None)
        .await
        .unwrap();
    eventually("it has heard of the end", || async {
        let rooms = cluster.nodes[1]
            .upload(one.identity(), None, fix(2))
            .await
            .unwrap();
        (rooms == [second.clone()]).then_some(())
    })
    .await;
}

#[actix::test]
async fn a_block_holds_on_every_node_and_closes_what_is_open_there() {
    let cluster = Cluster::start(2).await;
    let sos = room("sos");
    let (staff, rogue) = (cluster.guest(0, "staff"), cluster.citizen(1, "rogue", 5));
    staff.raises(&sos).await;
    rogue.joins(&sos).await;
    let view = cluster.nodes[0].view(&sos, staff.identity()).await.unwrap();
    let who = view
        .people
        .iter()
        .find(|p| p.subject == rogue.identity().subject)
        .unwrap()
        .participant;
    cluster.nodes[0]
        .block(who, staff.identity(), None, None)
        .await
        .unwrap();
    is_closed(&rogue, CloseReason::Forbidden).await;
    let node = cluster.nodes[1].node();
    assert!(node.blocks.holds(&rogue.identity().subject, node.now()));
    cluster.nodes[0].unblock(who).await.unwrap();
    eventually("it is lifted everywhere", || async {
        (!node.blocks.holds(&rogue.identity().subject, node.now())).then_some(())
    })
    .await;
}

#[actix::test]
async fn a_block_that_was_made_while_the_bus_was_away_holds_when_it_is_back() {
    let cluster = Cluster::start(2).await;
    let sos = room("sos");
    let (staff, rogue) = (cluster.guest(0, "staff"), cluster.citizen(1, "rogue", 5));
    staff.raises(&sos).await;
    rogue.joins(&sos).await;
    let view = cluster.nodes[0].view(&sos, staff.identity()).await.unwrap();
    let who = view
        .people
        .iter()
        .find(|p| p.subject == rogue.identity().subject)
        .unwrap()
        .participant;
    cluster.hub.cut_all();
    cluster.nodes[0]
        .block(who, staff.identity(), None, None)
        .await
        .unwrap();
    assert!(rogue.shared.is_open());
    cluster.hub.mend_all();
    is_closed(&rogue, CloseReason::Forbidden).await;
}

#[actix::test]
async fn an_erased_person_is_forgotten_on_every_node_and_their_connections_are_closed() {
    let cluster = Cluster::start(3).await;
    let sos = room("sos");
    let (staff, gone) = (cluster.guest(0, "staff"), cluster.citizen(1, "gone", 5));
    staff.raises(&sos).await;
    gone.joins(&sos).await;
    staff.hears("user-joined").await;
    let knows = |node: usize| {
        let (engine, sos, staff) = (cluster.nodes[node].clone(), sos.clone(), staff.identity().clone());
        let subject = gone.identity().subject.clone();
        async move {
            let view = engine.view(&sos, &staff).await.unwrap();
            view.people.iter().any(|person| person.subject == subject)
        }
    };
    for node in 0..3 {
        assert!(knows(node).await);
    }
    cluster.nodes[2].erase(gone.identity()).await.unwrap();
    is_closed(&gone, CloseReason::Erased).await;
    for node in 0..3 {
        eventually("the node has forgotten them", || async {
            (!knows(node).await).then_some(())
        })
        .await;
    }
}

#[actix::test]
async fn somebody_who_was_erased_while_the_bus_was_away_is_forgotten_when_it_is_back() {
    let cluster = Cluster::start(2).await;
    let sos = room("sos");
    let (staff, gone) = (cluster.guest(0, "staff"), cluster.citizen(1, "gone", 5));
    staff.raises(&sos).await;
    gone.joins(&sos).await;
    staff.hears("user-joined").await;
    cluster.hub.cut_all();
    cluster.nodes[1].erase(gone.identity()).await.unwrap();
    cluster.hub.mend_all();
    eventually("the other node has forgotten them", || async {
        let view = cluster.nodes[0].view(&sos, staff.identity()).await.unwrap();
        let known = view
            .people
            .iter()
            .any(|person| person.subject == gone.identity().subject);
        (!known).then_some(())
    })
    .await;
}

#[actix::test]
async fn everybody_knows_who_is_connected_and_a_dead_nodes_people_fade() {
    let cluster = Cluster::start(3).await;
    let sos = room("sos");
    let guests = [0, 1, 2].map(|node| cluster.guest(node, &format!("guest{node}")));
    guests[0].raises(&sos).await;
    guests[1].joins(&sos).await;
    guests[2].joins(&sos).await;
    let online = |node: usize, count: usize| {
        let (engine, sos, who) = (
            cluster.nodes[node].clone(),
            sos.clone(),
            guests[0].identity().clone(),
        );
        async move {
            eventually(&format!("node {node} sees {count} connected"), || async {
                let view = engine.view(&sos, &who).await.unwrap();
                (view.online.len() == count).then_some(())
            })
            .await;
        }
    };
    for node in 0..3 {
        online(node, 3).await;
    }
    // A second connection of the same person elsewhere: they stay when the first one ends.
    let second = cluster.guest(0, "guest1");
    second.joins(&sos).await;
    guests[1].goes();
    guests[0]
        .hears_that("user-joined", |joined| joined["user"]["name"] == "guest2")
        .await;
    online(2, 3).await;
    assert_eq!(guests[2].all_of("user-left"), Vec::<serde_json::Value>::new());
    second.goes();
    let left = guests[2].hears("user-left").await;
    assert_eq!(left["userName"], "guest1");
    online(2, 2).await;
    cluster.kill(2);
    online(0, 1).await;
    guests[0]
        .hears_that("user-left", |left| left["userName"] == "guest2")
        .await;
    // A member again, on a node that lives: the log knows them all the time.
    let view = cluster.nodes[0].view(&sos, guests[0].identity()).await.unwrap();
    assert_eq!(view.state.active_participants().count(), 3);
    let user_type = UserType::Admin;
    let again = cluster.nodes[1]
        .act(&sos, guests[2].identity(), Command::Join { user_type }, None)
        .await;
    assert!(again.is_err(), "they are in already");
}
