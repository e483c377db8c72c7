//! `/api/v1/devices/me/push`: where somebody's devices are pushed to.

use actix_web::{HttpResponse, web};

use super::views::{ForgottenView, PushView};
use crate::http::auth::Caller;
use crate::http::envelope;
use crate::http::error::ApiError;
use crate::http::extract::JsonBytes;
use crate::http::routes::Api;
use crate::http::routes::params::OptionalBody;
use crate::wire::rest::push_target;

/// `PUT /devices/me/push`. Saying it again keeps it for longer.
pub(in crate::http::routes) async fn keep_push(
    api: web::Data<Api>,
    caller: Caller,
    body: JsonBytes,
) -> Result<HttpResponse, ApiError> {
    let node = api.engine.node();
    let to = push_target(&body.0, node.settings.push.in_the_clear)?;
    let until = node.keep_push_target(&caller.identity, &to).await?;
    Ok(envelope::ok(PushView::new(&to, until)))
}

/// `DELETE /devices/me/push`. Again, it finds nothing to forget.
pub(in crate::http::routes) async fn drop_push(
    api: web::Data<Api>,
    caller: Caller,
    body: OptionalBody,
) -> Result<HttpResponse, ApiError> {
    let node = api.engine.node();
    let only = if body.0.is_empty() {
        None
    } else {
        Some(push_target(&body.0, node.settings.push.in_the_clear)?)
    };
    let forgotten = node
        .drop_push_targets(&caller.identity.subject, only.as_ref())
        .await?;
    Ok(envelope::ok(ForgottenView { forgotten }))
}
