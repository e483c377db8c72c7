//! How many requests are being answered: whoever drains the node waits until it is none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts one request while it is being answered.
pub(super) struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    pub(super) fn one(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(counter))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
