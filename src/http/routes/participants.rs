//! Who is in an incident, who comes and who goes.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::Api;
use super::params::{SomebodysId, SosId, no_such_participant};
use super::scene::Scene;
use crate::actors::CommandError;
use crate::actors::room::RoomView;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::room::{Command, LeaveReason, Participant, Rejection};
use crate::domain::time::Timestamp;
use crate::http::auth::Caller;
use crate::http::envelope;
use crate::http::error::ApiError;
use crate::http::extract::JsonBytes;
use crate::http::gate::MaybeCaller;
use crate::wire::rest::{AnonymousCount, JoinBody, ParticipantsQuery, PersonCursor, StatsView};

/// `POST /sos/{id}/participants/join`. Who joins is the credential's word: the body's `userId` and `phone`
/// are read for the sake of older clients and shown to nobody.
pub(super) async fn join(
    api: web::Data<Api>,
    caller: Caller,
    SosId(id): SosId,
    body: JsonBytes,
) -> Result<HttpResponse, ApiError> {
    let who = &caller.identity;
    let body = JoinBody::parse(&body.0, api.engine.node().settings.region)?;
    api.incident(&id, who).await?;
    let command = Command::Join {
        user_type: body.user_type,
    };
    let outcome = api.engine.act(&id, who, command, body.display_name).await?;
    let view = api.engine.view(&id, who).await?;
    let joined = outcome
        .participant
        .and_then(|who| Scene::any(&view).participant(who));
    Ok(envelope::created(joined.ok_or_else(ApiError::internal)?))
}

/// `POST /sos/{id}/participants/leave`
pub(super) async fn leave(
    api: web::Data<Api>,
    caller: Caller,
    SosId(id): SosId,
) -> Result<HttpResponse, ApiError> {
    api.incident(&id, &caller.identity).await?;
    let outcome = api.engine.act(&id, &caller.identity, Command::Leave, None).await;
    match outcome {
        Ok(outcome) => gone(&api, &caller, &id, outcome.participant).await,
        Err(CommandError::Rejected(Rejection::NotIn)) => Err(outsider(&api, &caller, &id).await),
        Err(error) => Err(error.into()),
    }
}

/// `PATCH /sos/{id}/participants/{participantId}/leave`: oneself, or somebody who is put out.
pub(super) async fn remove(
    api: web::Data<Api>,
    caller: Caller,
    SosId(id): SosId,
    SomebodysId(whom): SomebodysId,
) -> Result<HttpResponse, ApiError> {
    let view = api.engine.view(&id, &caller.identity).await?;
    Scene::of(&view)?
        .participant(whom)
        .ok_or_else(no_such_participant)?;
    let command = if view.viewer == Some(whom) {
        Command::Leave
    } else {
        Command::Remove {
            who: whom,
            reason: LeaveReason::Removed,
        }
    };
    match api.engine.act(&id, &caller.identity, command, None).await {
        Ok(_) => gone(&api, &caller, &id, Some(whom)).await,
        Err(CommandError::Rejected(Rejection::NotIn)) if !view.state.is_open() => Err(ApiError::sos_closed()),
        Err(CommandError::Rejected(Rejection::NotIn)) => {
            Err(ApiError::conflict("The participant has left already"))
        }
        Err(error) => Err(error.into()),
    }
}

async fn gone(
    api: &Api,
    caller: &Caller,
    id: &RoomId,
    whom: Option<ParticipantId>,
) -> Result<HttpResponse, ApiError> {
    let view = api.engine.view(id, &caller.identity).await?;
    let left = whom.and_then(|whom| Scene::any(&view).participant(whom));
    Ok(envelope::ok(left.ok_or_else(ApiError::internal)?))
}

/// Why somebody who is not in an incident may not do what its participants do: it is over, or not there for
/// them, or they have not joined it.
pub(super) async fn outsider(api: &Api, caller: &Caller, id: &RoomId) -> ApiError {
    match api.engine.view(id, &caller.identity).await {
        Ok(view) if Scene::of(&view).is_err() => Rejection::NotFound.into(),
        Ok(view) if !view.state.is_open() => ApiError::sos_closed(),
        Ok(_) => Rejection::NotIn.into(),
        Err(error) => error.into(),
    }
}

/// `GET /sos/{id}/participants/active`
pub(super) async fn active(
    api: web::Data<Api>,
    caller: MaybeCaller,
    SosId(id): SosId,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = ParticipantsQuery::parse(request.query_string())?;
    let view = api.engine.view_as(&id, caller.identity()).await?;
    page(&view, query, Participant::is_active)
}

/// `GET /sos/{id}/participants/history`: everybody who was ever in, for those who were too.
pub(super) async fn history(
    api: web::Data<Api>,
    caller: Caller,
    SosId(id): SosId,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = ParticipantsQuery::parse(request.query_string())?;
    let view = api.engine.view(&id, &caller.identity).await?;
    Scene::of(&view)?;
    if !view.inside {
        return Err(Rejection::NotIn.into());
    }
    page(&view, query, |_| true)
}

/// In the order they came.
fn page(
    view: &RoomView,
    query: ParticipantsQuery,
    wanted: impl Fn(&Participant) -> bool,
) -> Result<HttpResponse, ApiError> {
    let scene = Scene::of(view)?;
    let after = query.cursor.map(|cursor| (cursor.at, cursor.participant));
    let participants = view.state.participants.iter();
    let mut found: Vec<(Timestamp, ParticipantId)> = participants
        .filter(|(_, participant)| wanted(participant))
        .map(|(who, participant)| (participant.joined_at, *who))
        .filter(|place| after.is_none_or(|after| *place > after))
        .collect();
    found.sort_unstable();
    let more = found.len() > query.limit;
    found.truncate(query.limit);
    let next = found.last().filter(|_| more).map(|&(at, participant)| {
        let cursor = PersonCursor { at, participant };
        cursor.encode()
    });
    let items: Vec<_> = found
        .iter()
        .filter_map(|(_, who)| scene.participant(*who))
        .collect();
    Ok(envelope::page(&items, next))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CheckView<'a> {
    participant_id: String,
    sos_id: &'a str,
    is_participant: bool,
    is_active: bool,
}

/// `GET /sos/{id}/participants/{participantId}/check`
pub(super) async fn check(
    api: web::Data<Api>,
    caller: MaybeCaller,
    SosId(id): SosId,
    SomebodysId(whom): SomebodysId,
) -> Result<HttpResponse, ApiError> {
    let view = api.engine.view_as(&id, caller.identity()).await?;
    Scene::of(&view)?;
    Ok(envelope::ok(CheckView {
        participant_id: whom.to_string(),
        sos_id: id.as_str(),
        is_participant: view.state.participants.contains_key(&whom),
        is_active: view.state.is_in(whom),
    }))
}

/// `GET /sos/{id}/participants/stats`
pub(super) async fn stats(
    api: web::Data<Api>,
    caller: MaybeCaller,
    SosId(id): SosId,
) -> Result<HttpResponse, ApiError> {
    let view = api.engine.view_as(&id, caller.identity()).await?;
    Scene::of(&view)?;
    Ok(envelope::ok(StatsView::from(view.state.statistics(api.now()))))
}

/// `GET /sos/{id}/participants/anonymous/count`
pub(super) async fn anonymous(
    api: web::Data<Api>,
    caller: MaybeCaller,
    SosId(id): SosId,
) -> Result<HttpResponse, ApiError> {
    let view = api.engine.view_as(&id, caller.identity()).await?;
    Scene::of(&view)?;
    Ok(envelope::ok(AnonymousCount {
        anonymous_count: view.state.statistics(api.now()).anonymous_rescuers,
    }))
}
