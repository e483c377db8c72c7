//! The AsyncAPI document: the WebSocket, its messages and its close codes; the events of incident clients on Socket.IO.

use serde_json::{Map, Value, json};

use crate::config::Config;
use crate::delivery::{CloseReason, Fault};
use crate::http::error::{ApiError, Code, Dialect};
use crate::http::routes::CONTENT_MAX_CHARS;
use crate::http::upgrade;
use crate::wire::incident::schema as incident;
use crate::wire::json::schema::{Bounds, client_messages, server_messages, shared};
use crate::wire::schema::{Described, add_words, generator};

const ABOUT: &str = "\
One connection, many rooms. Text frames, one JSON object each, always with `type`. Every message of the server has \
`timestamp`. An unknown type, bad JSON or a wrong field is answered with `error` and the connection stays; a frame over \
the limit closes it. Unknown fields are to be ignored: more may be added.

Events have a `seq`, their place in the room's log, and were on disk before anybody heard of them. After a lost \
connection send `join-room` with the last `seq` that you have as `since`: everything after it follows, nothing twice.

The REST beside it is described in [openapi.json](/openapi.json).";

const ABOUT_EVENTS: &str = "\
Socket.IO 5 on Engine.IO 4, namespaces `/` and `/sos`, with the credential in the `auth` object: `token`, or `deviceId` \
and `deviceToken`. A message here is an event: its name, and its first argument. Events that need nothing but `sosId` take \
the bare id as well. Behind the object may stand a text, the offset for recovery. `timestamp` is in Unix milliseconds.

Most things have two names, and a connection hears each thing once under each of them: listen for one. An event that asks \
for an acknowledgement gets one object, `Done` or `Refused`.";

/// The two sides of Socket.IO, as messages are named among all.
const EMITTED: &str = "socketio.client";
const HEARD: &str = "socketio.server";

/// The document of a node with these settings.
pub fn asyncapi(config: &Config) -> Value {
    let bounds = Bounds {
        content_max_chars: CONTENT_MAX_CHARS,
        radius_max_km: config.areas.radius_max_km,
    };
    let (sent, received) = (client_messages(&bounds), server_messages());
    let incident_bounds = incident::Bounds {
        content_max_chars: CONTENT_MAX_CHARS,
    };
    let emitted = incident::client_messages(&incident_bounds);
    let heard = incident::server_messages();
    let sides = [
        ("client", &sent),
        ("server", &received),
        (EMITTED, &emitted),
        (HEARD, &heard),
    ];
    let mut words = generator();
    add_words(&mut words);
    let mut schemas = words.take_definitions(true);
    schemas.extend(shared());
    schemas.extend(incident::shared());
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Mayday, the WebSocket",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "socket": channel(config, &sent, &received),
            "socketio": incident_channel(&emitted, &heard),
        },
        "operations": {
            "send": operation("receive", "What a client sends.", "client", &sent),
            "receive": operation("send", "What a client gets.", "server", &received),
            "emit": event_operation("receive", "What an incident client emits.", EMITTED, &emitted),
            "hear": event_operation("send", "What an incident client gets.", HEARD, &heard),
        },
        "components": {
            "schemas": schemas,
            "messages": sides.iter().flat_map(|(side, described)| messages(side, described)).collect::<Map<_, _>>(),
            "securitySchemes": schemes(config),
        },
    })
}

/// Messages of a channel, by their names among all.
fn references(names: impl Iterator<Item = String>) -> Map<String, Value> {
    names
        .map(|name| {
            let reference = json!({"$ref": format!("#/components/messages/{name}")});
            (name, reference)
        })
        .collect()
}

fn incident_channel(emitted: &[Described], heard: &[Described]) -> Value {
    json!({
        "address": "/socket.io/",
        "title": "Incident clients on Socket.IO",
        "description": ABOUT_EVENTS,
        "messages": references(names(EMITTED, emitted).chain(names(HEARD, heard))),
        "x-acknowledgements": {
            "done": {"$ref": "#/components/schemas/Done"},
            "refused": {"$ref": "#/components/schemas/Refused"},
        },
    })
}

fn channel(config: &Config, sent: &[Described], received: &[Described]) -> Value {
    json!({
        "address": upgrade::PATH,
        "title": "The WebSocket",
        "messages": references(names("client", sent).chain(names("server", received))),
        "bindings": {"ws": {
            "method": "GET",
            "query": {"type": "object", "properties": {
                "ticket": {"type": "string", "description": "From POST /api/v1/tickets: makes the connection that of whoever asked for it. Good once."},
                "deviceToken": {"type": "string", "description": "Proves that the device id is yours; the same as X-Device-Token."},
                "deviceId": {"type": "string", "format": "uuid", "description": "An anonymous device; the same as X-Device-ID."},
            }},
            "headers": {"type": "object", "properties": {
                "Authorization": {"type": "string", "pattern": "^[Bb]earer .+$", "description": "A JWT."},
                "X-Device-ID": {"type": "string", "format": "uuid", "description": "An anonymous device."},
                "X-Device-Token": {"type": "string", "description": "Proves that the device id is yours. An operator may ask for it."},
                "Cookie": {"type": "string", "description": "A JWT, for pages of this server."},
            }},
            "bindingVersion": "0.1.0",
        }},
        "x-limits": {
            "frameMaxBytes": config.sessions.frame_max_bytes,
            "messageMaxBytes": config.sessions.message_max_bytes,
            "messagesPerSecond": config.limits.messages_per_second,
            "messagesBurst": config.limits.messages_burst,
            "roomsMax": config.sessions.rooms_max,
            "pingIntervalSeconds": config.sessions.ping_interval_s,
            "pingTimeoutSeconds": config.sessions.ping_timeout_s,
        },
        "x-close-codes": close_codes(),
        "x-refusals": refusals(),
    })
}

/// `client.ping`: the two sides have messages of the same name.
fn names<'m>(side: &'static str, messages: &'m [Described]) -> impl Iterator<Item = String> + 'm {
    messages
        .iter()
        .map(move |message| format!("{side}.{}", message.kind))
}

fn messages<'m>(
    side: &'static str,
    described: &'m [Described],
) -> impl Iterator<Item = (String, Value)> + 'm {
    names(side, described).zip(described).map(|(name, message)| {
        let value = json!({
            "name": message.kind,
            "title": message.kind,
            "summary": message.summary,
            "payload": message.schema,
            "examples": [{"name": message.kind, "payload": message.example}],
        });
        (name, value)
    })
}

fn operation(action: &str, summary: &str, side: &'static str, described: &[Described]) -> Value {
    let mut operation = operation_on("socket", action, summary, side, described);
    operation["security"] = json!([
        {"$ref": "#/components/securitySchemes/bearer"},
        {"$ref": "#/components/securitySchemes/cookie"},
        {"$ref": "#/components/securitySchemes/device"},
        {"$ref": "#/components/securitySchemes/deviceQuery"},
        {"$ref": "#/components/securitySchemes/ticket"},
    ]);
    operation
}

/// The credential is in the object of the connect packet, for which AsyncAPI has no scheme.
fn event_operation(action: &str, summary: &str, side: &'static str, described: &[Described]) -> Value {
    operation_on("socketio", action, summary, side, described)
}

fn operation_on(
    channel: &str,
    action: &str,
    summary: &str,
    side: &'static str,
    described: &[Described],
) -> Value {
    let messages = names(side, described)
        .map(|name| json!({"$ref": format!("#/channels/{channel}/messages/{name}")}))
        .collect::<Vec<_>>();
    json!({
        "action": action,
        "summary": summary,
        "channel": {"$ref": format!("#/channels/{channel}")},
        "messages": messages,
    })
}

fn schemes(config: &Config) -> Value {
    json!({
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "cookie": {"type": "httpApiKey", "in": "cookie", "name": config.auth.cookie, "description": "The same token."},
        "device": {"type": "httpApiKey", "in": "header", "name": "X-Device-ID", "description": "An anonymous device."},
        "deviceToken": {"type": "httpApiKey", "in": "header", "name": "X-Device-Token", "description": "Proves that the device id is yours."},
        "deviceQuery": {"type": "httpApiKey", "in": "query", "name": "deviceId", "description": "An anonymous device."},
        "ticket": {"type": "httpApiKey", "in": "query", "name": "ticket", "description": "From POST /api/v1/tickets."},
    })
}

/// Every way in which the server closes a connection.
fn close_codes() -> Vec<Value> {
    let reasons = [
        (CloseReason::Normal, "Done."),
        (
            CloseReason::Draining {
                retry_after_ms: 1_840,
            },
            "This node drains: come back after the time in the text, `retry-after-ms=N`.",
        ),
        (
            CloseReason::Protocol(Fault::Unmasked),
            "You broke the WebSocket protocol; the text says how.",
        ),
        (
            CloseReason::Unsupported,
            "A kind of message that this endpoint does not take.",
        ),
        (CloseReason::InvalidText, "Text that is not UTF-8."),
        (CloseReason::TooLarge, "A frame or message over the limit."),
        (CloseReason::Internal, "Something went wrong here."),
        (
            CloseReason::CredentialExpired,
            "Your credential expired. Renew it first.",
        ),
        (
            CloseReason::Forbidden,
            "Forbidden or blocked. Coming back needs another credential, or the block lifted.",
        ),
        (CloseReason::TooSlow, "You read too slowly. Resume with `since`."),
        (CloseReason::TooManyMessages, "Too many messages. Send fewer."),
        (CloseReason::ServerError, "The server failed to keep the session."),
    ];
    let shown = reasons.map(|(reason, meaning)| {
        json!({
            "code": reason.code(), "text": reason.text(), "meaning": meaning, "reconnect": reason.reconnect(),
        })
    });
    shown.to_vec()
}

/// How an upgrade is refused: an HTTP answer in the envelope.
fn refusals() -> Vec<Value> {
    let ways = [
        (
            Code::Unauthenticated,
            "A credential is needed: a token, a device id or a ticket",
        ),
        (Code::NotFound, "There is no WebSocket here; it is at /api/ws"),
        (Code::UpgradeRequired, "This is a WebSocket: ask for an upgrade"),
        (Code::RateLimited, "Too many requests, come back later"),
        (Code::Unavailable, "The node is draining"),
    ];
    let shown = ways.map(|(code, message)| {
        let body = ApiError::new(code, message).body(Dialect::Envelope, Some("221bc3d655199b604bfe9415"));
        json!({
            "status": code.status().as_u16(), "code": code.as_str(),
            "example": serde_json::from_str::<Value>(&body).unwrap_or_default(),
        })
    });
    shown.to_vec()
}
