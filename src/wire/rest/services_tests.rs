use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::domain::ids::UserId;
use crate::domain::people::Subject;
use crate::domain::time::Timestamp;

fn reading() -> Reading {
    Reading {
        now: Timestamp::from_ms(1_750_000_000_000),
        max_ahead: Duration::from_secs(60),
        radius_max_km: 25,
        content_max_chars: 20,
    }
}

fn user(id: &str) -> Named {
    Named::Subject(Subject::User(UserId::new(id).unwrap()))
}

fn names(error: &BodyError) -> Vec<&str> {
    error.fields().iter().map(|field| field.field.as_str()).collect()
}

/// What is wrong with a body.
fn wrong<T: std::fmt::Debug>(parse: impl Fn(&[u8]) -> Result<T, BodyError>, body: &Value) -> Vec<String> {
    let error = parse(body.to_string().as_bytes()).unwrap_err();
    names(&error).into_iter().map(str::to_owned).collect()
}

#[test]
fn an_incident_begins_with_what_the_service_knows() {
    let least = json!({"sosId": "sos-1", "citizenId": "u-1"});
    let body = InitBody::parse(least.to_string().as_bytes()).unwrap();
    assert_eq!((body.sos.as_str(), &body.citizen), ("sos-1", &user("u-1")));
    assert_eq!(
        (body.report.kind, body.report.position),
        (IncidentType::Other, None)
    );
    assert_eq!(body.report.message, WORDLESS);
    let all = json!({
        "sosId": "sos-1", "citizenId": "p-00000000000000ff", "type": "medical",
        "location": {"latitude": 14.5, "longitude": 121, "accuracy": 8},
        "address": {"city": "Manila", "barangay": "659-A"},
    });
    let body = InitBody::parse(all.to_string().as_bytes()).unwrap();
    assert!(matches!(body.citizen, Named::Participant(_)));
    assert_eq!(
        (body.report.kind, body.report.accuracy),
        (IncidentType::Medical, Some(8.0))
    );
    assert_eq!(body.report.city_id.as_deref(), Some("Manila"));
    let line = json!({"sosId": "s", "citizenId": "u", "address": "12 Rizal Street"});
    let body = InitBody::parse(line.to_string().as_bytes()).unwrap();
    assert_eq!(body.report.message, "12 Rizal Street");
    assert_eq!(body.report.address, Address::default());
}

#[test]
fn everything_that_is_wrong_with_a_beginning_is_named() {
    assert_eq!(wrong(InitBody::parse, &json!({})), ["sosId", "citizenId"]);
    for (field, value, path) in [
        ("sosId", json!("no spaces"), "sosId"),
        ("citizenId", json!(7), "citizenId"),
        ("type", json!("FLOOD"), "type"),
        ("location", json!(7), "location"),
        (
            "location",
            json!({"latitude": 91, "longitude": 0}),
            "location.latitude",
        ),
        ("location", json!({}), "location.latitude"),
        ("address", json!(7), "address"),
        ("address", json!({"city": 7}), "address.city"),
        ("address", json!("x".repeat(501)), "address"),
    ] {
        let mut body = json!({"sosId": "s", "citizenId": "u"});
        body[field] = value;
        assert_eq!(wrong(InitBody::parse, &body), [path], "{body}");
    }
}

#[test]
fn a_move_names_who_moves_it_and_may_say_from_where() {
    let body = json!({"status": "en_route", "updatedBy": "u-1", "oldStatus": "active"});
    let body = MoveBody::parse(body.to_string().as_bytes()).unwrap();
    assert_eq!(
        (body.to, body.expected),
        (Status::Responding, Some(Status::Active))
    );
    assert_eq!(
        wrong(MoveBody::parse, &json!({"oldStatus": "GONE"})),
        ["status", "updatedBy", "oldStatus"]
    );
    assert_eq!(wrong(CloserBody::parse, &json!({"closedBy": ""})), ["closedBy"]);
    assert_eq!(wrong(TypeBody::parse, &json!({})), ["type"]);
    assert_eq!(
        wrong(
            JoinedBody::parse,
            &json!({"joinedAt": "soon", "userType": "KING"})
        ),
        ["sosId", "userId", "userType", "joinedAt"]
    );
    assert_eq!(
        wrong(
            LeftBody::parse,
            &json!({"sosId": "s", "userId": "u", "leftAt": []})
        ),
        ["leftAt"]
    );
}

#[test]
fn a_rescuer_is_somewhere_now() {
    let parse = |body: &[u8]| RescuerBody::parse(body, &reading());
    let body = json!({"rescuerId": "u-1", "latitude": 14.5, "longitude": 121, "timestamp": 5});
    let body = parse(body.to_string().as_bytes()).unwrap();
    assert_eq!((body.rescuer, body.fix.at), (user("u-1"), reading().now));
    assert_eq!(wrong(parse, &json!({"rescuerId": "u"})), ["latitude"]);
    let far = json!({"rescuerId": "u", "latitude": 1, "longitude": 181});
    assert_eq!(wrong(parse, &far), ["longitude"]);
    assert_eq!(RescuerQuery::parse("").unwrap().rescuer, None);
    assert_eq!(
        RescuerQuery::parse("rescuerId=u-1").unwrap().rescuer,
        Some(user("u-1"))
    );
}

#[test]
fn a_message_from_elsewhere_says_whose_it_is() {
    let parse = |body: &[u8]| RelayBody::parse(body, &reading());
    let whole = || {
        json!({"sosId": "s", "message": {
            "id": "m-1", "senderType": "rescuer", "senderId": "u-1", "senderDisplayName": "Unit 7",
            "contentType": "TEXT", "content": "on our way", "createdAt": 1_749_999_999_000_u64,
        }})
    };
    let message = parse(whole().to_string().as_bytes()).unwrap().message;
    assert_eq!(message.sender, Some(user("u-1")));
    let relay = Relay {
        sender: Some(UserType::Rescuer),
        notice: false,
        written_at: Timestamp::from_ms(1_749_999_999_000),
    };
    assert_eq!(message.relay, relay);
    let own = json!({"sosId": "s", "message": {"id": "m", "senderType": "system", "content": "hi"}});
    let own = parse(own.to_string().as_bytes()).unwrap().message;
    assert_eq!(
        (own.sender, own.relay.sender, own.relay.notice),
        (None, None, true)
    );
    assert_eq!(own.relay.written_at, reading().now);
    assert_eq!(wrong(parse, &json!({})), ["sosId", "message"]);
    assert_eq!(wrong(parse, &json!({"sosId": "s", "message": 7})), ["message"]);
    assert_eq!(
        wrong(parse, &json!({"sosId": "s", "message": {}})),
        [
            "message.id",
            "message.senderType",
            "message.senderId",
            "message.content"
        ]
    );
    for (field, value) in [
        ("id", json!("no spaces")),
        ("senderType", json!("KING")),
        ("senderId", json!(null)),
        ("senderDisplayName", json!("x".repeat(81))),
        ("contentType", json!("video")),
        ("content", json!(" ")),
        ("content", json!("x".repeat(21))),
        ("createdAt", json!("2040-01-01T00:00:00Z")),
    ] {
        let mut body = whole();
        body["message"][field] = value;
        assert_eq!(wrong(parse, &body), [format!("message.{field}")], "{body}");
    }
}
