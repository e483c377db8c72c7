//! The example as a process, and clients that write every packet themselves.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::support::DEADLINE;

/// Soon pings, and pongs that a busy machine manages.
pub const QUICK: [&str; 4] = ["--ping-interval", "200", "--ping-timeout", "2000"];

/// A running example. It is killed when this is dropped, or when the test dies.
pub struct Echo {
    child: Child,
    pub address: SocketAddr,
    http: reqwest::Client,
    path: &'static str,
}

/// Cargo puts examples beside the program when it builds the tests.
fn example() -> PathBuf {
    let path = PathBuf::from(env!("CARGO_BIN_EXE_mayday"));
    let path = path.with_file_name("examples").join("socketio_echo");
    assert!(
        path.exists(),
        "{} is missing: cargo build --example socketio_echo",
        path.display()
    );
    path
}

impl Echo {
    /// Starts one; requests go to `/engine.io/` or `/socket.io/`.
    pub fn start(path: &'static str, flags: &[&str]) -> Self {
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(example())
            .args(["--port", "0"])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = child.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let address = line.strip_prefix("listening on ").expect("it listens");
        Self {
            child,
            address: address.trim().parse().unwrap(),
            http: reqwest::Client::new(),
            path,
        }
    }

    /// A request that begins a session, or belongs to none.
    pub async fn asks(&self, method: &str, query: &str) -> (u16, String) {
        self.sends(method, query, "").await
    }

    async fn sends(&self, method: &str, query: &str, body: &str) -> (u16, String) {
        let url = format!("http://{}{}?{query}", self.address, self.path);
        let request = self.http.request(method.parse().unwrap(), url);
        let answer = timeout(DEADLINE, request.body(body.to_owned()).send()).await;
        let answer = answer.expect("an answer in time").unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Opens a session that polls; its handshake.
    pub async fn opens(&self) -> Value {
        let (status, text) = self.asks("GET", "EIO=4&transport=polling").await;
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(text.strip_prefix('0').expect("an open packet")).unwrap()
    }

    /// Opens a session that polls; its id.
    pub async fn sid(&self) -> String {
        self.opens().await["sid"].as_str().unwrap().to_owned()
    }

    /// Polls.
    pub async fn polls(&self, sid: &str) -> (u16, String) {
        self.asks("GET", &format!("EIO=4&transport=polling&sid={sid}"))
            .await
    }

    /// Posts.
    pub async fn posts(&self, sid: &str, body: &str) -> (u16, String) {
        let query = format!("EIO=4&transport=polling&sid={sid}");
        self.sends("POST", &query, body).await
    }

    /// Posts what is taken.
    pub async fn says(&self, sid: &str, body: &str) {
        assert_eq!(self.posts(sid, body).await, (200, "ok".into()));
    }

    /// A WebSocket; or the status of the refusal.
    pub async fn tries(&self, query: &str) -> Result<Socket, u16> {
        let url = format!("ws://{}{}?{query}", self.address, self.path);
        let opened = timeout(DEADLINE, connect_async(url)).await;
        match opened.expect("an answer in time") {
            Ok((stream, _)) => Ok(Socket(stream)),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("no WebSocket: {error}"),
        }
    }

    /// A session on a WebSocket, and its handshake.
    pub async fn connects(&self) -> (Socket, Value) {
        let mut socket = self.tries("EIO=4&transport=websocket").await.unwrap();
        let text = socket.hears().await;
        let handshake = text.strip_prefix('0').expect("an open packet");
        (socket, serde_json::from_str(handshake).unwrap())
    }

    /// A WebSocket for a session that polls.
    pub async fn joins(&self, sid: &str) -> Socket {
        let query = format!("EIO=4&transport=websocket&sid={sid}");
        self.tries(&query).await.unwrap()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A WebSocket, packet by packet.
pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub async fn says(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    pub async fn sends(&mut self, bytes: &'static [u8]) {
        self.0.send(Message::binary(bytes)).await.unwrap();
    }

    /// The next text.
    pub async fn hears(&mut self) -> String {
        match self.next().await {
            Some(Message::Text(text)) => text.to_string(),
            other => panic!("expected text and heard {other:?}"),
        }
    }

    /// The next binary message.
    pub async fn gets(&mut self) -> Vec<u8> {
        match self.next().await {
            Some(Message::Binary(bytes)) => bytes.to_vec(),
            other => panic!("expected bytes and heard {other:?}"),
        }
    }

    /// Hears what comes until it is closed.
    pub async fn is_closed(&mut self) -> Vec<Message> {
        let mut heard = Vec::new();
        while let Some(message) = self.next().await {
            heard.push(message);
        }
        heard
    }

    async fn next(&mut self) -> Option<Message> {
        let next = timeout(DEADLINE, self.0.next()).await;
        match next.expect("something comes in time") {
            Some(Ok(Message::Close(_)) | Err(_)) | None => None,
            Some(Ok(message)) => Some(message),
        }
    }
}
