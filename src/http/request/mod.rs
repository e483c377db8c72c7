//! What every request goes through: it gets an id, a span and a time limit, its answer is counted, and its
//! error is put into the words that its client understands.
//!
//! Here, too, is all of HTTP that is the same for every route: how large a head may be, what pages of other sites
//! may do, HEAD and OPTIONS, the headers that protect browsers, and answers made smaller.

mod bounds;
mod compress;
mod cors;
mod dress;
mod headers;
mod id;
mod in_flight;
mod methods;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use actix_http::RequestHead;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};
use futures_util::TryFutureExt as _;
use tracing::{Instrument, Span};

pub use id::{RequestId, X_REQUEST_ID, id_of};

use self::bounds::Bounds;
use self::compress::Compression;
use self::cors::Cors;
use self::dress::Dress;
use self::headers::Protection;
use self::in_flight::InFlight;
use super::connections;
use super::error::{ApiError, Dialect};
use super::forwarded::Forwarding;
use super::socketio;
use crate::config::Config;
use crate::telemetry::{Metrics, RouteClass};

/// What [`frame`] needs; the application's `web::Data`.
#[derive(Clone, Debug)]
pub struct Frame {
    metrics: Arc<Metrics>,
    timeout: Duration,
    poll_timeout: Duration,
    in_flight: Arc<AtomicUsize>,
    tls: bool,
    edge: Arc<Edge>,
}

/// What answers and refuses before a route is looked for, and what is added to every answer.
#[derive(Debug)]
struct Edge {
    bounds: Bounds,
    cors: Cors,
    protection: Protection,
    compression: Compression,
    forwarding: Forwarding,
}

impl Frame {
    /// Answers are counted in `metrics`; `in_flight` says how many requests are being answered.
    pub fn new(config: &Config, metrics: Arc<Metrics>, in_flight: Arc<AtomicUsize>) -> Self {
        Self {
            metrics,
            timeout: config.http.request_timeout(),
            poll_timeout: config.socketio.ping_interval() + config.socketio.ping_timeout(),
            in_flight,
            tls: false,
            edge: Arc::new(Edge {
                bounds: Bounds::new(&config.http),
                cors: Cors::new(config),
                protection: Protection::new(config),
                compression: Compression::new(config),
                forwarding: Forwarding::new(&config.http),
            }),
        }
    }

    /// The same for requests that come by TLS.
    #[must_use]
    pub fn over_tls(&self) -> Self {
        Self {
            tls: true,
            ..self.clone()
        }
    }

    /// How long a request may take. A poll waits for news, until its connection's heartbeat ends it.
    fn time_for(&self, path: &str) -> Duration {
        if socketio::is_path(path) {
            self.timeout + self.poll_timeout
        } else {
            self.timeout
        }
    }

    fn is_https(&self, head: &RequestHead) -> bool {
        self.tls || self.edge.forwarding.is_https(head)
    }
}

/// The outermost middleware: `App::new().app_data(web::Data::new(Frame::new(…))).wrap(from_fn(frame))`.
///
/// # Errors
/// Only with a response inside that is ready to be sent.
pub async fn frame<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let Some(frame) = request.app_data::<web::Data<Frame>>().cloned() else {
        tracing::error!("the application has no Frame");
        return Err(ApiError::internal().into());
    };
    let _counted = InFlight::one(&frame.in_flight);
    connections::spoke();
    let id = RequestId::of(request.headers().get(X_REQUEST_ID));
    request.extensions_mut().insert(id.clone());
    let class = RouteClass::of(Some(request.path()));
    let dress = Dress {
        dialect: Dialect::of(request.path()),
        id,
        method: request.method().clone(),
        https: frame.is_https(request.head()),
        asker: frame.edge.cors.asker(request.head()),
        edge: Arc::clone(&frame.edge),
    };
    // The path and the query stay out: they may hold what no log should.
    let span = tracing::info_span!("request", id = dress.id.as_str(), method = %dress.method);

    let edge = &frame.edge;
    let answered = if let Err(refused) = edge.bounds.check(request.head()) {
        Ok(request.error_response(refused))
    } else if let Some(told) = edge.cors.preflight(request.head(), &dress.asker) {
        Ok(request.into_response(told))
    } else {
        methods::head_is_get(&mut request);
        tokio::time::timeout(
            frame.time_for(request.path()),
            next.call(request).map_ok(ServiceResponse::map_into_boxed_body),
        )
        .instrument(span.clone())
        .await
        .unwrap_or_else(|_| Err(ApiError::timeout().into()))
    };
    let (outcome, status) = match answered {
        Ok(response) => {
            let response = dress.response(response).await;
            let status = response.status();
            note(&span, status, started, || response.request().match_pattern());
            (Ok(response), status)
        }
        // The request went with the error, so there is nothing to make a whole answer of: the error takes
        // the ready response along.
        Err(error) => {
            let response = dress.error(error.error_response(), &error);
            let status = response.status();
            note(&span, status, started, || None);
            (Err(InternalError::from_response(error, response).into()), status)
        }
    };
    let class = if status == StatusCode::NOT_FOUND && unmatched(&outcome) {
        RouteClass::Unknown
    } else {
        class
    };
    frame
        .metrics
        .http_request(class, status.as_u16(), started.elapsed());
    outcome
}

/// Only asked for answers that say "not found": finding the pattern costs as much as routing did.
fn unmatched(outcome: &Result<ServiceResponse<BoxBody>, Error>) -> bool {
    outcome
        .as_ref()
        .is_ok_and(|response| response.request().match_pattern().is_none())
}

fn note(span: &Span, status: StatusCode, started: Instant, route: impl FnOnce() -> Option<String>) {
    let _entered = span.enter();
    let ms = started.elapsed().as_millis();
    if status.is_server_error() {
        let route = route().unwrap_or_default();
        tracing::warn!(route, status = status.as_u16(), ms, "request failed");
    } else if tracing::enabled!(tracing::Level::DEBUG) {
        let route = route().unwrap_or_default();
        tracing::debug!(route, status = status.as_u16(), ms, "request answered");
    }
}

#[cfg(test)]
mod tests;
