//! What is sent next, and when: no store, no socket, no clock. It is told what time it is and what came of things, and
//! answers with effects. Time is since any beginning.
//!
//! An incident that was claimed has a lane. One event of it is on its way at a time, the next only when that was taken or
//! given up; how far it has come is written behind it. A lane ends when its incident has nothing more, when an event
//! was sent in vain (the incident is due again later, wherever), or when its lease is over.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::domain::breaker::{Breaker, Stand, backoff};
use crate::domain::ids::RoomId;
use crate::domain::room::{Event, Seq};
use crate::domain::time::Timestamp;
use crate::store::{Claimed, DeadLetter, Settle, Settled, Then};

/// How soon the store is asked again after it failed.
const STORE_PAUSE: Duration = Duration::from_millis(500);
/// A service that wants to be left alone for longer is asked after this all the same.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// The numbers it goes by.
#[derive(Clone, Debug)]
pub struct FeedSettings {
    /// Incidents in hand at once, each with one request.
    pub at_once: usize,
    /// Events of one incident that are read at once, and sent before others have their turn.
    pub batch: usize,
    /// How long a request may take.
    pub timeout: Duration,
    /// For how long an incident is this node's; longer than a request.
    pub lease: Duration,
    /// How often it is looked whether something is due that nobody told of.
    pub poll: Duration,
    /// The wait before the second attempt, at most; it doubles with each.
    pub backoff_min: Duration,
    /// Up to this.
    pub backoff_max: Duration,
    /// Refusals after which an event is given up.
    pub refusals_max: u32,
    /// Failures in a row after which the service is left alone; 0: never.
    pub breaker_failures: u32,
    /// For how long.
    pub breaker_rest: Duration,
}

/// What the service made of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It has it.
    Taken,
    /// It does not want it, and never will.
    Refused(u16),
    /// It could not be asked, or could not answer; and when it wants to be asked again.
    Failed(Option<Duration>),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Claim so many incidents.
    Claim(usize),
    /// Read the log of an incident.
    Read {
        /// Which.
        room: RoomId,
        /// After this event.
        after: Seq,
        /// At most so many.
        limit: usize,
    },
    /// Send an event.
    Send(Box<Event>),
    /// Write how far incidents have come.
    Settle(Vec<Settle>),
}

/// What it counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events that were taken.
    pub sent: u64,
    /// Attempts in vain.
    pub failed: u64,
    /// Attempts that were refused.
    pub refused: u64,
    /// Events given up.
    pub dead: u64,
    /// Incidents that were lost to another node, or whose lease ran out.
    pub lost: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Nothing,
    Reading,
    Sending,
}

struct Lane {
    token: i64,
    until: Duration,
    taken: Seq,
    head: Seq,
    written: Seq,
    attempts: u32,
    refusals: u32,
    events: VecDeque<Event>,
    doing: Doing,
    /// Events sent since it was claimed.
    sent: usize,
    /// It ends, and is due again after this.
    ends: Option<Duration>,
    /// There is something to write.
    dirty: bool,
    dead: Vec<DeadLetter>,
}

/// The worker without its shell.
pub struct Core {
    settings: FeedSettings,
    breaker: Breaker,
    lanes: HashMap<RoomId, Lane>,
    effects: Vec<Effect>,
    /// There may be more than is in hand.
    hungry: bool,
    claiming: bool,
    settling: bool,
    poll_at: Duration,
    /// The service wants to be left alone until then.
    hold: Duration,
    settle_at: Duration,
    stopping: bool,
    tally: Tally,
}

impl Core {
    /// With nothing in hand.
    pub fn new(settings: FeedSettings) -> Self {
        Self {
            breaker: Breaker::new(settings.breaker_failures, settings.breaker_rest),
            settings,
            lanes: HashMap::new(),
            effects: Vec::new(),
            hungry: true,
            claiming: false,
            settling: false,
            poll_at: Duration::ZERO,
            hold: Duration::ZERO,
            settle_at: Duration::ZERO,
            stopping: false,
            tally: Tally::default(),
        }
    }

    /// What is to be done now.
    pub fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// What it has done.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Incidents in hand.
    pub fn in_hand(&self) -> usize {
        self.lanes.len()
    }

    /// Whether the service is spoken to.
    pub fn stand(&self, now: Duration) -> Stand {
        self.breaker.stand(now)
    }

    /// How often it was left alone.
    pub fn opened(&self) -> u64 {
        self.breaker.opened()
    }

    /// Whether one more may be sent now by somebody who asks for it.
    ///
    /// # Errors
    /// When to ask again.
    pub fn admit(&mut self, now: Duration) -> Result<(), Duration> {
        if now < self.hold {
            return Err(self.hold.saturating_sub(now));
        }
        self.breaker.admit(now)
    }

    /// What came of one that somebody asked for.
    pub fn admitted(&mut self, reply: Reply, now: Duration) {
        match reply {
            Reply::Taken | Reply::Refused(_) => self.breaker.succeeded(),
            Reply::Failed(after) => self.troubled(after, now),
        }
        self.go_on(now);
    }

    /// Something new may be there.
    pub fn woken(&mut self, now: Duration) {
        self.hungry = true;
        self.go_on(now);
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Duration) {
        self.go_on(now);
    }

    /// Takes nothing new in hand, and lets go of what it has.
    pub fn stop(&mut self, now: Duration) {
        self.stopping = true;
        self.go_on(now);
    }

    /// Whether it was told to stop, and has let go of everything.
    pub fn is_done(&self) -> bool {
        self.stopping && self.lanes.is_empty() && !self.settling && !self.claiming
    }

    /// Incidents that are this node's now; `asked` is when they were claimed. `None`: the store failed.
    pub fn claimed(
        &mut self,
        token: i64,
        asked: Duration,
        found: Option<(Vec<Claimed>, usize)>,
        now: Duration,
    ) {
        self.claiming = false;
        let Some((found, limit)) = found else {
            self.poll_at = now + STORE_PAUSE.max(self.settings.poll);
            self.go_on(now);
            return;
        };
        if found.len() >= limit {
            self.hungry = true;
        }
        for claimed in found {
            let lane = Lane {
                token,
                until: asked.saturating_add(self.settings.lease),
                taken: claimed.taken,
                head: claimed.head,
                written: claimed.taken,
                attempts: claimed.attempts,
                refusals: claimed.refusals,
                events: VecDeque::new(),
                doing: Doing::Nothing,
                sent: 0,
                ends: None,
                dirty: claimed.taken >= claimed.head,
                dead: Vec::new(),
            };
            self.lanes.insert(claimed.room, lane);
        }
        self.go_on(now);
    }

    /// The events of an incident that follow what was taken; `None`: the store failed.
    pub fn read(&mut self, room: &RoomId, token: i64, events: Option<Vec<Event>>, now: Duration) {
        let Some(lane) = self.lanes.get_mut(room).filter(|lane| lane.token == token) else {
            return;
        };
        lane.doing = Doing::Nothing;
        match events {
            Some(events) if events.is_empty() => {
                // The log ends before the outbox says it does: a backup was brought back. What is not there cannot be
                // sent.
                lane.taken = lane.head;
                lane.dirty = true;
            }
            Some(events) => lane.events = events.into(),
            None => {
                lane.ends = Some(STORE_PAUSE);
                lane.dirty = true;
            }
        }
        self.go_on(now);
    }

    /// What came of the event of an incident that was on its way. `chance` is a random number; `at` the time of day.
    pub fn answered(
        &mut self,
        room: &RoomId,
        token: i64,
        reply: Reply,
        (at, chance): (Timestamp, u64),
        now: Duration,
    ) {
        match reply {
            Reply::Taken | Reply::Refused(_) => self.breaker.succeeded(),
            Reply::Failed(after) => self.troubled(after, now),
        }
        let settings = &self.settings;
        if let Some(lane) = self.lanes.get_mut(room).filter(|lane| lane.token == token) {
            lane.doing = Doing::Nothing;
            lane.dirty = true;
            lane.sent += 1;
            let wait = |attempts| backoff(attempts, settings.backoff_min, settings.backoff_max, chance);
            match reply {
                Reply::Taken => {
                    self.tally.sent += 1;
                    lane.pass();
                }
                Reply::Failed(after) => {
                    self.tally.failed += 1;
                    lane.attempts = lane.attempts.saturating_add(1);
                    let least = after.unwrap_or_default().min(RETRY_AFTER_MAX);
                    lane.ends = Some(wait(lane.attempts).max(least));
                }
                Reply::Refused(status) => {
                    self.tally.refused += 1;
                    lane.attempts = lane.attempts.saturating_add(1);
                    lane.refusals = lane.refusals.saturating_add(1);
                    if lane.refusals < settings.refusals_max {
                        lane.ends = Some(wait(lane.attempts));
                    } else {
                        self.tally.dead += 1;
                        if let Some(event) = lane.events.front() {
                            lane.dead.push(DeadLetter {
                                room: event.room.clone(),
                                seq: event.seq,
                                kind: event.body.kind().to_owned(),
                                status,
                                attempts: lane.attempts,
                                at,
                            });
                        }
                        lane.pass();
                    }
                }
            }
        }
        self.go_on(now);
    }

    fn troubled(&mut self, after: Option<Duration>, now: Duration) {
        self.breaker.failed(now);
        if let Some(after) = after {
            self.hold = self.hold.max(now + after.min(RETRY_AFTER_MAX));
        }
    }

    /// What became of what was to be written; `asked` is when that was. `None`: the store failed.
    pub fn settled(
        &mut self,
        asked: Duration,
        written: Vec<Settle>,
        outcome: Option<Vec<Settled>>,
        now: Duration,
    ) {
        self.settling = false;
        let Some(outcome) = outcome else {
            self.settle_at = now + STORE_PAUSE;
            for settle in written {
                if let Some(lane) = self
                    .lanes
                    .get_mut(&settle.room)
                    .filter(|l| l.token == settle.token)
                {
                    lane.dirty = true;
                    // Before those that came later.
                    lane.dead.splice(0..0, settle.dead);
                }
            }
            self.go_on(now);
            return;
        };
        for (settle, settled) in written.into_iter().zip(outcome) {
            let Some(lane) = self
                .lanes
                .get_mut(&settle.room)
                .filter(|l| l.token == settle.token)
            else {
                continue;
            };
            match settled {
                Settled::Left(head) if matches!(settle.then, Then::Keep(_)) => {
                    lane.until = asked.saturating_add(self.settings.lease);
                    lane.written = settle.taken;
                    lane.head = lane.head.max(head);
                }
                settled => {
                    // Whatever is on its way there comes to an end without it.
                    self.tally.lost += u64::from(settled == Settled::Gone && settle.taken < lane.head);
                    self.hungry |= matches!(
                        (settled, settle.then),
                        (Settled::Left(_), Then::Release(Duration::ZERO))
                    );
                    self.lanes.remove(&settle.room);
                }
            }
        }
        self.go_on(now);
    }

    /// When something is to be done though nothing happens.
    pub fn next(&self, now: Duration) -> Duration {
        let mut next = self.poll_at;
        if !self.settling && self.lanes.values().any(|lane| lane.dirty) {
            next = next.min(self.settle_at);
        }
        if self.hungry && self.rests(now) {
            let rested = self.breaker.next(now).unwrap_or(now);
            next = next.min(rested.max(self.hold));
        }
        // What a lane waits for comes by itself, as long as it is this node's.
        for lane in self.lanes.values() {
            next = next.min(lane.until);
        }
        next.max(now + Duration::from_millis(1))
    }

    fn go_on(&mut self, now: Duration) {
        self.expire(now);
        let rests = self.rests(now);
        let rooms: Vec<RoomId> = self.lanes.keys().cloned().collect();
        for room in rooms {
            self.step(&room, rests, now);
        }
        self.settle(now);
        self.claim(now);
    }

    /// Whether the service is to be left alone.
    fn rests(&self, now: Duration) -> bool {
        now < self.hold || self.breaker.stand(now) == Stand::Open
    }

    /// What is no longer this node's is nobody's business here.
    fn expire(&mut self, now: Duration) {
        let before = self.lanes.len();
        self.lanes.retain(|_, lane| now < lane.until);
        self.tally.lost += (before - self.lanes.len()) as u64;
    }

    fn step(&mut self, room: &RoomId, rests: bool, now: Duration) {
        let crowded = self.hungry && self.lanes.len() >= self.settings.at_once;
        let settings = &self.settings;
        let Some(lane) = self.lanes.get_mut(room) else {
            return;
        };
        if lane.doing != Doing::Nothing || lane.ends.is_some() {
            return;
        }
        // Others wait, and this one has had its turn.
        let had_its_turn = crowded && lane.sent >= settings.batch;
        if rests || self.stopping || had_its_turn {
            lane.ends = Some(Duration::ZERO);
            lane.dirty = true;
            return;
        }
        // Not further ahead of what is written than a batch: after a crash all of that is sent again.
        let ahead = lane.taken.get().saturating_sub(lane.written.get());
        if ahead >= settings.batch as u64 || now + settings.timeout > lane.until {
            lane.dirty = true;
            return;
        }
        if now + settings.timeout + settings.lease / 3 > lane.until {
            lane.dirty = true;
        }
        if let Some(event) = lane.events.front() {
            if self.breaker.admit(now).is_err() {
                lane.ends = Some(Duration::ZERO);
                lane.dirty = true;
                return;
            }
            lane.doing = Doing::Sending;
            self.effects.push(Effect::Send(Box::new(event.clone())));
        } else if lane.taken < lane.head {
            lane.doing = Doing::Reading;
            let left = lane.head.get() - lane.taken.get();
            let limit = settings.batch.min(usize::try_from(left).unwrap_or(usize::MAX));
            self.effects.push(Effect::Read {
                room: room.clone(),
                after: lane.taken,
                limit,
            });
        } else {
            lane.dirty = true;
        }
    }

    /// Writes how far things have come: one write at a time, with all that is to be written.
    fn settle(&mut self, now: Duration) {
        if self.settling || now < self.settle_at {
            return;
        }
        let lease = self.settings.lease;
        let mut all = Vec::new();
        for (room, lane) in self.lanes.iter_mut().filter(|(_, lane)| lane.dirty) {
            lane.dirty = false;
            let release = lane.ends.filter(|_| lane.doing == Doing::Nothing);
            all.push(Settle {
                room: room.clone(),
                token: lane.token,
                taken: lane.taken,
                attempts: lane.attempts,
                refusals: lane.refusals,
                since: lane.events.front().map(|event| event.at),
                then: release.map_or(Then::Keep(lease), Then::Release),
                dead: std::mem::take(&mut lane.dead),
            });
        }
        if !all.is_empty() {
            self.settling = true;
            self.effects.push(Effect::Settle(all));
        }
    }

    fn claim(&mut self, now: Duration) {
        if now >= self.poll_at {
            self.poll_at = now + self.settings.poll;
            // One that cannot be acted upon now is made up for.
            self.hungry = true;
        }
        if self.claiming || self.stopping || !self.hungry || self.rests(now) {
            return;
        }
        let free = self.settings.at_once.saturating_sub(self.lanes.len());
        let limit = match self.breaker.stand(now) {
            // One decides whether it is back.
            Stand::HalfOpen => usize::from(self.lanes.is_empty() && self.breaker.next(now).is_none()),
            // A claim costs more than what it gets when that is one.
            _ if free * 4 >= self.settings.at_once || self.lanes.is_empty() => free,
            _ => 0,
        };
        if limit > 0 {
            (self.claiming, self.hungry) = (true, false);
            self.poll_at = now + self.settings.poll;
            self.effects.push(Effect::Claim(limit));
        }
    }

    /// By which an incident in hand was claimed.
    pub fn token(&self, room: &RoomId) -> Option<i64> {
        self.lanes.get(room).map(|lane| lane.token)
    }
}

impl Lane {
    /// The event at its front is done with.
    fn pass(&mut self) {
        if let Some(event) = self.events.pop_front() {
            self.taken = event.seq;
        }
        (self.attempts, self.refusals) = (0, 0);
    }
}

#[cfg(test)]
#[path = "properties.rs"]
mod properties;
