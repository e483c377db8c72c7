//! Socket.IO's way through HTTP: `/socket.io/`, by polling, by WebSocket, and from the one to the other.
//!
//! `polling` answers requests, `upgrade` makes WebSockets of them, `door` judges who asks for a namespace. The protocol is
//! `wire::socketio`'s, and each connection an actor's.

mod door;
mod pids;
mod polling;
mod upgrade;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use actix_http::RequestHead;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::Data;
use actix_web::{HttpResponse, http::StatusCode};
use bytestring::ByteString;
use dashmap::DashMap;

use self::door::SocketDoor;
use self::pids::Pids;
use super::error::ApiError;
use super::gate::Gate;
use crate::actors::Engine;
use crate::actors::clock::random;
use crate::actors::socketio::{Carrier, SocketIoActor, SocketIoSettings};
use crate::config::{Config, Secrets};
use crate::delivery::{self, Hub};
use crate::telemetry::Scrape;
use crate::wire::socketio::engine::{EntryError, Refusal};

pub use polling::configure;

/// Where it is; clients ask for it with the slash and without.
pub const PATHS: [&str; 2] = ["/socket.io/", "/socket.io"];

const RETRY: Duration = Duration::from_secs(5);

/// Whether a path is Socket.IO's.
pub fn is_path(path: &str) -> bool {
    PATHS.contains(&path)
}

/// Connections that are polled for, by their `sid`.
type Sessions = DashMap<ByteString, Addr<SocketIoActor>>;

/// What all workers share. Cheap to clone.
#[derive(Clone)]
pub struct SocketIo(Arc<Shared>);

struct Shared {
    engine: Engine,
    gate: Data<Gate>,
    settings: Arc<SocketIoSettings>,
    pids: Arc<Pids>,
    sessions: Arc<Sessions>,
    connections_max: usize,
    post_within: Duration,
}

impl SocketIo {
    /// Connections go to `engine`; `gate` says who may have one.
    pub fn new(
        engine: Engine,
        gate: Data<Gate>,
        settings: SocketIoSettings,
        secrets: &Secrets,
        config: &Config,
    ) -> Self {
        Self(Arc::new(Shared {
            engine,
            gate,
            settings: Arc::new(settings),
            pids: Arc::new(Pids::new(&secrets.device)),
            sessions: Arc::default(),
            connections_max: config.http.connections_max,
            post_within: config.http.request_timeout(),
        }))
    }

    /// Its numbers.
    pub fn observe(&self, scrape: &mut Scrape) {
        let polled = u64::try_from(self.0.sessions.len()).unwrap_or(u64::MAX);
        scrape.gauge(
            "mayday_socketio_polled_connections",
            "Socket.IO connections that were opened by polling and have not ended.",
            &[],
            polled,
        );
    }

    /// Whether one more connection can be taken, from where this request comes.
    fn make_room(&self, head: &RequestHead) -> Result<Place, ApiError> {
        if self.0.engine.node().is_draining() {
            return Err(ApiError::unavailable("The node is draining", RETRY));
        }
        let open = usize::try_from(delivery::stats().connections).unwrap_or(0);
        if open >= self.0.connections_max {
            return Err(ApiError::unavailable(
                "The node has all the connections it can take",
                RETRY,
            ));
        }
        let (address, guard) = self.0.gate.count_connection(head)?;
        let door = SocketDoor::new(self.0.gate.clone(), Arc::clone(&self.0.pids), address, head);
        Ok(Place {
            door: Box::new(door),
            guard: Box::new(guard),
        })
    }

    /// Starts a connection on this thread.
    fn start(&self, hub: &Hub, sid: ByteString, carrier: Carrier, place: Place) -> Addr<SocketIoActor> {
        let (node, batchers) = (self.0.engine.node(), self.0.engine.batchers());
        let Place { door, guard } = place;
        SocketIoActor::start(
            (node, batchers),
            &self.0.settings,
            hub,
            (sid, carrier),
            (door, guard),
        )
    }
}

/// Room for one more connection.
struct Place {
    door: Box<SocketDoor>,
    guard: Box<dyn Any>,
}

/// Takes a connection off the list when it ends.
struct Listed {
    sid: ByteString,
    sessions: Arc<Sessions>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.sessions.remove(&self.sid);
    }
}

/// A name for a connection that nobody guesses.
fn fresh_sid() -> ByteString {
    hex::encode(random::<16>()).into()
}

/// What a client is told whose request is refused.
fn refuse(error: &EntryError) -> HttpResponse {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(error.body())
}

/// The same, when the session refuses.
fn decline(refusal: &Refusal) -> HttpResponse {
    match refusal {
        Refusal::Entry(error) => refuse(error),
        Refusal::TooLarge => HttpResponse::PayloadTooLarge()
            .insert_header((CACHE_CONTROL, "no-store"))
            .finish(),
        Refusal::Occupied => refuse(&EntryError::BadRequest),
    }
}
