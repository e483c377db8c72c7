//! Orders of a node that has no other nodes beside it: the store's own, or, when the store keeps none, one in memory.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::bus::order::{Ends, Entry, Heads, Order, OrderAway, Place, Said, Stretch};
use crate::domain::ids::RoomId;
use crate::store::{FeedPage, Store, StoreError};

/// After how long it is looked for something new that nobody told of.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Incidents that are over and still remembered.
const OVER_MAX: usize = 10_000;

/// Waits for somebody to say something, a while.
async fn told(said: &Notify) {
    let _ = tokio::time::timeout(LOOK_EVERY, said.notified()).await;
}

/// The order in which the store wrote.
pub struct StoreOrder {
    store: Arc<dyn Store>,
    said: Notify,
}

impl StoreOrder {
    /// Of a store that keeps one.
    pub fn new(store: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            store,
            said: Notify::new(),
        })
    }

    async fn page(&self, after: u64, limit: usize) -> Result<FeedPage, OrderAway> {
        let told = |error: StoreError| {
            tracing::debug!(%error, "the order of events cannot be read");
            OrderAway
        };
        self.store
            .feed_after(after, limit)
            .await
            .map_err(told)?
            .ok_or(OrderAway)
    }
}

#[async_trait]
impl Order for StoreOrder {
    fn say(&self, _: Said) {
        self.said.notify_one();
    }

    async fn ends(&self) -> Result<Ends, OrderAway> {
        let page = self.page(0, 0).await?;
        let last = Place {
            at: (page.head, 0),
            nth: 1,
            ..Place::start(page.epoch)
        };
        Ok(Ends { last })
    }

    async fn after(&self, place: Place, limit: usize) -> Result<Stretch, OrderAway> {
        let page = self.page(place.at.0, limit).await?;
        let upto = page.events.last().map_or(place.at.0, |last| last.position);
        let entry = |found: crate::store::FeedEvent| Entry {
            at: (found.position, 0),
            room: found.event.room.clone(),
            first: found.event.seq,
            last: found.event.seq,
            events: vec![found.event],
        };
        Ok(Stretch {
            epoch: page.epoch,
            kept: (page.kept_after, 0),
            upto: Place {
                epoch: page.epoch,
                at: (upto, 0),
                nth: 1,
            },
            entries: page.events.into_iter().map(entry).collect(),
        })
    }

    async fn wait(&self, _: Place) {
        told(&self.said).await;
    }
}

#[derive(Default)]
struct Memory {
    heads: Heads,
    over: VecDeque<RoomId>,
    entries: VecDeque<Entry>,
    /// The last place that was given out.
    last: u64,
}

/// The order in which this node's rooms told of what happened. It ends with the process.
pub struct MemoryOrder {
    epoch: u64,
    max: usize,
    memory: Mutex<Memory>,
    said: Notify,
}

impl MemoryOrder {
    /// Remembers the last `max` stretches; `epoch` is drawn at random.
    pub fn new(epoch: u64, max: usize) -> Arc<Self> {
        Arc::new(Self {
            epoch,
            max: max.max(1),
            memory: Mutex::default(),
            said: Notify::new(),
        })
    }
}

impl Memory {
    fn say(&mut self, said: Said, max: usize) {
        let Said {
            room,
            first,
            last,
            over,
        } = said;
        if let Some(first) = self.heads.news(&room, first, last) {
            self.heads.told(&room, last);
            self.last += 1;
            self.entries.push_back(Entry {
                at: (self.last, 0),
                room: room.clone(),
                first,
                last,
                events: vec![],
            });
        }
        if self.entries.len() > max {
            self.entries.pop_front();
        }
        if over && !self.over.contains(&room) {
            self.over.push_back(room);
        }
        if self.over.len() > OVER_MAX
            && let Some(room) = self.over.pop_front()
        {
            self.heads.forget(&room);
        }
    }
}

#[async_trait]
impl Order for MemoryOrder {
    fn say(&self, said: Said) {
        self.memory.lock().say(said, self.max);
        self.said.notify_one();
    }

    async fn ends(&self) -> Result<Ends, OrderAway> {
        let memory = self.memory.lock();
        let nth = memory
            .entries
            .back()
            .map_or(0, |entry| entry.last.get().saturating_sub(entry.first.get()) + 1);
        Ok(Ends {
            last: Place {
                epoch: self.epoch,
                at: (memory.last, 0),
                nth,
            },
        })
    }

    async fn after(&self, place: Place, limit: usize) -> Result<Stretch, OrderAway> {
        let memory = self.memory.lock();
        let oldest = memory.entries.front().map_or(memory.last, |entry| entry.at.0 - 1);
        // The entry at the place itself may be needed in part.
        let skip = usize::try_from(place.at.0.saturating_sub(oldest).saturating_sub(1)).unwrap_or(usize::MAX);
        let entries: Vec<Entry> = memory
            .entries
            .iter()
            .skip(skip)
            .take(limit + 1)
            .cloned()
            .collect();
        let upto = entries.last().map_or(place, |last| Place {
            epoch: self.epoch,
            at: last.at,
            nth: last.last.get() - last.first.get() + 1,
        });
        Ok(Stretch {
            epoch: self.epoch,
            kept: (oldest, 0),
            upto,
            entries,
        })
    }

    async fn wait(&self, _: Place) {
        told(&self.said).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::room::Seq;
    use crate::domain::testing::room;

    fn said(name: &str, first: u64, last: u64, over: bool) -> Said {
        Said {
            room: room(name),
            first: Seq::new(first),
            last: Seq::new(last),
            over,
        }
    }

    async fn after(order: &MemoryOrder, place: Place) -> Vec<(String, u64, u64)> {
        let stretch = order.after(place, 100).await.unwrap();
        assert!(stretch.follows(place));
        let entries = stretch.entries.into_iter();
        let new = entries.filter(|entry| entry.at > place.at || entry.at == place.at && place.nth == 0);
        new.map(|entry| (entry.room.to_string(), entry.first.get(), entry.last.get()))
            .collect()
    }

    #[tokio::test]
    async fn memory_keeps_the_order_in_which_rooms_spoke() {
        let order = MemoryOrder::new(7, 3);
        let begun = order.ends().await.unwrap().last;
        order.say(said("a", 1, 2, false));
        order.say(said("b", 1, 1, false));
        order.say(said("a", 2, 2, false));
        order.say(said("a", 4, 4, true));
        let a = |first, last| ("a".to_owned(), first, last);
        let b = ("b".to_owned(), 1, 1);
        assert_eq!(after(&order, begun).await, [a(1, 2), b.clone(), a(3, 4)]);
        let stretch = order.after(begun, 1).await.unwrap();
        let second = Place {
            at: (2, 0),
            nth: 1,
            ..Place::start(7)
        };
        assert_eq!(stretch.upto, second);
        assert_eq!(after(&order, second).await, [a(3, 4)]);
        order.say(said("b", 2, 2, false));
        let stretch = order.after(begun, 100).await.unwrap();
        assert!(!stretch.follows(begun), "the first is forgotten");
        assert_eq!(stretch.oldest().at, (1, 0));
        assert!(!stretch.follows(Place::start(8)), "of another process");
        assert_eq!(order.ends().await.unwrap().last.at, (4, 0));
    }

    #[tokio::test]
    async fn incidents_that_are_over_are_forgotten_in_the_end() {
        let order = MemoryOrder::new(7, 3);
        for n in 0..OVER_MAX + 5 {
            order.say(said(&format!("sos-{n}"), 1, 1, true));
        }
        assert_eq!(order.memory.lock().heads.len(), OVER_MAX);
    }
}
