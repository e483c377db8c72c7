//! The store in one SQLite file: a writer thread that commits what waits in one transaction, and reader
//! threads beside it. Nothing here blocks the caller's thread.

mod append;
pub mod backup;
mod conduct;
mod feed;
mod fixes;
mod geo;
mod gone;
mod history;
mod incidents;
mod job;
mod jobs;
mod messages;
mod migrations;
mod open;
mod options;
mod outbox;
mod privacy;
mod project;
mod queue;
mod reader;
mod records;
mod rehearsal;
mod revival;
mod rooms;
mod rows;
mod schema;
mod snapshot;
mod sql;
mod store;
mod upkeep;
mod writer;
mod writes;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::{Mutex, mpsc};

pub use options::EmbeddedOptions;
pub use rehearsal::Rehearsal;

use self::job::{Answer, Held, Job, Task};
use self::open::OpenIncidents;
use self::queue::{Lane, Queue, Refused};
use self::reader::Read;
use self::sql::Db;
use self::writer::Writer;
use self::writes::Writes;
use super::contract::StoreError;
use super::meters::{Meters, bump};
use super::schema::{Migrated, SchemaStatus};

/// The embedded store. Dropping it lets what is queued be written and then stops its threads; `close` waits
/// for that.
pub struct Embedded {
    writes: Arc<Queue<Box<dyn Job>>>,
    reads: Arc<Queue<Read>>,
    meters: Arc<Meters>,
    open: Arc<OpenIncidents>,
    options: EmbeddedOptions,
    /// The last room that was looked at for something to tell.
    told: Arc<AtomicI64>,
    /// Ends when the last thread has.
    ended: Mutex<mpsc::Receiver<()>>,
}

impl Embedded {
    /// Opens the data folder, checks it, and starts the threads.
    ///
    /// # Errors
    /// `Corrupt` when the file is damaged or a newer program wrote it; `Unavailable` when another process
    /// has the folder or it cannot be used.
    pub fn open(options: EmbeddedOptions) -> Result<Self, StoreError> {
        let lock = Arc::new(schema::lock(&options.path)?);
        let conn = schema::open_writer(&options)?;
        prepare(&conn, &options)?;
        let open = Arc::new(OpenIncidents::new(options.open_incidents_max));
        open.reload(&mut Db::new(&conn));
        let readers = (0..options.readers.max(1))
            .map(|_| schema::open_reader(&options))
            .collect::<Result<Vec<_>, _>>()?;
        let writes = Arc::new(Queue::new(options.writer_queue_max_ops));
        let reads = Arc::new(Queue::new(options.reader_queue_max));
        let meters = Arc::new(Meters::default());
        let (alive, ended) = mpsc::channel(1);
        let store = Self {
            writes,
            reads,
            meters,
            open: Arc::clone(&open),
            options: options.clone(),
            told: Arc::new(AtomicI64::new(i64::MIN)),
            ended: Mutex::new(ended),
        };
        store.start_readers(readers, &lock, &alive)?;
        let writer = Writer {
            options,
            queue: Arc::clone(&store.writes),
            meters: Arc::clone(&store.meters),
            lock,
            open,
        };
        spawn("store-writer", move || {
            writer.run(conn);
            drop(alive);
        })?;
        Ok(store)
    }

    /// Brings a data folder's schema up to date; answers what that took.
    ///
    /// # Errors
    /// As [`Embedded::open`].
    pub fn migrate(path: &Path) -> Result<Migrated, StoreError> {
        let options = EmbeddedOptions::new(path);
        let _lock = schema::lock(path)?;
        let conn = schema::open_writer(&options)?;
        schema::check(&conn)?;
        migrations::migrate(&conn)
    }

    /// What [`Embedded::migrate`] would do, found out by doing it to a copy in the folder, which is removed
    /// again. The folder may be in use.
    ///
    /// # Errors
    /// As [`Embedded::migrate`].
    pub fn rehearse(path: &Path) -> Result<Rehearsal, StoreError> {
        rehearsal::rehearse(path)
    }

    /// Where the schema of a data folder stands. The folder may be in use.
    ///
    /// # Errors
    /// `Corrupt` when the file cannot be read, a newer program wrote it, or a migration has another text now.
    pub fn status(path: &Path) -> Result<SchemaStatus, StoreError> {
        match schema::open_visitor(path)? {
            Some(conn) => migrations::status(&conn),
            None => Ok(migrations::nothing()),
        }
    }

    /// Whether an engine has a data folder.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub fn is_in_use(path: &Path) -> Result<bool, StoreError> {
        Ok(schema::try_lock(path)?.is_none())
    }

    /// Whether it takes no more writes.
    pub fn is_closed(&self) -> bool {
        self.writes.is_closed()
    }

    fn start_readers(
        &self,
        connections: Vec<Connection>,
        lock: &Held,
        alive: &mpsc::Sender<()>,
    ) -> Result<(), StoreError> {
        for conn in connections {
            let (reads, lock, alive) = (Arc::clone(&self.reads), Arc::clone(lock), alive.clone());
            spawn("store-reader", move || {
                reader::serve(&reads, &conn, lock);
                drop(conn);
                drop(alive);
            })?;
        }
        Ok(())
    }

    /// Queues a write; its answer comes when it is on disk.
    fn queue<T: Send + 'static>(
        &self,
        lane: Lane,
        weight: usize,
        since: Option<Instant>,
        work: impl FnMut(&mut Writes<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Answer<T>, StoreError> {
        let (job, answer) = Task::queued(weight, since, work);
        match self.writes.push(lane, job) {
            Ok(()) => Ok(answer),
            Err(Refused::Closed) => Err(reader::stopped()),
            Err(Refused::Full) => {
                bump(&self.meters.refused, 1);
                Err(StoreError::Busy)
            }
        }
    }

    async fn write<T: Send + 'static>(
        &self,
        lane: Lane,
        weight: usize,
        work: impl FnMut(&mut Writes<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        answered(self.queue(lane, weight, None, work)?).await
    }

    async fn read<T: Send + 'static>(
        &self,
        lane: Lane,
        work: impl FnOnce(&mut Db<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        reader::read(&self.reads, &self.meters, lane, work).await
    }
}

async fn answered<T>(answer: Answer<T>) -> Result<T, StoreError> {
    answer.await.unwrap_or_else(|_| Err(reader::lost()))
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.writes.close();
        self.reads.close();
    }
}

/// Sees that the file is sound and its schema known before anything uses it.
fn prepare(conn: &Connection, options: &EmbeddedOptions) -> Result<(), StoreError> {
    if options.check_integrity {
        schema::check(conn)?;
    }
    let status = migrations::status(conn)?;
    if !options.migrate && !status.is_current() {
        return Err(StoreError::Unavailable(format!(
            "its schema has version {} of {}{}, and this engine is not to migrate it by itself: run `mayday migrate`",
            status.version,
            status.latest,
            if status.rebuild_due {
                " and its projections are due"
            } else {
                ""
            },
        )));
    }
    migrations::migrate(conn)?;
    outbox::free(conn)?;
    revival::free(conn)
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(work)
        .map(drop)
        .map_err(|error| StoreError::Unavailable(format!("no thread for the store: {}", error.kind())))
}
