//! One page of a history, made from several series that are each read in the order of time.

use std::collections::BTreeMap;

use crate::domain::geo::Fix;
use crate::domain::ids::ParticipantId;
use crate::domain::time::Timestamp;
use crate::store::types::{HistoryFix, HistoryQuery};

/// The first `limit` fixes of all that were read. A source is read only until it has nothing to add.
pub(crate) struct HistoryPage<'q> {
    query: &'q HistoryQuery,
    from: Timestamp,
    /// By time, and then by participant unless a subject's fixes are told once for each time.
    found: BTreeMap<(Timestamp, Option<ParticipantId>), (ParticipantId, Fix)>,
}

impl<'q> HistoryPage<'q> {
    /// An empty one.
    pub fn new(query: &'q HistoryQuery) -> Self {
        let least = Timestamp::from_ms(i64::MIN);
        let from = query.from.unwrap_or(least);
        let after = query.after.map_or(least, |(at, _)| at);
        Self {
            query,
            from: from.max(after),
            found: BTreeMap::new(),
        }
    }

    /// No fix before this belongs to it.
    pub fn from(&self) -> Timestamp {
        self.from
    }

    /// No fix after this belongs to it.
    pub fn to(&self) -> Timestamp {
        self.query.to.unwrap_or(Timestamp::from_ms(i64::MAX))
    }

    /// False: it is full, and no fix at such a time or later belongs to it.
    pub fn wants(&self, at: Timestamp) -> bool {
        let last = self.found.last_key_value();
        self.found.len() < self.query.limit || last.is_some_and(|((last, _), _)| at <= *last)
    }

    /// False: neither this fix nor a later one of its source belongs to the page.
    pub fn offer(&mut self, who: ParticipantId, fix: Fix) -> bool {
        let once = self.query.subject.is_some();
        let passed = self.query.after.is_some_and(|after| {
            if once {
                fix.at <= after.0
            } else {
                (fix.at, who) <= after
            }
        });
        if passed {
            return true;
        }
        let key = (fix.at, (!once).then_some(who));
        let is_full = self.found.len() >= self.query.limit;
        if is_full && self.found.last_key_value().is_none_or(|(last, _)| key > *last) {
            return false;
        }
        self.found.entry(key).or_insert((who, fix));
        if self.found.len() > self.query.limit {
            self.found.pop_last();
        }
        true
    }

    /// What it holds, in order.
    pub fn finish(self) -> Vec<HistoryFix> {
        self.found
            .into_values()
            .map(|(participant, fix)| HistoryFix { participant, fix })
            .collect()
    }
}
