//! The last answers of the SOS service, each for a while, so many at most. Time is since any beginning.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::Found;
use crate::domain::ids::RoomId;

/// When an answer ends, and which of those that end together.
type Place = (Duration, u64);

/// What is remembered. When it is full, what would end first is forgotten first.
pub(super) struct Memory {
    max: usize,
    answers: HashMap<RoomId, (Place, Found)>,
    ends: BTreeMap<Place, RoomId>,
    number: u64,
}

impl Memory {
    pub fn new(max: usize) -> Self {
        Self {
            max,
            answers: HashMap::new(),
            ends: BTreeMap::new(),
            number: 0,
        }
    }

    pub fn get(&self, sos: &RoomId, now: Duration) -> Option<Found> {
        let ((end, _), found) = self.answers.get(sos)?;
        (now < *end).then(|| found.clone())
    }

    pub fn put(&mut self, sos: RoomId, found: Found, now: Duration, keep: Duration) {
        if let Some((place, _)) = self.answers.remove(&sos) {
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
        self.ends.insert(place, sos.clone());
        self.answers.insert(sos, (place, found));
    }

    pub fn len(&self) -> usize {
        self.answers.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
