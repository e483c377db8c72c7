//! Whose memberships have changed: gathered for a moment and said together, since a burst of incidents changes many.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::bus::{Bus, News, Topic};
use crate::domain::people::Subject;

/// Subjects in one message.
const TOGETHER: usize = 256;
/// Subjects that wait to be told of, at most; beyond, the others are told to forget what they know of anybody.
const WAITING_MAX: usize = 100_000;
/// How long they are gathered.
const GATHER: std::time::Duration = std::time::Duration::from_millis(2);

/// What waits to be said.
#[derive(Default)]
pub struct Gossip {
    waiting: Mutex<Vec<Subject>>,
    overflowed: AtomicBool,
    more: Notify,
}

impl Gossip {
    /// The rooms that somebody is in have changed.
    pub fn moved(&self, subject: &Subject) {
        let mut waiting = self.waiting.lock();
        if waiting.len() < WAITING_MAX {
            waiting.push(subject.clone());
        } else {
            self.overflowed.store(true, Ordering::Relaxed);
        }
        if waiting.len() == 1 {
            self.more.notify_one();
        }
    }

    /// Tells the other nodes, for ever.
    pub async fn tell(&self, bus: &dyn Bus) {
        loop {
            self.more.notified().await;
            tokio::time::sleep(GATHER).await;
            let waiting = std::mem::take(&mut *self.waiting.lock());
            if self.overflowed.swap(false, Ordering::Relaxed) {
                bus.publish(Topic::Everyone, News::Memberships { subjects: vec![] });
                continue;
            }
            for slice in waiting.chunks(TOGETHER) {
                let subjects = slice.to_vec();
                bus.publish(Topic::Everyone, News::Memberships { subjects });
            }
        }
    }
}
