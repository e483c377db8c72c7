//! Puts the parts together and runs them until the process is told to stop.

mod backup;
mod build;
mod capacity;
mod certificates;
mod history;
mod limits;
mod listeners;
mod lock;
mod notify;
mod observe;
mod schema;
mod settings;
mod sister;
mod way;

use std::sync::Arc;

use crate::actors::redis_bridge::BridgeError;
use crate::config::{Config, SecretError, Secrets, StoreUrl};
use crate::http::keys::KeysError;
use crate::http::sister::SisterError;
use crate::notify::SettingsError;
use crate::store::{Embedded, EmbeddedOptions, Mongo, Store, StoreError};

pub use backup::{backup, restore};
pub use build::Running;
pub use certificates::CertificateError;
pub use lock::LockError;
pub use schema::{migrate, migration_status, rehearse_migration};

/// Why the engine does not run, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The keys of tokens cannot be had.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A secret cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Another process uses the data folder.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// There is no way to the other nodes.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// A certificate for Redis cannot be read.
    #[error("bus.tls: {0}")]
    BusCertificate(std::io::Error),
    /// The service that keeps incidents cannot be spoken to.
    #[error(transparent)]
    Sister(#[from] SisterError),
    /// A vendor of messages cannot be spoken to, or a template cannot be used.
    #[error(transparent)]
    Notify(#[from] SettingsError),
    /// The store cannot be opened.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// A backup cannot be made or brought back.
    #[error(transparent)]
    Backup(crate::store::backup::BackupError),
    /// The store makes its backups by itself.
    #[error(
        "the store is MongoDB, and its backups are MongoDB's: make them with mongodump --oplog and bring them back \
         with mongorestore --oplogReplay (docs/operations.md)"
    )]
    NotOurs,
    /// The engine could not merge a backup.
    #[error("not restored: {0}")]
    Restore(String),
    /// All but some rooms was restored.
    #[error("restored, but for {0} rooms whose logs have gone another way")]
    Diverged(u64),
    /// The port cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        error: std::io::Error,
    },
    /// TLS has no certificate to show.
    #[error("tls: {0}")]
    Certificate(#[from] CertificateError),
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

/// Looks at what the settings name and a start would need: the TLS certificate and its key, and what
/// is shared with the service that keeps incidents.
///
/// # Errors
/// When they cannot be used.
pub fn check(config: &Config) -> Result<Vec<String>, AppError> {
    if config.tls.is_on() {
        certificates::Certificates::load(&config.tls)?;
    }
    sister::check(config)?;
    settings::bus_certificates(config).map_err(AppError::BusCertificate)?;
    notify::check(config)
}

/// The store that the settings name.
struct Opened {
    store: Arc<dyn Store>,
    /// Set when it is in the data folder: backups are taken and brought back there.
    embedded: Option<Arc<Embedded>>,
}

async fn open_store(config: &Config) -> Result<Opened, AppError> {
    let StoreUrl::Mongo(url) = &config.store.url else {
        let embedded = open_embedded(config)?;
        return Ok(Opened {
            store: Arc::clone(&embedded) as Arc<dyn Store>,
            embedded: Some(embedded),
        });
    };
    let store = Arc::new(Mongo::open(settings::mongo(config, url)).await?);
    Ok(Opened {
        store,
        embedded: None,
    })
}

fn open_embedded(config: &Config) -> Result<Arc<Embedded>, AppError> {
    let secrets = secrets(config)?;
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
        open_incidents_max: config.store.open_incidents_max,
        search_max_messages: config.store.search_max_messages,
        check_integrity: config.store.integrity_check,
        migrate: config.store.migrate_on_start,
        feed: config.services.feeds(),
        erasure_secret: Some(erasure_secret(&secrets)),
        ..EmbeddedOptions::new(&config.data.path)
    };
    Ok(Arc::new(Embedded::open(options)?))
}

/// The key by which the erased are marked; what is signed beside the mark tells it from others of the same key.
fn erasure_secret(secrets: &Secrets) -> Vec<u8> {
    secrets.device.current.reveal().to_vec()
}

fn secrets(config: &Config) -> Result<Secrets, AppError> {
    Ok(Secrets::load(config)?)
}
