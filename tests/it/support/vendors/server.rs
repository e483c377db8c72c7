//! Vendors' ports: HTTP/1 and HTTP/2 in the clear, and how an answer fails on its way.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use mayday::domain::notify::Vendor;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::super::engine::DEADLINE;
use super::{Fault, Shared, apns, fcm, msg91, operators, sendgrid, twilio, whatsapp};

/// One request.
pub struct Asked {
    pub method: String,
    pub path: String,
    pub version: String,
    pub query: Vec<(String, String)>,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value, String> {
        if !self.header("content-type").starts_with("application/json") {
            return Err(format!("content-type {:?}", self.header("content-type")));
        }
        serde_json::from_slice(&self.body).map_err(|error| error.to_string())
    }

    /// The body as a form; every field once.
    pub fn form(&self) -> Result<HashMap<String, String>, String> {
        if self.header("content-type") != "application/x-www-form-urlencoded" {
            return Err(format!("content-type {:?}", self.header("content-type")));
        }
        let mut form = HashMap::new();
        for (key, value) in url::form_urlencoded::parse(&self.body).into_owned() {
            if form.insert(key.clone(), value).is_some() {
                return Err(format!("{key} twice"));
            }
        }
        Ok(form)
    }
}

/// What is answered.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Reply {
    pub fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            headers: vec![("content-type", "application/json".into())],
            body: body.to_string(),
        }
    }

    pub fn empty(status: u16) -> Self {
        Self {
            status,
            headers: vec![],
            body: String::new(),
        }
    }
}

/// The fields of an object.
pub fn keys(value: &Value) -> Result<impl Iterator<Item = &String>, String> {
    Ok(value
        .as_object()
        .ok_or_else(|| format!("no object: {value}"))?
        .keys())
}

/// No field but these.
pub fn only<'k>(known: &[&str], given: impl IntoIterator<Item = &'k String>) -> Result<(), String> {
    for key in given {
        if !known.contains(&key.as_str()) {
            return Err(format!("unknown field {key}"));
        }
    }
    Ok(())
}

/// All of their ports.
pub struct Server {
    addresses: HashMap<Vendor, (SocketAddr, AbortHandle)>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    pub fn start(vendors: &'static [Vendor], state: &Shared) -> Self {
        let state = Arc::clone(state);
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let mut addresses = HashMap::new();
                for vendor in vendors {
                    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                    let address = listener.local_addr().unwrap();
                    let task = tokio::spawn(listen(listener, *vendor, Arc::clone(&state)));
                    addresses.insert(*vendor, (address, task.abort_handle()));
                }
                tell.send(addresses).unwrap();
                let _ = stopped.await;
            });
        });
        Self {
            addresses: told.recv_timeout(DEADLINE).expect("the vendors listen"),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub fn address(&self, vendor: Vendor) -> SocketAddr {
        self.addresses[&vendor].0
    }

    pub fn close(&self, vendor: Vendor) {
        self.addresses[&vendor].1.abort();
    }

    pub fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn listen(listener: TcpListener, vendor: Vendor, state: Shared) {
    // Connections end with their listener.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(move |request| serve(vendor, request, Arc::clone(&state)));
            let _ = Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}

type Body = UnsyncBoxBody<Bytes, std::io::Error>;
/// The connection ends without an answer.
type Gone = std::io::Error;

async fn serve(vendor: Vendor, request: Request<Incoming>, state: Shared) -> Result<Response<Body>, Gone> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let query = head.uri.query().unwrap_or_default();
    let asked = Asked {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        version: format!("{:?}", head.version),
        query: url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect(),
        body: body.to_vec(),
    };
    let fault = if asked.method == "POST" && !fcm::is_token_path(&asked) {
        state.lock().unwrap().fault(vendor)
    } else {
        None
    };
    let Some(fault) = fault else {
        if state.lock().unwrap().is_gone(vendor) {
            std::future::pending::<()>().await;
        }
        return Ok(whole(answer(vendor, &asked, &state)));
    };
    let reply = fault.takes().then(|| answer(vendor, &asked, &state));
    match (fault, reply) {
        (Fault::Slow(wait), Some(reply)) => {
            tokio::time::sleep(wait).await;
            Ok(whole(reply))
        }
        (Fault::Gibberish, Some(reply)) => Ok(whole(Reply {
            body: "<html>all is well".into(),
            ..reply
        })),
        (Fault::BreaksOff, Some(reply)) => Ok(half(&reply)),
        (Fault::Status(status), _) => Ok(whole(Reply::empty(status))),
        (Fault::Later(status, seconds), _) => Ok(whole(Reply {
            headers: vec![("retry-after", seconds.to_string())],
            ..Reply::empty(status)
        })),
        (Fault::Code(status, code), _) => Ok(whole(refusal(vendor, status, code))),
        (Fault::HangsUp, _) => Err(std::io::ErrorKind::ConnectionReset.into()),
        _ => std::future::pending().await,
    }
}

/// What a vendor does with a request; one that it would not understand is noted.
fn answer(vendor: Vendor, asked: &Asked, state: &Shared) -> Reply {
    let mut state = state.lock().unwrap();
    let answered = match vendor {
        Vendor::Twilio => twilio::answer(asked, &mut state),
        Vendor::Msg91 => msg91::answer(asked, &mut state),
        Vendor::WhatsappCloud => whatsapp::answer(asked, &mut state),
        Vendor::Sendgrid => sendgrid::answer(asked, &mut state),
        Vendor::Fcm => fcm::answer(asked, &mut state),
        Vendor::Apns => apns::answer(asked, &mut state),
        Vendor::Pagerduty => operators::pagerduty(asked, &mut state),
        Vendor::Webhook => operators::webhook(asked, &mut state),
        other => Err(format!("no {other:?} here")),
    };
    answered.unwrap_or_else(|what| {
        let what = format!("{vendor:?}: {} {}: {what}", asked.method, asked.path);
        state.violations.push(what.clone());
        Reply {
            status: 400,
            headers: vec![],
            body: what,
        }
    })
}

/// How it refuses a message with a code.
fn refusal(vendor: Vendor, status: u16, code: &str) -> Reply {
    match vendor {
        Vendor::Twilio => twilio::refusal(status, code),
        Vendor::Msg91 => msg91::refusal(status, code),
        Vendor::WhatsappCloud => whatsapp::refusal(status, code),
        Vendor::Sendgrid => sendgrid::refusal(status, code),
        Vendor::Fcm => fcm::refusal(status, code),
        Vendor::Apns => apns::refusal(status, code),
        Vendor::Pagerduty => operators::pagerduty_refusal(status, code),
        other => panic!("no {other:?} here"),
    }
}

fn head(reply: &Reply) -> hyper::http::response::Builder {
    let mut builder = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        builder = builder.header(*name, value);
    }
    builder
}

fn whole(reply: Reply) -> Response<Body> {
    let builder = head(&reply);
    let body = Full::new(Bytes::from(reply.body)).map_err(|never: Infallible| match never {});
    builder.body(body.boxed_unsync()).unwrap()
}

fn half(reply: &Reply) -> Response<Body> {
    let middle = Bytes::from(reply.body[..reply.body.len() / 2].to_owned());
    // Only once that is out: an answer of which nothing has left yet is not begun.
    let end = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Err(std::io::ErrorKind::BrokenPipe.into())
    };
    let begun = futures_util::stream::iter([Ok(Frame::data(middle))]);
    let body = StreamBody::new(begun.chain(futures_util::stream::once(end)));
    head(reply)
        .header("content-length", reply.body.len().max(1))
        .body(body.boxed_unsync())
        .unwrap()
}
