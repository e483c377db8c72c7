//! `/api/contacts`: who comes when a person calls.

use actix_web::{HttpRequest, HttpResponse, web};

use super::Api;
use super::errors::circle;
use crate::domain::people::{Identity, Subject};
use crate::http::auth::Caller;
use crate::http::error::ApiError;
use crate::http::etag::Stamp;
use crate::http::extract::JsonBytes;
use crate::wire::rest::{ContactsView, contacts};

/// `GET /api/contacts`
pub(super) async fn read(
    api: web::Data<Api>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    registered(&caller.identity)?;
    let book = api.engine.contacts(&caller.identity).await?;
    let lists = [&book.emergency, &book.dependent];
    let stamp = lists
        .into_iter()
        .fold(Stamp::new(&request, Some(&caller.identity)), |stamp, list| {
            list.iter().fold(stamp.with(list.len()), |stamp, contact| {
                stamp.with((&contact.name, &contact.phone, &contact.reach))
            })
        });
    Ok(stamp.answer(|| HttpResponse::Ok().json(ContactsView::of(&book))))
}

/// `PUT /api/contacts`
pub(super) async fn replace(
    api: web::Data<Api>,
    caller: Caller,
    body: JsonBytes,
) -> Result<HttpResponse, ApiError> {
    registered(&caller.identity)?;
    let settings = &api.engine.node().settings;
    let book = contacts(&body.0, settings.region, settings.contacts_max)?;
    let kept = api.engine.put_contacts(&caller.identity, book.clone()).await;
    kept.map_err(circle)?;
    Ok(HttpResponse::Ok().json(ContactsView::of(&book)))
}

/// A device can be lost with its id; a list of people belongs to an account.
fn registered(who: &Identity) -> Result<(), ApiError> {
    if matches!(who.subject, Subject::User(_)) && who.mission.is_none() {
        Ok(())
    } else {
        Err(ApiError::forbidden("Only registered users have contacts"))
    }
}
