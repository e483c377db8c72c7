//! How often something may happen: the messages of one session, and what is left of any budget.

use std::time::Duration;

use crate::domain::time::Timestamp;

/// Thousandths of a message: one accrues in a millisecond at one message a second.
const MESSAGE: u64 = 1000;

/// A token bucket that knows no clock: it fills by so many messages a second up to its burst.
#[derive(Clone, Debug)]
pub struct MessageBudget {
    per_second: u64,
    full: u64,
    level: u64,
    at: Timestamp,
}

impl MessageBudget {
    /// A full bucket. `per_second` 0: no limit. The burst is at least one message.
    pub fn new(per_second: u32, burst: u32, now: Timestamp) -> Self {
        let full = u64::from(burst.max(1)) * MESSAGE;
        Self {
            per_second: per_second.into(),
            full,
            level: full,
            at: now,
        }
    }

    /// Takes one message at `now`; false when the budget is spent.
    pub fn take(&mut self, now: Timestamp) -> bool {
        if self.per_second == 0 {
            return true;
        }
        // A clock that steps back adds nothing, and its new time counts from here on.
        let passed = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        self.at = now;
        self.level = self
            .level
            .saturating_add(passed.saturating_mul(self.per_second))
            .min(self.full);
        let Some(rest) = self.level.checked_sub(MESSAGE) else {
            return false;
        };
        self.level = rest;
        true
    }

    /// How long until the next message fits, as of the last [`take`](Self::take).
    pub fn wait(&self) -> Duration {
        if self.per_second == 0 {
            return Duration::ZERO;
        }
        Duration::from_millis(MESSAGE.saturating_sub(self.level).div_ceil(self.per_second))
    }
}

/// What is left of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The whole of it.
    pub limit: u32,
    /// What is left.
    pub remaining: u32,
    /// How long until it is whole again.
    pub reset: Duration,
    /// How long until the next one fits; zero when one fits now.
    pub wait: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(at: i64) -> Timestamp {
        Timestamp::from_ms(at)
    }

    #[test]
    fn a_burst_passes_then_only_the_rate() {
        let mut budget = MessageBudget::new(2, 3, ms(0));
        assert_eq!([0; 4].map(|at| budget.take(ms(at))), [true, true, true, false]);
        assert_eq!(budget.wait(), Duration::from_millis(500));
        assert!(!budget.take(ms(499)));
        assert!(budget.take(ms(500)));
        assert!(!budget.take(ms(501)));
    }

    #[test]
    fn zero_is_no_limit() {
        let mut budget = MessageBudget::new(0, 0, ms(0));
        assert!((0..10_000).all(|_| budget.take(ms(0))));
    }

    #[test]
    fn a_clock_that_steps_back_neither_fills_nor_freezes_the_bucket() {
        let mut budget = MessageBudget::new(1, 1, ms(1_000_000));
        assert!(budget.take(ms(1_000_000)));
        assert!(!budget.take(ms(0)));
        assert!(budget.take(ms(1_000)));
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_the_rate(
            rate in 1u32..100, burst in 1u32..200, waits in proptest::collection::vec(0i64..50, 1..500)
        ) {
            let mut budget = MessageBudget::new(rate, burst, ms(0));
            let (mut now, mut taken) = (0, 0u64);
            for wait in waits {
                now += wait;
                taken += u64::from(budget.take(ms(now)));
            }
            prop_assert!(taken * 1000 <= u64::from(burst) * 1000 + now.cast_unsigned() * u64::from(rate));
        }
    }
}
