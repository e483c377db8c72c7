//! Raises incidents, finds them, shows one.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpRequest, HttpResponse, web};

use super::params::{RetryKey, SosId};
use super::scene::Scene;
use super::{Api, devices};
use crate::actors::CommandError;
use crate::actors::room::Glimpse;
use crate::config::OutsideArea;
use crate::domain::bounds::is_null_island;
use crate::domain::hints::{Hint, Oddities};
use crate::domain::ids::RoomId;
use crate::domain::incident::{Report, Status, Visibility};
use crate::domain::people::Identity;
use crate::domain::room::{RoomState, Seq};
use crate::http::auth::Caller;
use crate::http::envelope::{self, Rendered};
use crate::http::error::ApiError;
use crate::http::etag::Stamp;
use crate::http::extract::JsonBytes;
use crate::http::gate::{Gate, MaybeCaller};
use crate::http::hints::From;
use crate::http::limits::{self, Class};
use crate::store::{IdempotencyKey, IncidentQuery, IncidentRow, Listed, Sight};
use crate::wire::rest::{
    CreateSos, DeviceInfo, IncidentCursor, IncidentFacts, QuietSosView, SosListItem, SosListQuery,
    SosListShown,
};

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
    let CreateSos { mut report, device } = match CreateSos::parse(&body.0) {
        Ok(parsed) => parsed,
        Err(error) => {
            gate.charge(Class::Writes, &request)?;
            return Err(error.into());
        }
    };
    let outside_area = is_outside(&api, &report);
    if outside_area && api.outside_area == OutsideArea::Refuse {
        gate.charge(Class::Writes, &request)?;
        gate.note_refusal("outside_area");
        return Err(ApiError::invalid(
            "location",
            "lies outside the area that this service covers: call the emergency services where you are",
        ));
    }
    let charge = gate.charge_sos(&request).await?;
    let by_blocked = gate.is_blocked(&caller);
    if by_blocked {
        // They may be in danger, and they may be lying: staff look, and nobody else is sent.
        report.visibility = Visibility::Restricted;
    }
    let position = report.position;
    // Side by side, so that the device's record goes to the disk with the incident and costs no wait.
    let (created, ()) = futures_util::future::join(
        api.engine.create_sos(who, report, key),
        note_device(&api, who, device),
    )
    .await;
    let created = created?;
    if !created.repeated {
        let odd = Oddities {
            over_address: charge.over_address,
            by_blocked,
            outside_area,
            no_position: false,
        };
        let from = From {
            caller: &caller,
            address: gate.address(&request),
        };
        gate.hints().raised(from, &created.sos, position, odd, api.now());
    }
    let mut response = first_answer(&api, who, &created.sos).await?;
    if let Some(budget) = &charge.budget {
        limits::tell(budget, response.headers_mut());
    }
    Ok(response)
}

/// A receiver without a fix says 0,0: whoever calls may be anywhere, and so inside.
fn is_outside(api: &Api, report: &Report) -> bool {
    report.position.is_some_and(|position| {
        !is_null_island(position) && !api.service_area.may_hold(position, report.accuracy)
    })
}

/// An SOS does not fail for the sake of the device's record.
async fn note_device(api: &Api, who: &Identity, info: DeviceInfo) {
    let Some(id) = who.own_device() else { return };
    if info == DeviceInfo::default() {
        return;
    }
    if let Err(error) = api.engine.note_device(id, devices::record(api, info)).await {
        tracing::warn!(%error, "a device's record was not kept");
    }
}

/// The incident as it was when it was raised, whatever has become of it: a retry gets the same answer, also
/// after a restart, because it is read off the log.
async fn first_answer(api: &Api, who: &Arc<Identity>, sos: &RoomId) -> Result<HttpResponse, ApiError> {
    // Whatever another node may have written since, the answer is how it began.
    let mut view = api.engine.known_view(sos, who).await?;
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
    gate: web::Data<Gate>,
    caller: MaybeCaller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = SosListQuery::parse(request.query_string())?;
    let (limit, states) = (query.limit, query.status.clone());
    let mut found = api.engine.incidents(&asked(query, caller.identity())).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| place_of(last).encode());
    let mut quiet = BTreeSet::new();
    if let Some(who) = caller.identity().filter(|who| !who.role.is_staff()) {
        (found, quiet) = own_as_shown(&api, who, found, &states).await?;
    }
    let told: Vec<_> = found
        .iter()
        .map(|listed| hint(&gate, &caller, &listed.incident.room))
        .collect();
    // A row is what its log says: its head tells whether it has changed.
    let rows = found.iter().zip(&told).fold(
        Stamp::new(&request, caller.identity().map(Arc::as_ref)),
        |stamp, (listed, told)| stamp.with((&listed.incident.room, listed.incident.seq, told)),
    );
    Ok(rows.with(more).answer(|| {
        let rows = found.iter().zip(told);
        let items: Vec<_> = rows
            .map(|(listed, told)| {
                let facts = facts(listed);
                if quiet.contains(facts.room) {
                    SosListShown::Quiet(QuietSosView::new(&facts))
                } else {
                    let item = SosListItem::new(&facts, listed.distance_m);
                    SosListShown::Whole(Box::new(item.hinted(told)))
                }
            })
            .collect();
        envelope::page(&items, next)
    }))
}

/// What somebody was made to end stands in their own lists as it is shown to them. Beside it: what they raised silently.
async fn own_as_shown(
    api: &Api,
    who: &Arc<Identity>,
    found: Vec<Listed>,
    states: &[Status],
) -> Result<(Vec<Listed>, BTreeSet<RoomId>), ApiError> {
    let mut quiet = BTreeSet::new();
    let mut shown = Vec::with_capacity(found.len());
    for mut listed in found {
        let report = &listed.incident.report;
        if !report.silent && !report.guarded {
            shown.push(listed);
            continue;
        }
        let silent = report.silent;
        let look = |glimpse: &Glimpse<'_>| {
            let own = glimpse.viewer.is_some() && glimpse.viewer == glimpse.state.owner;
            let masked = glimpse.until.and(glimpse.state.incident.as_ref());
            let masked = masked.map(|over| (over.status, over.status_at, over.ended_at, glimpse.state.seq));
            (own, masked)
        };
        let (own, masked) = match api.engine.glance(&listed.incident.room, Some(who), look).await {
            Ok(looked) => looked,
            Err(CommandError::Rejected(_)) => continue,
            Err(error) => return Err(error.into()),
        };
        if own && silent {
            quiet.insert(listed.incident.room.clone());
        }
        if let Some((status, updated_at, ended_at, seq)) = masked {
            if !states.is_empty() && !states.contains(&status) {
                continue;
            }
            listed.incident = Arc::new(IncidentRow {
                status,
                updated_at,
                ended_at,
                seq,
                active_participants: 0,
                ..listed.incident.as_ref().clone()
            });
        }
        shown.push(listed);
    }
    Ok((shown, quiet))
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

fn facts(listed: &Listed) -> IncidentFacts<'_> {
    let row = &listed.incident;
    IncidentFacts {
        room: &row.room,
        creator: Some(row.creator),
        report: &row.report,
        status: row.status,
        created_at: row.created_at,
        updated_at: row.updated_at,
        ended_at: row.ended_at,
        seq: row.seq,
        active_participants: row.active_participants as usize,
    }
}

/// `GET /sos/{id}`
pub(super) async fn read(
    api: web::Data<Api>,
    gate: web::Data<Gate>,
    caller: MaybeCaller,
    SosId(id): SosId,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let stamp = Stamp::new(&request, caller.identity().map(Arc::as_ref));
    let told = hint(&gate, &caller, &id);
    let staff = caller.identity().is_some_and(|who| who.role.is_staff());
    let look = move |glimpse: &Glimpse<'_>| {
        let scene = Scene::at(glimpse)?;
        let sos = scene.sos()?;
        let duress = staff && glimpse.state.is_under_duress();
        let last = scene.last().map(|(who, fix)| (who, fix.at));
        let stamp = scene.stamped(stamp).with(last).with(&told).with(duress);
        Ok::<_, ApiError>(stamp.judge(|| Rendered::ok(sos.hinted(told.clone(), duress))))
    };
    let judged = api.engine.glance(&id, caller.identity(), look).await??;
    Ok(judged.told(Rendered::answer))
}

/// What staff are told beside; nobody else ever is.
fn hint(gate: &Gate, caller: &MaybeCaller, sos: &RoomId) -> Option<Hint> {
    let staff = caller.identity().is_some_and(|who| who.role.is_staff());
    if staff { gate.hints().of(sos) } else { None }
}
