//! What one node has read of the order, and the newest of it for those who follow: pure, without a store or a clock.
//!
//! [`Feed`] holds each entry against how far its incident was shown here, so that an order which repeats itself (after a
//! failover, or because a stretch was read again) is shown once, and one that jumps (Redis lost its memory) is filled
//! from the log. The newest events stay in a ring; whoever follows has a number in it, or a place from before it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::item::OpsEvent;
use crate::bus::order::{Entry, Heads, Place};
use crate::domain::ids::RoomId;
use crate::domain::ops::Summary;
use crate::domain::room::{Event, Seq};

/// What the events of some entries are made of.
#[derive(Debug, Default)]
pub struct Material {
    /// Events that the entries did not have.
    pub events: Vec<Event>,
    /// How incidents stand now.
    pub summaries: Vec<(RoomId, Summary)>,
}

/// A stretch that is to be shown, and where its places come from.
struct Piece<'e> {
    entry: &'e Entry,
    from: Seq,
}

/// Turns entries into events, in order.
#[derive(Debug, Default)]
pub struct Reader {
    heads: Heads,
    standing: HashMap<RoomId, Summary>,
    /// Everything up to here was read.
    place: Place,
}

impl Reader {
    /// Goes on after `place`.
    pub fn new(place: Place) -> Self {
        Self {
            place,
            ..Self::default()
        }
    }

    /// How far it has read.
    pub fn place(&self) -> Place {
        self.place
    }

    /// What is news of these entries. The one at the place itself may have been read in part.
    fn pieces<'e>(&self, entries: &'e [Entry]) -> Vec<Piece<'e>> {
        let mut heads: HashMap<&RoomId, Seq> = HashMap::new();
        let mut pieces = Vec::new();
        for entry in entries {
            let mut first = entry.first;
            if entry.at == self.place.at {
                first = Seq::new(entry.first.get() + self.place.nth);
            }
            let known = heads.get(&entry.room).copied().or(self.heads.of(&entry.room));
            let from = known.map_or(first, Seq::next);
            if from <= entry.last {
                heads.insert(&entry.room, entry.last);
                pieces.push(Piece { entry, from });
            }
        }
        pieces
    }

    /// The stretches of logs that must be read for these entries.
    pub fn wanted(&self, entries: &[Entry]) -> Vec<(RoomId, Seq, Seq)> {
        let lacks = |piece: &Piece<'_>| {
            let has = |seq: Seq| piece.entry.events.iter().any(|event| event.seq == seq);
            // What it has is all of it, but for what is filled in before.
            !has(piece.entry.last) || !has(piece.from)
        };
        let pieces = self.pieces(entries);
        let wanted = pieces.iter().filter(|piece| lacks(piece));
        wanted
            .map(|piece| (piece.entry.room.clone(), piece.from, piece.entry.last))
            .collect()
    }

    /// The incidents of which it must be looked how they stand; those that begin here say so themselves.
    pub fn unknown(&self, entries: &[Entry]) -> Vec<RoomId> {
        let mut rooms: Vec<RoomId> = Vec::new();
        for piece in self.pieces(entries) {
            let room = &piece.entry.room;
            let begins = piece.from.get() <= 1;
            if !begins && !self.standing.contains_key(room) && !rooms.contains(room) {
                rooms.push(room.clone());
            }
        }
        rooms
    }

    /// The events of these entries, of which `upto` is the end; answers them and how many were not to be had.
    pub fn take(
        &mut self,
        entries: &[Entry],
        upto: Place,
        material: Material,
    ) -> (Vec<Arc<OpsEvent>>, usize) {
        let pieces = self.pieces(entries);
        let given = entries.iter().flat_map(|entry| entry.events.iter().cloned());
        let mut bodies: HashMap<(RoomId, Seq), Event> = material
            .events
            .into_iter()
            .chain(given)
            .map(|event| ((event.room.clone(), event.seq), event))
            .collect();
        let now: HashMap<RoomId, Summary> = material.summaries.into_iter().collect();
        let (mut shown, mut missing, mut place) = (Vec::new(), 0, self.place);
        for Piece { entry, from } in pieces {
            let room = &entry.room;
            for n in from.get()..=entry.last.get() {
                let Some(event) = bodies.remove(&(room.clone(), Seq::new(n))) else {
                    missing += 1;
                    continue;
                };
                if let Some(begun) = Summary::begun(&event) {
                    self.standing.insert(room.clone(), begun);
                }
                if !self.standing.contains_key(room)
                    && let Some(summary) = now.get(room)
                {
                    self.standing.insert(room.clone(), summary.clone());
                }
                let Some(standing) = self.standing.get_mut(room) else {
                    missing += 1;
                    continue;
                };
                standing.take(&event);
                // What is filled in has the place before the entry: whoever goes on from there gets the entry whole.
                if n >= entry.first.get() {
                    place = Place {
                        epoch: upto.epoch,
                        at: entry.at,
                        nth: n - entry.first.get() + 1,
                    };
                }
                shown.push(Arc::new(OpsEvent::new(place, event, standing.clone())));
            }
            self.heads.told(room, entry.last);
        }
        self.place = upto;
        (shown, missing)
    }

    /// How many incidents it remembers.
    pub fn known(&self) -> usize {
        self.heads.len()
    }

    /// Remembers `max` incidents at most: those that are over are forgotten first, then any.
    fn bound(&mut self, max: usize) {
        if self.heads.len() <= max {
            return;
        }
        let is_open = |room: &RoomId| {
            self.standing
                .get(room)
                .is_some_and(|standing| standing.status.is_open())
        };
        let (open, over): (Vec<RoomId>, Vec<RoomId>) =
            self.heads.iter().map(|(room, _)| room.clone()).partition(is_open);
        let too_many = open.len().saturating_sub(max / 2);
        let gone = over.iter().chain(open.iter().take(too_many));
        for room in gone {
            self.heads.forget(room);
            self.standing.remove(room);
        }
    }
}

/// What comes next for somebody who follows.
#[derive(Debug)]
pub enum Next {
    /// These.
    Events(Vec<Arc<OpsEvent>>),
    /// Nothing yet.
    Nothing,
    /// What comes next is not here any more: it is read from the order again.
    Gone,
}

/// What one node has read.
#[derive(Debug)]
pub struct Feed {
    reader: Reader,
    ring: VecDeque<Arc<OpsEvent>>,
    /// The number of the ring's first event.
    first: u64,
    /// The place before it.
    base: Place,
    recent_max: usize,
    known_max: usize,
}

impl Feed {
    /// Begins after `place`.
    pub fn new(place: Place, recent_max: usize, known_max: usize) -> Self {
        Self {
            reader: Reader::new(place),
            ring: VecDeque::new(),
            first: 0,
            base: place,
            recent_max: recent_max.max(1),
            known_max: known_max.max(1),
        }
    }

    /// What reads for it.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The order is another one since Redis lost its memory; what is known of incidents stays.
    pub fn enter(&mut self, place: Place) {
        self.reader.place = place;
    }

    /// What came next cannot be had any more: whoever follows is told so and begins anew from `place`.
    pub fn skip_to(&mut self, place: Place) {
        self.reader = Reader::new(place);
        self.first += self.ring.len() as u64 + 1;
        self.ring.clear();
        self.base = place;
    }

    /// Takes what was read; answers the events of it, and how many were not to be had.
    pub fn take(
        &mut self,
        entries: &[Entry],
        upto: Place,
        material: Material,
    ) -> (Vec<Arc<OpsEvent>>, usize) {
        let (events, missing) = self.reader.take(entries, upto, material);
        self.ring.extend(events.iter().cloned());
        while self.ring.len() > self.recent_max
            && let Some(gone) = self.ring.pop_front()
        {
            self.base = gone.place;
            self.first += 1;
        }
        self.reader.bound(self.known_max);
        (events, missing)
    }

    /// The number after the newest event.
    pub fn end(&self) -> u64 {
        self.first + self.ring.len() as u64
    }

    /// The place after the newest event.
    pub fn place(&self) -> Place {
        self.reader.place
    }

    /// Events from this number on, at most `max`.
    pub fn after(&self, number: u64, max: usize) -> Next {
        let Some(skip) = number.checked_sub(self.first) else {
            return Next::Gone;
        };
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let events: Vec<_> = self.ring.iter().skip(skip).take(max).cloned().collect();
        if events.is_empty() {
            Next::Nothing
        } else {
            Next::Events(events)
        }
    }

    /// The number of the first event after a place, if the ring reaches back to it and this node has read so far.
    pub fn find(&self, place: Place) -> Option<u64> {
        let behind = |n: usize| self.first + n as u64;
        if place.epoch != self.reader.place.epoch {
            // Of an order that ended: only what lies in the ring can be told to follow.
            let exact = self.ring.iter().rposition(|event| event.place == place);
            let base = (place == self.base).then_some(0);
            return exact.map(|n| behind(n + 1)).or(base.map(behind));
        }
        let reaches = self.base.epoch != place.epoch || self.base <= place;
        if !reaches || place > self.reader.place {
            return None;
        }
        let known = |event: &Arc<OpsEvent>| event.place.epoch != place.epoch || event.place <= place;
        Some(behind(self.ring.iter().rposition(known).map_or(0, |n| n + 1)))
    }

    /// How an incident stands, as far as this node has read.
    pub fn standing(&self, room: &RoomId) -> Option<&Summary> {
        self.reader.standing.get(room)
    }

    /// How far each incident was shown.
    pub fn heads(&self) -> Vec<(RoomId, Seq)> {
        let heads = self.reader.heads.iter();
        heads.map(|(room, head)| (room.clone(), head)).collect()
    }

    /// How many events are in the ring.
    pub fn recent(&self) -> usize {
        self.ring.len()
    }
}
