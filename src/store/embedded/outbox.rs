//! What is to be told to the service that keeps incidents: a row for each incident that has something to tell.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, Row, params};

use super::rows::{RoomKey, find_key, room_id, timestamp};
use super::sql::Db;
use super::writes::Writes;
use crate::domain::ids::RoomId;
use crate::domain::room::{RoomKind, Seq};
use crate::store::codec::corrupt;
use crate::store::contract::StoreError;
use crate::store::outbox::{Claim, Claimed, DeadLetter, DeadPlace, OutboxDepth, Settle, Settled, Then};
use crate::store::projection::RoomRow;
use crate::store::types::Append;

fn number(seq: Seq) -> i64 {
    i64::try_from(seq.get()).unwrap_or(i64::MAX)
}

fn seq(row: &Row<'_>, column: usize) -> Result<Seq, StoreError> {
    Ok(Seq::new(row.get::<_, i64>(column)?.cast_unsigned()))
}

fn small<T: TryFrom<i64>>(row: &Row<'_>, column: usize) -> Result<T, StoreError> {
    T::try_from(row.get(column)?).map_err(|_| corrupt("a number of the outbox"))
}

/// Leases go by the machine's clock: nobody else uses the file.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn after(span: Duration) -> i64 {
    now().saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
}

/// An incident has something more to tell.
pub(super) fn note(
    writes: &mut Writes<'_>,
    key: RoomKey,
    append: &Append,
    row: &RoomRow,
) -> Result<(), StoreError> {
    let Some(first) = append.events.first().filter(|_| row.kind == Some(RoomKind::Sos)) else {
        return Ok(());
    };
    let sql = "INSERT INTO outbox (room, taken, head, since) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (room) DO UPDATE SET head = excluded.head";
    let row = params![key, number(append.after), number(row.head), first.at.ms()];
    writes.db.run(sql, row).map(drop)
}

/// Nobody has anything in hand: this process was not there before.
pub(super) fn free(conn: &Connection) -> Result<(), StoreError> {
    conn.execute("UPDATE outbox SET until = 0 WHERE until > 0", [])?;
    Ok(())
}

/// Rooms that are due, in the order of their keys, on from where the last look ended.
pub(super) fn due(db: &mut Db<'_>, from: &AtomicI64, limit: usize) -> Result<Vec<RoomKey>, StoreError> {
    let (now, last) = (now(), from.load(Ordering::Relaxed));
    let most = |found: usize| i64::try_from(limit.saturating_sub(found)).unwrap_or(i64::MAX);
    let sql = "SELECT room FROM outbox WHERE room > ?1 AND due <= ?2 AND until <= ?2 ORDER BY room LIMIT ?3";
    let mut found: Vec<RoomKey> = db.all(sql, params![last, now, most(0)], |row| Ok(row.get(0)?))?;
    if found.len() < limit {
        let sql =
            "SELECT room FROM outbox WHERE room <= ?1 AND due <= ?2 AND until <= ?2 ORDER BY room LIMIT ?3";
        found.extend(db.all(sql, params![last, now, most(found.len())], |row| {
            Ok(row.get::<_, i64>(0)?)
        })?);
    }
    if let Some(last) = found.last() {
        from.store(*last, Ordering::Relaxed);
    }
    Ok(found)
}

/// Takes those of them that are still due.
pub(super) fn claim(
    writes: &mut Writes<'_>,
    rooms: &[RoomKey],
    claim: Claim,
) -> Result<Vec<Claimed>, StoreError> {
    let (now, until) = (now(), after(claim.lease));
    let mut claimed = Vec::with_capacity(rooms.len());
    for key in rooms {
        let sql = "UPDATE outbox SET token = ?2, until = ?3 WHERE room = ?1 AND due <= ?4 AND until <= ?4";
        if writes.db.run(sql, params![key, claim.token, until, now])? == 0 {
            continue;
        }
        let sql = "SELECT r.id, o.taken, o.head, o.attempts, o.refusals
                   FROM outbox o JOIN rooms r ON r.key = o.room WHERE o.room = ?1";
        let found = writes.db.first(sql, [key], |row| {
            Ok(Claimed {
                room: room_id(row, 0)?,
                taken: seq(row, 1)?,
                head: seq(row, 2)?,
                attempts: small(row, 3)?,
                refusals: small(row, 4)?,
            })
        })?;
        claimed.extend(found);
    }
    Ok(claimed)
}

/// Notes how far incidents were told.
pub(super) fn settle(writes: &mut Writes<'_>, all: &[Settle]) -> Result<Vec<Settled>, StoreError> {
    all.iter().map(|settle| settle_one(writes, settle)).collect()
}

fn settle_one(writes: &mut Writes<'_>, settle: &Settle) -> Result<Settled, StoreError> {
    let Some(key) = find_key(&mut writes.db, &settle.room)? else {
        return Ok(Settled::Gone);
    };
    let (due, until) = match settle.then {
        Then::Keep(lease) => (0, after(lease)),
        Then::Release(wait) => (after(wait), 0),
    };
    let sql =
        "UPDATE outbox SET taken = max(taken, ?3), attempts = ?4, refusals = ?5, since = coalesce(?6, since),
                                 due = ?7, until = ?8
               WHERE room = ?1 AND token = ?2";
    let row = params![
        key,
        settle.token,
        number(settle.taken),
        settle.attempts,
        settle.refusals,
        settle.since.map(crate::domain::time::Timestamp::ms),
        due,
        until
    ];
    if writes.db.run(sql, row)? == 0 {
        return Ok(Settled::Gone);
    }
    for letter in &settle.dead {
        bury(writes, letter)?;
    }
    let sql = "DELETE FROM outbox WHERE room = ?1 AND head <= taken";
    if writes.db.run(sql, [key])? > 0 {
        return Ok(Settled::Gone);
    }
    let head = writes
        .db
        .first("SELECT head FROM outbox WHERE room = ?1", [key], |row| {
            seq(row, 0)
        })?;
    Ok(head.map_or(Settled::Gone, Settled::Left))
}

/// How much waits.
pub(super) fn depth(db: &mut Db<'_>) -> Result<OutboxDepth, StoreError> {
    let waiting = db.first("SELECT count(*), min(since) FROM outbox", [], |row| {
        let oldest: Option<i64> = row.get(1)?;
        Ok((
            row.get::<_, i64>(0)?.unsigned_abs(),
            oldest.map(crate::domain::time::Timestamp::from_ms),
        ))
    })?;
    let dead = db.first("SELECT count(*) FROM dead_letters", [], |row| {
        Ok(row.get::<_, i64>(0)?.unsigned_abs())
    })?;
    let (incidents, oldest) = waiting.unwrap_or_default();
    Ok(OutboxDepth {
        incidents,
        oldest,
        dead: dead.unwrap_or(0),
    })
}

/// Keeps a dead letter.
pub(super) fn bury(writes: &mut Writes<'_>, letter: &DeadLetter) -> Result<(), StoreError> {
    let room = writes.key(&letter.room)?;
    let sql = "INSERT OR REPLACE INTO dead_letters (room, seq, kind, status, attempts, at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let row = params![
        room,
        number(letter.seq),
        letter.kind,
        letter.status,
        letter.attempts,
        letter.at.ms()
    ];
    writes.db.run(sql, row).map(drop)
}

fn letter(row: &Row<'_>) -> Result<DeadLetter, StoreError> {
    Ok(DeadLetter {
        room: room_id(row, 0)?,
        seq: seq(row, 1)?,
        kind: row.get(2)?,
        status: small(row, 3)?,
        attempts: small(row, 4)?,
        at: timestamp(row, 5)?,
    })
}

/// Dead letters, the newest first.
pub(super) fn letters(
    db: &mut Db<'_>,
    after: Option<&DeadPlace>,
    limit: usize,
) -> Result<Vec<DeadLetter>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    match after {
        Some(place) => db.all(
            "SELECT r.id, d.seq, d.kind, d.status, d.attempts, d.at
             FROM dead_letters d JOIN rooms r ON r.key = d.room
             WHERE d.at <= ?1 AND (d.at, r.id, d.seq) < (?1, ?2, ?3) ORDER BY d.at DESC, r.id DESC, d.seq DESC LIMIT ?4",
            params![place.at.ms(), place.room.as_str(), number(place.seq), limit],
            letter,
        ),
        None => db.all(
            "SELECT r.id, d.seq, d.kind, d.status, d.attempts, d.at
             FROM dead_letters d JOIN rooms r ON r.key = d.room
             ORDER BY d.at DESC, r.id DESC, d.seq DESC LIMIT ?1",
            [limit],
            letter,
        ),
    }
}

/// The dead letter of an event.
pub(super) fn letter_of(db: &mut Db<'_>, room: &RoomId, seq: Seq) -> Result<Option<DeadLetter>, StoreError> {
    let sql = "SELECT r.id, d.seq, d.kind, d.status, d.attempts, d.at
               FROM dead_letters d JOIN rooms r ON r.key = d.room WHERE r.id = ?1 AND d.seq = ?2";
    db.first(sql, params![room.as_str(), number(seq)], letter)
}

/// Takes a dead letter off the list; whether there was one.
pub(super) fn unbury(writes: &mut Writes<'_>, room: &RoomId, seq: Seq) -> Result<bool, StoreError> {
    let sql = "DELETE FROM dead_letters WHERE seq = ?2 AND room = (SELECT key FROM rooms WHERE id = ?1)";
    Ok(writes.db.run(sql, params![room.as_str(), number(seq)])? > 0)
}

/// Keeps the newest dead letters.
pub(super) fn trim(writes: &mut Writes<'_>, keep: usize) -> Result<u64, StoreError> {
    let keep = i64::try_from(keep).unwrap_or(i64::MAX);
    let sql = "DELETE FROM dead_letters WHERE (room, seq) IN
                   (SELECT room, seq FROM dead_letters ORDER BY at DESC, room DESC, seq DESC LIMIT -1 OFFSET ?1)";
    Ok(writes.db.run(sql, [keep])? as u64)
}

/// What a backup's incident had to tell, when the log of it is here now: what its service took then is not told again.
pub(super) fn take_over(
    writes: &mut Writes<'_>,
    room: &RoomId,
    taken: Seq,
    had_before: Seq,
) -> Result<(), StoreError> {
    let Some(key) = find_key(&mut writes.db, room)? else {
        return Ok(());
    };
    let sql = "INSERT INTO outbox (room, taken, head, since)
               SELECT key, max(?2, ?3), head, last_at FROM rooms WHERE key = ?1 AND head > max(?2, ?3)
               ON CONFLICT (room) DO UPDATE SET head = excluded.head";
    writes
        .db
        .run(sql, params![key, number(taken), number(had_before)])
        .map(drop)
}

/// How far a backup's incident was told; `None`: it had nothing to tell.
pub(super) fn taken(db: &mut Db<'_>, room: RoomKey) -> Result<Option<Seq>, StoreError> {
    db.first("SELECT taken FROM outbox WHERE room = ?1", [room], |row| {
        seq(row, 0)
    })
}

/// The dead letters of a backup's incident.
pub(super) fn letters_of(db: &mut Db<'_>, room: RoomKey) -> Result<Vec<DeadLetter>, StoreError> {
    let sql = "SELECT r.id, d.seq, d.kind, d.status, d.attempts, d.at
               FROM dead_letters d JOIN rooms r ON r.key = d.room WHERE d.room = ?1";
    db.all(sql, [room], letter)
}
