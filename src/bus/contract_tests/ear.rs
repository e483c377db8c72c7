//! A listener that remembers.

use std::sync::Arc;

use parking_lot::Mutex;

use super::eventually;
use crate::bus::contract::{Bus, Listener};
use crate::bus::news::{News, NodeId, Topic};

/// Remembers what it was told.
#[derive(Default)]
pub struct Ear {
    heard: Mutex<Vec<(NodeId, Topic, News)>>,
    listening: Mutex<Vec<Topic>>,
}

impl Ear {
    /// Listens on a node, and waits until it does.
    pub async fn on(bus: &Arc<dyn Bus>) -> Arc<Self> {
        let ear = Arc::new(Self::default());
        bus.attach(Arc::clone(&ear) as Arc<dyn Listener>);
        eventually("everybody's topic is listened to", || {
            ear.listens_to(&Topic::Everyone)
        })
        .await;
        ear
    }

    /// Subscribes, and waits until what is said is heard.
    pub async fn subscribe(&self, bus: &Arc<dyn Bus>, topic: &Topic) {
        self.forget_listening();
        bus.subscribe(topic.clone());
        eventually("the topic is listened to", || self.listens_to(topic)).await;
    }

    /// What was heard of a topic so far.
    pub fn heard(&self, topic: &Topic) -> Vec<News> {
        let heard = self.heard.lock();
        let of = heard.iter().filter(|(_, about, _)| about == topic);
        of.map(|(_, _, news)| news.clone()).collect()
    }

    /// Who said what was heard of a topic.
    pub fn speakers(&self, topic: &Topic) -> Vec<NodeId> {
        let heard = self.heard.lock();
        let of = heard.iter().filter(|(_, about, _)| about == topic);
        of.map(|(from, _, _)| *from).collect()
    }

    /// Whether it was told that a topic is listened to.
    pub fn listens_to(&self, topic: &Topic) -> bool {
        self.listening.lock().contains(topic)
    }

    /// Forgets which topics it was told of.
    pub fn forget_listening(&self) {
        self.listening.lock().clear();
    }
}

impl Listener for Ear {
    fn hear(&self, from: NodeId, topic: &Topic, news: News) {
        self.heard.lock().push((from, topic.clone(), news));
    }

    fn listening(&self, topics: &[Topic]) {
        self.listening.lock().extend_from_slice(topics);
    }
}
