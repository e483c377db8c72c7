//! `GET /api/rooms-info`: the rooms that the caller owns or is in; for `ADMIN`, every room in use here.

use actix_web::{HttpResponse, web};

use super::Api;
use super::errors::circle;
use super::scene::Scene;
use crate::actors::engine::RoomInfo as Info;
use crate::domain::people::Role;
use crate::http::auth::Caller;
use crate::http::error::ApiError;
use crate::wire::rest::{RoomCounts, RoomInfo, RoomsInfo};

/// The most rooms in one answer: it is for a person to look at.
const ROOMS_MAX: usize = 10_000;

/// `GET /api/rooms-info`
pub(super) async fn info(api: web::Data<Api>, caller: Caller) -> Result<HttpResponse, ApiError> {
    let who = &caller.identity;
    let all = who.role == Role::Admin;
    let rooms = if all {
        api.engine.rooms_in_use(who, ROOMS_MAX).await
    } else {
        api.engine.rooms_of(who).await
    };
    let rooms = rooms.map_err(circle)?;
    Ok(HttpResponse::Ok().json(RoomsInfo {
        rooms: rooms.iter().map(shown).collect(),
        counts: all.then(|| counts(&api, &rooms)),
    }))
}

fn shown(info: &Info) -> RoomInfo<'_> {
    let state = &info.view.state;
    let scene = Scene::any(&info.view);
    let owner = state.owner.and_then(|owner| scene.name(owner));
    RoomInfo::of(state, owner, info.view.viewer)
}

fn counts(api: &Api, rooms: &[Info]) -> RoomCounts {
    RoomCounts {
        rooms: api.engine.node().registry.len(),
        connections: usize::try_from(crate::delivery::stats().connections).unwrap_or(0),
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
