//! Durable before visible: while the disk holds an event up, nobody hears of it and nothing is acknowledged.

use mayday::actors::Settings;
use mayday::domain::geo::Position;
use mayday::domain::ids::RoomId;
use mayday::domain::incident::{Address, IncidentType, Report, Severity, Visibility};
use mayday::domain::room::{Command, UserType};

use super::node::{Node, count, creates};
use crate::support::eventually;

#[actix::test]
async fn nobody_hears_of_what_is_not_on_disk_and_then_everybody_does_once() {
    let node = Node::start(Settings::default());
    let room = RoomId::new("circle").unwrap();
    let (owner, guest) = (node.session("ana"), node.session("guest"));
    creates(&node, &owner, &room);
    owner
        .hears_until("the room is there", |heard| count(heard, "room-created") == 1)
        .await;
    guest.says(&node, &room, Command::RequestJoin);
    guest
        .hears_until("asked", |heard| count(heard, "join-requested") == 1)
        .await;
    let asked = owner
        .hears_until("asked", |heard| count(heard, "join-request") == 1)
        .await;
    let who = asked[0]["requesterId"].as_str().unwrap().parse().unwrap();

    let before = node.store.arrived();
    node.store.hold();
    owner.says(
        &node,
        &room,
        Command::ApproveJoin {
            who,
            user_type: UserType::Citizen,
        },
    );
    eventually("the event is on its way to the disk", || async {
        (node.store.arrived() > before).then_some(())
    })
    .await;
    owner.writes(&node, &room, "behind-it");
    assert!(
        owner.hears().is_empty() && guest.hears().is_empty(),
        "heard before it was on disk"
    );

    node.store.release();
    let at_guest = guest
        .hears_until("let in", |heard| count(heard, "room-message") == 1)
        .await;
    assert_eq!(count(&at_guest, "join-approved"), 1);
    let at_owner = owner
        .hears_until("told", |heard| count(heard, "room-message") == 1)
        .await;
    assert_eq!(count(&at_owner, "user-joined"), 1, "{at_owner:?}");
    assert_eq!(count(&at_owner, "message-accepted"), 1);
    assert_eq!(
        (at_guest.len(), at_owner.len()),
        (2, 3),
        "{at_guest:?} {at_owner:?}"
    );
}

#[actix::test]
async fn an_sos_is_acknowledged_only_when_it_is_on_disk() {
    let node = Node::start(Settings::default());
    let ana = node.session("ana");
    let report = Report {
        kind: IncidentType::Fire,
        message: "The kitchen is on fire".into(),
        silent: false,
        drill: false,
        raised_at: None,
        guarded: false,
        severity: Severity::High,
        position: Some(Position::new(14.5, 120.9).unwrap()),
        accuracy: None,
        address: Address::default(),
        city_id: None,
        visibility: Visibility::Public,
        trip_id: None,
        booking_id: None,
        raised_from: vec![],
    };
    node.store.hold();
    let (engine, who) = (node.engine.clone(), std::sync::Arc::clone(ana.identity()));
    let raised = actix::spawn(async move { engine.create_sos(&who, report, None).await });
    eventually("it is on its way to the disk", || async {
        (node.store.arrived() == 1).then_some(())
    })
    .await;
    assert!(!raised.is_finished(), "acknowledged before it was on disk");
    node.store.release();
    let created = raised.await.unwrap().unwrap();
    assert!(!created.repeated);
}
