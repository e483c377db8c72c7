//! From an accepted socket to the service that answers on it: plain or TLS, HTTP/1 or HTTP/2, one application for
//! them all.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ::h2::Reason;
use actix::{Arbiter, ArbiterHandle};
use actix_http::body::BoxBody;
use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive, Protocol, Request};
use actix_server::{Server, ServerBuilder};
use actix_service::boxed::{self, RcService};
use actix_service::{Service, ServiceFactory as _, fn_factory, fn_service, map_config};
use actix_web::dev::{AppConfig, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::{App, web};
use parking_lot::Mutex;
use socket2::{Domain, Protocol as SocketProtocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::AppError;
use super::capacity::{Capacity, Handshake, Listener, turn_away};
use crate::config::Config;
use crate::delivery::{self, Hub, HubHandle};
use crate::http::connections::{self, Doors, guarded};
use crate::http::gate::{self, Gate};
use crate::http::h2;
use crate::http::request::{Frame, frame};
use crate::http::routes::{self, Api};
use crate::http::socketio::{self, SocketIo};
use crate::http::upgrade::Upgrades;
use crate::transport::Upgraded;

/// How long a connection may take to end once it was asked to.
const DISCONNECT_WITHIN: Duration = Duration::from_secs(1);
/// What HTTP/2 begins with, as far as no request of HTTP/1 does.
const PREFACE: &[u8] = b"PRI * HTTP/2";

/// Each worker's writer and thread.
pub(super) type Workers = Arc<Mutex<Vec<(HubHandle, ArbiterHandle)>>>;

/// The routes with the frame round them.
type Application = RcService<Request, ServiceResponse<BoxBody>, actix_web::Error>;

thread_local! {
    /// The worker's hub, which all its listeners share.
    static HUB: std::cell::OnceCell<Hub> = const { std::cell::OnceCell::new() };
}

/// What each worker makes its services of.
#[derive(Clone)]
pub(super) struct Services {
    pub(super) config: Arc<Config>,
    pub(super) gate: web::Data<Gate>,
    pub(super) api: web::Data<Api>,
    pub(super) frame: Frame,
    pub(super) upgrades: Upgrades,
    pub(super) socketio: SocketIo,
    pub(super) workers: Workers,
    pub(super) capacity: Arc<Capacity>,
    /// How many connections each address may have.
    pub(super) doors: Doors,
    /// Turns true when everybody is let go.
    pub(super) leaving: watch::Receiver<bool>,
}

/// Where the engine listens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    pub(super) plain: Option<SocketAddr>,
    pub(super) tls: Option<SocketAddr>,
}

/// Binds what the settings ask for and adds it to the server.
pub(super) fn listen(
    mut server: ServerBuilder,
    services: &Services,
    tls: Option<TlsAcceptor>,
) -> Result<(Server, Addresses), AppError> {
    let config = &services.config;
    let mut addresses = Addresses {
        plain: None,
        tls: None,
    };
    if config.http.plain {
        let listener = bind(config, config.http.port)?;
        addresses.plain = Some(listener.local_addr()?);
        let services = services.clone();
        server = server.listen("plain", listener, move || {
            let services = services.clone();
            let doors = services.doors.clone();
            guarded(doors, fn_factory(move || services.clone().plain()), fault)
        })?;
    }
    if let Some(acceptor) = tls {
        let listener = bind(config, config.tls.port)?;
        addresses.tls = Some(listener.local_addr()?);
        let services = services.clone();
        server = server.listen("tls", listener, move || {
            let (services, acceptor) = (services.clone(), acceptor.clone());
            let doors = services.doors.clone();
            guarded(
                doors,
                fn_factory(move || services.clone().tls(acceptor.clone())),
                fault,
            )
        })?;
    }
    Ok((server.run(), addresses))
}

fn bind(config: &Config, port: u16) -> Result<TcpListener, AppError> {
    let address = format!("{}:{port}", config.http.host);
    let failed = |error| AppError::Listen {
        address: address.clone(),
        error,
    };
    let mut addresses = (config.http.host.as_str(), port)
        .to_socket_addrs()
        .map_err(failed)?;
    let first = addresses
        .next()
        .ok_or_else(|| failed(io::Error::new(io::ErrorKind::NotFound, "no such host")))?;
    let bind = || {
        let socket = Socket::new(
            Domain::for_address(first),
            Type::STREAM,
            Some(SocketProtocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        socket.bind(&first.into())?;
        socket.listen(i32::try_from(config.http.backlog).unwrap_or(i32::MAX))?;
        socket.set_nonblocking(true)?;
        Ok(TcpListener::from(socket))
    };
    bind().map_err(failed)
}

impl Services {
    /// The service of the listener without TLS.
    async fn plain(self) -> Result<impl Service<TcpStream, Response = (), Error = Fault>, ()> {
        let application = self.application(self.frame.clone()).await?;
        let http1 = self
            .clone()
            .http1::<TcpStream>(application.clone(), self.upgrades.clone())
            .await?;
        let limits = self.config.http.h2c.then(|| h2::Limits::new(&self.config.http));
        let (header_timeout, capacity, leaving) = (
            self.config.http.header_timeout(),
            self.capacity.clone(),
            self.leaving.clone(),
        );
        Ok(fn_service(move |socket: TcpStream| {
            let (http1, application, leaving) = (Rc::clone(&http1), application.clone(), leaving.clone());
            let inside = capacity.enter(Listener::Plain);
            async move {
                let Some(_inside) = inside else {
                    connections::spoke();
                    turn_away(socket).await;
                    return Ok(());
                };
                let peer = socket.peer_addr().ok();
                if let Some(limits) = limits
                    && timeout(header_timeout, begins_with_http2(&socket))
                        .await
                        .unwrap_or(false)
                {
                    Ok(h2::serve(socket, peer, &application, &limits, leaving).await?)
                } else {
                    Ok(http1.call((socket, Protocol::Http1, peer)).await?)
                }
            }
        }))
    }

    /// The service of the listener with TLS.
    async fn tls(
        self,
        acceptor: TlsAcceptor,
    ) -> Result<impl Service<TcpStream, Response = (), Error = Fault>, ()> {
        let application = self.application(self.frame.over_tls()).await?;
        let http1 = self
            .clone()
            .http1::<TlsStream<TcpStream>>(application.clone(), self.upgrades.over_tls())
            .await?;
        let limits = h2::Limits::new(&self.config.http);
        let turns = Rc::new(Semaphore::new(self.config.tls.handshakes_max));
        let within = self.config.tls.handshake_timeout();
        let (capacity, leaving) = (self.capacity.clone(), self.leaving.clone());
        Ok(fn_service(move |socket: TcpStream| {
            let (http1, application, leaving) = (Rc::clone(&http1), application.clone(), leaving.clone());
            let (acceptor, turns, capacity) = (acceptor.clone(), Rc::clone(&turns), Arc::clone(&capacity));
            async move {
                let Some(_inside) = capacity.enter(Listener::Tls) else {
                    return Ok(());
                };
                let Some(stream) = shake_hands(&acceptor, &turns, within, &capacity, socket).await else {
                    return Ok(());
                };
                let (socket, session) = stream.get_ref();
                let peer = socket.peer_addr().ok();
                if session.alpn_protocol() == Some(b"h2") {
                    Ok(h2::serve(stream, peer, &application, &limits, leaving).await?)
                } else {
                    Ok(http1.call((stream, Protocol::Http1, peer)).await?)
                }
            }
        }))
    }

    async fn application(&self, over: Frame) -> Result<Application, ()> {
        let app = App::new()
            .app_data(self.gate.clone())
            .app_data(web::Data::new(over))
            .configure(socketio::configure(self.socketio.clone(), self.hub()))
            .configure(routes::configure(self.api.clone()))
            .wrap(from_fn(gate::keys))
            .wrap(from_fn(frame));
        let app = map_config(app, |()| AppConfig::default());
        app.new_service(()).await.map(boxed::rc_service)
    }

    async fn http1<T>(
        self,
        application: Application,
        upgrades: Upgrades,
    ) -> Result<
        Rc<
            impl Service<
                (T, Protocol, Option<SocketAddr>),
                Response = (),
                Error = actix_http::error::DispatchError,
            >,
        >,
        (),
    >
    where
        T: AsyncRead + AsyncWrite + Unpin + Into<delivery::Socket> + 'static,
    {
        let (http, hub) = (&self.config.http, self.hub());
        let service = HttpService::build()
            .keep_alive(KeepAlive::Timeout(http.keep_alive()))
            .client_request_timeout(http.header_timeout())
            .client_disconnect_timeout(DISCONNECT_WITHIN)
            .upgrade(fn_service(move |(request, framed): (Request, Upgraded<T>)| {
                let (upgrades, hub) = (upgrades.clone(), hub.clone());
                async move { upgrades.serve(&request, framed, &hub).await }
            }))
            .finish(fn_factory(move || {
                let application = application.clone();
                async move { Ok::<_, ()>(application) }
            }));
        service.new_service(()).await.map(Rc::new)
    }

    /// This worker's hub.
    fn hub(&self) -> Hub {
        HUB.with(|hub| {
            hub.get_or_init(|| {
                let hub = Hub::start(self.upgrades.limits().hub());
                self.workers.lock().push((hub.handle(), Arbiter::current()));
                hub
            })
            .clone()
        })
    }
}

/// `None` when it came to nothing; a client that speaks something else is no news.
async fn shake_hands(
    acceptor: &TlsAcceptor,
    turns: &Semaphore,
    within: Duration,
    capacity: &Capacity,
    socket: TcpStream,
) -> Option<TlsStream<TcpStream>> {
    let handshake = async {
        let _turn = turns.acquire().await.map_err(io::Error::other)?;
        acceptor.accept(socket).await
    };
    match timeout(within, handshake).await {
        Ok(Ok(stream)) => {
            capacity.shook_hands(Handshake::Done);
            Some(stream)
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            capacity.shook_hands(Handshake::Failed);
            None
        }
        Err(_) => {
            capacity.shook_hands(Handshake::TimedOut);
            None
        }
    }
}

/// Looks at the first bytes without taking them. They come in one piece, as every client sends them, or it is not
/// what they are.
async fn begins_with_http2(socket: &TcpStream) -> bool {
    let mut first = [0; PREFACE.len()];
    matches!(socket.peek(&mut first).await, Ok(n) if n >= 3 && PREFACE.starts_with(&first[..n]))
}

/// Why a connection ended that did not end well.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Http1(#[from] DispatchError),
    #[error(transparent)]
    Http2(#[from] ::h2::Error),
}

/// What that says of the client.
fn fault(fault: &Fault) -> Option<&'static str> {
    match fault {
        Fault::Http1(error) => connections::fault(error),
        Fault::Http2(error) if error.reason() == Some(Reason::ENHANCE_YOUR_CALM) => Some("http2_flood"),
        Fault::Http2(error) if error.is_library() => Some("malformed"),
        Fault::Http2(_) => None,
    }
}
