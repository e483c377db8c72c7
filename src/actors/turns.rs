//! One after the other: whoever raises an SOS from two devices at once raises one.

use std::hash::{BuildHasher, RandomState};

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
    /// Waits until nobody of the same lane is at it. Those ahead hold it no longer than commands may take.
    pub async fn turn(&self, subject: &Subject) -> MutexGuard<'_, ()> {
        #[expect(clippy::cast_possible_truncation, reason = "only the low bits are used")]
        let lane = self.hasher.hash_one(subject) as usize % LANES;
        self.lanes[lane].lock().await
    }
}
