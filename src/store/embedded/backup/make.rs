//! Makes a backup of a data folder that may be in use.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::file::{BackupError, Manifest, failed, seal};
use crate::domain::time::Timestamp;
use crate::store::embedded::snapshot::{self, Draft};
use crate::store::embedded::{migrations, schema};

/// Where the data folder keeps its keys.
const SECRETS: &str = "secrets";
/// A file of keys is a line; what is longer is none.
const SECRET_MAX_BYTES: u64 = 65_536;

/// How a backup is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct BackupOptions {
    /// Replace a file that is there.
    pub force: bool,
    /// Keep the data folder's keys in it, too.
    pub secrets: bool,
}

/// Copies the store in `data`, as it is at this moment, to the file `to`, which nobody else may read. Whatever was
/// acknowledged before this was called is in it.
///
/// # Errors
/// When there is nothing to copy, the file is there already, or it cannot be written.
pub fn backup(
    data: &Path,
    to: &Path,
    options: BackupOptions,
    now: Timestamp,
) -> Result<Manifest, BackupError> {
    refuse_existing(to, options)?;
    let conn = schema::open_visitor(data)?.ok_or(BackupError::Nothing)?;
    let schema = migrations::status(&conn)?.version;
    let draft = Draft::create(&beside(to))?;
    snapshot::copy(&conn, &draft)?;
    drop(conn);
    let copy = snapshot::open(draft.path())?;
    schema::check(&copy)?;
    let rows = migrations::counts(&copy)?.into_iter().collect();
    drop(copy);
    let unread = failed("the copy cannot be read");
    let manifest = Manifest {
        begun_at_ms: now.ms(),
        program: env!("CARGO_PKG_VERSION").into(),
        schema,
        database_bytes: std::fs::metadata(draft.path()).map_err(unread)?.len(),
        rows,
        secrets: if options.secrets {
            secrets(data)?
        } else {
            BTreeMap::new()
        },
    };
    seal(draft.path(), &manifest)?;
    refuse_existing(to, options)?;
    draft.keep_as(to)?;
    Ok(manifest)
}

fn refuse_existing(to: &Path, options: BackupOptions) -> Result<(), BackupError> {
    if to.exists() && !options.force {
        return Err(BackupError::Exists(to.display().to_string()));
    }
    Ok(())
}

/// The name that the backup has until it is whole.
fn beside(to: &Path) -> PathBuf {
    let mut name: OsString = to.as_os_str().to_owned();
    name.push(format!(".part-{}", std::process::id()));
    name.into()
}

/// The keys, by the names of their files.
fn secrets(data: &Path) -> Result<BTreeMap<String, String>, BackupError> {
    let unread = || failed("the secrets cannot be read");
    let entries = match std::fs::read_dir(data.join(SECRETS)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        entries => entries.map_err(unread())?,
    };
    let mut found = BTreeMap::new();
    for entry in entries {
        let entry = entry.map_err(unread())?;
        let metadata = entry.metadata().map_err(unread())?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if metadata.is_file() && metadata.len() <= SECRET_MAX_BYTES && !name.starts_with('.') {
            let text = std::fs::read_to_string(entry.path()).map_err(unread())?;
            found.insert(name, text);
        }
    }
    Ok(found)
}

/// Puts keys back that are not there; answers those that are there and differ, which stay unless `force`.
pub(super) fn put_secrets(
    data: &Path,
    secrets: &BTreeMap<String, String>,
    force: bool,
) -> Result<Vec<String>, BackupError> {
    let unwritten = || failed("the secrets cannot be written");
    let folder = data.join(SECRETS);
    if !secrets.is_empty() {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(unwritten())?;
    }
    let mut kept = Vec::new();
    for (name, text) in secrets {
        // A name out of a file: it must not lead anywhere else.
        if name.contains(['/', '\0']) || name.starts_with('.') {
            return Err(BackupError::Damaged("a secret has a name that is none"));
        }
        let path = folder.join(name);
        match std::fs::read_to_string(&path) {
            Ok(there) if there == *text => continue,
            Ok(_) if !force => {
                kept.push(name.clone());
                continue;
            }
            _ => {}
        }
        let draft = Draft::create(&folder.join(format!(".draft-{name}")))?;
        std::fs::write(draft.path(), text).map_err(unwritten())?;
        draft.keep_as(&path)?;
    }
    Ok(kept)
}
