//! Makes requests out of the OpenAPI document: valid ones, ones at the edge of a bound, and broken ones, by every
//! kind of credential. The same seed makes the same requests, as far as the ids that the engine made up allow.

use serde_json::{Map, Value, json};

use crate::support::{now_ms, now_s, sign, sign_with};

/// Numbers by chance (SplitMix64), from a seed.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n.max(1) as u64).unwrap()
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'v, T>(&mut self, from: &'v [T]) -> &'v T {
        &from[self.below(from.len())]
    }

    /// From 0 to 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn hex(&mut self, digits: usize) -> String {
        (0..digits)
            .map(|_| char::from(b"0123456789abcdef"[self.below(16)]))
            .collect()
    }

    fn uuid4(&mut self) -> String {
        let hex = self.hex(30);
        format!(
            "{}-{}-4{}-a{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..15],
            &hex[15..18],
            &hex[18..30]
        )
    }
}

/// What earlier answers told: ids and cursors that are real.
#[derive(Default)]
pub struct Known {
    pub sos: Vec<String>,
    pub participants: Vec<String>,
    pub messages: Vec<String>,
    pub cursors: Vec<String>,
    pub others: Vec<String>,
}

impl Known {
    const MOST: usize = 200;

    /// Remembers what an answer tells.
    pub fn learn(&mut self, chance: &mut Chance, answer: &Value) {
        match answer {
            Value::Object(object) => {
                for (key, value) in object {
                    match (key.as_str(), value.as_str()) {
                        ("sosId", Some(id)) => keep(chance, &mut self.sos, id),
                        ("nextCursor", Some(id)) => keep(chance, &mut self.cursors, id),
                        ("id" | "reportId", Some(id)) if !id.starts_with("p-") => {
                            keep(chance, &mut self.messages, id);
                        }
                        ("roomId" | "blockId", Some(id)) => keep(chance, &mut self.others, id),
                        (_, Some(id)) if id.starts_with("p-") && id.len() == 18 => {
                            keep(chance, &mut self.participants, id);
                        }
                        _ => self.learn(chance, value),
                    }
                }
            }
            Value::Array(items) => items.iter().take(5).for_each(|item| self.learn(chance, item)),
            _ => {}
        }
    }
}

fn keep(chance: &mut Chance, list: &mut Vec<String>, id: &str) {
    if list.iter().any(|known| known == id) {
        return;
    }
    if list.len() < Known::MOST {
        list.push(id.to_owned());
    } else {
        let place = chance.below(list.len());
        list[place] = id.to_owned();
    }
}

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

/// Text that has made programs stumble.
const ODD: [&str; 16] = [
    "",
    " ",
    "\u{0}",
    "\u{7}",
    "\r\n",
    "null",
    "NaN",
    "-0",
    "1e999",
    "99999999999999999999",
    "../../etc/passwd",
    "' OR 1=1 --",
    "%00",
    "\u{202e}\u{1f691}",
    "\u{fffd}\u{ffff}",
    "<script>alert(1)</script>",
];

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
        match self.value(chance, known, name, schema, 0) {
            Value::String(text) => text,
            Value::Array(items) => {
                let items = items.iter().filter_map(Value::as_str);
                items.collect::<Vec<_>>().join(",")
            }
            value => value.to_string(),
        }
    }

    /// A value that fits a schema, more often than not at the edge of what it allows.
    fn value(&self, chance: &mut Chance, known: &Known, name: &str, schema: &Value, depth: usize) -> Value {
        if let Some(reference) = schema["$ref"].as_str() {
            let schema = self.document.pointer(reference.trim_start_matches('#')).unwrap();
            return self.value(chance, known, name, schema, depth + 1);
        }
        if let Some(forms) = schema["anyOf"]
            .as_array()
            .filter(|_| schema.get("properties").is_none())
        {
            let form = chance.pick(forms);
            return self.value(chance, known, name, form, depth);
        }
        if let Some(words) = schema["enum"].as_array() {
            return chance.pick(words).clone();
        }
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => chance.pick(kinds).as_str().unwrap(),
            kind => kind.as_str().unwrap_or("string"),
        };
        match kind {
            "null" => Value::Null,
            "boolean" => chance.one_in(2).into(),
            "integer" => number(chance, schema).round().into_integer(),
            "number" if name == "timestamp" => (now_ms() - chance.next() % 100_000_000).into(),
            "number" => number(chance, schema).into(),
            "array" => {
                let most = usize::try_from(schema["maxItems"].as_u64().unwrap_or(4))
                    .unwrap()
                    .min(6);
                let item = if name == "fixes" {
                    json!({"$ref": "#/components/schemas/Fix"})
                } else {
                    schema["items"].clone()
                };
                let count = chance.below(most + 1);
                (0..count)
                    .map(|_| self.value(chance, known, name, &item, depth + 1))
                    .collect()
            }
            "object" => self.object(chance, known, schema, depth),
            _ => string(chance, known, name, schema).into(),
        }
    }

    fn object(&self, chance: &mut Chance, known: &Known, schema: &Value, depth: usize) -> Value {
        let required: Vec<&str> = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .chain(schema["anyOf"][0]["required"].as_array().into_iter().flatten())
            .filter_map(Value::as_str)
            .collect();
        let mut object = Map::new();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            if required.contains(&name.as_str()) || (depth < 6 && chance.one_in(3)) {
                object.insert(name.clone(), self.value(chance, known, name, property, depth + 1));
            }
        }
        object.into()
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
        let mut body = self.value(chance, known, "", schema, 0);
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

trait IntoInteger {
    fn into_integer(self) -> Value;
}

impl IntoInteger for f64 {
    #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
    fn into_integer(self) -> Value {
        (self as i64).into()
    }
}

/// Within the bounds, often at one of them.
fn number(chance: &mut Chance, schema: &Value) -> f64 {
    let low = schema["minimum"].as_f64().or(schema["exclusiveMinimum"].as_f64());
    let (low, high) = (low.unwrap_or(0.0), schema["maximum"].as_f64().unwrap_or(1_000.0));
    match chance.below(6) {
        0 if schema.get("exclusiveMinimum").is_none() => low,
        1 => high,
        _ => low + (high - low) * (0.001 + 0.998 * chance.share()),
    }
}

fn string(chance: &mut Chance, known: &Known, name: &str, schema: &Value) -> String {
    let pattern = schema["pattern"].as_str().unwrap_or_default();
    match name {
        "phone" | "phone_no" => return format!("+63917{:07}", chance.below(10_000_000)),
        "roomId" if !known.others.is_empty() && chance.one_in(2) => {
            return chance.pick(&known.others).clone();
        }
        "roomId" if !known.sos.is_empty() => return chance.pick(&known.sos).clone(),
        _ => {}
    }
    if schema["format"] == "date-time" {
        let year = 2000 + chance.below(26);
        return format!(
            "{year}-0{}-1{}T0{}:00:00.{:03}Z",
            1 + chance.below(9),
            chance.below(9),
            chance.below(9),
            chance.below(999)
        );
    }
    if schema["format"] == "uuid" {
        return chance.uuid4();
    }
    if pattern.contains("p-[0-9a-f") {
        let fresh = format!("p-{}", chance.hex(16));
        return if known.participants.is_empty() {
            fresh
        } else {
            chance.pick(&known.participants).clone()
        };
    }
    if pattern.contains("A-Za-z0-9_") {
        return if chance.one_in(3) && !known.messages.is_empty() {
            chance.pick(&known.messages).clone()
        } else {
            let digits = 1 + chance.below(64);
            chance.hex(digits)
        };
    }
    if pattern.contains("{2})+$") {
        return chance.hex(32);
    }
    let (least, most) = (
        usize::try_from(schema["minLength"].as_u64().unwrap_or(0)).unwrap(),
        usize::try_from(schema["maxLength"].as_u64().unwrap_or(40)).unwrap(),
    );
    let length = match chance.below(5) {
        0 => least,
        1 => most,
        _ => least + chance.below(most.min(least + 60) - least + 1),
    };
    let letters = *chance.pick(&["abc xyz", "Tülay né", "消防車 救命", "🚑🔥 ok", "a\tb\nc"]);
    let letters: Vec<char> = letters.chars().collect();
    // A first letter, so that it is not blank.
    (0..length)
        .map(|n| if n == 0 { 'M' } else { *chance.pick(&letters) })
        .collect()
}

fn odd(chance: &mut Chance) -> String {
    match chance.below(4) {
        0 => {
            let length = chance.below(3_000);
            "y".repeat(length)
        }
        1 => (0..chance.below(12))
            .filter_map(|_| char::from_u32(u32::try_from(chance.below(0x11_0000)).unwrap()))
            .collect(),
        _ => (*chance.pick(&ODD)).to_owned(),
    }
}

/// What a header may hold at all: no line breaks and no NUL.
fn odd_header(chance: &mut Chance) -> Vec<u8> {
    let text = odd(chance).into_bytes();
    text.into_iter()
        .filter(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 127))
        .take(2_000)
        .collect()
}

fn garbage(chance: &mut Chance) -> Vec<u8> {
    let texts: [&[u8]; 8] = [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{\"type\":\"FIRE\",\"type\":\"FIRE\"}",
        b"\xff\xfe{}",
        b"{} x",
        b"\"\\ud800\"",
    ];
    match chance.below(3) {
        0 => (0..chance.below(300))
            .map(|_| chance.next().to_le_bytes()[0])
            .collect(),
        _ => chance.pick(&texts).to_vec(),
    }
}

/// Breaks something in a body.
fn spoil(chance: &mut Chance, body: &mut Value) {
    let wrong = match chance.below(9) {
        0 => Value::Null,
        1 => json!(odd(chance)),
        2 => json!([]),
        3 => json!({"a": {"b": []}}),
        4 => json!(-1),
        5 => json!(1e300),
        6 => json!(u64::MAX),
        7 => json!("x".repeat(5_000)),
        _ => json!(true),
    };
    let Value::Object(object) = body else {
        *body = wrong;
        return;
    };
    let names: Vec<String> = object.keys().cloned().collect();
    if names.is_empty() || chance.one_in(10) {
        object.insert(odd(chance), wrong);
        return;
    }
    let name = chance.pick(&names).clone();
    match chance.below(4) {
        0 => drop(object.remove(&name)),
        1 if object[&name].is_object() => spoil(chance, &mut object[&name]),
        _ => object[&name] = wrong,
    }
}

/// For a path or a query.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' | b',' => {
                char::from(byte).to_string()
            }
            // A lone dot would be a step in a path.
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
