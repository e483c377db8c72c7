//! What a room does by itself when time passes. The shell keeps one timer for `next_deadline`.

use std::collections::HashMap;
use std::time::Duration;

use super::command::Command;
use super::event::LeaveReason;
use super::state::{RoomKind, RoomState};
use crate::domain::ids::ParticipantId;
use crate::domain::time::Timestamp;

/// The rules of time and number that rooms go by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// A participant without a connection or a sign of life for this long has left; zero: never.
    pub idle_participant: Duration,
    /// A circle with nobody connected for this long falls asleep; zero: never.
    pub empty_room: Duration,
    /// The most people in a room at once; 0: no limit.
    pub members_max: usize,
    /// The most strangers who wait for an owner's answer.
    pub requests_max: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            idle_participant: Duration::from_secs(30 * 60),
            empty_room: Duration::from_secs(60 * 60),
            members_max: 0,
            requests_max: 100,
        }
    }
}

/// Who is there right now. Volatile: it is not in the log and starts anew with the process.
#[derive(Clone, Debug, Default)]
pub struct Presence {
    connections: HashMap<ParticipantId, u32>,
    seen: HashMap<ParticipantId, Timestamp>,
    empty_since: Timestamp,
    /// Nobody is known to have been away before this.
    began: Timestamp,
}

impl Presence {
    /// Nobody is there, since `now`.
    pub fn new(now: Timestamp) -> Self {
        Self {
            empty_since: now,
            began: now,
            ..Self::default()
        }
    }

    /// A connection came; true when it is the participant's first.
    pub fn arrive(&mut self, who: ParticipantId, now: Timestamp) -> bool {
        self.seen.insert(who, now);
        let count = self.connections.entry(who).or_default();
        *count += 1;
        *count == 1
    }

    /// A connection went; true when it was the participant's last.
    pub fn depart(&mut self, who: ParticipantId, now: Timestamp) -> bool {
        self.seen.insert(who, now);
        let Some(count) = self.connections.get_mut(&who) else {
            return false;
        };
        *count -= 1;
        let last = *count == 0;
        if last {
            self.connections.remove(&who);
            if self.connections.is_empty() {
                self.empty_since = now;
            }
        }
        last
    }

    /// They gave a sign of life without a connection (an upload).
    pub fn touch(&mut self, who: ParticipantId, now: Timestamp) {
        self.seen.insert(who, now);
    }

    /// They are no longer in: forget them.
    pub fn forget(&mut self, who: ParticipantId) {
        if !self.connections.contains_key(&who) {
            self.seen.remove(&who);
        }
    }

    /// Whether they are connected.
    pub fn is_connected(&self, who: ParticipantId) -> bool {
        self.connections.contains_key(&who)
    }

    /// Whether nobody is connected.
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }
}

/// What is due at a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// This participant has been away for too long.
    Idle(ParticipantId),
    /// The circle has been empty for too long.
    Empty,
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
        }
    }
}

fn deadlines<'a>(
    state: &'a RoomState,
    presence: &'a Presence,
    policy: &'a Policy,
) -> impl Iterator<Item = (Timestamp, Deadline)> + 'a {
    let idle = policy.idle_participant;
    let people = state
        .active_participants()
        .filter(move |(who, _)| !idle.is_zero() && !presence.is_connected(*who) && state.owner != Some(*who))
        .map(move |(who, person)| {
            let seen = presence.seen.get(&who).copied().unwrap_or(presence.began);
            (seen.max(person.last_event_at) + idle, Deadline::Idle(who))
        });
    let sleepy = state.kind == Some(RoomKind::Circle)
        && !state.asleep
        && state.emergency.is_none()
        && presence.is_empty()
        && !policy.empty_room.is_zero();
    let empty = sleepy.then(|| {
        (
            presence.empty_since.max(state.last_at) + policy.empty_room,
            Deadline::Empty,
        )
    });
    people.chain(empty)
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
