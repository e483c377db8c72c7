//! Incidents that this engine does not know and the SOS service may: asked for when somebody wants to join one.
//!
//! Rooms ask (`room/unknown.rs`), each for itself and once at a time. What bounds all of them together is `asking`, and
//! what is remembered here of the last answers. An SOS that is raised here asks nothing.

mod memory;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;

pub(super) use self::memory::Memory;
pub use super::asking::Trouble;
use super::asking::{AskSettings, Asking, BUSY_WAIT, Unanswered};
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
    /// How the service is asked.
    pub ask: AskSettings,
    /// Answers that are remembered.
    pub remembered: usize,
    /// For how long: that there is no such incident.
    pub absent_for: Duration,
    /// For how long: what is known of one.
    pub found_for: Duration,
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
    /// Questions that memory answered.
    pub remembered: AtomicU64,
}

/// Asks the service.
pub struct Lookups {
    service: Arc<dyn SosService>,
    settings: LookupSettings,
    asking: Asking,
    memory: Mutex<Memory<RoomId, Found>>,
    counts: LookupCounts,
}

impl Lookups {
    /// Asks `service`.
    pub fn new(service: Arc<dyn SosService>, settings: LookupSettings) -> Self {
        Self {
            service,
            asking: Asking::new("incidents", settings.ask.clone()),
            memory: Mutex::new(Memory::new(settings.remembered)),
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
        let found = self.memory.lock().get(sos, self.asking.now());
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
        match self.asking.ask(|patience| self.service.find(sos, patience)).await {
            Ok(answer) => self.heard(sos, answer),
            Err(Unanswered { after, trouble }) => {
                if let Some(trouble) = trouble {
                    tracing::warn!(%sos, %trouble, "the SOS service does not say whether there is such an incident");
                }
                Found::Away(after)
            }
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
        let now = self.asking.now();
        self.memory.lock().put(sos.clone(), found.clone(), now, keep);
        found
    }

    /// How the service is asked.
    pub fn asking(&self) -> &Asking {
        &self.asking
    }

    /// What it has done.
    pub fn counts(&self) -> &LookupCounts {
        &self.counts
    }

    /// Answers that are remembered, and how many may be.
    pub fn remembered(&self) -> (usize, usize) {
        (self.memory.lock().len(), self.settings.remembered)
    }
}

#[cfg(test)]
mod tests;
