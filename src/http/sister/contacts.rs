//! `GET {contacts_service}/internal/contacts/{userId}`.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::ACCEPT;

use super::{INTERNAL_TOKEN, Sister, retry_after, trouble};
use crate::actors::asking::Trouble;
use crate::actors::contacts::{BookAnswer, ContactsService};
use crate::config::Contacts;
use crate::domain::ids::UserId;
use crate::domain::people::ContactBook;
use crate::domain::phone::Region;
use crate::wire::rest::contacts_answer;

/// The service that keeps contacts.
pub struct ContactsKeeper {
    sister: Sister,
    region: Region,
    contacts_max: usize,
}

impl ContactsKeeper {
    /// It is reached by `sister`, and its lists are read as the settings say.
    pub fn new(sister: Sister, settings: &Contacts) -> Self {
        Self {
            sister,
            region: settings.default_region,
            contacts_max: settings.contacts_max,
        }
    }
}

#[async_trait]
impl ContactsService for ContactsKeeper {
    async fn book(&self, owner: &UserId, patience: Duration) -> Result<BookAnswer, Trouble> {
        // An id of dots alone would be a step in the path: it is nobody's.
        if owner.as_str().bytes().all(|byte| byte == b'.') {
            return Ok(BookAnswer::Book(Box::default()));
        }
        let sister = &self.sister;
        let request = sister
            .client
            .get(sister.at(&["internal", "contacts", owner.as_str()]))
            .header(INTERNAL_TOKEN, sister.token.clone())
            .header(ACCEPT, "application/json")
            .timeout(patience);
        let answer = request.send().await.map_err(trouble)?;
        match answer.status().as_u16() {
            200 => {
                let Some(body) = sister.body(answer).await? else {
                    return Ok(BookAnswer::Unusable);
                };
                Ok(match contacts_answer(&body, self.region, self.contacts_max) {
                    Ok(book) => BookAnswer::Book(Box::new(book)),
                    Err(error) => {
                        // Which field is wrong, and not what is in it.
                        let fields: Vec<_> = error.fields().iter().map(|field| &field.field).collect();
                        tracing::warn!(
                            ?fields,
                            code = error.code(),
                            "an answer of the contacts service cannot be read"
                        );
                        BookAnswer::Unusable
                    }
                })
            }
            404 => Ok(BookAnswer::Book(Box::<ContactBook>::default())),
            status => Err(Trouble::Refused {
                status,
                after: retry_after(&answer),
            }),
        }
    }
}
