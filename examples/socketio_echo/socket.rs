//! A WebSocket, from its handshake to its end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use mayday::wire::socketio::engine::{EntryError, Frame, SocketId};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::peer::{Frames, Peer};
use super::{Answer, refuse};

/// How long a client may take to say that it heard of the end.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Whether a request asks for one.
pub fn is_wanted(request: &Request<Incoming>) -> bool {
    let upgrade = request.headers().get(UPGRADE);
    upgrade.is_some_and(|upgrade| upgrade.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Makes one of a request, for this peer.
pub fn accept(
    request: &mut Request<Incoming>,
    max_bytes: usize,
    peer: Arc<Peer>,
    socket: Option<SocketId>,
    frames: Frames,
) -> Answer {
    let Some(socket) = socket else {
        return refuse(&EntryError::BadRequest.into());
    };
    let gone = Arc::clone(&peer);
    let done = begin(request, max_bytes, move |stream| async move {
        match stream {
            Some(stream) => carry(stream, &peer, socket, frames).await,
            None => peer.tell(|session, now| session.socket_gone(socket, now)),
        }
    });
    done.unwrap_or_else(|| {
        gone.tell(|session, now| session.socket_gone(socket, now));
        refuse(&EntryError::BadRequest.into())
    })
}

/// Makes one of a request, and ends it: there is another.
pub fn accept_and_close(request: &mut Request<Incoming>, max_bytes: usize) -> Answer {
    let done = begin(request, max_bytes, |stream| async {
        if let Some(mut stream) = stream {
            close(&mut stream).await;
        }
    });
    done.unwrap_or_else(|| refuse(&EntryError::BadRequest.into()))
}

/// Answers the handshake, and lets `then` have the socket. `None` when it is no handshake.
fn begin<F: Future<Output = ()> + Send + 'static>(
    request: &mut Request<Incoming>,
    max_bytes: usize,
    then: impl FnOnce(Option<Socket>) -> F + Send + 'static,
) -> Option<Answer> {
    let key = request.headers().get(SEC_WEBSOCKET_KEY)?;
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(UPGRADE, "websocket")
        .header(CONNECTION, "Upgrade")
        .header(SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes()))
        .body(Full::default())
        .ok()?;
    let upgrade = hyper::upgrade::on(request);
    let config = WebSocketConfig::default()
        .max_message_size(Some(max_bytes))
        .max_frame_size(Some(max_bytes));
    tokio::spawn(async move {
        let stream = match upgrade.await {
            Ok(upgraded) => {
                let io = TokioIo::new(upgraded);
                Some(WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await)
            }
            Err(_) => None,
        };
        then(stream).await;
    });
    Some(response)
}

/// Both ways, until one side ends it.
async fn carry(mut stream: Socket, peer: &Peer, socket: SocketId, mut frames: Frames) {
    loop {
        let heard = tokio::select! {
            frame = frames.recv() => {
                let Some(frame) = frame else {
                    close(&mut stream).await;
                    break;
                };
                match stream.send(message(frame)).await {
                    Ok(()) => continue,
                    Err(_) => break,
                }
            },
            heard = stream.next() => heard,
        };
        let frame = match heard {
            Some(Ok(Message::Text(text))) => ByteString::try_from(Bytes::from(text)).ok().map(Frame::Text),
            Some(Ok(Message::Binary(bytes))) => Some(Frame::Binary(bytes)),
            Some(Ok(Message::Close(_)) | Err(_)) | None => break,
            Some(Ok(_)) => None,
        };
        if let Some(frame) = frame {
            peer.tell(|session, now| session.frame(socket, frame, now));
        }
    }
    peer.tell(|session, now| session.socket_gone(socket, now));
}

/// Ends it, and waits until the client has heard so.
async fn close(stream: &mut Socket) {
    let heard = async {
        let _ = stream.close(None).await;
        while let Some(Ok(_)) = stream.next().await {}
    };
    let _ = tokio::time::timeout(CLOSE_WITHIN, heard).await;
}

fn message(frame: Frame) -> Message {
    match frame {
        Frame::Binary(bytes) => Message::Binary(bytes),
        Frame::Text(text) => {
            let text = Utf8Bytes::try_from(text.into_bytes());
            Message::Text(text.expect("invariant: it was text before"))
        }
    }
}
