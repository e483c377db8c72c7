//! Budgets of requests, for each user, device or address.
//!
//! Raising an incident and uploading positions have budgets of their own, so that ordinary traffic never
//! starves them. What a message on an open connection costs is [`crate::config::MessageBudget`]'s affair.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::num::NonZero;
use std::time::Duration;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use dashmap::DashMap;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::{DashMapStateStore, ShrinkableKeyedStateStore};
use governor::{Quota, RateLimiter};

use super::address::Address;
use super::auth::Caller;
use super::error::{ApiError, whole_seconds};
use crate::config::Limits as Settings;
use crate::domain::people::{Role, Subject};

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// What a request is charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Everything without a class of its own.
    General,
    /// Raising an incident.
    Sos,
    /// Uploading positions.
    Locations,
}

impl Class {
    /// Its label in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::General => "general",
            Self::Sos => "sos",
            Self::Locations => "locations",
        }
    }
}

/// Who is charged: a number that stands for them here and is meaningless elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Payer {
    own: Key,
    shared: Key,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Anonymous,
    Registered,
    /// Sister services are not limited.
    Service,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Own(u64),
    Shared(u16),
}

/// What is left of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The whole of it.
    pub limit: u32,
    /// What is left.
    pub remaining: u32,
    /// How long until it is whole again.
    pub reset: Duration,
}

impl Budget {
    /// Adds the standard headers to an answer.
    pub fn tell(&self, headers: &mut HeaderMap) {
        for (name, value) in self.headers() {
            headers.insert(name, HeaderValue::from(value));
        }
    }

    fn headers(&self) -> [(HeaderName, u64); 3] {
        let (limit, remaining) = (self.limit.into(), self.remaining.into());
        [
            (LIMIT, limit),
            (REMAINING, remaining),
            (RESET, whole_seconds(self.reset)),
        ]
    }
}

/// The budget is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("over the limit of {} requests", budget.limit)]
pub struct Spent {
    /// It, with nothing left.
    pub budget: Budget,
    /// When the next request fits.
    pub retry_after: Duration,
}

impl From<Spent> for ApiError {
    fn from(spent: Spent) -> Self {
        let error = Self::rate_limited(spent.retry_after);
        spent
            .budget
            .headers()
            .into_iter()
            .fold(error, |error, (name, value)| error.with_header(name, value))
    }
}

/// All budgets.
pub struct Limits<C: Clock = DefaultClock> {
    hasher: RandomState,
    general: ByKind<C>,
    sos: ByKind<C>,
    locations: Option<Limiter<C>>,
}

impl<C: Clock> fmt::Debug for Limits<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Limits(…)")
    }
}

struct ByKind<C: Clock> {
    anonymous: Option<Limiter<C>>,
    registered: Option<Limiter<C>>,
}

impl Limits {
    /// By the settings and the system's clock.
    pub fn new(settings: &Settings) -> Self {
        Self::with_clock(settings, &DefaultClock::default())
    }
}

impl<C: Clock + Clone> Limits<C> {
    /// By the settings and a clock.
    pub fn with_clock(settings: &Settings, clock: &C) -> Self {
        let limiter = |max, per| Limiter::new(max, per, settings.keys_max, clock.clone());
        Self {
            hasher: RandomState::new(),
            general: ByKind {
                anonymous: limiter(settings.anon_requests, settings.anon_window()),
                registered: limiter(settings.user_requests, settings.user_window()),
            },
            sos: ByKind {
                anonymous: limiter(settings.sos_per_hour, HOUR),
                registered: limiter(settings.user_sos_per_hour, HOUR),
            },
            locations: limiter(settings.locations_per_minute, MINUTE),
        }
    }

    /// Who pays for a request: whoever sent it, or its address when nobody says who they are.
    pub fn payer(&self, caller: Option<&Caller>, address: Option<Address>) -> Payer {
        let identity = caller.map(|caller| &*caller.identity);
        let own = match identity {
            Some(identity) => self.hasher.hash_one(("subject", &identity.subject)),
            None => self.hasher.hash_one(("address", address)),
        };
        let kind = match identity.map(|identity| (&identity.subject, identity.role)) {
            Some((Subject::Service(_), _)) => Kind::Service,
            None | Some((_, Role::Anon)) => Kind::Anonymous,
            Some(_) => Kind::Registered,
        };
        // Few enough that they cost nothing, many enough that one busy address does not stop the others.
        let shared = (self.hasher.hash_one(("shared", address)) % 1_024) as u16;
        Payer {
            own: Key::Own(own),
            shared: Key::Shared(shared),
            kind,
        }
    }

    /// Charges one request; `None` when there is no limit.
    ///
    /// # Errors
    /// When the budget is spent.
    pub fn charge(&self, class: Class, payer: &Payer) -> Result<Option<Budget>, Spent> {
        let limiter = match (class, payer.kind) {
            (_, Kind::Service) => return Ok(None),
            (Class::General, Kind::Anonymous) => &self.general.anonymous,
            (Class::General, Kind::Registered) => &self.general.registered,
            (Class::Sos, Kind::Anonymous) => &self.sos.anonymous,
            (Class::Sos, Kind::Registered) => &self.sos.registered,
            (Class::Locations, _) => &self.locations,
        };
        limiter.as_ref().map(|limiter| limiter.charge(payer)).transpose()
    }

    /// Forgets those whose budgets are whole again. For the janitor, every minute or so.
    pub fn sweep(&self) {
        self.limiters().for_each(|limiter| limiter.inner.retain_recent());
    }

    /// How many payers are remembered, over all budgets.
    pub fn keys(&self) -> usize {
        self.limiters().map(|limiter| limiter.inner.len()).sum()
    }

    fn limiters(&self) -> impl Iterator<Item = &Limiter<C>> {
        let Self {
            general,
            sos,
            locations,
            ..
        } = self;
        let all = [
            &general.anonymous,
            &general.registered,
            &sos.anonymous,
            &sos.registered,
            locations,
        ];
        all.into_iter().flatten()
    }
}

type Inner<C> = RateLimiter<Payer, Bounded, C, StateInformationMiddleware>;

struct Limiter<C: Clock> {
    inner: Inner<C>,
    limit: u32,
    one_each: Duration,
}

impl<C: Clock> Limiter<C> {
    /// `None` when `max` is 0: no limit.
    fn new(max: u32, per: Duration, keys_max: usize, clock: C) -> Option<Self> {
        let limit = NonZero::new(max)?;
        let one_each = (per / max).max(Duration::from_nanos(1));
        let quota = Quota::with_period(one_each)?.allow_burst(limit);
        let state = Bounded {
            map: DashMap::default(),
            max: if keys_max == 0 { usize::MAX } else { keys_max },
        };
        let inner = Inner::<C>::new(quota, state, clock);
        Some(Self {
            inner,
            limit: max,
            one_each,
        })
    }

    fn charge(&self, payer: &Payer) -> Result<Budget, Spent> {
        let budget = |remaining: u32| Budget {
            limit: self.limit,
            remaining,
            reset: self.one_each * (self.limit - remaining.min(self.limit)),
        };
        match self.inner.check_key(payer) {
            Ok(snapshot) => Ok(budget(snapshot.remaining_burst_capacity())),
            Err(refused) => {
                let retry_after = refused.wait_time_from(self.inner.clock().now());
                Err(Spent {
                    budget: budget(0),
                    retry_after,
                })
            }
        }
    }
}

/// Governor's map with a limit: when it is full, those who are not in it share a few budgets.
struct Bounded {
    map: DashMapStateStore<Key>,
    max: usize,
}

impl StateStore for Bounded {
    type Key = Payer;

    fn measure_and_replace<T, F, E>(&self, payer: &Payer, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let known = self.map.contains_key(&payer.own) || self.map.len() < self.max;
        self.map
            .measure_and_replace(if known { &payer.own } else { &payer.shared }, measure)
    }
}

impl ShrinkableKeyedStateStore<Payer> for Bounded {
    fn retain_recent(&self, drop_below: Nanos) {
        ShrinkableKeyedStateStore::retain_recent(&self.map, drop_below);
    }

    fn len(&self) -> usize {
        self.map.len()
    }

    fn is_empty(&self) -> bool {
        self.map.is_empty()
    }
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
