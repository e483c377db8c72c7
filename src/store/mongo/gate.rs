//! How many requests are on their way to the server at once. Further ones wait: so many at most, and not for long.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::store::contract::StoreError;
use crate::store::meters::bump;

pub(super) struct Gate {
    permits: Semaphore,
    waiting: AtomicUsize,
    waiting_max: usize,
    patience: Duration,
    /// Refused, because too many waited or one waited for too long.
    pub refused: AtomicU64,
}

/// One more waits, until this is dropped.
struct Waiter<'g>(&'g AtomicUsize);

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Gate {
    pub fn new(at_once: usize, waiting_max: usize, patience: Duration) -> Self {
        Self {
            permits: Semaphore::new(at_once.max(1)),
            waiting: AtomicUsize::new(0),
            waiting_max,
            patience,
            refused: AtomicU64::new(0),
        }
    }

    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Waits for its turn. What is not `urgent` is refused from three quarters of the queue on.
    pub async fn enter(&self, urgent: bool) -> Result<SemaphorePermit<'_>, StoreError> {
        if let Ok(permit) = self.permits.try_acquire() {
            return Ok(permit);
        }
        let limit = if urgent {
            self.waiting_max
        } else {
            self.waiting_max - self.waiting_max / 4
        };
        let before = self.waiting.fetch_add(1, Ordering::AcqRel);
        let waiter = Waiter(&self.waiting);
        if before >= limit {
            bump(&self.refused, 1);
            return Err(StoreError::Busy);
        }
        let permit = tokio::time::timeout(self.patience, self.permits.acquire()).await;
        drop(waiter);
        match permit {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(super::stopped()),
            Err(_) => {
                bump(&self.refused, 1);
                Err(StoreError::Busy)
            }
        }
    }

    /// Nobody enters any more.
    pub fn close(&self) {
        self.permits.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_finds_no_room_waits_and_one_too_many_is_refused_at_once() {
        let gate = Gate::new(1, 4, Duration::from_millis(20));
        let held = gate.enter(true).await.unwrap();
        let waiting = [gate.enter(true), gate.enter(true), gate.enter(true)];
        let waiting = futures_util::future::join_all(waiting);
        tokio::pin!(waiting);
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        assert_eq!(gate.waiting(), 3);
        assert_eq!(
            gate.enter(false).await.err(),
            Some(StoreError::Busy),
            "three quarters are full"
        );
        let outcomes = waiting.await;
        assert!(
            outcomes
                .iter()
                .all(|outcome| outcome.as_ref().err() == Some(&StoreError::Busy))
        );
        assert_eq!((gate.waiting(), gate.refused.load(Ordering::Relaxed)), (0, 4));
        drop(held);
        assert!(gate.enter(false).await.is_ok());
    }
}
