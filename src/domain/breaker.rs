//! When something that does not answer is left alone, and when it is tried again. Time is since any beginning.

use std::time::Duration;

/// Counts failures in a row. After so many it refuses for a while; then one attempt is let through, and its outcome
/// decides.
#[derive(Clone, Debug)]
pub struct Breaker {
    failures_max: u32,
    rest: Duration,
    failures: u32,
    state: State,
    opened: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Duration },
    Trial { until: Duration },
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// Everything is let through.
    Closed,
    /// Nothing is.
    Open,
    /// One attempt is on its way, or may be.
    HalfOpen,
}

impl Stand {
    /// For people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::Open => "OPEN",
            Self::HalfOpen => "HALF_OPEN",
        }
    }
}

impl Breaker {
    /// Closed. Opens after `failures_max` failures in a row (0: never), for `rest`.
    pub fn new(failures_max: u32, rest: Duration) -> Self {
        Self {
            failures_max,
            rest,
            failures: 0,
            state: State::Closed,
            opened: 0,
        }
    }

    /// Lets an attempt through. Whoever is let through tells what came of it; an attempt of which nothing is heard
    /// for as long as a rest counts for nothing.
    ///
    /// # Errors
    /// How long to wait before asking again.
    pub fn admit(&mut self, now: Duration) -> Result<(), Duration> {
        match self.state {
            State::Closed => Ok(()),
            State::Open { until } | State::Trial { until } if now < until => Err(until.saturating_sub(now)),
            State::Open { .. } | State::Trial { .. } => {
                let until = now.saturating_add(self.rest);
                self.state = State::Trial { until };
                Ok(())
            }
        }
    }

    /// It answered.
    pub fn succeeded(&mut self) {
        self.failures = 0;
        self.state = State::Closed;
    }

    /// It did not. What was asked before it opened, and fails now, says nothing new.
    pub fn failed(&mut self, now: Duration) {
        self.failures = self.failures.saturating_add(1);
        let opens = match self.state {
            State::Closed => self.failures_max > 0 && self.failures >= self.failures_max,
            State::Trial { .. } => true,
            State::Open { .. } => false,
        };
        if opens {
            self.opened += 1;
            let until = now.saturating_add(self.rest);
            self.state = State::Open { until };
        }
    }

    /// It said that it takes nothing from us: there is no use in trying.
    pub fn trip(&mut self, now: Duration) {
        if !matches!(self.state, State::Open { .. }) {
            self.opened += 1;
        }
        let until = now.saturating_add(self.rest);
        self.state = State::Open { until };
    }

    /// How it stands.
    pub fn stand(&self, now: Duration) -> Stand {
        match self.state {
            State::Closed => Stand::Closed,
            State::Open { until } if now < until => Stand::Open,
            State::Open { .. } | State::Trial { .. } => Stand::HalfOpen,
        }
    }

    /// When it lets the next attempt through; `None`: at once.
    pub fn next(&self, now: Duration) -> Option<Duration> {
        match self.state {
            State::Open { until } | State::Trial { until } if now < until => Some(until),
            _ => None,
        }
    }

    /// How often it has opened.
    pub fn opened(&self) -> u64 {
        self.opened
    }
}

/// The wait before attempt `n` (from 1) is repeated: anything up to a bound that doubles each time (full jitter).
/// `chance` is a random number.
pub fn backoff(n: u32, least: Duration, most: Duration, chance: u64) -> Duration {
    let bound = least
        .saturating_mul(2_u32.saturating_pow(n.saturating_sub(1)))
        .min(most);
    let micros = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(chance % micros.saturating_add(1).max(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REST: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_one_attempt_decides() {
        let mut breaker = Breaker::new(3, REST);
        for _ in 0..2 {
            breaker.failed(at(0));
        }
        breaker.succeeded();
        for _ in 0..2 {
            breaker.failed(at(1));
        }
        assert_eq!(breaker.admit(at(1)), Ok(()));
        breaker.failed(at(1));
        assert_eq!(breaker.stand(at(2)), Stand::Open);
        assert_eq!(breaker.admit(at(4)), Err(at(7)));
        assert_eq!(breaker.next(at(4)), Some(at(11)));
        // Only one goes through.
        assert_eq!(
            (breaker.stand(at(11)), breaker.admit(at(11))),
            (Stand::HalfOpen, Ok(()))
        );
        assert_eq!(breaker.admit(at(12)), Err(at(9)));
        breaker.failed(at(13));
        assert_eq!((breaker.stand(at(22)), breaker.opened()), (Stand::Open, 2));
        assert_eq!(breaker.admit(at(23)), Ok(()));
        breaker.succeeded();
        assert_eq!(
            (breaker.stand(at(23)), breaker.admit(at(23))),
            (Stand::Closed, Ok(()))
        );
    }

    #[test]
    fn an_attempt_of_which_nothing_is_heard_keeps_nobody_out_for_ever() {
        let mut breaker = Breaker::new(1, REST);
        breaker.failed(at(0));
        assert_eq!(breaker.admit(at(10)), Ok(()));
        assert_eq!(breaker.admit(at(19)), Err(at(1)));
        assert_eq!(breaker.admit(at(20)), Ok(()));
    }

    #[test]
    fn without_a_bound_it_never_opens() {
        let mut breaker = Breaker::new(0, REST);
        (0..1_000).for_each(|_| breaker.failed(at(0)));
        assert_eq!(breaker.admit(at(0)), Ok(()));
    }

    proptest! {
        #[test]
        fn between_opening_and_the_end_of_a_rest_at_most_one_attempt_is_let_through(
            steps in proptest::collection::vec((0_u64..5, 0_u8..3), 1..200),
        ) {
            let (mut breaker, mut now) = (Breaker::new(2, REST), at(0));
            let mut let_through = vec![];
            for (pass, what) in steps {
                now += at(pass);
                match what {
                    0 => {
                        let closed = breaker.stand(now) == Stand::Closed;
                        if breaker.admit(now).is_ok() && !closed {
                            let_through.push(now);
                        }
                    }
                    1 => breaker.failed(now),
                    _ => {
                        breaker.succeeded();
                        let_through.clear();
                    }
                }
                prop_assert!(let_through.windows(2).all(|two| two[1] - two[0] >= REST));
            }
        }

        #[test]
        fn a_wait_is_never_longer_than_its_bound(n in 0_u32..100, chance in any::<u64>()) {
            let (least, most) = (Duration::from_millis(100), at(60));
            let wait = backoff(n, least, most, chance);
            prop_assert!(wait <= most);
            prop_assert!(n > 1 || wait <= least);
        }
    }
}
