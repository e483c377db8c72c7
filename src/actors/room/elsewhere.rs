//! Who of a room is connected to other nodes: told by those nodes, and forgotten with them.

use std::collections::{HashMap, HashSet};

use actix::Context;

use super::actor::RoomActor;
use crate::bus::{Attendance, News, NodeId, Topic};
use crate::domain::geo::Fix;
use crate::domain::ids::ParticipantId;

/// Who is where.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    nodes: HashMap<NodeId, HashSet<ParticipantId>>,
    /// Those of whom it was said that they went when only their node could not be heard.
    faded: HashSet<ParticipantId>,
    /// The nodes of which that was thought. Should one be heard again, it does not know that it must tell.
    dropped: HashSet<NodeId>,
}

/// Nodes that are remembered as dropped; with more of them the comparison now and then must do.
const DROPPED_MAX: usize = 64;

impl RoomActor {
    /// Somebody's first connection to this node came, or their last one went.
    pub(super) fn say_change(&self, who: ParticipantId, here: bool, greet: bool) {
        if !self.clustered || !self.core.state.exists() {
            return;
        }
        self.publish_presence(vec![Attendance { who, here, greet }], false, false);
    }

    /// Says who is here, and asks the others who is there.
    pub(super) fn say_presence(&self, asks: bool) {
        let mut here: Vec<_> = self.core.presence.here().collect();
        here.sort_unstable();
        let here = here.into_iter().map(|who| Attendance {
            who,
            here: true,
            greet: false,
        });
        self.publish_presence(here.collect(), true, asks);
    }

    fn publish_presence(&self, changes: Vec<Attendance>, whole: bool, asks: bool) {
        let news = News::Presence {
            room: self.id.clone(),
            changes,
            whole,
            asks,
        };
        self.node.bus.publish(Topic::Room(self.id.clone()), news);
    }

    /// Another node says who is there.
    pub(super) fn hear_presence(&mut self, from: NodeId, changes: &[Attendance], whole: bool, asks: bool) {
        if asks {
            self.say_presence(false);
        }
        let known = self.remote.elsewhere.nodes.entry(from).or_default();
        let gone: Vec<_> = if whole {
            let named: HashSet<_> = changes.iter().map(|change| change.who).collect();
            known.difference(&named).copied().collect()
        } else {
            vec![]
        };
        for who in gone {
            self.hear_gone(from, who);
        }
        for change in changes {
            if change.here {
                self.hear_here(from, change);
            } else {
                self.hear_gone(from, change.who);
            }
        }
        let nobody = |people: &HashSet<_>| people.is_empty();
        if self.remote.elsewhere.nodes.get(&from).is_some_and(nobody) {
            self.remote.elsewhere.nodes.remove(&from);
        }
        self.deadlines_moved = true;
    }

    fn hear_here(&mut self, from: NodeId, change: &Attendance) {
        let (who, now) = (change.who, self.node.now());
        let elsewhere = &mut self.remote.elsewhere;
        if !elsewhere.nodes.entry(from).or_default().insert(who) {
            return;
        }
        let back = elsewhere.faded.remove(&who);
        let first = self.core.presence.arrive_elsewhere(who, now);
        if first && (change.greet || back) && self.core.state.is_in(who) {
            self.announce_presence(who, true, now);
        }
    }

    fn hear_gone(&mut self, from: NodeId, who: ParticipantId) {
        let now = self.node.now();
        let known = self.remote.elsewhere.nodes.get_mut(&from);
        if !known.is_some_and(|people| people.remove(&who)) {
            return;
        }
        if self.core.presence.depart_elsewhere(who, now) && self.core.state.is_in(who) {
            self.announce_presence(who, false, now);
        }
    }

    /// Nodes came or went: the people of one that died fade.
    pub(super) fn census(&mut self) {
        let nodes = self.remote.elsewhere.nodes.keys().copied();
        let dead: Vec<NodeId> = nodes
            .filter(|node| !self.node.cluster.peers.lives(*node))
            .collect();
        for node in dead {
            let people = self.remote.elsewhere.nodes.get(&node).cloned();
            for who in people.unwrap_or_default() {
                self.hear_gone(node, who);
                self.remote.elsewhere.faded.insert(who);
            }
            self.remote.elsewhere.nodes.remove(&node);
            if self.remote.elsewhere.dropped.len() < DROPPED_MAX {
                self.remote.elsewhere.dropped.insert(node);
            }
        }
        let peers = &self.node.cluster.peers;
        let dropped = &mut self.remote.elsewhere.dropped;
        let before = dropped.len();
        dropped.retain(|node| !peers.lives(*node));
        if dropped.len() < before {
            self.say_presence(true);
        }
        let faded = std::mem::take(&mut self.remote.elsewhere.faded);
        let still_in = faded.into_iter().filter(|who| self.core.state.is_in(*who));
        self.remote.elsewhere.faded = still_in.collect();
        self.deadlines_moved = true;
    }

    /// Tells the other nodes where people are who sent it to this one.
    pub(super) fn tell_positions(&self, fixes: &[(ParticipantId, Fix)]) {
        if !self.clustered {
            return;
        }
        let newer =
            |who: &ParticipantId, fix: &Fix| self.core.newest.get(who).is_none_or(|known| known.at < fix.at);
        let fixes: Vec<_> = fixes
            .iter()
            .filter(|(who, fix)| self.core.state.is_in(*who) && newer(who, fix))
            .copied()
            .collect();
        if !fixes.is_empty() {
            let room = self.id.clone();
            let news = News::Positions { room, fixes };
            self.node.bus.publish(Topic::Room(self.id.clone()), news);
        }
    }

    /// Another node says where people are.
    pub(super) fn hear_positions(&mut self, fixes: Vec<(ParticipantId, Fix)>, ctx: &mut Context<Self>) {
        if self.core.state.exists() {
            self.show(fixes, ctx);
        }
    }
}
