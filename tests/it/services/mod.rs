//! The internal API as sister services use it: what they say of incidents is heard by those who are in.

mod attending;
mod keeping;
mod looking_up;
mod messaging;
mod raising;
mod rescuing;
mod steering;
pub mod telling;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::engine::{INTERNAL_TOKEN, made};
use crate::support::http::Answer;
use crate::support::{Client, Engine, HERE, Person, fire};

/// A sister service, by its key.
pub struct Sister<'e> {
    engine: &'e Engine,
    key: String,
}

/// The one that may do everything.
pub fn sister(engine: &Engine) -> Sister<'_> {
    Sister {
        engine,
        key: INTERNAL_TOKEN.into(),
    }
}

impl Sister<'_> {
    pub async fn asks(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let request = self.engine.nobody().request(method, path);
        let request = request.header("X-Internal-Token", &self.key);
        match body {
            Some(body) => request.json(&body).send().await,
            None => request.send().await,
        }
    }

    pub async fn posts(&self, path: &str, body: Value) -> Answer {
        self.asks(Method::POST, path, Some(body)).await
    }

    pub async fn gets(&self, path: &str) -> Answer {
        self.asks(Method::GET, path, None).await
    }

    /// How an incident stands.
    pub async fn state(&self, sos: &str) -> Value {
        self.gets(&at(sos, "state")).await.data(200)
    }
}

/// A path of the internal API about an incident.
pub fn at(sos: &str, part: &str) -> String {
    format!("/internal/realtime/sos/{sos}/{part}")
}

/// Ana's incident, with her on a socket.
pub struct Fire {
    pub engine: Engine,
    pub ana: Person,
    pub sos: String,
    pub at_ana: Client,
    /// Who she is in it.
    pub ana_id: Value,
}

pub async fn fire_on(engine: Engine) -> Fire {
    let ana = engine.user("Ana");
    let sos = ana.raises(fire()).await;
    let mut at_ana = ana.connect().await;
    let ana_id = at_ana.joins(&sos).await["participantId"].clone();
    Fire {
        engine,
        ana,
        sos,
        at_ana,
        ana_id,
    }
}

pub async fn burning() -> Fire {
    fire_on(Engine::start(&[])).await
}

/// Every route of theirs: method, path, a body that it takes, and the scope that it needs.
fn routes(sos: &str) -> Vec<(Method, String, Option<Value>, &'static str)> {
    let message = json!({"id": "m", "senderType": "CITIZEN", "senderId": "user-eve", "content": "hi"});
    let near = format!(
        "/internal/realtime/sos/nearby?latitude={}&longitude={}",
        HERE.0, HERE.1
    );
    let of = |part| at(sos, part);
    let participants = |part: &str| format!("/api/participants/{part}");
    let (write, read) = ("incidents:write", "incidents:read");
    let come = "participants:write";
    vec![
        (
            Method::POST,
            "/internal/realtime/sos/init".into(),
            Some(json!({"sosId": "sos-of-eve", "citizenId": "user-eve"})),
            write,
        ),
        (Method::GET, near, None, read),
        (Method::GET, of("state"), None, read),
        (Method::PATCH, of("type"), Some(json!({"type": "MEDICAL"})), write),
        (
            Method::POST,
            of("status"),
            Some(json!({"status": "ASSIGNED", "updatedBy": "user-dora"})),
            write,
        ),
        (
            Method::POST,
            of("rescuer-location"),
            Some(json!({"rescuerId": "user-rob", "latitude": HERE.0, "longitude": HERE.1})),
            "positions:write",
        ),
        (Method::GET, of("rescuer-location"), None, read),
        (
            Method::POST,
            "/internal/messaging/broadcast".into(),
            Some(json!({"sosId": sos, "message": message})),
            "messages:write",
        ),
        (
            Method::POST,
            participants("joined"),
            Some(json!({"sosId": sos, "userId": "user-eve"})),
            come,
        ),
        (
            Method::POST,
            participants("left"),
            Some(json!({"sosId": sos, "userId": "user-eve"})),
            come,
        ),
        (Method::GET, participants(&format!("{sos}/active")), None, read),
        (Method::GET, participants(&format!("{sos}/count")), None, read),
        (
            Method::POST,
            of("close"),
            Some(json!({"closedBy": "user-dora"})),
            write,
        ),
    ]
}

#[tokio::test]
async fn nobody_but_a_service_with_the_scope_comes_in() {
    let scopes = [
        "incidents:read",
        "incidents:write",
        "messages:write",
        "positions:write",
        "participants:write",
        "trips:write",
    ];
    let keys: Vec<_> = scopes
        .map(|scope| (scope, made(&scope.replace(':', "-"), &[scope])))
        .into();
    let entries: Vec<_> = keys.iter().map(|(_, (_, entry))| entry.as_str()).collect();
    let engine = Engine::start(&[("auth.api_keys", &entries.join(";"))]);
    let sos = engine.user("Ana").raises(fire()).await;
    for (method, path, body, needed) in routes(&sos) {
        for who in [engine.nobody(), engine.device(), engine.user("Ada").role("ADMIN")] {
            let request = who.request(method.clone(), &path);
            let request = request.json(body.as_ref().unwrap_or(&json!({})));
            request.send().await.refused(401, "UNAUTHENTICATED");
        }
        for wrong in ["", "internal", &INTERNAL_TOKEN[1..]] {
            let wrong = Sister {
                engine: &engine,
                key: wrong.into(),
            };
            let refused = wrong.asks(method.clone(), &path, body.clone()).await;
            refused.refused(401, "UNAUTHENTICATED");
        }
        for (scope, (key, _)) in &keys {
            let sister = Sister {
                engine: &engine,
                key: key.clone(),
            };
            let answer = sister.asks(method.clone(), &path, body.clone()).await;
            if *scope == needed {
                assert!(answer.status < 300, "{method} {path} by {scope}: {answer:?}");
            } else {
                let refused = answer.refused(403, "FORBIDDEN");
                let text = format!("The credential lacks the scope {needed}");
                assert_eq!(refused["message"], text, "{method} {path} by {scope}");
            }
        }
    }
}

#[tokio::test]
async fn an_incident_that_is_not_there_is_not_found_and_a_circle_is_none() {
    let engine = Engine::start(&[]);
    let mut at_ana = engine.user("Ana").connect().await;
    at_ana.creates("ana-circle").await;
    for sos in ["ana-circle", "nothing"] {
        for (method, path, body, _) in routes(sos) {
            if path.ends_with("/init") || path.contains("/nearby") {
                continue;
            }
            let refused = sister(&engine).asks(method.clone(), &path, body).await;
            let refused = refused.refused(404, "NOT_FOUND");
            assert_eq!(refused["message"], "SOS not found", "{method} {path}");
        }
    }
    at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let engine = Engine::start(&[]);
    let sos = engine.user("Ana").raises(fire()).await;
    let sister = sister(&engine);
    for (path, changes, field) in [
        (
            "/internal/realtime/sos/init",
            json!({"sosId": "no spaces"}),
            "sosId",
        ),
        (
            "/internal/realtime/sos/init",
            json!({"citizenId": null}),
            "citizenId",
        ),
        (
            "/internal/realtime/sos/init",
            json!({"citizenId": "p-0123456789abcdef"}),
            "citizenId",
        ),
        ("/internal/realtime/sos/init", json!({"type": "FLOOD"}), "type"),
        (
            "/internal/realtime/sos/init",
            json!({"location": {"latitude": 91, "longitude": 0}}),
            "location.latitude",
        ),
        (&at(&sos, "close"), json!({"closedBy": null}), "closedBy"),
        (
            &at(&sos, "close"),
            json!({"closedBy": "p-0123456789abcdef"}),
            "closedBy",
        ),
        (&at(&sos, "status"), json!({"status": "GONE"}), "status"),
        (&at(&sos, "status"), json!({"updatedBy": 7}), "updatedBy"),
        (&at(&sos, "status"), json!({"oldStatus": "GONE"}), "oldStatus"),
        (&at(&sos, "type"), json!({"type": null}), "type"),
        (
            &at(&sos, "rescuer-location"),
            json!({"rescuerId": ""}),
            "rescuerId",
        ),
        (&at(&sos, "rescuer-location"), json!({"latitude": 91}), "latitude"),
        (&at(&sos, "rescuer-location"), json!({"accuracy": -1}), "accuracy"),
        ("/internal/messaging/broadcast", json!({"message": 7}), "message"),
        (
            "/internal/messaging/broadcast",
            json!({"message": {"id": "m", "senderType": "SYSTEM"}}),
            "message.content",
        ),
        ("/api/participants/joined", json!({"userId": null}), "userId"),
        (
            "/api/participants/joined",
            json!({"userType": "KING"}),
            "userType",
        ),
        (
            "/api/participants/joined",
            json!({"joinedAt": "soon"}),
            "joinedAt",
        ),
        ("/api/participants/left", json!({"leftAt": []}), "leftAt"),
    ] {
        let (method, _, body, _) = routes(&sos)
            .into_iter()
            .find(|(method, known, ..)| known == path && *method != Method::GET)
            .unwrap();
        let mut body = body.unwrap();
        for (key, value) in changes.as_object().unwrap() {
            body[key] = value.clone();
        }
        sister.asks(method, path, Some(body)).await.names_fields(&[field]);
    }
    for (query, field) in [
        ("", "latitude"),
        ("latitude=1", "longitude"),
        ("latitude=1&longitude=1&radius=26", "radius"),
        ("latitude=1&longitude=1&radius=0", "radius"),
        ("latitude=1&longitude=1&limit=0", "limit"),
    ] {
        let path = format!("/internal/realtime/sos/nearby?{query}");
        sister.gets(&path).await.names_fields(&[field]);
    }
    let path = format!("/api/participants/{sos}/active?limit=1000");
    sister.gets(&path).await.names_fields(&["limit"]);
}
