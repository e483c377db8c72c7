//! What the layers above hold: one handle to everything that a node can be asked for.

mod alerts;
mod conduct;
mod privacy;
mod queries;
pub mod raise;
mod services;
mod start;
mod trips;

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::oneshot;

pub use conduct::{BlockError, ReportError};
pub use privacy::{Erasure, Own};
pub use queries::{Part, RoomInfo, RoomInfos, earlier};
pub use services::{NewSos, PassedOn, ServiceError, role_of};
pub use start::Parts;
pub use trips::{FoundTrip, NewTrip, TripError, TripInfo};

use super::batcher::{Batchers, Upload};
use super::clock::random;
use super::error::CommandError;
use super::janitor::Janitor;
use super::node::Node;
use super::pass::Pass;
use super::room::{Act, By, Glimpse, Manner, Outcome, Reply, RoomView};
use super::session::{Credential, SessionActor};
use crate::delivery::Outbox;
use crate::domain::geo::Fix;
use crate::domain::ids::RoomId;
use crate::domain::incident::Report;
use crate::domain::people::Identity;
use crate::domain::room::{Command, Genesis, Rejection, RoomKind, UserType};
use crate::domain::scopes::Scope;
use crate::store::{IdempotencyKey, Membership};
use crate::transport::Inbound;

/// A node's engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    node: Arc<Node>,
    batchers: Batchers,
    /// Until it is started.
    janitor: Arc<Mutex<Option<Janitor>>>,
}

/// An incident that was created, or found by its idempotency key.
#[derive(Clone, Debug)]
pub struct Created {
    /// The incident.
    pub sos: RoomId,
    /// It stood before: this is the answer to a retry.
    pub repeated: bool,
}

impl Engine {
    /// The node, for those who report on it.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// The way of positions.
    pub fn batchers(&self) -> &Batchers {
        &self.batchers
    }

    /// Uploads that wait in the batcher.
    pub fn uploads_waiting(&self) -> usize {
        self.batchers.waiting()
    }

    /// Takes a connection: its session runs on this thread until it ends, then `guard` is dropped. `pass` says what it may cost. When the
    /// credential ends, so does the session.
    pub fn connect(
        &self,
        credential: Credential,
        outbox: Arc<Outbox>,
        inbound: Inbound,
        guard: Box<dyn std::any::Any + Send>,
        pass: Arc<dyn Pass>,
    ) {
        SessionActor::start(
            &self.node,
            &self.batchers,
            credential,
            (outbox, inbound),
            (guard, pass),
        );
    }

    /// Creates an incident; returns once it is durable.
    ///
    /// # Errors
    /// When it could not be made durable.
    pub async fn create_sos(
        &self,
        who: &Arc<Identity>,
        mut report: Report,
        idempotency: Option<String>,
    ) -> Result<Created, CommandError> {
        let begun = Instant::now();
        self.node.saw(who);
        let room = RoomId::from_random(random());
        let key = idempotency.map(|key| IdempotencyKey {
            subject: who.subject.clone(),
            key,
        });
        // When this cannot be read, the append still knows.
        if let Some(key) = &key
            && let Ok(Some(sos)) = self.node.store.repeated(key).await
        {
            return Ok(Created { sos, repeated: true });
        }
        let (trip, guarded) =
            futures_util::future::join(self.trip_of(who, &report), self.node.has_pin(&who.subject)).await;
        report.raised_from.extend(trip);
        // An SOS does not fail because it cannot be read how it may be called off.
        report.guarded = guarded.unwrap_or(false);
        let genesis = Genesis::Incident(Box::new(report));
        let command = Command::Create {
            genesis,
            user_type: UserType::Citizen,
        };
        let mut act = Act::new(By::Person(Arc::clone(who), None), command, Reply::nobody());
        act.idempotency = key;
        self.node.registry.begin(&room);
        match self.node.room(&room).act(act).await {
            Ok(_) => {
                self.node.observer.sos_accepted(begun.elapsed());
                Ok(Created {
                    sos: room,
                    repeated: false,
                })
            }
            Err(CommandError::Repeated(sos)) => Ok(Created { sos, repeated: true }),
            Err(error) => Err(error),
        }
    }

    /// Gives a room a person's command and waits until its outcome is durable.
    ///
    /// # Errors
    /// Why it was not done.
    pub async fn act(
        &self,
        room: &RoomId,
        who: &Arc<Identity>,
        command: Command,
        display_name: Option<String>,
    ) -> Result<Outcome, CommandError> {
        let mut act = Act::new(By::Person(Arc::clone(who), None), command, Reply::nobody());
        act.display_name = display_name;
        self.carry_out(room, who, act).await
    }

    /// Brings somebody into an incident who asks for it; a room of another kind is none. One that is not known here
    /// may be the SOS service's: that is asked first.
    ///
    /// # Errors
    /// Why they are not in.
    pub async fn join_sos(
        &self,
        sos: &RoomId,
        who: &Arc<Identity>,
        user_type: UserType,
        display_name: Option<String>,
    ) -> Result<Outcome, CommandError> {
        let mut act = Act::new(
            By::Person(Arc::clone(who), None),
            Command::Join { user_type },
            Reply::nobody(),
        );
        (act.display_name, act.manner) = (display_name, Manner::Incident);
        self.carry_out(sos, who, act).await
    }

    async fn carry_out(&self, room: &RoomId, who: &Identity, act: Act) -> Result<Outcome, CommandError> {
        self.node.saw(who);
        let outcome = self.node.room(room).act(act).await;
        if let Err(error) = &outcome
            && !matches!(error, CommandError::Rejected(_))
        {
            self.node.observer.refused(error.code());
        }
        outcome
    }

    /// A room as `who` may see it.
    ///
    /// # Errors
    /// `NotFound` when there is none, or none for them.
    pub async fn view(&self, room: &RoomId, who: &Arc<Identity>) -> Result<Box<RoomView>, CommandError> {
        self.view_as(room, Some(who)).await
    }

    /// A room as this node knows it and `who` may see it: enough for what does not change any more.
    ///
    /// # Errors
    /// As [`Engine::view`].
    pub async fn known_view(
        &self,
        room: &RoomId,
        who: &Arc<Identity>,
    ) -> Result<Box<RoomView>, CommandError> {
        self.node.room(room).known_view(Some(Arc::clone(who))).await
    }

    /// A room as somebody, or nobody in particular, may see it.
    ///
    /// # Errors
    /// `NotFound` when there is none, or none for them.
    pub async fn view_as(
        &self,
        room: &RoomId,
        who: Option<&Arc<Identity>>,
    ) -> Result<Box<RoomView>, CommandError> {
        if let Some(who) = who {
            self.node.saw(who);
        }
        self.node.room(room).view(who.cloned()).await
    }

    /// What `ask` finds in a room as somebody, or nobody in particular, may see it. It looks where the room lives and
    /// takes away what it needs only.
    ///
    /// # Errors
    /// `NotFound` when there is none, or none for them.
    pub async fn glance<T: Send + 'static>(
        &self,
        room: &RoomId,
        who: Option<&Arc<Identity>>,
        ask: impl FnOnce(&Glimpse<'_>) -> T + Send + 'static,
    ) -> Result<T, CommandError> {
        if let Some(who) = who {
            self.node.saw(who);
        }
        self.node.room(room).glance(who.cloned(), ask).await
    }

    /// Takes fixes of `who`, for one room or for all that they are in. Returns once what history keeps of
    /// them is durable, with the rooms they went to.
    ///
    /// # Errors
    /// When there is no room for them, the room is not theirs, or too much waits.
    pub async fn upload(
        &self,
        who: &Arc<Identity>,
        room: Option<&RoomId>,
        fixes: SmallVec<[Fix; 1]>,
    ) -> Result<Vec<RoomId>, CommandError> {
        let limit = self.node.now() + self.node.settings.locations.max_ahead;
        if fixes.iter().any(|fix| fix.at > limit) {
            return Err(CommandError::FromTheFuture);
        }
        self.node.saw(who);
        let targets = self.targets(who, room).await?;
        let rooms = targets.iter().map(|target| target.room.clone()).collect();
        let (reply, answer) = oneshot::channel();
        let upload = Upload::durable(who.subject.clone(), targets, fixes, reply);
        self.deliver(upload, answer).await.map(|()| rooms)
    }

    /// Hands fixes to the batcher, and waits until what history keeps of them is on disk.
    async fn deliver(
        &self,
        upload: Upload,
        answer: oneshot::Receiver<Result<(), CommandError>>,
    ) -> Result<(), CommandError> {
        self.batchers.offer(upload)?;
        match tokio::time::timeout(self.node.settings.command_timeout, answer).await {
            Ok(Ok(kept)) => kept,
            Ok(Err(_)) => Err(CommandError::Restarted),
            Err(_) => Err(CommandError::TimedOut),
        }
    }

    async fn targets(
        &self,
        who: &Arc<Identity>,
        room: Option<&RoomId>,
    ) -> Result<Arc<[Membership]>, CommandError> {
        who.allows(Scope::PositionsWrite).map_err(Rejection::OutOfScope)?;
        let all = self.node.memberships.get(&who.subject).await?;
        // A credential that is bound to one incident speaks in no other room.
        let mine = |target: &&Membership| target.takes_positions() && who.may_enter(&target.room);
        let all = if all.iter().all(|target| mine(&target)) {
            all
        } else {
            all.iter().filter(mine).cloned().collect()
        };
        let Some(room) = room else {
            return if all.is_empty() {
                Err(CommandError::NoActiveRoom)
            } else {
                Ok(all)
            };
        };
        if !who.may_enter(room) {
            return Err(CommandError::MayNotBroadcast);
        }
        if let Some(one) = all.iter().find(|membership| membership.room == *room) {
            return Ok(Arc::from([one.clone()]));
        }
        let participant = match self.node.room(room).broadcaster(Arc::clone(who)).await? {
            Some(participant) => participant,
            // An owner or contact need not be connected: they come in by uploading.
            None => {
                let command = Command::Join {
                    user_type: UserType::Citizen,
                };
                let outcome = self.act(room, who, command, None).await?;
                outcome.participant.ok_or(CommandError::MayNotBroadcast)?
            }
        };
        Ok(Arc::from([Membership {
            room: room.clone(),
            kind: RoomKind::Circle,
            participant,
            is_owner: false,
        }]))
    }
}
