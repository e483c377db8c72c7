//! Bodies about people: who joins, what they say, whom they trust.

use schemars::JsonSchema;
use serde::Serialize;

use super::body::{self, BodyError, FieldError};
use super::fields::Fields;
use crate::domain::ids::MessageId;
use crate::domain::notify::{Channel, Email, Locale, QuietHours};
use crate::domain::people::{Contact, ContactBook, Reach};
use crate::domain::phone::{PhoneNumber, Region};
use crate::domain::room::UserType;
use crate::wire::field::{self, NAME_MAX_CHARS, Problem};
use crate::wire::loose::Loose;
use crate::wire::{Reading, schema};

/// Over what contacts are told.
const CHANNELS: [Channel; 4] = [Channel::Sms, Channel::Whatsapp, Channel::Email, Channel::Push];
/// How far clocks are ahead of UTC, in minutes.
const OFFSETS: std::ops::RangeInclusive<i16> = -720..=840;

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

/// Reads the body of `PUT /api/contacts`, which is also what a service says that keeps contacts: each list at most `max`
/// long; of entries with the same number the first stays. A list that is left out is empty, but not both may be.
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

/// Reads what a service says that keeps contacts: the body of `PUT /api/contacts`, by itself or as the `data` of an
/// envelope.
///
/// # Errors
/// Everything that is wrong with it.
pub fn contacts_answer(answer: &[u8], region: Region, max: usize) -> Result<ContactBook, BodyError> {
    let mut object = body::object(answer)?;
    let is_bare = object.contains_key("emergency_contacts") || object.contains_key("dependent_contacts");
    match object.remove("data") {
        Some(serde_json::Value::Object(data)) if !is_bare => contacts(
            serde_json::Value::Object(data).to_string().as_bytes(),
            region,
            max,
        ),
        _ => contacts(answer, region, max),
    }
}

fn contact(entry: &mut Fields<'_>, region: Region) -> Option<Contact> {
    let name = entry.required("name", |name, value| {
        field::words(name, value, 1..=NAME_MAX_CHARS)
    });
    let phone = entry.required("phone_no", |name, value| {
        field::parsed(name, value, |text| PhoneNumber::parse(text, region))
    });
    let reach = reach(entry);
    Some(Contact {
        name: name?,
        phone: phone?,
        reach,
    })
}

/// How they are told, as far as that is said.
fn reach(entry: &mut Fields<'_>) -> Reach {
    let email = entry.optional("email", |name, value| field::parsed(name, value, Email::parse));
    let locale = entry.optional("locale", |name, value| field::parsed(name, value, Locale::parse));
    let mut channels = entry
        .optional_texts("channels", CHANNELS.len(), |text| {
            let known = Channel::parse(text).filter(|channel| CHANNELS.contains(channel));
            known.ok_or("must be one of SMS, WHATSAPP, EMAIL, PUSH")
        })
        .unwrap_or_default();
    let mut seen = std::collections::BTreeSet::new();
    channels.retain(|channel| seen.insert(*channel));
    let quiet = entry.nested("quiet_hours", |hours| {
        let clock = |name, value: &Loose<'_>| field::parsed(name, value, minute_of_day);
        let from = hours.required("from", clock);
        let to = hours.required("to", clock);
        let offset = hours.loose("utc_offset_minutes");
        let utc_offset = match offset {
            Loose::Absent => Some(0),
            Loose::Whole(minutes) => i16::try_from(minutes).ok().filter(|m| OFFSETS.contains(m)),
            Loose::Number(minutes) => OFFSETS.clone().find(|m| f64::from(*m) == minutes),
            _ => None,
        };
        if utc_offset.is_none() {
            hours.reject("utc_offset_minutes", "must be a whole number from -720 to 840");
        }
        Some(QuietHours {
            from: from?,
            to: to?,
            utc_offset: utc_offset?,
        })
    });
    Reach {
        email,
        locale,
        channels,
        quiet: quiet.flatten(),
    }
}

/// `22:30`
fn minute_of_day(text: &str) -> Result<u16, &'static str> {
    let wrong = "must be a time of day such as 22:30";
    let (hour, minute) = text.split_once(':').ok_or(wrong)?;
    let number = |text: &str, below: u16| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text
            .parse::<u16>()
            .ok()
            .filter(|number| digits && *number < below);
        number.ok_or(wrong)
    };
    Ok(number(hour, 24)? * 60 + number(minute, 60)?)
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

/// Somebody on a list. What was not said of them is left out.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ContactView<'a> {
    /// What you call them.
    name: &'a str,
    #[schemars(with = "schema::Phone")]
    phone_no: &'a str,
    /// Where they get e-mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    /// In which language they are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    locale: Option<&'a str>,
    /// Over what they are told, the best first: SMS, WHATSAPP, EMAIL, PUSH.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    channels: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quiet_hours: Option<QuietView>,
}

/// When somebody wants to be left alone, by their own clock. An SOS leaves nobody alone.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct QuietView {
    /// From, as `22:30`.
    from: String,
    /// Up to.
    to: String,
    /// How far their clock is ahead of UTC.
    utc_offset_minutes: i16,
}

impl QuietView {
    fn of(hours: QuietHours) -> Self {
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        Self {
            from: clock(hours.from),
            to: clock(hours.to),
            utc_offset_minutes: hours.utc_offset,
        }
    }
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
                    email: c.reach.email.as_ref().map(Email::reveal),
                    locale: c.reach.locale.as_ref().map(Locale::as_str),
                    channels: c.reach.channels.iter().map(|channel| channel.as_str()).collect(),
                    quiet_hours: c.reach.quiet.map(QuietView::of),
                })
                .collect()
        };
        Self {
            emergency_contacts: list(&book.emergency),
            dependent_contacts: list(&book.dependent),
        }
    }
}
