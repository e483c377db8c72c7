//! The highest rate that holds.

use crate::Result;

/// The search ends when the highest good and the lowest bad rate are this near.
const CLOSE_ENOUGH: f64 = 1.06;
/// How much to step back when a rate that was good for a moment is not for long.
const STEP_BACK: f64 = 0.95;

/// How often a disturbed attempt is repeated.
const RETRIES: u32 = 2;
/// The tool sends this late only when something else has its core.
const DISTURBED_MILLIS: f64 = 20.0;

/// How an attempt went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Good,
    /// Too much for the engine.
    Bad,
    /// Not good, but the tool itself did not get the time it needed.
    Disturbed,
}

impl Verdict {
    /// `worst_send_millis`: how late the tool sent at worst.
    pub fn of(is_good: bool, worst_send_millis: f64) -> Self {
        match is_good {
            true => Self::Good,
            false if worst_send_millis > DISTURBED_MILLIS => Self::Disturbed,
            false => Self::Bad,
        }
    }
}

/// How to search.
pub struct Search {
    pub start: f64,
    /// Seconds of each trial on the way.
    pub trial_seconds: f64,
    /// Seconds of the last one, which proves the result.
    pub seconds: f64,
}

impl Search {
    /// Doubles the rate until it is too much, halves the distance, and then proves the result for the full
    /// time. `attempt` takes a rate and seconds.
    pub fn highest<T>(&self, mut attempt: impl FnMut(f64, f64) -> Result<(T, Verdict)>) -> Result<(f64, T)> {
        let (mut good, mut bad, mut rate) = (0.0, f64::INFINITY, self.start);
        while bad / f64::max(good, 1e-9) > CLOSE_ENOUGH && rate >= 1.0 {
            if Self::settled(&mut attempt, rate, self.trial_seconds)?.1 {
                good = rate;
            } else {
                bad = rate;
            }
            rate = match (good > 0.0, bad.is_finite()) {
                (_, false) => rate * 2.0,
                (false, true) => rate / 2.0,
                (true, true) => (good * bad).sqrt(),
            };
        }
        let mut rate = good.max(1.0);
        loop {
            let (trial, is_good) = Self::settled(&mut attempt, rate, self.seconds)?;
            if is_good || rate <= 1.0 {
                return Ok((rate, trial));
            }
            rate *= STEP_BACK;
        }
    }

    /// One attempt, or some more while others disturb it.
    fn settled<T>(
        attempt: &mut impl FnMut(f64, f64) -> Result<(T, Verdict)>,
        rate: f64,
        seconds: f64,
    ) -> Result<(T, bool)> {
        let mut again = RETRIES;
        loop {
            match attempt(rate, seconds)? {
                (trial, Verdict::Good) => return Ok((trial, true)),
                (_, Verdict::Disturbed) if again > 0 => again -= 1,
                (trial, _) => return Ok((trial, false)),
            }
        }
    }
}
