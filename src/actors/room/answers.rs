//! Questions to a room, answered as of the last durable event.

use super::actor::RoomActor;
use super::glimpse::Glimpse;
use super::messages::{Look, RoomView};
use crate::actors::error::CommandError;
use crate::actors::session::SessionShared;
use crate::bus::{News, Topic};
use crate::delivery::{Signal, SignalKey};
use crate::domain::ids::ParticipantId;
use crate::domain::people::Identity;
use crate::domain::room::{Rejection, RoomKind, Standing};
use crate::wire::incident;
use crate::wire::json::{ServerMessage, UserView};

impl RoomActor {
    pub(super) fn answer(&mut self, look: Look) {
        match look {
            Look::View { who, to, .. } => {
                let _ = to.send(self.view(who.as_deref()));
            }
            Look::Glance(identity, ask) => ask.put(self.glimpse(identity.as_deref())),
            Look::Broadcaster(identity, to) => {
                let _ = to.send(self.broadcaster(&identity));
            }
            Look::Emergency(to) => {
                let state = &self.core.state;
                let _ = to.send((state.emergency.clone(), state.emergencies));
            }
            Look::LinksSettled(to) => self.link_waiters.push(to),
            Look::Users(session) => self.tell_users(&session),
            Look::Typing { session, on, name } => self.tell_typing(&session, on, name),
        }
    }

    fn glimpse(&self, identity: Option<&Identity>) -> Result<Glimpse<'_>, CommandError> {
        let stale_after = self.node.settings.stale_after;
        Glimpse::of(&self.core, identity, stale_after, self.node.now())
    }

    fn view(&self, identity: Option<&Identity>) -> Result<Box<RoomView>, CommandError> {
        Ok(Box::new(self.glimpse(identity)?.view()))
    }

    fn broadcaster(&self, identity: &Identity) -> Result<Option<ParticipantId>, CommandError> {
        let state = &self.core.state;
        let known = self.core.people.find(&identity.subject);
        if !state.exists() {
            return Err(Rejection::NotFound.into());
        }
        if let Some(who) = known.filter(|who| state.shows_position_of(*who)) {
            return Ok(Some(who));
        }
        let owner = known.is_some() && known == state.owner;
        let belongs = owner || self.core.standing(identity) == Standing::Contact;
        if state.kind == Some(RoomKind::Circle) && belongs && identity.may_enter(&self.id) {
            Ok(None)
        } else {
            Err(CommandError::MayNotBroadcast)
        }
    }

    /// Told to the others, on this node and on those where somebody sits.
    fn tell_typing(&self, session: &SessionShared, on: bool, name: Option<String>) {
        let Some(seat) = self.shared.seat(session.id()) else {
            return;
        };
        let who = seat.participant;
        let known = || self.core.people.get(who)?.name.clone();
        let name = name.or_else(known);
        self.say_typing(who, on, name.as_deref());
        if self.clustered {
            let room = self.id.clone();
            let news = News::Typing { room, who, on, name };
            self.node.bus.publish(Topic::Room(self.id.clone()), news);
        }
    }

    /// Told to those who sit here; the newest of each is enough.
    pub(super) fn say_typing(&self, who: ParticipantId, on: bool, name: Option<&str>) {
        let versions = self.versions(None, || incident::typing(&self.id, who, on, name));
        if versions.is_empty() {
            return;
        }
        let key = SignalKey {
            room: self.shared.number(),
            // Beside where they are, which is under their own number.
            subject: !who.bits(),
        };
        let origin = who.bits();
        self.audience.send_signals(&[Signal {
            key,
            origin,
            versions,
        }]);
    }

    fn tell_users(&self, session: &SessionShared) {
        let now = self.node.now();
        if !self.is_seated(session.id()) {
            session.error(&CommandError::Rejected(Rejection::NotIn), now);
            return;
        }
        let users: Vec<UserView<'_>> = self
            .core
            .state
            .active_participants()
            .map(|(who, _)| self.user_view(who))
            .collect();
        let message = ServerMessage::RoomUsers {
            room: &self.id,
            users: &users,
        };
        session.send(&message, now);
    }

    pub(super) fn user_view(&self, who: ParticipantId) -> UserView<'_> {
        match self.core.people.get(who) {
            Some(person) => UserView::of(person, self.core.phone_visible(who)),
            None => UserView::unknown(who),
        }
    }
}
