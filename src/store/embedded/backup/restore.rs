//! Brings a backup back: looks through it, brings it to this version's form, and puts it in place, or hands it to
//! the engine that runs.

use std::fs::File;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::file::{BackupError, Manifest, extract, failed};
use super::make::put_secrets;
use crate::domain::time::Timestamp;
use crate::store::contract::StoreError;
use crate::store::embedded::gone::{self, Marker};
use crate::store::embedded::options::{EmbeddedOptions, FILE};
use crate::store::embedded::snapshot::{self, Draft};
use crate::store::embedded::sql::Db;
use crate::store::embedded::writes::Writes;
use crate::store::embedded::{feed, migrations, privacy, revival, schema};

/// Where a restore is prepared, in the data folder.
const FOLDER: &str = "restore";

/// What a restore may do.
#[derive(Clone, Copy, Debug, Default)]
pub struct RestoreOptions {
    /// Put a database that is there aside, and replace keys that differ.
    pub force: bool,
    /// Put back the keys that the backup holds.
    pub secrets: bool,
}

/// A backup that was looked through and waits to be used.
pub struct Staged {
    data: PathBuf,
    draft: Draft,
    /// Held until it is used.
    #[expect(dead_code, reason = "it is its lock that counts")]
    turn: File,
    marker: Option<Marker>,
    /// What it holds.
    pub manifest: Manifest,
}

/// What became of a backup.
#[derive(Debug)]
pub enum Restored {
    /// It is the store now.
    InPlace {
        /// Where the old database is, if there was one.
        aside: Option<PathBuf>,
        /// Keys that differ from the backup's and stayed.
        kept_secrets: Vec<String>,
    },
    /// The engine runs and has been given it.
    HandedOver(Incoming),
}

/// A backup that an engine is to merge, and where it says how that goes.
#[derive(Clone, Debug)]
pub struct Incoming {
    folder: PathBuf,
}

impl Incoming {
    /// Of this data folder.
    pub fn of(data: &Path) -> Self {
        Self {
            folder: data.join(FOLDER),
        }
    }

    /// The database; it is there as long as there is something to do.
    pub fn database(&self) -> PathBuf {
        self.folder.join("incoming.db")
    }

    /// The backup's manifest, without secrets.
    pub fn manifest(&self) -> PathBuf {
        self.folder.join("incoming.json")
    }

    /// What the engine says of it.
    pub fn status(&self) -> PathBuf {
        self.folder.join("status.json")
    }

    /// Says how it goes; whoever follows sees all of it or what was said before.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn tell(&self, status: &impl serde::Serialize) -> std::io::Result<()> {
        let draft = self.folder.join("status.part");
        std::fs::write(&draft, serde_json::to_vec(status)?)?;
        std::fs::rename(draft, self.status())
    }

    /// The manifest of what is to be merged.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_manifest(&self) -> Result<Manifest, BackupError> {
        let page = std::fs::read(self.manifest()).map_err(failed("the restore's manifest cannot be read"))?;
        serde_json::from_slice(&page).map_err(|_| BackupError::Damaged("its manifest cannot be read"))
    }

    /// Takes it back, or away when it is done.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn withdraw(&self) -> Result<(), BackupError> {
        for path in [self.database(), self.manifest()] {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(failed("the restore's files cannot be removed")(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Looks through a whole backup and makes a database of this version of it, in a draft in `data`.
///
/// # Errors
/// When the backup is damaged, of a newer version, or there is no room for it.
pub fn stage(data: &Path, backup: &Path) -> Result<Staged, BackupError> {
    let folder = data.join(FOLDER);
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(failed("the data folder cannot be used"))?;
    // One at a time: what one that was killed has left is replaced by the next.
    let turn = File::create(folder.join("turn")).map_err(failed("the data folder cannot be used"))?;
    turn.try_lock().map_err(|_| BackupError::Waiting)?;
    let draft = Draft::create(&folder.join("draft.db"))?;
    let manifest = extract(backup, draft.path())?;
    let conn = snapshot::open(draft.path())?;
    let whole: String = conn
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(StoreError::from)?;
    if whole != "ok" {
        return Err(BackupError::Damaged("its database fails the integrity check"));
    }
    migrations::migrate(&conn)?;
    feed::begin_anew(&conn)?;
    revival::outdate(&conn)?;
    drop(conn);
    Ok(Staged {
        data: data.to_path_buf(),
        draft,
        turn,
        marker: None,
        manifest,
    })
}

impl Staged {
    /// By this key those who were erased in the store that is replaced stay erased.
    #[must_use]
    pub fn with_erasure_secret(mut self, secret: Option<&[u8]>) -> Self {
        self.marker = secret.map(Marker::new);
        self
    }

    /// Makes it the store, or hands it to the engine that has the folder.
    ///
    /// # Errors
    /// When there is a store already and `force` is not given; when files cannot be moved.
    pub fn restore(self, options: RestoreOptions, now: Timestamp) -> Result<Restored, BackupError> {
        match schema::try_lock(&self.data)? {
            Some(lock) => self.place(options, &lock, now),
            None => self.hand_over(),
        }
    }

    fn place(self, options: RestoreOptions, _lock: &File, now: Timestamp) -> Result<Restored, BackupError> {
        let file = self.data.join(FILE);
        let mut aside = None;
        if file.exists() {
            let found = self.inspect()?;
            if found > 0 && !options.force {
                return Err(BackupError::NotEmpty(found));
            }
            let path = self.data.join(format!("{FILE}.before-restore-{}", now.ms()));
            if found > 0 {
                put_aside(&file, &path)?;
                aside = Some(path);
            }
            remove_beside(&file)?;
        }
        self.draft.keep_as(&file)?;
        // What an engine did not come to merge is of another store.
        Incoming::of(&self.data).withdraw()?;
        let kept_secrets = if options.secrets {
            put_secrets(&self.data, &self.manifest.secrets, options.force)?
        } else {
            Vec::new()
        };
        Ok(Restored::InPlace { aside, kept_secrets })
    }

    /// How much the store holds that matters; one that cannot be read counts as one that does. Its write-ahead log
    /// is empty afterwards, and who was erased in it is erased from the draft, too.
    fn inspect(&self) -> Result<u64, BackupError> {
        let look = || -> Result<u64, StoreError> {
            let conn = schema::open_writer(&EmbeddedOptions::new(&self.data))?;
            let tables = migrations::counts(&conn)?;
            let matter = ["events", "contacts", "devices"];
            let rows = tables
                .iter()
                .filter(|(name, _)| matter.contains(&name.as_str()))
                .map(|(_, rows)| rows)
                .sum();
            let busy: bool = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
            if busy {
                return Err(StoreError::Unavailable(
                    "another process reads the database".into(),
                ));
            }
            keep_erased(&conn, self)?;
            Ok(rows)
        };
        match look() {
            Ok(rows) => Ok(rows),
            Err(StoreError::Corrupt(_)) => Ok(u64::MAX),
            Err(error) => Err(error.into()),
        }
    }

    fn hand_over(self) -> Result<Restored, BackupError> {
        let incoming = Incoming::of(&self.data);
        if incoming.database().exists() {
            return Err(BackupError::Waiting);
        }
        let unwritten = || failed("the restore cannot be handed over");
        let _ = std::fs::remove_file(incoming.status());
        let told = Manifest {
            secrets: Default::default(),
            ..self.manifest
        };
        let page = serde_json::to_vec(&told).map_err(|_| BackupError::Damaged("its manifest"))?;
        let draft = Draft::create(&incoming.folder.join("draft.json"))?;
        std::fs::write(draft.path(), page).map_err(unwritten())?;
        draft.keep_as(&incoming.manifest())?;
        // This is what the engine looks for.
        self.draft.keep_as(&incoming.database())?;
        Ok(Restored::HandedOver(incoming))
    }
}

/// Takes over from `old` who was erased there since the backup was begun, and erases them from the draft.
fn keep_erased(old: &Connection, staged: &Staged) -> Result<(), StoreError> {
    let Some(marker) = &staged.marker else {
        return Ok(());
    };
    if !migrations::has_table(old, "gone")? {
        return Ok(());
    }
    let begun = Timestamp::from_ms(staged.manifest.begun_at_ms);
    let draft = snapshot::open(staged.draft.path())?;
    let mut writes = Writes::new(Db::new(&draft))?;
    writes.begin()?;
    for (mark, at) in gone::all(&mut Db::new(old))? {
        gone::put(&mut writes, &mark, at)?;
    }
    for subject in gone::subjects(&mut writes.db)? {
        if marker.is_gone(&mut writes.db, &subject, begun)? {
            privacy::erase(&mut writes, &subject, begun)?;
        }
    }
    while !privacy::clear(&mut writes)?.1 {}
    writes.commit()?;
    drop(writes);
    // What was erased is not gone while its pages wait to be used again.
    draft.execute_batch("VACUUM")?;
    Ok(())
}

/// Gives the database a second name, under which it stays.
fn put_aside(file: &Path, aside: &Path) -> Result<(), BackupError> {
    for suffix in ["", "-wal"] {
        let (from, to) = (with(file, suffix), with(aside, suffix));
        if from.exists() {
            std::fs::hard_link(from, to).map_err(failed("the old database cannot be put aside"))?;
        }
    }
    Ok(())
}

/// A write-ahead log that stays would be taken for the new database's.
fn remove_beside(file: &Path) -> Result<(), BackupError> {
    for suffix in ["-wal", "-shm"] {
        match std::fs::remove_file(with(file, suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed("the old database's log cannot be removed")(error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
