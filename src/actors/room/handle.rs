//! What others hold of a room.

use std::sync::Arc;

use actix::Addr;
use actix::dev::SendError;

use super::actor::RoomActor;
use super::messages::{Poke, Positions, Reload, Rest, Ticketed, Work};
use super::seats::{Inbox, RoomShared};
use crate::actors::error::CommandError;
use crate::actors::gate::{Gate, Refused};
use crate::actors::session::SessionId;
use crate::bus::{News, NodeId};
use crate::domain::geo::Fix;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::people::Subject;

/// A typed way to one room. Every message is refused when too many wait, or conflated; none is unbounded.
#[derive(Debug)]
pub struct RoomHandle {
    id: RoomId,
    shared: Arc<RoomShared>,
    gate: Arc<Gate>,
    addr: Addr<RoomActor>,
}

impl RoomHandle {
    pub(in crate::actors) fn new(
        id: RoomId,
        shared: Arc<RoomShared>,
        gate: Arc<Gate>,
        addr: Addr<RoomActor>,
    ) -> Self {
        Self {
            id,
            shared,
            gate,
            addr,
        }
    }

    /// The room.
    pub fn id(&self) -> &RoomId {
        &self.id
    }

    /// What outlives the actor.
    pub fn shared(&self) -> &Arc<RoomShared> {
        &self.shared
    }

    /// Whether the actor runs and takes messages.
    pub fn is_alive(&self) -> bool {
        self.addr.connected() && !self.gate.is_closed()
    }

    /// How many messages wait.
    pub fn waiting(&self) -> usize {
        self.gate.inside()
    }

    /// Hands work over without waiting. When it is refused, the work comes back with the reason.
    pub fn hand_over(&self, work: Work) -> Result<(), (Work, CommandError)> {
        let permit = match self.gate.enter() {
            Ok(permit) => permit,
            Err(Refused::Full) => return Err((work, CommandError::Busy)),
            Err(Refused::Closed) => return Err((work, CommandError::Restarted)),
        };
        self.addr
            .try_send(Ticketed { work, permit })
            .map_err(|error| match error {
                SendError::Full(message) => (message.work, CommandError::Busy),
                SendError::Closed(message) => (message.work, CommandError::Restarted),
            })
    }

    /// Shows positions. Given back when the room is too busy: keep the newest of each subject and try again.
    ///
    /// # Errors
    /// The positions.
    pub fn show(&self, fixes: Vec<(ParticipantId, Fix)>) -> Result<(), Vec<(ParticipantId, Fix)>> {
        self.addr
            .try_send(Positions(fixes))
            .map_err(|error| error.into_inner().0)
    }

    /// A session has ended.
    pub fn depart(&self, session: SessionId) {
        if self.shared.depart(session) {
            // If its mailbox is full, the room looks when it comes to the next message.
            let _ = self.addr.try_send(Poke);
        }
    }

    /// Somebody else has written the room's log or records. False: too much waits before it, ask again.
    #[must_use]
    pub fn reload(&self) -> bool {
        !matches!(self.addr.try_send(Reload), Err(SendError::Full(_)))
    }

    /// Somebody was erased: the room forgets who they were before it says anything else.
    pub fn forget(&self, subject: Subject) {
        self.shared.forget(subject);
        // If its mailbox is full, the room looks when it comes to the next message.
        let _ = self.addr.try_send(Poke);
    }

    /// Another node said something about the room. False: there was no room for it, and the room looks into the
    /// store instead.
    pub(in crate::actors) fn hear(&self, from: NodeId, news: News) -> bool {
        let mut fits = true;
        self.leave(|inbox| fits = inbox.hear(from, news));
        fits
    }

    /// Something about the room may not have been heard.
    pub(in crate::actors) fn missed(&self) {
        self.leave(|inbox| inbox.missed = true);
    }

    /// What is said of the room is heard from now on.
    pub(in crate::actors) fn listening(&self) {
        self.leave(|inbox| inbox.listening = true);
    }

    /// Nodes came or went.
    pub(in crate::actors) fn census(&self) {
        self.leave(|inbox| inbox.census = true);
    }

    fn leave(&self, put: impl FnOnce(&mut Inbox)) {
        // If its mailbox is full, the room looks when it comes to the next message.
        if self.shared.leave(put) && self.addr.try_send(Poke).is_err() {
            self.shared.not_called();
        }
    }

    /// Asks a room to note what deadlines hang on, and to leave memory when it is not in use.
    pub fn rest(&self) {
        let _ = self.addr.try_send(Rest);
    }
}
