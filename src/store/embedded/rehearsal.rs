//! What a migration would do, found out by doing it to a copy.

use std::path::Path;
use std::time::{Duration, Instant};

use super::migrations;
use super::snapshot::{self, Draft};
use super::{options, schema};
use crate::store::contract::StoreError;
use crate::store::schema::Migrated;

/// A migration that was tried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rehearsal {
    /// What it did to the copy.
    pub migrated: Migrated,
    /// Every table with its rows before and after; `None`: there is no such table then.
    pub tables: Vec<(String, Option<u64>, Option<u64>)>,
    /// The copy's size in bytes.
    pub bytes: u64,
    /// How long all of the migrations took; the copying is not counted.
    pub took: Duration,
}

/// Migrates a copy of a folder's database, which may be in use, looks through it, and throws it away.
pub(super) fn rehearse(path: &Path) -> Result<Rehearsal, StoreError> {
    let Some(conn) = schema::open_visitor(path)? else {
        return Ok(Rehearsal {
            migrated: Migrated {
                to: migrations::LATEST,
                ..Migrated::default()
            },
            ..Rehearsal::default()
        });
    };
    // Before anything is copied: what a newer program wrote is refused.
    migrations::status(&conn)?;
    let draft = Draft::create(&path.join(options::REHEARSAL))?;
    snapshot::copy(&conn, &draft)?;
    drop(conn);
    let copy = snapshot::open(draft.path())?;
    let before = migrations::counts(&copy)?;
    let begun = Instant::now();
    let migrated = migrations::migrate(&copy)?;
    let took = begun.elapsed();
    schema::check(&copy)?;
    let after = migrations::counts(&copy)?;
    drop(copy);
    let bytes = std::fs::metadata(draft.path()).map_or(0, |file| file.len());
    Ok(Rehearsal {
        migrated,
        tables: beside(&before, &after),
        bytes,
        took,
    })
}

/// The rows of each table before and after.
fn beside(before: &[(String, u64)], after: &[(String, u64)]) -> Vec<(String, Option<u64>, Option<u64>)> {
    let rows = |all: &[(String, u64)], name: &str| {
        all.iter().find(|(table, _)| table == name).map(|(_, rows)| *rows)
    };
    let mut names: Vec<&String> = before.iter().chain(after).map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .map(|name| (name.clone(), rows(before, name), rows(after, name)))
        .collect()
}
