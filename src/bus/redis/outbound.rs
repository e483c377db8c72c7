//! What waits to be said, and what could not be said.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::bus::envelope;
use crate::bus::{News, NodeId, Topic};

/// A message on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// To whom.
    pub topic: Topic,
    /// What.
    pub bytes: Vec<u8>,
}

/// The limits of what waits.
#[derive(Clone, Copy, Debug)]
pub struct OutboundLimits {
    /// Messages that wait to be sent.
    pub messages_max: usize,
    /// The largest message. Of what is larger only [`News::Missed`] is said.
    pub message_max_bytes: usize,
    /// Topics on which something could not be said. When there are more, everybody is told to look at everything.
    pub missed_max: usize,
}

/// What waits to be said. Pushing never waits: what does not fit is remembered as missed.
pub struct Outbound {
    node: NodeId,
    limits: OutboundLimits,
    queue: Mutex<VecDeque<Message>>,
    missed: Mutex<HashSet<Topic>>,
    /// Something waits.
    some: Notify,
    /// Messages that did not fit, or whose sending failed.
    dropped: AtomicU64,
    /// Messages that were too large.
    too_large: AtomicU64,
}

impl Outbound {
    /// Nothing waits yet.
    pub fn new(node: NodeId, limits: OutboundLimits) -> Self {
        Self {
            node,
            limits,
            queue: Mutex::default(),
            missed: Mutex::default(),
            some: Notify::new(),
            dropped: AtomicU64::new(0),
            too_large: AtomicU64::new(0),
        }
    }

    /// Takes news to be said.
    pub fn push(&self, topic: Topic, news: &News) {
        let mut bytes = envelope::encode(self.node, news);
        if bytes.len() > self.limits.message_max_bytes {
            self.too_large.fetch_add(1, Relaxed);
            bytes = envelope::encode(self.node, &News::Missed);
        }
        let mut queue = self.queue.lock();
        if queue.len() >= self.limits.messages_max {
            drop(queue);
            self.fail([topic]);
            return;
        }
        queue.push_back(Message { topic, bytes });
        drop(queue);
        self.some.notify_one();
    }

    /// Takes the oldest, at most `max`.
    pub fn take(&self, max: usize) -> Vec<Message> {
        let mut queue = self.queue.lock();
        let count = queue.len().min(max);
        queue.drain(..count).collect()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.queue.lock().len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until something may wait.
    pub async fn some(&self) {
        if self.is_empty() {
            self.some.notified().await;
        }
    }

    /// Notes topics on which something could not be said.
    pub fn fail(&self, topics: impl IntoIterator<Item = Topic>) {
        let mut missed = self.missed.lock();
        for topic in topics {
            self.dropped.fetch_add(1, Relaxed);
            if missed.len() < self.limits.missed_max {
                missed.insert(topic);
            } else if !missed.contains(&topic) && !missed.contains(&Topic::Everyone) {
                // It stands for all topics.
                missed.clear();
                missed.insert(Topic::Everyone);
            }
        }
    }

    /// Whether something could not be said that nobody was told of yet.
    pub fn has_missed(&self) -> bool {
        !self.missed.lock().is_empty()
    }

    /// Takes notes of what could not be said, at most `max`, as messages that say so.
    pub fn take_missed(&self, max: usize) -> Vec<Message> {
        let mut missed = self.missed.lock();
        let topics: Vec<Topic> = missed.iter().take(max).cloned().collect();
        for topic in &topics {
            missed.remove(topic);
        }
        let say = |topic| Message {
            topic,
            bytes: envelope::encode(self.node, &News::Missed),
        };
        topics.into_iter().map(say).collect()
    }

    /// Messages that were not said, and those that were too large, so far.
    pub fn losses(&self) -> (u64, u64) {
        (self.dropped.load(Relaxed), self.too_large.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::RoomId;

    fn topic(name: &str) -> Topic {
        Topic::Room(RoomId::new(name).unwrap())
    }

    fn outbound() -> Outbound {
        let limits = OutboundLimits {
            messages_max: 2,
            message_max_bytes: 64,
            missed_max: 2,
        };
        Outbound::new(NodeId::from_bits(1), limits)
    }

    fn missed(outbound: &Outbound) -> Vec<Topic> {
        let all = outbound.take_missed(10).into_iter();
        all.map(|message| {
            assert_eq!(envelope::decode(&message.bytes).unwrap().1, News::Missed);
            message.topic
        })
        .collect()
    }

    #[test]
    fn what_does_not_fit_is_remembered_as_missed() {
        let outbound = outbound();
        for name in ["a", "b", "c", "c"] {
            outbound.push(topic(name), &News::Blocks);
        }
        let waiting: Vec<_> = outbound
            .take(10)
            .into_iter()
            .map(|message| message.topic)
            .collect();
        assert_eq!(waiting, [topic("a"), topic("b")]);
        assert_eq!(missed(&outbound), [topic("c")]);
        assert!(!outbound.has_missed());
        assert_eq!(outbound.losses(), (2, 0));
    }

    #[test]
    fn when_too_many_topics_are_missed_everybody_looks_at_everything() {
        let outbound = outbound();
        outbound.fail(["a", "b", "a"].map(topic));
        assert_eq!(missed(&outbound).len(), 2);
        outbound.fail(["a", "b", "c", "d", "e"].map(topic));
        assert!(missed(&outbound).contains(&Topic::Everyone));
    }

    #[test]
    fn of_what_is_too_large_only_that_something_happened_is_said() {
        let outbound = outbound();
        let news = News::Memberships {
            subjects: crate::bus::contract_tests::samples::all()
                .iter()
                .filter_map(|news| match news {
                    News::Memberships { subjects } => Some(subjects.clone()),
                    _ => None,
                })
                .flatten()
                .cycle()
                .take(20)
                .collect(),
        };
        outbound.push(topic("a"), &news);
        let message = &outbound.take(1)[0];
        assert_eq!(envelope::decode(&message.bytes).unwrap().1, News::Missed);
        assert_eq!(outbound.losses(), (0, 1));
    }
}
