//! Writes positions from the nodes' stream into the store: many at once, each so often as it takes until the store
//! has it.
//!
//! A batch is written when it is full or its oldest fix has waited for long enough, and acknowledged when the store
//! has it. What is written twice changes nothing there. While the store is away a batch waits here, the others in the
//! stream; while Redis is away, fixes come from the board itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::bus::Board;
use crate::bus::redis::{Failure, FixStream, Found, Taken};
use crate::domain::location::LocationPolicy;
use crate::store::{KeptFix, Store};

/// The pause after something failed.
const PAUSE: Duration = Duration::from_millis(500);
/// Entries that are read at once.
const READ_MAX: usize = 1_000;
/// When Redis says this, its memory was lost and the group with it.
const NO_GROUP: &str = "NOGROUP";

/// When a batch is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistorySettings {
    /// With so many fixes, or up to 1,000 more.
    pub batch_max: usize,
    /// After so long at the latest.
    pub interval: Duration,
    /// What another node has not acknowledged for so long is taken over.
    pub take_over_after: Duration,
}

/// What it has done.
#[derive(Debug, Default)]
pub struct HistoryCounts {
    /// Fixes written or found there already.
    pub written: AtomicU64,
    /// Fixes taken over from others.
    pub taken_over: AtomicU64,
    /// Fixes that did not go through the stream, for Redis was away.
    pub spilled: AtomicU64,
    /// Fixes that the stream forgot before they were written.
    pub forgotten: AtomicU64,
    /// Entries that were none.
    pub unreadable: AtomicU64,
    /// Times that the store or Redis failed.
    pub failed: AtomicU64,
}

/// One node's writer.
pub struct HistoryWriter {
    /// Where the fixes come from.
    pub stream: FixStream,
    /// Where those come from that could not be put into the stream.
    pub board: Arc<dyn Board>,
    /// Where they go.
    pub store: Arc<dyn Store>,
    /// What is worth keeping.
    pub policy: LocationPolicy,
    /// When.
    pub settings: HistorySettings,
    /// What it has done.
    pub counts: Arc<HistoryCounts>,
}

/// What waits to be written.
#[derive(Default)]
struct Batch {
    taken: Vec<Taken>,
    spilled: Vec<KeptFix>,
    /// It is written then at the latest.
    due: Option<Instant>,
}

impl Batch {
    fn len(&self) -> usize {
        self.taken.len() + self.spilled.len()
    }
}

impl HistoryWriter {
    /// Until `stop` says true; what was gathered is written before it ends.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let (mut batch, mut look) = (Batch::default(), Instant::now());
        // A Redis that is away now says so again when something is to be taken.
        let _ = self.stream.prepare().await;
        loop {
            self.add_spilled(&mut batch);
            let gather = async {
                if let Err(failure) = self.gather(&mut batch, &mut look).await {
                    self.recover(failure).await;
                }
            };
            tokio::select! {
                () = gather => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
            if batch.len() == 0 {
                continue;
            }
            let due = *batch
                .due
                .get_or_insert_with(|| Instant::now() + self.settings.interval);
            if batch.len() < self.settings.batch_max && Instant::now() < due {
                continue;
            }
            if self.write(&batch).await {
                batch = Batch::default();
            } else {
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    _ = stop.wait_for(|stop| *stop) => break,
                }
            }
        }
        self.add_spilled(&mut batch);
        if batch.len() == 0 || self.write(&batch).await {
            let _ = self.stream.leave().await;
        }
    }

    fn add_spilled(&self, batch: &mut Batch) {
        let room = self.settings.batch_max.saturating_sub(batch.len());
        let spilled = self.board.spilled(room);
        add(&self.counts.spilled, spilled.len());
        batch.spilled.extend(spilled);
    }

    /// Takes what others have left, now and then, and what is new.
    async fn gather(&self, batch: &mut Batch, look: &mut Instant) -> Result<(), Failure> {
        if batch.len() >= self.settings.batch_max {
            return Ok(());
        }
        if Instant::now() < *look {
            let found = self.stream.take(READ_MAX).await?;
            batch.taken.extend(self.counted(found));
            return Ok(());
        }
        *look = Instant::now() + self.settings.take_over_after / 2;
        self.stream.tidy().await?;
        let found = self
            .stream
            .take_over(self.settings.take_over_after, READ_MAX)
            .await?;
        // Its own, too, when the store was away for long: those are in the batch already.
        let mut left = self.counted(found);
        left.retain(|taken| !batch.taken.iter().any(|known| known.id == taken.id));
        add(&self.counts.taken_over, left.len());
        batch.taken.extend(left);
        Ok(())
    }

    fn counted(&self, found: Found) -> Vec<Taken> {
        add(&self.counts.unreadable, found.unreadable);
        add(&self.counts.forgotten, found.forgotten);
        found.taken
    }

    async fn recover(&self, failure: Failure) {
        add(&self.counts.failed, 1);
        if failure == Failure::Refused(NO_GROUP.into()) {
            let _ = self.stream.prepare().await;
        }
        tokio::time::sleep(PAUSE).await;
    }

    /// True: they are in the store, and Redis knows if it can be told.
    async fn write(&self, batch: &Batch) -> bool {
        let taken = batch.taken.iter().map(|taken| &taken.fix);
        let fixes: Vec<_> = taken.chain(&batch.spilled).cloned().collect();
        let count = fixes.len();
        if let Err(error) = self.store.keep_fixes(fixes, &self.policy).await {
            add(&self.counts.failed, 1);
            tracing::warn!(%error, count, "positions wait to be written");
            return false;
        }
        add(&self.counts.written, count);
        let ids: Vec<String> = batch.taken.iter().map(|taken| taken.id.clone()).collect();
        if self.stream.done(&ids).await.is_err() {
            // They come again, here or elsewhere.
            add(&self.counts.failed, 1);
        }
        true
    }
}

fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}
