//! Those who use the engine, each with a credential.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header, encode};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use super::client::{Client, Refused};
use super::document::check_answer;
use super::engine::{Address, DEADLINE, SECRET};
use super::http::Answer;

#[derive(Clone)]
enum Credential {
    Claims(Value),
    Token(String),
    Device(String),
    Nothing,
}

/// Somebody who uses the engine by REST and WebSocket.
#[derive(Clone)]
pub struct Person {
    address: Address,
    name: String,
    credential: Credential,
}

/// A request before it is sent.
pub struct Request {
    builder: reqwest::RequestBuilder,
}

impl Person {
    pub(super) fn user(address: Address, name: &str) -> Self {
        let id = format!("user-{}", name.to_lowercase());
        let claims = json!({"userId": id, "role": "CITIZEN", "name": name, "exp": now_s() + 3600});
        Self {
            address,
            name: name.into(),
            credential: Credential::Claims(claims),
        }
    }

    pub(super) fn device(address: Address) -> Self {
        Self::device_of(address, &uuid4())
    }

    pub(super) fn device_of(address: Address, id: &str) -> Self {
        let credential = Credential::Device(id.into());
        Self {
            address,
            name: "a device".into(),
            credential,
        }
    }

    pub(super) fn bearer(address: Address, token: &str) -> Self {
        Self {
            address,
            name: "a bearer".into(),
            credential: Credential::Token(token.into()),
        }
    }

    pub(super) fn nobody(address: Address) -> Self {
        Self {
            address,
            name: "nobody".into(),
            credential: Credential::Nothing,
        }
    }

    /// The same, who asks at another address: a load balancer's.
    pub fn at(&self, address: SocketAddr) -> Self {
        Self {
            address: Arc::new(Mutex::new(address)),
            ..self.clone()
        }
    }

    /// A device that nobody has seen, at the same address.
    pub fn another_device(&self) -> Self {
        Self::device(Arc::clone(&self.address))
    }

    /// With this claim in the token.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        if let Credential::Claims(claims) = &mut self.credential {
            claims[name] = value.into();
        }
        self
    }

    /// With a number that the token vouches for.
    pub fn phone(self, number: &str) -> Self {
        self.claim("phone_no", number)
    }

    /// In this role.
    pub fn role(self, role: &str) -> Self {
        self.claim("role", role)
    }

    /// The device's id.
    pub fn device_id(&self) -> &str {
        match &self.credential {
            Credential::Device(id) => id,
            _ => panic!("{} is no device", self.name),
        }
    }

    /// The bearer token.
    pub fn token(&self) -> String {
        match &self.credential {
            Credential::Claims(claims) => sign(claims),
            Credential::Token(token) => token.clone(),
            _ => panic!("{} has no token", self.name),
        }
    }

    /// What a Socket.IO client of theirs shows.
    pub fn shows(&self) -> Value {
        match &self.credential {
            Credential::Device(id) => json!({"deviceId": id}),
            Credential::Nothing => json!({}),
            _ => json!({"token": self.token()}),
        }
    }

    /// The engine's address with `path`.
    pub fn url(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}://{}{path}", self.address.lock().unwrap())
    }

    /// A request of this person's.
    pub fn request(&self, method: Method, path: &str) -> Request {
        let builder = http().request(method, self.url("http", path));
        let builder = match &self.credential {
            Credential::Device(id) => builder.header("X-Device-ID", id),
            Credential::Nothing => builder,
            Credential::Claims(_) | Credential::Token(_) => builder.bearer_auth(self.token()),
        };
        Request { builder }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path).send().await
    }

    /// POST with a JSON body.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.request(Method::POST, path).json(&body).send().await
    }

    /// PUT with a JSON body.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.request(Method::PUT, path).json(&body).send().await
    }

    /// PATCH with a JSON body.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.request(Method::PATCH, path).json(&body).send().await
    }

    /// `DELETE` with a body.
    pub async fn delete_with(&self, path: &str, body: Value) -> Answer {
        self.request(Method::DELETE, path).json(&body).send().await
    }

    /// Puts these people on the list of emergency contacts.
    pub async fn trusts(&self, contacts: &[(&str, &str)]) {
        let contacts: Vec<Value> = contacts
            .iter()
            .map(|(name, phone)| json!({"name": name, "phone_no": phone}))
            .collect();
        let body = json!({"emergency_contacts": contacts, "dependent_contacts": []});
        self.put("/api/contacts", body).await.ok(200);
    }

    /// Raises a public incident and answers its id.
    pub async fn raises(&self, body: Value) -> String {
        let data = self.post("/api/v1/sos", body).await.data(201);
        data["sosId"].as_str().expect("an sosId").to_owned()
    }

    /// Opens a WebSocket and hears `connected`.
    pub async fn connect(&self) -> Client {
        let mut client = self.open().await;
        client.greeting = client.expect(json!({"type": "connected", "protocol": 1})).await;
        client
    }

    /// Opens a WebSocket and listens to nothing yet.
    pub async fn open(&self) -> Client {
        match self.try_open("/api/ws").await {
            Ok(client) => client,
            Err(refused) => panic!("{} was refused: {refused:?}", self.name),
        }
    }

    /// The upgrade request of this person's WebSocket.
    pub fn upgrade(&self, path: &str) -> tokio_tungstenite::tungstenite::handshake::client::Request {
        let mut url = self.url("ws", path);
        if let Credential::Device(id) = &self.credential {
            url = format!("{url}?deviceId={id}");
        }
        let mut request = url.into_client_request().unwrap();
        if matches!(self.credential, Credential::Claims(_) | Credential::Token(_)) {
            let value = HeaderValue::from_str(&format!("Bearer {}", self.token())).unwrap();
            request.headers_mut().insert("Authorization", value);
        }
        request
    }

    /// Opens a WebSocket at `path`, or says how it was refused before the upgrade.
    pub async fn try_open(&self, path: &str) -> Result<Client, Refused> {
        Client::open(&self.name, self.upgrade(path)).await
    }
}

impl Request {
    /// With this header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    /// With a JSON body.
    pub fn json(mut self, body: &Value) -> Self {
        self.builder = self.builder.json(body);
        self
    }

    /// With a body of any kind.
    pub fn body(mut self, kind: &str, body: impl Into<reqwest::Body>) -> Self {
        self.builder = self.builder.header("Content-Type", kind).body(body);
        self
    }

    /// Sends it.
    pub async fn send(self) -> Answer {
        self.try_send().await.unwrap()
    }

    /// Sends it to an engine that may die meanwhile.
    pub async fn try_send(self) -> Result<Answer, reqwest::Error> {
        let (client, request) = self.builder.build_split();
        let request = request?;
        let (method, path) = (request.method().to_string(), request.url().path().to_owned());
        let answer = Answer::of(client.execute(request).await?).await?;
        check_answer(&method, &path, &answer);
        Ok(answer)
    }
}

fn http() -> &'static reqwest::Client {
    static HTTP: std::sync::OnceLock<reqwest::Client> = std::sync::OnceLock::new();
    HTTP.get_or_init(|| {
        let builder = reqwest::Client::builder().timeout(DEADLINE * 2).no_proxy();
        // Each test has a runtime of its own, which ends with it: nothing may stay open in between.
        builder.pool_max_idle_per_host(0).build().unwrap()
    })
}

/// Signs claims by the tests' key.
pub fn sign(claims: &Value) -> String {
    sign_with(claims, SECRET)
}

/// Signs claims by any key.
pub fn sign_with(claims: &Value, secret: &str) -> String {
    encode(
        &Header::default(),
        claims,
        &EncodingKey::from_secret(secret.as_bytes()),
    )
    .unwrap()
}

/// Seconds since 1970.
pub fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Random hex digits.
pub fn random_hex(digits: usize) -> String {
    let mut bytes = vec![0; digits.div_ceil(2)];
    getrandom::fill(&mut bytes).unwrap();
    hex::encode(bytes)[..digits].to_owned()
}

/// A random version 4 UUID.
pub fn uuid4() -> String {
    let hex = random_hex(32);
    format!(
        "{}-{}-4{}-a{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..]
    )
}
