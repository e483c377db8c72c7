//! PINs: what proves that it is really them who call an SOS off, and what is typed in when somebody makes them.
//!
//! Pure. The hashes are made and held against by whoever asks; here is how often somebody may be wrong.

use std::fmt;
use std::time::Duration;

use super::time::Timestamp;

/// A PIN as it is typed in: 4 to 10 digits. It never shows in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Pin(Box<str>);

/// What was typed in as a PIN, whatever it is. It never shows in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct PinEntry(Box<str>);

impl PinEntry {
    /// Takes it.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Its characters, for whoever holds a hash against them.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PinEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinEntry(…)")
    }
}

/// Why something is no PIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 4 to 10 digits")]
pub struct InvalidPin;

impl Pin {
    /// Reads one.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, InvalidPin> {
        let good = (4..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if good {
            Ok(Self(text.into()))
        } else {
            Err(InvalidPin)
        }
    }

    /// Its digits, for whoever makes a hash of them.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(…)")
    }
}

/// How often somebody may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PinPolicy {
    /// So often in a row.
    pub attempts_max: u32,
    /// After which nothing is taken for so long.
    pub lock: Duration,
}

/// How often somebody was wrong of late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Misses {
    /// In a row.
    pub wrong: u32,
    /// Nothing is taken until then.
    pub locked_until: Option<Timestamp>,
}

/// What was typed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typed {
    /// The PIN.
    Pin,
    /// The one that somebody types in who is made to.
    Duress,
    /// Neither.
    Wrong,
}

/// What typing in a PIN comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entered {
    /// It is theirs.
    Right,
    /// It is theirs, and somebody makes them type it in.
    Duress,
    /// It is not theirs.
    Wrong {
        /// How often another may be tried.
        left: u32,
    },
    /// Too many were wrong: nothing is taken for so long.
    Locked(Duration),
}

impl Misses {
    /// How long nothing is taken yet.
    pub fn locked_for(&self, now: Timestamp) -> Option<Duration> {
        let left = self.locked_until?.since(now);
        (!left.is_zero()).then_some(left)
    }

    /// Judges what was typed in, and counts it. Under duress nothing looks different from a PIN that is right.
    pub fn judge(&mut self, now: Timestamp, typed: Typed, policy: &PinPolicy) -> Entered {
        if let Some(left) = self.locked_for(now) {
            return Entered::Locked(left);
        }
        if self.locked_until.take().is_some() {
            self.wrong = 0;
        }
        match typed {
            Typed::Pin | Typed::Duress => {
                *self = Self::default();
                if typed == Typed::Pin {
                    Entered::Right
                } else {
                    Entered::Duress
                }
            }
            Typed::Wrong => {
                self.wrong += 1;
                let left = policy.attempts_max.max(1).saturating_sub(self.wrong);
                if left == 0 {
                    self.locked_until = Some(now + policy.lock);
                    return Entered::Locked(policy.lock);
                }
                Entered::Wrong { left }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLICY: PinPolicy = PinPolicy {
        attempts_max: 3,
        lock: Duration::from_secs(60),
    };

    fn at(s: i64) -> Timestamp {
        Timestamp::from_ms(s * 1_000)
    }

    #[test]
    fn a_pin_is_four_to_ten_digits_and_does_not_show() {
        for good in ["0000", "1234567890"] {
            assert_eq!(Pin::parse(good).unwrap().reveal(), good);
        }
        for bad in ["", "123", "12345678901", "12a4", "１２３４"] {
            assert_eq!(Pin::parse(bad), Err(InvalidPin));
        }
        assert_eq!(format!("{:?}", Pin::parse("1234").unwrap()), "Pin(…)");
    }

    #[test]
    fn too_many_wrong_ones_lock_it_for_a_while_and_then_it_begins_anew() {
        let mut misses = Misses::default();
        assert_eq!(
            misses.judge(at(0), Typed::Wrong, &POLICY),
            Entered::Wrong { left: 2 }
        );
        assert_eq!(misses.judge(at(0), Typed::Pin, &POLICY), Entered::Right);
        for left in [2, 1] {
            assert_eq!(
                misses.judge(at(0), Typed::Wrong, &POLICY),
                Entered::Wrong { left }
            );
        }
        assert_eq!(
            misses.judge(at(0), Typed::Wrong, &POLICY),
            Entered::Locked(POLICY.lock)
        );
        for typed in [Typed::Pin, Typed::Duress, Typed::Wrong] {
            assert_eq!(
                misses.judge(at(59), typed, &POLICY),
                Entered::Locked(Duration::from_secs(1))
            );
        }
        assert_eq!(
            misses.clone().judge(at(60), Typed::Duress, &POLICY),
            Entered::Duress
        );
        assert_eq!(
            misses.judge(at(60), Typed::Wrong, &POLICY),
            Entered::Wrong { left: 2 }
        );
    }

    proptest! {
        #[test]
        fn nobody_guesses_faster_than_the_lock_lets_them(guesses in proptest::collection::vec(0_i64..40, 1..200)) {
            let (mut misses, mut now, mut taken) = (Misses::default(), 0, vec![]);
            for wait in guesses {
                now += wait;
                let locked = misses.locked_for(at(now)).is_some();
                misses.judge(at(now), Typed::Wrong, &POLICY);
                if !locked {
                    taken.push(now);
                }
            }
            for (n, first) in taken.iter().enumerate() {
                // In no minute more than two runs of guesses.
                prop_assert!(taken[n..].iter().take_while(|at| **at - first < 60).count() <= 6);
            }
        }
    }
}
