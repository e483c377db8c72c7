//! `/api/contacts`: who comes when a person calls.

use actix_web::{HttpRequest, HttpResponse, web};

use schemars::JsonSchema;
use serde::Serialize;

use super::Api;
use super::errors::circle;
use super::params::{OptionalBody, UserPath};
use crate::actors::contacts::MovedError;
use crate::domain::people::{Identity, Subject};
use crate::http::auth::Caller;
use crate::http::envelope;
use crate::http::error::ApiError;
use crate::http::etag::Stamp;
use crate::http::extract::JsonBytes;
use crate::wire::rest::{ContactsView, NoFields, contacts};

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
    if api.engine.node().contacts.get().is_some() {
        return Err(ApiError::conflict("Contacts are kept by another service"));
    }
    let settings = &api.engine.node().settings;
    let book = contacts(&body.0, settings.region, settings.contacts_max)?;
    let kept = api.engine.put_contacts(&caller.identity, book.clone()).await;
    kept.map_err(circle)?;
    Ok(HttpResponse::Ok().json(ContactsView::of(&book)))
}

/// `POST /internal/contacts/{user}/changed`: the service that keeps contacts has others of somebody now. They are read
/// before this is answered.
pub(super) async fn changed(
    api: web::Data<Api>,
    UserPath(user): UserPath,
    body: OptionalBody,
) -> Result<HttpResponse, ApiError> {
    NoFields::parse(&body.0)?;
    let moved = api.engine.node().contacts_moved(&user).await;
    moved.map_err(|error| match error {
        MovedError::NotRemote => ApiError::conflict("Contacts are kept here"),
        MovedError::Unanswered(after) => ApiError::unavailable("The contacts service does not answer", after),
        MovedError::Failed(error) => error.into(),
    })?;
    Ok(envelope::ok(ChangedView {
        user_id: user.to_string(),
    }))
}

/// Whose lists were read.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChangedView {
    user_id: String,
}

/// A device can be lost with its id; a list of people belongs to an account.
fn registered(who: &Identity) -> Result<(), ApiError> {
    if matches!(who.subject, Subject::User(_)) && who.mission.is_none() {
        Ok(())
    } else {
        Err(ApiError::forbidden("Only registered users have contacts"))
    }
}
