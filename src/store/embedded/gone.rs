//! Whom a backup must not bring back: a keyed hash of everybody who was erased, and when. Nobody can be told from
//! it without the key, which is no part of the store.

use hmac::{Hmac, Mac};
use rusqlite::params;
use sha2::Sha256;

use super::sql::Db;
use super::writes::Writes;
use crate::domain::people::Subject;
use crate::domain::time::Timestamp;
use crate::store::codec;
use crate::store::contract::StoreError;

/// What is signed beside the subject, so that the secret gives no other hash of it away.
const PURPOSE: &[u8] = b"mayday erased 1\0";

/// Makes the marks.
#[derive(Clone)]
pub(super) struct Marker(Hmac<Sha256>);

impl Marker {
    pub fn new(secret: &[u8]) -> Self {
        Self(Hmac::new_from_slice(secret).expect("invariant: HMAC takes keys of any length"))
    }

    fn mark(&self, subject: &Subject) -> [u8; 32] {
        let mac = self.0.clone().chain_update(PURPOSE);
        let name = codec::subject_text(subject);
        mac.chain_update(name).finalize().into_bytes().into()
    }

    /// Whether a subject was erased at `since` or later.
    pub fn is_gone(&self, db: &mut Db<'_>, subject: &Subject, since: Timestamp) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM gone WHERE mark = ?1 AND at >= ?2";
        let found = db.first(sql, params![self.mark(subject), since.ms()], |_| Ok(()))?;
        Ok(found.is_some())
    }
}

/// Notes that somebody was erased.
pub(super) fn note(writes: &mut Writes<'_>, subject: &Subject, now: Timestamp) -> Result<(), StoreError> {
    if let Some(marker) = &writes.marker {
        let mark = marker.mark(subject);
        put(writes, &mark, now.ms())?;
    }
    Ok(())
}

/// Takes a mark over from elsewhere.
pub(super) fn put(writes: &mut Writes<'_>, mark: &[u8], at: i64) -> Result<(), StoreError> {
    let sql =
        "INSERT INTO gone (mark, at) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)";
    writes.db.run(sql, params![mark, at]).map(drop)
}

/// Every mark.
pub(super) fn all(db: &mut Db<'_>) -> Result<Vec<(Vec<u8>, i64)>, StoreError> {
    db.all("SELECT mark, at FROM gone", [], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
}

/// Forgets a slice of the marks that no backup needs any more.
pub(super) fn purge(writes: &mut Writes<'_>, before: Timestamp, slice: i64) -> Result<u64, StoreError> {
    let sql = "DELETE FROM gone WHERE mark IN (SELECT mark FROM gone WHERE at < ?1 LIMIT ?2)";
    Ok(writes.db.run(sql, params![before.ms(), slice])? as u64)
}

/// Everybody of whom a database has a record.
pub(super) fn subjects(db: &mut Db<'_>) -> Result<Vec<Subject>, StoreError> {
    let sql =
        "SELECT subject FROM people UNION SELECT owner FROM contacts UNION SELECT subject FROM idempotency
               UNION SELECT 'd:' || id FROM devices UNION SELECT whose FROM jobs WHERE whose IS NOT NULL";
    db.all(sql, [], |row| codec::parse_subject(row.get_ref(0)?.as_str()?))
}
