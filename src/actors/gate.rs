//! How many messages may stand before an actor: an exact bound that no fresh address slips past.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const CLOSED: usize = 1 << (usize::BITS - 1);

/// Counts the messages between their sending and the end of their handling.
#[derive(Debug)]
pub struct Gate {
    inside: AtomicUsize,
    limit: usize,
}

/// One message's place; given back when it is dropped.
#[derive(Debug)]
pub struct Permit(Arc<Gate>);

/// Why a message was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The limit is reached.
    Full,
    /// The actor has gone to rest: get a new handle.
    Closed,
}

impl Gate {
    /// Lets `limit` messages in at once.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            inside: AtomicUsize::new(0),
            limit,
        })
    }

    /// Lets a message in.
    ///
    /// # Errors
    /// When the limit is reached or the gate is closed.
    pub fn enter(self: &Arc<Self>) -> Result<Permit, Refused> {
        let entered = self
            .inside
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| {
                (n & CLOSED == 0 && n < self.limit).then_some(n + 1)
            });
        match entered {
            Ok(_) => Ok(Permit(Arc::clone(self))),
            Err(n) if n & CLOSED != 0 => Err(Refused::Closed),
            Err(_) => Err(Refused::Full),
        }
    }

    /// Closes it if nobody is inside; true when it is closed now.
    pub fn close_if_empty(&self) -> bool {
        self.inside
            .compare_exchange(0, CLOSED, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Whether it lets nobody in any more.
    pub fn is_closed(&self) -> bool {
        self.inside.load(Ordering::Acquire) & CLOSED != 0
    }

    /// How many are inside.
    pub fn inside(&self) -> usize {
        self.inside.load(Ordering::Relaxed) & !CLOSED
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_exact_and_places_come_back() {
        let gate = Gate::new(2);
        let first = gate.enter().unwrap();
        let _second = gate.enter().unwrap();
        assert_eq!(gate.enter().unwrap_err(), Refused::Full);
        drop(first);
        assert!(gate.enter().is_ok());
    }

    #[test]
    fn a_gate_closes_only_when_nobody_is_inside() {
        let gate = Gate::new(2);
        let inside = gate.enter().unwrap();
        assert!(!gate.close_if_empty());
        drop(inside);
        assert!(gate.close_if_empty());
        assert_eq!(gate.enter().unwrap_err(), Refused::Closed);
        assert_eq!(gate.inside(), 0);
    }
}
