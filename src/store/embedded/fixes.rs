//! Positions worth keeping: writing them, and the newest of each participant.

use rusqlite::{Row, params};

use super::privacy;
use super::rows::{RoomKey, participant, timestamp};
use super::sql::Db;
use super::writes::Writes;
use crate::domain::geo::{Fix, Position};
use crate::domain::ids::ParticipantId;
use crate::domain::location::LocationPolicy;
use crate::domain::time::Timestamp;
use crate::store::codec::corrupt;
use crate::store::contract::StoreError;
use crate::store::types::KeptFix;

/// Columns in the order that [`fix`] reads.
macro_rules! fix_columns {
    () => {
        "at, lat, lon, accuracy, speed, heading"
    };
}
pub(super) use fix_columns;

pub(super) fn fix(row: &Row<'_>) -> Result<Fix, StoreError> {
    let position = Position::new(row.get(1)?, row.get(2)?).map_err(|_| corrupt("a position"))?;
    Fix::new(position, Timestamp::from_ms(row.get(0)?))
        .with_motion(row.get(3)?, row.get(4)?, row.get(5)?)
        .map_err(|_| corrupt("a fix"))
}

/// Puts fixes into the order in which they are judged: by time, for each participant.
pub(super) fn in_order(fixes: &mut [KeptFix]) {
    fixes.sort_by(|a, b| (&a.room, a.participant, a.fix.at).cmp(&(&b.room, b.participant, b.fix.at)));
}

/// Keeps what is worth keeping of fixes that are [`in_order`]; answers how many are new.
pub(super) fn keep(
    writes: &mut Writes<'_>,
    fixes: &[KeptFix],
    policy: &LocationPolicy,
) -> Result<usize, StoreError> {
    let mut new = 0;
    for kept in fixes {
        let key = writes.key(&kept.room)?;
        let who = kept.participant.bits().cast_signed();
        if privacy::is_erased(writes, key, who)? {
            continue;
        }
        let Fix {
            position,
            accuracy,
            speed,
            heading,
            at,
        } = kept.fix;
        if !kept.sampled && !policy.keeps(before(&mut writes.db, key, who, at)?.as_ref(), &kept.fix) {
            continue;
        }
        new += writes.db.run(
            "INSERT OR IGNORE INTO fixes (room, participant, at, lat, lon, accuracy, speed, heading)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                key,
                who,
                at.ms(),
                position.latitude(),
                position.longitude(),
                accuracy,
                speed,
                heading
            ],
        )?;
    }
    writes.fixes += new as u64;
    Ok(new)
}

/// The latest kept fix strictly before `at`.
fn before(db: &mut Db<'_>, room: RoomKey, who: i64, at: Timestamp) -> Result<Option<Fix>, StoreError> {
    let sql = concat!(
        "SELECT ",
        fix_columns!(),
        " FROM fixes WHERE room = ?1 AND participant = ?2 AND at < ?3 ORDER BY at DESC LIMIT 1"
    );
    db.first(sql, params![room, who, at.ms()], fix)
}

/// Everybody who has fixes in a room, found by skipping from one to the next.
pub(super) fn tracked(db: &mut Db<'_>, room: RoomKey) -> Result<Vec<i64>, StoreError> {
    let mut found = Vec::new();
    let first = "SELECT participant FROM fixes WHERE room = ?1 ORDER BY participant LIMIT 1";
    let mut next = db.first(first, [room], |row| Ok(row.get::<_, i64>(0)?))?;
    while let Some(who) = next {
        found.push(who);
        let sql =
            "SELECT participant FROM fixes WHERE room = ?1 AND participant > ?2 ORDER BY participant LIMIT 1";
        next = db.first(sql, params![room, who], |row| Ok(row.get(0)?))?;
    }
    Ok(found)
}

/// The newest fix of each participant of a room.
pub(super) fn newest(db: &mut Db<'_>, room: RoomKey) -> Result<Vec<(ParticipantId, Fix)>, StoreError> {
    let mut found = Vec::new();
    for who in tracked(db, room)? {
        let sql = concat!(
            "SELECT ",
            fix_columns!(),
            ", participant FROM fixes WHERE room = ?1 AND participant = ?2 ORDER BY at DESC LIMIT 1"
        );
        found.extend(db.first(sql, params![room, who], |row| {
            Ok((participant(row, 6)?, fix(row)?))
        })?);
    }
    Ok(found)
}

/// The last signs of life that were noted of those who are in a room.
pub(super) fn seen(db: &mut Db<'_>, room: RoomKey) -> Result<Vec<(ParticipantId, Timestamp)>, StoreError> {
    let sql = "SELECT participant, seen_at FROM presence WHERE room = ?1";
    db.all(sql, [room], |row| Ok((participant(row, 0)?, timestamp(row, 1)?)))
}
