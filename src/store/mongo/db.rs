//! The database: reads and writes with their time limits and concerns, each of them timed.
//!
//! Reads are of what a majority of the set has, so that nothing is shown which a failover could take back. Lists may
//! come from a secondary. Every write is acknowledged by a majority that has it in its journal.

use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};
use mongodb::error::UNKNOWN_TRANSACTION_COMMIT_RESULT;
use mongodb::options::{
    Acknowledgment, CollectionOptions, Hint, ReadConcern, ReadPreference, ReadPreferenceOptions,
    SelectionCriteria, WriteConcern,
};
use mongodb::{BoxFuture, Client, ClientSession, Collection, Cursor, Database};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{Cause, Failure, Outcome};
use super::options::MongoOptions;
use super::slow::Slow;

/// The oldest that a secondary's data may be, as far as the driver can tell: the least that it takes.
const STALENESS_MAX: Duration = Duration::from_secs(90);
/// A write that can be repeated is tried so often, and a transaction that others got into the way of.
const TRIES_MAX: u32 = 3;
const COLLISIONS_MAX: u32 = 20;
/// And so long after each other at least.
const TRY_AGAIN: Duration = Duration::from_millis(50);

pub(super) struct Db {
    pub client: Client,
    pub database: Database,
    pub slow: Slow,
    timeout: Duration,
    write_timeout: Duration,
    stale: SelectionCriteria,
}

/// What all writes want: a majority has them in its journal.
pub(super) fn durable(timeout: Duration) -> WriteConcern {
    WriteConcern::builder()
        .w(Acknowledgment::Majority)
        .journal(true)
        .w_timeout(timeout)
        .build()
}

impl Db {
    pub fn new(client: Client, database: Database, options: &MongoOptions) -> Self {
        let stale = if options.lists_from_secondaries {
            let options = ReadPreferenceOptions::builder()
                .max_staleness(STALENESS_MAX)
                .build();
            ReadPreference::SecondaryPreferred {
                options: Some(options),
            }
        } else {
            ReadPreference::Primary
        };
        Self {
            client,
            database,
            slow: Slow::new(options.slow),
            timeout: options.operation_timeout,
            write_timeout: options.write_timeout,
            stale: SelectionCriteria::ReadPreference(stale),
        }
    }

    pub fn collection<T: Send + Sync>(&self, name: &str) -> Collection<T> {
        self.database.collection(name)
    }

    fn lists<T: Send + Sync>(&self, name: &str) -> Collection<T> {
        let options = CollectionOptions::builder()
            .selection_criteria(self.stale.clone())
            .read_concern(ReadConcern::majority())
            .build();
        self.database.collection_with_options(name, options)
    }

    /// Notes how long something took.
    pub fn timed(&self, what: &'static str, begun: Instant, command: impl FnOnce() -> Document) {
        let took = begun.elapsed();
        if self.slow.is_slow(took) {
            self.slow.tell(&self.database, what, command(), took);
        }
    }

    /// Updates by several statements (`q`, `u`, `upsert`, `multi`), in order. They must be such that doing them
    /// twice does no harm: they are tried again. Answers how many documents they matched or made.
    pub async fn update(&self, coll: &'static str, statements: Vec<Document>) -> Outcome<u64> {
        self.write(
            "update",
            coll,
            doc! { "update": coll, "updates": statements, "ordered": true },
        )
        .await
    }

    /// Deletes what fits any of the filters; answers how many.
    pub async fn delete(&self, coll: &'static str, filters: Vec<Document>) -> Outcome<u64> {
        if filters.is_empty() {
            return Ok(0);
        }
        let deletes: Vec<Document> = filters
            .into_iter()
            .map(|filter| doc! { "q": filter, "limit": 0 })
            .collect();
        self.write("delete", coll, doc! { "delete": coll, "deletes": deletes })
            .await
    }

    async fn write(&self, what: &'static str, coll: &'static str, command: Document) -> Outcome<u64> {
        let empty = [("updates", what == "update"), ("deletes", what == "delete")]
            .into_iter()
            .any(|(key, is)| is && command.get_array(key).is_ok_and(Vec::is_empty));
        if empty {
            return Ok(0);
        }
        let limit = i64::try_from(self.write_timeout.as_millis()).unwrap_or(i64::MAX);
        let mut sent = command.clone();
        sent.insert(
            "writeConcern",
            doc! { "w": "majority", "j": true, "wtimeout": limit },
        );
        let begun = Instant::now();
        let mut tries = 1;
        loop {
            let outcome = match self.database.run_command(sent.clone()).await {
                Ok(reply) => written(&reply),
                Err(error) => Err(error.into()),
            };
            match outcome {
                Err(failure) if failure.cause != Cause::Own && tries < TRIES_MAX => {
                    tokio::time::sleep(TRY_AGAIN * tries).await;
                    tries += 1;
                }
                outcome => {
                    self.timed(what, begun, || one_of_many(coll, what, &command));
                    return outcome;
                }
            }
        }
    }

    /// The same in a transaction, once.
    pub async fn update_in(
        &self,
        session: &mut ClientSession,
        coll: &'static str,
        statements: Vec<Document>,
    ) -> Outcome<u64> {
        if statements.is_empty() {
            return Ok(0);
        }
        let begun = Instant::now();
        let command = doc! { "update": coll, "updates": statements, "ordered": true };
        let reply = self
            .database
            .run_command(command.clone())
            .session(session)
            .await?;
        self.timed("update", begun, || one_of_many(coll, "update", &command));
        written(&reply)
    }

    /// Inserts in a transaction.
    pub async fn insert_in<T: Serialize + Send + Sync>(
        &self,
        session: &mut ClientSession,
        coll: &'static str,
        documents: &[T],
    ) -> Outcome<()> {
        if documents.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        self.collection::<T>(coll)
            .insert_many(documents)
            .session(session)
            .await?;
        self.timed("insert", begun, || doc! { "insert": coll });
        Ok(())
    }

    /// Deletes in a transaction what fits any of the filters; answers how many.
    pub async fn delete_in(
        &self,
        session: &mut ClientSession,
        coll: &'static str,
        filters: Vec<Document>,
    ) -> Outcome<u64> {
        let deletes: Vec<Document> = filters
            .into_iter()
            .map(|filter| doc! { "q": filter, "limit": 0 })
            .collect();
        if deletes.is_empty() {
            return Ok(0);
        }
        let begun = Instant::now();
        let command = doc! { "delete": coll, "deletes": deletes };
        let reply = self
            .database
            .run_command(command.clone())
            .session(session)
            .await?;
        self.timed("delete", begun, || one_of_many(coll, "delete", &command));
        written(&reply)
    }

    /// Does something in a transaction, again while others get into its way.
    pub async fn transaction<T>(
        &self,
        work: impl for<'s> Fn(&'s mut ClientSession) -> BoxFuture<'s, Outcome<T>>,
    ) -> Outcome<T> {
        let mut tries = 1;
        loop {
            let mut session = self.begin().await?;
            let outcome = match work(&mut session).await {
                Ok(done) => self.commit(&mut session).await.map(|()| done),
                Err(failure) => {
                    let _ = session.abort_transaction().await;
                    Err(failure)
                }
            };
            match outcome {
                Err(failure) if failure.cause != Cause::Own && tries < COLLISIONS_MAX => {
                    tokio::time::sleep(TRY_AGAIN * tries).await;
                    tries += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// Begins a transaction on a state that does not change under it.
    pub async fn begin(&self) -> Outcome<ClientSession> {
        let mut session = self.client.start_session().await?;
        session
            .start_transaction()
            .read_concern(ReadConcern::snapshot())
            .write_concern(durable(self.write_timeout))
            .await?;
        Ok(session)
    }

    /// Makes a transaction durable. As long as nobody knows whether it is, the server is asked again: whoever calls
    /// says for how long.
    pub async fn commit(&self, session: &mut ClientSession) -> Outcome<()> {
        let begun = Instant::now();
        loop {
            match session.commit_transaction().await {
                Ok(()) => break,
                Err(error) if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) => {
                    tokio::time::sleep(TRY_AGAIN).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.timed("commit", begun, || doc! { "commitTransaction": "" });
        Ok(())
    }

    /// Reads in a transaction.
    pub async fn find_in<T: DeserializeOwned + Send + Sync>(
        &self,
        session: &mut ClientSession,
        coll: &'static str,
        filter: Document,
    ) -> Outcome<Vec<T>> {
        let begun = Instant::now();
        let mut cursor = self
            .collection::<T>(coll)
            .find(filter.clone())
            .session(&mut *session)
            .await?;
        let found = cursor.stream(session).try_collect().await?;
        self.timed("find", begun, || doc! { "find": coll, "filter": filter });
        Ok(found)
    }
}

/// What a write's reply says; it may have failed though the command did not.
fn written(reply: &Document) -> Outcome<u64> {
    let failed = reply
        .get_array("writeErrors")
        .ok()
        .and_then(|errors| errors.first()?.as_document())
        .or_else(|| reply.get_document("writeConcernError").ok());
    if let Some(failed) = failed {
        let name = failed.get_str("codeName").unwrap_or_default();
        return Err(Failure::of_code(failed.get_i32("code").unwrap_or_default(), name));
    }
    let count = reply.get("n").and_then(|n| match n {
        mongodb::bson::Bson::Int32(n) => u64::try_from(*n).ok(),
        mongodb::bson::Bson::Int64(n) => u64::try_from(*n).ok(),
        _ => None,
    });
    Ok(count.unwrap_or(0))
}

/// A bulk's first statement, which can be explained; the others are like it.
fn one_of_many(coll: &str, what: &str, command: &Document) -> Document {
    let key = if what == "update" { "updates" } else { "deletes" };
    let first = command.get_array(key).ok().and_then(|all| all.first()).cloned();
    let all: Vec<_> = first.into_iter().collect();
    let mut one = Document::new();
    one.insert(what, coll);
    one.insert(key, all);
    one
}

/// A question.
pub(super) struct Find {
    coll: &'static str,
    filter: Document,
    sort: Document,
    limit: i64,
    hint: Option<&'static str>,
    is_list: bool,
}

impl Find {
    pub fn new(coll: &'static str, filter: Document) -> Self {
        Self {
            coll,
            filter,
            sort: Document::new(),
            limit: 0,
            hint: None,
            is_list: false,
        }
    }

    pub fn sort(mut self, sort: Document) -> Self {
        self.sort = sort;
        self
    }

    /// At most so many; 0: all.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = super::docs::limit(limit);
        self
    }

    /// By this index, whatever the planner thinks.
    pub fn hint(mut self, index: &'static str) -> Self {
        self.hint = Some(index);
        self
    }

    /// It may be a little stale.
    pub fn list(mut self) -> Self {
        self.is_list = true;
        self
    }

    fn command(&self) -> Document {
        let mut command = doc! { "find": self.coll, "filter": self.filter.clone() };
        if !self.sort.is_empty() {
            command.insert("sort", self.sort.clone());
        }
        if self.limit > 0 {
            command.insert("limit", self.limit);
        }
        if let Some(hint) = self.hint {
            command.insert("hint", hint);
        }
        command
    }

    /// Its answers one after the other.
    pub async fn open<T: DeserializeOwned + Send + Sync>(&self, db: &Db) -> Outcome<Cursor<T>> {
        let collection = if self.is_list {
            db.lists::<T>(self.coll)
        } else {
            db.collection::<T>(self.coll)
        };
        let mut find = collection.find(self.filter.clone()).max_time(db.timeout);
        if !self.sort.is_empty() {
            find = find.sort(self.sort.clone());
        }
        if self.limit > 0 {
            find = find.limit(self.limit);
        }
        if let Some(hint) = self.hint {
            find = find.hint(Hint::Name(hint.to_owned()));
        }
        Ok(find.await?)
    }

    /// All its answers.
    pub async fn all<T: DeserializeOwned + Send + Sync>(self, db: &Db) -> Outcome<Vec<T>> {
        let begun = Instant::now();
        let found = self.open(db).await?.try_collect().await?;
        db.timed("find", begun, || self.command());
        Ok(found)
    }

    /// The first answer.
    pub async fn first<T: DeserializeOwned + Send + Sync>(self, db: &Db) -> Outcome<Option<T>> {
        Ok(self.limit(1).all(db).await?.pop())
    }

    /// How long it took to read what was read.
    pub fn told(&self, db: &Db, begun: Instant) {
        db.timed("find", begun, || self.command());
    }
}

/// A pipeline over a collection.
pub(super) struct Pipeline {
    pub coll: &'static str,
    pub stages: Vec<Document>,
    pub is_list: bool,
}

impl Pipeline {
    pub async fn open<T: DeserializeOwned + Send + Sync>(&self, db: &Db) -> Outcome<Cursor<T>> {
        let collection = if self.is_list {
            db.lists::<Document>(self.coll)
        } else {
            db.collection::<Document>(self.coll)
        };
        let cursor = collection
            .aggregate(self.stages.clone())
            .max_time(db.timeout)
            .with_type::<T>()
            .await?;
        Ok(cursor)
    }

    pub async fn all<T: DeserializeOwned + Send + Sync>(self, db: &Db) -> Outcome<Vec<T>> {
        let begun = Instant::now();
        let found = self.open(db).await?.try_collect().await?;
        self.told(db, begun);
        Ok(found)
    }

    pub fn told(&self, db: &Db, begun: Instant) {
        db.timed("aggregate", begun, || {
            doc! { "aggregate": self.coll, "pipeline": self.stages.clone(), "cursor": {} }
        });
    }
}
