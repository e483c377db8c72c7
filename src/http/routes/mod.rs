//! The REST routes: each parses, calls the engine's handle and renders. One file for each resource.
//!
//! Nothing here decides who may do what: credentials and budgets are the `gate`'s, rights and rules the
//! engine's. What a refusal looks like stands in `errors`, once.

mod contacts;
mod errors;
mod events;
mod messages;
mod operations;
mod params;
mod participants;
mod positions;
mod rooms;
mod scene;
mod sos;
mod status;
mod tickets;
mod uploads;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use actix_web::middleware::from_fn;
use actix_web::{HttpResponse, Route, web};

pub use operations::Readiness;

use super::error::{ApiError, Code};
use super::extract::BodyLimit;
use super::pages::{self, Pages};
use super::{gate, upgrade};
use crate::actors::{CommandError, Engine};
use crate::config::Config;
use crate::domain::ids::RoomId;
use crate::domain::people::Identity;
use crate::domain::room::{Rejection, RoomKind};
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
    pages: Arc<Pages>,
}

impl Api {
    /// Puts together what the routes hold.
    pub fn new(engine: Engine, metrics: Arc<Metrics>, readiness: Arc<Readiness>, config: &Config) -> Self {
        Self {
            engine,
            metrics,
            readiness,
            body_max: BodyLimit(config.http.body_max_bytes),
            batch_body_max: BodyLimit(config.http.batch_body_max_bytes),
            batch_max_fixes: config.locations.batch_max_fixes,
            pages: Pages::new(&config.pages),
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
        let node = self.engine.node();
        let rooms = node.memberships.get(&who.subject).await?;
        let is_one = match rooms.iter().find(|known| known.room == *room) {
            Some(known) => known.kind == RoomKind::Sos,
            None => node.store.incident(room).await?.is_some(),
        };
        if is_one {
            Ok(())
        } else {
            Err(Rejection::NotFound.into())
        }
    }
}

/// Adds every route, and the answer to paths that are none.
pub fn configure(api: web::Data<Api>) -> impl FnOnce(&mut web::ServiceConfig) {
    move |app| {
        app.app_data(api.body_max)
            .service(
                web::resource("/health")
                    .get(operations::health)
                    .head(operations::health),
            )
            .service(
                web::resource("/ready")
                    .get(operations::ready)
                    .head(operations::ready),
            )
            .service(web::resource("/metrics").get(operations::metrics));
        app.service(web::resource(upgrade::PATH).get(socket));
        pages::configure(&api.pages, app);
        circle(app, &api);
        app.service(web::scope("/api/v1").configure(incidents));
        app.default_service(web::to(async || {
            Err::<HttpResponse, _>(ApiError::not_found("Not found"))
        }));
        app.app_data(api);
    }
}

/// A request for the socket that does not ask for the upgrade; those that do never come here.
async fn socket() -> Result<HttpResponse, ApiError> {
    Err(ApiError::new(
        Code::UpgradeRequired,
        "This is a WebSocket: ask for an upgrade",
    ))
}

/// For circle clients: bare JSON.
fn circle(app: &mut web::ServiceConfig, api: &Api) {
    app.service(web::resource("/api/location").route(upload(web::post().to(uploads::location))))
        .service(
            web::resource("/api/location/batch")
                .app_data(api.batch_body_max)
                .route(upload(web::post().to(uploads::batch))),
        )
        .service(web::resource("/api/locations").route(general(web::get().to(positions::own))))
        .service(
            web::resource("/api/locations/contacts").route(general(web::get().to(positions::of_contacts))),
        )
        .service(web::resource("/api/rooms-info").route(general(web::get().to(rooms::info))))
        .service(
            web::resource("/api/contacts")
                .route(general(web::get().to(contacts::read)))
                .route(general(web::put().to(contacts::replace))),
        );
}

/// For incident clients: the envelope. Fixed words stand before the ids that would match them.
fn incidents(app: &mut web::ServiceConfig) {
    app.service(web::resource("/tickets").route(general(web::post().to(tickets::issue))))
        .service(
            web::resource("/sos")
                .route(general(web::get().to(sos::list)))
                .route(web::post().to(sos::create).wrap(from_fn(sos::answer_retries))),
        )
        .service(web::resource("/sos/{id}").route(general(web::get().to(sos::read))))
        .service(web::resource("/sos/{id}/status").route(general(web::patch().to(status::change))))
        .service(web::resource("/sos/{id}/cancel").route(general(web::post().to(status::cancel))))
        .service(web::resource("/sos/{id}/close").route(general(web::post().to(status::close))))
        .service(web::resource("/sos/{id}/location").route(upload(web::post().to(uploads::incident))))
        .service(web::resource("/sos/{id}/locations").route(general(web::get().to(positions::incident))))
        .service(
            web::resource("/sos/{id}/messages")
                .route(general(web::get().to(messages::list)))
                .route(general(web::post().to(messages::send))),
        )
        .service(web::resource("/sos/{id}/events").route(general(web::get().to(events::list))))
        .configure(participants);
}

fn participants(app: &mut web::ServiceConfig) {
    for (path, route) in [
        ("join", web::post().to(participants::join)),
        ("leave", web::post().to(participants::leave)),
        ("active", web::get().to(participants::active)),
        ("history", web::get().to(participants::history)),
        ("stats", web::get().to(participants::stats)),
        ("anonymous/count", web::get().to(participants::anonymous)),
        ("{participant}/leave", web::patch().to(participants::remove)),
        ("{participant}/check", web::get().to(participants::check)),
    ] {
        app.service(web::resource(format!("/sos/{{id}}/participants/{path}")).route(general(route)));
    }
    // Older clients know these two by another path.
    app.service(web::resource("/participants/{id}/stats").route(general(web::get().to(participants::stats))))
        .service(
            web::resource("/participants/{id}/anonymous/count")
                .route(general(web::get().to(participants::anonymous))),
        );
}

fn general(route: Route) -> Route {
    route.wrap(from_fn(gate::general))
}

fn upload(route: Route) -> Route {
    route.wrap(from_fn(gate::locations))
}
