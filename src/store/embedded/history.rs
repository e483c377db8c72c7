//! Reads positions back, oldest first, merged over participants and rooms.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::params;

use super::fixes::{fix, fix_columns, tracked};
use super::rooms::places;
use super::rows::{RoomKey, find_key};
use super::sql::Db;
use crate::domain::geo::Fix;
use crate::domain::ids::ParticipantId;
use crate::domain::time::Timestamp;
use crate::store::contract::StoreError;
use crate::store::types::{HistoryFix, HistoryQuery};

/// Fixes by query. Without a room and without a subject there is nothing to read.
pub(super) fn history(db: &mut Db<'_>, query: &HistoryQuery) -> Result<Vec<HistoryFix>, StoreError> {
    let mut page = Page::new(query);
    for (room, who) in sources(db, query)? {
        page.read(db, room, who)?;
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

/// The first `limit` fixes of all that were read. A source is read only until it has nothing to add.
struct Page<'q> {
    query: &'q HistoryQuery,
    from: i64,
    /// By time, and then by participant unless a subject's fixes are told once for each time.
    found: BTreeMap<(Timestamp, Option<ParticipantId>), (ParticipantId, Fix)>,
}

impl<'q> Page<'q> {
    fn new(query: &'q HistoryQuery) -> Self {
        let from = query.from.map_or(i64::MIN, Timestamp::ms);
        let after = query.after.map_or(i64::MIN, |(at, _)| at.ms());
        Self {
            query,
            from: from.max(after),
            found: BTreeMap::new(),
        }
    }

    fn read(&mut self, db: &mut Db<'_>, room: RoomKey, who: i64) -> Result<(), StoreError> {
        let to = self.query.to.map_or(i64::MAX, Timestamp::ms);
        let sql = concat!(
            "SELECT ",
            fix_columns!(),
            " FROM fixes WHERE room = ?1 AND participant = ?2 AND at BETWEEN ?3 AND ?4 ORDER BY at"
        );
        let who_id = ParticipantId::from_bits(who.cast_unsigned());
        let from = self.from;
        db.scan(sql, params![room, who, from, to], |row| {
            Ok(self.offer(who_id, fix(row)?))
        })
    }

    /// False: neither this fix nor a later one of its source belongs to the page.
    fn offer(&mut self, who: ParticipantId, fix: Fix) -> bool {
        let once = self.query.subject.is_some();
        let passed = self.query.after.is_some_and(|after| {
            if once {
                fix.at <= after.0
            } else {
                (fix.at, who) <= after
            }
        });
        if passed {
            return true;
        }
        let key = (fix.at, (!once).then_some(who));
        let is_full = self.found.len() >= self.query.limit;
        if is_full && self.found.last_key_value().is_none_or(|(last, _)| key > *last) {
            return false;
        }
        self.found.entry(key).or_insert((who, fix));
        if self.found.len() > self.query.limit {
            self.found.pop_last();
        }
        true
    }

    fn finish(self) -> Vec<HistoryFix> {
        self.found
            .into_values()
            .map(|(participant, fix)| HistoryFix { participant, fix })
            .collect()
    }
}
