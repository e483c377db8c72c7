//! A bus inside one process, for tests and benches: a hub that joins several engines, and does to their messages what
//! networks do.

mod faults;
mod hub;

use std::sync::Arc;

pub use faults::Faults;
pub use hub::Hub;

use super::contract::{Bus, Health, Listener, Peer, Vitals};
use super::news::{News, NodeId, Topic};

/// One node's end of a hub.
pub struct LocalBus {
    node: NodeId,
    hub: Arc<Hub>,
}

impl LocalBus {
    pub(super) fn new(node: NodeId, hub: Arc<Hub>) -> Arc<Self> {
        Arc::new(Self { node, hub })
    }
}

impl Bus for LocalBus {
    fn node(&self) -> NodeId {
        self.node
    }

    fn attach(&self, listener: Arc<dyn Listener>) {
        self.hub.attach(self.node, listener);
    }

    fn publish(&self, topic: Topic, news: News) {
        self.hub.publish(self.node, topic, &news);
    }

    fn subscribe(&self, topic: Topic) {
        self.hub.subscribe(self.node, topic);
    }

    fn unsubscribe(&self, topic: &Topic) {
        self.hub.unsubscribe(self.node, topic);
    }

    fn health(&self) -> Health {
        self.hub.health(self.node)
    }

    fn beat(&self, vitals: Vitals) {
        self.hub.beat(self.node, vitals);
    }

    fn nodes(&self) -> Arc<[Peer]> {
        self.hub.nodes(self.node)
    }
}

#[cfg(test)]
mod tests {
    use super::super::contract_tests::{Harness, bus_contract};
    use super::*;

    struct Local(Arc<Hub>);

    impl Harness for Local {
        async fn start() -> Self {
            Self(Hub::start())
        }

        async fn join(&mut self) -> Arc<dyn Bus> {
            self.0.join()
        }

        async fn kill(&mut self, node: NodeId) {
            self.0.kill(node);
        }

        async fn cut(&mut self) {
            self.0.cut_all();
        }

        async fn mend(&mut self) {
            self.0.mend_all();
        }
    }

    bus_contract!(local, Local);
}
