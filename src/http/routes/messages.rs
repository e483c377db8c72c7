//! What is said in an incident.

use actix_web::{HttpRequest, HttpResponse, web};

use super::Api;
use super::params::SosId;
use super::participants::outsider;
use super::scene::{Scene, inside};
use crate::actors::CommandError;
use crate::actors::clock::random;
use crate::actors::engine::earlier;
use crate::actors::room::Glimpse;
use crate::domain::ids::{MessageId, RoomId};
use crate::domain::room::{Command, EventBody, Rejection, Seq};
use crate::http::auth::Caller;
use crate::http::envelope::{self, Rendered};
use crate::http::error::ApiError;
use crate::http::extract::JsonBytes;
use crate::store::StoredMessage;
use crate::wire::rest::{MessageBody, MessageView, MessagesQuery};

/// `POST /sos/{id}/messages`. A message that is sent again by its id gets the first answer.
pub(super) async fn send(
    api: web::Data<Api>,
    caller: Caller,
    SosId(id): SosId,
    body: JsonBytes,
) -> Result<HttpResponse, ApiError> {
    let who = &caller.identity;
    let MessageBody { content, id: message } = MessageBody::parse(&body.0, &api.reading(api.now()))?;
    let message = message.unwrap_or_else(|| MessageId::from_random(random()));
    api.incident(&id, who).await?;
    let command = Command::SendMessage { id: message, content };
    let outcome = match api.engine.act(&id, who, command, None).await {
        Ok(outcome) => outcome,
        Err(CommandError::Rejected(Rejection::SentBefore { seq })) => {
            return sent_before(&api, &caller, &id, seq).await;
        }
        Err(CommandError::Rejected(Rejection::NotIn)) => return Err(outsider(&api, &caller, &id).await),
        Err(error) => return Err(error.into()),
    };
    let view = api.engine.view(&id, who).await?;
    let scene = Scene::of(&view)?;
    let sent = outcome.events.iter().find_map(|event| match &event.body {
        EventBody::MessageSent { id, content, .. } => Some((event, id, content)),
        _ => None,
    });
    let (event, message, content) = sent.ok_or_else(ApiError::internal)?;
    let sender = event.actor.participant().map(|who| scene.sender(who));
    Ok(envelope::created(MessageView::new(
        &id, message, event.seq, event.at, sender, content,
    )))
}

pub(super) async fn sent_before(
    api: &Api,
    caller: &Caller,
    id: &RoomId,
    seq: Seq,
) -> Result<HttpResponse, ApiError> {
    let (view, found) = api
        .engine
        .messages(id, &caller.identity, Some(seq.next()), 1, None)
        .await?;
    let scene = Scene::of(&view)?;
    let message = found.messages.first().filter(|message| message.seq == seq);
    let message = message.ok_or_else(ApiError::internal)?;
    Ok(envelope::created(shown(&scene, message)))
}

/// `GET /sos/{id}/messages?before&limit&q`, newest first
pub(super) async fn list(
    api: web::Data<Api>,
    caller: Caller,
    SosId(id): SosId,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = MessagesQuery::parse(request.query_string())?;
    let (stamp, until) = inside(&api, &id, &caller, &request).await?;
    if let Some(unchanged) = stamp.unchanged() {
        return Ok(unchanged);
    }
    let store = &api.engine.node().store;
    let found = store
        .messages(
            &id,
            earlier(query.before, until),
            query.limit,
            query.text.as_deref(),
        )
        .await?;
    let look = move |glimpse: &Glimpse<'_>| {
        let scene = Scene::at(glimpse)?;
        let next = found.more_before.map(|seq| seq.get().to_string());
        let items = found.messages.iter().map(|message| shown(&scene, message));
        Ok::<_, Rejection>(Rendered::page(&items.collect::<Vec<_>>(), next))
    };
    let rendered = api.engine.glance(&id, Some(&caller.identity), look).await??;
    Ok(stamp.answer(|| rendered.answer()))
}

fn shown<'a>(scene: &Scene<'a>, message: &'a StoredMessage) -> MessageView<'a> {
    MessageView::new(
        scene.room(),
        &message.id,
        message.seq,
        message.at,
        message.sender.map(|who| scene.sender(who)),
        &message.content,
    )
    .relayed(message.relay.as_ref())
}
