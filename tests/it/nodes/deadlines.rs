//! What is due, whichever node sees to it.

use std::time::Duration;

use mayday::domain::ids::{DeviceId, RoomId};
use mayday::domain::people::Identity;
use mayday::domain::room::{Command, EventBody, LeaveReason, UserType};

use super::cluster::{Cluster, report};
use crate::support::eventually;

fn room(name: &str) -> RoomId {
    RoomId::new(name).unwrap()
}

const HALF_AN_HOUR: Duration = Duration::from_secs(30 * 60);

async fn idle(cluster: &Cluster, sos: &RoomId) -> usize {
    let log = cluster.log(sos).await;
    let idle = |body: &EventBody| {
        matches!(
            body,
            EventBody::Left {
                reason: LeaveReason::Idle,
                ..
            }
        )
    };
    log.iter().filter(|event| idle(&event.body)).count()
}

#[actix::test]
async fn who_is_connected_to_one_node_is_idle_on_none() {
    let cluster = Cluster::start(2).await;
    let sos = room("sos");
    let (staff, away) = (cluster.guest(0, "staff"), cluster.guest(0, "away"));
    let there = cluster.guest(1, "there");
    staff.raises(&sos).await;
    away.joins(&sos).await;
    there.joins(&sos).await;
    staff.hears_times("user-joined", 2).await;
    away.goes();
    there.hears("user-left").await;
    // Node 1 cannot be heard, but it lives and writes down who is there.
    cluster.hub.cut_all();
    for _ in 0..4 {
        cluster.clock.pass(HALF_AN_HOUR / 4 + Duration::from_secs(60));
        let noted = || {
            cluster.nodes[1]
                .node()
                .janitor
                .noted
                .load(std::sync::atomic::Ordering::Relaxed)
        };
        let before = noted();
        eventually("it is noted who is there", || async {
            (noted() > before).then_some(())
        })
        .await;
    }
    cluster.hub.mend_all();
    eventually("whoever went is out", || async {
        (idle(&cluster, &sos).await >= 1).then_some(())
    })
    .await;
    there.writes(&sos, "here");
    staff
        .hears_that("room-message", |message| message["content"] == "here")
        .await;
    assert_eq!(idle(&cluster, &sos).await, 1);
}

#[actix::test]
async fn rooms_of_a_dead_node_are_woken_by_the_others_each_its_share() {
    let cluster = Cluster::start(3).await;
    let who = |n: u8| std::sync::Arc::new(Identity::device(DeviceId::from_random([n; 16])));
    let mut all = vec![];
    for n in 0..24 {
        let sos = cluster.nodes[0]
            .create_sos(&who(n), report(), None)
            .await
            .unwrap()
            .sos;
        let user_type = UserType::Citizen;
        cluster.nodes[0]
            .act(&sos, &who(n + 100), Command::Join { user_type }, None)
            .await
            .unwrap();
        all.push(sos);
    }
    cluster.kill(0);
    let holds = |node: usize| {
        let registry = &cluster.nodes[node].node().registry;
        let held: Vec<&RoomId> = all.iter().filter(|sos| registry.peek(sos).is_some()).collect();
        held.len()
    };
    eventually("every room is held by somebody", || async {
        (holds(1) + holds(2) >= 24).then_some(())
    })
    .await;
    for node in [1, 2] {
        let mine = all
            .iter()
            .filter(|sos| cluster.nodes[node].node().cluster.peers.minds(sos))
            .count();
        assert_eq!(holds(node), mine, "its share, and no more");
    }
    assert!(holds(1) > 0 && holds(2) > 0 && holds(1) + holds(2) == 24);
}
