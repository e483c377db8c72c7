//! Makes requests out of the OpenAPI document: valid ones, ones at the edge of a bound, and broken ones, by every
//! kind of credential. The same seed makes the same requests, as far as the ids that the engine made up allow.

use serde_json::{Value, json};

use super::chance::{Chance, Known};
use super::values::{encoded, garbage, odd, odd_header, spoil, value};
use crate::support::{now_ms, now_s, sign, sign_with};

/// A request that is ready to be sent.
pub struct Planned {
    pub method: String,
    /// The operation's path as the document writes it.
    pub template: String,
    /// With names filled in, and the query.
    pub target: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Option<Vec<u8>>,
}

impl std::fmt::Display for Planned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.target)?;
        for (name, value) in &self.headers {
            write!(f, "\n    {name}: {}", String::from_utf8_lossy(value))?;
        }
        match &self.body {
            Some(body) => {
                let text = String::from_utf8_lossy(body);
                let shown: String = text.chars().take(2_000).collect();
                write!(f, "\n    {shown} ({} bytes)", body.len())
            }
            None => Ok(()),
        }
    }
}

/// Makes requests.
pub struct Mill<'d> {
    document: &'d Value,
    operations: Vec<(String, String, &'d Value)>,
    devices: Vec<String>,
    keys: Vec<String>,
}

impl<'d> Mill<'d> {
    pub fn new(document: &'d Value, chance: &mut Chance) -> Self {
        let paths = document["paths"].as_object().unwrap();
        let operations = paths.iter().flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().iter();
            methods.map(move |(method, operation)| (method.to_uppercase(), path.clone(), operation))
        });
        Self {
            document,
            operations: operations.collect(),
            devices: (0..6).map(|_| chance.uuid4()).collect(),
            keys: (0..20).map(|n| format!("key-{n}")).collect(),
        }
    }

    /// How many operations there are.
    pub fn operations(&self) -> usize {
        self.operations.len()
    }

    /// The next request.
    pub fn plan(&self, chance: &mut Chance, known: &Known) -> Planned {
        let (method, template, operation) = &self.operations[chance.below(self.operations.len())];
        // Half of all requests are right in everything but perhaps the credential.
        let sound = chance.one_in(2);
        let parameters: Vec<&Value> = operation["parameters"].as_array().into_iter().flatten().collect();
        let target = self.target(chance, known, template, &parameters, sound);
        let mut headers = self.headers(chance, &parameters, sound);
        headers.extend(self.credentials(chance, known, operation));
        let body = self.body(chance, known, operation, sound, &mut headers);
        let mut method = method.clone();
        if !sound && chance.one_in(40) {
            method = (*chance.pick(&["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "BREW"])).to_owned();
        }
        Planned {
            method,
            template: template.clone(),
            target,
            headers,
            body,
        }
    }

    fn target(
        &self,
        chance: &mut Chance,
        known: &Known,
        template: &str,
        parameters: &[&Value],
        sound: bool,
    ) -> String {
        let mut parts = Vec::new();
        for part in template.split('/') {
            parts.push(match part {
                "{participant}" => self.id(chance, &known.participants, sound, |chance| {
                    format!("p-{}", chance.hex(16))
                }),
                "{seq}" => (1 + chance.below(9)).to_string(),
                part if part.starts_with('{') => self.id(chance, &known.sos, sound, |chance| chance.hex(32)),
                part => part.to_owned(),
            });
        }
        let mut target = parts.join("/");
        if !sound && chance.one_in(60) {
            target.push_str("/more");
        }
        let mut pairs = Vec::new();
        for parameter in parameters.iter().filter(|parameter| parameter["in"] == "query") {
            if !chance.one_in(3) {
                continue;
            }
            let name = parameter["name"].as_str().unwrap();
            let value = if sound || chance.one_in(2) {
                self.text_of(chance, known, name, &parameter["schema"])
            } else {
                odd(chance)
            };
            pairs.push(format!("{name}={}", encoded(&value)));
            // Both coordinates or none.
            for (one, other) in [("lat", "lng"), ("lng", "lat")] {
                if name == one && sound && !pairs.iter().any(|pair| pair.starts_with(other)) {
                    pairs.push(format!("{other}=14.6"));
                }
            }
        }
        if !sound && chance.one_in(10) {
            pairs.push(format!("{}={}", encoded(&odd(chance)), encoded(&odd(chance))));
            if let Some(first) = pairs.first().cloned() {
                pairs.push(first);
            }
        }
        if pairs.is_empty() {
            target
        } else {
            format!("{target}?{}", pairs.join("&"))
        }
    }

    fn id(
        &self,
        chance: &mut Chance,
        known: &[String],
        sound: bool,
        make: impl FnOnce(&mut Chance) -> String,
    ) -> String {
        if !known.is_empty() && (sound || chance.one_in(2)) && !chance.one_in(12) {
            return chance.pick(known).clone();
        }
        if sound || chance.one_in(2) {
            return make(chance);
        }
        let odd = odd(chance);
        encoded(if odd.is_empty() { "-" } else { &odd })
    }

    /// A parameter of a query, as text.
    fn text_of(&self, chance: &mut Chance, known: &Known, name: &str, schema: &Value) -> String {
        match name {
            "cursor" if !known.cursors.is_empty() => return chance.pick(&known.cursors).clone(),
            "from" => return (now_ms() - 3_600_000).to_string(),
            "to" => return (now_ms() + 1_000).to_string(),
            _ => {}
        }
        match value(self.document, chance, known, name, schema, 0) {
            Value::String(text) => text,
            Value::Array(items) => {
                let items = items.iter().filter_map(Value::as_str);
                items.collect::<Vec<_>>().join(",")
            }
            value => value.to_string(),
        }
    }

    fn headers(&self, chance: &mut Chance, parameters: &[&Value], sound: bool) -> Vec<(String, Vec<u8>)> {
        let mut headers = Vec::new();
        let declared = parameters.iter().filter(|parameter| parameter["in"] == "header");
        for name in declared.filter_map(|parameter| parameter["name"].as_str()) {
            if name == "Idempotency-Key" && chance.one_in(2) {
                headers.push((name.to_owned(), chance.pick(&self.keys).clone().into_bytes()));
            } else if !sound && chance.one_in(3) {
                headers.push((name.to_owned(), odd_header(chance)));
            }
        }
        if sound {
            return headers;
        }
        for name in [
            "Accept",
            "X-Request-Id",
            "X-Forwarded-For",
            "Forwarded",
            "Origin",
            "Range",
            "If-None-Match",
            "Priority",
        ] {
            if chance.one_in(20) {
                headers.push((name.to_owned(), odd_header(chance)));
            }
        }
        if chance.one_in(8) {
            headers.push(("Accept".to_owned(), b"application/geo+json".to_vec()));
        }
        headers
    }

    /// Mostly one that the operation takes; else any, a bad one, two, or none.
    fn credentials(&self, chance: &mut Chance, known: &Known, operation: &Value) -> Vec<(String, Vec<u8>)> {
        let device = |chance: &mut Chance| {
            (
                "X-Device-ID".to_owned(),
                chance.pick(&self.devices).clone().into_bytes(),
            )
        };
        let bearer = |token: String| ("Authorization".to_owned(), format!("Bearer {token}").into_bytes());
        let internal = |token: &str| ("X-Internal-Token".to_owned(), token.as_bytes().to_vec());
        let user = |n: usize, role: &str| {
            json!({
                "userId": format!("user-{role}-{n}"), "role": role, "name": format!("User {n}"), "exp": now_s() + 3_600,
                "phone_no": format!("+63917123450{n}"),
            })
        };
        // Hardly anybody else than a service gets anywhere there.
        if operation["security"] == json!([{"internal": []}]) && !chance.one_in(4) {
            return vec![internal(crate::support::engine::INTERNAL_TOKEN)];
        }
        match chance.below(24) {
            0 | 1 => vec![],
            2..=6 => vec![device(chance)],
            7..=10 => vec![bearer(sign(&user(chance.below(4), "CITIZEN")))],
            11 | 12 => vec![bearer(sign(&user(chance.below(2), "RESCUER")))],
            13 | 14 => vec![bearer(sign(&user(0, "DISPATCHER")))],
            15..=17 => vec![bearer(sign(&user(0, "ADMIN")))],
            18 => {
                let sos = if known.sos.is_empty() {
                    "none".to_owned()
                } else {
                    chance.pick(&known.sos).clone()
                };
                let claims = json!({
                    "identity": {"userId": "anon-1", "role": "RESCUER"}, "actor": {"type": "ANON"},
                    "mission": {"sosId": sos}, "exp": now_s() + 3_600,
                });
                vec![bearer(sign(&claims))]
            }
            19 => {
                let good = crate::support::engine::INTERNAL_TOKEN;
                vec![internal(if chance.one_in(3) { "wrong" } else { good })]
            }
            20 => vec![(
                "Cookie".to_owned(),
                format!("mayday_token={}", sign(&user(1, "CITIZEN"))).into_bytes(),
            )],
            21 => vec![device(chance), bearer(sign(&user(2, "CITIZEN")))],
            22 => vec![("X-Device-ID".to_owned(), odd_header(chance))],
            _ => {
                let expired = json!({"userId": "u", "role": "ADMIN", "exp": now_s() - 100});
                let token = match chance.below(5) {
                    0 => sign(&expired),
                    1 => sign_with(
                        &user(0, "ADMIN"),
                        "another secret of nobody in particular, long enough",
                    ),
                    2 => "eyJhbGciOiJub25lIn0.eyJyb2xlIjoiQURNSU4ifQ.".to_owned(),
                    3 => sign(
                        &json!({"exp": now_s() + 60, "role": "KING", "userId": operation["operationId"]}),
                    ),
                    _ => String::from_utf8_lossy(&odd_header(chance)).into_owned(),
                };
                vec![bearer(token)]
            }
        }
    }

    fn body(
        &self,
        chance: &mut Chance,
        known: &Known,
        operation: &Value,
        sound: bool,
        headers: &mut Vec<(String, Vec<u8>)>,
    ) -> Option<Vec<u8>> {
        let request = &operation["requestBody"];
        let schema = &request["content"]["application/json"]["schema"];
        if schema.is_null() {
            // A body that nobody asked for.
            return (!sound && chance.one_in(10)).then(|| b"{\"a\":1}".to_vec());
        }
        let optional = request["required"] != true;
        if (optional && chance.one_in(4)) || (!sound && chance.one_in(20)) {
            return None;
        }
        let mut body = value(self.document, chance, known, "", schema, 0);
        let mut kind = b"application/json".to_vec();
        let mut bytes = None;
        if !sound {
            match chance.below(12) {
                0 => kind = odd_header(chance),
                1 => kind = b"text/plain".to_vec(),
                2 => bytes = Some(garbage(chance)),
                3 => bytes = Some(vec![b'['; 20_000]),
                4 => bytes = Some(format!("{{\"message\":\"{}\"}}", "x".repeat(300_000)).into_bytes()),
                5 => kind = b"application/json; charset=utf-8".to_vec(),
                _ => spoil(chance, &mut body),
            }
        }
        headers.push(("Content-Type".to_owned(), kind));
        Some(bytes.unwrap_or_else(|| body.to_string().into_bytes()))
    }
}
