//! What holds whatever happens: answers in any order, a store that fails and does not say whether it did, nodes that die
//! in the middle of anything, leases that run out.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::domain::room::{Actor, EventBody};

const ROOMS: usize = 3;
const NODES: usize = 2;
const TIMEOUT: Duration = Duration::from_secs(2);
const LEASE: Duration = Duration::from_secs(10);
const REFUSALS: u32 = 2;

fn settings() -> FeedSettings {
    FeedSettings {
        at_once: 2,
        batch: 3,
        timeout: TIMEOUT,
        lease: LEASE,
        poll: Duration::from_secs(1),
        backoff_min: Duration::from_millis(100),
        backoff_max: Duration::from_secs(5),
        refusals_max: REFUSALS,
        breaker_failures: 4,
        breaker_rest: Duration::from_secs(3),
    }
}

fn room(n: usize) -> RoomId {
    RoomId::new(format!("sos-{n}")).unwrap()
}

/// An incident as the store has it.
#[derive(Clone, Debug, Default)]
struct Row {
    log: u64,
    /// There is a row in the outbox.
    waits: bool,
    taken: u64,
    token: i64,
    until: Duration,
    due: Duration,
    attempts: u32,
    refusals: u32,
    buried: BTreeSet<u64>,
}

/// An effect on its way.
#[derive(Debug)]
struct Op {
    effect: Effect,
    token: i64,
    asked: Duration,
}

struct Node {
    core: Core,
    ops: Vec<Op>,
}

impl Node {
    fn new() -> Self {
        Self {
            core: Core::new(settings()),
            ops: vec![],
        }
    }
}

struct World {
    now: Duration,
    rows: BTreeMap<RoomId, Row>,
    nodes: Vec<Node>,
    tokens: i64,
    /// What the service has, and how often it refused an event.
    taken: BTreeSet<(RoomId, u64)>,
    refused: BTreeMap<(RoomId, u64), u32>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            now: Duration::ZERO,
            rows: (0..ROOMS).map(|n| (room(n), Row::default())).collect(),
            nodes: (0..NODES).map(|_| Node::new()).collect(),
            tokens: 0,
            taken: BTreeSet::new(),
            refused: BTreeMap::new(),
        };
        for n in 0..NODES {
            world.nodes[n].core.tick(Duration::ZERO);
            world.take_effects(n);
        }
        world
    }

    fn append(&mut self, n: usize) {
        let row = self.rows.get_mut(&room(n)).unwrap();
        if !row.waits {
            *row = Row {
                log: row.log,
                taken: row.log,
                waits: true,
                buried: std::mem::take(&mut row.buried),
                ..Row::default()
            };
        }
        row.log += 1;
    }

    fn take_effects(&mut self, n: usize) {
        for effect in self.nodes[n].core.effects() {
            let token = match &effect {
                Effect::Claim(_) => {
                    self.tokens += 1;
                    self.tokens
                }
                Effect::Read { room, .. } => self.nodes[n].core.token(room).unwrap(),
                Effect::Send(event) => self.nodes[n].core.token(&event.room).unwrap(),
                Effect::Settle(_) => 0,
            };
            if let Effect::Send(event) = &effect {
                self.check_send(event);
            }
            let asked = self.now;
            self.nodes[n].ops.push(Op { effect, token, asked });
        }
    }

    fn check_send(&self, event: &Event) {
        for earlier in 1..event.seq.get() {
            let key = (event.room.clone(), earlier);
            let given_up = self.refused.get(&key).is_some_and(|times| *times >= REFUSALS);
            assert!(
                self.taken.contains(&key) || given_up,
                "{event:?} before {earlier}"
            );
        }
        let on_their_way = self.nodes.iter().flat_map(|node| &node.ops);
        let same = |op: &&Op| matches!(&op.effect, Effect::Send(other) if other.room == event.room);
        assert_eq!(
            on_their_way.filter(same).count(),
            0,
            "two of one incident at once"
        );
    }

    /// Time passes; no request takes longer than it may.
    fn pass(&mut self, span: Duration) {
        self.now += span;
        for n in 0..NODES {
            let now = self.now;
            let late = |op: &Op| matches!(op.effect, Effect::Send(_)) && op.asked + TIMEOUT <= now;
            while let Some(at) = self.nodes[n].ops.iter().position(late) {
                self.finish(n, at, 1);
            }
            self.nodes[n].core.tick(self.now);
            self.take_effects(n);
        }
    }

    /// A node dies; what it was about may have happened.
    fn crash(&mut self, n: usize, happened: bool) {
        let ops = std::mem::replace(&mut self.nodes[n], Node::new()).ops;
        for op in ops.into_iter().filter(|_| happened) {
            match op.effect {
                Effect::Send(event) => drop(self.taken.insert((event.room, event.seq.get()))),
                Effect::Settle(all) => drop(self.settle(&all)),
                Effect::Claim(limit) => drop(self.claim(op.token, limit)),
                Effect::Read { .. } => {}
            }
        }
        self.nodes[n].core.tick(self.now);
        self.take_effects(n);
    }

    fn claim(&mut self, token: i64, limit: usize) -> Vec<Claimed> {
        let now = self.now;
        let due = self
            .rows
            .iter_mut()
            .filter(|(_, row)| row.waits && row.due <= now && row.until <= now);
        due.take(limit)
            .map(|(room, row)| {
                (row.token, row.until) = (token, now + LEASE);
                Claimed {
                    room: room.clone(),
                    taken: Seq::new(row.taken),
                    head: Seq::new(row.log),
                    attempts: row.attempts,
                    refusals: row.refusals,
                }
            })
            .collect()
    }

    fn settle(&mut self, all: &[Settle]) -> Vec<Settled> {
        let now = self.now;
        all.iter()
            .map(|settle| {
                let row = self.rows.get_mut(&settle.room).unwrap();
                if !row.waits || row.token != settle.token {
                    return Settled::Gone;
                }
                row.taken = row.taken.max(settle.taken.get());
                (row.attempts, row.refusals) = (settle.attempts, settle.refusals);
                row.buried
                    .extend(settle.dead.iter().map(|letter| letter.seq.get()));
                match settle.then {
                    Then::Keep(lease) => row.until = now + lease,
                    Then::Release(wait) => (row.until, row.due) = (Duration::ZERO, now + wait),
                }
                if row.taken >= row.log {
                    row.waits = false;
                    return Settled::Gone;
                }
                Settled::Left(Seq::new(row.log))
            })
            .collect()
    }

    fn log(&self, of: &RoomId, after: Seq, limit: usize) -> Vec<Event> {
        let seqs = after.get() + 1..=self.rows[of].log;
        seqs.take(limit)
            .map(|seq| Event {
                room: of.clone(),
                seq: Seq::new(seq),
                at: Timestamp::default(),
                actor: Actor::System,
                body: EventBody::Emptied,
            })
            .collect()
    }

    /// Something that was on its way comes to an end: well, badly, or badly though it happened.
    fn finish(&mut self, n: usize, at: usize, how: u8) {
        let Op { effect, token, asked } = self.nodes[n].ops.swap_remove(at);
        let now = self.now;
        match effect {
            Effect::Claim(limit) => {
                let found = (how != 1).then(|| self.claim(token, limit)).filter(|_| how != 2);
                let found = found.map(|found| (found, limit));
                self.nodes[n].core.claimed(token, asked, found, now);
            }
            Effect::Read { room, after, limit } => {
                let events = (how == 0).then(|| self.log(&room, after, limit));
                self.nodes[n].core.read(&room, token, events, now);
            }
            Effect::Send(event) => {
                let key = (event.room.clone(), event.seq.get());
                let reply = match how {
                    0 => Reply::Taken,
                    3 => Reply::Refused(422),
                    4 => Reply::Failed(Some(Duration::from_secs(4))),
                    _ => Reply::Failed(None),
                };
                if matches!(how, 0 | 2) {
                    self.taken.insert(key.clone());
                }
                if how == 3 {
                    *self.refused.entry(key).or_default() += 1;
                }
                let chance = (Timestamp::default(), u64::from(how) * 7_919);
                self.nodes[n]
                    .core
                    .answered(&event.room, token, reply, chance, now);
            }
            Effect::Settle(all) => {
                let done = (how != 1).then(|| self.settle(&all)).filter(|_| how != 2);
                self.nodes[n].core.settled(asked, all, done, now);
            }
        }
        self.take_effects(n);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn each_event_arrives_in_order_whatever_happens_on_the_way(
        steps in proptest::collection::vec((0_u8..12, any::<prop::sample::Index>(), 0_u64..1_500, 0_u8..5), 1..300),
    ) {
        let mut world = World::new();
        for (what, which, span, how) in steps {
            world.pass(Duration::from_millis(span));
            let n = which.index(NODES);
            match what {
                0 | 1 => {
                    world.append(which.index(ROOMS));
                    world.nodes[n].core.woken(world.now);
                    world.take_effects(n);
                }
                2 => world.crash(n, how % 2 == 0),
                _ if world.nodes[n].ops.is_empty() => {}
                _ => {
                    let at = which.index(world.nodes[n].ops.len());
                    // More often well than not, or nothing would ever get far.
                    world.finish(n, at, if what > 7 { 0 } else { how });
                }
            }
        }
        // From now on all is well.
        for _ in 0..2_000 {
            if world.rows.values().all(|row| !row.waits) {
                break;
            }
            for n in 0..NODES {
                while !world.nodes[n].ops.is_empty() {
                    world.finish(n, 0, 0);
                }
            }
            world.pass(Duration::from_millis(100));
        }
        for (room, row) in &world.rows {
            prop_assert!(!row.waits, "{room} still waits: {row:?}");
            for seq in 1..=row.log {
                let arrived = world.taken.contains(&(room.clone(), seq));
                prop_assert!(arrived || row.buried.contains(&seq), "{seq} of {room} is lost");
            }
        }
    }
}

#[test]
fn an_event_that_is_refused_so_often_is_given_up_and_the_next_one_goes_on() {
    let mut world = World::new();
    world.append(0);
    world.append(0);
    for _ in 0..400 {
        for n in 0..NODES {
            while let Some(at) = (0..world.nodes[n].ops.len()).next() {
                let first =
                    matches!(&world.nodes[n].ops[at].effect, Effect::Send(event) if event.seq.get() == 1);
                world.finish(n, at, if first { 3 } else { 0 });
            }
        }
        world.pass(Duration::from_millis(100));
    }
    let row = &world.rows[&room(0)];
    assert_eq!((row.waits, &row.buried), (false, &BTreeSet::from([1])));
    assert_eq!(world.refused[&(room(0), 1)], REFUSALS);
    assert_eq!(world.taken, BTreeSet::from([(room(0), 2)]));
}

#[test]
fn a_service_that_does_not_answer_is_left_alone_and_then_asked_once() {
    let mut core = Core::new(settings());
    let mut asked = Vec::new();
    let mut now = Duration::ZERO;
    let mut token = 0;
    while now < Duration::from_secs(30) {
        core.tick(now);
        let effects = core.effects();
        for effect in effects {
            match effect {
                Effect::Claim(limit) => {
                    token += 1;
                    let found = (0..limit).map(|n| Claimed {
                        room: room(n),
                        taken: Seq::ZERO,
                        head: Seq::new(1),
                        attempts: 0,
                        refusals: 0,
                    });
                    let found = found
                        .filter(|claimed| core.token(&claimed.room).is_none())
                        .collect();
                    core.claimed(token, now, Some((found, limit)), now);
                }
                Effect::Read { room, .. } => {
                    let token = core.token(&room).unwrap();
                    let event = Event {
                        room: room.clone(),
                        seq: Seq::new(1),
                        at: Timestamp::default(),
                        actor: Actor::System,
                        body: EventBody::Emptied,
                    };
                    core.read(&room, token, Some(vec![event]), now);
                }
                Effect::Send(event) => {
                    asked.push(now);
                    let token = core.token(&event.room).unwrap();
                    core.answered(
                        &event.room,
                        token,
                        Reply::Failed(None),
                        (Timestamp::default(), 0),
                        now,
                    );
                }
                Effect::Settle(all) => {
                    let left = all.iter().map(|_| Settled::Left(Seq::new(1))).collect();
                    core.settled(now, all, Some(left), now);
                }
            }
        }
        now += Duration::from_millis(10);
    }
    assert!(asked.len() <= 4 + 10, "{asked:?}");
    assert!(
        asked[4..]
            .windows(2)
            .all(|two| two[1] - two[0] >= Duration::from_secs(3)),
        "{asked:?}"
    );
}

#[test]
fn it_sleeps_while_nothing_is_to_be_done() {
    let mut core = Core::new(settings());
    core.tick(Duration::ZERO);
    let claimed = |n| Claimed {
        room: room(n),
        taken: Seq::ZERO,
        head: Seq::new(1),
        attempts: 0,
        refusals: 0,
    };
    assert_eq!(core.effects(), [Effect::Claim(2)]);
    core.claimed(
        1,
        Duration::ZERO,
        Some((vec![claimed(0), claimed(1)], 2)),
        Duration::ZERO,
    );
    // Both lanes wait for the store, and are full.
    let (mut now, mut ticks) = (Duration::ZERO, 0);
    while now < Duration::from_secs(9) {
        now = core.next(now);
        core.tick(now);
        core.effects();
        ticks += 1;
    }
    assert!(ticks <= 12, "{ticks} times in nine seconds");
}
