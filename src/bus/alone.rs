//! The bus of a node that is alone: nothing travels.

use std::sync::Arc;

use parking_lot::Mutex;

use super::contract::{Bus, Health, Listener, Peer, Vitals};
use super::news::{News, NodeId, Topic};

/// One node.
#[derive(Debug)]
pub struct Alone {
    node: NodeId,
    vitals: Mutex<Vitals>,
}

impl Alone {
    /// The bus of a node that is called `node`.
    pub fn new(node: NodeId) -> Arc<Self> {
        Arc::new(Self {
            node,
            vitals: Mutex::default(),
        })
    }
}

impl Bus for Alone {
    fn node(&self) -> NodeId {
        self.node
    }

    fn attach(&self, _: Arc<dyn Listener>) {}

    fn publish(&self, _: Topic, _: News) {}

    fn subscribe(&self, _: Topic) {}

    fn unsubscribe(&self, _: &Topic) {}

    fn health(&self) -> Health {
        Health::Alone
    }

    fn beat(&self, vitals: Vitals) {
        *self.vitals.lock() = vitals;
    }

    fn nodes(&self) -> Arc<[Peer]> {
        let (node, vitals) = (self.node, *self.vitals.lock());
        Arc::new([Peer { node, vitals }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_is_alone_knows_itself_and_says_so() {
        let bus = Alone::new(NodeId::from_bits(7));
        let vitals = Vitals {
            connections: 3,
            ..Vitals::default()
        };
        bus.beat(vitals);
        let node = NodeId::from_bits(7);
        assert_eq!(
            (bus.health(), &*bus.nodes()),
            (Health::Alone, &[Peer { node, vitals }][..])
        );
    }
}
