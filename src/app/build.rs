//! One function builds the running engine; one ends it.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix::{Arbiter, ArbiterHandle};
use actix_http::{HttpService, KeepAlive, Request};
use actix_server::{Server, ServerHandle};
use actix_service::{fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::middleware::from_fn;
use actix_web::{App, web};
use parking_lot::Mutex;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

use super::{AppError, observe, open_store, secrets, settings};
use crate::actors::engine::Parts;
use crate::actors::{Clock, Engine, SystemClock};
use crate::config::Config;
use crate::delivery::{self, Hub, HubHandle};
use crate::http::connections::{Doors, fault, guarded};
use crate::http::gate::Gate;
use crate::http::request::{Frame, frame};
use crate::http::routes::{self, Api, Readiness};
use crate::http::upgrade::Upgrades;
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::transport::Upgraded;

/// How often it looks whether what it waits for has happened.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long the last answers have to leave, in seconds; connections that are merely kept alive are not waited for.
const FAREWELL_S: u64 = 1;
/// The workers are there by then.
const START_WITHIN: Duration = Duration::from_secs(10);

/// Each worker's writer and thread.
type Workers = Arc<Mutex<Vec<(HubHandle, ArbiterHandle)>>>;

/// An engine that runs.
pub struct Running {
    address: SocketAddr,
    config: Config,
    engine: Engine,
    store: Arc<dyn Store>,
    workers: Workers,
    in_flight: Arc<AtomicUsize>,
    term: Signal,
    int: Signal,
    handle: ServerHandle,
    server: JoinHandle<std::io::Result<()>>,
}

impl Running {
    /// Starts everything. Needs a running actix system.
    ///
    /// # Errors
    /// When a secret, the store or the port cannot be had.
    pub async fn start(config: Config) -> Result<Self, AppError> {
        // Before anybody is told that it runs: from then on it may be told to stop.
        let (term, int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let secrets = secrets(&config)?;
        let embedded = open_store(&config)?;
        let store: Arc<dyn Store> = Arc::clone(&embedded) as Arc<dyn Store>;
        let metrics = Arc::new(Metrics::new());
        let gate = web::Data::new(Gate::new(
            &config,
            &secrets,
            Arc::clone(&metrics),
            Arc::new(|| SystemClock.now()),
        ));
        let sweeper = gate.clone();
        let engine = Engine::start(Parts {
            store: Arc::clone(&store),
            clock: Arc::new(SystemClock),
            settings: settings::actors(&config),
            observer: Arc::new(observe::Counting(Arc::clone(&metrics))),
            chores: vec![Box::new(move || sweeper.sweep())],
        });
        observe::register(&metrics, &engine, &embedded);
        let observed = gate.clone();
        metrics.register_source(move |scrape| observed.observe(scrape));

        let listener = listen(&config)?;
        let address = listener.local_addr()?;
        let workers = Workers::default();
        let in_flight = Arc::new(AtomicUsize::new(0));
        let api = web::Data::new(Api::new(
            engine.clone(),
            Arc::clone(&metrics),
            Arc::new(Readiness::new(Arc::clone(&store))),
            &config,
        ));
        let upgrades = Upgrades::new(
            engine.clone(),
            gate.clone(),
            settings::transport(&config),
            &config,
        );
        let doors = Doors::new(&config, Arc::clone(&metrics));
        let request = web::Data::new(Frame {
            metrics,
            timeout: config.http.request_timeout(),
            in_flight: Arc::clone(&in_flight),
        });
        let (http, known_hubs) = (config.http.clone(), Arc::clone(&workers));
        let server = Server::build()
            .workers(config.http.workers())
            .backlog(config.http.backlog)
            .max_concurrent_connections(config.http.connections_max)
            .disable_signals()
            .shutdown_timeout(FAREWELL_S)
            .listen("mayday", listener, move || {
                let hub = Hub::start(upgrades.limits().hub());
                known_hubs.lock().push((hub.handle(), Arbiter::current()));
                let (gate, api, request) = (gate.clone(), api.clone(), request.clone());
                let app = App::new()
                    .app_data(gate)
                    .app_data(request)
                    .configure(routes::configure(api))
                    .wrap(from_fn(frame));
                let upgrades = upgrades.clone();
                let service = HttpService::build()
                    .keep_alive(KeepAlive::Timeout(http.keep_alive()))
                    .client_request_timeout(http.header_timeout())
                    .client_disconnect_timeout(Duration::from_secs(1))
                    .upgrade(fn_service(move |(request, framed): (Request, Upgraded)| {
                        let (upgrades, hub) = (upgrades.clone(), hub.clone());
                        async move { upgrades.serve(&request, framed, &hub).await }
                    }))
                    .finish(map_config(app, |()| AppConfig::default()))
                    .tcp();
                guarded(doors.clone(), service, fault)
            })?
            .run();
        let running = Self {
            address,
            handle: server.handle(),
            server: actix_rt::spawn(server),
            config,
            engine,
            store,
            workers,
            in_flight,
            term,
            int,
        };
        running.settle().await?;
        Ok(running)
    }

    /// Waits for the workers, whose threads the actors share unless they have their own.
    async fn settle(&self) -> Result<(), AppError> {
        let wanted = self.config.http.workers();
        let until = Instant::now() + START_WITHIN;
        while self.workers.lock().len() < wanted {
            if self.server.is_finished() || Instant::now() > until {
                return Err(std::io::Error::other("the workers did not start").into());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.engine.run_on(
            self.workers
                .lock()
                .iter()
                .map(|(_, arbiter)| arbiter.clone())
                .collect(),
        );
        Ok(())
    }

    /// Says on standard output where to look, with an example to paste.
    pub fn announce(&self) {
        let url = format!("http://{}", self.address);
        println!("listening on {url}");
        println!("  health   {url}/health     metrics  {url}/metrics");
        println!("  data     {}", self.config.data.path.display());
        println!("  a first SOS:");
        println!(
            "  curl -s {url}/api/v1/sos -H 'X-Device-ID: 0b8f9d4e-6a53-4c1f-9a77-3d2f1e5c8b60' \\\n    \
             -H 'Content-Type: application/json' \\\n    \
             -d '{{\"type\":\"MEDICAL\",\"message\":\"I fell and cannot stand up\",\
             \"location\":{{\"latitude\":14.5995,\"longitude\":120.9842}}}}'"
        );
    }

    /// Runs until SIGTERM or SIGINT, then lets everybody go and everything be written.
    ///
    /// # Errors
    /// When the server fails.
    pub async fn until_told(self) -> Result<(), AppError> {
        let (handle, mut server) = (self.handle, self.server);
        let (mut term, mut int) = (self.term, self.int);
        tokio::select! {
            _ = term.recv() => tracing::info!("told to stop"),
            _ = int.recv() => tracing::info!("interrupted"),
            ended = &mut server => return ended.unwrap_or_else(|e| Err(std::io::Error::other(e))).map_err(AppError::from),
        }
        self.engine.drain();
        drain(&self.workers, &self.in_flight, &self.config).await;
        self.engine.flush().await;
        handle.stop(true).await;
        let _ = server.await;
        self.store.close().await;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Sends connections away, spread over time, and waits for the last one and for requests that are being answered,
/// at most as long as the grace.
async fn drain(workers: &Workers, in_flight: &AtomicUsize, config: &Config) {
    for (hub, _) in workers.lock().iter() {
        hub.drain(config.drain.spread());
    }
    let until = Instant::now() + config.drain.grace();
    let busy = || delivery::stats().connections > 0 || in_flight.load(Ordering::Acquire) > 0;
    while busy() && Instant::now() < until {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn listen(config: &Config) -> Result<TcpListener, AppError> {
    let address = format!("{}:{}", config.http.host, config.http.port);
    let failed = |error| AppError::Listen {
        address: address.clone(),
        error,
    };
    let mut addresses = (config.http.host.as_str(), config.http.port)
        .to_socket_addrs()
        .map_err(failed)?;
    let first = addresses
        .next()
        .ok_or_else(|| failed(std::io::Error::new(std::io::ErrorKind::NotFound, "no such host")))?;
    let bind = || {
        let socket = Socket::new(Domain::for_address(first), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&first.into())?;
        socket.listen(i32::try_from(config.http.backlog).unwrap_or(i32::MAX))?;
        socket.set_nonblocking(true)?;
        Ok(TcpListener::from(socket))
    };
    bind().map_err(failed)
}
