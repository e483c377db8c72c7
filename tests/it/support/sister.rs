//! The service that keeps incidents, as far as the engine speaks to it: it notes what it is asked, answers as it is
//! told, and fails in every way that services fail. It lives on a thread of its own, so that a test which waits for a
//! process does not keep it from answering.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::engine::{DEADLINE, Engine};
use super::eventually;

/// What it wants to see.
pub const TOKEN: &str = "the-token-of-the-sos-service-0123456789-abcdef";

/// By which what it is told is signed.
pub const SIGNING: &str = "the-signing-secret-of-the-sos-service-0123456789";

/// One request, as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub headers: HashMap<String, String>,
    pub body: String,
    pub at: Instant,
}

impl Asked {
    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// What it does when it is asked.
#[derive(Clone, Debug)]
pub enum Mood {
    /// Answers with this status, these headers and this body.
    Answers(u16, Vec<(&'static str, String)>, String),
    /// Does so after a while.
    Slowly(Duration, Box<Mood>),
    /// Hangs up without an answer.
    HangsUp,
    /// Hangs up in the middle of an answer.
    BreaksOff,
    /// Says nothing, for ever.
    Hangs,
}

impl Mood {
    /// An answer with this body.
    pub fn json(body: &Value) -> Self {
        Self::Answers(200, vec![], body.to_string())
    }

    /// An answer without a body.
    pub fn status(status: u16) -> Self {
        Self::Answers(status, vec![], String::new())
    }

    /// An answer that says when to come back.
    pub fn later(status: u16, seconds: u64) -> Self {
        Self::Answers(status, vec![("Retry-After", seconds.to_string())], String::new())
    }
}

type Script = Box<dyn FnMut(&Asked) -> Mood + Send>;

struct State {
    asked: Vec<Asked>,
    script: Script,
}

/// A running service. It ends when this is dropped.
pub struct SosService {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl SosService {
    /// One that does this.
    pub fn that(script: impl FnMut(&Asked) -> Mood + Send + 'static) -> Self {
        let state = State {
            asked: vec![],
            script: Box::new(script),
        };
        let mut service = Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            state: Arc::new(Mutex::new(state)),
            stop: None,
            thread: None,
        };
        service.starts();
        service
    }

    /// Starts to listen, where it did before if it did.
    pub fn starts(&mut self) {
        assert!(self.thread.is_none(), "it listens");
        let (address, state) = (self.address, Arc::clone(&self.state));
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async move {
                let socket =
                    socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
                socket.set_reuse_address(true).unwrap();
                socket.set_nonblocking(true).unwrap();
                socket.bind(&address.into()).unwrap();
                socket.listen(1024).unwrap();
                let listener = TcpListener::from_std(socket.into()).unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                let serve = async {
                    while let Ok((socket, _)) = listener.accept().await {
                        tokio::spawn(serve(socket, Arc::clone(&state)));
                    }
                };
                tokio::select! {
                    () = serve => {}
                    _ = stopped => {}
                }
            });
        });
        self.address = told.recv_timeout(DEADLINE).expect("the service listens");
        (self.stop, self.thread) = (Some(stop), Some(thread));
    }

    /// Is gone: nobody listens there any more, and open connections end.
    pub fn ends(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    /// From now on it does this.
    pub fn does(&self, script: impl FnMut(&Asked) -> Mood + Send + 'static) {
        self.state.lock().unwrap().script = Box::new(script);
    }

    /// From now on it does this, whatever it is asked.
    pub fn is(&self, mood: Mood) {
        self.does(move |_| mood.clone());
    }

    /// What it was asked so far, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }

    /// How often it was asked so far.
    pub fn times(&self) -> usize {
        self.state.lock().unwrap().asked.len()
    }

    /// Waits until it was asked so often.
    pub async fn was_asked(&self, times: usize) -> Vec<Asked> {
        eventually(&format!("the service was asked {times} times"), || async {
            (self.times() >= times).then(|| self.asked())
        })
        .await
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// An engine that asks it, and tells it nothing, with these settings beside.
    pub fn engine(&self, settings: &[(&str, &str)]) -> Engine {
        let url = self.url();
        let mut all = vec![
            ("services.sos_url", url.as_str()),
            ("services.sos_token", TOKEN),
            ("services.feed", "false"),
        ];
        all.extend(settings);
        Engine::start(&all)
    }

    /// What an engine needs to tell it what happens, soon and often, and to ask it nothing.
    pub fn told<'s>(url: &'s str, settings: &[(&'s str, &'s str)]) -> Vec<(&'s str, &'s str)> {
        let mut all = vec![
            ("services.sos_url", url),
            ("services.sos_token", TOKEN),
            ("services.sos_signing_secret", SIGNING),
            ("services.lookups", "false"),
            ("services.feed_backoff_min_ms", "20"),
            ("services.feed_backoff_max_ms", "200"),
            ("services.feed_poll_ms", "100"),
            ("services.breaker_rest_ms", "300"),
        ];
        all.extend(settings);
        all
    }
}

impl Drop for SosService {
    fn drop(&mut self) {
        self.ends();
    }
}

/// Serves one connection, one request after the other.
async fn serve(mut socket: TcpStream, state: Arc<Mutex<State>>) {
    let mut read = Vec::new();
    while let Some(asked) = request(&mut socket, &mut read).await {
        let mut mood = {
            let mut state = state.lock().unwrap();
            state.asked.push(asked.clone());
            (state.script)(&asked)
        };
        while let Mood::Slowly(wait, then) = mood {
            tokio::time::sleep(wait).await;
            mood = *then;
        }
        let text = match mood {
            Mood::Answers(status, headers, body) => {
                let headers: String = headers
                    .iter()
                    .map(|(name, value)| format!("{name}: {value}\r\n"))
                    .collect();
                format!(
                    "HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n{body}",
                    body.len()
                )
            }
            Mood::BreaksOff => {
                let _ = socket
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"cit")
                    .await;
                return;
            }
            Mood::HangsUp => return,
            Mood::Hangs | Mood::Slowly(..) => return std::future::pending().await,
        };
        if socket.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The next request of a connection; what follows it stays in `read`.
async fn request(socket: &mut TcpStream, read: &mut Vec<u8>) -> Option<Asked> {
    let mut buffer = [0; 16_384];
    let head = loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        match socket.read(&mut buffer).await {
            Ok(count @ 1..) => read.extend_from_slice(&buffer[..count]),
            _ => return None,
        }
    };
    let text = String::from_utf8(read[..head].to_vec()).unwrap();
    let mut lines = text.lines();
    let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = headers
        .get("content-length")
        .map_or(0, |text| text.parse().unwrap());
    let end = head + 4 + length;
    while read.len() < end {
        match socket.read(&mut buffer).await {
            Ok(count @ 1..) => read.extend_from_slice(&buffer[..count]),
            _ => return None,
        }
    }
    let body = String::from_utf8(read[head + 4..end].to_vec()).unwrap();
    read.drain(..end);
    Some(Asked {
        method,
        path,
        headers,
        body,
        at: Instant::now(),
    })
}
