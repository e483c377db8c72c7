//! The issuer's key set, kept fresh beside the requests: nothing that can be verified with a known key ever waits
//! for the network.
//!
//! It is asked for at start, at an interval, and early when a token names a key that is not known: that is how a
//! rotation is noticed. Early questions have a least distance, so that made-up key ids cost the issuer nothing.
//! While the issuer does not answer, the last good set counts, also over a restart, until it is too old.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::{Notify, watch};

use super::{FetchError, Key, Source, read_set};
use crate::config::{Auth, TokenAlgorithms};
use crate::domain::time::Timestamp;
use crate::http::auth::Clock;
use crate::telemetry::Scrape;

/// How outcomes are told apart in metrics.
const OUTCOMES: [&str; 6] = ["ok", "timeout", "unreachable", "status", "too_large", "invalid"];

/// The numbers that a set is kept by.
#[derive(Clone, Debug)]
pub struct Options {
    refresh: Duration,
    early_min: Duration,
    wait: Duration,
    timeout: Duration,
    stale_max: Duration,
    max_bytes: usize,
    keys_max: usize,
    accepted: TokenAlgorithms,
    /// Where it is kept over a restart.
    cache: PathBuf,
}

impl Options {
    /// By the settings.
    pub fn of(auth: &Auth, data: &Path) -> Self {
        Self {
            refresh: auth.jwks_refresh(),
            early_min: auth.jwks_early_min(),
            wait: auth.jwks_wait(),
            timeout: auth.jwks_timeout(),
            stale_max: auth.jwks_stale_max(),
            max_bytes: auth.jwks_max_bytes,
            keys_max: auth.jwks_keys_max,
            accepted: auth.algorithms.clone(),
            cache: data.join("jwks.json"),
        }
    }
}

/// What is known of the set.
#[derive(Debug, Default)]
pub struct Known {
    /// Its keys.
    pub keys: Vec<Arc<Key>>,
    /// When the issuer was heard last; `None`: never.
    fetched_at: Option<Timestamp>,
}

/// A set that is kept fresh.
pub struct Jwks {
    source: Source,
    options: Options,
    clock: Clock,
    known: RwLock<Arc<Known>>,
    /// Somebody needs it sooner.
    wanted: Notify,
    /// Counts finished attempts.
    attempts: watch::Sender<u64>,
    fetching: AtomicBool,
    last_attempt: Mutex<Option<Instant>>,
    said_stale: AtomicBool,
    outcomes: [AtomicU64; OUTCOMES.len()],
}

impl fmt::Debug for Jwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jwks({:?})", self.known())
    }
}

/// The form of the cache.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Cached<'a> {
    address: String,
    fetched_at_ms: i64,
    #[serde(borrow)]
    set: &'a RawValue,
}

impl Jwks {
    /// The set as it was last seen, if it was.
    pub fn new(source: Source, options: Options, clock: Clock) -> Self {
        let jwks = Self {
            source,
            options,
            clock,
            known: RwLock::default(),
            wanted: Notify::new(),
            attempts: watch::Sender::new(0),
            fetching: AtomicBool::new(false),
            last_attempt: Mutex::new(None),
            said_stale: AtomicBool::new(false),
            outcomes: Default::default(),
        };
        if let Some(known) = jwks.remembered() {
            *jwks.known.write() = Arc::new(known);
        }
        jwks
    }

    /// What is known now.
    pub fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read())
    }

    /// Whether the issuer was not heard for so long that its keys no longer count.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        let heard = self.known.read().fetched_at;
        heard.is_some_and(|at| now.since(at) > self.options.stale_max)
    }

    /// Keeps it fresh, for ever. To be run once.
    pub async fn run(self: Arc<Self>) {
        let mut due = Instant::now();
        let mut failures = 0;
        loop {
            let early = tokio::select! {
                () = tokio::time::sleep_until(due.into()) => false,
                () = self.wanted.notified() => true,
            };
            if early && !self.may_ask_early() {
                continue;
            }
            failures = if self.refresh().await { 0 } else { failures + 1 };
            self.tell_if_stale();
            due = Instant::now() + self.pause(failures);
        }
    }

    /// Asks for the set before its time and waits for the answer, a bounded while. At once when it was asked for
    /// only just now.
    pub async fn refreshed(&self) {
        if !self.fetching.load(Ordering::Acquire) && !self.may_ask_early() {
            return;
        }
        let mut attempts = self.attempts.subscribe();
        self.wanted.notify_one();
        let _ = tokio::time::timeout(self.options.wait, attempts.changed()).await;
    }

    fn may_ask_early(&self) -> bool {
        let last = *self.last_attempt.lock();
        last.is_none_or(|at| at.elapsed() >= self.options.early_min)
    }

    /// After failures sooner than usual, each time twice as long.
    fn pause(&self, failures: u32) -> Duration {
        if failures == 0 {
            return self.options.refresh;
        }
        let factor = 2_u32.saturating_pow(failures - 1);
        self.options
            .early_min
            .saturating_mul(factor)
            .min(self.options.refresh)
    }

    async fn refresh(&self) -> bool {
        self.fetching.store(true, Ordering::Release);
        let outcome = self.try_refresh().await;
        if let Err((_, why)) = &outcome {
            tracing::warn!(%why, "could not refresh the issuer's keys; the last good ones count");
        }
        let label = outcome.as_ref().map_or_else(|(label, _)| *label, |_| OUTCOMES[0]);
        if let Some(place) = OUTCOMES.iter().position(|known| *known == label) {
            self.outcomes[place].fetch_add(1, Ordering::Relaxed);
        }
        *self.last_attempt.lock() = Some(Instant::now());
        self.fetching.store(false, Ordering::Release);
        self.attempts.send_modify(|count| *count += 1);
        // Last: nobody waits for the disk.
        match outcome {
            Ok((body, now)) => {
                self.remember(body, now).await;
                true
            }
            Err(_) => false,
        }
    }

    async fn try_refresh(&self) -> Result<(Vec<u8>, Timestamp), (&'static str, String)> {
        let Options {
            max_bytes, timeout, ..
        } = self.options;
        let fetched = self.source.fetch(max_bytes, timeout).await;
        let body = fetched.map_err(|error: FetchError| (error.label(), error.to_string()))?;
        let now = (self.clock)();
        let known = self
            .read(&body, now)
            .map_err(|error| ("invalid", error.to_string()))?;
        let before = std::mem::replace(&mut *self.known.write(), Arc::new(known));
        self.said_stale.store(false, Ordering::Relaxed);
        if before.fetched_at.is_none() {
            tracing::info!(keys = self.known().keys.len(), "have the issuer's keys");
        }
        Ok((body, now))
    }

    fn read(&self, body: &[u8], fetched_at: Timestamp) -> Result<Known, super::SetError> {
        let (keys, unusable) = read_set(body, self.options.keys_max, &self.options.accepted)?;
        for why in unusable {
            tracing::debug!(%why, "a key of the issuer is not used");
        }
        Ok(Known {
            keys: keys.into_iter().map(Arc::new).collect(),
            fetched_at: Some(fetched_at),
        })
    }

    fn tell_if_stale(&self) {
        if self.is_stale((self.clock)()) && !self.said_stale.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "the issuer has not been heard for auth.jwks_stale_max_s: its tokens are refused"
            );
        }
    }

    fn remembered(&self) -> Option<Known> {
        let address = self.source.address()?;
        let text = std::fs::read(&self.options.cache).ok()?;
        let cached: Cached<'_> = serde_json::from_slice(&text)
            .inspect_err(|_| tracing::warn!("the remembered keys of the issuer cannot be read"))
            .ok()?;
        if cached.address != address {
            return None;
        }
        // A clock that was set back must not make them good for longer.
        let fetched_at = Timestamp::from_ms(cached.fetched_at_ms).min((self.clock)());
        let known = self.read(cached.set.get().as_bytes(), fetched_at).ok()?;
        tracing::info!(keys = known.keys.len(), "the issuer's keys are remembered");
        Some(known)
    }

    /// Best effort: without it a restart while the issuer is away finds no keys.
    async fn remember(&self, body: Vec<u8>, now: Timestamp) {
        let Some(address) = self.source.address().map(str::to_owned) else {
            return;
        };
        let path = self.options.cache.clone();
        let kept = tokio::task::spawn_blocking(move || keep(&path, address, &body, now)).await;
        match kept {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "cannot remember the issuer's keys"),
            Err(error) => tracing::warn!(%error, "cannot remember the issuer's keys"),
        }
    }

    /// Its numbers.
    pub fn observe(&self, scrape: &mut Scrape) {
        let known = self.known();
        let now = (self.clock)();
        let help = "Keys of the issuer's set that can be used.";
        scrape.gauge(
            "mayday_jwks_keys",
            help,
            &[],
            u64::try_from(known.keys.len()).unwrap_or(0),
        );
        if let Some(at) = known.fetched_at {
            let help = "Since the issuer's set was fetched last.";
            scrape.gauge("mayday_jwks_age_seconds", help, &[], now.since(at).as_secs());
        }
        let help = "1 when the set is too old and its keys are refused.";
        scrape.gauge("mayday_jwks_stale", help, &[], u64::from(self.is_stale(now)));
        let help = "Attempts to fetch the issuer's set.";
        for (outcome, count) in OUTCOMES.iter().zip(&self.outcomes) {
            let count = count.load(Ordering::Relaxed);
            scrape.counter(
                "mayday_jwks_refreshes_total",
                help,
                &[("outcome", outcome)],
                count,
            );
        }
    }
}

/// Whole or not at all: a draft takes the old one's place.
fn keep(path: &Path, address: String, body: &[u8], now: Timestamp) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let set: &RawValue = serde_json::from_slice(body)?;
    let cached = Cached {
        address,
        fetched_at_ms: now.ms(),
        set,
    };
    let draft = path.with_extension("draft");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(&serde_json::to_vec(&cached)?)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)
}
