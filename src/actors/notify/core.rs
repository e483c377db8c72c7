//! What is to be done next for one message: which vendor, which question, how long to wait. Pure.

use std::time::Duration;

use crate::domain::breaker::backoff;
use crate::domain::notify::{DeliveryState, Vendor};
use crate::domain::time::Timestamp;
use crate::notify::{Asked, Sent};

/// How sending is tried.
#[derive(Clone, Debug)]
pub struct RetrySettings {
    /// How often one vendor is tried with one message.
    pub tries_max: u32,
    /// The bound of the first wait between tries; it doubles each time.
    pub backoff_min: Duration,
    /// The longest.
    pub backoff_max: Duration,
    /// A vendor that wants to be left alone for longer is passed over when there is another.
    pub patience: Duration,
    /// A vendor that has held a message for so long is asked about it, then after twice as long, and so on.
    pub ask_after: Duration,
    /// For how long a message that a vendor took is minded: if it is given back, the next vendor gets it.
    pub watch: Duration,
}

/// How far one message has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Where it is.
    pub stage: Stage,
    /// How often the vendor that it is at was tried.
    pub tries: u32,
    /// Vendors that will not carry it.
    pub passed: Vec<Vendor>,
    /// It may have got there already.
    pub twice: bool,
}

/// Where a message is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// With nobody.
    #[default]
    Here,
    /// A vendor was being asked to take it since then. When it is found so, nobody knows what came of that.
    Asking {
        /// Which.
        vendor: Vendor,
        /// Since when.
        since: Timestamp,
    },
    /// A vendor took it.
    Taken {
        /// Which.
        vendor: Vendor,
        /// By which it can be asked about.
        reference: Option<String>,
        /// When.
        since: Timestamp,
        /// How often it was asked since.
        asked: u32,
    },
}

/// A vendor that could carry the message, the preferred ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which.
    pub vendor: Vendor,
    /// It is left alone for so long.
    pub rests: Duration,
    /// Whether it can be asked what became of an attempt.
    pub can_search: bool,
    /// Whether it can be asked about a message.
    pub can_ask: bool,
    /// The same message handed over twice is one for its reader.
    pub idempotent: bool,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Hand it to a vendor.
    Send(Vendor),
    /// Find out what became of an attempt.
    Search {
        /// At which vendor.
        vendor: Vendor,
        /// When it began.
        since: Timestamp,
    },
    /// Ask the vendor that took it how it stands.
    Ask {
        /// Which.
        vendor: Vendor,
        /// By its name there.
        reference: String,
    },
    /// Nothing for so long.
    Wait(Duration),
    /// Nothing any more; this is how it ended, if that is news.
    Finish(Option<(DeliveryState, &'static str)>),
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// News for the log.
    pub news: Option<(DeliveryState, Option<String>)>,
    /// How long until it is looked at again.
    pub wait: Duration,
    /// What it says of the vendor.
    pub vendor: Health,
    /// The destination is gone for good.
    pub forget: bool,
}

/// What an answer says of its vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It answers.
    Well,
    /// It is in trouble.
    Ill,
    /// It takes nothing from us.
    Barred,
}

/// A wait that is none.
const AT_ONCE: Duration = Duration::ZERO;

impl Progress {
    /// What is to be done for a message that stands like this.
    pub fn next(
        &mut self,
        settings: &RetrySettings,
        state: DeliveryState,
        choices: &[Choice],
        (now, expires_at): (Timestamp, Timestamp),
    ) -> Next {
        if state.is_final() {
            return Next::Finish(None);
        }
        if state == DeliveryState::Accepted {
            return self.watch(settings, choices, now);
        }
        if let Stage::Asking { vendor, since } = self.stage {
            let asked = choices.iter().find(|choice| choice.vendor == vendor);
            match asked {
                Some(choice) if choice.can_search && choice.rests.is_zero() => {
                    return Next::Search { vendor, since };
                }
                _ => self.unknown(vendor, asked.is_some_and(|choice| choice.idempotent), choices),
            }
        }
        if let Stage::Taken { vendor, .. } = self.stage {
            // It was given back.
            self.pass(vendor);
        }
        if now >= expires_at {
            return Next::Finish(Some((DeliveryState::Expired, "EXPIRED")));
        }
        let left: Vec<&Choice> = choices
            .iter()
            .filter(|choice| !self.passed.contains(&choice.vendor))
            .collect();
        let Some(soonest) = left.iter().map(|choice| choice.rests).min() else {
            return Next::Finish(Some((DeliveryState::FailedPermanent, "NO_VENDOR_LEFT")));
        };
        match left.iter().find(|choice| choice.rests.is_zero()) {
            Some(choice) => Next::Send(choice.vendor),
            None => Next::Wait(soonest.min(expires_at.since(now)).max(Duration::from_millis(10))),
        }
    }

    /// A vendor has it: is there more to hear?
    fn watch(&self, settings: &RetrySettings, choices: &[Choice], now: Timestamp) -> Next {
        let Stage::Taken {
            vendor,
            reference: Some(reference),
            since,
            asked,
        } = &self.stage
        else {
            return Next::Finish(None);
        };
        let held = now.since(*since);
        if held >= settings.watch {
            return Next::Finish(None);
        }
        let left = settings.watch.saturating_sub(held);
        let choice = choices.iter().find(|choice| choice.vendor == *vendor);
        if !choice.is_some_and(|choice| choice.can_ask) {
            return Next::Wait(left);
        }
        let due = settings.ask_after.saturating_mul(1 << (*asked).min(16));
        if held < due {
            return Next::Wait(due.saturating_sub(held).min(left));
        }
        match choice.map(|choice| choice.rests).filter(|rests| !rests.is_zero()) {
            Some(rests) => Next::Wait(rests.min(left)),
            None => Next::Ask {
                vendor: *vendor,
                reference: reference.clone(),
            },
        }
    }

    /// Whoever was asked may have it. Once more there, if that changes nothing for its reader; otherwise whoever is
    /// next, and it is marked.
    fn unknown(&mut self, vendor: Vendor, idempotent: bool, choices: &[Choice]) {
        self.stage = Stage::Here;
        if idempotent {
            return;
        }
        self.twice = true;
        if self.others(vendor, choices) {
            self.pass(vendor);
        }
    }

    fn others(&self, vendor: Vendor, choices: &[Choice]) -> bool {
        choices
            .iter()
            .any(|choice| choice.vendor != vendor && !self.passed.contains(&choice.vendor))
    }

    fn pass(&mut self, vendor: Vendor) {
        (self.stage, self.tries) = (Stage::Here, 0);
        if !self.passed.contains(&vendor) {
            self.passed.push(vendor);
        }
    }

    /// It is about to be handed to a vendor.
    pub fn asking(&mut self, vendor: Vendor, now: Timestamp) {
        self.tries = self.tries.saturating_add(1);
        self.stage = Stage::Asking { vendor, since: now };
    }

    /// What a vendor answered. `chance` is a random number.
    pub fn sent(
        &mut self,
        settings: &RetrySettings,
        vendor: Vendor,
        sent: Sent,
        choices: &[Choice],
        (now, chance): (Timestamp, u64),
    ) -> Verdict {
        let failed = |code| Some((DeliveryState::FailedTemporary, Some(code)));
        let pause = backoff(self.tries, settings.backoff_min, settings.backoff_max, chance);
        match sent {
            Sent::Accepted { reference } => self.taken(settings, vendor, reference, choices, now),
            Sent::Busy { code, after } => {
                self.stage = Stage::Here;
                let wait = pause.max(after.unwrap_or_default());
                let others = self.others(vendor, choices);
                let wait = if self.tries >= settings.tries_max || (others && wait > settings.patience) {
                    self.pass(vendor);
                    AT_ONCE
                } else {
                    wait
                };
                Verdict {
                    news: failed(code),
                    wait,
                    vendor: Health::Ill,
                    forget: false,
                }
            }
            Sent::Unknown { code } => {
                let choice = choices.iter().find(|choice| choice.vendor == vendor);
                let gone = self.tries >= settings.tries_max;
                let wait = match choice {
                    // It is asked what became of it before anything else is done.
                    Some(choice) if choice.can_search => pause.min(settings.patience),
                    Some(choice) if choice.idempotent && !gone => {
                        self.stage = Stage::Here;
                        pause
                    }
                    _ => {
                        self.unknown(vendor, false, choices);
                        if gone && self.passed.last() != Some(&vendor) {
                            self.pass(vendor);
                        }
                        if self.others(vendor, choices) {
                            AT_ONCE
                        } else {
                            pause
                        }
                    }
                };
                Verdict {
                    news: failed(code),
                    wait,
                    vendor: Health::Ill,
                    forget: false,
                }
            }
            Sent::Refused { code } => {
                self.pass(vendor);
                Verdict {
                    news: failed(code),
                    wait: AT_ONCE,
                    vendor: Health::Well,
                    forget: false,
                }
            }
            Sent::Barred { code } => {
                self.pass(vendor);
                Verdict {
                    news: failed(code),
                    wait: AT_ONCE,
                    vendor: Health::Barred,
                    forget: false,
                }
            }
            Sent::Dead { code, forget } => {
                self.stage = Stage::Here;
                Verdict {
                    news: Some((DeliveryState::FailedPermanent, Some(code))),
                    wait: AT_ONCE,
                    vendor: Health::Well,
                    forget,
                }
            }
        }
    }

    /// A vendor has it.
    fn taken(
        &mut self,
        settings: &RetrySettings,
        vendor: Vendor,
        reference: Option<String>,
        choices: &[Choice],
        now: Timestamp,
    ) -> Verdict {
        self.stage = Stage::Taken {
            vendor,
            reference,
            since: now,
            asked: 0,
        };
        let wait = match self.watch(settings, choices, now) {
            Next::Wait(wait) => wait,
            _ => AT_ONCE,
        };
        Verdict {
            news: Some((DeliveryState::Accepted, None)),
            wait,
            vendor: Health::Well,
            forget: false,
        }
    }

    /// What a search for an attempt of unknown outcome found.
    pub fn searched(
        &mut self,
        settings: &RetrySettings,
        vendor: Vendor,
        found: Result<Option<String>, ()>,
        choices: &[Choice],
        now: Timestamp,
    ) -> Verdict {
        match found {
            Ok(Some(reference)) => self.taken(settings, vendor, Some(reference), choices, now),
            Ok(None) => {
                self.stage = Stage::Here;
                if self.tries >= settings.tries_max {
                    self.pass(vendor);
                }
                Verdict {
                    news: None,
                    wait: AT_ONCE,
                    vendor: Health::Well,
                    forget: false,
                }
            }
            // Whoever cannot even be asked is not waited for: somebody needs help.
            Err(()) => {
                self.unknown(vendor, false, choices);
                Verdict {
                    news: None,
                    wait: AT_ONCE,
                    vendor: Health::Ill,
                    forget: false,
                }
            }
        }
    }

    /// What the vendor that took it said about it.
    pub fn asked(
        &mut self,
        settings: &RetrySettings,
        answer: Asked,
        choices: &[Choice],
        now: Timestamp,
    ) -> Verdict {
        if let Stage::Taken { asked, .. } = &mut self.stage {
            *asked = asked.saturating_add(1);
        }
        let (news, health) = match answer {
            Asked::Stands { state, code } => (Some((state, code)), Health::Well),
            // It said that it took it, and does not know it: nobody has it.
            Asked::Unheard => (
                Some((DeliveryState::FailedTemporary, Some("UNHEARD_OF".to_owned()))),
                Health::Well,
            ),
            Asked::Unanswered => (None, Health::Ill),
        };
        let wait = match self.watch(settings, choices, now) {
            Next::Wait(wait) => wait,
            _ => AT_ONCE,
        };
        let given_back = matches!(news, Some((DeliveryState::FailedTemporary, _)));
        Verdict {
            wait: if given_back { AT_ONCE } else { wait },
            news,
            vendor: health,
            forget: false,
        }
    }
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
