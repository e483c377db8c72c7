//! Work that is to be done whatever happens: a row for each job, and one for each message that a vendor took.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Row, ToSql, params};

use super::sql::Db;
use super::writes::Writes;
use crate::domain::ids::RoomId;
use crate::domain::notify::Lane;
use crate::domain::people::Subject;
use crate::domain::time::Timestamp;
use crate::store::codec::{self, corrupt};
use crate::store::contract::StoreError;
use crate::store::jobs::{Job, JobClaim, JobId, JobSettle, JobThen, JobWrite, LaneDepth, NewJob, Receipt};

/// Leases go by the machine's clock: nobody else uses the file.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn after(now: i64, span: Duration) -> i64 {
    now.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
}

/// What is read of a job, in this order.
macro_rules! columns {
    () => {
        "id, key, lane, room, whose, since, token, at, body, due"
    };
}
pub(super) use columns;

/// The job that a row tells, as of `now`.
pub(super) fn job(row: &Row<'_>, now: i64) -> Result<Job, StoreError> {
    let room = row.get_ref(3)?.as_str_or_null()?;
    let whose = row.get_ref(4)?.as_str_or_null()?;
    Ok(Job {
        id: JobId::new(row.get(0)?).ok_or_else(|| corrupt("a job's id"))?,
        key: row.get(1)?,
        lane: Lane::parse(row.get_ref(2)?.as_str()?).ok_or_else(|| corrupt("a job's lane"))?,
        room: room.map(codec::parse_room).transpose()?,
        whose: whose.map(codec::parse_subject).transpose()?,
        since: Timestamp::from_ms(row.get(5)?),
        interrupted: row.get::<_, i64>(6)? != 0 && row.get::<_, i64>(7)? <= now,
        body: row.get(8)?,
    })
}

/// Carries out changes in their order; says of each whether it counted.
pub(super) fn write(writes: &mut Writes<'_>, all: &[JobWrite]) -> Result<Vec<bool>, StoreError> {
    all.iter().map(|change| one(writes, change)).collect()
}

fn one(writes: &mut Writes<'_>, change: &JobWrite) -> Result<bool, StoreError> {
    let now = now();
    let changed = match change {
        JobWrite::Add(job) => add(writes, job, now)?,
        JobWrite::AddTaken(job, hold) => put(writes, job, (now, now, after(now, hold.lease)), hold.token)?,
        JobWrite::Settle(settle) => settle_one(writes, settle, now)?,
        JobWrite::Hasten(id) => {
            // In hand: as soon as it is given back. Otherwise now, if it was to wait.
            let sql = "UPDATE jobs SET hastened = (token <> 0 AND at > ?2),
                                       due = CASE WHEN token <> 0 AND at > ?2 THEN due ELSE min(due, ?2) END,
                                       at = CASE WHEN token <> 0 AND at > ?2 THEN at ELSE min(at, ?2) END
                       WHERE id = ?1";
            writes.db.run(sql, params![id.get(), now])?
        }
        JobWrite::Drop(id) => writes.db.run("DELETE FROM jobs WHERE id = ?1", [id.get()])?,
        JobWrite::Refer(receipt) => refer(writes, receipt)?,
    };
    Ok(changed > 0)
}

pub(super) fn add(writes: &mut Writes<'_>, job: &NewJob, now: i64) -> Result<usize, StoreError> {
    let due = after(now, job.after);
    put(writes, job, (now, due, due), 0)
}

/// Puts a job in place: when it is written, when it is due, when it may be claimed, and by whom it is held.
fn put(
    writes: &mut Writes<'_>,
    job: &NewJob,
    (now, due, at): (i64, i64, i64),
    token: i64,
) -> Result<usize, StoreError> {
    let whose = job.whose.as_ref().map(codec::subject_text);
    let row: [&dyn ToSql; 10] = [
        &job.id.get(),
        &job.key,
        &job.lane.as_str(),
        &job.room.as_ref().map(RoomId::as_str),
        &whose,
        &now,
        &due,
        &at,
        &token,
        &job.body,
    ];
    let sql = "INSERT INTO jobs (id, key, lane, room, whose, since, due, at, token, body)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING";
    writes.db.run(sql, row)
}

fn settle_one(writes: &mut Writes<'_>, settle: &JobSettle, now: i64) -> Result<usize, StoreError> {
    let (id, token, body) = (settle.id.get(), settle.token, settle.body.as_deref());
    match settle.then {
        JobThen::Done => {
            let sql = "DELETE FROM jobs WHERE id = ?1 AND token = ?2";
            writes.db.run(sql, params![id, token])
        }
        JobThen::Keep(lease) => {
            let sql = "UPDATE jobs SET at = ?3, body = coalesce(?4, body) WHERE id = ?1 AND token = ?2";
            writes.db.run(sql, params![id, token, after(now, lease), body])
        }
        JobThen::Release(wait) => {
            let sql = "UPDATE jobs SET due = iif(hastened, ?3, ?4), at = iif(hastened, ?3, ?4), token = 0, hastened = 0,
                                       body = coalesce(?5, body)
                       WHERE id = ?1 AND token = ?2";
            let row = params![id, token, now, after(now, wait), body];
            writes.db.run(sql, row)
        }
    }
}

pub(super) fn refer(writes: &mut Writes<'_>, receipt: &Receipt) -> Result<usize, StoreError> {
    let sql = "INSERT OR REPLACE INTO receipts (reference, room, notification, job, at) VALUES (?1, ?2, ?3, ?4, ?5)";
    let row = params![
        receipt.reference,
        receipt.room.as_ref().map(RoomId::as_str),
        receipt.notification,
        receipt.job.get(),
        receipt.at.ms()
    ];
    writes.db.run(sql, row)
}

/// Jobs of a lane that are due, those that are so the longest first.
pub(super) fn due(db: &mut Db<'_>, lane: Lane, limit: usize) -> Result<Vec<i64>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql = "SELECT id FROM jobs WHERE lane = ?1 AND at <= ?2 ORDER BY at LIMIT ?3";
    db.all(sql, params![lane.as_str(), now(), limit], |row| Ok(row.get(0)?))
}

/// Takes those of them that are still due.
pub(super) fn claim(writes: &mut Writes<'_>, due: &[i64], claim: JobClaim) -> Result<Vec<Job>, StoreError> {
    let now = now();
    let until = after(now, claim.lease);
    let mut claimed = Vec::with_capacity(due.len());
    for id in due {
        let sql = concat!("SELECT ", columns!(), " FROM jobs WHERE id = ?1 AND at <= ?2");
        let Some(job) = writes.db.first(sql, params![id, now], |row| job(row, now))? else {
            continue;
        };
        let sql = "UPDATE jobs SET token = ?2, at = ?3, hastened = 0 WHERE id = ?1";
        writes.db.run(sql, params![id, claim.token, until])?;
        claimed.push(job);
    }
    Ok(claimed)
}

/// The job of a name.
pub(super) fn job_of(db: &mut Db<'_>, key: &str) -> Result<Option<Job>, StoreError> {
    let now = now();
    let sql = concat!("SELECT ", columns!(), " FROM jobs WHERE key = ?1");
    db.first(sql, [key], |row| job(row, now))
}

/// Somebody's jobs whose names begin so, in the order of their names, and when each is due.
pub(super) fn jobs_of(
    db: &mut Db<'_>,
    whose: &Subject,
    prefix: &str,
    limit: usize,
) -> Result<Vec<(Job, Timestamp)>, StoreError> {
    let now = now();
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM jobs WHERE whose = ?1 AND key >= ?2 AND key < ?3 ORDER BY key LIMIT ?4"
    );
    let row = params![
        codec::subject_text(whose),
        prefix,
        format!("{prefix}\u{10ffff}"),
        limit
    ];
    db.all(sql, row, |row| {
        Ok((job(row, now)?, Timestamp::from_ms(row.get(9)?)))
    })
}

/// How much waits in each lane.
pub(super) fn depth(db: &mut Db<'_>) -> Result<Vec<LaneDepth>, StoreError> {
    let now = now();
    let mut depths = Vec::with_capacity(Lane::ALL.len());
    for &lane in Lane::ALL {
        let sql = "SELECT count(*), coalesce(sum(at <= ?2), 0), min(at) FROM jobs WHERE lane = ?1";
        let depth = db.first(sql, params![lane.as_str(), now], |row| {
            Ok(LaneDepth {
                lane,
                jobs: row.get::<_, i64>(0)?.unsigned_abs(),
                waiting: row.get::<_, i64>(1)?.unsigned_abs(),
                oldest: row
                    .get::<_, Option<i64>>(2)?
                    .filter(|at| *at <= now)
                    .map(Timestamp::from_ms),
            })
        })?;
        depths.extend(depth);
    }
    Ok(depths)
}

/// The message that a vendor names so.
pub(super) fn receipt(db: &mut Db<'_>, reference: &str) -> Result<Option<Receipt>, StoreError> {
    let sql = "SELECT reference, room, notification, job, at FROM receipts WHERE reference = ?1";
    db.first(sql, [reference], read_receipt)
}

pub(super) fn read_receipt(row: &Row<'_>) -> Result<Receipt, StoreError> {
    let room = row.get_ref(1)?.as_str_or_null()?;
    Ok(Receipt {
        reference: row.get(0)?,
        room: room.map(codec::parse_room).transpose()?,
        notification: row.get(2)?,
        job: JobId::new(row.get(3)?).ok_or_else(|| corrupt("a job's id"))?,
        at: Timestamp::from_ms(row.get(4)?),
    })
}

/// Removes what is to be done for somebody who is erased.
pub(super) fn erase(writes: &mut Writes<'_>, name: &str) -> Result<u64, StoreError> {
    Ok(writes.db.run("DELETE FROM jobs WHERE whose = ?1", [name])? as u64)
}

/// Removes receipts of before `before`, a slice of them.
pub(super) fn purge(db: &mut Db<'_>, before: Timestamp, slice: i64) -> Result<u64, StoreError> {
    let sql = "DELETE FROM receipts WHERE reference IN
                   (SELECT reference FROM receipts WHERE at < ?1 ORDER BY at LIMIT ?2)";
    Ok(db.run(sql, params![before.ms(), slice])? as u64)
}
