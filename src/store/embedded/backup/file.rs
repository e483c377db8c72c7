//! What a backup looks like on disk: a database, then a page about it, then the checksum of both.
//!
//! `database | manifest (JSON) | its length (4 bytes) | SHA-256 of all before | "MAYDAYB1"`, numbers little-endian.
//! The database comes first, so that SQLite's own tools open the file as it is.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::store::contract::StoreError;

const MAGIC: &[u8; 8] = b"MAYDAYB1";
const DIGEST_BYTES: usize = 32;
/// The manifest's length, the checksum and the magic word.
const TAIL_BYTES: usize = 4 + DIGEST_BYTES + MAGIC.len();
/// A manifest is a page; a length beyond this is damage.
const MANIFEST_MAX_BYTES: u64 = 1 << 20;
const CHUNK_BYTES: usize = 1 << 20;

/// What a backup holds.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// When it was begun, Unix ms: what was acknowledged before is in it.
    pub begun_at_ms: i64,
    /// The program that made it.
    pub program: String,
    /// The schema's version.
    pub schema: usize,
    /// The database's size.
    pub database_bytes: u64,
    /// Rows of each table.
    pub rows: BTreeMap<String, u64>,
    /// The files of the data folder's `secrets`, when they were asked for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
}

/// Names the secrets and does not tell them.
impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manifest")
            .field("begun_at_ms", &self.begun_at_ms)
            .field("program", &self.program)
            .field("schema", &self.schema)
            .field("database_bytes", &self.database_bytes)
            .field("rows", &self.rows)
            .field("secrets", &self.secrets.keys())
            .finish()
    }
}

/// Why there is no backup, or none that can be restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file is there already.
    #[error("{0} exists: name another file, or add --force to replace it")]
    Exists(String),
    /// There is nothing to keep.
    #[error("the data folder holds no database")]
    Nothing,
    /// It ends otherwise than backups do.
    #[error("not a backup of Mayday, or its end is missing")]
    Foreign,
    /// It is not what was written.
    #[error("the backup is damaged: {0}")]
    Damaged(&'static str),
    /// There is something that would be lost.
    #[error(
        "the data folder holds a database with {0} events: add --force to put it aside, or start the engine and \
             restore into it, which loses nothing"
    )]
    NotEmpty(u64),
    /// A restore is going on.
    #[error("another restore is being prepared, or waits for the engine")]
    Waiting,
    /// The files.
    #[error("{0}: {1}")]
    Io(&'static str, io::ErrorKind),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(super) fn failed(what: &'static str) -> impl Fn(io::Error) -> BackupError {
    move |error| BackupError::Io(what, error.kind())
}

/// Ends a file that holds a database: it is a backup then. The file is not yet on disk.
pub(super) fn seal(path: &Path, manifest: &Manifest) -> Result<(), BackupError> {
    let page =
        serde_json::to_vec(manifest).map_err(|_| BackupError::Damaged("its manifest cannot be written"))?;
    let length = u32::try_from(page.len()).map_err(|_| BackupError::Damaged("its manifest is too long"))?;
    let add = || -> io::Result<()> {
        let mut hash = Sha256::new();
        let mut file = OpenOptions::new().read(true).append(true).open(path)?;
        file.seek(SeekFrom::Start(0))?;
        let read = each_chunk(&mut file, manifest.database_bytes, |chunk| {
            hash.update(chunk);
            Ok(())
        })?;
        if !read {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        hash.update(&page);
        hash.update(length.to_le_bytes());
        let mut tail = page;
        tail.extend_from_slice(&length.to_le_bytes());
        tail.extend_from_slice(&hash.finalize());
        tail.extend_from_slice(MAGIC);
        file.write_all(&tail)
    };
    add().map_err(failed("the backup cannot be written"))
}

/// Looks through a whole backup and copies its database to `to`. What is there is worth something only when this
/// answers.
pub(super) fn extract(path: &Path, to: &Path) -> Result<Manifest, BackupError> {
    let mut file = File::open(path).map_err(failed("the backup cannot be opened"))?;
    let mut to = OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(to)
        .map_err(failed("the database cannot be written"))?;
    let unread = failed("the backup cannot be read");
    let size = file.metadata().map_err(&unread)?.len();
    let (length, wanted) = tail(&mut file, size)?;
    let page_at = size - TAIL_BYTES as u64 - u64::from(length);
    let mut page = vec![0; length as usize];
    file.seek(SeekFrom::Start(page_at)).map_err(&unread)?;
    file.read_exact(&mut page).map_err(&unread)?;

    let mut hash = Sha256::new();
    file.seek(SeekFrom::Start(0)).map_err(&unread)?;
    let mut file = BufReader::with_capacity(CHUNK_BYTES, file);
    let copied = each_chunk(&mut file, page_at, |chunk| {
        hash.update(chunk);
        to.write_all(chunk)
    });
    if !copied.map_err(failed("the database cannot be copied"))? {
        return Err(BackupError::Damaged("it became shorter while it was read"));
    }
    hash.update(&page);
    hash.update(length.to_le_bytes());
    if hash.finalize()[..] != wanted {
        return Err(BackupError::Damaged("its checksum is wrong"));
    }
    let manifest: Manifest =
        serde_json::from_slice(&page).map_err(|_| BackupError::Damaged("its manifest cannot be read"))?;
    if manifest.database_bytes != page_at {
        return Err(BackupError::Damaged("its database has another size than it says"));
    }
    to.sync_all()
        .map_err(failed("the database cannot be put on disk"))?;
    Ok(manifest)
}

/// The manifest's length and the checksum.
fn tail(file: &mut File, size: u64) -> Result<(u32, [u8; DIGEST_BYTES]), BackupError> {
    if size < TAIL_BYTES as u64 {
        return Err(BackupError::Foreign);
    }
    let mut tail = [0; TAIL_BYTES];
    let unread = failed("the backup cannot be read");
    file.seek(SeekFrom::Start(size - TAIL_BYTES as u64))
        .map_err(&unread)?;
    file.read_exact(&mut tail).map_err(&unread)?;
    let (length, rest) = tail.split_at(4);
    let (digest, magic) = rest.split_at(DIGEST_BYTES);
    if magic != MAGIC {
        return Err(BackupError::Foreign);
    }
    let length = u32::from_le_bytes(length.try_into().expect("invariant: four bytes"));
    if u64::from(length) > MANIFEST_MAX_BYTES.min(size - TAIL_BYTES as u64) {
        return Err(BackupError::Damaged("its manifest's length is wrong"));
    }
    Ok((length, digest.try_into().expect("invariant: a digest's bytes")))
}

/// Reads `bytes` in pieces; false: there were fewer.
fn each_chunk(
    from: &mut impl Read,
    bytes: u64,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<bool> {
    let mut left = bytes;
    let mut chunk = vec![0; CHUNK_BYTES];
    while left > 0 {
        let most = usize::try_from(left).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
        match from.read(&mut chunk[..most]) {
            Ok(0) => return Ok(false),
            Ok(read) => {
                take(&chunk[..read])?;
                left -= read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn manifest(database: &[u8]) -> Manifest {
        Manifest {
            begun_at_ms: 1_800_000_000_000,
            program: "0.1.0".into(),
            schema: 1,
            database_bytes: database.len() as u64,
            rows: [("rooms".to_owned(), 7)].into(),
            secrets: BTreeMap::new(),
        }
    }

    fn sealed(folder: &Path, database: &[u8]) -> Vec<u8> {
        let path = folder.join("backup");
        std::fs::write(&path, database).unwrap();
        seal(&path, &manifest(database)).unwrap();
        std::fs::read(path).unwrap()
    }

    fn extracted(folder: &Path, backup: &[u8]) -> Result<(Manifest, Vec<u8>), BackupError> {
        let (path, to) = (folder.join("given"), folder.join("database"));
        std::fs::write(&path, backup).unwrap();
        std::fs::write(&to, "").unwrap();
        let manifest = extract(&path, &to)?;
        Ok((manifest, std::fs::read(to).unwrap()))
    }

    #[test]
    fn what_was_sealed_comes_out_as_it_went_in() {
        let folder = tempfile::tempdir().unwrap();
        for size in [0, 1, 4096, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1] {
            let database: Vec<u8> = (0..=250).cycle().take(size).collect();
            let backup = sealed(folder.path(), &database);
            let (found, bytes) = extracted(folder.path(), &backup).unwrap();
            assert_eq!((found, bytes.len()), (manifest(&database), size));
            assert_eq!(bytes, database);
        }
    }

    #[test]
    fn a_backup_that_was_cut_anywhere_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let backup = sealed(folder.path(), b"a small database");
        for length in 0..backup.len() {
            assert!(
                extracted(folder.path(), &backup[..length]).is_err(),
                "cut to {length}"
            );
        }
        let longer = [&backup[..], b"x"].concat();
        assert!(extracted(folder.path(), &longer).is_err());
    }

    #[test]
    fn a_backup_with_any_bit_flipped_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let backup = sealed(folder.path(), b"a small database");
        for bit in 0..backup.len() * 8 {
            let mut damaged = backup.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(extracted(folder.path(), &damaged).is_err(), "bit {bit}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_backup_of_which_a_stretch_was_overwritten_is_refused(
            database in proptest::collection::vec(any::<u8>(), 0..5_000),
            at in any::<prop::sample::Index>(),
            junk in proptest::collection::vec(any::<u8>(), 1..200),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let backup = sealed(folder.path(), &database);
            let mut damaged = backup.clone();
            let at = at.index(backup.len());
            for (byte, junk) in damaged[at..].iter_mut().zip(junk) {
                *byte = junk;
            }
            prop_assume!(damaged != backup);
            prop_assert!(extracted(folder.path(), &damaged).is_err());
        }

        #[test]
        fn bytes_that_are_no_backup_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            let folder = tempfile::tempdir().unwrap();
            prop_assert!(extracted(folder.path(), &bytes).is_err());
            let dressed = [&bytes[..], MAGIC].concat();
            prop_assert!(extracted(folder.path(), &dressed).is_err());
        }
    }
}
