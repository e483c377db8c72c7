//! Whatever people do, in whatever order, a room keeps its promises:
//!
//! 1. `seq` has no gaps and `at` never steps back;
//! 2. replaying the log gives the same state;
//! 3. nobody is in a closed incident or a sleeping circle;
//! 4. an incident moves only along its states, and its end is final;
//! 5. a message id of one sender is in the log once;
//! 6. a rejected command changes nothing (there is nothing it could change: `decide` takes `&RoomState`);
//! 7. statistics are never NaN or negative, and active ≤ total;
//! 8. a stranger is in a circle only after the owner approved;
//! 9. carrying out what is due leaves nothing due;
//! 10. in a trip are only its driver and its passengers, where the driver is is all that it shows, and nothing happens
//!     after its end;
//! 11. an incident's type changes to another one, while it is open, and the log says from what;
//! 12. what is passed on from elsewhere is in the log of an open incident, and whoever said it need not be in.
//! 13. messages to people keep the numbers they got, a step is planned once, what arrived stays so, and nothing waits
//!     to be sent about an SOS that is over;

use std::collections::HashSet;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::ids::MessageId;
use crate::domain::incident::{IncidentType, Report, Status};
use crate::domain::notify::{Channel, DeliveryState, Occasion, Vendor};
use crate::domain::testing::{person, report, room};
use crate::domain::time::Timestamp;

const OWNER: u64 = 0;

#[derive(Clone, Debug)]
enum Step {
    Do {
        who: u64,
        standing: Standing,
        command: Command,
    },
    Wait(u64),
    Connect(u64),
    Disconnect(u64),
}

fn standing() -> impl Strategy<Value = Standing> {
    prop_oneof![
        Just(Standing::System),
        Just(Standing::Staff),
        Just(Standing::Contact),
        Just(Standing::Mission),
        Just(Standing::Rescuer),
        Just(Standing::Stranger),
    ]
}

fn user_type() -> impl Strategy<Value = UserType> {
    prop_oneof![
        Just(UserType::Citizen),
        Just(UserType::Rescuer),
        Just(UserType::AnonRescuer),
        Just(UserType::Admin)
    ]
}

fn status() -> impl Strategy<Value = Status> {
    (0..Status::ALL.len()).prop_map(|i| Status::ALL[i])
}

fn occasion() -> impl Strategy<Value = Occasion> {
    proptest::sample::select(vec![
        Occasion::SosRaised,
        Occasion::SosReminder,
        Occasion::SosOver,
    ])
}

fn channel() -> impl Strategy<Value = Channel> {
    proptest::sample::select(Channel::ALL)
}

fn delivery() -> impl Strategy<Value = DeliveryState> {
    proptest::sample::select(DeliveryState::ALL)
}

fn vendor() -> impl Strategy<Value = Vendor> {
    proptest::sample::select(vec![Vendor::Twilio, Vendor::Msg91])
}

fn proof() -> impl Strategy<Value = Proof> {
    proptest::sample::select(vec![Proof::Nothing, Proof::Pin, Proof::Duress])
}

fn command() -> impl Strategy<Value = Command> {
    let who = || (0u64..5).prop_map(person);
    prop_oneof![
        4 => user_type().prop_map(|user_type| Command::Join { user_type }),
        2 => Just(Command::Leave),
        1 => who().prop_map(|who| Command::Remove { who, reason: LeaveReason::Removed }),
        2 => Just(Command::RequestJoin),
        2 => (who(), user_type()).prop_map(|(who, user_type)| Command::ApproveJoin { who, user_type }),
        1 => who().prop_map(|who| Command::DenyJoin { who }),
        4 => (0u8..6).prop_map(|n| Command::SendMessage {
            id: MessageId::new(format!("m{n}")).unwrap(),
            content: "hello".into()
        }),
        2 => (0u8..6, proptest::option::of(user_type()), any::<bool>()).prop_map(|(n, sender, notice)| {
            let relay = Relay { sender, notice, written_at: Timestamp::from_ms(5) };
            Command::PassOn { id: MessageId::new(format!("m{n}")).unwrap(), content: "elsewhere".into(), relay }
        }),
        1 => (0..IncidentType::ALL.len()).prop_map(|n| Command::SetType { to: IncidentType::ALL[n] }),
        1 => Just(Command::Activate),
        1 => Just(Command::Deactivate),
        1 => Just(Command::FallAsleep),
        1 => (0u8..2).prop_map(|n| Command::RaiseEmergency { sos: room(&format!("sos{n}")) }),
        1 => (0u8..2).prop_map(|n| Command::EndEmergency { sos: room(&format!("sos{n}")) }),
        1 => who().prop_map(|who| Command::NoteAlerted { who: vec![who] }),
        2 => (status(), proptest::option::of(status()), any::<bool>(), proof())
            .prop_map(|(to, expected, lower_case, proof)| Command::SetStatus { to, expected, note: None, lower_case, proof }),
        1 => Just(Command::NoteLinkRaised { room: room("home") }),
        1 => Just(Command::NoteLinkEnded { room: room("home") }),
        1 => Just(Command::EndTrip),
        2 => (1u16..5, occasion(), proptest::collection::vec((proptest::option::of(who()), channel()), 0..4), proptest::collection::vec((0usize..4, vendor()), 0..3), proptest::collection::vec(who(), 0..2))
            .prop_map(|(step, occasion, planned, begun, unreached)| {
                let planned = planned.into_iter().map(|(to, channel)| Planned { to, channel }).collect();
                Command::PlanNotifications { step, occasion, planned, unreached, begun }
            }),
        4 => (1u32..8, delivery(), proptest::option::of(vendor()), any::<bool>())
            .prop_map(|(id, to, vendor, possibly_twice)| {
                Command::MoveNotification(Move { id, to, vendor, code: None, possibly_twice })
            }),
        1 => Just(Command::Acknowledge { means: Means::Link }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0u64..5, standing(), command()).prop_map(|(who, standing, command)| Step::Do { who, standing, command }),
        1 => (0u64..4_000).prop_map(Step::Wait),
        1 => (0u64..5).prop_map(Step::Connect),
        1 => (0u64..5).prop_map(Step::Disconnect),
    ];
    proptest::collection::vec(step, 1..120)
}

struct Run {
    state: RoomState,
    presence: Presence,
    policy: Policy,
    log: Vec<Event>,
    now: Timestamp,
}

impl Run {
    fn new(genesis: Genesis) -> Self {
        let now = Timestamp::from_ms(1_000_000);
        let mut run = Self {
            state: RoomState::new(room("home")),
            presence: Presence::new(now),
            policy: Policy::default(),
            log: vec![],
            now,
        };
        let create = Command::Create {
            genesis,
            user_type: UserType::Citizen,
        };
        let standing = if matches!(
            &create,
            Command::Create {
                genesis: Genesis::Trip(_),
                ..
            }
        ) {
            Standing::System
        } else {
            Standing::Stranger
        };
        run.give(OWNER, standing, create).unwrap();
        run
    }

    fn give(&mut self, who: u64, standing: Standing, command: Command) -> Result<(), Rejection> {
        // A sister service acts for somebody, the engine for itself.
        let for_somebody = matches!(
            command,
            Command::PassOn { .. } | Command::Join { .. } | Command::Leave
        );
        let actor = if standing == Standing::System && !for_somebody {
            Actor::System
        } else {
            Actor::Participant(person(who))
        };
        for body in decide(&self.state, &self.policy, actor, standing, command)? {
            // Whom a service brings in has not come by themselves.
            let brought = standing == Standing::System && matches!(body, EventBody::Joined { .. });
            let actor = if brought { Actor::System } else { actor };
            let event = Event {
                room: self.state.id.clone(),
                seq: self.state.seq.next(),
                at: self.now.max(self.state.last_at),
                actor,
                body,
            };
            self.state.apply(&event);
            self.log.push(event);
        }
        Ok(())
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Do {
                who,
                standing,
                command,
            } => {
                let _ = self.give(who, standing, command);
            }
            Step::Wait(seconds) => self.now = self.now + Duration::from_secs(seconds),
            Step::Connect(who) => {
                if self.state.is_in(person(who)) {
                    self.presence.arrive(person(who), self.now);
                }
            }
            Step::Disconnect(who) => {
                self.presence.depart(person(who), self.now);
            }
        }
        self.check();
    }

    fn check(&self) {
        let state = &self.state;
        let active = state.active_participants().count();
        if state.asleep || state.incident.as_ref().is_some_and(|i| !i.status.is_open()) {
            assert_eq!(active, 0, "nobody is in a closed or sleeping room");
        }
        if let Some(trip) = &state.trip {
            assert_eq!(state.owner, Some(trip.manifest.driver()));
            assert!(trip.is_open() || active == 0, "nobody is on a trip that is over");
            assert!(trip.is_open() || (state.emergency.is_none() && trip.awaited.is_empty()));
            for (who, _) in state.active_participants() {
                assert!(trip.manifest.names(who), "a stranger is on a trip");
                assert!(!state.shows_position_of(who) || who == trip.manifest.driver());
            }
            assert!(trip.awaited.iter().all(|who| state.is_in(*who)));
        }
        assert!(state.brought.iter().all(|who| state.is_in(*who)));
        let stats = state.statistics(self.now);
        assert!(stats.average_seconds.is_finite() && stats.average_seconds >= 0.0);
        assert!(stats.active <= stats.total && stats.total == state.participants.len());
        for (who, person) in &state.participants {
            assert!(person.left_at.is_none_or(|left| left >= person.joined_at));
            assert!(
                !state.requests.contains(who) || !person.is_active(),
                "nobody in waits to be let in"
            );
        }
    }

    fn check_log(&self) {
        let mut messages = HashSet::new();
        let mut status = Status::Active;
        let mut kind = report().kind;
        let (mut over, mut standing) = (false, Vec::new());
        let mut shown = None;
        let (mut steps, mut moved) = (0, Vec::<DeliveryState>::new());
        for (i, event) in self.log.iter().enumerate() {
            assert_eq!(event.seq, Seq::new(i as u64 + 1));
            assert!(i == 0 || event.at >= self.log[i - 1].at);
            assert!(!over, "{event:?} after the trip's end");
            match &event.body {
                EventBody::TripEnded => over = true,
                EventBody::EmergencyRaised { sos } => {
                    assert!(!standing.contains(sos), "raised twice");
                    if self.state.kind == Some(RoomKind::Circle) {
                        standing.clear();
                    }
                    standing.push(sos.clone());
                }
                EventBody::EmergencyEnded { sos } => {
                    assert!(standing.contains(sos), "ended and never raised");
                    standing.retain(|other| other != sos);
                }
                EventBody::MessageSent { id, .. } => {
                    assert!(messages.insert((event.actor.participant(), id.clone())));
                }
                EventBody::TypeChanged { from, to } => {
                    assert!(*from == kind && from != to && status.is_open());
                    kind = *to;
                }
                EventBody::Duress { from, to, .. } => {
                    assert!(*from == status && status.is_open() && !to.is_open() && shown.is_none());
                    assert_eq!(event.actor.participant(), self.state.owner);
                    shown = Some((*to, event.seq));
                }
                EventBody::StatusChanged { from, to, .. } => {
                    assert!(*from == status && from.can_become(*to));
                    status = *to;
                }
                EventBody::NotificationsPlanned {
                    step,
                    occasion,
                    planned,
                } => {
                    assert_eq!(*step, steps + 1, "a step is planned once, one after the other");
                    assert_eq!(occasion.is_end(), !status.is_open());
                    steps = *step;
                    moved.extend(planned.iter().map(|_| DeliveryState::Pending));
                }
                EventBody::NotificationMoved(change) => {
                    let before = &mut moved[change.id as usize - 1];
                    assert!(before.can_become(change.to), "{before:?} to {:?}", change.to);
                    *before = change.to;
                }
                EventBody::Acknowledged { .. } => {
                    assert!(status.is_open() && event.actor.participant() != self.state.owner);
                }
                _ => {}
            }
        }
        let mine = self.state.seen_by(self.state.owner);
        let seen = mine.incident.as_ref().map(|incident| (incident.status, mine.seq));
        if let Some(shown) = shown {
            assert_eq!(
                seen,
                Some(shown),
                "whatever happens, they are shown that it is over"
            );
            assert_eq!(mine.active_participants().count(), 0);
            assert_eq!(self.state.seen_by(None).seq, self.state.seq, "and nobody else is");
        } else {
            assert_eq!(mine, &self.state);
        }
        if let Some(incident) = &self.state.incident {
            assert_eq!(incident.report.kind, kind);
            let told = &incident.told;
            let states = told.messages.values().map(|one| one.state);
            assert!(states.eq(moved), "the log tells how each message stands");
            for one in told.messages.values().filter(|one| !one.occasion.is_end()) {
                let waits = matches!(one.state, DeliveryState::Pending);
                assert!(status.is_open() || !waits, "a message about what is over waits");
            }
        }
        let last = standing.last().filter(|_| !over);
        assert_eq!(self.state.emergency.as_ref(), last, "the newest that stands");
        let mut replayed = RoomState::new(self.state.id.clone());
        self.log.iter().for_each(|event| replayed.apply(event));
        assert_eq!(replayed, self.state, "replay gives the live state");
    }
}

/// Of the owner and two others; two more are strangers to it.
fn trip() -> Genesis {
    let passengers = [person(1), person(2)].into();
    Genesis::Trip(Box::new(Manifest::new(person(OWNER), passengers, None)))
}

fn genesis() -> impl Strategy<Value = Genesis> {
    prop_oneof![
        Just(Genesis::Circle),
        Just(trip()),
        any::<(bool, bool)>().prop_map(|(restricted, guarded)| {
            let mut report = report();
            report.silent = restricted;
            report.guarded = guarded;
            report.raised_from = vec![room("home")];
            Genesis::Incident(Box::new(report))
        })
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_commands_breaks_a_room(genesis in genesis(), steps in steps()) {
        let mut run = Run::new(genesis);
        for step in steps {
            run.step(step);
        }
        run.check_log();
    }

    #[test]
    fn what_is_due_can_be_done_and_then_nothing_is_due(genesis in genesis(), steps in steps()) {
        let mut run = Run::new(genesis);
        for step in steps {
            run.step(step);
        }
        for _ in 0..10 {
            let Some(at) = next_deadline(&run.state, &run.presence, &run.policy) else { break };
            run.now = run.now.max(at);
            let due = due(&run.state, &run.presence, &run.policy, run.now);
            prop_assert!(!due.is_empty());
            for deadline in due {
                run.give(OWNER, Standing::System, deadline.command()).unwrap();
            }
        }
        prop_assert_eq!(next_deadline(&run.state, &run.presence, &run.policy), None);
        run.check_log();
    }

    #[test]
    fn a_stranger_is_in_a_circle_only_after_the_owner_approved(steps in steps()) {
        let mut run = Run::new(Genesis::Circle);
        let mut invited = HashSet::from([person(OWNER)]);
        for step in steps {
            let stranger = match &step {
                Step::Do { who, standing, command: Command::Join { .. } } if *standing != Standing::System => {
                    Some((person(*who), *standing))
                }
                _ => None,
            };
            if let Step::Do { who: OWNER, standing, command: Command::ApproveJoin { who, .. } } = &step
                && *standing != Standing::System
            {
                invited.insert(*who);
            }
            run.step(step);
            if let Some((who, standing)) = stranger {
                if standing == Standing::Contact {
                    invited.insert(who);
                }
                prop_assert!(!run.state.is_in(who) || invited.contains(&who));
            }
        }
    }
}

#[test]
fn statistics_of_an_empty_room_are_zeros() {
    assert_eq!(
        RoomState::new(room("new")).statistics(Timestamp::from_ms(5)),
        Statistics::default()
    );
}

#[test]
fn a_restricted_incident_lets_in_only_those_who_were_called() {
    let mut sos = report();
    sos.visibility = crate::domain::incident::Visibility::Restricted;
    let mut run = Run::new(Genesis::Incident(Box::new(sos)));
    let join = |user_type| Command::Join { user_type };
    assert_eq!(
        run.give(1, Standing::Stranger, join(UserType::Citizen)),
        Err(Rejection::MayNotJoin)
    );
    assert_eq!(
        run.give(1, Standing::Rescuer, join(UserType::Rescuer)),
        Err(Rejection::MayNotJoin)
    );
    assert_eq!(
        run.give(1, Standing::Mission, join(UserType::AnonRescuer)),
        Ok(())
    );
    assert_eq!(run.give(2, Standing::Contact, join(UserType::Citizen)), Ok(()));
    assert_eq!(run.give(3, Standing::Staff, join(UserType::Admin)), Ok(()));
}

#[test]
fn the_owner_is_never_put_out_for_being_idle() {
    let mut run = Run::new(Genesis::Incident(Box::new(report())));
    run.give(
        1,
        Standing::Stranger,
        Command::Join {
            user_type: UserType::Citizen,
        },
    )
    .unwrap();
    run.now = run.now + Duration::from_secs(30 * 60);
    let due = due(&run.state, &run.presence, &run.policy, run.now);
    assert_eq!(due, [Deadline::Idle(person(1))]);
}

#[test]
fn a_trip_is_for_those_on_it_and_begun_and_ended_by_the_system_alone() {
    let mut run = Run::new(trip());
    let create = Command::Create {
        genesis: trip(),
        user_type: UserType::Citizen,
    };
    let unmade = RoomState::new(room("other"));
    for standing in [Standing::Staff, Standing::Stranger, Standing::Contact] {
        let actor = Actor::Participant(person(OWNER));
        let refused = decide(&unmade, &run.policy, actor, standing, create.clone());
        assert_eq!(refused, Err(Rejection::Forbidden), "{standing:?}");
    }
    let join = Command::Join {
        user_type: UserType::Citizen,
    };
    for standing in [Standing::Stranger, Standing::Rescuer, Standing::Staff] {
        assert_eq!(run.give(3, standing, join.clone()), Err(Rejection::MayNotJoin));
    }
    // In from the beginning, and told of when they come; once.
    assert!(run.state.is_in(person(1)));
    assert_eq!(run.give(1, Standing::Stranger, join.clone()), Ok(()));
    assert_eq!(
        run.give(1, Standing::Stranger, join.clone()),
        Err(Rejection::AlreadyIn)
    );
    assert_eq!(run.give(1, Standing::Stranger, Command::Leave), Ok(()));
    assert_eq!(run.give(1, Standing::Stranger, join.clone()), Ok(()));
    let remove = Command::Remove {
        who: person(1),
        reason: LeaveReason::Removed,
    };
    assert_eq!(
        run.give(OWNER, Standing::Stranger, remove.clone()),
        Err(Rejection::Forbidden),
        "a driver is no host"
    );
    assert_eq!(run.give(9, Standing::Staff, remove), Ok(()));
    assert_eq!(
        run.give(1, Standing::Stranger, join.clone()),
        Err(Rejection::MayNotJoin)
    );
    assert_eq!(
        run.give(OWNER, Standing::Stranger, Command::EndTrip),
        Err(Rejection::Forbidden)
    );
    assert_eq!(run.give(OWNER, Standing::System, Command::EndTrip), Ok(()));
    let log = run.log.len();
    assert_eq!(run.give(OWNER, Standing::System, Command::EndTrip), Ok(()));
    assert_eq!(run.log.len(), log, "once");
    assert_eq!(run.give(2, Standing::Stranger, join), Err(Rejection::TripEnded));
}

#[test]
fn on_a_trip_several_emergencies_stand_beside_each_other() {
    let mut run = Run::new(trip());
    let sos = |n: u8| room(&format!("sos{n}"));
    let raise = |n| Command::RaiseEmergency { sos: sos(n) };
    let end = |n| Command::EndEmergency { sos: sos(n) };
    for n in 1..=3 {
        run.give(OWNER, Standing::System, raise(n)).unwrap();
    }
    assert_eq!(run.state.emergency, Some(sos(3)));
    run.give(OWNER, Standing::System, end(2)).unwrap();
    run.give(OWNER, Standing::System, end(3)).unwrap();
    assert_eq!(run.state.emergency, Some(sos(1)));
    run.give(OWNER, Standing::System, Command::EndTrip).unwrap();
    assert_eq!(
        run.give(OWNER, Standing::System, raise(4)),
        Err(Rejection::TripEnded)
    );
    run.check_log();
}

#[test]
fn a_service_brings_in_and_passes_on_the_words_of_people_who_are_not_in() {
    let mut sos = report();
    sos.visibility = crate::domain::incident::Visibility::Restricted;
    let mut run = Run::new(Genesis::Incident(Box::new(sos)));
    let relay = Relay {
        sender: Some(UserType::Rescuer),
        notice: false,
        written_at: Timestamp::from_ms(7),
    };
    let pass_on = || Command::PassOn {
        id: MessageId::new("m1").unwrap(),
        content: "on our way".into(),
        relay,
    };
    for standing in [Standing::Staff, Standing::Rescuer, Standing::Stranger] {
        assert_eq!(run.give(1, standing, pass_on()), Err(Rejection::Forbidden));
    }
    assert_eq!(run.give(1, Standing::System, pass_on()), Ok(()));
    assert!(!run.state.is_in(person(1)) && !run.state.participants.contains_key(&person(1)));
    let again = run.give(1, Standing::System, pass_on());
    assert_eq!(again, Err(Rejection::SentBefore { seq: Seq::new(3) }));
    assert_eq!(
        run.give(2, Standing::System, pass_on()),
        Ok(()),
        "ids are each one's own"
    );
    let join = Command::Join {
        user_type: UserType::Rescuer,
    };
    assert_eq!(run.give(1, Standing::System, join.clone()), Ok(()));
    // Told again by the service they are in; once they come by themselves, that is told.
    assert_eq!(
        run.give(1, Standing::System, join.clone()),
        Err(Rejection::AlreadyIn)
    );
    assert!(run.state.is_in(person(1)) && run.state.is_awaited(person(1)));
    assert_eq!(
        run.give(1, Standing::Stranger, join.clone()),
        Ok(()),
        "as what they were brought in"
    );
    assert_eq!(run.give(1, Standing::Stranger, join), Err(Rejection::AlreadyIn));
    assert!(run.state.is_in(person(1)) && !run.state.is_awaited(person(1)));
    let close = Command::SetStatus {
        to: Status::Closed,
        expected: None,
        note: None,
        lower_case: false,
        proof: Proof::Nothing,
    };
    run.give(OWNER, Standing::System, close).unwrap();
    assert_eq!(run.give(3, Standing::System, pass_on()), Err(Rejection::Closed));
    run.check_log();
}

#[test]
fn the_type_of_an_incident_is_changed_by_staff_and_services_while_it_is_open() {
    let mut run = Run::new(Genesis::Incident(Box::new(report())));
    let to = |to| Command::SetType { to };
    for standing in [
        Standing::Stranger,
        Standing::Rescuer,
        Standing::Mission,
        Standing::Contact,
    ] {
        let refused = run.give(OWNER, standing, to(IncidentType::Medical));
        assert_eq!(refused, Err(Rejection::Forbidden), "{standing:?}");
    }
    let before = run.log.len();
    assert_eq!(run.give(9, Standing::System, to(report().kind)), Ok(()));
    assert_eq!(run.log.len(), before, "it is what it was");
    assert_eq!(run.give(9, Standing::System, to(IncidentType::Medical)), Ok(()));
    assert_eq!(run.give(9, Standing::Staff, to(IncidentType::Crime)), Ok(()));
    let end = Command::SetStatus {
        to: Status::Resolved,
        expected: None,
        note: None,
        lower_case: false,
        proof: Proof::Nothing,
    };
    run.give(OWNER, Standing::System, end).unwrap();
    assert_eq!(
        run.give(9, Standing::System, to(IncidentType::Fire)),
        Err(Rejection::Closed)
    );
    run.check_log();
    let mut circle = Run::new(Genesis::Circle);
    assert_eq!(
        circle.give(9, Standing::System, to(IncidentType::Fire)),
        Err(Rejection::WrongKind)
    );
}

#[test]
fn a_move_notes_in_which_case_its_status_was_written_and_the_state_is_the_same() {
    let mut run = Run::new(Genesis::Incident(Box::new(report())));
    for (to, lower_case) in [(Status::Assigned, true), (Status::Arrived, false)] {
        let command = Command::SetStatus {
            to,
            expected: None,
            note: None,
            lower_case,
            proof: Proof::Nothing,
        };
        run.give(9, Standing::Staff, command).unwrap();
        let noted = match run.log.last().map(|event| &event.body) {
            Some(EventBody::StatusChanged { lower_case, .. }) => *lower_case,
            other => panic!("{other:?}"),
        };
        assert_eq!(noted, lower_case);
        assert_eq!(
            run.state.incident.as_ref().map(|incident| incident.status),
            Some(to)
        );
    }
    run.check_log();
}

#[test]
fn what_is_guarded_is_ended_by_the_pin_and_only_looks_ended_by_the_other_one() {
    let guarded = || {
        let report = Report {
            guarded: true,
            ..report()
        };
        Run::new(Genesis::Incident(Box::new(report)))
    };
    let set = |to, proof| Command::SetStatus {
        to,
        expected: None,
        note: None,
        lower_case: false,
        proof,
    };
    let mut run = guarded();
    for to in [Status::Cancelled, Status::Resolved] {
        let refused = run.give(OWNER, Standing::Stranger, set(to, Proof::Nothing));
        assert_eq!(refused, Err(Rejection::PinRequired));
    }
    // On the way no PIN is asked for, and operators need none.
    run.give(OWNER, Standing::Stranger, set(Status::Responding, Proof::Nothing))
        .unwrap();
    run.give(OWNER, Standing::Stranger, set(Status::Cancelled, Proof::Pin))
        .unwrap();
    assert!(!run.state.is_open());
    let mut run = guarded();
    run.give(9, Standing::Staff, set(Status::Cancelled, Proof::Nothing))
        .unwrap();
    assert!(!run.state.is_open());

    let mut run = guarded();
    run.give(
        1,
        Standing::Rescuer,
        Command::Join {
            user_type: UserType::Rescuer,
        },
    )
    .unwrap();
    run.give(OWNER, Standing::Stranger, set(Status::Cancelled, Proof::Duress))
        .unwrap();
    assert!(run.state.is_open() && run.state.is_under_duress());
    assert!(run.state.is_in(person(OWNER)), "where they are is still followed");
    let again = run.give(OWNER, Standing::Stranger, set(Status::Cancelled, Proof::Pin));
    let (from, to) = (Status::Cancelled, Status::Cancelled);
    assert_eq!(again, Err(Rejection::InvalidTransition { from, to }));
    let join = Command::Join {
        user_type: UserType::Citizen,
    };
    assert_eq!(run.give(OWNER, Standing::Stranger, join), Err(Rejection::Closed));
    let say = Command::SendMessage {
        id: MessageId::new("m").unwrap(),
        content: "help".into(),
    };
    assert_eq!(
        run.give(OWNER, Standing::Stranger, say.clone()),
        Err(Rejection::NotIn)
    );
    assert_eq!(run.give(1, Standing::Rescuer, say), Ok(()));
    run.check_log();
}
