//! Raises incidents, finds them, shows one.

use std::sync::Arc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpRequest, HttpResponse, web};

use super::Api;
use super::params::{RetryKey, SosId};
use super::scene::Scene;
use crate::domain::ids::RoomId;
use crate::domain::people::{Identity, Subject};
use crate::domain::room::{RoomState, Seq};
use crate::http::auth::Caller;
use crate::http::envelope;
use crate::http::error::ApiError;
use crate::http::extract::JsonBytes;
use crate::http::gate::{Gate, MaybeCaller};
use crate::http::limits::{self, Class};
use crate::store::{DeviceRecord, IdempotencyKey, IncidentQuery, Listed, Sight};
use crate::wire::rest::{CreateSos, DeviceInfo, IncidentCursor, IncidentFacts, SosListItem, SosListQuery};

/// An incident's first two events, its creation and its creator's joining, are written as one.
const BIRTH: Seq = Seq::new(2);

/// `POST /sos`
pub(super) async fn create(
    api: web::Data<Api>,
    gate: web::Data<Gate>,
    request: HttpRequest,
    caller: Caller,
    RetryKey(key): RetryKey,
    body: JsonBytes,
) -> Result<HttpResponse, ApiError> {
    let who = &caller.identity;
    // A wrong field costs nobody their right to call for help: it is charged like any other request.
    let CreateSos { report, device } = match CreateSos::parse(&body.0) {
        Ok(parsed) => parsed,
        Err(error) => {
            gate.charge(Class::Writes, &request)?;
            return Err(error.into());
        }
    };
    let charge = gate.charge_sos(&request)?;
    // Side by side, so that the device's record goes to the disk with the incident and costs no wait.
    let (created, ()) = futures_util::future::join(
        api.engine.create_sos(who, report, key),
        note_device(&api, who, device),
    )
    .await;
    let mut response = first_answer(&api, who, &created?.sos).await?;
    if let Some(budget) = &charge.budget {
        limits::tell(budget, response.headers_mut());
    }
    Ok(response)
}

/// An SOS does not fail for the sake of the device's record.
async fn note_device(api: &Api, who: &Identity, info: DeviceInfo) {
    let Subject::Device(id) = &who.subject else { return };
    if info == DeviceInfo::default() {
        return;
    }
    let now = api.now();
    let record = DeviceRecord {
        os: info.os,
        app_version: info.app_version,
        locale: info.locale,
        first_seen: now,
        last_seen: now,
    };
    if let Err(error) = api.engine.node().store.put_device(*id, record).await {
        tracing::warn!(%error, "a device's record was not kept");
    }
}

/// The incident as it was when it was raised, whatever has become of it: a retry gets the same answer, also
/// after a restart, because it is read off the log.
async fn first_answer(api: &Api, who: &Arc<Identity>, sos: &RoomId) -> Result<HttpResponse, ApiError> {
    let mut view = api.engine.view(sos, who).await?;
    if view.state.seq > BIRTH {
        let born = api.engine.node().store.events(sos, Seq::ZERO, 2).await?;
        view.state = RoomState::new(sos.clone());
        for event in &born {
            view.state.apply(event);
        }
    }
    view.newest.clear();
    Ok(envelope::created(Scene::of(&view)?.sos()?))
}

/// Round the budget of raising incidents: whoever is over it and asks again for an SOS that stands gets its
/// answer. A phone that lost the first one in a dead spot must not be told that it may not call for help.
///
/// # Errors
/// Those of the routes inside.
pub(super) async fn answer_retries<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let response = next.call(request).await?;
    if response.status() != StatusCode::TOO_MANY_REQUESTS {
        return Ok(response.map_into_left_body());
    }
    match answered_before(response.request()).await {
        Some(answer) => Ok(response.into_response(answer).map_into_right_body()),
        None => Ok(response.map_into_left_body()),
    }
}

async fn answered_before(request: &HttpRequest) -> Option<HttpResponse> {
    let api = request.app_data::<web::Data<Api>>()?;
    let key = RetryKey::extract(request).await.ok()?.0?;
    let who = Caller::extract(request).await.ok()?.identity;
    let subject = who.subject.clone();
    let store = &api.engine.node().store;
    let sos = store.repeated(&IdempotencyKey { subject, key }).await.ok()??;
    first_answer(api, &who, &sos).await.ok()
}

/// `GET /sos`
pub(super) async fn list(
    api: web::Data<Api>,
    caller: MaybeCaller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = SosListQuery::parse(request.query_string())?;
    let limit = query.limit;
    let mut found = api.engine.incidents(&asked(query, caller.identity())).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| place_of(last).encode());
    let items: Vec<_> = found.iter().map(item).collect();
    Ok(envelope::page(&items, next))
}

fn asked(query: SosListQuery, who: Option<&Arc<Identity>>) -> IncidentQuery {
    let sight = match who {
        Some(who) if who.role.is_staff() => Sight::All,
        Some(who) if who.mission.is_none() => Sight::PublicAnd(who.subject.clone()),
        _ => Sight::Public,
    };
    IncidentQuery {
        status: query.status,
        kind: query.kind,
        city_id: query.city_id,
        near: query.near,
        sight,
        // One more than is shown tells whether there is a next page.
        limit: query.limit + 1,
        after: query.cursor.map(|cursor| crate::store::IncidentCursor {
            created_at: cursor.created_at,
            distance_m: cursor.distance_m,
            room: cursor.room,
        }),
    }
}

fn place_of(listed: &Listed) -> IncidentCursor {
    IncidentCursor {
        created_at: listed.incident.created_at,
        distance_m: listed.distance_m.unwrap_or(0.0),
        room: listed.incident.room.clone(),
    }
}

fn item(listed: &Listed) -> SosListItem<'_> {
    let row = &listed.incident;
    let facts = IncidentFacts {
        room: &row.room,
        creator: Some(row.creator),
        report: &row.report,
        status: row.status,
        created_at: row.created_at,
        updated_at: row.updated_at,
        ended_at: row.ended_at,
        seq: row.seq,
        active_participants: row.active_participants as usize,
    };
    SosListItem::new(&facts, listed.distance_m)
}

/// `GET /sos/{id}`
pub(super) async fn read(
    api: web::Data<Api>,
    caller: MaybeCaller,
    SosId(id): SosId,
) -> Result<HttpResponse, ApiError> {
    let view = api.engine.view_as(&id, caller.identity()).await?;
    Ok(envelope::ok(Scene::of(&view)?.sos()?))
}
