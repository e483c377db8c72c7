//! A write that waits for its turn, and the caller who waits for it.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::writes::Writes;
use crate::store::contract::StoreError;
use crate::store::meters::Meters;

/// One write of a group. It may run more than once: when another of its group fails, all begin again.
pub(super) trait Job: Send {
    /// About how many rows it writes.
    fn weight(&self) -> usize;
    /// Does it, inside the group's transaction. An error ends the group.
    fn run(&mut self, writes: &mut Writes<'_>) -> Result<(), StoreError>;
    /// Tells the caller, once the transaction is on disk or has failed.
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>, meters: &Meters);
}

/// Where a write's answer comes.
pub(super) type Answer<T> = oneshot::Receiver<Result<T, StoreError>>;

/// A write with what it gives back.
pub(super) struct Task<T, F> {
    work: F,
    weight: usize,
    done: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
    /// Set for an append: since when it waits.
    since: Option<Instant>,
}

impl<T, F> Task<T, F>
where
    T: Send + 'static,
    F: FnMut(&mut Writes<'_>) -> Result<T, StoreError> + Send + 'static,
{
    /// The write, and where its answer will come.
    pub fn queued(weight: usize, since: Option<Instant>, work: F) -> (Box<dyn Job>, Answer<T>) {
        let (reply, answer) = oneshot::channel();
        (
            Box::new(Self {
                work,
                weight,
                done: None,
                reply,
                since,
            }),
            answer,
        )
    }
}

impl<T, F> Job for Task<T, F>
where
    T: Send + 'static,
    F: FnMut(&mut Writes<'_>) -> Result<T, StoreError> + Send + 'static,
{
    fn weight(&self) -> usize {
        self.weight
    }

    fn run(&mut self, writes: &mut Writes<'_>) -> Result<(), StoreError> {
        self.done = None;
        self.done = Some((self.work)(writes)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>, meters: &Meters) {
        let result = match (outcome, self.done) {
            (Ok(()), Some(done)) => Ok(done),
            (Ok(()), None) => Err(StoreError::Unavailable("the write was not carried out".into())),
            (Err(error), _) => Err(error),
        };
        if let (Ok(_), Some(since)) = (&result, self.since) {
            meters.append_us.add_time(since.elapsed());
        }
        // Whoever asked may have gone: what was written stays.
        let _ = self.reply.send(result);
    }
}

/// What keeps the folder's lock until the last thread has ended.
pub(super) type Held = Arc<std::fs::File>;
