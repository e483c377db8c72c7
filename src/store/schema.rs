//! Where the form of what is stored stands: its versions, and what was or would be done to bring it up to date.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::domain::time::Timestamp;

/// By what a migration's text is recognised: its SHA-256, in hex.
pub(crate) fn checksum(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// One migration, and whether a database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationStep {
    /// The version it leads to.
    pub version: usize,
    /// Its name, as its file's.
    pub name: String,
    /// SHA-256 of its text, in hex.
    pub checksum: String,
    /// How and when it was applied; `None`: not yet.
    pub applied: Option<Applied>,
}

/// A migration that was applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// When; unknown when a program without the ledger did it.
    pub at: Option<Timestamp>,
    /// How long it took; unknown likewise.
    pub took: Option<Duration>,
}

/// The schema's version in a database, and the one that this program writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaStatus {
    /// What the database has; 0: nothing yet.
    pub version: usize,
    /// What this program has.
    pub latest: usize,
    /// Every migration that this program knows.
    pub steps: Vec<MigrationStep>,
    /// A rebuild of the projections is due or was interrupted.
    pub rebuild_due: bool,
}

impl SchemaStatus {
    /// Whether there is nothing to do.
    pub fn is_current(&self) -> bool {
        self.version == self.latest && !self.rebuild_due
    }
}

/// What a migration did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migrated {
    /// The version before.
    pub from: usize,
    /// The version now.
    pub to: usize,
    /// What was applied, in order.
    pub applied: Vec<MigrationStep>,
    /// How many rooms' projections were made anew, when that followed.
    pub rebuilt: Option<u64>,
}
