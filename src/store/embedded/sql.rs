//! One connection with its prepared statements, and what its errors mean to a caller.

use std::collections::HashMap;

use rusqlite::{Connection, ErrorCode, PrepFlags, Row, Statement, ffi};

use crate::store::contract::StoreError;

/// A connection and the statements it has prepared, each once.
pub(super) struct Db<'c> {
    conn: &'c Connection,
    /// By the address of their text: every statement is a constant of this program.
    statements: HashMap<(usize, usize), Statement<'c>>,
}

impl<'c> Db<'c> {
    pub fn new(conn: &'c Connection) -> Self {
        Self {
            conn,
            statements: HashMap::new(),
        }
    }

    pub fn conn(&self) -> &'c Connection {
        self.conn
    }

    /// The prepared statement of a constant text.
    pub fn stmt(&mut self, sql: &'static str) -> Result<&mut Statement<'c>, StoreError> {
        use std::collections::hash_map::Entry;
        match self.statements.entry((sql.as_ptr().addr(), sql.len())) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let flags = PrepFlags::SQLITE_PREPARE_PERSISTENT;
                Ok(entry.insert(self.conn.prepare_with_flags(sql, flags)?))
            }
        }
    }

    /// Runs a statement; answers how many rows it changed.
    pub fn run(&mut self, sql: &'static str, params: impl rusqlite::Params) -> Result<usize, StoreError> {
        Ok(self.stmt(sql)?.execute(params)?)
    }

    /// The first row, if there is one.
    pub fn first<T>(
        &mut self,
        sql: &'static str,
        params: impl rusqlite::Params,
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut rows = self.stmt(sql)?.query(params)?;
        rows.next()?.map(read).transpose()
    }

    /// Every row.
    pub fn all<T>(
        &mut self,
        sql: &'static str,
        params: impl rusqlite::Params,
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut rows = self.stmt(sql)?.query(params)?;
        let mut out = Vec::new();
        while let Some(row) = rows.next()? {
            out.push(read(row)?);
        }
        Ok(out)
    }

    /// Row by row until `read` answers false.
    pub fn scan(
        &mut self,
        sql: &'static str,
        params: impl rusqlite::Params,
        mut read: impl FnMut(&Row<'_>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let mut rows = self.stmt(sql)?.query(params)?;
        while let Some(row) = rows.next()? {
            if !read(row)? {
                break;
            }
        }
        Ok(())
    }
}

/// The texts name codes only: SQLite's own may quote what is stored.
impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::SqliteFailure(failure, _) => from_code(failure),
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..) => Self::Corrupt("a column cannot be read".into()),
            rusqlite::Error::SqlInputError { error, .. } => from_code(error),
            _ => Self::Unavailable("SQLite was used wrongly".into()),
        }
    }
}

fn from_code(failure: ffi::Error) -> StoreError {
    match (failure.code, failure.extended_code) {
        (ErrorCode::DiskFull, _) | (_, ffi::SQLITE_IOERR_SHMSIZE) => StoreError::Full,
        (ErrorCode::DatabaseCorrupt, _) => StoreError::Corrupt("the database file is damaged".into()),
        (ErrorCode::NotADatabase, _) => StoreError::Corrupt("the file is not a database".into()),
        (code @ (ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch), extended) => {
            StoreError::Corrupt(format!("SQLite refuses a row: {code:?} ({extended})"))
        }
        (code, extended) => StoreError::Unavailable(format!("SQLite: {code:?} ({extended})")),
    }
}

impl From<rusqlite::types::FromSqlError> for StoreError {
    fn from(_: rusqlite::types::FromSqlError) -> Self {
        Self::Corrupt("a column cannot be read".into())
    }
}
