//! What staff may want to know of an incident before they send somebody: that others like it came from the same
//! person or address, that several devices in it share one, that its position is doubtful.
//!
//! Hints accuse nobody: neighbours share an address, and one fire is reported by many. They decide nothing, are
//! shown to staff only, and live in memory for a while.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::geo::Position;
use super::ids::{ParticipantId, RoomId};
use super::time::Timestamp;

/// What stands for a person or an address here: a keyed hash that means nothing elsewhere.
pub type Token = u64;

/// The numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct HintPolicy {
    /// Incidents this near each other may be the same one, in metres.
    pub radius_m: f64,
    /// Incidents raised this shortly after each other may be the same one.
    pub window: Duration,
    /// How long hints are kept.
    pub keep: Duration,
    /// Incidents that are remembered; the oldest are forgotten first.
    pub incidents_max: usize,
    /// People in them that are remembered, all together.
    pub people_max: usize,
}

/// What is odd about how an incident was raised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Oddities {
    /// Its address had raised more than its budget.
    pub over_address: bool,
    /// Whoever raised it is blocked.
    pub by_blocked: bool,
    /// Its position is where receivers without a fix say that they are.
    pub no_position: bool,
    /// Its position lies outside the area that is served.
    pub outside_area: bool,
}

/// An incident that was raised.
#[derive(Clone, Debug)]
pub struct Raised {
    /// The incident.
    pub room: RoomId,
    /// Where.
    pub position: Option<Position>,
    /// From which address, and by whom.
    pub from: [Option<Token>; 2],
    /// What is odd about it.
    pub odd: Oddities,
}

/// What staff are told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Hint {
    /// Incidents that may be the same one, or the same hoax, the newest first.
    pub duplicates: Vec<RoomId>,
    /// Participants without an account who came from one address, for each such address.
    pub same_address: Vec<Vec<ParticipantId>>,
    /// What is odd about it.
    pub odd: Oddities,
}

/// The most duplicates that are told of one incident.
const DUPLICATES_MAX: usize = 20;
/// The most incidents of one person or address that a new one is held against, newest first.
const LOOK_BACK: usize = 200;

#[derive(Debug, Default)]
struct Entry {
    at: Timestamp,
    position: Option<Position>,
    from: [Option<Token>; 2],
    duplicates: VecDeque<RoomId>,
    people: Vec<(Token, ParticipantId)>,
    odd: Oddities,
}

/// All hints of a node.
#[derive(Debug)]
pub struct Hints {
    policy: HintPolicy,
    entries: HashMap<RoomId, Entry>,
    order: VecDeque<(Timestamp, RoomId)>,
    by_token: HashMap<Token, VecDeque<RoomId>>,
    people: usize,
}

impl Hints {
    /// None yet.
    pub fn new(policy: HintPolicy) -> Self {
        Self {
            policy,
            entries: HashMap::new(),
            order: VecDeque::new(),
            by_token: HashMap::new(),
            people: 0,
        }
    }

    /// An incident was raised at `now`.
    pub fn raised(&mut self, now: Timestamp, raised: Raised) {
        let Raised {
            room,
            position,
            from,
            odd,
        } = raised;
        if !self.enter(now, &room) {
            return;
        }
        let twins = self.twins(now, position, from);
        for twin in &twins {
            if let Some(entry) = self.entries.get_mut(twin) {
                entry.duplicates.push_front(room.clone());
                entry.duplicates.truncate(DUPLICATES_MAX);
            }
        }
        for token in from.into_iter().flatten() {
            let known = self.by_token.entry(token).or_default();
            known.push_back(room.clone());
            if known.len() > LOOK_BACK {
                known.pop_front();
            }
        }
        if let Some(entry) = self.entries.get_mut(&room) {
            (entry.position, entry.from, entry.odd) = (position, from, odd);
            entry.duplicates = twins.into();
        }
    }

    fn twins(&self, now: Timestamp, position: Option<Position>, from: [Option<Token>; 2]) -> Vec<RoomId> {
        let Some(position) = position else { return vec![] };
        let near = |room: &&RoomId| {
            self.entries.get(*room).is_some_and(|entry| {
                let place = entry.position;
                now.since(entry.at) <= self.policy.window
                    && place.is_some_and(|place| place.distance_m(position) <= self.policy.radius_m)
            })
        };
        let known = from
            .into_iter()
            .flatten()
            .filter_map(|token| self.by_token.get(&token));
        let mut found: Vec<&RoomId> = known.flat_map(|rooms| rooms.iter().rev()).filter(near).collect();
        found.sort_by_key(|room| std::cmp::Reverse(self.entries.get(*room).map(|entry| entry.at)));
        let mut twins: Vec<RoomId> = Vec::new();
        for room in found {
            if twins.len() < DUPLICATES_MAX && !twins.contains(room) {
                twins.push(room.clone());
            }
        }
        twins
    }

    /// Somebody without an account is in an incident, from this address.
    pub fn joined(&mut self, now: Timestamp, room: &RoomId, who: ParticipantId, address: Token) {
        if !self.enter(now, room) || self.people >= self.policy.people_max {
            return;
        }
        if let Some(entry) = self.entries.get_mut(room)
            && !entry.people.contains(&(address, who))
        {
            entry.people.push((address, who));
            self.people += 1;
        }
    }

    /// What is known of an incident; `None`: nothing.
    pub fn of(&self, room: &RoomId) -> Option<Hint> {
        let entry = self.entries.get(room)?;
        let mut people = entry.people.clone();
        people.sort_unstable();
        let same_address: Vec<Vec<ParticipantId>> = people
            .chunk_by(|one, next| one.0 == next.0)
            .filter(|group| group.len() > 1)
            .map(|group| group.iter().map(|(_, who)| *who).collect())
            .collect();
        let hint = Hint {
            duplicates: entry.duplicates.iter().cloned().collect(),
            same_address,
            odd: entry.odd,
        };
        (hint != Hint::default()).then_some(hint)
    }

    /// Forgets what is old.
    pub fn sweep(&mut self, now: Timestamp) {
        let horizon = now.before(self.policy.keep);
        while self.order.front().is_some_and(|(at, _)| *at < horizon) {
            self.forget_oldest();
        }
    }

    /// How many incidents are remembered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Makes room for an incident; false when none is to be remembered.
    fn enter(&mut self, now: Timestamp, room: &RoomId) -> bool {
        if self.entries.contains_key(room) {
            return true;
        }
        if self.policy.incidents_max == 0 {
            return false;
        }
        while self.entries.len() >= self.policy.incidents_max {
            self.forget_oldest();
        }
        let entry = Entry {
            at: now,
            ..Entry::default()
        };
        self.entries.insert(room.clone(), entry);
        self.order.push_back((now, room.clone()));
        true
    }

    fn forget_oldest(&mut self) {
        let Some((_, room)) = self.order.pop_front() else {
            return;
        };
        let Some(entry) = self.entries.remove(&room) else {
            return;
        };
        self.people -= entry.people.len();
        for token in entry.from.into_iter().flatten() {
            if let Some(rooms) = self.by_token.get_mut(&token) {
                rooms.retain(|other| *other != room);
                if rooms.is_empty() {
                    self.by_token.remove(&token);
                }
            }
        }
        for twin in entry.duplicates {
            if let Some(twin) = self.entries.get_mut(&twin) {
                twin.duplicates.retain(|other| *other != room);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: HintPolicy = HintPolicy {
        radius_m: 300.0,
        window: Duration::from_secs(1_800),
        keep: Duration::from_secs(86_400),
        incidents_max: 100,
        people_max: 50,
    };

    fn room(n: usize) -> RoomId {
        RoomId::new(format!("sos-{n}")).unwrap()
    }

    fn who(n: u64) -> ParticipantId {
        ParticipantId::from_bits(n)
    }

    fn seconds(s: i64) -> Timestamp {
        Timestamp::from_ms(s * 1_000)
    }

    fn raised(n: usize, north: f64, address: Token, person: Token) -> Raised {
        Raised {
            room: room(n),
            position: Some(Position::new(14.0 + north / 111_195.0, 121.0).unwrap()),
            from: [Some(address), Some(person)],
            odd: Oddities::default(),
        }
    }

    fn duplicates(hints: &Hints, n: usize) -> Vec<RoomId> {
        hints.of(&room(n)).map(|hint| hint.duplicates).unwrap_or_default()
    }

    #[test]
    fn incidents_near_in_place_and_time_from_one_person_or_address_hint_at_each_other() {
        let mut hints = Hints::new(POLICY);
        hints.raised(seconds(0), raised(1, 0.0, 7, 100));
        hints.raised(seconds(10), raised(2, 299.0, 7, 101));
        hints.raised(seconds(20), raised(3, 0.0, 8, 100));
        // Elsewhere, later, or somebody else.
        hints.raised(seconds(30), raised(4, 700.0, 7, 100));
        hints.raised(seconds(40), raised(5, 0.0, 9, 109));
        hints.raised(seconds(2_000), raised(6, 0.0, 7, 100));
        assert_eq!(duplicates(&hints, 1), [room(3), room(2)]);
        assert_eq!(duplicates(&hints, 2), [room(1)]);
        assert_eq!(duplicates(&hints, 3), [room(1)]);
        for alone in [4, 5, 6] {
            assert_eq!(hints.of(&room(alone)), None, "{alone}");
        }
    }

    #[test]
    fn several_devices_from_one_address_in_one_incident_are_named_together() {
        let mut hints = Hints::new(POLICY);
        for (n, address) in [(1, 7), (2, 8), (3, 7), (3, 7), (4, 9), (5, 7)] {
            hints.joined(seconds(0), &room(1), who(n), address);
        }
        hints.joined(seconds(0), &room(2), who(6), 7);
        let hint = hints.of(&room(1)).unwrap();
        assert_eq!(hint.same_address, [[who(1), who(3), who(5)]]);
        assert_eq!(hints.of(&room(2)), None);
    }

    #[test]
    fn oddities_are_told_by_themselves() {
        let mut hints = Hints::new(POLICY);
        let odd = Oddities {
            over_address: true,
            ..Oddities::default()
        };
        hints.raised(
            seconds(0),
            Raised {
                odd,
                ..raised(1, 0.0, 7, 1)
            },
        );
        assert_eq!(hints.of(&room(1)).unwrap().odd, odd);
    }

    #[test]
    fn memory_is_bounded_and_what_is_forgotten_is_forgotten_everywhere() {
        let mut hints = Hints::new(POLICY);
        for n in 0..1_000 {
            hints.raised(seconds(1), raised(n, 0.0, 7, n as u64));
            hints.joined(seconds(1), &room(n), who(n as u64), 7);
            hints.joined(seconds(1), &room(n), who(1_000_000), 7);
        }
        assert_eq!((hints.len(), hints.order.len()), (100, 100));
        assert!(hints.people <= 50 && hints.by_token.len() <= 101);
        let told = duplicates(&hints, 950);
        assert_eq!(told.len(), DUPLICATES_MAX);
        assert!(told.iter().all(|room| hints.entries.contains_key(room)));
        hints.sweep(seconds(86_400 + 2));
        assert!(hints.is_empty() && hints.by_token.is_empty() && hints.people == 0);
    }

    #[test]
    fn none_are_kept_when_none_may_be() {
        let mut hints = Hints::new(HintPolicy {
            incidents_max: 0,
            ..POLICY
        });
        hints.raised(seconds(0), raised(1, 0.0, 7, 1));
        hints.joined(seconds(0), &room(1), who(1), 7);
        assert!(hints.is_empty());
    }
}
