//! Engine.IO and Socket.IO by the engine's own library, on a transport made for it: for conformance suites, and to
//! see what the library needs of whoever carries its bytes.
//!
//! `cargo run --example socketio_echo -- --port 3000 --ping-interval 300 --ping-timeout 200`
//!
//! `/engine.io/` says back what it hears. `/socket.io/` has the namespaces `/` and `/custom`: on connecting they emit
//! `auth` with what the client showed, answer `message` with `message-back` and acknowledge `message-with-ack`, with
//! the same arguments.

#[path = "socketio_echo/app.rs"]
mod app;
#[path = "socketio_echo/peer.rs"]
mod peer;
#[path = "socketio_echo/socket.rs"]
mod socket;

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use clap::Parser;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use mayday::wire::socketio::engine::{self, Entry, EntryError, Refusal, Session, Transport};
use mayday::wire::socketio::{Connection, Namespace, Settings};
use parking_lot::Mutex;
use tokio::net::TcpListener;

use app::App;
use peer::Peer;

#[derive(Parser)]
struct Options {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// From a pong to the next ping, in ms.
    #[arg(long, default_value_t = 25_000)]
    ping_interval: u64,
    /// How long a pong may take, in ms.
    #[arg(long, default_value_t = 20_000)]
    ping_timeout: u64,
    /// The largest body and message, in bytes.
    #[arg(long, default_value_t = 1_000_000)]
    max_payload: usize,
    /// How long a Socket.IO client may be connected to no namespace, in ms.
    #[arg(long, default_value_t = 45_000)]
    connect_timeout: u64,
}

/// All peers, by path and session id.
struct Server {
    settings: Arc<Settings>,
    peers: Mutex<HashMap<(String, String), Arc<Peer>>>,
}

type Answer = Response<Full<Bytes>>;

impl Server {
    fn new(options: &Options) -> Self {
        let custom = Namespace::new("/custom").expect("invariant: begins with a slash");
        let engine = engine::Settings {
            ping_interval: Duration::from_millis(options.ping_interval),
            ping_timeout: Duration::from_millis(options.ping_timeout),
            max_payload_bytes: options.max_payload,
            ..engine::Settings::default()
        };
        let settings = Settings {
            engine: Arc::new(engine),
            namespaces: vec![Namespace::MAIN, custom],
            connect_timeout: Duration::from_millis(options.connect_timeout),
            ..Settings::default()
        };
        Self {
            settings: Arc::new(settings),
            peers: Mutex::default(),
        }
    }

    async fn answer(self: Arc<Self>, mut request: Request<Incoming>) -> Answer {
        let path = request.uri().path().to_owned();
        if path != "/engine.io/" && path != "/socket.io/" {
            return answer(404, "text/plain", "Not found");
        }
        let query = request.uri().query().unwrap_or_default();
        let entry = match Entry::read(request.method().as_str(), query, socket::is_wanted(&request)) {
            Ok(entry) => entry,
            Err(error) => return refuse(&error.into()),
        };
        let peer = match entry.sid() {
            None => None,
            Some(sid) => match self.peer(&path, sid) {
                None => return refuse(&EntryError::UnknownSid.into()),
                peer => peer,
            },
        };
        match (entry, peer) {
            (Entry::Post(_), Some(peer)) => self.post(&peer, request).await,
            (Entry::Upgrade(_), Some(peer)) => match peer.attach() {
                Ok((id, frames)) => socket::accept(&mut request, self.max(), peer, Some(id), frames),
                Err(Refusal::Occupied) => socket::accept_and_close(&mut request, self.max()),
                Err(refusal) => refuse(&refusal),
            },
            (_, Some(peer)) => poll(&peer).await,
            (Entry::Open(Transport::WebSocket), None) => {
                let (peer, frames) = self.open(path, Transport::WebSocket);
                let id = peer.socket();
                socket::accept(&mut request, self.max(), peer, id, frames)
            }
            (_, None) => poll(&self.open(path, Transport::Polling).0).await,
        }
    }

    fn max(&self) -> usize {
        self.settings.engine.max_payload_bytes
    }

    fn peer(&self, path: &str, sid: &str) -> Option<Arc<Peer>> {
        let key = (path.to_owned(), sid.to_owned());
        self.peers.lock().get(&key).cloned()
    }

    /// A new peer, which is forgotten when its session ends.
    fn open(self: &Arc<Self>, path: String, transport: Transport) -> (Arc<Peer>, peer::Frames) {
        let (sid, now) = (fresh_id(), Instant::now());
        let app = if path == "/engine.io/" {
            let settings = Arc::clone(&self.settings.engine);
            App::Engine(Session::open(settings, sid.clone().into(), transport, now))
        } else {
            let settings = Arc::clone(&self.settings);
            App::SocketIo(Connection::open(settings, sid.clone().into(), transport, now))
        };
        let (peer, frames) = Peer::new(app);
        let key = (path, sid);
        self.peers.lock().insert(key.clone(), Arc::clone(&peer));
        let (server, minded) = (Arc::clone(self), Arc::clone(&peer));
        tokio::spawn(async move {
            minded.mind().await;
            server.peers.lock().remove(&key);
        });
        (peer, frames)
    }

    async fn post(&self, peer: &Arc<Peer>, request: Request<Incoming>) -> Answer {
        let kind = request.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok());
        let post = match peer.begin_post(kind) {
            Ok(post) => post,
            Err(refusal) => return refuse(&refusal),
        };
        let Ok(body) = Limited::new(request.into_body(), self.max()).collect().await else {
            return refuse(&Refusal::TooLarge);
        };
        match post.finish(body.to_bytes()) {
            Ok(()) => answer(200, "text/html", "ok"),
            Err(refusal) => refuse(&refusal),
        }
    }
}

async fn poll(peer: &Arc<Peer>) -> Answer {
    match peer.poll() {
        // Its session always answers a poll; it is given up when the client goes away.
        Ok(poll) => answer(200, "text/plain; charset=UTF-8", poll.answer().await),
        Err(refusal) => refuse(&refusal),
    }
}

fn answer(status: u16, kind: &str, body: impl Into<Bytes>) -> Answer {
    let response = Response::builder().status(status).header(CONTENT_TYPE, kind);
    let response = response.header(CACHE_CONTROL, "no-store");
    response
        .body(Full::new(body.into()))
        .expect("invariant: proper headers")
}

fn refuse(refusal: &Refusal) -> Answer {
    match refusal {
        Refusal::Entry(error) => answer(error.status(), "application/json", error.body()),
        Refusal::TooLarge => answer(413, "text/plain", ""),
        Refusal::Occupied => refuse(&EntryError::BadRequest.into()),
    }
}

/// An id that nobody guesses.
fn fresh_id() -> String {
    let mut bytes = [0; 15];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    URL_SAFE_NO_PAD.encode(bytes)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let options = Options::parse();
    let listener = TcpListener::bind((options.host.as_str(), options.port)).await?;
    println!("listening on {}", listener.local_addr()?);
    let server = Arc::new(Server::new(&options));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let server = Arc::clone(&server);
                async move { Ok::<_, Infallible>(server.answer(request).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            // A client that goes away in the middle of something is no news.
            let _ = connection.await;
        });
    }
}
