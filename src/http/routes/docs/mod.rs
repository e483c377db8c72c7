//! The documents: OpenAPI 3.1 of the routes at `/openapi.json`, AsyncAPI 3.0 of the WebSocket at
//! `/asyncapi.json`, and a page to read both at `/docs`.
//!
//! They are made of what the engine goes by: routes, rights and budgets from the route table, schemas from the
//! views that are serialized and from beside the readers, with the same bounds, errors from the code that answers
//! them. The black-box tests hold every answer and every frame to them.

mod asyncapi;
mod circle;
mod conduct;
mod incidents;
mod openapi;
mod operation;
mod own;
mod page;
mod people;
mod realtime;
mod refusals;
mod safety;
mod services;
mod upkeep;

use std::sync::OnceLock;

use actix_web::http::header::{CACHE_CONTROL, ETAG, HeaderValue, IF_NONE_MATCH};
use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Api;
use crate::config::Config;

pub use asyncapi::asyncapi;
pub use openapi::openapi;
pub(super) use page::{page, script, style};

/// The documents of this node: they tell its own limits. Each is made when it is asked for first.
pub struct Documents {
    config: Config,
    openapi: OnceLock<Served>,
    asyncapi: OnceLock<Served>,
}

/// Bytes that do not change while the process runs.
struct Served {
    bytes: Bytes,
    etag: HeaderValue,
}

impl Served {
    fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let digest = hex::encode(&Sha256::digest(&bytes)[..16]);
        let etag = HeaderValue::from_str(&format!("\"{digest}\""));
        Self {
            bytes,
            etag: etag.expect("invariant: hex digits in quotes are a header's value"),
        }
    }

    fn document(document: &Value) -> Self {
        Self::new(document.to_string())
    }

    /// The bytes, or 304 to a client that has them.
    fn answer(&self, request: &HttpRequest, kind: &'static str) -> HttpResponse {
        let mut response = if self.is_known(request) {
            HttpResponse::NotModified()
        } else {
            HttpResponse::Ok()
        };
        response
            .insert_header((ETAG, self.etag.clone()))
            .insert_header((CACHE_CONTROL, "no-cache"));
        if self.is_known(request) {
            return response.finish();
        }
        response.content_type(kind).body(self.bytes.clone())
    }

    fn is_known(&self, request: &HttpRequest) -> bool {
        let known = request.headers().get_all(IF_NONE_MATCH);
        known
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|tag| tag.trim().trim_start_matches("W/"))
            .any(|tag| tag == "*" || tag.as_bytes() == self.etag.as_bytes())
    }
}

impl Documents {
    /// Those of a node with these settings.
    pub fn new(config: &Config) -> Self {
        Self {
            config: config.clone(),
            openapi: OnceLock::new(),
            asyncapi: OnceLock::new(),
        }
    }
}

/// `GET /openapi.json`
pub(super) async fn read_openapi(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let documents = &api.documents;
    let make = || Served::document(&openapi(&documents.config));
    documents
        .openapi
        .get_or_init(make)
        .answer(&request, "application/json")
}

/// `GET /asyncapi.json`
pub(super) async fn read_asyncapi(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let documents = &api.documents;
    let make = || Served::document(&asyncapi(&documents.config));
    documents
        .asyncapi
        .get_or_init(make)
        .answer(&request, "application/json")
}
