//! What was done, in numbers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::domain::notify::{DeliveryState, Lane, Vendor};
use crate::notify::{Provider, Sent};

/// Upper bounds of the spans that are told apart, in milliseconds.
pub const BOUNDS_MS: [u64; 10] = [10, 25, 50, 100, 250, 500, 1_000, 2_500, 10_000, 60_000];

/// How long something took, counted.
#[derive(Clone, Debug, Default)]
pub struct Spans {
    /// How many took at most as long as the bound of the same place, each in the first that fits; the last is the rest.
    pub counts: [u64; BOUNDS_MS.len() + 1],
    /// All of them together, in milliseconds.
    pub sum_ms: u64,
}

impl Spans {
    fn add(&mut self, took: Duration) {
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let place = BOUNDS_MS.iter().position(|bound| ms <= *bound);
        self.counts[place.unwrap_or(BOUNDS_MS.len())] += 1;
        self.sum_ms = self.sum_ms.saturating_add(ms);
    }
}

/// The numbers.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// Jobs that were claimed, by lane, and those of them that somebody else had left undone.
    pub claimed: [(u64, u64); 4],
    /// Answers of vendors, by what they mean.
    pub answers: BTreeMap<(Vendor, &'static str), u64>,
    /// Messages that moved, by vendor and state.
    pub moved: BTreeMap<(Option<Vendor>, DeliveryState), u64>,
    /// From an SOS to its plan.
    pub planned: Spans,
    /// From an SOS to the first vendor that took news of it.
    pub sos_handed: Spans,
    /// From a job to the vendor that took it, by lane.
    pub handed: [Spans; 4],
    /// SOS that were late.
    pub late: u64,
    /// People who were reached over no channel.
    pub unreached: u64,
    /// Check-ins that became an SOS.
    pub check_ins_raised: u64,
}

/// Counts.
#[derive(Debug)]
pub struct Tally(Mutex<Counted>);

impl Tally {
    pub(super) fn new(providers: &[Arc<dyn Provider>]) -> Self {
        let mut counted = Counted::default();
        for provider in providers {
            counted.answers.insert((provider.vendor(), "accepted"), 0);
        }
        Self(Mutex::new(counted))
    }

    /// The numbers now.
    pub fn counted(&self) -> Counted {
        self.0.lock().clone()
    }

    pub(super) fn taken(&self, lane: Lane, interrupted: bool) {
        let claimed = &mut self.0.lock().claimed[lane.index()];
        claimed.0 += 1;
        claimed.1 += u64::from(interrupted);
    }

    pub(super) fn answered(&self, vendor: Vendor, sent: &Sent) {
        let what = match sent {
            Sent::Accepted { .. } => "accepted",
            Sent::Busy { .. } => "busy",
            Sent::Unknown { .. } => "unknown",
            Sent::Refused { .. } => "refused",
            Sent::Dead { .. } => "dead",
            Sent::Barred { .. } => "barred",
        };
        *self.0.lock().answers.entry((vendor, what)).or_default() += 1;
    }

    pub(super) fn moved(&self, vendor: Option<Vendor>, to: DeliveryState) {
        *self.0.lock().moved.entry((vendor, to)).or_default() += 1;
    }

    pub(super) fn planned(&self, took: Duration) {
        self.0.lock().planned.add(took);
    }

    pub(super) fn handed(&self, lane: Lane, took: Duration) {
        self.0.lock().handed[lane.index()].add(took);
    }

    pub(super) fn sos_handed(&self, took: Duration) {
        self.0.lock().sos_handed.add(took);
    }

    pub(super) fn late(&self) {
        self.0.lock().late += 1;
    }

    pub(super) fn check_in_raised(&self) {
        self.0.lock().check_ins_raised += 1;
    }

    pub(super) fn unreached(&self) {
        self.0.lock().unreached += 1;
    }
}
