//! Whatever becomes of messages, everybody is told once a step, nobody is forgotten, and it comes to an end.

use proptest::prelude::*;

use super::*;
use crate::domain::notify::{DeliveryState, Email, PushToken};
use crate::domain::phone::PhoneNumber;
use crate::domain::room::{Actor, Event, EventBody, Genesis, Means, Move, Planned, RoomState, Seq};
use crate::domain::testing::{person, report, room};

const MINUTE: Duration = Duration::from_secs(60);

fn settings() -> PlanSettings {
    let step = |minutes: u32, contacts| Step {
        after: MINUTE * minutes,
        contacts,
        operators: true,
    };
    PlanSettings {
        steps: vec![
            step(0, Contacts::First(1)),
            step(2, Contacts::All),
            step(5, Contacts::All),
        ],
        channels: vec![Channel::Push, Channel::Sms, Channel::Email],
        channels_at_once: 2,
        next_channel_after: Duration::from_secs(30),
        untouched_after: MINUTE * 15,
        cool_down: MINUTE,
        ttl: MINUTE * 30,
        cancel_window: Duration::from_secs(10),
    }
}

fn contact(n: u64) -> Target {
    let phone = PhoneNumber::from_e164(&format!("+63917000{n:04}")).unwrap();
    Target {
        who: Some(person(n)),
        reached: vec![
            Destination::Fcm(PushToken::parse("one").unwrap()),
            Destination::Fcm(PushToken::parse("two").unwrap()),
            Destination::Sms(phone),
            Destination::Email(Email::parse("a@b.ph").unwrap()),
        ],
        quiet: None,
    }
}

fn operators() -> Target {
    Target {
        who: None,
        reached: vec![Destination::Pager],
        quiet: None,
    }
}

/// An incident on a virtual clock.
struct Story {
    state: RoomState,
    now: Timestamp,
    contacts: Vec<Target>,
    settings: PlanSettings,
    revocable_since: Option<Timestamp>,
}

impl Story {
    fn raised() -> Self {
        let mut story = Self {
            state: RoomState::new(room("sos")),
            now: Timestamp::from_ms(1_000_000),
            contacts: vec![contact(1), contact(2)],
            settings: settings(),
            revocable_since: None,
        };
        story.happens(
            person(0),
            EventBody::Created(Genesis::Incident(Box::new(report()))),
        );
        story
    }

    fn happens(&mut self, who: crate::domain::ids::ParticipantId, body: EventBody) {
        let event = Event {
            room: self.state.id.clone(),
            seq: Seq::new(self.state.seq.get() + 1),
            at: self.now,
            actor: Actor::Participant(who),
            body,
        };
        self.state.apply(&event);
    }

    fn told(&self) -> &Told {
        &self.state.incident.as_ref().unwrap().told
    }

    fn look(&self) -> Look {
        look(&self.settings, &self.facts())
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            told: self.told(),
            open: self.state.is_open(),
            false_alarm: false,
            revocable_since: self.revocable_since,
            now: self.now,
        }
    }

    /// Carries out what is due now: how many messages to operators, and to each contact.
    fn plans(&mut self) -> Option<(usize, Vec<usize>)> {
        let Look::Plan { step, occasion, how } = self.look() else {
            return None;
        };
        let found = messages(
            &self.settings,
            &self.facts(),
            (occasion, how),
            &operators(),
            &self.contacts,
        );
        let of = |who| found.iter().filter(|one| one.who == who).count();
        let counts = (of(None), self.contacts.iter().map(|one| of(one.who)).collect());
        let planned = found
            .iter()
            .map(|one| Planned {
                to: one.who,
                channel: one.to.channel(),
            })
            .collect();
        self.happens(
            person(0),
            EventBody::NotificationsPlanned {
                step,
                occasion,
                planned,
            },
        );
        Some(counts)
    }

    fn arrives(&mut self, id: u32) {
        self.happens(
            person(0),
            EventBody::NotificationMoved(Move {
                id,
                to: DeliveryState::Delivered,
                vendor: None,
                code: None,
                possibly_twice: false,
            }),
        );
    }

    fn waits(&mut self) -> Duration {
        match self.look() {
            Look::Wait(wait) => {
                self.now = self.now + wait;
                wait
            }
            other => panic!("{other:?} where it should wait"),
        }
    }
}

#[test]
fn the_next_contact_is_told_when_nobody_acknowledges_and_nobody_when_somebody_does() {
    let mut story = Story::raised();
    assert_eq!(story.plans(), Some((1, vec![4, 0])));
    assert_eq!(story.waits(), MINUTE * 2);
    assert_eq!(story.plans(), Some((1, vec![4, 4])));
    story.now = story.now + MINUTE;
    story.happens(person(1), EventBody::Acknowledged { means: Means::Link });
    assert_eq!(story.waits(), MINUTE * 15, "until it was left alone for long");
    assert_eq!(story.plans(), Some((1, vec![4, 0])), "from the beginning");
    assert_eq!(story.waits(), MINUTE * 2);
}

#[test]
fn the_escalation_ends_after_its_last_step() {
    let mut story = Story::raised();
    for _ in 0..3 {
        assert!(story.plans().is_some());
        if !matches!(story.look(), Look::Done) {
            story.waits();
        }
    }
    assert_eq!(story.look(), Look::Done);
}

#[test]
fn whoever_was_told_is_told_of_the_end_and_nobody_else() {
    let mut story = Story::raised();
    story.plans();
    story.arrives(2);
    story.happens(
        person(0),
        EventBody::StatusChanged {
            from: crate::domain::incident::Status::Active,
            to: crate::domain::incident::Status::Resolved,
            note: None,
            lower_case: false,
        },
    );
    assert_eq!(
        story.plans(),
        Some((0, vec![4, 0])),
        "the pager heard nothing, one contact did"
    );
    assert_eq!(story.look(), Look::Done);
}

#[test]
fn a_channel_is_tried_when_those_before_it_had_their_time() {
    let story = Story::raised();
    let how = Some(Step {
        after: Duration::ZERO,
        contacts: Contacts::All,
        operators: false,
    });
    let found = messages(
        &story.settings,
        &story.facts(),
        (Occasion::SosRaised, how),
        &operators(),
        &story.contacts[..1],
    );
    let after: Vec<_> = found
        .iter()
        .map(|one| (one.to.channel(), one.after.as_secs()))
        .collect();
    assert_eq!(
        after,
        [
            (Channel::Push, 0),
            (Channel::Push, 0),
            (Channel::Sms, 0),
            (Channel::Email, 30)
        ]
    );
}

#[test]
fn quiet_hours_delay_a_reminder_of_what_is_taken_care_of_and_never_an_sos() {
    let mut story = Story::raised();
    // 00:16:40 UTC is 08:16:40 in Manila.
    let quiet = QuietHours {
        from: 8 * 60,
        to: 9 * 60,
        utc_offset: 8 * 60,
    };
    for contact in &mut story.contacts {
        contact.quiet = Some(quiet);
    }
    let delays = |story: &Story, occasion| {
        let how = story.settings.steps[1];
        messages(
            &story.settings,
            &story.facts(),
            (occasion, Some(how)),
            &operators(),
            &story.contacts,
        )
        .into_iter()
        .filter(|one| one.who.is_some())
        .map(|one| one.after)
        .min()
    };
    assert_eq!(delays(&story, Occasion::SosRaised), Some(Duration::ZERO));
    assert_eq!(delays(&story, Occasion::SosReminder), Some(Duration::ZERO));
    story.happens(person(1), EventBody::Acknowledged { means: Means::Link });
    let left = Duration::from_secs(43 * 60 + 20);
    assert_eq!(delays(&story, Occasion::SosReminder), Some(left));
}

#[test]
fn quiet_hours_may_pass_midnight() {
    let hours = QuietHours {
        from: 22 * 60,
        to: 6 * 60,
        utc_offset: 0,
    };
    let at = |hour: i64, minute: i64| Timestamp::from_ms((hour * 60 + minute) * 60_000);
    assert_eq!(hours.left(at(23, 0)), Duration::from_secs(7 * 3600));
    assert_eq!(hours.left(at(5, 59)), MINUTE);
    assert_eq!(hours.left(at(6, 0)), Duration::ZERO);
    assert_eq!(hours.left(at(21, 59)), Duration::ZERO);
    let never = QuietHours {
        from: 60,
        to: 60,
        utc_offset: 0,
    };
    assert_eq!(never.left(at(1, 0)), Duration::ZERO);
}

proptest! {
    #[test]
    fn quiet_hours_end_when_they_say(from in 0u16..1440, to in 0u16..1440, utc_offset in -720i16..841, ms in any::<u32>()) {
        let hours = QuietHours { from, to, utc_offset };
        let now = Timestamp::from_ms(i64::from(ms) * 1_000);
        let left = hours.left(now);
        prop_assert!(left < Duration::from_secs(24 * 3600));
        prop_assert_eq!(hours.left(now + left), Duration::ZERO);
    }

    /// Steps, acknowledgements, news of messages and time, in any order.
    #[test]
    fn the_escalation_never_plans_twice_at_once_and_always_ends(
        deeds in proptest::collection::vec((0u8..4, 0u64..20, 0u32..30), 0..60),
    ) {
        let mut story = Story::raised();
        let mut last = 0;
        let mut planned_at: Option<Timestamp> = None;
        for (deed, n, id) in deeds {
            match deed {
                0 => story.now = story.now + MINUTE * u32::try_from(n).unwrap(),
                1 => story.happens(person(n), EventBody::Acknowledged { means: Means::Link }),
                2 if story.told().messages.contains_key(&id) => story.arrives(id),
                _ => {}
            }
            if story.plans().is_some() {
                prop_assert_eq!(story.told().step, last + 1);
                if let Some(before) = planned_at {
                    prop_assert!(story.now.since(before) >= MINUTE, "a step at a time");
                }
                (last, planned_at) = (last + 1, Some(story.now));
            }
            let again = matches!(story.look(), Look::Plan { .. });
            prop_assert!(!again, "what was planned is not due again");
        }
        // Left alone, it comes to rest.
        for _ in 0..10 {
            match story.look() {
                Look::Done => break,
                Look::Wait(wait) => story.now = story.now + wait,
                Look::Plan { .. } => drop(story.plans()),
            }
        }
        prop_assert_eq!(story.look(), Look::Done);
    }
}

#[test]
fn contacts_of_somebody_who_can_call_it_off_hear_when_they_no_longer_can_and_operators_at_once() {
    let mut story = Story::raised();
    story.revocable_since = Some(story.now);
    let Look::Plan { occasion, how, .. } = story.look() else {
        panic!("it is due");
    };
    let afters = |story: &Story| {
        let found = messages(
            &story.settings,
            &story.facts(),
            (occasion, how),
            &operators(),
            &story.contacts,
        );
        let of = |who: Option<_>| {
            let mine = found.iter().filter(|one| one.who == who);
            mine.map(|one| one.after).collect::<Vec<_>>()
        };
        (of(None), of(story.contacts[0].who))
    };
    let (window, later) = (Duration::from_secs(10), Duration::from_secs(40));
    let (pager, contact) = afters(&story);
    assert_eq!(pager, [Duration::ZERO]);
    assert_eq!(contact, [window, window, window, later]);
    // A look that comes late waits for what is left, and no longer.
    story.now = story.now + Duration::from_secs(7);
    assert_eq!(afters(&story).1[0], Duration::from_secs(3));
    story.now = story.now + Duration::from_secs(7);
    assert_eq!(afters(&story).1[0], Duration::ZERO);
}
