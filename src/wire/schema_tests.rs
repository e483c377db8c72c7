//! Schemas and readers agree: what fits a schema is read, what does not is refused, field by field.

use std::collections::BTreeSet;

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

use super::rest::schemas as rest_schemas;
use super::rest::{
    Batch, BlockBody, CancelBody, CheckInBounds, CloseBody, CloserBody, CreateSos, DeviceInfo, EventsQuery,
    InitBody, JoinBody, JoinedBody, LeftBody, LocationBody, LocationsQuery, MessageBody, MessagesQuery,
    MoveBody, NearbyQuery, NoFields, OtpBody, ParticipantsQuery, PinBody, RelayBody, ReportBody, RescuerBody,
    RescuerQuery, SetPinBody, SosListQuery, StatusBody, TripBody, TypeBody, VerifyOtpBody, check_in,
    contacts, push_target,
};
use super::schema::{add_words, generator};
use super::socketio::Args;
use super::{Reading, incident, json as dialect};
use crate::domain::phone::Region;
use crate::domain::time::Timestamp;

const CONTENT_MAX: usize = 2000;

fn reading() -> Reading {
    Reading {
        now: Timestamp::from_ms(253_402_300_000_000),
        max_ahead: std::time::Duration::from_secs(120),
        radius_max_km: 25,
        content_max_chars: CONTENT_MAX,
    }
}

fn bounds() -> rest_schemas::Bounds {
    rest_schemas::Bounds {
        content_max_chars: CONTENT_MAX,
        batch_max_fixes: 3,
        contacts_max: 2,
        passengers_max: 3,
        grace_max_s: 600,
    }
}

/// Everything that schemas refer to.
fn components() -> Map<String, Value> {
    let mut generator = generator();
    add_words(&mut generator);
    let mut schemas = generator.take_definitions(true);
    schemas.extend(rest_schemas::bodies(&bounds()));
    schemas.extend(dialect::schema::shared());
    schemas.extend(incident::schema::shared());
    schemas
}

fn compiled(schema: &Value) -> Validator {
    let whole = json!({"components": {"schemas": components()}, "allOf": [schema]});
    let options = jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true);
    options.build(&whole).unwrap()
}

/// Values on both sides of every bound that a schema may have.
fn values(schema: &Value) -> Vec<Value> {
    let mut found = vec![
        json!(null),
        json!(true),
        json!([]),
        json!({}),
        json!(""),
        json!("x"),
        json!("a b"),
        json!("a\u{7}b"),
        json!("\n"),
        json!("a\tb"),
        json!("é/€"),
        json!(-1),
        json!(0),
        json!(1),
        json!(1.5),
        json!("1"),
        json!("p-0123456789abcdef"),
        json!("2026-11-21T01:00:00Z"),
        json!("x".repeat(10_000)),
    ];
    for key in ["minLength", "maxLength"] {
        if let Some(chars) = schema[key].as_u64() {
            let chars = usize::try_from(chars).unwrap();
            found.extend([chars.saturating_sub(1), chars, chars + 1].map(|n| json!("é".repeat(n))));
            found.extend([chars.saturating_sub(1), chars, chars + 1].map(|n| json!("a".repeat(n))));
            found.push(json!(" ".repeat(chars)));
        }
    }
    for key in ["minimum", "maximum", "exclusiveMinimum"] {
        if let Some(bound) = schema[key]
            .as_i64()
            .filter(|_| schema.to_string().contains("integer"))
        {
            // 0.0 is an integer to a schema, and none to the readers.
            found.extend([bound - 1, bound, bound + 1].map(Value::from));
        } else if let Some(bound) = schema[key].as_f64() {
            found.extend([bound - 0.5, bound, bound + 0.5].map(Value::from));
        }
    }
    found.extend(schema["enum"].as_array().into_iter().flatten().cloned());
    found
}

/// Changes `example` field by field and compares what the schema says with what the reader does. `skip` names the
/// fields of which a schema cannot say everything.
fn agree(name: &str, schema: &Value, example: &Value, skip: &[&str], reads: impl Fn(&Value) -> bool) {
    let validator = compiled(schema);
    let same = |value: &Value| {
        let (fits, read) = (validator.is_valid(value), reads(value));
        assert_eq!(
            fits, read,
            "{name}: the schema says {fits}, the reader {read}: {value}"
        );
    };
    assert!(reads(example), "{name}: {example}");
    same(example);
    let properties = schema["properties"].as_object().unwrap();
    for (field, property) in properties
        .iter()
        .filter(|(field, _)| !skip.contains(&field.as_str()))
    {
        let mut changed = example.clone();
        changed.as_object_mut().unwrap().remove(field);
        same(&changed);
        let of_reference = property
            .pointer("/anyOf/0/$ref")
            .or(property.get("$ref"))
            .and_then(Value::as_str);
        let components = components();
        let shown = of_reference.map_or(property, |path| &components[path.rsplit('/').next().unwrap()]);
        for value in values(shown) {
            changed[field] = value;
            same(&changed);
        }
    }
}

#[test]
fn bodies_are_read_as_their_schemas_say() {
    let region = Region::new("PH").unwrap();
    let schemas = rest_schemas::bodies(&bounds());
    let place = json!({"latitude": 1, "longitude": 2});
    let sos = json!({"type": "FIRE", "message": "The kitchen is on fire", "location": place});
    // That a time lies in the future hangs on the clock.
    let whenever = CheckInBounds {
        now: Timestamp::from_ms(-1),
        horizon: std::time::Duration::from_millis(i64::MAX.unsigned_abs() / 2),
        grace_max: std::time::Duration::from_secs(bounds().grace_max_s),
    };
    let read = |name: &str, body: &Value| {
        let bytes = body.to_string().into_bytes();
        let bytes = bytes.as_slice();
        match name {
            "CreateSos" => CreateSos::parse(bytes).is_ok(),
            "DeviceInfo" => DeviceInfo::parse(bytes).is_ok(),
            "SetStatus" => StatusBody::parse(bytes).is_ok(),
            "CancelSos" => CancelBody::parse(bytes).is_ok(),
            "CloseSos" => CloseBody::parse(bytes).is_ok(),
            "JoinSos" => JoinBody::parse(bytes, region).is_ok(),
            "SendMessage" => MessageBody::parse(bytes, &reading()).is_ok(),
            "Fix" => LocationBody::parse(bytes, &reading()).is_ok(),
            "FixBatch" => Batch::parse(bytes, &reading(), bounds().batch_max_fixes).is_ok(),
            "Contacts" => contacts(bytes, region, bounds().contacts_max).is_ok(),
            "SetPin" => SetPinBody::parse(bytes).is_ok(),
            "CurrentPin" => PinBody::parse(bytes, "currentPin").is_ok(),
            "TypedPin" => PinBody::parse(bytes, "pin").is_ok(),
            "CheckIn" => check_in(bytes, &whenever).is_ok(),
            "Report" => ReportBody::parse(bytes).is_ok(),
            // That it lies in the future hangs on the clock.
            "CreateTrip" => TripBody::parse(bytes, bounds().passengers_max).is_ok(),
            "Nothing" => NoFields::parse(bytes).is_ok(),
            "Block" => BlockBody::parse(bytes, Timestamp::from_ms(-1)).is_ok(),
            "InitSos" => InitBody::parse(bytes).is_ok(),
            "CloseSosFor" => CloserBody::parse(bytes).is_ok(),
            "MoveSosFor" => MoveBody::parse(bytes).is_ok(),
            "SetSosType" => TypeBody::parse(bytes).is_ok(),
            "RescuerLocation" => RescuerBody::parse(bytes, &reading()).is_ok(),
            "PassOnMessage" => RelayBody::parse(bytes, &reading()).is_ok(),
            "ParticipantJoined" => JoinedBody::parse(bytes).is_ok(),
            "ParticipantLeft" => LeftBody::parse(bytes).is_ok(),
            "SendOtp" => OtpBody::parse(bytes, region).is_ok(),
            "VerifyOtp" => VerifyOtpBody::parse(bytes).is_ok(),
            _ => panic!("who reads {name}?"),
        }
    };
    let number = json!({"name": "Ben", "phone_no": "+639171234567"});
    let said = json!({"id": "m", "senderType": "RESCUER", "senderId": "u", "content": "x"});
    for (name, example, skip) in [
        ("InitSos", json!({"sosId": "s", "citizenId": "u"}), &[][..]),
        ("CloseSosFor", json!({"closedBy": "u"}), &[]),
        ("MoveSosFor", json!({"status": "CLOSED", "updatedBy": "u"}), &[]),
        ("SetSosType", json!({"type": "FIRE"}), &[]),
        (
            "RescuerLocation",
            json!({"rescuerId": "u", "latitude": 1, "longitude": 2}),
            &[],
        ),
        ("PassOnMessage", json!({"sosId": "s", "message": said}), &[]),
        ("ParticipantJoined", json!({"sosId": "s", "userId": "u"}), &[]),
        ("ParticipantLeft", json!({"sosId": "s", "userId": "u"}), &[]),
        // Which channel fits which destination a schema does not say.
        (
            "SendOtp",
            json!({"to": "+639171234567", "channel": "SMS"}),
            &["to", "channel"],
        ),
        ("VerifyOtp", json!({"id": "a1", "code": "000000"}), &[]),
        ("CreateSos", sos.clone(), &[]),
        ("DeviceInfo", json!({}), &[]),
        ("SetStatus", json!({"status": "CLOSED"}), &[]),
        ("CancelSos", json!({}), &[]),
        ("CloseSos", json!({}), &[]),
        // A schema does not know numbering plans.
        ("JoinSos", json!({"userType": "CITIZEN"}), &["phone"]),
        ("SendMessage", json!({"content": "x"}), &[]),
        ("Fix", json!({"latitude": 1, "longitude": 2, "timestamp": 3}), &[]),
        ("FixBatch", json!({"fixes": []}), &[]),
        (
            "Report",
            json!({"participantId": "p-00000000000000ff", "reason": "x"}),
            &[],
        ),
        ("Block", json!({}), &[]),
        (
            "CreateTrip",
            json!({"tripId": "t", "driverId": "dan", "passengerIds": ["pia"]}),
            &[],
        ),
        ("Nothing", json!({}), &[]),
        ("SetPin", json!({"pin": "4711"}), &[]),
        ("CurrentPin", json!({}), &[]),
        ("TypedPin", json!({}), &[]),
        ("CheckIn", json!({"dueAt": 4_000_000_000_000_i64}), &[]),
        ("Contacts", json!({"emergency_contacts": [number]}), &[]),
    ] {
        agree(name, &schemas[name], &example, skip, |body| read(name, body));
    }
    for field in ["location", "address", "deviceInfo"] {
        let inner = &schemas["CreateSos"]["properties"][field];
        let inner = if field == "deviceInfo" {
            &schemas["DeviceInfo"]
        } else {
            inner
        };
        let whole = |value: &Value| {
            let mut body = sos.clone();
            body[field] = value.clone();
            body
        };
        let example = if field == "location" {
            place.clone()
        } else {
            json!({})
        };
        agree(field, inner, &example, &[], |value| {
            read("CreateSos", &whole(value))
        });
    }
    let inner = &schemas["PassOnMessage"]["properties"]["message"];
    agree("message", inner, &said, &[], |value| {
        read("PassOnMessage", &json!({"sosId": "s", "message": value}))
    });
    let inner = &schemas["InitSos"]["properties"]["location"];
    agree("location", inner, &place, &[], |value| {
        read(
            "InitSos",
            &json!({"sosId": "s", "citizenId": "u", "location": value}),
        )
    });
    let entry = |entry: &Value| read("Contacts", &json!({"emergency_contacts": [entry]}));
    agree(
        "Contact",
        &schemas["Contact"],
        &number,
        &["phone_no", "email"],
        entry,
    );
    let inner = &schemas["Contact"]["properties"]["quiet_hours"];
    let night = json!({"from": "22:30", "to": "06:00"});
    agree("quiet_hours", inner, &night, &[], |hours| {
        let mut contact = number.clone();
        contact["quiet_hours"] = hours.clone();
        entry(&contact)
    });
    let target = compiled(&schemas["PushTarget"]);
    let keys = json!({"p256dh": "BNc_", "auth": "a-b="});
    let browser =
        |endpoint: &str| json!({"service": "WEBPUSH", "subscription": {"endpoint": endpoint, "keys": keys}});
    for (body, good) in [
        (json!({"service": "FCM", "token": "a:b"}), true),
        (json!({"service": "FCM", "token": "a b"}), false),
        (json!({"service": "FCM", "token": ""}), false),
        (json!({"service": "FCM"}), false),
        (json!({"token": "a"}), false),
        (json!({"service": "APNS", "token": "0a".repeat(32)}), true),
        (json!({"service": "APNS", "token": "0a"}), false),
        (json!({"service": "WEBPUSH"}), false),
        (
            json!({"service": "WEBPUSH", "subscription": {"endpoint": "https://a.example/"}}),
            false,
        ),
        (browser("https://push.example.com/1"), true),
        (browser("http://push.example.com/1"), false),
    ] {
        assert_eq!(target.is_valid(&body), good, "{body}");
        assert_eq!(
            push_target(body.to_string().as_bytes(), false).is_ok(),
            good,
            "{body}"
        );
    }
    // What a schema cannot say: an address that would lead to our neighbours.
    for endpoint in [
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://localhost/",
        "https://redis/",
        "https://me:it@a.b/",
    ] {
        assert!(
            push_target(browser(endpoint).to_string().as_bytes(), false).is_err(),
            "{endpoint}"
        );
    }
    let of = |n| json!({"fixes": vec![json!({}); n]});
    assert!(read("FixBatch", &of(3)) && !read("FixBatch", &of(4)));
    let of = |passengers: Value| json!({"tripId": "t", "driverId": "d", "passengerIds": passengers});
    let trip = &schemas["CreateTrip"];
    let validator = compiled(trip);
    for passengers in [
        json!(["a", "b", "c"]),
        json!(["a", "b", "c", "e"]),
        json!(["a", "a"]),
        json!([""]),
        json!([7]),
    ] {
        let body = of(passengers);
        assert_eq!(validator.is_valid(&body), read("CreateTrip", &body), "{body}");
    }
    let of = |n| json!({"dependent_contacts": vec![number.clone(); n]});
    assert!(read("Contacts", &of(2)) && !read("Contacts", &of(3)));
}

#[test]
fn queries_are_read_as_their_schemas_say() {
    let reads = |name: &str, query: &str| match name {
        "sos" => SosListQuery::parse(query).is_ok(),
        "locations" => LocationsQuery::parse(query).is_ok(),
        "messages" => MessagesQuery::parse(query).is_ok(),
        "events" => EventsQuery::parse(query).is_ok(),
        "nearby" => NearbyQuery::parse(query, 50).is_ok(),
        "rescuer" => RescuerQuery::parse(query).is_ok(),
        _ => ParticipantsQuery::parse(query).is_ok(),
    };
    for (name, fields) in [
        ("sos", rest_schemas::sos_list_query()),
        ("locations", rest_schemas::locations_query(true)),
        ("messages", rest_schemas::messages_query()),
        ("events", rest_schemas::events_query()),
        ("participants", rest_schemas::participants_query()),
        ("nearby", rest_schemas::nearby_query(50)),
        ("rescuer", rest_schemas::rescuer_query()),
    ] {
        for field in fields {
            let schema = &field.schema;
            let beside = match field.name {
                "lat" => "&lng=1",
                "lng" => "&lat=1",
                "latitude" => "&longitude=1",
                "longitude" => "&latitude=1",
                _ if name == "nearby" => "&latitude=1&longitude=1",
                _ => "",
            };
            let take = |text: &str| reads(name, &format!("{}={text}{beside}", field.name));
            for key in ["minimum", "maximum"] {
                if let Some(bound) = schema[key].as_f64() {
                    let outside = if key == "minimum" {
                        bound - 1.0
                    } else {
                        bound + 1.0
                    };
                    assert!(take(&bound.to_string()), "{name} {} {bound}", field.name);
                    assert!(!take(&outside.to_string()), "{name} {} {outside}", field.name);
                }
            }
            if matches!(schema["type"].as_str(), Some("integer" | "number")) {
                assert!(!take("x"), "{name} {}", field.name);
            }
            let words = schema["enum"].as_array().or(schema["items"]["enum"].as_array());
            for word in words.into_iter().flatten() {
                assert!(take(word.as_str().unwrap()), "{name} {} {word}", field.name);
                assert!(!take("NONSENSE"), "{name} {}", field.name);
            }
            let most = schema["maxLength"]
                .as_u64()
                .map(|max| usize::try_from(max).unwrap());
            if let Some(max) =
                most.filter(|_| schema.get("pattern").is_none() && field.name != "from" && field.name != "to")
            {
                assert!(
                    take(&"a".repeat(max)) && !take(&"a".repeat(max + 1)),
                    "{name} {}",
                    field.name
                );
            }
        }
    }
}

fn dialect_bounds() -> dialect::schema::Bounds {
    dialect::schema::Bounds {
        content_max_chars: CONTENT_MAX,
        radius_max_km: 25,
    }
}

#[test]
fn client_messages_are_read_as_their_schemas_say() {
    for message in dialect::schema::client_messages(&dialect_bounds()) {
        assert_eq!(message.example["type"], message.kind);
        // What an SOS says of its kind is never a reason to refuse it; both coordinates or none.
        let skip = ["type", "emergencyType"];
        agree(message.kind, &message.schema, &message.example, &skip, |value| {
            dialect::parse(&value.to_string(), &reading()).is_ok()
        });
    }
}

#[test]
fn every_message_of_the_server_is_described_as_the_encoder_writes_it() {
    let described = dialect::schema::server_messages();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    dialect::samples::each(false, |bare| {
        let message = described
            .iter()
            .find(|message| message.kind == bare.kind())
            .unwrap();
        let bare: Value = serde_json::from_slice(&bare.encode(dialect::samples::AT)).unwrap();
        let validator = compiled(&message.schema);
        for shown in [&message.example, &bare] {
            let wrong = validator
                .iter_errors(shown)
                .map(|error| error.to_string())
                .collect::<Vec<_>>();
            assert!(wrong.is_empty(), "{wrong:?} in {shown}");
        }
        // With everything: each field that is described. Without: those that are required, and no other.
        assert_eq!(
            keys(&message.example),
            keys(&message.schema["properties"]),
            "{}",
            message.kind
        );
        let mut required: Vec<_> = message.schema["required"].as_array().unwrap().clone();
        required.sort_by_key(|name| name.as_str().map(str::to_owned));
        assert_eq!(json!(keys(&bare)), json!(required), "{}", message.kind);
    });
}

#[test]
fn events_of_incident_clients_are_read_as_their_schemas_say() {
    let bounds = incident::schema::Bounds {
        content_max_chars: CONTENT_MAX,
    };
    let described = incident::schema::client_messages(&bounds);
    assert_eq!(described.len(), 20);
    for message in described {
        let read = |value: &Value| {
            let args = Args::build().value(value).done();
            match incident::admin::parse(message.kind, &args, 500) {
                Ok(None) => incident::parse(message.kind, &args, &reading()).is_ok(),
                operators => operators.is_ok(),
            }
        };
        agree(message.kind, &message.schema, &message.example, &[], read);
        // Who needs nothing but the incident may name it and no more.
        let bare = message.schema["required"] == json!(["sosId"]);
        let asks_nothing = message.schema["properties"] == json!({});
        assert_eq!(read(&json!("s1")), bare || asks_nothing, "{}", message.kind);
    }
}

#[test]
fn every_event_for_incident_clients_is_described_as_the_encoders_write_it() {
    let described = incident::schema::server_messages();
    let mut seen: Vec<(&str, Value)> = Vec::new();
    for full in [true, false] {
        incident::samples::each(full, |word| {
            seen.push((word.name, serde_json::from_str(&word.body).unwrap()));
        });
    }
    for (name, _) in &seen {
        assert!(
            described.iter().any(|message| message.kind == *name),
            "nobody describes {name}"
        );
    }
    for message in &described {
        let validator = compiled(&message.schema);
        let shown: Vec<_> = seen.iter().filter(|(name, _)| *name == message.kind).collect();
        assert!(shown.len() >= 2, "{}", message.kind);
        for (_, body) in &shown {
            let wrong: Vec<_> = validator
                .iter_errors(body)
                .map(|error| error.to_string())
                .collect();
            assert!(wrong.is_empty(), "{}: {wrong:?} in {body}", message.kind);
        }
        // Every field that is described is there sometimes, and no other ever is; what is required always is.
        let names = |body: &Value| body.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        let mut ever = shown
            .iter()
            .flat_map(|(_, body)| names(body))
            .collect::<BTreeSet<_>>();
        let mut always = shown
            .iter()
            .map(|(_, body)| names(body))
            .reduce(|some, others| &some & &others)
            .unwrap();
        if message.kind == "pong" {
            // What was sent comes back, whatever it was.
            ever.remove("sentAt");
            always.remove("sentAt");
        }
        assert_eq!(ever, names(&message.schema["properties"]), "{}", message.kind);
        assert_eq!(
            json!(always),
            sorted(&message.schema["required"]),
            "{}",
            message.kind
        );
    }
}

fn sorted(names: &Value) -> Value {
    let mut names: Vec<_> = names.as_array().unwrap().clone();
    names.sort_by_key(|name| name.as_str().map(str::to_owned));
    json!(names)
}

#[test]
fn an_acknowledgement_is_as_described() {
    let schemas = incident::schema::shared();
    let (sos, id) = (
        crate::domain::testing::room("s1"),
        crate::domain::ids::MessageId::new("m").unwrap(),
    );
    let seq = Some(crate::domain::room::Seq::new(4));
    for (name, text) in [
        ("Done", incident::ack_ok(&sos, None, None)),
        ("Done", incident::ack_ok(&sos, seq, Some(&id))),
        ("Refused", incident::ack_error("BUSY", "too busy", None)),
        (
            "Refused",
            incident::ack_error("INVALID_FIELD", "id \"\"", Some("id")),
        ),
    ] {
        let body: Value = serde_json::from_str(&text).unwrap();
        assert!(compiled(&schemas[name]).is_valid(&body), "{body}");
    }
}
