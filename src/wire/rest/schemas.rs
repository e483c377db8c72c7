//! What the readers of this module take, as JSON Schema. A test feeds what fits a schema to its reader, and what
//! lies just outside a bound.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::check_ins::GRACE_DEFAULT_S;
use super::conduct::PAGE;
use super::contacts::USER_ID_MAX_CHARS;
use super::event_view::EventView;
use super::query::{
    INCIDENTS_DEFAULT, LIMIT_MAX, MESSAGES_DEFAULT, RADIUS_DEFAULT_M, RADIUS_MAX_M, SEARCH_MAX_CHARS,
};
use super::sos::{MESSAGE_CHARS, REFERENCE_MAX_CHARS};
use super::trips::{NEARBY_DEFAULT, NEARBY_DEFAULT_KM};
use crate::domain::ids::UserId;
use crate::domain::incident::{IncidentType, Severity, Status, Visibility};
use crate::domain::notify::{Channel, DeliveryState, Occasion, Vendor};
use crate::domain::room::UserType;
use crate::wire::field::{NAME_MAX_CHARS, NOTE_MAX_CHARS, PIN_MAX_CHARS};
use crate::wire::schema::{
    accuracy, flag, heading, instant, latitude, longitude, note, optional_ref, optional_word, reference,
    speed, word_of, words_of,
};

/// Bounds that a node's settings give.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The longest message in a room, in characters.
    pub content_max_chars: usize,
    /// Fixes in one batch.
    pub batch_max_fixes: usize,
    /// People on one list of contacts.
    pub contacts_max: usize,
    /// Passengers of one trip.
    pub passengers_max: usize,
    /// The longest grace of a check-in, in seconds.
    pub grace_max_s: u64,
}

#[expect(clippy::needless_pass_by_value, reason = "it is made for this call")]
pub(super) fn object(required: &[&str], properties: Value) -> Value {
    json!({"type": "object", "required": required, "properties": properties})
}

/// Every body that a route takes, by its name in the documents.
pub fn bodies(bounds: &Bounds) -> Map<String, Value> {
    let named = [
        ("CreateSos", create_sos()),
        ("DeviceInfo", device_info()),
        ("SetStatus", set_status()),
        ("CancelSos", cancel()),
        ("CloseSos", close()),
        ("JoinSos", join()),
        ("SendMessage", send_message(bounds)),
        ("Fix", fix()),
        ("FixBatch", batch(bounds)),
        ("Contacts", contacts(bounds)),
        ("Contact", contact()),
        ("PushTarget", push_target()),
        ("SetPin", set_pin()),
        ("CurrentPin", object(&[], json!({"currentPin": pin_entry()}))),
        ("TypedPin", object(&[], json!({"pin": pin_entry()}))),
        ("CheckIn", check_in(bounds)),
        ("Report", report()),
        ("Block", block()),
        ("CreateTrip", create_trip(bounds)),
        ("Nothing", object(&[], json!({}))),
    ];
    named
        .into_iter()
        .chain(super::services_schemas::bodies(bounds))
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect()
}

fn create_sos() -> Value {
    object(
        &["type", "message", "location"],
        json!({
            "type": word_of(IncidentType::ALL.iter().map(|it| it.as_str()), "What has happened."),
            "message": words_of(&MESSAGE_CHARS, "In your words."),
            "silent": flag("Seen by staff and participants only."),
            "drill": flag("An exercise: everything runs, and everybody who is told is told that it is one."),
            "raisedAt": instant(true, "When it was raised by the device's clock, for one that had no connection then; it is no reason to refuse it."),
            "severity": optional_word(Severity::ALL.iter().map(|it| it.as_str()), "How bad; MEDIUM if left out."),
            "location": object(&["latitude", "longitude"], json!({
                "latitude": latitude(), "longitude": longitude(), "accuracy": accuracy(),
            })),
            "address": {
                "type": ["object", "null"],
                "properties": {
                    "city": note(NAME_MAX_CHARS, "City."),
                    "barangay": note(NAME_MAX_CHARS, "Barangay, the smallest district."),
                },
            },
            "visibility": optional_word(
                Visibility::ALL.iter().map(|it| it.as_str()), "Who may find it; PUBLIC if left out.",
            ),
            "tripId": note(REFERENCE_MAX_CHARS, "The trip that it is raised on."),
            "bookingId": note(REFERENCE_MAX_CHARS, "The booking that it is raised on."),
            "deviceInfo": {
                "anyOf": [reference("DeviceInfo"), {"type": "null"}],
                "description": "What the app tells of the device that it runs on.",
            },
        }),
    )
}

fn create_trip(bounds: &Bounds) -> Value {
    let user = user();
    let mut driver = user.clone();
    driver["description"] = "Who drives, as tokens name them.".into();
    object(
        &["tripId", "driverId", "passengerIds"],
        json!({
            "tripId": reference("Room"),
            "driverId": driver,
            "passengerIds": {
                "type": "array", "items": user, "uniqueItems": true, "maxItems": bounds.passengers_max,
                "description": "Everybody else, each once; the driver is none of them.",
            },
            "bookingId": note(REFERENCE_MAX_CHARS, "The booking that it belongs to."),
        }),
    )
}

/// Somebody with an account, as tokens name them.
pub(super) fn user() -> Value {
    json!({
        "type": "string", "minLength": 1, "maxLength": UserId::MAX_CHARS,
        "pattern": r"^[^\x00-\x1F\x7F-\x9F]*$",
    })
}

/// `GET /internal/realtime/sos/{id}/rescuer-location`
pub fn rescuer_query() -> Vec<QueryField> {
    let mut rescuer = user();
    rescuer["description"] = "Only this one's: a user's id, or a participant's.".into();
    vec![field("rescuerId", rescuer)]
}

/// `GET /internal/trips/nearby`, `GET /internal/realtime/sos/nearby`
pub fn nearby_query(radius_max_km: u32) -> Vec<QueryField> {
    let radius = json!({
        "type": "number", "exclusiveMinimum": 0, "maximum": radius_max_km,
        "default": NEARBY_DEFAULT_KM.min(f64::from(radius_max_km)), "description": "How far around it, in km.",
    });
    let mut fields = vec![
        field("latitude", latitude()),
        field("longitude", longitude()),
        field("radius", radius),
        limit(NEARBY_DEFAULT),
    ];
    fields[..2].iter_mut().for_each(|field| field.required = true);
    fields
}

fn device_info() -> Value {
    object(
        &[],
        json!({
            "os": note(REFERENCE_MAX_CHARS, "Operating system."),
            "appVersion": note(REFERENCE_MAX_CHARS, "The app's version."),
            "locale": note(REFERENCE_MAX_CHARS, "Language and region, BCP 47."),
        }),
    )
}

fn set_status() -> Value {
    let synonyms = "To where. EN_ROUTE and IN_PROGRESS are taken for RESPONDING, COMPLETED for RESOLVED.";
    object(
        &["status"],
        json!({
            "status": word_of(Status::ALL.iter().map(|it| it.as_str()), synonyms),
            "note": note(NOTE_MAX_CHARS, "In your words."),
            "pin": pin_entry(),
        }),
    )
}

fn set_pin() -> Value {
    let digits =
        |description: &str| json!({"type": "string", "pattern": "^[0-9]{4,10}$", "description": description});
    let mut duress = digits("One that only looks as if it ended an SOS; another one than pin.");
    duress["type"] = json!(["string", "null"]);
    object(
        &["pin"],
        json!({
            "pin": digits("Ends what you have raised: 4 to 10 digits."),
            "duressPin": duress,
            "currentPin": note(PIN_MAX_CHARS, "The one that you have, if you have one."),
        }),
    )
}

fn check_in(bounds: &Bounds) -> Value {
    let mut message = words_of(&MESSAGE_CHARS, "What the SOS is to say.");
    message["type"] = json!(["string", "null"]);
    object(
        &["dueAt"],
        json!({
            "dueAt": instant(false, "By when you will have said that you are well: in the future."),
            "grace": {
                "type": ["integer", "null"], "minimum": 0, "maximum": bounds.grace_max_s,
                "description": format!(
                    "Seconds after that in which you are reminded; then it is an SOS. {GRACE_DEFAULT_S} if left out."
                ),
            },
            "message": message,
            "location": {
                "anyOf": [
                    object(&["latitude", "longitude"], json!({
                        "latitude": latitude(), "longitude": longitude(), "accuracy": accuracy(),
                    })),
                    {"type": "null"},
                ],
                "description": "Where you are, or will be.",
            },
        }),
    )
}

fn pin_entry() -> Value {
    note(
        PIN_MAX_CHARS,
        "Your PIN, if you have one: you end what you have raised of your own will.",
    )
}

fn report() -> Value {
    object(
        &["participantId", "reason"],
        json!({
            "participantId": reference("Participant"),
            "reason": words_of(&(1..=NOTE_MAX_CHARS), "What they did."),
        }),
    )
}

fn block() -> Value {
    object(
        &[],
        json!({
            "reason": note(NOTE_MAX_CHARS, "Why."),
            "until": instant(true, "A time in the future; until it is lifted if left out."),
        }),
    )
}

fn cancel() -> Value {
    object(
        &[],
        json!({
            "pin": pin_entry(),
            "reason": note(NOTE_MAX_CHARS, "In your words."),
        }),
    )
}

fn close() -> Value {
    object(&[], json!({"resolution": note(NOTE_MAX_CHARS, "How it ended.")}))
}

fn join() -> Value {
    object(
        &["userType"],
        json!({
            "userType": word_of(UserType::ALL.iter().map(|it| it.as_str()), "As what. Your role decides which are yours."),
            "userId": note(USER_ID_MAX_CHARS, "Read for the sake of older clients; the credential decides."),
            "displayName": note(NAME_MAX_CHARS, "What others may call you."),
            "phone": {
                "type": ["string", "null"], "maxLength": 40,
                "description": "A number that you merely state: it opens no room.",
            },
        }),
    )
}

fn send_message(bounds: &Bounds) -> Value {
    let id = "Your name for it: sending the same again gets the first answer. Made up if left out.";
    object(
        &["content"],
        json!({
            "content": words_of(&(1..=bounds.content_max_chars), "The words."),
            "id": optional_ref("Message", id),
        }),
    )
}

fn fix() -> Value {
    object(
        &["latitude", "longitude", "timestamp"],
        json!({
            "latitude": latitude(), "longitude": longitude(),
            "timestamp": instant(false, "When it was measured."),
            "accuracy": accuracy(), "speed": speed(), "heading": heading(),
            "formattedLocation": note(NOTE_MAX_CHARS, "The place, for a person."),
            "roomId": optional_ref("Room", "Only for this room; without: for every room that you are in."),
        }),
    )
}

fn batch(bounds: &Bounds) -> Value {
    object(
        &["fixes"],
        json!({
            "fixes": {
                "type": "array", "maxItems": bounds.batch_max_fixes,
                "description": "Each a Fix. They are judged one by one: what is wrong with one is told in the answer.",
            },
        }),
    )
}

fn contacts(bounds: &Bounds) -> Value {
    let list = |description: &str| {
        json!({
            "type": ["array", "null"], "items": reference("Contact"), "maxItems": bounds.contacts_max,
            "description": description,
        })
    };
    json!({
        "type": "object",
        "description": "A list that is left out is empty, but not both may be left out.",
        "anyOf": [{"required": ["emergency_contacts"]}, {"required": ["dependent_contacts"]}],
        "properties": {
            "emergency_contacts": list("Who is told when you call for help."),
            "dependent_contacts": list("Whom you look after."),
        },
    })
}

fn contact() -> Value {
    object(
        &["name", "phone_no"],
        json!({
            "name": words_of(&(1..=NAME_MAX_CHARS), "What you call them."),
            "phone_no": {
                "type": "string", "maxLength": 40, "examples": ["+639171234567"],
                "description": "In E.164, or as it is dialled in the node's region.",
            },
            "email": {
                "type": ["string", "null"], "maxLength": 254, "examples": ["ben@example.com"],
                "description": "Where they get e-mail.",
            },
            "locale": locale("In which language they are told, BCP 47; the node's if left out."),
            "channels": {
                "type": ["array", "null"], "maxItems": 4,
                "items": {"type": "string", "enum": ["SMS", "WHATSAPP", "EMAIL", "PUSH"]},
                "description": "Over what they are told, the best first; as the node says if left out. EMAIL is passed over \
                                without an `email`, PUSH when they have no device that is pushed to.",
            },
            "quiet_hours": quiet_hours(),
        }),
    )
}

/// A language tag.
pub(super) fn locale(description: &str) -> Value {
    json!({
        "type": ["string", "null"], "minLength": 2, "maxLength": 35,
        "pattern": "^(?!.*--)[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9]$", "examples": ["fil-PH"],
        "description": description,
    })
}

fn quiet_hours() -> Value {
    let clock = |description: &str| {
        json!({
            "type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$", "examples": ["22:30"],
            "description": description,
        })
    };
    json!({
        "type": ["object", "null"], "required": ["from", "to"],
        "description": "When they want to be left alone, by their own clock. An SOS leaves nobody alone.",
        "properties": {
            "from": clock("From."),
            "to": clock("Up to; before `from`, it is the next day's."),
            "utc_offset_minutes": {
                "type": ["integer", "null"], "minimum": -720, "maximum": 840,
                "description": "How far their clock is ahead of UTC; 0 if left out.",
            },
        },
    })
}

/// `PUT /devices/me/push`
fn push_target() -> Value {
    let service =
        |name: &str| json!({"type": "string", "const": name, "description": "Any letter case is taken."});
    let text = |max: u64, pattern: &str| json!({"type": "string", "minLength": 1, "maxLength": max, "pattern": pattern});
    let keys = json!({"p256dh": text(200, "^[A-Za-z0-9_=-]+$"), "auth": text(200, "^[A-Za-z0-9_=-]+$")});
    let subscription =
        json!({"endpoint": text(2_048, "^https://[!-~]+$"), "keys": object(&["p256dh", "auth"], keys)});
    let forms = [
        json!({"service": service("FCM"), "token": text(4_096, "^[!-~]+$")}),
        json!({"service": service("APNS"), "token": text(200, "^[0-9A-Fa-f]{32,200}$")}),
        json!({"service": service("WEBPUSH"), "subscription": object(&["endpoint", "keys"], subscription)}),
    ];
    let forms: Vec<Value> = forms
        .into_iter()
        .map(|form| {
            let names: Vec<String> = form
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, _)| name.clone())
                .collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            object(&names, form)
        })
        .collect();
    json!({"anyOf": forms, "description": "By which push service, and what it knows the device by."})
}

/// A parameter of a query.
#[derive(Clone, Debug)]
pub struct QueryField {
    /// Its name.
    pub name: &'static str,
    /// What it may be.
    pub schema: Value,
    /// It must be there.
    pub required: bool,
}

fn field(name: &'static str, schema: Value) -> QueryField {
    QueryField {
        name,
        schema,
        required: false,
    }
}

fn limit(default: usize) -> QueryField {
    field(
        "limit",
        json!({
            "type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": default,
            "description": "At most so many.",
        }),
    )
}

fn seq(name: &'static str, description: &str) -> QueryField {
    field(
        name,
        json!({"type": "integer", "minimum": 0, "description": description}),
    )
}

fn cursor() -> QueryField {
    field(
        "cursor",
        json!({"type": "string", "pattern": "^([0-9a-fA-F]{2})+$", "maxLength": 256, "description": "The nextCursor of the page before."}),
    )
}

/// `GET /sos/{id}/reports`, `GET /reports`, `GET /blocks`
pub fn pages_query() -> Vec<QueryField> {
    vec![limit(PAGE), cursor()]
}

/// `GET /sos`
pub fn sos_list_query() -> Vec<QueryField> {
    let states: Vec<_> = Status::ALL.iter().map(|it| it.as_str()).collect();
    let kinds: Vec<_> = IncidentType::ALL.iter().map(|it| it.as_str()).collect();
    vec![
        field(
            "status",
            json!({
                "type": "array", "items": {"type": "string", "enum": states},
                "description": "Only these states, separated by commas. Any letter case, and the synonyms of SetStatus.",
            }),
        ),
        field(
            "type",
            json!({"type": "string", "enum": kinds, "description": "Only this kind. Any letter case is taken."}),
        ),
        field(
            "cityId",
            json!({"type": "string", "maxLength": NAME_MAX_CHARS, "description": "Only this city."}),
        ),
        field(
            "lat",
            json!({"type": "number", "minimum": -90, "maximum": 90, "description": "With lng: only round here, nearest first."}),
        ),
        field(
            "lng",
            json!({"type": "number", "minimum": -180, "maximum": 180, "description": "With lat."}),
        ),
        field(
            "radius",
            json!({
                "type": "number", "exclusiveMinimum": 0, "maximum": RADIUS_MAX_M, "default": RADIUS_DEFAULT_M,
                "description": "With lat and lng: at most so many metres away.",
            }),
        ),
        limit(INCIDENTS_DEFAULT),
        cursor(),
    ]
}

/// `GET /sos/{id}/locations`, and one's own.
pub fn locations_query(with_subject: bool) -> Vec<QueryField> {
    let instant = |description: &str| {
        let description = format!("{description} RFC 3339, or a Unix number of seconds or milliseconds.");
        json!({"type": "string", "maxLength": 64, "description": description, "examples": ["2026-11-21T01:00:00Z"]})
    };
    let mut fields = vec![
        field("from", instant("Not before.")),
        field("to", instant("Not after; not before from.")),
        limit(LIMIT_MAX),
        cursor(),
    ];
    if with_subject {
        let schema = json!({"type": "string", "pattern": "^p-[0-9a-fA-F]{16}$", "description": "Only this participant's."});
        fields.push(field("subject", schema));
    }
    fields
}

/// `GET /sos/{id}/messages`
pub fn messages_query() -> Vec<QueryField> {
    vec![
        seq("before", "Only messages before this event."),
        seq("cursor", "The nextCursor of the page before: the same as before."),
        field(
            "q",
            json!({"type": "string", "maxLength": SEARCH_MAX_CHARS, "description": "Only messages with this text."}),
        ),
        limit(MESSAGES_DEFAULT),
    ]
}

/// `GET /sos/{id}/events`
pub fn events_query() -> Vec<QueryField> {
    vec![
        seq("since", "Only events after this one; 0: from the first."),
        seq("cursor", "The nextCursor of the page before: the same as since."),
        limit(LIMIT_MAX),
    ]
}

/// `GET /sos/{id}/participants/active` and `/history`
pub fn participants_query() -> Vec<QueryField> {
    vec![limit(LIMIT_MAX), cursor()]
}

/// `GET /api/rooms-info`
pub fn rooms_query() -> Vec<QueryField> {
    let text = "At most so many, in pages; without it, all.";
    let schema = json!({"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "description": text});
    vec![field("limit", schema), cursor()]
}

/// By hand, because what `data` holds follows from `type`.
impl JsonSchema for EventView<'_> {
    fn schema_name() -> Cow<'static, str> {
        "EventView".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let kinds = event_data();
        let names: Vec<_> = kinds.iter().map(|(kind, _)| *kind).collect();
        let forms: Vec<_> = kinds
            .iter()
            .map(|(kind, data)| json!({"properties": {"type": {"const": kind}, "data": data}}))
            .collect();
        let schema = json!({
            "description": "An entry of the incident's log. It names people by participant ids.",
            "type": "object",
            "required": ["sosId", "seq", "at", "actor", "type", "data"],
            "properties": {
                "sosId": reference("Room"),
                "seq": {"type": "integer", "minimum": 1, "description": "Its place in the log: 1, 2, 3, … without gaps."},
                "at": reference("Instant"),
                "actor": reference("Actor"),
                "type": {"type": "string", "enum": names},
                "data": {"type": "object"},
            },
            "oneOf": forms,
        });
        schema.try_into().unwrap_or_default()
    }
}

fn names_of<T: Copy>(all: &[T], name: fn(T) -> &'static str) -> Vec<&'static str> {
    all.iter().map(|one| name(*one)).collect()
}

/// What each kind of event tells.
fn event_data() -> Vec<(&'static str, Value)> {
    let all = |properties: Value| {
        let names = properties
            .as_object()
            .map(|object| object.keys().cloned().collect::<Vec<_>>());
        json!({"type": "object", "required": names.unwrap_or_default(), "properties": properties})
    };
    let text = json!({"type": ["string", "null"]});
    let person = || all(json!({"participantId": reference("Participant")}));
    let nothing = || all(json!({}));
    let sos = || all(json!({"sosId": reference("Room")}));
    let link = || all(json!({"roomId": reference("Room")}));
    let report = all(json!({
        "kind": {"const": "sos"},
        "type": reference("IncidentKind"), "message": {"type": "string"}, "silent": {"type": "boolean"},
        "drill": {"type": "boolean"}, "raisedAt": {"anyOf": [reference("Instant"), {"type": "null"}]},
        "severity": reference("Urgency"), "visibility": reference("Sight"),
        "location": {"anyOf": [reference("PlaceView"), {"type": "null"}]},
        "address": all(json!({"city": text, "barangay": text})),
        "cityId": text, "tripId": text, "bookingId": text,
        "raisedFrom": {"type": "array", "items": reference("Room")},
    }));
    let relayed = all(json!({
        "senderType": reference("SenderType"), "contentType": reference("ContentType"),
        "createdAt": reference("Instant"),
    }));
    let mut message = all(json!({"id": reference("Message"), "content": {"type": "string"}}));
    message["properties"]["relayed"] = relayed;
    let maybe_person = json!({"anyOf": [reference("Participant"), {"type": "null"}]});
    let planned = all(json!({
        "step": {"type": "integer", "minimum": 1},
        "occasion": {"type": "string", "enum": names_of(Occasion::ALL, Occasion::as_str)},
        "notifications": {"type": "array", "items": all(json!({
            "participantId": maybe_person,
            "channel": {"type": "string", "enum": names_of(Channel::ALL, Channel::as_str)},
        }))},
    }));
    let vendors = names_of(Vendor::ALL, Vendor::as_str);
    let moved = all(json!({
        "notificationId": {"type": "integer", "minimum": 1},
        "state": {"type": "string", "enum": names_of(DeliveryState::ALL, DeliveryState::as_str)},
        "vendor": {"anyOf": [{"type": "string", "enum": vendors}, {"type": "null"}]},
        "code": text,
        "possiblyTwice": {"type": "boolean"},
    }));
    let kinds = || all(json!({"from": reference("IncidentKind"), "to": reference("IncidentKind")}));
    let trip = all(json!({
        "kind": {"const": "trip"}, "driverId": reference("Participant"), "bookingId": text,
        "passengerIds": {"type": "array", "items": reference("Participant")},
    }));
    vec![
        (
            "created",
            json!({"oneOf": [report, all(json!({"kind": {"const": "circle"}})), trip]}),
        ),
        (
            "joined",
            all(json!({
                "participantId": reference("Participant"), "userType": reference("ParticipantType"),
                "asContact": {"type": "boolean"},
            })),
        ),
        (
            "left",
            all(json!({"participantId": reference("Participant"), "reason": reference("Departure")})),
        ),
        ("join-requested", person()),
        ("join-denied", person()),
        ("message", message),
        ("activated", nothing()),
        ("deactivated", nothing()),
        ("emptied", nothing()),
        ("emergency-raised", sos()),
        ("emergency-ended", sos()),
        ("contact-alerted", person()),
        (
            "status-changed",
            all(
                json!({"from": reference("IncidentStatus"), "to": reference("IncidentStatus"), "note": text}),
            ),
        ),
        (
            "duress",
            all(
                json!({"status": reference("IncidentStatus"), "shown": reference("IncidentStatus"), "note": text}),
            ),
        ),
        ("type-changed", kinds()),
        ("trip-ended", nothing()),
        ("link-raised", link()),
        ("link-ended", link()),
        ("notifications-planned", planned),
        ("notification-changed", moved),
        ("contact-unreached", person()),
        (
            "acknowledged",
            all(json!({"means": crate::wire::schema::means()})),
        ),
    ]
}
