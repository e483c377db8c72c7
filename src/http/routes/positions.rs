//! Where people were: one's own history, that of the people whose contact one is, that of an incident.

use std::time::Duration;

use actix_web::http::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::Api;
use super::errors::circle;
use super::params::SosId;
use super::scene::Scene;
use crate::actors::room::RoomView;
use crate::domain::ids::ParticipantId;
use crate::http::auth::Caller;
use crate::http::envelope;
use crate::http::error::ApiError;
use crate::store::{HistoryFix, HistoryQuery};
use crate::wire::rest::{
    Feature, FeatureCollection, LocationView, LocationsByUser, LocationsQuery, PersonCursor,
};

/// The most circles that are looked through for one contact.
const CIRCLES_MAX: usize = 100;
/// How far back a contact's view goes when they do not say.
const RECENT: Duration = Duration::from_secs(3_600);

/// `GET /api/locations`
pub(super) async fn own(
    api: web::Data<Api>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    #[derive(Serialize)]
    struct Own<'a> {
        locations: Vec<LocationView<'a>>,
        #[serde(rename = "nextCursor")]
        next_cursor: Option<String>,
    }

    let query = LocationsQuery::parse(request.query_string())?;
    let found = api.engine.own_history(&caller.identity, asked(&query)).await?;
    let (fixes, next_cursor) = cut(found, query.limit);
    let locations = fixes
        .iter()
        .map(|kept| LocationView::new(kept.participant, None, &kept.fix));
    Ok(HttpResponse::Ok().json(Own {
        locations: locations.collect(),
        next_cursor,
    }))
}

/// `GET /api/locations/contacts`: of each owner what history has of them in the circle that lists the
/// caller, and where they were last.
pub(super) async fn of_contacts(
    api: web::Data<Api>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let mut query = LocationsQuery::parse(request.query_string())?;
    query.from = query.from.or_else(|| Some(api.now().before(RECENT)));
    let who = &caller.identity;
    let circles = api
        .engine
        .circles_listing(who, CIRCLES_MAX)
        .await
        .map_err(circle)?;
    let mut seen: Vec<(Box<RoomView>, ParticipantId, Vec<HistoryFix>)> = Vec::new();
    for view in circles {
        let Some(owner) = view.state.owner else { continue };
        let history = HistoryQuery {
            limit: query.limit,
            ..asked(&query)
        };
        let (view, mut fixes) = api
            .engine
            .room_history(&view.state.id, who, Some(owner), history)
            .await
            .map_err(circle)?;
        // History samples; the newest position may not be in it.
        let newest = view.newest.iter().find(|(whose, _)| *whose == owner);
        let newest = newest.filter(|(_, fix)| query.to.is_none_or(|to| fix.at <= to));
        if let Some((participant, fix)) = newest.copied()
            && fixes.last().is_none_or(|last| last.fix.at < fix.at)
        {
            fixes.push(HistoryFix { participant, fix });
        }
        seen.push((view, owner, fixes));
    }
    let mut answer = LocationsByUser::default();
    for (view, owner, fixes) in &seen {
        let person = Scene::any(view).person(*owner);
        let locations = fixes
            .iter()
            .map(|kept| LocationView::new(*owner, None, &kept.fix));
        answer.add(
            owner.to_string(),
            person.and_then(|person| person.name.as_deref()),
            person.and_then(|person| person.phone.as_ref()),
            locations.collect(),
        );
    }
    Ok(HttpResponse::Ok().json(answer))
}

/// `GET /sos/{id}/locations?from&to&subject`
pub(super) async fn incident(
    api: web::Data<Api>,
    caller: Caller,
    SosId(id): SosId,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = LocationsQuery::parse(request.query_string())?;
    let (view, found) = api
        .engine
        .room_history(&id, &caller.identity, query.subject, asked(&query))
        .await?;
    let scene = Scene::of(&view)?;
    let (fixes, next) = cut(found, query.limit);
    if wants_geojson(request.headers()) {
        let features = fixes.iter().map(|kept| Feature::new(kept.participant, &kept.fix));
        return Ok(HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, FeatureCollection::MEDIA_TYPE))
            .json(FeatureCollection::new(features.collect(), next)));
    }
    let items: Vec<_> = fixes
        .iter()
        .map(|kept| LocationView::new(kept.participant, scene.name(kept.participant), &kept.fix))
        .collect();
    Ok(envelope::page(&items, next))
}

/// One more than is shown tells whether there is a next page.
fn asked(query: &LocationsQuery) -> HistoryQuery {
    HistoryQuery {
        room: None,
        participant: None,
        among: None,
        subject: None,
        from: query.from,
        to: query.to,
        after: query.cursor.map(|cursor| (cursor.at, cursor.participant)),
        limit: query.limit + 1,
    }
}

fn cut(mut fixes: Vec<HistoryFix>, limit: usize) -> (Vec<HistoryFix>, Option<String>) {
    let more = fixes.len() > limit;
    fixes.truncate(limit);
    let next = fixes.last().filter(|_| more).map(|last| {
        let cursor = PersonCursor {
            at: last.fix.at,
            participant: last.participant,
        };
        cursor.encode()
    });
    (fixes, next)
}

/// Asked for by name: a client that takes anything gets what the page documents first.
fn wants_geojson(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|range| range.trim().eq_ignore_ascii_case(FeatureCollection::MEDIA_TYPE))
}
