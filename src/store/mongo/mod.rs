//! The store in MongoDB, which many nodes share: a replica set of version 6.0 or newer.
//!
//! What is written together (events, their room's row, people, keys) is one transaction, acknowledged by a majority
//! with its journal; `writer` puts the appends of many rooms into one. Other writes are single commands that may be
//! repeated. All of it runs on threads of its own, so that neither a slow server nor a caller who goes away reaches
//! into the other; whatever it does is bounded in number and in time, and while the server does not answer nobody
//! waits for it (`breaker`).

mod breaker;
mod cards;
mod conduct;
mod db;
mod docs;
mod error;
mod fixes;
mod gate;
mod history;
mod incidents;
mod jobs;
mod messages;
mod migrations;
mod options;
mod outbox;
mod plan;
mod privacy;
mod queue;
mod records;
mod rooms;
mod slow;
mod store;
mod upkeep;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb::options::{ClientOptions, ReadConcern, ReadPreference, SelectionCriteria};
use parking_lot::Mutex;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub use options::MongoOptions;

use self::breaker::Breaker;
use self::db::{Db, durable};
use self::error::{Failure, Outcome};
use self::gate::Gate;
use self::queue::Queue;
use self::writer::Writer;
use super::contract::StoreError;
use super::meters::Meters;
use super::schema::{Migrated, SchemaStatus};
use crate::domain::ids::RoomId;
use crate::domain::time::Timestamp;

/// After how long the server ends a transaction that nobody ends: a parameter of MongoDB's, 60 s unless it is told.
const LIFETIME: &str = "transactionLifetimeLimitSeconds";
/// Longer than this is too long for an incident to wait.
const LIFETIME_MAX_S: i32 = 10;

/// The database when the address names none.
const DATABASE: &str = "mayday";
/// A slice of upkeep must be done by then.
const UPKEEP_MAX: Duration = Duration::from_secs(120);
/// The oldest server that has all that is used here.
const OLDEST: (i32, i32) = (6, 0);

fn stopped() -> StoreError {
    StoreError::Unavailable("it has stopped".into())
}

/// What all requests share.
struct Shared {
    db: Arc<Db>,
    gate: Gate,
    breaker: Arc<Breaker>,
    meters: Arc<Meters>,
    options: Arc<MongoOptions>,
    /// From when on positions count, in Unix milliseconds.
    kept_from: AtomicI64,
    closed: AtomicBool,
    /// The breaker has opened: look whether the server answers again.
    opened: Notify,
}

impl Shared {
    fn kept_from(&self) -> Timestamp {
        Timestamp::from_ms(self.kept_from.load(Ordering::Acquire))
    }

    fn keep_from(&self, mark: Timestamp) {
        self.kept_from.fetch_max(mark.ms(), Ordering::AcqRel);
    }

    /// Asks a server that does not answer until it does, for as long as the store is open.
    async fn probe(&self) {
        loop {
            self.opened.notified().await;
            let mut n = 0;
            while self.breaker.stand() != breaker::Stand::Closed {
                tokio::time::sleep(breaker::spread(self.options.breaker_probe, n)).await;
                n = n.wrapping_add(1);
                self.breaker.probes();
                let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
                let ask = self
                    .db
                    .database
                    .run_command(doc! { "ping": 1 })
                    .selection_criteria(primary);
                let asked = tokio::time::timeout(self.options.server_selection_timeout, ask).await;
                let outcome: Outcome<Document> = match asked {
                    Ok(answer) => answer.map_err(Failure::from),
                    Err(_) => Err(Failure::away("no answer to a probe")),
                };
                self.breaker.probed(&outcome);
            }
        }
    }
}

/// The store in MongoDB. Dropping it gives up what is queued; `close` waits for that.
pub struct Mongo {
    /// Taken when it is dropped.
    runtime: Option<Runtime>,
    shared: Arc<Shared>,
    queues: Vec<Arc<Queue>>,
    waiting: Arc<AtomicUsize>,
    writers: Mutex<Vec<JoinHandle<()>>>,
}

impl Mongo {
    /// Connects, sees that the server can do what is needed and that its schema is known, and starts the writers.
    ///
    /// # Errors
    /// `Unavailable` when the server cannot be reached or used, or an older schema is not to be migrated; `Corrupt`
    /// when a newer program wrote it.
    pub async fn open(options: MongoOptions) -> Result<Self, StoreError> {
        let runtime = Threads::start(&options)?;
        let options = Arc::new(options);
        let opening = Arc::clone(&options);
        let (db, kept_from) = runtime
            .run(async move {
                let db = Arc::new(connect(&opening, None).await?);
                check_server(&db).await?;
                prepare(&db, &opening).await?;
                let kept_from = upkeep::kept_from(&db).await?;
                Ok((db, kept_from))
            })
            .await?;
        let runtime = runtime.keep();
        let at_once = (options.pool_max as usize).saturating_sub(options.writers + 1);
        let shared = Arc::new(Shared {
            db,
            gate: Gate::new(at_once, options.pool_queue_max_ops, options.pool_wait),
            breaker: Arc::new(Breaker::new(options.breaker_failures)),
            meters: Arc::default(),
            kept_from: AtomicI64::new(kept_from.ms()),
            closed: AtomicBool::new(false),
            opened: Notify::new(),
            options,
        });
        let waiting = Arc::new(AtomicUsize::new(0));
        let mut queues = Vec::new();
        let mut writers = Vec::new();
        for _ in 0..shared.options.writers.max(1) {
            let queue = Arc::new(Queue::new(
                Arc::clone(&waiting),
                shared.options.writer_queue_max_ops,
            ));
            let writer = Writer {
                shared: Arc::clone(&shared),
                queue: Arc::clone(&queue),
                rooms: HashMap::new(),
            };
            writers.push(runtime.spawn(writer.run()));
            queues.push(queue);
        }
        let probing = Arc::clone(&shared);
        runtime.spawn(async move { probing.probe().await });
        Ok(Self {
            runtime: Some(runtime),
            shared,
            queues,
            waiting,
            writers: Mutex::new(writers),
        })
    }

    /// Brings a database's schema up to date; answers what that took.
    ///
    /// # Errors
    /// As [`Mongo::open`].
    pub async fn migrate(options: MongoOptions) -> Result<Migrated, StoreError> {
        let wait = options.migrate_wait;
        visit(options, async move |db| migrations::migrate(&db, wait).await).await
    }

    /// Where the schema of a database stands.
    ///
    /// # Errors
    /// `Corrupt` when a newer program wrote it, or a migration has another text now.
    pub async fn status(options: MongoOptions) -> Result<SchemaStatus, StoreError> {
        visit(options, async |db| migrations::status(&db).await).await
    }

    /// What [`Mongo::migrate`] would do, tried on an empty database beside this one, which is removed again.
    ///
    /// # Errors
    /// As [`Mongo::migrate`].
    pub async fn rehearse(options: MongoOptions) -> Result<Migrated, StoreError> {
        let again = options.clone();
        visit(options, async move |db| {
            let name = format!("{}_rehearsal_{}", db.database.name(), std::process::id());
            let scratch = connect(&again, Some(name)).await?;
            let migrated = migrations::rehearse(&db, &scratch).await;
            scratch.database.drop().await?;
            migrated
        })
        .await
    }

    fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }

    fn runtime(&self) -> &Runtime {
        self.runtime
            .as_ref()
            .expect("invariant: it is there until it is dropped")
    }

    /// The writer of a room: always the same.
    fn queue_of(&self, room: &RoomId) -> &Queue {
        let mut hasher = DefaultHasher::new();
        room.hash(&mut hasher);
        let n = usize::try_from(hasher.finish() % self.queues.len() as u64).unwrap_or(0);
        &self.queues[n]
    }

    /// Does something on the store's own threads, in turn, and within `limit`. It is done to its end even when
    /// nobody waits for it any more.
    async fn run<T, F>(
        &self,
        urgent: bool,
        limit: Duration,
        work: impl FnOnce(Arc<Shared>) -> F + Send + 'static,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Outcome<T>> + Send + 'static,
    {
        if self.is_closed() {
            return Err(stopped());
        }
        self.shared.breaker.admit()?;
        let shared = Arc::clone(&self.shared);
        let done = self.runtime().spawn(async move {
            let _permit = shared.gate.enter(urgent).await?;
            let worked = tokio::time::timeout(limit, work(Arc::clone(&shared))).await;
            let outcome = worked.unwrap_or_else(|_| Err(Failure::away("no answer in time")));
            if shared.breaker.note(&outcome) {
                shared.opened.notify_one();
            }
            outcome.map_err(StoreError::from)
        });
        match done.await {
            Ok(outcome) => outcome,
            Err(_) => Err(StoreError::Unavailable("a request was lost".into())),
        }
    }

    /// Something that only reads.
    async fn read<T, F>(
        &self,
        urgent: bool,
        work: impl FnOnce(Arc<Shared>) -> F + Send + 'static,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Outcome<T>> + Send + 'static,
    {
        self.run(urgent, self.shared.options.operation_timeout, work)
            .await
    }

    /// Something that writes.
    async fn write<T, F>(
        &self,
        urgent: bool,
        work: impl FnOnce(Arc<Shared>) -> F + Send + 'static,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Outcome<T>> + Send + 'static,
    {
        let limit = self.shared.options.write_timeout;
        let done = self.run(urgent, limit, work).await?;
        super::meters::bump(&self.shared.meters.commits, 1);
        Ok(done)
    }
}

impl Drop for Mongo {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        for queue in &self.queues {
            queue.close();
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A runtime that may be dropped anywhere.
struct Threads(Option<Runtime>);

impl Threads {
    fn start(options: &MongoOptions) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(options.threads.max(1))
            .max_blocking_threads(4)
            .thread_name("store-mongo")
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => Ok(Self(Some(runtime))),
            Err(error) => Err(StoreError::Unavailable(format!(
                "no thread for the store: {}",
                error.kind()
            ))),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Outcome<T>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let runtime = self.0.as_ref().ok_or_else(stopped)?;
        match runtime.spawn(work).await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => Err(StoreError::Unavailable("a request was lost".into())),
        }
    }

    fn keep(mut self) -> Runtime {
        self.0.take().expect("invariant: nobody has taken it")
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Does something with a database that no engine of this process uses.
async fn visit<T, F>(
    options: MongoOptions,
    work: impl FnOnce(Arc<Db>) -> F + Send + 'static,
) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: Future<Output = Outcome<T>> + Send + 'static,
{
    // What is slow is not asked for its plan: nobody would wait for that before the threads end.
    let options = MongoOptions {
        slow: Duration::ZERO,
        ..options
    };
    let threads = Threads::start(&options)?;
    threads
        .run(async move {
            let db = Arc::new(connect(&options, None).await?);
            check_server(&db).await?;
            let client = db.client.clone();
            let done = work(db).await;
            client.shutdown().immediate(true).await;
            done
        })
        .await
}

/// A client for the address, whose own settings go before ours where they say anything.
async fn connect(options: &MongoOptions, database: Option<String>) -> Outcome<Db> {
    let mut client = ClientOptions::parse(&options.url)
        .await
        .map_err(|_| StoreError::Unavailable("its address cannot be read".into()))?;
    client.app_name.get_or_insert_with(|| "mayday".to_owned());
    client.connect_timeout.get_or_insert(options.connect_timeout);
    client
        .server_selection_timeout
        .get_or_insert(options.server_selection_timeout);
    client.max_pool_size.get_or_insert(options.pool_max);
    client.heartbeat_freq.get_or_insert(Duration::from_secs(2));
    client.retry_reads = Some(true);
    client.retry_writes = Some(true);
    client.write_concern = Some(durable(options.write_timeout));
    client.read_concern = Some(ReadConcern::majority());
    client.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    let name = database.or_else(|| client.default_database.clone());
    let client = Client::with_options(client)?;
    let database = client.database(name.as_deref().unwrap_or(DATABASE));
    Ok(Db::new(client, database, options))
}

/// Transactions need a replica set, and positions a server that is not too old.
async fn check_server(db: &Db) -> Outcome<()> {
    let hello = db.database.run_command(doc! { "hello": 1 }).await?;
    if !hello.contains_key("setName") && hello.get_str("msg").ok() != Some("isdbgrid") {
        let what = "it is not a member of a replica set, which transactions need (one member is enough)";
        return Err(StoreError::Unavailable(what.into()).into());
    }
    let info = db
        .client
        .database("admin")
        .run_command(doc! { "buildInfo": 1 })
        .await?;
    let version = info.get_str("version").unwrap_or_default();
    let mut numbers = version.split('.').filter_map(|part| part.parse::<i32>().ok());
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < OLDEST {
        let what = format!("it is MongoDB {version}; 6.0 or newer is needed");
        return Err(StoreError::Unavailable(what).into());
    }
    check_lifetime(db).await;
    Ok(())
}

/// What a node that dies has begun keeps its rooms from the others until the server gives it up. Whoever may not ask the
/// server is not told.
async fn check_lifetime(db: &Db) {
    let asked = doc! { "getParameter": 1, LIFETIME: 1 };
    let Ok(found) = db.client.database("admin").run_command(asked).await else {
        return;
    };
    let seconds = found.get_i32(LIFETIME).unwrap_or_default();
    if seconds > LIFETIME_MAX_S {
        tracing::warn!(
            seconds,
            "MongoDB keeps what a killed node has begun for long: set its {LIFETIME} to {LIFETIME_MAX_S} or less"
        );
    }
}

async fn prepare(db: &Arc<Db>, options: &MongoOptions) -> Outcome<()> {
    let status = migrations::status(db).await?;
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
        ))
        .into());
    }
    migrations::migrate(db, options.migrate_wait).await?;
    migrations::limit_positions(db, options.locations_kept).await
}
