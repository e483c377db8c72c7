//! How one operation is described, and what follows for it from its row in the route table: who may, what it
//! is charged to, how large its body may be, and so which refusals it can answer with.

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::refusals::{self, Refusal};
use crate::http::access::{Needs, Who};
use crate::http::error::{Code, Dialect};
use crate::http::routes::table::Row;
use crate::wire::rest::schemas::QueryField;
use crate::wire::schema::reference;

/// What an operation takes and gives, beyond what its row in the table says.
pub(super) struct Operation {
    pub method: &'static str,
    pub path: &'static str,
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    text: &'static str,
    query: Vec<QueryField>,
    headers: Vec<Value>,
    body: Option<Body>,
    answers: Vec<Answer>,
    refusals: Vec<Refusal>,
    charged: bool,
}

struct Body {
    schema: &'static str,
    optional: bool,
    examples: Vec<(&'static str, Value)>,
}

struct Answer {
    status: u16,
    text: &'static str,
    headers: Vec<(&'static str, bool)>,
    content: Vec<(&'static str, Value, Value)>,
}

/// What a group of operations is described with.
pub(super) struct Describer<'g> {
    pub generator: &'g mut SchemaGenerator,
    pub found: Vec<Operation>,
}

impl Describer<'_> {
    /// A reference to a view's schema, which is added to the document.
    pub fn schema<T: JsonSchema>(&mut self) -> Value {
        self.generator.subschema_for::<T>().to_value()
    }

    /// `{"success": true, "data": …}`
    pub fn data<T: JsonSchema>(&mut self) -> Value {
        let data = self.schema::<T>();
        enveloped(data)
    }

    /// `{"success": true, "data": […], "nextCursor": …}`
    pub fn page<T: JsonSchema>(&mut self) -> Value {
        let item = self.schema::<T>();
        json!({
            "type": "object",
            "required": ["success", "data", "nextCursor"],
            "properties": {
                "success": {"type": "boolean", "const": true},
                "data": {"type": "array", "items": item},
                "nextCursor": {
                    "anyOf": [reference("Cursor"), {"type": "null"}],
                    "description": "null on the last page.",
                },
            },
        })
    }

    pub fn add(&mut self, operation: Operation) {
        self.found.push(operation);
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is made for this call")]
fn enveloped(data: Value) -> Value {
    json!({
        "type": "object",
        "required": ["success", "data"],
        "properties": {"success": {"type": "boolean", "const": true}, "data": data},
    })
}

impl Operation {
    /// `id` is its name for programs, `tag` the group that it is shown in.
    pub fn new(
        method: &'static str,
        path: &'static str,
        tag: &'static str,
        id: &'static str,
        summary: &'static str,
    ) -> Self {
        Self {
            method,
            path,
            id,
            tag,
            summary,
            text: "",
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
            answers: Vec::new(),
            refusals: Vec::new(),
            charged: false,
        }
    }

    /// What else there is to say, in Markdown.
    pub fn text(mut self, text: &'static str) -> Self {
        self.text = text;
        self
    }

    pub fn query(mut self, fields: Vec<QueryField>) -> Self {
        self.query = fields;
        self
    }

    /// A header that it reads; it is never required.
    pub fn header(mut self, name: &'static str, schema: &Value, text: &'static str) -> Self {
        let header = json!({"name": name, "in": "header", "schema": schema, "description": text});
        self.headers.push(header);
        self
    }

    /// A JSON body by its schema's name.
    pub fn body(mut self, schema: &'static str, examples: &[(&'static str, Value)]) -> Self {
        self.body = Some(Body {
            schema,
            optional: false,
            examples: examples.to_vec(),
        });
        self
    }

    /// The same for a body that may be missing.
    pub fn optional_body(self, schema: &'static str, examples: &[(&'static str, Value)]) -> Self {
        let mut operation = self.body(schema, examples);
        if let Some(body) = &mut operation.body {
            body.optional = true;
        }
        operation
    }

    /// An answer in JSON that is no error.
    pub fn answers(self, status: u16, text: &'static str, schema: Value, example: Value) -> Self {
        self.answers_with(status, text, vec![("application/json", schema, example)])
    }

    /// An answer in one of several media types: (type, schema, example).
    pub fn answers_with(
        mut self,
        status: u16,
        text: &'static str,
        content: Vec<(&'static str, Value, Value)>,
    ) -> Self {
        self.answers.push(Answer {
            status,
            text,
            headers: Vec::new(),
            content,
        });
        self
    }

    /// A header of the answer described last, and whether it is always there.
    pub fn with_header(mut self, name: &'static str, always: bool) -> Self {
        if let Some(answer) = self.answers.last_mut() {
            answer.headers.push((name, always));
        }
        self
    }

    /// A conditional request: 304 when what the client has is still so.
    pub fn conditional(mut self) -> Self {
        for answer in self.answers.iter_mut().filter(|answer| answer.status == 200) {
            answer.headers.push(("ETag", true));
        }
        let text = "The ETag of what you have: if it is still so, the answer is 304 without a body.";
        let mut operation = self.header("If-None-Match", &json!({"type": "string"}), text);
        operation = operation.answers_with(304, "What you have is still so.", Vec::new());
        operation.with_header("ETag", true)
    }

    /// A refusal that does not follow from the row, with what a person reads then.
    pub fn refuses(mut self, code: Code, message: &'static str) -> Self {
        self.refusals.push(Refusal::new(code, message));
        self
    }

    /// Its handler charges it to a budget.
    pub fn charged(mut self) -> Self {
        self.charged = true;
        self
    }

    /// As it stands in the document.
    pub fn render(&self, row: &Row) -> Value {
        let mut operation = Map::new();
        operation.insert("operationId".into(), self.id.into());
        operation.insert("tags".into(), json!([self.tag]));
        operation.insert("summary".into(), self.summary.into());
        let text = [self.text, &rights(row)].join("\n\n");
        operation.insert("description".into(), text.trim().into());
        operation.insert("security".into(), security(row));
        let parameters = self.parameters();
        if !parameters.is_empty() {
            operation.insert("parameters".into(), parameters.into());
        }
        if let Some(body) = &self.body {
            operation.insert("requestBody".into(), body.render());
        }
        operation.insert("responses".into(), self.responses(row));
        operation.insert("x-access".into(), row.access.name.into());
        operation.into()
    }

    fn parameters(&self) -> Vec<Value> {
        let query = self.query.iter().map(|field| {
            let mut parameter = json!({"name": field.name, "in": "query", "schema": field.schema});
            if field.required {
                parameter["required"] = true.into();
            }
            if field.schema["type"] == "array" {
                // `status=A,B`
                parameter["style"] = "form".into();
                parameter["explode"] = false.into();
            }
            parameter
        });
        let id = json!({"$ref": "#/components/parameters/RequestId"});
        path_parameters(self.path)
            .chain(query)
            .chain(self.headers.iter().cloned())
            .chain([id])
            .collect()
    }

    fn responses(&self, row: &Row) -> Value {
        let limited = self.is_limited(row);
        let mut responses = Map::new();
        for answer in &self.answers {
            let mut headers = vec![("X-Request-Id", true)];
            if limited {
                headers.extend(refusals::BUDGET.map(|name| (name, false)));
            }
            headers.extend(answer.headers.iter().copied());
            let content = answer.content.iter().map(|(kind, schema, example)| {
                let mut media = json!({"schema": schema});
                if !example.is_null() {
                    media["example"] = example.clone();
                }
                ((*kind).to_owned(), media)
            });
            let mut response = json!({"description": answer.text, "headers": refusals::headers(&headers)});
            if !answer.content.is_empty() && self.method != "HEAD" {
                response["content"] = content.collect::<Map<_, _>>().into();
            }
            responses.insert(answer.status.to_string(), response);
        }
        refusals::add(
            &mut responses,
            &self.refusals_of(row),
            Dialect::of(self.path),
            self.method,
        );
        responses.into()
    }

    fn is_limited(&self, row: &Row) -> bool {
        self.charged || row.class.is_some()
    }

    /// Everything that it can be refused with.
    fn refusals_of(&self, row: &Row) -> Vec<Refusal> {
        let mut found = self.refusals.clone();
        let mut also = |applies: bool, code: Code, message: &'static str| {
            if applies && found.iter().all(|known| known.code != code) {
                found.push(Refusal::new(code, message));
            }
        };
        let needs = |who| row.access.needs(who);
        let known = || Who::ALL.into_iter().filter(|who| *who != Who::Visitor);
        let reads = self.body.is_some() || !self.query.is_empty();
        also(
            reads,
            Code::ValidationFailed,
            "limit: must be a whole number from 1 to 100",
        );
        also(true, Code::Unauthenticated, "the token has expired");
        let forbids =
            self.is_limited(row) || known().any(|who| !matches!(needs(who), Needs::Nothing | Needs::Sight));
        also(forbids, Code::Forbidden, "Not authorized");
        also(!row.for_blocked(), Code::Blocked, "Blocked by the operators");
        also(self.path.contains("{id}"), Code::NotFound, "SOS not found");
        also(
            self.body.is_some(),
            Code::PayloadTooLarge,
            "The body may have at most 65536 bytes",
        );
        also(
            self.body.is_some(),
            Code::UnsupportedMediaType,
            "Content-Type must be application/json",
        );
        also(
            true,
            Code::UriTooLong,
            "The path and query may have at most 8192 bytes",
        );
        also(
            true,
            Code::HeadersTooLarge,
            "There may be at most 64 headers of 32768 bytes in all",
        );
        also(
            self.is_limited(row),
            Code::RateLimited,
            "Too many requests, come back later",
        );
        also(true, Code::Unavailable, "The store is not available");
        also(
            true,
            Code::Timeout,
            "The request took too long; it may have been carried out",
        );
        found
    }
}

impl Body {
    fn render(&self) -> Value {
        let examples = self
            .examples
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!({"value": value})));
        json!({
            "required": !self.optional,
            "content": {"application/json": {
                "schema": reference(self.schema),
                "examples": examples.collect::<Map<_, _>>(),
            }},
        })
    }
}

/// The names in a path.
pub(super) fn path_parameters(path: &'static str) -> impl Iterator<Item = Value> {
    path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        let (schema, text) = match name {
            "participant" => ("Participant", "Somebody in an incident."),
            "trip" => ("Room", "The trip."),
            "checkin" => ("", "A check-in."),
            "seq" => ("", "An event's place in the incident's log."),
            _ => ("Room", "The incident."),
        };
        let schema = match schema {
            "" => json!({"type": "integer", "minimum": 1}),
            name => reference(name),
        };
        Some(json!({
            "name": name, "in": "path", "required": true, "schema": schema, "description": text,
        }))
    })
}

/// Which credentials do, in the words of the document's security schemes. `{}` is none at all.
pub(super) fn security(row: &Row) -> Value {
    let takes = |who| row.access.needs(who) != Needs::Never;
    let mut ways = Vec::new();
    if takes(Who::Visitor) {
        ways.push(json!({}));
    }
    let person = [
        Who::Mission,
        Who::Citizen,
        Who::Rescuer,
        Who::Dispatcher,
        Who::Admin,
    ];
    if person.into_iter().any(takes) {
        ways.push(json!({"bearer": []}));
        ways.push(json!({"cookie": []}));
    }
    if takes(Who::Device) {
        ways.push(json!({"device": []}));
        ways.push(json!({"device": [], "deviceToken": []}));
    }
    if takes(Who::Service) {
        ways.push(json!({"internal": []}));
    }
    ways.into()
}

/// The row of the authorisation matrix, for a person.
fn rights(row: &Row) -> String {
    let of = |wanted: Needs| {
        let who = Who::ALL
            .into_iter()
            .filter(|who| row.access.needs(*who) == wanted);
        who.map(Who::as_str).collect::<Vec<_>>()
    };
    if of(Needs::Nothing).len() == Who::ALL.len() {
        return "Who may: everybody, with or without a credential.".to_owned();
    }
    let parts = [
        (Needs::Nothing, "always"),
        (Needs::Sight, "if the incident is shown to them"),
        (Needs::Part, "if they are or were in the incident"),
        (Needs::Place, "if they are in the incident"),
        (Needs::Aid, "if they are in the incident and did not raise it"),
        (Needs::NotOwn, "if they did not raise the incident"),
        (Needs::Own, "if they raised the incident"),
        (Needs::Never, "never"),
    ];
    let parts = parts.into_iter().filter_map(|(needs, when)| {
        let who = of(needs);
        (!who.is_empty()).then(|| format!("{}: {when}", who.join(", ")))
    });
    format!("Who may: {}.", parts.collect::<Vec<_>>().join("; "))
}
