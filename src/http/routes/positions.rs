//! Where people were: one's own history, that of the people whose contact one is, that of an incident.

use std::time::Duration;

#[cfg(test)]
use actix_web::http::header::ACCEPT;
use actix_web::http::header::{Accept, CONTENT_TYPE, Header, Quality};
use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
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
use crate::http::etag::Stamp;
use crate::store::{HistoryFix, HistoryQuery};
use crate::wire::rest::{
    Feature, FeatureCollection, LocationView, LocationsByUser, LocationsQuery, PersonCursor,
};
use crate::wire::schema;

/// The most circles that are looked through for one contact.
const CIRCLES_MAX: usize = 100;
/// How far back a contact's view goes when they do not say.
const RECENT: Duration = Duration::from_secs(3_600);

/// `GET /api/locations`
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OwnLocations<'a> {
    /// Positions, oldest first.
    locations: Vec<LocationView<'a>>,
    /// `null` on the last page.
    #[schemars(with = "Option<schema::Cursor>")]
    next_cursor: Option<String>,
}

/// `GET /api/locations`
pub(super) async fn own(
    api: web::Data<Api>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = LocationsQuery::parse(request.query_string())?;
    let found = api.engine.own_history(&caller.identity, asked(&query)).await?;
    let (fixes, next_cursor) = cut(found, query.limit);
    let stamp = stamped(Stamp::new(&request, Some(&caller.identity)), &fixes);
    Ok(stamp.with(&next_cursor).answer(|| {
        let locations = fixes
            .iter()
            .map(|kept| LocationView::new(kept.participant, None, &kept.fix));
        HttpResponse::Ok().json(OwnLocations {
            locations: locations.collect(),
            next_cursor,
        })
    }))
}

/// `GET /api/locations/contacts`: of each owner what history has of them in the circle that lists the
/// caller, and where they were last. Who has more than fits has a `nextCursor`: `subject` (the id that the answer
/// names them by) and `cursor` continue with them.
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
    let mut seen: Vec<Seen> = Vec::new();
    for view in circles {
        let Some(owner) = view.state.owner else { continue };
        if query.subject.is_some_and(|subject| subject != owner) {
            continue;
        }
        let (view, found) = api
            .engine
            .room_history(&view.state.id, who, Some(owner), asked(&query))
            .await
            .map_err(circle)?;
        let (mut fixes, next_cursor) = cut(found, query.limit);
        // History samples; the newest position may not be in it.
        let newest = view.newest.iter().find(|(whose, _)| *whose == owner);
        let newest = newest.filter(|(_, fix)| query.to.is_none_or(|to| fix.at <= to));
        // The first page told it.
        let newest = newest.filter(|_| query.cursor.is_none());
        if let Some((participant, fix)) = newest.copied()
            && fixes.last().is_none_or(|last| last.fix.at < fix.at)
        {
            fixes.push(HistoryFix { participant, fix });
        }
        seen.push((view, owner, fixes, next_cursor));
    }
    let stamp = seen.iter().fold(
        Stamp::new(&request, Some(who)),
        |stamp, (view, owner, fixes, next)| {
            let person = Scene::any(view).person(*owner);
            stamped(
                stamp.with((owner, person.map(|person| (&person.name, &person.phone)), next)),
                fixes,
            )
        },
    );
    Ok(stamp.answer(|| by_user(&seen)))
}

/// What history told of one owner, and where there is more.
type Seen = (Box<RoomView>, ParticipantId, Vec<HistoryFix>, Option<String>);

fn by_user(seen: &[Seen]) -> HttpResponse {
    let mut answer = LocationsByUser::default();
    for (view, owner, fixes, next_cursor) in seen {
        let person = Scene::any(view).person(*owner);
        let locations = fixes
            .iter()
            .map(|kept| LocationView::new(*owner, None, &kept.fix));
        answer.add(
            owner.to_string(),
            person.and_then(|person| person.name.as_deref()),
            person.and_then(|person| person.phone.as_ref()),
            locations.collect(),
            next_cursor.clone(),
        );
    }
    HttpResponse::Ok().json(answer)
}

/// A stamp of fixes: one that is kept never changes.
fn stamped(stamp: Stamp, fixes: &[HistoryFix]) -> Stamp {
    fixes.iter().fold(stamp.with(fixes.len()), |stamp, kept| {
        stamp.with((kept.participant, kept.fix.at))
    })
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
    let geojson = wants_geojson(&request);
    let stamp = stamped(Stamp::new(&request, Some(&caller.identity)), &fixes).with((geojson, &next));
    let stamp = fixes
        .iter()
        .filter(|_| !geojson)
        .fold(stamp, |stamp, kept| stamp.with(scene.name(kept.participant)));
    Ok(stamp.answer(|| {
        if geojson {
            let features = fixes.iter().map(|kept| Feature::new(kept.participant, &kept.fix));
            return HttpResponse::Ok()
                .insert_header((CONTENT_TYPE, FeatureCollection::MEDIA_TYPE))
                .json(FeatureCollection::new(features.collect(), next));
        }
        let items = fixes
            .iter()
            .map(|kept| LocationView::new(kept.participant, scene.name(kept.participant), &kept.fix));
        envelope::page(&items.collect::<Vec<_>>(), next)
    }))
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

/// Whether GeoJSON is asked for by name, and no less than plain JSON: a client that takes anything gets what the
/// page documents first.
fn wants_geojson(request: &HttpRequest) -> bool {
    let Ok(Accept(ranges)) = Accept::parse(request) else {
        return false;
    };
    let wish = |essence: &str| {
        let named = ranges.iter().find(|range| range.item.essence_str() == essence);
        named.map(|range| range.quality)
    };
    let json = wish("application/json")
        .or_else(|| wish("application/*"))
        .or_else(|| wish("*/*"))
        .unwrap_or(Quality::ZERO);
    wish(FeatureCollection::MEDIA_TYPE).is_some_and(|wish| wish > Quality::ZERO && wish >= json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn geojson_is_for_those_who_name_it_and_want_it_no_less_than_json() {
        for (accept, wants) in [
            ("application/geo+json", true),
            ("Application/GEO+JSON; charset=utf-8", true),
            ("application/geo+json, application/json", true),
            ("application/json;q=0.8, application/geo+json;q=0.9", true),
            ("application/geo+json;q=0.5, */*;q=0.1", true),
            ("text/html, application/geo+json;q=0.1", true),
            ("application/json, application/geo+json;q=0.5", false),
            ("application/geo+json;q=0.2, application/*;q=0.5", false),
            ("application/geo+json;q=0", false),
            ("application/json", false),
            ("*/*", false),
            ("application/*", false),
            ("text/html", false),
            ("nonsense", false),
            ("", false),
        ] {
            let request = TestRequest::get()
                .insert_header((ACCEPT, accept))
                .to_http_request();
            assert_eq!(wants_geojson(&request), wants, "{accept}");
        }
        assert!(!wants_geojson(&TestRequest::get().to_http_request()));
    }
}
