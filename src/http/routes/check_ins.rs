//! `/api/v1/checkins`: who does not say in time that they are well needs help.

use actix_web::{HttpResponse, web};

use super::Api;
use super::params::OptionalBody;
use crate::actors::check_ins::{CheckInError, Waiting};
use crate::http::auth::Caller;
use crate::http::envelope;
use crate::http::error::{ApiError, Code};
use crate::http::extract::JsonBytes;
use crate::wire::rest::{CheckInBounds, CheckInEndedView, CheckInView, PinBody, check_in};

/// `POST /checkins`
pub(super) async fn begin(
    api: web::Data<Api>,
    caller: Caller,
    body: JsonBytes,
) -> Result<HttpResponse, ApiError> {
    let node = api.engine.node();
    let bounds = CheckInBounds {
        now: node.now(),
        horizon: node.settings.check_ins.horizon,
        grace_max: node.settings.check_ins.grace_max,
    };
    let new = check_in(&body.0, &bounds)?;
    let begun = node
        .begin_check_in(&caller.identity, new)
        .await
        .map_err(refused)?;
    Ok(envelope::created(view(&begun)))
}

/// `GET /checkins`
pub(super) async fn list(api: web::Data<Api>, caller: Caller) -> Result<HttpResponse, ApiError> {
    let found = api.engine.node().check_ins(&caller.identity.subject).await?;
    let views: Vec<_> = found.iter().map(view).collect();
    Ok(envelope::ok(views))
}

/// `POST /checkins/{checkin}/confirm` and `DELETE /checkins/{checkin}`: they are well, or need it no more.
pub(super) async fn end(
    api: web::Data<Api>,
    caller: Caller,
    id: web::Path<String>,
    body: OptionalBody,
) -> Result<HttpResponse, ApiError> {
    let PinBody { pin } = PinBody::parse(&body.0, "pin")?;
    let node = api.engine.node();
    node.end_check_in(&caller.identity.subject, &id, pin.as_ref())
        .await
        .map_err(refused)?;
    Ok(envelope::ok(CheckInEndedView::new(&id)))
}

fn view(one: &Waiting) -> CheckInView {
    CheckInView::new(&one.id, &one.asked, one.sos.as_ref())
}

fn refused(error: CheckInError) -> ApiError {
    match error {
        CheckInError::TooMany(max) => {
            ApiError::conflict(format!("At most {max} check-ins wait for one person"))
        }
        CheckInError::Unknown => ApiError::not_found("There is no such check-in"),
        CheckInError::Raised(sos) => ApiError::conflict(format!("It has become the SOS {sos}")),
        CheckInError::PinRequired => ApiError::new(Code::PinRequired, "The PIN is needed"),
        CheckInError::Failed(error) => error.into(),
    }
}
