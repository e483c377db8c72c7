//! Check-ins: somebody says by when they will have said that they are well.

use std::time::Duration;

use super::geo::Position;
use super::time::Timestamp;

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckIn {
    /// By when they will have said that they are well.
    pub due_at: Timestamp,
    /// How long after that it becomes an SOS; they are reminded meanwhile.
    pub grace: Duration,
    /// What the SOS is to say.
    pub message: Option<String>,
    /// Where they are, or will be.
    pub position: Option<Position>,
}

/// What is to be done about one that nobody has confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing for so long.
    Wait(Duration),
    /// They are to be reminded; so long is left.
    Remind(Duration),
    /// It has become an SOS.
    Raise,
}

impl CheckIn {
    /// When it becomes an SOS.
    pub fn ends_at(&self) -> Timestamp {
        self.due_at + self.grace
    }

    /// Looks at it.
    pub fn look(&self, now: Timestamp) -> Due {
        let (due_in, left) = (self.due_at.since(now), self.ends_at().since(now));
        if !due_in.is_zero() {
            Due::Wait(due_in)
        } else if !left.is_zero() {
            Due::Remind(left)
        } else {
            Due::Raise
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// However late and however often somebody looks, it is raised at its time and not before, and nobody waits past it.
        #[test]
        fn it_becomes_an_sos_at_its_time_and_not_before(
            due in 0_i64..10_000_000,
            grace in 0_u64..1_000_000,
            late in proptest::collection::vec(0_u64..100_000, 0..20),
        ) {
            let one = CheckIn {
                due_at: Timestamp::from_ms(due),
                grace: Duration::from_millis(grace),
                message: None,
                position: None,
            };
            let (mut now, mut late, mut reminded) = (Timestamp::from_ms(0), late.into_iter(), 0);
            loop {
                let pause = Duration::from_millis(late.next().unwrap_or(0));
                match one.look(now) {
                    Due::Wait(wait) => {
                        prop_assert_eq!(now + wait, one.due_at);
                        now = now + wait + pause;
                    }
                    Due::Remind(left) => {
                        prop_assert!(now >= one.due_at);
                        prop_assert_eq!(now + left, one.ends_at());
                        reminded += 1;
                        now = now + left + pause;
                    }
                    Due::Raise => break,
                }
            }
            prop_assert!(now >= one.ends_at() && reminded <= 1);
        }
    }
}
