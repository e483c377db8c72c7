//! Puts the parts together and runs them until the process is told to stop.

mod build;
mod limits;
mod observe;
mod schema;
mod settings;

use std::sync::Arc;

use crate::config::{Config, SecretError, Secrets};
use crate::store::StoreError;
use crate::store::embedded::{Embedded, EmbeddedOptions};

pub use build::Running;
pub use schema::{migrate, migration_status, rehearse_migration};

/// Why the engine does not run, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A secret cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The store cannot be opened.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// The port cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        error: std::io::Error,
    },
    /// The server failed.
    #[error("server: {0}")]
    Server(#[from] std::io::Error),
}

/// Runs the engine until SIGTERM or SIGINT, then drains it.
///
/// # Errors
/// When it cannot start.
pub fn serve(config: Config) -> Result<(), AppError> {
    limits::raise_open_files();
    // The numbering plans are unpacked at their first use, which takes long enough for somebody to wait.
    std::thread::spawn(|| {
        let _ = crate::domain::phone::Region::new("PH")
            .map(|region| crate::domain::phone::PhoneNumber::parse("0", region));
    });
    actix_rt::System::new().block_on(async move {
        let running = Running::start(config).await?;
        running.announce();
        running.until_told().await
    })
}

fn open_store(config: &Config) -> Result<Arc<Embedded>, AppError> {
    let options = EmbeddedOptions {
        writer_queue_max_ops: config.store.writer_queue_max_ops,
        group_max_ops: config.store.group_max_ops,
        group_max_rows: config.store.group_max_rows,
        readers: config.store.readers,
        reader_queue_max: config.store.reader_queue_max_ops,
        writer_cache_kib: config.store.writer_cache_kib,
        reader_cache_kib: config.store.reader_cache_kib,
        checkpoint_kib: config.store.checkpoint_kib,
        checkpoint_max_kib: config.store.checkpoint_max_kib,
        check_integrity: config.store.integrity_check,
        migrate: config.store.migrate_on_start,
        ..EmbeddedOptions::new(&config.data.path)
    };
    Ok(Arc::new(Embedded::open(options)?))
}

fn secrets(config: &Config) -> Result<Secrets, AppError> {
    Ok(Secrets::load(config)?)
}
