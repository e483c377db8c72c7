//! What circle clients get: the names of the contract, and JSON whatever people call themselves.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::geo::{Fix, Position};
use crate::domain::ids::{DeviceId, MessageId, ParticipantId, RoomId, UserId};
use crate::domain::incident::{IncidentType, Status};
use crate::domain::people::{Identity, Person, Role, Subject};
use crate::domain::phone::PhoneNumber;
use crate::domain::room::{Actor, Event, EventBody, Genesis, LeaveReason, RoomState, Seq, UserType};
use crate::domain::testing::{person, report, room};
use crate::domain::time::Timestamp;
use crate::wire::stamp;

const NOW: Timestamp = Timestamp::from_ms(1_750_000_000_123);
const NOW_TEXT: &str = "2025-06-15T15:06:40.123Z";

fn shown(message: &ServerMessage<'_>) -> Value {
    serde_json::from_slice(&message.encode(NOW)).unwrap()
}

/// Compares a message with `expected`, which leaves out what every message has.
#[track_caller]
fn is(message: &ServerMessage<'_>, kind: &str, mut expected: Value) {
    expected["type"] = json!(kind);
    expected["timestamp"] = json!(NOW_TEXT);
    assert_eq!(shown(message), expected);
    assert_eq!(message.kind(), kind);
}

fn phone() -> PhoneNumber {
    PhoneNumber::from_e164("+639171234567").unwrap()
}

fn ana() -> Person {
    Person {
        participant: person(1),
        subject: Subject::User(UserId::new("u-ana").unwrap()),
        name: Some("Ana \"Q\"".into()),
        phone: Some(phone()),
        role: Role::Citizen,
    }
}

const ANA_ID: &str = "p-0000000000000001";

fn ana_shown(phone_no: Option<&str>) -> Value {
    json!({"id": ANA_ID, "name": "Ana \"Q\"", "email": null, "role": "CITIZEN", "phone_no": phone_no})
}

fn incident() -> RoomState {
    let mut state = RoomState::new(room("sos1"));
    state.apply(&Event {
        room: room("sos1"),
        seq: Seq::new(1),
        at: NOW,
        actor: Actor::Participant(person(1)),
        body: EventBody::Created(Genesis::Incident(Box::new(report()))),
    });
    state
}

#[test]
fn a_connection_is_greeted_with_the_bearers_own_identity() {
    let rooms = [room("r1"), room("r2")];
    let device_only = Identity::device(DeviceId::from_random([1; 16]));
    let greeting = |user| ServerMessage::Connected {
        client_id: "c1",
        user,
        rooms: &rooms,
        session_id: "s1",
    };
    let Subject::Device(device) = device_only.subject.clone() else {
        panic!()
    };
    is(
        &greeting(&device_only),
        "connected",
        json!({"clientId": "c1", "roomIds": ["r1", "r2"], "protocol": 1, "sessionId": "s1", "user": {
            "id": device.reveal(), "name": "Anonymous", "email": null, "role": "ANON", "phone_no": null}}),
    );
    let identity = Identity {
        subject: Subject::User(UserId::new("u\"1").unwrap()),
        name: Some("Ana".into()),
        phone: Some(phone()),
        email: Some("ana@example.org".into()),
        ..device_only.clone()
    };
    assert_eq!(
        shown(&greeting(&identity))["user"],
        json!({"id": "u\"1", "name": "Ana", "email": "ana@example.org", "role": "ANON",
               "phone_no": "+639171234567"})
    );
}

#[test]
fn messages_about_rooms_have_the_names_of_the_contract() {
    let (r, ana) = (room("r1"), ana());
    let user = UserView::of(&ana, false);
    let (who, seq) = (person(1), Seq::new(4));
    let m = ServerMessage::AutoJoined {
        on_trip: false,
        room: &r,
        owner_name: Some("Ana"),
        participant: who,
        seq,
    };
    is(
        &m,
        "auto-joined",
        json!({"roomId": "r1", "roomOwner": "Ana", "participantId": ANA_ID, "seq": 4,
               "message": "You are in the room of Ana as an emergency contact."}),
    );
    let m = ServerMessage::AutoJoinSummary {
        rooms: &[(r.clone(), Some("Ana".into())), (room("r2"), None)],
    };
    is(
        &m,
        "auto-join-summary",
        json!({"roomsJoined": [{"roomId": "r1", "owner": "Ana"}, {"roomId": "r2", "owner": "Anonymous"}],
               "message": "You are in 2 rooms as an emergency contact."}),
    );
    let m = ServerMessage::EmergencyContactJoined {
        room: &r,
        contact: who,
        name: None,
        seq: None,
    };
    is(
        &m,
        "emergency-contact-joined",
        json!({"roomId": "r1", "contactId": ANA_ID, "contactName": "Anonymous"}),
    );
    let m = ServerMessage::RoomCreated {
        room: &r,
        owner: who,
        emergency_contacts: &[phone()],
        participant: who,
        seq,
    };
    is(
        &m,
        "room-created",
        json!({"roomId": "r1", "owner": ANA_ID, "emergencyContacts": ["+639171234567"],
               "participantId": ANA_ID, "seq": 4}),
    );
    let m = ServerMessage::JoinApproved {
        room: &r,
        seq,
        recovered: true,
        participant: who,
    };
    is(
        &m,
        "join-approved",
        json!({"roomId": "r1", "seq": 4, "recovered": true, "participantId": ANA_ID}),
    );
    let m = ServerMessage::JoinDenied {
        room: &r,
        message: "Room not found",
    };
    is(
        &m,
        "join-denied",
        json!({"roomId": "r1", "message": "Room not found"}),
    );
    let m = ServerMessage::UserJoined {
        room: &r,
        seq: Some(seq),
        client_id: "c",
        user,
    };
    is(
        &m,
        "user-joined",
        json!({"roomId": "r1", "seq": 4, "clientId": "c", "user": ana_shown(None)}),
    );
    is(
        &ServerMessage::RoomLeft {
            room: &r,
            participant: person(1),
        },
        "room-left",
        json!({"roomId": "r1"}),
    );
    let m = ServerMessage::UserLeft {
        room: &r,
        participant: person(1),
        seq: None,
        client_id: "c",
        user_name: user.name,
    };
    is(
        &m,
        "user-left",
        json!({"roomId": "r1", "clientId": "c", "userName": "Ana \"Q\""}),
    );
    is(
        &ServerMessage::RoomDeactivated { room: &r, seq: None },
        "room-deactivated",
        json!({"roomId": "r1"}),
    );
    let m = ServerMessage::RoomActivated {
        room: &r,
        seq: Some(seq),
    };
    is(&m, "room-activated", json!({"roomId": "r1", "seq": 4}));
    is(
        &ServerMessage::JoinRequested { room: &r },
        "join-requested",
        json!({"roomId": "r1"}),
    );
    let m = ServerMessage::JoinRequest {
        room: &r,
        requester: who,
        name: None,
        user,
    };
    is(
        &m,
        "join-request",
        json!({"roomId": "r1", "requesterId": ANA_ID, "requesterName": "Anonymous",
               "requesterUser": ana_shown(None)}),
    );
    let m = ServerMessage::RoomUsers {
        room: &r,
        users: &[user, UserView::unknown(person(1))],
    };
    is(
        &m,
        "room-users",
        json!({"roomId": "r1", "users": [
            {"id": ANA_ID, "name": "Ana \"Q\"", "user": ana_shown(None)},
            {"id": ANA_ID, "name": "Anonymous", "user": {
                "id": ANA_ID, "name": "Anonymous", "email": null, "role": "ANON", "phone_no": null}}]}),
    );
    let m = ServerMessage::AddedAsEmergencyContact {
        room: &r,
        owner_name: None,
    };
    is(
        &m,
        "added-as-emergency-contact",
        json!({"roomId": "r1", "roomOwner": "Anonymous"}),
    );
    let m = ServerMessage::RemovedAsEmergencyContact {
        room: &r,
        owner_name: Some("B"),
    };
    is(
        &m,
        "removed-as-emergency-contact",
        json!({"roomId": "r1", "roomOwner": "B"}),
    );
}

#[test]
fn messages_about_emergencies_have_the_names_of_the_contract() {
    let (r, sos, ana) = (room("r1"), room("sos1"), ana());
    let user = UserView::of(&ana, true);
    let (who, seq, id) = (person(1), Seq::new(4), MessageId::new("m1").unwrap());
    is(
        &ServerMessage::MessageAccepted {
            room: &r,
            seq,
            id: &id,
        },
        "message-accepted",
        json!({"roomId": "r1", "seq": 4, "id": "m1"}),
    );
    let m = ServerMessage::RoomMessage {
        room: &r,
        seq,
        id: &id,
        content: "<b>\u{2028}\"\n",
        client_id: "c",
        user_name: user.name,
        user,
    };
    is(
        &m,
        "room-message",
        json!({"roomId": "r1", "seq": 4, "id": "m1", "content": "<b>\u{2028}\"\n", "clientId": "c",
               "userName": "Ana \"Q\"", "user": ana_shown(Some("+639171234567"))}),
    );
    let m = ServerMessage::EmergencyConfirmed {
        activated_rooms: std::slice::from_ref(&r),
        sos: &sos,
    };
    is(
        &m,
        "emergency-confirmed",
        json!({"activatedRooms": ["r1"], "sosId": "sos1"}),
    );
    let m = ServerMessage::EmergencyAlert {
        user: who,
        user_name: None,
        room: &r,
        sos: &sos,
        message: None,
    };
    is(
        &m,
        "emergency-alert",
        json!({"emergencyUserId": ANA_ID, "emergencyUserName": "Anonymous", "roomId": "r1", "sosId": "sos1",
               "message": "Anonymous has raised an SOS and needs help."}),
    );
    let m = ServerMessage::EmergencyActivated {
        room: &r,
        seq: Some(seq),
        client_id: "c",
        user_name: Some("Ana"),
        user: None,
        sos: &sos,
    };
    is(
        &m,
        "emergency-activated",
        json!({"roomId": "r1", "seq": 4, "clientId": "c", "userName": "Ana", "user": null, "sosId": "sos1"}),
    );
    is(
        &ServerMessage::EmergencyResolved { rooms: &[] },
        "emergency-resolved",
        json!({"rooms": []}),
    );
    let m = ServerMessage::EmergencyEnded {
        room: &r,
        seq: Some(seq),
        client_id: "c",
        sos: Some(&sos),
    };
    is(
        &m,
        "emergency-ended",
        json!({"roomId": "r1", "seq": 4, "clientId": "c", "sosId": "sos1"}),
    );
    let m = ServerMessage::StatusChanged {
        room: &sos,
        seq,
        status: Status::Arrived,
        from: Status::Active,
        client_id: "c",
    };
    is(
        &m,
        "sos-status",
        json!({"roomId": "sos1", "sosId": "sos1", "seq": 4, "clientId": "c", "status": "ARRIVED",
               "from": "ACTIVE"}),
    );
    let m = ServerMessage::TypeChanged {
        room: &sos,
        seq,
        kind: IncidentType::Medical,
        from: IncidentType::Other,
        client_id: "system",
    };
    is(
        &m,
        "sos-type",
        json!({"roomId": "sos1", "sosId": "sos1", "seq": 4, "clientId": "system", "incidentType": "MEDICAL",
               "from": "OTHER"}),
    );
}

#[test]
fn areas_history_and_the_rest_have_the_names_of_the_contract() {
    let summary = SosSummary::of(&incident()).unwrap();
    let sos = json!({"sosId": "sos1", "type": "FIRE", "message": "the roof is burning", "severity": "HIGH",
        "status": "ACTIVE", "location": {"latitude": 14.5995, "longitude": 120.9842}, "cityId": null,
        "createdAt": NOW_TEXT, "updatedAt": NOW_TEXT, "seq": 1, "activeParticipants": 0});
    is(&ServerMessage::Area { sos: &[] }, "area", json!({"sos": []}));
    is(
        &ServerMessage::Area {
            sos: &[summary.clone(), summary.clone()],
        },
        "area",
        json!({"sos": [sos, sos]}),
    );
    is(
        &ServerMessage::SosCreated(&summary),
        "sos-created",
        json!({"sosId": "sos1", "sos": sos}),
    );
    is(
        &ServerMessage::SosUpdated(&summary),
        "sos-updated",
        json!({"sosId": "sos1", "sos": sos}),
    );
    is(
        &ServerMessage::SosClosed(&summary),
        "sos-closed",
        json!({"sosId": "sos1", "sos": sos}),
    );
    let r = room("r1");
    let events = [b"{\"a\":1}".to_vec(), b"{\"b\":[]}".to_vec()];
    let m = ServerMessage::History {
        room: &r,
        events: &events,
        seq: Seq::new(9),
        more: false,
    };
    is(
        &m,
        "history",
        json!({"roomId": "r1", "events": [{"a": 1}, {"b": []}], "seq": 9, "more": false}),
    );
    is(&ServerMessage::Pong, "pong", json!({}));
    let expires_at = NOW;
    is(
        &ServerMessage::CredentialExpiring { expires_at },
        "credential-expiring",
        json!({"expiresAt": NOW_TEXT}),
    );
    is(
        &ServerMessage::CredentialRefreshed { expires_at },
        "credential-refreshed",
        json!({"expiresAt": NOW_TEXT}),
    );
    let m = ServerMessage::Error {
        code: "BAD_JSON",
        message: "no",
        field: None,
    };
    is(&m, "error", json!({"code": "BAD_JSON", "message": "no"}));
    let m = ServerMessage::Error {
        code: INVALID_FIELD,
        message: "since must…",
        field: Some("since"),
    };
    is(
        &m,
        "error",
        json!({"code": "INVALID_FIELD", "message": "since must…", "field": "since"}),
    );
    let m = ServerMessage::ServerDraining {
        reconnect_in_ms: 5_000,
    };
    is(&m, "server-draining", json!({"reconnectInMs": 5_000}));
}

fn event(body: EventBody) -> Event {
    Event {
        room: room("r1"),
        seq: Seq::new(6),
        at: NOW,
        actor: Actor::Participant(person(1)),
        body,
    }
}

#[test]
fn a_durable_event_becomes_the_frame_of_its_kind_with_its_own_seq_and_time() {
    let ana = ana();
    let sos = room("sos1");
    let who = person(1);
    let joined = |as_contact| EventBody::Joined {
        who,
        user_type: UserType::Citizen,
        as_contact,
    };
    let message = EventBody::MessageSent {
        id: MessageId::new("m1").unwrap(),
        content: "hi".into(),
        relay: None,
    };
    let cases = [
        (joined(false), Some("user-joined")),
        (joined(true), Some("emergency-contact-joined")),
        (
            EventBody::Left {
                who,
                reason: LeaveReason::Idle,
            },
            Some("user-left"),
        ),
        (message, Some("room-message")),
        (EventBody::Activated, Some("room-activated")),
        (EventBody::Deactivated, Some("room-deactivated")),
        (
            EventBody::EmergencyRaised { sos: sos.clone() },
            Some("emergency-activated"),
        ),
        (
            EventBody::EmergencyEnded { sos: sos.clone() },
            Some("emergency-ended"),
        ),
        (
            EventBody::StatusChanged {
                from: Status::Active,
                to: Status::Arrived,
                note: None,
            },
            Some("sos-status"),
        ),
        (
            EventBody::TypeChanged {
                from: IncidentType::Other,
                to: IncidentType::Fire,
            },
            Some("sos-type"),
        ),
        (EventBody::TripEnded, Some("trip:ended")),
        (EventBody::Created(Genesis::Circle), None),
        (EventBody::JoinRequested { who }, None),
        (EventBody::JoinDenied { who }, None),
        (EventBody::Emptied, None),
        (EventBody::ContactAlerted { who }, None),
        (EventBody::LinkRaised { room: sos.clone() }, None),
        (EventBody::LinkEnded { room: sos }, None),
    ];
    for (body, kind) in cases {
        let frame = encode_event(&event(body), &|_| Some(&ana), &|_| false, None);
        let frame: Option<Value> = frame.map(|bytes| serde_json::from_slice(&bytes).unwrap());
        assert_eq!(frame.as_ref().map(|frame| frame["type"].as_str().unwrap()), kind);
        if let Some(frame) = frame {
            assert_eq!(
                (&frame["seq"], &frame["timestamp"]),
                (&json!(6), &json!(NOW_TEXT))
            );
            assert!(
                !frame.to_string().contains("+63917"),
                "a number that is not to be seen: {frame}"
            );
        }
    }
}

#[test]
fn the_sender_knows_themselves_by_their_connection_and_others_by_the_participant() {
    let ana = ana();
    let body = EventBody::MessageSent {
        id: MessageId::new("m1").unwrap(),
        content: "hi".into(),
        relay: None,
    };
    let frame = |phones: bool, client: Option<&str>| -> Value {
        let bytes = encode_event(&event(body.clone()), &|_| Some(&ana), &|_| phones, client).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    assert_eq!(frame(false, None)["clientId"], ANA_ID);
    assert_eq!(frame(false, Some("c9"))["clientId"], "c9");
    assert_eq!(frame(true, None)["user"], ana_shown(Some("+639171234567")));
    let erased = encode_event(&event(body.clone()), &|_| None, &|_| true, None).unwrap();
    let erased: Value = serde_json::from_slice(&erased).unwrap();
    assert_eq!(erased["userName"], "Anonymous");
}

#[test]
fn a_stranger_whom_the_owner_let_in_is_the_one_who_joined() {
    let body = EventBody::Joined {
        who: person(2),
        user_type: UserType::Citizen,
        as_contact: false,
    };
    let frame = encode_event(&event(body), &|_| None, &|_| false, None).unwrap();
    let frame: Value = serde_json::from_slice(&frame).unwrap();
    assert_eq!(frame["clientId"], "p-0000000000000002");
}

proptest! {
    #[test]
    fn a_position_comes_out_as_it_went_in(
        bits in any::<u64>(), name in proptest::option::of(".{0,40}"), shows_phone in any::<bool>(),
        lat in -90.0..=90.0f64, lon in -180.0..=180.0f64, accuracy in proptest::option::of(0.0..=1e8f64),
        speed in proptest::option::of(0.0..=1e5f64), heading in proptest::option::of(0.0..=360.0f64),
        at in 0i64..253_402_300_799_999, slug in "[A-Za-z0-9_.:-]{1,64}"
    ) {
        let (at, room, phone) = (Timestamp::from_ms(at), RoomId::new(&slug).unwrap(), phone());
        let user = ParticipantId::from_bits(bits);
        let fix = Fix::new(Position::new(lat, lon).unwrap(), at).with_motion(accuracy, speed, heading).unwrap();
        let visible_phone = shows_phone.then_some(&phone);
        let message = ServerMessage::LocationUpdate { room: &room, user, name: name.as_deref(), visible_phone, fix: &fix, rescuer: true };
        prop_assert_eq!(shown(&message), json!({
            "type": "location-update", "timestamp": NOW_TEXT, "roomId": slug, "data": {
                "userId": user.to_string(), "userName": name.as_deref().unwrap_or("Anonymous"),
                "visiblePhone": visible_phone.map(PhoneNumber::reveal), "latitude": lat, "longitude": lon,
                "accuracy": accuracy, "speed": speed, "heading": heading,
                "timestamp": stamp::rfc3339_text(at),
            }
        }));
    }

    #[test]
    fn a_confirmation_lists_its_rooms(slugs in prop::collection::vec("[A-Za-z0-9_.:-]{1,64}", 0..8)) {
        let rooms: Vec<_> = slugs.iter().map(|slug| RoomId::new(slug).unwrap()).collect();
        prop_assert_eq!(
            shown(&ServerMessage::LocationUpdateConfirmed { rooms: &rooms }),
            json!({"type": "location-update-confirmed", "timestamp": NOW_TEXT, "rooms": slugs})
        );
    }

    #[test]
    fn whatever_people_write_the_frame_is_json(content in any::<String>(), name in any::<String>(), client in any::<String>()) {
        let (r, id) = (room("r1"), MessageId::new("m").unwrap());
        let user = UserView { id: person(1), name: Some(&name), role: Role::Anon, phone: None };
        let message = ServerMessage::RoomMessage {
            room: &r, seq: Seq::new(u64::MAX), id: &id, content: &content, client_id: &client,
            user_name: Some(&name), user,
        };
        let value = shown(&message);
        prop_assert_eq!(&value["content"], &json!(content));
        prop_assert_eq!(&value["userName"], &json!(name));
        prop_assert_eq!(&value["clientId"], &json!(client));
        prop_assert_eq!(&value["seq"], &json!(u64::MAX));
    }
}
