//! People in a room, and how long they were.

use std::time::Duration;

use super::event::UserType;
use crate::domain::time::Timestamp;

/// One person's stay in a room, over all their comings and goings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    /// As what they came last.
    pub user_type: UserType,
    /// They came as one of the owner's emergency contacts.
    pub as_contact: bool,
    /// When they came last.
    pub joined_at: Timestamp,
    /// When they went, if they have.
    pub left_at: Option<Timestamp>,
    /// Time spent in stays before the present one.
    pub earlier: Duration,
    /// Their last deed in the log.
    pub last_event_at: Timestamp,
    /// The owner let them in, or they belong: they may come back without asking.
    pub admitted: bool,
    /// Staff or the owner put them out, and nobody who may has let them in again.
    pub removed: bool,
}

impl Participant {
    /// Whether they are in.
    pub fn is_active(&self) -> bool {
        self.left_at.is_none()
    }

    /// Whether they came to help, with an account or without.
    pub fn rescues(&self) -> bool {
        matches!(self.user_type, UserType::Rescuer | UserType::AnonRescuer)
    }

    /// How long they have been in, all stays together.
    pub fn time_spent(&self, now: Timestamp) -> Duration {
        self.earlier
            .saturating_add(self.left_at.unwrap_or(now).since(self.joined_at))
    }

    pub(super) fn rejoin(&mut self, at: Timestamp, user_type: UserType, as_contact: bool) {
        self.earlier = self.time_spent(at);
        self.joined_at = at;
        self.left_at = None;
        self.last_event_at = at;
        self.user_type = user_type;
        self.as_contact = as_contact;
        self.admitted = true;
        self.removed = false;
    }
}

/// A room's people in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Statistics {
    /// Everybody who was ever in.
    pub total: usize,
    /// Those who are in now.
    pub active: usize,
    /// Rescuers with an account, ever.
    pub registered_rescuers: usize,
    /// Rescuers without one, ever.
    pub anonymous_rescuers: usize,
    /// Mean time spent, in seconds; 0 when there was nobody.
    pub average_seconds: f64,
}

impl Statistics {
    /// Counts `people` as of `now`.
    pub fn of<'a>(people: impl Iterator<Item = &'a Participant>, now: Timestamp) -> Self {
        let mut stats = Self::default();
        let mut spent = 0.0;
        for person in people {
            stats.total += 1;
            stats.active += usize::from(person.is_active());
            stats.registered_rescuers += usize::from(person.user_type == UserType::Rescuer);
            stats.anonymous_rescuers += usize::from(person.user_type == UserType::AnonRescuer);
            spent += person.time_spent(now).as_secs_f64();
        }
        if stats.total > 0 {
            #[expect(clippy::cast_precision_loss, reason = "a mean over fewer than 2^52 people")]
            let count = stats.total as f64;
            stats.average_seconds = spent / count;
        }
        stats
    }
}
