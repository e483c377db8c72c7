//! When somebody wants to be left alone.

use std::time::Duration;

use crate::domain::time::Timestamp;

/// The hours in which somebody is told only of emergencies, by their own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QuietHours {
    /// From this minute of the day on, 0 to 1439.
    pub from: u16,
    /// Up to this one, which is not in it; one before `from` lies in the next day.
    pub to: u16,
    /// How far their clock is ahead of UTC, in minutes.
    pub utc_offset: i16,
}

impl QuietHours {
    /// How long from `now` until they are over; zero when it is not quiet.
    pub fn left(&self, now: Timestamp) -> Duration {
        const DAY: i64 = 24 * 60;
        let seconds = now.ms().div_euclid(1_000) + i64::from(self.utc_offset) * 60;
        let (minute, second) = (seconds.div_euclid(60).rem_euclid(DAY), seconds.rem_euclid(60));
        let length = (i64::from(self.to) - i64::from(self.from)).rem_euclid(DAY);
        let into = (minute - i64::from(self.from)).rem_euclid(DAY);
        if into >= length {
            return Duration::ZERO;
        }
        Duration::from_secs(((length - into) * 60 - second).max(1).unsigned_abs())
    }
}
