//! Where news arrive on a node. It is called on threads of the bus and hands everything on at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use tokio::sync::mpsc;

use super::counts::Counts;
use super::herald::Order;
use crate::actors::area;
use crate::actors::node::Node;
use crate::bus::{Listener, News, NodeId, Topic};
use crate::delivery::CloseReason;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::people::Subject;

/// The node's ear.
pub struct Hearing {
    node: Weak<Node>,
    orders: mpsc::Sender<Order>,
    /// An order was lost for want of room: all that an order could have been about is looked at.
    pub(super) overflowed: Arc<AtomicBool>,
}

impl Hearing {
    /// Tells `node`; what takes longer goes to the herald by `orders`.
    pub fn new(node: &Arc<Node>, orders: mpsc::Sender<Order>, overflowed: Arc<AtomicBool>) -> Arc<Self> {
        Arc::new(Self {
            node: Arc::downgrade(node),
            orders,
            overflowed,
        })
    }

    fn order(&self, node: &Node, order: Order) {
        if self.orders.try_send(order).is_err() {
            Counts::add(&node.cluster.counts.overflowed, 1);
            self.overflowed.store(true, Ordering::Release);
        }
    }

    fn to_room(node: &Node, from: NodeId, room: &RoomId, news: News) {
        match node.registry.peek(room) {
            Some(room) if room.hear(from, news) => {}
            Some(_) => Counts::add(&node.cluster.counts.overflowed, 1),
            // Nobody needs it here any more.
            None => Counts::add(&node.cluster.counts.ignored, 1),
        }
    }

    fn missed(&self, node: &Node, topic: &Topic) {
        match topic {
            Topic::Room(room) => {
                if let Some(room) = node.registry.peek(room) {
                    room.missed();
                }
            }
            Topic::Cell(cell) => node.areas.missed(&[*cell]),
            Topic::Everyone => {
                for room in node.registry.handles() {
                    room.missed();
                }
                node.areas.missed_all();
                self.order(node, Order::Everything);
            }
        }
    }

    /// At once: their name and their connections must not outlive them here for want of room in a queue.
    fn erased(&self, node: &Node, subject: &Subject, places: Vec<(RoomId, ParticipantId)>) {
        for (room, _) in &places {
            if let Some(room) = node.registry.peek(room) {
                room.forget(subject.clone());
            }
        }
        node.notes.forget(subject);
        node.memberships.forget(subject);
        node.directory.close_all(subject, CloseReason::Erased);
        self.order(node, Order::Forget(places));
    }
}

impl Listener for Hearing {
    fn hear(&self, from: NodeId, topic: &Topic, news: News) {
        let Some(node) = self.node.upgrade() else { return };
        Counts::add(&node.cluster.counts.heard, 1);
        match news {
            News::Events { ref room, .. }
            | News::Positions { ref room, .. }
            | News::Presence { ref room, .. }
            | News::Typing { ref room, .. } => {
                Self::to_room(&node, from, &room.clone(), news);
            }
            News::Incident { row, created } => {
                if let Some(news) = area::News::of(&row, created) {
                    node.areas.publish(news);
                }
            }
            News::Memberships { subjects } if subjects.is_empty() => node.memberships.forget_all(),
            News::Memberships { subjects } => {
                subjects
                    .iter()
                    .for_each(|subject| node.memberships.forget(subject));
            }
            News::Erased { subject, places } => self.erased(&node, &subject, places),
            News::Missed => self.missed(&node, topic),
            News::Called { room, owner, .. } => self.order(&node, Order::Call { room, owner }),
            News::Concerns { subject, room } => self.order(&node, Order::Concerns { subject, room }),
            News::Contacts {
                owner,
                name,
                circles,
                added,
                removed,
            } => self.order(
                &node,
                Order::Contacts {
                    owner,
                    name,
                    circles,
                    added,
                    removed,
                },
            ),
            News::Blocks => self.order(&node, Order::Blocks),
        }
    }

    fn listening(&self, topics: &[Topic]) {
        let Some(node) = self.node.upgrade() else { return };
        let mut cells = Vec::new();
        for topic in topics {
            match topic {
                Topic::Room(room) => {
                    if let Some(room) = node.registry.peek(room) {
                        room.listening();
                    }
                }
                Topic::Cell(cell) => cells.push(*cell),
                Topic::Everyone => {
                    node.memberships.forget_all();
                    self.order(&node, Order::Everything);
                }
            }
        }
        if !cells.is_empty() {
            node.areas.listening(&cells);
        }
    }
}
