//! WebSocket upgrades: authenticated and routed here, once, before the socket leaves HTTP.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_http::Request;
use actix_web::web::Data;
use tokio::io::{AsyncRead, AsyncWrite};

use super::connections;
use super::error::ApiError;
use super::gate::Gate;
use super::hints::SocketPass;
use super::request::Frame;
use super::socketio::{self, SocketIo};
use crate::actors::{Credential, Engine};
use crate::config::Config;
use crate::delivery::{self, Hub, Socket};
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
    frame: Frame,
    connections_max: usize,
    socketio: SocketIo,
}

impl Upgrades {
    /// Sessions go to `engine`; `gate` says who may have one.
    pub fn new(
        engine: Engine,
        gate: Data<Gate>,
        limits: Limits,
        frame: Frame,
        config: &Config,
        socketio: SocketIo,
    ) -> Self {
        Self {
            engine,
            gate,
            limits,
            frame,
            connections_max: config.http.connections_max,
            socketio,
        }
    }

    /// The same for upgrades that come by TLS.
    #[must_use]
    pub fn over_tls(&self) -> Self {
        Self {
            frame: self.frame.over_tls(),
            ..self.clone()
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
    pub async fn serve<T>(self, request: &Request, framed: Upgraded<T>, hub: &Hub) -> Result<(), Infallible>
    where
        T: AsyncRead + AsyncWrite + Unpin + Into<Socket>,
    {
        connections::spoke();
        if socketio::is_path(request.path()) {
            self.socketio.serve(request, framed, hub, &self.frame).await;
            return Ok(());
        }
        self.gate.fetch_keys_for(request.head()).await;
        self.gate.fetch_ticket_for(request.head()).await;
        let admission = match self.admit(request) {
            Ok(admission) => admission,
            Err(error) => {
                let refusal = self.frame.refusal(error, request.head());
                transport::refuse(framed, refusal.into()).await;
                return Ok(());
            }
        };
        match transport::accept(request.head(), framed, hub, &self.limits) {
            Ok((outbox, inbound)) => {
                let credential = Credential {
                    identity: Arc::clone(&admission.caller.identity),
                    expires_at: admission.caller.expires_at,
                    judge: self.gate.clone().into_inner(),
                };
                let pass = SocketPass::new(self.gate.clone(), admission.caller, admission.address);
                let guard = Box::new(admission.guard);
                self.engine
                    .connect(credential, outbox, inbound, guard, Arc::new(pass));
            }
            Err(bad) => bad.refuse().await,
        }
        Ok(())
    }

    fn admit(&self, request: &Request) -> Result<super::gate::Admission, ApiError> {
        self.frame.check(request.head())?;
        if request.path() != PATH {
            return Err(ApiError::not_found(
                "There is no WebSocket here: they are at /api/ws and /socket.io/",
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
