use proptest::prelude::*;

use super::*;
use crate::domain::geo::Position;
use crate::domain::incident::{Address, Severity, Visibility};

/// The one body of each kind is spelled out: a name that changes makes every stored log unreadable.
#[test]
fn stored_names_never_change() {
    let who = ParticipantId::from_bits(7);
    let room = || RoomId::new("r1").unwrap();
    let cases = [
        (EventBody::Created(Genesis::Circle), r#"[1,"circle"]"#),
        (
            EventBody::Created(Genesis::Trip(Box::new(Manifest::new(
                who,
                [ParticipantId::from_bits(8)].into(),
                Some("b".into()),
            )))),
            r#"[1,{"trip":{"driver":"p-0000000000000007","passengers":["p-0000000000000008"],"booking":"b"}}]"#,
        ),
        (EventBody::TripEnded, r#"[1,"trip-ended"]"#),
        (
            EventBody::Joined {
                who,
                user_type: UserType::AnonRescuer,
                as_contact: true,
            },
            r#"[1,{"joined":{"who":"p-0000000000000007","as":"ANON_RESCUER","contact":true}}]"#,
        ),
        (
            EventBody::Left {
                who,
                reason: LeaveReason::Idle,
            },
            r#"[1,{"left":{"who":"p-0000000000000007","why":"IDLE"}}]"#,
        ),
        (
            EventBody::JoinRequested { who },
            r#"[1,{"asked":{"who":"p-0000000000000007"}}]"#,
        ),
        (
            EventBody::JoinDenied { who },
            r#"[1,{"denied":{"who":"p-0000000000000007"}}]"#,
        ),
        (
            EventBody::MessageSent {
                id: MessageId::new("m").unwrap(),
                content: "\"hé\"\n".into(),
                relay: None,
            },
            r#"[1,{"message":{"id":"m","text":"\"hé\"\n"}}]"#,
        ),
        (
            EventBody::MessageSent {
                id: MessageId::new("m").unwrap(),
                content: "hi".into(),
                relay: Some(Relay {
                    sender: Some(UserType::Rescuer),
                    notice: false,
                    written_at: Timestamp::from_ms(9),
                }),
            },
            r#"[1,{"message":{"id":"m","text":"hi","via":{"as":"RESCUER","notice":false,"at":9}}}]"#,
        ),
        (
            EventBody::TypeChanged {
                from: IncidentType::Other,
                to: IncidentType::Medical,
            },
            r#"[1,{"type":{"from":"OTHER","to":"MEDICAL"}}]"#,
        ),
        (EventBody::Activated, r#"[1,"activated"]"#),
        (EventBody::Deactivated, r#"[1,"deactivated"]"#),
        (EventBody::Emptied, r#"[1,"emptied"]"#),
        (
            EventBody::EmergencyRaised { sos: room() },
            r#"[1,{"raised":{"sos":"r1"}}]"#,
        ),
        (
            EventBody::EmergencyEnded { sos: room() },
            r#"[1,{"ended":{"sos":"r1"}}]"#,
        ),
        (
            EventBody::ContactAlerted { who },
            r#"[1,{"alerted":{"who":"p-0000000000000007"}}]"#,
        ),
        (
            EventBody::StatusChanged {
                from: Status::Active,
                to: Status::Resolved,
                note: None,
                lower_case: false,
            },
            r#"[1,{"status":{"from":"ACTIVE","to":"RESOLVED"}}]"#,
        ),
        (
            EventBody::StatusChanged {
                from: Status::Active,
                to: Status::Resolved,
                note: None,
                lower_case: true,
            },
            r#"[1,{"status":{"from":"ACTIVE","to":"RESOLVED","lower":true}}]"#,
        ),
        (
            EventBody::LinkRaised { room: room() },
            r#"[1,{"link-raised":{"room":"r1"}}]"#,
        ),
        (
            EventBody::LinkEnded { room: room() },
            r#"[1,{"link-ended":{"room":"r1"}}]"#,
        ),
    ];
    for (body, text) in cases {
        assert_eq!(encode_body(&body).unwrap(), text);
        assert_eq!(decode_body(text).unwrap(), body);
    }
    let mut report = crate::domain::testing::report();
    report.raised_from = vec![room()];
    let text = r#"[1,{"incident":{"kind":"FIRE","text":"the roof is burning","silent":false,"severity":"HIGH","lat":14.5995,"lon":120.9842,"accuracy":5.0,"visibility":"PUBLIC","from":["r1"]}}]"#;
    assert_eq!(
        encode_body(&EventBody::Created(Genesis::Incident(Box::new(report)))).unwrap(),
        text
    );
}

#[test]
fn what_this_version_does_not_know_is_corrupt() {
    for text in [
        "",
        "null",
        "[]",
        "[1]",
        r#"[2,"circle"]"#,
        r#"[256,"circle"]"#,
        r#"[1,"exploded"]"#,
        r#"[1,{"asked":{"who":"somebody"}}]"#,
        r#"[1,{"asked":{}}]"#,
        r#"[1,{"left":{"who":"p-0000000000000007","why":"BORED"}}]"#,
        r#"[1,{"status":{"from":"ACTIVE","to":"GONE"}}]"#,
        r#"[1,{"type":{"from":"FIRE","to":"BORING"}}]"#,
        r#"[1,{"message":{"id":"m","text":"hi","via":{"as":"KING","notice":false,"at":9}}}]"#,
        r#"[1,{"incident":{"kind":"FIRE","text":"","silent":false,"severity":"HIGH","lat":1.0,"visibility":"PUBLIC"}}]"#,
        r#"[1,{"incident":{"kind":"FIRE","text":"","silent":false,"severity":"HIGH","lat":91,"lon":0,"visibility":"PUBLIC"}}]"#,
    ] {
        assert!(matches!(decode_body(text), Err(StoreError::Corrupt(_))), "{text}");
    }
}

#[test]
fn an_error_does_not_say_what_was_stored() {
    let secret = r#"[1,{"asked":{"who":"secret words"}}]"#;
    assert!(!decode_body(secret).unwrap_err().to_string().contains("secret"));
    assert!(
        !parse_subject("x:secret")
            .unwrap_err()
            .to_string()
            .contains("secret")
    );
}

fn participant_id() -> impl Strategy<Value = ParticipantId> {
    any::<u64>().prop_map(ParticipantId::from_bits)
}

fn room_id() -> impl Strategy<Value = RoomId> {
    "[a-zA-Z0-9_.:-]{1,64}".prop_map(|text| RoomId::new(text).unwrap())
}

fn one_of<T: Copy + std::fmt::Debug>(all: &'static [T]) -> impl Strategy<Value = T> {
    (0..all.len()).prop_map(|n| all[n])
}

fn report() -> impl Strategy<Value = Report> {
    let position =
        (-90.0..=90.0f64, -180.0..=180.0f64).prop_map(|(lat, lon)| Position::new(lat, lon).unwrap());
    let said = (
        one_of(IncidentType::ALL),
        any::<String>(),
        any::<bool>(),
        one_of(Severity::ALL),
    );
    let place = (
        proptest::option::of(position),
        proptest::option::of(proptest::num::f64::POSITIVE | proptest::num::f64::ZERO),
        any::<Option<String>>(),
        any::<Option<String>>(),
        any::<Option<String>>(),
    );
    let rest = (
        one_of(Visibility::ALL),
        any::<Option<String>>(),
        any::<Option<String>>(),
        proptest::collection::vec(room_id(), 0..4),
        any::<bool>(),
        proptest::option::of(any::<i32>()),
        any::<bool>(),
    );
    (said, place, rest).prop_map(|(said, place, rest)| Report {
        kind: said.0,
        message: said.1,
        silent: said.2,
        severity: said.3,
        position: place.0,
        accuracy: place.1,
        address: Address {
            city: place.2,
            barangay: place.3,
        },
        city_id: place.4,
        visibility: rest.0,
        trip_id: rest.1,
        booking_id: rest.2,
        raised_from: rest.3,
        drill: rest.4,
        raised_at: rest.5.map(|ms| Timestamp::from_ms(i64::from(ms))),
        guarded: rest.6,
    })
}

fn manifest() -> impl Strategy<Value = Manifest> {
    let passengers = proptest::collection::btree_set(participant_id(), 0..5);
    (participant_id(), passengers, any::<Option<String>>())
        .prop_map(|(driver, passengers, booking)| Manifest::new(driver, passengers, booking))
}

fn relay() -> impl Strategy<Value = Relay> {
    let sender = proptest::option::of(one_of(UserType::ALL));
    (sender, any::<bool>(), any::<i64>()).prop_map(|(sender, notice, at)| Relay {
        sender,
        notice,
        written_at: Timestamp::from_ms(at),
    })
}

/// What is about people who are not connected.
fn told() -> impl Strategy<Value = EventBody> {
    let planned = (proptest::option::of(participant_id()), one_of(Channel::ALL))
        .prop_map(|(to, channel)| Planned { to, channel });
    let moved = (
        any::<u32>(),
        one_of(DeliveryState::ALL),
        proptest::option::of(one_of(Vendor::ALL)),
        any::<Option<String>>(),
        any::<bool>(),
    );
    prop_oneof![
        (
            any::<u16>(),
            one_of(Occasion::ALL),
            proptest::collection::vec(planned, 0..4)
        )
            .prop_map(|(step, occasion, planned)| EventBody::NotificationsPlanned {
                step,
                occasion,
                planned,
            }),
        moved.prop_map(|(id, to, vendor, code, possibly_twice)| {
            EventBody::NotificationMoved(Move {
                id,
                to,
                vendor,
                code,
                possibly_twice,
            })
        }),
        participant_id().prop_map(|who| EventBody::ContactUnreached { who }),
        one_of(Means::ALL).prop_map(|means| EventBody::Acknowledged { means }),
    ]
}

fn body() -> impl Strategy<Value = EventBody> {
    const TYPES: &[UserType] = &[
        UserType::Citizen,
        UserType::Rescuer,
        UserType::AnonRescuer,
        UserType::Admin,
    ];
    const REASONS: &[LeaveReason] = &[LeaveReason::Left, LeaveReason::Idle, LeaveReason::Removed];
    prop_oneof![
        Just(EventBody::Created(Genesis::Circle)),
        manifest().prop_map(|manifest| EventBody::Created(Genesis::Trip(Box::new(manifest)))),
        Just(EventBody::TripEnded),
        report().prop_map(|report| EventBody::Created(Genesis::Incident(Box::new(report)))),
        (participant_id(), one_of(TYPES), any::<bool>()).prop_map(|(who, user_type, as_contact)| {
            EventBody::Joined {
                who,
                user_type,
                as_contact,
            }
        }),
        (participant_id(), one_of(REASONS)).prop_map(|(who, reason)| EventBody::Left { who, reason }),
        participant_id().prop_map(|who| EventBody::JoinRequested { who }),
        participant_id().prop_map(|who| EventBody::JoinDenied { who }),
        (
            "[a-zA-Z0-9_.:-]{1,64}",
            any::<String>(),
            proptest::option::of(relay())
        )
            .prop_map(|(id, content, relay)| EventBody::MessageSent {
                id: MessageId::new(id).unwrap(),
                content,
                relay,
            }),
        (one_of(IncidentType::ALL), one_of(IncidentType::ALL))
            .prop_map(|(from, to)| EventBody::TypeChanged { from, to }),
        Just(EventBody::Activated),
        Just(EventBody::Deactivated),
        Just(EventBody::Emptied),
        room_id().prop_map(|sos| EventBody::EmergencyRaised { sos }),
        room_id().prop_map(|sos| EventBody::EmergencyEnded { sos }),
        participant_id().prop_map(|who| EventBody::ContactAlerted { who }),
        (
            one_of(Status::ALL),
            one_of(Status::ALL),
            any::<Option<String>>(),
            any::<bool>()
        )
            .prop_map(|(from, to, note, lower_case)| EventBody::StatusChanged {
                from,
                to,
                note,
                lower_case,
            }),
        room_id().prop_map(|room| EventBody::LinkRaised { room }),
        room_id().prop_map(|room| EventBody::LinkEnded { room }),
        told(),
        (one_of(Status::ALL), one_of(Status::ALL), any::<Option<String>>())
            .prop_map(|(from, to, note)| EventBody::Duress { from, to, note }),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(body in body()) {
        prop_assert_eq!(decode_body(&encode_body(&body).unwrap()).unwrap(), body);
    }

    #[test]
    fn a_report_is_read_back(report in report()) {
        prop_assert_eq!(decode_report(&encode_report(&report).unwrap()).unwrap(), report);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in ".*", cut in any::<prop::sample::Index>(), body in body()) {
        let _ = decode_body(&text);
        let _ = parse_subject(&text);
        let mut stored = encode_body(&body).unwrap().into_bytes();
        stored.truncate(cut.index(stored.len()));
        prop_assert!(decode_body(&String::from_utf8_lossy(&stored)).is_err());
    }

    #[test]
    fn a_subject_is_read_back(name in "[a-z:]{1,20}", bytes in any::<[u8; 16]>()) {
        for subject in [
            Subject::User(UserId::new(&name).unwrap()),
            Subject::Device(DeviceId::from_random(bytes)),
            Subject::Service(ServiceName::new(&name).unwrap()),
        ] {
            prop_assert_eq!(parse_subject(&subject_text(&subject)).unwrap(), subject);
        }
    }
}
