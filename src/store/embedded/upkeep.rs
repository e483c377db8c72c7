//! What keeps the store small and its projections true, in slices that let appends in between.

use rusqlite::params;

use super::feed;
use super::jobs;
use super::open::Note;
use super::privacy;
use super::project::{forget, project};
use super::rows::{self, RoomKey, put_room};
use super::writes::Writes;
use crate::domain::room::Seq;
use crate::domain::time::Timestamp;
use crate::store::codec;
use crate::store::contract::StoreError;
use crate::store::projection::RoomRow;
use crate::store::types::{Purged, Retention};

/// Events after which a slice of a rebuild ends; a room is never cut.
const REBUILD_MAX_EVENTS: u64 = 5_000;

/// Events that are read at once.
const REBUILD_PAGE: usize = 1_000;

/// Removes a slice of what is too old.
pub(super) fn purge(
    writes: &mut Writes<'_>,
    now: Timestamp,
    retention: &Retention,
) -> Result<Purged, StoreError> {
    let mut purged = Purged::default();
    let slice = i64::try_from(retention.slice_max_rows.max(1)).unwrap_or(i64::MAX);
    if !retention.locations.is_zero() {
        purged.locations = writes.db.run(
            "DELETE FROM fixes WHERE (room, participant, at) IN
                 (SELECT room, participant, at FROM fixes WHERE at < ?1 ORDER BY at LIMIT ?2)",
            params![now.before(retention.locations).ms(), slice],
        )? as u64;
    }
    if !retention.idempotency.is_zero() {
        purged.idempotency = writes.db.run(
            "DELETE FROM idempotency WHERE (subject, key) IN
                 (SELECT subject, key FROM idempotency WHERE at < ?1 ORDER BY at LIMIT ?2)",
            params![now.before(retention.idempotency).ms(), slice],
        )? as u64;
    }
    if !retention.reports.is_zero() {
        purged.reports = writes.db.run(
            "DELETE FROM reports WHERE (room, participant, reporter) IN
                 (SELECT room, participant, reporter FROM reports WHERE at < ?1 ORDER BY at LIMIT ?2)",
            params![now.before(retention.reports).ms(), slice],
        )? as u64;
    }
    if !retention.feed.is_zero() {
        purged.feed = feed::purge(&mut writes.db, now.before(retention.feed), slice)?;
    }
    if !retention.dead_letters.is_zero() {
        purged.dead_letters = writes.db.run(
            "DELETE FROM dead_letters WHERE (room, seq) IN
                 (SELECT room, seq FROM dead_letters WHERE at < ?1 ORDER BY at LIMIT ?2)",
            params![now.before(retention.dead_letters).ms(), slice],
        )? as u64;
    }
    if !retention.receipts.is_zero() {
        purged.receipts = jobs::purge(&mut writes.db, now.before(retention.receipts), slice)?;
    }
    purged.blocks = writes.db.run(
        "DELETE FROM blocks WHERE key IN (SELECT key FROM blocks WHERE until <= ?1 ORDER BY until LIMIT ?2)",
        params![now.ms(), slice],
    )? as u64;
    let most = [
        purged.locations,
        purged.idempotency,
        purged.reports,
        purged.blocks,
        purged.feed,
        purged.dead_letters,
        purged.receipts,
    ];
    purged.more = most.into_iter().any(|removed| removed >= slice.unsigned_abs());
    privacy::purge(writes, now, retention, &mut purged)?;
    Ok(purged)
}

/// Where a rebuild stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rebuilt {
    /// The last room that was rebuilt.
    pub last: RoomKey,
    /// How many rooms were.
    pub rooms: u64,
    /// Every room has been.
    pub done: bool,
}

/// Rebuilds rooms after `after` from their logs until it has read enough for one transaction.
pub(super) fn rebuild(writes: &mut Writes<'_>, after: RoomKey) -> Result<Rebuilt, StoreError> {
    let mut rebuilt = Rebuilt {
        last: after,
        ..Rebuilt::default()
    };
    let mut events = 0;
    while events < REBUILD_MAX_EVENTS {
        let sql = "SELECT key, id FROM rooms WHERE key > ?1 ORDER BY key LIMIT 1";
        let next = writes.db.first(sql, [rebuilt.last], |row| {
            Ok((row.get(0)?, rows::room_id(row, 1)?))
        })?;
        let Some((key, id)) = next else {
            rebuilt.done = true;
            break;
        };
        rebuilt.last = key;
        let read = rebuild_room(writes, key, &id)?;
        rebuilt.rooms += u64::from(read > 0);
        // A room without a log costs something too.
        events += read.max(1);
    }
    Ok(rebuilt)
}

fn rebuild_room(
    writes: &mut Writes<'_>,
    key: RoomKey,
    id: &crate::domain::ids::RoomId,
) -> Result<u64, StoreError> {
    forget(&mut writes.db, key)?;
    let mut row = RoomRow::default();
    let mut after = Seq::ZERO;
    loop {
        let page = rows::events(&mut writes.db, key, id, after, REBUILD_PAGE)?;
        for event in &page {
            project(&mut writes.db, key, &mut row, event)?;
        }
        after = row.head;
        if page.len() < REBUILD_PAGE {
            break;
        }
    }
    put_room(&mut writes.db, key, id, &row)?;
    writes.notes.push(Note::Rebuilt(key));
    Ok(after.get())
}

/// Writes something small.
pub(super) fn beat(writes: &mut Writes<'_>) -> Result<(), StoreError> {
    match writes
        .db
        .run("UPDATE pulse SET beats = beats + 1 WHERE key = 1", [])?
    {
        1 => Ok(()),
        _ => Err(codec::corrupt("the health check's row")),
    }
}
