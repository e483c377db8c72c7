//! The places of a worker: a job in hand has one, and gives it back however it ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Shared;
use crate::domain::notify::Lane;

/// A place that was given back, and when its lane is to be looked at again.
type Returned = (Lane, Option<Instant>);

/// What one worker has in hand. At most as many places are given back as its lanes have.
pub(super) struct Places {
    shared: Arc<Shared>,
    returned: Mutex<Vec<Returned>>,
}

impl Places {
    pub fn new(shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            shared,
            returned: Mutex::default(),
        })
    }

    /// For a job of this lane.
    pub fn take(places: &Arc<Self>, lane: Lane) -> Place {
        Place {
            places: Arc::clone(places),
            lane,
            again: None,
        }
    }

    /// Those that were given back since this was asked last.
    pub fn returned(&self) -> Vec<Returned> {
        std::mem::take(&mut *self.returned.lock())
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
        self.places.returned.lock().push((self.lane, self.again));
        self.places.shared.look_up();
    }
}
