//! The lane for news that the next one replaces.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use super::Frame;

/// What a signal is about. Both numbers are local to this node and never leave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SignalKey {
    /// The room it was said in.
    pub room: u64,
    /// Whom or what it is about.
    pub subject: u64,
}

/// One signal on its way to an audience.
#[derive(Clone, Debug)]
pub struct Signal {
    /// What it replaces when it is newer.
    pub key: SignalKey,
    /// The participant it came from, who does not get it back.
    pub origin: u64,
    /// What is said.
    pub frame: Frame,
}

/// A lane longer than this looks keys up in a hash index instead of one by one.
const SCAN_MAX: usize = 24;

/// Signals in the order of their first arrival; a newer one takes the place of the older.
#[derive(Debug, Default)]
pub(super) struct SignalLane {
    queue: VecDeque<(SignalKey, Frame)>,
    /// Number of the entry at the front; it goes down when entries are given back.
    base: u64,
    /// Position of each key, built when somebody first searches a long lane, because a lane that
    /// is emptied between two fan-outs never needs it.
    index: Option<Box<Index>>,
}

type Index = HashMap<SignalKey, u64, BuildHasherDefault<Mix>>;

impl SignalLane {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn find(&mut self, key: SignalKey) -> Option<&mut Frame> {
        if self.queue.len() <= SCAN_MAX && self.index.is_none() {
            return self
                .queue
                .iter_mut()
                .find(|entry| entry.0 == key)
                .map(|entry| &mut entry.1);
        }
        let (queue, base) = (&self.queue, self.base);
        let index = self.index.get_or_insert_with(|| {
            Box::new(
                queue
                    .iter()
                    .map(|entry| entry.0)
                    .zip((0..).map(|at: u64| base.wrapping_add(at)))
                    .collect(),
            )
        });
        let at = usize::try_from(index.get(&key)?.wrapping_sub(self.base)).ok()?;
        self.queue.get_mut(at).map(|entry| &mut entry.1)
    }

    /// Appends a signal whose key is not in the lane.
    pub(super) fn append(&mut self, key: SignalKey, frame: Frame) {
        if let Some(index) = &mut self.index {
            index.insert(key, self.base.wrapping_add(self.queue.len() as u64));
        }
        self.queue.push_back((key, frame));
    }

    /// Puts a signal back that was taken out and did not leave. The key is not in the lane.
    pub(super) fn prepend(&mut self, key: SignalKey, frame: Frame) {
        self.base = self.base.wrapping_sub(1);
        if let Some(index) = &mut self.index {
            index.insert(key, self.base);
        }
        self.queue.push_front((key, frame));
    }

    pub(super) fn pop(&mut self) -> Option<(SignalKey, Frame)> {
        let entry = self.queue.pop_front()?;
        self.base = self.base.wrapping_add(1);
        if self.queue.is_empty() {
            self.index = None;
        } else if let Some(index) = &mut self.index {
            index.remove(&entry.0);
        }
        Some(entry)
    }

    pub(super) fn front(&self) -> Option<&Frame> {
        self.queue.front().map(|entry| &entry.1)
    }

    /// Forgets everything, storage included.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Gives the storage of an empty lane back.
    pub(super) fn trim(&mut self) {
        if self.queue.is_empty() && self.queue.capacity() > 0 {
            self.clear();
        }
    }
}

/// A multiplicative hash: the keys are our own numbers, so nobody can aim at collisions.
#[derive(Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(23) ^ n).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(subject: u64) -> SignalKey {
        SignalKey { room: 1, subject }
    }

    #[test]
    fn a_long_lane_still_finds_its_keys_after_taking_and_giving_back() {
        let mut lane = SignalLane::default();
        for subject in 0..1_000 {
            lane.append(key(subject), Frame::text(b"old"));
        }
        *lane.find(key(700)).unwrap() = Frame::text(b"new");
        let (first, frame) = lane.pop().unwrap();
        assert_eq!(first, key(0));
        assert!(lane.find(key(0)).is_none());
        lane.prepend(first, frame);
        assert!(lane.find(key(0)).is_some());
        lane.append(key(5_000), Frame::text(b"last"));
        assert!(lane.find(key(5_000)).is_some());
        assert_eq!(lane.len(), 1_001);
        let all: Vec<_> = std::iter::from_fn(|| lane.pop()).collect();
        assert_eq!(all[700], (key(700), Frame::text(b"new")));
        assert!(lane.is_empty());
    }
}
