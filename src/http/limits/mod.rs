//! Budgets of requests, for each user, device and address.
//!
//! Every [`Class`] of routes has budgets of its own, so that nothing starves an SOS. A device id is free to
//! make up: whoever comes with one, or with none, is charged to their address as well, and for IPv6 to the /48
//! that it lies in, so that a new id for each request gains nothing. Shared addresses are why those budgets
//! are so much larger, and why an SOS is taken beyond them ([`Limits::charge_sos`]).
//!
//! What is remembered is bounded. When there is no more room for newcomers, a device that cannot be told apart
//! is charged to its address alone, and an address that cannot be told apart shares the budget of some others:
//! nobody who is known loses anything by it. What a message on an open connection costs is
//! [`crate::domain::budget::MessageBudget`]'s affair.

mod book;
mod ledger;
mod payer;

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::book::{Book, Names, Shared};
use sha2::{Digest, Sha256};

use self::ledger::{Clock, Key, Ledger};
use self::payer::Kind;
use super::address::Address;
use super::auth::Caller;
use super::cluster::budgets::Wants;
use crate::config::Limits as Settings;
use crate::domain::people::{Role, Subject};

pub use self::payer::{Payer, Scope, SosCharge, Spent, over, tell};
pub use crate::domain::budget::Budget;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// What a request is charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Reading, and everything without a class of its own.
    General,
    /// Writing: messages, joining and leaving, moving an incident along, contact lists, new circles.
    Writes,
    /// Raising an incident.
    Sos,
    /// Uploading positions.
    Locations,
    /// Registering a device.
    Devices,
    /// Asking for a WebSocket ticket, opening a WebSocket without one.
    Connects,
    /// Reporting somebody.
    Reports,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::General,
        Self::Writes,
        Self::Sos,
        Self::Locations,
        Self::Devices,
        Self::Connects,
        Self::Reports,
    ];

    /// Its label in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::General => "general",
            Self::Writes => "writes",
            Self::Sos => "sos",
            Self::Locations => "locations",
            Self::Devices => "devices",
            Self::Connects => "connects",
            Self::Reports => "reports",
        }
    }
}

macro_rules! names {
    ($class:literal) => {
        Names {
            anonymous: concat!($class, "/device"),
            registered: concat!($class, "/user"),
            blocked: concat!($class, "/blocked"),
            address: concat!($class, "/address"),
            site: concat!($class, "/site"),
        }
    };
}

impl Class {
    fn names(self) -> &'static Names {
        match self {
            Self::General => &names!("general"),
            Self::Writes => &names!("writes"),
            Self::Sos => &names!("sos"),
            Self::Locations => &names!("locations"),
            Self::Devices => &names!("devices"),
            Self::Connects => &names!("connects"),
            Self::Reports => &names!("reports"),
        }
    }
}

/// How payers become keys.
enum Hashing {
    /// As only this process knows.
    Random(RandomState),
    /// As all nodes do that share a secret.
    Shared(u64, u64),
}

impl Hashing {
    fn of(&self, what: impl Hash) -> u64 {
        match self {
            Self::Random(state) => state.hash_one(what),
            Self::Shared(one, other) => {
                #[expect(
                    deprecated,
                    reason = "the only keyed hasher of the standard library with a key of one's own"
                )]
                let mut hasher = std::hash::SipHasher::new_with_keys(*one, *other);
                what.hash(&mut hasher);
                hasher.finish()
            }
        }
    }
}

/// All budgets.
pub struct Limits {
    hashing: Hashing,
    books: [Book; Class::ALL.len()],
    /// How many SOS an address may raise at all.
    sos_max: Shared,
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Limits(…)")
    }
}

impl Limits {
    /// By the settings. A blocked one may raise `blocked_sos_per_hour` incidents.
    pub fn new(settings: &Settings, blocked_sos_per_hour: u32) -> Self {
        let begun = Instant::now();
        Self::with_clock(settings, blocked_sos_per_hour, Arc::new(move || begun.elapsed()))
    }

    /// By the settings and a clock that tells the time since any beginning.
    pub fn with_clock(
        settings: &Settings,
        blocked_sos_per_hour: u32,
        clock: Arc<dyn Fn() -> Duration + Send + Sync>,
    ) -> Self {
        let clock = Clock(clock);
        let max = match settings.keys_max {
            0 => usize::MAX,
            max => max,
        };
        let ledger = |limit, per| Ledger::new(limit, per, max, &clock);
        let shared = |limit: u32, per| Shared {
            address: ledger(limit, per),
            site: ledger(limit.saturating_mul(settings.site_factor), per),
        };
        let book = |anonymous, registered, address, per| Book {
            anonymous: ledger(anonymous, per),
            registered: ledger(registered, per),
            blocked: None,
            address: shared(address, per),
        };
        let both = |own, address, per| book(own, own, address, per);
        let windows = |anonymous, registered, address| Book {
            registered: ledger(registered, settings.user_window()),
            ..book(anonymous, 0, address, settings.anon_window())
        };
        let s = settings;
        let books = Class::ALL.map(|class| match class {
            Class::General => windows(s.anon_requests, s.user_requests, s.address_requests),
            Class::Writes => windows(s.anon_writes, s.user_writes, s.address_writes),
            Class::Sos => Book {
                blocked: ledger(blocked_sos_per_hour, HOUR),
                ..book(s.sos_per_hour, s.user_sos_per_hour, s.address_sos_per_hour, HOUR)
            },
            Class::Locations => both(s.locations_per_minute, s.address_locations_per_minute, MINUTE),
            Class::Devices => both(s.registrations_per_hour, s.address_registrations_per_hour, HOUR),
            Class::Connects => both(s.connects_per_minute, s.address_connects_per_minute, MINUTE),
            Class::Reports => both(s.reports_per_hour, s.address_reports_per_hour, HOUR),
        });
        Self {
            hashing: Hashing::Random(RandomState::new()),
            books,
            sos_max: shared(s.address_sos_max_per_hour, HOUR),
        }
    }

    /// The same, with keys that all nodes agree on who share `secret`.
    #[must_use]
    pub fn shared(self, secret: &[u8]) -> Self {
        let digest = Sha256::new()
            .chain_update(b"mayday limits")
            .chain_update(secret)
            .finalize();
        let half = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&digest[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        Self {
            hashing: Hashing::Shared(half(0), half(8)),
            ..self
        }
    }

    /// The budgets that all nodes share and a request is charged to.
    pub fn wants(&self, class: Class, payer: &Payer) -> Wants {
        self.books[class as usize].wants(class.names(), payer)
    }

    /// The same of an incident that is raised: only the payer's own. An address's is this node's affair, because an
    /// SOS is taken beyond it.
    pub fn wants_sos(&self, payer: &Payer) -> Wants {
        let mut wants = self.wants(Class::Sos, payer);
        wants.retain(|want| want.scope == Scope::Own);
        wants
    }

    /// Who pays for a request: whoever sent it, or its address when nobody says who they are.
    pub fn payer(&self, caller: Option<&Caller>, address: Option<Address>) -> Payer {
        let identity = caller.map(|caller| &*caller.identity);
        let kind = match identity.map(|identity| (&identity.subject, identity.role)) {
            Some((Subject::Service(_), _)) => Kind::Service,
            None | Some((_, Role::Anon)) => Kind::Anonymous,
            Some(_) => Kind::Registered,
        };
        let own = match identity {
            Some(identity) => self.subject(&identity.subject),
            None => self.key("address", &address),
        };
        let made_up = matches!(
            identity.map(|identity| &identity.subject),
            None | Some(Subject::Device(_))
        );
        Payer {
            own: Some(own),
            kind,
            ..self.stranger(address.filter(|_| made_up), address)
        }
    }

    /// What stands for a subject in this process.
    pub fn subject(&self, subject: &Subject) -> u64 {
        self.key("subject", subject)
    }

    /// Who pays for a request with a bad credential.
    pub fn impostor(&self, address: Option<Address>) -> Payer {
        self.stranger(address, address)
    }

    fn stranger(&self, pays: Option<Address>, from: Option<Address>) -> Payer {
        Payer {
            own: None,
            address: pays.map(|address| self.key("address", &address)),
            site: pays.and_then(Address::site).map(|site| self.key("site", &site)),
            fallback: self.key("shared", &from),
            kind: Kind::Anonymous,
        }
    }

    fn key(&self, kind: &str, of: &impl Hash) -> Key {
        self.hashing.of((kind, of))
    }

    /// Charges one request; `None` when there is no limit.
    ///
    /// # Errors
    /// When a budget is spent. Then none was charged.
    pub fn charge(&self, class: Class, payer: &Payer) -> Result<Option<Budget>, Spent> {
        if payer.kind == Kind::Service {
            return Ok(None);
        }
        let book = &self.books[class as usize];
        book.check_own(payer)?;
        book.address.check(payer)?;
        let own = book.take_own(payer)?;
        let shared = book.address.take(payer);
        Ok(own.or(shared))
    }

    /// Charges an incident that is raised.
    ///
    /// An address may be shared by many: a phone company's customers, an evacuation centre. When its budget is
    /// spent, the SOS of somebody who has raised none in the last hour is taken all the same, and says so; up
    /// to the most that an address may raise at all, which protects the engine.
    ///
    /// # Errors
    /// When the caller's own budget is spent, or their address's and they have raised one already, or it
    /// reached its most. Then none was charged.
    pub fn charge_sos(&self, payer: &Payer) -> Result<SosCharge, Spent> {
        if payer.kind == Kind::Service {
            return Ok(SosCharge {
                budget: None,
                over_address: false,
            });
        }
        let book = &self.books[Class::Sos as usize];
        let own = book.check_own(payer)?;
        self.sos_max.check(payer)?;
        let spent = book.address.check(payer).err();
        let first = own.is_none_or(|own| own.remaining + 1 == own.limit);
        if let Some(spent) = spent.filter(|_| !first) {
            return Err(spent);
        }
        let own = book.take_own(payer)?;
        let most = self.sos_max.take(payer);
        let shared = if spent.is_none() {
            book.address.take(payer)
        } else {
            most
        };
        Ok(SosCharge {
            budget: own.or(shared),
            over_address: spent.is_some(),
        })
    }

    /// Forgets those whose budgets are whole again. For the janitor, every minute or so.
    pub fn sweep(&self) {
        self.ledgers().for_each(Ledger::sweep);
    }

    /// How many payers are remembered, over all budgets.
    pub fn keys(&self) -> usize {
        self.ledgers().map(Ledger::len).sum()
    }

    /// About how many bytes they take.
    pub fn bytes(&self) -> usize {
        self.ledgers().map(Ledger::bytes).sum()
    }

    fn ledgers(&self) -> impl Iterator<Item = &Ledger> {
        let books = self.books.iter().flat_map(Book::ledgers);
        books.chain(self.sos_max.ledgers())
    }
}

#[cfg(test)]
mod tests;
