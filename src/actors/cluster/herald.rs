//! Does what other nodes' news ask of this node as a whole, as far as that takes a look into the store.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::sync::mpsc;

use super::gossip::Gossip;
use crate::actors::batcher::Batchers;
use crate::actors::blocks;
use crate::actors::error::CommandError;
use crate::actors::node::Node;
use crate::actors::room::Work;
use crate::bus::{News, Topic};
use crate::delivery::Frame;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::people::{ContactBook, Subject};
use crate::domain::phone::PhoneNumber;
use crate::wire::json::ServerMessage;

/// Orders that are carried out at the same time.
const AT_ONCE: usize = 16;
/// The most circles that one number is looked up in.
const CIRCLES_MAX: usize = 200;
/// The pause between as many circles that are called to life.
const PAUSE: Duration = Duration::from_millis(5);
/// When something that failed is tried again.
const RETRY: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_secs(2),
    Duration::from_secs(8),
];

/// What there is to do.
#[derive(Debug)]
pub enum Order {
    /// A circle calls its owner's contacts.
    Call {
        room: RoomId,
        owner: Subject,
        alarm: bool,
    },
    /// Something in a room waits for somebody.
    Concerns { subject: Subject, room: RoomId },
    /// Somebody's contact lists have changed.
    Contacts {
        owner: Subject,
        name: Option<String>,
        circles: Vec<RoomId>,
        added: Vec<PhoneNumber>,
        removed: Vec<PhoneNumber>,
    },
    /// The list of blocks has changed.
    Blocks,
    /// Positions of somebody who was erased.
    Forget(Vec<(RoomId, ParticipantId)>),
    /// Anything may have happened.
    Everything,
}

/// The herald.
pub struct Herald {
    node: Arc<Node>,
    batchers: Batchers,
    overflowed: Arc<AtomicBool>,
}

impl Herald {
    /// Of a node.
    pub fn new(node: Arc<Node>, batchers: Batchers, overflowed: Arc<AtomicBool>) -> Arc<Self> {
        Arc::new(Self {
            node,
            batchers,
            overflowed,
        })
    }

    /// Tells the other nodes what is gathered, for ever.
    pub async fn tell(self: Arc<Self>) {
        let changed = self.node.blocks.subscribe();
        let gossip: &Gossip = &self.node.cluster.gossip;
        tokio::join!(gossip.tell(&*self.node.bus), self.tell_of_blocks(changed));
    }

    async fn tell_of_blocks(&self, mut changed: tokio::sync::watch::Receiver<u64>) {
        while changed.changed().await.is_ok() {
            self.node.bus.publish(Topic::Everyone, News::Blocks);
        }
    }

    /// Carries out what comes by `orders`, until nobody gives any more.
    pub async fn serve(self: Arc<Self>, orders: mpsc::Receiver<Order>) {
        let orders = stream::unfold(orders, |mut orders| async {
            orders.recv().await.map(|order| (order, orders))
        });
        orders
            .for_each_concurrent(AT_ONCE, |order| self.obey(order))
            .await;
    }

    async fn obey(&self, order: Order) {
        self.persist(&order).await;
        if self.overflowed.swap(false, Ordering::AcqRel) {
            self.persist(&Order::Everything).await;
        }
    }

    async fn persist(&self, order: &Order) {
        for wait in RETRY {
            match self.carry_out(order).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, "could not follow another node, will try again"),
            }
            tokio::time::sleep(wait).await;
        }
        if let Err(error) = self.carry_out(order).await {
            tracing::error!(%error, "could not follow another node");
        }
    }

    async fn carry_out(&self, order: &Order) -> Result<(), CommandError> {
        match order {
            Order::Call { room, owner, alarm } => self.call(room, owner, *alarm).await,
            Order::Concerns { subject, room } => self.concern(subject, room),
            Order::Contacts {
                owner,
                name,
                circles,
                added,
                removed,
            } => {
                self.contacts(owner, name.as_deref(), circles, (added, removed))
                    .await
            }
            Order::Blocks => Ok(blocks::follow(&self.node).await?),
            Order::Forget(places) => {
                let timeout = self.node.settings.command_timeout;
                self.batchers.forget(places, timeout).await;
                Ok(())
            }
            Order::Everything => self.everything().await,
        }
    }

    async fn call(&self, room: &RoomId, owner: &Subject, alarm: bool) -> Result<(), CommandError> {
        let node = &self.node;
        // A circle that is in use here hears of the alarm by its log.
        if node.directory.knows_no_phones() || (alarm && node.registry.peek(room).is_some()) {
            return Ok(());
        }
        let book = node.store.contacts(owner).await?;
        let mut phones = book.emergency.iter().map(|contact| &contact.phone);
        if phones.any(|phone| !node.directory.of_phone(phone).is_empty()) {
            self.hand(room, || Work::Call)?;
        }
        Ok(())
    }

    fn concern(&self, subject: &Subject, room: &RoomId) -> Result<(), CommandError> {
        let node = &self.node;
        if node.directory.of_subject(subject).is_empty() || node.registry.peek(room).is_some() {
            return Ok(());
        }
        self.hand(room, || Work::Concerns(subject.clone()))
    }

    async fn contacts(
        &self,
        owner: &Subject,
        name: Option<&str>,
        circles: &[RoomId],
        (added, removed): (&[PhoneNumber], &[PhoneNumber]),
    ) -> Result<(), CommandError> {
        let book = Arc::new(self.node.store.contacts(owner).await?);
        for circle in circles {
            follow_contacts(&self.node, circle, name, &book, (added, removed))?;
        }
        Ok(())
    }

    /// Whatever was said to everybody may have been missed.
    async fn everything(&self) -> Result<(), CommandError> {
        let node = &self.node;
        node.memberships.forget_all();
        blocks::follow(node).await?;
        let listing =
            |phone: PhoneNumber| async move { node.store.circles_listing(&phone, CIRCLES_MAX).await };
        let mut found = stream::iter(node.directory.phones())
            .map(listing)
            .buffer_unordered(AT_ONCE);
        let mut circles = HashSet::new();
        while let Some(page) = found.next().await {
            circles.extend(page?.into_iter().map(|circle| circle.room));
        }
        for (circle, n) in circles.iter().zip(1..) {
            self.hand(circle, || Work::Call)?;
            // Those that are not in use here are read: not all of them at once.
            if n % AT_ONCE == 0 {
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    fn hand(&self, room: &RoomId, work: impl FnOnce() -> Work) -> Result<(), CommandError> {
        let handed = self.node.room(room).hand_over(work());
        handed.map_err(|(_, error)| error)
    }
}

/// An owner's contacts have changed: a circle that is in use here takes the new list and tells whom it concerns. If it
/// is in use on another node at most, contacts who are connected here hear of it all the same.
pub(in crate::actors) fn follow_contacts(
    node: &Node,
    circle: &RoomId,
    owner_name: Option<&str>,
    book: &Arc<ContactBook>,
    (added, removed): (&[PhoneNumber], &[PhoneNumber]),
) -> Result<(), CommandError> {
    if let Some(room) = node.registry.peek(circle) {
        let handed = room.hand_over(Work::Contacts(Arc::clone(book)));
        return handed.map_err(|(_, error)| error);
    }
    let (now, room) = (node.now(), circle);
    let added_to = ServerMessage::AddedAsEmergencyContact { room, owner_name };
    tell_phones(node, added, &Frame::text(&added_to.encode(now)));
    let removed_from = ServerMessage::RemovedAsEmergencyContact { room, owner_name };
    tell_phones(node, removed, &Frame::text(&removed_from.encode(now)));
    Ok(())
}

fn tell_phones(node: &Node, phones: &[PhoneNumber], frame: &Frame) {
    for phone in phones {
        for session in node.directory.of_phone(phone) {
            session.push(frame);
        }
    }
}
