//! `GET /api/rooms-info`: the rooms that the caller owns or is in; for `ADMIN`, every room in use here.

use actix_web::{HttpRequest, HttpResponse, web};

use super::Api;
use super::errors::circle;
use super::scene::Scene;
use crate::actors::engine::{Part, RoomInfo as Info, RoomInfos};
use crate::bus::Peer;
use crate::domain::people::Role;
use crate::http::auth::Caller;
use crate::http::error::ApiError;
use crate::http::etag::Stamp;
use crate::wire::rest::{NodeInfo, RoomCounts, RoomCursor, RoomInfo, RoomsInfo, RoomsQuery};

/// The most rooms in one answer: it is for a person to look at.
const ROOMS_MAX: usize = 10_000;

/// `GET /api/rooms-info?limit&cursor`; without a limit, all of them.
pub(super) async fn info(
    api: web::Data<Api>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let who = &caller.identity;
    let query = RoomsQuery::parse(request.query_string())?;
    let part = Part {
        after: query.cursor.map(|cursor| cursor.0),
        limit: query.limit.unwrap_or(ROOMS_MAX),
    };
    let all = who.role == Role::Admin;
    let page = if all {
        api.engine.rooms_in_use(who, &part).await
    } else {
        api.engine.rooms_of(who, &part).await
    };
    let RoomInfos { rooms, next, total } = page.map_err(circle)?;
    let counts = all.then(|| counts(&api, &rooms, total));
    let stamp = rooms.iter().fold(Stamp::new(&request, Some(who)), |stamp, info| {
        let state = &info.view.state;
        let owner = state.owner.and_then(|owner| Scene::any(&info.view).name(owner));
        stamp.with((&state.id, state.seq, info.view.viewer, owner))
    });
    let stamp = stamp
        .with(&next)
        .with(
            counts
                .as_ref()
                .map(|all| (all.rooms, all.connections, all.members, all.emergencies)),
        )
        .with(counts.as_ref().map_or(0, |all| all.nodes.len()));
    Ok(stamp.answer(|| {
        HttpResponse::Ok().json(RoomsInfo {
            rooms: rooms.iter().map(shown).collect(),
            next_cursor: next.map(|room| RoomCursor(room).encode()),
            counts,
        })
    }))
}

fn shown(info: &Info) -> RoomInfo<'_> {
    let state = &info.view.state;
    let scene = Scene::any(&info.view);
    let owner = state.owner.and_then(|owner| scene.name(owner));
    RoomInfo::of(state, owner, info.view.viewer)
}

fn counts(api: &Api, rooms: &[Info], total: usize) -> RoomCounts {
    let here = usize::try_from(crate::delivery::stats().connections).unwrap_or(0);
    let me = api.engine.node().bus.node();
    let nodes = if api.engine.node().cluster.clustered {
        api.engine.nodes()
    } else {
        vec![]
    };
    let elsewhere = nodes.iter().filter(|peer| peer.node != me);
    let elsewhere: u64 = elsewhere.map(|peer| peer.vitals.connections).sum();
    RoomCounts {
        nodes: nodes.iter().map(node_info).collect(),
        rooms: total,
        connections: here + usize::try_from(elsewhere).unwrap_or(usize::MAX),
        members: rooms
            .iter()
            .map(|info| info.view.state.active_participants().count())
            .sum(),
        emergencies: rooms
            .iter()
            .filter(|info| info.view.state.emergency.is_some())
            .count(),
    }
}

fn node_info(peer: &Peer) -> NodeInfo {
    NodeInfo {
        node: peer.node.to_string(),
        connections: peer.vitals.connections,
        rooms: peer.vitals.rooms,
        draining: peer.vitals.draining,
    }
}
