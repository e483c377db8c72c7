//! Who pays, and how they are told what is left.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use super::ledger::{Key, Who};
use crate::domain::budget::Budget;
use crate::http::error::{ApiError, whole_seconds};

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// Who is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payer {
    /// `None`: somebody whose credential was bad. Only their address pays.
    pub(super) own: Option<Key>,
    /// `None`: somebody whom an issuer vouches for.
    pub(super) address: Option<Key>,
    /// The /48 of an IPv6 address.
    pub(super) site: Option<Key>,
    /// What stands for them where they cannot be told apart.
    pub(super) fallback: Key,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Anonymous,
    Registered,
    /// Sister services are not limited.
    Service,
    /// Staff have blocked them: an SOS is all that is left to them.
    Blocked,
}

impl Payer {
    pub(super) fn who(&self, key: Option<Key>) -> Option<Who> {
        let fallback = self.fallback;
        key.map(|key| Who { key, fallback })
    }

    /// The same, as somebody whom staff have blocked.
    #[must_use]
    pub fn blocked(self) -> Self {
        Self {
            kind: Kind::Blocked,
            ..self
        }
    }
}

/// Whose budget is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The caller's own.
    Own,
    /// Their address's, or for IPv6 that of the /48 it lies in.
    Address,
}

/// The budget is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("over the limit of {} requests", budget.limit)]
pub struct Spent {
    /// It, with nothing left.
    pub budget: Budget,
    /// Whose it is.
    pub scope: Scope,
}

/// An SOS that may be raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SosCharge {
    /// What is left to whoever raises it; `None`: there is no limit.
    pub budget: Option<Budget>,
    /// Their address has raised more than its budget: taken all the same, and staff are told.
    pub over_address: bool,
}

/// The standard headers that tell of a budget.
fn headers(budget: &Budget) -> [(HeaderName, u64); 3] {
    [
        (LIMIT, budget.limit.into()),
        (REMAINING, budget.remaining.into()),
        (RESET, whole_seconds(budget.reset)),
    ]
}

/// Adds them to an answer.
pub fn tell(budget: &Budget, answer: &mut HeaderMap) {
    for (name, value) in headers(budget) {
        answer.insert(name, HeaderValue::from(value));
    }
}

/// 429 with when to come back, for any budget that is spent.
pub fn over(budget: &Budget) -> ApiError {
    let error = ApiError::rate_limited(budget.wait);
    let told = headers(budget).into_iter();
    told.fold(error, |error, (name, value)| error.with_header(name, value))
}

impl From<Spent> for ApiError {
    fn from(spent: Spent) -> Self {
        over(&spent.budget)
    }
}
