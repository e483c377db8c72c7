//! What incident clients may say, and what they are told when they may not.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::geo::{Fix, Position};
use crate::domain::ids::{MessageId, RoomId};
use crate::domain::incident::Status;
use crate::domain::room::UserType;
use crate::domain::testing::room;
use crate::domain::time::Timestamp;
use crate::wire::socketio::{Args, Json};
use crate::wire::{Reading, SentToken};

const NOW: Timestamp = Timestamp::from_ms(1_750_000_000_000);

fn reading() -> Reading {
    Reading {
        now: NOW,
        max_ahead: Duration::from_secs(120),
        radius_max_km: 25,
        content_max_chars: 2000,
    }
}

fn read(name: &str, argument: &Value) -> Result<ClientMessage, ClientError> {
    parse(name, &Args::build().value(argument).done(), &reading())
}

fn sos() -> RoomId {
    room("s1")
}

#[track_caller]
fn refused(name: &str, argument: &Value, code: &str, field: Option<&str>) {
    let error = read(name, argument).unwrap_err();
    assert_eq!(
        (error.code, error.field),
        (code, field),
        "{name} {argument}: {error}"
    );
    if let Some(field) = field {
        assert!(error.message.contains(field), "{error}");
    }
}

fn join(user_type: Option<UserType>, display_name: Option<&str>) -> ClientMessage {
    ClientMessage::Join {
        sos: sos(),
        user_type,
        display_name: display_name.map(str::to_owned),
    }
}

#[test]
fn somebody_comes_and_goes_under_the_old_names_and_the_new_ones() {
    for name in ["join:sos", "sos:init", "sos:room:join"] {
        assert_eq!(read(name, &json!("s1")), Ok(join(None, None)), "{name}");
        assert_eq!(
            read(name, &json!({"sosId": "s1"})),
            Ok(join(None, None)),
            "{name}"
        );
        let said = json!({"sosId": "s1", "userType": "rescuer", "displayName": "Ben", "battery": [{}]});
        assert_eq!(read(name, &said), Ok(join(Some(UserType::Rescuer), Some("Ben"))));
    }
    for name in ["leave:sos", "sos:room:leave"] {
        for said in [json!("s1"), json!({"sosId": "s1"})] {
            assert_eq!(
                read(name, &said),
                Ok(ClientMessage::Leave { sos: sos() }),
                "{name}"
            );
        }
    }
    assert_eq!(
        read("sos:close", &json!({"sosId": "s1"})),
        Ok(ClientMessage::Close { sos: sos() })
    );
}

#[test]
fn a_status_is_read_in_any_case_and_lower_case_is_noted() {
    for (text, status, lower_case) in [
        ("ARRIVED", Status::Arrived, false),
        ("arrived", Status::Arrived, true),
        ("Arrived", Status::Arrived, false),
        ("en_route", Status::Responding, true),
        ("COMPLETED", Status::Resolved, false),
    ] {
        let expected = ClientMessage::SetStatus {
            sos: sos(),
            status,
            lower_case,
            pin: None,
        };
        let said = json!({"sosId": "s1", "status": text});
        assert_eq!(read("sos:status:update", &said), Ok(expected), "{text}");
    }
}

#[test]
fn a_position_is_one_of_now_unless_it_says_when() {
    let here = Position::new(14.5, 121.25).unwrap();
    let bare = json!({"sosId": "s1", "latitude": 14.5, "longitude": 121.25});
    let fix = Fix::new(here, NOW);
    assert_eq!(
        read("location:update", &bare),
        Ok(ClientMessage::Location {
            sos: sos(),
            fix,
            address: None
        })
    );
    let mut said = bare.clone();
    said["accuracy"] = json!(3);
    said["speed"] = json!(1.5);
    said["heading"] = json!(90);
    said["rescuerArrived"] = json!(true);
    let fix = Fix::new(here, Timestamp::from_ms(1_749_999_999_000));
    for earlier in [
        json!("2025-06-15T15:06:39Z"),
        json!(1_749_999_999_000_i64),
        json!(1_749_999_999),
    ] {
        said["timestamp"] = earlier;
        let fix = fix.with_motion(Some(3.0), Some(1.5), Some(90.0)).unwrap();
        assert_eq!(
            read("rescuer:location", &said),
            Ok(ClientMessage::RescuerLocation {
                sos: sos(),
                fix,
                arrived: true
            })
        );
    }
}

#[test]
fn an_address_is_a_line_or_an_object_of_which_a_line_is_made() {
    let mut said = json!({"sosId": "s1", "latitude": 14.5, "longitude": 121.25});
    for (address, line) in [
        (json!("Rizal Park"), Some("Rizal Park")),
        (
            json!({"city": "Manila", "barangay": "Ermita", "zip": 1000}),
            Some("Ermita, Manila"),
        ),
        (json!({"city": "Manila"}), Some("Manila")),
        (json!({}), None),
        (json!(" "), None),
        (json!(null), None),
    ] {
        said["address"] = address.clone();
        let Ok(ClientMessage::Location { address: read, .. }) = read("location:update", &said) else {
            panic!("{address}");
        };
        assert_eq!(read.as_deref(), line, "{address}");
    }
    for address in [
        json!(7),
        json!(["Manila"]),
        json!({"city": 7}),
        json!("x".repeat(501)),
    ] {
        said["address"] = address;
        refused("location:update", &said, INVALID_FIELD, Some("address"));
    }
}

#[test]
fn what_people_say_and_ask_is_read() {
    assert_eq!(
        read(
            "message:send",
            &json!({"sosId": "s1", "content": "<b>\n\"é\"", "id": "m-1"})
        ),
        Ok(ClientMessage::Message {
            sos: sos(),
            content: "<b>\n\"é\"".into(),
            id: Some(MessageId::new("m-1").unwrap()),
        })
    );
    for (name, on) in [("message:typing:start", true), ("message:typing:stop", false)] {
        assert_eq!(
            read(name, &json!({"sosId": "s1", "displayName": "Ben"})),
            Ok(ClientMessage::Typing {
                sos: sos(),
                on,
                display_name: Some("Ben".into())
            })
        );
    }
    for (said, limit, skip) in [
        (json!({"sosId": "s1"}), 50, 0),
        (json!({"sosId": "s1", "limit": 100, "skip": 10_000}), 100, 10_000),
        (json!("s1"), 50, 0),
    ] {
        let expected = ClientMessage::History {
            sos: sos(),
            limit,
            skip,
        };
        assert_eq!(read("message:history:request", &said), Ok(expected));
    }
    assert_eq!(
        read("participants:active:request", &json!({"sosId": "s1"})),
        Ok(ClientMessage::Participants { sos: sos() })
    );
}

#[test]
fn a_ping_brings_back_its_object_and_a_heartbeat_needs_nothing() {
    let echo = |argument: &Value| match read("ping", argument) {
        Ok(ClientMessage::Ping { echo }) => echo.as_str().to_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(echo(&json!({"t": 1})), r#"{"t":1}"#);
    for nothing in [json!(7), json!("x"), json!(null), json!([1])] {
        assert_eq!(echo(&nothing), "{}");
    }
    for args in [Args::NONE, Args::build().text("x").done()] {
        assert_eq!(
            parse("ping", &args, &reading()),
            Ok(ClientMessage::Ping { echo: Json::EMPTY })
        );
        assert_eq!(
            parse("heartbeat", &args, &reading()),
            Ok(ClientMessage::Heartbeat)
        );
    }
    refused(
        "ping",
        &json!({"x": "x".repeat(PING_MAX_BYTES)}),
        INVALID_FIELD,
        None,
    );
    let binary = Args::build().binary(Bytes::from_static(b"x")).done();
    assert_eq!(
        parse("ping", &binary, &reading()).unwrap_err().code,
        INVALID_FIELD
    );
}

#[test]
fn a_new_credential_is_read_as_in_the_json_dialect_and_does_not_show() {
    let Ok(message) = read("refresh-credential", &json!({"token": " abc "})) else {
        panic!()
    };
    assert!(!format!("{message:?}").contains("abc"));
    let ClientMessage::RefreshCredential { token } = message else {
        panic!()
    };
    assert_eq!(token.reveal(), "abc");
    refused("refresh-credential", &json!({}), INVALID_FIELD, Some("token"));
    let long = "x".repeat(SentToken::MAX_CHARS + 1);
    refused(
        "refresh-credential",
        &json!({"token": long}),
        INVALID_FIELD,
        Some("token"),
    );
}

#[test]
fn a_missing_or_wrong_incident_is_an_invalid_sos_id_in_every_event() {
    let bounds = schema::Bounds {
        content_max_chars: 2000,
    };
    let mut checked = 0;
    for message in schema::client_messages(&bounds) {
        if message.example["sosId"].is_null() {
            continue;
        }
        for wrong in [
            json!(null),
            json!(7),
            json!(""),
            json!("a b"),
            json!({}),
            json!("x".repeat(65)),
        ] {
            let mut said = message.example.clone();
            said["sosId"] = wrong;
            refused(message.kind, &said, INVALID_SOS_ID, Some("sosId"));
        }
        assert_eq!(
            parse(message.kind, &Args::NONE, &reading()).unwrap_err().code,
            INVALID_SOS_ID
        );
        for wrong in [
            json!(7),
            json!([]),
            json!([{"sosId": "s1"}]),
            json!(""),
            json!(true),
            json!(null),
        ] {
            refused(message.kind, &wrong, INVALID_SOS_ID, Some("sosId"));
        }
        checked += 1;
    }
    assert_eq!(checked, 15);
}

#[test]
fn each_wrong_field_is_named_with_the_code_that_clients_know() {
    let place =
        json!({"sosId": "s1", "latitude": 14.5, "longitude": 121.25, "status": "ARRIVED", "content": "x"});
    let with = |field: &str, value: Value| {
        let mut said = place.clone();
        said[field] = value;
        said
    };
    let in_2033 = json!("2033-01-01T00:00:00Z");
    for (name, field, wrong, code) in [
        ("location:update", "latitude", json!(91), INVALID_LOCATION),
        ("location:update", "latitude", json!(null), INVALID_LOCATION),
        ("location:update", "longitude", json!("121"), INVALID_LOCATION),
        ("location:update", "accuracy", json!(-1), INVALID_LOCATION),
        ("location:update", "timestamp", in_2033, INVALID_LOCATION),
        ("rescuer:location", "speed", json!(-1), INVALID_LOCATION),
        ("rescuer:location", "heading", json!({}), INVALID_LOCATION),
        ("rescuer:location", "rescuerArrived", json!("yes"), INVALID_FIELD),
        ("sos:status:update", "status", json!(null), INVALID_STATUS_DATA),
        ("sos:status:update", "status", json!("GONE"), INVALID_STATUS_DATA),
        ("sos:status:update", "status", json!(3), INVALID_STATUS_DATA),
        ("message:send", "content", json!(null), INVALID_FIELD),
        ("message:send", "content", json!(" \n"), INVALID_FIELD),
        ("message:send", "content", json!("x".repeat(2001)), INVALID_FIELD),
        ("message:send", "id", json!("a b"), INVALID_FIELD),
        ("sos:room:join", "userType", json!("KING"), INVALID_FIELD),
        (
            "sos:room:join",
            "displayName",
            json!("x".repeat(81)),
            INVALID_FIELD,
        ),
        (
            "message:typing:start",
            "displayName",
            json!("\u{7}"),
            INVALID_FIELD,
        ),
        ("message:history:request", "limit", json!(0), INVALID_FIELD),
        ("message:history:request", "limit", json!(101), INVALID_FIELD),
        ("message:history:request", "skip", json!(-1), INVALID_FIELD),
        ("message:history:request", "skip", json!(10_001), INVALID_FIELD),
    ] {
        refused(name, &with(field, wrong), code, Some(field));
    }
}

#[test]
fn a_latitude_is_wrong_in_the_same_words_as_in_the_json_dialect() {
    for wrong in [json!(91), json!(null), json!("14")] {
        let said = json!({"type": "location-update", "sosId": "s1", "latitude": wrong, "longitude": 1});
        let there = crate::wire::json::parse(&said.to_string(), &reading()).unwrap_err();
        assert_eq!(read("location:update", &said).unwrap_err().message, there.message);
    }
}

#[test]
fn an_event_that_is_none_of_ours_is_named_back_whatever_came_with_it() {
    for name in [
        "connect",
        "disconnect",
        "join-room",
        "",
        "7",
        "SOS:CLOSE",
        "sos:closed",
    ] {
        for argument in [json!({"sosId": "s1"}), json!(7)] {
            refused(name, &argument, UNKNOWN_EVENT, None);
        }
        let twice = Args::build().encoded(r#"{"sosId":"a","sosId":"b"}"#).done();
        assert_eq!(parse(name, &twice, &reading()).unwrap_err().code, UNKNOWN_EVENT);
    }
    let long = read(&"x\n".repeat(1_000), &json!({})).unwrap_err();
    assert_eq!(long.message, format!("there is no event '{}'", "x".repeat(40)));
}

#[test]
fn binary_data_where_a_value_is_expected_is_a_wrong_field() {
    let placeholder = json!({"_placeholder": true, "num": 0});
    let said = json!({"sosId": "s1", "content": placeholder});
    let args = Args::build().value(&said).binary(Bytes::from_static(b"x")).done();
    let error = parse("message:send", &args, &reading()).unwrap_err();
    assert_eq!((error.code, error.field), (INVALID_FIELD, Some("content")));
    let args = Args::build().binary(Bytes::from_static(b"x")).done();
    let error = parse("join:sos", &args, &reading()).unwrap_err();
    assert_eq!((error.code, error.field), (INVALID_FIELD, None));
    assert!(error.message.contains("binary"), "{error}");
}

#[test]
fn a_field_given_twice_is_an_error_and_more_arguments_are_not_looked_at() {
    let twice = Args::build().encoded(r#"{"sosId":"a","sosId":"b"}"#).done();
    assert_eq!(
        parse("join:sos", &twice, &reading()).unwrap_err().code,
        INVALID_FIELD
    );
    let more = Args::build()
        .text("s1")
        .text("offset")
        .value(&json!({"x": 1}))
        .done();
    assert_eq!(parse("join:sos", &more, &reading()), Ok(join(None, None)));
}

#[test]
fn every_code_of_the_room_that_incident_clients_may_meet_is_described() {
    let known = |code: &str| schema::ERRORS.iter().any(|(known, _)| *known == code);
    for (code, _) in crate::wire::json::schema::ERRORS {
        // Circles and trips, and messages of the other dialect.
        let elsewhere = [
            "BAD_JSON",
            "UNKNOWN_TYPE",
            "TRIP_NOT_FOUND",
            "TRIP_ENDED",
            "ROOM_EXISTS",
            "ROOM_NOT_ACTIVE",
            "NO_SUCH_REQUEST",
            "TOO_MANY_REQUESTS",
            "SENT_BEFORE",
            "REPEATED",
            "NO_OWNED_ROOMS",
            "NO_EMERGENCY",
        ];
        assert_eq!(known(code_for(code)), !elsewhere.contains(code), "{code}");
    }
}

fn name() -> impl Strategy<Value = String> {
    let bounds = schema::Bounds { content_max_chars: 9 };
    let names: Vec<_> = schema::client_messages(&bounds)
        .iter()
        .map(|message| message.kind.to_owned())
        .collect();
    prop_oneof![proptest::sample::select(names), ".*"]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        Just(json!({"_placeholder": true, "num": 0})),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map(".{0,4}", inner, 0..3).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_in_the_place_of_arguments_panics(name in name(), list in ".*") {
        let _ = parse(&name, &Args::build().encoded(&list).done(), &reading());
    }

    #[test]
    fn no_value_in_any_field_panics_and_what_is_refused_says_why(
        name in name(),
        fields in proptest::collection::btree_map(
            proptest::sample::select(vec![
                "sosId", "latitude", "longitude", "accuracy", "speed", "heading", "timestamp", "address", "status",
                "rescuerArrived", "userType", "displayName", "content", "id", "limit", "skip", "token",
            ]),
            value(),
            0..6,
        ),
        binary in any::<bool>(),
    ) {
        let mut args = Args::build().value(&json!(fields));
        if binary {
            args = args.binary(Bytes::from_static(b"x"));
        }
        if let Err(error) = parse(&name, &args.done(), &reading()) {
            prop_assert!(!error.message.is_empty() && !error.code.is_empty());
            if let Some(field) = error.field {
                prop_assert!(error.message.contains(field), "{}", error.message);
            }
        }
    }
}
