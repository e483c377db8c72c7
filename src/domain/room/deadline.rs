//! What a room does by itself when time passes. The shell keeps one timer for `next_deadline`.

use std::collections::HashMap;
use std::time::Duration;

use super::command::Command;
use super::event::LeaveReason;
use super::state::{RoomKind, RoomState};
use crate::domain::ids::ParticipantId;
use crate::domain::time::Timestamp;

/// How often within a deadline's span the sign of life of somebody who is here is noted.
const NOTES: u32 = 6;

/// The rules of time and number that rooms go by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// A participant without a connection or a sign of life for this long has left; zero: never.
    pub idle_participant: Duration,
    /// A circle with nobody connected for this long falls asleep; zero: never.
    pub empty_room: Duration,
    /// After a start nobody has left, and no circle sleeps, before this has passed, or as long as it would take
    /// otherwise.
    pub return_grace: Duration,
    /// A trip that nobody ended is over after this long; zero: never.
    pub trip_max: Duration,
    /// The most people in a room at once; 0: no limit.
    pub members_max: usize,
    /// The most strangers who wait for an owner's answer.
    pub requests_max: usize,
}

impl Policy {
    /// How old the store's idea of somebody who is here may be; `None`: no deadline hangs on it.
    fn note_every(&self) -> Option<Duration> {
        let spans = [self.idle_participant, self.empty_room];
        spans
            .into_iter()
            .filter(|span| !span.is_zero())
            .min()
            .map(|span| span / NOTES)
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            idle_participant: Duration::from_secs(30 * 60),
            empty_room: Duration::from_secs(60 * 60),
            return_grace: Duration::from_secs(60),
            trip_max: Duration::from_secs(24 * 60 * 60),
            members_max: 0,
            requests_max: 100,
        }
    }
}

/// Who is there right now, and when everybody gave a sign of life last. It is not in the log; the store keeps of
/// it what deadlines need to survive a restart ([`Presence::unnoted`], [`Presence::recall`]).
#[derive(Clone, Debug, Default)]
pub struct Presence {
    connections: HashMap<ParticipantId, u32>,
    /// On how many other nodes somebody is connected.
    elsewhere: HashMap<ParticipantId, u32>,
    seen: HashMap<ParticipantId, Timestamp>,
    /// What the store knows of `seen`.
    noted: HashMap<ParticipantId, Timestamp>,
    empty_since: Timestamp,
    /// Since when anybody can be here at all.
    began: Timestamp,
}

impl Presence {
    /// Nobody is there. The process, without which nobody could be, was started when `began`.
    pub fn new(began: Timestamp) -> Self {
        Self {
            began,
            ..Self::default()
        }
    }

    /// What the store remembers from before the room was loaded.
    pub fn recall(&mut self, who: ParticipantId, at: Timestamp) {
        let seen = self.seen.entry(who).or_insert(at);
        *seen = at.max(*seen);
        let noted = self.noted.entry(who).or_insert(at);
        *noted = at.max(*noted);
        self.empty_since = self.empty_since.max(at);
    }

    /// A connection came; true when it is the participant's first.
    pub fn arrive(&mut self, who: ParticipantId, now: Timestamp) -> bool {
        self.seen.insert(who, now);
        let count = self.connections.entry(who).or_default();
        *count += 1;
        *count == 1
    }

    /// A connection went; true when it was the participant's last anywhere.
    pub fn depart(&mut self, who: ParticipantId, now: Timestamp) -> bool {
        self.seen.insert(who, now);
        let Some(count) = self.connections.get_mut(&who) else {
            return false;
        };
        *count -= 1;
        let last = *count == 0;
        if last {
            self.connections.remove(&who);
            self.note_empty(now);
        }
        last && !self.elsewhere.contains_key(&who)
    }

    /// They are connected to one more node than before; true when they were connected to none.
    pub fn arrive_elsewhere(&mut self, who: ParticipantId, now: Timestamp) -> bool {
        let first = !self.is_connected(who);
        self.seen.insert(who, now);
        *self.elsewhere.entry(who).or_default() += 1;
        first
    }

    /// They are connected to one node less than before; true when they are connected to none now.
    pub fn depart_elsewhere(&mut self, who: ParticipantId, now: Timestamp) -> bool {
        let Some(count) = self.elsewhere.get_mut(&who) else {
            return false;
        };
        *count -= 1;
        self.seen.insert(who, now);
        if *count == 0 {
            self.elsewhere.remove(&who);
            self.note_empty(now);
        }
        !self.is_connected(who)
    }

    fn note_empty(&mut self, now: Timestamp) {
        if self.is_empty() {
            self.empty_since = now;
        }
    }

    /// They gave a sign of life without a connection (an upload).
    pub fn touch(&mut self, who: ParticipantId, now: Timestamp) {
        self.seen.insert(who, now);
    }

    /// They are no longer in: forget them.
    pub fn forget(&mut self, who: ParticipantId) {
        self.noted.remove(&who);
        if !self.is_connected(who) {
            self.seen.remove(&who);
        }
    }

    /// Whether they are connected, to this node or another.
    pub fn is_connected(&self, who: ParticipantId) -> bool {
        self.is_here(who) || self.elsewhere.contains_key(&who)
    }

    /// Whether they are connected to this node.
    pub fn is_here(&self, who: ParticipantId) -> bool {
        self.connections.contains_key(&who)
    }

    /// Those who are connected to this node.
    pub fn here(&self) -> impl Iterator<Item = ParticipantId> {
        self.connections.keys().copied()
    }

    /// Whether nobody is connected, to this node or another.
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty() && self.elsewhere.is_empty()
    }

    /// Signs of life that the store should hear of, and takes them as noted: of those who have gone since, and of
    /// those who are connected to this node when the last note is a part of the idle time old. So a deadline that is worked out anew
    /// after a crash is never later than promised, and earlier by that part at most.
    pub fn unnoted(
        &mut self,
        state: &RoomState,
        policy: &Policy,
        now: Timestamp,
    ) -> Vec<(ParticipantId, Timestamp)> {
        let Some(every) = policy.note_every() else {
            return vec![];
        };
        let mut due = Vec::new();
        for (who, person) in state.active_participants() {
            let here = self.is_here(who);
            let sign = if here {
                Some(now)
            } else {
                self.seen.get(&who).copied()
            };
            let known = self.noted.get(&who).copied().unwrap_or_default();
            let known = known.max(person.last_event_at);
            let Some(sign) = sign.filter(|sign| *sign > known) else {
                continue;
            };
            if !here || sign.since(known) >= every {
                due.push((who, sign));
            }
        }
        self.noted.extend(due.iter().copied());
        due
    }

    /// Nothing that takes `span` is due before this.
    fn no_sooner(&self, policy: &Policy, span: Duration) -> Timestamp {
        self.began + policy.return_grace.min(span)
    }

    fn last_sign(&self, who: ParticipantId) -> Timestamp {
        self.seen.get(&who).copied().unwrap_or_default()
    }
}

/// What is due at a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// This participant has been away for too long.
    Idle(ParticipantId),
    /// The circle has been empty for too long.
    Empty,
    /// Nobody has ended the trip for too long.
    TripOver,
}

impl Deadline {
    /// The command that carries it out.
    pub fn command(self) -> Command {
        match self {
            Self::Idle(who) => Command::Remove {
                who,
                reason: LeaveReason::Idle,
            },
            Self::Empty => Command::FallAsleep,
            Self::TripOver => Command::EndTrip,
        }
    }
}

fn deadlines<'a>(
    state: &'a RoomState,
    presence: &'a Presence,
    policy: &'a Policy,
) -> impl Iterator<Item = (Timestamp, Deadline)> + 'a {
    let idle = policy.idle_participant;
    // On a trip one is until it ends, or one gets out: a phone in a pocket says nothing of that.
    let leaves = !idle.is_zero() && state.kind != Some(RoomKind::Trip);
    let people = state
        .active_participants()
        .filter(move |(who, _)| leaves && !presence.is_connected(*who) && state.owner != Some(*who))
        .map(move |(who, person)| {
            let sign = presence.last_sign(who).max(person.last_event_at);
            (
                (sign + idle).max(presence.no_sooner(policy, idle)),
                Deadline::Idle(who),
            )
        });
    let sleepy = state.kind == Some(RoomKind::Circle)
        && !state.asleep
        && state.emergency.is_none()
        && presence.is_empty()
        && !policy.empty_room.is_zero();
    let empty = sleepy.then(|| {
        let since = presence.empty_since.max(state.last_at);
        (
            (since + policy.empty_room).max(presence.no_sooner(policy, policy.empty_room)),
            Deadline::Empty,
        )
    });
    let trip = state.trip.as_ref();
    let over = trip
        .filter(|trip| trip.is_open() && !policy.trip_max.is_zero())
        .map(|_| (state.created_at + policy.trip_max, Deadline::TripOver));
    people.chain(empty).chain(over)
}

/// When something is due next, if nothing else happens before.
pub fn next_deadline(state: &RoomState, presence: &Presence, policy: &Policy) -> Option<Timestamp> {
    deadlines(state, presence, policy).map(|(at, _)| at).min()
}

/// What is due at `now`.
pub fn due(state: &RoomState, presence: &Presence, policy: &Policy, now: Timestamp) -> Vec<Deadline> {
    deadlines(state, presence, policy)
        .filter(|(at, _)| *at <= now)
        .map(|(_, what)| what)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::RoomId;
    use crate::domain::incident::Status;
    use crate::domain::room::{Actor, Event, EventBody, Genesis, Manifest, Seq, UserType};
    use crate::domain::testing::{person, report, room};

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(minutes: u32) -> Timestamp {
        Timestamp::from_ms(1_000_000_000) + MINUTE * minutes
    }

    /// A room of person 0, which person 1 came into at minute 0.
    fn two(genesis: Genesis) -> RoomState {
        let mut state = RoomState::new(room("r"));
        let joined = |n| EventBody::Joined {
            who: person(n),
            user_type: UserType::Citizen,
            as_contact: false,
        };
        for (n, body) in [(0, EventBody::Created(genesis)), (0, joined(0)), (1, joined(1))] {
            apply(&mut state, at(0), Actor::Participant(person(n)), body);
        }
        state
    }

    fn apply(state: &mut RoomState, at: Timestamp, actor: Actor, body: EventBody) {
        let (room, seq): (RoomId, Seq) = (state.id.clone(), state.seq.next());
        state.apply(&Event {
            room,
            seq,
            at,
            actor,
            body,
        });
    }

    fn incident() -> RoomState {
        two(Genesis::Incident(Box::new(report())))
    }

    #[test]
    fn half_an_hour_counts_from_the_last_sign_of_life_also_over_a_restart() {
        let (state, policy) = (incident(), Policy::default());
        let mut before = Presence::new(at(0));
        before.arrive(person(1), at(1));
        before.depart(person(1), at(10));
        let notes = before.unnoted(&state, &policy, at(11));
        assert_eq!(notes, [(person(1), at(10))]);
        assert_eq!(before.unnoted(&state, &policy, at(12)), [], "once is enough");
        let due_at = next_deadline(&state, &before, &policy);
        assert_eq!(due_at, Some(at(40)));

        let mut after = Presence::new(at(20));
        notes.iter().for_each(|(who, seen)| after.recall(*who, *seen));
        assert_eq!(next_deadline(&state, &after, &policy), due_at);
        assert_eq!(due(&state, &after, &policy, at(40)), [Deadline::Idle(person(1))]);
    }

    #[test]
    fn who_was_here_until_the_crash_is_remembered_to_within_a_sixth_of_the_time() {
        let (state, policy) = (incident(), Policy::default());
        let mut before = Presence::new(at(0));
        before.arrive(person(1), at(1));
        let mut noted = None;
        for minute in 1..=59 {
            for (who, seen) in before.unnoted(&state, &policy, at(minute)) {
                assert_eq!(who, person(1));
                noted = Some(seen);
            }
        }
        let mut after = Presence::new(at(61));
        after.recall(person(1), noted.unwrap());
        let due_at = next_deadline(&state, &after, &policy).unwrap();
        assert!((at(85)..=at(89)).contains(&due_at), "{due_at:?}");
    }

    #[test]
    fn nobody_has_left_for_the_time_in_which_the_engine_was_down() {
        let (state, policy) = (incident(), Policy::default());
        let mut after = Presence::new(at(240));
        assert_eq!(
            next_deadline(&state, &after, &policy),
            Some(at(241)),
            "a minute to come back"
        );
        after.arrive(person(1), at(240));
        assert_eq!(next_deadline(&state, &after, &policy), None, "back in time");
    }

    #[test]
    fn an_upload_is_a_sign_of_life_that_needs_no_note_of_its_own_until_it_is_over() {
        let (state, policy) = (incident(), Policy::default());
        let mut presence = Presence::new(at(0));
        presence.touch(person(1), at(20));
        assert_eq!(next_deadline(&state, &presence, &policy), Some(at(50)));
        assert_eq!(presence.unnoted(&state, &policy, at(20)), [(person(1), at(20))]);
    }

    #[test]
    fn an_empty_circle_sleeps_an_hour_after_the_last_one_went_also_over_a_restart() {
        let state = two(Genesis::Circle);
        let policy = Policy {
            idle_participant: Duration::ZERO,
            ..Policy::default()
        };
        let mut before = Presence::new(at(0));
        before.arrive(person(0), at(1));
        before.depart(person(0), at(30));
        let mut after = Presence::new(at(50));
        for (who, seen) in before.unnoted(&state, &policy, at(31)) {
            after.recall(who, seen);
        }
        for presence in [before, after] {
            assert_eq!(next_deadline(&state, &presence, &policy), Some(at(90)));
            assert_eq!(due(&state, &presence, &policy, at(90)), [Deadline::Empty]);
        }
    }

    #[test]
    fn a_trip_loses_nobody_and_is_over_after_a_day() {
        let state = two(Genesis::Trip(Box::new(Manifest::new(
            person(0),
            [person(1)].into(),
            None,
        ))));
        let (presence, policy) = (Presence::new(at(0)), Policy::default());
        let day = at(24 * 60);
        assert_eq!(next_deadline(&state, &presence, &policy), Some(day));
        assert_eq!(due(&state, &presence, &policy, day), [Deadline::TripOver]);
        let policy = Policy {
            trip_max: Duration::ZERO,
            ..policy
        };
        assert_eq!(next_deadline(&state, &presence, &policy), None);
    }

    #[test]
    fn who_is_connected_to_another_node_is_neither_idle_nor_gone() {
        let (state, policy) = (incident(), Policy::default());
        let mut presence = Presence::new(at(0));
        presence.arrive(person(1), at(1));
        assert!(!presence.arrive_elsewhere(person(1), at(2)), "they were here");
        assert!(!presence.depart(person(1), at(3)), "they are still there");
        assert!(presence.is_connected(person(1)) && !presence.is_here(person(1)) && !presence.is_empty());
        assert_eq!(next_deadline(&state, &presence, &policy), None);
        assert_eq!(presence.unnoted(&state, &policy, at(3)), [(person(1), at(3))]);
        presence.arrive_elsewhere(person(1), at(4));
        assert!(
            !presence.depart_elsewhere(person(1), at(5)),
            "they are on a third node"
        );
        assert!(presence.depart_elsewhere(person(1), at(10)));
        assert!(
            !presence.depart_elsewhere(person(1), at(11)),
            "they have gone before"
        );
        assert_eq!(next_deadline(&state, &presence, &policy), Some(at(40)));
    }

    #[test]
    fn the_end_of_an_incident_is_everybodys_leaving() {
        let mut state = incident();
        let ended = EventBody::StatusChanged {
            from: Status::Active,
            to: Status::Resolved,
            note: None,
            lower_case: false,
        };
        apply(&mut state, at(10), Actor::System, ended);
        assert_eq!(state.active_participants().count(), 0);
        assert_eq!(
            next_deadline(&state, &Presence::new(at(0)), &Policy::default()),
            None
        );
        let average = |minutes| state.statistics(at(minutes)).average_seconds;
        assert!((average(10) - 600.0).abs() < f64::EPSILON);
        assert!(
            (average(5_000) - average(10)).abs() < f64::EPSILON,
            "it grows no more"
        );
        let mut presence = Presence::new(at(0));
        presence.arrive(person(1), at(11));
        assert_eq!(presence.unnoted(&state, &Policy::default(), at(30)), []);
    }
}
