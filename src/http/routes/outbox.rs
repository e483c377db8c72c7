//! The event feed, for those who operate it.

use actix_web::{HttpRequest, HttpResponse, web};

use super::Api;
use super::params::{EventSeq, SosId};
use crate::actors::feed::ResendError;
use crate::http::envelope;
use crate::http::error::ApiError;
use crate::store::DeadLetter;
use crate::wire::rest::{DeadLetterView, OutboxQuery, OutboxView, ResentView};
use crate::wire::stamp::Stamp;

/// `GET /internal/outbox`
pub(super) async fn read(api: web::Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let OutboxQuery { limit, cursor } = OutboxQuery::parse(request.query_string())?;
    let node = api.engine.node();
    let depth = node.store.outbox_depth().await?;
    let mut letters = node.store.dead_letters(cursor, limit + 1).await?;
    let more = letters.len() > limit;
    letters.truncate(limit);
    let next = letters.last().filter(|_| more).map(DeadLetter::place);
    let (feed, now) = (node.feed.get(), api.now());
    Ok(envelope::ok(OutboxView {
        on: feed.is_some(),
        breaker: feed.map(|feed| feed.state().stand.as_str()),
        waiting: depth.incidents,
        oldest_at: depth.oldest.map(Stamp),
        oldest_age_s: depth.oldest.map(|at| now.since(at).as_secs()),
        dead: depth.dead,
        dead_letters: letters.into_iter().map(DeadLetterView::from).collect(),
        next_cursor: next.as_ref().map(OutboxQuery::next),
    }))
}

/// `POST /internal/outbox/{id}/{seq}/retry`
pub(super) async fn retry(
    api: web::Data<Api>,
    SosId(id): SosId,
    EventSeq(seq): EventSeq,
) -> Result<HttpResponse, ApiError> {
    let node = api.engine.node();
    if node.store.dead_letter(&id, seq).await?.is_none() {
        return Err(ResendError::Unknown.into());
    }
    let Some(feed) = node.feed.get() else {
        return Err(ApiError::conflict("The event feed is off"));
    };
    feed.resend(id.clone(), seq).await?;
    tracing::info!(sos = %id, seq = seq.get(), "a dead letter was taken");
    Ok(envelope::ok(ResentView {
        sos_id: id.to_string(),
        seq: seq.get(),
        taken: true,
    }))
}

impl From<ResendError> for ApiError {
    fn from(error: ResendError) -> Self {
        match error {
            ResendError::Unknown => Self::not_found("Dead letter not found"),
            ResendError::Away(wait) => Self::unavailable("The SOS service does not answer, try again", wait),
            ResendError::Refused(_) => Self::conflict(error.to_string()),
            ResendError::Store(error) => error.into(),
        }
    }
}
