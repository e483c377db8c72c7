//! What one kind of budget has given to whom: a bounded map of eight bytes to eight bytes.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use dashmap::DashMap;

use crate::domain::budget::{Budget, Rate};

/// Who is charged, as a keyed hash: it stands for them in this process and is meaningless elsewhere.
pub(super) type Key = u64;

/// Budgets that newcomers share once the map is full.
const SHARED: usize = 1_024;
/// What an entry takes: key, value, and the map's byte of control.
const ENTRY_BYTES: usize = 17;

/// Keys are hashes already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

/// Budgets of one rate.
pub(super) struct Ledger {
    rate: Rate,
    map: DashMap<Key, u64, BuildHasherDefault<AsItIs>>,
    entries: AtomicUsize,
    max: usize,
    shared: Box<[AtomicU64]>,
}

impl Ledger {
    /// At most `max` payers are told apart.
    pub fn new(rate: Rate, max: usize) -> Self {
        Self {
            rate,
            map: DashMap::default(),
            entries: AtomicUsize::new(0),
            max,
            shared: (0..SHARED).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Whether there is no room for another payer.
    pub fn is_full(&self) -> bool {
        self.entries.load(Ordering::Relaxed) >= self.max
    }

    /// Whether anything is remembered of a payer.
    pub fn knows(&self, key: Key) -> bool {
        self.map.contains_key(&key)
    }

    /// What is left to a payer at `now`. One who cannot be told apart has what `fallback` shares with others.
    pub fn left(&self, key: Key, fallback: Key, now: u64) -> Budget {
        let whole_at = match self.map.get(&key) {
            Some(known) => *known,
            None if self.is_full() => self.slot(fallback).load(Ordering::Relaxed),
            None => 0,
        };
        self.rate.left(whole_at, now)
    }

    /// Takes one if there is one; `Err` has nothing left.
    pub fn charge(&self, key: Key, fallback: Key, now: u64) -> Result<Budget, Budget> {
        if let Some(mut known) = self.map.get_mut(&key) {
            let (whole_at, answer) = self.next(*known, now);
            *known = whole_at;
            return answer;
        }
        if self.is_full() {
            return self.charge_shared(fallback, now);
        }
        let mut entry = self.map.entry(key).or_insert_with(|| {
            self.entries.fetch_add(1, Ordering::Relaxed);
            0
        });
        let (whole_at, answer) = self.next(*entry, now);
        *entry = whole_at;
        answer
    }

    fn charge_shared(&self, fallback: Key, now: u64) -> Result<Budget, Budget> {
        let slot = self.slot(fallback);
        let mut seen = slot.load(Ordering::Relaxed);
        loop {
            let (whole_at, answer) = self.next(seen, now);
            match slot.compare_exchange_weak(seen, whole_at, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return answer,
                Err(other) => seen = other,
            }
        }
    }

    fn next(&self, whole_at: u64, now: u64) -> (u64, Result<Budget, Budget>) {
        let left = self.rate.left(whole_at, now);
        if left.remaining == 0 {
            return (whole_at, Err(left));
        }
        let whole_at = self.rate.take(whole_at, now);
        (whole_at, Ok(self.rate.left(whole_at, now)))
    }

    fn slot(&self, fallback: Key) -> &AtomicU64 {
        #[expect(clippy::cast_possible_truncation, reason = "only the low bits are used")]
        let n = fallback as usize % SHARED;
        &self.shared[n]
    }

    /// Forgets those whose budgets are whole, and gives back the room they took.
    pub fn sweep(&self, now: u64) {
        let mut gone = 0;
        self.map.retain(|_, whole_at| {
            let stays = *whole_at > now;
            gone += usize::from(!stays);
            stays
        });
        self.entries.fetch_sub(gone, Ordering::Relaxed);
        if gone > 0 {
            self.map.shrink_to_fit();
        }
    }

    /// How many payers are told apart now.
    pub fn len(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
    }

    /// About how many bytes the map has taken.
    pub fn bytes(&self) -> usize {
        // The map counts as its capacity seven eighths of what it has taken.
        self.map.capacity() * 8 / 7 * ENTRY_BYTES
    }
}
