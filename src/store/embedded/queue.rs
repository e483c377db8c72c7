//! A bounded queue with three lanes between async callers and a thread. Pushing never blocks.
//!
//! An SOS goes first and may use all of it; what else people do is refused from seven eighths on, and what can
//! be sent again from three quarters.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// How urgent an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Somebody calls for help, or help moves.
    Sos,
    /// Somebody waits for it.
    Urgent,
    /// It can be sent again.
    Rest,
}

/// Why an item was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Too much waits.
    Full,
    /// Nobody takes from the queue any more.
    Closed,
}

struct State<T> {
    sos: VecDeque<T>,
    urgent: VecDeque<T>,
    rest: VecDeque<T>,
    closed: bool,
}

impl<T> State<T> {
    fn len(&self) -> usize {
        self.sos.len() + self.urgent.len() + self.rest.len()
    }

    /// The next that does not belong to the rest.
    fn first(&mut self) -> Option<T> {
        self.sos.pop_front().or_else(|| self.urgent.pop_front())
    }
}

pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    ready: Condvar,
    max: usize,
}

impl<T> Queue<T> {
    pub fn new(max: usize) -> Self {
        let state = State {
            sos: VecDeque::new(),
            urgent: VecDeque::new(),
            rest: VecDeque::new(),
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            ready: Condvar::new(),
            max,
        }
    }

    pub fn max(&self) -> usize {
        self.max
    }

    pub fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    pub fn len(&self) -> usize {
        let state = self.state.lock();
        state.len()
    }

    pub fn push(&self, lane: Lane, item: T) -> Result<(), Refused> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        let limit = match lane {
            Lane::Sos => self.max,
            Lane::Urgent => self.max - self.max / 8,
            Lane::Rest => self.max - self.max / 4,
        };
        if state.len() >= limit {
            return Err(Refused::Full);
        }
        match lane {
            Lane::Sos => state.sos.push_back(item),
            Lane::Urgent => state.urgent.push_back(item),
            Lane::Rest => state.rest.push_back(item),
        }
        drop(state);
        self.ready.notify_one();
        Ok(())
    }

    /// Waits for items and moves what is there into `into`, urgent ones first, until there are `max_items`
    /// or they weigh `max_weight` together. Of the rest at least one goes along, or it would starve, and at most
    /// a quarter of the weight, or the next urgent one would wait for long.
    /// False: the queue is closed and empty. With `patience` it gives up after so long, and takes nothing.
    pub fn take(
        &self,
        into: &mut Vec<T>,
        (max_items, max_weight): (usize, usize),
        patience: Option<Duration>,
        weigh: impl Fn(&T) -> usize,
    ) -> bool {
        let mut state = self.state.lock();
        while state.len() == 0 {
            if state.closed {
                return false;
            }
            match patience {
                None => self.ready.wait(&mut state),
                Some(patience) => {
                    if self.ready.wait_for(&mut state, patience).timed_out() && state.len() == 0 {
                        return true;
                    }
                }
            }
        }
        let max_items = max_items.max(2);
        let mut weight = 0;
        while into.len() < max_items - usize::from(!state.rest.is_empty()) && weight < max_weight {
            let Some(item) = state.first() else {
                break;
            };
            weight += weigh(&item);
            into.push(item);
        }
        let limit = weight + max_weight / 4;
        while let Some(item) = state.rest.pop_front() {
            weight += weigh(&item);
            into.push(item);
            if into.len() >= max_items || weight >= limit.min(max_weight) {
                break;
            }
        }
        true
    }

    /// Takes one item; `None`: the queue is closed and empty.
    pub fn next(&self) -> Option<T> {
        let mut state = self.state.lock();
        loop {
            if let Some(item) = state.first() {
                return Some(item);
            }
            if let Some(item) = state.rest.pop_front() {
                return Some(item);
            }
            if state.closed {
                return None;
            }
            self.ready.wait(&mut state);
        }
    }

    /// Refuses new items; what waits is still taken.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.ready.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sos_gets_in_when_positions_have_filled_their_part() {
        let queue = Queue::new(8);
        for n in 0..6 {
            assert_eq!(queue.push(Lane::Rest, n), Ok(()));
        }
        assert_eq!(queue.push(Lane::Rest, 6), Err(Refused::Full));
        assert_eq!(queue.push(Lane::Urgent, 7), Ok(()));
        assert_eq!(queue.push(Lane::Urgent, 8), Err(Refused::Full));
        assert_eq!(queue.push(Lane::Sos, 9), Ok(()));
        assert_eq!(queue.push(Lane::Sos, 10), Err(Refused::Full));
        assert_eq!(
            [queue.next(), queue.next(), queue.next()],
            [Some(9), Some(7), Some(0)]
        );
    }

    #[test]
    fn a_group_takes_the_urgent_first_and_never_starves_the_rest() {
        let queue = Queue::new(100);
        for n in 0..3 {
            queue.push(Lane::Rest, n).unwrap();
        }
        for n in 10..14 {
            queue.push(Lane::Urgent, n).unwrap();
        }
        let mut group = vec![];
        assert!(queue.take(&mut group, (4, 100), None, |_| 1));
        assert_eq!(group, [10, 11, 12, 0]);
        group.clear();
        assert!(queue.take(&mut group, (4, 100), None, |_| 1));
        assert_eq!(group, [13, 1, 2]);
    }

    #[test]
    fn a_heavy_item_ends_the_group_and_a_group_is_never_empty() {
        let queue = Queue::new(100);
        queue.push(Lane::Urgent, 1).unwrap();
        queue.push(Lane::Urgent, 1_000).unwrap();
        queue.push(Lane::Urgent, 1).unwrap();
        let mut group = vec![];
        assert!(queue.take(&mut group, (10, 100), None, |n| *n));
        assert_eq!(group, [1, 1_000]);
    }

    #[test]
    fn the_rest_has_a_quarter_of_the_weight() {
        let queue = Queue::new(100);
        for n in 0..10 {
            queue.push(Lane::Rest, n).unwrap();
        }
        let mut group = vec![];
        assert!(queue.take(&mut group, (50, 100), None, |_| 10));
        assert_eq!(group, [0, 1, 2]);
    }

    #[test]
    fn a_closed_queue_gives_what_waits_and_then_ends() {
        let queue = Queue::new(10);
        queue.push(Lane::Rest, 1).unwrap();
        queue.close();
        assert_eq!(queue.push(Lane::Urgent, 2), Err(Refused::Closed));
        assert_eq!(queue.next(), Some(1));
        assert_eq!(queue.next(), None);
    }
}
