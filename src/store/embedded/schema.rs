//! The data folder: its lock, and the connections to its file.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::options::{EmbeddedOptions, FILE, LOCK};
use crate::store::contract::StoreError;

/// How long a connection waits for one of another process, a backup say.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Takes the folder for this process, or says that another one has it.
pub(super) fn lock(path: &Path) -> Result<File, StoreError> {
    try_lock(path)?.ok_or_else(|| StoreError::Unavailable("another process uses the data folder".into()))
}

/// Takes the folder for this process; `None`: another one has it.
pub(super) fn try_lock(path: &Path) -> Result<Option<File>, StoreError> {
    let unavailable =
        |what: &str, error: &std::io::Error| StoreError::Unavailable(format!("{what}: {}", error.kind()));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| unavailable("the data folder cannot be made", &error))?;
    let file =
        private(&path.join(LOCK)).map_err(|error| unavailable("the data folder cannot be locked", &error))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => {
            Err(unavailable("the data folder cannot be locked", &error))
        }
    }
}

fn private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)
}

/// The connection that writes.
pub(super) fn open_writer(options: &EmbeddedOptions) -> Result<Connection, StoreError> {
    // SQLite gives its log files the mode of the file they belong to.
    private(&options.file()).map_err(|error| {
        StoreError::Unavailable(format!("the database file cannot be opened: {}", error.kind()))
    })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(options.file(), flags)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "secure_delete", "ON")?;
    conn.pragma_update(None, "foreign_keys", "ON")?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update(None, "cache_size", -i64::from(options.writer_cache_kib))?;
    // A fault in a mapped page kills the process; one in a read is an error.
    conn.pragma_update(None, "mmap_size", 0)?;
    // A log that begins anew is cut to this, so that its length tells how much is in it.
    conn.pragma_update(
        None,
        "journal_size_limit",
        i64::from(options.checkpoint_kib) * 1024,
    )?;
    // The writer does it itself, after it has answered those who wait.
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(conn)
}

/// A connection that only reads.
pub(super) fn open_reader(options: &EmbeddedOptions) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(options.file(), flags)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.pragma_update(None, "query_only", "ON")?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update(None, "cache_size", -i64::from(options.reader_cache_kib))?;
    conn.pragma_update(None, "mmap_size", 0)?;
    Ok(conn)
}

/// Looks through the file for damage.
pub(super) fn check(conn: &Connection) -> Result<(), StoreError> {
    let found: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" {
        Ok(())
    } else {
        Err(StoreError::Corrupt(
            "the database file fails its integrity check: restore a backup".into(),
        ))
    }
}

/// A connection to a folder's database that may be in use, to read only; `None` when there is none.
pub(super) fn open_visitor(path: &Path) -> Result<Option<Connection>, StoreError> {
    let file = path.join(FILE);
    if !file.exists() {
        return Ok(None);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(file, flags)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    Ok(Some(conn))
}
