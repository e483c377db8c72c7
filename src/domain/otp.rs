//! Codes that prove that a number or an address is somebody's: how often one may be sent, and what typing one in comes to.
//!
//! Pure. A code itself is nowhere kept: whoever judges says whether what was typed in has the hash that is.

use std::time::Duration;

use super::time::Timestamp;

/// Digits of a code.
pub const DIGITS: usize = 6;
/// Over which time sends to one destination are counted.
const HOUR: Duration = Duration::from_secs(3_600);

/// The numbers they go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtpPolicy {
    /// How long a code is good.
    pub ttl: Duration,
    /// How often one may be typed in wrong, the last time included.
    pub attempts_max: u32,
    /// How long after one was sent another may be, to the same destination.
    pub cool_down: Duration,
    /// How many may be sent to the same destination in an hour.
    pub sends_per_hour: usize,
}

/// A code from random bits: of 2⁶⁴ numbers none comes up more often than another by more than one in 10¹³.
pub fn code_of(bits: u64) -> String {
    format!("{:06}", bits % 1_000_000)
}

/// Whether a text could be a code at all.
pub fn is_code(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// When codes were sent to one destination, in the last hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sends(Vec<Timestamp>);

impl Sends {
    /// As they were kept.
    pub fn of(at: Vec<Timestamp>) -> Self {
        Self(at)
    }

    /// To be kept.
    pub fn times(&self) -> &[Timestamp] {
        &self.0
    }

    /// Notes that one is sent now.
    ///
    /// # Errors
    /// How long to wait when that is too soon, or too often.
    pub fn admit(&mut self, now: Timestamp, policy: &OtpPolicy) -> Result<(), Duration> {
        // What a clock that went wrong has left behind counts as of now, or nobody would be sent anything for long.
        self.0.iter_mut().for_each(|at| *at = (*at).min(now));
        self.0.retain(|at| now.since(*at) < HOUR);
        self.0.sort_unstable();
        let cool = self.0.last().map_or(Duration::ZERO, |last| {
            policy.cool_down.saturating_sub(now.since(*last))
        });
        let over = (self.0.len() + 1).saturating_sub(policy.sends_per_hour.max(1));
        let full = over.checked_sub(1).and_then(|n| self.0.get(n));
        let full = full.map_or(Duration::ZERO, |first| HOUR.saturating_sub(now.since(*first)));
        match cool.max(full) {
            Duration::ZERO => {
                self.0.push(now);
                Ok(())
            }
            wait => Err(wait),
        }
    }

    /// When none of them counts any more.
    pub fn until(&self) -> Option<Timestamp> {
        self.0.iter().max().map(|last| *last + HOUR)
    }
}

/// A code that waits to be typed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// When it is no longer good.
    pub expires_at: Timestamp,
    /// How often it was typed in wrong.
    pub wrong: u32,
}

/// What typing in a code comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the one: that code is used up.
    Right,
    /// It is not.
    Wrong {
        /// How often another may be tried.
        left: u32,
    },
    /// Too many were wrong: that code is good for nothing any more.
    Spent,
    /// It came too late.
    Expired,
}

impl Challenge {
    /// Judges what was typed in, and counts it.
    pub fn judge(&mut self, now: Timestamp, matches: bool, policy: &OtpPolicy) -> Verdict {
        if now >= self.expires_at {
            return Verdict::Expired;
        }
        let most = policy.attempts_max.max(1);
        if self.wrong >= most {
            return Verdict::Spent;
        }
        if matches {
            return Verdict::Right;
        }
        self.wrong += 1;
        match most - self.wrong {
            0 => Verdict::Spent,
            left => Verdict::Wrong { left },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLICY: OtpPolicy = OtpPolicy {
        ttl: Duration::from_secs(300),
        attempts_max: 5,
        cool_down: Duration::from_secs(30),
        sends_per_hour: 5,
    };

    fn at(s: i64) -> Timestamp {
        Timestamp::from_ms(s * 1_000)
    }

    #[test]
    fn a_code_is_six_digits_whatever_the_bits() {
        assert_eq!(code_of(7), "000007");
        assert!(is_code(&code_of(u64::MAX)));
        for bad in ["", "12345", "1234567", "12345a", "１２３４５６", "-12345"] {
            assert!(!is_code(bad), "{bad}");
        }
    }

    #[test]
    fn another_code_is_sent_after_the_cool_down_and_five_in_an_hour() {
        let mut sends = Sends::default();
        for n in 0..5 {
            assert_eq!(sends.admit(at(n * 30), &POLICY), Ok(()));
            assert_eq!(
                sends.admit(at(n * 30 + 29), &POLICY).unwrap_err().as_secs(),
                if n < 4 { 1 } else { 3_600 - 149 }
            );
        }
        assert_eq!(sends.admit(at(3_599), &POLICY), Err(Duration::from_secs(1)));
        assert_eq!(sends.admit(at(3_600), &POLICY), Ok(()));
        assert_eq!(sends.until(), Some(at(7_200)));
    }

    #[test]
    fn a_code_is_good_for_a_while_and_for_so_many_attempts() {
        let mut challenge = Challenge {
            expires_at: at(300),
            wrong: 0,
        };
        for left in (1..5).rev() {
            assert_eq!(challenge.judge(at(1), false, &POLICY), Verdict::Wrong { left });
        }
        assert_eq!({ challenge }.judge(at(299), true, &POLICY), Verdict::Right);
        assert_eq!(challenge.judge(at(1), false, &POLICY), Verdict::Spent);
        assert_eq!(challenge.judge(at(1), true, &POLICY), Verdict::Spent);
        assert_eq!(challenge.judge(at(300), true, &POLICY), Verdict::Expired);
    }

    proptest! {
        #[test]
        fn however_one_asks_no_hour_has_more_and_no_two_are_closer(
            waits in proptest::collection::vec(0_i64..900_000, 1..60),
        ) {
            let (mut sends, mut now, mut sent) = (Sends::default(), 0, vec![]);
            for wait in waits {
                now += wait;
                let before = sends.clone();
                match sends.admit(Timestamp::from_ms(now), &POLICY) {
                    Ok(()) => sent.push(now),
                    Err(wait) => {
                        // Whoever waits so long gets one.
                        prop_assert!(!wait.is_zero() && wait <= HOUR);
                        let then = Timestamp::from_ms(now) + wait;
                        prop_assert!(before.clone().admit(then, &POLICY).is_ok());
                    }
                }
                prop_assert!(sends.times().len() <= POLICY.sends_per_hour);
            }
            for (n, at) in sent.iter().enumerate() {
                let hour = sent[n..].iter().take_while(|next| *next - at < 3_600_000).count();
                prop_assert!(hour <= POLICY.sends_per_hour);
                if let Some(next) = sent.get(n + 1) {
                    prop_assert!(next - at >= 30_000);
                }
            }
        }

        #[test]
        fn nobody_tries_more_often_than_they_may(tries in proptest::collection::vec(any::<bool>(), 0..30), most in 0_u32..8) {
            let policy = OtpPolicy { attempts_max: most, ..POLICY };
            let mut challenge = Challenge { expires_at: at(300), wrong: 0 };
            let mut tried = 0;
            for matches in tries {
                match challenge.judge(at(1), matches, &policy) {
                    Verdict::Right => break,
                    Verdict::Wrong { left } => {
                        tried += 1;
                        prop_assert_eq!(left, most.max(1) - tried);
                    }
                    Verdict::Spent => prop_assert!(tried + 1 >= most.max(1)),
                    Verdict::Expired => prop_assert!(false),
                }
                prop_assert!(challenge.wrong <= most.max(1));
            }
        }
    }
}
