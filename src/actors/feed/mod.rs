//! Tells the service that keeps incidents what happens in them: every durable event, in order for each incident, at
//! least once, and again until it is taken.
//!
//! The store notes with each append which incidents have something to tell (`store/outbox.rs`). Every node has one
//! worker, which claims some of them for a while, reads their logs, and sends. What is next and how long to wait is
//! decided by `core`; `actor` carries it out; who speaks HTTP is behind [`EventService`].

mod actor;
mod core;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

pub use self::actor::{FeedActor, FeedParts};
use self::actor::{Resend, Stop};
pub use self::core::{FeedSettings, Reply, Tally};
use crate::domain::breaker::Stand;
use crate::domain::ids::RoomId;
use crate::domain::room::{Event, Seq};
use crate::store::{OutboxDepth, StoreError};

/// The service, as far as events are concerned.
#[async_trait]
pub trait EventService: Send + Sync + 'static {
    /// Sends an event, once; returns within the time that a request may take.
    async fn tell(&self, event: &Event) -> Reply;
}

/// What operators see of the worker.
#[derive(Clone, Copy, Debug)]
pub struct FeedState {
    /// Whether the service is spoken to.
    pub stand: Stand,
    /// How often it was left alone.
    pub opened: u64,
    /// What it has done.
    pub tally: Tally,
    /// Incidents in hand on this node.
    pub in_hand: usize,
    /// What waits, on all nodes, as of the last look.
    pub depth: OutboxDepth,
}

/// Shared by the worker and those who look at it.
#[derive(Debug)]
pub(super) struct FeedShared {
    wake: Notify,
    state: Mutex<FeedState>,
    /// Dead letters that gave way to newer ones.
    pub dropped: AtomicU64,
    /// Those that were taken when they were sent again.
    pub revived: AtomicU64,
}

/// Why a dead letter was not sent again, or is still one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResendError {
    /// There is none of this event.
    #[error("there is no such dead letter")]
    Unknown,
    /// The service is left alone, or did not answer: ask again after this.
    #[error("the service does not answer")]
    Away(Duration),
    /// It does not want it now either.
    #[error("the service refused it again with {0}")]
    Refused(u16),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The way to a node's worker. Cheap to clone.
#[derive(Clone)]
pub struct Feed {
    shared: Arc<FeedShared>,
    addr: actix::Addr<FeedActor>,
    /// How long somebody waits for it.
    patience: Duration,
}

impl Feed {
    /// An incident has something to tell.
    pub fn wake(&self) {
        self.shared.wake.notify_one();
    }

    /// How it stands.
    pub fn state(&self) -> FeedState {
        *self.shared.state.lock()
    }

    /// Dead letters that gave way to newer ones, and those that were taken in the end, on this node.
    pub fn ends(&self) -> (u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.shared.dropped), read(&self.shared.revived))
    }

    /// Sends a dead letter again, and takes it off the list when it is taken.
    ///
    /// # Errors
    /// When there is none, or it was not taken.
    pub async fn resend(&self, room: RoomId, seq: Seq) -> Result<(), ResendError> {
        let (to, answer) = oneshot::channel();
        let away = || ResendError::Away(Duration::from_secs(1));
        self.addr.try_send(Resend { room, seq, to }).map_err(|_| away())?;
        match tokio::time::timeout(self.patience, answer).await {
            Ok(Ok(answer)) => answer,
            _ => Err(away()),
        }
    }

    /// Lets go of what is in hand, so that others need not wait for leases to run out.
    pub async fn close(&self) {
        let (to, done) = oneshot::channel();
        if self.addr.try_send(Stop(to)).is_ok() {
            let _ = tokio::time::timeout(self.patience, done).await;
        }
    }
}
