//! A room as somebody may see it, looked at where it lives: a question takes away what it needs, not the room.

use std::fmt;
use std::time::Duration;

use super::core::RoomCore;
use crate::actors::error::CommandError;
use crate::domain::geo::Fix;
use crate::domain::ids::ParticipantId;
use crate::domain::people::Person;
use crate::domain::room::RoomState;
use crate::domain::time::Timestamp;

/// A room on its own thread, for as long as one question lasts. Whoever asks must not be long.
pub struct Glimpse<'a> {
    /// The state as of the last durable event.
    pub state: &'a RoomState,
    /// Who the caller is in it.
    pub viewer: Option<ParticipantId>,
    /// The caller may see what only participants and staff see.
    pub inside: bool,
    /// The caller may see where people are.
    pub shows_positions: bool,
    /// What time it is.
    pub now: Timestamp,
    pub(super) core: &'a RoomCore,
    pub(super) stale_after: Duration,
}

impl<'a> Glimpse<'a> {
    /// The record of somebody whom the room names.
    pub fn person(&self, who: ParticipantId) -> Option<&'a Person> {
        self.core.people.get(who)
    }

    /// The records of everybody it names, in no order.
    pub fn people(&self) -> impl Iterator<Item = &'a Person> + use<'a> {
        self.core.people.all()
    }

    /// Where each was last, as far as the caller may see that; in no order.
    pub fn newest(&self) -> impl Iterator<Item = (ParticipantId, &'a Fix)> + use<'a> {
        let newest = self.core.present_positions(self.stale_after, self.now);
        newest.filter({
            let shown = self.shows_positions;
            move |_| shown
        })
    }
}

type Question = dyn FnOnce(Result<Glimpse<'_>, CommandError>) + Send;

/// What somebody wants to know of a room.
pub struct Ask(Box<Question>);

impl Ask {
    pub(super) fn new(ask: impl FnOnce(Result<Glimpse<'_>, CommandError>) + Send + 'static) -> Self {
        Self(Box::new(ask))
    }

    pub(super) fn put(self, glimpse: Result<Glimpse<'_>, CommandError>) {
        (self.0)(glimpse);
    }
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ask(…)")
    }
}
