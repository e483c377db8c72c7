//! How a MongoDB store is opened.

use std::time::Duration;

use mongodb::options::ConnectionString;

/// How to open a MongoDB store. It has no `Debug`: the address may hold a password.
#[derive(Clone)]
pub struct MongoOptions {
    /// `mongodb://…`; the database is its path, `mayday` without one.
    pub url: String,
    /// Connections to each server, at most.
    pub pool_max: u32,
    /// Requests that wait for a connection, at most.
    pub pool_queue_max_ops: usize,
    /// How long one of them waits, at most.
    pub pool_wait: Duration,
    /// Transactions that append at once; each room's appends are in one of them at a time.
    pub writers: usize,
    /// Appends that wait, at most.
    pub writer_queue_max_ops: usize,
    /// Appends in one transaction, at most.
    pub group_max_ops: usize,
    /// Documents that one transaction writes, about.
    pub group_max_rows: usize,
    /// Rooms whose rows each writer remembers.
    pub rooms_cached_max: usize,
    /// A connection must be there by then.
    pub connect_timeout: Duration,
    /// A server that takes the request must be found by then.
    pub server_selection_timeout: Duration,
    /// A request must be answered by then.
    pub operation_timeout: Duration,
    /// An append must be durable by then, elections and repetitions included.
    pub write_timeout: Duration,
    /// Failures in a row after which the store is not asked for a while; 0: never.
    pub breaker_failures: u32,
    /// How often it is looked whether it answers again.
    pub breaker_probe: Duration,
    /// Commands that take longer are logged; zero: none.
    pub slow: Duration,
    /// Lists of incidents may come from a secondary.
    pub lists_from_secondaries: bool,
    /// Messages that one search looks through before it says where it stopped.
    pub search_max_messages: usize,
    /// Note what incidents have to tell.
    pub feed: bool,
    /// Positions are removed by the server itself after so long; zero: never.
    pub locations_kept: Duration,
    /// Bring an older schema up to date; otherwise it is refused.
    pub migrate: bool,
    /// How long to wait for another node that migrates.
    pub migrate_wait: Duration,
    /// Threads that talk to the server.
    pub threads: usize,
}

impl MongoOptions {
    /// Whether this is an address that can be opened: `mongodb://`, without looking names up by SRV records.
    pub fn takes(url: &str) -> bool {
        url.starts_with("mongodb://") && ConnectionString::parse(url).is_ok()
    }

    /// The usual settings.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            pool_max: 64,
            pool_queue_max_ops: 10_000,
            pool_wait: Duration::from_secs(2),
            writers: 4,
            writer_queue_max_ops: 65_536,
            group_max_ops: 512,
            group_max_rows: 4_000,
            rooms_cached_max: 10_000,
            connect_timeout: Duration::from_secs(2),
            server_selection_timeout: Duration::from_secs(3),
            operation_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(5),
            breaker_failures: 5,
            breaker_probe: Duration::from_millis(500),
            slow: Duration::from_millis(100),
            lists_from_secondaries: true,
            search_max_messages: 20_000,
            feed: false,
            locations_kept: Duration::ZERO,
            migrate: true,
            migrate_wait: Duration::from_secs(60),
            threads: 2,
        }
    }
}
