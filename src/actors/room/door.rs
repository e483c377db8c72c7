//! The way to a room by its id, whether or not its actor runs at the moment.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::glimpse::{Ask, Glimpse};
use super::messages::{Act, Look, Outcome, Reply, RoomView, Work};
use crate::actors::error::CommandError;
use crate::actors::registry::Registry;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::people::Identity;

/// How often a room is sought that goes to rest at the very moment it is spoken to.
const SEEK_MAX: u32 = 4;

/// A room of this node, by its id.
#[derive(Clone, Copy)]
pub struct Door<'a> {
    registry: &'a Registry,
    room: &'a RoomId,
    timeout: Duration,
}

impl<'a> Door<'a> {
    pub(in crate::actors) fn new(registry: &'a Registry, room: &'a RoomId, timeout: Duration) -> Self {
        Self {
            registry,
            room,
            timeout,
        }
    }

    /// Hands work over without waiting. When it is refused, the work comes back with the reason.
    pub fn hand_over(self, mut work: Work) -> Result<(), (Work, CommandError)> {
        let mut reason = CommandError::Restarted;
        for _ in 0..SEEK_MAX {
            match self.registry.get(self.room).hand_over(work) {
                Ok(()) => return Ok(()),
                Err((back, CommandError::Restarted)) => work = back,
                Err((back, error)) => {
                    (work, reason) = (back, error);
                    break;
                }
            }
        }
        Err((work, reason))
    }

    /// Gives a command and waits for its outcome.
    ///
    /// # Errors
    /// Why it was refused, or that no answer came in time.
    pub async fn act(self, mut act: Act) -> Result<Outcome, CommandError> {
        let (to, answer) = oneshot::channel();
        act.reply = Reply::call(to);
        self.ask(Work::Act(Box::new(act)), answer).await?
    }

    /// The room as `who`, or nobody in particular, may see it.
    ///
    /// # Errors
    /// `NotFound` when there is none, or none for them.
    pub async fn view(self, who: Option<Arc<Identity>>) -> Result<Box<RoomView>, CommandError> {
        let (known, (to, answer)) = (false, oneshot::channel());
        self.ask(Work::Look(Look::View { who, known, to }), answer)
            .await?
    }

    /// The room as this node knows it and `who` may see it: other nodes may have written in this very moment.
    ///
    /// # Errors
    /// As [`Door::view`].
    pub async fn known_view(self, who: Option<Arc<Identity>>) -> Result<Box<RoomView>, CommandError> {
        let (known, (to, answer)) = (true, oneshot::channel());
        self.ask(Work::Look(Look::View { who, known, to }), answer)
            .await?
    }

    /// What `ask` finds in the room as `who` may see it.
    ///
    /// # Errors
    /// As [`Door::view`].
    pub async fn glance<T: Send + 'static>(
        self,
        who: Option<Arc<Identity>>,
        ask: impl FnOnce(&Glimpse<'_>) -> T + Send + 'static,
    ) -> Result<T, CommandError> {
        let (to, answer) = oneshot::channel();
        let ask = Ask::new(move |glimpse| {
            let _ = to.send(glimpse.map(|glimpse| ask(&glimpse)));
        });
        self.ask(Work::Look(Look::Glance(who, ask)), answer).await?
    }

    /// Who `who` is here, as somebody whose positions the room shows; `None`: they may come in by uploading.
    ///
    /// # Errors
    /// `NotFound`, or `MayNotBroadcast`.
    pub async fn broadcaster(self, who: Arc<Identity>) -> Result<Option<ParticipantId>, CommandError> {
        let (to, answer) = oneshot::channel();
        self.ask(Work::Look(Look::Broadcaster(who, to)), answer).await?
    }

    /// The emergency that stands in this circle, and how many were raised from it so far.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn emergency(self) -> Result<(Option<RoomId>, u64), CommandError> {
        let (to, answer) = oneshot::channel();
        self.ask(Work::Look(Look::Emergency(to)), answer).await
    }

    /// Waits until linked rooms have been told all there is to tell.
    ///
    /// # Errors
    /// When that took too long.
    pub async fn links_settled(self) -> Result<(), CommandError> {
        let (to, answer) = oneshot::channel();
        self.ask(Work::Look(Look::LinksSettled(to)), answer).await
    }

    async fn ask<T>(self, work: Work, answer: oneshot::Receiver<T>) -> Result<T, CommandError> {
        self.hand_over(work).map_err(|(_, error)| error)?;
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(CommandError::Restarted),
            Err(_) => Err(CommandError::TimedOut),
        }
    }
}
