//! The hot path of the fan-out: sends numbered positions on time, and counts each copy that arrives.

use crate::Result;
use crate::cli::{Fanout, What};
use crate::dialect::{Dialect, Heard};
use crate::engine::{Engine, usage_of};
use crate::progress::Progress;
use crate::reactor::{ConnId, Ending, Handler, Reactor};
use crate::signal::{Reader, Signal, Template, unix_ms, whole};
use crate::stats::{Arrival, Latency, Pace, SECOND, Sequence, Timeline};

/// Signals sent before arrivals get their turn.
const SENDS_IN_TURN: usize = 32;
/// Nothing arrives any more: what is missing is lost.
const QUIET_LIMIT: u64 = 2 * SECOND;
/// A trial that runs this much over its time has failed.
const OVERTIME: u64 = 20 * SECOND;

/// Rooms full of members, all connected.
pub struct Crowd {
    dialect: Dialect,
    members: usize,
    conns: Vec<ConnId>,
    /// By place: the node that it is connected to.
    node_of: Vec<usize>,
    what: What,
    /// The place in `conns` of each connection, by its index.
    place_of: Vec<u32>,
    templates: Vec<Template>,
    /// The order in which the numbers of each sender reach each member of its room, under each name.
    sequences: Vec<Vec<Sequence>>,
    /// By place: the newest number and the last fix time of a sender.
    numbers: Vec<u32>,
    fix_times: Vec<u64>,
    signals: u64,
}

/// What a trial found.
pub struct Trial {
    pub sent: u64,
    pub received: u64,
    pub lost: u64,
    /// Under how many names each is told, and how many were not told under all.
    pub names: usize,
    pub lost_again: u64,
    pub late: u64,
    pub twice: u64,
    pub misdirected: u64,
    pub latency: Latency,
    pub timeline: Timeline,
    /// Of those that went from one node to another.
    pub crossed: Latency,
    pub server_cpu: f64,
    /// That of Redis and of MongoDB.
    pub servers_cpu: Option<[f64; 2]>,
    pub client_cpu: f64,
    /// Bytes of a delivery under all its names.
    pub mean_bytes: f64,
    /// WebSocket messages of any kind that came for each delivery, the senders' confirmations among them.
    pub mean_messages: f64,
    pub worst_send_millis: f64,
    pub errors: Vec<String>,
    seconds: f64,
}

impl Trial {
    pub fn deliveries_per_second(&self) -> f64 {
        self.received as f64 / self.seconds.max(1e-3)
    }
}

impl Crowd {
    /// `conns` are the members, room by room.
    pub fn new(
        net: &mut Reactor,
        dialect: Dialect,
        (rooms, args): (&[String], &Fanout),
        conns: Vec<ConnId>,
    ) -> Result<Self> {
        let members = args.members;
        let slots = conns.iter().map(|id| id.index() + 1).max().unwrap_or(0);
        let mut place_of = vec![u32::MAX; slots];
        for (place, id) in (0_u32..).zip(&conns) {
            place_of[id.index()] = place;
        }
        if members < 2 {
            return Err("a room needs two members".into());
        }
        let names = match args.what {
            What::Positions => dialect.position_names(),
            What::Messages => dialect.message_names(),
        };
        Ok(Self {
            dialect,
            members,
            place_of,
            node_of: conns
                .iter()
                .map(|id| net.server_of(*id).unwrap_or_default())
                .collect(),
            what: args.what,
            templates: rooms
                .iter()
                .map(|room| match args.what {
                    What::Positions => Template::position(dialect, room, false),
                    What::Messages => Template::message(dialect, room),
                })
                .collect(),
            sequences: vec![vec![Sequence::default(); conns.len() * members]; names.len()],
            numbers: vec![0; conns.len()],
            fix_times: vec![0; conns.len()],
            conns,
            signals: 0,
        })
    }

    /// Sends at this rate for so long, waits for what is on its way, and counts.
    pub fn trial(&mut self, net: &mut Reactor, engine: &Engine, rate: f64, seconds: f64) -> Result<Trial> {
        let count = (rate * seconds).max(1.0) as u64;
        let copies = self.members as u64 - 1;
        let cpu = (
            engine.usage().cpu_seconds,
            usage_of(std::process::id()).cpu_seconds,
        );
        let servers_cpu = engine.servers_cpu();
        let names = self.sequences.len() as u64;
        let began = net.now() + SECOND / 100;
        let mut pace = Pace::new(began, rate, count);
        let mut run = Run {
            before: self.numbers.clone(),
            intended: vec![Vec::new(); self.conns.len()],
            sent: 0,
            reader: match self.what {
                What::Positions => Reader::of_positions(self.dialect),
                What::Messages => Reader::of_messages(self.dialect),
            },
            crowd: self,
            latency: Latency::new()?,
            crossed: Latency::new()?,
            timeline: Timeline::starting(began),
            received: 0,
            again: 0,
            messages: 0,
            bytes: 0,
            late: 0,
            twice: 0,
            misdirected: 0,
            last_arrival: began,
            errors: Vec::new(),
        };
        let progress = Progress::new("fan-out", count * copies);
        let limit = began + (seconds * SECOND as f64) as u64 + OVERTIME;
        let mut worst_send = 0;
        loop {
            let now = net.now();
            for _ in 0..SENDS_IN_TURN {
                let Some((_, intended)) = pace.pop(now) else { break };
                worst_send = worst_send.max(now - intended);
                run.send(net, intended);
            }
            if pace.is_over() && run.received + run.again >= count * copies * names {
                break;
            }
            let quiet = now.saturating_sub(run.last_arrival.max(began)) > QUIET_LIMIT;
            if (pace.is_over() && quiet) || now > limit {
                break;
            }
            let until = pace.due().min(now + SECOND / 20);
            net.turn(&mut run, until)?;
            progress.set(run.received);
        }
        Ok(Trial {
            sent: run.sent,
            received: run.received,
            lost: (count * copies).saturating_sub(run.received),
            names: names as usize,
            lost_again: (count * copies * (names - 1)).saturating_sub(run.again),
            late: run.late,
            twice: run.twice,
            misdirected: run.misdirected,
            latency: run.latency,
            crossed: run.crossed,
            servers_cpu: engine.servers_cpu_since(servers_cpu),
            timeline: run.timeline,
            server_cpu: engine.usage().cpu_seconds - cpu.0,
            client_cpu: usage_of(std::process::id()).cpu_seconds - cpu.1,
            mean_bytes: run.bytes as f64 / run.received.max(1) as f64,
            mean_messages: run.messages as f64 / run.received.max(1) as f64,
            worst_send_millis: worst_send as f64 / 1e6,
            seconds: (run.last_arrival.saturating_sub(began)) as f64 / SECOND as f64,
            errors: run.errors,
        })
    }
}

struct Run<'a> {
    crowd: &'a mut Crowd,
    /// By place: the newest number of the trial before, and when those of this one were meant to be sent.
    before: Vec<u32>,
    intended: Vec<Vec<u64>>,
    sent: u64,
    reader: Reader,
    latency: Latency,
    crossed: Latency,
    timeline: Timeline,
    received: u64,
    /// What was received under further names.
    again: u64,
    messages: u64,
    bytes: u64,
    late: u64,
    twice: u64,
    misdirected: u64,
    last_arrival: u64,
    errors: Vec<String>,
}

impl Run<'_> {
    /// The next signal: room after room, in each member after member.
    fn send(&mut self, net: &mut Reactor, intended: u64) {
        let crowd = &mut *self.crowd;
        let rooms = crowd.templates.len() as u64;
        let room = (crowd.signals % rooms) as usize;
        let member = (crowd.signals / rooms % crowd.members as u64) as usize;
        let place = room * crowd.members + member;
        // The engine drops a fix that is no newer than the one before it.
        let fix_time = unix_ms().max(crowd.fix_times[place] + 1);
        crowd.fix_times[place] = fix_time;
        crowd.numbers[place] += 1;
        crowd.signals += 1;
        self.intended[place].push(intended);
        self.sent += 1;
        let template = &mut crowd.templates[room];
        template.write(u64::from(crowd.numbers[place]), place as u64, fix_time);
        net.send(crowd.conns[place], &template.bytes);
    }

    fn other(&mut self, payload: &[u8]) {
        let is_bad = matches!(self.crowd.dialect.hear(payload), Heard::Refused | Heard::Trouble);
        if is_bad && self.errors.len() < 3 {
            self.errors.push(String::from_utf8_lossy(payload).into_owned());
        }
    }
}

impl Handler for Run<'_> {
    #[inline]
    fn frame(&mut self, _: &mut Reactor, id: ConnId, payload: &[u8], now: u64) {
        self.messages += 1;
        let Some(Signal { name, low, place }) = self.reader.read(payload) else {
            return self.other(payload);
        };
        let sender = place as usize;
        let newest = self.crowd.numbers.get(sender).copied().unwrap_or_default();
        let Some(number) = whole(low, u64::from(newest)).map(|number| number as u32) else {
            self.misdirected += 1;
            return;
        };
        // What a trial before this one left behind has been counted as lost there.
        let Some(index) = number.checked_sub(self.before[sender] + 1) else {
            return;
        };
        let place = self.crowd.place_of[id.index()] as usize;
        let members = self.crowd.members;
        if place == sender && self.crowd.what == What::Messages {
            // Whoever says something hears it, too, and that it was accepted.
            return;
        }
        if place / members != sender / members || place == sender {
            self.misdirected += 1;
            return;
        }
        let sequence = &mut self.crowd.sequences[name][place * members + sender % members];
        match sequence.arrive(number) {
            Arrival::InOrder | Arrival::AfterGap => {}
            Arrival::Late => self.late += 1,
            Arrival::Twice => {
                self.twice += 1;
                return;
            }
        }
        self.bytes += payload.len() as u64;
        self.last_arrival = now;
        if name > 0 {
            self.again += 1;
            return;
        }
        self.received += 1;
        let intended = self.intended[sender][index as usize];
        self.latency.record(intended, now);
        if self.crowd.node_of[place] != self.crowd.node_of[sender] {
            self.crossed.record(intended, now);
        }
        self.timeline.add(now, 1);
    }

    fn closed(&mut self, _: &mut Reactor, id: ConnId, ending: Ending) {
        if self.errors.len() < 3 {
            self.errors
                .push(format!("member {} was {ending}", self.crowd.place_of[id.index()]));
        }
    }
}
