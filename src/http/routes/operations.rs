//! For whoever runs the process: whether it lives, whether it may be sent work, and its numbers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::header::{CONTENT_TYPE, RETRY_AFTER};
use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::Mutex;

use super::Api;
use crate::actors::notify::Notifier;
use crate::bus::{Bus, Health};
use crate::store::Store;

/// An answer of the store is believed for this long: `ping` writes, and probes must not be a load.
const BELIEVED_FOR: Duration = Duration::from_secs(1);
/// A store that does not answer by then is away.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether the store takes writes, as far as that is known.
pub struct Readiness {
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    /// When the store was asked last, and whether it was well. Held while asking, so that one asks for all.
    asked: Mutex<Option<(Instant, bool)>>,
}

impl Readiness {
    /// Ready as long as `store` takes writes and `bus`, if there are other nodes, reaches them.
    pub fn new(store: Arc<dyn Store>, bus: Arc<dyn Bus>) -> Self {
        Self {
            store,
            bus,
            asked: Mutex::new(None),
        }
    }

    fn bus_is_well(&self) -> bool {
        self.bus.health() != Health::Away
    }

    async fn store_is_well(&self) -> bool {
        let mut asked = self.asked.lock().await;
        if let Some((at, well)) = *asked
            && at.elapsed() < BELIEVED_FOR
        {
            return well;
        }
        let answer = tokio::time::timeout(PATIENCE, self.store.ping()).await;
        let well = matches!(answer, Ok(Ok(())));
        if !well {
            tracing::warn!("the store does not take writes");
        }
        *asked = Some((Instant::now(), well));
        well
    }
}

/// `GET /health` and `GET /ready`
#[derive(Serialize, JsonSchema)]
pub(super) struct Status {
    /// `ok`, `ready` or `unavailable`.
    status: &'static str,
    /// What keeps it from working: `draining`, `store`, `redis`. Without Redis alone it serves its own clients still,
    /// and nobody hears of other nodes'.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failing: Vec<&'static str>,
    /// The vendors that carry messages to people who are not connected, by channel in the order in which they are tried. A
    /// channel that is not there is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    channels: Option<BTreeMap<&'static str, Vec<&'static str>>>,
}

/// `GET /health`
pub(super) async fn health() -> HttpResponse {
    HttpResponse::Ok().json(Status {
        status: "ok",
        failing: vec![],
        channels: None,
    })
}

/// `GET /ready`
pub(super) async fn ready(api: web::Data<Api>) -> HttpResponse {
    let mut failing = Vec::new();
    if api.engine.node().is_draining() {
        failing.push("draining");
    }
    if !api.readiness.store_is_well().await {
        failing.push("store");
    }
    if !api.readiness.bus_is_well() {
        failing.push("redis");
    }
    if failing.is_empty() {
        let status = "ready";
        return HttpResponse::Ok().json(Status {
            status,
            failing,
            channels: Some(channels(&api)),
        });
    }
    HttpResponse::ServiceUnavailable()
        .insert_header((RETRY_AFTER, BELIEVED_FOR.as_secs()))
        .json(Status {
            status: "unavailable",
            failing,
            channels: Some(channels(&api)),
        })
}

/// The vendors that are on.
fn channels(api: &Api) -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let vendors = api.engine.node().notifier.get().map(Notifier::vendors);
    for (vendor, ..) in vendors.unwrap_or_default() {
        found
            .entry(vendor.channel().as_str())
            .or_default()
            .push(vendor.as_str());
    }
    found
}

/// `GET /metrics`
pub(super) async fn metrics(api: web::Data<Api>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"))
        .body(api.metrics.render())
}
