//! Vendors that do whatever they please: a message is handed over as long as there is somebody to take it, is marked
//! when it may have got through before, and comes to an end.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn settings() -> RetrySettings {
    RetrySettings {
        tries_max: 3,
        backoff_min: Duration::from_millis(500),
        backoff_max: SECOND * 5,
        patience: SECOND * 2,
        ask_after: SECOND * 60,
        watch: SECOND * 600,
    }
}

fn choice(vendor: Vendor, can_search: bool, idempotent: bool) -> Choice {
    Choice {
        vendor,
        rests: Duration::ZERO,
        can_search,
        can_ask: can_search,
        idempotent,
    }
}

fn sms() -> Vec<Choice> {
    vec![
        choice(Vendor::Twilio, true, false),
        choice(Vendor::Msg91, false, false),
    ]
}

fn code() -> String {
    "503".to_owned()
}

/// A message, its vendors and a virtual clock.
struct Story {
    progress: Progress,
    state: DeliveryState,
    choices: Vec<Choice>,
    now: Timestamp,
    expires_at: Timestamp,
}

impl Story {
    fn new(choices: Vec<Choice>) -> Self {
        let now = Timestamp::from_ms(1_000_000);
        Self {
            progress: Progress::default(),
            state: DeliveryState::Pending,
            choices,
            now,
            expires_at: now + SECOND * 1_800,
        }
    }

    fn next(&mut self) -> Next {
        self.progress.next(
            &settings(),
            self.state,
            &self.choices,
            (self.now, self.expires_at),
        )
    }

    fn moves(&mut self, to: DeliveryState) {
        if self.state.can_become(to) {
            self.state = to;
        }
    }

    fn takes(&mut self, verdict: Verdict) -> Verdict {
        if let Some((state, _)) = &verdict.news {
            self.moves(*state);
        }
        // What a vendor has is looked at again, which is what stories go on with.
        if self.state != DeliveryState::Accepted {
            self.now = self.now + verdict.wait;
        }
        verdict
    }

    fn sends(&mut self, vendor: Vendor, sent: Sent) -> Verdict {
        assert_eq!(self.next(), Next::Send(vendor));
        self.progress.asking(vendor, self.now);
        self.moves(DeliveryState::Sending);
        let verdict = self
            .progress
            .sent(&settings(), vendor, sent, &self.choices, (self.now, 7));
        self.takes(verdict)
    }
}

#[test]
fn what_one_vendor_refuses_the_next_one_gets_at_once() {
    let mut story = Story::new(sms());
    let verdict = story.sends(Vendor::Twilio, Sent::Refused { code: "30001".into() });
    assert_eq!((verdict.wait, verdict.vendor), (Duration::ZERO, Health::Well));
    let verdict = story.sends(
        Vendor::Msg91,
        Sent::Accepted {
            reference: Some("r".into()),
        },
    );
    assert_eq!(verdict.news, Some((DeliveryState::Accepted, None)));
    assert!(!story.progress.twice);
    assert_eq!(
        story.next(),
        Next::Wait(SECOND * 600),
        "MSG91 cannot be asked, it may give back"
    );
}

#[test]
fn a_vendor_that_is_busy_for_long_is_not_waited_for_when_there_is_another() {
    let mut story = Story::new(sms());
    let busy = || Sent::Busy {
        code: "429".into(),
        after: Some(SECOND * 30),
    };
    assert_eq!(story.sends(Vendor::Twilio, busy()).wait, Duration::ZERO);
    let verdict = story.sends(Vendor::Msg91, busy());
    assert_eq!(verdict.wait, SECOND * 30, "nobody else is left");
    story.sends(Vendor::Msg91, Sent::Accepted { reference: None });
    assert_eq!(story.next(), Next::Finish(None));
}

#[test]
fn an_attempt_of_unknown_outcome_is_looked_for_before_anybody_else_is_asked() {
    let mut story = Story::new(sms());
    story.sends(
        Vendor::Twilio,
        Sent::Unknown {
            code: "TIMEOUT".into(),
        },
    );
    assert!(matches!(
        story.next(),
        Next::Search {
            vendor: Vendor::Twilio,
            ..
        }
    ));
    let found = Ok(Some("SM1".to_owned()));
    let verdict = story
        .progress
        .searched(&settings(), Vendor::Twilio, found, &story.choices, story.now);
    assert_eq!(story.takes(verdict).news, Some((DeliveryState::Accepted, None)));
    assert!(!story.progress.twice);
    assert_eq!(story.next(), Next::Wait(SECOND * 60));
}

#[test]
fn where_it_cannot_be_found_out_the_next_vendor_gets_it_and_it_is_marked() {
    let mut story = Story::new(sms());
    story.sends(Vendor::Twilio, Sent::Unknown { code: code() });
    let verdict = story
        .progress
        .searched(&settings(), Vendor::Twilio, Err(()), &story.choices, story.now);
    story.takes(verdict);
    assert!(story.progress.twice);
    story.sends(Vendor::Msg91, Sent::Accepted { reference: None });
}

#[test]
fn a_search_that_finds_nothing_makes_it_certain() {
    let mut story = Story::new(sms());
    story.sends(Vendor::Twilio, Sent::Unknown { code: code() });
    let verdict = story
        .progress
        .searched(&settings(), Vendor::Twilio, Ok(None), &story.choices, story.now);
    story.takes(verdict);
    assert!(!story.progress.twice);
    story.sends(Vendor::Twilio, Sent::Accepted { reference: None });
}

#[test]
fn a_worker_that_was_killed_while_it_asked_leaves_an_attempt_of_unknown_outcome() {
    let mut story = Story::new(vec![choice(Vendor::Msg91, false, false)]);
    story.progress.asking(Vendor::Msg91, story.now);
    story.moves(DeliveryState::Sending);
    assert_eq!(story.next(), Next::Send(Vendor::Msg91), "there is nobody else");
    assert!(story.progress.twice);
    let mut pager = Story::new(vec![choice(Vendor::Pagerduty, false, true)]);
    pager.progress.asking(Vendor::Pagerduty, pager.now);
    assert_eq!(pager.next(), Next::Send(Vendor::Pagerduty));
    assert!(!pager.progress.twice, "there it is the same message");
}

#[test]
fn what_a_vendor_gives_back_the_next_one_gets() {
    let mut story = Story::new(sms());
    story.sends(
        Vendor::Twilio,
        Sent::Accepted {
            reference: Some("SM1".into()),
        },
    );
    story.moves(DeliveryState::FailedTemporary);
    story.sends(Vendor::Msg91, Sent::Accepted { reference: None });
}

#[test]
fn a_vendor_that_holds_a_message_is_asked_less_and_less_often() {
    let mut story = Story::new(sms());
    story.sends(
        Vendor::Twilio,
        Sent::Accepted {
            reference: Some("SM1".into()),
        },
    );
    let mut waits = vec![];
    loop {
        match story.next() {
            Next::Wait(wait) => {
                waits.push(wait.as_secs());
                story.now = story.now + wait;
            }
            Next::Ask { .. } => {
                let held = Asked::Stands {
                    state: DeliveryState::Accepted,
                    code: None,
                };
                story.progress.asked(&settings(), held, &story.choices, story.now);
            }
            Next::Finish(None) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(waits, [60, 60, 120, 240, 120]);
}

#[test]
fn a_dead_destination_is_nobodys_and_one_that_is_gone_is_forgotten() {
    let mut story = Story::new(sms());
    let verdict = story.sends(
        Vendor::Twilio,
        Sent::Dead {
            code: "21211".into(),
            forget: true,
        },
    );
    assert!(verdict.forget);
    assert_eq!(story.state, DeliveryState::FailedPermanent);
    assert_eq!(story.next(), Next::Finish(None));
}

#[test]
fn a_message_whose_time_is_over_is_not_sent() {
    let mut story = Story::new(sms());
    story.now = story.expires_at;
    assert_eq!(
        story.next(),
        Next::Finish(Some((DeliveryState::Expired, "EXPIRED")))
    );
}

#[derive(Clone, Debug)]
enum Deed {
    Answers(u8),
    Finds(u8),
    GivesBack,
    Dies,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        6 => (0u8..7).prop_map(Deed::Answers),
        3 => (0u8..3).prop_map(Deed::Finds),
        1 => Just(Deed::GivesBack),
        1 => Just(Deed::Dies),
    ]
}

fn answer(n: u8) -> Sent {
    match n {
        0 | 1 => Sent::Accepted {
            reference: (n == 0).then(|| "r".to_owned()),
        },
        2 => Sent::Busy {
            code: code(),
            after: None,
        },
        3 => Sent::Busy {
            code: code(),
            after: Some(SECOND * 60),
        },
        4 => Sent::Unknown { code: code() },
        5 => Sent::Refused { code: code() },
        _ => Sent::Barred { code: code() },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_vendors_do_a_message_comes_to_an_end_and_is_never_silently_sent_twice(
        deeds in proptest::collection::vec(deed(), 1..40),
        kinds in (any::<bool>(), any::<bool>(), any::<bool>()),
    ) {
        let choices = vec![choice(Vendor::Twilio, kinds.0, kinds.1), choice(Vendor::Msg91, kinds.2, false)];
        let mut story = Story::new(choices);
        let (mut sends, mut may_have_it) = (0, false);
        let mut deeds = deeds.into_iter();
        for _ in 0..400 {
            match story.next() {
                Next::Finish(news) => {
                    if let Some((state, _)) = news {
                        story.moves(state);
                    }
                    prop_assert!(story.state.is_final() || story.state == DeliveryState::Accepted);
                    break;
                }
                Next::Wait(wait) => {
                    prop_assert!(!wait.is_zero());
                    story.now = story.now + wait;
                }
                Next::Send(vendor) => {
                    sends += 1;
                    prop_assert!(story.now < story.expires_at);
                    prop_assert!(!may_have_it || story.progress.twice, "it is said that it may be the second");
                    let idempotent = story.choices.iter().any(|one| one.vendor == vendor && one.idempotent);
                    story.progress.asking(vendor, story.now);
                    story.moves(DeliveryState::Sending);
                    let deed = deeds.next().unwrap_or(Deed::Answers(0));
                    let sent = match deed {
                        Deed::Dies => {
                            may_have_it |= !idempotent && !story.choices.iter().any(|one| one.vendor == vendor && one.can_search);
                            continue;
                        }
                        Deed::Answers(n) => answer(n),
                        _ => answer(4),
                    };
                    let unknown = matches!(sent, Sent::Unknown { .. });
                    let searches = story.choices.iter().any(|one| one.vendor == vendor && one.can_search);
                    may_have_it |= unknown && !searches && !idempotent;
                    let verdict = story.progress.sent(&settings(), vendor, sent, &story.choices, (story.now, 7));
                    story.takes(verdict);
                }
                Next::Search { vendor, .. } => {
                    let found = match deeds.next() {
                        Some(Deed::Finds(0)) => Ok(None),
                        Some(Deed::Finds(1)) => Ok(Some("r".to_owned())),
                        _ => Err(()),
                    };
                    may_have_it |= found.is_err();
                    let verdict = story.progress.searched(&settings(), vendor, found, &story.choices, story.now);
                    story.takes(verdict);
                }
                Next::Ask { .. } => {
                    let answer = match deeds.next() {
                        Some(Deed::GivesBack) => {
                            Asked::Stands { state: DeliveryState::FailedTemporary, code: None }
                        }
                        Some(Deed::Finds(2)) => Asked::Unheard,
                        _ => Asked::Unanswered,
                    };
                    let verdict = story.progress.asked(&settings(), answer, &story.choices, story.now);
                    story.takes(verdict);
                }
            }
        }
        prop_assert!(matches!(story.next(), Next::Finish(_)), "it comes to an end: {:?}", story.state);
        prop_assert!(sends <= 40, "{sends} times");
    }
}
