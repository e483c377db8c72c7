//! What becomes of jobs when the process is another one, or the whole database. These read whole tables, once.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::jobs;
use super::sql::Db;
use super::writes::Writes;
use crate::domain::notify::Lane;
use crate::store::contract::StoreError;
use crate::store::jobs::{NewJob, Receipt};

/// Nobody has anything in hand: this process was not there before. What was is due at once, and known to have been.
pub(super) fn free(conn: &Connection) -> Result<(), StoreError> {
    conn.execute("UPDATE jobs SET at = due WHERE token <> 0", [])?;
    Ok(())
}

/// What a backup's jobs come to. Whatever was due when it is brought back may have been done since it was made, and a
/// message must not go out twice: it is gone, and the incident's log says that it was pending. What lies ahead in the
/// lane of SOS stays: a check-in of somebody who may never confirm it, a step of an incident that nobody has
/// acknowledged. Whoever carries that out looks at what has happened since.
pub(super) fn outdate(conn: &Connection) -> Result<(), StoreError> {
    let sql = "DELETE FROM jobs WHERE lane <> ?1 OR due <= ?2";
    conn.execute(sql, params![Lane::Sos.as_str(), jobs::now()])?;
    conn.execute("UPDATE jobs SET at = due, token = 0, hastened = 0", [])?;
    Ok(())
}

/// A job of a backup, and when it is due there.
pub(super) type Ahead = (NewJob, i64, i64);

/// What is left of a backup's jobs, by id after `after`.
pub(super) fn ahead(conn: &Connection, after: i64) -> Result<Option<Ahead>, StoreError> {
    let sql = concat!(
        "SELECT ",
        jobs::columns!(),
        " FROM jobs WHERE id > ?1 ORDER BY id LIMIT 1"
    );
    let found = conn
        .query_row(sql, [after], |row| {
            Ok((
                jobs::job(row, i64::MIN),
                row.get::<_, i64>(5)?,
                row.get::<_, i64>(9)?,
            ))
        })
        .optional()?;
    let Some((job, since, due)) = found else {
        return Ok(None);
    };
    let job = job?;
    let new = NewJob {
        id: job.id,
        key: job.key,
        lane: job.lane,
        room: job.room,
        whose: job.whose,
        after: Duration::ZERO,
        body: job.body,
    };
    Ok(Some((new, since, due)))
}

/// Takes a backup's job over, unless there is one of its name.
pub(super) fn take_over(writes: &mut Writes<'_>, (job, since, due): &Ahead) -> Result<(), StoreError> {
    if jobs::add(writes, job, *since)? > 0 {
        let sql = "UPDATE jobs SET due = ?2, at = ?2 WHERE id = ?1";
        writes.db.run(sql, params![job.id.get(), due])?;
    }
    Ok(())
}

/// Receipts after one of them, by reference.
pub(super) fn receipts(db: &mut Db<'_>, after: &str, limit: usize) -> Result<Vec<Receipt>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql = "SELECT reference, room, notification, job, at FROM receipts WHERE reference > ?1
               ORDER BY reference LIMIT ?2";
    db.all(sql, params![after, limit], jobs::read_receipt)
}

/// Takes over those of a backup that are not there.
pub(super) fn take_receipts(writes: &mut Writes<'_>, all: &[Receipt]) -> Result<(), StoreError> {
    for receipt in all {
        if jobs::receipt(&mut writes.db, &receipt.reference)?.is_none() {
            jobs::refer(writes, receipt)?;
        }
    }
    Ok(())
}
