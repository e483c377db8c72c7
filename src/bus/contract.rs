//! What every bus promises. One test suite holds every implementation to it (`contract_tests`).

use std::sync::Arc;

use super::board::{Board, NoBoard};
use super::news::{News, NodeId, Topic};
use super::order::Order;

/// How the way to the other nodes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// There are no others: this node is alone by its settings.
    Alone,
    /// Messages go and come.
    Connected,
    /// They do not: this node serves its own members, and catches up from the store later.
    Away,
}

/// What a node tells of itself with every heartbeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    /// Connections that it holds.
    pub connections: u64,
    /// Rooms in use on it.
    pub rooms: u64,
    /// It is on its way out.
    pub draining: bool,
}

/// A node that is alive, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Which.
    pub node: NodeId,
    /// What it told last.
    pub vitals: Vitals,
}

/// Carries news between nodes. No call waits; what is queued is bounded, and what does not fit is dropped and counted.
///
/// What could not be said, because the way was closed or too much waited, is made up for as soon as the way is open:
/// by [`News::Missed`] on its topic, or, when that concerns more topics than can be remembered, on
/// [`Topic::Everyone`], where it stands for all of them.
pub trait Bus: Send + Sync + 'static {
    /// Who this node is to the others.
    fn node(&self) -> NodeId;

    /// Begins to deliver to `listener`; until then nothing is heard. The first call counts. The listener is called on
    /// a few threads of the bus: news of one topic one after another, in the order in which they arrived.
    /// [`Topic::Everyone`] is listened to from now on without being asked for.
    fn attach(&self, listener: Arc<dyn Listener>);

    /// Tells the other nodes that listen to `topic`. Never delivered to this node itself.
    fn publish(&self, topic: Topic, news: News);

    /// Listens to a topic. Every call is answered by [`Listener::listening`] once the topic is listened to, also
    /// when it has been for long.
    fn subscribe(&self, topic: Topic);

    /// Listens no more, after a grace time in which `subscribe` takes it back.
    fn unsubscribe(&self, topic: &Topic);

    /// Where the nodes put things for each other.
    fn board(&self) -> Arc<dyn Board> {
        Arc::new(NoBoard)
    }

    /// The one order of what happens on all nodes; `None`: each node has its own.
    fn order(&self) -> Option<Arc<dyn Order>> {
        None
    }

    /// How the way to the others is. Costs next to nothing.
    fn health(&self) -> Health;

    /// A heartbeat: this node lives, and is like this.
    fn beat(&self, vitals: Vitals);

    /// The nodes that are alive in the order of their ids, this one among them, from memory. One that died is gone
    /// from here within a few heartbeats. While the way is closed: as they were before.
    fn nodes(&self) -> Arc<[Peer]>;
}

/// Who hears the news on a node. Must return soon: it hands things on.
pub trait Listener: Send + Sync + 'static {
    /// Another node said something.
    fn hear(&self, from: NodeId, topic: &Topic, news: News);

    /// These topics are listened to from now on: what was said before this may not have been heard. Called for each
    /// subscription, and again, in slices, whenever news of a topic may have been lost on their way in: after the
    /// bus was away, and when too much waited here.
    fn listening(&self, topics: &[Topic]);
}
