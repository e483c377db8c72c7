//! The one order of what happened in all incidents, over all nodes.
//!
//! It holds numbers, not words: which stretch of which incident's log comes next. Whoever reads it takes the events from
//! the store, which had them before they were said here. For each incident the stretches follow each other without a
//! gap and without repeating, whichever node said them first, late or twice: [`Heads`] is the rule. What was not said,
//! because a node died or the way was closed, is said by whoever finds the store ahead.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;

use crate::domain::ids::RoomId;
use crate::domain::room::{Event, Seq};
use crate::domain::time::Timestamp;

/// How far an incident's log is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The incident.
    pub room: RoomId,
    /// Where the incident begins if nobody has spoken of it yet. Of a young one that is its first event, whoever speaks
    /// first: another node may have more to say of it. One that is older was told already, and is forgotten.
    pub first: Seq,
    /// The last event.
    pub last: Seq,
    /// The incident is over: it may be forgotten after a while.
    pub over: bool,
}

/// A stretch in its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its place: two numbers, of which the first weighs more.
    pub at: (u64, u64),
    /// The incident.
    pub room: RoomId,
    /// The first event.
    pub first: Seq,
    /// The last event.
    pub last: Seq,
    /// The events, if whoever keeps the order has them at hand; otherwise the store has.
    pub events: Vec<Event>,
}

/// A place in an order: after the `nth` event of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Which order: places in one mean nothing in another.
    pub epoch: u64,
    /// The entry.
    pub at: (u64, u64),
    /// How many of its events lie before this place.
    pub nth: u64,
}

impl Place {
    /// Before everything.
    pub const fn start(epoch: u64) -> Self {
        Self {
            epoch,
            at: (0, 0),
            nth: 0,
        }
    }
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// After everything that is there now.
    pub last: Place,
}

/// What comes after a place.
#[derive(Clone, Debug, PartialEq)]
pub struct Stretch {
    /// Which order it is.
    pub epoch: u64,
    /// What comes after an entry is there from this one on.
    pub kept: (u64, u64),
    /// After the last of `entries`; the place that was asked for, when there is none.
    pub upto: Place,
    /// The next entries; the first may begin before the place, or end there.
    pub entries: Vec<Entry>,
}

impl Stretch {
    /// Whether nothing is missing between the place that was asked for and these.
    pub fn follows(&self, place: Place) -> bool {
        self.epoch == place.epoch && place.at >= self.kept
    }

    /// Before the first that is still there.
    pub fn oldest(&self) -> Place {
        Place {
            epoch: self.epoch,
            at: self.kept,
            nth: 0,
        }
    }
}

/// Why an order cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the order of events cannot be read now")]
pub struct OrderAway;

/// How much was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrderCounts {
    /// Stretches that were said and taken over.
    pub said: u64,
    /// Stretches that were not for want of room: a sweep makes up for them.
    pub dropped: u64,
    /// Stretches that wait to be said.
    pub waiting: usize,
    /// How many may.
    pub waiting_max: usize,
}

/// Keeps the order. Saying never waits.
#[async_trait]
pub trait Order: Send + Sync + 'static {
    /// This is durable.
    fn say(&self, said: Said);

    /// Where it stands.
    async fn ends(&self) -> Result<Ends, OrderAway>;

    /// What comes after a place, about `limit` entries.
    async fn after(&self, place: Place, limit: usize) -> Result<Stretch, OrderAway>;

    /// Returns when there may be something after a place, and after a while in any case.
    async fn wait(&self, place: Place);

    /// Whether others say something here that this node does not hear of, so that it must be swept.
    fn is_shared(&self) -> bool {
        false
    }

    /// Incidents and how far they were said, a slice after `cursor` (0: from the beginning); with the next cursor, 0 at
    /// the end. An incident may come twice.
    async fn heads(&self, cursor: u64) -> Result<(u64, Vec<(RoomId, Seq)>), OrderAway> {
        let _ = cursor;
        Ok((0, vec![]))
    }

    /// When the last sweep of all began, as whoever did it told it.
    async fn swept(&self) -> Result<Option<i64>, OrderAway> {
        Ok(None)
    }

    /// A sweep that began then is done.
    async fn set_swept(&self, at: i64) -> Result<(), OrderAway> {
        let _ = at;
        Ok(())
    }

    /// Waits until what was said so far is there, a bounded while. False: it is not.
    async fn settle(&self) -> bool {
        true
    }

    /// Grows when what was said may be lost: it is to be swept.
    fn losses(&self) -> u64 {
        0
    }

    /// How much was said.
    fn counts(&self) -> OrderCounts {
        OrderCounts::default()
    }
}

/// How far each incident was told: what makes an order gapless for each of them. The script in `bus/redis/order` is the
/// same rule in other words; a test holds them together.
#[derive(Clone, Debug, Default)]
pub struct Heads {
    known: HashMap<RoomId, Seq>,
}

impl Said {
    /// How long after an incident was raised it is young: for a shorter time than those that are over are remembered.
    pub const YOUNG: Duration = Duration::from_secs(12 * 3_600);

    /// An event that is durable, of an incident that was raised at this time.
    pub fn event(event: &Event, raised_at: Timestamp, over: bool) -> Self {
        Self {
            room: event.room.clone(),
            first: Self::begins(raised_at, event.at, event.seq),
            last: event.seq,
            over,
        }
    }

    /// Where an incident begins that was raised at this time, if nobody spoke of it: one that is old with `first`.
    pub fn begins(raised_at: Timestamp, now: Timestamp, first: Seq) -> Seq {
        if now.since(raised_at) < Self::YOUNG {
            Seq::new(1)
        } else {
            first
        }
    }
}

impl Heads {
    /// From which event on a stretch is news; `None`: all of it was told. An incident that nobody knows begins where the
    /// stretch does; one that is known goes on where it stood, so that a stretch too late fills what is missing before it.
    pub fn news(&self, room: &RoomId, first: Seq, last: Seq) -> Option<Seq> {
        let from = self.known.get(room).map_or(first, |head| head.next());
        (from <= last).then_some(from)
    }

    /// It is told up to here.
    pub fn told(&mut self, room: &RoomId, last: Seq) {
        match self.known.get_mut(room) {
            Some(head) => *head = last.max(*head),
            None => {
                self.known.insert(room.clone(), last);
            }
        }
    }

    /// How far an incident was told.
    pub fn of(&self, room: &RoomId) -> Option<Seq> {
        self.known.get(room).copied()
    }

    /// Nobody speaks of it any more.
    pub fn forget(&mut self, room: &RoomId) {
        self.known.remove(room);
    }

    /// How many incidents are known.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&RoomId, Seq)> {
        self.known.iter().map(|(room, head)| (room, *head))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::room;

    fn news(heads: &mut Heads, first: u64, last: u64) -> Option<u64> {
        let from = heads.news(&room("sos"), Seq::new(first), Seq::new(last));
        heads.told(&room("sos"), Seq::new(last));
        from.map(Seq::get)
    }

    #[test]
    fn a_stretch_goes_on_where_the_incident_stood() {
        let mut heads = Heads::default();
        assert_eq!(news(&mut heads, 3, 4), Some(3), "it begins with what is said");
        assert_eq!(news(&mut heads, 3, 4), None, "said twice");
        assert_eq!(news(&mut heads, 1, 2), None, "said late");
        assert_eq!(news(&mut heads, 7, 8), Some(5), "what is missing comes first");
        assert_eq!(news(&mut heads, 8, 9), Some(9), "in part");
        heads.forget(&room("sos"));
        assert_eq!(news(&mut heads, 9, 9), Some(9));
    }
}
