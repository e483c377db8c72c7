//! What one kind of budget has given to whom. `governor` decides (the generic cell rate algorithm: all at once, and then
//! evenly one by one); what it remembers of each payer stands here, in a bounded map of eight bytes to eight bytes.

use std::hash::{BuildHasherDefault, Hasher};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use governor::clock::Clock as _;
use governor::middleware::{StateInformationMiddleware, StateSnapshot};
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{NotUntil, Quota, RateLimiter};

use crate::domain::budget::Budget;

/// Who is charged, as a keyed hash: it stands for them in this process and is meaningless elsewhere.
pub(super) type Key = u64;

/// A payer, and what stands for them where they cannot be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Who {
    pub key: Key,
    pub fallback: Key,
}

/// The time since any beginning.
#[derive(Clone)]
pub(super) struct Clock(pub Arc<dyn Fn() -> Duration + Send + Sync>);

impl governor::clock::Clock for Clock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        (self.0)()
    }
}

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

/// When the budget of each payer is whole again; 0: it is. Whoever is not there has a whole budget.
struct Known {
    map: DashMap<Key, u64, BuildHasherDefault<AsItIs>>,
    entries: AtomicUsize,
    max: usize,
    shared: Box<[AtomicU64]>,
}

impl Known {
    fn is_full(&self) -> bool {
        self.entries.load(Ordering::Relaxed) >= self.max
    }

    fn slot(&self, fallback: Key) -> &AtomicU64 {
        #[expect(clippy::cast_possible_truncation, reason = "only the low bits are used")]
        let n = fallback as usize % SHARED;
        &self.shared[n]
    }
}

type Decision<T, E> = Result<(T, Nanos), E>;

/// Takes what is given.
struct Taking(Arc<Known>);

impl StateStore for Taking {
    type Key = Who;

    fn measure_and_replace<T, F, E>(&self, who: &Who, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Decision<T, E>,
    {
        let known = &*self.0;
        let mut entry = match known.map.get_mut(&who.key) {
            Some(entry) => entry,
            None if known.is_full() => return share(known.slot(who.fallback), decide),
            None => known.map.entry(who.key).or_insert_with(|| {
                known.entries.fetch_add(1, Ordering::Relaxed);
                0
            }),
        };
        let (answer, whole_at) = decide(Some(Nanos::from(*entry)))?;
        *entry = whole_at.into();
        Ok(answer)
    }
}

fn share<T, E>(slot: &AtomicU64, decide: impl Fn(Option<Nanos>) -> Decision<T, E>) -> Result<T, E> {
    let mut seen = slot.load(Ordering::Relaxed);
    loop {
        let (answer, whole_at) = decide(Some(Nanos::from(seen)))?;
        match slot.compare_exchange_weak(seen, whole_at.into(), Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return Ok(answer),
            Err(other) => seen = other,
        }
    }
}

/// Only looks.
struct Looking(Arc<Known>);

impl StateStore for Looking {
    type Key = Who;

    fn measure_and_replace<T, F, E>(&self, who: &Who, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Decision<T, E>,
    {
        let known = &*self.0;
        let whole_at = match known.map.get(&who.key) {
            Some(known) => *known,
            None if known.is_full() => known.slot(who.fallback).load(Ordering::Relaxed),
            None => 0,
        };
        decide(Some(Nanos::from(whole_at))).map(|(answer, _)| answer)
    }
}

type Limiter<S> = RateLimiter<Who, S, Clock, StateInformationMiddleware>;

/// Budgets of one rate.
pub(super) struct Ledger {
    known: Arc<Known>,
    taking: Limiter<Taking>,
    looking: Limiter<Looking>,
    quota: Quota,
    clock: Clock,
    begun: Duration,
}

impl Ledger {
    /// `limit` in `per`; `None` when `limit` is 0: no limit. At most `max` payers are told apart.
    pub fn new(limit: u32, per: Duration, max: usize, clock: &Clock) -> Option<Self> {
        let limit = NonZeroU32::new(limit)?;
        let one_each = (per / limit.get()).max(Duration::from_nanos(1));
        let quota = Quota::with_period(one_each)?.allow_burst(limit);
        let known = Arc::new(Known {
            map: DashMap::default(),
            entries: AtomicUsize::new(0),
            max,
            shared: (0..SHARED).map(|_| AtomicU64::new(0)).collect(),
        });
        Some(Self {
            taking: RateLimiter::new(quota, Taking(Arc::clone(&known)), clock.clone()),
            looking: RateLimiter::new(quota, Looking(Arc::clone(&known)), clock.clone()),
            begun: clock.now(),
            clock: clock.clone(),
            quota,
            known,
        })
    }

    /// Whether there is no room for another payer.
    pub fn is_full(&self) -> bool {
        self.known.is_full()
    }

    /// Whether anything is remembered of a payer.
    pub fn knows(&self, key: Key) -> bool {
        self.known.map.contains_key(&key)
    }

    /// What would be left to a payer if one were taken now; `Err` has nothing left. One who cannot be told apart has
    /// what their fallback shares with others.
    pub fn look(&self, who: Who) -> Result<Budget, Budget> {
        self.told(self.looking.check_key(&who))
    }

    /// How many there are, and how long one takes to come back.
    pub fn rate(&self) -> (u32, Duration) {
        (self.quota.burst_size().get(), self.quota.replenish_interval())
    }

    /// Takes one if there is one; `Err` has nothing left.
    pub fn charge(&self, who: Who) -> Result<Budget, Budget> {
        self.told(self.taking.check_key(&who))
    }

    fn told(&self, decided: Result<StateSnapshot, NotUntil<Duration>>) -> Result<Budget, Budget> {
        let (limit, one_each) = (self.quota.burst_size().get(), self.quota.replenish_interval());
        match decided {
            Ok(left) => {
                let remaining = left.remaining_burst_capacity();
                Ok(Budget {
                    limit,
                    remaining,
                    reset: one_each.saturating_mul(limit.saturating_sub(remaining)),
                    wait: if remaining == 0 { one_each } else { Duration::ZERO },
                })
            }
            Err(until) => {
                let wait = until.wait_time_from(self.clock.now());
                Err(Budget {
                    limit,
                    remaining: 0,
                    reset: one_each.saturating_mul(limit - 1).saturating_add(wait),
                    wait,
                })
            }
        }
    }

    /// Forgets those whose budgets are whole, and gives back the room they took.
    pub fn sweep(&self) {
        let now = self.clock.now().saturating_sub(self.begun).as_nanos();
        let known = &self.known;
        let mut gone = 0;
        known.map.retain(|_, whole_at| {
            let stays = u128::from(*whole_at) > now;
            gone += usize::from(!stays);
            stays
        });
        known.entries.fetch_sub(gone, Ordering::Relaxed);
        if gone > 0 {
            known.map.shrink_to_fit();
        }
    }

    /// How many payers are told apart now.
    pub fn len(&self) -> usize {
        self.known.entries.load(Ordering::Relaxed)
    }

    /// About how many bytes the map has taken.
    pub fn bytes(&self) -> usize {
        // The map counts as its capacity seven eighths of what it has taken.
        self.known.map.capacity() * 8 / 7 * ENTRY_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ME: Who = Who { key: 7, fallback: 1 };

    fn ledger(limit: u32, per: Duration) -> (Ledger, Arc<AtomicU64>) {
        let now = Arc::new(AtomicU64::new(0));
        let read = Arc::clone(&now);
        let clock = Clock(Arc::new(move || {
            Duration::from_nanos(read.load(Ordering::Relaxed))
        }));
        (Ledger::new(limit, per, 10, &clock).unwrap(), now)
    }

    #[test]
    fn a_limit_of_zero_is_none() {
        let clock = Clock(Arc::new(|| Duration::ZERO));
        assert!(Ledger::new(0, Duration::from_secs(1), 10, &clock).is_none());
    }

    #[test]
    fn who_is_forgotten_has_a_whole_budget_and_nobody_else_is() {
        let (ledger, now) = ledger(2, Duration::from_nanos(20));
        assert_eq!(ledger.charge(ME).unwrap().remaining, 1);
        now.store(9, Ordering::Relaxed);
        ledger.sweep();
        assert_eq!((ledger.len(), ledger.charge(ME).unwrap().remaining), (1, 0));
        now.store(20, Ordering::Relaxed);
        ledger.sweep();
        assert_eq!((ledger.len(), ledger.charge(ME).unwrap().remaining), (0, 1));
    }

    proptest! {
        #[test]
        fn never_more_than_the_limit_and_what_has_grown_since(
            limit in 1u32..50, per in 1u64..10_000, waits in proptest::collection::vec(0u64..500, 1..300)
        ) {
            let (ledger, now) = ledger(limit, Duration::from_nanos(per));
            let one_each = (per / u64::from(limit)).max(1);
            let (mut at, mut taken) = (0, 0u64);
            for wait in waits {
                at += wait;
                now.store(at, Ordering::Relaxed);
                let looked = ledger.look(ME);
                prop_assert_eq!(looked, ledger.look(ME), "looking changes nothing");
                prop_assert_eq!(looked, ledger.charge(ME));
                match looked {
                    Ok(left) => {
                        taken += 1;
                        prop_assert!(left.remaining < limit && left.reset > Duration::ZERO);
                    }
                    Err(spent) => {
                        let wait = u64::try_from(spent.wait.as_nanos()).unwrap();
                        prop_assert!(wait > 0 && spent.remaining == 0);
                        now.store(at + wait - 1, Ordering::Relaxed);
                        prop_assert!(ledger.look(ME).is_err());
                        now.store(at + wait, Ordering::Relaxed);
                        prop_assert!(ledger.look(ME).is_ok());
                    }
                }
            }
            prop_assert!(taken <= u64::from(limit) + at / one_each);
        }
    }
}
