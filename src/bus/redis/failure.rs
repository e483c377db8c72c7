//! Why Redis did not do what it was asked.

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// By which our own refusal is known among the errors of the driver.
const BUSY: &str = "too many wait";

/// The driver's form of [`Failure::Busy`].
pub(super) fn busy() -> RedisError {
    (ErrorKind::Client, "not sent", BUSY.into()).into()
}

/// Why a command has no answer. What was in the command is never part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// There is no connection, or it broke.
    #[error("Redis is away")]
    Away,
    /// There was no answer in time.
    #[error("Redis did not answer in time")]
    Slow,
    /// Too many commands wait already.
    #[error("too many commands wait for Redis")]
    Busy,
    /// The name or the password is not accepted, or may not do this.
    #[error("Redis does not accept who we are")]
    Denied,
    /// It said no, by this code.
    #[error("Redis refused with {0}")]
    Refused(String),
    /// What cannot go on with this server or these settings.
    #[error("Redis cannot be used: {0}")]
    Unusable(&'static str),
    /// An answer of a shape that was not expected.
    #[error("Redis answered what was not expected")]
    Unexpected,
}

impl Failure {
    /// Its name in metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Away => "away",
            Self::Slow => "slow",
            Self::Busy => "busy",
            Self::Denied => "denied",
            Self::Refused(_) => "refused",
            Self::Unusable(_) => "unusable",
            Self::Unexpected => "unexpected",
        }
    }
}

impl From<&RedisError> for Failure {
    /// The texts of the server may repeat what it was sent, so only its codes are taken over.
    fn from(error: &RedisError) -> Self {
        match error.kind() {
            _ if error.is_timeout() => Self::Slow,
            ErrorKind::Client if error.detail() == Some(BUSY) => Self::Busy,
            ErrorKind::Io | ErrorKind::ClusterConnectionNotFound => Self::Away,
            ErrorKind::AuthenticationFailed | ErrorKind::Server(ServerErrorKind::NoPerm) => Self::Denied,
            ErrorKind::MasterNameNotFoundBySentinel => {
                Self::Unusable("no sentinel knows a master of this name")
            }
            ErrorKind::RESP3NotSupported => Self::Unusable("it is older than 6.0"),
            ErrorKind::InvalidClientConfig => {
                Self::Unusable("the address or the certificates are not accepted")
            }
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType | ErrorKind::Client => Self::Unexpected,
            _ => match error.code() {
                Some("NOAUTH" | "WRONGPASS") => Self::Denied,
                Some(code) => Self::Refused(code.chars().take(32).collect()),
                None => Self::Unexpected,
            },
        }
    }
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        Self::from(&error)
    }
}
