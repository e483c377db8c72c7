//! `POST /tickets`: who cannot send a header opens a WebSocket with one.

use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;

use super::Api;
use crate::http::auth::Caller;
use crate::http::envelope;
use crate::http::error::ApiError;
use crate::http::gate::Gate;
use crate::wire::stamp::Stamp;

/// `POST /tickets`
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TicketView {
    /// To be given as `?ticket=`.
    ticket: String,
    /// How long it is good, in seconds.
    expires_in: u64,
    /// When it ends.
    expires_at: Stamp,
}

/// `POST /tickets`
pub(super) async fn issue(
    api: web::Data<Api>,
    gate: web::Data<Gate>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    let (ticket, ttl) = gate.ticket(caller).await?;
    Ok(envelope::created(TicketView {
        ticket,
        expires_in: ttl.as_secs(),
        expires_at: Stamp(api.now() + ttl),
    }))
}
