//! A room as somebody may see it, looked at where it lives: a question takes away what it needs, not the room.

use std::fmt;
use std::time::Duration;

use super::core::RoomCore;
use super::messages::RoomView;
use crate::actors::error::CommandError;
use crate::domain::geo::Fix;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::people::{Identity, Named, Person};
use crate::domain::room::{Rejection, RoomState, Seq};
use crate::domain::time::Timestamp;
use crate::store::StoredRoom;

/// A room on its own thread, for as long as one question lasts. Whoever asks must not be long.
pub struct Glimpse<'a> {
    /// The state as of the last durable event; for whoever is under duress, as it is shown to them.
    pub state: &'a RoomState,
    /// The last event that the caller is shown, when that is not the last one.
    pub until: Option<Seq>,
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
    pub(super) fn of(
        core: &'a RoomCore,
        identity: Option<&Identity>,
        stale_after: Duration,
        now: Timestamp,
    ) -> Result<Self, CommandError> {
        if !core.is_shown_to(identity) {
            return Err(Rejection::NotFound.into());
        }
        let viewer = identity.and_then(|who| core.people.find(&who.subject));
        let state = core.state.seen_by(viewer);
        let until = core.state.shown_until(viewer);
        // Where people are is not shown in an incident that is over.
        let shows_positions = until.is_none() && identity.is_some_and(|who| core.shows_positions_to(who));
        Ok(Self {
            state,
            until,
            viewer,
            inside: identity.is_some_and(|who| core.is_inside(who)),
            shows_positions,
            now,
            core,
            stale_after,
        })
    }

    /// All of it, to take away.
    pub fn view(&self) -> RoomView {
        let online = self.state.active_participants().map(|(who, _)| who);
        RoomView {
            state: self.state.clone(),
            people: self.people().cloned().collect(),
            newest: self.newest().map(|(who, fix)| (who, *fix)).collect(),
            shows_positions: self.shows_positions,
            online: online
                .filter(|who| self.core.presence.is_connected(*who))
                .collect(),
            until: self.until,
            viewer: self.viewer,
            inside: self.inside,
        }
    }

    /// The record of somebody whom the room names.
    pub fn person(&self, who: ParticipantId) -> Option<&'a Person> {
        self.core.people.get(who)
    }

    /// The records of everybody it names, in no order.
    pub fn people(&self) -> impl Iterator<Item = &'a Person> + use<'a> {
        self.core.people.all()
    }

    /// Who somebody is whom a service names: in it, or known to it.
    pub fn find(&self, named: &Named) -> Option<ParticipantId> {
        match named {
            Named::Subject(subject) => self.core.people.find(subject),
            Named::Participant(who) => Some(*who).filter(|who| self.core.knows(*who)),
        }
    }

    /// Where somebody was last, however long ago, as far as the caller may see that.
    pub fn located(&self, who: ParticipantId) -> Option<&'a Fix> {
        self.core.newest.get(&who).filter(|_| self.shows_positions)
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

/// A room that is in use on another node, as an operator may see it: read, and not brought to life here.
pub fn stored_view(
    room: &RoomId,
    stored: StoredRoom,
    operator: &Identity,
    stale_after: Duration,
    now: Timestamp,
) -> Result<Box<RoomView>, CommandError> {
    let mut core = RoomCore::new(room.clone(), now);
    core.restore(stored, now);
    let glimpse = Glimpse::of(&core, Some(operator), stale_after, now)?;
    Ok(Box::new(glimpse.view()))
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
