//! What every request goes through: it gets an id, a span and a time limit, its answer is counted, and its
//! error is put into the words that its client understands.

mod dress;
mod id;
mod in_flight;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};
use tracing::Instrument;

pub use dress::refusal;
pub use id::{RequestId, X_REQUEST_ID, id_of};

use self::dress::Dress;
use self::in_flight::InFlight;
use super::connections;
use super::error::{ApiError, Dialect};
use crate::telemetry::{Metrics, RouteClass};

/// What [`frame`] needs; the application's `web::Data`.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Where answers are counted.
    pub metrics: Arc<Metrics>,
    /// A request must be answered by then.
    pub timeout: Duration,
    /// How many requests are being answered.
    pub in_flight: Arc<AtomicUsize>,
}

/// The outermost middleware: `App::new().app_data(web::Data::new(Frame { … })).wrap(from_fn(frame))`.
///
/// # Errors
/// Only with a response inside that is ready to be sent.
pub async fn frame<B: MessageBody + 'static>(
    request: ServiceRequest,
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
    };
    // The path and the query stay out: they may hold what no log should.
    let span = tracing::info_span!("request", id = dress.id.as_str(), method = %request.method());

    let answered = tokio::time::timeout(frame.timeout, next.call(request))
        .instrument(span.clone())
        .await;
    let entered = span.enter();
    let (outcome, status) = match answered.unwrap_or_else(|_| Err(ApiError::timeout().into())) {
        Ok(response) => {
            let response = dress.response(response);
            note(response.status(), started, || response.request().match_pattern());
            let status = response.status();
            (Ok(response), status)
        }
        // The request went with the error, so there is nothing to make a whole answer of: the error takes
        // the ready response along.
        Err(error) => {
            let response = dress.error(error.error_response(), &error);
            let status = response.status();
            note(status, started, || None);
            (Err(InternalError::from_response(error, response).into()), status)
        }
    };
    drop(entered);
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

fn note(status: StatusCode, started: Instant, route: impl FnOnce() -> Option<String>) {
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
