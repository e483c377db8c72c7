//! `mayday migrate`: what it does and what it says.

use std::fmt::Write as _;

use super::{AppError, Opened, open_store, settings};
use crate::config::{Config, StoreUrl};
use crate::store::embedded::Rehearsal;
use crate::store::schema::{Applied, Migrated, MigrationStep, SchemaStatus};
use crate::store::{Embedded, Mongo};
use crate::wire::stamp;

/// Brings the store to this version's form; with `rebuild`, builds its projections anew from the logs.
///
/// # Errors
/// When the store cannot be opened or read.
pub fn migrate(config: Config, rebuild: bool) -> Result<(), AppError> {
    let migrated = match &config.store.url {
        StoreUrl::Embedded => Embedded::migrate(&config.data.path)?,
        StoreUrl::Mongo(url) => wait(Mongo::migrate(settings::mongo(&config, url)))?,
    };
    print!("{}", done(&migrated));
    if rebuild {
        wait(async move {
            let Opened { store, .. } = open_store(&config).await?;
            let rooms = store.rebuild().await?;
            store.close().await;
            println!("rebuilt the projections of {rooms} rooms");
            Ok::<(), AppError>(())
        })?;
    }
    Ok(())
}

/// Says which migrations the store has and which are pending. The engine may run meanwhile.
///
/// # Errors
/// When the store cannot be read, a newer program wrote it, or an applied migration has changed.
pub fn migration_status(config: &Config) -> Result<(), AppError> {
    let status = match &config.store.url {
        StoreUrl::Embedded => Embedded::status(&config.data.path)?,
        StoreUrl::Mongo(url) => wait(Mongo::status(settings::mongo(config, url)))?,
    };
    print!("{}", table(&status));
    Ok(())
}

/// Says what [`migrate`] would do, and proves it on a copy, or on an empty database where the store is MongoDB. The
/// engine may run meanwhile.
///
/// # Errors
/// As [`migrate`], when the copy cannot be made or migrated.
pub fn rehearse_migration(config: &Config) -> Result<(), AppError> {
    match &config.store.url {
        StoreUrl::Embedded => print!("{}", tried(&Embedded::rehearse(&config.data.path)?)),
        StoreUrl::Mongo(url) => {
            let migrated = wait(Mongo::rehearse(settings::mongo(config, url)))?;
            print!("{}", tried_beside(&migrated));
        }
    }
    Ok(())
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    actix_rt::System::new().block_on(work)
}

/// What a rehearsal on an empty database tells.
fn tried_beside(migrated: &Migrated) -> String {
    if migrated.from == migrated.to {
        return format!(
            "schema version {} of {}: nothing to do\n",
            migrated.from, migrated.to
        );
    }
    format!(
        "{}schema version {} to {}, tried on an empty database beside this one; nothing was changed\n",
        steps(&migrated.applied),
        migrated.from,
        migrated.to
    )
}

fn done(migrated: &Migrated) -> String {
    let mut text = steps(&migrated.applied);
    if let Some(rooms) = migrated.rebuilt {
        let _ = writeln!(text, "rebuilt the projections of {rooms} rooms");
    }
    let _ = writeln!(text, "schema version {} of {}", migrated.to, migrated.to);
    text
}

fn steps(applied: &[MigrationStep]) -> String {
    let mut text = String::new();
    for step in applied {
        let took = step.applied.and_then(|applied| applied.took).unwrap_or_default();
        let _ = writeln!(text, "applied {} in {took:.1?}", step.name);
    }
    text
}

fn table(status: &SchemaStatus) -> String {
    let mut text = format!("schema version {} of {}\n", status.version, status.latest);
    for step in &status.steps {
        let when = match step.applied {
            None => "pending".to_owned(),
            Some(Applied { at: Some(at), .. }) => format!("applied {}", stamp::rfc3339_text(at)),
            Some(Applied { at: None, .. }) => "applied before versions were noted".to_owned(),
        };
        let _ = writeln!(text, "  {:<24} {when:<36} sha256 {}", step.name, step.checksum);
    }
    if status.rebuild_due {
        text.push_str("  the projections are to be built anew\n");
    }
    text
}

fn tried(rehearsal: &Rehearsal) -> String {
    let Rehearsal {
        migrated,
        tables,
        bytes,
        took,
    } = rehearsal;
    if migrated.from == migrated.to {
        return format!(
            "schema version {} of {}: nothing to do\n",
            migrated.from, migrated.to
        );
    }
    let mut text = steps(&migrated.applied);
    for (name, before, after) in tables {
        let rows = |rows: &Option<u64>| rows.map_or_else(|| "-".to_owned(), |rows| rows.to_string());
        let _ = writeln!(
            text,
            "  {name:<24} {:>12} -> {:>12} rows",
            rows(before),
            rows(after)
        );
    }
    if let Some(rooms) = migrated.rebuilt {
        let _ = writeln!(text, "rebuilt the projections of {rooms} rooms");
    }
    let _ = writeln!(
        text,
        "schema version {} to {} took {took:.1?} on a copy of {} KiB; nothing was changed",
        migrated.from,
        migrated.to,
        bytes / 1024
    );
    text
}
