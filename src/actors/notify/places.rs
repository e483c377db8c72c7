//! The places of a worker: a job in hand has one, and gives it back however it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Shared;
use crate::domain::notify::Lane;

/// What one worker has in hand.
pub(super) struct Places {
    shared: Arc<Shared>,
    /// By lane.
    taken: [AtomicUsize; 4],
    /// By lane: the last claim got all that was due.
    calm: [AtomicBool; 4],
    /// When a lane is to be looked at again, as jobs said that are out of hand: at most one for each that was in hand.
    again: Mutex<Vec<(Lane, Instant)>>,
}

impl Places {
    pub fn new(shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            shared,
            taken: Default::default(),
            calm: Default::default(),
            again: Mutex::default(),
        })
    }

    /// How many are taken.
    pub fn taken(&self, lane: Lane) -> usize {
        self.taken[lane.index()].load(Ordering::Relaxed)
    }

    /// Whether a claim got all that was due.
    pub fn set_calm(&self, lane: Lane, calm: bool) {
        self.calm[lane.index()].store(calm, Ordering::Relaxed);
    }

    /// For a further job of whoever has one in hand: only while nobody else's waits for a place.
    pub fn spare(places: &Arc<Self>, lane: Lane) -> Option<Place> {
        let at_once = places.shared.settings.lanes[lane.index()].at_once;
        let is_calm = places.calm[lane.index()].load(Ordering::Relaxed);
        (is_calm && places.taken(lane) < at_once).then(|| Self::take(places, lane))
    }

    /// For a job of this lane.
    pub fn take(places: &Arc<Self>, lane: Lane) -> Place {
        places.taken[lane.index()].fetch_add(1, Ordering::Relaxed);
        Place {
            places: Arc::clone(places),
            lane,
            again: None,
        }
    }

    /// When lanes are to be looked at again, as was said since this was asked last.
    pub fn again(&self) -> Vec<(Lane, Instant)> {
        std::mem::take(&mut *self.again.lock())
    }
}

/// One of them.
pub(super) struct Place {
    places: Arc<Places>,
    lane: Lane,
    again: Option<Instant>,
}

impl Place {
    /// Its lane has something due in so long.
    pub fn look_again(&mut self, after: Option<Duration>) {
        self.again = after.map(|after| Instant::now() + after);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The job is due when its lease has run out.
            self.places.shared.died();
        }
        if let Some(at) = self.again {
            self.places.again.lock().push((self.lane, at));
        }
        self.places.taken[self.lane.index()].fetch_sub(1, Ordering::Relaxed);
        self.places.shared.look_up();
    }
}
