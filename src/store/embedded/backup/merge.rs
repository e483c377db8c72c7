//! Takes into a store that runs what a backup has and it has not.
//!
//! The running store goes on with its life: nothing that it accepted is lost, and nobody waits. What comes in
//! passes through its one writer, in small pieces on the lowest lane. A room that is not here is taken whole; one
//! whose log here is a beginning of the backup's is continued; one whose log here goes on further stays; one that
//! has gone another way here stays as it is here, and is named. Doing it again changes nothing, so one that was
//! interrupted is simply done again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, params};

use super::super::gone::{self, Marker};
use super::super::job::Answer;
use super::super::queue::Lane;
use super::super::rows::{self, RoomKey};
use super::super::sql::Db;
use super::super::writes::Writes;
use super::super::{Embedded, append, fixes, migrations, outbox, privacy, records, revival, rooms, schema};
use super::restore::Incoming;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::location::LocationPolicy;
use crate::domain::people::{Person, Subject};
use crate::domain::room::{Event, Seq};
use crate::domain::time::Timestamp;
use crate::store::codec;
use crate::store::contract::{AppendError, StoreError};
use crate::store::types::{Append, KeptFix, Retention, Sign};

/// Rows in one transaction: an SOS that comes meanwhile waits for no more than these.
const SLICE_MAX_ROWS: usize = 500;
/// Events of one room that are read at once.
const PAGE: usize = 500;
/// How often a room is looked at again because somebody writes into it meanwhile.
const TRIES_MAX: u32 = 5;
/// The pause when the writer has too much to do.
const BUSY_PAUSE: Duration = Duration::from_millis(100);
/// Rooms that are named in the report.
const NAMED_MAX: usize = 100;

/// What came of a merge, or has so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Merged {
    /// Rooms that the backup has.
    pub rooms_total: u64,
    /// Rooms that were looked at.
    pub rooms_seen: u64,
    /// Rooms that were not here and are now.
    pub rooms_taken: u64,
    /// Rooms whose logs were continued.
    pub rooms_continued: u64,
    /// Rooms whose logs have gone another way here, and stay so.
    pub rooms_diverged: u64,
    /// Some of those.
    pub diverged: Vec<String>,
    /// Events taken.
    pub events: u64,
    /// Person records taken.
    pub people: u64,
    /// Positions taken.
    pub fixes: u64,
    /// Contact lists taken.
    pub contact_lists: u64,
    /// Device records taken, or brought up to date.
    pub devices: u64,
    /// Idempotency keys taken.
    pub idempotency: u64,
}

/// What has changed in the store, and stands in memory otherwise.
#[derive(Debug, Default)]
pub struct Touched {
    /// Rooms with a new log or records.
    pub rooms: Vec<RoomId>,
    /// Those of them that may change by themselves.
    pub live: Vec<RoomId>,
}

/// Hears of each slice once it is on disk.
pub type Tell = Box<dyn FnMut(&Merged, Touched) + Send>;

impl Embedded {
    /// Merges what was handed over, a database of this version's schema, into this store, in a thread of its own; what `retention` would
    /// remove at once stays out.
    ///
    /// # Errors
    /// When the database cannot be read or is of another version; when this store fails. What was merged until
    /// then stays.
    pub async fn merge(
        self: Arc<Self>,
        incoming: Incoming,
        retention: Retention,
        now: Timestamp,
        tell: Tell,
    ) -> Result<Merged, StoreError> {
        let (done, answer) = tokio::sync::oneshot::channel();
        super::super::spawn("store-merge", move || {
            let merged = Merge::open(self, &incoming, &retention, now, tell).and_then(Merge::run);
            let _ = done.send(merged);
        })?;
        answer
            .await
            .unwrap_or_else(|_| Err(StoreError::Unavailable("the merge was not finished".into())))
    }
}

/// Where a room's log here stands beside the backup's.
#[derive(Debug, PartialEq, Eq)]
enum Beside {
    /// Nothing is missing here.
    Whole,
    /// What comes after this is missing.
    Behind(Seq),
    /// They differ.
    Diverged,
}

struct Merge {
    store: Arc<Embedded>,
    /// The backup's database.
    theirs: Connection,
    /// This store's.
    ours: Connection,
    tell: Tell,
    merged: Merged,
    /// When the backup was begun: who was erased since stays erased.
    begun: Timestamp,
    marker: Option<Marker>,
    fixes_from: i64,
    keys_from: i64,
}

impl Merge {
    fn open(
        store: Arc<Embedded>,
        incoming: &Incoming,
        retention: &Retention,
        now: Timestamp,
        tell: Tell,
    ) -> Result<Self, StoreError> {
        let begun = incoming
            .read_manifest()
            .map_err(|_| StoreError::Corrupt("the restore's manifest cannot be read".into()))?
            .begun_at_ms;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let theirs = Connection::open_with_flags(incoming.database(), flags)?;
        if !migrations::status(&theirs)?.is_current() {
            return Err(StoreError::Corrupt(
                "the backup was prepared by another version".into(),
            ));
        }
        let ours = schema::open_reader(&store.options)?;
        let oldest = |kept: Duration| {
            if kept.is_zero() {
                i64::MIN
            } else {
                now.before(kept).ms()
            }
        };
        Ok(Self {
            begun: Timestamp::from_ms(begun),
            marker: store.options.marker(),
            fixes_from: oldest(retention.locations),
            keys_from: oldest(retention.idempotency),
            store,
            theirs,
            ours,
            tell,
            merged: Merged::default(),
        })
    }

    fn run(mut self) -> Result<Merged, StoreError> {
        let sql = "SELECT count(*) FROM rooms";
        self.merged.rooms_total = self
            .theirs
            .query_row(sql, [], |row| row.get::<_, i64>(0))?
            .unsigned_abs();
        self.gone()?;
        self.blocks()?;
        // Before the rooms: a circle that wakes without its owner's list would put her contacts out.
        self.contacts()?;
        self.devices()?;
        let mut after = RoomKey::MIN;
        while let Some((key, room)) = self.next_room(after)? {
            self.room(key, &room)?;
            self.fixes(key, &room)?;
            self.merged.rooms_seen += 1;
            after = key;
        }
        self.idempotency()?;
        self.jobs()?;
        self.receipts()?;
        (self.tell)(&self.merged, Touched::default());
        Ok(self.merged)
    }

    fn next_room(&self, after: RoomKey) -> Result<Option<(RoomKey, RoomId)>, StoreError> {
        let sql = "SELECT key, id FROM rooms WHERE key > ?1 ORDER BY key LIMIT 1";
        Db::new(&self.theirs).first(sql, [after], |row| Ok((row.get(0)?, rows::room_id(row, 1)?)))
    }

    /// Takes what is missing of a room's log, with the records of those whom only that names.
    fn room(&mut self, theirs: RoomKey, room: &RoomId) -> Result<(), StoreError> {
        for _ in 0..TRIES_MAX {
            match self.compare(theirs, room)? {
                Beside::Whole => return Ok(()),
                Beside::Diverged => break,
                Beside::Behind(after) => {
                    if self.continue_log(theirs, room, after)? {
                        return Ok(());
                    }
                }
            }
        }
        self.merged.rooms_diverged += 1;
        if self.merged.diverged.len() < NAMED_MAX {
            self.merged.diverged.push(room.to_string());
        }
        Ok(())
    }

    fn compare(&self, theirs: RoomKey, room: &RoomId) -> Result<Beside, StoreError> {
        let (mut here, mut there) = (Db::new(&self.ours), Db::new(&self.theirs));
        let ours = rows::find_key(&mut here, room)?;
        let mut seq = Seq::ZERO;
        loop {
            let wanted = rows::events(&mut there, theirs, room, seq, PAGE)?;
            let found = match ours {
                Some(key) => rows::events(&mut here, key, room, seq, PAGE)?,
                None => Vec::new(),
            };
            let same = wanted.iter().zip(&found).take_while(|(a, b)| a == b).count();
            if let Some(last) = same.checked_sub(1) {
                seq = wanted[last].seq;
            }
            if same == wanted.len() && same < PAGE {
                return Ok(Beside::Whole);
            }
            if same < PAGE {
                return Ok(if same == found.len() {
                    Beside::Behind(seq)
                } else {
                    Beside::Diverged
                });
            }
        }
    }

    /// False: somebody else wrote into the room meanwhile.
    fn continue_log(&mut self, theirs: RoomKey, room: &RoomId, after: Seq) -> Result<bool, StoreError> {
        let people = self.newcomers(theirs, room)?;
        let (mut seq, mut people) = (after, Some(people));
        loop {
            let events = rows::events(&mut Db::new(&self.theirs), theirs, room, seq, PAGE)?;
            let Some(last) = events.last() else { break };
            let (next, more) = (last.seq, events.len() == PAGE);
            // Everybody at once, with the first of the new events: nobody is ever there without a record.
            let people = people.take().unwrap_or_default();
            let (new_events, new_people) = (events.len() as u64, people.len() as u64);
            if !self.append(room, seq, events, people)? {
                return Ok(false);
            }
            self.merged.events += new_events;
            self.merged.people += new_people;
            seq = next;
            if !more {
                break;
            }
        }
        self.outbox(theirs, room, after)?;
        self.signs(theirs, room)?;
        self.reports(theirs, room)?;
        if after == Seq::ZERO {
            self.merged.rooms_taken += 1;
        } else {
            self.merged.rooms_continued += 1;
        }
        let live = "SELECT live FROM rooms WHERE id = ?1";
        let live = Db::new(&self.ours).first(live, [room.as_str()], |row| Ok(row.get::<_, bool>(0)?))?;
        let touched = Touched {
            rooms: vec![room.clone()],
            live: live.unwrap_or(false).then(|| room.clone()).into_iter().collect(),
        };
        (self.tell)(&self.merged, touched);
        Ok(true)
    }

    /// What the backup's incident had to tell, and had given up.
    fn outbox(&self, theirs: RoomKey, room: &RoomId, had: Seq) -> Result<(), StoreError> {
        let mut there = Db::new(&self.theirs);
        let (taken, letters) = (
            outbox::taken(&mut there, theirs)?,
            outbox::letters_of(&mut there, theirs)?,
        );
        if taken.is_none() && letters.is_empty() {
            return Ok(());
        }
        let (room, letters) = (room.clone(), Arc::new(letters));
        self.write(1 + letters.len(), move || {
            let (room, letters) = (room.clone(), Arc::clone(&letters));
            move |writes: &mut Writes<'_>| {
                if let Some(taken) = taken {
                    outbox::take_over(writes, &room, taken, had)?;
                }
                letters.iter().try_for_each(|letter| outbox::bury(writes, letter))
            }
        })
    }

    /// People of the backup's room whom the log here does not name yet: whoever it names and has no record here
    /// was erased here.
    fn newcomers(&self, theirs: RoomKey, room: &RoomId) -> Result<Vec<Person>, StoreError> {
        let mut here = Db::new(&self.ours);
        let key = rows::find_key(&mut here, room)?;
        let mut people = records::people(&mut Db::new(&self.theirs), theirs)?;
        let mut known = |who: ParticipantId| -> Result<bool, StoreError> {
            let sql = "SELECT 1 FROM participants WHERE room = ?1 AND participant = ?2
                       UNION ALL SELECT 1 FROM people WHERE room = ?1 AND participant = ?2
                       UNION ALL SELECT 1 FROM events WHERE room = ?1 AND actor = ?2 LIMIT 1";
            let found = here.first(sql, params![key, who.bits().cast_signed()], |_| Ok(()))?;
            Ok(found.is_some())
        };
        let mut newcomers = Vec::new();
        for person in people.drain(..) {
            if !known(person.participant)? && !self.is_gone(&person.subject)? {
                newcomers.push(person);
            }
        }
        Ok(newcomers)
    }

    fn append(
        &self,
        room: &RoomId,
        after: Seq,
        events: Vec<Event>,
        people: Vec<Person>,
    ) -> Result<bool, StoreError> {
        let weight = events.len() + people.len();
        let append = Arc::new(Append {
            room: room.clone(),
            after,
            events,
            people,
            idempotency: None,
            jobs: Vec::new(),
        });
        let outcome = self.write(weight, move || {
            let append = Arc::clone(&append);
            move |writes: &mut Writes<'_>| {
                // What was told then is not told again; what was not is taken over below.
                let feed = std::mem::take(&mut writes.feed);
                let outcome = append::append(writes, &append);
                writes.feed = feed;
                outcome
            }
        })?;
        match outcome {
            Ok(()) => Ok(true),
            Err(AppendError::Store(error)) => Err(error),
            Err(AppendError::Conflict { .. } | AppendError::Repeated { .. }) => Ok(false),
        }
    }

    /// Positions of those who have a record here: an erased person's stay out.
    fn fixes(&mut self, theirs: RoomKey, room: &RoomId) -> Result<(), StoreError> {
        let Some(ours) = rows::find_key(&mut Db::new(&self.ours), room)? else {
            return Ok(());
        };
        let known: Vec<i64> =
            Db::new(&self.ours).all("SELECT participant FROM people WHERE room = ?1", [ours], |row| {
                Ok(row.get(0)?)
            })?;
        for who in known {
            let mut from = self.fixes_from;
            loop {
                let sql = concat!(
                    "SELECT ",
                    fixes::fix_columns!(),
                    " FROM fixes WHERE room = ?1 AND participant = ?2 AND at >= ?3 ORDER BY at LIMIT ?4"
                );
                let limit = i64::try_from(SLICE_MAX_ROWS).unwrap_or(i64::MAX);
                let page = Db::new(&self.theirs).all(sql, params![theirs, who, from, limit], fixes::fix)?;
                let Some(last) = page.last() else { break };
                from = last.at.ms() + 1;
                let more = page.len() == SLICE_MAX_ROWS;
                let participant = ParticipantId::from_bits(who.cast_unsigned());
                self.merged.fixes += self.keep_missing(ours, room, participant, page)?;
                if !more {
                    break;
                }
            }
        }
        Ok(())
    }

    fn keep_missing(
        &self,
        ours: RoomKey,
        room: &RoomId,
        participant: ParticipantId,
        mut page: Vec<crate::domain::geo::Fix>,
    ) -> Result<u64, StoreError> {
        // Most are there already, and the writer has better things to do than to look.
        let mut here = Db::new(&self.ours);
        let who = participant.bits().cast_signed();
        let sql = "SELECT 1 FROM fixes WHERE room = ?1 AND participant = ?2 AND at = ?3";
        let mut missing = Vec::new();
        for fix in page.drain(..) {
            if here
                .first(sql, params![ours, who, fix.at.ms()], |_| Ok(()))?
                .is_none()
            {
                missing.push(KeptFix {
                    room: room.clone(),
                    participant,
                    fix,
                    sampled: true,
                });
            }
        }
        if missing.is_empty() {
            return Ok(0);
        }
        let missing = Arc::new(missing);
        let kept = self.write(missing.len(), move || {
            let missing = Arc::clone(&missing);
            move |writes: &mut Writes<'_>| fixes::keep(writes, &missing, &LocationPolicy::default())
        })?;
        Ok(kept as u64)
    }

    /// Contact lists of those who have none here: theirs here are newer.
    fn contacts(&mut self) -> Result<(), StoreError> {
        let sql = "SELECT DISTINCT owner FROM contacts ORDER BY owner";
        let owners = Db::new(&self.theirs).all(sql, [], |row| Ok(row.get::<_, String>(0)?))?;
        for owner in owners {
            let owner = codec::parse_subject(&owner)?;
            if self.is_gone(&owner)? {
                continue;
            }
            let book = records::contacts(&mut Db::new(&self.theirs), &owner)?;
            let weight = book.emergency.len() + book.dependent.len();
            let (book, whose) = (Arc::new(book), owner.clone());
            let put = self.write(weight, move || {
                let (book, whose) = (Arc::clone(&book), whose.clone());
                move |writes: &mut Writes<'_>| {
                    let none = records::contacts(&mut writes.db, &whose)? == Default::default();
                    if none {
                        records::put_contacts(writes, &whose, &book)?;
                    }
                    Ok(none)
                }
            })?;
            if put {
                self.merged.contact_lists += 1;
                let touched = Touched {
                    rooms: self.circles_of(&owner)?,
                    live: Vec::new(),
                };
                (self.tell)(&self.merged, touched);
            }
        }
        Ok(())
    }

    fn circles_of(&self, owner: &Subject) -> Result<Vec<RoomId>, StoreError> {
        rooms::circles_of(&mut Db::new(&self.ours), owner)
    }

    /// Device records, the one that was seen last of each; first seen is the earlier of both.
    fn devices(&mut self) -> Result<(), StoreError> {
        let sql = "SELECT id FROM devices ORDER BY id";
        let ids = Db::new(&self.theirs).all(sql, [], |row| Ok(row.get::<_, String>(0)?))?;
        for id in ids {
            let Ok(id) = crate::domain::ids::DeviceId::new(&id) else {
                return Err(codec::corrupt("a device"));
            };
            let Some(theirs) = records::device(&mut Db::new(&self.theirs), id)? else {
                continue;
            };
            let ours = records::device(&mut Db::new(&self.ours), id)?;
            if self.is_gone(&Subject::Device(id))? {
                continue;
            }
            if ours.is_some_and(|ours| ours.last_seen >= theirs.last_seen) {
                continue;
            }
            self.write(1, move || {
                let theirs = theirs.clone();
                move |writes: &mut Writes<'_>| records::put_device(writes, id, &theirs)
            })?;
            self.merged.devices += 1;
        }
        Ok(())
    }

    /// Idempotency keys of rooms that are here.
    fn idempotency(&mut self) -> Result<(), StoreError> {
        let mut after = (String::new(), String::new());
        loop {
            let sql = "SELECT i.subject, i.key, r.id, i.at FROM idempotency i JOIN rooms r ON r.key = i.room
                       WHERE i.at >= ?1 AND (i.subject, i.key) > (?2, ?3) ORDER BY i.subject, i.key LIMIT ?4";
            let limit = i64::try_from(SLICE_MAX_ROWS).unwrap_or(i64::MAX);
            let page: Vec<(String, String, String, i64)> =
                Db::new(&self.theirs).all(sql, params![self.keys_from, after.0, after.1, limit], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })?;
            let Some(last) = page.last() else { return Ok(()) };
            after = (last.0.clone(), last.1.clone());
            let more = page.len() == SLICE_MAX_ROWS;
            let mut present = Vec::new();
            for entry in page {
                if !self.is_gone(&codec::parse_subject(&entry.0)?)? {
                    present.push(entry);
                }
            }
            let page = Arc::new(present);
            let taken = self.write(page.len(), move || {
                let page = Arc::clone(&page);
                move |writes: &mut Writes<'_>| {
                    let mut taken = 0;
                    for (subject, key, room, at) in page.iter() {
                        let sql = "INSERT OR IGNORE INTO idempotency (subject, key, room, at)
                                   SELECT ?1, ?2, key, ?4 FROM rooms WHERE id = ?3";
                        taken += writes.db.run(sql, params![subject, key, room, at])?;
                    }
                    Ok(taken)
                }
            })?;
            self.merged.idempotency += taken as u64;
            if !more {
                return Ok(());
            }
        }
    }

    /// What lies ahead of the backup's jobs: what was due was taken away when it was looked through.
    fn jobs(&self) -> Result<(), StoreError> {
        let mut after = i64::MIN;
        while let Some(job) = revival::ahead(&self.theirs, after)? {
            after = job.0.id.get();
            let gone = job
                .0
                .whose
                .as_ref()
                .map(|whose| self.is_gone(whose))
                .transpose()?;
            if gone != Some(true) {
                let job = Arc::new(job);
                self.write(1, move || {
                    let job = Arc::clone(&job);
                    move |writes: &mut Writes<'_>| revival::take_over(writes, &job)
                })?;
            }
        }
        Ok(())
    }

    /// What vendors call messages of the backup: their news may still come.
    fn receipts(&self) -> Result<(), StoreError> {
        let mut after = String::new();
        loop {
            let page = revival::receipts(&mut Db::new(&self.theirs), &after, SLICE_MAX_ROWS)?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.reference);
            let page = Arc::new(page);
            self.write(page.len(), move || {
                let page = Arc::clone(&page);
                move |writes: &mut Writes<'_>| revival::take_receipts(writes, &page)
            })?;
        }
    }

    /// Who was erased where the backup was made is known to be so here, too.
    fn gone(&mut self) -> Result<(), StoreError> {
        for slice in gone::all(&mut Db::new(&self.theirs))?.chunks(SLICE_MAX_ROWS) {
            let slice: Arc<[(Vec<u8>, i64)]> = slice.into();
            self.write(slice.len(), move || {
                let slice = Arc::clone(&slice);
                move |writes: &mut Writes<'_>| {
                    slice
                        .iter()
                        .try_for_each(|(mark, at)| gone::put(writes, mark, *at))
                }
            })?;
        }
        Ok(())
    }

    /// Whether somebody was erased here after the backup was begun.
    fn is_gone(&self, subject: &Subject) -> Result<bool, StoreError> {
        match &self.marker {
            Some(marker) => marker.is_gone(&mut Db::new(&self.ours), subject, self.begun),
            None => Ok(false),
        }
    }

    /// When those who are in a room that was taken gave a sign of life last: their deadlines go on from there.
    fn signs(&self, theirs: RoomKey, room: &RoomId) -> Result<(), StoreError> {
        let sql = "SELECT participant, seen_at FROM presence WHERE room = ?1";
        let signs = Db::new(&self.theirs).all(sql, [theirs], |row| {
            Ok(Sign {
                room: room.clone(),
                participant: rows::participant(row, 0)?,
                at: rows::timestamp(row, 1)?,
            })
        })?;
        for slice in signs.chunks(SLICE_MAX_ROWS) {
            let slice: Arc<[Sign]> = slice.into();
            self.write(slice.len(), move || {
                let slice = Arc::clone(&slice);
                move |writes: &mut Writes<'_>| privacy::note_signs(writes, &slice)
            })?;
        }
        Ok(())
    }

    /// What people reported of each other in a room that was taken.
    fn reports(&self, theirs: RoomKey, room: &RoomId) -> Result<(), StoreError> {
        if !self.both_have("reports")? {
            return Ok(());
        }
        let sql = "SELECT participant, reporter, at, reason FROM reports WHERE room = ?1";
        let reports: Vec<(i64, i64, i64, String)> = Db::new(&self.theirs).all(sql, [theirs], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?;
        for slice in reports.chunks(SLICE_MAX_ROWS) {
            let (slice, room): (Arc<[_]>, _) = (slice.into(), room.clone());
            self.write(slice.len(), move || {
                let (slice, room) = (Arc::clone(&slice), room.clone());
                move |writes: &mut Writes<'_>| {
                    let key = writes.key(&room)?;
                    for (participant, reporter, at, reason) in slice.iter() {
                        let sql = "INSERT OR IGNORE INTO reports (room, participant, reporter, at, reason)
                                   VALUES (?1, ?2, ?3, ?4, ?5)";
                        writes
                            .db
                            .run(sql, params![key, participant, reporter, at, reason])?;
                    }
                    Ok(())
                }
            })?;
        }
        Ok(())
    }

    /// Whom staff keep out, the newer of two blocks of the same person.
    fn blocks(&self) -> Result<(), StoreError> {
        if !self.both_have("blocks")? {
            return Ok(());
        }
        type Block = (Vec<u8>, i64, i64, Option<i64>, Option<String>, Option<String>);
        let sql = "SELECT key, participant, at, until, reason, staff FROM blocks";
        let blocks: Vec<Block> = Db::new(&self.theirs).all(sql, [], |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
            ))
        })?;
        for slice in blocks.chunks(SLICE_MAX_ROWS) {
            let slice: Arc<[Block]> = slice.into();
            self.write(slice.len(), move || {
                let slice = Arc::clone(&slice);
                move |writes: &mut Writes<'_>| {
                    for (key, participant, at, until, reason, staff) in slice.iter() {
                        let sql = "INSERT INTO blocks (key, participant, at, until, reason, staff)
                                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                                   ON CONFLICT (key) DO UPDATE
                                   SET participant = excluded.participant, at = excluded.at, until = excluded.until,
                                       reason = excluded.reason, staff = excluded.staff
                                   WHERE excluded.at > blocks.at";
                        let row = params![key, participant, at, until, reason, staff];
                        writes.db.run(sql, row)?;
                    }
                    Ok(())
                }
            })?;
        }
        Ok(())
    }

    /// Whether a table of a later version is in both databases.
    fn both_have(&self, table: &str) -> Result<bool, StoreError> {
        Ok(migrations::has_table(&self.theirs, table)? && migrations::has_table(&self.ours, table)?)
    }

    /// One transaction on the lowest lane, and then a pause as long as it took: at most half of the writer's time
    /// is the merge's.
    fn write<T, F, W>(&self, weight: usize, make: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnMut(&mut Writes<'_>) -> Result<T, StoreError> + Send + 'static,
        F: Fn() -> W,
    {
        let begun = Instant::now();
        let answer: Answer<T> = loop {
            match self.store.queue(Lane::Rest, weight, None, make()) {
                Err(StoreError::Busy) => std::thread::sleep(BUSY_PAUSE),
                queued => break queued?,
            }
        };
        let done = answer
            .blocking_recv()
            .unwrap_or_else(|_| Err(super::super::reader::lost()));
        std::thread::sleep(begun.elapsed().min(BUSY_PAUSE));
        done
    }
}
