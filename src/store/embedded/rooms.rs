//! Reads rooms: logs, people, memberships, circles.

use rusqlite::params;

use super::rows::{self, RoomKey, find_key, kind, participant, room_id};
use super::sql::Db;
use super::{fixes, records};
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::people::{Person, Subject};
use crate::domain::phone::PhoneNumber;
use crate::domain::room::{Event, Seq};
use crate::domain::time::Timestamp;
use crate::store::codec::{self, corrupt};
use crate::store::contract::StoreError;
use crate::store::types::{ListingCircle, Membership, StoredRoom};

fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A room with all that belongs to it.
pub(super) fn load(db: &mut Db<'_>, room: &RoomId) -> Result<Option<StoredRoom>, StoreError> {
    let Some(key) = find_key(db, room)? else {
        return Ok(None);
    };
    let events = rows::events(db, key, room, Seq::ZERO, usize::MAX)?;
    if events.is_empty() {
        return Ok(None);
    }
    Ok(Some(StoredRoom {
        events,
        people: records::people(db, key)?,
        newest: fixes::newest(db, key)?,
        seen: fixes::seen(db, key)?,
    }))
}

/// A stretch of a log.
pub(super) fn events(
    db: &mut Db<'_>,
    room: &RoomId,
    after: Seq,
    max: usize,
) -> Result<Vec<Event>, StoreError> {
    match find_key(db, room)? {
        Some(key) => rows::events(db, key, room, after, max),
        None => Ok(vec![]),
    }
}

/// Some of the records of a room.
pub(super) fn people(
    db: &mut Db<'_>,
    room: &RoomId,
    who: &[ParticipantId],
) -> Result<Vec<Person>, StoreError> {
    let Some(key) = find_key(db, room)? else {
        return Ok(vec![]);
    };
    let mut people = records::people(db, key)?;
    people.retain(|person| who.contains(&person.participant));
    Ok(people)
}

/// The signs of life that were noted in a room.
pub(super) fn signs(db: &mut Db<'_>, room: &RoomId) -> Result<Vec<(ParticipantId, Timestamp)>, StoreError> {
    match find_key(db, room)? {
        Some(key) => fixes::seen(db, key),
        None => Ok(vec![]),
    }
}

/// Rooms that may change by themselves.
pub(super) fn live(db: &mut Db<'_>, after: Option<&RoomId>, max: usize) -> Result<Vec<RoomId>, StoreError> {
    let after = match after {
        Some(room) => find_key(db, room)?.unwrap_or(i64::MAX),
        None => i64::MIN,
    };
    let sql = "SELECT id FROM rooms WHERE live = 1 AND key > ?1 ORDER BY key LIMIT ?2";
    db.all(sql, params![after, limit(max)], |row| room_id(row, 0))
}

/// Rooms that a subject is in.
pub(super) fn memberships(db: &mut Db<'_>, subject: &Subject) -> Result<Vec<Membership>, StoreError> {
    db.all(
        "SELECT r.id, r.kind, p.participant, r.owner IS p.participant FROM people p
         JOIN participants q ON q.room = p.room AND q.participant = p.participant
         JOIN rooms r ON r.key = p.room
         WHERE p.subject = ?1 AND q.left_at IS NULL ORDER BY r.id",
        [codec::subject_text(subject)],
        |row| {
            Ok(Membership {
                room: room_id(row, 0)?,
                kind: kind(row, 1)?.ok_or_else(|| corrupt("a kind of room"))?,
                participant: participant(row, 2)?,
                is_owner: row.get(3)?,
            })
        },
    )
}

/// Circles that a subject owns.
pub(super) fn circles_of(db: &mut Db<'_>, subject: &Subject) -> Result<Vec<RoomId>, StoreError> {
    db.all(
        "SELECT r.id FROM people p JOIN rooms r ON r.key = p.room AND r.owner = p.participant
         WHERE p.subject = ?1 AND r.kind = 'circle' ORDER BY r.id",
        [codec::subject_text(subject)],
        |row| room_id(row, 0),
    )
}

/// Circles whose owner lists a number among the emergency contacts.
pub(super) fn circles_listing(
    db: &mut Db<'_>,
    phone: &PhoneNumber,
    max: usize,
) -> Result<Vec<ListingCircle>, StoreError> {
    db.all(
        "SELECT DISTINCT r.id, p.name, r.asleep FROM contacts c
         JOIN people p ON p.subject = c.owner
         JOIN rooms r ON r.key = p.room AND r.owner = p.participant
         WHERE c.phone = ?1 AND c.list = 0 AND r.kind = 'circle' ORDER BY r.id LIMIT ?2",
        params![phone.reveal(), limit(max)],
        |row| {
            Ok(ListingCircle {
                room: room_id(row, 0)?,
                owner_name: row.get(1)?,
                asleep: row.get(2)?,
            })
        },
    )
}

/// The key of every room of a subject, with who they are there.
pub(super) fn places(db: &mut Db<'_>, subject: &Subject) -> Result<Vec<(RoomKey, i64)>, StoreError> {
    let sql = "SELECT room, participant FROM people WHERE subject = ?1";
    db.all(sql, [codec::subject_text(subject)], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
}
