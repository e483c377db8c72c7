//! Records beside the log, each of which can be erased: contact lists, devices, idempotency keys.

use mongodb::bson::{Bson, DateTime, Document, doc};
use serde::{Deserialize, Serialize};

use super::db::{Db, Find};
use super::docs::{
    CONTACTS, DEVICES, IDEMPOTENCY, KeyDoc, KeyName, date, instant, phone, subject as subject_text,
};
use super::error::Outcome;
use super::writer::replacement;
use crate::domain::ids::{DeviceId, RoomId};
use crate::domain::people::{Contact, ContactBook, Subject};
use crate::domain::time::Timestamp;
use crate::store::codec;
use crate::store::contract::StoreError;
use crate::store::reach::{decode_reach, encode_reach};
use crate::store::types::{DeviceRecord, IdempotencyKey, KeptKey};

/// Statements in one command.
const STATEMENTS_MAX: usize = 1_000;

/// A person's lists.
#[derive(Serialize, Deserialize)]
pub(super) struct ContactsDoc {
    #[serde(rename = "_id")]
    pub owner: String,
    pub emergency: Vec<ContactDoc>,
    pub dependent: Vec<ContactDoc>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ContactDoc {
    name: String,
    phone: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reach: Option<String>,
}

impl ContactDoc {
    fn of(contact: &Contact) -> Self {
        Self {
            name: contact.name.clone(),
            phone: contact.phone.reveal().to_owned(),
            reach: encode_reach(&contact.reach),
        }
    }

    fn contact(self) -> Result<Contact, StoreError> {
        Ok(Contact {
            phone: phone(&self.phone)?,
            reach: decode_reach(self.reach.as_deref())?,
            name: self.name,
        })
    }
}

/// The room that a request made.
pub(super) async fn repeated(db: &Db, key: &IdempotencyKey) -> Outcome<Option<RoomId>> {
    let name: Bson = KeyName::of(key).into();
    let found = Find::new(IDEMPOTENCY, doc! { "_id": name })
        .first::<KeyDoc>(db)
        .await?;
    Ok(found.map(|key| codec::parse_room(&key.room)).transpose()?)
}

/// All keys of a subject, as a filter.
pub(super) fn keys_of(subject: &Subject, after: Option<&str>) -> Document {
    let subject = subject_text(subject);
    // No key is empty; what follows all of them is the next type of values.
    doc! { "_id": {
        "$gt": { "subject": &subject, "key": after.unwrap_or_default() },
        "$lt": { "subject": &subject, "key": Bson::MaxKey },
    } }
}

/// A subject's keys after `after`, in their order.
pub(super) async fn keys(
    db: &Db,
    subject: &Subject,
    after: Option<&str>,
    max: usize,
) -> Outcome<Vec<KeptKey>> {
    if max == 0 {
        return Ok(vec![]);
    }
    let find = Find::new(IDEMPOTENCY, keys_of(subject, after))
        .sort(doc! { "_id": 1 })
        .limit(max);
    let kept = |key: KeyDoc| {
        Ok(KeptKey {
            room: codec::parse_room(&key.room)?,
            key: key.id.key,
            at: instant(key.at),
        })
    };
    find.all::<KeyDoc>(db).await?.into_iter().map(kept).collect()
}

/// A person's lists, in their order.
pub(super) async fn contacts(db: &Db, owner: &Subject) -> Outcome<ContactBook> {
    let find = Find::new(CONTACTS, doc! { "_id": subject_text(owner) });
    let Some(book) = find.first::<ContactsDoc>(db).await? else {
        return Ok(ContactBook::default());
    };
    let list = |list: Vec<ContactDoc>| list.into_iter().map(ContactDoc::contact).collect();
    let emergency: Result<Vec<_>, StoreError> = list(book.emergency);
    let dependent: Result<Vec<_>, StoreError> = list(book.dependent);
    Ok(ContactBook {
        emergency: emergency?,
        dependent: dependent?,
    })
}

/// Replaces a person's lists.
pub(super) async fn put_contacts(db: &Db, owner: &Subject, book: &ContactBook) -> Outcome<()> {
    let owner = subject_text(owner);
    if book.emergency.is_empty() && book.dependent.is_empty() {
        return db.delete(CONTACTS, vec![doc! { "_id": owner }]).await.map(drop);
    }
    let whole = ContactsDoc {
        emergency: book.emergency.iter().map(ContactDoc::of).collect(),
        dependent: book.dependent.iter().map(ContactDoc::of).collect(),
        owner,
    };
    let statement = replacement(doc! { "_id": &whole.owner }, &whole, true)?;
    db.update(CONTACTS, vec![statement]).await.map(drop)
}

/// A device's record.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeviceDoc {
    #[serde(rename = "_id")]
    pub id: String,
    #[serde(default)]
    os: Option<String>,
    #[serde(default)]
    app_version: Option<String>,
    #[serde(default)]
    locale: Option<String>,
    first_seen: DateTime,
    last_seen: DateTime,
}

pub(super) async fn device(db: &Db, id: DeviceId) -> Outcome<Option<DeviceRecord>> {
    let find = Find::new(DEVICES, doc! { "_id": id.reveal() });
    Ok(find.first::<DeviceDoc>(db).await?.map(|device| DeviceRecord {
        os: device.os,
        app_version: device.app_version,
        locale: device.locale,
        first_seen: instant(device.first_seen),
        last_seen: instant(device.last_seen),
    }))
}

/// Writes a device's record over what is known of it.
pub(super) async fn put_device(db: &Db, id: DeviceId, record: &DeviceRecord) -> Outcome<()> {
    let said = [
        ("os", &record.os),
        ("appVersion", &record.app_version),
        ("locale", &record.locale),
    ];
    let mut update = doc! {
        "$max": { "lastSeen": date(record.last_seen) },
        "$setOnInsert": { "firstSeen": date(record.first_seen) },
    };
    let said: Document = said
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), Bson::from(value.clone()?))))
        .collect();
    if !said.is_empty() {
        update.insert("$set", said);
    }
    let statement = doc! { "q": { "_id": id.reveal() }, "u": update, "upsert": true };
    db.update(DEVICES, vec![statement]).await.map(drop)
}

/// Notes when devices were seen.
pub(super) async fn see(db: &Db, seen: &[(DeviceId, Timestamp)]) -> Outcome<()> {
    for piece in seen.chunks(STATEMENTS_MAX) {
        let statement = |(device, at): &(DeviceId, Timestamp)| {
            doc! { "q": { "_id": device.reveal() }, "u": { "$max": { "lastSeen": date(*at) } } }
        };
        db.update(DEVICES, piece.iter().map(statement).collect()).await?;
    }
    Ok(())
}
