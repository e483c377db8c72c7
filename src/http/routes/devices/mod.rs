//! Devices, and what is kept of whoever speaks: told, handed out whole, erased. For registered users too.

mod export;
mod push;
pub(super) mod views;

use actix_web::{HttpResponse, web};

use self::views::{ErasedView, OwnView, RegisteredView};
use super::Api;
use crate::actors::clock::random;
use crate::domain::ids::DeviceId;
use crate::domain::people::Identity;
use crate::http::auth::Caller;
use crate::http::envelope;
use crate::http::error::ApiError;
use crate::http::gate::{Gate, MaybeCaller};
use crate::store::DeviceRecord;
use crate::wire::rest::DeviceInfo;

pub(super) use export::export;
pub(super) use push::{drop_push, keep_push};

/// `POST /devices`: the id that the request comes with, or a new one, and the token that goes with it.
pub(super) async fn register(
    api: web::Data<Api>,
    gate: web::Data<Gate>,
    caller: MaybeCaller,
    body: super::params::OptionalBody,
) -> Result<HttpResponse, ApiError> {
    let info = DeviceInfo::parse(&body.0)?;
    let own = caller.identity().and_then(|who| who.own_device());
    let id = own.unwrap_or_else(|| DeviceId::from_random(random()));
    api.engine.note_device(id, record(&api, info)).await?;
    Ok(envelope::created(RegisteredView::new(id, gate.device_token(id))))
}

/// What a device tells of itself, as of now.
pub(super) fn record(api: &Api, info: DeviceInfo) -> DeviceRecord {
    let now = api.now();
    DeviceRecord {
        os: info.os,
        app_version: info.app_version,
        locale: info.locale,
        first_seen: now,
        last_seen: now,
    }
}

/// `GET /devices/me`
pub(super) async fn read(api: web::Data<Api>, caller: Caller) -> Result<HttpResponse, ApiError> {
    let who: &Identity = &caller.identity;
    let own = api.engine.own(who).await?;
    Ok(envelope::ok(OwnView::new(own.device, who.subjects(), &own.tally)))
}

/// `DELETE /devices/me`. Again, it finds nothing to erase.
pub(super) async fn erase(api: web::Data<Api>, caller: Caller) -> Result<HttpResponse, ApiError> {
    let erased = api.engine.erase(&caller.identity).await?;
    Ok(envelope::ok(ErasedView {
        participations: erased.participations,
        positions: erased.positions,
        others: erased.others,
        connections: erased.connections,
    }))
}
