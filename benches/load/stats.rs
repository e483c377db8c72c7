//! What is counted: latencies in a histogram, throughput over time, and the order of a stream of numbers.

use hdrhistogram::Histogram;

use crate::Result;

pub const SECOND: u64 = 1_000_000_000;
const LONGEST_MICROS: u64 = 300 * 1_000_000;

/// Latencies, kept in microseconds with three digits.
pub struct Latency(Histogram<u64>);

impl Latency {
    pub fn new() -> Result<Self> {
        Ok(Self(Histogram::new_with_bounds(1, LONGEST_MICROS, 3)?))
    }

    /// `from` is the instant that was intended, not the one at which there was time to send.
    #[inline]
    pub fn record(&mut self, from: u64, to: u64) {
        self.0.saturating_record(to.saturating_sub(from) / 1000);
    }

    pub fn count(&self) -> u64 {
        self.0.len()
    }

    pub fn millis(&self, percentile: f64) -> f64 {
        if self.0.is_empty() {
            0.0
        } else {
            self.0.value_at_percentile(percentile) as f64 / 1000.0
        }
    }

    pub fn max_millis(&self) -> f64 {
        self.0.max() as f64 / 1000.0
    }

    /// Points (percentile, milliseconds) that grow denser towards 100.
    pub fn curve(&self) -> Vec<(f64, f64)> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let mut points: Vec<(f64, f64)> = Vec::new();
        let mut remaining = 1.0_f64;
        while remaining > 0.5 / self.count() as f64 && remaining > 1e-6 {
            let percentile = 100.0 * (1.0 - remaining);
            points.push((percentile, self.millis(percentile)));
            remaining /= 1.25;
        }
        points.push((100.0 * (1.0 - remaining), self.max_millis()));
        points
    }
}

/// How many things happened in each tenth of a second.
#[derive(Default)]
pub struct Timeline {
    began: u64,
    tenths: Vec<u64>,
}

impl Timeline {
    pub const BUCKET: u64 = SECOND / 10;

    pub fn starting(began: u64) -> Self {
        Self {
            began,
            tenths: Vec::new(),
        }
    }

    #[inline]
    pub fn add(&mut self, now: u64, count: u64) {
        let tenth = (now.saturating_sub(self.began) / Self::BUCKET) as usize;
        if tenth >= self.tenths.len() {
            if tenth > 1_000_000 {
                return;
            }
            self.tenths.resize(tenth + 1, 0);
        }
        self.tenths[tenth] += count;
    }

    /// Points (seconds since the beginning, things a second).
    pub fn points(&self) -> Vec<(f64, f64)> {
        let at = |(index, count): (usize, &u64)| (index as f64 / 10.0, *count as f64 * 10.0);
        self.tenths.iter().enumerate().map(at).collect()
    }
}

/// Follows numbers 1, 2, 3, … as they arrive: which are late, which come twice. Sees 32 numbers back.
#[derive(Clone, Copy, Default)]
pub struct Sequence {
    newest: u32,
    /// Bit n: `newest - n` has been seen.
    seen: u32,
}

/// What a number that arrived means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    InOrder,
    /// Numbers before it have not come, so far or ever.
    AfterGap,
    /// It comes after a later one.
    Late,
    Twice,
}

impl Sequence {
    #[inline]
    pub fn arrive(&mut self, number: u32) -> Arrival {
        if number == self.newest.wrapping_add(1) {
            self.newest = number;
            self.seen = self.seen << 1 | 1;
            return Arrival::InOrder;
        }
        if number > self.newest {
            let ahead = number - self.newest;
            self.seen = if ahead < 32 { self.seen << ahead | 1 } else { 1 };
            self.newest = number;
            return Arrival::AfterGap;
        }
        let back = self.newest - number;
        let bit = 1_u32.checked_shl(back).unwrap_or(0);
        if bit == 0 || self.seen & bit != 0 {
            return Arrival::Twice;
        }
        self.seen |= bit;
        Arrival::Late
    }
}

/// The instants at which an open-loop load is due: `rate` a second, whatever the engine does.
pub struct Pace {
    began: u64,
    step: f64,
    next: u64,
    count: u64,
}

impl Pace {
    /// `count` instants from `began` on; a rate of 0 makes them all due at once.
    pub fn new(began: u64, rate: f64, count: u64) -> Self {
        let step = if rate > 0.0 { SECOND as f64 / rate } else { 0.0 };
        Self {
            began,
            step,
            next: 0,
            count,
        }
    }

    fn instant(&self, index: u64) -> u64 {
        self.began + (index as f64 * self.step) as u64
    }

    /// When the next one is due; far off once all are.
    pub fn due(&self) -> u64 {
        if self.next < self.count {
            self.instant(self.next)
        } else {
            u64::MAX
        }
    }

    /// The next one, if it is due: its index and its instant.
    #[inline]
    pub fn pop(&mut self, now: u64) -> Option<(u64, u64)> {
        let due = self.due();
        if due > now {
            return None;
        }
        self.next += 1;
        Some((self.next - 1, due))
    }

    pub fn is_over(&self) -> bool {
        self.next >= self.count
    }
}
