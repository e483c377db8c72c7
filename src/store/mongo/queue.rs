//! What waits for one writer: two lanes, bounded by what waits in all of them together.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::store::contract::{AppendError, StoreError};
use crate::store::types::Append;

/// An append that waits, and whoever waits for it.
pub(super) struct Pending {
    pub append: Append,
    pub since: Instant,
    pub answer: oneshot::Sender<Result<(), AppendError>>,
}

impl Pending {
    pub fn weight(&self) -> usize {
        1 + self.append.events.len() + 2 * self.append.people.len() + self.append.jobs.len()
    }
}

struct State {
    sos: VecDeque<Pending>,
    rest: VecDeque<Pending>,
    closed: bool,
}

/// One writer's queue.
pub(super) struct Queue {
    state: Mutex<State>,
    ready: Notify,
    /// Shared by the queues of all writers.
    waiting: Arc<AtomicUsize>,
    max: usize,
}

impl Queue {
    pub fn new(waiting: Arc<AtomicUsize>, max: usize) -> Self {
        Self {
            state: Mutex::new(State {
                sos: VecDeque::new(),
                rest: VecDeque::new(),
                closed: false,
            }),
            ready: Notify::new(),
            waiting,
            max,
        }
    }

    /// An SOS may use all of the room; what else people do is refused from seven eighths on.
    pub fn push(&self, pending: Pending) -> Result<(), StoreError> {
        let urgent = pending.append.helps();
        let limit = if urgent { self.max } else { self.max - self.max / 8 };
        let mut state = self.state.lock();
        if state.closed {
            return Err(super::stopped());
        }
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= limit {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            return Err(StoreError::Busy);
        }
        if urgent {
            state.sos.push_back(pending);
        } else {
            state.rest.push_back(pending);
        }
        drop(state);
        self.ready.notify_one();
        Ok(())
    }

    /// What is there, the urgent first, up to so many appends and so much weight. `None`: closed and empty.
    pub async fn take(&self, ops_max: usize, weight_max: usize) -> Option<Vec<Pending>> {
        loop {
            let ready = self.ready.notified();
            {
                let mut state = self.state.lock();
                let mut taken = Vec::new();
                let mut weight = 0;
                while taken.len() < ops_max.max(1) && (taken.is_empty() || weight < weight_max) {
                    let Some(next) = state.sos.pop_front().or_else(|| state.rest.pop_front()) else {
                        break;
                    };
                    weight += next.weight();
                    taken.push(next);
                }
                if !taken.is_empty() {
                    self.waiting.fetch_sub(taken.len(), Ordering::AcqRel);
                    return Some(taken);
                }
                if state.closed {
                    return None;
                }
            }
            ready.await;
        }
    }

    /// Takes nothing more.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.ready.notify_one();
    }
}
