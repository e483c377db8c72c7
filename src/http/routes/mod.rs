//! The REST routes: each parses, calls the engine's handle and renders. One file for each resource.
//!
//! Which routes there are, and who may use them, stands in `table`. Nothing else here decides who may do what:
//! credentials and budgets are the `gate`'s, rules the engine's. What a refusal looks like stands in `errors`, once.

mod callbacks;
mod check_ins;
mod conduct;
mod contacts;
mod devices;
pub mod docs;
mod errors;
mod events;
mod messages;
mod notifications;
mod operations;
mod otp;
mod outbox;
mod params;
mod participants;
mod pin;
mod positions;
mod rooms;
mod scene;
mod services;
mod sos;
mod status;
pub mod table;
mod tickets;
mod trips;
mod uploads;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::{HttpResponse, Resource, web};

pub use callbacks::VendorCalls;
use docs::Documents;
pub use operations::Readiness;
use table::{Body, ROWS, Row};
use tokio::sync::Semaphore;

use super::error::{ApiError, Code};
use super::extract::BodyLimit;
use super::links::SignedLinks;
use super::pages::{self, Pages};
use super::{gate, upgrade};
use crate::actors::{CommandError, Engine};
use crate::config::{self, Config, OutsideArea};
use crate::domain::bounds::ServiceArea;
use crate::domain::ids::RoomId;
use crate::domain::people::Identity;
use crate::domain::time::Timestamp;
use crate::telemetry::Metrics;
use crate::wire::Reading;

/// The longest message, in characters (protocol page, section 3).
const CONTENT_MAX_CHARS: usize = 2000;

/// What the routes hold. The application gives it to [`configure`]; beside it they need the `web::Data` of
/// `gate::Gate`, and of `request::Frame` for the middleware round them.
pub struct Api {
    engine: Engine,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    body_max: BodyLimit,
    batch_body_max: BodyLimit,
    batch_max_fixes: usize,
    trips: config::Trips,
    pages: Arc<Pages>,
    exports: Arc<Semaphore>,
    export_timeout: Duration,
    service_area: ServiceArea,
    outside_area: OutsideArea,
    documents: Documents,
    /// Reads the links in messages.
    links: SignedLinks,
    /// Believes vendors, or does not.
    calls: Arc<VendorCalls>,
    /// By which pages look that those see who were called.
    reader: Arc<Identity>,
}

impl Api {
    /// Puts together what the routes hold.
    pub fn new(
        engine: Engine,
        metrics: Arc<Metrics>,
        readiness: Arc<Readiness>,
        links: SignedLinks,
        calls: Arc<VendorCalls>,
        config: &Config,
    ) -> Self {
        Self {
            engine,
            metrics,
            readiness,
            body_max: BodyLimit(config.http.body_max_bytes),
            batch_body_max: BodyLimit(config.http.batch_body_max_bytes),
            batch_max_fixes: config.locations.batch_max_fixes,
            trips: config.trips.clone(),
            pages: Pages::new(&config.pages),
            exports: Arc::new(Semaphore::new(config.devices.exports_max)),
            export_timeout: config.devices.export_timeout(),
            service_area: config.abuse.service_area.clone(),
            outside_area: config.abuse.outside_area,
            documents: Documents::new(config),
            links,
            calls,
            reader: crate::actors::notify::operator(),
        }
    }

    fn now(&self) -> Timestamp {
        self.engine.node().now()
    }

    /// What a body must be read by.
    fn reading(&self, now: Timestamp) -> Reading {
        let settings = &self.engine.node().settings;
        Reading {
            now,
            max_ahead: settings.locations.max_ahead,
            radius_max_km: settings.radius_max_km,
            content_max_chars: CONTENT_MAX_CHARS,
        }
    }

    /// Refuses a room that is no incident: this API does not reach into circles.
    async fn incident(&self, room: &RoomId, who: &Identity) -> Result<(), CommandError> {
        self.engine.node().incident(room, who).await
    }
}

/// Adds every route, and the answer to paths that are none.
pub fn configure(api: web::Data<Api>) -> impl FnOnce(&mut web::ServiceConfig) {
    move |app| {
        app.app_data(api.body_max);
        let mut rest = ROWS;
        while let Some(first) = rest.first() {
            let same = rest.iter().take_while(|row| row.path == first.path).count();
            let (rows, others) = rest.split_at(same);
            app.service(resource(rows, &api));
            rest = others;
        }
        app.service(web::resource(upgrade::PATH).get(socket));
        // Beside the table: whoever comes to a page needs no credential, and an old cookie keeps nobody from it.
        pages::configure(&api.pages, app);
        callbacks::configure(app);
        app.default_service(web::to(async || {
            Err::<HttpResponse, _>(ApiError::not_found("Not found"))
        }));
        app.app_data(api);
    }
}

/// The routes of one path.
fn resource(rows: &'static [Row], api: &Api) -> Resource {
    let mut resource = web::resource(rows[0].path);
    if rows.iter().any(|row| row.body == Body::Batch) {
        resource = resource.app_data(api.batch_body_max);
    }
    for row in rows {
        // The last one wrapped is the first one passed: who is never served is charged all the same.
        let route = row.route().wrap(from_fn(|request, next| {
            gate::admit(&row.access, row.for_blocked(), request, next)
        }));
        resource = resource.route(match row.class {
            Some(class) => route.wrap(from_fn(move |request, next| gate::charge(class, request, next))),
            None => route,
        });
    }
    resource
}

/// A request for the socket that does not ask for the upgrade; those that do never come here.
async fn socket() -> Result<HttpResponse, ApiError> {
    Err(ApiError::new(
        Code::UpgradeRequired,
        "This is a WebSocket: ask for an upgrade",
    ))
}
