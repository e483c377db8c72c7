//! Who is alive, and which rooms are whose to mind.
//!
//! Any node may host any room. But what nobody asked for (a deadline of a room that is in no memory, links that a dead
//! node has left half told) must be done by somebody, and not by everybody: each room has one living node that minds
//! it, found by rendezvous hashing, so that a node which comes or goes moves only its own share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use crate::bus::{NodeId, Peer};
use crate::domain::ids::RoomId;

/// The nodes that are alive.
pub struct Peers {
    me: NodeId,
    alive: RwLock<Arc<[Peer]>>,
    version: AtomicU64,
}

impl Peers {
    /// Only `me`, until it is told otherwise.
    pub fn new(me: NodeId) -> Self {
        let only = Peer {
            node: me,
            vitals: crate::bus::Vitals::default(),
        };
        Self {
            me,
            alive: RwLock::new(Arc::new([only])),
            version: AtomicU64::new(0),
        }
    }

    /// Takes the list that the bus has now. True when somebody came or went.
    pub fn update(&self, alive: Arc<[Peer]>) -> bool {
        let mut known = self.alive.write();
        let changed = !known.iter().map(standing).eq(alive.iter().map(standing));
        *known = alive;
        if changed {
            self.version.fetch_add(1, Ordering::Release);
        }
        changed
    }

    /// Grows whenever somebody came or went.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Who is alive, this node among them.
    pub fn alive(&self) -> Arc<[Peer]> {
        Arc::clone(&self.alive.read())
    }

    /// Whether a node is alive, as far as that is known.
    pub fn lives(&self, node: NodeId) -> bool {
        self.alive.read().iter().any(|peer| peer.node == node)
    }

    /// Whether a room is this node's to mind.
    pub fn minds(&self, room: &RoomId) -> bool {
        let alive = self.alive.read();
        // Whoever is on its way out begins nothing new, unless all are.
        let stays = alive
            .iter()
            .filter(|peer| !peer.vitals.draining)
            .map(|peer| peer.node);
        let minder = minder(room, stays).or_else(|| minder(room, alive.iter().map(|peer| peer.node)));
        minder.is_none_or(|node| node == self.me)
    }
}

/// What makes a difference to who minds what.
fn standing(peer: &Peer) -> (NodeId, bool) {
    (peer.node, peer.vitals.draining)
}

/// Which of the nodes minds a room. The same answer on every node and in every version.
pub fn minder(room: &RoomId, nodes: impl Iterator<Item = NodeId>) -> Option<NodeId> {
    // FNV-1a over the name, then each node's share by the finisher of splitmix64.
    let name = room
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    nodes.max_by_key(|node| (mixed(name ^ mixed(node.bits())), *node))
}

fn mixed(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Vitals;

    fn node(n: u64) -> NodeId {
        NodeId::from_bits(n)
    }

    fn room(n: usize) -> RoomId {
        RoomId::new(format!("room-{n}")).unwrap()
    }

    fn peers(nodes: &[u64]) -> Arc<[Peer]> {
        let peer = |n: &u64| Peer {
            node: node(*n),
            vitals: Vitals::default(),
        };
        nodes.iter().map(peer).collect()
    }

    #[test]
    fn each_room_has_one_minder_and_each_node_its_share() {
        let mut shares = [0usize; 3];
        for n in 0..3_000 {
            let minders: Vec<_> = [1, 2, 3]
                .map(|me| {
                    let known = Peers::new(node(me));
                    known.update(peers(&[1, 2, 3]));
                    known.minds(&room(n))
                })
                .into_iter()
                .collect();
            assert_eq!(minders.iter().filter(|minds| **minds).count(), 1);
            shares[minders.iter().position(|minds| *minds).unwrap()] += 1;
        }
        assert!(
            shares.iter().all(|share| (800..1_200).contains(share)),
            "{shares:?}"
        );
    }

    #[test]
    fn a_node_that_dies_moves_only_its_own_rooms() {
        for n in 0..1_000 {
            let before = minder(&room(n), [1, 2, 3].map(node).into_iter()).unwrap();
            let after = minder(&room(n), [1, 3].map(node).into_iter()).unwrap();
            assert!(before == node(2) || before == after);
        }
    }

    #[test]
    fn a_node_on_its_way_out_minds_nothing_unless_all_are() {
        let known = Peers::new(node(1));
        let mut nodes = peers(&[1, 2]).to_vec();
        nodes[0].vitals.draining = true;
        assert!(known.update(nodes.clone().into()));
        assert!((0..100).all(|n| !known.minds(&room(n))));
        nodes[1].vitals.draining = true;
        assert!(known.update(nodes.into()));
        let share = (0..100).filter(|n| known.minds(&room(*n))).count();
        assert!((20..80).contains(&share), "{share}");
    }

    #[test]
    fn whoever_is_alone_minds_everything_and_a_change_is_noticed() {
        let known = Peers::new(node(1));
        assert!((0..100).all(|n| known.minds(&room(n))));
        assert!(!known.update(peers(&[1])));
        assert!(known.update(peers(&[1, 2])));
        assert!(!known.update(peers(&[1, 2])));
        assert!(known.lives(node(2)) && !known.lives(node(3)));
        assert_eq!(known.version(), 1);
    }
}
