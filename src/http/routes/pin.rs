//! `/api/v1/pin`: by what somebody proves that they end an SOS of their own will.

use actix_web::{HttpResponse, web};

use super::Api;
use super::params::OptionalBody;
use crate::actors::pins::PinError;
use crate::http::auth::Caller;
use crate::http::envelope;
use crate::http::error::{ApiError, Code};
use crate::http::extract::JsonBytes;
use crate::wire::rest::{PinBody, PinView, SetPinBody};

/// `GET /pin`
pub(super) async fn read(api: web::Data<Api>, caller: Caller) -> Result<HttpResponse, ApiError> {
    let set = api.engine.node().has_pin(&caller.identity.subject).await?;
    Ok(envelope::ok(PinView::new(set)))
}

/// `PUT /pin`
pub(super) async fn set(
    api: web::Data<Api>,
    caller: Caller,
    body: JsonBytes,
) -> Result<HttpResponse, ApiError> {
    let SetPinBody { pin, duress, current } = SetPinBody::parse(&body.0)?;
    let who = &caller.identity.subject;
    let set = api
        .engine
        .node()
        .set_pin(who, current.as_ref(), &pin, duress.as_ref());
    set.await.map_err(refused)?;
    Ok(envelope::ok(PinView::new(true)))
}

/// `DELETE /pin`. Again, there is none to take away.
pub(super) async fn clear(
    api: web::Data<Api>,
    caller: Caller,
    body: OptionalBody,
) -> Result<HttpResponse, ApiError> {
    let PinBody { pin } = PinBody::parse(&body.0, "currentPin")?;
    let node = api.engine.node();
    node.drop_pin(&caller.identity.subject, pin.as_ref())
        .await
        .map_err(refused)?;
    Ok(envelope::ok(PinView::new(false)))
}

fn refused(error: PinError) -> ApiError {
    match error {
        PinError::Same => ApiError::invalid("duressPin", "must be another one than pin"),
        PinError::Required => ApiError::new(Code::PinRequired, "currentPin is needed"),
        PinError::Failed(error) => error.into(),
    }
}
