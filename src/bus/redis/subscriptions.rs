//! What this node listens to, as a list of wishes and of what is still to be done about them.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::bus::Topic;

/// One topic that is, or is to be, listened to.
#[derive(Debug, Default)]
struct Entry {
    /// Redis has said so since the connection was made.
    confirmed: bool,
    /// Nobody wants it any more, from then on.
    leave_at: Option<Instant>,
}

#[derive(Default)]
struct Inner {
    entries: HashMap<Topic, Entry>,
    /// To be asked for.
    todo: VecDeque<Topic>,
    /// To be left, in the order of time. Whoever was wanted again meanwhile is passed over.
    leaving: VecDeque<(Instant, Topic)>,
    /// Redis could not be told that they are left.
    strays: Vec<Topic>,
}

/// What is to be told to Redis now.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Topics to listen to.
    pub subscribe: Vec<Topic>,
    /// Topics to leave.
    pub unsubscribe: Vec<Topic>,
}

impl Work {
    /// Nothing.
    pub fn is_empty(&self) -> bool {
        self.subscribe.is_empty() && self.unsubscribe.is_empty()
    }
}

/// The wishes. It holds as many as there are rooms in use and cells watched here.
pub struct Subscriptions {
    grace: Duration,
    inner: Mutex<Inner>,
    changed: Notify,
}

impl Subscriptions {
    /// None yet; one that nobody wants is left after `grace`.
    pub fn new(grace: Duration) -> Self {
        Self {
            grace,
            inner: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// A topic is wanted. Whether it is listened to already.
    pub fn want(&self, topic: Topic) -> bool {
        let mut inner = self.inner.lock();
        if let Some(entry) = inner.entries.get_mut(&topic) {
            entry.leave_at = None;
            return entry.confirmed;
        }
        inner.entries.insert(topic.clone(), Entry::default());
        inner.todo.push_back(topic);
        drop(inner);
        self.changed.notify_one();
        false
    }

    /// A topic is wanted no more.
    pub fn leave(&self, topic: &Topic, now: Instant) {
        let mut inner = self.inner.lock();
        let at = now + self.grace;
        if let Some(entry) = inner.entries.get_mut(topic)
            && entry.leave_at.is_none()
        {
            entry.leave_at = Some(at);
            inner.leaving.push_back((at, topic.clone()));
            drop(inner);
            self.changed.notify_one();
        }
    }

    /// Redis says that a topic is listened to. Whether anybody wants that.
    pub fn confirm(&self, topic: &Topic) -> bool {
        let mut inner = self.inner.lock();
        let entry = inner.entries.get_mut(topic);
        entry.map(|entry| entry.confirmed = true).is_some()
    }

    /// A topic may not be listened to, although it is wanted: it is asked for again.
    pub fn renew(&self, topics: impl IntoIterator<Item = Topic>) {
        let mut inner = self.inner.lock();
        for topic in topics {
            if let Some(entry) = inner.entries.get_mut(&topic) {
                entry.confirmed = false;
                inner.todo.push_back(topic);
            }
        }
        drop(inner);
        self.changed.notify_one();
    }

    /// It is not known whether these are listened to: those that Redis has not confirmed are asked for again.
    pub fn retry(&self, topics: Vec<Topic>) {
        let mut inner = self.inner.lock();
        inner.todo.extend(topics);
        drop(inner);
        self.changed.notify_one();
    }

    /// Redis could not be told that these are left: it will be told again.
    pub fn stray(&self, topics: Vec<Topic>) {
        self.inner.lock().strays.extend(topics);
    }

    /// None is listened to: all are asked for again.
    pub fn renew_all(&self) {
        let mut inner = self.inner.lock();
        inner.strays.clear();
        inner.todo = inner.entries.keys().cloned().collect();
        inner
            .entries
            .values_mut()
            .for_each(|entry| entry.confirmed = false);
        drop(inner);
        self.changed.notify_one();
    }

    /// What is to be done now, at most `max` of each.
    pub fn work(&self, max: usize, now: Instant) -> Work {
        let mut inner = self.inner.lock();
        let mut work = Work::default();
        for topic in std::mem::take(&mut inner.strays) {
            if !inner.entries.contains_key(&topic) {
                work.unsubscribe.push(topic);
            }
        }
        while work.unsubscribe.len() < max && inner.leaving.front().is_some_and(|(at, _)| *at <= now) {
            let Some((at, topic)) = inner.leaving.pop_front() else {
                break;
            };
            let left = inner.entries.get(&topic).map(|entry| entry.leave_at);
            if left == Some(Some(at)) {
                inner.entries.remove(&topic);
                work.unsubscribe.push(topic);
            }
        }
        while work.subscribe.len() < max {
            let Some(topic) = inner.todo.pop_front() else {
                break;
            };
            if inner.entries.get(&topic).is_some_and(|entry| !entry.confirmed) {
                work.subscribe.push(topic);
            }
        }
        work
    }

    /// Waits until there may be something to do: a wish changed, or a grace time is over.
    pub async fn some(&self) {
        let due = {
            let inner = self.inner.lock();
            if !inner.todo.is_empty() || !inner.strays.is_empty() {
                return;
            }
            inner.leaving.front().map(|(at, _)| *at)
        };
        match due {
            Some(at) => {
                let _ = tokio::time::timeout_at(at.into(), self.changed.notified()).await;
            }
            None => self.changed.notified().await,
        }
    }

    /// Topics that are wanted, and how many of them are listened to.
    pub fn count(&self) -> (usize, usize) {
        let inner = self.inner.lock();
        let confirmed = inner.entries.values().filter(|entry| entry.confirmed).count();
        (inner.entries.len(), confirmed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::RoomId;

    const GRACE: Duration = Duration::from_secs(10);

    fn topic(name: &str) -> Topic {
        Topic::Room(RoomId::new(name).unwrap())
    }

    fn subscribe(names: &[&str]) -> Work {
        Work {
            subscribe: names.iter().map(|name| topic(name)).collect(),
            unsubscribe: vec![],
        }
    }

    fn unsubscribe(names: &[&str]) -> Work {
        Work {
            subscribe: vec![],
            unsubscribe: names.iter().map(|name| topic(name)).collect(),
        }
    }

    #[test]
    fn a_wish_is_asked_for_once_and_known_when_it_is_confirmed() {
        let (wishes, now) = (Subscriptions::new(GRACE), Instant::now());
        assert!(!wishes.want(topic("a")));
        assert!(!wishes.want(topic("a")));
        assert!(!wishes.want(topic("b")));
        assert_eq!(wishes.work(1, now), subscribe(&["a"]));
        assert_eq!(wishes.work(9, now), subscribe(&["b"]));
        assert!(wishes.work(9, now).is_empty());
        assert!(wishes.confirm(&topic("a")));
        assert!(wishes.want(topic("a")));
        assert!(!wishes.want(topic("b")));
        assert!(!wishes.confirm(&topic("stranger")));
        assert_eq!(wishes.count(), (2, 1));
    }

    #[test]
    fn who_leaves_may_come_back_within_the_grace_time() {
        let (wishes, now) = (Subscriptions::new(GRACE), Instant::now());
        let later = |s| now + Duration::from_secs(s);
        for name in ["a", "b"] {
            wishes.want(topic(name));
            wishes.confirm(&topic(name));
            wishes.leave(&topic(name), now);
        }
        wishes.work(9, now);
        assert!(wishes.want(topic("a")), "it is still listened to");
        assert!(wishes.work(9, later(9)).is_empty());
        // The one that came back and left again has a grace time of its own.
        wishes.leave(&topic("a"), later(5));
        assert_eq!(wishes.work(9, later(10)), unsubscribe(&["b"]));
        assert_eq!(wishes.work(9, later(15)), unsubscribe(&["a"]));
        assert!(!wishes.want(topic("b")));
        assert_eq!(wishes.work(9, later(15)), subscribe(&["b"]));
    }

    #[test]
    fn after_a_loss_all_that_is_wanted_is_asked_for_again() {
        let (wishes, now) = (Subscriptions::new(GRACE), Instant::now());
        for name in ["a", "b", "c"] {
            wishes.want(topic(name));
        }
        assert_eq!(wishes.work(9, now).subscribe.len(), 3);
        for name in ["a", "b", "c"] {
            wishes.confirm(&topic(name));
        }
        wishes.stray(vec![topic("left"), topic("a")]);
        assert_eq!(wishes.work(9, now), unsubscribe(&["left"]));
        wishes.renew([topic("b"), topic("stranger")]);
        assert_eq!(wishes.work(9, now), subscribe(&["b"]));
        wishes.retry(vec![topic("a"), topic("b")]);
        assert_eq!(wishes.work(9, now), subscribe(&["b"]));
        wishes.leave(&topic("c"), now);
        wishes.renew_all();
        let work = wishes.work(9, now + GRACE);
        assert_eq!((work.subscribe.len(), work.unsubscribe), (2, vec![topic("c")]));
    }

    #[tokio::test]
    async fn it_wakes_for_wishes_and_for_the_end_of_grace_times() {
        let grace = Duration::from_millis(20);
        let (wishes, now) = (Subscriptions::new(grace), Instant::now());
        let woken = async |patience| tokio::time::timeout(patience, wishes.some()).await.is_ok();
        assert!(!woken(Duration::from_millis(10)).await, "there is nothing to do");
        wishes.want(topic("a"));
        assert!(woken(GRACE).await);
        wishes.confirm(&topic("a"));
        wishes.work(9, now);
        wishes.leave(&topic("a"), now);
        // Once for the change, once for the end.
        while wishes.work(9, Instant::now()).is_empty() {
            assert!(woken(GRACE).await);
        }
    }
}
