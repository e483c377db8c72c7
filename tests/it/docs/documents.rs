//! The OpenAPI document against the route table, its own examples, and what is served.

use std::collections::BTreeSet;

use mayday::config::Config;
use mayday::http::access::{Needs, Who};
use mayday::http::routes::docs::{asyncapi, openapi};
use mayday::http::routes::table::ROWS;
use reqwest::Method;
use serde_json::Value;

use crate::support::Engine;
use crate::support::document::{Document, compile, escaped, misfits};

/// (method, path, operation) of every operation.
fn operations(document: &Value) -> Vec<(String, &String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().iter();
            methods.map(move |(method, operation)| (method.to_uppercase(), path, operation))
        })
        .collect()
}

#[test]
fn every_route_stands_in_the_document_and_every_operation_is_a_route() {
    let document = openapi(&Config::default());
    let described: BTreeSet<(String, String)> = operations(&document)
        .into_iter()
        .map(|(method, path, _)| (method, path.clone()))
        .collect();
    let routes: Vec<(String, String)> = ROWS
        .iter()
        .map(|row| (row.method.to_string(), row.path.to_owned()))
        .collect();
    let once: BTreeSet<_> = routes.iter().cloned().collect();
    assert_eq!(once.len(), routes.len(), "a route stands in the table twice");
    let missing: Vec<_> = once.difference(&described).collect();
    assert!(missing.is_empty(), "no document describes {missing:?}");
    let invented: Vec<_> = described.difference(&once).collect();
    assert!(invented.is_empty(), "there is no route for {invented:?}");
}

#[test]
fn the_document_asks_for_the_credentials_that_the_table_asks_for() {
    let document = openapi(&Config::default());
    for row in ROWS {
        let operation = &document["paths"][row.path][row.method.as_str().to_lowercase()];
        let ways = operation["security"].as_array().unwrap();
        let takes = |scheme: &str| ways.iter().any(|way| !way[scheme].is_null());
        let anonymous = ways.iter().any(|way| way.as_object().unwrap().is_empty());
        let (method, path) = (&row.method, row.path);
        let never = |who| row.access.needs(who) == Needs::Never;
        assert_eq!(anonymous, !never(Who::Visitor), "{method} {path}");
        assert_eq!(takes("device"), !never(Who::Device), "{method} {path}");
        assert_eq!(takes("internal"), !never(Who::Service), "{method} {path}");
        let person = |who: &Who| !matches!(who, Who::Visitor | Who::Device | Who::Service);
        let by_token = Who::ALL.into_iter().filter(person).any(|who| !never(who));
        assert_eq!(takes("bearer"), by_token, "{method} {path}");
        for scheme in ways.iter().flat_map(|way| way.as_object().unwrap().keys()) {
            let schemes = &document["components"]["securitySchemes"];
            assert!(schemes[scheme].is_object(), "nobody explains {scheme}");
        }
        assert_eq!(operation["x-access"], row.access.name, "{method} {path}");
        let limited = !operation["responses"]["429"].is_null() || operation["x-undescribed"] == true;
        assert!(
            limited || row.class.is_none(),
            "{method} {path} is charged and has no 429"
        );
    }
}

/// Every `$ref` of a document.
fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str));
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_one() {
    for document in [openapi(&Config::default()), asyncapi(&Config::default())] {
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(!found.is_empty());
        for reference in found {
            let pointer = reference
                .strip_prefix('#')
                .unwrap_or_else(|| panic!("{reference} leads elsewhere"));
            let pointer = pointer.replace("%7B", "{");
            assert!(document.pointer(&pointer).is_some(), "{reference} leads nowhere");
        }
        let schemas = &document["components"]["schemas"];
        for (name, schema) in schemas.as_object().unwrap() {
            let valid = jsonschema::meta::is_valid(schema);
            assert!(valid, "{name} is no JSON Schema: {schema}");
        }
    }
}

#[test]
fn operations_have_names_of_their_own_and_describe_every_part_of_their_path() {
    let document = openapi(&Config::default());
    let mut names = BTreeSet::new();
    let tags: BTreeSet<_> = document["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| tag["name"].clone().to_string())
        .collect();
    for (method, path, operation) in operations(&document) {
        let name = operation["operationId"].as_str().unwrap();
        assert!(names.insert(name), "{name} names two operations");
        for tag in operation["tags"].as_array().unwrap() {
            assert!(tags.contains(&tag.to_string()), "nobody explains the tag {tag}");
        }
        assert!(!operation["summary"].as_str().unwrap().is_empty());
        let described: BTreeSet<_> = operation["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        let parts: BTreeSet<_> = path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .collect();
        assert_eq!(described, parts, "{method} {path}");
    }
}

#[test]
fn every_example_fits_its_schema() {
    let document = Document::openapi();
    let mut seen = 0;
    for (method, path, operation) in operations(&document.value) {
        let at = format!("/paths/{}/{}", escaped(path), method.to_lowercase());
        let mut check = |pointer: String, media: &Value| {
            let examples = media["examples"].as_object().into_iter().flatten();
            let examples = examples
                .map(|(_, example)| &example["value"])
                .chain(media.get("example"));
            for example in examples {
                seen += 1;
                if let Some(wrong) = document.misfit(&format!("{pointer}/schema"), example) {
                    panic!("{pointer}: {wrong}\n  {example}");
                }
            }
        };
        let body = &operation["requestBody"]["content"]["application/json"];
        if body.is_object() {
            assert!(
                !body["examples"].as_object().unwrap().is_empty(),
                "{method} {path} shows no body"
            );
            check(format!("{at}/requestBody/content/application~1json"), body);
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            for (kind, media) in response["content"].as_object().into_iter().flatten() {
                let is_json =
                    kind.ends_with("json") && media["schema"] != serde_json::json!({"type": "object"});
                let shown = media.get("example").or(media.get("examples")).is_some();
                assert!(shown || !is_json, "{method} {path} {status} shows no answer");
                check(
                    format!("{at}/responses/{status}/content/{}", escaped(kind)),
                    media,
                );
            }
        }
    }
    assert!(seen > 200, "{seen} examples");
}

#[test]
fn limits_are_those_of_the_settings() {
    let mut config = Config::default();
    config.locations.batch_max_fixes = 7;
    config.contacts.contacts_max = 3;
    config.areas.radius_max_km = 9;
    let schemas = &openapi(&config)["components"]["schemas"];
    assert_eq!(schemas["FixBatch"]["properties"]["fixes"]["maxItems"], 7);
    assert_eq!(
        schemas["Contacts"]["properties"]["emergency_contacts"]["maxItems"],
        3
    );
    let messages = &asyncapi(&config)["components"]["messages"];
    assert_eq!(
        messages["client.watch-area"]["payload"]["properties"]["radiusKm"]["maximum"],
        9
    );
}

#[test]
fn examples_of_requests_are_valid_values() {
    // What the readers make of them is their own test's affair; here stands that none is a leftover.
    let document = openapi(&Config::default());
    let schemas = &document["components"]["schemas"];
    for (method, path, operation) in operations(&document) {
        for parameter in operation["parameters"].as_array().unwrap() {
            for example in parameter["schema"]["examples"].as_array().into_iter().flatten() {
                let validator = compile(&parameter["schema"], schemas);
                assert!(
                    misfits(&validator, example).is_none(),
                    "{method} {path} {parameter}"
                );
            }
        }
    }
}

#[tokio::test]
async fn the_documents_are_served_with_an_etag() {
    let engine = Engine::start(&[]);
    let nobody = engine.nobody();
    for (path, made) in [
        ("/openapi.json", &Document::openapi().value),
        ("/asyncapi.json", &Document::asyncapi().value),
    ] {
        let answer = nobody.get(path).await;
        assert_eq!(answer.header("Content-Type"), Some("application/json"));
        let etag = answer.header("ETag").unwrap().to_owned();
        let mut served = answer.ok(200);
        // The tests' engine has a port and secrets of its own, and no other setting that a document tells.
        assert_eq!(served["info"].take(), made["info"].clone());
        assert_eq!(served["paths"], made["paths"]);
        assert_eq!(served["components"], made["components"]);
        let again = nobody
            .request(Method::GET, path)
            .header("If-None-Match", &etag)
            .send()
            .await;
        assert_eq!((again.status, again.text.as_str()), (304, ""));
        assert_eq!(again.header("ETag"), Some(etag.as_str()));
        let other = nobody
            .request(Method::GET, path)
            .header("If-None-Match", "\"x\"")
            .send()
            .await;
        assert_eq!(other.status, 200);
    }
}
