//! The highest rate that holds.

use crate::Result;

/// The search ends when the highest good and the lowest bad rate are this near.
const CLOSE_ENOUGH: f64 = 1.06;
/// How much to step back when a rate that was good for a moment is not for long.
const STEP_BACK: f64 = 0.95;

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
    /// time. `attempt` takes a rate and seconds, and says whether it was good.
    pub fn highest<T>(&self, mut attempt: impl FnMut(f64, f64) -> Result<(T, bool)>) -> Result<(f64, T)> {
        let (mut good, mut bad, mut rate) = (0.0, f64::INFINITY, self.start);
        while bad / f64::max(good, 1e-9) > CLOSE_ENOUGH && rate >= 1.0 {
            if attempt(rate, self.trial_seconds)?.1 {
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
            let (trial, is_good) = attempt(rate, self.seconds)?;
            if is_good || rate <= 1.0 {
                return Ok((rate, trial));
            }
            rate *= STEP_BACK;
        }
    }
}
