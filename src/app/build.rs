//! One function builds the running engine; one ends it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix_server::{Server, ServerHandle};
use actix_web::web;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::capacity::Capacity;
use super::certificates::{CertificateError, Certificates};
use super::history::History;
use super::listeners::{Addresses, Services, Workers, listen};
use super::lock::DataLock;
use super::way::Way;
use super::{AppError, Opened, backup, notify, observe, open_store, secrets, settings, sister, way};
use crate::actors::engine::Parts;
use crate::actors::feed::Feed;
use crate::actors::notify::Notifier;
use crate::actors::{Clock, Engine, SystemClock};
use crate::config::{Config, Secrets};
use crate::delivery;
use crate::http::auth;
use crate::http::connections::Doors;
use crate::http::gate::Gate;
use crate::http::keys::KeyRing;
use crate::http::request::Frame;
use crate::http::routes::{Api, Readiness};
use crate::http::socketio::SocketIo;
use crate::http::upgrade::Upgrades;
use crate::store::{Embedded, Store};
use crate::telemetry::Metrics;

/// How often it looks whether what it waits for has happened.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long the last answers have to leave, in seconds; connections that are merely kept alive are not waited for.
const FAREWELL_S: u64 = 1;
/// The workers are there by then.
const START_WITHIN: Duration = Duration::from_secs(10);

/// An engine that runs.
pub struct Running {
    addresses: Addresses,
    config: Arc<Config>,
    engine: Engine,
    store: Arc<dyn Store>,
    way: Way,
    history: History,
    feed: Option<Feed>,
    notifier: Option<Notifier>,
    /// Others must not use the data folder meanwhile.
    _lock: DataLock,
    workers: Workers,
    in_flight: Arc<AtomicUsize>,
    /// Tells HTTP/2 connections to end.
    leave: watch::Sender<bool>,
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
        let lock = DataLock::take(&config.data.path)?;
        let secrets = secrets(&config)?;
        let way = way::open(&config).await?;
        let Opened { store, embedded } = open_store(&config).await?;
        let metrics = Arc::new(Metrics::new());
        let clock: auth::Clock = Arc::new(|| SystemClock.now());
        let keys = KeyRing::load(&config.auth, &secrets.jwt, &config.data.path, Arc::clone(&clock))?;
        if let Some(jwks) = keys.jwks() {
            actix_rt::spawn(Arc::clone(jwks).run());
        }
        let mut gate = Gate::new(&config, &secrets, Arc::new(keys), Arc::clone(&metrics), clock);
        if let Some(cluster) = way.cluster(&config) {
            gate = gate.sharing(cluster, secrets.device.current.reveal());
        }
        let gate = web::Data::new(gate);
        let sweeper = gate.clone();
        // Before anybody can be served: nobody slips in while the list is read.
        gate.blocks().load(&*store, SystemClock.now()).await?;
        let lookups = sister::lookups(&config, &secrets, &metrics)?;
        let engine = Engine::start(Parts {
            bus: way.bus(),
            blocks: Arc::clone(gate.blocks()),
            store: Arc::clone(&store),
            clock: Arc::new(SystemClock),
            settings: settings::actors(&config),
            observer: Arc::new(observe::Counting(Arc::clone(&metrics))),
            lookups,
            chores: vec![Box::new(move || sweeper.sweep())],
        });
        sister::contacts(&config, &secrets, engine.node(), &metrics)?;
        observe::register(&metrics, &engine, &store);
        way.register(&metrics);
        let observed = gate.clone();
        metrics.register_source(move |scrape| observed.observe(scrape));

        let history = History::start(&config, &way, &store, &metrics);
        let capacity = Capacity::new(config.http.connections_max);
        let counted = Arc::clone(&capacity);
        metrics.register_source(move |scrape| counted.observe(scrape));
        let tls = tls(&config, &metrics)?;
        let workers = Workers::default();
        let in_flight = Arc::new(AtomicUsize::new(0));
        let api = web::Data::new(Api::new(
            engine.clone(),
            Arc::clone(&metrics),
            Arc::new(Readiness::new(Arc::clone(&store), way.bus())),
            notify::links(&config, &secrets),
            notify::callbacks(&config, &metrics)?,
            &config,
        ));
        let doors = Doors::new(&config, Arc::clone(&metrics));
        let socketio = SocketIo::new(
            engine.clone(),
            gate.clone(),
            settings::socketio(&config),
            &secrets,
            &config,
        );
        let (observed, told) = (socketio.clone(), Arc::clone(&metrics));
        told.register_source(move |scrape| observed.observe(scrape));
        let frame = Frame::new(&config, Arc::clone(&metrics), Arc::clone(&in_flight));
        let limits = settings::transport(&config);
        let config = Arc::new(config);
        let (leave, leaving) = watch::channel(false);
        let services = Services {
            upgrades: Upgrades::new(
                engine.clone(),
                gate.clone(),
                limits,
                frame.clone(),
                &config,
                socketio.clone(),
            ),
            socketio,
            config: Arc::clone(&config),
            gate,
            api,
            frame,
            workers: Arc::clone(&workers),
            capacity,
            doors,
            leaving,
        };
        let server = Server::build()
            .workers(config.http.workers())
            .backlog(config.http.backlog)
            // Who is too many is told so; this must not keep them waiting before that.
            .max_concurrent_connections(config.http.connections_max.saturating_mul(2))
            .disable_signals()
            .shutdown_timeout(FAREWELL_S);
        let (server, addresses) = listen(server, &services, tls)?;
        let mut running = Self {
            addresses,
            handle: server.handle(),
            server: actix_rt::spawn(server),
            config,
            engine,
            store,
            way,
            history,
            feed: None,
            notifier: None,
            _lock: lock,
            workers,
            in_flight,
            leave,
            term,
            int,
        };
        running.settle().await?;
        running.start_telling(&secrets, &metrics)?;
        if let Some(embedded) = embedded {
            running.watch_restores(embedded);
        }
        Ok(running)
    }

    /// Tells the service that keeps incidents what happens, and people who are not connected, from what was left untold
    /// on.
    fn start_telling(&mut self, secrets: &Secrets, metrics: &Metrics) -> Result<(), AppError> {
        let first = self.workers.lock().first().map(|(_, arbiter)| arbiter.clone());
        if let Some(first) = first {
            let node = self.engine.node();
            self.feed = sister::feed(&self.config, secrets, node, metrics, &first)?;
            self.notifier = Some(notify::start(&self.config, secrets, node, metrics, &first)?);
        }
        Ok(())
    }

    /// Takes backups that are brought back while it runs; ends with this system.
    fn watch_restores(&self, store: Arc<Embedded>) {
        actix_rt::spawn(backup::watch(
            store,
            self.engine.clone(),
            Config::clone(&self.config),
        ));
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
        let Addresses { plain, tls } = self.addresses;
        let urls = [("http", plain), ("https", tls)];
        let urls: Vec<_> = urls
            .into_iter()
            .filter_map(|(scheme, address)| address.map(|address| format!("{scheme}://{address}")))
            .collect();
        for url in &urls {
            println!("listening on {url}");
        }
        let Some(url) = urls.first() else { return };
        println!("  try it   {url}/     the API  {url}/docs");
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
        let _ = self.leave.send(true);
        drain(&self.workers, &self.in_flight, &self.config).await;
        self.engine.flush().await;
        if let Some(feed) = self.feed {
            feed.close().await;
        }
        if let Some(notifier) = self.notifier {
            notifier.close().await;
        }
        handle.stop(true).await;
        let _ = server.await;
        self.history.close().await;
        self.way.close().await;
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

/// The certificate and how it is kept up to date; `None` when there is no TLS.
fn tls(config: &Config, metrics: &Metrics) -> Result<Option<TlsAcceptor>, AppError> {
    // Without TLS, too, SIGHUP must not end the process.
    let mut hangup = signal(SignalKind::hangup())?;
    let certificates = if config.tls.is_on() {
        Some(Certificates::load(&config.tls)?)
    } else {
        None
    };
    let kept = certificates.clone();
    // They were just read.
    let first = tokio::time::Instant::now() + config.tls.reload();
    let mut look = tokio::time::interval_at(first, config.tls.reload());
    actix_rt::spawn(async move {
        loop {
            let told = tokio::select! {
                _ = hangup.recv() => true,
                _ = look.tick(), if kept.is_some() => false,
            };
            let Some(certificates) = kept.clone() else {
                tracing::info!("SIGHUP: there is no certificate to load again");
                continue;
            };
            // Files may be slow, and this thread has other things to do.
            let work = move || {
                if told {
                    certificates.reload();
                } else {
                    certificates.refresh();
                }
            };
            let _ = actix_rt::task::spawn_blocking(work).await;
        }
    });
    let Some(certificates) = certificates else {
        return Ok(None);
    };
    let server = certificates
        .server_config(&config.tls, config.http.http2)
        .map_err(CertificateError::from)?;
    metrics.register_source(move |scrape| certificates.observe(scrape));
    Ok(Some(TlsAcceptor::from(Arc::new(server))))
}
