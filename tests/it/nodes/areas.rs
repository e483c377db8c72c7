//! Areas of the map, watched on one node while incidents are raised on another.

use mayday::actors::area::News;
use mayday::bus::Topic;
use mayday::domain::area::{Area, Cell};
use mayday::domain::geo::Position;
use mayday::domain::incident::Status;
use mayday::domain::room::{Command, Proof};

use super::cluster::{Cluster, Guest, HERE, report};
use crate::support::eventually;

fn here() -> Position {
    Position::new(HERE.0, HERE.1).unwrap()
}

impl Guest {
    async fn watches(&self) {
        let area = Area::new(here(), 5.0, 25).unwrap();
        let node = self.engine.node();
        assert!(node.areas.watch(area, &self.shared, node).is_some());
        self.hears("area").await;
    }
}

fn set(to: Status) -> Command {
    Command::SetStatus {
        to,
        expected: None,
        note: None,
        lower_case: false,
        proof: Proof::Nothing,
    }
}

#[actix::test]
async fn watchers_hear_of_incidents_on_other_nodes_once_and_in_order() {
    let cluster = Cluster::start(2).await;
    let (staff, watcher) = (cluster.guest(0, "staff"), cluster.guest(1, "watcher"));
    let before = cluster.nodes[0]
        .create_sos(staff.identity(), report(), None)
        .await
        .unwrap()
        .sos;
    watcher.watches().await;
    let list = watcher.hears("area").await;
    assert_eq!(list["sos"][0]["sosId"], before.as_str());
    let sos = cluster.nodes[0]
        .create_sos(staff.identity(), report(), None)
        .await
        .unwrap()
        .sos;
    watcher
        .hears_that("sos-created", |told| told["sosId"] == sos.as_str())
        .await;
    // Both nodes have it in use: it is told once all the same.
    let sitting = cluster.guest(1, "sitting");
    sitting.joins(&sos).await;
    cluster.nodes[0]
        .act(&sos, staff.identity(), set(Status::Assigned), None)
        .await
        .unwrap();
    watcher.hears("sos-updated").await;
    sitting.hears("sos-status").await;
    cluster.nodes[1]
        .act(&sos, staff.identity(), set(Status::Resolved), None)
        .await
        .unwrap();
    watcher.hears("sos-closed").await;
    // A list that had to wait too long for the bus is sent again; what happens is told once.
    for kind in ["sos-created", "sos-updated", "sos-closed"] {
        assert_eq!(watcher.all_of(kind).len(), 1, "{kind}");
    }
}

#[actix::test]
async fn what_a_list_has_told_already_is_not_told_when_its_news_come_late() {
    let cluster = Cluster::start(2).await;
    let (staff, watcher) = (cluster.guest(0, "staff"), cluster.guest(1, "watcher"));
    let raise = async || {
        let raised = cluster.nodes[0].create_sos(staff.identity(), report(), None);
        raised.await.unwrap().sos
    };
    let listed = raise().await;
    watcher.watches().await;
    // The first node's word of it was on its way for longer than the list took.
    let node = cluster.nodes[1].node();
    let mut row = node.store.incident(&listed).await.unwrap().unwrap();
    node.areas.publish(News::of(&row, true).unwrap());
    let next = raise().await;
    watcher
        .hears_that("sos-created", |told| told["sosId"] == next.as_str())
        .await;
    // What happened to it since then is told as that.
    row.seq = row.seq.next();
    node.areas.publish(News::of(&row, true).unwrap());
    watcher.hears("sos-updated").await;
    assert_eq!(watcher.all_of("sos-created").len(), 1);
}

#[actix::test]
async fn after_the_bus_was_away_watchers_get_the_present_list_again() {
    let cluster = Cluster::start(2).await;
    let (staff, watcher) = (cluster.guest(0, "staff"), cluster.guest(1, "watcher"));
    watcher.watches().await;
    cluster.hub.cut(cluster.id(1));
    let sos = cluster.nodes[0]
        .create_sos(staff.identity(), report(), None)
        .await
        .unwrap()
        .sos;
    // A list that is asked for meanwhile does not wait for the bus.
    let other = cluster.guest(1, "other");
    other.watches().await;
    cluster.hub.mend(cluster.id(1));
    let list = watcher.hears_times("area", 2).await;
    assert_eq!(list[1]["sos"][0]["sosId"], sos.as_str());
}

#[actix::test]
async fn cells_are_listened_to_as_long_as_somebody_watches_them() {
    let cluster = Cluster::start(2).await;
    let topic = Topic::Cell(Cell::of(here()));
    let watcher = cluster.guest(1, "watcher");
    let area = Area::new(here(), 5.0, 25).unwrap();
    let node = cluster.nodes[1].node();
    let id = node.areas.watch(area, &watcher.shared, node).unwrap();
    watcher.hears("area").await;
    assert_eq!(cluster.hub.listeners(&topic), 1);
    node.areas.unwatch(id);
    eventually("nobody listens", || async {
        (cluster.hub.listeners(&topic) == 0).then_some(())
    })
    .await;
}
