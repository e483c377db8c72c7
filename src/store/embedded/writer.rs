//! The writer thread: takes what waits, writes it in one transaction, and only then answers everybody.
//!
//! A write that is refused (a conflict, a known key) has written nothing, so the others of its group go on.
//! One that meets damage is answered and the group begins again without it. A disk that is full or fails
//! ends the whole group: every caller hears it, nothing of it is visible, and the next group tries again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::job::{Held, Job};
use super::open::OpenIncidents;
use super::options::EmbeddedOptions;
use super::queue::Queue;
use super::schema;
use super::sql::Db;
use super::writes::Writes;
use crate::store::contract::StoreError;
use crate::store::meters::{Meters, bump};

/// How long the writer waits for readers who hold up a checkpoint.
const PATIENCE: Duration = Duration::from_millis(50);
/// How soon it waits so again for a log that must be emptied: a backup may read for long, and an SOS waits, too.
const EMPTY_AGAIN: Duration = Duration::from_secs(1);

pub(super) type Group = Vec<Box<dyn Job>>;

/// All that the thread needs.
pub(super) struct Writer {
    pub options: EmbeddedOptions,
    pub queue: Arc<Queue<Box<dyn Job>>>,
    pub meters: Arc<Meters>,
    pub lock: Held,
    pub open: Arc<OpenIncidents>,
}

impl Writer {
    /// Serves until the queue is closed and empty. A connection that fails is opened anew for the next group.
    pub fn run(self, first: Connection) {
        let mut first = Some(first);
        let mut group = Group::new();
        while self.next_group(&mut group, None) {
            let is_first = first.is_some();
            let opened = first
                .take()
                .map_or_else(|| schema::open_writer(&self.options), Ok);
            let error = match opened {
                Ok(conn) => {
                    if !is_first {
                        // Nobody knows what the last commit of the one that failed left behind.
                        self.open.reload(&mut Db::new(&conn));
                    }
                    self.serve(&conn, &mut group).err()
                }
                Err(error) => Some(error),
            };
            if let Some(error) = error {
                self.refuse(&mut group, &error);
            }
        }
        drop(self.lock);
    }

    fn next_group(&self, group: &mut Group, patience: Option<Duration>) -> bool {
        let most = (self.options.group_max_ops, self.options.group_max_rows);
        self.queue.take(group, most, patience, |job| job.weight())
    }

    /// Writes groups until the connection fails or nothing more can come.
    fn serve(&self, conn: &Connection, group: &mut Group) -> Result<(), StoreError> {
        let mut writes = Writes::new(Db::new(conn))?;
        writes.marker = self.options.marker();
        writes.feed = self.options.feed;
        let (mut erasing, mut not_before) = (false, Instant::now());
        loop {
            let begun = Instant::now();
            let (outcome, size) = self.write(&mut writes, group);
            self.meters.commit_us.add_time(begun.elapsed());
            self.meters.group_size.add(size as u64);
            match &outcome {
                Ok(()) => {
                    bump(&self.meters.commits, 1);
                    bump(&self.meters.events, writes.events);
                    bump(&self.meters.fixes, writes.fixes);
                }
                Err(_) => bump(&self.meters.failed_commits, 1),
            }
            if outcome.is_ok() {
                // Before anybody is answered: whoever has heard that an incident stands finds it in the list.
                let Writes { db, notes, .. } = &mut writes;
                self.open.take(notes, db);
            }
            // What was erased is not gone while an old page of it stands in the log.
            let erased = outcome.is_ok() && writes.erased;
            erasing |= erased;
            if erased || erasing && Instant::now() >= not_before {
                erasing = !checkpoint(conn, Depth::Empty);
                not_before = Instant::now() + EMPTY_AGAIN;
            }
            for job in group.drain(..) {
                job.answer(outcome.clone(), &self.meters);
            }
            if let Err(StoreError::Unavailable(_) | StoreError::Corrupt(_)) = outcome {
                return Ok(());
            }
            if self.is_checkpoint_due() {
                checkpoint(conn, Depth::Passive);
            }
            // Nobody may write for long: what was erased goes all the same.
            let mut more = self.next_group(group, erasing.then_some(EMPTY_AGAIN));
            while more && group.is_empty() {
                erasing = !checkpoint(conn, Depth::Empty);
                more = self.next_group(group, erasing.then_some(EMPTY_AGAIN));
            }
            if !more {
                // So that the file alone is the whole store.
                checkpoint(conn, Depth::Empty);
                return Ok(());
            }
        }
    }

    /// One group in one transaction; answers how many writes it had in the end.
    fn write(&self, writes: &mut Writes<'_>, group: &mut Group) -> (Result<(), StoreError>, usize) {
        loop {
            let outcome = attempt(writes, group);
            let size = group.len();
            let Err((at, error)) = outcome else {
                return (Ok(()), size);
            };
            if let Err(error) = writes.rollback() {
                return (Err(error), size);
            }
            match (at, &error) {
                (Some(at), StoreError::Corrupt(_)) if at < group.len() => {
                    group.remove(at).answer(Err(error), &self.meters);
                    if group.is_empty() {
                        return (Ok(()), 0);
                    }
                }
                _ => return (Err(error), size),
            }
        }
    }

    fn refuse(&self, group: &mut Group, error: &StoreError) {
        for job in group.drain(..) {
            job.answer(Err(error.clone()), &self.meters);
        }
    }

    fn is_checkpoint_due(&self) -> bool {
        let idle = self.queue.len() == 0;
        let limit = if idle {
            self.options.checkpoint_kib
        } else {
            self.options.checkpoint_max_kib
        };
        let mut log = self.options.file().into_os_string();
        log.push("-wal");
        std::fs::metadata(log).is_ok_and(|log| log.len() > u64::from(limit) * 1024)
    }
}

/// Which write of the group failed, if it was one of them, and why.
type Failure = (Option<usize>, StoreError);

fn attempt(writes: &mut Writes<'_>, group: &mut Group) -> Result<(), Failure> {
    writes.begin().map_err(|error| (None, error))?;
    for (at, job) in group.iter_mut().enumerate() {
        // A panic is a fault of this program, and must not take the only writer with it.
        let outcome = catch_unwind(AssertUnwindSafe(|| job.run(writes)));
        outcome
            .unwrap_or_else(|_| Err(StoreError::Corrupt("a write panicked".into())))
            .map_err(|error| (Some(at), error))?;
    }
    writes.commit().map_err(|error| (None, error))
}

/// How far the write-ahead log is moved into the file.
#[derive(Clone, Copy)]
enum Depth {
    /// As far as readers let it.
    Passive,
    /// Wholly, and the log is cut to nothing; readers are waited for a moment.
    Empty,
}

/// Moves the write-ahead log into the file. False: there is something left to do.
fn checkpoint(conn: &Connection, depth: Depth) -> bool {
    let sql = match depth {
        Depth::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
        Depth::Empty => "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    let moved = conn
        .busy_timeout(PATIENCE)
        .and_then(|()| conn.query_row(sql, [], |row| row.get::<_, bool>(0)))
        .map(|busy| !busy);
    let restored = conn.busy_timeout(schema::BUSY_TIMEOUT);
    restored.and(moved).unwrap_or_else(|error| {
        tracing::warn!(error = %StoreError::from(error), "the write-ahead log could not be moved");
        false
    })
}
