//! A job in hand, and what is written about it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Shared;
use super::body::JobBody;
use crate::actors::clock::random;
use crate::actors::error::CommandError;
use crate::actors::room::{Act, By, Outcome, Reply};
use crate::domain::ids::RoomId;
use crate::domain::room::{Command, Rejection};
use crate::domain::time::Timestamp;
use crate::store::{Job, JobHold, JobSettle, JobThen, JobWrite, NewJob};

/// How often what became of a message is written again when the store fails, the waits doubling.
const RECORD_TRIES: u32 = 6;
/// The first of those waits.
const RECORD_PAUSE: Duration = Duration::from_millis(100);

/// By which a claim is known: never 0, which is nobody's.
pub(super) fn fresh_token() -> i64 {
    (i64::from_be_bytes(random()) & i64::MAX).max(1)
}

/// A job that is this node's for a while.
pub(super) struct Errand {
    pub shared: Arc<Shared>,
    pub job: Job,
    token: i64,
    until: Instant,
}

impl Errand {
    pub fn new(shared: Arc<Shared>, job: Job, token: i64, claimed_at: Instant) -> Self {
        let until = claimed_at + shared.settings.lease;
        Self {
            shared,
            job,
            token,
            until,
        }
    }

    /// A job that is written as one in hand from the start.
    pub fn of_new(shared: Arc<Shared>, job: NewJob, hold: JobHold, now: Timestamp) -> Self {
        let job = Job {
            id: job.id,
            key: job.key,
            lane: job.lane,
            room: job.room,
            whose: job.whose,
            since: now,
            interrupted: false,
            body: job.body,
        };
        Self {
            shared,
            job,
            token: hold.token,
            until: Instant::now() + hold.lease,
        }
    }

    /// For another job that this node is to have in hand from now on.
    pub fn hold(&self) -> JobHold {
        JobHold {
            token: fresh_token(),
            lease: self.shared.settings.lease,
        }
    }

    /// Whether something that takes at most so long can be done before the job is somebody else's.
    pub fn has_time_for(&self, span: Duration) -> bool {
        Instant::now() + span < self.until
    }

    /// What becomes of the job.
    pub fn settle(&self, then: JobThen, body: Option<&JobBody>) -> JobWrite {
        JobWrite::Settle(JobSettle {
            id: self.job.id,
            token: self.token,
            then,
            body: body.map(JobBody::encode),
        })
    }

    /// Writes changes to jobs. When the store fails for long, the lease runs out and the job is taken over.
    pub async fn write(&self, jobs: Vec<JobWrite>) -> bool {
        let mut pause = RECORD_PAUSE;
        for _ in 0..RECORD_TRIES {
            match self.shared.store.write_jobs(jobs.clone()).await {
                Ok(_) => return true,
                Err(error) => tracing::warn!(key = %self.job.key, %error, "a job cannot be written"),
            }
            if !self.has_time_for(pause) {
                break;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        false
    }

    /// The job is done with.
    pub async fn done(&self) -> Option<Duration> {
        self.write(vec![self.settle(JobThen::Done, None)]).await;
        None
    }

    /// The job is looked at again after so long.
    pub async fn again(&self, wait: Duration, body: Option<&JobBody>) -> Option<Duration> {
        let written = self.write(vec![self.settle(JobThen::Release(wait), body)]).await;
        written.then_some(wait)
    }

    /// Gives an incident a command of the engine's, once, with changes to jobs that are written with what happens; when
    /// nothing happens they are written by themselves.
    ///
    /// # Errors
    /// What failed. Nothing was written, or it is not known.
    pub async fn act(
        &self,
        room: &RoomId,
        command: Command,
        jobs: Vec<JobWrite>,
        people: Vec<crate::domain::people::Person>,
    ) -> Result<Outcome, CommandError> {
        let mut act = Act::new(By::System, command, Reply::nobody());
        act.people = people;
        act.jobs.clone_from(&jobs);
        let outcome = self.shared.node()?.room(room).act(act).await?;
        if outcome.events.is_empty() {
            self.write(jobs).await;
        }
        Ok(outcome)
    }

    /// The same, again and again as long as the job is this node's: what it says has happened and must be known.
    pub async fn record(&self, room: &RoomId, command: Command, jobs: Vec<JobWrite>) -> Option<Outcome> {
        let mut pause = RECORD_PAUSE;
        loop {
            match self.act(room, command.clone(), jobs.clone(), vec![]).await {
                Ok(outcome) => return Some(outcome),
                Err(CommandError::Rejected(Rejection::NotFound | Rejection::WrongKind)) => {
                    self.write(jobs).await;
                    return None;
                }
                Err(error) => {
                    tracing::warn!(%room, key = %self.job.key, %error, "how a message stands cannot be written");
                }
            }
            if !self.has_time_for(pause) {
                return None;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }
}
