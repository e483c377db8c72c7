//! Incidents that this engine does not know and the SOS service may: asked for when somebody wants to join one.
//!
//! Rooms ask (`room/unknown.rs`), each for itself and once at a time. Here is what bounds all of them together: what is
//! remembered of the last answers, how many questions are on their way, how often one is repeated and until when, and
//! that a service which does not answer is left alone. An SOS that is raised here asks nothing.

mod memory;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use self::memory::Memory;
use super::clock::random;
use crate::domain::breaker::{Breaker, Stand, backoff};
use crate::domain::ids::RoomId;
use crate::domain::incident::Report;
use crate::domain::incident::Status;
use crate::domain::people::Subject;

/// What the service knows of an incident.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// Whose it is.
    pub citizen: Subject,
    /// What was said.
    pub report: Report,
    /// Where it stands.
    pub status: Status,
}

/// What the service said.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It has no such incident.
    Absent,
    /// It has.
    There(Box<Known>),
    /// Something that cannot be understood.
    Unusable,
}

/// Why the service said nothing.
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

/// The service that keeps incidents.
#[async_trait]
pub trait SosService: Send + Sync + 'static {
    /// Asks for an incident, once, and waits no longer than `patience`.
    ///
    /// # Errors
    /// Why there is no answer.
    async fn find(&self, sos: &RoomId, patience: Duration) -> Result<Answer, Trouble>;
}

/// Which ids the service may have given an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdShape {
    /// Any.
    Any,
    /// `8-4-4-4-12` hex digits.
    Uuid,
    /// 24 hex digits.
    ObjectId,
    /// Digits.
    Number,
}

impl IdShape {
    /// Its name in the settings.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "any" => Self::Any,
            "uuid" => Self::Uuid,
            "objectid" => Self::ObjectId,
            "number" => Self::Number,
            _ => return None,
        })
    }

    /// Whether an id is such a one.
    pub fn fits(self, id: &str) -> bool {
        let hex = |text: &str, length| text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit());
        match self {
            Self::Any => true,
            Self::Uuid => {
                let parts: Vec<&str> = id.split('-').collect();
                parts.len() == 5
                    && parts
                        .iter()
                        .zip([8, 4, 4, 4, 12])
                        .all(|(part, length)| hex(part, length))
            }
            Self::ObjectId => hex(id, 24),
            Self::Number => id.bytes().all(|b| b.is_ascii_digit()),
        }
    }
}

/// The numbers it goes by.
#[derive(Clone, Debug)]
pub struct LookupSettings {
    /// Ids of no such shape are not asked for.
    pub shapes: Vec<IdShape>,
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
    /// Answers that are remembered.
    pub remembered: usize,
    /// For how long: that there is no such incident.
    pub absent_for: Duration,
    /// For how long: what is known of one.
    pub found_for: Duration,
    /// Failures in a row after which the service is left alone; 0: never.
    pub breaker_failures: u32,
    /// For how long.
    pub breaker_rest: Duration,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// There is none.
    Absent,
    /// There is one, and it goes on.
    Open(Arc<Known>),
    /// There was one, and it is over.
    Over,
    /// Nobody knows now: ask again after this.
    Away(Duration),
}

/// What it counts.
#[derive(Debug, Default)]
pub struct LookupCounts {
    /// Answers, remembered ones left out.
    pub found: AtomicU64,
    /// The same.
    pub absent: AtomicU64,
    /// The same.
    pub unusable: AtomicU64,
    /// Questions without an answer.
    pub failed: AtomicU64,
    /// Attempts that failed.
    pub troubles: AtomicU64,
    /// Questions that were not asked: too many were on their way, or the service was left alone.
    pub refused: AtomicU64,
    /// Questions that memory answered.
    pub remembered: AtomicU64,
}

/// How soon to ask again when too many ask at once.
const BUSY_WAIT: Duration = Duration::from_secs(1);
/// The longest that somebody is told to wait, whatever the service says.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// Asks the service.
pub struct Lookups {
    service: Arc<dyn SosService>,
    settings: LookupSettings,
    turns: Semaphore,
    begun: Instant,
    state: Mutex<State>,
    counts: LookupCounts,
}

struct State {
    memory: Memory,
    breaker: Breaker,
}

impl Lookups {
    /// Asks `service`.
    pub fn new(service: Arc<dyn SosService>, settings: LookupSettings) -> Self {
        Self {
            service,
            turns: Semaphore::new(settings.at_once),
            begun: Instant::now(),
            state: Mutex::new(State {
                memory: Memory::new(settings.remembered),
                breaker: Breaker::new(settings.breaker_failures, settings.breaker_rest),
            }),
            counts: LookupCounts::default(),
            settings,
        }
    }

    /// Whether the service may know such an incident at all.
    pub fn takes(&self, sos: &RoomId) -> bool {
        self.settings.shapes.iter().any(|shape| shape.fits(sos.as_str()))
    }

    /// What the last answer was, while it counts.
    pub fn recall(&self, sos: &RoomId) -> Option<Found> {
        let found = self.state.lock().memory.get(sos, self.now());
        if found.is_some() {
            self.counts.remembered.fetch_add(1, Ordering::Relaxed);
        }
        found
    }

    /// What the service knows of an incident. Returns within the deadline.
    pub async fn find(&self, sos: &RoomId) -> Found {
        if let Some(found) = self.recall(sos) {
            return found;
        }
        let Ok(_turn) = self.turns.try_acquire() else {
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
            return Found::Away(BUSY_WAIT);
        };
        let until = Instant::now() + self.settings.deadline;
        let mut attempt = 1;
        loop {
            if let Err(wait) = self.admit() {
                self.counts.refused.fetch_add(1, Ordering::Relaxed);
                return Found::Away(wait);
            }
            let patience = self
                .settings
                .timeout
                .min(until.saturating_duration_since(Instant::now()));
            let asked = tokio::time::timeout(patience, self.service.find(sos, patience)).await;
            let trouble = match asked.unwrap_or(Err(Trouble::Timeout)) {
                Ok(answer) => return self.heard(sos, answer),
                Err(trouble) => trouble,
            };
            self.failed(&trouble);
            let pause = backoff(
                attempt,
                self.settings.pause,
                self.settings.deadline,
                u64::from_be_bytes(random()),
            );
            let wait = match trouble {
                Trouble::Refused { after, .. } => after.unwrap_or(pause).max(pause),
                Trouble::Timeout | Trouble::Unreachable(_) => pause,
            };
            if attempt >= self.settings.tries || Instant::now() + wait >= until {
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%sos, %trouble, "the SOS service does not say whether there is such an incident");
                return Found::Away(wait.clamp(BUSY_WAIT, WAIT_MAX));
            }
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    fn heard(&self, sos: &RoomId, answer: Answer) -> Found {
        let (count, found, keep) = match answer {
            Answer::Absent => (&self.counts.absent, Found::Absent, self.settings.absent_for),
            Answer::There(known) if known.status.is_open() => {
                let found = Found::Open(Arc::new(*known));
                (&self.counts.found, found, self.settings.found_for)
            }
            Answer::There(_) => (&self.counts.found, Found::Over, self.settings.absent_for),
            Answer::Unusable => {
                tracing::error!(%sos, "the SOS service answers what cannot be understood");
                let wait = self.settings.absent_for.max(BUSY_WAIT);
                (&self.counts.unusable, Found::Away(wait), self.settings.absent_for)
            }
        };
        count.fetch_add(1, Ordering::Relaxed);
        let now = self.now();
        let mut state = self.state.lock();
        state.breaker.succeeded();
        state.memory.put(sos.clone(), found.clone(), now, keep);
        found
    }

    fn admit(&self) -> Result<(), Duration> {
        let admitted = self.state.lock().breaker.admit(self.now());
        admitted.map_err(|wait| wait.clamp(BUSY_WAIT, WAIT_MAX))
    }

    fn failed(&self, trouble: &Trouble) {
        self.counts.troubles.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state.lock();
        let before = state.breaker.opened();
        state.breaker.failed(self.now());
        if state.breaker.opened() > before {
            tracing::error!(%trouble, "the SOS service does not answer: it is left alone for a while");
        }
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Whether the service is asked.
    pub fn stand(&self) -> Stand {
        self.state.lock().breaker.stand(self.now())
    }

    /// What it has done.
    pub fn counts(&self) -> &LookupCounts {
        &self.counts
    }

    /// Answers that are remembered, and how many may be.
    pub fn remembered(&self) -> (usize, usize) {
        (self.state.lock().memory.len(), self.settings.remembered)
    }

    /// Questions that are on their way.
    pub fn on_their_way(&self) -> usize {
        self.settings
            .at_once
            .saturating_sub(self.turns.available_permits())
    }
}

#[cfg(test)]
mod tests;
