//! What nodes do at the same time, and whatever becomes of what they say:
//!
//! 1. each reader shows each incident's events in order, each once, and in the end all that happened since it began;
//! 2. as long as Redis keeps its memory all readers show the same order;
//! 3. from any cursor the rest follows, and nothing else.
//!
//! The readers are the real [`Feed`]; the stream is a list that goes by the real [`Heads`], as the script does.

use std::collections::{HashMap, VecDeque};

use proptest::prelude::*;

use super::feed::{Feed, Material, Next, Reader};
use super::item::OpsEvent;
use crate::bus::order::{Entry, Heads, Place, Said, Stretch};
use crate::domain::ids::RoomId;
use crate::domain::incident::Status;
use crate::domain::ops::Summary;
use crate::domain::room::{Actor, Event, EventBody, Genesis, Seq};
use crate::domain::testing::{report, room};
use crate::domain::time::Timestamp;
use std::sync::Arc;

const INCIDENTS: usize = 3;
const NODES: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    /// Something happens in an incident: it is durable, and the node will say so.
    Happen { node: usize, incident: usize },
    /// A node says the first of what waits; `again`: it believes that it was not heard.
    Say { node: usize, again: bool },
    /// A node speaks out of turn.
    SayLast(usize),
    /// What a node has not said is lost.
    Lose(usize),
    /// A reader reads a page.
    Read { reader: usize, page: usize },
    /// What was read last is read again.
    Again(usize),
    /// Somebody sweeps.
    Sweep,
    /// Redis loses its memory.
    Forget,
}

fn steps(forgetful: bool) -> impl Strategy<Value = Vec<Step>> {
    let node = || 0..NODES;
    let forget = if forgetful { 1 } else { 0 };
    let step = prop_oneof![
        8 => (node(), 0..INCIDENTS).prop_map(|(node, incident)| Step::Happen { node, incident }),
        6 => (node(), any::<bool>()).prop_map(|(node, again)| Step::Say { node, again }),
        2 => node().prop_map(Step::SayLast),
        1 => node().prop_map(Step::Lose),
        4 => (0..2_usize, 1..4_usize).prop_map(|(reader, page)| Step::Read { reader, page }),
        1 => (0..2_usize).prop_map(Step::Again),
        1 => Just(Step::Sweep),
        forget => Just(Step::Forget),
    ];
    proptest::collection::vec(step, 1..80)
}

fn name(incident: usize) -> RoomId {
    room(&format!("sos-{incident}"))
}

#[derive(Default)]
struct Stream {
    epoch: u64,
    heads: Heads,
    entries: Vec<Entry>,
}

impl Stream {
    fn say(&mut self, said: &Said) {
        if let Some(first) = self.heads.news(&said.room, said.first, said.last) {
            self.heads.told(&said.room, said.last);
            self.entries.push(Entry {
                at: (self.entries.len() as u64 + 1, 0),
                room: said.room.clone(),
                first,
                last: said.last,
                events: vec![],
            });
        }
    }

    fn after(&self, place: Place, limit: usize) -> Stretch {
        let from = self.entries.iter().filter(|entry| entry.at >= place.at);
        let entries: Vec<Entry> = from.take(limit + 1).cloned().collect();
        let upto = entries.last().map_or(place, |last| Place {
            epoch: self.epoch,
            at: last.at,
            nth: last.last.get() - last.first.get() + 1,
        });
        Stretch {
            epoch: self.epoch,
            kept: (0, 0),
            upto,
            entries,
        }
    }
}

struct World {
    logs: Vec<Vec<Event>>,
    waiting: Vec<VecDeque<Said>>,
    stream: Stream,
    readers: Vec<(Feed, Vec<Arc<OpsEvent>>)>,
}

impl World {
    fn new() -> Self {
        let reader = |recent| (Feed::new(Place::start(0), recent, 100), vec![]);
        Self {
            logs: vec![vec![]; INCIDENTS],
            waiting: vec![VecDeque::new(); NODES],
            stream: Stream::default(),
            readers: vec![reader(5), reader(1_000)],
        }
    }

    fn happen(&mut self, node: usize, incident: usize) {
        let log = &mut self.logs[incident];
        let states = [Status::Assigned, Status::Responding];
        let seq = Seq::new(log.len() as u64 + 1);
        let body = if log.is_empty() {
            EventBody::Created(Genesis::Incident(Box::new(report())))
        } else {
            EventBody::StatusChanged {
                from: states[log.len() % 2],
                to: states[(log.len() + 1) % 2],
                note: None,
                lower_case: false,
            }
        };
        log.push(Event {
            room: name(incident),
            seq,
            at: Timestamp::from_ms(1),
            actor: Actor::System,
            body,
        });
        self.waiting[node].push_back(Said {
            room: name(incident),
            first: Seq::new(1),
            last: seq,
            over: false,
        });
    }

    fn sweep(&mut self) {
        for (n, log) in self.logs.iter().enumerate().filter(|(_, log)| !log.is_empty()) {
            self.stream.say(&Said {
                room: name(n),
                first: Seq::new(1),
                last: Seq::new(log.len() as u64),
                over: false,
            });
        }
    }

    fn material(&self, reader: &Reader, entries: &[Entry]) -> Material {
        let mut material = Material::default();
        for (room, from, to) in reader.wanted(entries) {
            let log = self.logs.iter().flatten();
            let stretch = log.filter(|event| event.room == room && event.seq >= from && event.seq <= to);
            material.events.extend(stretch.cloned());
        }
        let unknown = reader.unknown(entries).into_iter();
        let now = unknown.map(|room| {
            (
                room,
                Summary::new(&report(), Status::Responding, Timestamp::from_ms(1)),
            )
        });
        material.summaries.extend(now);
        material
    }

    /// As the shell does it: `back`: from somewhat before.
    fn read(&mut self, n: usize, page: usize, back: u64) {
        let (mut feed, mut shown) =
            std::mem::replace(&mut self.readers[n], (Feed::new(Place::start(0), 1, 1), vec![]));
        let place = feed.place();
        let from = Place {
            at: (place.at.0.saturating_sub(back), 0),
            nth: if back > 0 { 0 } else { place.nth },
            ..place
        };
        let stretch = self.stream.after(from, page);
        if stretch.epoch == place.epoch {
            let material = self.material(feed.reader(), &stretch.entries);
            let (events, missing) = feed.take(&stretch.entries, stretch.upto, material);
            assert_eq!(missing, 0);
            shown.extend(events);
        } else {
            for (room, _) in feed.heads() {
                let log = self
                    .logs
                    .iter()
                    .find(|log| log.first().is_some_and(|event| event.room == room));
                let last = Seq::new(log.map_or(0, Vec::len) as u64);
                self.stream.say(&Said {
                    room,
                    first: Seq::new(1),
                    last,
                    over: false,
                });
            }
            feed.enter(stretch.oldest());
        }
        self.readers[n] = (feed, shown);
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Happen { node, incident } => self.happen(node, incident),
            Step::Say { node, again } => {
                if let Some(said) = self.waiting[node].pop_front() {
                    self.stream.say(&said);
                    if again {
                        self.waiting[node].push_front(said);
                    }
                }
            }
            Step::SayLast(node) => {
                if let Some(said) = self.waiting[node].pop_back() {
                    self.stream.say(&said);
                }
            }
            Step::Lose(node) => self.waiting[node].clear(),
            Step::Read { reader, page } => self.read(reader, page, 0),
            Step::Again(reader) => self.read(reader, 10, 3),
            Step::Sweep => self.sweep(),
            Step::Forget => {
                self.stream = Stream {
                    epoch: self.stream.epoch + 1,
                    ..Stream::default()
                }
            }
        }
    }

    /// Everybody is told everything.
    fn settle(&mut self) {
        self.sweep();
        for n in 0..self.readers.len() {
            for _ in 0..400 {
                self.read(n, 2, 0);
            }
        }
    }
}

fn told(shown: &[Arc<OpsEvent>]) -> Vec<(RoomId, u64)> {
    shown
        .iter()
        .map(|shown| (shown.event.room.clone(), shown.event.seq.get()))
        .collect()
}

fn whole_and_in_order(world: &World, shown: &[Arc<OpsEvent>]) {
    let mut heads: HashMap<RoomId, u64> = HashMap::new();
    for (room, seq) in told(shown) {
        let head = heads.entry(room.clone()).or_default();
        assert_eq!(seq, *head + 1, "in {room}");
        *head = seq;
    }
    for (n, log) in world.logs.iter().enumerate() {
        let head = heads.get(&name(n)).copied().unwrap_or_default();
        assert_eq!(head, log.len() as u64, "all of {n}");
    }
}

proptest! {
    #[test]
    fn every_reader_shows_all_of_it_in_the_same_order(steps in steps(false)) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.take(step));
        world.settle();
        for (_, shown) in &world.readers {
            whole_and_in_order(&world, shown);
        }
        assert_eq!(told(&world.readers[0].1), told(&world.readers[1].1));
    }

    #[test]
    fn nothing_is_missing_or_told_twice_when_redis_loses_its_memory(steps in steps(true)) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.take(step));
        world.settle();
        for (_, shown) in &world.readers {
            whole_and_in_order(&world, shown);
        }
    }

    #[test]
    fn from_any_cursor_the_rest_follows(steps in steps(false), page in 1..5_usize) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.take(step));
        world.settle();
        let (feed, shown) = &world.readers[1];
        for (n, seen) in shown.iter().enumerate() {
            // From memory, as far as that reaches back.
            let number = feed.find(seen.place).unwrap();
            let rest = match feed.after(number, usize::MAX) {
                Next::Events(events) => events,
                Next::Nothing => vec![],
                Next::Gone => panic!("it is in the ring"),
            };
            assert_eq!(told(&rest), told(&shown[n + 1..]));
            // And from the order itself, page by page.
            let (mut place, mut rest) = (seen.place, vec![]);
            loop {
                let stretch = world.stream.after(place, page);
                let mut reader = Reader::new(place);
                let material = world.material(&reader, &stretch.entries);
                rest.extend(reader.take(&stretch.entries, stretch.upto, material).0);
                if stretch.upto == place {
                    break;
                }
                place = stretch.upto;
            }
            assert_eq!(told(&rest), told(&shown[n + 1..]));
        }
        // The short ring finds what it has, and says so when it has not.
        let (short, _) = &world.readers[0];
        for (n, seen) in shown.iter().enumerate() {
            if let Some(number) = short.find(seen.place)
                && let Next::Events(rest) = short.after(number, usize::MAX)
            {
                assert_eq!(told(&rest), told(&shown[n + 1..]));
            }
        }
    }
}
