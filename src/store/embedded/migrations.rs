//! The schema's versions: what brings a database from each to the next, and the ledger of what was applied.
//!
//! `user_version` is the truth about which version a file has; the ledger beside it says when each was applied
//! and by what text, so that a migration which changed after it was released is found and refused. Each
//! migration is one transaction; work on the rooms' logs that takes longer is noted in `unfinished` and carried
//! out in slices before the store is used, from where it was left.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, params};

use super::rows::RoomKey;
use super::sql::Db;
use super::upkeep;
use super::writes::Writes;
use crate::domain::time::Timestamp;
use crate::store::contract::StoreError;
use crate::store::schema::{Applied, Migrated, MigrationStep, SchemaStatus, checksum};

/// Migrations in order, from an empty file on.
type Plan<'p> = &'p [Migration];

/// One step from the version before it to its own: its place in the list, from 1.
struct Migration {
    name: &'static str,
    sql: &'static str,
    /// Its columns follow from the logs: every projection is made anew after it.
    rebuilds: bool,
}

/// All of them, in order. One that was released never changes: what is wrong with it is put right by the next.
const MIGRATIONS: Plan<'static> = &[
    Migration {
        name: "0001_rooms",
        sql: include_str!("migrations/0001_rooms.sql"),
        rebuilds: false,
    },
    Migration {
        name: "0002_privacy",
        sql: include_str!("migrations/0002_privacy.sql"),
        rebuilds: false,
    },
    Migration {
        name: "0003_conduct",
        sql: include_str!("migrations/0003_conduct.sql"),
        rebuilds: false,
    },
    Migration {
        name: "0004_feed",
        sql: include_str!("migrations/0004_feed.sql"),
        rebuilds: false,
    },
    Migration {
        name: "0005_outbox",
        sql: include_str!("migrations/0005_outbox.sql"),
        rebuilds: false,
    },
    Migration {
        name: "0006_jobs",
        sql: include_str!("migrations/0006_jobs.sql"),
        rebuilds: false,
    },
];

/// The version that this program writes.
pub(super) const LATEST: usize = MIGRATIONS.len();

/// What every version has beside its schema: the ledger, what is to be finished, and whom no backup brings back.
const LEDGER: &str = "
    CREATE TABLE IF NOT EXISTS migrations (
        version  INTEGER PRIMARY KEY,
        name     TEXT NOT NULL,
        checksum TEXT NOT NULL,
        at       INTEGER,
        took_us  INTEGER
    ) STRICT;
    CREATE TABLE IF NOT EXISTS unfinished (
        task    TEXT PRIMARY KEY,
        reached INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS gone (
        mark BLOB PRIMARY KEY,
        at   INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;";

/// The rebuild of every projection, in `unfinished`.
const REBUILD: &str = "rebuild";

/// Of a folder in which there is no database yet.
pub(super) fn nothing() -> SchemaStatus {
    SchemaStatus {
        version: 0,
        latest: LATEST,
        steps: (1..)
            .zip(MIGRATIONS)
            .map(|(number, migration)| migration.step(number))
            .collect(),
        rebuild_due: false,
    }
}

impl Migration {
    fn step(&self, version: usize) -> MigrationStep {
        MigrationStep {
            version,
            name: self.name.to_owned(),
            checksum: checksum(self.sql),
            applied: None,
        }
    }
}

fn version(conn: &Connection, latest: usize) -> Result<usize, StoreError> {
    let found: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match usize::try_from(found) {
        Ok(version) if version <= latest => Ok(version),
        _ => Err(StoreError::Corrupt(format!(
            "its schema has version {found} and this program knows versions up to {latest}: start the newer \
             program, or restore a backup that was made before the upgrade"
        ))),
    }
}

/// Where a database stands; refuses one that a newer program wrote, or by a migration of another text.
pub(super) fn status(conn: &Connection) -> Result<SchemaStatus, StoreError> {
    status_by(MIGRATIONS, conn)
}

fn status_by(plan: Plan<'_>, conn: &Connection) -> Result<SchemaStatus, StoreError> {
    let version = version(conn, plan.len())?;
    let ledger = has_table(conn, "migrations")?;
    let steps = (1..).zip(plan).map(|(number, migration)| {
        let mut step = migration.step(number);
        if number <= version {
            step.applied = Some(if ledger {
                applied(conn, &step)?
            } else {
                Applied::default()
            });
        }
        Ok(step)
    });
    Ok(SchemaStatus {
        version,
        latest: plan.len(),
        steps: steps.collect::<Result<_, StoreError>>()?,
        rebuild_due: has_table(conn, "unfinished")? && reached(conn)?.is_some(),
    })
}

/// Brings the schema up to date; answers what that took.
pub(super) fn migrate(conn: &Connection) -> Result<Migrated, StoreError> {
    migrate_by(MIGRATIONS, conn)
}

fn migrate_by(plan: Plan<'_>, conn: &Connection) -> Result<Migrated, StoreError> {
    let before = status_by(plan, conn)?;
    conn.execute_batch(LEDGER)?;
    adopt(conn, &before)?;
    let mut migrated = Migrated {
        from: before.version,
        to: plan.len(),
        ..Migrated::default()
    };
    for (step, migration) in before.steps.into_iter().zip(plan).skip(before.version) {
        migrated.applied.push(apply(conn, step, migration)?);
    }
    if reached(conn)?.is_some() {
        migrated.rebuilt = Some(rebuild(conn)?);
    }
    Ok(migrated)
}

fn apply(
    conn: &Connection,
    mut step: MigrationStep,
    migration: &Migration,
) -> Result<MigrationStep, StoreError> {
    let begun = Instant::now();
    let at = now();
    let carry_out = || -> Result<Duration, StoreError> {
        conn.execute_batch("BEGIN IMMEDIATE")?;
        conn.execute_batch(migration.sql)?;
        if migration.rebuilds {
            conn.execute(
                "INSERT OR REPLACE INTO unfinished (task, reached) VALUES (?1, ?2)",
                params![REBUILD, i64::MIN],
            )?;
        }
        let took = begun.elapsed();
        note(conn, &step, Some(at), Some(took))?;
        conn.pragma_update(
            None,
            "user_version",
            i64::try_from(step.version).unwrap_or(i64::MAX),
        )?;
        conn.execute_batch("COMMIT")?;
        Ok(took)
    };
    let took = carry_out().inspect_err(|_| {
        let _ = conn.execute_batch("ROLLBACK");
    })?;
    tracing::info!(
        version = step.version,
        name = migration.name,
        ?took,
        "migrated the schema"
    );
    step.applied = Some(Applied {
        at: Some(at),
        took: Some(took),
    });
    Ok(step)
}

/// Notes what a program without the ledger applied.
fn adopt(conn: &Connection, status: &SchemaStatus) -> Result<(), StoreError> {
    for step in status.steps.iter().take(status.version) {
        note(conn, step, None, None)?;
    }
    Ok(())
}

fn note(
    conn: &Connection,
    step: &MigrationStep,
    at: Option<Timestamp>,
    took: Option<Duration>,
) -> Result<(), StoreError> {
    conn.execute(
        "INSERT OR IGNORE INTO migrations (version, name, checksum, at, took_us) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            i64::try_from(step.version).unwrap_or(i64::MAX),
            step.name,
            step.checksum,
            at.map(Timestamp::ms),
            took.map(|took| i64::try_from(took.as_micros()).unwrap_or(i64::MAX)),
        ],
    )?;
    Ok(())
}

/// What the ledger says of a migration; refuses one that was applied with another text.
fn applied(conn: &Connection, step: &MigrationStep) -> Result<Applied, StoreError> {
    let sql = "SELECT checksum, at, took_us FROM migrations WHERE version = ?1";
    let found = conn
        .query_row(sql, [i64::try_from(step.version).unwrap_or(i64::MAX)], |row| {
            let took: Option<i64> = row.get(2)?;
            let applied = Applied {
                at: row.get::<_, Option<i64>>(1)?.map(Timestamp::from_ms),
                took: took.map(|us| Duration::from_micros(us.unsigned_abs())),
            };
            Ok((row.get::<_, String>(0)?, applied))
        })
        .optional()?;
    match found {
        Some((checksum, _)) if checksum != step.checksum => Err(StoreError::Corrupt(format!(
            "migration {} was applied to it with another text than this program has (checksum {}, not {}): \
             start the program that wrote it",
            step.name,
            head(&checksum),
            head(&step.checksum)
        ))),
        found => Ok(found.map(|(_, applied)| applied).unwrap_or_default()),
    }
}

/// Enough of a checksum to tell it from others.
fn head(checksum: &str) -> &str {
    checksum.get(..12).unwrap_or(checksum)
}

/// Makes every projection anew, a slice in each transaction, from where an interrupted one stopped.
fn rebuild(conn: &Connection) -> Result<u64, StoreError> {
    let mut writes = Writes::new(Db::new(conn))?;
    let mut rooms = 0;
    while let Some(after) = reached(conn)? {
        writes.begin()?;
        let slice = upkeep::rebuild(&mut writes, after)?;
        if slice.done {
            writes
                .db
                .run("DELETE FROM unfinished WHERE task = 'rebuild'", [])?;
        } else {
            let sql = "UPDATE unfinished SET reached = ?1 WHERE task = 'rebuild'";
            writes.db.run(sql, [slice.last])?;
        }
        writes.commit()?;
        rooms += slice.rooms;
    }
    tracing::info!(rooms, "rebuilt the projections");
    Ok(rooms)
}

/// How far a rebuild has come; `None`: none is due.
fn reached(conn: &Connection) -> Result<Option<RoomKey>, StoreError> {
    let sql = "SELECT reached FROM unfinished WHERE task = ?1";
    Ok(conn.query_row(sql, [REBUILD], |row| row.get(0)).optional()?)
}

pub(super) fn has_table(conn: &Connection, name: &str) -> Result<bool, StoreError> {
    let sql = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?1";
    Ok(conn.query_row(sql, [name], |row| row.get::<_, i64>(0))? > 0)
}

/// Every table with its rows, by name.
pub(super) fn counts(conn: &Connection) -> Result<Vec<(String, u64)>, StoreError> {
    let mut tables = conn.prepare(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
    )?;
    let names = tables
        .query_map([], |row| row.get::<_, String>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    let count = |name: String| {
        // The name comes from the schema itself.
        let sql = format!("SELECT count(*) FROM \"{}\"", name.replace('"', "\"\""));
        let rows: i64 = conn.query_row(&sql, [], |row| row.get(0))?;
        Ok((name, rows.unsigned_abs()))
    };
    names.into_iter().map(count).collect()
}

fn now() -> Timestamp {
    Timestamp::default() + SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn migration(name: &'static str, sql: &'static str) -> Migration {
        Migration {
            name,
            sql,
            rebuilds: false,
        }
    }

    fn first() -> Migration {
        migration("0001_rooms", MIGRATIONS[0].sql)
    }

    fn user_version(conn: &Connection) -> i64 {
        conn.query_row("PRAGMA user_version", [], |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn every_migration_has_its_number_in_its_name() {
        for (number, migration) in (1..).zip(MIGRATIONS) {
            let (digits, _) = migration.name.split_once('_').unwrap();
            assert_eq!(digits, format!("{number:04}"), "{}", migration.name);
        }
    }

    #[test]
    fn the_ledger_tells_what_was_applied_and_when() {
        let conn = Connection::open_in_memory().unwrap();
        let done = migrate(&conn).unwrap();
        assert_eq!((done.from, done.to, done.applied.len()), (0, LATEST, LATEST));
        let status = status(&conn).unwrap();
        assert!(status.is_current());
        assert_eq!(status.steps, done.applied.iter().map(in_ms).collect::<Vec<_>>());
        assert_eq!(migrate(&conn).unwrap().applied, []);
    }

    /// As it comes back from the ledger, which keeps microseconds.
    fn in_ms(step: &MigrationStep) -> MigrationStep {
        let Applied { at, took } = step.applied.unwrap();
        let took = took.map(|took| Duration::from_micros(u64::try_from(took.as_micros()).unwrap()));
        MigrationStep {
            applied: Some(Applied { at, took }),
            ..step.clone()
        }
    }

    #[test]
    fn a_migration_that_fails_leaves_the_version_before_it_and_may_be_tried_again() {
        let conn = Connection::open_in_memory().unwrap();
        let broken = "CREATE TABLE halves (key INTEGER PRIMARY KEY) STRICT; INSERT INTO nowhere VALUES (1);";
        let plan = [first(), migration("0002_halves", broken)];
        assert!(migrate_by(&plan, &conn).is_err());
        assert_eq!(user_version(&conn), 1);
        assert!(!has_table(&conn, "halves").unwrap(), "half of it is there");
        let mended = "CREATE TABLE halves (key INTEGER PRIMARY KEY) STRICT;";
        let plan = [first(), migration("0002_halves", mended)];
        assert_eq!(migrate_by(&plan, &conn).unwrap().applied.len(), 1);
        assert_eq!(user_version(&conn), 2);
    }

    #[test]
    fn an_applied_migration_whose_text_has_changed_is_refused_by_name() {
        let conn = Connection::open_in_memory().unwrap();
        let plan = [
            first(),
            migration("0002_more", "CREATE TABLE more (a INTEGER) STRICT;"),
        ];
        migrate_by(&plan, &conn).unwrap();
        let plan = [
            first(),
            migration("0002_more", "CREATE TABLE more (b INTEGER) STRICT;"),
        ];
        for refused in [status_by(&plan, &conn).err(), migrate_by(&plan, &conn).err()] {
            let Some(StoreError::Corrupt(text)) = refused else {
                panic!("it was taken: {refused:?}");
            };
            assert!(text.contains("0002_more"), "{text}");
        }
    }

    #[test]
    fn what_a_program_without_the_ledger_wrote_is_taken_over() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(first().sql).unwrap();
        conn.pragma_update(None, "user_version", 1).unwrap();
        let plan = [
            first(),
            migration("0002_more", "CREATE TABLE more (a INTEGER) STRICT;"),
        ];
        let found = status_by(&plan, &conn).unwrap();
        assert_eq!(found.steps[0].applied, Some(Applied::default()));
        assert_eq!(found.steps[1].applied, None);
        assert_eq!(migrate_by(&plan, &conn).unwrap().applied.len(), 1);
        let found = status_by(&plan, &conn).unwrap();
        assert_eq!(
            found.steps[0].applied,
            Some(Applied::default()),
            "when is not known"
        );
        assert!(found.steps[1].applied.unwrap().at.is_some());
    }

    #[test]
    fn what_stood_before_there_was_an_outbox_has_nothing_to_tell() {
        let conn = Connection::open_in_memory().unwrap();
        migrate_by(&MIGRATIONS[..3], &conn).unwrap();
        conn.execute(
            "INSERT INTO rooms (key, id, kind, head) VALUES (1, 'sos-1', 'sos', 5)",
            [],
        )
        .unwrap();
        let done = migrate(&conn).unwrap();
        assert_eq!((done.from, done.to), (3, LATEST));
        for table in ["outbox", "dead_letters"] {
            let sql = format!("SELECT count(*) FROM {table}");
            let rows: i64 = conn.query_row(&sql, [], |row| row.get(0)).unwrap();
            assert_eq!(rows, 0, "{table}");
        }
    }

    #[test]
    fn a_rebuild_that_was_interrupted_goes_on_where_it_stopped() {
        let conn = Connection::open_in_memory().unwrap();
        migrate(&conn).unwrap();
        for key in 1..=3 {
            let sql = "INSERT INTO rooms (key, id, members) VALUES (?1, ?2, 77)";
            conn.execute(sql, params![key, format!("room-{key}")]).unwrap();
        }
        conn.execute("INSERT INTO unfinished (task, reached) VALUES ('rebuild', 1)", [])
            .unwrap();
        assert!(status(&conn).unwrap().rebuild_due);
        assert_eq!(migrate(&conn).unwrap().rebuilt, Some(0), "none of them has a log");
        assert!(status(&conn).unwrap().is_current());
        let members: Vec<i64> = conn
            .prepare("SELECT members FROM rooms ORDER BY key")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(members, [77, 0, 0], "the first had been done");
    }

    #[test]
    fn a_migration_may_ask_for_a_rebuild_after_it() {
        let conn = Connection::open_in_memory().unwrap();
        let plan = [
            first(),
            Migration {
                rebuilds: true,
                ..migration("0002_more", "CREATE TABLE more (a INTEGER) STRICT;")
            },
        ];
        let done = migrate_by(&plan, &conn).unwrap();
        assert_eq!(done.rebuilt, Some(0));
        assert!(status_by(&plan, &conn).unwrap().is_current());
    }
}
