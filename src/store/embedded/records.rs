//! Records beside the log, each of which can be erased: people, contact lists, devices, idempotency keys.

use rusqlite::{Row, params};

use super::rows::{RoomKey, participant, room_id, timestamp};
use super::sql::Db;
use super::writes::Writes;
use crate::domain::ids::{DeviceId, RoomId};
use crate::domain::people::{Contact, ContactBook, Person, Role, Subject};
use crate::domain::phone::PhoneNumber;
use crate::store::codec::{self, corrupt};
use crate::store::contract::StoreError;
use crate::store::reach::{decode_reach, encode_reach};
use crate::store::types::{DeviceRecord, IdempotencyKey, KeptKey};

fn phone(text: &str) -> Result<PhoneNumber, StoreError> {
    PhoneNumber::from_e164(text).map_err(|_| corrupt("a phone number"))
}

/// Somebody's record, from the columns participant, subject, name, phone, role.
pub(super) fn person(row: &Row<'_>) -> Result<Person, StoreError> {
    Ok(Person {
        participant: participant(row, 0)?,
        subject: codec::parse_subject(row.get_ref(1)?.as_str()?)?,
        name: row.get(2)?,
        phone: row.get_ref(3)?.as_str_or_null()?.map(phone).transpose()?,
        role: Role::parse(row.get_ref(4)?.as_str()?).ok_or_else(|| corrupt("a role"))?,
    })
}

/// Everybody in a room who has a record.
pub(super) fn people(db: &mut Db<'_>, key: RoomKey) -> Result<Vec<Person>, StoreError> {
    let sql = "SELECT participant, subject, name, phone, role FROM people WHERE room = ?1";
    db.all(sql, [key], person)
}

/// The room that a request made.
pub(super) fn repeated(db: &mut Db<'_>, key: &IdempotencyKey) -> Result<Option<RoomId>, StoreError> {
    let sql =
        "SELECT r.id FROM idempotency i JOIN rooms r ON r.key = i.room WHERE i.subject = ?1 AND i.key = ?2";
    db.first(sql, params![codec::subject_text(&key.subject), key.key], |row| {
        room_id(row, 0)
    })
}

/// A subject's keys after `after`, in their order.
pub(super) fn keys(
    db: &mut Db<'_>,
    subject: &Subject,
    after: Option<&str>,
    max: usize,
) -> Result<Vec<KeptKey>, StoreError> {
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    // No key is empty.
    let page = params![codec::subject_text(subject), after.unwrap_or_default(), max];
    db.all(
        "SELECT i.key, r.id, i.at FROM idempotency i JOIN rooms r ON r.key = i.room
         WHERE i.subject = ?1 AND i.key > ?2 ORDER BY i.key LIMIT ?3",
        page,
        |row| {
            Ok(KeptKey {
                key: row.get(0)?,
                room: room_id(row, 1)?,
                at: timestamp(row, 2)?,
            })
        },
    )
}

/// A person's lists, in their order.
pub(super) fn contacts(db: &mut Db<'_>, owner: &Subject) -> Result<ContactBook, StoreError> {
    let mut book = ContactBook::default();
    let sql = "SELECT list, name, phone, reach FROM contacts WHERE owner = ?1 ORDER BY list, place";
    db.scan(sql, [codec::subject_text(owner)], |row| {
        let contact = Contact {
            name: row.get(1)?,
            phone: phone(row.get_ref(2)?.as_str()?)?,
            reach: decode_reach(row.get_ref(3)?.as_str_or_null()?)?,
        };
        let list = if row.get::<_, i64>(0)? == 0 {
            &mut book.emergency
        } else {
            &mut book.dependent
        };
        list.push(contact);
        Ok(true)
    })?;
    Ok(book)
}

/// Replaces a person's lists.
pub(super) fn put_contacts(
    writes: &mut Writes<'_>,
    owner: &Subject,
    book: &ContactBook,
) -> Result<(), StoreError> {
    let owner = codec::subject_text(owner);
    writes.db.run("DELETE FROM contacts WHERE owner = ?1", [&owner])?;
    for (list, contacts) in [(0_i64, &book.emergency), (1, &book.dependent)] {
        for (place, contact) in (0_i64..).zip(contacts) {
            let sql = "INSERT INTO contacts (owner, list, place, name, phone, reach)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let (phone, reach) = (contact.phone.reveal(), encode_reach(&contact.reach));
            let row = params![owner, list, place, contact.name, phone, reach];
            writes.db.run(sql, row)?;
        }
    }
    Ok(())
}

/// A device's record.
pub(super) fn device(db: &mut Db<'_>, id: DeviceId) -> Result<Option<DeviceRecord>, StoreError> {
    let sql = "SELECT os, app_version, locale, first_seen, last_seen FROM devices WHERE id = ?1";
    db.first(sql, [id.reveal()], |row| {
        Ok(DeviceRecord {
            os: row.get(0)?,
            app_version: row.get(1)?,
            locale: row.get(2)?,
            first_seen: timestamp(row, 3)?,
            last_seen: timestamp(row, 4)?,
        })
    })
}

/// Writes a device's record over what is known of it.
pub(super) fn put_device(
    writes: &mut Writes<'_>,
    id: DeviceId,
    record: &DeviceRecord,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO devices (id, os, app_version, locale, first_seen, last_seen)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT DO UPDATE SET os = coalesce(excluded.os, os),
                                         app_version = coalesce(excluded.app_version, app_version),
                                         locale = coalesce(excluded.locale, locale),
                                         last_seen = max(last_seen, excluded.last_seen)";
    let row = params![
        id.reveal(),
        record.os,
        record.app_version,
        record.locale,
        record.first_seen.ms(),
        record.last_seen.ms()
    ];
    writes.db.run(sql, row).map(drop)
}
