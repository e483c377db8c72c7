//! What went wrong, how often: a few kinds, not a line for each.

use std::collections::BTreeMap;

use crate::report::Outcome;

const MOST_KINDS: usize = 8;
const MOST_LETTERS: usize = 160;

/// Errors by kind.
#[derive(Default)]
pub struct Errors(BTreeMap<String, u64>);

impl Errors {
    pub fn add(&mut self, what: impl Into<String>) {
        let mut what = what.into();
        if self.0.len() >= MOST_KINDS && !self.0.contains_key(&what) {
            what = "something else".into();
        }
        *self.0.entry(what).or_default() += 1;
    }

    /// An answer that should have been another, or an `error` message (status 0).
    pub fn add_answer(&mut self, status: u16, body: &[u8]) {
        let text = String::from_utf8_lossy(body);
        // What differs from case to case would make each a kind of its own.
        let cut = ["\"requestId\"", "\"timestamp\"", "\"data\""]
            .into_iter()
            .fold(&*text, |text, key| text.split(key).next().unwrap_or_default());
        let cut: String = cut.chars().take(MOST_LETTERS).collect();
        self.add(if status == 0 {
            cut
        } else {
            format!("{status} {cut}")
        });
    }

    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }

    pub fn tell(&self, outcome: &mut Outcome) {
        for (what, count) in &self.0 {
            outcome.fail(format!("{count} times: {what}"));
        }
    }
}
