//! What a storm of SOS by people with contacts is measured by further on: when the first vendor has news of each, and
//! when all of their contacts are told.

use std::time::Duration;

use crate::Result;
use crate::cli::{Common, SosStorm};
use crate::crowd::Crowd;
use crate::engine::Engine;
use crate::notify::{accepted, until};
use crate::reactor::Reactor;
use crate::report::Outcome;
use crate::stats::{Latency, SECOND, Timeline};
use crate::vendor::Vendor;

/// The people and the vendor who tells their contacts.
pub struct Handed {
    pub crowd: Crowd,
    vendor: Vendor,
}

/// An SOS that was acknowledged: whose, and when it was meant to be sent.
pub type Raised = (usize, u64);

impl Handed {
    pub fn prepare(common: &Common, args: &SosStorm) -> Result<Self> {
        let messages = args.count * args.contacts;
        Ok(Self {
            crowd: Crowd::new(common, messages, args.contacts)?,
            vendor: Vendor::start(messages, Duration::from_millis(args.vendor_latency_ms))?,
        })
    }

    pub fn settings(&self) -> Vec<(&'static str, String)> {
        self.vendor.settings()
    }

    /// Messages with the vendor so far.
    pub fn reached(&self) -> u64 {
        self.vendor.ledger().reached
    }

    /// Waits until the engine's log says so, too, and tells all of it.
    pub fn tell(
        &self,
        outcome: &mut Outcome,
        (common, engine, net): (&Common, &Engine, &Reactor),
        raised: &[Raised],
        began: u64,
    ) -> Result<()> {
        let reached = self.reached() as f64;
        let settled = until(|| Ok(accepted(engine)? >= reached))?;
        let ledger = self.vendor.ledger();
        let mut first = Latency::new()?;
        let (mut untold, mut lost) = (0, 0);
        for (person, intended) in raised {
            let (at, missing) = self.crowd.told(&ledger, *person);
            match at {
                Some(at) => first.record(*intended, net.at(at)),
                None => untold += 1,
            }
            lost += missing;
        }
        let mut arrivals: Vec<u64> = (0..self.crowd.messages())
            .filter_map(|index| Some(net.at(ledger.first(index)?)))
            .collect();
        arrivals.sort_unstable();
        let mut timeline = Timeline::starting(began);
        arrivals.iter().for_each(|at| timeline.add(*at, 1));
        let seconds = |at: u64| at.saturating_sub(began) as f64 / SECOND as f64;
        let last = seconds(arrivals.last().copied().unwrap_or(began));
        outcome.latency("SOS to its first vendor", &first, common.p99_limit_ms);
        outcome.find("messages with the vendor", arrivals.len() as f64, "");
        outcome.find("all contacts told within", last, "s");
        outcome.find("messages a second", arrivals.len() as f64 / last.max(1e-3), "/s");
        match settled {
            Some(at) => outcome.find("all of it written down within", seconds(net.at(at)), "s"),
            None => outcome.fail("the engine does not say of all messages that they were taken"),
        }
        outcome.find("questions to the vendor", ledger.questions as f64, "");
        outcome.timeline("messages", &timeline);
        outcome.expect_none("SOS of which no vendor heard", untold);
        outcome.expect_none("messages lost", lost);
        outcome.expect_none("messages handed over twice", ledger.twice());
        outcome.expect_none("messages to numbers of nobody", ledger.strangers);
        Ok(())
    }
}
