//! The bus over Redis: an actor that speaks and listens for its node.
//!
//! [`RedisBus`] is the handle that the others hold: what they publish, wish to hear and want to know never waits for
//! Redis. The [actor](actor::RedisBridge) has a thread of its own and does what waits: it sends in pipelines, asks for
//! subscriptions in batches, and says in each heartbeat that this node lives. News come in on the threads of
//! [`Inbound`].

mod actor;
mod hearing;
mod heartbeat;
mod listening;
mod speaking;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use actix::{Actor, ArbiterHandle};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, oneshot};

use crate::actors::clock::{Clock, SystemClock, random};
use crate::bus::redis::{
    BoardSettings, Channels, Connection, Inbound, InboundCounts, Options, OrderSettings, Outbound,
    OutboundLimits, RedisBoard, RedisOrder, Subscriptions,
};
use crate::bus::{Board, Bus, Health, Listener, News, NodeId, Order, Peer, Topic, Vitals};

/// How long the last messages have to leave when the process ends.
const FAREWELL: Duration = Duration::from_secs(1);
/// How often it is looked whether they have.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What the bridge goes by.
#[derive(Clone, Debug)]
pub struct BridgeSettings {
    /// Where Redis is and how long it is waited for.
    pub redis: Options,
    /// The limits of what waits to be said.
    pub outbound: OutboundLimits,
    /// Messages in one pipeline.
    pub flush_max: usize,
    /// How long messages are collected while a pipeline is on its way.
    pub flush_after: Duration,
    /// Threads that call the listener.
    pub threads: usize,
    /// Messages that wait for one of them.
    pub inbound_max: usize,
    /// Topics that are asked for at once.
    pub batch_max: usize,
    /// How long a topic that nobody wants is still listened to.
    pub grace: Duration,
    /// What the nodes put where all can read it.
    pub board: BoardSettings,
    /// The order of what happens on all nodes.
    pub order: OrderSettings,
    /// How often this node says that it lives.
    pub heartbeat: Duration,
    /// A node that says nothing for this long is gone.
    pub fades_after: Duration,
}

/// Why there is no bus.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// The system gives no thread.
    #[error("bus: no thread to be had: {0}")]
    Thread(#[from] std::io::Error),
    /// The thread that was to run it has ended.
    #[error("bus: the thread that was to run it has ended")]
    NoArbiter,
}

/// What the handle and the actor share.
struct Shared {
    node: NodeId,
    settings: BridgeSettings,
    channels: Channels,
    /// For commands and what is said.
    commands: Connection,
    /// For what is heard: neither waits for the other.
    hearing: Connection,
    outbound: Outbound,
    wishes: Arc<Subscriptions>,
    inbound: Arc<Inbound>,
    /// Whether somebody hears: only then is anything asked for.
    attached: (AtomicBool, Notify),
    vitals: Mutex<Vitals>,
    beat: Notify,
    roster: RwLock<Arc<[Peer]>>,
    /// Messages that Redis has taken.
    said: AtomicU64,
    /// Pipelines that carried them.
    pipelines: AtomicU64,
    /// Messages on their way now.
    on_the_way: AtomicU64,
    alive: AtomicBool,
    closing: AtomicBool,
    /// Times that the actor died and was started again.
    revived: AtomicU64,
}

/// The bus of a node in a cluster.
pub struct RedisBus {
    shared: Arc<Shared>,
    board: Arc<RedisBoard>,
    order: Arc<RedisOrder>,
}

/// What the bus has done, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Messages that Redis has taken, and the pipelines that carried them.
    pub said: (u64, u64),
    /// Messages not said for want of room or of Redis, and those that were too large.
    pub lost: (u64, u64),
    /// Messages that wait to be said, and how many may.
    pub outbound: (usize, usize),
    /// Messages that wait to be heard, and how many may.
    pub inbound: (usize, usize),
    /// Topics that are wanted, and those of them that are listened to.
    pub topics: (usize, usize),
    /// Nodes that are alive.
    pub nodes: usize,
    /// Times that the actor died and was started again.
    pub revived: u64,
}

impl RedisBus {
    /// Starts the bridge on `arbiter`, which must live as long as the bus. Redis need not be there yet.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub async fn start(
        node: NodeId,
        settings: BridgeSettings,
        arbiter: ArbiterHandle,
    ) -> Result<Arc<Self>, BridgeError> {
        let inbound = Inbound::start(node, settings.threads, settings.inbound_max)?;
        let (built, shared) = oneshot::channel();
        let again = arbiter.clone();
        // The connections live on the arbiter's own runtime.
        arbiter.spawn_fn(move || {
            let shared = Arc::new(Shared::new(node, settings, Arc::new(inbound)));
            let board = RedisBoard::start(
                shared.commands.clone(),
                shared.channels.clone(),
                shared.settings.board.clone(),
                || SystemClock.now(),
            );
            let order = RedisOrder::start(
                shared.commands.clone(),
                &shared.channels,
                shared.settings.order.clone(),
                u64::from_be_bytes(random()),
            );
            let _ = built.send((Arc::clone(&shared), board, order));
            actor::RedisBridge::new(shared, again).start();
        });
        let (shared, board, order) = shared.await.map_err(|_| BridgeError::NoArbiter)?;
        Ok(Arc::new(Self { shared, board, order }))
    }

    /// The connection for commands, which all may use.
    pub fn connection(&self) -> &Connection {
        &self.shared.commands
    }

    /// The connection by which news are heard.
    pub fn hearing(&self) -> &Connection {
        &self.shared.hearing
    }

    /// How channels and keys are named.
    pub fn channels(&self) -> &Channels {
        &self.shared.channels
    }

    /// Says what still waits, then goodbye, so that the others need not wait for this node to fade.
    pub async fn close(&self) {
        let shared = &self.shared;
        let until = Instant::now() + FAREWELL;
        let busy = || !shared.outbound.is_empty() || shared.on_the_way.load(Relaxed) > 0;
        while busy() && self.health() == Health::Connected && Instant::now() < until {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.order.settle().await;
        shared.closing.store(true, Relaxed);
        heartbeat::farewell(shared).await;
    }

    /// What it has done so far.
    pub fn observe(&self) -> Observed {
        let shared = &self.shared;
        Observed {
            said: (shared.said.load(Relaxed), shared.pipelines.load(Relaxed)),
            lost: shared.outbound.losses(),
            outbound: (shared.outbound.len(), shared.settings.outbound.messages_max),
            inbound: shared.inbound.depth(),
            topics: shared.wishes.count(),
            nodes: shared.roster.read().len(),
            revived: shared.revived.load(Relaxed),
        }
    }

    /// What became of what arrived so far.
    pub fn heard(&self) -> &InboundCounts {
        self.shared.inbound.counts()
    }
}

impl Shared {
    /// Opens the connections. Needs the runtime on which they are to live.
    fn new(node: NodeId, settings: BridgeSettings, inbound: Arc<Inbound>) -> Self {
        let channels = Channels::new(settings.redis.address.database());
        let wishes = Arc::new(Subscriptions::new(settings.grace));
        let push = hearing::push(channels.clone(), Arc::clone(&wishes), Arc::clone(&inbound));
        let me = Peer {
            node,
            vitals: Vitals::default(),
        };
        Self {
            node,
            commands: Connection::open(settings.redis.clone()),
            hearing: Connection::hearing(settings.redis.clone(), push),
            outbound: Outbound::new(node, settings.outbound),
            channels,
            wishes,
            inbound,
            attached: (AtomicBool::new(false), Notify::new()),
            vitals: Mutex::default(),
            beat: Notify::new(),
            roster: RwLock::new(Arc::new([me])),
            said: AtomicU64::new(0),
            pipelines: AtomicU64::new(0),
            on_the_way: AtomicU64::new(0),
            alive: AtomicBool::new(true),
            closing: AtomicBool::new(false),
            revived: AtomicU64::new(0),
            settings,
        }
    }

    fn health(&self) -> Health {
        let both = [self.commands.health(), self.hearing.health()];
        if self.alive.load(Relaxed) && both == [Health::Connected; 2] {
            Health::Connected
        } else {
            Health::Away
        }
    }
}

impl Bus for RedisBus {
    fn node(&self) -> NodeId {
        self.shared.node
    }

    fn attach(&self, listener: Arc<dyn Listener>) {
        self.shared.inbound.attach(listener);
        self.shared.attached.0.store(true, Relaxed);
        self.shared.wishes.want(Topic::Everyone);
        self.shared.attached.1.notify_one();
    }

    fn publish(&self, topic: Topic, news: News) {
        self.shared.outbound.push(topic, &news);
    }

    fn subscribe(&self, topic: Topic) {
        if self.shared.wishes.want(topic.clone()) {
            self.shared.inbound.listening(topic);
        }
    }

    fn unsubscribe(&self, topic: &Topic) {
        // Everybody's topic is this node's own wish.
        if *topic != Topic::Everyone {
            self.shared.wishes.leave(topic, Instant::now());
        }
    }

    fn health(&self) -> Health {
        self.shared.health()
    }

    fn board(&self) -> Arc<dyn Board> {
        Arc::clone(&self.board) as Arc<dyn Board>
    }

    fn order(&self) -> Option<Arc<dyn Order>> {
        Some(Arc::clone(&self.order) as Arc<dyn Order>)
    }

    fn beat(&self, vitals: Vitals) {
        *self.shared.vitals.lock() = vitals;
        self.shared.beat.notify_one();
    }

    fn nodes(&self) -> Arc<[Peer]> {
        Arc::clone(&self.shared.roster.read())
    }
}

#[cfg(test)]
mod tests;
