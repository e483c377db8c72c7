//! The transport against raw sockets: a server in the same thread, on a free port.

mod conformance;
mod lifecycle;

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::{HttpService, Request, Response};
use actix_service::{Service as _, ServiceFactory as _, fn_service};
use futures_util::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{Inbound, Limits, Message, Upgraded, accept, refuse};
use crate::delivery::{EndReason, Frame, Hub, Outbox};

const HANDSHAKE: &str = "Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n";

/// Waits for something, but not for ever.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), what)
        .await
        .expect("it takes too long")
}

async fn until(mut condition: impl FnMut() -> bool) {
    soon(async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn limits() -> Limits {
    Limits {
        frame_max_bytes: 100_000,
        message_max_bytes: 100_000,
        outbox_max_bytes: 1_000_000,
        ..Limits::default()
    }
}

/// What the server's side of the test sees.
struct Server {
    address: SocketAddr,
    hub: Hub,
    outboxes: Rc<RefCell<Vec<Arc<Outbox>>>>,
    ends: Rc<RefCell<Vec<EndReason>>>,
}

impl Server {
    /// Serves `/` with an echo, `/drop` with a session that leaves at once, `/deaf` with one that
    /// never reads, and refuses everything else.
    async fn start(limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            hub: Hub::start(limits.hub()),
            outboxes: Rc::default(),
            ends: Rc::default(),
        };
        let (hub, outboxes, ends) = (
            server.hub.clone(),
            Rc::clone(&server.outboxes),
            Rc::clone(&server.ends),
        );
        let upgrade = move |(request, framed): (Request, Upgraded)| {
            let (hub, outboxes, ends) = (hub.clone(), Rc::clone(&outboxes), Rc::clone(&ends));
            async move {
                if !["/", "/drop", "/deaf"].contains(&request.path()) {
                    refuse(
                        framed,
                        Response::new(actix_http::StatusCode::UNAUTHORIZED)
                            .set_body(actix_http::body::BoxBody::new("no")),
                    )
                    .await;
                    return Ok::<_, Infallible>(());
                }
                match accept(request.head(), framed, &hub, &limits) {
                    Err(bad) => bad.refuse().await,
                    Ok((outbox, inbound)) => {
                        outboxes.borrow_mut().push(outbox);
                        match request.path() {
                            "/drop" => drop(inbound),
                            "/deaf" => drop(actix_rt::spawn(async move {
                                let _inbound = inbound;
                                std::future::pending::<()>().await;
                            })),
                            _ => drop(actix_rt::spawn(echo(inbound, ends))),
                        }
                    }
                }
                Ok(())
            }
        };
        let not_found = fn_service(|_: Request| async { Ok::<_, Infallible>(Response::not_found()) });
        let http = HttpService::build()
            .upgrade(fn_service(upgrade))
            .finish(not_found)
            .tcp();
        let http = http.new_service(()).await.unwrap();
        actix_rt::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                actix_rt::spawn(http.call(socket));
            }
        });
        server
    }

    async fn connect(&self) -> Client {
        Client::connect(self.address).await
    }

    async fn request(&self, path: &str, more: &[u8]) -> Client {
        Client::request(self.address, path, more).await
    }

    fn outbox(&self) -> Arc<Outbox> {
        Arc::clone(self.outboxes.borrow().last().unwrap())
    }

    async fn end(&self) -> EndReason {
        until(|| !self.ends.borrow().is_empty()).await;
        self.ends.borrow()[0]
    }
}

async fn echo(mut inbound: Inbound, ends: Rc<RefCell<Vec<EndReason>>>) {
    let outbox = Arc::clone(inbound.outbox());
    while let Some(message) = inbound.next().await {
        outbox.push_event(&match message {
            Message::Text(text) => Frame::text(text.as_bytes()),
            Message::Binary(bytes) => Frame::binary(&bytes),
        });
    }
    ends.borrow_mut()
        .push(outbox.end_reason().expect("a session that ended has a reason"));
}

/// A peer that knows nothing of WebSockets but the bytes.
struct Client {
    socket: TcpStream,
    read: Vec<u8>,
}

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let mut client = Self::request(address, "/", &[]).await;
        let head = client.read_head().await.unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        client
    }

    /// Sends an upgrade request with bytes after it.
    async fn request(address: SocketAddr, path: &str, more: &[u8]) -> Self {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let mut request = format!("GET {path} HTTP/1.1\r\n{HANDSHAKE}").into_bytes();
        request.extend_from_slice(more);
        socket.write_all(&request).await.unwrap();
        Self {
            socket,
            read: Vec::new(),
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes).await
    }

    async fn read_head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let rest = self.read.split_off(end + 4);
                let head = std::mem::replace(&mut self.read, rest);
                return String::from_utf8(head).ok();
            }
            if soon(self.socket.read_buf(&mut self.read)).await.ok()? == 0 {
                return None;
            }
        }
    }

    async fn read_exactly(&mut self, len: usize) -> Vec<u8> {
        while self.read.len() < len {
            assert!(
                soon(self.socket.read_buf(&mut self.read)).await.unwrap() > 0,
                "ended early"
            );
        }
        let rest = self.read.split_off(len);
        std::mem::replace(&mut self.read, rest)
    }

    /// Reads until the server says that nothing more comes. A reset would be an error.
    async fn read_to_end(&mut self) -> Vec<u8> {
        soon(self.socket.read_to_end(&mut self.read))
            .await
            .expect("no reset");
        std::mem::take(&mut self.read)
    }
}

/// A client's frame: first byte, and payload to be masked.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..=125 => frame.push(0x80 | u8::try_from(len).unwrap()),
        len @ 126..=65_535 => {
            frame.push(0xFE);
            frame.extend_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            frame.push(0xFF);
            frame.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    let mask = [0xA1, 0x02, 0xF3, 0x44];
    frame.extend_from_slice(&mask);
    frame.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

fn masked_close(code: u16, text: &[u8]) -> Vec<u8> {
    masked(0x88, &[&code.to_be_bytes(), text].concat())
}
