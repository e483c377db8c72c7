//! What REST clients see: the names and types of the contract.

use serde::Serialize;
use serde_json::{Value, json};

use super::*;
use crate::domain::geo::{Fix, Position};
use crate::domain::ids::{MessageId, ParticipantId, UserId};
use crate::domain::incident::{IncidentType, Status};
use crate::domain::people::{Person, Role, Subject};
use crate::domain::phone::PhoneNumber;
use crate::domain::room::{
    Actor, Event, EventBody, Genesis, LeaveReason, Manifest, Relay, RoomState, Seq, Statistics, UserType,
};
use crate::domain::testing::{person, report, room};
use crate::domain::time::Timestamp;

const T0: &str = "2025-06-15T15:06:40.000Z";
const T1: &str = "2025-06-15T15:06:41.000Z";
const ANA: &str = "p-0000000000000001";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_ms(1_750_000_000_000 + seconds * 1_000)
}

fn shown(view: impl Serialize) -> Value {
    serde_json::to_value(view).unwrap()
}

fn event(seq: u64, body: EventBody) -> Event {
    let actor = Actor::Participant(person(1));
    Event {
        room: room("sos1"),
        seq: Seq::new(seq),
        at: at(i64::try_from(seq).unwrap() - 1),
        actor,
        body,
    }
}

fn incident() -> RoomState {
    let mut state = RoomState::new(room("sos1"));
    let mut report = report();
    report.raised_from = vec![room("circle1")];
    report.address.city = Some("Manila".into());
    state.apply(&event(1, EventBody::Created(Genesis::Incident(Box::new(report)))));
    let joined = EventBody::Joined {
        who: person(1),
        user_type: UserType::Citizen,
        as_contact: false,
    };
    state.apply(&event(2, joined));
    state
}

fn ana() -> Person {
    Person {
        participant: person(1),
        subject: Subject::User(UserId::new("u1").unwrap()),
        name: Some("Ana".into()),
        phone: PhoneNumber::from_e164("+639171234567").ok(),
        role: Role::Citizen,
    }
}

fn fix() -> Fix {
    Fix::new(Position::new(14.5, 121.25).unwrap(), at(1))
        .with_motion(Some(3.0), None, Some(90.0))
        .unwrap()
}

#[test]
fn an_incident_is_shown_whole_and_without_anyones_identity() {
    let (state, ana) = (incident(), ana());
    let people = |_: ParticipantId| Some(&ana);
    let view = shown(SosView::of(&state, &people, Some((person(1), &fix())), true).unwrap());
    assert_eq!(
        view,
        json!({
            "sosId": "sos1", "type": "FIRE", "message": "the roof is burning", "silent": false, "severity": "HIGH",
            "status": "ACTIVE", "visibility": "PUBLIC", "creatorId": ANA, "createdAt": T0, "updatedAt": T0,
            "location": {"latitude": 14.5995, "longitude": 120.9842, "accuracy": 5.0}, "seq": 2,
            "address": {"city": "Manila", "barangay": null}, "cityId": null, "tripId": null, "bookingId": null,
            "participantsCount": 1, "messagesCount": 0, "linkedRooms": ["circle1"],
            "activeParticipants": [{"id": ANA, "sosId": "sos1", "userType": "CITIZEN", "displayName": "Ana",
                                    "status": "ACTIVE", "joinedAt": T1}],
            "lastLocation": {"participantId": ANA, "displayName": "Ana", "latitude": 14.5, "longitude": 121.25,
                             "accuracy": 3.0, "speed": null, "heading": 90.0, "timestamp": T1},
        })
    );
    let view = shown(SosView::of(&state, &|_| None, None, false).unwrap());
    assert_eq!(view["linkedRooms"], Value::Null);
    assert_eq!(view["activeParticipants"][0]["displayName"], "Anonymous");
}

#[test]
fn an_ended_incident_says_when() {
    let mut state = incident();
    state.apply(&event(
        3,
        EventBody::StatusChanged {
            from: Status::Active,
            to: Status::Resolved,
            note: None,
            lower_case: false,
        },
    ));
    let facts = IncidentFacts::of(&state).unwrap();
    let item = shown(SosListItem::new(&facts, Some(12.3456)));
    assert_eq!(
        (&item["status"], &item["distanceM"]),
        (&json!("RESOLVED"), &json!(12.3))
    );
    assert_eq!(item["endedAt"], "2025-06-15T15:06:42.000Z");
    assert_eq!(item["participantsCount"], 0);
    assert!(shown(SosListItem::new(&facts, None)).get("distanceM").is_none());
}

#[test]
fn a_circle_is_no_incident() {
    let mut state = RoomState::new(room("sos1"));
    state.apply(&event(1, EventBody::Created(Genesis::Circle)));
    assert!(SosView::of(&state, &|_| None, None, true).is_none());
    let info = shown(RoomsInfo {
        next_cursor: None,
        rooms: vec![RoomInfo::of(&state, Some("Ana"), Some(person(1)))],
        counts: None,
    });
    assert_eq!(
        info,
        json!({"rooms": [{"roomId": "sos1", "kind": "circle", "owner": ANA, "ownerName": "Ana", "isOwner": true,
                          "active": true, "members": 0, "seq": 1, "createdAt": T0}]})
    );
}

#[test]
fn people_words_and_numbers_have_the_names_of_the_contract() {
    let (r, id) = (room("sos1"), MessageId::new("m1").unwrap());
    let view = ParticipantView::new(&r, person(1), UserType::AnonRescuer, at(0), Some(at(1)), None);
    assert_eq!(
        shown(view),
        json!({"id": ANA, "sosId": "sos1", "userType": "ANON_RESCUER", "displayName": "Anonymous",
               "status": "LEFT", "joinedAt": T0, "leftAt": T1})
    );
    let sender = Sender {
        id: person(1),
        user_type: UserType::Citizen,
        name: Some("Ana"),
    };
    assert_eq!(
        shown(MessageView::new(
            &r,
            &id,
            Seq::new(3),
            at(0),
            Some(sender),
            "<hi>"
        )),
        json!({"id": "m1", "sosId": "sos1", "seq": 3, "senderType": "CITIZEN", "senderId": ANA,
               "senderDisplayName": "Ana", "contentType": "text", "content": "<hi>", "createdAt": T0})
    );
    let system = shown(MessageView::new(&r, &id, Seq::new(3), at(0), None, "x"));
    assert_eq!(
        (&system["senderType"], &system["contentType"]),
        (&json!("SYSTEM"), &json!("system"))
    );
    let relay = Relay {
        sender: Some(UserType::Rescuer),
        notice: false,
        written_at: at(1),
    };
    let outside = Sender {
        user_type: UserType::Citizen,
        ..sender
    };
    let relayed = MessageView::new(&r, &id, Seq::new(3), at(0), Some(outside), "x").relayed(Some(&relay));
    let relayed = shown(relayed);
    assert_eq!(
        (
            &relayed["senderType"],
            &relayed["createdAt"],
            &relayed["senderDisplayName"]
        ),
        (&json!("RESCUER"), &json!(T1), &json!("Ana"))
    );
    let nobody = shown(StatsView::from(Statistics {
        average_seconds: f64::NAN,
        ..Statistics::default()
    }));
    assert_eq!(
        nobody,
        json!({"totalParticipants": 0, "activeParticipants": 0, "registeredRescuers": 0,
               "anonymousRescuers": 0, "averageParticipationTime": 0.0})
    );
    assert_eq!(
        shown(AnonymousCount { anonymous_count: 2 }),
        json!({"anonymousCount": 2})
    );
}

#[test]
fn fixes_are_a_list_or_geojson_with_longitude_first() {
    let list = shown(Page::new(
        vec![LocationView::new(person(1), None, &fix())],
        Some("c".into()),
    ));
    assert_eq!(
        list,
        json!({"success": true, "nextCursor": "c", "data": [{"participantId": ANA, "latitude": 14.5,
               "longitude": 121.25, "accuracy": 3.0, "speed": null, "heading": 90.0, "timestamp": T1}]})
    );
    let map = shown(FeatureCollection::new(
        vec![Feature::new(person(1), &fix())],
        None,
    ));
    assert_eq!(
        map,
        json!({"type": "FeatureCollection", "features": [{
            "type": "Feature", "geometry": {"type": "Point", "coordinates": [121.25, 14.5]},
            "properties": {"participantId": ANA, "timestamp": T1, "accuracy": 3.0, "speed": null, "heading": 90.0}}]})
    );
}

#[test]
fn the_audit_trail_leaves_out_no_event() {
    let (who, sos) = (person(2), room("sos2"));
    let two = "p-0000000000000002";
    let cases = [
        (
            EventBody::Created(Genesis::Circle),
            "created",
            json!({"kind": "circle"}),
        ),
        (
            EventBody::Created(Genesis::Trip(Box::new(Manifest::new(
                person(1),
                [who].into(),
                None,
            )))),
            "created",
            json!({"kind": "trip", "driverId": "p-0000000000000001", "passengerIds": [two], "bookingId": null}),
        ),
        (EventBody::TripEnded, "trip-ended", json!({})),
        (
            EventBody::Joined {
                who,
                user_type: UserType::Rescuer,
                as_contact: true,
            },
            "joined",
            json!({"participantId": two, "userType": "RESCUER", "asContact": true}),
        ),
        (
            EventBody::Left {
                who,
                reason: LeaveReason::Idle,
            },
            "left",
            json!({"participantId": two, "reason": "IDLE"}),
        ),
        (
            EventBody::JoinRequested { who },
            "join-requested",
            json!({"participantId": two}),
        ),
        (
            EventBody::JoinDenied { who },
            "join-denied",
            json!({"participantId": two}),
        ),
        (
            EventBody::MessageSent {
                id: MessageId::new("m").unwrap(),
                content: "hi".into(),
                relay: None,
            },
            "message",
            json!({"id": "m", "content": "hi"}),
        ),
        (
            EventBody::MessageSent {
                id: MessageId::new("m").unwrap(),
                content: "hi".into(),
                relay: Some(Relay {
                    sender: None,
                    notice: true,
                    written_at: at(1),
                }),
            },
            "message",
            json!({"id": "m", "content": "hi",
                   "relayed": {"senderType": "SYSTEM", "contentType": "system", "createdAt": T1}}),
        ),
        (
            EventBody::TypeChanged {
                from: IncidentType::Other,
                to: IncidentType::Crime,
            },
            "type-changed",
            json!({"from": "OTHER", "to": "CRIME"}),
        ),
        (EventBody::Activated, "activated", json!({})),
        (EventBody::Deactivated, "deactivated", json!({})),
        (EventBody::Emptied, "emptied", json!({})),
        (
            EventBody::EmergencyRaised { sos: sos.clone() },
            "emergency-raised",
            json!({"sosId": "sos2"}),
        ),
        (
            EventBody::EmergencyEnded { sos: sos.clone() },
            "emergency-ended",
            json!({"sosId": "sos2"}),
        ),
        (
            EventBody::ContactAlerted { who },
            "contact-alerted",
            json!({"participantId": two}),
        ),
        (
            EventBody::Duress {
                from: Status::Active,
                to: Status::Cancelled,
                note: None,
            },
            "duress",
            json!({"status": "ACTIVE", "shown": "CANCELLED", "note": null}),
        ),
        (
            EventBody::StatusChanged {
                from: Status::Active,
                to: Status::Arrived,
                note: Some("n".into()),
                lower_case: true,
            },
            "status-changed",
            json!({"from": "ACTIVE", "to": "ARRIVED", "note": "n"}),
        ),
        (
            EventBody::LinkRaised { room: sos.clone() },
            "link-raised",
            json!({"roomId": "sos2"}),
        ),
        (
            EventBody::LinkEnded { room: sos },
            "link-ended",
            json!({"roomId": "sos2"}),
        ),
    ];
    for (body, kind, data) in cases {
        assert_eq!(
            shown(EventView::of(&event(1, body))),
            json!({"sosId": "sos1", "seq": 1, "at": T0, "actor": ANA, "type": kind, "data": data})
        );
    }
    let created = shown(EventView::of(&event(
        1,
        EventBody::Created(Genesis::Incident(Box::new(report()))),
    )));
    assert_eq!(created["data"]["location"]["latitude"], 14.5995);
    let system = Event {
        actor: Actor::System,
        ..event(1, EventBody::Emptied)
    };
    assert_eq!(shown(EventView::of(&system))["actor"], "system");
}

#[test]
fn answers_come_in_their_envelopes() {
    assert_eq!(
        shown(Success::new(json!({"a": 1}))),
        json!({"success": true, "data": {"a": 1}})
    );
    let error = FieldError {
        field: "location.latitude".into(),
        message: "latitude is missing".into(),
    };
    assert_eq!(
        shown(Failure::new(
            "INVALID_FIELD",
            "latitude is missing",
            Some("r1"),
            std::slice::from_ref(&error)
        )),
        json!({"success": false, "code": "INVALID_FIELD", "message": "latitude is missing", "requestId": "r1",
               "fields": [{"field": "location.latitude", "message": "latitude is missing"}]})
    );
    assert_eq!(
        shown(Failure::new("NOT_FOUND", "no such SOS", None, &[])),
        json!({"success": false, "code": "NOT_FOUND", "message": "no such SOS"})
    );
}

#[test]
fn circle_answers_are_bare() {
    let rooms = [room("r1")];
    assert_eq!(
        shown(LocationAnswer::new(at(0), &rooms)),
        json!({"success": true, "timestamp": T0, "rooms": ["r1"]})
    );
    let rejected = vec![RejectedFix {
        index: 4,
        error: "timestamp is missing".into(),
    }];
    assert_eq!(
        shown(BatchAnswer {
            accepted: 2,
            rejected
        }),
        json!({"accepted": 2, "rejected": [{"index": 4, "error": "timestamp is missing"}]})
    );
    let (fix, phone) = (fix(), PhoneNumber::from_e164("+639171234567").unwrap());
    let mut all = LocationsByUser::default();
    let location = || vec![LocationView::new(person(1), None, &fix)];
    all.add("u1".into(), None, Some(&phone), location(), None);
    all.add("u1".into(), None, Some(&phone), location(), None);
    let all = shown(&all);
    let ana = &all["locations_by_user"]["u1"];
    assert_eq!(
        (&ana["user_name"], &ana["user_phone"]),
        (&json!("Anonymous"), &json!("+639171234567"))
    );
    assert_eq!(ana["locations"].as_array().unwrap().len(), 2);
}
