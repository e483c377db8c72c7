//! Moves an incident along its states.

use actix_web::{HttpResponse, web};

use super::Api;
use super::params::{OptionalBody, SosId};
use super::scene::Scene;
use crate::domain::ids::RoomId;
use crate::domain::incident::Status;
use crate::domain::pin::PinEntry;
use crate::domain::room::Command;
use crate::http::auth::Caller;
use crate::http::envelope;
use crate::http::error::ApiError;
use crate::http::extract::JsonBytes;
use crate::wire::rest::{CancelBody, CloseBody, StatusBody};

/// `PATCH /sos/{id}/status`
pub(super) async fn change(
    api: web::Data<Api>,
    caller: Caller,
    SosId(id): SosId,
    body: JsonBytes,
) -> Result<HttpResponse, ApiError> {
    let body = StatusBody::parse(&body.0)?;
    moved(&api, &caller, &id, (body.status, body.note), body.pin).await
}

/// `POST /sos/{id}/cancel`
pub(super) async fn cancel(
    api: web::Data<Api>,
    caller: Caller,
    SosId(id): SosId,
    body: OptionalBody,
) -> Result<HttpResponse, ApiError> {
    let body = CancelBody::parse(&body.0)?;
    moved(&api, &caller, &id, (Status::Cancelled, body.reason), body.pin).await
}

/// `POST /sos/{id}/close`
pub(super) async fn close(
    api: web::Data<Api>,
    caller: Caller,
    SosId(id): SosId,
    body: OptionalBody,
) -> Result<HttpResponse, ApiError> {
    let body = CloseBody::parse(&body.0)?;
    moved(&api, &caller, &id, (Status::Closed, body.resolution), None).await
}

async fn moved(
    api: &Api,
    caller: &Caller,
    id: &RoomId,
    (to, note): (Status, Option<String>),
    pin: Option<PinEntry>,
) -> Result<HttpResponse, ApiError> {
    api.incident(id, &caller.identity).await?;
    let who = &caller.identity.subject;
    let proof = api.engine.node().prove(who, pin.as_ref()).await?;
    let command = Command::SetStatus {
        to,
        expected: None,
        note,
        lower_case: false,
        proof,
    };
    api.engine.act(id, &caller.identity, command, None).await?;
    let view = api.engine.view(id, &caller.identity).await?;
    Ok(envelope::ok(Scene::of(&view)?.sos()?))
}
