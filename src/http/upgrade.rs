//! WebSocket upgrades: authenticated and routed here, once, before the socket leaves HTTP.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_http::Request;
use actix_web::web::Data;

use super::connections;
use super::error::ApiError;
use super::gate::Gate;
use super::request::refusal;
use crate::actors::Engine;
use crate::config::Config;
use crate::delivery::{self, Hub};
use crate::transport::{self, Limits, Upgraded};

/// The endpoint of the JSON dialect.
pub const PATH: &str = "/api/ws";

const RETRY: Duration = Duration::from_secs(5);

/// Serves upgrade requests.
#[derive(Clone)]
pub struct Upgrades {
    engine: Engine,
    gate: Data<Gate>,
    limits: Limits,
    connections_max: usize,
}

impl Upgrades {
    /// Sessions go to `engine`; `gate` says who may have one.
    pub fn new(engine: Engine, gate: Data<Gate>, limits: Limits, config: &Config) -> Self {
        Self {
            engine,
            gate,
            limits,
            connections_max: config.http.connections_max,
        }
    }

    /// The bounds of a connection.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Takes one upgrade request to its session, or answers why not.
    ///
    /// # Errors
    /// Never: the request is answered in any case.
    pub async fn serve(self, request: &Request, framed: Upgraded, hub: &Hub) -> Result<(), Infallible> {
        connections::spoke();
        let admission = match self.admit(request) {
            Ok(admission) => admission,
            Err(error) => {
                transport::refuse(framed, refusal(error, request.head()).into()).await;
                return Ok(());
            }
        };
        match transport::accept(request.head(), framed, hub, &self.limits) {
            Ok((outbox, inbound)) => {
                let identity = Arc::clone(&admission.caller.identity);
                let expires_at = admission.caller.expires_at;
                self.engine
                    .connect(identity, expires_at, outbox, inbound, Box::new(admission.guard));
            }
            Err(bad) => bad.refuse().await,
        }
        Ok(())
    }

    fn admit(&self, request: &Request) -> Result<super::gate::Admission, ApiError> {
        if request.path() != PATH {
            return Err(ApiError::not_found(
                "There is no WebSocket here; it is at /api/ws",
            ));
        }
        if self.engine.node().is_draining() {
            return Err(ApiError::unavailable("The node is draining", RETRY));
        }
        let open = usize::try_from(delivery::stats().connections).unwrap_or(0);
        if open >= self.connections_max {
            return Err(ApiError::unavailable(
                "The node has all the connections it can take",
                RETRY,
            ));
        }
        self.gate.admit(request.head())
    }
}
