//! What circle clients may say, and what they are told when they may not.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::geo::{Fix, Position};
use crate::domain::ids::MessageId;
use crate::domain::incident::{IncidentType, Severity};
use crate::domain::room::Seq;
use crate::domain::testing::{person, room};
use crate::domain::time::Timestamp;

const NOW: Timestamp = Timestamp::from_ms(1_750_000_000_000);

fn reading() -> Reading {
    Reading {
        now: NOW,
        max_ahead: Duration::from_secs(120),
        radius_max_km: 25,
        content_max_chars: 2000,
    }
}

fn read(text: &str) -> Result<ClientMessage, ClientError> {
    parse(text, &reading())
}

#[track_caller]
fn refused(text: &str, code: &str, field: Option<&str>) {
    let error = read(text).unwrap_err();
    assert_eq!((error.code, error.field), (code, field), "{text}: {error}");
    if let Some(field) = field.filter(|field| *field != "type") {
        assert!(error.message.contains(field), "{error}");
    }
}

#[test]
fn every_message_of_the_contract_is_read() {
    let (r, who) = (room("r1"), person(7));
    let here = Position::new(14.5, 121.25).unwrap();
    let cases = [
        (
            json!({"type": "create-room"}),
            ClientMessage::CreateRoom { room: None },
        ),
        (
            json!({"type": "create-room", "roomId": "r1"}),
            ClientMessage::CreateRoom {
                room: Some(r.clone()),
            },
        ),
        (
            json!({"type": "join-room", "roomId": "r1"}),
            ClientMessage::JoinRoom {
                room: r.clone(),
                since: None,
            },
        ),
        (
            json!({"type": "join-room", "roomId": "r1", "since": 5}),
            ClientMessage::JoinRoom {
                room: r.clone(),
                since: Some(Seq::new(5)),
            },
        ),
        (
            json!({"type": "leave-room", "roomId": "r1"}),
            ClientMessage::LeaveRoom { room: r.clone() },
        ),
        (
            json!({"type": "activate-room", "roomId": "r1"}),
            ClientMessage::ActivateRoom { room: r.clone() },
        ),
        (
            json!({"type": "deactivate-room", "roomId": "r1"}),
            ClientMessage::DeactivateRoom { room: r.clone() },
        ),
        (
            json!({"type": "request-join", "roomId": "r1"}),
            ClientMessage::RequestJoin { room: r.clone() },
        ),
        (
            json!({"type": "approve-join", "roomId": "r1", "requesterId": "p-0000000000000007"}),
            ClientMessage::ApproveJoin {
                room: r.clone(),
                requester: who,
            },
        ),
        (
            json!({"type": "deny-join", "roomId": "r1", "requesterId": "p-0000000000000007"}),
            ClientMessage::DenyJoin {
                room: r.clone(),
                requester: who,
            },
        ),
        (
            json!({"type": "room-message", "roomId": "r1", "content": "<b>\n\"é\"", "id": "m-1"}),
            ClientMessage::RoomMessage {
                room: r.clone(),
                content: "<b>\n\"é\"".into(),
                id: Some(MessageId::new("m-1").unwrap()),
            },
        ),
        (
            json!({"type": "emergency-sos"}),
            ClientMessage::EmergencySos(EmergencySos::default()),
        ),
        (
            json!({"type": "emergency-sos", "latitude": 14.5, "longitude": 121.25, "accuracy": 3, "roomId": "r1",
                   "timestamp": "2025-06-15T15:06:40Z", "formattedLocation": "Rizal Park", "severity": "high",
                   "emergencyType": "fire"}),
            ClientMessage::EmergencySos(EmergencySos {
                position: Some(here),
                accuracy: Some(3.0),
                at: Some(NOW),
                formatted_location: Some("Rizal Park".into()),
                room: Some(r.clone()),
                severity: Some(Severity::High),
                kind: Some(IncidentType::Fire),
            }),
        ),
        (
            json!({"type": "emergency-resolve", "roomId": null}),
            ClientMessage::EmergencyResolve {
                room: None,
                pin: None,
            },
        ),
        (
            json!({"type": "location-update", "latitude": 14.5, "longitude": 121.25, "speed": 0, "battery": {"a": [1]}}),
            ClientMessage::LocationUpdate {
                room: None,
                fix: Fix {
                    speed: Some(0.0),
                    ..Fix::new(here, NOW)
                },
            },
        ),
        (
            json!({"type": "acknowledge", "roomId": "r1"}),
            ClientMessage::Acknowledge { room: r.clone() },
        ),
        (
            json!({"type": "get_users", "roomId": "r1"}),
            ClientMessage::GetUsers { room: r.clone() },
        ),
        (
            json!({"type": "get-history", "roomId": "r1", "since": 0}),
            ClientMessage::GetHistory {
                room: r.clone(),
                since: Seq::ZERO,
                limit: 200,
            },
        ),
        (
            json!({"type": "get-history", "roomId": "r1", "since": 9, "limit": 1}),
            ClientMessage::GetHistory {
                room: r,
                since: Seq::new(9),
                limit: 1,
            },
        ),
        (
            json!({"type": "watch-area", "latitude": 14.5, "longitude": 121.25, "radiusKm": 25}),
            ClientMessage::WatchArea(crate::domain::area::Area::new(here, 25.0, 25).unwrap()),
        ),
        (json!({"type": "unwatch-area"}), ClientMessage::UnwatchArea),
        (json!({"type": "ping"}), ClientMessage::Ping),
    ];
    for (text, message) in cases {
        assert_eq!(read(&text.to_string()), Ok(message), "{text}");
    }
}

#[test]
fn what_is_not_a_json_object_is_bad_json() {
    for text in [
        "",
        "ping",
        "[\"ping\"]",
        "null",
        "{\"type\":\"ping\"",
        "{} {}",
        "{\"type\":\"ping\"}x",
    ] {
        refused(text, BAD_JSON, None);
    }
    let deep = format!(
        "{{\"type\":\"ping\",\"x\":{}{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert_eq!(read(&deep), Ok(ClientMessage::Ping), "nesting costs no stack");
}

#[test]
fn an_unknown_type_is_quoted_back_but_not_a_page_of_it() {
    let error = read(&json!({ "type": "x".repeat(5_000) }).to_string()).unwrap_err();
    assert_eq!(error.code, UNKNOWN_TYPE);
    assert!(error.message.len() < 100);
    refused("{}", INVALID_FIELD, Some("type"));
    refused(r#"{"type":1}"#, INVALID_FIELD, Some("type"));
}

#[test]
fn a_wrong_field_is_named() {
    let cases = [
        (r#"{"type":"join-room"}"#, "roomId"),
        (r#"{"type":"join-room","roomId":""}"#, "roomId"),
        (r#"{"type":"join-room","roomId":"a b"}"#, "roomId"),
        (r#"{"type":"join-room","roomId":7}"#, "roomId"),
        (r#"{"type":"join-room","roomId":"r","since":-1}"#, "since"),
        (r#"{"type":"join-room","roomId":"r","since":"1"}"#, "since"),
        (
            r#"{"type":"approve-join","roomId":"r","requesterId":"u1"}"#,
            "requesterId",
        ),
        (r#"{"type":"room-message","roomId":"r"}"#, "content"),
        (r#"{"type":"room-message","roomId":"r","content":""}"#, "content"),
        (
            r#"{"type":"room-message","roomId":"r","content":" \n"}"#,
            "content",
        ),
        (
            r#"{"type":"room-message","roomId":"r","content":"a\u0000b"}"#,
            "content",
        ),
        (
            r#"{"type":"room-message","roomId":"r","content":["a"]}"#,
            "content",
        ),
        (
            r#"{"type":"room-message","roomId":"r","content":"a","id":"a b"}"#,
            "id",
        ),
        (r#"{"type":"location-update","latitude":1}"#, "longitude"),
        (r#"{"type":"location-update","longitude":1}"#, "latitude"),
        (r#"{"type":"location-update"}"#, "latitude"),
        (
            r#"{"type":"location-update","latitude":"1","longitude":1}"#,
            "latitude",
        ),
        (
            r#"{"type":"location-update","latitude":1,"longitude":181}"#,
            "longitude",
        ),
        (
            r#"{"type":"location-update","latitude":1,"longitude":1,"accuracy":-1}"#,
            "accuracy",
        ),
        (
            r#"{"type":"location-update","latitude":1,"longitude":1,"speed":"2"}"#,
            "speed",
        ),
        (
            r#"{"type":"location-update","latitude":1,"longitude":1,"heading":361}"#,
            "heading",
        ),
        (
            r#"{"type":"location-update","latitude":1,"longitude":1,"timestamp":"now"}"#,
            "timestamp",
        ),
        (
            r#"{"type":"location-update","latitude":1,"longitude":1,"timestamp":1750000121}"#,
            "timestamp",
        ),
        (
            r#"{"type":"location-update","latitude":1,"longitude":1,"timestamp":{}}"#,
            "timestamp",
        ),
        (r#"{"type":"emergency-sos","latitude":1}"#, "longitude"),
        (r#"{"type":"emergency-sos","severity":"awful"}"#, "severity"),
        (r#"{"type":"get-history","roomId":"r","limit":0}"#, "limit"),
        (r#"{"type":"get-history","roomId":"r","limit":201}"#, "limit"),
        (r#"{"type":"watch-area","latitude":1,"longitude":1}"#, "radiusKm"),
        (
            r#"{"type":"watch-area","latitude":1,"longitude":1,"radiusKm":25.1}"#,
            "radiusKm",
        ),
        (r#"{"type":"watch-area","radiusKm":5}"#, "latitude"),
    ];
    for (text, field) in cases {
        refused(text, INVALID_FIELD, Some(field));
    }
}

#[test]
fn a_message_may_have_2000_characters_of_any_width() {
    let message = |n| json!({ "type": "room-message", "roomId": "r", "content": "é".repeat(n) }).to_string();
    assert!(read(&message(2000)).is_ok());
    refused(&message(2001), INVALID_FIELD, Some("content"));
}

#[test]
fn an_emergency_type_that_we_do_not_know_costs_nobody_their_sos() {
    let message = read(r#"{"type":"emergency-sos","emergencyType":"alien landing"}"#).unwrap();
    let ClientMessage::EmergencySos(sos) = message else {
        panic!("{message:?}")
    };
    assert_eq!(sos.kind, Some(IncidentType::Other));
}

#[test]
fn a_new_token_is_read_and_does_not_show() {
    let message = read(r#"{"type":"refresh-credential","token":" a.b.c "}"#).unwrap();
    assert!(!format!("{message:?}").contains("a.b.c"));
    let ClientMessage::RefreshCredential { token } = message else {
        panic!("{message:?}")
    };
    assert_eq!(token.reveal(), "a.b.c");
    let long = json!({"type": "refresh-credential", "token": "x".repeat(8_193)}).to_string();
    for bad in [
        r#"{"type":"refresh-credential"}"#,
        r#"{"type":"refresh-credential","token":""}"#,
        r#"{"type":"refresh-credential","token":7}"#,
        &long,
    ] {
        refused(bad, INVALID_FIELD, Some("token"));
    }
}

#[test]
fn the_time_of_a_fix_may_be_text_seconds_or_milliseconds() {
    for timestamp in [
        "\"2025-06-15T15:06:40.000Z\"",
        "\"2025-06-15T23:06:40+08:00\"",
        "1750000000",
        "1750000000000",
    ] {
        let text =
            format!(r#"{{"type":"location-update","latitude":1,"longitude":1,"timestamp":{timestamp}}}"#);
        let Ok(ClientMessage::LocationUpdate { fix, .. }) = read(&text) else {
            panic!("{text}")
        };
        assert_eq!(fix.at, NOW, "{timestamp}");
    }
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|v| json!(v)),
        any::<f64>().prop_map(|v| json!(v)),
        any::<i64>().prop_map(|v| json!(v)),
        ".{0,12}".prop_map(|v| json!(v)),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop::collection::vec(inner, 0..4).prop_map(|v| json!(v))
    })
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in ".*") {
        let _ = read(&text);
    }

    #[test]
    fn no_value_of_any_field_makes_the_reader_panic(
        kind in prop::sample::select(vec![
            "create-room", "join-room", "approve-join", "room-message", "emergency-sos", "emergency-resolve",
            "location-update", "acknowledge", "get_users", "get-history", "watch-area", "ping",
        ]),
        values in prop::collection::vec(any_json(), 16)
    ) {
        const NAMES: [&str; 16] = [
            "roomId", "latitude", "longitude", "accuracy", "speed", "heading", "timestamp", "content", "id",
            "since", "limit", "requesterId", "formattedLocation", "severity", "emergencyType", "radiusKm",
        ];
        let mut message = serde_json::Map::new();
        message.insert("type".into(), kind.into());
        message.extend(NAMES.iter().map(|name| (*name).to_owned()).zip(values));
        if let Err(error) = read(&serde_json::Value::Object(message).to_string()) {
            prop_assert_eq!(error.code, INVALID_FIELD);
        }
    }

    #[test]
    fn a_position_is_read_to_the_last_digit(
        lat in -90.0..=90.0f64, lon in -180.0..=180.0f64, accuracy in proptest::option::of(0.0..1e6f64),
        speed in proptest::option::of(0.0..1e3f64), heading in proptest::option::of(0.0..=360.0f64),
        ms in 0i64..1_750_000_120_000
    ) {
        let at = Timestamp::from_ms(ms);
        let text = json!({
            "type": "location-update", "roomId": "r", "latitude": lat, "longitude": lon, "accuracy": accuracy,
            "speed": speed, "heading": heading, "timestamp": crate::wire::stamp::rfc3339_text(at),
        });
        let fix = Fix::new(Position::new(lat, lon).unwrap(), at).with_motion(accuracy, speed, heading).unwrap();
        prop_assert_eq!(
            read(&text.to_string()),
            Ok(ClientMessage::LocationUpdate { room: Some(room("r")), fix })
        );
    }
}
