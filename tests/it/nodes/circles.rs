//! A circle whose people are connected to different nodes.

use std::sync::Arc;

use mayday::actors::batcher::Batchers;
use mayday::actors::engine::raise::{self, Raised};
use mayday::actors::pass::FreePass;
use mayday::domain::ids::{ParticipantId, RoomId};
use mayday::domain::incident::Status;
use mayday::domain::people::{Contact, ContactBook, Identity, Person, Role};
use mayday::domain::room::{Actor, Command, Event, EventBody, Genesis, Proof, Seq, UserType};
use mayday::store::{Append, Store};
use mayday::wire::json::EmergencySos;

use super::cluster::{Cluster, Guest, person, phone, report};
use crate::support::eventually;

fn room(name: &str) -> RoomId {
    RoomId::new(name).unwrap()
}

fn book(numbers: &[u32]) -> ContactBook {
    let contact = |number: &u32| Contact::new(format!("Contact {number}"), phone(*number));
    ContactBook {
        emergency: numbers.iter().map(contact).collect(),
        dependent: vec![],
    }
}

fn sos() -> EmergencySos {
    EmergencySos {
        position: None,
        accuracy: None,
        at: None,
        formatted_location: None,
        room: None,
        severity: None,
        kind: None,
    }
}

async fn presses(cluster: &Cluster, node: usize, who: &Arc<Identity>) -> Raised {
    let engine = Arc::clone(cluster.nodes[node].node());
    let raised = raise::from_circles(
        engine,
        Arc::clone(who),
        sos(),
        Batchers::default(),
        Arc::new(FreePass),
    );
    raised.await.unwrap()
}

/// Ana's circle on node 0; Ben, her contact, is connected to node 1.
async fn circle(cluster: &Cluster) -> (RoomId, Guest, Guest) {
    let home = room("home");
    let (ana, ben) = (cluster.citizen(0, "ana", 1), cluster.citizen(1, "ben", 2));
    cluster.nodes[0]
        .put_contacts(ana.identity(), book(&[2]))
        .await
        .unwrap();
    ana.makes_circle(&home).await;
    (home, ana, ben)
}

#[actix::test]
async fn contacts_on_other_nodes_are_brought_in_alerted_and_sit_in_the_incident() {
    let cluster = Cluster::start(3).await;
    let (home, ana, ben) = circle(&cluster).await;
    let joined = ben
        .hears_that("auto-joined", |joined| joined["roomId"] == "home")
        .await;
    assert_eq!(joined["roomOwner"], "ana");
    ana.hears("emergency-contact-joined").await;

    let raised = presses(&cluster, 2, ana.identity()).await;
    assert_eq!(raised.rooms, std::slice::from_ref(&home));
    let alert = ben.hears("emergency-alert").await;
    assert_eq!(
        (&alert["roomId"], &alert["emergencyUserName"]),
        (&"home".into(), &"ana".into())
    );
    for guest in [&ana, &ben] {
        guest.hears("emergency-activated").await;
    }
    ben.hears_that("auto-joined", |joined| joined["roomId"] == raised.sos.as_str())
        .await;
    // Both sit in the incident, each on their own node.
    eventually("both sit in the incident", || async {
        (ana.shared.is_in(&raised.sos) && ben.shared.is_in(&raised.sos)).then_some(())
    })
    .await;
    ben.writes(&raised.sos, "coming");
    ana.hears_that("room-message", |message| message["content"] == "coming")
        .await;
    assert_eq!(ben.all_of("emergency-alert").len(), 1, "alerted once");

    let node = Arc::clone(cluster.nodes[1].node());
    let ended = raise::resolve(node, Arc::clone(ana.identity()), None, None)
        .await
        .unwrap();
    assert_eq!(ended, [home]);
    for guest in [&ana, &ben] {
        guest.hears("emergency-ended").await;
        assert_eq!(guest.all_of("emergency-activated").len(), 1);
        assert_eq!(guest.all_of("emergency-ended").len(), 1);
    }
}

#[actix::test]
async fn two_devices_that_raise_an_sos_on_two_nodes_at_once_raise_one() {
    let cluster = Cluster::start(2).await;
    let (home, ana, _ben) = circle(&cluster).await;
    let mut known = vec![];
    for round in 0..10 {
        let who = ana.identity();
        let (one, other) =
            futures_util::future::join(presses(&cluster, 0, who), presses(&cluster, 1, who)).await;
        assert_eq!(one.sos, other.sos, "round {round}");
        assert_eq!(
            (&one.rooms, &other.rooms),
            (&vec![home.clone()], &vec![home.clone()])
        );
        assert!(!known.contains(&one.sos), "a new one each time");
        // Pressed again while it stands: the same.
        assert_eq!(presses(&cluster, round % 2, who).await.sos, one.sos);
        known.push(one.sos);
        let node = Arc::clone(cluster.nodes[round % 2].node());
        raise::resolve(node, Arc::clone(who), None, None).await.unwrap();
    }
    let raised = cluster.log(&home).await.into_iter();
    let raised = raised.filter(|event| matches!(event.body, EventBody::EmergencyRaised { .. }));
    assert_eq!(raised.count(), 10);
}

#[actix::test]
async fn an_sos_that_ended_before_its_circle_heard_of_it_is_not_the_answer_to_the_next() {
    let cluster = Cluster::start(2).await;
    let (_home, ana, _ben) = circle(&cluster).await;
    let first = presses(&cluster, 0, ana.identity()).await.sos;
    let to = Status::Resolved;
    let end = Command::SetStatus {
        to,
        expected: None,
        note: None,
        lower_case: false,
        proof: Proof::Nothing,
    };
    cluster.nodes[1]
        .act(&first, ana.identity(), end, None)
        .await
        .unwrap();
    let second = presses(&cluster, 1, ana.identity()).await.sos;
    let row = cluster.store.incident(&second).await.unwrap().unwrap();
    assert!(row.status.is_open());
}

#[actix::test]
async fn a_change_of_contacts_reaches_circles_and_contacts_on_every_node() {
    let cluster = Cluster::start(3).await;
    let (home, ana, ben) = circle(&cluster).await;
    ben.hears("auto-joined").await;
    let carla = cluster.citizen(2, "carla", 3);
    let begun = std::time::Instant::now();
    cluster.nodes[2]
        .put_contacts(ana.identity(), book(&[3]))
        .await
        .unwrap();
    let added = carla.hears("added-as-emergency-contact").await;
    assert_eq!(
        (&added["roomId"], &added["roomOwner"]),
        (&"home".into(), &"ana".into())
    );
    ben.hears("removed-as-emergency-contact").await;
    // He came as a contact and is none any more.
    ben.hears("room-left").await;
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    carla.joins(&home).await;
    ben.asks_to_join(&home, None);
    ben.hears("join-denied").await;
}

#[actix::test]
async fn an_owner_hears_of_a_stranger_who_asks_on_another_node_and_lets_them_in() {
    let cluster = Cluster::start(3).await;
    let (home, ana, _ben) = circle(&cluster).await;
    // Also on a connection that has nothing to do with the circle yet.
    let elsewhere = cluster.connect(2, person("ana", Role::Citizen, Some(phone(1))));
    let stranger = cluster.citizen(1, "stranger", 9);
    stranger.says(&home, Command::RequestJoin);
    stranger.hears("join-requested").await;
    let asked = ana.hears("join-request").await;
    elsewhere.hears("join-request").await;
    let requester: ParticipantId = asked["requesterId"].as_str().unwrap().parse().unwrap();
    let approve = Command::ApproveJoin {
        who: requester,
        user_type: UserType::Citizen,
    };
    ana.says(&home, approve);
    stranger.hears("join-approved").await;
    stranger.writes(&home, "thanks");
    ana.hears("room-message").await;
}

#[actix::test]
async fn what_a_dead_node_left_half_told_is_told_by_another() {
    let cluster = Cluster::start(2).await;
    let (home, ana, ben) = circle(&cluster).await;
    ben.hears("auto-joined").await;
    // The node that made this incident durable died before it told anybody.
    let (sos, who) = (room("orphan"), ParticipantId::from_bits(77));
    let event = |n, body| Event {
        room: sos.clone(),
        seq: Seq::new(n),
        at: cluster.nodes[0].node().now(),
        actor: Actor::Participant(who),
        body,
    };
    let mut report = report();
    report.raised_from = vec![home.clone()];
    let joined = EventBody::Joined {
        who,
        user_type: UserType::Citizen,
        as_contact: false,
    };
    let append = Append {
        room: sos.clone(),
        after: Seq::ZERO,
        events: vec![
            event(1, EventBody::Created(Genesis::Incident(Box::new(report)))),
            event(2, joined),
        ],
        people: vec![Person::new(who, ana.identity())],
        idempotency: None,
        jobs: Vec::new(),
    };
    cluster.store.append(append).await.unwrap();
    for guest in [&ana, &ben] {
        guest
            .hears_that("emergency-activated", |told| told["roomId"] == "home")
            .await;
    }
    ben.hears_that("auto-joined", |joined| joined["roomId"] == "orphan")
        .await;
    eventually("the log notes it", || async {
        let log = cluster.log(&sos).await;
        let told = log
            .iter()
            .any(|event| matches!(event.body, EventBody::LinkRaised { .. }));
        told.then_some(())
    })
    .await;
}

#[actix::test]
async fn a_circle_that_was_made_while_the_bus_was_away_calls_its_contacts_when_it_is_back() {
    let cluster = Cluster::start(2).await;
    cluster.hub.cut_all();
    let (_home, ana, ben) = circle(&cluster).await;
    let raised = presses(&cluster, 0, ana.identity()).await;
    cluster.hub.mend_all();
    ben.hears_that("auto-joined", |joined| joined["roomId"] == "home")
        .await;
    ben.hears("emergency-alert").await;
    ben.hears_that("auto-joined", |joined| joined["roomId"] == raised.sos.as_str())
        .await;
}
