//! What clients may send.

use serde_json::{Value, json};

use super::super::client::HISTORY_LIMIT_MAX;
use super::super::samples::AT;
use super::{Described, room};
use crate::domain::incident::{IncidentType, Severity};
use crate::wire::field::{NAME_MAX_CHARS, NOTE_MAX_CHARS, PIN_MAX_CHARS};
use crate::wire::schema::{
    Shape, accuracy, heading, instant, latitude, longitude, note, optional_number, optional_ref,
    optional_word, speed, token, words_of,
};
use crate::wire::stamp::rfc3339_text;

/// Bounds that a node's settings give.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The longest message, in characters.
    pub content_max_chars: usize,
    /// The largest area that may be watched.
    pub radius_max_km: u32,
}

const ROOM: &str = "364ac461f8049bb1154b4caf7f112da1";
const TRIP: &str = "trip-4711";
const REQUESTER: &str = "p-b447fcbc8b87f80c";

/// Every message that a client may send.
pub fn client_messages(bounds: &Bounds) -> Vec<Described> {
    let mut found = rooms();
    found.extend(requests());
    found.extend(talk(bounds));
    found.extend(emergencies());
    found.extend(around(bounds));
    found
}

fn described(kind: &'static str, summary: &'static str, shape: Shape, fields: Value) -> Described {
    let mut example = fields;
    example["type"] = kind.into();
    Described {
        kind,
        summary,
        schema: shape.schema(),
        example,
    }
}

fn seq(description: &str) -> Value {
    json!({"type": ["integer", "null"], "minimum": 0, "description": description})
}

fn rooms() -> Vec<Described> {
    let named = |kind| Shape::of(kind).has("roomId", room());
    let example = || json!({"roomId": ROOM});
    let wanted = optional_ref("Room", "The id that it should have; one is made up if left out.");
    let since = seq("The last event that you have: what came after it is sent first.");
    vec![
        described(
            "create-room",
            "Makes a circle of your own.",
            Shape::of("create-room").may("roomId", wanted),
            json!({}),
        ),
        described(
            "join-room",
            "Takes a seat in a room, and resumes there.",
            named("join-room").may("since", since),
            json!({"roomId": ROOM, "since": 12}),
        ),
        described(
            "leave-room",
            "Leaves a room, on all your connections.",
            named("leave-room"),
            example(),
        ),
        described(
            "trip:join",
            "Takes a seat in a trip that you are on, and resumes there.",
            Shape::of("trip:join").has("tripId", room()).may(
                "since",
                seq("The last event that you have: what came after it is sent first."),
            ),
            json!({"tripId": TRIP, "since": 2}),
        ),
        described(
            "trip:leave",
            "Gets out of a trip, on all your connections. You may come back while it lasts.",
            Shape::of("trip:leave").has("tripId", room()),
            json!({"tripId": TRIP}),
        ),
        described(
            "activate-room",
            "Lets newcomers into your circle again.",
            named("activate-room"),
            example(),
        ),
        described(
            "deactivate-room",
            "Lets no newcomers into your circle.",
            named("deactivate-room"),
            example(),
        ),
        described(
            "get_users",
            "Asks who is in a room in which you sit.",
            named("get_users"),
            example(),
        ),
        described(
            "acknowledge",
            "Says that you know of an incident and see to it: nobody is reminded of it any more.",
            named("acknowledge"),
            example(),
        ),
    ]
}

fn requests() -> Vec<Described> {
    let answer = |kind| {
        let requester =
            json!({"type": "string", "pattern": "^p-[0-9a-fA-F]{16}$", "description": "Who asked."});
        Shape::of(kind)
            .has("roomId", room())
            .has("requesterId", requester)
    };
    let example = || json!({"roomId": ROOM, "requesterId": REQUESTER});
    vec![
        described(
            "request-join",
            "Asks the owner of a circle to be let in.",
            Shape::of("request-join").has("roomId", room()),
            json!({"roomId": ROOM}),
        ),
        described(
            "approve-join",
            "Lets somebody in who asked.",
            answer("approve-join"),
            example(),
        ),
        described(
            "deny-join",
            "Does not let somebody in who asked.",
            answer("deny-join"),
            example(),
        ),
    ]
}

fn talk(bounds: &Bounds) -> Vec<Described> {
    let id = "Your name for it: sending the same again gets the first answer. Made up if left out.";
    let limit = json!({
        "type": ["integer", "null"], "minimum": 1, "maximum": HISTORY_LIMIT_MAX, "default": HISTORY_LIMIT_MAX,
        "description": "At most so many events.",
    });
    vec![
        described(
            "room-message",
            "Says something in a room.",
            Shape::of("room-message")
                .has("roomId", room())
                .has("content", words_of(&(1..=bounds.content_max_chars), "The words."))
                .may("id", optional_ref("Message", id)),
            json!({"roomId": ROOM, "content": "Home at six", "id": "m-1"}),
        ),
        described(
            "get-history",
            "Asks for a part of a room's log.",
            Shape::of("get-history")
                .has("roomId", room())
                .may("since", seq("After this event; 0: from the first."))
                .may("limit", limit),
            json!({"roomId": ROOM, "since": 0, "limit": 50}),
        ),
        described(
            "refresh-credential",
            "Puts a new token of yours in the place of the one that this connection was opened with.",
            Shape::of("refresh-credential").has("token", token()),
            json!({"token": "eyJhbGciOiJFUzI1NiJ9.e30.c2lnbmF0dXJl"}),
        ),
        described(
            "ping",
            "Asks whether the other side still hears.",
            Shape::of("ping"),
            json!({}),
        ),
    ]
}

fn emergencies() -> Vec<Described> {
    let kinds: Vec<_> = IncidentType::ALL.iter().map(|it| it.as_str()).collect();
    let kind = json!({
        "type": ["string", "null"], "maxLength": NAME_MAX_CHARS, "examples": kinds,
        "pattern": r"^[^\x00-\x08\x0B-\x1F\x7F-\x9F]*$",
        "description": "What has happened. A word that is not known is taken for OTHER.",
    });
    let mut sos = Shape::of("emergency-sos")
        .may("latitude", optional_number(latitude()))
        .may("longitude", optional_number(longitude()))
        .may("accuracy", accuracy())
        .may("timestamp", instant(true, "When the position was measured."))
        .may(
            "formattedLocation",
            note(NOTE_MAX_CHARS, "The place, for a person."),
        )
        .may(
            "roomId",
            optional_ref("Room", "Only your circle of this id; without: all of them."),
        )
        .may(
            "severity",
            optional_word(Severity::ALL.iter().map(|it| it.as_str()), "How bad."),
        )
        .may("emergencyType", kind)
        .schema();
    let both = |kind: &str| json!({"latitude": {"type": kind}, "longitude": {"type": kind}});
    sos["anyOf"] = json!([
        {"required": ["latitude", "longitude"], "properties": both("number")},
        {"properties": both("null")},
    ]);
    let mut raise = described(
        "emergency-sos",
        "Calls for help. It may tell nothing: an SOS is never refused for what it leaves out.",
        Shape::new(),
        json!({
            "latitude": 14.5995, "longitude": 120.9842, "accuracy": 12.5, "severity": "HIGH",
            "emergencyType": "MEDICAL",
        }),
    );
    raise.schema = sos;
    vec![
        raise,
        described(
            "emergency-resolve",
            "Says that it is over, in one circle or everywhere.",
            Shape::of("emergency-resolve")
                .may("roomId", optional_ref("Room", "Only there; without: everywhere."))
                .may("pin", note(PIN_MAX_CHARS, "Your PIN, if you have one.")),
            json!({}),
        ),
    ]
}

fn around(bounds: &Bounds) -> Vec<Described> {
    let radius = json!({
        "type": "number", "exclusiveMinimum": 0, "maximum": bounds.radius_max_km,
        "description": "How far around the position, in km.",
    });
    vec![
        described(
            "location-update",
            "Says where you are, to one room or to all that you are in.",
            Shape::of("location-update")
                .may(
                    "roomId",
                    optional_ref("Room", "Only there; without: every room that you are in."),
                )
                .has("latitude", latitude())
                .has("longitude", longitude())
                .may("accuracy", accuracy())
                .may("speed", speed())
                .may("heading", heading())
                .may(
                    "timestamp",
                    instant(true, "When it was measured; now if left out."),
                ),
            json!({"latitude": 14.6001, "longitude": 120.9839, "accuracy": 8.0, "timestamp": rfc3339_text(AT)}),
        ),
        described(
            "watch-area",
            "Asks for the incidents around a position, now and from now on.",
            Shape::of("watch-area")
                .has("latitude", latitude())
                .has("longitude", longitude())
                .has("radiusKm", radius),
            json!({"latitude": 14.6001, "longitude": 120.9839, "radiusKm": 5}),
        ),
        described(
            "unwatch-area",
            "Asks for no more of them.",
            Shape::of("unwatch-area"),
            json!({}),
        ),
    ]
}
