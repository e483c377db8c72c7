//! Everybody loses the connection at once and comes back: each message that was acknowledged must reach each
//! member exactly once, whether live or on the way back in.

use std::collections::HashMap;

use crate::Result;
use crate::cli::{Common, ReconnectStorm};
use crate::crew::{Devices, raise};
use crate::dialect::{Dialect, Heard, Trail};
use crate::engine::Engine;
use crate::progress::Progress;
use crate::reactor::{ConnId, Ending, Handler, Reactor};
use crate::report::Outcome;
use crate::scan::{self, Key};
use crate::stats::{Latency, Pace, SECOND};

const STALL_LIMIT: u64 = 30 * SECOND;
const QUIET_LIMIT: u64 = 2 * SECOND;

pub fn run(common: &Common, args: &ReconnectStorm) -> Result<Outcome> {
    let rooms_count = args.connections.div_ceil(args.members);
    let mut outcome = Outcome::new("reconnect-storm");
    outcome.ask("connections", rooms_count * args.members);
    outcome.ask("rooms", rooms_count);
    outcome.ask("messages/s", args.rate);
    outcome.ask("dialect", common.dialect.name());

    let engine = Engine::start(common, &[])?;
    let mut net = Reactor::new(engine.addrs())?;
    let devices = Devices::of_this_run();
    let creators: Vec<String> = (0..rooms_count)
        .map(|room| devices.id((room * args.members) as u64))
        .collect();
    let rooms = raise(&mut net, &creators, &[])?;
    let mut storm = Storm::new(common.dialect, rooms, devices, args)?;

    storm.come_aboard(&mut net, args)?;
    storm.talk(&mut net, args.rate, args.seconds, 0)?;
    let cpu = engine.usage().cpu_seconds;
    let dropped = net.now();
    storm.drop_all(&mut net);
    storm.since_drop = Some(Latency::new()?);
    storm.come_aboard(&mut net, args)?;
    let back = net.now() - dropped;
    let server_cpu = engine.usage().cpu_seconds - cpu;
    storm.talk(&mut net, args.rate, args.seconds, QUIET_LIMIT)?;

    outcome.find("all are back after", back as f64 / 1e6, "ms");
    if let Some(latency) = &storm.since_drop {
        outcome.latency("from the drop to back in the room", latency, common.p99_limit_ms);
    }
    outcome.find("server CPU of the storm", server_cpu, "s");
    let (acknowledged, verdict) = storm.verdict();
    let resumed: u64 = storm.members.iter().map(Member::messages_resumed).sum();
    outcome.find("messages sent", storm.sent as f64, "");
    // Socket.IO does not say up to where a resume goes.
    if common.dialect == Dialect::Json {
        outcome.find("copies that came by the resume", resumed as f64, "");
    }
    outcome.find("messages acknowledged", acknowledged as f64, "");
    outcome.find(
        "acknowledgements lost with the connection",
        (storm.sent - acknowledged) as f64,
        "",
    );
    outcome.expect_none("acknowledged and missing at a member", verdict.missing);
    outcome.expect_none("received twice", verdict.twice);
    outcome.expect_none("out of order", verdict.disorder);
    outcome.expect_none("resumes that were not recovered", storm.unrecovered);
    outcome.expect_none("closed by the engine", storm.closed);
    for error in storm.errors.iter().take(3) {
        outcome.fail(error.clone());
    }
    drop(net);
    if let Some(why) = engine.stop()? {
        outcome.fail(why);
    }
    Ok(outcome)
}

/// Somebody in a room, over all of their connections.
#[derive(Default)]
struct Member {
    conn: Option<ConnId>,
    is_in: bool,
    /// What a resume asks for.
    trail: Trail,
    /// What the resume covers: after the first seq, up to the second.
    resumed: (u64, u64),
    /// The seq and the number of each message.
    received: Vec<(u64, u64)>,
}

impl Member {
    fn messages_resumed(&self) -> u64 {
        let (after, to) = self.resumed;
        self.received
            .iter()
            .filter(|(seq, _)| *seq > after && *seq <= to)
            .count() as u64
    }
}

struct Keys {
    seq: Key,
    content: Key,
    recovered: Key,
    id: Key,
}

struct Storm {
    dialect: Dialect,
    rooms: Vec<String>,
    devices: Devices,
    per_room: usize,
    members: Vec<Member>,
    member_of: HashMap<ConnId, usize>,
    keys: Keys,
    /// The room of each message, and its seq once acknowledged.
    messages: Vec<(usize, Option<u64>)>,
    sent: u64,
    aboard: usize,
    since_drop: Option<Latency>,
    dropped_at: u64,
    unrecovered: u64,
    closed: u64,
    errors: Vec<String>,
    last_arrival: u64,
    pace: Pace,
    next_sender: usize,
}

/// What went wrong, counted over members and messages.
#[derive(Default)]
struct Verdict {
    missing: u64,
    twice: u64,
    disorder: u64,
}

impl Storm {
    fn new(dialect: Dialect, rooms: Vec<String>, devices: Devices, args: &ReconnectStorm) -> Result<Self> {
        let mut members = Vec::new();
        members.resize_with(rooms.len() * args.members, Member::default);
        Ok(Self {
            dialect,
            rooms,
            devices,
            per_room: args.members,
            members,
            member_of: HashMap::new(),
            keys: Keys {
                seq: Key::new("\"seq\":"),
                content: Key::new("\"content\":\"message-"),
                recovered: Key::new("\"recovered\":"),
                id: Key::new("\"id\":\"message-"),
            },
            messages: Vec::new(),
            sent: 0,
            aboard: 0,
            since_drop: None,
            dropped_at: 0,
            unrecovered: 0,
            closed: 0,
            errors: Vec::new(),
            last_arrival: 0,
            pace: Pace::new(0, 1.0, 0),
            next_sender: 0,
        })
    }

    /// Connects and joins whoever is not in; those who are in go on talking.
    fn come_aboard(&mut self, net: &mut Reactor, args: &ReconnectStorm) -> Result<()> {
        let progress = Progress::new("coming aboard", self.members.len() as u64);
        if self.since_drop.is_some() {
            self.pace = Pace::new(net.now(), args.rate, u64::MAX);
        }
        let mut opened = 0;
        let (mut aboard, mut quiet_since) = (0, net.now());
        while self.aboard < self.members.len() {
            while opened < self.members.len() && opened < self.aboard + args.concurrency {
                // One of each room after another, so that who is late has missed what the early ones said.
                let index = opened % self.rooms.len() * self.per_room + opened / self.rooms.len();
                let back = self.since_drop.is_some().then_some(&self.members[index].trail);
                let opening = self.dialect.opening(&self.devices.id(index as u64), back);
                let id = net.open_socket(opening)?;
                self.members[index].conn = Some(id);
                self.member_of.insert(id, index);
                opened += 1;
            }
            self.say_what_is_due(net);
            let until = self.pace.due().min(net.now() + SECOND / 10);
            net.turn(self, until)?;
            progress.set(self.aboard as u64);
            if self.aboard > aboard {
                (aboard, quiet_since) = (self.aboard, net.now());
            } else if net.now() > quiet_since + STALL_LIMIT {
                let error = self.errors.first().map_or("it says nothing", String::as_str);
                return Err(format!("only {aboard} of {} came in: {error}", self.members.len()).into());
            }
        }
        Ok(())
    }

    fn drop_all(&mut self, net: &mut Reactor) {
        self.dropped_at = net.now();
        self.aboard = 0;
        self.member_of.clear();
        for member in &mut self.members {
            member.is_in = false;
            if let Some(id) = member.conn.take() {
                net.drop_conn(id);
            }
        }
    }

    /// Sends messages for so long, then waits until it has been quiet.
    fn talk(&mut self, net: &mut Reactor, rate: f64, seconds: f64, quiet: u64) -> Result<()> {
        let count = (rate * seconds) as u64;
        self.pace = Pace::new(net.now(), rate, count);
        self.last_arrival = net.now();
        while !self.pace.is_over() || net.now() < self.last_arrival + quiet {
            self.say_what_is_due(net);
            let until = self.pace.due().min(net.now() + SECOND / 20);
            net.turn(self, until)?;
        }
        Ok(())
    }

    fn say_what_is_due(&mut self, net: &mut Reactor) {
        let now = net.now();
        while self.pace.pop(now).is_some() {
            let Some(id) = self.next_speaker() else { continue };
            let room = self.next_sender / self.per_room;
            let number = self.messages.len();
            self.messages.push((room, None));
            self.sent += 1;
            let name = format!("message-{number}");
            let frame = self.dialect.message(&self.rooms[room], &name, Some(&name));
            net.send(id, &frame);
        }
    }

    /// Room after room; who is not back yet says nothing.
    fn next_speaker(&mut self) -> Option<ConnId> {
        for _ in 0..self.members.len().min(128) {
            self.next_sender = (self.next_sender + self.per_room + 1) % self.members.len();
            let member = &self.members[self.next_sender];
            if member.is_in {
                return member.conn;
            }
        }
        None
    }

    /// How many messages were acknowledged, and whether each reached each member of its room once, in order.
    fn verdict(&self) -> (u64, Verdict) {
        let mut verdict = Verdict::default();
        let mut acknowledged = vec![0_u64; self.rooms.len()];
        for (room, seq) in &self.messages {
            acknowledged[*room] += u64::from(seq.is_some());
        }
        for (index, member) in self.members.iter().enumerate() {
            let mut seen: HashMap<u64, u64> = HashMap::new();
            let mut found = 0;
            for pair in member.received.windows(2) {
                verdict.disorder += u64::from(pair[1].0 < pair[0].0);
            }
            for (_, number) in &member.received {
                let times = seen.entry(*number).or_default();
                *times += 1;
                verdict.twice += u64::from(*times > 1);
                let was_acknowledged = usize::try_from(*number)
                    .ok()
                    .and_then(|number| self.messages.get(number))
                    .is_some_and(|(_, seq)| seq.is_some());
                found += u64::from(*times == 1 && was_acknowledged);
            }
            verdict.missing += acknowledged[index / self.per_room].saturating_sub(found);
        }
        (acknowledged.iter().sum(), verdict)
    }

    fn come_back(&mut self, index: usize, now: u64) {
        self.members[index].is_in = true;
        self.aboard += 1;
        if let Some(latency) = &mut self.since_drop {
            latency.record(self.dropped_at, now);
        }
    }

    fn joined(&mut self, index: usize, payload: &[u8], now: u64) {
        let member = &mut self.members[index];
        if member.is_in {
            return;
        }
        member.is_in = true;
        self.aboard += 1;
        let seq = self.keys.seq.after(payload).and_then(scan::number);
        if let Some(latency) = &mut self.since_drop {
            latency.record(self.dropped_at, now);
            member.resumed.1 = seq.unwrap_or(0);
            let is_recovered = self
                .keys
                .recovered
                .after(payload)
                .is_some_and(|rest| rest.starts_with(b"true"));
            self.unrecovered += u64::from(!is_recovered);
        }
        member.trail.note(payload, seq);
    }
}

impl Handler for Storm {
    fn frame(&mut self, net: &mut Reactor, id: ConnId, payload: &[u8], now: u64) {
        let Some(&index) = self.member_of.get(&id) else {
            return;
        };
        self.last_arrival = now;
        let room = index / self.per_room;
        let member = &mut self.members[index];
        match self.dialect.hear(payload) {
            Heard::Connected => {
                let is_back = self.since_drop.is_some();
                member.resumed.0 = if is_back { member.trail.seq } else { 0 };
                if member.trail.greeted(payload) {
                    // It sits there again, and what it missed follows: no more is said of that.
                    self.come_back(index, now);
                } else {
                    let back = is_back.then_some(&member.trail);
                    net.send(id, &self.dialect.join(&self.rooms[room], back));
                }
            }
            Heard::Joined => self.joined(index, payload, now),
            Heard::Done => {
                let number = self.keys.id.after(payload).and_then(scan::number);
                let seq = self.keys.seq.after(payload).and_then(scan::number);
                if let Some(message) = number.and_then(|number| self.messages.get_mut(number as usize)) {
                    message.1 = seq;
                }
            }
            Heard::Refused | Heard::Trouble => {
                self.errors.push(String::from_utf8_lossy(payload).into_owned());
            }
            heard => {
                let Some(seq) = self.keys.seq.after(payload).and_then(scan::number) else {
                    return;
                };
                member.trail.note(payload, Some(seq));
                if heard == Heard::Message
                    && let Some(number) = self.keys.content.after(payload).and_then(scan::number)
                {
                    member.received.push((seq, number));
                }
            }
        }
    }

    fn closed(&mut self, _: &mut Reactor, id: ConnId, ending: Ending) {
        self.closed += 1;
        if self.errors.len() < 3 {
            let member = self.member_of.get(&id).copied().unwrap_or_default();
            self.errors.push(format!("member {member} was {ending}"));
        }
    }
}
