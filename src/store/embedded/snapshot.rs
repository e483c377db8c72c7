//! A copy of a database that may be in use, as it was at one moment.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::schema::BUSY_TIMEOUT;
use crate::store::contract::StoreError;

/// Pages that are copied at once, 1 MiB of them.
const STEP_PAGES: i32 = 256;
/// How many such steps are copied before they are put on disk: a great flush at the end would hold up the
/// writer's own, which an SOS waits for.
const SYNC_EVERY: u32 = 4;
/// The pause after each step, which leaves the disk and the processors to the engine.
const BREATH: Duration = Duration::from_millis(2);
/// The pause when somebody else has the database for themselves.
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// A file of ours that goes away unless it is kept.
pub(super) struct Draft(Option<PathBuf>);

impl Draft {
    /// An empty file that nobody else may read; one that is there already is replaced.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        remove(path)?;
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| unavailable("a file cannot be made", &error))?;
        Ok(Self(Some(path.to_path_buf())))
    }

    pub fn path(&self) -> &Path {
        self.0.as_deref().expect("invariant: until it is kept")
    }

    /// Gives it its final name, which nobody ever sees with half of it; what had that name is replaced.
    pub fn keep_as(mut self, path: &Path) -> Result<(), StoreError> {
        let failed = |error: std::io::Error| unavailable("a file cannot be put in place", &error);
        File::open(self.path())
            .and_then(|file| file.sync_all())
            .map_err(failed)?;
        std::fs::rename(self.path(), path).map_err(failed)?;
        self.0 = None;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))
            .and_then(|folder| folder.sync_all())
            .map_err(failed)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            // What cannot be removed is replaced the next time.
            let _ = remove(&path);
        }
    }
}

/// Removes a database's file with what SQLite keeps beside it.
fn remove(path: &Path) -> Result<(), StoreError> {
    for suffix in ["", "-journal", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(unavailable("an old file cannot be removed", &error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Copies the database of `from` into `draft`. Whoever writes to it goes on: the copy reads in one transaction,
/// and so sees one moment and need not begin anew.
pub(super) fn copy(from: &Connection, draft: &Draft) -> Result<(), StoreError> {
    from.execute_batch("BEGIN")?;
    let copied = copy_pages(from, draft);
    let ended = from.execute_batch("ROLLBACK");
    copied?;
    ended?;
    // The copy is one file: the write-ahead log's mode, which came with the first page, needs three.
    let conn = open(draft.path())?;
    conn.pragma_update(None, "journal_mode", "DELETE")?;
    Ok(())
}

fn copy_pages(from: &Connection, draft: &Draft) -> Result<(), StoreError> {
    // A transaction begins with its first read.
    from.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))?;
    let mut to = open(draft.path())?;
    let backup = Backup::new(from, &mut to)?;
    let file = File::open(draft.path()).map_err(|error| unavailable("the copy cannot be read", &error))?;
    let mut steps = 0_u32;
    loop {
        match backup.step(STEP_PAGES)? {
            StepResult::Done => break,
            StepResult::More => {
                steps += 1;
                if steps.is_multiple_of(SYNC_EVERY) {
                    file.sync_data()
                        .map_err(|error| unavailable("the copy cannot be put on disk", &error))?;
                }
                std::thread::sleep(BREATH);
            }
            _ => std::thread::sleep(BUSY_PAUSE),
        }
    }
    drop(backup);
    Ok(())
}

/// A connection to a copy that is ours alone.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    // It is put on disk as a whole before it counts.
    conn.pragma_update(None, "synchronous", "OFF")?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update(None, "secure_delete", "ON")?;
    Ok(conn)
}

pub(super) fn unavailable(what: &str, error: &std::io::Error) -> StoreError {
    StoreError::Unavailable(format!("{what}: {}", error.kind()))
}
