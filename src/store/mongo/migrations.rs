//! The versions of the schema (collections, indexes, the time series): what leads from each to the next, the ledger
//! of what was applied, and the lock that lets one node do it while the others wait.
//!
//! A migration is a list of commands, each of which may be run twice: one that was interrupted is run again as a
//! whole. The lock is a document with a time on the server's clock, renewed while the work goes on: a node that dies
//! holds it up for some seconds at most.

use std::time::{Duration, Instant};

use mongodb::bson::{DateTime, Document, doc};
use serde::{Deserialize, Serialize};

use super::db::{Db, Find};
use super::docs::{ENGINE, HISTORY, instant};
use super::error::{Cause, Failure, Outcome};
use super::upkeep;
use crate::store::contract::StoreError;
use crate::store::schema::{Applied, Migrated, MigrationStep, SchemaStatus, checksum};

const LEDGER: &str = "migrations";
/// The rebuild of every projection, when it is due.
const REBUILD: &str = "rebuild";
const LOCK: &str = "migration lock";
/// A lock that was not renewed for so long counts no more.
const LEASE: Duration = Duration::from_secs(10);
const RENEW_EVERY: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// One command of a migration: an index over many documents takes its time.
const COMMAND_MAX: Duration = Duration::from_secs(3_600);
/// What exists already.
const NAMESPACE_EXISTS: i32 = 48;
const NAMESPACE_NOT_FOUND: i32 = 26;

/// One step from the version before it to its own: its place in the list, from 1.
struct Migration {
    name: &'static str,
    text: &'static str,
    /// Its fields follow from the logs: every projection is made anew after it.
    rebuilds: bool,
}

/// All of them, in order. One that was released never changes: what is wrong with it is put right by the next.
const MIGRATIONS: &[Migration] = &[
    Migration {
        name: "0001_rooms",
        text: include_str!("migrations/0001_rooms.json"),
        rebuilds: false,
    },
    Migration {
        name: "0002_outbox",
        text: include_str!("migrations/0002_outbox.json"),
        rebuilds: false,
    },
    Migration {
        name: "0003_jobs",
        text: include_str!("migrations/0003_jobs.json"),
        rebuilds: false,
    },
];

impl Migration {
    fn step(&self, version: usize) -> MigrationStep {
        MigrationStep {
            version,
            name: self.name.to_owned(),
            checksum: checksum(self.text),
            applied: None,
        }
    }

    fn commands(&self) -> Result<Vec<Document>, StoreError> {
        serde_json::from_str(self.text)
            .map_err(|_| StoreError::Corrupt(format!("the migration {} cannot be read", self.name)))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(rename = "_id")]
    version: i64,
    name: String,
    checksum: String,
    at: DateTime,
    took_us: i64,
}

/// Where a database stands; refuses one that a newer program wrote, or by a migration of another text.
pub(super) async fn status(db: &Db) -> Outcome<SchemaStatus> {
    let ledger = Find::new(LEDGER, doc! {})
        .sort(doc! { "_id": 1 })
        .all::<Entry>(db)
        .await?;
    let latest = MIGRATIONS.len();
    if ledger.len() > latest {
        return Err(StoreError::Corrupt(format!(
            "its schema has version {} and this program knows versions up to {latest}: start the newer program, or \
             restore a dump that was made before the upgrade",
            ledger.len()
        ))
        .into());
    }
    let mut steps = Vec::with_capacity(latest);
    for (version, migration) in (1..).zip(MIGRATIONS) {
        let mut step = migration.step(version);
        if let Some(entry) = ledger.get(version - 1) {
            if entry.checksum != step.checksum || usize::try_from(entry.version) != Ok(version) {
                return Err(StoreError::Corrupt(format!(
                    "the migration {} was applied with another text",
                    step.name
                ))
                .into());
            }
            step.applied = Some(Applied {
                at: Some(instant(entry.at)),
                took: Some(Duration::from_micros(entry.took_us.unsigned_abs())),
            });
        }
        steps.push(step);
    }
    let due = Find::new(ENGINE, doc! { "_id": REBUILD })
        .first::<Document>(db)
        .await?;
    Ok(SchemaStatus {
        version: ledger.len(),
        latest,
        steps,
        rebuild_due: due.is_some(),
    })
}

/// Brings the schema up to date, or waits until another node has; answers what that took.
pub(super) async fn migrate(db: &std::sync::Arc<Db>, wait: Duration) -> Outcome<Migrated> {
    let before = status(db).await?;
    let mut migrated = Migrated {
        from: before.version,
        to: before.latest,
        ..Migrated::default()
    };
    if before.is_current() {
        return Ok(migrated);
    }
    let lock = Lock::take(db, wait).await?;
    let outcome = carry_out(db, &mut migrated).await;
    lock.release(db).await;
    outcome.map(|()| migrated)
}

async fn carry_out(db: &std::sync::Arc<Db>, migrated: &mut Migrated) -> Outcome<()> {
    // Another node may have been first.
    let before = status(db).await?;
    migrated.from = before.version;
    for (step, migration) in before.steps.into_iter().zip(MIGRATIONS).skip(before.version) {
        migrated.applied.push(apply(db, step, migration).await?);
    }
    if status(db).await?.rebuild_due {
        let (mut rooms, mut after) = (0, None);
        while let Some(room) = upkeep::rebuild_next(db, after.as_ref()).await? {
            rooms += 1;
            after = Some(room);
        }
        db.delete(ENGINE, vec![doc! { "_id": REBUILD }]).await?;
        migrated.rebuilt = Some(rooms);
    }
    Ok(())
}

async fn apply(db: &Db, mut step: MigrationStep, migration: &Migration) -> Outcome<MigrationStep> {
    let begun = Instant::now();
    run(db, migration).await?;
    if migration.rebuilds {
        let due = doc! { "q": { "_id": REBUILD }, "u": { "$set": { "due": true } }, "upsert": true };
        db.update(ENGINE, vec![due]).await?;
    }
    let (at, took) = (DateTime::now(), begun.elapsed());
    let entry = Entry {
        version: i64::try_from(step.version).unwrap_or(i64::MAX),
        name: step.name.clone(),
        checksum: step.checksum.clone(),
        at,
        took_us: i64::try_from(took.as_micros()).unwrap_or(i64::MAX),
    };
    let statement = super::writer::replacement(doc! { "_id": entry.version }, &entry, true)?;
    db.update(LEDGER, vec![statement]).await?;
    tracing::info!(
        version = step.version,
        name = migration.name,
        ?took,
        "migrated the schema"
    );
    step.applied = Some(Applied {
        at: Some(instant(at)),
        took: Some(took),
    });
    Ok(step)
}

async fn run(db: &Db, migration: &Migration) -> Outcome<()> {
    for mut command in migration.commands()? {
        command.insert("writeConcern", doc! { "w": "majority" });
        let run = tokio::time::timeout(COMMAND_MAX, db.database.run_command(command)).await;
        match run {
            Ok(Ok(_)) => {}
            Ok(Err(error)) if code(&error) == Some(NAMESPACE_EXISTS) => {}
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => return Err(Failure::away("a migration took too long")),
        }
    }
    Ok(())
}

fn code(error: &mongodb::error::Error) -> Option<i32> {
    match error.kind.as_ref() {
        mongodb::error::ErrorKind::Command(command) => Some(command.code),
        _ => None,
    }
}

/// What [`migrate`] would do, tried on an empty database beside this one, which is removed again.
pub(super) async fn rehearse(db: &Db, scratch: &Db) -> Outcome<Migrated> {
    let before = status(db).await?;
    let mut migrated = Migrated {
        from: before.version,
        to: before.latest,
        ..Migrated::default()
    };
    for (step, migration) in before.steps.into_iter().zip(MIGRATIONS) {
        let (version, begun) = (step.version, Instant::now());
        run(scratch, migration).await?;
        if version > before.version {
            migrated.applied.push(MigrationStep {
                applied: Some(Applied {
                    at: None,
                    took: Some(begun.elapsed()),
                }),
                ..step
            });
        }
    }
    Ok(migrated)
}

/// After how long the server itself removes positions, as the settings say; zero: never.
pub(super) async fn limit_positions(db: &Db, kept: Duration) -> Outcome<()> {
    let wanted = i64::try_from(kept.as_secs()).unwrap_or(i64::MAX);
    let listed = db
        .database
        .run_command(doc! { "listCollections": 1, "filter": { "name": HISTORY } })
        .await?;
    let found = listed
        .get_document("cursor")
        .and_then(|cursor| cursor.get_array("firstBatch"))
        .ok()
        .and_then(|all| all.first()?.as_document()?.get_document("options").ok());
    let now = found
        .and_then(|options| options.get("expireAfterSeconds"))
        .map(|value| {
            let wide = value.as_i64();
            wide.or_else(|| value.as_i32().map(i64::from)).unwrap_or_default()
        });
    if now.unwrap_or_default() == wanted {
        return Ok(());
    }
    let command = if wanted == 0 {
        doc! { "collMod": HISTORY, "expireAfterSeconds": "off" }
    } else {
        doc! { "collMod": HISTORY, "expireAfterSeconds": wanted }
    };
    match db.database.run_command(command).await {
        Ok(_) => Ok(()),
        Err(error) if code(&error) == Some(NAMESPACE_NOT_FOUND) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Held by the node that migrates.
struct Lock {
    holder: String,
    renewing: tokio::task::JoinHandle<()>,
}

impl Lock {
    async fn take(db: &std::sync::Arc<Db>, wait: Duration) -> Outcome<Self> {
        let holder = mongodb::bson::oid::ObjectId::new().to_hex();
        let free = doc! {
            "q": { "_id": LOCK }, "u": { "$setOnInsert": { "until": DateTime::from_millis(0) } }, "upsert": true,
        };
        // Two that make it at once: one of them finds it made.
        match db.update(ENGINE, vec![free]).await {
            Err(failure) if failure.cause != Cause::Taken => return Err(failure),
            _ => {}
        }
        let until = Instant::now() + wait;
        loop {
            let take = doc! {
                "q": { "_id": LOCK, "$expr": { "$lt": ["$until", "$$NOW"] } },
                "u": [{ "$set": { "holder": &holder, "until": lease() } }],
            };
            if db.update(ENGINE, vec![take]).await? == 1 {
                break;
            }
            if Instant::now() >= until {
                let what = "another node migrates the schema, and has not finished in time";
                return Err(StoreError::Unavailable(what.into()).into());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let (kept, mine) = (std::sync::Arc::clone(db), holder.clone());
        let renewing = tokio::spawn(async move {
            loop {
                tokio::time::sleep(RENEW_EVERY).await;
                let renew = doc! {
                    "q": { "_id": LOCK, "holder": &mine }, "u": [{ "$set": { "until": lease() } }],
                };
                let _ = kept.update(ENGINE, vec![renew]).await;
            }
        });
        Ok(Self { holder, renewing })
    }

    async fn release(self, db: &Db) {
        self.renewing.abort();
        let free = doc! {
            "q": { "_id": LOCK, "holder": &self.holder }, "u": { "$set": { "until": DateTime::from_millis(0) } },
        };
        // If this fails, it ends by itself.
        let _ = db.update(ENGINE, vec![free]).await;
    }
}

/// The end of a lease that begins now, by the server's clock.
fn lease() -> Document {
    doc! { "$add": ["$$NOW", i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX)] }
}
