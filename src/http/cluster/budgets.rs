//! Budgets that hold across nodes.
//!
//! Redis keeps for each payer when their budget is whole again, and gives out of it (the generic cell rate algorithm, as
//! each node's own `ledger` does, in a script, by the clock of Redis alone). A request must not cost a round trip for
//! that, so a node does not take one at a time: it takes a twentieth of the budget and spends that by itself. All nodes
//! together never give more than the budget; what a node has taken and not spent is at most that twentieth. Where a
//! budget is small, which is where it matters, the twentieth is one, and each request asks.
//!
//! Whoever has nothing left is remembered until there is something again, so that they cost Redis nothing.
//!
//! When Redis does not answer in time, the node's own count decides alone: it stands before this one in any case.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use futures_util::future::try_join_all;
use redis::Script;
use smallvec::SmallVec;

use crate::bus::redis::{Connection, Failure};
use crate::domain::budget::Budget;
use crate::http::limits::{Scope, Spent};

/// So many parts of a budget a node takes at once.
const PARTS: u32 = 20;

/// KEYS: when the budget is whole again, in microseconds. ARGV: microseconds for one, how many there are, how many are
/// wanted. Answers how many are given, how many are left, in how many microseconds it is whole, and in how many there
/// is one (0: now).
static GIVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local time = redis.call('TIME')
         local now = time[1] * 1000000 + time[2]
         local one, all, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
         local whole = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
         local left = math.max(math.floor((now + one * all - whole) / one), 0)
         local given = math.min(wanted, left)
         if given > 0 then
             whole = whole + given * one
             redis.call('SET', KEYS[1], string.format('%.0f', whole), 'PX', math.ceil((whole - now) / 1000))
         end
         left = left - given
         local wait = 0
         if left == 0 then wait = whole - now - one * (all - 1) end
         return {given, left, whole - now, math.max(wait, 0)}",
    )
});

/// One budget that a request is charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// Which of a payer's budgets, by a name that all nodes use.
    pub name: &'static str,
    /// Whose: a keyed hash that all nodes agree on.
    pub key: u64,
    /// How many there are.
    pub limit: u32,
    /// How long one takes to come back.
    pub one_each: Duration,
    /// Whose budget it is, for the answer.
    pub scope: Scope,
}

/// The budgets of one request.
pub type Wants = SmallVec<[Want; 3]>;

/// What this node has of somebody's budget.
#[derive(Clone, Copy, Debug)]
struct Share {
    /// Taken and not spent.
    cells: u32,
    /// How the budget stood when it was taken.
    budget: Budget,
    /// Nothing is left before then.
    empty_until: Option<Instant>,
    /// Forgotten then: the budget is whole again.
    until: Instant,
}

/// What this node knows.
enum Known {
    /// There was one, and it is spent by this.
    Spent(Budget),
    /// There is none.
    Empty(Budget),
    /// Redis must be asked.
    Nothing,
}

/// The budgets of all nodes.
pub struct Budgets {
    inner: Arc<Inner>,
}

struct Inner {
    connection: Connection,
    prefix: String,
    patience: Duration,
    shares: DashMap<(&'static str, u64), Share>,
    shares_max: usize,
    asked: AtomicU64,
    unanswered: AtomicU64,
}

impl Budgets {
    pub(super) fn new(connection: Connection, prefix: &str, patience: Duration, keys_max: usize) -> Self {
        let inner = Inner {
            connection,
            prefix: format!("{prefix}limit/"),
            patience,
            shares: DashMap::new(),
            shares_max: if keys_max == 0 { usize::MAX } else { keys_max },
            asked: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Charges one request; waits for Redis where this node has nothing left of a budget. `None`: no limit, or Redis
    /// does not answer.
    ///
    /// # Errors
    /// When a budget is spent. Then none was charged.
    pub async fn charge(&self, wants: &Wants) -> Result<Option<Budget>, Spent> {
        let inner = &self.inner;
        let (mut tightest, unknown) = inner.spend(wants)?;
        if unknown.is_empty() {
            return Ok(tightest);
        }
        let asked = unknown.iter().map(|want| inner.ask(want));
        let within = inner.connection.within(inner.patience, try_join_all(asked));
        let Ok(answers) = within.await else {
            inner.unanswered.fetch_add(1, Relaxed);
            return Ok(tightest);
        };
        let mut spent = None;
        for (want, given) in unknown.iter().zip(&answers) {
            match inner.keep(want, given, 1) {
                Ok(budget) => tightest = tighter(tightest, budget),
                Err(budget) => {
                    let scope = want.scope;
                    spent = Some(Spent { budget, scope });
                }
            }
        }
        let Some(spent) = spent else {
            return Ok(tightest);
        };
        // Those that were charged get it back.
        let refused = |want: &Want| unknown.contains(want) && inner.is_empty(want);
        for want in wants.iter().filter(|want| !refused(want)) {
            inner.give_back(want);
        }
        Err(spent)
    }

    /// Charges what cannot wait: by what this node knows. Where it knows nothing the request passes, and Redis is asked
    /// for the next one. Needs a tokio runtime.
    ///
    /// # Errors
    /// When a budget is known to be spent. Then none was charged.
    pub fn charge_now(&self, wants: &Wants) -> Result<Option<Budget>, Spent> {
        let (tightest, unknown) = self.inner.spend(wants)?;
        for want in unknown {
            let inner = Arc::clone(&self.inner);
            tokio::spawn(async move {
                match inner.ask(&want).await {
                    // The one that passed is spent already.
                    Ok(given) => drop(inner.keep(&want, &given, 1)),
                    Err(_) => drop(inner.unanswered.fetch_add(1, Relaxed)),
                }
            });
        }
        Ok(tightest)
    }

    /// Forgets budgets that are whole again.
    pub fn sweep(&self) {
        let now = Instant::now();
        self.inner.shares.retain(|_, share| share.until > now);
    }

    /// Payers that are remembered; times that Redis was asked, and those that it did not answer.
    pub fn counts(&self) -> (usize, u64, u64) {
        let inner = &self.inner;
        (
            inner.shares.len(),
            inner.asked.load(Relaxed),
            inner.unanswered.load(Relaxed),
        )
    }
}

/// What Redis gave.
#[derive(Clone, Copy, Debug)]
struct Given {
    cells: u32,
    left: u32,
    whole_in: Duration,
    one_in: Duration,
}

fn tighter(one: Option<Budget>, other: Budget) -> Option<Budget> {
    Some(
        one.filter(|one| one.remaining <= other.remaining)
            .unwrap_or(other),
    )
}

impl Inner {
    /// Spends what is there; answers what is least, and of which budgets nothing is known. When one is known to be
    /// spent, none is.
    fn spend(&self, wants: &Wants) -> Result<(Option<Budget>, Wants), Spent> {
        let (mut tightest, mut unknown) = (None, Wants::new());
        for (at, want) in wants.iter().enumerate() {
            match self.known(want) {
                Known::Spent(budget) => tightest = tighter(tightest, budget),
                Known::Nothing => unknown.push(*want),
                Known::Empty(budget) => {
                    for earlier in wants[..at].iter().filter(|earlier| !unknown.contains(earlier)) {
                        self.give_back(earlier);
                    }
                    let scope = want.scope;
                    return Err(Spent { budget, scope });
                }
            }
        }
        Ok((tightest, unknown))
    }

    fn known(&self, want: &Want) -> Known {
        let Some(mut share) = self.shares.get_mut(&(want.name, want.key)) else {
            return Known::Nothing;
        };
        let now = Instant::now();
        if share.until <= now {
            return Known::Nothing;
        }
        if share.cells > 0 {
            share.cells -= 1;
            let remaining = share.budget.remaining.saturating_add(share.cells);
            return Known::Spent(Budget {
                remaining,
                ..share.budget
            });
        }
        match share.empty_until {
            Some(until) if until > now => Known::Empty(Budget {
                remaining: 0,
                wait: until - now,
                ..share.budget
            }),
            _ => Known::Nothing,
        }
    }

    fn is_empty(&self, want: &Want) -> bool {
        let share = self.shares.get(&(want.name, want.key));
        share.is_some_and(|share| share.cells == 0 && share.empty_until.is_some())
    }

    fn give_back(&self, want: &Want) {
        if let Some(mut share) = self.shares.get_mut(&(want.name, want.key)) {
            share.cells = share.cells.saturating_add(1).min(want.limit);
        }
    }

    async fn ask(&self, want: &Want) -> Result<Given, Failure> {
        self.asked.fetch_add(1, Relaxed);
        let key = format!("{}{}/{:016x}", self.prefix, want.name, want.key);
        let mut give = GIVE.key(key);
        let one = u64::try_from(want.one_each.as_micros())
            .unwrap_or(u64::MAX)
            .max(1);
        give.arg(one).arg(want.limit).arg((want.limit / PARTS).max(1));
        let (cells, left, whole, wait): (u32, u32, u64, u64) = self.connection.run(&give).await?;
        Ok(Given {
            cells,
            left,
            whole_in: Duration::from_micros(whole),
            one_in: Duration::from_micros(wait),
        })
    }

    /// Notes what Redis gave, of which `spent` are spent at once. `Err`: it gave nothing.
    fn keep(&self, want: &Want, given: &Given, spent: u32) -> Result<Budget, Budget> {
        let now = Instant::now();
        let budget = Budget {
            limit: want.limit,
            remaining: given.left,
            reset: given.whole_in,
            wait: given.one_in,
        };
        let share = Share {
            cells: given.cells.saturating_sub(spent),
            budget,
            empty_until: (given.cells == 0).then(|| now + given.one_in),
            until: now + given.whole_in,
        };
        let key = (want.name, want.key);
        if let Some(mut known) = self.shares.get_mut(&key) {
            let cells = known.cells.saturating_add(share.cells).min(want.limit);
            *known = Share { cells, ..share };
        } else if self.shares.len() < self.shares_max {
            self.shares.insert(key, share);
        }
        let remaining = given.left.saturating_add(share.cells);
        if given.cells >= spent {
            Ok(Budget { remaining, ..budget })
        } else {
            Err(budget)
        }
    }
}
