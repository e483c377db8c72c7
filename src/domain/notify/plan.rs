//! Who is told of an incident, when, and over what: the escalation.
//!
//! Pure. An incident is looked at when it is raised, when it ends, and at the times that [`look`] names; each look says
//! what is to be done now.

use std::time::Duration;

use super::{Channel, Destination, Lane, Occasion};
use crate::domain::ids::ParticipantId;
use crate::domain::room::Told;
use crate::domain::time::Timestamp;

/// Which of the owner's emergency contacts a step tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contacts {
    /// Nobody.
    None,
    /// The first so many of the list.
    First(usize),
    /// All of them.
    All,
}

/// A step of the escalation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// How long after the step before, when nobody has acknowledged.
    pub after: Duration,
    /// Which contacts it tells.
    pub contacts: Contacts,
    /// Whether it tells the operators.
    pub operators: bool,
}

/// The numbers of the escalation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanSettings {
    /// The steps, the first of which is due at once. There is at least one.
    pub steps: Vec<Step>,
    /// Over which channels a contact is told who has not said so, in this order.
    pub channels: Vec<Channel>,
    /// So many of a contact's channels are tried at once, the next one when those have not arrived.
    pub channels_at_once: usize,
    /// How long a channel is given before the next one is tried.
    pub next_channel_after: Duration,
    /// An incident that was acknowledged and is left alone for so long is told of again; zero: never.
    pub untouched_after: Duration,
    /// Nobody is reminded so soon after the last message to them.
    pub cool_down: Duration,
    /// For how long after it was planned a message is worth sending.
    pub ttl: Duration,
    /// The contacts of somebody who can call off an SOS by a PIN are told so long after it was raised: until then it can
    /// be called off without having frightened anybody.
    pub cancel_window: Duration,
}

/// The hours in which somebody is told only of emergencies, by their own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QuietHours {
    /// From this minute of the day on, 0 to 1439.
    pub from: u16,
    /// Up to this one, which is not in it; one before `from` lies in the next day.
    pub to: u16,
    /// How far their clock is ahead of UTC, in minutes.
    pub utc_offset: i16,
}

impl QuietHours {
    /// How long from `now` until they are over; zero when it is not quiet.
    pub fn left(&self, now: Timestamp) -> Duration {
        const DAY: i64 = 24 * 60;
        let seconds = now.ms().div_euclid(1_000) + i64::from(self.utc_offset) * 60;
        let (minute, second) = (seconds.div_euclid(60).rem_euclid(DAY), seconds.rem_euclid(60));
        let length = (i64::from(self.to) - i64::from(self.from)).rem_euclid(DAY);
        let into = (minute - i64::from(self.from)).rem_euclid(DAY);
        if into >= length {
            return Duration::ZERO;
        }
        Duration::from_secs(((length - into) * 60 - second).max(1).unsigned_abs())
    }
}

/// Somebody who can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Who they are in the incident; `None`: the operators.
    pub who: Option<ParticipantId>,
    /// Where they are reached, the best first; several of one channel are told together.
    pub reached: Vec<Destination>,
    /// When they want to be left alone.
    pub quiet: Option<QuietHours>,
}

/// A message that is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// To whom.
    pub who: Option<ParticipantId>,
    /// Where to.
    pub to: Destination,
    /// How long from now.
    pub after: Duration,
}

/// How an incident stands, as far as this goes.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Who was told.
    pub told: &'a Told,
    /// It is open.
    pub open: bool,
    /// It ended because whoever raised it called it off.
    pub false_alarm: bool,
    /// When it was raised, if whoever did can still call it off by their PIN before their contacts hear of it.
    pub revocable_since: Option<Timestamp>,
    /// The time.
    pub now: Timestamp,
}

/// What a look at an incident says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// This step is to be planned.
    Plan {
        /// Its number.
        step: u16,
        /// What it tells.
        occasion: Occasion,
        /// How it is made; `None`: it tells those who were told before.
        how: Option<Step>,
    },
    /// Nothing now: look again after so long.
    Wait(Duration),
    /// Nothing any more.
    Done,
}

/// Looks at an incident.
pub fn look(settings: &PlanSettings, facts: &Facts<'_>) -> Look {
    let told = facts.told;
    let step = told.step.saturating_add(1);
    if !facts.open {
        let was_told = told.messages.values().any(|one| one.occasion.is_end());
        let anybody = told.messages.values().any(|one| one.state.is_out());
        let occasion = if facts.false_alarm {
            Occasion::SosFalseAlarm
        } else {
            Occasion::SosOver
        };
        return if was_told || !anybody {
            Look::Done
        } else {
            Look::Plan {
                step,
                occasion,
                how: None,
            }
        };
    }
    let planned_at = told.messages.values().map(|one| one.planned_at).max();
    let steps = &settings.steps;
    let (due_at, how) = match (planned_at, told.acknowledged_at) {
        (None, _) => (facts.now, steps.first()),
        (Some(_), Some(_)) if settings.untouched_after > Duration::ZERO => {
            (told.touched_at + settings.untouched_after, steps.first())
        }
        (Some(at), None) => {
            let next = steps.get(usize::from(told.round));
            (next.map_or(at, |next| at + next.after), next)
        }
        _ => return Look::Done,
    };
    let Some(how) = how else { return Look::Done };
    let wait = due_at.since(facts.now);
    if wait > Duration::ZERO {
        return Look::Wait(wait);
    }
    let occasion = if told.step == 0 {
        Occasion::SosRaised
    } else {
        Occasion::SosReminder
    };
    Look::Plan {
        step,
        occasion,
        how: Some(*how),
    }
}

/// The messages of a step. `contacts` in the order of their owner's list.
pub fn messages(
    settings: &PlanSettings,
    facts: &Facts<'_>,
    (occasion, how): (Occasion, Option<Step>),
    operators: &Target,
    contacts: &[Target],
) -> Vec<Message> {
    let mut found = Vec::new();
    let reminder = occasion == Occasion::SosReminder;
    let wanted = match how.map(|how| how.contacts) {
        Some(Contacts::None) => 0,
        Some(Contacts::First(count)) => count,
        Some(Contacts::All) | None => contacts.len(),
    };
    let was_told = |target: &Target| {
        let mut theirs = facts.told.messages.values().filter(|one| one.who_is(target.who));
        theirs.any(|one| one.state.is_out())
    };
    if how.is_none_or(|how| how.operators) && (how.is_some() || was_told(operators)) {
        // All of theirs at once: each is another system.
        found.extend(operators.reached.iter().map(|to| Message {
            who: None,
            to: to.clone(),
            after: Duration::ZERO,
        }));
    }
    for target in contacts.iter().take(wanted) {
        if (how.is_none() && !was_told(target)) || (reminder && is_warm(settings, facts, target)) {
            continue;
        }
        // Only what may wait waits: an SOS that nobody has taken up does not.
        let calm = reminder && facts.told.acknowledged_at.is_some();
        let quiet = target.quiet.filter(|_| calm);
        let quiet = quiet.map_or(Duration::ZERO, |hours| hours.left(facts.now));
        let wait = quiet.max(window_left(settings, facts));
        let mut channels: Vec<Channel> = Vec::new();
        for to in &target.reached {
            let channel = to.channel();
            let place = channels.iter().position(|known| *known == channel);
            let place = place.unwrap_or_else(|| {
                channels.push(channel);
                channels.len() - 1
            });
            let later = (place + 1).saturating_sub(settings.channels_at_once.max(1));
            let later = u32::try_from(later).unwrap_or(u32::MAX);
            found.push(Message {
                who: target.who,
                to: to.clone(),
                after: wait + settings.next_channel_after.saturating_mul(later),
            });
        }
    }
    found
}

/// Those who are to be told of an incident and for whom no channel is on: known from the first step on, whomever that tells.
pub fn unreachable(occasion: Occasion, contacts: &[Target]) -> Vec<ParticipantId> {
    let first = occasion == Occasion::SosRaised;
    let none = contacts
        .iter()
        .filter(|target| first && target.reached.is_empty());
    none.filter_map(|target| target.who).collect()
}

/// How long the contacts are not told yet; operators always are at once.
fn window_left(settings: &PlanSettings, facts: &Facts<'_>) -> Duration {
    let ends = facts.revocable_since.map(|since| since + settings.cancel_window);
    ends.map_or(Duration::ZERO, |ends| ends.since(facts.now))
}

/// Whether somebody had a message so lately that a reminder would only annoy.
fn is_warm(settings: &PlanSettings, facts: &Facts<'_>, target: &Target) -> bool {
    let mut theirs = facts.told.messages.values().filter(|one| one.who_is(target.who));
    theirs.any(|one| facts.now.since(one.planned_at) < settings.cool_down && !one.state.is_failed())
}

/// Among which jobs a message about this waits.
pub const fn lane(occasion: Occasion) -> Lane {
    match occasion {
        Occasion::SosRaised | Occasion::SosReminder | Occasion::Trouble | Occasion::CheckInDue => Lane::Sos,
        Occasion::Otp => Lane::Otp,
        Occasion::SosOver | Occasion::SosFalseAlarm | Occasion::SosAcknowledged => Lane::Normal,
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
