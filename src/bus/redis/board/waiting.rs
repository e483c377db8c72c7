//! What waits to be put on the board. Of everything but positions only the newest of each matters.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::bus::{IncidentNote, Note, SessionNote, Sighting};
use crate::domain::ids::{ParticipantId, RoomId, UserId};
use crate::domain::people::Contact;
use crate::store::KeptFix;

/// A part of what waits, to be sent together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub positions: Vec<Sighting>,
    pub ended: Vec<RoomId>,
    pub incidents: Vec<IncidentNote>,
    pub sessions: Vec<SessionNote>,
    pub changed: Vec<UserId>,
    pub fills: Vec<(UserId, u64, Vec<Contact>)>,
    pub users: Vec<UserId>,
    pub places: Vec<(RoomId, ParticipantId)>,
}

impl Batch {
    /// How many notes it has.
    pub fn len(&self) -> usize {
        let lists = [
            self.ended.len(),
            self.incidents.len(),
            self.sessions.len(),
            self.changed.len(),
        ];
        let others = [self.fills.len(), self.users.len(), self.places.len()];
        self.positions.len() + lists.into_iter().chain(others).sum::<usize>()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[derive(Default)]
struct Inner {
    positions: Vec<Sighting>,
    /// What history is to keep of positions that were dropped.
    spilled: Vec<KeptFix>,
    ended: HashSet<RoomId>,
    incidents: HashMap<RoomId, IncidentNote>,
    sessions: HashMap<UserId, SessionNote>,
    changed: HashSet<UserId>,
    fills: HashMap<UserId, (u64, Vec<Contact>)>,
    users: HashSet<UserId>,
    places: HashSet<(RoomId, ParticipantId)>,
}

impl Inner {
    fn notes(&self) -> usize {
        let maps = [
            self.ended.len(),
            self.incidents.len(),
            self.sessions.len(),
            self.changed.len(),
        ];
        let others = [self.fills.len(), self.users.len(), self.places.len()];
        maps.into_iter().chain(others).sum()
    }

    /// Lets positions go, but for what history is to keep, of which `max` may wait. Answers how many are lost.
    fn spill(&mut self, lost: impl IntoIterator<Item = Sighting>, max: usize) -> usize {
        let mut count = 0;
        for sighting in lost {
            if sighting.keep && self.spilled.len() < max {
                self.spilled.push(sighting.kept());
            } else {
                count += 1;
            }
        }
        count
    }
}

/// All of it, bounded.
pub(super) struct Waiting {
    inner: Mutex<Inner>,
    max: usize,
    some: Notify,
    dropped: AtomicU64,
}

impl Waiting {
    /// At most `max` positions, as many other notes, and as many positions for history alone.
    pub fn new(max: usize) -> Self {
        Self {
            inner: Mutex::default(),
            max,
            some: Notify::new(),
            dropped: AtomicU64::new(0),
        }
    }

    /// Takes a note; what does not fit is dropped.
    pub fn push(&self, note: Note) {
        let mut inner = self.inner.lock();
        let full = inner.notes() >= self.max;
        let mut dropped = 0;
        match note {
            Note::Positions(mut sightings) => {
                let room = self.max.saturating_sub(inner.positions.len());
                let lost = sightings.split_off(sightings.len().min(room));
                dropped = inner.spill(lost, self.max);
                inner.positions.append(&mut sightings);
            }
            Note::Incident(note) => {
                let note = *note;
                let sos = note.sos.clone();
                match inner.incidents.get_mut(&sos) {
                    Some(known) if known.seq > note.seq => {}
                    Some(known) => *known = note,
                    None if full => dropped = 1,
                    None => drop(inner.incidents.insert(sos, note)),
                }
            }
            Note::Session(note) => {
                let note = *note;
                let user = note.user.clone();
                if full && !inner.sessions.contains_key(&user) {
                    dropped = 1;
                } else {
                    inner.sessions.insert(user, note);
                }
            }
            _ if full => dropped = 1,
            Note::TripEnded(trip) => drop(inner.ended.insert(trip)),
            Note::Contacts(user) => {
                inner.fills.remove(&user);
                inner.changed.insert(user);
            }
            Note::Gone { users, places } => {
                for user in users {
                    inner.sessions.remove(&user);
                    inner.users.insert(user);
                }
                let goes = |room: &RoomId, who: ParticipantId| {
                    places.iter().any(|place| place.1 == who && place.0 == *room)
                };
                inner.positions.retain(|one| !goes(&one.room, one.participant));
                inner.spilled.retain(|one| !goes(&one.room, one.participant));
                inner.places.extend(places);
            }
        }
        drop(inner);
        self.dropped.fetch_add(dropped as u64, Relaxed);
        self.some.notify_one();
    }

    /// Remembers contacts, unless they have changed meanwhile or too much waits.
    pub fn fill(&self, owner: &UserId, version: u64, contacts: Vec<Contact>) {
        let mut inner = self.inner.lock();
        if inner.notes() < self.max && !inner.changed.contains(owner) {
            inner.fills.insert(owner.clone(), (version, contacts));
            drop(inner);
            self.some.notify_one();
        }
    }

    /// Whether the change of a user's contacts is still to be told.
    pub fn is_changing(&self, owner: &UserId) -> bool {
        self.inner.lock().changed.contains(owner)
    }

    /// Takes what waits, at most so many of each kind.
    pub fn take(&self, max: usize) -> Batch {
        let mut inner = self.inner.lock();
        let count = inner.positions.len().min(max);
        let mut batch = Batch {
            positions: inner.positions.drain(..count).collect(),
            ..Batch::default()
        };
        // A trip that has ended leaves after its last positions.
        if inner.positions.is_empty() {
            batch.ended = take_some(&mut inner.ended, max);
            batch.places = take_some(&mut inner.places, max);
        }
        batch.changed = take_some(&mut inner.changed, max);
        batch.users = take_some(&mut inner.users, max);
        batch.incidents = take_values(&mut inner.incidents, max);
        batch.sessions = take_values(&mut inner.sessions, max);
        let owners: Vec<UserId> = inner.fills.keys().take(max).cloned().collect();
        for owner in owners {
            if let Some((version, contacts)) = inner.fills.remove(&owner) {
                batch.fills.push((owner, version, contacts));
            }
        }
        batch
    }

    /// What was taken could not be put: what matters later waits again, unless something newer does already.
    pub fn give_back(&self, batch: Batch) {
        let mut inner = self.inner.lock();
        let lost = inner.spill(batch.positions, self.max) + batch.fills.len();
        inner.ended.extend(batch.ended);
        inner.changed.extend(batch.changed);
        inner.users.extend(batch.users);
        inner.places.extend(batch.places);
        for note in batch.incidents {
            let newer = |known: &IncidentNote| known.seq >= note.seq;
            if !inner.incidents.get(&note.sos).is_some_and(newer) {
                inner.incidents.insert(note.sos.clone(), note);
            }
        }
        for note in batch.sessions {
            inner.sessions.entry(note.user.clone()).or_insert(note);
        }
        drop(inner);
        self.drop_some(lost);
    }

    /// Positions are of no use later, but to history.
    pub fn drop_positions(&self) {
        let mut inner = self.inner.lock();
        let positions = std::mem::take(&mut inner.positions);
        let lost = inner.spill(positions, self.max) + inner.fills.len();
        inner.fills = HashMap::new();
        drop(inner);
        self.drop_some(lost);
    }

    /// Takes some of what history is to keep and was dropped.
    pub fn spilled(&self, max: usize) -> Vec<KeptFix> {
        let spilled = &mut self.inner.lock().spilled;
        let count = spilled.len().min(max);
        spilled.drain(..count).collect()
    }

    fn drop_some(&self, count: usize) {
        self.dropped.fetch_add(count as u64, Relaxed);
    }

    /// Waits until something may wait.
    pub async fn some(&self) {
        if self.len() == 0 {
            self.some.notified().await;
        }
    }

    /// How many wait, positions and others.
    pub fn len(&self) -> usize {
        let inner = self.inner.lock();
        inner.positions.len() + inner.notes()
    }

    /// Notes that were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

fn take_some<T: Clone + Eq + std::hash::Hash>(from: &mut HashSet<T>, max: usize) -> Vec<T> {
    if from.len() <= max {
        return std::mem::take(from).into_iter().collect();
    }
    let some: Vec<T> = from.iter().take(max).cloned().collect();
    for one in &some {
        from.remove(one);
    }
    some
}

fn take_values<K: Clone + Eq + std::hash::Hash, V>(from: &mut HashMap<K, V>, max: usize) -> Vec<V> {
    if from.len() <= max {
        return std::mem::take(from).into_values().collect();
    }
    let keys: Vec<K> = from.keys().take(max).cloned().collect();
    keys.into_iter().filter_map(|key| from.remove(&key)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::geo::{Fix, Position};
    use crate::domain::incident::Status;
    use crate::domain::testing::{person, room};
    use crate::domain::time::Timestamp;

    fn sighting(n: u64) -> Sighting {
        Sighting {
            room: room("r"),
            participant: person(n),
            fix: Fix::new(Position::new(1.0, 2.0).unwrap(), Timestamp::from_ms(5)),
            newest: true,
            kind: crate::domain::room::RoomKind::Circle,
            keep: false,
        }
    }

    fn incident(name: &str, seq: u64) -> Note {
        Note::Incident(Box::new(IncidentNote {
            sos: room(name),
            citizen: None,
            status: Status::Active,
            created_at: Timestamp::from_ms(1),
            closed: None,
            location: None,
            located_at: None,
            participants: vec![],
            count: 0,
            seq,
        }))
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let waiting = Waiting::new(3);
        waiting.push(Note::Positions((0..5).map(sighting).collect()));
        for n in 0..5 {
            waiting.push(incident(&format!("sos{n}"), 1));
        }
        assert_eq!((waiting.len(), waiting.dropped()), (6, 4));
        // What replaces something that waits always fits.
        waiting.push(incident("sos0", 2));
        assert_eq!((waiting.len(), waiting.dropped()), (6, 4));
        assert_eq!(waiting.take(2).len(), 4);
        waiting.drop_positions();
        assert_eq!((waiting.len(), waiting.dropped()), (1, 5));
    }

    #[test]
    fn the_newest_of_an_incident_counts_also_when_an_older_one_comes_back() {
        let waiting = Waiting::new(3);
        waiting.push(incident("sos", 5));
        waiting.push(incident("sos", 4));
        let batch = waiting.take(9);
        assert_eq!(batch.incidents[0].seq, 5);
        waiting.push(incident("sos", 6));
        waiting.give_back(batch);
        assert_eq!(waiting.take(9).incidents[0].seq, 6);
        assert!(waiting.take(9).is_empty());
    }

    #[test]
    fn a_change_of_contacts_takes_what_was_to_be_remembered_with_it() {
        let waiting = Waiting::new(3);
        let ana = UserId::new("ana").unwrap();
        waiting.fill(&ana, 1, vec![]);
        waiting.push(Note::Contacts(ana.clone()));
        waiting.fill(&ana, 1, vec![]);
        assert!(waiting.is_changing(&ana));
        let batch = waiting.take(9);
        assert!(batch.fills.is_empty() && batch.changed == [ana]);
    }

    #[test]
    fn what_history_keeps_outlives_what_the_board_drops() {
        let waiting = Waiting::new(4);
        let some = |range: std::ops::Range<u64>| {
            let keep = |n| Sighting {
                keep: n % 2 == 1,
                ..sighting(n)
            };
            Note::Positions(range.map(keep).collect())
        };
        let people = |kept: Vec<KeptFix>| kept.iter().map(|fix| fix.participant).collect::<Vec<_>>();
        // 0 to 3 wait; 4 is lost, 5 is for history.
        waiting.push(some(0..6));
        assert_eq!(waiting.dropped(), 1);
        let batch = waiting.take(2);
        waiting.give_back(batch);
        waiting.drop_positions();
        assert_eq!(waiting.dropped(), 3);
        assert_eq!(people(waiting.spilled(2)), [person(5), person(1)]);
        waiting.push(Note::Gone {
            users: vec![],
            places: vec![(room("r"), person(3))],
        });
        assert_eq!(waiting.spilled(9), []);
        // No more than may wait.
        for _ in 0..3 {
            waiting.push(some(0..4));
            waiting.drop_positions();
        }
        assert_eq!(waiting.spilled(9).len(), 4);
    }

    #[test]
    fn a_trip_ends_after_its_last_position() {
        let waiting = Waiting::new(9);
        waiting.push(Note::Positions((0..3).map(sighting).collect()));
        waiting.push(Note::TripEnded(room("r")));
        assert!(waiting.take(2).ended.is_empty());
        assert_eq!(waiting.take(2).ended, [room("r")]);
    }

    #[test]
    fn positions_of_the_erased_are_forgotten_where_they_wait() {
        let waiting = Waiting::new(9);
        waiting.push(Note::Positions(vec![sighting(1), sighting(2)]));
        waiting.push(Note::Gone {
            users: vec![],
            places: vec![(room("r"), person(1))],
        });
        let batch = waiting.take(9);
        assert_eq!(batch.positions, [sighting(2)]);
        assert_eq!(batch.places, [(room("r"), person(1))]);
    }
}
