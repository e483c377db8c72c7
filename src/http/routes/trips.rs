//! Trips, for sister services: begins, ends, shows and finds them.

use actix_web::{HttpRequest, HttpResponse, web};

use super::errors::trip;
use super::params::TripId;
use super::{Api, params::OptionalBody};
use crate::actors::engine::{NewTrip, TripInfo};
use crate::actors::trips::Nearby;
use crate::domain::time::Timestamp;
use crate::http::auth::Caller;
use crate::http::envelope;
use crate::http::error::ApiError;
use crate::http::extract::JsonBytes;
use crate::wire::rest::{NearTripView, NearbyQuery, NoFields, TripBody, TripFacts, TripView};

/// `POST /internal/trips`
pub(super) async fn create(
    api: web::Data<Api>,
    caller: Caller,
    body: JsonBytes,
) -> Result<HttpResponse, ApiError> {
    let TripBody {
        trip,
        driver,
        passengers,
        booking,
    } = TripBody::parse(&body.0, api.trips.passengers_max)?;
    let new = NewTrip {
        trip,
        driver,
        passengers,
        booking,
    };
    let info = api.engine.create_trip(&caller.identity, &new).await?;
    Ok(envelope::created(TripView::of(&facts(&info))))
}

/// `GET /internal/trips/{tripId}`
pub(super) async fn read(
    api: web::Data<Api>,
    caller: Caller,
    TripId(id): TripId,
) -> Result<HttpResponse, ApiError> {
    let info = api.engine.trip(&caller.identity, &id).await.map_err(trip)?;
    Ok(envelope::ok(TripView::of(&facts(&info))))
}

/// `POST /internal/trips/{tripId}/end`
pub(super) async fn end(
    api: web::Data<Api>,
    caller: Caller,
    TripId(id): TripId,
    body: OptionalBody,
) -> Result<HttpResponse, ApiError> {
    NoFields::parse(&body.0)?;
    let info = api.engine.end_trip(&caller.identity, &id).await.map_err(trip)?;
    Ok(envelope::ok(TripView::of(&facts(&info))))
}

/// `GET /internal/trips/nearby?latitude&longitude&radius&limit`
pub(super) async fn nearby(
    api: web::Data<Api>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = NearbyQuery::parse(request.query_string(), api.trips.radius_max_km)?;
    let nearby = Nearby {
        centre: query.centre,
        radius_m: query.radius_m,
        since: fresh_since(&api),
        limit: query.limit,
    };
    let found = api
        .engine
        .trips_near(&caller.identity, &nearby)
        .await
        .map_err(trip)?;
    let views = found.iter().map(|found| {
        let near = &found.near;
        NearTripView::new(&facts(&found.info), near.position, near.at, near.distance_m)
    });
    Ok(envelope::ok(views.collect::<Vec<_>>()))
}

/// Where nobody has been heard of for so long, nobody is.
fn fresh_since(api: &Api) -> Timestamp {
    let stale_after = api.engine.node().settings.stale_after;
    if stale_after.is_zero() {
        Timestamp::default()
    } else {
        api.now().before(stale_after)
    }
}

fn facts(info: &TripInfo) -> TripFacts<'_> {
    TripFacts {
        trip: &info.trip,
        driver: info.driver.as_ref(),
        passengers: &info.passengers,
        booking: info.booking.as_deref(),
        created_at: info.created_at,
        ended_at: info.ended_at,
    }
}
