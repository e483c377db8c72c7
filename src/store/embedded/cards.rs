//! Small records by name, each replaced whole by whoever saw its last version.

use rusqlite::{Row, params};

use super::jobs;
use super::sql::Db;
use super::writes::Writes;
use crate::domain::people::Subject;
use crate::domain::time::Timestamp;
use crate::store::cards::{Card, CardText, CardWrite};
use crate::store::codec;
use crate::store::contract::StoreError;
use crate::store::jobs::JobWrite;

/// What is read of a card, in this order.
macro_rules! columns {
    () => {
        "key, version, shelf, whose, until, body"
    };
}

fn read(row: &Row<'_>) -> Result<Card, StoreError> {
    let whose = row.get_ref(3)?.as_str_or_null()?;
    Ok(Card {
        key: row.get(0)?,
        version: row.get(1)?,
        text: CardText {
            shelf: row.get(2)?,
            whose: whose.map(codec::parse_subject).transpose()?,
            until: row.get::<_, Option<i64>>(4)?.map(Timestamp::from_ms),
            body: row.get(5)?,
        },
    })
}

/// The card of a name.
pub(super) fn card(db: &mut Db<'_>, key: &str) -> Result<Option<Card>, StoreError> {
    let sql = concat!("SELECT ", columns!(), " FROM cards WHERE key = ?1");
    db.first(sql, [key], read)
}

/// The cards of a shelf, by name.
pub(super) fn on_shelf(db: &mut Db<'_>, shelf: &str, limit: usize) -> Result<Vec<Card>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM cards WHERE shelf = ?1 ORDER BY key LIMIT ?2"
    );
    db.all(sql, params![shelf, limit], read)
}

/// Somebody's cards whose names begin so, by name.
pub(super) fn of(
    db: &mut Db<'_>,
    whose: &Subject,
    prefix: &str,
    limit: usize,
) -> Result<Vec<Card>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM cards WHERE whose = ?1 AND key >= ?2 AND key < ?3 ORDER BY key LIMIT ?4"
    );
    let row = params![
        codec::subject_text(whose),
        prefix,
        format!("{prefix}\u{10ffff}"),
        limit
    ];
    db.all(sql, row, read)
}

/// Writes cards, and jobs with them, unless one of the cards is not as it was seen: then nothing, and false.
pub(super) fn write(
    writes: &mut Writes<'_>,
    cards: &[CardWrite],
    new: &[JobWrite],
) -> Result<bool, StoreError> {
    for card in cards {
        let sql = "SELECT version FROM cards WHERE key = ?1";
        let found = writes
            .db
            .first(sql, [&card.key], |row| Ok(row.get::<_, i64>(0)?))?;
        if found.unwrap_or(0) != card.seen {
            return Ok(false);
        }
    }
    for card in cards {
        match &card.then {
            None => drop(writes.db.run("DELETE FROM cards WHERE key = ?1", [&card.key])?),
            Some((version, text)) => put(writes, &card.key, *version, text)?,
        }
    }
    jobs::write(writes, new)?;
    Ok(true)
}

fn put(writes: &mut Writes<'_>, key: &str, version: i64, text: &CardText) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO cards (key, version, shelf, whose, until, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let row = params![
        key,
        version,
        text.shelf,
        text.whose.as_ref().map(codec::subject_text),
        text.until.map(Timestamp::ms),
        text.body
    ];
    writes.db.run(sql, row).map(drop)
}

/// Removes somebody's.
pub(super) fn erase(writes: &mut Writes<'_>, name: &str) -> Result<u64, StoreError> {
    Ok(writes.db.run("DELETE FROM cards WHERE whose = ?1", [name])? as u64)
}

/// Removes a slice of those that have ended.
pub(super) fn purge(db: &mut Db<'_>, now: Timestamp, slice: i64) -> Result<u64, StoreError> {
    let sql = "DELETE FROM cards WHERE key IN
                   (SELECT key FROM cards WHERE until <= ?1 ORDER BY until LIMIT ?2)";
    Ok(db.run(sql, params![now.ms(), slice])? as u64)
}

/// Cards after one of them, by name, for a backup that is merged.
pub(super) fn after(db: &mut Db<'_>, key: &str, limit: usize) -> Result<Vec<Card>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM cards WHERE key > ?1 ORDER BY key LIMIT ?2"
    );
    db.all(sql, params![key, limit], read)
}

/// Takes over those of a backup that are not there.
pub(super) fn take_over(writes: &mut Writes<'_>, all: &[Card]) -> Result<(), StoreError> {
    for card in all {
        if self::card(&mut writes.db, &card.key)?.is_none() {
            put(writes, &card.key, card.version, &card.text)?;
        }
    }
    Ok(())
}
