//! Reports of misconduct, and whom staff keep out.

use actix_web::{HttpRequest, HttpResponse, web};

use super::Api;
use super::params::{OptionalBody, SomebodysId, SosId, no_such_participant};
use crate::actors::engine::{BlockError, ReportError};
use crate::domain::conduct::Complaint;
use crate::domain::ids::RoomId;
use crate::http::auth::Caller;
use crate::http::envelope;
use crate::http::error::ApiError;
use crate::http::extract::JsonBytes;
use crate::wire::rest::{
    BlockBody, BlockView, BlocksQuery, ReportBody, ReportView, ReportsQuery, UnblockedView,
};

impl From<ReportError> for ApiError {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Command(error) => error.into(),
            ReportError::Stranger | ReportError::Oneself => Self::invalid("participantId", error.to_string()),
        }
    }
}

impl From<BlockError> for ApiError {
    fn from(error: BlockError) -> Self {
        match error {
            BlockError::Unknown => no_such_participant(),
            BlockError::Staff | BlockError::TooMany => Self::conflict(error.to_string()),
            BlockError::Store(error) => error.into(),
        }
    }
}

/// `POST /sos/{id}/reports`
pub(super) async fn report(
    api: web::Data<Api>,
    caller: Caller,
    SosId(id): SosId,
    body: JsonBytes,
) -> Result<HttpResponse, ApiError> {
    let ReportBody { participant, reason } = ReportBody::parse(&body.0)?;
    api.incident(&id, &caller.identity).await?;
    let report = api
        .engine
        .report(&id, &caller.identity, participant, reason)
        .await?;
    Ok(envelope::created(ReportView::from(&report)))
}

/// `GET /sos/{id}/reports`, for staff.
pub(super) async fn of_incident(
    api: web::Data<Api>,
    caller: Caller,
    SosId(id): SosId,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = ReportsQuery::parse(request.query_string())?;
    let view = api.engine.view(&id, &caller.identity).await?;
    super::scene::Scene::of(&view)?;
    list(&api, Some(&id), query).await
}

/// `GET /reports`, for staff: of all incidents.
pub(super) async fn all(api: web::Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let query = ReportsQuery::parse(request.query_string())?;
    list(&api, None, query).await
}

async fn list(api: &Api, room: Option<&RoomId>, query: ReportsQuery) -> Result<HttpResponse, ApiError> {
    let mut found = api.engine.reports(room, query.cursor, query.limit + 1).await?;
    let more = found.len() > query.limit;
    found.truncate(query.limit);
    let next = found.last().filter(|_| more).map(Complaint::place);
    let items: Vec<_> = found.iter().map(ReportView::from).collect();
    Ok(envelope::page(&items, next.map(ReportsQuery::next)))
}

/// `POST /devices/{participantId}/block`, for staff.
pub(super) async fn block(
    api: web::Data<Api>,
    caller: Caller,
    SomebodysId(whom): SomebodysId,
    body: OptionalBody,
) -> Result<HttpResponse, ApiError> {
    let now = api.now();
    let BlockBody { reason, until } = BlockBody::parse(&body.0, now)?;
    let block = api.engine.block(whom, &caller.identity, reason, until).await?;
    tracing::info!(participant = %whom, "blocked");
    Ok(envelope::created(BlockView::new(&block, now)))
}

/// `DELETE /devices/{participantId}/block`, for staff.
pub(super) async fn unblock(
    api: web::Data<Api>,
    SomebodysId(whom): SomebodysId,
) -> Result<HttpResponse, ApiError> {
    let lifted = api.engine.unblock(whom).await?;
    tracing::info!(participant = %whom, lifted, "no longer blocked");
    Ok(envelope::ok(UnblockedView {
        participant_id: whom.to_string(),
        blocked: false,
    }))
}

/// `GET /blocks`, for staff.
pub(super) async fn blocks(api: web::Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let query = BlocksQuery::parse(request.query_string())?;
    let mut found = api
        .engine
        .node()
        .store
        .blocks(query.cursor, query.limit + 1)
        .await?;
    let more = found.len() > query.limit;
    found.truncate(query.limit);
    let next = found
        .last()
        .filter(|_| more)
        .map(|block| BlocksQuery::next(block.key));
    let now = api.now();
    let items: Vec<_> = found.iter().map(|block| BlockView::new(block, now)).collect();
    Ok(envelope::page(&items, next))
}
