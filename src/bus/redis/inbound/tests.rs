use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use super::*;
use crate::domain::ids::RoomId;

const OTHER: NodeId = NodeId::from_bits(2);
const DEADLINE: Duration = Duration::from_secs(20);

fn topic(name: &str) -> Topic {
    Topic::Room(RoomId::new(name).unwrap())
}

#[derive(Debug, PartialEq)]
enum Told {
    Heard(NodeId, Topic, News),
    Listening(Vec<Topic>),
}

/// Tells on; waits at a gate before each message, if there is one.
struct Ear {
    told: Mutex<Sender<Told>>,
    gate: Mutex<Option<Receiver<()>>>,
}

impl Listener for Ear {
    fn hear(&self, from: NodeId, topic: &Topic, news: News) {
        if let Some(gate) = &*self.gate.lock() {
            let _ = gate.recv();
        }
        assert!(*topic != self::topic("panic"), "on purpose");
        let _ = self.told.lock().send(Told::Heard(from, topic.clone(), news));
    }

    fn listening(&self, topics: &[Topic]) {
        let _ = self.told.lock().send(Told::Listening(topics.to_vec()));
    }
}

#[allow(clippy::disallowed_methods, reason = "the test must not lose what it is told")]
fn start(threads: usize, max: usize, gated: bool) -> (Inbound, Receiver<Told>, Sender<()>) {
    let inbound = Inbound::start(NodeId::from_bits(1), threads, max).unwrap();
    let ((told, heard), (open, gate)) = (channel(), channel());
    inbound.attach(Arc::new(Ear {
        told: Mutex::new(told),
        gate: Mutex::new(gated.then_some(gate)),
    }));
    (inbound, heard, open)
}

fn say(inbound: &Inbound, from: NodeId, about: &Topic, news: &News) {
    inbound.heard(about.clone(), envelope::encode(from, news));
}

#[test]
fn own_messages_are_dropped_and_others_are_handed_on_after_the_subscription() {
    let (inbound, heard, _open) = start(2, 16, false);
    inbound.listening(topic("a"));
    say(&inbound, NodeId::from_bits(1), &topic("a"), &News::Blocks);
    say(&inbound, OTHER, &topic("a"), &News::Blocks);
    let next = || heard.recv_timeout(DEADLINE).unwrap();
    assert_eq!(next(), Told::Listening(vec![topic("a")]));
    assert_eq!(next(), Told::Heard(OTHER, topic("a"), News::Blocks));
    assert_eq!(inbound.counts().own.load(Relaxed), 1);
    assert_eq!(inbound.depth(), (0, 32));
}

#[test]
fn what_does_not_fit_is_dropped_and_the_listener_looks_for_itself() {
    let (inbound, heard, open) = start(1, 4, true);
    let until = std::time::Instant::now() + DEADLINE;
    // The first one is with the listener, who waits; then four wait here.
    say(&inbound, OTHER, &topic("first"), &News::Blocks);
    while inbound.depth().0 > 0 {
        assert!(std::time::Instant::now() < until);
        std::thread::yield_now();
    }
    for n in 0..10 {
        say(&inbound, OTHER, &topic(&format!("room{n}")), &News::Blocks);
    }
    assert_eq!(inbound.depth(), (4, 4));
    assert_eq!(inbound.counts().dropped.load(Relaxed), 6);
    drop(open);
    let mut gaps = HashSet::new();
    let mut rooms = 0;
    while gaps.len() < 6 {
        match heard.recv_timeout(DEADLINE).unwrap() {
            Told::Heard(..) => rooms += 1,
            Told::Listening(topics) => gaps.extend(topics),
        }
    }
    assert_eq!(rooms, 5);
    assert_eq!(gaps, (4..10).map(|n| topic(&format!("room{n}"))).collect());
}

#[test]
fn what_cannot_be_read_is_something_that_was_missed_or_nothing() {
    let (inbound, heard, _open) = start(1, 16, false);
    let mut newer = envelope::encode(OTHER, &News::Blocks);
    newer[0] = 9;
    let mut unknown = envelope::encode(OTHER, &News::Blocks);
    unknown[9] = 250;
    inbound.heard(topic("a"), newer);
    inbound.heard(topic("b"), unknown);
    inbound.heard(topic("c"), vec![]);
    let next = || heard.recv_timeout(DEADLINE).unwrap();
    assert_eq!(next(), Told::Heard(OTHER, topic("a"), News::Missed));
    assert_eq!(
        next(),
        Told::Heard(NodeId::from_bits(0), topic("c"), News::Missed)
    );
    let counts = inbound.counts();
    assert_eq!(
        (counts.unknown.load(Relaxed), counts.damaged.load(Relaxed)),
        (2, 1)
    );
}

#[test]
fn a_listener_that_panics_is_called_again() {
    let (inbound, heard, _open) = start(1, 16, false);
    say(&inbound, OTHER, &topic("panic"), &News::Blocks);
    say(&inbound, OTHER, &topic("a"), &News::Blocks);
    let next = heard.recv_timeout(DEADLINE).unwrap();
    assert_eq!(next, Told::Heard(OTHER, topic("a"), News::Blocks));
    assert_eq!(inbound.counts().panics.load(Relaxed), 1);
}
