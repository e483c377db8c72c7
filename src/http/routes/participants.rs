//! Who is in an incident, who comes and who goes.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;

use super::Api;
use super::params::{SomebodysId, SosId, no_such_participant};
use super::scene::Scene;
use crate::actors::CommandError;
use crate::actors::room::Glimpse;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::people::Identity;
use crate::domain::room::{Command, LeaveReason, Participant, Rejection, RoomState};
use crate::domain::time::Timestamp;
use crate::http::auth::Caller;
use crate::http::envelope::{self, Rendered};
use crate::http::error::ApiError;
use crate::http::etag::{Judged, Stamp};
use crate::http::extract::JsonBytes;
use crate::http::gate::Gate;
use crate::http::gate::MaybeCaller;
use crate::http::hints::From;
use crate::wire::rest::{AnonymousCount, JoinBody, ParticipantsQuery, PersonCursor, StatsView};
use crate::wire::schema;

/// `POST /sos/{id}/participants/join`. Who joins is the credential's word: the body's `userId` and `phone`
/// are read for the sake of older clients and shown to nobody.
pub(super) async fn join(
    api: web::Data<Api>,
    gate: web::Data<Gate>,
    request: HttpRequest,
    caller: Caller,
    SosId(id): SosId,
    body: JsonBytes,
) -> Result<HttpResponse, ApiError> {
    let who = &caller.identity;
    let body = JoinBody::parse(&body.0, api.engine.node().settings.region)?;
    let JoinBody {
        user_type,
        display_name,
        ..
    } = body;
    let outcome = api.engine.join_sos(&id, who, user_type, display_name).await?;
    if let Some(who) = outcome.participant {
        let from = From {
            caller: &caller,
            address: gate.address(&request),
        };
        gate.hints().joined(from, &id, who, api.now());
    }
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
    answer(&api, &id, &request, caller.identity(), move |scene, stamp| {
        Ok(page(scene, query, Participant::is_active, stamp))
    })
    .await
}

/// `GET /sos/{id}/participants/history`: everybody who was ever in, for those who were too.
pub(super) async fn history(
    api: web::Data<Api>,
    caller: Caller,
    SosId(id): SosId,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = ParticipantsQuery::parse(request.query_string())?;
    answer(
        &api,
        &id,
        &request,
        Some(&caller.identity),
        move |scene, stamp| {
            if scene.inside {
                Ok(page(scene, query, |_| true, stamp))
            } else {
                Err(Rejection::NotIn)
            }
        },
    )
    .await
}

/// Renders what is asked of an incident's people where they are.
async fn answer(
    api: &Api,
    id: &RoomId,
    request: &HttpRequest,
    reader: Option<&Arc<Identity>>,
    render: impl FnOnce(&Scene<'_>, Stamp) -> Result<Judged<Rendered>, Rejection> + Send + 'static,
) -> Result<HttpResponse, ApiError> {
    let stamp = Stamp::new(request, reader.map(Arc::as_ref));
    let look = move |glimpse: &Glimpse<'_>| render(&Scene::at(glimpse)?, stamp);
    let judged = api.engine.glance(id, reader, look).await??;
    Ok(judged.told(Rendered::answer))
}

/// Participants of a page in the order they came, and whether there are more.
pub(super) fn in_order(
    state: &RoomState,
    query: ParticipantsQuery,
    wanted: impl Fn(&Participant) -> bool,
) -> (Vec<(Timestamp, ParticipantId)>, bool) {
    let after = query.cursor.map(|cursor| (cursor.at, cursor.participant));
    let participants = state.participants.iter();
    let mut found: Vec<(Timestamp, ParticipantId)> = participants
        .filter(|(_, participant)| wanted(participant))
        .map(|(who, participant)| (participant.joined_at, *who))
        .filter(|place| after.is_none_or(|after| *place > after))
        .collect();
    found.sort_unstable();
    let more = found.len() > query.limit;
    found.truncate(query.limit);
    (found, more)
}

/// Where the page after this one starts.
pub(super) fn next_of(found: &[(Timestamp, ParticipantId)], more: bool) -> Option<String> {
    found.last().filter(|_| more).map(|&(at, participant)| {
        let cursor = PersonCursor { at, participant };
        cursor.encode()
    })
}

/// In the order they came.
fn page(
    scene: &Scene<'_>,
    query: ParticipantsQuery,
    wanted: impl Fn(&Participant) -> bool,
    stamp: Stamp,
) -> Judged<Rendered> {
    let (found, more) = in_order(scene.state(), query, wanted);
    // By the people shown, not by the log: what is said meanwhile does not change who is in.
    let stamp = found.iter().fold(stamp.with(more), |stamp, (joined_at, who)| {
        let stay = scene.state().participants.get(who);
        let stay = stay.map(|stay| (stay.user_type.as_str(), stay.left_at));
        stamp.with((joined_at, who, scene.name(*who), stay))
    });
    stamp.judge(|| {
        let next = next_of(&found, more);
        let shown = found.iter().filter_map(|(_, who)| scene.participant(*who));
        Rendered::page(&shown.collect::<Vec<_>>(), next)
    })
}

/// `GET /sos/{id}/participants/{participantId}/check`
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CheckView<'a> {
    #[schemars(with = "schema::Participant")]
    participant_id: String,
    #[schemars(with = "schema::Room")]
    sos_id: &'a str,
    /// Whether they are or were in.
    is_participant: bool,
    /// Whether they are in.
    is_active: bool,
}

/// `GET /sos/{id}/participants/{participantId}/check`
pub(super) async fn check(
    api: web::Data<Api>,
    caller: MaybeCaller,
    SosId(id): SosId,
    SomebodysId(whom): SomebodysId,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    answer(&api, &id, &request, caller.identity(), move |scene, stamp| {
        let is_participant = scene.state().participants.contains_key(&whom);
        let is_active = scene.state().is_in(whom);
        Ok(stamp.with((is_participant, is_active)).judge(|| {
            Rendered::ok(CheckView {
                participant_id: whom.to_string(),
                sos_id: scene.room().as_str(),
                is_participant,
                is_active,
            })
        }))
    })
    .await
}

/// `GET /sos/{id}/participants/stats`
pub(super) async fn stats(
    api: web::Data<Api>,
    caller: MaybeCaller,
    SosId(id): SosId,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let now = api.now();
    answer(&api, &id, &request, caller.identity(), move |scene, stamp| {
        let stats = scene.state().statistics(now);
        // The mean grows with every moment that somebody stays; by whole seconds it is the same to a reader.
        let stamp = stamp
            .with((stats.total, stats.active))
            .with((stats.registered_rescuers, stats.anonymous_rescuers))
            .with_number(stats.average_seconds.floor());
        Ok(stamp.judge(|| Rendered::ok(StatsView::from(stats))))
    })
    .await
}

/// `GET /sos/{id}/participants/anonymous/count`
pub(super) async fn anonymous(
    api: web::Data<Api>,
    caller: MaybeCaller,
    SosId(id): SosId,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let now = api.now();
    answer(&api, &id, &request, caller.identity(), move |scene, stamp| {
        let anonymous_count = scene.state().statistics(now).anonymous_rescuers;
        let stamp = stamp.with(anonymous_count);
        Ok(stamp.judge(|| Rendered::ok(AnonymousCount { anonymous_count })))
    })
    .await
}
