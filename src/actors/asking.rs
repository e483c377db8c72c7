//! Asks another service: how many questions are on their way at once, how often one is repeated and until when, and that
//! a service which does not answer is left alone.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::clock::random;
use crate::domain::breaker::{Breaker, Stand, backoff};

/// Why a service said nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// It took too long.
    #[error("no answer in time")]
    Timeout,
    /// There is no connection, or it broke.
    #[error("{0}")]
    Unreachable(String),
    /// It can, or will, not answer now.
    #[error("answered {status}")]
    Refused {
        /// How.
        status: u16,
        /// When it wants to be asked again.
        after: Option<Duration>,
    },
}

/// The numbers it goes by.
#[derive(Clone, Debug)]
pub struct AskSettings {
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How long all of them together may.
    pub deadline: Duration,
    /// Attempts, the first included.
    pub tries: u32,
    /// The first wait between two, at most; it doubles with each.
    pub pause: Duration,
    /// Questions on their way at once.
    pub at_once: usize,
    /// Failures in a row after which the service is left alone; 0: never.
    pub breaker_failures: u32,
    /// For how long.
    pub breaker_rest: Duration,
}

/// What it counts.
#[derive(Debug, Default)]
pub struct AskCounts {
    /// Questions without an answer.
    pub failed: AtomicU64,
    /// Attempts that failed.
    pub troubles: AtomicU64,
    /// Questions that were not asked: too many were on their way, or the service was left alone.
    pub refused: AtomicU64,
}

/// Nobody knows now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// Ask again after this.
    pub after: Duration,
    /// What the last attempt met with; `None`: none was made.
    pub trouble: Option<Trouble>,
}

/// How soon to ask again when too many ask at once.
pub const BUSY_WAIT: Duration = Duration::from_secs(1);
/// The longest that somebody is told to wait, whatever the service says.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// Asks one service.
pub struct Asking {
    /// As the log calls it.
    service: &'static str,
    settings: AskSettings,
    turns: Semaphore,
    begun: Instant,
    breaker: Mutex<Breaker>,
    counts: AskCounts,
}

impl Asking {
    /// Asks `service`, as the log calls it.
    pub fn new(service: &'static str, settings: AskSettings) -> Self {
        Self {
            service,
            turns: Semaphore::new(settings.at_once),
            begun: Instant::now(),
            breaker: Mutex::new(Breaker::new(settings.breaker_failures, settings.breaker_rest)),
            counts: AskCounts::default(),
            settings,
        }
    }

    /// Puts a question, again when it was not answered; each time with how long it may take. Returns within the deadline.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn ask<T, F>(&self, mut question: impl FnMut(Duration) -> F) -> Result<T, Unanswered>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        let refused = |after| {
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
            Unanswered { after, trouble: None }
        };
        let _turn = self.turns.try_acquire().map_err(|_| refused(BUSY_WAIT))?;
        let until = Instant::now() + self.settings.deadline;
        let mut attempt = 1;
        loop {
            self.admit().map_err(refused)?;
            let left = until.saturating_duration_since(Instant::now());
            let patience = self.settings.timeout.min(left);
            let asked = tokio::time::timeout(patience, question(patience)).await;
            let trouble = match asked.unwrap_or(Err(Trouble::Timeout)) {
                Ok(answer) => {
                    self.breaker.lock().succeeded();
                    return Ok(answer);
                }
                Err(trouble) => trouble,
            };
            self.failed(&trouble);
            let wait = self.pause_after(attempt, &trouble);
            if attempt >= self.settings.tries || Instant::now() + wait >= until {
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
                return Err(Unanswered {
                    after: wait.clamp(BUSY_WAIT, WAIT_MAX),
                    trouble: Some(trouble),
                });
            }
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    fn pause_after(&self, attempt: u32, trouble: &Trouble) -> Duration {
        let bits = u64::from_be_bytes(random());
        let pause = backoff(attempt, self.settings.pause, self.settings.deadline, bits);
        match trouble {
            Trouble::Refused { after, .. } => after.unwrap_or(pause).max(pause),
            Trouble::Timeout | Trouble::Unreachable(_) => pause,
        }
    }

    fn admit(&self) -> Result<(), Duration> {
        let admitted = self.breaker.lock().admit(self.now());
        admitted.map_err(|wait| wait.clamp(BUSY_WAIT, WAIT_MAX))
    }

    fn failed(&self, trouble: &Trouble) {
        self.counts.troubles.fetch_add(1, Ordering::Relaxed);
        let mut breaker = self.breaker.lock();
        let before = breaker.opened();
        breaker.failed(self.now());
        if breaker.opened() > before {
            tracing::error!(service = self.service, %trouble, "a service does not answer: it is left alone for a while");
        }
    }

    /// How long it has been there.
    pub fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Whether the service is asked.
    pub fn stand(&self) -> Stand {
        self.breaker.lock().stand(self.now())
    }

    /// What it has done.
    pub fn counts(&self) -> &AskCounts {
        &self.counts
    }

    /// Questions that are on their way.
    pub fn on_their_way(&self) -> usize {
        self.settings
            .at_once
            .saturating_sub(self.turns.available_permits())
    }
}
