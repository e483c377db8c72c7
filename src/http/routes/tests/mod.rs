//! The routes over a real engine on a real store, without a socket.

mod circle;
mod devices;
mod incident;
mod matrix;
mod operations;
mod people;

use std::sync::Arc;

use actix_web::http::header::HeaderMap;
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, init_service, read_body, try_call_service};
use actix_web::{App, web};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Api, Readiness, configure};
use crate::actors::engine::Parts;
use crate::actors::{Clock, Engine, NoObserver, Settings, SystemClock};
use crate::bus::{Alone, NodeId};
use crate::config::{Auth, Config, DeviceSecrets, Secret, Secrets};
use crate::domain::ids::{DeviceId, UserId};
use crate::domain::people::{Identity, Role, Subject};
use crate::domain::phone::{PhoneNumber, Region};
use crate::domain::time::Timestamp;
use crate::http::gate::Gate;
use crate::http::jwt::{Grant, issue};
use crate::http::keys::KeyRing;
use crate::http::links::SignedLinks;
use crate::http::request::{Frame, frame};
use crate::store::{Embedded, EmbeddedOptions};
use crate::telemetry::Metrics;

/// A credential, as a header.
type Credential = (&'static str, String);

/// An engine with its routes.
struct Rig {
    engine: Engine,
    config: Config,
    secret: Secret,
    gate: web::Data<Gate>,
    api: web::Data<Api>,
    frame: web::Data<Frame>,
    _folder: TempDir,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn data(&self) -> &Value {
        assert_eq!(self.body["success"], true, "{}", self.body);
        &self.body["data"]
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status and code of a failure.
    fn refusal(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }

    /// Status and text of a failure in the bare dialect.
    fn error(&self) -> (u16, &str) {
        (self.status, self.body["error"].as_str().unwrap_or_default())
    }
}

impl Rig {
    fn start() -> Self {
        Self::with(|_| {})
    }

    /// Limits are off unless `change` sets them.
    fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.limits = crate::config::Limits::none();
        change(&mut config);
        let folder = TempDir::new().unwrap();
        let store = Arc::new(Embedded::open(EmbeddedOptions::new(folder.path())).unwrap());
        let secret = Secret::new(&"s".repeat(32)).unwrap();
        let secrets = Secrets {
            jwt: secret.clone(),
            internal: secret.clone(),
            block: secret.clone(),
            sos: None,
            contacts: None,
            device: DeviceSecrets {
                current: secret.clone(),
                previous: None,
            },
        };
        let metrics = Arc::new(Metrics::new());
        let clock = Arc::new(|| SystemClock.now());
        let keys = Arc::new(KeyRing::of(&config.auth, &secrets.jwt).unwrap());
        let gate = Gate::new(&config, &secrets, keys, Arc::clone(&metrics), clock);
        let engine = Engine::start(Parts {
            bus: Alone::new(NodeId::from_bits(1)),
            blocks: Arc::clone(gate.blocks()),
            store,
            clock: Arc::new(SystemClock),
            settings: Settings::default(),
            observer: Arc::new(NoObserver),
            lookups: None,
            chores: vec![],
        });
        let readiness = Arc::new(Readiness::new(
            Arc::clone(&engine.node().store),
            Arc::clone(&engine.node().bus),
        ));
        let api = Api::new(
            engine.clone(),
            Arc::clone(&metrics),
            readiness,
            SignedLinks::new(&secrets.block, ""),
            Arc::default(),
            &config,
        );
        let frame = Frame::new(&config, metrics, Arc::default());
        Self {
            engine,
            config,
            secret,
            gate: web::Data::new(gate),
            api: web::Data::new(api),
            frame: web::Data::new(frame),
            _folder: folder,
        }
    }

    async fn send(&self, request: TestRequest) -> Answer {
        let app = App::new()
            .app_data(self.gate.clone())
            .app_data(self.frame.clone())
            .configure(configure(self.api.clone()))
            .wrap(from_fn(frame));
        let app = init_service(app).await;
        let response = try_call_service(&app, request.to_request()).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = read_body(response).await;
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        Answer {
            status,
            headers,
            body,
        }
    }

    async fn get(&self, who: &Credential, path: &str) -> Answer {
        let request = TestRequest::get().uri(path).insert_header(who.clone());
        self.send(request).await
    }

    async fn post(&self, who: &Credential, path: &str, body: Value) -> Answer {
        let request = TestRequest::post().uri(path).insert_header(who.clone());
        self.send(request.set_json(body)).await
    }

    async fn patch(&self, who: &Credential, path: &str, body: Value) -> Answer {
        let request = TestRequest::patch().uri(path).insert_header(who.clone());
        self.send(request.set_json(body)).await
    }

    async fn put(&self, who: &Credential, path: &str, body: Value) -> Answer {
        let request = TestRequest::put().uri(path).insert_header(who.clone());
        self.send(request.set_json(body)).await
    }

    /// A registered user with a name like their id.
    fn user(&self, id: &str, role: Role, phone: Option<&str>) -> Credential {
        self.token(id, role, phone, None)
    }

    fn citizen(&self, id: &str) -> Credential {
        self.user(id, Role::Citizen, None)
    }

    fn staff(&self) -> Credential {
        self.user("operator", Role::Dispatcher, None)
    }

    fn token(&self, id: &str, role: Role, phone: Option<&str>, mission: Option<&str>) -> Credential {
        let grant = Grant {
            user: UserId::new(id).unwrap(),
            role,
            phone: phone.map(number),
            name: Some(id.to_owned()),
            mission: mission.map(|sos| sos.parse().unwrap()),
            expires_at: Timestamp::from_ms(SystemClock.now().ms() + 60_000),
        };
        let token = issue(&grant, &Auth::default(), &self.secret).unwrap();
        ("authorization", format!("Bearer {token}"))
    }

    /// A sister service that may do everything.
    fn service(&self) -> Credential {
        (
            "x-internal-token",
            String::from_utf8_lossy(self.secret.reveal()).into_owned(),
        )
    }

    async fn raise(&self, who: &Credential) -> String {
        let answer = self.post(who, "/api/v1/sos", sos()).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.data()["sosId"].as_str().unwrap().to_owned()
    }

    /// Joins an incident and answers with the participant's id.
    async fn join(&self, who: &Credential, sos: &str, user_type: &str) -> String {
        let path = format!("/api/v1/sos/{sos}/participants/join");
        let answer = self.post(who, &path, json!({"userType": user_type})).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.data()["id"].as_str().unwrap().to_owned()
    }
}

fn device(n: u8) -> Credential {
    ("x-device-id", DeviceId::from_random([n; 16]).reveal())
}

fn number(text: &str) -> PhoneNumber {
    PhoneNumber::parse(text, Region::new("PH").unwrap()).unwrap()
}

fn person(id: &str) -> Identity {
    Identity {
        subject: Subject::User(UserId::new(id).unwrap()),
        role: Role::Citizen,
        name: Some(id.to_owned()),
        ..Identity::device(DeviceId::from_random([0; 16]))
    }
}

fn sos() -> Value {
    json!({
        "type": "fire", "message": "the roof is burning",
        "location": {"latitude": 14.5995, "longitude": 120.9842, "accuracy": 5}
    })
}

fn fix() -> Value {
    json!({"latitude": 14.6, "longitude": 121.0, "timestamp": SystemClock.now().ms()})
}
