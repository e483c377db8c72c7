//! The OpenAPI document as a whole.

use serde_json::{Map, Value, json};

use super::operation::{Describer, Operation, path_parameters, security};
use super::{circle, conduct, incidents, own, people, realtime, refusals, safety, services, upkeep};
use crate::config::Config;
use crate::http::routes::CONTENT_MAX_CHARS;
use crate::http::routes::table::{ROWS, Row};
use crate::wire::rest::FieldError;
use crate::wire::rest::schemas::{Bounds, bodies};
use crate::wire::schema::{add_words, generator};

const ABOUT: &str = "\
Mayday takes an SOS, tells everyone who must know, gathers the people who can help, and streams where everybody is \
until it is over.

**Who is speaking.** A JWT (`Authorization: Bearer`, or a cookie), or a device id that you make up (a version 4 \
UUID in `X-Device-ID`). A credential that is there and bad is a refusal, even where none is needed.

**Answers.** `/api/v1` answers `{\"success\": true, \"data\": …}`, and errors `{\"success\": false, \"code\": …}`. \
The routes for circle clients answer bare JSON and `{\"error\": …}`. Unknown fields are to be ignored: more may be \
added.

**Everywhere.** Every answer has `X-Request-Id`. An unknown path is 404 `NOT_FOUND`, another method 405 \
`METHOD_NOT_ALLOWED` with `Allow`; `HEAD` works where `GET` does, and `OPTIONS` says what a path takes. A 500 `INTERNAL` is a fault of ours: tell us its request id.

**The WebSocket** at `/api/ws` is described in [asyncapi.json](/asyncapi.json).";

/// The document of a node with these settings.
pub fn openapi(config: &Config) -> Value {
    let mut generator = generator();
    add_words(&mut generator);
    generator.subschema_for::<FieldError>();
    let mut to = Describer {
        generator: &mut generator,
        found: Vec::new(),
    };
    upkeep::describe(&mut to);
    circle::describe(&mut to);
    incidents::describe(&mut to);
    people::describe(&mut to);
    own::describe(&mut to);
    conduct::describe(&mut to);
    safety::describe(&mut to);
    services::describe(&mut to, config);
    realtime::describe(&mut to);
    let operations = to.found;
    let mut paths: Map<String, Value> = Map::new();
    for row in ROWS {
        let method = row.method.as_str();
        let is_it = |operation: &&Operation| operation.method == method && operation.path == row.path;
        let operation = operations.iter().find(is_it);
        let rendered = operation.map_or_else(|| undescribed(row), |operation| operation.render(row));
        paths.entry(row.path).or_insert_with(|| json!({}))[method.to_lowercase()] = rendered;
    }
    let mut schemas = generator.take_definitions(true);
    schemas.extend(bodies(&Bounds {
        content_max_chars: CONTENT_MAX_CHARS,
        batch_max_fixes: config.locations.batch_max_fixes,
        contacts_max: config.contacts.contacts_max,
        passengers_max: config.trips.passengers_max,
        grace_max_s: config.checkins.grace_max_s,
    }));
    schemas.extend(refusals::schemas());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Mayday",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": env!("CARGO_PKG_DESCRIPTION"),
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "This node."}],
        "tags": tags(),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "headers": headers(),
            "parameters": {"RequestId": {
                "name": "X-Request-Id", "in": "header",
                "description": "Your name for the request. It comes back, and stands in the log; one that is not sane is replaced.",
                "schema": {"type": "string", "pattern": "^[A-Za-z0-9_.:-]+$", "maxLength": 64},
            }},
            "securitySchemes": schemes(config),
        },
    })
}

/// A route that is there and that nobody has described: what its row says.
fn undescribed(row: &Row) -> Value {
    let name = format!("{} {}", row.method, row.path);
    let mut operation = json!({
        "operationId": name.replace(|c: char| !c.is_ascii_alphanumeric(), "_"),
        "tags": ["Operations"],
        "summary": name,
        "x-undescribed": true,
        "x-access": row.access.name,
        "security": security(row),
        "responses": {"default": {"description": "Not described."}},
    });
    operation["parameters"] = path_parameters(row.path).collect::<Vec<_>>().into();
    operation
}

fn tags() -> Value {
    json!([
        {"name": "Incidents", "description": "Raising, finding, following and ending an SOS."},
        {"name": "Participants", "description": "Who is in an incident."},
        {"name": "Messages and log", "description": "What is said and what happens in an incident."},
        {"name": "Your own data", "description": "Devices, and what is kept of whoever speaks."},
        {"name": "Credentials", "description": "Tickets for a WebSocket."},
        {"name": "Circles", "description": "For circle clients: positions, contacts, rooms. Bare JSON."},
        {"name": "Conduct", "description": "Reports of misconduct, and whom operators keep out."},
        {"name": "Sister services", "description": "For services beside this one, with a key of their own."},
        {"name": "Operations", "description": "For whoever runs the process."},
    ])
}

/// Each twice: where it may stand, and where it always does.
fn headers() -> Value {
    let whole = json!({"type": "integer", "minimum": 0});
    let named = [
        (
            "X-Request-Id",
            "The request's id.",
            json!({"type": "string", "minLength": 1, "maxLength": 64}),
        ),
        ("RateLimit-Limit", "The whole budget, in requests.", whole.clone()),
        ("RateLimit-Remaining", "What is left of it.", whole.clone()),
        ("RateLimit-Reset", "Seconds until it is whole again.", whole),
        (
            "Retry-After",
            "Come back after so many seconds.",
            json!({"type": "integer", "minimum": 1}),
        ),
        (
            "ETag",
            "Names this version of the answer.",
            json!({"type": "string", "pattern": "^(W/)?\".+\"$"}),
        ),
    ];
    let mut headers = Map::new();
    for (name, description, schema) in named {
        let header = json!({"description": description, "schema": schema});
        let mut always = header.clone();
        always["required"] = true.into();
        headers.insert(name.to_owned(), header);
        headers.insert(format!("{name}.always"), always);
    }
    headers.into()
}

fn schemes(config: &Config) -> Value {
    let mut schemes = json!({
        "bearer": {
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": "A registered user, or a rescuer who was sent to one incident.",
        },
        "device": {
            "type": "apiKey", "in": "header", "name": "X-Device-ID",
            "description": "A version 4 UUID of your own: an anonymous device. Keep it to yourself, it is your credential.",
        },
        "deviceToken": {
            "type": "apiKey", "in": "header", "name": "X-Device-Token",
            "description": "Proves that the device id is yours. An operator may ask for it.",
        },
        "internal": {
            "type": "apiKey", "in": "header", "name": "X-Internal-Token", "description": "A sister service.",
        },
    });
    if !config.auth.cookie.is_empty() {
        schemes["cookie"] = json!({
            "type": "apiKey", "in": "cookie", "name": config.auth.cookie,
            "description": "The same token in a cookie, for pages of this server and of the origins that its operator named.",
        });
    }
    schemes
}
