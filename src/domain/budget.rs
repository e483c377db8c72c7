//! How often something may happen: messages of one session, requests of one payer. Neither knows a clock.

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

/// So many times at once, and then evenly so many in a time (the generic cell rate algorithm).
///
/// All that is remembered of a payer is one number, the moment at which their budget is whole again; whoever
/// is not remembered has a whole budget. Moments are nanoseconds since any beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    limit: u32,
    one_each: u64,
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

impl Rate {
    /// `limit` in `per`; `None` when `limit` is 0: no limit.
    pub fn new(limit: u32, per: Duration) -> Option<Self> {
        let per = u64::try_from(per.as_nanos()).unwrap_or(u64::MAX);
        let one_each = per.checked_div(limit.into())?;
        Some(Self {
            limit,
            one_each: one_each.max(1),
        })
    }

    /// What is left at `now` of a budget that is whole again at `whole_at`.
    pub fn left(&self, whole_at: u64, now: u64) -> Budget {
        let missing = whole_at.saturating_sub(now);
        let spent = u32::try_from(missing.div_ceil(self.one_each)).unwrap_or(u32::MAX);
        let remaining = self.limit.saturating_sub(spent);
        let whole = self.one_each.saturating_mul(self.limit.into());
        let wait = match remaining {
            0 => missing.saturating_add(self.one_each).saturating_sub(whole),
            _ => 0,
        };
        Budget {
            limit: self.limit,
            remaining,
            reset: Duration::from_nanos(missing),
            wait: Duration::from_nanos(wait),
        }
    }

    /// When the budget is whole again after one more was taken at `now`.
    pub fn take(&self, whole_at: u64, now: u64) -> u64 {
        whole_at.max(now).saturating_add(self.one_each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_rate_gives_all_at_once_and_then_one_by_one() {
        let rate = Rate::new(2, Duration::from_nanos(20)).unwrap();
        let whole = rate.left(0, 100);
        assert_eq!(
            (whole.remaining, whole.wait, whole.reset),
            (2, Duration::ZERO, Duration::ZERO)
        );
        let once = rate.take(0, 100);
        assert_eq!(rate.left(once, 100).remaining, 1);
        let twice = rate.take(once, 100);
        let spent = rate.left(twice, 100);
        assert_eq!(
            (spent.remaining, spent.wait, spent.reset),
            (0, Duration::from_nanos(10), Duration::from_nanos(20))
        );
        assert_eq!(rate.left(twice, 109).remaining, 0);
        assert_eq!(rate.left(twice, 110).remaining, 1);
        assert_eq!(rate.left(twice, 120), whole);
    }

    #[test]
    fn a_rate_of_zero_is_none() {
        assert_eq!(Rate::new(0, Duration::from_secs(1)), None);
    }

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
        fn a_rate_never_gives_more_than_its_limit_and_what_has_grown_since(
            limit in 1u32..50, per in 1u64..10_000, waits in proptest::collection::vec(0u64..500, 1..300)
        ) {
            let rate = Rate::new(limit, Duration::from_nanos(per)).unwrap();
            let one_each = (per / u64::from(limit)).max(1);
            let (mut now, mut whole_at, mut taken) = (0, 0, 0u64);
            for wait in waits {
                now += wait;
                let left = rate.left(whole_at, now);
                prop_assert_eq!(left.remaining == 0, left.wait > Duration::ZERO);
                if left.remaining > 0 {
                    whole_at = rate.take(whole_at, now);
                    taken += 1;
                    prop_assert_eq!(rate.left(whole_at, now).remaining, left.remaining - 1);
                } else {
                    let then = now + u64::try_from(left.wait.as_nanos()).unwrap();
                    prop_assert_eq!(rate.left(whole_at, then - 1).remaining, 0);
                    prop_assert!(rate.left(whole_at, then).remaining > 0);
                }
            }
            prop_assert!(taken <= u64::from(limit) + now / one_each);
        }

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
