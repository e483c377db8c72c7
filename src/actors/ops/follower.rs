//! One who follows: gives its sink what comes next, at the pace at which it drains.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::watch;

use super::feed::{Feed, Next};
use super::reader;
use super::{Cursor, Filter, OpsEvent, OpsPositions, OpsSink, Seat, Shared};
use crate::bus::order::Place;

/// Events that are given before it is looked how much waits.
const AT_ONCE: usize = 64;
/// The pause after something could not be read, and how often a sink is looked after that nothing comes for.
const PAUSE: Duration = Duration::from_millis(100);
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A follower.
pub(super) struct Follower {
    pub seat: Seat,
    pub filter: Filter,
    /// Where it goes on.
    pub from: Option<Place>,
    pub sink: Arc<dyn OpsSink>,
    pub ended: watch::Receiver<()>,
}

/// Where it stands.
#[derive(Clone, Copy)]
enum At {
    /// It begins with what comes; `gap`: what came before cannot be had any more.
    Nowhere { gap: bool },
    /// At this number of the feed, after this place.
    Live(u64, Place),
    /// At this place, from before what this node has in memory.
    Behind(Place),
}

impl Follower {
    /// Until the sink is closed, nobody holds the other end, or the node ends.
    pub async fn run(mut self) {
        let mut ended = self.ended.clone();
        tokio::select! {
            () = self.serve() => {}
            // The other end sends nothing: this is its drop.
            _ = ended.changed() => {}
        }
    }

    async fn serve(&mut self) {
        let Some((mut moved, mut positions)) = self.seat.0.upgrade().map(|shared| {
            let mut positions = shared.positions.subscribe();
            positions.mark_unchanged();
            (shared.moved.subscribe(), positions)
        }) else {
            return;
        };
        let mut at = self.from.map_or(At::Nowhere { gap: false }, At::Behind);
        loop {
            let Some(shared) = self.seat.0.upgrade().filter(|shared| !shared.ended.load(Relaxed)) else {
                return;
            };
            if !self.sink.is_open() {
                return;
            }
            let max = shared.settings.behind_max_bytes;
            if self.sink.queued_bytes() > max {
                drop(shared);
                self.sink.drained(max / 2).await;
                continue;
            }
            if positions.has_changed().unwrap_or(false) {
                let newest: Option<Arc<OpsPositions>> = positions.borrow_and_update().clone();
                if let Some(newest) = newest {
                    self.sink.positions(&newest);
                }
            }
            moved.mark_unchanged();
            let step = self.step(&shared, at).await;
            // Nothing of the node is held while there is nothing to do.
            drop(shared);
            match step {
                Some(next) => at = next,
                None => {
                    tokio::select! {
                        _ = moved.changed() => {}
                        _ = positions.changed() => positions.mark_changed(),
                        () = tokio::time::sleep(LOOK_EVERY) => {}
                    }
                }
            }
        }
    }

    /// Gives what there is, a slice at a time. `None`: there is nothing yet.
    async fn step(&self, shared: &Shared, at: At) -> Option<At> {
        match at {
            At::Nowhere { gap } => {
                let (number, place) = with(shared, |feed| (feed.end(), feed.place()))?;
                self.sink.begins(Cursor(place), gap);
                Some(At::Live(number, place))
            }
            At::Live(number, place) => match with(shared, |feed| feed.after(number, AT_ONCE)) {
                Some(Next::Events(events)) => {
                    let last = events.last().map_or(place, |event| event.place);
                    self.give(shared, &events);
                    Some(At::Live(number + events.len() as u64, last))
                }
                Some(Next::Nothing) => None,
                // Nobody followed for a moment, or it was too slow for what this node has in memory.
                Some(Next::Gone) | None => Some(At::Behind(place)),
            },
            At::Behind(place) => self.catch_up(shared, place).await,
        }
    }

    async fn catch_up(&self, shared: &Shared, place: Place) -> Option<At> {
        // Not before this node reads: what is live must not come before what was missed.
        let found = with(shared, |feed| feed.find(place))?;
        if let Some(number) = found {
            return Some(At::Live(number, place));
        }
        let Ok(page) = reader::page(shared, place).await else {
            shared.failed();
            tokio::time::sleep(PAUSE).await;
            return Some(At::Behind(place));
        };
        if page.gap {
            shared.counts.gaps.fetch_add(1, Relaxed);
            return Some(At::Nowhere { gap: true });
        }
        self.give(shared, &page.events);
        if page.upto == place {
            // This node has yet to read what lies here.
            return None;
        }
        Some(At::Behind(page.upto))
    }

    fn give(&self, shared: &Shared, events: &[Arc<OpsEvent>]) {
        let wanted = events
            .iter()
            .filter(|event| self.filter.wants(&event.event, &event.summary));
        let mut told = 0;
        for event in wanted {
            self.sink.event(event);
            told += 1;
        }
        shared.counts.told.fetch_add(told, Relaxed);
    }
}

fn with<T>(shared: &Shared, work: impl FnOnce(&Feed) -> T) -> Option<T> {
    shared.feed.lock().as_ref().map(work)
}
