//! Connects at a steady rate: from the instant that was intended to the message `connected`.

use std::collections::VecDeque;

use crate::Result;
use crate::cli::{Common, Connect};
use crate::crew::Devices;
use crate::dialect::{Dialect, Heard};
use crate::engine::Engine;
use crate::progress::Progress;
use crate::reactor::{ConnId, Ending, Handler, Reactor};
use crate::report::Outcome;
use crate::stats::{Latency, Pace, SECOND, Timeline};

/// A connect that takes longer counts as failed.
const PATIENCE: u64 = 10 * SECOND;

pub fn run(common: &Common, args: &Connect) -> Result<Outcome> {
    let engine = Engine::start(common, &[])?;
    let mut net = Reactor::new(engine.addrs())?;
    let devices = Devices::of_this_run();
    let count = (args.rate * args.seconds) as u64;
    let mut outcome = Outcome::new("connect");
    outcome.ask("connects/s", args.rate);
    outcome.ask("seconds", args.seconds);
    outcome.ask("dialect", common.dialect.name());

    let before = engine.usage();
    let began = net.now() + SECOND / 10;
    let mut pace = Pace::new(began, args.rate, count);
    let mut arriving = Arriving {
        dialect: common.dialect,
        intended: Vec::new(),
        open: VecDeque::new(),
        latency: Latency::new()?,
        timeline: Timeline::starting(began),
        refused: 0,
        lost: 0,
        why: None,
    };
    let progress = Progress::new("connecting", count);
    let limit = began + (args.seconds * SECOND as f64) as u64 + PATIENCE;
    while arriving.latency.count() + arriving.refused < count && net.now() < limit {
        let now = net.now();
        for _ in 0..64 {
            let Some((index, intended)) = pace.pop(now) else {
                break;
            };
            match net.open_socket(common.dialect.opening(&devices.id(index), None)) {
                Ok(id) => arriving.begin(id, intended),
                Err(error) => arriving.refuse(error.to_string()),
            }
        }
        while arriving.open.len() > args.keep {
            if let Some(oldest) = arriving.open.pop_front() {
                net.drop_conn(oldest);
            }
        }
        let until = pace.due().min(net.now() + SECOND / 10);
        net.turn(&mut arriving, until)?;
        progress.set(arriving.latency.count());
    }
    let elapsed = (net.now() - began) as f64 / SECOND as f64;
    let after = engine.usage();
    drop(progress);

    let connected = arriving.latency.count();
    outcome.find("connected", connected as f64, "");
    outcome.find("connects a second", connected as f64 / elapsed, "/s");
    outcome.latency("connect to connected", &arriving.latency, common.p99_limit_ms);
    if engine.is_measured() {
        outcome.find(
            "server CPU for each",
            (after.cpu_seconds - before.cpu_seconds) * 1e6 / count as f64,
            "us",
        );
    }
    outcome.expect_none("refused", arriving.refused);
    outcome.expect_none(
        "without an answer",
        count.saturating_sub(connected + arriving.refused),
    );
    outcome.expect_none("lost once connected", arriving.lost);
    if let Some(why) = arriving.why {
        outcome.fail(format!("the first refusal: {why}"));
    }
    outcome.timeline("connects", &arriving.timeline);
    drop(net);
    if let Some(why) = engine.stop()? {
        outcome.fail(why);
    }
    Ok(outcome)
}

struct Arriving {
    dialect: Dialect,
    /// When each connection was meant to begin, by its index; 0 once it is connected.
    intended: Vec<u64>,
    open: VecDeque<ConnId>,
    latency: Latency,
    timeline: Timeline,
    refused: u64,
    lost: u64,
    why: Option<String>,
}

impl Arriving {
    fn begin(&mut self, id: ConnId, intended: u64) {
        if self.intended.len() <= id.index() {
            self.intended.resize(id.index() + 1, 0);
        }
        self.intended[id.index()] = intended;
    }

    fn refuse(&mut self, why: String) {
        self.refused += 1;
        self.why.get_or_insert(why);
    }
}

impl Handler for Arriving {
    fn frame(&mut self, _: &mut Reactor, id: ConnId, payload: &[u8], now: u64) {
        if self.dialect.hear(payload) == Heard::Connected {
            let intended = std::mem::take(&mut self.intended[id.index()]);
            self.latency.record(intended, now);
            self.timeline.add(now, 1);
            self.open.push_back(id);
        }
    }

    fn closed(&mut self, _: &mut Reactor, id: ConnId, ending: Ending) {
        if self
            .intended
            .get(id.index())
            .is_some_and(|intended| *intended > 0)
        {
            self.intended[id.index()] = 0;
            self.refuse(ending.to_string());
        } else {
            self.lost += 1;
        }
    }
}
