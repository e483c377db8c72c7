//! Holds every answer and every frame that a story meets to the engine's own documents. They are made once for a
//! test's process; a schema is compiled when it is needed first.
//!
//! What a document leaves open for later versions is closed here: an object may have no field that its schema does
//! not name.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::{Draft, Validator};
use mayday::config::Config;
use mayday::http::routes::docs::{asyncapi, openapi};
use serde_json::{Value, json};

use super::http::Answer;

static OPENAPI: LazyLock<Document> = LazyLock::new(|| Document::new(openapi(&Config::default())));
static ASYNCAPI: LazyLock<Document> = LazyLock::new(|| Document::new(asyncapi(&Config::default())));

/// A document with its schemas.
pub struct Document {
    pub value: Value,
    /// With every object closed.
    schemas: Value,
    compiled: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Document {
    fn new(value: Value) -> Self {
        let mut schemas = value["components"]["schemas"].clone();
        close(&mut schemas);
        Self {
            value,
            schemas,
            compiled: Mutex::default(),
        }
    }

    /// OpenAPI, by the default settings.
    pub fn openapi() -> &'static Self {
        &OPENAPI
    }

    /// AsyncAPI, by the default settings.
    pub fn asyncapi() -> &'static Self {
        &ASYNCAPI
    }

    /// What keeps `instance` from fitting the schema at `pointer`, with every object closed.
    pub fn misfit(&self, pointer: &str, instance: &Value) -> Option<String> {
        let known = self.compiled.lock().unwrap().get(pointer).cloned();
        let validator = known.unwrap_or_else(|| {
            let schema = self
                .value
                .pointer(pointer)
                .unwrap_or_else(|| panic!("no schema at {pointer}"));
            let mut schema = schema.clone();
            close(&mut schema);
            let made = Arc::new(compile(&schema, &self.schemas));
            let mut compiled = self.compiled.lock().unwrap();
            Arc::clone(compiled.entry(pointer.to_owned()).or_insert(made))
        });
        misfits(&validator, instance)
    }
}

/// The errors of an instance, as text.
pub fn misfits(validator: &Validator, instance: &Value) -> Option<String> {
    let errors: Vec<_> = validator
        .iter_errors(instance)
        .map(|error| format!("at {}: {error}", error.instance_path()))
        .collect();
    (!errors.is_empty()).then(|| errors.join("\n  "))
}

/// Compiles a schema that refers to `#/components/schemas/…`.
pub fn compile(schema: &Value, schemas: &Value) -> Validator {
    let whole = json!({"components": {"schemas": schemas}, "allOf": [schema]});
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .build(&whole)
        .unwrap_or_else(|error| panic!("{error} in {schema}"))
}

/// Forbids fields that a schema does not name. What refines an object elsewhere (`oneOf`, `allOf`) has no `type` of
/// its own and is left as it is.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            let is_object = object.get("type").is_some_and(|kind| kind == "object");
            if is_object && object.contains_key("properties") {
                let open = object.contains_key("additionalProperties");
                if !open {
                    object.insert("unevaluatedProperties".into(), false.into());
                }
            }
            object.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// Panics when the document does not say that this request may be answered so.
#[track_caller]
pub fn check_answer(method: &str, path: &str, answer: &Answer) {
    if let Some(wrong) = wrong_with(method, path, answer) {
        panic!("the document does not say so: {wrong}\n  {method} {path}\n  {answer:?}");
    }
}

/// What the document does not say of an answer.
pub fn wrong_with(method: &str, path: &str, answer: &Answer) -> Option<String> {
    let document = Document::openapi();
    let path = path.split('?').next().unwrap_or(path);
    // A preflight is the browser's question, not the API's.
    if method == "OPTIONS" {
        return None;
    }
    let Some(template) = template_of(document, path) else {
        return elsewhere(path, answer);
    };
    let lower = method.to_lowercase();
    let operations = &document.value["paths"][template];
    if method == "HEAD" && operations["head"].is_null() && !operations["get"].is_null() {
        // A GET without its body, wherever the document does not say more of it.
        let pointer = format!("/paths/{}/get/responses/{}", escaped(template), answer.status);
        return match document.value.pointer(&pointer) {
            Some(response) => wrong_headers(document, response, answer),
            None => Some(format!("{} is no status of GET {template}", answer.status)),
        };
    }
    if document.value["paths"][template][&lower].is_null() {
        return (answer.status != 405 && !HEADS.contains(&answer.status))
            .then(|| format!("{method} is none of the path's methods, and the status no 405"));
    }
    let operation = &document.value["paths"][template][&lower];
    if operation["x-undescribed"] == true || answer.status == 304 {
        return None;
    }
    let responses = format!("/paths/{}/{lower}/responses", escaped(template));
    let pointer = format!("{responses}/{}", answer.status);
    let Some(response) = document.value.pointer(&pointer) else {
        return Some(format!("{} is no status of {method} {template}", answer.status));
    };
    wrong_headers(document, response, answer).or_else(|| wrong_body(document, &pointer, response, answer))
}

/// What is said of a head that is too large, before anybody looks where it goes.
const HEADS: [u16; 2] = [414, 431];

/// Paths that no document describes say so themselves. The socket's are in the other one.
fn elsewhere(path: &str, answer: &Answer) -> Option<String> {
    // The pages are for people to look at; their own tests do.
    let page = path == "/" || path.starts_with("/live/") || path.starts_with("/assets/");
    // Vendors call back as their own documents say.
    let page = page || path.starts_with("/callbacks/");
    if page && answer.status < 500 {
        return None;
    }
    let allowed: &[u16] = if path == "/api/ws" {
        &[401, 403, 404, 405, 426, 429, 503]
    } else {
        &[404]
    };
    (!allowed.contains(&answer.status) && !HEADS.contains(&answer.status))
        .then(|| format!("{path} is in no document"))
}

/// The path of the document that a request's path is one of; fixed words come before names.
pub fn template_of<'d>(document: &'d Document, path: &str) -> Option<&'d str> {
    let parts: Vec<_> = path.split('/').collect();
    let paths = document.value["paths"].as_object().unwrap().keys();
    let fits = |template: &&String| {
        let wanted: Vec<_> = template.split('/').collect();
        wanted.len() == parts.len()
            && wanted
                .iter()
                .zip(&parts)
                .all(|(wanted, part)| wanted == part || (wanted.starts_with('{') && !part.is_empty()))
    };
    let names = |template: &&String| template.matches('{').count();
    paths.filter(fits).min_by_key(names).map(String::as_str)
}

/// A part of a JSON pointer.
pub fn escaped(part: &str) -> String {
    part.replace('~', "~0").replace('/', "~1")
}

fn wrong_headers(document: &Document, response: &Value, answer: &Answer) -> Option<String> {
    let headers = response["headers"].as_object().into_iter().flatten();
    headers.into_iter().find_map(|(name, header)| {
        let header = match header["$ref"].as_str() {
            Some(reference) => document.value.pointer(reference.trim_start_matches('#'))?,
            None => header,
        };
        match answer.header(name) {
            None if header["required"] == true => Some(format!("the header {name} is not there")),
            None => None,
            Some(text) => {
                let value = match header["schema"]["type"].as_str() {
                    Some("integer") => text.parse::<i64>().map_or(json!(text), Value::from),
                    _ => json!(text),
                };
                let validator = compile(&header["schema"], &json!({}));
                misfits(&validator, &value).map(|wrong| format!("the header {name} is {text:?}: {wrong}"))
            }
        }
    })
}

fn wrong_body(document: &Document, pointer: &str, response: &Value, answer: &Answer) -> Option<String> {
    let Some(content) = response["content"].as_object() else {
        return (!answer.text.is_empty()).then(|| "there should be no body".to_owned());
    };
    if answer.header("Content-Encoding").is_some() {
        return None;
    }
    let kind = answer.header("Content-Type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !content.contains_key(kind) {
        return Some(format!("{kind:?} is no media type of this answer"));
    }
    if !kind.ends_with("json") {
        return None;
    }
    let body = match serde_json::from_str(&answer.text) {
        Ok(body) => body,
        Err(error) => return Some(format!("the body is not JSON: {error}")),
    };
    let schema = format!("{pointer}/content/{}/schema", escaped(kind));
    document
        .misfit(&schema, &body)
        .map(|wrong| format!("the body does not fit:\n  {wrong}"))
}

/// Panics when the document knows no such message of the server.
#[track_caller]
pub fn check_frame(message: &Value) {
    let kind = message["type"].as_str().unwrap_or_default();
    let document = Document::asyncapi();
    let pointer = format!("/components/messages/server.{}/payload", escaped(kind));
    if document.value.pointer(&pointer).is_none() {
        return;
    }
    if let Some(wrong) = document.misfit(&pointer, message) {
        panic!("the document does not say so:\n  {wrong}\n  {message}");
    }
    // What was said before is shown as it was said.
    if kind == "history" {
        message["events"].as_array().unwrap().iter().for_each(check_frame);
    }
}

/// Panics when the document knows no such event of the server on Socket.IO.
#[track_caller]
pub fn check_word(name: &str, body: &Value) {
    let document = Document::asyncapi();
    let pointer = format!("/components/messages/socketio.server.{}/payload", escaped(name));
    assert!(
        document.value.pointer(&pointer).is_some(),
        "no document knows the event {name}"
    );
    if let Some(wrong) = document.misfit(&pointer, body) {
        panic!("the document does not say so:\n  {wrong}\n  {name} {body}");
    }
}

/// Panics when the document knows no such close code, or says otherwise whether to come back.
#[track_caller]
pub fn check_close(code: u16) {
    let codes = &Document::asyncapi().value["channels"]["socket"]["x-close-codes"];
    let known = codes
        .as_array()
        .unwrap()
        .iter()
        .any(|entry| entry["code"] == code);
    // An echo has the code that the story closed with, or none.
    assert!(
        known || code == 1005 || code >= 3000,
        "no document knows the close code {code}"
    );
}
