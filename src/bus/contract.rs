//! What every bus promises. One test suite holds every implementation to it.

use std::sync::Arc;

use super::news::{News, NodeId, Topic};

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

/// Carries news between nodes. No call waits; what is queued is bounded, and what does not fit is dropped and counted.
pub trait Bus: Send + Sync + 'static {
    /// Who this node is to the others.
    fn node(&self) -> NodeId;

    /// Begins to deliver to `listener`; until then nothing is heard. The first call counts. The listener is called on
    /// a few threads of the bus: news of one topic one after another, in the order in which they arrived.
    fn attach(&self, listener: Arc<dyn Listener>);

    /// Tells the other nodes that listen to `topic`. Never delivered to this node itself.
    fn publish(&self, topic: Topic, news: News);

    /// Listens to a topic. Already listened to: nothing happens.
    fn subscribe(&self, topic: Topic);

    /// Listens no more, after a grace time in which `subscribe` takes it back.
    fn unsubscribe(&self, topic: &Topic);

    /// How the way to the others is.
    fn health(&self) -> Health;
}

/// Who hears the news on a node. Must return soon: it hands things on.
pub trait Listener: Send + Sync + 'static {
    /// Another node said something.
    fn hear(&self, from: NodeId, topic: &Topic, news: News);

    /// A topic is listened to from now on: what was said before this was not heard. Called for each subscription,
    /// and for all of them again after the bus was away, in slices.
    fn listening(&self, topics: &[Topic]);
}
