//! The settings of the escalation that are more than a number.

use std::fmt;
use std::time::Duration;

use config::ValueKind;

use super::value::Setting;
use crate::domain::notify::Channel;
use crate::domain::notify::plan::{Contacts, Step};

/// The most steps of an escalation.
const STEPS_MAX: usize = 20;

/// The steps of the escalation: `0 all operators, 120 all operators` are two, the second one 120 s after the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps(pub Vec<Step>);

impl Default for Steps {
    fn default() -> Self {
        let step = |seconds| Step {
            after: Duration::from_secs(seconds),
            contacts: Contacts::All,
            operators: true,
        };
        Self(vec![step(0), step(120), step(300)])
    }
}

impl Steps {
    fn parse(text: &str) -> Option<Self> {
        let steps: Vec<Step> = text.split(',').map(step).collect::<Option<_>>()?;
        let good = (1..=STEPS_MAX).contains(&steps.len())
            && steps[0].after.is_zero()
            && steps[1..].iter().all(|step| !step.after.is_zero());
        good.then_some(Self(steps))
    }
}

fn step(text: &str) -> Option<Step> {
    let mut words = text.split_whitespace();
    let after = Duration::from_secs(words.next()?.parse::<u32>().ok()?.into());
    let mut step = Step {
        after,
        contacts: Contacts::None,
        operators: false,
    };
    for word in words {
        match (word, word.strip_prefix("first-")) {
            ("all", _) => step.contacts = Contacts::All,
            ("operators", _) => step.operators = true,
            (_, Some(count)) => step.contacts = Contacts::First(count.parse().ok().filter(|n| *n > 0)?),
            _ => return None,
        }
    }
    (step.operators || step.contacts != Contacts::None).then_some(step)
}

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.0.iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            write!(f, "{comma}{}", step.after.as_secs())?;
            match step.contacts {
                Contacts::None => {}
                Contacts::First(count) => write!(f, " first-{count}")?,
                Contacts::All => f.write_str(" all")?,
            }
            if step.operators {
                f.write_str(" operators")?;
            }
        }
        Ok(())
    }
}

impl Setting for Steps {
    const EXPECTED: &'static str = "at most 20 steps such as \"0 first-1 operators, 120 all operators\": seconds after the \
                                    step before (the first one 0), then whom it tells: all or first-<n> contacts, operators";

    fn read(raw: &ValueKind) -> Option<Self> {
        match raw {
            ValueKind::String(text) => Self::parse(text),
            _ => None,
        }
    }
}

/// Channels in the order in which they are tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channels(pub Vec<Channel>);

impl Default for Channels {
    fn default() -> Self {
        Self(vec![
            Channel::Push,
            Channel::Sms,
            Channel::Whatsapp,
            Channel::Email,
        ])
    }
}

impl fmt::Display for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|channel| channel.as_str()).collect();
        f.write_str(&names.join(", "))
    }
}

impl Setting for Channels {
    const EXPECTED: &'static str = "channels of people, each once, such as \"PUSH, SMS, WHATSAPP, EMAIL\"";

    fn read(raw: &ValueKind) -> Option<Self> {
        let ValueKind::String(text) = raw else { return None };
        let mut found = Vec::new();
        for name in text.split(',') {
            let channel = Channel::parse(name.trim())?;
            let for_people = !matches!(channel, Channel::Webhook | Channel::Pager);
            if !for_people || found.contains(&channel) {
                return None;
            }
            found.push(channel);
        }
        Some(Self(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Setting>(text: &str) -> Option<T> {
        T::read(&ValueKind::String(text.to_owned()))
    }

    #[test]
    fn steps_and_channels_read_as_they_are_written() {
        for steps in [
            "0 all operators, 120 all operators, 300 all operators",
            "0 first-1, 60 operators",
        ] {
            assert_eq!(read::<Steps>(steps).unwrap().to_string(), steps);
        }
        assert_eq!(
            read::<Steps>(&Steps::default().to_string()),
            Some(Steps::default())
        );
        assert_eq!(
            read::<Channels>(&Channels::default().to_string()),
            Some(Channels::default())
        );
        assert_eq!(read::<Channels>("sms").unwrap().0, [Channel::Sms]);
    }

    #[test]
    fn steps_that_tell_nobody_or_come_at_once_are_refused() {
        for bad in [
            "",
            "0",
            "5 all",
            "0 all, 0 all",
            "0 first-0",
            "0 some",
            "0 all,",
            "x all",
            "-1 all",
        ] {
            assert_eq!(read::<Steps>(bad), None, "{bad}");
        }
        for bad in ["", "PAGER", "SMS, SMS", "SMS PUSH", "PIGEON"] {
            assert_eq!(read::<Channels>(bad), None, "{bad}");
        }
    }
}
