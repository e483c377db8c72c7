//! What happens to messages on their way.

use std::time::Duration;

/// How bad the way between nodes is. Chances are from 0 to 1.
#[derive(Clone, Debug)]
pub struct Faults {
    /// A message is lost, and nobody is told: worse than what a bus may do.
    pub lose: f64,
    /// A message comes twice.
    pub repeat: f64,
    /// Each takes up to this long, so that later ones overtake it.
    pub delay: Duration,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            lose: 0.0,
            repeat: 0.0,
            delay: Duration::ZERO,
        }
    }
}

/// Chance that can be had again (xorshift).
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// From 0 to 1.
    pub fn roll(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        #[expect(clippy::cast_precision_loss, reason = "53 bits of chance are enough")]
        let part = (self.0 >> 11) as f64 / (1u64 << 53) as f64;
        part
    }
}
