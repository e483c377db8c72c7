//! What incident clients get: every row of the contract, and JSON whatever people call themselves.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::geo::{Fix, Position};
use crate::domain::ids::{MessageId, ParticipantId, UserId};
use crate::domain::incident::{IncidentType, Status};
use crate::domain::people::{Person, Role, Subject};
use crate::domain::phone::PhoneNumber;
use crate::domain::room::{Actor, Event, EventBody, Genesis, LeaveReason, Relay, Seq, UserType};
use crate::domain::testing::{person, report, room};
use crate::domain::time::Timestamp;
use crate::wire::json::{ServerMessage, UserView};
use crate::wire::rest::{ParticipantView, Sender};
use crate::wire::socketio::{Args, Json};

const NOW: Timestamp = Timestamp::from_ms(1_750_000_000_123);
const NOW_TEXT: &str = "2025-06-15T15:06:40.123Z";
const ANA_ID: &str = "p-0000000000000001";

fn phone() -> PhoneNumber {
    PhoneNumber::from_e164("+639171234567").unwrap()
}

fn ana() -> Person {
    Person {
        participant: person(1),
        subject: Subject::User(UserId::new("u-ana").unwrap()),
        name: Some("Ana \"Q\"".into()),
        phone: Some(phone()),
        role: Role::Rescuer,
    }
}

/// Compares words with the names and bodies expected, in order.
#[track_caller]
fn are(words: &[Word], expected: &[(&str, Value)]) {
    let shown: Vec<(&str, Value)> = words
        .iter()
        .map(|word| (word.name, serde_json::from_str(&word.body).unwrap()))
        .collect();
    assert_eq!(shown, expected);
}

/// The same for words that share one body.
#[track_caller]
fn under(words: &[Word], names: &[&str], body: &Value) {
    let expected: Vec<_> = names.iter().map(|name| (*name, body.clone())).collect();
    are(words, &expected);
}

fn event_by(actor: Actor, body: EventBody) -> Event {
    Event {
        room: room("s1"),
        seq: Seq::new(7),
        at: NOW,
        actor,
        body,
    }
}

fn told(event: &Event) -> Words {
    let ana = ana();
    encode_event(event, &|who| (who == person(1)).then_some(&ana), &|who| {
        (who == person(1)).then_some(UserType::Rescuer)
    })
}

fn by_ana(body: EventBody) -> Words {
    told(&event_by(Actor::Participant(person(1)), body))
}

#[test]
fn who_has_come_in_is_told_so_with_the_logs_head() {
    let s1 = room("s1");
    let approved = ServerMessage::JoinApproved {
        room: &s1,
        seq: Seq::new(9),
        recovered: true,
        participant: person(1),
    };
    let mut body = json!({"userId": ANA_ID, "sosId": "s1", "action": "user_joined", "timestamp": NOW.ms(), "seq": 9,
                          "recovered": true});
    under(&translate(&approved, NOW), &["sos:init"], &body);
    let brought_in = ServerMessage::AutoJoined {
        room: &s1,
        owner_name: Some("Ben"),
        on_trip: false,
        participant: person(1),
        seq: Seq::new(9),
    };
    body["recovered"] = json!(false);
    under(&translate(&brought_in, NOW), &["sos:init"], &body);
}

#[test]
fn who_is_back_is_told_to_the_others_and_who_is_away() {
    let (s1, ana) = (room("s1"), ana());
    let back = [
        ServerMessage::UserJoined {
            room: &s1,
            seq: None,
            client_id: "c",
            user: UserView::of(&ana, true),
        },
        ServerMessage::EmergencyContactJoined {
            room: &s1,
            contact: person(1),
            name: ana.name.as_deref(),
            seq: None,
        },
    ];
    for message in back {
        are(
            &translate(&message, NOW),
            &[
                (
                    "sos:init",
                    json!({"userId": ANA_ID, "sosId": "s1", "action": "user_joined", "timestamp": NOW.ms()}),
                ),
                (
                    "sos:room:joined",
                    json!({"userId": ANA_ID, "sosId": "s1", "displayName": "Ana \"Q\"", "timestamp": NOW.ms()}),
                ),
            ],
        );
    }
    let away = [
        ServerMessage::UserLeft {
            room: &s1,
            participant: person(1),
            seq: None,
            client_id: "c",
            user_name: None,
        },
        ServerMessage::RoomLeft {
            room: &s1,
            participant: person(1),
        },
    ];
    for message in away {
        let body = json!({"userId": ANA_ID, "sosId": "s1", "timestamp": NOW.ms()});
        under(&translate(&message, NOW), &["sos:room:left"], &body);
    }
}

#[test]
fn coming_and_going_is_told_under_three_names_and_two() {
    let came = |who| EventBody::Joined {
        who,
        user_type: UserType::AnonRescuer,
        as_contact: true,
    };
    are(
        &by_ana(came(person(1))),
        &[
            (
                "sos:init",
                json!({"userId": ANA_ID, "sosId": "s1", "action": "user_joined", "timestamp": NOW.ms(), "seq": 7}),
            ),
            (
                "sos:room:joined",
                json!({"userId": ANA_ID, "sosId": "s1", "userType": "ANON_RESCUER", "displayName": "Ana \"Q\"",
                       "timestamp": NOW.ms(), "seq": 7}),
            ),
            (
                "participant:joined",
                json!({"sosId": "s1", "userId": ANA_ID, "userType": "ANON_RESCUER", "displayName": "Ana \"Q\"",
                       "joinedAt": NOW_TEXT, "seq": 7}),
            ),
        ],
    );
    // Whose record was erased has no name any more.
    let erased = by_ana(came(person(2)));
    assert!(erased[1].body.contains(r#""displayName":"Anonymous""#));
    are(
        &by_ana(EventBody::Left {
            who: person(1),
            reason: LeaveReason::Removed,
        }),
        &[
            (
                "sos:room:left",
                json!({"userId": ANA_ID, "sosId": "s1", "timestamp": NOW.ms(), "seq": 7}),
            ),
            (
                "participant:left",
                json!({"sosId": "s1", "userId": ANA_ID, "leftAt": NOW_TEXT, "seq": 7}),
            ),
        ],
    );
}

#[test]
fn a_move_and_a_closing_have_names_of_their_own() {
    let to = |to, lower_case| EventBody::StatusChanged {
        from: Status::Active,
        to,
        note: Some("private".into()),
        lower_case,
    };
    under(
        &by_ana(to(Status::Responding, false)),
        &["sos:status:broadcast", "sos:updated"],
        &json!({"sosId": "s1", "status": "RESPONDING", "updatedBy": ANA_ID, "timestamp": NOW.ms(),
                "oldStatus": "ACTIVE", "seq": 7}),
    );
    under(
        &told(&event_by(Actor::System, to(Status::Closed, false))),
        &["sos:close", "sos:closed"],
        &json!({"sosId": "s1", "closedBy": "system", "timestamp": NOW.ms(), "status": "CLOSED", "seq": 7}),
    );
    under(
        &by_ana(EventBody::TypeChanged {
            from: IncidentType::Other,
            to: IncidentType::Medical,
        }),
        &["sos:updated"],
        &json!({"sosId": "s1", "type": "MEDICAL", "oldType": "OTHER", "updatedBy": ANA_ID, "timestamp": NOW.ms(),
                "seq": 7}),
    );
    // As whoever moved it wrote it.
    under(
        &by_ana(to(Status::Responding, true)),
        &["sos:status:broadcast", "sos:updated"],
        &json!({"sosId": "s1", "status": "responding", "updatedBy": ANA_ID, "timestamp": NOW.ms(),
                "oldStatus": "active", "seq": 7}),
    );
    let closed = by_ana(to(Status::Closed, true));
    assert!(closed[0].body.contains(r#""status":"closed""#));
}

#[test]
fn a_position_has_one_name_more_when_it_is_a_rescuers_and_never_a_number() {
    let (s1, phone) = (room("s1"), phone());
    let fix = Fix::new(Position::new(14.5, 121.25).unwrap(), Timestamp::from_ms(5));
    let said = |fix: &Fix, name, rescuer| {
        let message = ServerMessage::LocationUpdate {
            room: &s1,
            user: person(1),
            name,
            visible_phone: Some(&phone),
            fix,
            rescuer,
        };
        translate(&message, NOW)
    };
    let mut body = json!({"userId": ANA_ID, "sosId": "s1", "latitude": 14.5, "longitude": 121.25, "accuracy": null,
                          "timestamp": 5});
    let names = [
        "location:broadcast",
        "location:updated",
        "rescuer:location:broadcast",
    ];
    under(&said(&fix, None, false), &names[..2], &body);
    let fix = fix.with_motion(Some(8.5), Some(1.25), Some(270.0)).unwrap();
    body["accuracy"] = json!(8.5);
    body["speed"] = json!(1.25);
    body["heading"] = json!(270.0);
    body["displayName"] = json!("Ana");
    let words = said(&fix, Some("Ana"), true);
    under(&words, &names, &body);
    // Written once.
    assert!(
        words
            .iter()
            .all(|word| word.body.as_ptr() == words[0].body.as_ptr())
    );
    assert_eq!(words[0].args(), Args::build().encoded(&words[0].body).done());
}

#[test]
fn a_message_is_shown_as_over_http() {
    let said = |relay, content: &str| EventBody::MessageSent {
        id: MessageId::new("m-1").unwrap(),
        content: content.into(),
        relay,
    };
    let mut body = json!({"id": "m-1", "sosId": "s1", "senderType": "RESCUER", "senderId": ANA_ID,
                          "senderDisplayName": "Ana \"Q\"", "contentType": "text", "content": "hé\n",
                          "createdAt": NOW_TEXT, "timestamp": NOW.ms(), "seq": 7});
    under(&by_ana(said(None, "hé\n")), &["message:broadcast"], &body);
    // Passed on by a service: as what its sender said it, and when it was written.
    let relay = Relay {
        sender: Some(UserType::Citizen),
        notice: false,
        written_at: Timestamp::from_ms(0),
    };
    body["senderType"] = json!("CITIZEN");
    body["createdAt"] = json!("1970-01-01T00:00:00.000Z");
    under(&by_ana(said(Some(relay), "hé\n")), &["message:broadcast"], &body);
    let notice = Relay {
        sender: None,
        notice: true,
        ..relay
    };
    body["senderType"] = json!("SYSTEM");
    body["contentType"] = json!("system");
    under(&by_ana(said(Some(notice), "hé\n")), &["message:broadcast"], &body);
    // The engine's own, and somebody's who was never in and has no record any more.
    let own: Value = serde_json::from_str(&told(&event_by(Actor::System, said(None, "x")))[0].body).unwrap();
    assert_eq!(
        [
            &own["senderType"],
            &own["senderId"],
            &own["senderDisplayName"],
            &own["contentType"]
        ],
        [&json!("SYSTEM"), &json!(null), &json!("System"), &json!("system")]
    );
    let stranger = told(&event_by(Actor::Participant(person(2)), said(None, "x")));
    let stranger: Value = serde_json::from_str(&stranger[0].body).unwrap();
    assert_eq!(
        [&stranger["senderType"], &stranger["senderDisplayName"]],
        [&json!("CITIZEN"), &json!("Anonymous")]
    );
}

#[test]
fn answers_have_what_was_asked_for() {
    let s1 = room("s1");
    let id = MessageId::new("m-1").unwrap();
    let said = Said {
        id: &id,
        seq: Seq::new(4),
        at: NOW,
        sender: Some(Sender {
            id: person(1),
            user_type: UserType::Citizen,
            name: Some("Ana"),
        }),
        content: "hello",
        relay: None,
    };
    let message = json!({"id": "m-1", "sosId": "s1", "senderType": "CITIZEN", "senderId": ANA_ID,
                         "senderDisplayName": "Ana", "contentType": "text", "content": "hello",
                         "createdAt": NOW_TEXT, "timestamp": NOW.ms(), "seq": 4});
    are(
        &[history_response(&s1, &[said, said]), history_response(&s1, &[])],
        &[
            (
                "message:history:response",
                json!({"sosId": "s1", "messages": [message, message]}),
            ),
            ("message:history:response", json!({"sosId": "s1", "messages": []})),
        ],
    );
    let stay = ParticipantView::new(&s1, person(1), UserType::Citizen, NOW, None, Some("Ana"));
    are(
        &[participants_response(&s1, &[stay], 3, NOW)],
        &[(
            "participants:active:response",
            json!({"sosId": "s1", "count": 3, "timestamp": NOW.ms(), "participants": [
                {"id": ANA_ID, "sosId": "s1", "userType": "CITIZEN", "displayName": "Ana", "status": "ACTIVE",
                 "joinedAt": NOW_TEXT},
            ]}),
        )],
    );
    for (echo, mut body) in [
        ("{}", json!({})),
        ("{ }", json!({})),
        (r#"{"a":[{}],"b":"}"}"#, json!({"a": [{}], "b": "}"})),
        (r#"{ "respondedAt" : 1 }"#, json!({})),
    ] {
        body["respondedAt"] = json!(NOW.ms());
        are(&[pong(&Json::new(echo).unwrap(), NOW)], &[("pong", body)]);
    }
    are(
        &[heartbeat(NOW)],
        &[("heartbeat:ack", json!({"timestamp": NOW.ms()}))],
    );
}

#[test]
fn somebody_writes_and_stops() {
    let mut body = json!({"sosId": "s1", "userId": ANA_ID, "displayName": "Ana"});
    under(
        &typing(&room("s1"), person(1), true, Some("Ana")),
        &["message:typing:start"],
        &body,
    );
    body["displayName"] = json!("Anonymous");
    under(
        &typing(&room("s1"), person(1), false, None),
        &["message:typing:stop"],
        &body,
    );
}

#[test]
fn a_refusal_has_the_code_that_incident_clients_know() {
    let s1 = room("s1");
    let error = |code, field| {
        let message = ServerMessage::Error {
            code,
            message: "why",
            field,
        };
        translate(&message, NOW)
    };
    for (code, field, shown, shown_field) in [
        ("ROOM_NOT_FOUND", None, "INVALID_SOS_ID", None),
        ("NOT_IN_ROOM", Some("roomId"), "UNAUTHORIZED_SOS", Some("sosId")),
        ("FORBIDDEN", None, "UNAUTHORIZED", None),
        (
            "INVALID_TRANSITION",
            Some("status"),
            "INVALID_STATUS_DATA",
            Some("status"),
        ),
        ("RATE_LIMITED", None, "RATE_LIMITED", None),
    ] {
        let mut body = json!({"code": shown, "message": "why"});
        if let Some(field) = shown_field {
            body["field"] = json!(field);
        }
        under(&error(code, field), &["error"], &body);
    }
    let denied = ServerMessage::JoinDenied {
        room: &s1,
        message: "Not authorized to join this room",
    };
    let body = json!({"code": "UNAUTHORIZED_SOS", "message": "Not authorized to join this room"});
    under(&translate(&denied, NOW), &["error"], &body);
}

#[test]
fn what_concerns_the_connection_is_told_in_their_words() {
    let ends = json!({"expiresAt": NOW_TEXT});
    under(
        &translate(&ServerMessage::CredentialExpiring { expires_at: NOW }, NOW),
        &["credential:expiring"],
        &ends,
    );
    under(
        &translate(&ServerMessage::CredentialRefreshed { expires_at: NOW }, NOW),
        &["credential:refreshed"],
        &ends,
    );
    under(
        &translate(&ServerMessage::ServerDraining { reconnect_in_ms: 7 }, NOW),
        &["server:draining"],
        &json!({"reconnectInMs": 7}),
    );
}

#[test]
fn incident_clients_hear_nothing_of_circles_trips_and_areas_and_no_event_twice() {
    let mut heard = Vec::new();
    crate::wire::json::samples::each(true, |message| {
        if !translate(message, NOW).is_empty() {
            heard.push(message.kind());
        }
    });
    heard.sort_unstable();
    // The samples of the others have a place in the log, where there can be one.
    assert_eq!(
        heard,
        [
            "auto-joined",
            "credential-expiring",
            "credential-refreshed",
            "error",
            "join-approved",
            "join-denied",
            "location-update",
            "room-left",
            "server-draining",
        ]
    );
    for body in [
        EventBody::Created(Genesis::Incident(Box::new(report()))),
        EventBody::Created(Genesis::Circle),
        EventBody::JoinRequested { who: person(1) },
        EventBody::JoinDenied { who: person(1) },
        EventBody::Activated,
        EventBody::Deactivated,
        EventBody::Emptied,
        EventBody::EmergencyRaised { sos: room("s1") },
        EventBody::EmergencyEnded { sos: room("s1") },
        EventBody::ContactAlerted { who: person(1) },
        EventBody::TripEnded,
        EventBody::LinkRaised { room: room("c1") },
        EventBody::LinkEnded { room: room("c1") },
    ] {
        assert!(by_ana(body.clone()).is_empty(), "{body:?}");
    }
}

#[test]
fn each_thing_is_told_once_under_each_of_its_names() {
    let s1 = room("s1");
    let fix = Fix::new(Position::new(14.5, 121.25).unwrap(), NOW);
    let moved = ServerMessage::LocationUpdate {
        room: &s1,
        user: person(1),
        name: None,
        visible_phone: None,
        fix: &fix,
        rescuer: true,
    };
    let joined = by_ana(EventBody::Joined {
        who: person(1),
        user_type: UserType::Citizen,
        as_contact: false,
    });
    for (words, names) in [(translate(&moved, NOW), 3), (joined, 3)] {
        let distinct: std::collections::BTreeSet<_> = words.iter().map(|word| word.name).collect();
        assert_eq!((words.len(), distinct.len()), (names, names));
    }
    // Everything that the contract's page lists, what is told of credentials and of a node that goes, and what
    // operators hear.
    let mut names = std::collections::BTreeSet::new();
    samples::each(true, |word| {
        names.insert(word.name);
    });
    assert_eq!(names.len(), 27);
}

#[test]
fn an_acknowledgement_says_whether_it_was_done() {
    let id = MessageId::new("m-1").unwrap();
    assert_eq!(
        ack_ok(&room("s1"), None, None),
        r#"{"success":true,"sosId":"s1"}"#
    );
    assert_eq!(
        ack_ok(&room("s1"), Some(Seq::new(7)), Some(&id)),
        r#"{"success":true,"sosId":"s1","seq":7,"id":"m-1"}"#
    );
    assert_eq!(
        ack_error("INVALID_FIELD", "content \"\" is blank", Some("content")),
        r#"{"success":false,"code":"INVALID_FIELD","message":"content \"\" is blank","field":"content"}"#
    );
    assert_eq!(
        ack_error("BUSY", "too busy", None),
        r#"{"success":false,"code":"BUSY","message":"too busy"}"#
    );
}

proptest! {
    #[test]
    fn whatever_people_say_and_are_called_it_is_json(
        content in ".*",
        name in proptest::option::of(".*"),
        who in any::<u64>(),
        at in any::<i64>(),
    ) {
        let who = ParticipantId::from_bits(who);
        let mut ana = ana();
        ana.name.clone_from(&name);
        let event = Event {
            at: Timestamp::from_ms(at),
            ..event_by(Actor::Participant(who), EventBody::MessageSent {
                id: MessageId::new("m").unwrap(),
                content: content.clone(),
                relay: None,
            })
        };
        let words = encode_event(&event, &|_| Some(&ana), &|_| None);
        let shown: Value = serde_json::from_str(&words[0].body).unwrap();
        prop_assert_eq!(&shown["content"], &json!(content));
        prop_assert_eq!(&shown["senderDisplayName"], &json!(name.as_deref().unwrap_or("Anonymous")));
        prop_assert_eq!(&shown["senderId"], &json!(who.to_string()));
        prop_assert_eq!(&shown["timestamp"], &json!(at));
        let refused = serde_json::from_str::<Value>(&ack_error("X", &content, name.as_deref())).unwrap();
        prop_assert_eq!(&refused["message"], &json!(content));
    }

    #[test]
    fn any_object_comes_back_from_a_ping(members in proptest::collection::btree_map(".{0,4}", any::<i32>(), 0..4)) {
        let mut expected = json!(members);
        let echo = Json::new(expected.to_string()).unwrap();
        expected["respondedAt"] = json!(NOW.ms());
        let shown: Value = serde_json::from_str(&pong(&echo, NOW).body).unwrap();
        prop_assert_eq!(shown, expected);
    }
}
