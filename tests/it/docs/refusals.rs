//! Every refusal that the document gives for an operation and that does not depend on what happened before, asked for:
//! one by one, of every operation.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::document::Document;
use crate::support::engine::INTERNAL_TOKEN;
use crate::support::http::Answer;
use crate::support::{Engine, Person, UNLIMITED, fire, uuid4};

/// An operation of the document, with a path that is there.
struct Operation {
    method: Method,
    template: String,
    path: String,
    statuses: BTreeSet<u16>,
    example: Option<Value>,
    queries: Vec<String>,
    /// It has a body, even if none need be sent.
    takes_body: bool,
    /// It is asked by a sister service, which shows its key beside the caller's own credential.
    by_service: bool,
}

impl Operation {
    fn name(&self) -> String {
        format!("{} {}", self.method, self.template)
    }

    async fn asked(&self, who: &Person, change: impl FnOnce(Asked) -> Asked) -> Answer {
        let asked = change(Asked {
            path: self.path.clone(),
            body: self
                .example
                .clone()
                .map(|body| ("application/json", body.to_string())),
            headers: vec![],
        });
        let mut request = who.request(self.method.clone(), &asked.path);
        if let Some((kind, body)) = asked.body {
            request = request.body(kind, body);
        }
        if self.by_service {
            request = request.header("X-Internal-Token", INTERNAL_TOKEN);
        }
        for (name, value) in asked.headers {
            request = request.header(name, &value);
        }
        request.send().await
    }
}

struct Asked {
    path: String,
    body: Option<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
}

impl Asked {
    fn with_body(mut self, kind: &'static str, body: impl Into<String>) -> Self {
        self.body = Some((kind, body.into()));
        self
    }

    fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn with_query(mut self, query: &str) -> Self {
        self.path = format!("{}?{query}", self.path);
        self
    }
}

/// All operations, on an incident with these ids.
fn operations(sos: &str, participant: &str) -> Vec<Operation> {
    let document = &Document::openapi().value;
    let paths = document["paths"].as_object().unwrap();
    let of = |(template, methods): (&String, &Value)| -> Vec<Operation> {
        let methods = methods.as_object().unwrap().iter();
        let operation = |(method, it): (&String, &Value)| {
            let media = &it["requestBody"]["content"]["application/json"];
            let first = media["examples"]
                .as_object()
                .and_then(|all| all.values().next())
                .map_or(&Value::Null, |example| &example["value"]);
            let example = [&media["example"], first]
                .into_iter()
                .find(|example| !example.is_null());
            let parameters = it["parameters"].as_array().cloned().unwrap_or_default();
            let queries = parameters
                .iter()
                .filter(|parameter| parameter["in"] == "query")
                .map(|parameter| parameter["name"].as_str().unwrap().to_owned());
            Operation {
                method: method.to_uppercase().parse().unwrap(),
                template: template.clone(),
                path: template
                    .replace("{id}", sos)
                    .replace("{participant}", participant)
                    .replace("{trip}", "trip-1")
                    .replace("{seq}", "1"),
                by_service: false,
                statuses: it["responses"]
                    .as_object()
                    .unwrap()
                    .keys()
                    .map(|status| status.parse().unwrap())
                    .collect(),
                example: example.cloned(),
                queries: queries.collect(),
                takes_body: it["requestBody"].is_object(),
            }
        };
        methods.map(operation).collect()
    };
    paths.iter().flat_map(of).collect()
}

async fn incident(engine: &Engine) -> (String, String) {
    let data = engine.user("Ana").post("/api/v1/sos", fire()).await.data(201);
    let text = |key: &str| data[key].as_str().unwrap().to_owned();
    (text("sosId"), text("creatorId"))
}

/// Holds every answer to what was wanted, and says all that went wrong.
#[derive(Default)]
struct Verdicts {
    wrong: Vec<String>,
    held: BTreeMap<u16, usize>,
}

impl Verdicts {
    fn hold(&mut self, operation: &Operation, status: u16, answer: &Answer) {
        if answer.status == status {
            *self.held.entry(status).or_default() += 1;
        } else {
            let wanted = format!("{}: wanted {status}, got {answer:?}", operation.name());
            self.wrong.push(wanted);
        }
    }

    fn end(self, least: &[(u16, usize)]) {
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
        for (status, least) in least {
            let held = self.held.get(status).copied().unwrap_or_default();
            assert!(held >= *least, "only {held} operations know {status}");
        }
    }
}

#[tokio::test]
async fn every_operation_refuses_what_its_document_says_it_refuses() {
    let engine = Engine::start(&UNLIMITED);
    let (sos, participant) = incident(&engine).await;
    let staff = engine.user("Dora").role("DISPATCHER");
    let nonsense = engine.bearer("nonsense");
    let mut verdicts = Verdicts::default();
    for mut operation in operations(&sos, &participant) {
        operation.by_service = ["/internal/", "/api/participants/"]
            .iter()
            .any(|start| operation.template.starts_with(start));
        let wants = |status: u16| operation.statuses.contains(&status);
        if wants(401) {
            let answer = operation.asked(&nonsense, |asked| asked).await;
            verdicts.hold(&operation, 401, &answer);
        }
        if wants(414) {
            let long = format!("x={}", "y".repeat(9_000));
            let answer = operation.asked(&staff, |asked| asked.with_query(&long)).await;
            verdicts.hold(&operation, 414, &answer);
        }
        if wants(431) {
            let answer = operation
                .asked(&staff, |asked| asked.with_header("X-Long", "y".repeat(33_000)))
                .await;
            verdicts.hold(&operation, 431, &answer);
        }
        if wants(413) {
            let large = format!("{{\"message\":\"{}\"}}", "y".repeat(2_000_000));
            let answer = operation
                .asked(&staff, |asked| asked.with_body("application/json", large))
                .await;
            verdicts.hold(&operation, 413, &answer);
        }
        if wants(415) {
            let answer = operation
                .asked(&staff, |asked| asked.with_body("text/plain", "hello"))
                .await;
            verdicts.hold(&operation, 415, &answer);
        }
        if wants(400) {
            let (broken, name) = (operation.takes_body, operation.queries.first());
            let answer = match name {
                Some(name) if !broken => {
                    let query = format!("{name}=%00");
                    operation.asked(&staff, |asked| asked.with_query(&query)).await
                }
                _ => {
                    operation
                        .asked(&staff, |asked| asked.with_body("application/json", "{\"a"))
                        .await
                }
            };
            verdicts.hold(&operation, 400, &answer);
        }
        if wants(404) {
            let nowhere = Operation {
                path: operation
                    .path
                    .replace(&sos, &"0".repeat(32))
                    .replace(&participant, "p-0123456789abcdef"),
                method: operation.method.clone(),
                template: operation.template.clone(),
                statuses: BTreeSet::new(),
                example: operation.example.clone(),
                queries: vec![],
                takes_body: operation.takes_body,
                by_service: operation.by_service,
            };
            if nowhere.path != operation.path {
                let answer = nowhere.asked(&staff, |asked| asked).await;
                verdicts.hold(&operation, 404, &answer);
            }
        }
        if wants(304) {
            let first = operation.asked(&staff, |asked| asked).await;
            verdicts.hold(&operation, 200, &first);
            let tag = first.header("ETag").unwrap_or_default().to_owned();
            let again = operation
                .asked(&staff, |asked| asked.with_header("If-None-Match", tag))
                .await;
            verdicts.hold(&operation, 304, &again);
        }
    }
    verdicts.end(&[
        (401, 40),
        (414, 40),
        (431, 40),
        (413, 10),
        (415, 10),
        (400, 20),
        (404, 15),
        (304, 15),
    ]);
}

#[tokio::test]
async fn every_operation_with_a_budget_says_when_it_is_spent() {
    let one: Vec<(&str, &str)> = [
        "limits.anon_requests",
        "limits.anon_writes",
        "limits.locations_per_minute",
        "limits.sos_per_hour",
        "limits.registrations_per_hour",
        "limits.connects_per_minute",
        "limits.reports_per_hour",
    ]
    .map(|key| (key, "1"))
    .to_vec();
    let settings: Vec<_> = UNLIMITED.into_iter().chain(one).collect();
    let engine = Engine::start(&settings);
    let (sos, participant) = incident(&engine).await;
    let mut verdicts = Verdicts::default();
    for operation in operations(&sos, &participant) {
        if !operation.statuses.contains(&429) {
            continue;
        }
        // Whoever may not do it has asked all the same.
        let device = engine.device_of(&uuid4());
        let mut last = operation.asked(&device, |asked| asked).await;
        for _ in 0..2 {
            if last.status != 429 {
                last = operation.asked(&device, |asked| asked).await;
            }
        }
        verdicts.hold(&operation, 429, &last);
        if last.status == 429 && last.header("Retry-After").is_none() {
            verdicts.wrong.push(format!("{}: not when", operation.name()));
        }
    }
    verdicts.end(&[(429, 30)]);
}

#[tokio::test]
async fn every_operation_says_that_the_node_is_full() {
    let settings: Vec<_> = UNLIMITED
        .into_iter()
        .chain([("http.connections_max", "1")])
        .collect();
    let engine = Engine::start(&settings);
    let mut held = TcpStream::connect(engine.address()).await.unwrap();
    held.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    assert!(held.read(&mut [0; 64]).await.unwrap() > 0);
    let nobody = engine.nobody();
    let mut verdicts = Verdicts::default();
    // It is said before the request is read, and so in one dialect to everybody.
    let enveloped = |operation: &Operation| operation.template.starts_with("/api/v1/");
    for operation in operations(&"0".repeat(32), "p-0123456789abcdef")
        .into_iter()
        .filter(enveloped)
    {
        let answer = operation
            .asked(&nobody, |asked| Asked { body: None, ..asked })
            .await;
        verdicts.hold(&operation, 503, &answer);
        if answer.header("Retry-After").is_none() {
            verdicts.wrong.push(format!("{}: not when", operation.name()));
        }
    }
    verdicts.end(&[(503, 30)]);
    drop(held);
}
