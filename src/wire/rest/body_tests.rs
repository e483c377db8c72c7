//! Bodies: what is taken, and that everything that is wrong is said at once.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::geo::{Fix, Position};
use crate::domain::incident::{Address, IncidentType, Report, Severity, Status, Visibility};
use crate::domain::phone::Region;
use crate::domain::pin::PinEntry;
use crate::domain::room::UserType;
use crate::domain::testing::room;
use crate::domain::time::Timestamp;
use crate::wire::Reading;

const NOW: Timestamp = Timestamp::from_ms(1_750_000_000_000);

fn reading() -> Reading {
    Reading {
        now: NOW,
        max_ahead: Duration::from_secs(120),
        radius_max_km: 25,
        content_max_chars: 2000,
    }
}

fn ph() -> Region {
    Region::new("PH").unwrap()
}

fn bytes(body: &Value) -> Vec<u8> {
    body.to_string().into_bytes()
}

#[track_caller]
fn wrong<T: std::fmt::Debug>(answer: Result<T, BodyError>) -> Vec<String> {
    let error = answer.unwrap_err();
    assert_eq!(error.code(), "INVALID_FIELD", "{error}");
    error.fields().iter().map(|error| error.field.clone()).collect()
}

#[test]
fn an_sos_needs_a_type_a_message_and_a_place() {
    let body = json!({"type": "fire", "message": "the roof is burning", "location": {"latitude": 14.5, "longitude": 121}});
    let sos = CreateSos::parse(&bytes(&body)).unwrap();
    assert_eq!(sos.device, DeviceInfo::default());
    assert_eq!(
        sos.report,
        Report {
            kind: IncidentType::Fire,
            message: "the roof is burning".into(),
            silent: false,
            drill: false,
            raised_at: None,
            guarded: false,
            severity: Severity::Medium,
            position: Some(Position::new(14.5, 121.0).unwrap()),
            accuracy: None,
            address: Address::default(),
            city_id: None,
            visibility: Visibility::Public,
            trip_id: None,
            booking_id: None,
            raised_from: vec![],
        }
    );
    assert_eq!(wrong(CreateSos::parse(b"")), ["type", "message", "location"]);
}

#[test]
fn an_sos_may_tell_everything() {
    let body = json!({
        "type": "MEDICAL", "message": "0123456789", "silent": true, "severity": "critical",
        "location": {"latitude": 14.5, "longitude": 121, "accuracy": 4.5, "provider": "gps"},
        "address": {"city": "Manila", "barangay": "659"}, "visibility": "restricted", "tripId": "t", "bookingId": "b",
        "deviceInfo": {"os": "Android 15", "appVersion": "2.1", "locale": "fil-PH", "model": "x"}, "extra": [1],
    });
    let CreateSos { report, device } = CreateSos::parse(&bytes(&body)).unwrap();
    assert!(report.silent && report.accuracy == Some(4.5));
    assert_eq!(
        (report.severity, report.visibility),
        (Severity::Critical, Visibility::Restricted)
    );
    assert_eq!(
        (report.address.city.as_deref(), report.city_id.as_deref()),
        (Some("Manila"), Some("Manila"))
    );
    assert_eq!(
        (report.trip_id.as_deref(), report.booking_id.as_deref()),
        (Some("t"), Some("b"))
    );
    assert_eq!(device.app_version.as_deref(), Some("2.1"));
}

#[test]
fn everything_that_is_wrong_with_an_sos_is_said_at_once() {
    let body = json!({
        "type": "FLOOD", "message": "short", "silent": "no", "severity": 3, "visibility": "x", "tripId": 1,
        "location": {"latitude": "14.5", "longitude": 121, "accuracy": -1}, "address": [], "deviceInfo": {"os": {}},
    });
    assert_eq!(
        wrong(CreateSos::parse(&bytes(&body))),
        [
            "type",
            "message",
            "silent",
            "severity",
            "location.latitude",
            "location.accuracy",
            "address",
            "visibility",
            "tripId",
            "deviceInfo.os"
        ]
    );
    let body = json!({"type": "FIRE", "message": "the roof is burning", "location": "here"});
    assert_eq!(wrong(CreateSos::parse(&bytes(&body))), ["location"]);
    let body = json!({"type": "FIRE", "message": " ".repeat(10), "location": {"latitude": 1}});
    assert_eq!(
        wrong(CreateSos::parse(&bytes(&body))),
        ["message", "location.longitude"]
    );
}

#[test]
fn what_is_no_json_object_is_bad_json() {
    for body in ["[]", "null", "{", "\u{0}", "{\"a\":1}}", "{\"a\":\"\u{1}\"}"] {
        assert_eq!(
            StatusBody::parse(body.as_bytes()).unwrap_err().code(),
            "BAD_JSON",
            "{body}"
        );
    }
    assert_eq!(
        LocationBody::parse(b"\xff{}", &reading()).unwrap_err().code(),
        "BAD_JSON"
    );
}

#[test]
fn states_are_taken_in_any_case_and_by_their_synonyms() {
    let body = StatusBody::parse(br#"{"status":"en_route","note":""}"#).unwrap();
    assert_eq!(
        body,
        StatusBody {
            status: Status::Responding,
            note: None,
            pin: None,
        }
    );
    let error = StatusBody::parse(br#"{"status":"gone"}"#).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("status must be one of ACTIVE, ASSIGNED"),
        "{error}"
    );
}

#[test]
fn cancelling_and_closing_need_no_body_and_a_pin_is_never_shown() {
    assert_eq!(CancelBody::parse(b" ").unwrap(), CancelBody::default());
    assert_eq!(CloseBody::parse(b"{}").unwrap(), CloseBody::default());
    let body = CancelBody::parse(br#"{"pin":"4711","reason":"all is well"}"#).unwrap();
    assert_eq!(body.pin.as_ref().map(PinEntry::reveal), Some("4711"));
    assert!(!format!("{body:?}").contains("4711"));
    assert_eq!(wrong(CloseBody::parse(br#"{"resolution":1}"#)), ["resolution"]);
}

#[test]
fn joining_takes_a_user_type_and_reads_the_phone_by_region() {
    let body = json!({"userType": "anon_rescuer", "displayName": "Ben", "phone": "0917 123 4567"});
    let join = JoinBody::parse(&bytes(&body), ph()).unwrap();
    assert_eq!(join.user_type, UserType::AnonRescuer);
    assert_eq!(join.phone.unwrap().reveal(), "+639171234567");
    let body = json!({"userType": "KING", "displayName": "x".repeat(81), "phone": "12", "userId": 5});
    assert_eq!(
        wrong(JoinBody::parse(&bytes(&body), ph())),
        ["userType", "userId", "displayName", "phone"]
    );
}

#[test]
fn a_message_is_kept_as_it_was_written() {
    let words = " <script>\"é\"\n\t🙂";
    let message = MessageBody::parse(&bytes(&json!({"content": words})), &reading()).unwrap();
    assert_eq!(message.content, words);
    for bad in ["", " \n", "a\u{0}", "a\u{1b}[2J", "\u{85}"] {
        assert_eq!(
            wrong(MessageBody::parse(&bytes(&json!({"content": bad})), &reading())),
            ["content"]
        );
    }
    let long = json!({"content": "é".repeat(2001), "id": "a b"});
    assert_eq!(
        wrong(MessageBody::parse(&bytes(&long), &reading())),
        ["content", "id"]
    );
}

#[test]
fn a_location_says_when_it_was_measured() {
    let body = json!({"latitude": 14.5, "longitude": 121.25, "timestamp": 1_750_000_000, "accuracy": 3, "speed": 1,
                      "heading": 90, "formattedLocation": "Rizal Park", "roomId": "r1"});
    let location = LocationBody::parse(&bytes(&body), &reading()).unwrap();
    let fix = Fix::new(Position::new(14.5, 121.25).unwrap(), NOW)
        .with_motion(Some(3.0), Some(1.0), Some(90.0))
        .unwrap();
    assert_eq!(
        location,
        LocationBody {
            fix,
            formatted_location: Some("Rizal Park".into()),
            room: Some(room("r1"))
        }
    );
    assert_eq!(
        wrong(LocationBody::parse(b"{}", &reading())),
        ["latitude", "timestamp"]
    );
}

#[test]
fn everything_that_is_wrong_with_a_location_is_said_at_once() {
    let body = json!({"latitude": 91, "longitude": 0, "timestamp": 1_750_000_121, "accuracy": "3", "speed": -1,
                      "heading": 400, "formattedLocation": 1, "roomId": "a b"});
    assert_eq!(
        wrong(LocationBody::parse(&bytes(&body), &reading())),
        [
            "latitude",
            "accuracy",
            "speed",
            "heading",
            "timestamp",
            "formattedLocation",
            "roomId"
        ]
    );
}

#[test]
fn a_batch_takes_what_it_can_and_answers_the_rest_by_its_place() {
    let good = json!({"latitude": 1, "longitude": 2, "timestamp": 1_700_000_000});
    let body =
        json!({"fixes": [good, {"latitude": 1, "longitude": 2}, 7, good, [1, 2, 3], {"latitude": 95}]});
    let batch = Batch::parse(&bytes(&body), &reading(), 500).unwrap();
    assert_eq!(
        batch.accepted.iter().map(|(index, _)| *index).collect::<Vec<_>>(),
        [0, 3]
    );
    assert_eq!(
        batch.rejected.iter().map(|fix| fix.index).collect::<Vec<_>>(),
        [1, 2, 4, 5]
    );
    assert_eq!(batch.rejected[0].error, "timestamp is missing");
    assert_eq!(
        Batch::parse(br#"{"fixes":[]}"#, &reading(), 500).unwrap(),
        Batch::default()
    );
    for body in [
        "{}",
        r#"{"fixes":{}}"#,
        r#"{"fixes":[1,2,3]}"#,
        r#"{"fixes":"x"}"#,
    ] {
        assert_eq!(
            wrong(Batch::parse(body.as_bytes(), &reading(), 2)),
            ["fixes"],
            "{body}"
        );
    }
    assert_eq!(
        Batch::parse(br#"{"fixes":[1"#, &reading(), 2).unwrap_err().code(),
        "BAD_JSON"
    );
}

#[test]
fn a_contact_book_lists_each_number_once() {
    let body = json!({
        "emergency_contacts": [{"name": "Ana", "phone_no": "09171234567"}, {"name": "Ana 2", "phone_no": "+63 917 123 4567"},
                               {"name": "Ben", "phone_no": "+639181234567"}],
        "dependent_contacts": [{"name": "Ana", "phone_no": "09171234567"}],
    });
    let book = contacts(&bytes(&body), ph(), 10).unwrap();
    assert_eq!(
        book.emergency.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(),
        ["Ana", "Ben"]
    );
    assert_eq!(book.dependent.len(), 1);
    let shown = serde_json::to_value(ContactsView::of(&book)).unwrap();
    assert_eq!(
        shown["emergency_contacts"][1],
        json!({"name": "Ben", "phone_no": "+639181234567"})
    );
    assert_eq!(contacts(shown.to_string().as_bytes(), ph(), 10).unwrap(), book);
}

#[test]
fn a_contact_book_is_refused_with_the_places_of_its_mistakes() {
    let body = json!({
        "emergency_contacts": [{"name": "Ana", "phone_no": "12"}, 5, {"phone_no": 9_171_234_567_u64}],
        "dependent_contacts": "none",
    });
    assert_eq!(
        wrong(contacts(&bytes(&body), ph(), 10)),
        [
            "emergency_contacts.0.phone_no",
            "emergency_contacts.1",
            "emergency_contacts.2.name",
            "emergency_contacts.2.phone_no",
            "dependent_contacts"
        ]
    );
    assert_eq!(wrong(contacts(b"{}", ph(), 10)), ["emergency_contacts"]);
    let many = json!({"emergency_contacts": [{}, {}, {}]});
    assert_eq!(wrong(contacts(&bytes(&many), ph(), 2)), ["emergency_contacts"]);
    assert!(contacts(br#"{"emergency_contacts":[]}"#, ph(), 2).is_ok());
}

proptest! {
    #[test]
    fn no_bytes_make_a_body_panic(body in prop::collection::vec(any::<u8>(), 0..64), text in "[{}\\[\\]\",:a-z0-9. ]{0,64}") {
        for body in [body.as_slice(), text.as_bytes()] {
            let _ = (CreateSos::parse(body), StatusBody::parse(body), CancelBody::parse(body), CloseBody::parse(body));
            let _ = (DeviceInfo::parse(body), JoinBody::parse(body, ph()), MessageBody::parse(body, &reading()));
            let _ = (LocationBody::parse(body, &reading()), Batch::parse(body, &reading(), 3), contacts(body, ph(), 3));
        }
    }

    #[test]
    fn a_wrong_location_always_says_why(
        latitude in prop_oneof![(-100.0..100.0f64).prop_map(|v| json!(v)), Just(json!(null)), Just(json!("1"))],
        longitude in prop_oneof![(-200.0..200.0f64).prop_map(|v| json!(v)), Just(json!(null)), Just(json!({}))],
        timestamp in prop_oneof![any::<f64>().prop_map(|v| json!(v)), ".{0,30}".prop_map(|v| json!(v))],
        heading in proptest::option::of(-10.0..400.0f64),
    ) {
        let body = json!({"latitude": latitude, "longitude": longitude, "timestamp": timestamp, "heading": heading});
        if let Err(error) = LocationBody::parse(&bytes(&body), &reading()) {
            prop_assert!(!error.fields().is_empty());
        }
    }
}
