//! A vendor of text messages on this machine: a thread that takes what the engine hands over, and notes when. Cheap
//! enough not to be what is measured.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::Result;
use crate::ledger::{Asked, Ledger};

/// A request that is larger is none of the engine's.
const REQUEST_MAX: usize = 64 * 1024;

/// A vendor that runs until it is dropped.
pub struct Vendor {
    addr: SocketAddr,
    ledger: Arc<Mutex<Ledger>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Vendor {
    /// Starts one of whom `numbers` numbers expect a message each; it answers after `latency`.
    pub fn start(numbers: usize, latency: Duration) -> Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let ledger = Arc::new(Mutex::new(Ledger::new(numbers)));
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let shared = Arc::clone(&ledger);
        let thread = std::thread::Builder::new().name("vendor".into()).spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    _ = stopped => {}
                    () = serve(listener, shared, latency) => {}
                }
            });
        })?;
        Ok(Self {
            addr,
            ledger,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// What it was handed.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The settings by which an engine hands its text messages to it, and tells nobody twice while it is measured.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let base = format!("http://{}", self.addr);
        vec![
            ("MAYDAY__NOTIFY__PUBLIC_URL", "https://sos.example.org".into()),
            ("MAYDAY__NOTIFY__TWILIO__BASE_URL", base.clone()),
            (
                "MAYDAY__NOTIFY__TWILIO__ACCOUNT_SID",
                "AC00000000000000000000000000000000".into(),
            ),
            (
                "MAYDAY__NOTIFY__TWILIO__AUTH_TOKEN",
                "a-token-of-the-load-tester".into(),
            ),
            ("MAYDAY__NOTIFY__TWILIO__FROM", "+15005550006".into()),
            ("MAYDAY__NOTIFY__MSG91__BASE_URL", base),
            (
                "MAYDAY__NOTIFY__MSG91__AUTHKEY",
                "a-key-of-the-load-tester".into(),
            ),
            ("MAYDAY__NOTIFY__MSG91__TEMPLATE_ID", "a-template".into()),
            // A reminder is another message, and would look like one that comes twice.
            (
                "MAYDAY__ALERTS__STEPS",
                "0 all operators, 3600 all operators".into(),
            ),
        ]
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: std::net::TcpListener, ledger: Arc<Mutex<Ledger>>, latency: Duration) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, Arc::clone(&ledger), latency));
        }
    }
}

/// One connection: requests are answered one after the other.
async fn converse(mut stream: TcpStream, ledger: Arc<Mutex<Ledger>>, latency: Duration) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut received = Vec::with_capacity(4096);
    loop {
        let Some((asked, len)) = next_request(&received) else {
            if received.len() > REQUEST_MAX || stream.read_buf(&mut received).await.ok()? == 0 {
                return None;
            }
            continue;
        };
        let now = Instant::now();
        let (status, body) = ledger
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .answer(asked, now);
        received.drain(..len);
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} .\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

/// The request at the front of the bytes, once it is whole, and how many of them it takes.
pub fn next_request(bytes: &[u8]) -> Option<(Asked<'_>, usize)> {
    let end = memchr::memmem::find(bytes, b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let value = value.trim().parse::<usize>();
        name.eq_ignore_ascii_case("content-length").then(|| value.ok())?
    });
    let (start, length) = (end + 4, length.unwrap_or(0));
    let body = bytes.get(start..start + length)?;
    Some((Asked { method, path, body }, start + length))
}
