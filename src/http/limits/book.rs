//! The budgets of one class of requests: of each payer, of their address, of the site it lies in.

use super::ledger::{Ledger, Who};
use super::payer::{Kind, Payer, Scope, Spent};
use crate::domain::budget::Budget;
use crate::http::cluster::budgets::{Want, Wants};

/// What the budgets of one class are called among nodes.
pub(super) struct Names {
    pub anonymous: &'static str,
    pub registered: &'static str,
    pub blocked: &'static str,
    pub address: &'static str,
    pub site: &'static str,
}

/// The budgets of one class. `None`: no limit.
pub(super) struct Book {
    pub anonymous: Option<Ledger>,
    pub registered: Option<Ledger>,
    pub blocked: Option<Ledger>,
    pub address: Shared,
}

/// The budgets of addresses, and of the /48s that they lie in.
pub(super) struct Shared {
    pub address: Option<Ledger>,
    pub site: Option<Ledger>,
}

impl Shared {
    fn of<'a>(&'a self, payer: &Payer) -> impl Iterator<Item = (&'a Ledger, Who)> + use<'a> {
        let address = self.address.as_ref().zip(payer.who(payer.address));
        address
            .into_iter()
            .chain(self.site.as_ref().zip(payer.who(payer.site)))
    }

    pub fn check(&self, payer: &Payer) -> Result<(), Spent> {
        for (ledger, who) in self.of(payer) {
            let scope = Scope::Address;
            ledger.look(who).map_err(|budget| Spent { budget, scope })?;
        }
        Ok(())
    }

    /// What was looked at is not refused any more: two at once may go one over it.
    pub fn take(&self, payer: &Payer) -> Option<Budget> {
        let taken = self
            .of(payer)
            .map(|(ledger, who)| ledger.charge(who).unwrap_or_else(|left| left));
        taken.min_by_key(|budget| budget.remaining)
    }
}

impl Book {
    fn own(&self, payer: &Payer) -> Option<(&Ledger, Who)> {
        let ledger = match payer.kind {
            Kind::Anonymous => &self.anonymous,
            Kind::Registered => &self.registered,
            Kind::Blocked => &self.blocked,
            Kind::Service => &None,
        };
        let (ledger, who) = ledger.as_ref().zip(payer.who(payer.own))?;
        // Somebody who cannot be told apart must not share a stranger's small budget: their address pays.
        let address_pays = payer.address.is_some() && self.address.address.is_some();
        let apart = !(address_pays && ledger.is_full()) || ledger.knows(who.key);
        apart.then_some((ledger, who))
    }

    /// What would be left of the payer's own budget after this.
    pub fn check_own(&self, payer: &Payer) -> Result<Option<Budget>, Spent> {
        let looked = self.own(payer).map(|(ledger, who)| ledger.look(who));
        looked.transpose().map_err(own)
    }

    pub fn take_own(&self, payer: &Payer) -> Result<Option<Budget>, Spent> {
        let taken = self.own(payer).map(|(ledger, who)| ledger.charge(who));
        taken.transpose().map_err(own)
    }

    /// The budgets that all nodes share, of `names`: the payer's own, their address's, the site's.
    pub fn wants(&self, names: &Names, payer: &Payer) -> Wants {
        let want = |name, (ledger, who): (&Ledger, Who), scope| {
            let (limit, one_each) = ledger.rate();
            Want {
                name,
                key: who.key,
                limit,
                one_each,
                scope,
            }
        };
        let own_name = match payer.kind {
            Kind::Anonymous => names.anonymous,
            Kind::Registered => names.registered,
            Kind::Blocked | Kind::Service => names.blocked,
        };
        let own = self.own(payer).map(|own| want(own_name, own, Scope::Own));
        let shared = self.address.of(payer).zip([names.address, names.site]);
        let shared = shared.map(|(shared, name)| want(name, shared, Scope::Address));
        own.into_iter().chain(shared).collect()
    }

    pub fn ledgers(&self) -> impl Iterator<Item = &Ledger> {
        let own = [&self.anonymous, &self.registered, &self.blocked];
        own.into_iter().flatten().chain(self.address.ledgers())
    }
}

impl Shared {
    pub fn ledgers(&self) -> impl Iterator<Item = &Ledger> {
        [&self.address, &self.site].into_iter().flatten()
    }
}

fn own(budget: Budget) -> Spent {
    let scope = Scope::Own;
    Spent { budget, scope }
}
