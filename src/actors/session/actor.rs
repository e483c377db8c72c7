//! The actor of one connection: reads what the client says, hands it on, and never waits for a room.

use std::sync::Arc;
use std::time::Instant;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, StreamHandler, WrapFuture};

use super::shared::SessionShared;
use crate::actors::area::WatcherId;
use crate::actors::node::Node;
use crate::actors::room::{Act, By, Manner, Reply};
use crate::delivery::{CloseReason, Outbox};
use crate::domain::ids::RoomId;
use crate::domain::people::Identity;
use crate::domain::room::{Command, UserType};
use crate::store::StoreError;
use crate::transport::{Inbound, Message};
use crate::wire::json::ServerMessage;

/// The most circles that a contact is brought into when they connect.
const AUTO_JOIN_MAX: usize = 200;

/// One connection.
pub struct SessionActor {
    pub(super) node: Arc<Node>,
    pub(super) shared: Arc<SessionShared>,
    pub(super) batcher: crate::actors::batcher::Batchers,
    pub(super) watching: Option<WatcherId>,
    tokens: f32,
    refilled: Instant,
    /// Runs when the session has ended: gives back what was counted for it.
    _guard: Box<dyn std::any::Any + Send>,
}

impl SessionActor {
    /// Starts the session of a connection on this thread. `guard` is dropped when it ends.
    pub fn start(
        node: &Arc<Node>,
        batcher: &crate::actors::batcher::Batchers,
        identity: Arc<Identity>,
        outbox: Arc<Outbox>,
        inbound: Inbound,
        guard: Box<dyn std::any::Any + Send>,
    ) {
        let settings = &node.settings;
        let clock = Arc::clone(&node.clock);
        let shared = SessionShared::new(identity, outbox, clock, settings.session_rooms_max);
        #[expect(clippy::cast_precision_loss, reason = "a burst is small")]
        let tokens = settings.messages_burst as f32;
        let actor = Self {
            node: Arc::clone(node),
            shared,
            batcher: batcher.clone(),
            watching: None,
            tokens,
            refilled: Instant::now(),
            _guard: guard,
        };
        Self::create(|ctx| {
            ctx.set_mailbox_capacity(1);
            ctx.add_stream(inbound);
            actor
        });
    }

    /// Says who they are, and brings a contact into the circles that list them.
    fn connect(&mut self, ctx: &mut Context<Self>) {
        let (node, shared) = (Arc::clone(&self.node), Arc::clone(&self.shared));
        let greeting = async move {
            let identity = Arc::clone(shared.identity());
            let memberships = node.memberships.get(&identity.subject).await?;
            let rooms: Vec<RoomId> = memberships
                .iter()
                .map(|membership| membership.room.clone())
                .collect();
            let client_id = shared.client_id();
            let connected = ServerMessage::Connected {
                client_id: &client_id,
                user: &identity,
                rooms: &rooms,
                session_id: &client_id,
            };
            shared.send(&connected, node.now());
            // Only now: `connected` is the first thing they hear.
            node.directory.add(&shared);
            let Some(phone) = identity.phone.as_ref().filter(|_| identity.mission.is_none()) else {
                return Ok(());
            };
            let mut joined = Vec::new();
            for circle in node.store.circles_listing(phone, AUTO_JOIN_MAX).await? {
                let user_type = match identity.role {
                    crate::domain::people::Role::Rescuer => UserType::Rescuer,
                    _ => UserType::Citizen,
                };
                let by = By::Person(Arc::clone(&identity), Some(Arc::clone(&shared)));
                let mut act = Act::new(by, Command::Join { user_type }, Reply::nobody());
                act.manner = Manner::Automatic;
                match node.room(&circle.room).act(act).await {
                    Ok(_) => joined.push((circle.room, circle.owner_name)),
                    Err(error) => tracing::debug!(room = %circle.room, %error, "contact was not brought in"),
                }
            }
            if !joined.is_empty() {
                shared.send(&ServerMessage::AutoJoinSummary { rooms: &joined }, node.now());
            }
            Ok::<(), StoreError>(())
        };
        ctx.wait(greeting.into_actor(self).map(|greeted, act, _| {
            if let Err(error) = greeted {
                tracing::warn!(session = %act.shared.id(), %error, "could not greet a session");
                act.shared.close(CloseReason::ServerError);
            }
        }));
    }

    /// Takes one message out of the budget; false when it is spent.
    fn spend(&mut self) -> bool {
        let settings = &self.node.settings;
        if settings.messages_per_second == 0 {
            return true;
        }
        let now = Instant::now();
        #[expect(clippy::cast_precision_loss, reason = "rates and bursts are small")]
        let (rate, burst) = (
            settings.messages_per_second as f32,
            settings.messages_burst.max(1) as f32,
        );
        self.tokens = (self.tokens + now.duration_since(self.refilled).as_secs_f32() * rate).min(burst);
        self.refilled = now;
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

impl Actor for SessionActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.connect(ctx);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.node.directory.remove(&self.shared);
        if let Some(watcher) = self.watching.take() {
            self.node.areas.unwatch(watcher);
        }
        for room in self.shared.end() {
            if let Some(room) = self.node.registry.peek(&room) {
                room.depart(self.shared.id());
            }
        }
    }
}

impl StreamHandler<Message> for SessionActor {
    fn handle(&mut self, message: Message, ctx: &mut Self::Context) {
        if !self.spend() {
            self.shared.close(CloseReason::TooManyMessages);
            return;
        }
        match message {
            Message::Text(text) => self.hear(&text, ctx),
            Message::Binary(_) => {
                let error = ServerMessage::Error {
                    code: "BAD_JSON",
                    message: "binary frames are not part of this dialect",
                    field: None,
                };
                self.shared.send(&error, self.node.now());
            }
        }
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
