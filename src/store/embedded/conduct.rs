//! Reports of misconduct, and blocks.

use rusqlite::{Row, params};

use super::rows::{participant, room_id, timestamp};
use super::sql::Db;
use super::writes::Writes;
use crate::domain::conduct::{Block, BlockKey, Complaint, ComplaintCursor};
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::people::{Person, Role, Subject};
use crate::domain::phone::PhoneNumber;
use crate::store::codec::{self, corrupt};
use crate::store::contract::StoreError;

fn bits(who: ParticipantId) -> i64 {
    who.bits().cast_signed()
}

/// Writes a report in place of an earlier one of the same two.
pub(super) fn put_report(writes: &mut Writes<'_>, complaint: &Complaint) -> Result<(), StoreError> {
    let room = writes.key(&complaint.room)?;
    let sql = "INSERT INTO reports (room, participant, reporter, at, reason) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT DO UPDATE SET at = excluded.at, reason = excluded.reason";
    let row = params![
        room,
        bits(complaint.participant),
        bits(complaint.reporter),
        complaint.at.ms(),
        complaint.reason
    ];
    writes.db.run(sql, row).map(drop)
}

/// Reports, newest first, of one incident or of all.
pub(super) fn reports(
    db: &mut Db<'_>,
    room: Option<&RoomId>,
    after: Option<ComplaintCursor>,
    limit: usize,
) -> Result<Vec<Complaint>, StoreError> {
    let (at, of, by) = after.map_or((i64::MAX, i64::MAX, i64::MAX), |place| {
        (place.at.ms(), bits(place.participant), bits(place.reporter))
    });
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let read = |row: &Row<'_>| {
        Ok(Complaint {
            room: room_id(row, 0)?,
            participant: participant(row, 1)?,
            reporter: participant(row, 2)?,
            at: timestamp(row, 3)?,
            reason: row.get(4)?,
        })
    };
    match room {
        Some(room) => db.all(
            "SELECT r.id, p.participant, p.reporter, p.at, p.reason
             FROM reports p JOIN rooms r ON r.key = p.room
             WHERE p.room = (SELECT key FROM rooms WHERE id = ?5)
               AND (p.at, p.participant, p.reporter) < (?1, ?2, ?3)
             ORDER BY p.at DESC, p.participant DESC, p.reporter DESC LIMIT ?4",
            params![at, of, by, limit, room.as_str()],
            read,
        ),
        None => db.all(
            "SELECT r.id, p.participant, p.reporter, p.at, p.reason
             FROM reports p JOIN rooms r ON r.key = p.room
             WHERE (p.at, p.participant, p.reporter) < (?1, ?2, ?3)
             ORDER BY p.at DESC, p.participant DESC, p.reporter DESC LIMIT ?4",
            params![at, of, by, limit],
            read,
        ),
    }
}

/// The record of whoever is called so in a room.
pub(super) fn whose(db: &mut Db<'_>, who: ParticipantId) -> Result<Option<Person>, StoreError> {
    let sql = "SELECT subject, name, phone, role FROM people WHERE participant = ?1 LIMIT 1";
    db.first(sql, [bits(who)], |row| {
        let phone = row.get_ref(2)?.as_str_or_null()?.map(PhoneNumber::from_e164);
        Ok(Person {
            participant: who,
            subject: codec::parse_subject(row.get_ref(0)?.as_str()?)?,
            name: row.get(1)?,
            phone: phone.transpose().map_err(|_| corrupt("a phone number"))?,
            role: Role::parse(row.get_ref(3)?.as_str()?).ok_or_else(|| corrupt("a role"))?,
        })
    })
}

/// Writes a block in place of an earlier one of the same key.
pub(super) fn put_block(writes: &mut Writes<'_>, block: &Block) -> Result<(), StoreError> {
    let sql =
        "INSERT INTO blocks (key, participant, at, until, reason, staff) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT DO UPDATE SET participant = excluded.participant, at = excluded.at,
                   until = excluded.until, reason = excluded.reason, staff = excluded.staff";
    let row = params![
        block.key.bytes(),
        bits(block.participant),
        block.at.ms(),
        block.until.map(crate::domain::time::Timestamp::ms),
        block.reason,
        block.by.as_ref().map(codec::subject_text)
    ];
    writes.db.run(sql, row).map(drop)
}

/// Lifts a block; whether there was one.
pub(super) fn lift_block(writes: &mut Writes<'_>, key: BlockKey) -> Result<bool, StoreError> {
    let lifted = writes
        .db
        .run("DELETE FROM blocks WHERE key = ?1", [key.bytes()])?;
    Ok(lifted > 0)
}

fn block(row: &Row<'_>) -> Result<Block, StoreError> {
    let key = row.get_ref(0)?.as_blob()?;
    let by = row.get_ref(5)?.as_str_or_null()?;
    Ok(Block {
        key: BlockKey::new(key.try_into().map_err(|_| corrupt("a block's key"))?),
        participant: participant(row, 1)?,
        at: timestamp(row, 2)?,
        until: row
            .get::<_, Option<i64>>(3)?
            .map(crate::domain::time::Timestamp::from_ms),
        reason: row.get(4)?,
        by: by.map(codec::parse_subject).transpose()?,
    })
}

/// The block that was made by this name.
pub(super) fn block_of(db: &mut Db<'_>, who: ParticipantId) -> Result<Option<Block>, StoreError> {
    let sql = "SELECT key, participant, at, until, reason, staff FROM blocks WHERE participant = ?1 LIMIT 1";
    db.first(sql, [bits(who)], block)
}

/// Blocks in the order of their keys.
pub(super) fn blocks(
    db: &mut Db<'_>,
    after: Option<BlockKey>,
    limit: usize,
) -> Result<Vec<Block>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    match after {
        Some(after) => db.all(
            "SELECT key, participant, at, until, reason, staff FROM blocks
             WHERE key > ?1 ORDER BY key LIMIT ?2",
            params![after.bytes(), limit],
            block,
        ),
        None => db.all(
            "SELECT key, participant, at, until, reason, staff FROM blocks ORDER BY key LIMIT ?1",
            [limit],
            block,
        ),
    }
}

/// Removes what a subject wrote about others, and their name from the blocks they made. What others wrote about
/// them stays: it names a pseudonym that points nowhere.
pub(super) fn erase(
    writes: &mut Writes<'_>,
    subject: &Subject,
    rooms: &[(i64, i64)],
) -> Result<u64, StoreError> {
    let mut erased = 0;
    for (room, who) in rooms {
        let sql = "DELETE FROM reports WHERE room = ?1 AND reporter = ?2";
        erased += writes.db.run(sql, params![room, who])? as u64;
    }
    let name = codec::subject_text(subject);
    writes
        .db
        .run("UPDATE blocks SET staff = NULL WHERE staff = ?1", [&name])?;
    Ok(erased)
}
