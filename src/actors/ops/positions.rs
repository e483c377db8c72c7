//! Where everybody is, gathered over all nodes and told every few seconds: the newest fix of each who moved. Nothing is
//! gathered while nobody follows.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::{OpsPosition, OpsPositions, Shared};
use crate::actors::node::Node;
use crate::bus::Sighting;
use crate::domain::geo::Fix;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::room::RoomKind;

/// Fixes that are read from the board at once, and how often in one turn.
const READ_MAX: usize = 5_000;
const READS_MAX: usize = 8;

type Who = (RoomId, ParticipantId);

#[derive(Default)]
struct Inner {
    /// Who moved, the longest ago first.
    order: VecDeque<Who>,
    newest: HashMap<Who, (RoomKind, Fix)>,
}

/// Who moved since the last time.
pub struct Gathered {
    max: usize,
    inner: Mutex<Inner>,
}

impl Gathered {
    /// Remembers `max` participants at most.
    pub fn new(max: usize) -> Self {
        Self {
            max: max.max(1),
            inner: Mutex::default(),
        }
    }

    /// Takes fixes of incidents and trips; where circles are is their own affair. Answers for how many there was no room.
    pub fn add(&self, sightings: &[Sighting]) -> u64 {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let mut dropped = 0;
        let shown = |kind: RoomKind| matches!(kind, RoomKind::Sos | RoomKind::Trip);
        for seen in sightings.iter().filter(|seen| seen.newest && shown(seen.kind)) {
            let who = (seen.room.clone(), seen.participant);
            let count = inner.newest.len();
            match inner.newest.entry(who) {
                Entry::Occupied(mut known) => {
                    if known.get().1.at <= seen.fix.at {
                        known.insert((seen.kind, seen.fix));
                    }
                }
                Entry::Vacant(_) if count >= self.max => dropped += 1,
                Entry::Vacant(free) => {
                    inner.order.push_back(free.key().clone());
                    free.insert((seen.kind, seen.fix));
                }
            }
        }
        dropped
    }

    /// Takes the first `max`.
    pub fn take(&self, max: usize) -> Vec<OpsPosition> {
        let mut inner = self.inner.lock();
        let count = inner.order.len().min(max);
        let first: Vec<Who> = inner.order.drain(..count).collect();
        let position = |(room, participant): Who| {
            let (kind, fix) = inner.newest.remove(&(room.clone(), participant))?;
            Some(OpsPosition {
                room,
                kind,
                participant,
                fix,
            })
        };
        first.into_iter().filter_map(position).collect()
    }

    /// Nobody wants to know.
    pub fn clear(&self) {
        *self.inner.lock() = Inner::default();
    }

    /// How many wait.
    pub fn count(&self) -> usize {
        self.inner.lock().order.len()
    }
}

/// Tells positions every few seconds, until the node ends.
pub(super) async fn run(weak: Weak<Shared>, node: Weak<Node>) {
    let Some(every) = weak.upgrade().map(|shared| shared.settings.positions_every) else {
        return;
    };
    // Where the board's stream was read to; `None` while nobody follows.
    let mut read: Option<String> = None;
    loop {
        tokio::time::sleep(every).await;
        let (Some(shared), Some(node)) = (weak.upgrade(), node.upgrade()) else {
            return;
        };
        if shared.ended.load(Relaxed) {
            return;
        }
        if !shared.is_followed() {
            shared.gathered.clear();
            read = None;
            continue;
        }
        if node.board.is_there() {
            read = gather(&shared, &node, read).await;
        }
        let positions = shared.gathered.take(shared.settings.positions_max);
        if !positions.is_empty() {
            shared.counts.positions.fetch_add(positions.len() as u64, Relaxed);
            let told = OpsPositions::new(node.now(), positions);
            shared.positions.send_replace(Some(Arc::new(told)));
        }
    }
}

/// Reads what all nodes have put on the board since. Answers how far that was.
async fn gather(shared: &Shared, node: &Node, mut read: Option<String>) -> Option<String> {
    for _ in 0..READS_MAX {
        let Some(moves) = node.board.moves(read.as_deref(), READ_MAX).await else {
            shared.failed();
            return read;
        };
        let dropped = shared.gathered.add(&moves.seen);
        shared.counts.positions_dropped.fetch_add(dropped, Relaxed);
        read = Some(moves.upto);
        if !moves.more {
            break;
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::geo::Position;
    use crate::domain::testing::{person, room};
    use crate::domain::time::Timestamp;

    fn seen(name: &str, who: u64, at: i64, kind: RoomKind) -> Sighting {
        let position = Position::new(14.0 + 1e-4 * f64::from(i32::try_from(at).unwrap()), 121.0).unwrap();
        Sighting {
            room: room(name),
            participant: person(who),
            fix: Fix::new(position, Timestamp::from_ms(at)),
            newest: true,
            kind,
            keep: false,
        }
    }

    fn told(positions: Vec<OpsPosition>) -> Vec<(String, i64)> {
        let one = |one: OpsPosition| (format!("{}/{}", one.room, one.participant), one.fix.at.ms());
        positions.into_iter().map(one).collect()
    }

    #[test]
    fn each_is_told_once_with_the_newest_and_whoever_waits_longest_comes_first() {
        let gathered = Gathered::new(10);
        let all = [
            seen("sos", 1, 5, RoomKind::Sos),
            seen("trip", 2, 5, RoomKind::Trip),
            seen("sos", 3, 5, RoomKind::Sos),
            seen("sos", 1, 9, RoomKind::Sos),
            seen("sos", 1, 7, RoomKind::Sos),
            seen("circle", 4, 5, RoomKind::Circle),
            Sighting {
                newest: false,
                ..seen("sos", 5, 5, RoomKind::Sos)
            },
        ];
        assert_eq!(gathered.add(&all), 0);
        let name = |room: &str, who| format!("{room}/{}", person(who));
        assert_eq!(
            told(gathered.take(2)),
            [(name("sos", 1), 9), (name("trip", 2), 5)]
        );
        assert_eq!(
            told(gathered.take(2)),
            [(name("sos", 3), 5)],
            "the rest waits for the next time"
        );
        assert_eq!(told(gathered.take(2)), []);
    }

    #[test]
    fn for_whom_there_is_no_room_is_counted() {
        let gathered = Gathered::new(2);
        let all: Vec<_> = (0..5).map(|who| seen("sos", who, 1, RoomKind::Sos)).collect();
        assert_eq!((gathered.add(&all), gathered.count()), (3, 2));
        assert_eq!(gathered.add(&all[..2]), 0, "they have a place");
        gathered.clear();
        assert_eq!(gathered.count(), 0);
    }
}
