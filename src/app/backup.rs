//! `mayday backup` and `mayday restore`, and what a running engine does with a backup that it is given.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{AppError, settings};
use crate::actors::{Clock, Engine, SystemClock};
use crate::config::{Config, StoreUrl};
use crate::store::backup::{
    self, BackupError, BackupOptions, Incoming, Manifest, Merged, RestoreOptions, Restored, Touched,
};
use crate::store::{Embedded, StoreError};

/// How often the engine looks whether it was given a backup.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often it says how far it has come.
const TELL_EVERY: Duration = Duration::from_millis(200);
/// How often the command looks what the engine says.
const FOLLOW_EVERY: Duration = Duration::from_millis(100);
/// An engine that has not begun by then does not know how to.
const BEGIN_WITHIN: Duration = Duration::from_secs(30);
/// How often rooms that were too busy to hear of it are told again, and how long after each other.
const TELLINGS_MAX: u32 = 100;
const TELL_AGAIN: Duration = Duration::from_millis(50);

/// How a merge goes, as the engine tells the command.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Status {
    done: bool,
    error: Option<String>,
    merged: Merged,
}

/// Writes a backup; the engine may run.
///
/// # Errors
/// When there is nothing to keep or the file cannot be written.
pub fn backup(config: &Config, file: &Path, force: bool, secrets: bool) -> Result<(), AppError> {
    if config.store.url != StoreUrl::Embedded {
        return Err(AppError::NotOurs);
    }
    // What it costs is the engine's to have first.
    let _ = rustix::process::nice(10);
    let begun = Instant::now();
    let options = BackupOptions { force, secrets };
    let manifest = backup::backup(&config.data.path, file, options, SystemClock.now())?;
    println!(
        "wrote {}: {} in {:.1?}",
        file.display(),
        said(&manifest),
        begun.elapsed()
    );
    if !manifest.secrets.is_empty() {
        println!("it holds the data folder's secrets: keep it as you keep those");
    }
    Ok(())
}

fn said(manifest: &Manifest) -> String {
    let rows = |table: &str| manifest.rows.get(table).copied().unwrap_or_default();
    format!(
        "schema version {}, {} rooms with {} events, {} incidents, {} positions, {} KiB",
        manifest.schema,
        rows("rooms"),
        rows("events"),
        rows("incidents"),
        rows("fixes"),
        manifest.database_bytes / 1024
    )
}

/// Brings a backup back: in place when no engine runs on the data folder, else by giving it to the engine and waiting
/// until that has merged it.
///
/// # Errors
/// When the backup is damaged, something would be lost, or the engine cannot merge it.
pub fn restore(config: &Config, file: &Path, force: bool, secrets: bool) -> Result<(), AppError> {
    if config.store.url != StoreUrl::Embedded {
        return Err(AppError::NotOurs);
    }
    let staged = backup::stage(&config.data.path, file)?;
    println!("{} is whole: {}", file.display(), said(&staged.manifest));
    let options = RestoreOptions { force, secrets };
    // A folder without secrets has no store in which somebody was erased, and may get those of the backup.
    let known = config.data.path.join("secrets").exists();
    let erasure = known.then(|| super::secrets(config)).transpose()?;
    let erasure = erasure.as_ref().map(super::erasure_secret);
    let staged = staged.with_erasure_secret(erasure.as_deref());
    match staged.restore(options, SystemClock.now())? {
        Restored::InPlace { aside, kept_secrets } => {
            if let Some(aside) = aside {
                println!("the old database is {}", aside.display());
            }
            for name in kept_secrets {
                println!("the secret {name} is another one here and stays (--force replaces it)");
            }
            println!("restored: start the engine");
            Ok(())
        }
        Restored::HandedOver(incoming) => {
            println!("the engine runs and merges it");
            if secrets {
                println!("secrets are put back only while no engine runs");
            }
            follow(&config.data.path, &incoming)
        }
    }
}

fn follow(data: &Path, incoming: &Incoming) -> Result<(), AppError> {
    let (begun, mut seen) = (Instant::now(), 0);
    loop {
        std::thread::sleep(FOLLOW_EVERY);
        let Some(status) = read(incoming) else {
            if begun.elapsed() > BEGIN_WITHIN {
                incoming.withdraw()?;
                return Err(AppError::Restore(
                    "the engine does not take it: it is of another version, or busy".into(),
                ));
            }
            if !Embedded::is_in_use(data)? {
                return Err(AppError::Restore(GONE.into()));
            }
            continue;
        };
        if status.done {
            let _ = std::fs::remove_file(incoming.status());
            return ended(&status);
        }
        if status.merged.rooms_seen / 1_000 > seen {
            seen = status.merged.rooms_seen / 1_000;
            println!(
                "{} of {} rooms",
                status.merged.rooms_seen, status.merged.rooms_total
            );
        }
        if !Embedded::is_in_use(data)? {
            return Err(AppError::Restore(GONE.into()));
        }
    }
}

const GONE: &str = "the engine has stopped; it goes on with the restore when it starts again";

fn read(incoming: &Incoming) -> Option<Status> {
    serde_json::from_slice(&std::fs::read(incoming.status()).ok()?).ok()
}

fn ended(status: &Status) -> Result<(), AppError> {
    let Merged {
        rooms_total,
        rooms_taken,
        rooms_continued,
        rooms_diverged,
        diverged,
        events,
        people,
        fixes,
        contact_lists,
        devices,
        idempotency,
        ..
    } = &status.merged;
    println!(
        "of {rooms_total} rooms {rooms_taken} were taken and {rooms_continued} continued; {events} events, {people} \
         people, {fixes} positions, {contact_lists} contact lists, {devices} devices, {idempotency} idempotency keys"
    );
    if let Some(error) = &status.error {
        return Err(AppError::Restore(error.clone()));
    }
    if *rooms_diverged > 0 {
        for room in diverged {
            println!("{room} has gone another way since and stays as it is");
        }
        return Err(AppError::Diverged(*rooms_diverged));
    }
    println!("restored");
    Ok(())
}

/// Looks for backups to merge for as long as the engine runs.
pub(super) async fn watch(store: Arc<Embedded>, engine: Engine, config: Config) {
    let incoming = Incoming::of(&config.data.path);
    loop {
        if incoming.database().exists() {
            take(&store, &engine, &config, &incoming).await;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn take(store: &Arc<Embedded>, engine: &Engine, config: &Config, incoming: &Incoming) {
    tracing::info!("merging a backup");
    let (told, engine) = (incoming.clone(), engine.clone());
    let mut last: Option<Instant> = None;
    let tell = Box::new(move |merged: &Merged, touched: Touched| {
        let mut untold = engine.refresh(touched.rooms, &touched.live);
        for _ in 0..TELLINGS_MAX {
            if untold.is_empty() {
                break;
            }
            std::thread::sleep(TELL_AGAIN);
            untold = engine.refresh(untold, &[]);
        }
        if last.is_none_or(|last| last.elapsed() >= TELL_EVERY) {
            last = Some(Instant::now());
            write(&told, false, None, merged);
        }
    });
    write(incoming, false, None, &Merged::default());
    let retention = settings::actors(config).retention;
    let outcome = Arc::clone(store)
        .merge(incoming.clone(), retention, SystemClock.now(), tell)
        .await;
    if let Err(StoreError::Unavailable(_)) = &outcome
        && store.is_closed()
    {
        // The engine ends: the next one goes on.
        return;
    }
    // First this, or the next look would find it again.
    if let Err(error) = incoming.withdraw() {
        tracing::error!(%error, "the files of a restore cannot be removed");
    }
    match outcome {
        Ok(merged) => {
            tracing::info!(
                rooms_taken = merged.rooms_taken,
                rooms_continued = merged.rooms_continued,
                rooms_diverged = merged.rooms_diverged,
                events = merged.events,
                "merged a backup"
            );
            write(incoming, true, None, &merged);
        }
        Err(error) => {
            tracing::error!(%error, "a backup could not be merged");
            write(incoming, true, Some(error.to_string()), &Merged::default());
        }
    }
}

/// Says how it goes. Whoever follows sees the whole of it or what was said before.
fn write(incoming: &Incoming, done: bool, error: Option<String>, merged: &Merged) {
    let status = Status {
        done,
        error,
        merged: merged.clone(),
    };
    if let Err(error) = incoming.tell(&status) {
        tracing::warn!(%error, "cannot say how a restore goes");
    }
}

impl From<BackupError> for AppError {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Store(error) => Self::Store(error),
            error => Self::Backup(error),
        }
    }
}
