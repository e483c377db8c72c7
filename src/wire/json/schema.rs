//! The dialect as JSON Schema: what clients may send, beside the reader and with its bounds, and what they get.
//! Tests feed the examples to the reader, and hold every message that the encoder writes to its schema, field by
//! field.

use serde_json::{Map, Value, json};

use super::client::{HISTORY_LIMIT_MAX, SentToken};
use super::samples::{self, AT};
use crate::domain::incident::{IncidentType, Severity};
use crate::wire::field::{NAME_MAX_CHARS, NOTE_MAX_CHARS};
use crate::wire::schema::{
    accuracy, heading, instant, latitude, longitude, note, optional_ref, optional_word, reference, speed,
    words_of,
};
use crate::wire::stamp::rfc3339_text;

/// A message as a document shows it.
#[derive(Clone, Debug)]
pub struct Described {
    /// Its `type`.
    pub kind: &'static str,
    /// What it is for.
    pub summary: &'static str,
    /// Its payload.
    pub schema: Value,
    /// A payload.
    pub example: Value,
}

/// Codes of `error`, and what each means.
pub const ERRORS: &[(&str, &str)] = &[
    ("BAD_JSON", "Not a JSON object, or a binary frame."),
    ("UNKNOWN_TYPE", "There is no message of this type."),
    (
        "INVALID_FIELD",
        "A field is missing or wrong; `field` says which.",
    ),
    ("ROOM_NOT_FOUND", "There is no such room."),
    ("TRIP_NOT_FOUND", "There is no such trip, or you are not on it."),
    ("TRIP_ENDED", "The trip is over."),
    ("ROOM_EXISTS", "The id is taken."),
    ("ROOM_NOT_ACTIVE", "The room is deactivated."),
    ("ROOM_FULL", "So many people are in."),
    (
        "TOO_MANY_ROOMS",
        "This connection sits in so many rooms that no further one is to be had.",
    ),
    ("ALREADY_IN_ROOM", "This connection sits there already."),
    ("NOT_IN_ROOM", "You are not in, or not seated."),
    (
        "NOT_AUTHORIZED",
        "You may not join it, or not send positions there.",
    ),
    (
        "FORBIDDEN",
        "It is the owner's to do, or your credential is bound to another incident or lacks the scope.",
    ),
    (
        "UNAUTHENTICATED",
        "To `refresh-credential`: the token is no good. The connection stays.",
    ),
    (
        "CREDENTIAL_CHANGED",
        "To `refresh-credential`: the token says otherwise of you. Connect again with it.",
    ),
    ("USER_TYPE_FORBIDDEN", "This user type is not yours to claim."),
    ("NO_SUCH_REQUEST", "Nobody of that id waits."),
    ("TOO_MANY_REQUESTS", "Too many wait for the owner's answer."),
    ("WRONG_ROOM_KIND", "Not possible in this kind of room."),
    ("SOS_CLOSED", "The incident is over."),
    ("INVALID_TRANSITION", "The incident has no such move."),
    ("STATUS_MISMATCH", "The incident stands elsewhere by now."),
    ("SENT_BEFORE", "The message was taken before."),
    ("REPEATED", "The request was answered before."),
    (
        "NO_OWNED_ROOMS",
        "You own no circle, or not the one that you named.",
    ),
    ("NO_EMERGENCY", "There is nothing to resolve."),
    ("NO_ACTIVE_ROOM", "A position, and you are in no room."),
    (
        "RATE_LIMITED",
        "Too many circles or calls of yours lately. The text says when to come back.",
    ),
    ("BUSY", "Too much waits. Send it again a moment later."),
    ("STORE_BUSY", "Too much waits. Send it again a moment later."),
    (
        "ROOM_RESTARTED",
        "It may have been done all the same. Send it again; give messages an `id`.",
    ),
    (
        "TIMEOUT",
        "It may have been done all the same. Send it again; give messages an `id`.",
    ),
    ("STORE_FULL", "Nothing can be kept now. Send it again later."),
    (
        "STORE_UNAVAILABLE",
        "Nothing can be kept now. Send it again later.",
    ),
];

/// One object: its fields, each required or not.
struct Shape {
    required: Vec<&'static str>,
    properties: Map<String, Value>,
}

impl Shape {
    fn new() -> Self {
        Self {
            required: Vec::new(),
            properties: Map::new(),
        }
    }

    fn of(kind: &'static str) -> Self {
        Self::new().has("type", json!({"const": kind}))
    }

    /// A field that is always there.
    fn has(mut self, name: &'static str, schema: Value) -> Self {
        self.required.push(name);
        self.may(name, schema)
    }

    /// A field that may be missing.
    fn may(mut self, name: &'static str, schema: Value) -> Self {
        self.properties.insert(name.to_owned(), schema);
        self
    }

    fn schema(self) -> Value {
        json!({"type": "object", "required": self.required, "properties": self.properties})
    }
}

// ---- what clients send ----

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

fn room() -> Value {
    reference("Room")
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
            Shape::of("refresh-credential").has(
                "token",
                json!({
                    "type": "string", "minLength": 1, "maxLength": SentToken::MAX_CHARS,
                    "pattern": r"^[^\x00-\x08\x0B-\x1F\x7F-\x9F]*$",
                    "description": "Of the same bearer, good by itself.",
                }),
            ),
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

fn optional(mut number: Value) -> Value {
    number["type"] = json!(["number", "null"]);
    number
}

fn emergencies() -> Vec<Described> {
    let kinds: Vec<_> = IncidentType::ALL.iter().map(|it| it.as_str()).collect();
    let kind = json!({
        "type": ["string", "null"], "maxLength": NAME_MAX_CHARS, "examples": kinds,
        "pattern": r"^[^\x00-\x08\x0B-\x1F\x7F-\x9F]*$",
        "description": "What has happened. A word that is not known is taken for OTHER.",
    });
    let mut sos = Shape::of("emergency-sos")
        .may("latitude", optional(latitude()))
        .may("longitude", optional(longitude()))
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
                .may("roomId", optional_ref("Room", "Only there; without: everywhere.")),
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

// ---- what clients get ----

/// Every message that a client may get, with a sample that the encoder wrote.
pub fn server_messages() -> Vec<Described> {
    let mut found = Vec::new();
    samples::each(true, |message| {
        let Some((summary, shape)) = shape(message.kind()) else {
            return;
        };
        found.push(Described {
            kind: message.kind(),
            summary,
            schema: shape.schema(),
            example: serde_json::from_slice(&message.encode(AT)).unwrap_or_default(),
        });
    });
    found
}

fn of_server(kind: &'static str) -> Shape {
    Shape::of(kind).has("timestamp", reference("Instant"))
}

fn place() -> Value {
    json!({"type": "integer", "minimum": 1, "description": "Its place in the room's log. Not there when it is not in one."})
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn maybe(name: &str, description: &str) -> Value {
    json!({"anyOf": [reference(name), {"type": "null"}], "description": description})
}

fn list(item: &Value, description: &str) -> Value {
    json!({"type": "array", "items": item, "description": description})
}

/// Somebody did something in a room.
fn deed(kind: &'static str, always_logged: bool) -> Shape {
    let shape = of_server(kind).has("roomId", room());
    let shape = if always_logged {
        shape.has("seq", place())
    } else {
        shape.may("seq", place())
    };
    let client =
        "Whose doing it was: a participant id, `system`, or on the connection that did it its own client id.";
    shape.has("clientId", text(client))
}

fn user(description: &str) -> Value {
    json!({"$ref": "#/components/schemas/User", "description": description})
}

/// What is said of each; `None` for a kind that nobody described, which a test finds.
fn shape(kind: &'static str) -> Option<(&'static str, Shape)> {
    joining(kind)
        .or_else(|| travelling(kind))
        .or_else(|| belonging(kind))
        .or_else(|| talking(kind))
        .or_else(|| helping(kind))
        .or_else(|| looking(kind))
}

fn joining(kind: &'static str) -> Option<(&'static str, Shape)> {
    let named = || of_server(kind).has("roomId", room());
    Some(match kind {
        "connected" => (
            "The first message of every connection.",
            of_server(kind)
                .has("clientId", text("This connection."))
                .has(
                    "user",
                    user("Yourself, by the id that your own credential states."),
                )
                .has(
                    "roomIds",
                    list(
                        &room(),
                        "The rooms that you are in. Send join-room for those that you want to hear.",
                    ),
                )
                .has("protocol", json!({"const": 1}))
                .has("sessionId", text("This connection.")),
        ),
        "room-created" => (
            "Your circle is there, and you are in it.",
            named()
                .has("owner", reference("Participant"))
                .has(
                    "emergencyContacts",
                    list(&reference("Phone"), "The numbers on your list."),
                )
                .has("participantId", reference("Participant"))
                .has("seq", place()),
        ),
        "join-approved" => (
            "You are in, and this connection is seated. What you missed follows.",
            named()
                .has(
                    "seq",
                    json!({"type": "integer", "minimum": 0, "description": "The log's newest event."}),
                )
                .has(
                    "recovered",
                    json!({"type": "boolean", "description": "Whether all since `since` follows."}),
                )
                .has("participantId", reference("Participant")),
        ),
        "join-denied" => (
            "You are not let in.",
            named().has("message", text("Why, for a person.")),
        ),
        "join-requested" => ("The owner is asked.", named()),
        "join-request" => (
            "To the owner: somebody wants in. Answer with approve-join or deny-join.",
            named()
                .has("requesterId", reference("Participant"))
                .has("requesterName", text("What they are called."))
                .has("requesterUser", user("Who they are.")),
        ),
        "user-joined" => ("Somebody came in.", deed(kind, false).has("user", user("Who."))),
        "room-left" => ("You have left.", named()),
        "user-left" => (
            "Somebody has left.",
            deed(kind, false).has("userName", text("What they are called.")),
        ),
        "room-deactivated" => ("No newcomers are let in.", named().may("seq", place())),
        "room-activated" => ("Newcomers are let in again.", named().may("seq", place())),
        _ => return None,
    })
}

fn travelling(kind: &'static str) -> Option<(&'static str, Shape)> {
    let named = || of_server(kind).has("tripId", room());
    Some(match kind {
        "trip:joined" => (
            "You are on the trip, and this connection is seated. The trip is the room of the same id: where its driver \
             is comes as location-update.",
            named()
                .has(
                    "seq",
                    json!({"type": "integer", "minimum": 0, "description": "The log's newest event."}),
                )
                .has(
                    "recovered",
                    json!({"type": "boolean", "description": "Whether all since `since` follows."}),
                )
                .has("participantId", reference("Participant"))
                .has("driverId", reference("Participant"))
                .has(
                    "passengerIds",
                    list(&reference("Participant"), "Everybody else on it, come or not."),
                )
                .has(
                    "bookingId",
                    json!({"type": ["string", "null"], "description": "The booking that it belongs to."}),
                ),
        ),
        "trip:left" => ("You have got out.", named()),
        "trip:ended" => (
            "The trip is over, and you are out.",
            named().has("roomId", room()).has("seq", place()),
        ),
        _ => return None,
    })
}

fn belonging(kind: &'static str) -> Option<(&'static str, Shape)> {
    let named = || of_server(kind).has("roomId", room());
    let owner = || text("What the owner is called.");
    Some(match kind {
        "auto-joined" => (
            "You are in the circle of somebody who lists you as a contact.",
            named()
                .has("roomOwner", owner())
                .has("message", text("The same, for a person."))
                .has("participantId", reference("Participant"))
                .has("seq", place()),
        ),
        "auto-join-summary" => {
            let entry = Shape::new().has("roomId", room()).has("owner", owner()).schema();
            (
                "After connecting: the circles that list you.",
                of_server(kind)
                    .has("roomsJoined", list(&entry, "Each with its owner's name."))
                    .has("message", text("The same, for a person.")),
            )
        }
        "emergency-contact-joined" => (
            "One of the owner's contacts came in.",
            named()
                .may("seq", place())
                .has("contactId", reference("Participant"))
                .has("contactName", text("What they are called.")),
        ),
        "added-as-emergency-contact" => (
            "Somebody lists you as a contact.",
            named().has("roomOwner", owner()),
        ),
        "removed-as-emergency-contact" => (
            "Somebody no longer lists you as a contact.",
            named().has("roomOwner", owner()),
        ),
        _ => return None,
    })
}

fn talking(kind: &'static str) -> Option<(&'static str, Shape)> {
    let named = || of_server(kind).has("roomId", room());
    Some(match kind {
        "message-accepted" => (
            "Your message is on disk.",
            named().has("seq", place()).has("id", reference("Message")),
        ),
        "room-message" => (
            "Somebody said something; your own words come back to you.",
            deed(kind, true)
                .has("id", reference("Message"))
                .has("content", text("The words."))
                .has("userName", text("What they are called."))
                .has("user", user("Who.")),
        ),
        "room-users" => {
            let member = Shape::new()
                .has("id", reference("Participant"))
                .has("name", text("What they are called."))
                .has("user", user("Who."))
                .schema();
            (
                "Everybody who is in, connected or not.",
                named().has("users", list(&member, "They.")),
            )
        }
        "history" => {
            let frame = json!({"type": "object", "required": ["type", "timestamp", "roomId"]});
            (
                "A part of a room's log.",
                named()
                    .has("events", list(&frame, "The messages as they were sent when it happened, without phone numbers."))
                    .has("seq", json!({"type": "integer", "minimum": 0, "description": "Go on from here while there is more."}))
                    .has("more", json!({"type": "boolean"})),
            )
        }
        "credential-expiring" => (
            "Your credential ends soon: send a new one by `refresh-credential`.",
            of_server(kind).has("expiresAt", reference("Instant")),
        ),
        "credential-refreshed" => (
            "The new token counts; when it ends.",
            of_server(kind).has("expiresAt", reference("Instant")),
        ),
        "pong" => ("The answer to a ping.", of_server(kind)),
        "error" => {
            let codes: Vec<_> = ERRORS.iter().map(|(code, _)| *code).collect();
            let meanings: Vec<_> = ERRORS
                .iter()
                .map(|(code, means)| format!("- `{code}`: {means}"))
                .collect();
            let code = json!({"type": "string", "enum": codes, "description": meanings.join("\n")});
            (
                "Something you sent was not done. The connection stays.",
                of_server(kind)
                    .has("code", code)
                    .has("message", text("For a person."))
                    .may("field", text("The field at fault.")),
            )
        }
        "server-draining" => {
            let wait = json!({"type": "integer", "minimum": 0, "description": "Milliseconds."});
            (
                "The connection will be closed with 1001: come back after so long.",
                of_server(kind).has("reconnectInMs", wait),
            )
        }
        _ => return None,
    })
}

fn helping(kind: &'static str) -> Option<(&'static str, Shape)> {
    let rooms = |description| list(&room(), description);
    Some(match kind {
        "emergency-confirmed" => (
            "Your SOS is on disk.",
            of_server(kind)
                .has("activatedRooms", rooms("The circles that it was raised in."))
                .has("sosId", room()),
        ),
        "emergency-alert" => (
            "To every contact: somebody needs help.",
            of_server(kind)
                .has("emergencyUserId", reference("Participant"))
                .has("emergencyUserName", text("What they are called."))
                .has("roomId", room())
                .has("sosId", room())
                .has("message", text("In their words, or a sentence that says so.")),
        ),
        "emergency-activated" => (
            "To every member: an emergency stands in this room.",
            deed(kind, false)
                .has("userName", text("What they are called."))
                .has(
                    "user",
                    maybe("User", "Who; null when the engine itself raised it."),
                )
                .has("sosId", room()),
        ),
        "emergency-resolved" => (
            "What you resolved.",
            of_server(kind).has("rooms", rooms("Where it is over.")),
        ),
        "emergency-ended" => (
            "To every member: the emergency is over.",
            deed(kind, false).may("sosId", room()),
        ),
        "sos-status" => (
            "An incident moved along its states.",
            deed(kind, true)
                .has("sosId", room())
                .has("status", reference("IncidentStatus"))
                .has("from", reference("IncidentStatus")),
        ),
        _ => return None,
    })
}

fn looking(kind: &'static str) -> Option<(&'static str, Shape)> {
    let news = || {
        of_server(kind)
            .has("sosId", room())
            .has("sos", reference("SosSummary"))
    };
    Some(match kind {
        "location-update" => {
            let number = |description: &str| json!({"type": ["number", "null"], "minimum": 0, "description": description});
            let data = Shape::new()
                .has("userId", reference("Participant"))
                .has("userName", text("What they are called."))
                .has("visiblePhone", maybe("Phone", "Only for those who may see it."))
                .has("latitude", latitude())
                .has("longitude", longitude())
                .has("accuracy", number("Radius in metres."))
                .has("speed", number("Metres a second."))
                .has("heading", number("Degrees clockwise from north."))
                .has("timestamp", reference("Instant"))
                .schema();
            (
                "Where somebody is. The next one replaces it; it is in no log.",
                of_server(kind).has("roomId", room()).has("data", data),
            )
        }
        "location-update-confirmed" => (
            "Your position was taken.",
            of_server(kind).has("rooms", list(&room(), "For these rooms.")),
        ),
        "area" => (
            "The active incidents in the area that you watch, now.",
            of_server(kind).has("sos", list(&reference("SosSummary"), "They.")),
        ),
        "sos-created" => ("An incident was raised in the area that you watch.", news()),
        "sos-updated" => ("An incident in that area changed.", news()),
        "sos-closed" => ("An incident in that area has ended.", news()),
        _ => return None,
    })
}

/// Shapes that several messages share.
pub fn shared() -> Map<String, Value> {
    let user = Shape::new()
        .has(
            "id",
            text("Their participant id; to yourself your own user or device id."),
        )
        .has("name", text("What they are called; Anonymous without a name."))
        .has(
            "email",
            json!({"type": ["string", "null"], "description": "To yourself only."}),
        )
        .has("role", reference("UserRole"))
        .has("phone_no", maybe("Phone", "For those who may see it."))
        .schema();
    let point = Shape::new()
        .has("latitude", latitude())
        .has("longitude", longitude())
        .schema();
    let sos = Shape::new()
        .has("sosId", room())
        .has("type", reference("IncidentKind"))
        .has("message", text("In the words of whoever raised it."))
        .has("severity", reference("Urgency"))
        .has("status", reference("IncidentStatus"))
        .has("location", json!({"anyOf": [point, {"type": "null"}]}))
        .has(
            "cityId",
            json!({"type": ["string", "null"], "description": "The city's code."}),
        )
        .has("createdAt", reference("Instant"))
        .has("updatedAt", reference("Instant"))
        .has(
            "seq",
            json!({"type": "integer", "minimum": 1, "description": "Its log's newest event."}),
        )
        .has("activeParticipants", json!({"type": "integer", "minimum": 0}))
        .schema();
    [("User", user), ("SosSummary", sos)]
        .into_iter()
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect()
}
