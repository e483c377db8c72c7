//! An issuer of tokens: it serves its key set over HTTP, and fails in every way that issuers fail.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::signer::{Signer, set_of};
use crate::support::{Engine, Person, UNLIMITED, eventually, now_s};

/// What it does when it is asked.
#[derive(Clone)]
pub enum Mood {
    /// Answers with this status and body.
    Answers(u16, String),
    /// Sends the caller elsewhere.
    Redirects(String),
    /// Hangs up at once.
    Away,
    /// Says nothing, for ever.
    Hangs,
}

/// A running issuer. It ends with the test's runtime.
#[derive(Clone)]
pub struct Issuer {
    address: SocketAddr,
    mood: Arc<Mutex<Mood>>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    /// One that serves these keys.
    pub async fn of(keys: &[&Signer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = Self {
            address: listener.local_addr().unwrap(),
            mood: Arc::new(Mutex::new(Mood::Away)),
            asked: Arc::default(),
        };
        issuer.serves(keys);
        let serving = issuer.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serving.clone().answer(socket));
            }
        });
        issuer
    }

    async fn answer(self, mut socket: TcpStream) {
        let mut head = Vec::new();
        let mut buffer = [0; 1024];
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            match socket.read(&mut buffer).await {
                Ok(count @ 1..) => head.extend_from_slice(&buffer[..count]),
                _ => return,
            }
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mood = self.mood.lock().unwrap().clone();
        let text = match mood {
            Mood::Away => return,
            Mood::Hangs => return std::future::pending().await,
            Mood::Answers(status, body) => {
                format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                )
            }
            Mood::Redirects(to) => {
                format!("HTTP/1.1 302 X\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            }
        };
        let _ = socket.write_all(text.as_bytes()).await;
    }

    /// From now on it does this.
    pub fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// From now on it serves these keys.
    pub fn serves(&self, keys: &[&Signer]) {
        self.is(Mood::Answers(200, set_of(keys).to_string()));
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Where its key set is.
    pub fn url(&self) -> String {
        format!("http://{}/jwks.json", self.address)
    }

    /// An engine that takes its tokens, with these settings beside.
    pub fn engine(&self, settings: &[(&str, &str)]) -> Engine {
        let url = self.url();
        // Bad credentials are charged to their address, and here there are many of them.
        let mut all = vec![("auth.jwks_url", url.as_str())];
        all.extend(UNLIMITED);
        all.extend(settings);
        Engine::start(&all)
    }
}

/// What an issuer says of somebody, for an hour.
pub fn claims(user: &str) -> Value {
    json!({"sub": user, "role": "CITIZEN", "exp": now_s() + 3600})
}

/// The bearer of a token that `signer` signed.
pub fn bearer(engine: &Engine, signer: &Signer) -> Person {
    engine.bearer(&signer.sign(&claims("u-1")))
}

/// Whether a token of this key is taken now.
pub async fn takes(engine: &Engine, signer: &Signer) -> bool {
    match bearer(engine, signer).get("/api/rooms-info").await.status {
        200 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

/// Waits until a token of this key is taken.
pub async fn takes_soon(engine: &Engine, signer: &Signer) {
    eventually("the key is taken", || async {
        takes(engine, signer).await.then_some(())
    })
    .await;
}

/// A number in the metrics; 0 when it is not there.
pub async fn metric(engine: &Engine, name: &str) -> f64 {
    let text = engine.nobody().get("/metrics").await.text;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

/// Waits until a number in the metrics is at least this.
pub async fn metric_reaches(engine: &Engine, name: &str, least: f64) {
    eventually(name, || async {
        (metric(engine, name).await >= least).then_some(())
    })
    .await;
}
