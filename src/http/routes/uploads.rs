//! Uploads of positions: the hottest routes. One pass over the body, one command, one answer.

use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;
use smallvec::{SmallVec, smallvec};

use super::Api;
use super::errors::{circle, concerns_the_fix};
use super::params::SosId;
use super::participants::outsider;
use crate::actors::CommandError;
use crate::domain::geo::Fix;
use crate::domain::ids::RoomId;
use crate::domain::people::Identity;
use crate::domain::room::{Rejection, RoomKind};
use crate::http::auth::Caller;
use crate::http::envelope;
use crate::http::error::ApiError;
use crate::http::extract::JsonBytes;
use crate::wire::rest::{Batch, BatchAnswer, LocationAnswer, LocationBody, RejectedFix};
use crate::wire::schema;
use crate::wire::stamp::Stamp;

/// The most rooms that one batch names. Each may have to be read from the store.
const BATCH_ROOMS_MAX: usize = 32;

/// `POST /sos/{id}/location`
#[derive(Serialize, JsonSchema)]
pub(super) struct IncidentAnswer<'a> {
    /// When it was taken.
    timestamp: Stamp,
    /// The incident.
    #[schemars(with = "[schema::Room; 1]")]
    rooms: [&'a str; 1],
}

/// `POST /api/location`
pub(super) async fn location(
    api: web::Data<Api>,
    caller: Caller,
    body: JsonBytes,
) -> Result<HttpResponse, ApiError> {
    let now = api.now();
    let LocationBody { fix, room, .. } = LocationBody::parse(&body.0, &api.reading(now))?;
    let rooms = take(&api, &caller, room, smallvec![fix]).await.map_err(circle)?;
    Ok(HttpResponse::Ok().json(LocationAnswer::new(now, &rooms)))
}

/// `POST /sos/{id}/location`: for those who are in.
pub(super) async fn incident(
    api: web::Data<Api>,
    caller: Caller,
    SosId(id): SosId,
    body: JsonBytes,
) -> Result<HttpResponse, ApiError> {
    let now = api.now();
    let body = LocationBody::parse(&body.0, &api.reading(now))?;
    let rooms = api
        .engine
        .node()
        .memberships
        .get(&caller.identity.subject)
        .await?;
    let is_in = rooms
        .iter()
        .any(|known| known.room == id && known.kind == RoomKind::Sos);
    if !is_in {
        return Err(outsider(&api, &caller, &id).await);
    }
    take(&api, &caller, Some(id.clone()), smallvec![body.fix]).await?;
    Ok(envelope::ok(IncidentAnswer {
        timestamp: Stamp(now),
        rooms: [id.as_str()],
    }))
}

/// `POST /api/location/batch`. Each fix is judged alone. When the engine itself fails, the whole batch does:
/// sending it again changes nothing that was taken.
pub(super) async fn batch(
    api: web::Data<Api>,
    caller: Caller,
    body: JsonBytes,
) -> Result<HttpResponse, ApiError> {
    let batch = Batch::parse(&body.0, &api.reading(api.now()), api.batch_max_fixes)?;
    let (mut accepted, mut rejected) = (0, batch.rejected);
    for (n, group) in by_room(batch.accepted).into_iter().enumerate() {
        let refused = if n >= BATCH_ROOMS_MAX {
            format!("roomId names more than {BATCH_ROOMS_MAX} rooms in one batch")
        } else {
            match take(&api, &caller, group.room, group.fixes).await {
                Ok(_) => {
                    accepted += group.places.len();
                    continue;
                }
                Err(error) if concerns_the_fix(&error) => circle(error).message().to_owned(),
                Err(error) => return Err(circle(error)),
            }
        };
        rejected.extend(group.places.into_iter().map(|index| RejectedFix {
            index,
            error: refused.clone(),
        }));
    }
    rejected.sort_by_key(|rejected| rejected.index);
    Ok(HttpResponse::Ok().json(BatchAnswer { accepted, rejected }))
}

/// The fixes of a batch that are for the same room.
struct Group {
    room: Option<RoomId>,
    places: Vec<usize>,
    fixes: SmallVec<[Fix; 1]>,
}

fn by_room(bodies: Vec<(usize, LocationBody)>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (place, body) in bodies {
        match groups.iter_mut().find(|group| group.room == body.room) {
            Some(group) => {
                group.places.push(place);
                group.fixes.push(body.fix);
            }
            None => groups.push(Group {
                room: body.room,
                places: vec![place],
                fixes: smallvec![body.fix],
            }),
        }
    }
    groups
}

async fn take(
    api: &Api,
    caller: &Caller,
    room: Option<RoomId>,
    fixes: SmallVec<[Fix; 1]>,
) -> Result<Vec<RoomId>, CommandError> {
    let who = &caller.identity;
    let room = within_mission(who, room)?;
    match api.engine.upload(who, room.as_ref(), fixes.clone()).await {
        // Another upload of theirs brought them in at the same moment: now they are there.
        Err(CommandError::Rejected(Rejection::AlreadyIn)) => {
            api.engine.upload(who, room.as_ref(), fixes).await
        }
        outcome => outcome,
    }
}

/// Whoever may act in one incident only sends positions to no other room, even when the same device is in
/// some by another credential.
fn within_mission(who: &Identity, room: Option<RoomId>) -> Result<Option<RoomId>, CommandError> {
    match (&who.mission, room) {
        (Some(mission), Some(room)) if *mission != room => Err(CommandError::MayNotBroadcast),
        (Some(mission), None) => Ok(Some(mission.clone())),
        (_, room) => Ok(room),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::geo::Position;
    use crate::domain::ids::DeviceId;
    use crate::domain::testing::room;
    use crate::domain::time::Timestamp;

    fn body(room: Option<RoomId>) -> LocationBody {
        LocationBody {
            fix: Fix::new(Position::new(1.0, 2.0).unwrap(), Timestamp::from_ms(1)),
            formatted_location: None,
            room,
        }
    }

    #[test]
    fn fixes_for_the_same_room_travel_together_and_keep_their_places() {
        let bodies = [None, Some(room("a")), None, Some(room("a")), Some(room("b"))];
        let groups = by_room(bodies.map(body).into_iter().enumerate().collect());
        let places: Vec<_> = groups.iter().map(|group| group.places.clone()).collect();
        assert_eq!(places, [vec![0, 2], vec![1, 3], vec![4]]);
    }

    #[test]
    fn a_mission_is_the_only_room_that_its_bearer_sends_to() {
        let device = Identity::device(DeviceId::from_random([1; 16]));
        let bound = Identity {
            mission: Some(room("sos")),
            ..device.clone()
        };
        assert_eq!(within_mission(&device, None), Ok(None));
        assert_eq!(within_mission(&bound, None), Ok(Some(room("sos"))));
        assert_eq!(within_mission(&bound, Some(room("sos"))), Ok(Some(room("sos"))));
        assert_eq!(
            within_mission(&bound, Some(room("circle"))),
            Err(CommandError::MayNotBroadcast)
        );
    }
}
