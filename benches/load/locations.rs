//! Uploads of positions at a steady rate, by REST or by socket: from the instant intended to the answer.

use std::collections::VecDeque;

use crate::Result;
use crate::cli::{Common, Locations, Via};
use crate::crew::{Devices, Member, board, raise, settle};
use crate::dialect::{Dialect, Heard};
use crate::engine::Engine;
use crate::errors::Errors;
use crate::http;
use crate::pool::{Job, Lost, Pool};
use crate::progress::Progress;
use crate::reactor::{ConnId, Ending, Handler, Ignore, Reactor};
use crate::report::Outcome;
use crate::search::{Search, Verdict};
use crate::signal::{self, Template, unix_ms};
use crate::stats::{Latency, Pace, SECOND, Timeline};

const SENDS_IN_TURN: usize = 64;
const QUIET_LIMIT: u64 = 3 * SECOND;
/// No more positions come to history.
const HISTORY_QUIET: u64 = 5 * SECOND;
/// How far a subject moves from fix to fix, in 1e-6 degrees: about 15 m, as in a car that reports each second.
const STEP: u64 = 140;

pub fn run(common: &Common, args: &Locations) -> Result<Outcome> {
    let mut settings = Vec::new();
    if let Some(interval) = args.min_interval_ms {
        settings.push(("MAYDAY__LOCATIONS__MIN_INTERVAL_MS", interval.to_string()));
    }
    let mut outcome = Outcome::new("locations");
    outcome.ask(
        "uploads/s",
        if args.max {
            "the most".into()
        } else {
            args.rate.to_string()
        },
    );
    outcome.ask("subjects", args.subjects);
    outcome.ask("by", if args.via == Via::Rest { "REST" } else { "socket" });
    if args.via == Via::Socket {
        outcome.ask("dialect", common.dialect.name());
    }

    if common.nodes.is_some() {
        // What the stream keeps is to be seen in the store before the patience of whoever measures ends.
        settings.push(("MAYDAY__BUS__HISTORY_INTERVAL_S", "2".to_owned()));
    }
    let engine = Engine::start(common, &settings)?;
    let mut net = Reactor::new(engine.addrs())?;
    let mut road = Road::build(&mut net, common.dialect, args)
        .map_err(|error| format!("{error}\n{}", engine.log_tail()))?;
    let trial = if args.max {
        highest(&mut net, &engine, &mut road, args, &mut outcome)?
    } else {
        road.trial(&mut net, &engine, args.rate, args.seconds)?
    };
    outcome.find("uploads sent", trial.sent as f64, "");
    outcome.find("uploads taken", trial.taken as f64, "");
    outcome.find("uploads taken a second", trial.per_second(), "/s");
    outcome.latency("upload", &trial.latency, common.p99_limit_ms);
    outcome.find("sent late by at most", trial.worst_send_millis, "ms");
    if engine.is_measured() {
        outcome.find("server CPU", trial.server_cpu, "s");
        outcome.find(
            "uploads for a server-CPU-second",
            trial.taken as f64 / trial.server_cpu.max(0.01),
            "",
        );
    }
    if let Some([redis, mongo]) = trial.servers_cpu {
        outcome.find("Redis CPU", redis, "s");
        outcome.find("MongoDB CPU", mongo, "s");
        shared(&mut outcome, &engine, &mut net)?;
    }
    trial.errors.tell(&mut outcome);
    outcome.expect_none("without an answer", trial.unanswered());
    outcome.timeline("uploads", &trial.timeline);
    drop(net);
    if let Some(why) = engine.stop()? {
        outcome.fail(why);
    }
    Ok(outcome)
}

/// Where the positions went that nodes share.
fn shared(outcome: &mut Outcome, engine: &Engine, net: &mut Reactor) -> Result<()> {
    let written = "mayday_history_positions_total{what=\"written\"}";
    let (mut known, mut since) = (engine.metric(written)?, net.now());
    // They come in batches, some seconds apart.
    while net.now() < since + HISTORY_QUIET {
        let until = net.now() + SECOND / 2;
        net.turn(&mut Ignore, until)?;
        let now = engine.metric(written)?;
        if now > known {
            (known, since) = (now, net.now());
        }
    }
    let board = |what: &str| engine.metric(&format!("mayday_board_notes_total{{what=\"{what}\"}}"));
    outcome.find("positions and notes put into Redis", board("put")?, "");
    outcome.expect_none("dropped on the way into Redis", board("dropped")? as u64);
    outcome.find("positions that history keeps, in MongoDB", known, "");
    Ok(())
}

fn highest(
    net: &mut Reactor,
    engine: &Engine,
    road: &mut Road,
    args: &Locations,
    outcome: &mut Outcome,
) -> Result<Trial> {
    let search = Search {
        start: args.rate,
        trial_seconds: args.trial_seconds,
        seconds: args.seconds,
    };
    let (rate, trial) = search.highest(|rate, seconds| {
        let trial = road.trial(net, engine, rate, seconds)?;
        let p99 = trial.latency.millis(99.0);
        let errors = trial.errors.count();
        eprintln!(
            "  {rate:>10.0} uploads/s: {:>10.0} taken/s, p99 {p99:>8.2} ms, {errors} errors",
            trial.per_second()
        );
        settle(net)?;
        let is_good = errors == 0 && trial.unanswered() == 0 && p99 <= args.max_p99_ms;
        let verdict = Verdict::of(is_good, trial.worst_send_millis);
        Ok((trial, verdict))
    })?;
    outcome.find("highest uploads/s", rate, "/s");
    Ok(trial)
}

struct Trial {
    sent: u64,
    taken: u64,
    answered: u64,
    errors: Errors,
    latency: Latency,
    timeline: Timeline,
    server_cpu: f64,
    servers_cpu: Option<[f64; 2]>,
    worst_send_millis: f64,
    seconds: f64,
}

impl Trial {
    fn per_second(&self) -> f64 {
        self.taken as f64 / self.seconds.max(1e-3)
    }

    fn unanswered(&self) -> u64 {
        self.sent.saturating_sub(self.answered)
    }
}

/// How uploads travel.
enum Way {
    Rest(Pool),
    /// A socket for each subject, and the instants of the uploads that it has not confirmed.
    Sockets {
        conns: Vec<ConnId>,
        waiting: Vec<VecDeque<u64>>,
        place_of: Vec<u32>,
    },
}

/// Subjects in their incidents, and the way to the engine.
struct Road {
    way: Way,
    templates: Vec<Template>,
    fix_times: Vec<u64>,
    dialect: Dialect,
    uploads: u64,
}

impl Road {
    fn build(net: &mut Reactor, dialect: Dialect, args: &Locations) -> Result<Self> {
        let ids = Devices::of_this_run();
        let devices: Vec<String> = (0..args.subjects as u64).map(|subject| ids.id(subject)).collect();
        let rooms = raise(net, &devices, &[])?;
        let (way, templates) = match args.via {
            Via::Rest => {
                let host = net.host().to_owned();
                let request = |device: &String| {
                    let body = format!("{{{}}}", signal::fields());
                    let headers = format!("X-Device-ID: {device}\r\n");
                    Template::around(http::request("POST", &host, "/api/location", &headers, &body))
                };
                (
                    Way::Rest(Pool::open(net, args.connections)?),
                    devices.iter().map(request).collect(),
                )
            }
            Via::Socket => {
                let member = |(device, room): (&String, &String)| Member {
                    device: device.clone(),
                    room: Some(room.clone()),
                };
                let members: Vec<Member> = devices.iter().zip(&rooms).map(member).collect();
                let conns = board(net, dialect, &members, 64)?;
                let slots = conns.iter().map(|id| id.index() + 1).max().unwrap_or(0);
                let mut place_of = vec![u32::MAX; slots];
                for (place, id) in (0_u32..).zip(&conns) {
                    place_of[id.index()] = place;
                }
                let waiting = vec![VecDeque::new(); conns.len()];
                let way = Way::Sockets {
                    conns,
                    waiting,
                    place_of,
                };
                let template = |room: &String| Template::position(dialect, room, true);
                (way, rooms.iter().map(template).collect())
            }
        };
        settle(net)?;
        Ok(Self {
            way,
            fix_times: vec![0; devices.len()],
            templates,
            dialect,
            uploads: 0,
        })
    }

    fn trial(&mut self, net: &mut Reactor, engine: &Engine, rate: f64, seconds: f64) -> Result<Trial> {
        let count = (rate * seconds).max(1.0) as u64;
        let (cpu, servers_cpu) = (engine.usage().cpu_seconds, engine.servers_cpu());
        let began = net.now() + SECOND / 100;
        let mut pace = Pace::new(began, rate, count);
        let mut run = Run {
            road: self,
            latency: Latency::new()?,
            timeline: Timeline::starting(began),
            taken: 0,
            answered: 0,
            errors: Errors::default(),
            last_arrival: began,
        };
        let progress = Progress::new("uploading", count);
        let mut worst_send = 0;
        loop {
            let now = net.now();
            for _ in 0..SENDS_IN_TURN {
                let Some((_, intended)) = pace.pop(now) else { break };
                worst_send = worst_send.max(now - intended);
                run.send(net, intended);
            }
            if pace.is_over() && (run.answered >= count || now > run.last_arrival.max(began) + QUIET_LIMIT) {
                break;
            }
            let until = pace.due().min(now + SECOND / 20);
            net.turn(&mut run, until)?;
            progress.set(run.answered);
        }
        Ok(Trial {
            sent: count,
            taken: run.taken,
            answered: run.answered,
            errors: run.errors,
            latency: run.latency,
            timeline: run.timeline,
            server_cpu: engine.usage().cpu_seconds - cpu,
            servers_cpu: engine.servers_cpu_since(servers_cpu),
            worst_send_millis: worst_send as f64 / 1e6,
            seconds: run.last_arrival.saturating_sub(began) as f64 / SECOND as f64,
        })
    }
}

struct Run<'a> {
    road: &'a mut Road,
    latency: Latency,
    timeline: Timeline,
    taken: u64,
    answered: u64,
    errors: Errors,
    last_arrival: u64,
}

impl Run<'_> {
    fn send(&mut self, net: &mut Reactor, intended: u64) {
        let road = &mut *self.road;
        let subjects = road.templates.len() as u64;
        let (subject, round) = ((road.uploads % subjects) as usize, road.uploads / subjects);
        road.uploads += 1;
        let fix_time = unix_ms().max(road.fix_times[subject] + 1);
        road.fix_times[subject] = fix_time;
        let template = &mut road.templates[subject];
        template.write(round * STEP, subject as u64, fix_time);
        match &mut road.way {
            Way::Rest(pool) => {
                let bytes = template.bytes.clone();
                pool.submit_to(
                    net,
                    subject,
                    Job {
                        tag: subject,
                        intended,
                        bytes,
                    },
                );
            }
            Way::Sockets { conns, waiting, .. } => {
                waiting[subject].push_back(intended);
                net.send(conns[subject], &template.bytes);
            }
        }
    }

    /// Counts an answer; what was wrong with it is counted where it is known.
    fn answer(&mut self, intended: u64, now: u64, is_taken: bool) {
        self.answered += 1;
        self.last_arrival = now;
        if is_taken {
            self.taken += 1;
            self.latency.record(intended, now);
            self.timeline.add(now, 1);
        }
    }
}

impl Handler for Run<'_> {
    fn response(&mut self, net: &mut Reactor, id: ConnId, status: u16, body: &[u8], now: u64) {
        let Way::Rest(pool) = &mut self.road.way else {
            return;
        };
        if let Some((_, intended)) = pool.finished(net, id) {
            if status != 200 {
                self.errors.add_answer(status, body);
            }
            self.answer(intended, now, status == 200);
        }
    }

    fn frame(&mut self, _: &mut Reactor, id: ConnId, payload: &[u8], now: u64) {
        let Way::Sockets {
            waiting, place_of, ..
        } = &mut self.road.way
        else {
            return;
        };
        let is_taken = match self.road.dialect.hear(payload) {
            Heard::Done => true,
            Heard::Refused => false,
            _ => return,
        };
        if !is_taken {
            self.errors.add_answer(0, payload);
        }
        let place = place_of[id.index()] as usize;
        if let Some(intended) = waiting[place].pop_front() {
            self.answer(intended, now, is_taken);
        }
    }

    fn closed(&mut self, net: &mut Reactor, id: ConnId, ending: Ending) {
        let now = net.now();
        if let Way::Rest(pool) = &mut self.road.way {
            match pool.lost(net, id) {
                Lost::Job(intended) => self.answer(intended, now, false),
                Lost::Idle => return,
                Lost::Stranger => {}
            }
        }
        self.errors.add(format!("a connection was {ending}"));
    }
}
