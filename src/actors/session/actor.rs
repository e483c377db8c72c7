//! The actor of one connection: reads what the client says, hands it on, and never waits for a room.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, StreamHandler, WrapFuture};

use super::credential::{Credential, Lease};
use super::shared::SessionShared;
use super::voice::Voice;
use futures_util::stream::{self, StreamExt};

use crate::actors::area::WatcherId;
use crate::actors::node::Node;
use crate::actors::pass::Pass;
use crate::actors::room::{Act, By, Manner, Reply};
use crate::delivery::{CloseReason, EndReason, Outbox};
use crate::domain::budget::MessageBudget;
use crate::domain::ids::RoomId;
use crate::domain::people::Role;
use crate::domain::room::{Command, UserType};
use crate::domain::time::Timestamp;
use crate::store::{ListingCircle, StoreError};
use crate::transport::{Inbound, Message};
use crate::wire::json::ServerMessage;

/// The most circles that a contact is brought into when they connect.
const AUTO_JOIN_MAX: usize = 200;
/// How many of them at a time.
const AUTO_JOIN_AT_ONCE: usize = 16;
/// What they say is heard by then at the latest.
const GREET_WITHIN: Duration = Duration::from_secs(2);

/// One connection.
pub struct SessionActor {
    pub(super) node: Arc<Node>,
    pub(super) shared: Arc<SessionShared>,
    pub(super) batcher: crate::actors::batcher::Batchers,
    pub(super) watching: Option<WatcherId>,
    pub(super) lease: Lease,
    budget: MessageBudget,
    /// When that they are here was noted last.
    noted: Timestamp,
    /// Runs when the session has ended: gives back what was counted for it.
    _guard: Box<dyn std::any::Any + Send>,
}

impl SessionActor {
    /// Starts the session of a connection on this thread. `guard` is dropped when it ends.
    pub fn start(
        node: &Arc<Node>,
        batcher: &crate::actors::batcher::Batchers,
        credential: Credential,
        (outbox, inbound): (Arc<Outbox>, Inbound),
        (guard, pass): (Box<dyn std::any::Any + Send>, Arc<dyn Pass>),
    ) {
        let settings = &node.settings;
        let clock = Arc::clone(&node.clock);
        let rooms_max = settings.session_rooms_max;
        let shared = SessionShared::new(credential.identity, (outbox, Voice::Json), clock, pass, rooms_max);
        let budget = MessageBudget::new(settings.messages_per_second, settings.messages_burst, node.now());
        let actor = Self {
            node: Arc::clone(node),
            shared,
            batcher: batcher.clone(),
            watching: None,
            lease: Lease::new(credential.expires_at, credential.judge),
            budget,
            noted: Timestamp::default(),
            _guard: guard,
        };
        Self::create(|ctx| {
            ctx.set_mailbox_capacity(1);
            ctx.add_stream(inbound);
            actor
        });
    }

    /// They are here. Worth a note now and then.
    fn note(&mut self) {
        let now = self.node.now();
        if now.since(self.noted) >= self.node.settings.devices_seen_every {
            self.noted = now;
            self.node.saw(self.shared.identity());
        }
    }

    /// Says who they are, and brings a contact into the circles that list them.
    fn connect(&mut self, ctx: &mut Context<Self>) {
        let (node, shared) = (Arc::clone(&self.node), Arc::clone(&self.shared));
        let begun = Instant::now();
        let greeting = async move {
            let identity = Arc::clone(shared.identity());
            // Not remembered: most connections never send a position.
            let memberships = node.memberships.once(&identity.subject).await?;
            let rooms: Vec<RoomId> = memberships
                .iter()
                .map(|membership| membership.room.clone())
                .filter(|room| identity.may_enter(room))
                .collect();
            let client_id = shared.client_id();
            let connected = ServerMessage::Connected {
                client_id: &client_id,
                user: &identity,
                rooms: &rooms,
                session_id: &client_id,
            };
            shared.send(&connected, node.now());
            node.observer.connected(begun.elapsed());
            // Only now: `connected` is the first thing they hear.
            node.directory.add(&shared);
            node.note_session(&shared, true);
            // Blocked while it was opened: whoever closes sessions has not seen this one.
            if node.blocks.holds(&identity.subject, node.now()) {
                shared.close(CloseReason::Forbidden);
                return Ok(());
            }
            let Some(phone) = identity.phone.as_ref().filter(|_| identity.mission.is_none()) else {
                return Ok(());
            };
            let circles = node.store.circles_listing(phone, AUTO_JOIN_MAX).await?;
            let user_type = match identity.role {
                Role::Rescuer => UserType::Rescuer,
                _ => UserType::Citizen,
            };
            let join = |circle: ListingCircle| {
                let by = By::Person(Arc::clone(&identity), Some(Arc::clone(&shared)));
                let mut act = Act::new(by, Command::Join { user_type }, Reply::nobody());
                act.manner = Manner::Automatic;
                let node = &node;
                async move {
                    let came_in = node.room(&circle.room).act(act).await;
                    came_in.is_ok().then_some((circle.room, circle.owner_name))
                }
            };
            // Some at a time, and no longer than this: whoever is greeted may have an SOS to send.
            let mut joining = stream::iter(circles)
                .map(join)
                .buffer_unordered(AUTO_JOIN_AT_ONCE);
            let mut joined = Vec::new();
            let until = tokio::time::Instant::now() + GREET_WITHIN;
            while let Ok(Some(circle)) = tokio::time::timeout_at(until, joining.next()).await {
                joined.extend(circle);
            }
            if !joined.is_empty() {
                shared.send(&ServerMessage::AutoJoinSummary { rooms: &joined }, node.now());
            }
            Ok::<(), StoreError>(())
        };
        ctx.wait(greeting.into_actor(self).map(|greeted, act, ctx| {
            if let Err(error) = greeted {
                tracing::warn!(session = %act.shared.id(), %error, "could not greet a session");
                act.shared.close(CloseReason::ServerError);
                return;
            }
            act.mind_the_end(ctx);
        }));
    }
}

impl Actor for SessionActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.node.directory.count_in();
        self.note();
        tracing::debug!(session = %self.shared.id(), role = self.shared.identity().role.as_str(), "session began");
        self.connect(ctx);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.note();
        let reason = self.shared.outbox().end_reason().map_or("left", EndReason::label);
        tracing::debug!(session = %self.shared.id(), reason, "session ended");
        self.node.directory.count_out();
        self.node.directory.remove(&self.shared);
        self.node.note_session(&self.shared, false);
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
        if !self.budget.take(self.node.now()) {
            self.shared.close(CloseReason::TooManyMessages);
            return;
        }
        self.note();
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
