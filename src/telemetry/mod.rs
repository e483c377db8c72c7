//! What operators see: log lines and metrics.
//!
//! Secrets, phone numbers, device ids and positions never reach either: their types have no `Display`, and
//! their `Debug` is redacted. No metric has a label whose values clients can make up.

mod metrics;
mod scrape;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat};

pub use metrics::{Metrics, RouteClass};
pub use scrape::Scrape;

/// Why there are no log lines.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error("log.filter: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Something in this process logs already.
    #[error(transparent)]
    Taken(#[from] tracing_subscriber::util::TryInitError),
}

/// Starts log lines on standard error, for the whole process.
///
/// # Errors
/// When the filter cannot be read, or somebody else logs already.
pub fn init(log: &Log) -> Result<(), TelemetryError> {
    let registry = tracing_subscriber::registry().with(EnvFilter::try_new(&log.filter)?);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match log.format {
        LogFormat::Pretty => registry
            .with(lines.with_ansi(std::io::stderr().is_terminal()))
            .try_init()?,
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init()?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_cannot_be_read_is_told_by_its_key() {
        let log = Log {
            filter: "mayday=loud".into(),
            ..Log::default()
        };
        assert!(init(&log).unwrap_err().to_string().starts_with("log.filter: "));
    }
}
