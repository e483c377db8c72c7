//! Tells the service that keeps incidents what happens in them: every durable event, in order for each incident, at
//! least once, and again until it is taken.
//!
//! The store notes with each append which incidents have something to tell (`store/outbox.rs`). Every node has one
//! worker, which claims some of them for a while, reads their logs, and sends. What is next and how long to wait is
//! decided by `core`; `actor` carries it out; who speaks HTTP is behind [`EventService`].

mod actor;
mod core;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use actix::{Addr, ArbiterHandle};
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
    /// Times that the worker died of a panic.
    deaths: AtomicU64,
}

impl FeedShared {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            wake: Notify::new(),
            state: Mutex::new(FeedState {
                stand: Stand::Closed,
                opened: 0,
                tally: Tally::default(),
                in_hand: 0,
                depth: OutboxDepth::default(),
            }),
            dropped: AtomicU64::new(0),
            revived: AtomicU64::new(0),
            deaths: AtomicU64::new(0),
        })
    }
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
pub struct Feed(Arc<Handle>);

struct Handle {
    shared: Arc<FeedShared>,
    parts: FeedParts,
    on: ArbiterHandle,
    addr: Mutex<Addr<FeedActor>>,
    closed: AtomicBool,
    /// How long somebody waits for it.
    patience: Duration,
}

impl Feed {
    /// Starts a worker on a thread.
    pub fn launch(parts: FeedParts, on: &ArbiterHandle) -> Self {
        let shared = FeedShared::new();
        let addr = FeedActor::launch(parts.clone(), Arc::clone(&shared), on);
        Self(Arc::new(Handle {
            shared,
            patience: parts.settings.timeout + Duration::from_secs(2),
            parts,
            on: on.clone(),
            addr: Mutex::new(addr),
            closed: AtomicBool::new(false),
        }))
    }

    /// An incident has something to tell.
    pub fn wake(&self) {
        self.addr();
        self.0.shared.wake.notify_one();
    }

    /// The worker; one that died of a panic is started anew. What it had in hand is due when its leases have run out.
    fn addr(&self) -> Addr<FeedActor> {
        let handle = &self.0;
        let mut addr = handle.addr.lock();
        if !addr.connected() && !handle.closed.load(Ordering::Acquire) {
            handle.shared.deaths.fetch_add(1, Ordering::Relaxed);
            *addr = FeedActor::launch(handle.parts.clone(), Arc::clone(&handle.shared), &handle.on);
        }
        addr.clone()
    }

    /// How it stands.
    pub fn state(&self) -> FeedState {
        *self.0.shared.state.lock()
    }

    /// How often it died and was started anew.
    pub fn deaths(&self) -> u64 {
        self.0.shared.deaths.load(Ordering::Relaxed)
    }

    /// Dead letters that gave way to newer ones, and those that were taken in the end, on this node.
    pub fn ends(&self) -> (u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.0.shared.dropped), read(&self.0.shared.revived))
    }

    /// Sends a dead letter again, and takes it off the list when it is taken.
    ///
    /// # Errors
    /// When there is none, or it was not taken.
    pub async fn resend(&self, room: RoomId, seq: Seq) -> Result<(), ResendError> {
        let (to, answer) = oneshot::channel();
        let away = || ResendError::Away(Duration::from_secs(1));
        let sent = self.addr().try_send(Resend { room, seq, to });
        sent.map_err(|_| away())?;
        match tokio::time::timeout(self.0.patience, answer).await {
            Ok(Ok(answer)) => answer,
            _ => Err(away()),
        }
    }

    /// Lets go of what is in hand, so that others need not wait for leases to run out.
    pub async fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        let (to, done) = oneshot::channel();
        if self.addr().try_send(Stop(to)).is_ok() {
            let _ = tokio::time::timeout(self.0.patience, done).await;
        }
    }
}

#[cfg(test)]
mod tests;
