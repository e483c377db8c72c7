//! Refusals as the document shows them: one response for each status, with every code that it may carry. The
//! examples are made by the code that answers.

use serde_json::{Map, Value, json};

use crate::http::error::{ApiError, Code, Dialect, FieldError};
use crate::wire::schema::reference;

/// What is told of a budget.
pub(super) const BUDGET: [&str; 3] = ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"];

/// One way to be refused.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub code: Code,
    message: &'static str,
}

impl Refusal {
    /// With what a person reads, in the example.
    pub fn new(code: Code, message: &'static str) -> Self {
        Self { code, message }
    }

    fn example(&self, dialect: Dialect) -> Value {
        let error = match self.code {
            Code::ValidationFailed => match self.message.split_once(": ") {
                Some((field, what)) => ApiError::validation(vec![FieldError::new(field, what)]),
                None => ApiError::malformed(self.message),
            },
            Code::InvalidTransition => ApiError::invalid_transition(self.message, ["CLOSED"]),
            code => ApiError::new(code, self.message),
        };
        let body = error.body(dialect, Some("221bc3d655199b604bfe9415"));
        serde_json::from_str(&body).unwrap_or_default()
    }
}

/// Whether a client is told when to come back.
fn says_when(code: Code) -> bool {
    matches!(code, Code::RateLimited | Code::Unavailable | Code::Timeout)
}

/// References to headers: (name, whether it is always there).
pub(super) fn headers(named: &[(&str, bool)]) -> Value {
    let one = |(name, always): &(&str, bool)| {
        let key = if *always {
            format!("{name}.always")
        } else {
            (*name).to_owned()
        };
        let component = json!({"$ref": format!("#/components/headers/{key}")});
        ((*name).to_owned(), component)
    };
    named.iter().map(one).collect::<Map<_, _>>().into()
}

/// Adds the refusals to an operation's responses.
pub(super) fn add(responses: &mut Map<String, Value>, all: &[Refusal], dialect: Dialect, method: &str) {
    let mut statuses: Vec<u16> = all.iter().map(|refusal| refusal.code.status().as_u16()).collect();
    statuses.sort_unstable();
    statuses.dedup();
    for status in statuses {
        let with_it: Vec<_> = all
            .iter()
            .filter(|refusal| refusal.code.status().as_u16() == status)
            .collect();
        let codes: Vec<_> = with_it.iter().map(|refusal| refusal.code.as_str()).collect();
        let mut named = vec![("X-Request-Id", true)];
        if says_when(with_it[0].code) {
            named.push(("Retry-After", true));
        }
        if with_it[0].code == Code::RateLimited {
            named.extend(BUDGET.map(|name| (name, true)));
        }
        let mut response = json!({
            "description": with_it.iter().map(|refusal| meaning(refusal.code)).collect::<Vec<_>>().join(" "),
            "headers": headers(&named),
            "x-codes": codes,
        });
        if method != "HEAD" {
            let examples = with_it.iter().map(|refusal| {
                let example = json!({"summary": refusal.message, "value": refusal.example(dialect)});
                (refusal.code.as_str().to_owned(), example)
            });
            response["content"] = json!({"application/json": {
                "schema": schema(&with_it, dialect),
                "examples": examples.collect::<Map<_, _>>(),
            }});
        }
        responses
            .entry(status.to_string())
            .and_modify(|known| also(known, &response))
            .or_insert(response);
    }
}

/// A status that stands for something else, too.
fn also(known: &mut Value, refusal: &Value) {
    const JSON: &str = "application/json";
    known["x-codes"] = refusal["x-codes"].clone();
    known["description"] = [&known["description"], &refusal["description"]]
        .map(|text| text.as_str().unwrap_or_default())
        .join(" ")
        .into();
    if let Some(refused) = refusal["content"].get(JSON) {
        let media = &mut known["content"][JSON];
        media["schema"] = json!({"anyOf": [media["schema"], refused["schema"]]});
    }
}

fn schema(refusals: &[&Refusal], dialect: Dialect) -> Value {
    let everywhere = |refusal: &&Refusal| matches!(refusal.code, Code::Unauthenticated | Code::RateLimited);
    let name = match dialect {
        Dialect::Envelope => "Error",
        Dialect::Bare if refusals.iter().all(everywhere) => "CircleRefusal",
        Dialect::Bare => return reference("CircleError"),
    };
    let codes: Vec<_> = refusals.iter().map(|refusal| refusal.code.as_str()).collect();
    if codes.contains(&Code::Forbidden.as_str()) {
        return reference(name);
    }
    json!({"allOf": [reference(name), {"properties": {"code": {"enum": codes}}}]})
}

/// What a code means, in a sentence.
fn meaning(code: Code) -> &'static str {
    match code {
        Code::Unauthenticated => "`UNAUTHENTICATED`: no credential where one is needed, or a bad one.",
        Code::Forbidden => "`FORBIDDEN`: not yours to do.",
        Code::Blocked => "`BLOCKED`: operators keep you out.",
        Code::NotFound => "`NOT_FOUND`: there is no such thing, or none that you may see.",
        Code::MethodNotAllowed => "`METHOD_NOT_ALLOWED`: the path knows other methods.",
        Code::UpgradeRequired => "`UPGRADE_REQUIRED`: the path is a WebSocket's.",
        Code::ValidationFailed => "`VALIDATION_FAILED`: `fields` names everything that is wrong.",
        Code::InvalidTransition => {
            "`INVALID_TRANSITION`: the incident has no such move; `allowed` has those there are."
        }
        Code::AlreadyJoined => "`ALREADY_JOINED`: you take part in it already.",
        Code::SosClosed => "`SOS_CLOSED`: the incident is over.",
        Code::Conflict => "`CONFLICT`: something else stands against it.",
        Code::PinRequired => "`PIN_REQUIRED`: it takes your PIN to end what you have raised.",
        Code::WrongPin => "`WRONG_PIN`: it is not your PIN.",
        Code::WrongCode => "`WRONG_CODE`: it is not the code that was sent.",
        Code::CodeExpired => "`CODE_EXPIRED`: the code came too late.",
        Code::TooManyAttempts => "`TOO_MANY_ATTEMPTS`: too many wrong codes were tried; send another one.",
        Code::PayloadTooLarge => "`PAYLOAD_TOO_LARGE`: the body is over the limit.",
        Code::UriTooLong => "`URI_TOO_LONG`: the path and query are over the limit.",
        Code::HeadersTooLarge => {
            "`HEADERS_TOO_LARGE`: the headers are over the limit, in number or in bytes."
        }
        Code::UnsupportedMediaType => "`UNSUPPORTED_MEDIA_TYPE`: the body is not JSON by its Content-Type.",
        Code::RateLimited => "`RATE_LIMITED`: over a budget; come back after `Retry-After`.",
        Code::Internal => "`INTERNAL`: a fault of ours.",
        Code::Unavailable => {
            "`UNAVAILABLE`: too much to do, or the store is away; come back after `Retry-After`."
        }
        Code::Timeout => "`TIMEOUT`: not answered in time; it may have happened all the same.",
    }
}

/// The shapes of errors, for the document's components.
pub(super) fn schemas() -> Map<String, Value> {
    let code = json!({
        "type": "string", "examples": Code::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>(),
        "description": "For programs.",
    });
    let envelope = json!({
        "success": {"type": "boolean", "const": false},
        "code": code,
        "message": {"type": "string", "minLength": 1, "description": "For a person."},
        "requestId": {"type": "string", "description": "The same as X-Request-Id. Name it when you ask for help."},
        "fields": {
            "type": "array", "minItems": 1, "items": reference("FieldError"),
            "description": "With VALIDATION_FAILED: everything that is wrong.",
        },
        "allowed": {
            "type": "array", "items": reference("IncidentStatus"),
            "description": "With INVALID_TRANSITION: the moves that there are.",
        },
    });
    let error = json!({
        "type": "object", "required": ["success", "code", "message", "requestId"], "properties": envelope,
        "description": "A request that failed.",
    });
    let text = json!({"type": "string", "minLength": 1, "description": "For a person."});
    let mut refusal = error.clone();
    refusal["required"] = json!(["success", "code", "message", "requestId", "error"]);
    refusal["properties"]["error"] = text.clone();
    refusal["description"] = "What circle clients get without a good credential, or over a budget.".into();
    let bare = json!({
        "type": "object", "required": ["error"], "properties": {"error": text},
        "description": "What circle clients get when something is wrong.",
    });
    [
        ("Error", error),
        ("CircleRefusal", refusal),
        ("CircleError", bare),
    ]
    .into_iter()
    .map(|(name, schema)| (name.to_owned(), schema))
    .collect()
}
