//! Work that is to be done whatever happens: written with the events that cause it, leased by workers, done at least
//! once.
//!
//! What a job says is its writer's affair (`body`). The store knows when it is due, who has it in hand, and what it is
//! called: a second job of the same name is none while the first one is there.

use std::time::Duration;

use crate::domain::ids::RoomId;
pub use crate::domain::notify::Lane;
use crate::domain::people::Subject;
use crate::domain::time::Timestamp;

/// A job's id: positive, from a good random source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(i64);

impl JobId {
    /// From random bits.
    pub const fn from_random(bits: u64) -> Self {
        let id = (bits >> 1).cast_signed();
        Self(if id == 0 { 1 } else { id })
    }

    /// From a number that is stored; `None`: no job has it.
    pub const fn new(number: i64) -> Option<Self> {
        if number > 0 { Some(Self(number)) } else { None }
    }

    /// Its number, for stores.
    pub const fn get(self) -> i64 {
        self.0
    }
}

/// A job that is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// Its name: 1 to 200 characters.
    pub key: String,
    /// Among which it waits.
    pub lane: Lane,
    /// The incident it belongs to.
    pub room: Option<RoomId>,
    /// Whose it is: it goes when they are erased.
    pub whose: Option<Subject>,
    /// When it may be begun, from now, by the store's clock.
    pub after: Duration,
    /// What is to be done. It may hold phone numbers and addresses: it reaches no log line.
    pub body: String,
}

/// A change to jobs. Those that come with events are made in the same step as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobWrite {
    /// A new one. One of the same name that is there already stays as it is.
    Add(NewJob),
    /// The same, and it is in hand from the start: whoever writes it carries it out. What it was to wait does not count.
    AddTaken(NewJob, JobHold),
    /// How one fared. Nothing of it counts when the job is no longer the caller's: dropped, or somebody else's. A lease
    /// that has run out does not matter as long as nobody has claimed the job since.
    Settle(JobSettle),
    /// One may be begun now that was to wait. One that is in hand may be when it is released.
    Hasten(JobId),
    /// One is not to be done, whoever has it in hand.
    Drop(JobId),
    /// A vendor will name a message so. One of the same reference is replaced.
    Refer(Receipt),
}

impl JobWrite {
    /// The lane of a job that is new or may be due because of it.
    pub fn lane(&self) -> Option<Lane> {
        match self {
            Self::Add(job) => Some(job.lane),
            // Whose job it is does not say in which lane it waits; those that are hastened are of an SOS.
            Self::Hasten(_) => Some(Lane::Sos),
            Self::AddTaken(..) | Self::Settle(_) | Self::Drop(_) | Self::Refer(_) => None,
        }
    }
}

/// By whom a job is held, and for how long from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobHold {
    /// As in a claim.
    pub token: i64,
    /// As in a claim.
    pub lease: Duration,
}

/// How a job fared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSettle {
    /// Which.
    pub id: JobId,
    /// By which it was claimed.
    pub token: i64,
    /// What becomes of it.
    pub then: JobThen,
    /// What it says from now on; `None`: what it said.
    pub body: Option<String>,
}

/// What becomes of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobThen {
    /// It is done with, and leaves the store.
    Done,
    /// The lease goes on for so long from now.
    Keep(Duration),
    /// The lease ends; it may be begun again after so long, or at once when somebody hastened it meanwhile.
    Release(Duration),
}

/// Asks for jobs that are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobClaim {
    /// By which whoever asks is known from then on: another one for each claim. Positive.
    pub token: i64,
    /// Of which lane.
    pub lane: Lane,
    /// For how long they are nobody else's.
    pub lease: Duration,
    /// At most so many, those that are due the longest first.
    pub limit: usize,
}

/// A job that is whoever's asked for it, until the lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Its name.
    pub key: String,
    /// Its lane.
    pub lane: Lane,
    /// The incident it belongs to.
    pub room: Option<RoomId>,
    /// Whose it is.
    pub whose: Option<Subject>,
    /// When it was written, by the store's clock.
    pub since: Timestamp,
    /// The lease before this one ran out: whoever had it did not say how it fared.
    pub interrupted: bool,
    /// What is to be done.
    pub body: String,
}

/// By which a vendor names a message, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The vendor's name, a colon, its reference: at most 200 characters.
    pub reference: String,
    /// The incident.
    pub room: Option<RoomId>,
    /// Which of the incident's messages.
    pub notification: u32,
    /// The job that minds it.
    pub job: JobId,
    /// When it was handed over.
    pub at: Timestamp,
}

/// How much waits in a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneDepth {
    /// Which.
    pub lane: Lane,
    /// Jobs in the store.
    pub jobs: u64,
    /// Those of them that are due and nobody's.
    pub waiting: u64,
    /// When the one that waits the longest became due.
    pub oldest: Option<Timestamp>,
}
