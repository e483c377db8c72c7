//! WebSockets: new connections, and those that were polled for until now.

use actix_http::Request;
use actix_http::Response;
use actix_http::body::BoxBody;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{SocketIo, fresh_sid, refuse};
use crate::actors::socketio::{Attach, Carrier};
use crate::delivery::{Hub, Socket};
use crate::http::request::Frame;
use crate::transport::{self, Upgraded};
use crate::wire::socketio::engine::{Entry, EntryError, Transport};

impl SocketIo {
    /// Takes one upgrade request to its connection, or answers why not.
    pub async fn serve<T>(&self, request: &Request, framed: Upgraded<T>, hub: &Hub, frame: &Frame)
    where
        T: AsyncRead + AsyncWrite + Unpin + Into<Socket>,
    {
        let head = request.head();
        if let Err(error) = frame.check(head) {
            return transport::refuse(framed, frame.refusal(error, head).into()).await;
        }
        let query = head.uri.query().unwrap_or_default();
        match Entry::read(head.method.as_str(), query, true) {
            Ok(Entry::Open(Transport::WebSocket)) => self.open(request, framed, hub, frame).await,
            Ok(Entry::Upgrade(sid)) => self.attach(request, framed, &sid).await,
            Ok(_) => transport::refuse(framed, no(&EntryError::BadRequest)).await,
            Err(error) => transport::refuse(framed, no(&error)).await,
        }
    }

    async fn open<T>(&self, request: &Request, framed: Upgraded<T>, hub: &Hub, frame: &Frame)
    where
        T: AsyncRead + AsyncWrite + Unpin + Into<Socket>,
    {
        let place = match self.make_room(request.head()) {
            Ok(place) => place,
            Err(error) => {
                let refusal = frame.refusal(error, request.head());
                return transport::refuse(framed, refusal.into()).await;
            }
        };
        match transport::accept(request.head(), framed, hub, &self.0.settings.transport) {
            Ok((outbox, inbound)) => {
                self.start(hub, fresh_sid(), Carrier::Socket(outbox, inbound), place);
            }
            Err(bad) => bad.refuse().await,
        }
    }

    async fn attach<T>(&self, request: &Request, framed: Upgraded<T>, sid: &str)
    where
        T: AsyncRead + AsyncWrite + Unpin + Into<Socket>,
    {
        let Some(actor) = self.find(sid) else {
            return transport::refuse(framed, no(&EntryError::UnknownSid)).await;
        };
        match transport::shake_hands(request.head(), framed, &self.0.settings.transport, |_| {}) {
            // Whoever ended meanwhile closes it by not being there.
            Ok(handover) => drop(actor.send(Attach(handover)).await),
            Err(bad) => bad.refuse().await,
        }
    }
}

fn no(error: &EntryError) -> Response<BoxBody> {
    refuse(error).into()
}
