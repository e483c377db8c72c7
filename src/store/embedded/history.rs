//! Reads positions back, oldest first, merged over participants and rooms.

use std::collections::BTreeSet;

use rusqlite::params;

use super::fixes::{fix, fix_columns, tracked};
use super::rooms::places;
use super::rows::{RoomKey, find_key};
use super::sql::Db;
use crate::domain::ids::ParticipantId;
use crate::store::contract::StoreError;
use crate::store::history_page::HistoryPage;
use crate::store::types::{HistoryFix, HistoryQuery};

/// Fixes by query. Without a room and without a subject there is nothing to read.
pub(super) fn history(db: &mut Db<'_>, query: &HistoryQuery) -> Result<Vec<HistoryFix>, StoreError> {
    let mut page = HistoryPage::new(query);
    for (room, who) in sources(db, query)? {
        read(&mut page, db, room, who)?;
    }
    Ok(page.finish())
}

/// Which (room, participant) pairs the query concerns, each once.
fn sources(db: &mut Db<'_>, query: &HistoryQuery) -> Result<BTreeSet<(RoomKey, i64)>, StoreError> {
    let room = match &query.room {
        Some(room) => match find_key(db, room)? {
            Some(key) => Some(key),
            None => return Ok(BTreeSet::new()),
        },
        None => None,
    };
    let mut pairs = match (&query.subject, room, query.participant) {
        (Some(subject), _, _) => places(db, subject)?,
        (None, Some(room), Some(who)) => vec![(room, who.bits().cast_signed())],
        (None, Some(room), None) => tracked(db, room)?.into_iter().map(|who| (room, who)).collect(),
        (None, None, _) => vec![],
    };
    let who = query.participant.map(|who| who.bits().cast_signed());
    pairs.retain(|pair| room.is_none_or(|room| room == pair.0) && who.is_none_or(|who| who == pair.1));
    if let Some(among) = &query.among {
        pairs.retain(|(_, who)| among.contains(&ParticipantId::from_bits(who.cast_unsigned())));
    }
    Ok(pairs.into_iter().collect())
}

/// Reads a series until it has nothing to add.
fn read(page: &mut HistoryPage<'_>, db: &mut Db<'_>, room: RoomKey, who: i64) -> Result<(), StoreError> {
    let sql = concat!(
        "SELECT ",
        fix_columns!(),
        " FROM fixes WHERE room = ?1 AND participant = ?2 AND at BETWEEN ?3 AND ?4 ORDER BY at"
    );
    let who_id = ParticipantId::from_bits(who.cast_unsigned());
    let (from, to) = (page.from().ms(), page.to().ms());
    db.scan(sql, params![room, who, from, to], |row| {
        Ok(page.offer(who_id, fix(row)?))
    })
}
