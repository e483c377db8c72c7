//! Bodies about people: who joins, what they say, whom they trust.

use schemars::JsonSchema;
use serde::Serialize;

use super::body::{self, BodyError, FieldError};
use super::fields::Fields;
use crate::domain::ids::MessageId;
use crate::domain::people::{Contact, ContactBook};
use crate::domain::phone::{PhoneNumber, Region};
use crate::domain::room::UserType;
use crate::wire::field::{self, NAME_MAX_CHARS, Problem};
use crate::wire::{Reading, schema};

/// The longest user id that a body may name, in characters.
pub(super) const USER_ID_MAX_CHARS: usize = 128;

/// `POST /sos/{id}/participants/join`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinBody {
    /// As what.
    pub user_type: UserType,
    /// Who they say they are; the credential decides.
    pub user_id: Option<String>,
    /// What others may call them.
    pub display_name: Option<String>,
    /// A number that they merely state: it opens no room.
    pub phone: Option<PhoneNumber>,
}

impl JoinBody {
    /// Reads the body.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &[u8], region: Region) -> Result<Self, BodyError> {
        let object = body::object(body)?;
        let mut fields = Fields::of_body(&object);
        let user_type = fields.required("userType", |name, value| {
            field::one_of(name, value, UserType::parse, UserType::ALL, UserType::as_str)
        });
        let user_id = fields.optional("userId", |name, value| {
            field::note(name, value, USER_ID_MAX_CHARS)
        });
        let display_name = fields.optional("displayName", |name, value| {
            field::note(name, value, NAME_MAX_CHARS)
        });
        let phone = fields.optional("phone", |name, value| {
            field::parsed(name, value, |text| PhoneNumber::parse(text, region))
        });
        fields.finish(user_type.map(|user_type| Self {
            user_type,
            user_id,
            display_name,
            phone,
        }))
    }
}

/// `POST /sos/{id}/messages`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageBody {
    /// The words, as they were written.
    pub content: String,
    /// The sender's name for it, by which a repeated one is recognised.
    pub id: Option<MessageId>,
}

impl MessageBody {
    /// Reads the body.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &[u8], reading: &Reading) -> Result<Self, BodyError> {
        let object = body::object(body)?;
        let mut fields = Fields::of_body(&object);
        let content = fields.required("content", |name, value| {
            field::words(name, value, 1..=reading.content_max_chars)
        });
        let id = fields.optional("id", |name, value| {
            field::parsed(name, value, |id| MessageId::new(id))
        });
        fields.finish(content.map(|content| Self { content, id }))
    }
}

/// Reads the body of `PUT /api/contacts`: each list at most `max` long; of entries with the same number the
/// first stays. A list that is left out is empty, but not both may be.
///
/// # Errors
/// Everything that is wrong with it.
pub fn contacts(body: &[u8], region: Region, max: usize) -> Result<ContactBook, BodyError> {
    let object = body::object(body)?;
    let mut fields = Fields::of_body(&object);
    let emergency = fields.list("emergency_contacts", max, |entry| contact(entry, region));
    let dependent = fields.list("dependent_contacts", max, |entry| contact(entry, region));
    let neither = !object.contains_key("emergency_contacts") && !object.contains_key("dependent_contacts");
    if neither {
        return Err(BodyError::Fields(vec![FieldError::at(
            "",
            Problem::missing("emergency_contacts"),
        )]));
    }
    fields.finish(Some(ContactBook {
        emergency: once_each(emergency.unwrap_or_default()),
        dependent: once_each(dependent.unwrap_or_default()),
    }))
}

fn contact(entry: &mut Fields<'_>, region: Region) -> Option<Contact> {
    let name = entry.required("name", |name, value| {
        field::words(name, value, 1..=NAME_MAX_CHARS)
    });
    let phone = entry.required("phone_no", |name, value| {
        field::parsed(name, value, |text| PhoneNumber::parse(text, region))
    });
    Some(Contact {
        name: name?,
        phone: phone?,
    })
}

fn once_each(contacts: Vec<Contact>) -> Vec<Contact> {
    let mut seen = std::collections::HashSet::new();
    contacts
        .into_iter()
        .filter(|contact| seen.insert(contact.phone.clone()))
        .collect()
}

/// `GET /api/contacts`
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ContactsView<'a> {
    /// Who is told when you call for help, and may always enter your circles.
    emergency_contacts: Vec<ContactView<'a>>,
    /// Whom you look after.
    dependent_contacts: Vec<ContactView<'a>>,
}

/// Somebody on a list.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ContactView<'a> {
    /// What you call them.
    name: &'a str,
    #[schemars(with = "schema::Phone")]
    phone_no: &'a str,
}

impl<'a> ContactsView<'a> {
    /// Shows an owner their book.
    pub fn of(book: &'a ContactBook) -> Self {
        let list = |contacts: &'a [Contact]| {
            contacts
                .iter()
                .map(|c| ContactView {
                    name: &c.name,
                    phone_no: c.phone.reveal(),
                })
                .collect()
        };
        Self {
            emergency_contacts: list(&book.emergency),
            dependent_contacts: list(&book.dependent),
        }
    }
}
