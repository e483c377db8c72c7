//! One after the other: whoever raises an SOS from two devices at once raises one.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};

use crate::domain::people::Subject;

const LANES: usize = 256;

/// People take turns, each with themselves and now and then with a stranger.
pub struct Turns {
    lanes: [Mutex<()>; LANES],
    hasher: RandomState,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            lanes: std::array::from_fn(|_| Mutex::new(())),
            hasher: RandomState::new(),
        }
    }
}

impl Turns {
    /// Waits until nobody of the same lane is at it, at most as long as `patience`. Then they go on without a turn:
    /// two SOS are better than none.
    pub async fn turn(&self, subject: &Subject, patience: Duration) -> Option<MutexGuard<'_, ()>> {
        #[expect(clippy::cast_possible_truncation, reason = "only the low bits are used")]
        let lane = self.hasher.hash_one(subject) as usize % LANES;
        tokio::time::timeout(patience, self.lanes[lane].lock()).await.ok()
    }
}
