//! Records beside the log, each of which can be erased: people, contact lists, devices, idempotency keys.

use rusqlite::params;

use super::rooms::places;
use super::rows::{RoomKey, participant, room_id, timestamp};
use super::sql::Db;
use super::writes::Writes;
use crate::domain::ids::{DeviceId, RoomId};
use crate::domain::people::{Contact, ContactBook, Person, Role, Subject};
use crate::domain::phone::PhoneNumber;
use crate::store::codec::{self, corrupt};
use crate::store::contract::StoreError;
use crate::store::types::{DeviceRecord, Erased, IdempotencyKey};

fn phone(text: &str) -> Result<PhoneNumber, StoreError> {
    PhoneNumber::from_e164(text).map_err(|_| corrupt("a phone number"))
}

/// Everybody in a room who has a record.
pub(super) fn people(db: &mut Db<'_>, key: RoomKey) -> Result<Vec<Person>, StoreError> {
    db.all(
        "SELECT participant, subject, name, phone, role FROM people WHERE room = ?1",
        [key],
        |row| {
            Ok(Person {
                participant: participant(row, 0)?,
                subject: codec::parse_subject(row.get_ref(1)?.as_str()?)?,
                name: row.get(2)?,
                phone: row.get_ref(3)?.as_str_or_null()?.map(phone).transpose()?,
                role: Role::parse(row.get_ref(4)?.as_str()?).ok_or_else(|| corrupt("a role"))?,
            })
        },
    )
}

/// The room that a request made.
pub(super) fn repeated(db: &mut Db<'_>, key: &IdempotencyKey) -> Result<Option<RoomId>, StoreError> {
    let sql =
        "SELECT r.id FROM idempotency i JOIN rooms r ON r.key = i.room WHERE i.subject = ?1 AND i.key = ?2";
    db.first(sql, params![codec::subject_text(&key.subject), key.key], |row| {
        room_id(row, 0)
    })
}

/// A person's lists, in their order.
pub(super) fn contacts(db: &mut Db<'_>, owner: &Subject) -> Result<ContactBook, StoreError> {
    let mut book = ContactBook::default();
    let sql = "SELECT list, name, phone FROM contacts WHERE owner = ?1 ORDER BY list, place";
    db.scan(sql, [codec::subject_text(owner)], |row| {
        let contact = Contact {
            name: row.get(1)?,
            phone: phone(row.get_ref(2)?.as_str()?)?,
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
            let sql = "INSERT INTO contacts (owner, list, place, name, phone) VALUES (?1, ?2, ?3, ?4, ?5)";
            let row = params![owner, list, place, contact.name, contact.phone.reveal()];
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

/// Writes a device's record.
pub(super) fn put_device(
    writes: &mut Writes<'_>,
    id: DeviceId,
    record: &DeviceRecord,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO devices (id, os, app_version, locale, first_seen, last_seen)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT DO UPDATE SET os = excluded.os, app_version = excluded.app_version,
                                         locale = excluded.locale, last_seen = excluded.last_seen";
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

/// Removes all that is kept of a subject. Their pseudonyms stay in the logs and point nowhere.
pub(super) fn erase(writes: &mut Writes<'_>, subject: &Subject) -> Result<Erased, StoreError> {
    let mut erased = Erased::default();
    for (room, who) in places(&mut writes.db, subject)? {
        let sql = "DELETE FROM fixes WHERE room = ?1 AND participant = ?2";
        erased.fixes += writes.db.run(sql, params![room, who])? as u64;
    }
    let name = codec::subject_text(subject);
    erased.people = writes.db.run("DELETE FROM people WHERE subject = ?1", [&name])? as u64;
    erased.others = writes.db.run("DELETE FROM contacts WHERE owner = ?1", [&name])? as u64;
    erased.others += writes
        .db
        .run("DELETE FROM idempotency WHERE subject = ?1", [&name])? as u64;
    if let Subject::Device(id) = subject {
        erased.others += writes
            .db
            .run("DELETE FROM devices WHERE id = ?1", [id.reveal()])? as u64;
    }
    writes.erased = true;
    Ok(erased)
}
