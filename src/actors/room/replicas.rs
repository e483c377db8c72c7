//! One room on several nodes: whatever the nodes do at the same time, and whatever becomes of the hints between them,
//!
//! 1. there is one log, without gaps;
//! 2. every command that was accepted is in it exactly once, and none that was refused;
//! 3. when everything has been heard or read, all nodes know the same, which is what the log says.
//!
//! The nodes are the real core of a room, which decides, takes back and applies; the store is a list that keeps the
//! store's promise about `Conflict`.

use std::collections::{BTreeMap, HashMap, VecDeque};

use proptest::prelude::*;

use super::core::{Asker, RoomCore};
use crate::domain::ids::{DeviceId, MessageId, ParticipantId};
use crate::domain::incident::Status;
use crate::domain::people::{Identity, Person, Role};
use crate::domain::room::{Command, Event, EventBody, Genesis, Policy, Proof, RoomState, Seq, UserType};
use crate::domain::testing::{report, room};
use crate::domain::time::Timestamp;

#[derive(Clone, Debug)]
enum What {
    Join,
    Leave,
    Say,
    Move(usize),
}

#[derive(Clone, Debug)]
enum Step {
    /// Somebody gives a node a command.
    Give { node: usize, who: u8, what: What },
    /// A node decides all that waits, and begins to write it.
    Begin(usize),
    /// What it writes comes to the store.
    Land(usize),
    /// It hears one of the hints on their way to it, in whatever order; `again`: it will come once more.
    Hear { node: usize, which: usize, again: bool },
    /// A hint is lost.
    Lose { node: usize, which: usize },
    /// It reads the end of the log.
    Look(usize),
}

fn steps(nodes: usize) -> impl Strategy<Value = Vec<Step>> {
    let node = move || 0..nodes;
    let what = prop_oneof![
        2 => Just(What::Join),
        1 => Just(What::Leave),
        5 => Just(What::Say),
        1 => (0..Status::ALL.len()).prop_map(What::Move),
    ];
    let step = prop_oneof![
        6 => (node(), 0u8..4, what).prop_map(|(node, who, what)| Step::Give { node, who, what }),
        4 => node().prop_map(Step::Begin),
        4 => node().prop_map(Step::Land),
        5 => (node(), 0usize..8, any::<bool>()).prop_map(|(node, which, again)| Step::Hear { node, which, again }),
        1 => (node(), 0usize..8).prop_map(|(node, which)| Step::Lose { node, which }),
        1 => node().prop_map(Step::Look),
    ];
    proptest::collection::vec(step, 1..160)
}

/// A command with a number of its own.
#[derive(Clone, Debug)]
struct Given {
    number: usize,
    who: u8,
    command: Command,
}

/// What is on its way to the store.
struct Writing {
    after: Seq,
    events: Vec<Event>,
    people: Vec<Person>,
    /// Each with how many events came of it.
    given: Vec<(Given, usize)>,
}

type Hint = (Vec<Event>, Vec<Person>);

struct Replica {
    core: RoomCore,
    queue: VecDeque<Given>,
    writing: Option<Writing>,
    hints: Vec<Hint>,
    /// Heard while something is written, or with a gap before it.
    waiting: BTreeMap<Seq, Event>,
    people: Vec<Person>,
}

struct Run {
    replicas: Vec<Replica>,
    log: Vec<Event>,
    records: HashMap<ParticipantId, Person>,
    given: usize,
    fresh: u64,
    accepted: Vec<usize>,
    refused: Vec<usize>,
}

fn somebody(n: u8) -> Identity {
    Identity {
        role: Role::Admin,
        ..Identity::device(DeviceId::from_random([n + 1; 16]))
    }
}

fn id(number: usize) -> MessageId {
    MessageId::new(format!("m{number}")).unwrap()
}

impl Run {
    fn new(nodes: usize) -> Self {
        let replica = |_| Replica {
            core: RoomCore::new(room("sos"), Timestamp::default()),
            queue: VecDeque::new(),
            writing: None,
            hints: vec![],
            waiting: BTreeMap::new(),
            people: vec![],
        };
        let mut run = Self {
            replicas: (0..nodes).map(replica).collect(),
            log: vec![],
            records: HashMap::new(),
            given: 0,
            fresh: 0,
            accepted: vec![],
            refused: vec![],
        };
        let genesis = Genesis::Incident(Box::new(report()));
        let user_type = UserType::Citizen;
        run.give(0, 0, |_| Command::Create { genesis, user_type });
        run.begin(0);
        run.land(0);
        (0..nodes).for_each(|node| run.look(node));
        run
    }

    fn give(&mut self, node: usize, who: u8, command: impl FnOnce(usize) -> Command) {
        self.given += 1;
        let number = self.given;
        let command = command(number);
        self.replicas[node]
            .queue
            .push_back(Given { number, who, command });
    }

    fn begin(&mut self, node: usize) {
        let replica = &mut self.replicas[node];
        if replica.writing.is_some() || replica.queue.is_empty() {
            return;
        }
        replica.core.mark();
        let mut writing = Writing {
            after: replica.core.state.seq,
            events: vec![],
            people: vec![],
            given: vec![],
        };
        for given in std::mem::take(&mut replica.queue) {
            self.fresh += 1;
            let identity = somebody(given.who);
            let asker = Asker {
                identity: &identity,
                display_name: None,
                fresh: ParticipantId::from_bits(self.fresh),
            };
            let now = Timestamp::from_ms(i64::try_from(given.number).unwrap());
            let decided = replica
                .core
                .decide(&Policy::default(), &asker, given.command.clone(), now);
            let before = writing.events.len();
            if let Ok(decided) = decided {
                writing.events.extend(decided.events);
                writing.people.extend(decided.person);
            }
            let came = writing.events.len() - before;
            writing.given.push((given, came));
        }
        replica.writing = Some(writing);
    }

    fn land(&mut self, node: usize) {
        let Some(writing) = self.replicas[node].writing.take() else {
            return;
        };
        if writing.after != self.head() && !writing.events.is_empty() {
            let replica = &mut self.replicas[node];
            assert!(replica.core.take_back());
            assert_eq!(replica.core.state.seq, writing.after);
            for (given, _) in writing.given.into_iter().rev() {
                replica.queue.push_front(given);
            }
            replica.take_waiting();
            return;
        }
        // A refusal is final only of whoever knows everything, as in the actor.
        let sure = writing.after == self.head();
        let replica = &mut self.replicas[node];
        replica.core.settle();
        for (given, came) in writing.given {
            match (came > 0, sure) {
                (true, _) => self.accepted.push(given.number),
                (false, true) => self.refused.push(given.number),
                (false, false) => replica.queue.push_back(given),
            }
        }
        replica.take_waiting();
        for person in &writing.people {
            self.records.insert(person.participant, person.clone());
        }
        self.log.extend(writing.events.iter().cloned());
        let others = self.replicas.iter_mut().enumerate();
        for (_, other) in others.filter(|(other, _)| *other != node && !writing.events.is_empty()) {
            other.hints.push((writing.events.clone(), writing.people.clone()));
        }
    }

    fn head(&self) -> Seq {
        self.log.last().map_or(Seq::ZERO, |event| event.seq)
    }

    fn hear(&mut self, node: usize, which: usize, again: bool) {
        let replica = &mut self.replicas[node];
        if replica.hints.is_empty() {
            return;
        }
        let which = which % replica.hints.len();
        let (events, people) = if again {
            replica.hints[which].clone()
        } else {
            replica.hints.remove(which)
        };
        replica
            .waiting
            .extend(events.into_iter().map(|event| (event.seq, event)));
        replica.people.extend(people);
        if replica.writing.is_none() {
            replica.take_waiting();
        }
    }

    fn look(&mut self, node: usize) {
        let replica = &mut self.replicas[node];
        if replica.writing.is_some() {
            return;
        }
        for person in self.records.values() {
            replica.core.people.insert(person.clone());
        }
        let known = replica.core.state.seq;
        for event in self.log.iter().filter(|event| event.seq > known) {
            replica.core.take_in(event);
        }
        replica.take_waiting();
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Give { node, who, what } => self.give(node, who, |number| match what {
                What::Join => Command::Join {
                    user_type: UserType::Citizen,
                },
                What::Leave => Command::Leave,
                What::Say => Command::SendMessage {
                    id: id(number),
                    content: "hello".into(),
                },
                // The number is in the note, so that each can be told from the others.
                What::Move(to) => Command::SetStatus {
                    to: Status::ALL[to],
                    expected: None,
                    note: Some(number.to_string()),
                    lower_case: false,
                    proof: Proof::Nothing,
                },
            }),
            Step::Begin(node) => self.begin(node),
            Step::Land(node) => self.land(node),
            Step::Hear { node, which, again } => self.hear(node, which, again),
            Step::Lose { node, which } => {
                let hints = &mut self.replicas[node].hints;
                if !hints.is_empty() {
                    let which = which % hints.len();
                    hints.remove(which);
                }
            }
            Step::Look(node) => self.look(node),
        }
    }

    /// Everybody goes on until nothing is left to do.
    fn settle(&mut self) {
        for _ in 0..self.given * 2 + 10 {
            for node in 0..self.replicas.len() {
                self.land(node);
                self.look(node);
                self.begin(node);
            }
        }
        for node in 0..self.replicas.len() {
            self.look(node);
            let replica = &self.replicas[node];
            assert!(replica.queue.is_empty() && replica.writing.is_none());
        }
    }

    fn check(&self) {
        let mut replayed = RoomState::new(room("sos"));
        for (event, n) in self.log.iter().zip(1..) {
            assert_eq!(event.seq, Seq::new(n), "a gap in the log");
            replayed.apply(event);
        }
        for replica in &self.replicas {
            assert_eq!(replica.core.state, replayed);
            let mut known: Vec<_> = replica.core.people.all().cloned().collect();
            let mut stored: Vec<_> = self.records.values().cloned().collect();
            known.sort_by_key(|person| person.participant);
            stored.sort_by_key(|person| person.participant);
            assert_eq!(known, stored, "nobody is known who is not in the store");
        }
        let mut said: HashMap<&MessageId, usize> = HashMap::new();
        for event in &self.log {
            if let EventBody::MessageSent { id, .. } = &event.body {
                *said.entry(id).or_default() += 1;
            }
        }
        for number in &self.refused {
            assert_eq!(said.get(&id(*number)), None, "refused, and said all the same");
        }
        assert!(said.values().all(|times| *times == 1), "said twice");
        assert_eq!(self.accepted.len() + self.refused.len(), self.given);
        let messages = self
            .accepted
            .iter()
            .filter(|number| said.contains_key(&id(**number)));
        assert_eq!(messages.count(), said.len(), "said, and not accepted");
    }
}

impl Replica {
    fn take_waiting(&mut self) {
        while let Some(first) = self.waiting.first_entry() {
            let next = self.core.state.seq.next();
            if *first.key() > next {
                return;
            }
            let event = first.remove();
            if event.seq == next {
                for person in &self.people {
                    self.core.people.insert(person.clone());
                }
                self.core.take_in(&event);
            }
        }
        self.people.clear();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn two_nodes_write_one_log_whatever_they_do_at_the_same_time(steps in steps(2)) {
        let mut run = Run::new(2);
        steps.into_iter().for_each(|step| run.step(step));
        run.settle();
        run.check();
    }

    #[test]
    fn three_nodes_write_one_log_whatever_they_do_at_the_same_time(steps in steps(3)) {
        let mut run = Run::new(3);
        steps.into_iter().for_each(|step| run.step(step));
        run.settle();
        run.check();
    }
}
