//! What writes share: the connection, the rooms' integer keys, the counts of the transaction.

use std::collections::HashMap;

use rusqlite::params;

use super::feed;
use super::gone::Marker;
use super::open::Note;
use super::sql::Db;
use crate::domain::ids::RoomId;
use crate::store::contract::StoreError;

/// Keys that are remembered, at most.
const KEYS_MAX: usize = 50_000;

/// The one writing connection.
pub(super) struct Writes<'c> {
    pub db: Db<'c>,
    /// Events written in this transaction.
    pub events: u64,
    /// Fixes kept in this transaction.
    pub fixes: u64,
    /// What was deleted must leave the write-ahead log too.
    pub erased: bool,
    /// What the list of open incidents has to take over once this is on disk.
    pub notes: Vec<Note>,
    /// Incidents have something to tell with every append.
    pub feed: bool,
    /// Marks those who are erased; `None`: they leave no mark.
    pub marker: Option<Marker>,
    /// Somebody was erased: what is written has to be looked up among the erased. `None`: not looked yet.
    erasures: Option<bool>,
    next_key: i64,
    /// The last place in the order of incidents' events; `None`: not looked yet.
    position: Option<i64>,
    keys: HashMap<RoomId, i64>,
}

impl<'c> Writes<'c> {
    pub fn new(mut db: Db<'c>) -> Result<Self, StoreError> {
        let last = db.first("SELECT max(key) FROM rooms", [], |row| {
            Ok(row.get::<_, Option<i64>>(0)?)
        })?;
        let next_key = last.flatten().unwrap_or(0) + 1;
        Ok(Self {
            db,
            events: 0,
            fixes: 0,
            erased: false,
            notes: Vec::new(),
            feed: false,
            marker: None,
            erasures: None,
            next_key,
            position: None,
            keys: HashMap::new(),
        })
    }

    pub fn begin(&mut self) -> Result<(), StoreError> {
        (self.events, self.fixes, self.erased) = (0, 0, false);
        self.notes.clear();
        self.db.run("BEGIN IMMEDIATE", []).map(drop)
    }

    pub fn commit(&mut self) -> Result<(), StoreError> {
        self.db.run("COMMIT", []).map(drop)
    }

    /// Nothing of the transaction has happened, keys it gave out included.
    pub fn rollback(&mut self) -> Result<(), StoreError> {
        self.keys.clear();
        self.erasures = None;
        self.position = None;
        if self.db.conn().is_autocommit() {
            Ok(())
        } else {
            self.db.run("ROLLBACK", []).map(drop)
        }
    }

    /// Whether anybody was erased of late.
    pub fn has_erasures(&mut self) -> Result<bool, StoreError> {
        if let Some(known) = self.erasures {
            return Ok(known);
        }
        let sql = "SELECT EXISTS (SELECT 1 FROM erased)";
        let found = self.db.first(sql, [], |row| Ok(row.get(0)?))?.unwrap_or(false);
        self.erasures = Some(found);
        Ok(found)
    }

    /// Somebody is erased, or the last one's day is over: look again.
    pub fn erasures_changed(&mut self) {
        self.erasures = None;
    }

    /// A key that no room has. Only this connection gives them out.
    pub fn fresh_key(&mut self) -> i64 {
        let key = self.next_key;
        self.next_key += 1;
        key
    }

    /// The next `count` places in the order of incidents' events: the last of them.
    pub fn fresh_positions(&mut self, count: i64) -> Result<i64, StoreError> {
        let last = match self.position {
            Some(last) => last,
            None => feed::head(&mut self.db)?,
        };
        Ok(*self.position.insert(last + count))
    }

    /// A room's key; a room that has none yet gets one.
    pub fn key(&mut self, room: &RoomId) -> Result<i64, StoreError> {
        if let Some(key) = self.keys.get(room) {
            return Ok(*key);
        }
        let found = self
            .db
            .first("SELECT key FROM rooms WHERE id = ?1", [room.as_str()], |row| {
                Ok(row.get(0)?)
            })?;
        let key = match found {
            Some(key) => key,
            None => {
                let key = self.fresh_key();
                self.db.run(
                    "INSERT INTO rooms (key, id) VALUES (?1, ?2)",
                    params![key, room.as_str()],
                )?;
                key
            }
        };
        if self.keys.len() >= KEYS_MAX {
            self.keys.clear();
        }
        self.keys.insert(room.clone(), key);
        Ok(key)
    }
}
