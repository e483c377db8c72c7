//! `GET /sos/{id}/events`: the incident's log.

use actix_web::{HttpRequest, HttpResponse, web};

use super::Api;
use super::params::SosId;
use super::scene::inside;
use crate::domain::room::Event;
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
    let (stamp, until) = inside(&api, &id, &caller, &request).await?;
    if let Some(unchanged) = stamp.unchanged() {
        return Ok(unchanged);
    }
    let store = &api.engine.node().store;
    let mut events = store.events(&id, query.since, query.limit + 1).await?;
    // Whoever is shown that it is over is shown nothing of what came later.
    events.retain(|event| until.is_none_or(|until| event.seq <= until));
    let more = events.len() > query.limit;
    events.truncate(query.limit);
    let next = events
        .last()
        .filter(|_| more)
        .map(|last| last.seq.get().to_string());
    // Who else was called, and whether they were reached, is for operators.
    let staff = caller.identity.role.is_staff();
    let shown = |event: &Event| match event.body.is_for_staff() {
        true if staff => Some(event.clone()),
        true => until.and_then(|_| event.masked()),
        false => Some(event.clone()),
    };
    let shown: Vec<Event> = events.iter().filter_map(shown).collect();
    let items: Vec<_> = shown.iter().map(EventView::of).collect();
    Ok(stamp.answer(|| envelope::page(&items, next)))
}
