//! The upgrade: from actix-http's socket to a connection, or to a proper refusal.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix_codec::{Encoder as _, Framed};
use actix_http::body::{BodySize, BoxBody, MessageBody as _, to_bytes};
use actix_http::h1::{Codec, Message as HttpMessage};
use actix_http::ws::{HandshakeError, handshake};
use actix_http::{RequestHead, Response, ResponseBuilder};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Inbound, Limits};
use crate::delivery::{Hub, Outbox, Socket};

/// A refused client gets so long to read why.
const REFUSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A socket that actix-http handed over: a `TcpStream`, or TLS over one.
pub type Upgraded<T = TcpStream> = Framed<T, Codec>;

/// An upgrade request that no WebSocket can be made of, still to be answered.
pub struct BadHandshake<T = TcpStream> {
    /// The socket it came on.
    pub framed: Box<Upgraded<T>>,
    /// What is wrong with it.
    pub error: HandshakeError,
}

impl<T> std::fmt::Debug for BadHandshake<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("BadHandshake").field(&self.error).finish()
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> BadHandshake<T> {
    /// Answers with the status that says what is wrong.
    pub async fn refuse(self) {
        refuse(*self.framed, self.error.into()).await;
    }
}

/// Makes a WebSocket connection of an upgrade request that was let in.
///
/// The 101 response leaves together with the first frames, so nothing is awaited here.
///
/// # Errors
/// When the request is no proper WebSocket handshake.
pub fn accept<T: Into<Socket>>(
    head: &RequestHead,
    framed: Upgraded<T>,
    hub: &Hub,
    limits: &Limits,
) -> Result<(Arc<Outbox>, Inbound), BadHandshake<T>> {
    accept_with(head, framed, hub, limits, |_| {})
}

/// [`accept`], with headers of one's own on the 101 response, such as the subprotocol.
///
/// # Errors
/// As [`accept`].
pub fn accept_with<T: Into<Socket>>(
    head: &RequestHead,
    framed: Upgraded<T>,
    hub: &Hub,
    limits: &Limits,
    dress: impl FnOnce(&mut ResponseBuilder),
) -> Result<(Arc<Outbox>, Inbound), BadHandshake<T>> {
    Ok(shake_hands(head, framed, limits, dress)?.board(hub, limits))
}

/// A WebSocket that stands, on its way to the hub that will write it.
#[derive(Debug)]
pub struct Handover {
    socket: Socket,
    /// The 101 response.
    lead: Bytes,
    /// What came behind the request.
    first: BytesMut,
}

impl Handover {
    /// The same for a hub of the thread that calls.
    ///
    /// # Errors
    /// When the thread has no runtime that takes the socket.
    pub fn moved_here(self) -> io::Result<Self> {
        Ok(Self {
            socket: self.socket.moved_here()?,
            ..self
        })
    }

    /// Hands it to a hub of this thread.
    #[must_use]
    pub fn board(self, hub: &Hub, limits: &Limits) -> (Arc<Outbox>, Inbound) {
        let conn = hub.register(self.socket, Some(self.lead), limits.outbox_max_bytes);
        let outbox = Arc::clone(conn.outbox());
        let inbound = Inbound::new(conn, self.first, limits.frame_max_bytes, limits.message_max_bytes);
        (outbox, inbound)
    }
}

/// The first half of [`accept_with`]: the WebSocket, before a hub has it.
///
/// # Errors
/// As [`accept`].
pub fn shake_hands<T: Into<Socket>>(
    head: &RequestHead,
    framed: Upgraded<T>,
    limits: &Limits,
    dress: impl FnOnce(&mut ResponseBuilder),
) -> Result<Handover, BadHandshake<T>> {
    let mut response = match handshake(head) {
        Ok(response) => response,
        Err(error) => {
            return Err(BadHandshake {
                framed: Box::new(framed),
                error,
            });
        }
    };
    dress(&mut response);
    let mut parts = framed.into_parts();
    let mut lead = parts.write_buf;
    let response = response.finish().drop_body();
    if let Err(error) = parts
        .codec
        .encode(HttpMessage::Item((response, BodySize::None)), &mut lead)
    {
        // Writing into memory does not fail; a client without its 101 hangs up.
        tracing::error!(%error, "could not encode the handshake");
    }
    let socket = parts.io.into();
    prepare(socket.tcp(), limits);
    Ok(Handover {
        socket,
        // A copy, so that the large HTTP buffers are not kept for the sake of a few bytes.
        lead: Bytes::copy_from_slice(&lead),
        first: if parts.read_buf.is_empty() {
            BytesMut::new()
        } else {
            BytesMut::from(&parts.read_buf[..])
        },
    })
}

/// Answers an upgrade request that is not let in, and closes the connection.
pub async fn refuse<T: AsyncRead + AsyncWrite + Unpin>(framed: Upgraded<T>, response: Response<BoxBody>) {
    let answered = tokio::time::timeout(REFUSE_TIMEOUT, answer(framed, response)).await;
    if !matches!(answered, Ok(Ok(()))) {
        tracing::debug!("a refused client did not read why");
    }
}

async fn answer<T: AsyncRead + AsyncWrite + Unpin>(
    framed: Upgraded<T>,
    mut response: Response<BoxBody>,
) -> io::Result<()> {
    response
        .head_mut()
        .set_connection_type(actix_http::ConnectionType::Close);
    let mut parts = framed.into_parts();
    let size = response.body().size();
    let (response, body) = response.into_parts();
    let body = to_bytes(body).await.unwrap_or_default();
    let mut out = parts.write_buf;
    parts
        .codec
        .encode(HttpMessage::Item((response, size)), &mut out)?;
    if !body.is_empty() {
        parts.codec.encode(HttpMessage::Chunk(Some(body)), &mut out)?;
    }
    if !matches!(size, BodySize::None | BodySize::Sized(_)) {
        parts.codec.encode(HttpMessage::Chunk(None), &mut out)?;
    }
    parts.io.write_all(&out).await?;
    parts.io.shutdown().await?;
    // Reading to the end keeps a reset from overtaking the answer.
    out.clear();
    while parts.io.read_buf(&mut out).await? > 0 {
        out.clear();
    }
    Ok(())
}

fn prepare(socket: &TcpStream, limits: &Limits) {
    let timeout = u32::try_from(limits.tcp_user_timeout.as_millis()).unwrap_or(u32::MAX);
    let set = socket
        .set_nodelay(true)
        .and_then(|()| rustix::net::sockopt::set_tcp_user_timeout(socket, timeout).map_err(io::Error::from));
    if let Err(error) = set {
        tracing::debug!(%error, "socket options");
    }
}
