//! What others hold of a room.

use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use actix::dev::SendError;
use tokio::sync::oneshot;

use super::Reply;
use super::actor::RoomActor;
use super::messages::{Act, Look, Outcome, Poke, Positions, Rest, RoomView, Ticketed, Work};
use super::seats::RoomShared;
use crate::actors::error::CommandError;
use crate::actors::gate::{Gate, Refused};
use crate::actors::session::SessionId;
use crate::domain::geo::Fix;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::people::Identity;

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

    /// Whether the actor runs.
    pub fn is_alive(&self) -> bool {
        self.addr.connected()
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

    /// Gives a command and waits for its outcome.
    ///
    /// # Errors
    /// Why it was refused, or that no answer came within `timeout`.
    pub async fn act(&self, mut act: Act, timeout: Duration) -> Result<Outcome, CommandError> {
        let (to, answer) = oneshot::channel();
        act.reply = Reply::call(to);
        self.hand_over(Work::Act(Box::new(act)))
            .map_err(|(_, error)| error)?;
        await_answer(answer, timeout).await?
    }

    /// The room as `who` may see it.
    ///
    /// # Errors
    /// `NotFound` when there is none, or none for them.
    pub async fn view(&self, who: Arc<Identity>, timeout: Duration) -> Result<Box<RoomView>, CommandError> {
        let (to, answer) = oneshot::channel();
        self.hand_over(Work::Look(Look::View(who, to)))
            .map_err(|(_, error)| error)?;
        await_answer(answer, timeout).await?
    }

    /// The emergency that stands in this circle.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn emergency(&self, timeout: Duration) -> Result<Option<RoomId>, CommandError> {
        let (to, answer) = oneshot::channel();
        self.hand_over(Work::Look(Look::Emergency(to)))
            .map_err(|(_, error)| error)?;
        await_answer(answer, timeout).await
    }

    /// Waits until linked rooms have been told all there is to tell.
    ///
    /// # Errors
    /// When that took longer than `timeout`.
    pub async fn links_settled(&self, timeout: Duration) -> Result<(), CommandError> {
        let (to, answer) = oneshot::channel();
        self.hand_over(Work::Look(Look::LinksSettled(to)))
            .map_err(|(_, error)| error)?;
        await_answer(answer, timeout).await
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

    /// Asks a room that is not in use to leave memory.
    pub fn rest(&self) {
        let _ = self.addr.try_send(Rest);
    }
}

async fn await_answer<T>(answer: oneshot::Receiver<T>, timeout: Duration) -> Result<T, CommandError> {
    match tokio::time::timeout(timeout, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(CommandError::Restarted),
        Err(_) => Err(CommandError::TimedOut),
    }
}
