//! Where the nodes of one process meet.

use std::collections::{BTreeMap, BinaryHeap, HashSet};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::LocalBus;
use super::faults::{Dice, Faults};
use crate::bus::contract::{Health, Listener, Peer, Vitals};
use crate::bus::news::{News, NodeId, Topic};

/// Messages on their way, at most; beyond, they are dropped and made up for.
const WAITING_MAX: usize = 65_536;
/// Topics that something could not be said about, remembered for each node at most.
const LOST_MAX: usize = 10_000;
/// Topics named at once to a listener.
const SLICE: usize = 1_000;
/// The thread looks this often whether anybody still needs it.
const IDLE: Duration = Duration::from_millis(200);

enum What {
    News(NodeId, Topic, News),
    Listening(Vec<Topic>),
}

/// A message for one node.
struct Parcel {
    due: Instant,
    number: u64,
    to: NodeId,
    what: What,
}

impl PartialEq for Parcel {
    fn eq(&self, other: &Self) -> bool {
        (self.due, self.number) == (other.due, other.number)
    }
}

impl Eq for Parcel {}

impl PartialOrd for Parcel {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Parcel {
    /// The one that is due first is the greatest.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.due, other.number).cmp(&(self.due, self.number))
    }
}

#[derive(Default)]
struct Member {
    listener: Option<Arc<dyn Listener>>,
    topics: HashSet<Topic>,
    vitals: Vitals,
    /// Nothing goes and nothing comes; who was there before.
    cut: Option<Arc<[Peer]>>,
    /// What it could not say.
    lost: HashSet<Topic>,
}

struct State {
    members: BTreeMap<NodeId, Member>,
    waiting: BinaryHeap<Parcel>,
    numbers: u64,
    faults: Faults,
    dice: Dice,
}

/// Joins the nodes of one process.
pub struct Hub {
    this: Weak<Hub>,
    state: Mutex<State>,
    changed: Condvar,
}

impl Hub {
    /// One without nodes. Its thread ends when nobody holds it any more.
    pub fn start() -> Arc<Self> {
        let hub = Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            state: Mutex::new(State {
                members: BTreeMap::new(),
                waiting: BinaryHeap::new(),
                numbers: 0,
                faults: Faults::default(),
                dice: Dice::new(0x9e37_79b9_7f4a_7c15),
            }),
            changed: Condvar::new(),
        });
        let this = Arc::downgrade(&hub);
        thread::spawn(move || {
            while let Some(hub) = this.upgrade() {
                hub.deliver();
            }
        });
        hub
    }

    /// One more node.
    pub fn join(&self) -> Arc<LocalBus> {
        let mut state = self.state.lock();
        state.numbers += 1;
        let node = NodeId::from_bits(state.numbers);
        state.members.insert(node, Member::default());
        let hub = self.this.upgrade().expect("invariant: who calls holds the hub");
        LocalBus::new(node, hub)
    }

    /// How bad the way is from now on; `seed` makes it the same again.
    pub fn suffer(&self, faults: Faults, seed: u64) {
        let mut state = self.state.lock();
        state.faults = faults;
        state.dice = Dice::new(seed);
    }

    /// A node dies: it is heard of no more, and hears nothing.
    pub fn kill(&self, node: NodeId) {
        self.state.lock().members.remove(&node);
    }

    /// A node is cut off from the others.
    pub fn cut(&self, node: NodeId) {
        let mut state = self.state.lock();
        let nodes = state.nodes(node);
        if let Some(member) = state.members.get_mut(&node) {
            member.cut.get_or_insert(nodes);
        }
        state.waiting.retain(|parcel| parcel.to != node);
    }

    /// It is joined to them again.
    pub fn mend(&self, node: NodeId) {
        let mut state = self.state.lock();
        let Some(member) = state.members.get_mut(&node) else {
            return;
        };
        if member.cut.take().is_none() {
            return;
        }
        let mut topics: Vec<Topic> = member.topics.iter().cloned().collect();
        let lost = std::mem::take(&mut member.lost);
        topics.push(Topic::Everyone);
        for slice in topics.chunks(SLICE) {
            state.send(node, What::Listening(slice.to_vec()));
        }
        for topic in lost {
            state.publish(node, &topic, &News::Missed);
        }
        self.changed.notify_all();
    }

    /// Cuts every node off from every other.
    pub fn cut_all(&self) {
        let nodes: Vec<NodeId> = self.state.lock().members.keys().copied().collect();
        nodes.into_iter().for_each(|node| self.cut(node));
    }

    /// Joins them all again.
    pub fn mend_all(&self) {
        let nodes: Vec<NodeId> = self.state.lock().members.keys().copied().collect();
        nodes.into_iter().for_each(|node| self.mend(node));
    }

    /// How many nodes listen to `topic`.
    pub fn listeners(&self, topic: &Topic) -> usize {
        let state = self.state.lock();
        let listens = |member: &&Member| *topic == Topic::Everyone || member.topics.contains(topic);
        state.members.values().filter(listens).count()
    }

    pub(super) fn attach(&self, node: NodeId, listener: Arc<dyn Listener>) {
        let mut state = self.state.lock();
        if let Some(member) = state.members.get_mut(&node)
            && member.listener.is_none()
        {
            member.listener = Some(listener);
            state.send(node, What::Listening(vec![Topic::Everyone]));
        }
        self.changed.notify_all();
    }

    pub(super) fn publish(&self, node: NodeId, topic: Topic, news: &News) {
        let mut state = self.state.lock();
        let crowded = state.waiting.len() >= WAITING_MAX;
        let Some(member) = state.members.get_mut(&node) else {
            return;
        };
        if member.cut.is_some() || crowded {
            if member.lost.len() < LOST_MAX {
                member.lost.insert(topic);
            } else {
                member.lost = HashSet::from([Topic::Everyone]);
            }
            return;
        }
        for topic in std::mem::take(&mut member.lost) {
            state.publish(node, &topic, &News::Missed);
        }
        state.publish(node, &topic, news);
        self.changed.notify_all();
    }

    pub(super) fn subscribe(&self, node: NodeId, topic: Topic) {
        let mut state = self.state.lock();
        let Some(member) = state.members.get_mut(&node) else {
            return;
        };
        member.topics.insert(topic.clone());
        if member.cut.is_none() {
            state.send(node, What::Listening(vec![topic]));
        }
        self.changed.notify_all();
    }

    pub(super) fn unsubscribe(&self, node: NodeId, topic: &Topic) {
        if let Some(member) = self.state.lock().members.get_mut(&node) {
            member.topics.remove(topic);
        }
    }

    pub(super) fn health(&self, node: NodeId) -> Health {
        match self.state.lock().members.get(&node) {
            Some(member) if member.cut.is_none() => Health::Connected,
            _ => Health::Away,
        }
    }

    pub(super) fn beat(&self, node: NodeId, vitals: Vitals) {
        if let Some(member) = self.state.lock().members.get_mut(&node) {
            member.vitals = vitals;
        }
    }

    pub(super) fn nodes(&self, node: NodeId) -> Arc<[Peer]> {
        self.state.lock().nodes(node)
    }

    /// Delivers what is due, or waits for it.
    fn deliver(&self) {
        let mut state = self.state.lock();
        let now = Instant::now();
        match state.waiting.peek().map(|parcel| parcel.due) {
            Some(due) if due <= now => {}
            Some(due) => {
                self.changed.wait_for(&mut state, (due - now).min(IDLE));
                return;
            }
            None => {
                self.changed.wait_for(&mut state, IDLE);
                return;
            }
        }
        let Some(parcel) = state.waiting.pop() else { return };
        let member = state.members.get(&parcel.to);
        let Some(listener) = member.and_then(|member| member.listener.clone()) else {
            return;
        };
        drop(state);
        match parcel.what {
            What::News(from, topic, news) => listener.hear(from, &topic, news),
            What::Listening(topics) => listener.listening(&topics),
        }
    }
}

impl State {
    fn nodes(&self, of: NodeId) -> Arc<[Peer]> {
        if let Some(nodes) = self.members.get(&of).and_then(|member| member.cut.as_ref()) {
            return Arc::clone(nodes);
        }
        let there = self.members.iter().filter(|(_, member)| member.cut.is_none());
        there
            .map(|(node, member)| Peer {
                node: *node,
                vitals: member.vitals,
            })
            .collect()
    }

    fn publish(&mut self, from: NodeId, topic: &Topic, news: &News) {
        let to: Vec<NodeId> = self
            .members
            .iter()
            .filter(|(node, member)| {
                let listens = *topic == Topic::Everyone || member.topics.contains(topic);
                **node != from && member.cut.is_none() && listens
            })
            .map(|(node, _)| *node)
            .collect();
        for node in to {
            if self.dice.roll() < self.faults.lose {
                continue;
            }
            let copies = 1 + usize::from(self.dice.roll() < self.faults.repeat);
            for _ in 0..copies {
                self.send(node, What::News(from, topic.clone(), news.clone()));
            }
        }
    }

    fn send(&mut self, to: NodeId, what: What) {
        self.numbers += 1;
        let delay = self.faults.delay.mul_f64(self.dice.roll());
        self.waiting.push(Parcel {
            due: Instant::now() + delay,
            number: self.numbers,
            to,
            what,
        });
    }
}
