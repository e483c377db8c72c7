//! How an embedded store is opened, and the file it lives in.

use std::path::{Path, PathBuf};

use super::gone::Marker;

/// The database's file in the data folder.
pub(super) const FILE: &str = "mayday.db";
/// Held by the process that has the folder open.
pub(super) const LOCK: &str = "mayday.lock";
/// The copy on which a migration is tried.
pub(super) const REHEARSAL: &str = "rehearsal.db";

/// How to open an embedded store.
#[derive(Clone)]
pub struct EmbeddedOptions {
    /// The data folder; it is made when it is missing.
    pub path: PathBuf,
    /// The most writes that may wait. Positions and records are refused from three quarters on, so that an
    /// SOS still gets in.
    pub writer_queue_max_ops: usize,
    /// The most writes in one transaction.
    pub group_max_ops: usize,
    /// The most rows in one transaction, so that a great batch of positions does not keep an SOS waiting.
    pub group_max_rows: usize,
    /// Reader threads.
    pub readers: usize,
    /// The most reads that may wait.
    pub reader_queue_max: usize,
    /// The page cache of the writer, in KiB.
    pub writer_cache_kib: u32,
    /// The page cache of each reader, in KiB.
    pub reader_cache_kib: u32,
    /// The write-ahead log is moved into the database file from this size on when nothing waits, in KiB.
    pub checkpoint_kib: u32,
    /// And from this size on whatever waits, in KiB.
    pub checkpoint_max_kib: u32,
    /// The most open incidents whose list is kept in memory. While there are more, lists are read from the file.
    pub open_incidents_max: usize,
    /// Messages that one search looks through before it says where it stopped.
    pub search_max_messages: usize,
    /// Look through the whole file for damage before using it.
    pub check_integrity: bool,
    /// The key of the marks by which a backup knows whom not to bring back; `None`: the erased leave no mark.
    pub erasure_secret: Option<Vec<u8>>,
    /// Note what incidents have to tell.
    pub feed: bool,
    /// Bring an older schema up to date; otherwise it is refused.
    pub migrate: bool,
}

impl EmbeddedOptions {
    /// The usual settings for a data folder.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_path_buf(),
            writer_queue_max_ops: 50_000,
            group_max_ops: 4_000,
            group_max_rows: 20_000,
            readers: 2,
            reader_queue_max: 10_000,
            writer_cache_kib: 64 * 1024,
            reader_cache_kib: 8 * 1024,
            checkpoint_kib: 4 * 1024,
            checkpoint_max_kib: 128 * 1024,
            open_incidents_max: 100_000,
            search_max_messages: 20_000,
            check_integrity: true,
            erasure_secret: None,
            feed: false,
            migrate: true,
        }
    }

    pub(super) fn marker(&self) -> Option<Marker> {
        self.erasure_secret.as_deref().map(Marker::new)
    }

    pub(super) fn file(&self) -> PathBuf {
        self.path.join(FILE)
    }
}
