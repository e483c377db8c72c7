//! The lane for news that the next one replaces.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use bytes::BytesMut;

use super::{Frame, Versions};

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
    pub versions: Versions,
}

/// A lane longer than this looks keys up in a hash index instead of one by one.
const SCAN_MAX: usize = 24;

/// Several signals of one fan-out, joined once and shared by everybody who gets all of them: a
/// member then costs one pointer instead of a frame for each signal.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) signals: Vec<(SignalKey, Frame)>,
    pub(super) joined: Frame,
}

impl Run {
    pub(super) fn new<'a>(signals: impl Iterator<Item = (SignalKey, &'a Frame)> + Clone) -> Arc<Self> {
        let len = signals.clone().map(|(_, frame)| frame.len()).sum();
        let mut joined = BytesMut::with_capacity(len);
        for (_, frame) in signals.clone() {
            joined.extend_from_slice(frame.as_bytes());
        }
        Arc::new(Self {
            signals: signals.map(|(key, frame)| (key, frame.clone())).collect(),
            joined: Frame::raw(joined.freeze()),
        })
    }
}

/// What stands in a lane.
#[derive(Debug)]
pub(super) enum Entry {
    One(SignalKey, Frame),
    Run(Arc<Run>),
}

impl Entry {
    pub(super) fn frame(&self) -> &Frame {
        match self {
            Self::One(_, frame) => frame,
            Self::Run(run) => &run.joined,
        }
    }

    /// How many signals it is.
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::One(..) => 1,
            Self::Run(run) => run.signals.len() as u64,
        }
    }
}

/// Signals in the order of their first arrival.
///
/// As long as the reader keeps up, signals are only appended, since they leave within moments.
/// Once it does not, the lane is *settled*: one entry for each key, and a newer signal takes the
/// place of the older.
#[derive(Debug, Default)]
pub(super) struct SignalLane {
    queue: VecDeque<Entry>,
    /// Whether every entry is a single signal with a key of its own.
    settled: bool,
    /// Number of the entry at the front; it goes down when entries are given back.
    base: u64,
    /// Position of each key in a settled lane, built when a long one is first searched.
    index: Option<Box<Index>>,
}

type Index = HashMap<SignalKey, u64, BuildHasherDefault<Mix>>;

impl SignalLane {
    #[cfg(test)]
    fn len(&self) -> usize {
        self.queue.len()
    }

    /// Appends without a look at what is there.
    pub(super) fn append(&mut self, entry: Entry) {
        self.settled = false;
        self.index = None;
        self.queue.push_back(entry);
    }

    /// Puts a signal in the place of the older one with its key, whose length is returned, or at
    /// the end.
    pub(super) fn replace_or_append(&mut self, key: SignalKey, frame: &Frame) -> Option<usize> {
        if let Some(older) = self.find(key) {
            return Some(std::mem::replace(older, frame.clone()).len());
        }
        if let Some(index) = &mut self.index {
            index.insert(key, self.base.wrapping_add(self.queue.len() as u64));
        }
        self.queue.push_back(Entry::One(key, frame.clone()));
        None
    }

    /// Whether a signal with this key waits in a settled lane.
    pub(super) fn contains(&mut self, key: SignalKey) -> bool {
        self.find(key).is_some()
    }

    fn find(&mut self, key: SignalKey) -> Option<&mut Frame> {
        debug_assert!(self.settled, "an unsettled lane may hold a key twice");
        let entry = if self.queue.len() <= SCAN_MAX && self.index.is_none() {
            self.queue
                .iter_mut()
                .find(|entry| matches!(entry, Entry::One(other, _) if *other == key))
        } else {
            let (queue, base) = (&self.queue, self.base);
            let index = self.index.get_or_insert_with(|| Box::new(index_of(queue, base)));
            let at = usize::try_from(index.get(&key)?.wrapping_sub(self.base)).ok()?;
            self.queue.get_mut(at)
        };
        match entry {
            Some(Entry::One(_, frame)) => Some(frame),
            _ => None,
        }
    }

    /// Leaves one entry for each key, the newest. Returns how many signals and bytes went.
    pub(super) fn settle(&mut self) -> (u64, usize) {
        if std::mem::replace(&mut self.settled, true) {
            return (0, 0);
        }
        self.index = None;
        let mut gone = (0, 0);
        for entry in std::mem::take(&mut self.queue) {
            let run = match entry {
                Entry::One(key, frame) => {
                    self.settle_one(key, &frame, &mut gone);
                    continue;
                }
                Entry::Run(run) => run,
            };
            for (key, frame) in &run.signals {
                self.settle_one(*key, frame, &mut gone);
            }
        }
        gone
    }

    fn settle_one(&mut self, key: SignalKey, frame: &Frame, gone: &mut (u64, usize)) {
        if let Some(older) = self.replace_or_append(key, frame) {
            gone.0 += 1;
            gone.1 += older;
        }
    }

    /// Drops what was said in a room. Returns how many signals and bytes went.
    pub(super) fn forget(&mut self, room: u64) -> (u64, usize) {
        let mut gone = (0, 0);
        self.queue.retain(|entry| {
            let said_there = match entry {
                Entry::One(key, _) => key.room == room,
                // A fan-out is one room's.
                Entry::Run(run) => run.signals.first().is_some_and(|(key, _)| key.room == room),
            };
            if said_there {
                gone.0 += entry.count();
                gone.1 += entry.frame().len();
            }
            !said_there
        });
        self.index = None;
        gone
    }

    /// Puts a signal back that was taken out and did not leave. The lane is settled, and the key
    /// is not in it.
    pub(super) fn prepend(&mut self, key: SignalKey, frame: Frame) {
        self.base = self.base.wrapping_sub(1);
        if let Some(index) = &mut self.index {
            index.insert(key, self.base);
        }
        self.queue.push_front(Entry::One(key, frame));
    }

    pub(super) fn pop(&mut self) -> Option<Entry> {
        let entry = self.queue.pop_front()?;
        self.base = self.base.wrapping_add(1);
        if self.queue.is_empty() {
            self.index = None;
        } else if let (Some(index), Entry::One(key, _)) = (&mut self.index, &entry) {
            index.remove(key);
        }
        Some(entry)
    }

    pub(super) fn front(&self) -> Option<&Frame> {
        self.queue.front().map(Entry::frame)
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

fn index_of(queue: &VecDeque<Entry>, base: u64) -> Index {
    let numbered = queue.iter().zip(0_u64..);
    let keyed = numbered.filter_map(|(entry, at)| match entry {
        Entry::One(key, _) => Some((*key, base.wrapping_add(at))),
        Entry::Run(_) => None,
    });
    keyed.collect()
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
        lane.settle();
        for subject in 0..1_000 {
            assert_eq!(lane.replace_or_append(key(subject), &Frame::text(b"old")), None);
        }
        assert_eq!(lane.replace_or_append(key(700), &Frame::text(b"new")), Some(5));
        let Some(Entry::One(first, frame)) = lane.pop() else {
            panic!("a settled lane has no runs")
        };
        assert_eq!(first, key(0));
        assert!(!lane.contains(key(0)));
        lane.prepend(first, frame);
        assert!(lane.contains(key(0)));
        assert_eq!(lane.replace_or_append(key(5_000), &Frame::text(b"last")), None);
        assert!(lane.contains(key(5_000)));
        assert_eq!(lane.len(), 1_001);
        let all: Vec<_> = std::iter::from_fn(|| lane.pop()).collect();
        assert!(matches!(&all[700], Entry::One(at, frame) if *at == key(700) && frame.payload() == b"new"));
    }

    #[test]
    fn settling_keeps_the_newest_of_each_key() {
        let (one, other) = ([(1, "1a"), (2, "2b")], [(3, "3a"), (1, "1b")]);
        let run = |signals: &[(u64, &str)]| {
            let frames: Vec<_> = signals
                .iter()
                .map(|(subject, text)| (key(*subject), Frame::text(text.as_bytes())))
                .collect();
            Run::new(frames.iter().map(|(key, frame)| (*key, frame)))
        };
        let mut lane = SignalLane::default();
        lane.append(Entry::One(key(2), Frame::text(b"2a")));
        lane.append(Entry::Run(run(&one)));
        lane.append(Entry::Run(run(&other)));
        assert_eq!(lane.settle(), (2, 8));
        assert_eq!(lane.settle(), (0, 0));
        let left: Vec<_> = std::iter::from_fn(|| lane.pop())
            .map(|entry| entry.frame().payload().to_vec())
            .collect();
        assert_eq!(left, [b"2b", b"1b", b"3a"]);
    }
}
