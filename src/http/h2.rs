//! HTTP/2: from frames to requests of the application and back.
//!
//! actix-http has a dispatcher of its own, which sets no limit on the requests in hand on a connection nor on
//! their headers, and speaks an older `h2`. This one does: what one client can make the node hold is bounded by
//! [`Limits`]. The requests of a connection are answered in the connection's own task, so that they end with it,
//! as those of HTTP/1 do.
//!
//! A client that opens requests and takes them back at once (CVE-2023-44487) gains nothing: a request counts
//! until its answer is done with, further ones are not taken from `h2` meanwhile, and `h2` ends a connection on
//! which too many were taken back unseen.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::body::{BodySize, BoxBody, MessageBody};
use actix_http::error::PayloadError;
use actix_http::header::{self, HeaderName, HeaderValue};
use actix_http::{Method, Payload, Request, Response, ResponseHead, Uri, Version};
use actix_service::Service;
use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, Stream, StreamExt as _};
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::config::Http;

/// What a client may send on one request before it is read.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
/// The same on the whole connection: the most that unread bodies take.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Answers that wait to be sent on one request.
const SEND_BUFFER_BYTES: usize = 128 * 1024;
/// What a header costs besides its text, by the standard's count.
const ENTRY_BYTES: usize = 32;
/// A connection that was told to end has so long.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);

/// The bounds of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    streams_max: u32,
    header_list_max_bytes: u32,
    preface_timeout: Duration,
    keep_alive: Duration,
    send_timeout: Duration,
}

impl Limits {
    /// By the settings.
    pub fn new(http: &Http) -> Self {
        // A little more than the application allows, so that it is the application that refuses, in its words.
        let headers = http.headers_max_bytes + http.uri_max_bytes + http.headers_max * ENTRY_BYTES;
        Self {
            streams_max: http.h2_streams_max,
            header_list_max_bytes: u32::try_from(headers * 2).unwrap_or(u32::MAX),
            preface_timeout: http.header_timeout(),
            keep_alive: http.keep_alive(),
            send_timeout: http.request_timeout(),
        }
    }
}

/// Serves one connection until it ends. `leaving` turns true when the node lets everybody go.
///
/// # Errors
/// When the client breaks the protocol or the connection.
pub async fn serve<T, S>(
    io: T,
    peer: Option<SocketAddr>,
    service: &S,
    limits: &Limits,
    mut leaving: watch::Receiver<bool>,
) -> Result<(), h2::Error>
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request>,
    S::Response: Into<Response<BoxBody>>,
    S::Error: Into<Response<BoxBody>>,
{
    let handshake = Builder::new()
        .max_concurrent_streams(limits.streams_max)
        .max_header_list_size(limits.header_list_max_bytes)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .handshake::<_, Bytes>(io);
    let Ok(connection) = timeout(limits.preface_timeout, handshake).await else {
        return Ok(());
    };
    let mut connection = connection?;
    let room = usize::try_from(limits.streams_max).unwrap_or(usize::MAX);
    let mut answers = FuturesUnordered::new();
    let mut idle = pin!(sleep_until(Instant::now() + limits.keep_alive));
    let mut told = *leaving.borrow();
    if told {
        connection.graceful_shutdown();
    }
    loop {
        let has_room = answers.len() < room;
        let is_idle = answers.is_empty();
        tokio::select! {
            Some(()) = answers.next() => {
                if answers.is_empty() && !told {
                    idle.as_mut().reset(Instant::now() + limits.keep_alive);
                }
            }
            accepted = poll_fn(|cx| accept(&mut connection, has_room, cx)) => {
                let Some((request, mut respond)) = accepted.transpose()? else { return Ok(()) };
                if expects_continue(&request) {
                    respond.send_informational(status(http::StatusCode::CONTINUE))?;
                }
                let head = request.method() == http::Method::HEAD;
                let answer = service.call(incoming(request, peer));
                answers.push(async move {
                    let response = match answer.await {
                        Ok(response) => response.into(),
                        Err(error) => error.into(),
                    };
                    if let Err(error) = send(response, respond, head, limits.send_timeout).await {
                        tracing::debug!(%error, "an answer was not taken");
                    }
                });
            }
            () = &mut idle, if is_idle => {
                if told {
                    return Ok(());
                }
                told = true;
                connection.graceful_shutdown();
                idle.as_mut().reset(Instant::now() + LEAVE_WITHIN);
            }
            _ = leaving.changed(), if !told => {
                told = true;
                connection.graceful_shutdown();
                idle.as_mut().reset(Instant::now() + LEAVE_WITHIN);
            }
        }
    }
}

type Accepted = Option<Result<(http::Request<RecvStream>, SendResponse<Bytes>), h2::Error>>;

/// Drives the connection, and takes the next request off it if there is room for one.
fn accept<T>(connection: &mut Connection<T, Bytes>, room: bool, cx: &mut Context<'_>) -> Poll<Accepted>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    if room {
        connection.poll_accept(cx)
    } else {
        connection.poll_closed(cx).map(|closed| closed.err().map(Err))
    }
}

fn expects_continue(request: &http::Request<RecvStream>) -> bool {
    let expected = request.headers().get(http::header::EXPECT);
    expected.is_some_and(|expected| expected.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

fn status(status: http::StatusCode) -> http::Response<()> {
    let mut response = http::Response::new(());
    *response.status_mut() = status;
    response
}

/// The request as the application knows them. actix speaks in the types of an older `http`.
fn incoming(request: http::Request<RecvStream>, peer: Option<SocketAddr>) -> Request {
    let (parts, body) = request.into_parts();
    let payload: Pin<Box<dyn Stream<Item = _>>> = Box::pin(Body(body));
    let mut request = Request::with_payload(Payload::Stream { payload });
    let head = request.head_mut();
    head.version = Version::HTTP_2;
    head.peer_addr = peer;
    // Both crates hold methods, targets, names and values to one standard; what the one has read the other reads.
    head.method = Method::from_bytes(parts.method.as_str().as_bytes()).unwrap_or_default();
    for (name, value) in &parts.headers {
        let name = HeaderName::from_bytes(name.as_str().as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            head.headers.append(name, value);
        }
    }
    // Everything behind this reads `Host`, and a target without scheme and host.
    if let Some(authority) = parts.uri.authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        head.headers.insert(header::HOST, host);
    }
    let target = parts
        .uri
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    head.uri = target.parse().unwrap_or_else(|_| Uri::from_static("/"));
    request
}

/// A request's body. What was read makes room for more.
struct Body(RecvStream);

impl Stream for Body {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_data(cx).map(|data| {
            let read = data?.and_then(|bytes| {
                self.0.flow_control().release_capacity(bytes.len())?;
                Ok(bytes)
            });
            Some(read.map_err(|error| PayloadError::Io(std::io::Error::other(error))))
        })
    }
}

/// Sends an answer, and gives up on a client who takes none of it for longer than `patience`.
async fn send(
    response: Response<BoxBody>,
    mut respond: SendResponse<Bytes>,
    head_only: bool,
    patience: Duration,
) -> Result<(), h2::Error> {
    let (response, mut body) = response.into_parts();
    let size = body.size();
    let ends = head_only || size.is_eof();
    let mut stream = respond.send_response(outgoing(response.head(), size), ends)?;
    if ends {
        return Ok(());
    }
    while let Some(chunk) = poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await {
        let Ok(mut chunk) = chunk else {
            stream.send_reset(Reason::INTERNAL_ERROR);
            return Ok(());
        };
        while !chunk.is_empty() {
            stream.reserve_capacity(chunk.len());
            let Ok(room) = timeout(patience, capacity(&mut stream)).await else {
                stream.send_reset(Reason::CANCEL);
                return Ok(());
            };
            let Some(room) = room.transpose()? else {
                return Ok(());
            };
            stream.send_data(chunk.split_to(room.min(chunk.len())), false)?;
        }
    }
    stream.send_data(Bytes::new(), true)
}

async fn capacity(stream: &mut SendStream<Bytes>) -> Option<Result<usize, h2::Error>> {
    poll_fn(|cx| stream.poll_capacity(cx)).await
}

/// The head of an answer, without what HTTP/2 has no place for.
fn outgoing(head: &ResponseHead, size: BodySize) -> http::Response<()> {
    let mut response = status(http::StatusCode::from_u16(head.status.as_u16()).unwrap_or_default());
    let headers = response.headers_mut();
    for (name, value) in head.headers() {
        let connections = [
            "connection",
            "transfer-encoding",
            "upgrade",
            "keep-alive",
            "proxy-connection",
        ];
        if connections.contains(&name.as_str())
            || (name == header::CONTENT_LENGTH && size != BodySize::Stream)
        {
            continue;
        }
        let name = http::HeaderName::from_bytes(name.as_str().as_bytes());
        if let (Ok(name), Ok(value)) = (name, http::HeaderValue::from_bytes(value.as_bytes())) {
            headers.append(name, value);
        }
    }
    let bodiless = matches!(head.status.as_u16(), 100..=199 | 204 | 304);
    if let BodySize::Sized(length) = size
        && !bodiless
    {
        headers.insert(http::header::CONTENT_LENGTH, length.into());
    }
    let date = httpdate::fmt_http_date(std::time::SystemTime::now());
    if let Ok(date) = http::HeaderValue::from_str(&date) {
        headers.entry(http::header::DATE).or_insert(date);
    }
    response
}
