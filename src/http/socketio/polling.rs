//! Polls and posts.

use actix::{Addr, MailboxError};
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{self, Bytes, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::{Listed, SocketIo, decline, fresh_sid, refuse};
use crate::actors::socketio::{BeginPost, Carrier, Poll, PollGone, Post, PostGone, SocketIoActor, Waiting};
use crate::delivery::Hub;
use crate::http::error::ApiError;
use crate::wire::socketio::engine::{Entry, EntryError, PollId, Refusal, Transport};

/// Adds the routes. `hub` is that of the worker whose application it is.
pub fn configure(socketio: SocketIo, hub: Hub) -> impl FnOnce(&mut web::ServiceConfig) {
    move |app| {
        app.app_data(Data::new(socketio));
        app.app_data(WorkerHub(hub));
        for path in super::PATHS {
            app.service(web::resource(path).to(serve));
        }
    }
}

/// The hub of the worker.
struct WorkerHub(Hub);

async fn serve(
    request: HttpRequest,
    socketio: Data<SocketIo>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    match Entry::read(request.method().as_str(), request.query_string(), false) {
        Ok(Entry::Open(Transport::Polling)) => open(&request, &socketio).await,
        Ok(Entry::Poll(sid)) => match socketio.find(&sid) {
            Some(actor) => Ok(poll(&actor).await),
            None => Ok(refuse(&EntryError::UnknownSid)),
        },
        Ok(Entry::Post(sid)) => match socketio.find(&sid) {
            Some(actor) => Ok(post(&request, &socketio, &actor, payload).await),
            None => Ok(refuse(&EntryError::UnknownSid)),
        },
        // A WebSocket is asked for by an upgrade, which does not come here.
        Ok(Entry::Open(Transport::WebSocket) | Entry::Upgrade(_)) => Ok(refuse(&EntryError::BadRequest)),
        Err(error) => Ok(refuse(&error)),
    }
}

async fn open(request: &HttpRequest, socketio: &SocketIo) -> Result<HttpResponse, ApiError> {
    let Some(WorkerHub(hub)) = request.app_data::<WorkerHub>() else {
        tracing::error!("the application has no hub");
        return Err(ApiError::internal());
    };
    let mut place = socketio.make_room(request.head())?;
    let afar = hub.register_afar(socketio.0.settings.transport.outbox_max_bytes);
    let sid = fresh_sid();
    let listed = Listed {
        sid: sid.clone(),
        sessions: socketio.0.sessions.clone(),
    };
    place.guard = Box::new((place.guard, listed));
    let actor = socketio.start(hub, sid.clone(), Carrier::Polls(afar), place);
    socketio.0.sessions.insert(sid, actor.clone());
    Ok(poll(&actor).await)
}

/// Waits for what the client is owed; the connection's heartbeat bounds how long.
async fn poll(actor: &Addr<SocketIoActor>) -> HttpResponse {
    let waiting = match actor.send(Poll).await {
        Ok(Ok(waiting)) => waiting,
        Ok(Err(refusal)) => return decline(&refusal),
        Err(gone) => return missing(gone),
    };
    let Waiting { id, body } = waiting;
    let mut watch = PollWatch { actor, id: Some(id) };
    let answered = body.await;
    watch.id = None;
    match answered {
        Ok(body) => text(body),
        Err(_) => refuse(&EntryError::UnknownSid),
    }
}

async fn post(
    request: &HttpRequest,
    socketio: &SocketIo,
    actor: &Addr<SocketIoActor>,
    payload: Payload,
) -> HttpResponse {
    let content_type = request.headers().get(CONTENT_TYPE);
    let content_type = content_type
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    match actor.send(BeginPost { content_type }).await {
        Ok(Ok(())) => {}
        Ok(Err(refusal)) => return decline(&refusal),
        Err(gone) => return missing(gone),
    }
    let mut watch = PostWatch { actor, whole: false };
    let limit = socketio.0.settings.protocol.engine.max_payload_bytes;
    let read = tokio::time::timeout(socketio.0.post_within, payload.to_bytes_limited(limit)).await;
    let body: Bytes = match read {
        Ok(Ok(Ok(body))) => body,
        Ok(Err(_)) => return decline(&Refusal::TooLarge),
        Ok(Ok(Err(_))) | Err(_) => return refuse(&EntryError::BadRequest),
    };
    watch.whole = true;
    match actor.send(Post(body)).await {
        Ok(Ok(())) => text("ok".to_owned()),
        Ok(Err(refusal)) => decline(&refusal),
        Err(gone) => missing(gone),
    }
}

fn text(body: String) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; charset=UTF-8"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(body)
}

/// The connection ended meanwhile.
fn missing(_: MailboxError) -> HttpResponse {
    refuse(&EntryError::UnknownSid)
}

/// A poll that is given up before its answer is told so. Where the connection is too busy to hear it, its heartbeat
/// finds out.
struct PollWatch<'a> {
    actor: &'a Addr<SocketIoActor>,
    id: Option<PollId>,
}

impl Drop for PollWatch<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let _ = self.actor.try_send(PollGone(id));
        }
    }
}

/// The same for a post whose body breaks off.
struct PostWatch<'a> {
    actor: &'a Addr<SocketIoActor>,
    whole: bool,
}

impl Drop for PostWatch<'_> {
    fn drop(&mut self) {
        if !self.whole {
            let _ = self.actor.try_send(PostGone);
        }
    }
}

impl SocketIo {
    /// The connection of this `sid`. In a cluster it may be another node's: the client is told that there is none, and
    /// begins anew.
    pub(super) fn find(&self, sid: &str) -> Option<Addr<SocketIoActor>> {
        self.0.sessions.get(sid).map(|actor| actor.clone())
    }
}
