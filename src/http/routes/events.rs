//! `GET /sos/{id}/events`: the incident's log.

use actix_web::{HttpRequest, HttpResponse, web};

use super::Api;
use super::params::SosId;
use super::scene::Scene;
use crate::http::auth::Caller;
use crate::http::envelope;
use crate::http::error::ApiError;
use crate::wire::rest::{EventView, EventsQuery};

/// `GET /sos/{id}/events?since&limit`
pub(super) async fn list(
    api: web::Data<Api>,
    caller: Caller,
    SosId(id): SosId,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = EventsQuery::parse(request.query_string())?;
    let (view, mut events) = api
        .engine
        .events(&id, &caller.identity, query.since, query.limit + 1)
        .await?;
    Scene::of(&view)?;
    let more = events.len() > query.limit;
    events.truncate(query.limit);
    let next = events
        .last()
        .filter(|_| more)
        .map(|last| last.seq.get().to_string());
    let items: Vec<_> = events.iter().map(EventView::of).collect();
    Ok(envelope::page(&items, next))
}
