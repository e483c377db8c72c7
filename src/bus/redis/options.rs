//! What a connection to Redis goes by.

use std::fmt;
use std::time::Duration;

use super::address::Address;

/// Certificates for TLS, as PEM.
#[derive(Clone, Default)]
pub struct TlsFiles {
    /// Authorities that vouch for the servers; none: those of the operating system.
    pub authorities: Option<Vec<u8>>,
    /// This node's own certificate chain and key, for servers that ask for them.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for TlsFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsFiles(…)")
    }
}

/// How Redis is reached and how long it is waited for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it is.
    pub address: Address,
    /// The certificates, when it is spoken to by TLS.
    pub tls: TlsFiles,
    /// A connection must stand by then, its handshake included.
    pub connect_timeout: Duration,
    /// A command must be answered by then.
    pub response_timeout: Duration,
    /// The wait before the second attempt to connect; it doubles with each.
    pub reconnect_min: Duration,
    /// The longest such wait.
    pub reconnect_max: Duration,
    /// How often Redis is asked whether it is well.
    pub health_interval: Duration,
    /// Whether sharded pub/sub is used where Redis has it.
    pub sharded: bool,
    /// Commands that wait for their answer at once. Further ones are refused.
    pub commands_max: usize,
}
