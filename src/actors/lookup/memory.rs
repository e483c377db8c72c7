//! The last answers of a service, each for a while, so many at most. Time is since any beginning.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::Duration;

/// When an answer ends, and which of those that end together.
type Place = (Duration, u64);

/// What is remembered. When it is full, what would end first is forgotten first.
pub(in crate::actors) struct Memory<K, V> {
    max: usize,
    answers: HashMap<K, (Place, V)>,
    ends: BTreeMap<Place, K>,
    number: u64,
}

impl<K: Clone + Eq + Hash, V: Clone> Memory<K, V> {
    pub fn new(max: usize) -> Self {
        Self {
            max,
            answers: HashMap::new(),
            ends: BTreeMap::new(),
            number: 0,
        }
    }

    pub fn get(&self, of: &K, now: Duration) -> Option<V> {
        let ((end, _), found) = self.answers.get(of)?;
        (now < *end).then(|| found.clone())
    }

    pub fn put(&mut self, of: K, found: V, now: Duration, keep: Duration) {
        if let Some((place, _)) = self.answers.remove(&of) {
            self.ends.remove(&place);
        }
        if keep.is_zero() || self.max == 0 {
            return;
        }
        while let Some(first) = self.ends.first_entry()
            && (first.key().0 <= now || self.answers.len() >= self.max)
        {
            self.answers.remove(&first.remove());
        }
        self.number += 1;
        let place = (now.saturating_add(keep), self.number);
        self.ends.insert(place, of.clone());
        self.answers.insert(of, (place, found));
    }

    pub fn len(&self) -> usize {
        self.answers.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Found;
    use super::*;
    use crate::domain::ids::RoomId;
    use proptest::prelude::*;

    fn sos(n: u8) -> RoomId {
        RoomId::new(format!("sos-{n}")).unwrap()
    }

    proptest! {
        #[test]
        fn it_is_never_over_its_bound_nor_tells_what_is_too_old_or_was_said_before(
            steps in proptest::collection::vec((0_u8..10, 0_u64..5, 0_u64..5, any::<bool>()), 1..200),
        ) {
            let (mut memory, mut now) = (Memory::new(4), Duration::ZERO);
            let mut said: HashMap<RoomId, (Duration, Found)> = HashMap::new();
            for (n, pass, keep, absent) in steps {
                now += Duration::from_secs(pass);
                let (keep, found) = (Duration::from_secs(keep), if absent { Found::Absent } else { Found::Over });
                memory.put(sos(n), found.clone(), now, keep);
                said.insert(sos(n), (now + keep, found));
                prop_assert!(memory.len() <= 4 && memory.ends.len() == memory.answers.len());
                prop_assert_eq!(memory.get(&sos(n), now).is_some(), !keep.is_zero());
                for n in 0..10 {
                    if let Some(found) = memory.get(&sos(n), now) {
                        let (end, last) = &said[&sos(n)];
                        prop_assert!(now < *end && found == *last);
                    }
                }
            }
        }
    }
}
