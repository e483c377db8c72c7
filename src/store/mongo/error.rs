//! What went wrong on the way to the server, sorted by what is to be done about it.
//!
//! A driver's error can hold addresses, and values of documents: none of its text goes further than this file. What
//! is told is the error's kind and the server's name for it.

use mongodb::error::{Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR, WriteFailure};

use crate::store::contract::StoreError;

const DUPLICATE_KEY: i32 = 11000;
const WRITE_CONFLICT: i32 = 112;
const OUT_OF_DISK_SPACE: i32 = 14031;
/// The server is going, or is not the primary (any more): another one will be.
const GOING: [i32; 13] = [
    6, 7, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436, 134,
];
/// It did not do it in the time that it was given.
const TOO_LATE: [i32; 3] = [50, 64, 202];

/// An error with what it says about the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub error: StoreError,
    pub cause: Cause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The server cannot be reached, or not in time: others will fare alike.
    Away,
    /// It may work at once when it is tried again; nothing has happened.
    Again,
    /// Something is there that should not be: another writer was first.
    Taken,
    /// Only this request fails.
    Own,
}

pub(super) type Outcome<T> = Result<T, Failure>;

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self {
            error,
            cause: Cause::Own,
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

impl Failure {
    pub fn away(what: &str) -> Self {
        Self {
            error: StoreError::Unavailable(what.to_owned()),
            cause: Cause::Away,
        }
    }

    pub fn taken() -> Self {
        Self {
            error: StoreError::Unavailable("somebody else wrote it first".into()),
            cause: Cause::Taken,
        }
    }

    fn own(what: String) -> Self {
        StoreError::Unavailable(what).into()
    }

    /// What the server says of a command, by its number and its name for that.
    pub fn of_code(code: i32, name: &str) -> Self {
        let named = || {
            if name.is_empty() {
                format!("the server says {code}")
            } else {
                format!("the server says {name}")
            }
        };
        match code {
            DUPLICATE_KEY => Self::taken(),
            OUT_OF_DISK_SPACE => StoreError::Full.into(),
            WRITE_CONFLICT => Self {
                error: StoreError::Unavailable(named()),
                cause: Cause::Again,
            },
            code if GOING.contains(&code) || TOO_LATE.contains(&code) => Self::away(&named()),
            _ => Self::own(named()),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let failure = sorted(&error);
        // A transaction that failed so has not happened, whatever it was.
        if error.contains_label(TRANSIENT_TRANSACTION_ERROR) && failure.cause == Cause::Own {
            return Self {
                cause: Cause::Again,
                ..failure
            };
        }
        failure
    }
}

fn sorted(error: &Error) -> Failure {
    match error.kind.as_ref() {
        ErrorKind::Command(command) => Failure::of_code(command.code, &command.code_name),
        ErrorKind::Write(WriteFailure::WriteError(write)) => {
            Failure::of_code(write.code, write.code_name.as_deref().unwrap_or_default())
        }
        ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => {
            Failure::of_code(concern.code, &concern.code_name)
        }
        ErrorKind::InsertMany(many) => {
            let write = many.write_errors.iter().flatten().next();
            match (write, &many.write_concern_error) {
                (Some(write), _) => {
                    Failure::of_code(write.code, write.code_name.as_deref().unwrap_or_default())
                }
                (None, Some(concern)) => Failure::of_code(concern.code, &concern.code_name),
                (None, None) => Failure::own("an insert failed".into()),
            }
        }
        ErrorKind::ServerSelection { .. } => Failure::away("no server can take this"),
        ErrorKind::Io(error) => Failure::away(&format!("the connection failed: {}", error.kind())),
        ErrorKind::ConnectionPoolCleared { .. } => Failure::away("the connection was given up"),
        ErrorKind::DnsResolve { .. } => Failure::away("the server's name is not known"),
        ErrorKind::Authentication { .. } => Failure::own("the server does not know us".into()),
        ErrorKind::InvalidTlsConfig { .. } => Failure::own("the TLS settings cannot be used".into()),
        ErrorKind::BsonDeserialization(_) => StoreError::Corrupt("a document cannot be read".into()).into(),
        ErrorKind::Shutdown => Failure::own("it has stopped".into()),
        ErrorKind::Transaction { .. } => Failure {
            error: StoreError::Unavailable("a transaction failed".into()),
            cause: Cause::Again,
        },
        _ => Failure::own("the driver failed".into()),
    }
}
