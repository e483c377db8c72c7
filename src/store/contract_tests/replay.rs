//! Lists say what logs say, whatever happened, and a rebuild changes nothing.

use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use super::Harness;
use super::scribe::{Scribe, everything, put, record, user};
use crate::domain::ids::MessageId;
use crate::domain::incident::{IncidentType, Report, Status};
use crate::domain::room::{Command, LeaveReason, Proof, RoomKind, RoomState, Standing, UserType};
use crate::domain::testing::{person, report, room};
use crate::store::contract::Store;
use crate::store::types::{IncidentRow, Listed, Membership};

const PEOPLE: u64 = 4;

/// Somebody does something in one of the rooms, some time later.
#[derive(Clone, Debug)]
pub struct Deed {
    room: usize,
    who: u64,
    standing: Standing,
    command: Command,
    later: u64,
}

/// Deeds of all sorts.
pub fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let who = || (0..PEOPLE).prop_map(person);
    let user_type = || {
        prop_oneof![
            Just(UserType::Citizen),
            Just(UserType::Rescuer),
            Just(UserType::AnonRescuer),
            Just(UserType::Admin)
        ]
    };
    let standing = prop_oneof![
        Just(Standing::System),
        Just(Standing::Staff),
        Just(Standing::Contact),
        Just(Standing::Stranger)
    ];
    let command = prop_oneof![
        5 => user_type().prop_map(|user_type| Command::Join { user_type }),
        2 => Just(Command::Leave),
        1 => who().prop_map(|who| Command::Remove { who, reason: LeaveReason::Removed }),
        1 => Just(Command::RequestJoin),
        1 => (who(), user_type()).prop_map(|(who, user_type)| Command::ApproveJoin { who, user_type }),
        2 => (0u8..9).prop_map(|n| Command::SendMessage {
            id: MessageId::new(format!("m{n}")).unwrap(),
            content: "hello".into()
        }),
        1 => Just(Command::Activate),
        1 => Just(Command::Deactivate),
        2 => Just(Command::FallAsleep),
        1 => Just(Command::RaiseEmergency { sos: room("elsewhere") }),
        1 => Just(Command::EndEmergency { sos: room("elsewhere") }),
        2 => (0..Status::ALL.len()).prop_map(|n| Command::SetStatus {
            to: Status::ALL[n], expected: None, note: None, lower_case: n % 2 == 1,
            proof: Proof::Nothing,
        }),
        1 => Just(Command::NoteLinkRaised { room: room("room-0") }),
        2 => Just(Command::NoteLinkEnded { room: room("room-0") }),
        2 => (0..IncidentType::ALL.len()).prop_map(|n| Command::SetType { to: IncidentType::ALL[n] }),
        1 => Just(Command::EndTrip),
    ];
    let deed = (0usize..5, 0..PEOPLE, standing, command, 0u64..3_000).prop_map(
        |(room, who, standing, command, later)| Deed {
            room,
            who,
            standing,
            command,
            later,
        },
    );
    proptest::collection::vec(deed, 1..40)
}

/// Carries deeds out in two circles, two incidents, one of them linked, and a trip; answers what came of the rooms.
pub async fn carry_out(store: &impl Store, deeds: &[Deed]) -> Vec<Scribe> {
    let mut scribes: Vec<Scribe> = (0..5).map(|n| Scribe::new(&format!("room-{n}"))).collect();
    for (n, scribe) in scribes.iter_mut().enumerate() {
        let append = match n {
            0 | 1 => scribe.circle(n as u64),
            2 => scribe.raise(report()),
            4 => scribe.trip(0, &[1, 2]),
            _ => scribe.raise(Report {
                silent: true,
                raised_from: vec![room("room-0")],
                ..report()
            }),
        };
        put(store, append).await;
    }
    for deed in deeds {
        let scribe = &mut scribes[deed.room];
        scribe.now = scribe.now + Duration::from_millis(deed.later);
        let who = (deed.standing != Standing::System).then_some(deed.who);
        if let Ok(append) = scribe.decide(who, deed.standing, deed.command.clone()) {
            put(store, append).await;
        }
    }
    scribes
}

fn expected_row(state: &RoomState) -> Option<IncidentRow> {
    let incident = state.incident.as_ref()?;
    Some(IncidentRow {
        room: state.id.clone(),
        creator: state.owner?,
        report: incident.report.clone(),
        status: incident.status,
        created_at: state.created_at,
        updated_at: incident.status_at,
        ended_at: incident.ended_at,
        seq: state.seq,
        active_participants: u32::try_from(state.active_participants().count()).unwrap(),
    })
}

/// Holds every list against the rooms' states.
pub async fn check(store: &impl Store, scribes: &[Scribe]) {
    for Scribe { state, log, .. } in scribes {
        assert_eq!(store.load(&state.id).await.unwrap().unwrap().events, *log);
        assert_eq!(store.incident(&state.id).await.unwrap(), expected_row(state));
    }
    let live: Vec<_> = scribes
        .iter()
        .filter(|scribe| scribe.state.is_live())
        .map(|scribe| scribe.state.id.clone())
        .collect();
    let mut found = store.live_rooms(None, 100).await.unwrap();
    found.sort();
    assert_eq!(found, live);
    for n in 0..PEOPLE {
        let memberships: Vec<Membership> = scribes
            .iter()
            .filter(|scribe| scribe.state.is_in(person(n)))
            .map(|scribe| Membership {
                room: scribe.state.id.clone(),
                kind: scribe.state.kind.unwrap(),
                participant: record(n).participant,
                is_owner: scribe.state.owner == Some(person(n)),
            })
            .filter(|membership| known(scribes, membership))
            .collect();
        assert_eq!(store.memberships(&user(n)).await.unwrap(), memberships);
        let circles: Vec<_> = scribes
            .iter()
            .filter(|scribe| {
                scribe.state.kind == Some(RoomKind::Circle) && scribe.state.owner == Some(person(n))
            })
            .map(|scribe| scribe.state.id.clone())
            .collect();
        assert_eq!(store.circles_of(&user(n)).await.unwrap(), circles);
    }
    let mut listed: Vec<Option<IncidentRow>> = store
        .incidents(&everything())
        .await
        .unwrap()
        .into_iter()
        .map(|Listed { incident, .. }| Some(std::sync::Arc::unwrap_or_clone(incident)))
        .collect();
    listed.sort_by_key(|row| row.as_ref().map(|row| row.room.clone()));
    let expected: Vec<_> = scribes
        .iter()
        .map(|scribe| expected_row(&scribe.state))
        .filter(Option::is_some)
        .collect();
    assert_eq!(listed, expected);
}

/// Somebody who was let in by another has a record only if they ever acted themselves.
fn known(scribes: &[Scribe], membership: &Membership) -> bool {
    scribes
        .iter()
        .filter(|scribe| scribe.state.id == membership.room)
        .any(|scribe| {
            // Those on a trip have theirs from its beginning.
            if scribe.state.kind == Some(RoomKind::Trip) {
                return true;
            }
            scribe
                .log
                .iter()
                .any(|event| event.actor.participant() == Some(membership.participant))
        })
}

pub async fn whatever_happens_in_rooms_the_lists_say_what_their_logs_say_before_and_after_a_rebuild<
    H: Harness,
>() {
    let strategy = deeds();
    let mut runner = TestRunner::new(Config::default());
    for _ in 0..16 {
        let deeds = strategy.new_tree(&mut runner).unwrap().current();
        // Shown only when the test fails.
        println!("{deeds:?}");
        let harness = H::start().await;
        let scribes = carry_out(harness.store(), &deeds).await;
        check(harness.store(), &scribes).await;
        assert_eq!(harness.store().rebuild().await, Ok(5));
        check(harness.store(), &scribes).await;
    }
}
