//! The order of incidents' events: that in which the one writer committed them.
//!
//! An append costs one row at the end of a table. Places are given out by the writer; the last row always stays, so
//! that a place is never given out twice, also after everything else was purged and the store was opened again.

use rusqlite::params;

use super::rows::{self, RoomKey, room_id};
use super::sql::Db;
use super::writes::Writes;
use crate::domain::room::Seq;
use crate::domain::time::Timestamp;
use crate::store::codec::corrupt;
use crate::store::contract::StoreError;
use crate::store::feed::{FeedEvent, FeedPage};

/// One append, as the table has it.
struct Entry {
    position: u64,
    room: RoomKey,
    id: crate::domain::ids::RoomId,
    seq: u64,
    count: u64,
}

/// The last place that was given out.
pub(super) fn head(db: &mut Db<'_>) -> Result<i64, StoreError> {
    let last = db.first("SELECT max(position) FROM feed", [], |row| {
        Ok(row.get::<_, Option<i64>>(0)?)
    })?;
    Ok(last.flatten().unwrap_or(0))
}

/// Gives the `count` events of an incident that end with `seq` their places.
pub(super) fn add(
    writes: &mut Writes<'_>,
    room: RoomKey,
    seq: Seq,
    count: usize,
    at: Timestamp,
) -> Result<(), StoreError> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let position = writes.fresh_positions(count)?;
    writes.db.run(
        "INSERT INTO feed (position, room, seq, count, at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![position, room, seq.get().cast_signed(), count, at.ms()],
    )?;
    Ok(())
}

/// Events after `after`, at most `limit`, and where the order stands.
pub(super) fn after(db: &mut Db<'_>, after: u64, limit: usize) -> Result<FeedPage, StoreError> {
    let epoch = db.first(
        "SELECT epoch FROM feed_epoch",
        [],
        |row| Ok(row.get::<_, i64>(0)?),
    )?;
    let epoch = epoch.ok_or_else(|| corrupt("the order's epoch"))?.cast_unsigned();
    let sql = "SELECT position - count FROM feed ORDER BY position LIMIT 1";
    let oldest = db.first(sql, [], |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()))?;
    let mut page = FeedPage {
        epoch,
        kept_after: oldest.unwrap_or(0),
        head: head(db)?.cast_unsigned(),
        events: Vec::new(),
    };
    if limit == 0 {
        return Ok(page);
    }
    let entries = db.all(
        "SELECT f.position, f.room, r.id, f.seq, f.count FROM feed f JOIN rooms r ON r.key = f.room
         WHERE f.position > ?1 ORDER BY f.position LIMIT ?2",
        params![
            i64::try_from(after).unwrap_or(i64::MAX),
            i64::try_from(limit).unwrap_or(i64::MAX)
        ],
        |row| {
            Ok(Entry {
                position: row.get::<_, i64>(0)?.cast_unsigned(),
                room: row.get(1)?,
                id: room_id(row, 2)?,
                seq: row.get::<_, i64>(3)?.cast_unsigned(),
                count: row.get::<_, i64>(4)?.cast_unsigned(),
            })
        },
    )?;
    for entry in entries {
        let left = limit - page.events.len();
        if left == 0 {
            break;
        }
        // Of the first one part may have been read before.
        let known = entry.count.saturating_sub(entry.position.saturating_sub(after));
        let from = Seq::new((entry.seq + known).saturating_sub(entry.count));
        let wanted = usize::try_from(entry.count - known)
            .unwrap_or(usize::MAX)
            .min(left);
        for event in rows::events(db, entry.room, &entry.id, from, wanted)? {
            let behind = entry.seq.saturating_sub(event.seq.get());
            page.events.push(FeedEvent {
                position: entry.position.saturating_sub(behind),
                event,
            });
        }
    }
    Ok(page)
}

/// Forgets a slice of what was written before `oldest`; the last row stays.
pub(super) fn purge(db: &mut Db<'_>, oldest: Timestamp, slice: i64) -> Result<u64, StoreError> {
    let (mut last, mut count, head) = (None, 0, head(db)?);
    // Times rise with the places but for a clock that is put back: what comes after something young is young enough.
    let sql = "SELECT position, at FROM feed ORDER BY position LIMIT ?1";
    db.scan(sql, [slice], |row| {
        let position: i64 = row.get(0)?;
        let old = rows::timestamp(row, 1)? < oldest && position < head;
        if old {
            (last, count) = (Some(position), count + 1);
        }
        Ok(old)
    })?;
    if let Some(last) = last {
        db.run("DELETE FROM feed WHERE position <= ?1", [last])?;
    }
    Ok(count)
}

/// From now on it is another order: places that were given out before mean nothing in it.
pub(super) fn begin_anew(conn: &rusqlite::Connection) -> Result<(), StoreError> {
    conn.execute("UPDATE feed_epoch SET epoch = random()", [])?;
    Ok(())
}
