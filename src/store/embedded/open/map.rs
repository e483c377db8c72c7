//! The incidents by place, by time and by room, and the filters of a list. No lock, no file.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use super::grid::{Around, Grid};
use super::{Change, Held};
use crate::domain::ids::RoomId;
use crate::domain::incident::{IncidentType, Status};
use crate::store::embedded::rows::RoomKey;
use crate::store::types::{IncidentQuery, IncidentRow, Listed, Sight};

/// What filters look at first, without a step aside into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tag {
    status: u8,
    kind: u8,
    public: bool,
    /// A hash of the city; 0 without one.
    city: u32,
}

fn bit<T: PartialEq>(all: &[T], one: &T) -> u8 {
    all.iter().position(|known| known == one).map_or(0, |at| 1 << at)
}

fn city_tag(city: Option<&str>) -> u32 {
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    #[expect(clippy::cast_possible_truncation, reason = "it is a hash")]
    city.map_or(0, |city| hasher.hash_one(city) as u32 | 1)
}

impl Tag {
    fn of(row: &IncidentRow) -> Self {
        Self {
            status: bit(Status::ALL, &row.status),
            kind: bit(IncidentType::ALL, &row.report.kind),
            public: row.report.is_public(),
            city: city_tag(row.report.city_id.as_deref()),
        }
    }
}

/// The filters of a query, ready for many incidents.
pub(in super::super) struct Wanted<'q> {
    status: u8,
    kind: u8,
    city: Option<(u32, &'q str)>,
    sees_all: bool,
    seen: &'q HashSet<RoomKey>,
}

impl<'q> Wanted<'q> {
    pub fn of(query: &'q IncidentQuery, seen: &'q HashSet<RoomKey>) -> Self {
        let status = query.status.iter().map(|status| bit(Status::ALL, status));
        Self {
            status: if query.status.is_empty() {
                u8::MAX
            } else {
                status.fold(0, |mask, bit| mask | bit)
            },
            kind: query.kind.map_or(u8::MAX, |kind| bit(IncidentType::ALL, &kind)),
            city: query.city_id.as_deref().map(|city| (city_tag(Some(city)), city)),
            sees_all: query.sight == Sight::All,
            seen,
        }
    }

    fn passes(&self, map: &Map, key: RoomKey, tag: Tag) -> bool {
        self.status & tag.status != 0
            && self.kind & tag.kind != 0
            && (self.sees_all || tag.public || self.seen.contains(&key))
            && self.city.is_none_or(|(hash, city)| {
                hash == tag.city
                    && map
                        .rows
                        .get(&key)
                        .is_some_and(|row| row.report.city_id.as_deref() == Some(city))
            })
    }
}

/// The incidents.
#[derive(Debug, Default)]
pub(super) struct Map {
    rows: HashMap<RoomKey, Arc<IncidentRow>>,
    keys: HashMap<RoomId, RoomKey>,
    /// By creation time.
    times: BTreeMap<(i64, RoomKey), Tag>,
    grid: Grid<Tag>,
    /// How many of them are not public.
    hidden: usize,
    /// Open incidents that are not here.
    left_out: u64,
    /// Up to where rooms were looked through for those.
    looked_at: Option<RoomKey>,
    /// The file could not be read.
    unread: bool,
}

impl Map {
    /// What stands in for one that could not be read.
    pub fn unread() -> Self {
        Self {
            unread: true,
            ..Self::default()
        }
    }

    pub fn is_complete(&self) -> bool {
        !self.unread && self.left_out == 0
    }

    /// Whether some open incident may not be for everybody.
    pub fn has_hidden(&self) -> bool {
        self.hidden > 0 || !self.is_complete()
    }

    pub fn key(&self, room: &RoomId) -> Option<RoomKey> {
        self.keys.get(room).copied()
    }

    pub fn get(&self, room: &RoomId) -> Option<Arc<IncidentRow>> {
        self.rows.get(self.keys.get(room)?).cloned()
    }

    pub fn held(&self) -> Held {
        Held {
            held: self.rows.len() as u64,
            left_out: self.left_out,
        }
    }

    /// A new one; beyond `max` it is left out.
    pub fn insert(&mut self, key: RoomKey, row: IncidentRow, max: usize) {
        if self.rows.len() >= max {
            self.left_out += 1;
        } else {
            self.put(key, row);
        }
    }

    /// One that was left out before.
    pub fn admit(&mut self, key: RoomKey, row: IncidentRow, max: usize) {
        if self.rows.len() < max && !self.rows.contains_key(&key) {
            self.left_out = self.left_out.saturating_sub(1);
            self.put(key, row);
        }
    }

    /// Its row is this now, or it is open no longer.
    pub fn replace(&mut self, key: RoomKey, row: Option<IncidentRow>, max: usize) {
        let was_here = self.remove(key);
        match row {
            Some(row) if was_here => self.put(key, row),
            // It was left out, and is counted as such, or it is new.
            Some(row) if self.left_out == 0 => self.insert(key, row, max),
            Some(_) | None => {}
        }
    }

    /// It has moved or grown.
    pub fn change(&mut self, key: RoomKey, change: &Change) {
        let Entry::Occupied(mut entry) = self.rows.entry(key) else {
            self.left_out = self.left_out.saturating_sub(u64::from(change.ended));
            return;
        };
        if !change.open {
            self.remove(key);
            return;
        }
        let row = Arc::make_mut(entry.get_mut());
        row.seq = change.head;
        row.active_participants = change.members;
        if change.moved.is_none() && change.kind.is_none() {
            return;
        }
        if let Some((status, at)) = change.moved {
            (row.status, row.updated_at) = (status, at);
        }
        row.report.kind = change.kind.unwrap_or(row.report.kind);
        let row = Arc::clone(entry.get());
        let tag = Tag::of(&row);
        self.times.insert((row.created_at.ms(), key), tag);
        if let Some(position) = row.report.position {
            self.grid.remove(position, key);
            self.grid.insert(position, key, tag);
        }
    }

    fn put(&mut self, key: RoomKey, row: IncidentRow) {
        let tag = Tag::of(&row);
        self.hidden += usize::from(!tag.public);
        self.keys.insert(row.room.clone(), key);
        self.times.insert((row.created_at.ms(), key), tag);
        if let Some(position) = row.report.position {
            self.grid.insert(position, key, tag);
        }
        self.rows.insert(key, Arc::new(row));
    }

    fn remove(&mut self, key: RoomKey) -> bool {
        let Some(row) = self.rows.remove(&key) else {
            return false;
        };
        self.hidden -= usize::from(!row.report.is_public());
        self.keys.remove(&row.room);
        self.times.remove(&(row.created_at.ms(), key));
        if let Some(position) = row.report.position {
            self.grid.remove(position, key);
        }
        true
    }

    /// Where to look on for what was left out, when there is room for so many (or for a quarter of all).
    pub fn gap(&self, max: usize, room_for: usize) -> Option<RoomKey> {
        let wanted = room_for.min(max / 4).max(1);
        let is_due = self.left_out > 0 && !self.unread && self.rows.len() + wanted <= max;
        is_due.then(|| self.looked_at.unwrap_or(RoomKey::MIN))
    }

    /// Whether it is here.
    pub fn holds(&self, key: RoomKey) -> bool {
        self.rows.contains_key(&key)
    }

    /// Rooms up to this one have been looked through; `None`: all.
    pub fn looked_through(&mut self, upto: Option<RoomKey>) {
        self.looked_at = upto;
    }

    /// A page of a list.
    pub fn list(
        &self,
        query: &IncidentQuery,
        wanted: &Wanted<'_>,
        after: Option<RoomKey>,
    ) -> Vec<(RoomKey, Listed)> {
        let cursor = query.after.as_ref();
        match query.near {
            Some((centre, radius_m)) => {
                let around = Around {
                    centre,
                    radius_m,
                    // After a room that is gone: everything at its distance was told.
                    after: cursor.map(|cursor| (cursor.distance_m, after.unwrap_or(RoomKey::MAX))),
                    limit: query.limit,
                };
                let found = self
                    .grid
                    .nearest(&around, |key, tag| wanted.passes(self, key, tag));
                let listed = found.into_iter().map(|(distance_m, key)| (key, Some(distance_m)));
                self.shown(listed)
            }
            None => {
                let upto = cursor.map_or((i64::MAX, RoomKey::MAX), |cursor| {
                    (cursor.created_at.ms(), after.unwrap_or(RoomKey::MIN))
                });
                let earlier = self.times.range(..upto).rev();
                let found = earlier.filter(|((_, key), tag)| wanted.passes(self, *key, **tag));
                self.shown(found.take(query.limit).map(|((_, key), _)| (*key, None)))
            }
        }
    }

    fn shown(&self, found: impl Iterator<Item = (RoomKey, Option<f64>)>) -> Vec<(RoomKey, Listed)> {
        let listed = |(key, distance_m)| {
            let incident = Arc::clone(self.rows.get(&key)?);
            Some((key, Listed { incident, distance_m }))
        };
        found.filter_map(listed).collect()
    }
}
