//! The open incidents, in memory: what everybody near looks at, over and over, is answered without reading a row.
//!
//! The store has the only writer of its file, so this can be exact: the writer notes what each append does to the
//! list ([`Note`]) and takes the notes over once they are on disk and before anybody is answered. Whoever has had
//! an answer finds what they wrote. There are never more than a bound; what does not fit is counted, and while
//! anything is left out lists are read from the file as if this were not here.

mod grid;
mod map;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::RwLock;

use self::map::Map;
pub(super) use self::map::Wanted;
use super::incidents;
use super::rows::RoomKey;
use super::sql::Db;
use crate::domain::ids::RoomId;
use crate::domain::incident::{IncidentType, Report, Status};
use crate::domain::room::{Event, EventBody, Genesis, RoomKind};
use crate::store::contract::StoreError;
use crate::store::projection::RoomRow;
use crate::store::types::{IncidentQuery, IncidentRow, Listed, Sight};

/// Rooms that are looked through at a time for incidents that were left out.
const REFILL: usize = 200;

/// What a transaction does to the list.
pub(super) enum Note {
    /// An incident is new.
    Raised(RoomKey, Box<IncidentRow>),
    /// It has moved or grown.
    Changed(RoomKey, Change),
    /// It was projected anew: look at its row.
    Rebuilt(RoomKey),
}

/// What may change of an incident.
pub(super) struct Change {
    /// The log's head.
    head: crate::domain::room::Seq,
    /// How many are in.
    members: u32,
    /// It is open.
    open: bool,
    /// It was open before and is no longer.
    ended: bool,
    /// Where it stands now and since when, if it moved.
    moved: Option<(Status, crate::domain::time::Timestamp)>,
    /// What it is now, if that changed.
    kind: Option<IncidentType>,
}

impl Note {
    /// What these events, of which `row` is what is left, do to the list.
    pub fn of(key: RoomKey, room: &RoomId, was_open: bool, row: &RoomRow, events: &[Event]) -> Option<Self> {
        if row.kind != Some(RoomKind::Sos) {
            return None;
        }
        let moved = events.iter().rev().find_map(|event| match event.body {
            EventBody::StatusChanged { to, .. } => Some((to, event.at)),
            _ => None,
        });
        let kind = events.iter().rev().find_map(|event| match event.body {
            EventBody::TypeChanged { to, .. } => Some(to),
            _ => None,
        });
        let report = events.iter().find_map(|event| match &event.body {
            EventBody::Created(Genesis::Incident(report)) => Some(report),
            _ => None,
        });
        let Some(report) = report else {
            let change = Change {
                head: row.head,
                members: row.members,
                open: row.open,
                ended: was_open && !row.open,
                moved,
                kind,
            };
            return Some(Self::Changed(key, change));
        };
        if !row.open {
            return None;
        }
        let (status, updated_at) = moved.unwrap_or((Status::Active, row.created_at));
        let incident = IncidentRow {
            room: room.clone(),
            creator: row.owner.unwrap_or_else(incidents::nobody),
            report: Report {
                kind: kind.unwrap_or(report.kind),
                ..(**report).clone()
            },
            status,
            created_at: row.created_at,
            updated_at,
            ended_at: None,
            seq: row.head,
            active_participants: row.members,
        };
        Some(Self::Raised(key, Box::new(incident)))
    }
}

/// The open incidents of one store.
pub(super) struct OpenIncidents {
    map: RwLock<Map>,
    max: usize,
}

/// Its numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Incidents in memory.
    pub held: u64,
    /// Open incidents that did not fit.
    pub left_out: u64,
}

impl OpenIncidents {
    /// Holds at most `max`.
    pub fn new(max: usize) -> Self {
        Self {
            map: RwLock::new(Map::default()),
            max,
        }
    }

    /// Reads all of them from the file. Only the writer's thread may, or whoever has the file before it. When that
    /// fails (one report is damaged, say), nothing is held and each list is read from the file as far as it can be.
    pub fn reload(&self, db: &mut Db<'_>) {
        let mut map = Map::default();
        let read: Result<(), StoreError> = incidents::live(db, RoomKey::MIN, usize::MAX).and_then(|live| {
            for key in live {
                if let Some(row) = incidents::by_key(db, key)?.filter(|row| row.status.is_open()) {
                    map.insert(key, row, self.max);
                }
            }
            Ok(())
        });
        if let Err(error) = read {
            tracing::error!(%error, "the open incidents could not be read: lists are read from the file");
            map = Map::unread();
        }
        *self.map.write() = map;
    }

    /// Takes over what is on disk now. Only the writer's thread may.
    pub fn take(&self, notes: &mut Vec<Note>, db: &mut Db<'_>) {
        if notes.is_empty() && self.map.read().is_complete() {
            return;
        }
        // What has to be read is read before anybody has to wait for the lock.
        let reread: Vec<_> = notes
            .iter()
            .filter_map(|note| match note {
                Note::Rebuilt(key) => Some((*key, incidents::by_key(db, *key))),
                _ => None,
            })
            .collect();
        let more = self.refill(db);
        let mut map = self.map.write();
        for note in notes.drain(..) {
            match note {
                Note::Raised(key, row) => map.insert(key, *row, self.max),
                Note::Changed(key, change) => map.change(key, &change),
                Note::Rebuilt(_) => {}
            }
        }
        for (key, row) in reread {
            match row {
                Ok(row) => map.replace(key, row.filter(|row| row.status.is_open()), self.max),
                Err(_) => *map = Map::unread(),
            }
        }
        for (key, row) in more {
            map.admit(key, row, self.max);
        }
    }

    /// Some of those that were left out, once there is room again.
    fn refill(&self, db: &mut Db<'_>) -> Vec<(RoomKey, IncidentRow)> {
        let Some(after) = self.map.read().gap(self.max, REFILL) else {
            return vec![];
        };
        let mut found = Vec::new();
        let page = incidents::live(db, after, REFILL).unwrap_or_default();
        for key in &page {
            if !self.map.read().holds(*key)
                && let Ok(Some(row)) = incidents::by_key(db, *key)
                && row.status.is_open()
            {
                found.push((*key, row));
            }
        }
        let next = page.last().filter(|_| page.len() == REFILL);
        self.map.write().looked_through(next.copied());
        found
    }

    /// Whether a list for these eyes depends on where somebody was: only then must that be known.
    pub fn hides_from(&self, sight: &Sight) -> bool {
        matches!(sight, Sight::PublicAnd(_)) && self.map.read().has_hidden()
    }

    /// The key of an open incident's room.
    pub fn key(&self, room: &RoomId) -> Option<RoomKey> {
        self.map.read().key(room)
    }

    /// One that is open.
    pub fn get(&self, room: &RoomId) -> Option<Arc<IncidentRow>> {
        self.map.read().get(room)
    }

    /// The first `query.limit` open incidents after `after` (the key of the cursor's room); `None` while some are
    /// left out. `seen` are the rooms that the asker is or was in.
    pub fn list(
        &self,
        query: &IncidentQuery,
        seen: &HashSet<RoomKey>,
        after: Option<RoomKey>,
    ) -> Option<Vec<(RoomKey, Listed)>> {
        let map = self.map.read();
        map.is_complete()
            .then(|| map.list(query, &Wanted::of(query, seen), after))
    }

    /// Its numbers.
    pub fn held(&self) -> Held {
        self.map.read().held()
    }
}
