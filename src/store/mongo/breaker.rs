//! Stops asking a server that does not answer: whoever comes is refused at once instead of waiting in vain.
//!
//! It opens after so many failures in a row. From then on one probe at a time asks the server, every so often; the
//! first that is answered closes it again. Requests are never the probe: nobody's SOS finds out whether it works.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::error::{Cause, Outcome};
use crate::store::contract::StoreError;
use crate::store::meters::bump;

/// Where it stands; the numbers are those of the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    Closed = 0,
    Open = 1,
    HalfOpen = 2,
}

struct State {
    stand: Stand,
    since: Instant,
}

pub(super) struct Breaker {
    failures_max: u32,
    failures: AtomicU32,
    state: Mutex<State>,
    pub opened: AtomicU64,
    pub refused: AtomicU64,
}

impl Breaker {
    /// Opens after `failures_max` in a row; 0: never.
    pub fn new(failures_max: u32) -> Self {
        Self {
            failures_max,
            failures: AtomicU32::new(0),
            state: Mutex::new(State {
                stand: Stand::Closed,
                since: Instant::now(),
            }),
            opened: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    pub fn stand(&self) -> Stand {
        self.state.lock().stand
    }

    /// Goes on only while it is closed.
    pub fn admit(&self) -> Result<(), StoreError> {
        if self.failures.load(Ordering::Relaxed) < self.failures_max.max(1) || self.stand() == Stand::Closed {
            return Ok(());
        }
        bump(&self.refused, 1);
        Err(StoreError::Unavailable("it has not answered of late".into()))
    }

    /// Takes note of how a request went. True: it has just opened.
    pub fn note<T>(&self, outcome: &Outcome<T>) -> bool {
        match outcome {
            Err(failure) if failure.cause == Cause::Away => self.fail(),
            // It was not asked, or not for long: that says nothing.
            Err(failure) if failure.error == StoreError::Busy => false,
            _ => {
                self.succeed();
                false
            }
        }
    }

    fn fail(&self) -> bool {
        if self.failures_max == 0 {
            return false;
        }
        let before = self.failures.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state.lock();
        if before + 1 < self.failures_max || state.stand != Stand::Closed {
            return false;
        }
        *state = State {
            stand: Stand::Open,
            since: Instant::now(),
        };
        bump(&self.opened, 1);
        tracing::warn!(
            failures = before + 1,
            "MongoDB does not answer: requests are refused until it does"
        );
        true
    }

    /// A request that was under way when it opened may still end well: then it closes.
    fn succeed(&self) {
        if self.failures.swap(0, Ordering::Relaxed) == 0 {
            return;
        }
        let mut state = self.state.lock();
        if state.stand != Stand::Closed {
            tracing::info!(after = ?state.since.elapsed(), "MongoDB answers again");
            state.stand = Stand::Closed;
        }
    }

    /// Before a probe.
    pub fn probes(&self) {
        let mut state = self.state.lock();
        if state.stand == Stand::Open {
            state.stand = Stand::HalfOpen;
        }
    }

    /// After a probe. True: it is closed.
    pub fn probed<T>(&self, outcome: &Outcome<T>) -> bool {
        match outcome {
            Err(failure) if failure.cause == Cause::Away => {
                let mut state = self.state.lock();
                if state.stand == Stand::HalfOpen {
                    state.stand = Stand::Open;
                }
            }
            _ => self.succeed(),
        }
        self.stand() == Stand::Closed
    }
}

/// How long until the next probe: a little off, so that nodes do not ask all at once.
pub(super) fn spread(every: Duration, n: u32) -> Duration {
    every + every.mul_f64(f64::from(n % 10) / 20.0)
}

#[cfg(test)]
mod tests {
    use super::super::error::Failure;
    use super::*;

    fn away() -> Outcome<()> {
        Err(Failure::away("gone"))
    }

    #[test]
    fn it_opens_after_so_many_failures_in_a_row_and_refuses_at_once() {
        let breaker = Breaker::new(3);
        for _ in 0..2 {
            assert!(!breaker.note(&away()));
        }
        breaker.note(&Ok(()));
        for n in 0..3 {
            assert_eq!(breaker.admit(), Ok(()));
            assert_eq!(breaker.note(&away()), n == 2);
        }
        assert!(breaker.admit().is_err());
        assert_eq!(breaker.stand(), Stand::Open);
        assert_eq!(
            (
                breaker.opened.load(Ordering::Relaxed),
                breaker.refused.load(Ordering::Relaxed)
            ),
            (1, 1)
        );
    }

    #[test]
    fn what_only_one_request_suffers_does_not_open_it() {
        let breaker = Breaker::new(1);
        let own: Outcome<()> = Err(StoreError::Corrupt("one document".into()).into());
        breaker.note(&own);
        breaker.note(&Outcome::<()>::Err(Failure::taken()));
        assert_eq!(breaker.admit(), Ok(()));
        breaker.note(&away());
        breaker.note(&Outcome::<()>::Err(StoreError::Busy.into()));
        assert!(breaker.admit().is_err(), "who was not asked says nothing");
    }

    #[test]
    fn a_probe_that_is_answered_closes_it_and_one_that_is_not_leaves_it_open() {
        let breaker = Breaker::new(1);
        assert!(breaker.note(&away()));
        breaker.probes();
        assert_eq!(breaker.stand(), Stand::HalfOpen);
        assert!(breaker.admit().is_err(), "requests are not the probe");
        assert!(!breaker.probed(&away()));
        assert_eq!(breaker.stand(), Stand::Open);
        breaker.probes();
        assert!(breaker.probed(&Ok(())));
        assert_eq!(breaker.admit(), Ok(()));
    }

    #[test]
    fn zero_failures_means_never() {
        let breaker = Breaker::new(0);
        for _ in 0..100 {
            assert!(!breaker.note(&away()));
        }
        assert_eq!(breaker.admit(), Ok(()));
    }
}
