//! Incidents, for sister services: raised for somebody, moved along, shown, and what happens elsewhere told to those
//! who are in.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::Api;
use super::errors::service;
use super::messages::sent_before;
use super::params::SosId;
use super::participants::{in_order, next_of};
use super::scene::Scene;
use crate::actors::engine::{NewSos, ServiceError, role_of};
use crate::actors::room::Glimpse;
use crate::domain::geo::Fix;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::incident::Status;
use crate::domain::people::{Named, Role};
use crate::domain::room::{Command, EventBody, Participant, Rejection, RoomKind};
use crate::http::auth::Caller;
use crate::http::envelope::{self, Rendered};
use crate::http::error::ApiError;
use crate::http::extract::JsonBytes;
use crate::wire::rest::{
    CloserBody, CountView, InitBody, JoinedBody, LeftBody, MemberView, MessageView, MoveBody, NearStateView,
    NearbyQuery, OutsideMessage, ParticipantsQuery, RelayBody, RescuerBody, RescuerQuery, RescuerView,
    StateView, TypeBody,
};

/// How far around a position incidents are looked for, in km (protocol page, section 3, `GET /sos`).
pub(super) const RADIUS_MAX_KM: u32 = 25;

/// `POST /internal/realtime/sos/init`
pub(super) async fn init(
    api: web::Data<Api>,
    caller: Caller,
    body: JsonBytes,
) -> Result<HttpResponse, ApiError> {
    let InitBody { sos, citizen, report } = InitBody::parse(&body.0)?;
    let new = NewSos {
        sos: sos.clone(),
        citizen,
        report,
    };
    let raised = api.engine.init_sos(&caller.identity, new).await;
    raised.map_err(|error| match error {
        ServiceError::Nobody => ApiError::invalid("citizenId", "must be a user's id, for an SOS that is new"),
        error => service("citizenId")(error),
    })?;
    answer(&api, &caller, &sos, StatusCode::CREATED).await
}

/// `POST /internal/realtime/sos/{id}/close`. One that is closed stays as it is.
pub(super) async fn close(
    api: web::Data<Api>,
    caller: Caller,
    SosId(id): SosId,
    body: JsonBytes,
) -> Result<HttpResponse, ApiError> {
    let CloserBody { by } = CloserBody::parse(&body.0)?;
    let moved = api.engine.move_sos(&id, by, Status::Closed, None).await;
    moved.map_err(service("closedBy"))?;
    answer(&api, &caller, &id, StatusCode::OK).await
}

/// `POST /internal/realtime/sos/{id}/status`
pub(super) async fn status(
    api: web::Data<Api>,
    caller: Caller,
    SosId(id): SosId,
    body: JsonBytes,
) -> Result<HttpResponse, ApiError> {
    let MoveBody { to, by, expected } = MoveBody::parse(&body.0)?;
    let moved = api.engine.move_sos(&id, by, to, expected).await;
    moved.map_err(service("updatedBy"))?;
    answer(&api, &caller, &id, StatusCode::OK).await
}

/// `PATCH /internal/realtime/sos/{id}/type`
pub(super) async fn retype(
    api: web::Data<Api>,
    caller: Caller,
    SosId(id): SosId,
    body: JsonBytes,
) -> Result<HttpResponse, ApiError> {
    let TypeBody { to } = TypeBody::parse(&body.0)?;
    api.engine.retype_sos(&id, to).await.map_err(service("type"))?;
    answer(&api, &caller, &id, StatusCode::OK).await
}

/// `GET /internal/realtime/sos/{id}/state`
pub(super) async fn state(
    api: web::Data<Api>,
    caller: Caller,
    SosId(id): SosId,
) -> Result<HttpResponse, ApiError> {
    answer(&api, &caller, &id, StatusCode::OK).await
}

/// The incident as it is now.
async fn answer(
    api: &Api,
    caller: &Caller,
    id: &RoomId,
    status: StatusCode,
) -> Result<HttpResponse, ApiError> {
    let view = api.engine.glance(id, Some(&caller.identity), shown).await?;
    let view = view.ok_or(Rejection::NotFound)?;
    Ok(envelope::with_status(status, view))
}

fn shown(glimpse: &Glimpse<'_>) -> Option<StateView> {
    let owner = glimpse.state.owner;
    let located = owner.and_then(|owner| glimpse.located(owner));
    StateView::of(glimpse.state, &|who| glimpse.person(who), located)
}

/// `GET /internal/realtime/sos/nearby?latitude&longitude&radius&limit`
pub(super) async fn nearby(
    api: web::Data<Api>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = NearbyQuery::parse(request.query_string(), RADIUS_MAX_KM)?;
    let around = (query.centre, query.radius_m);
    let found = api
        .engine
        .sos_near(&caller.identity, around, query.limit, shown)
        .await?;
    let views = found
        .into_iter()
        .map(|(state, distance_m)| NearStateView::new(state, distance_m));
    Ok(envelope::ok(views.collect::<Vec<_>>()))
}

/// `POST /internal/realtime/sos/{id}/rescuer-location`
pub(super) async fn locate(
    api: web::Data<Api>,
    caller: Caller,
    SosId(id): SosId,
    body: JsonBytes,
) -> Result<HttpResponse, ApiError> {
    let RescuerBody { rescuer, fix } = RescuerBody::parse(&body.0, &api.reading(api.now()))?;
    let who = &caller.identity;
    let taken = api.engine.locate_rescuer(who, &id, rescuer, fix).await;
    let rescuer = taken.map_err(service("rescuerId"))?;
    let look =
        move |glimpse: &Glimpse<'_>| RescuerView::new(glimpse.state, rescuer, glimpse.person(rescuer), &fix);
    Ok(envelope::ok(api.engine.glance(&id, Some(who), look).await?))
}

/// `GET /internal/realtime/sos/{id}/rescuer-location?rescuerId`: the newest of any rescuer who is in, or of this one;
/// null when nobody knows.
pub(super) async fn rescuer(
    api: web::Data<Api>,
    caller: Caller,
    SosId(id): SosId,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let RescuerQuery { rescuer } = RescuerQuery::parse(request.query_string())?;
    let who = &caller.identity;
    // A node that does not hear of the room asks those who do.
    let elsewhere = api.engine.node().board.newest(&id).await;
    let look = move |glimpse: &Glimpse<'_>| {
        if glimpse.state.kind != Some(RoomKind::Sos) {
            return Err(Rejection::NotFound);
        }
        let only = rescuer.as_ref().map(|named| glimpse.find(named));
        let found = newest(glimpse, &elsewhere, only);
        let view = |(who, fix)| RescuerView::new(glimpse.state, who, glimpse.person(who), &fix);
        Ok(found.map(view))
    };
    Ok(envelope::ok(api.engine.glance(&id, Some(who), look).await??))
}

/// Where a rescuer who is in was last, as this node knows it or others do.
fn newest(
    glimpse: &Glimpse<'_>,
    elsewhere: &[(ParticipantId, Fix)],
    only: Option<Option<ParticipantId>>,
) -> Option<(ParticipantId, Fix)> {
    let wanted = |who: ParticipantId| only.is_none_or(|only| only == Some(who));
    let rescuers = glimpse.state.active_participants();
    let rescuers = rescuers.filter(|(who, stay)| stay.rescues() && wanted(*who));
    let fixes = rescuers.flat_map(|(who, _)| {
        let there = elsewhere.iter().filter(move |(known, _)| *known == who);
        let all = glimpse.located(who).into_iter().chain(there.map(|(_, fix)| fix));
        all.map(move |fix| (who, *fix))
    });
    fixes.max_by_key(|(_, fix)| fix.at)
}

/// `POST /internal/messaging/broadcast`. A message that is passed on again gets the first answer.
pub(super) async fn broadcast(
    api: web::Data<Api>,
    caller: Caller,
    body: JsonBytes,
) -> Result<HttpResponse, ApiError> {
    let RelayBody { sos, message } = RelayBody::parse(&body.0, &api.reading(api.now()))?;
    let OutsideMessage {
        id,
        sender,
        display_name,
        content,
        relay,
    } = message;
    let own = || (Named::Subject(caller.identity.subject.clone()), Role::Admin);
    let role = relay.sender.map_or(Role::Admin, role_of);
    let sender = sender.map_or_else(own, |sender| (sender, role));
    let command = Command::PassOn { id, content, relay };
    let passed = api.engine.pass_on(&sos, sender, command, display_name).await;
    let passed = passed.map_err(service("message.senderId"))?;
    let Some(outcome) = passed.outcome else {
        return sent_before(&api, &caller, &sos, passed.seq).await;
    };
    let look = move |glimpse: &Glimpse<'_>| {
        let scene = Scene::at(glimpse)?;
        let said = outcome.events.iter().find_map(|event| match &event.body {
            EventBody::MessageSent { id, content, relay } => Some((event, id, content, relay)),
            _ => None,
        });
        let (event, id, content, relay) = said.ok_or_else(ApiError::internal)?;
        let sender = event.actor.participant().map(|who| scene.sender(who));
        let view = MessageView::new(scene.room(), id, event.seq, event.at, sender, content);
        Ok::<_, ApiError>(Rendered::ok(view.relayed(relay.as_ref())))
    };
    let rendered = api.engine.glance(&sos, Some(&caller.identity), look).await??;
    Ok(rendered.answer_with(StatusCode::CREATED))
}

/// `POST /api/participants/joined`. Who is in already stays so.
pub(super) async fn joined(
    api: web::Data<Api>,
    caller: Caller,
    body: JsonBytes,
) -> Result<HttpResponse, ApiError> {
    let JoinedBody {
        sos,
        who,
        user_type,
        display_name,
    } = JoinedBody::parse(&body.0)?;
    let come = api
        .engine
        .bring_in(&sos, who.clone(), user_type, display_name)
        .await;
    come.map_err(service("userId"))?;
    member(&api, &caller, &sos, who).await
}

/// `POST /api/participants/left`. Who has left already stays so.
pub(super) async fn left(
    api: web::Data<Api>,
    caller: Caller,
    body: JsonBytes,
) -> Result<HttpResponse, ApiError> {
    let LeftBody { sos, who } = LeftBody::parse(&body.0)?;
    let gone = api.engine.take_out(&caller.identity, &sos, who.clone()).await;
    gone.map_err(|error| match error {
        ServiceError::Nobody => super::params::no_such_participant(),
        error => service("userId")(error),
    })?;
    member(&api, &caller, &sos, who).await
}

async fn member(api: &Api, caller: &Caller, sos: &RoomId, whom: Named) -> Result<HttpResponse, ApiError> {
    let look = move |glimpse: &Glimpse<'_>| {
        let who = glimpse.find(&whom)?;
        MemberView::of(glimpse.state, who, glimpse.person(who)).map(Rendered::ok)
    };
    let rendered = api.engine.glance(sos, Some(&caller.identity), look).await?;
    Ok(rendered.ok_or_else(super::params::no_such_participant)?.answer())
}

/// `GET /api/participants/{id}/active`, in the order they came
pub(super) async fn active(
    api: web::Data<Api>,
    caller: Caller,
    SosId(id): SosId,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = ParticipantsQuery::parse(request.query_string())?;
    let look = move |glimpse: &Glimpse<'_>| {
        let state = Scene::at(glimpse)?.state();
        let (found, more) = in_order(state, query, Participant::is_active);
        let members = found
            .iter()
            .filter_map(|(_, who)| MemberView::of(state, *who, glimpse.person(*who)));
        let members = members.collect::<Vec<_>>();
        Ok::<_, Rejection>(Rendered::page(&members, next_of(&found, more)))
    };
    let rendered = api.engine.glance(&id, Some(&caller.identity), look).await??;
    Ok(rendered.answer())
}

/// `GET /api/participants/{id}/count`
pub(super) async fn count(
    api: web::Data<Api>,
    caller: Caller,
    SosId(id): SosId,
) -> Result<HttpResponse, ApiError> {
    let look = |glimpse: &Glimpse<'_>| Ok::<_, Rejection>(CountView::of(Scene::at(glimpse)?.state()));
    let counted = api.engine.glance(&id, Some(&caller.identity), look).await??;
    Ok(envelope::ok(counted))
}
