//! Positions by some members of a room, to all the others: at a given rate, or at the highest that holds.

use crate::Result;
use crate::cli::{Common, Fanout, What};
use crate::crew::{Devices, Member, board, raise, settle};
use crate::dialect::Dialect;
use crate::engine::Engine;
use crate::fanout_run::{Crowd, Trial};
use crate::reactor::Reactor;
use crate::report::Outcome;
use crate::search::{Search, Verdict};

/// The share of the possible at which the members' own positions would begin to wait for each other.
const MOST_OF_ONE_A_SECOND: f64 = 0.9;

pub fn run(common: &Common, args: &Fanout) -> Result<Outcome> {
    let people = args.rooms * args.members;
    let crowded =
        args.what == What::Positions && (args.max || args.rate > people as f64 * MOST_OF_ONE_A_SECOND);
    let interval = args.min_interval_ms.or(crowded.then_some(0));
    let mut settings = Vec::new();
    if let Some(interval) = interval {
        settings.push(("MAYDAY__LOCATIONS__MIN_INTERVAL_MS", interval.to_string()));
    }
    let mut outcome = Outcome::new("fanout");
    if let Some(nodes) = common.nodes {
        outcome.ask("nodes", nodes);
    }
    outcome.ask("rooms", args.rooms);
    outcome.ask("members of each", args.members);
    outcome.ask("dialect", common.dialect.name());
    outcome.ask(
        "signals/s",
        if args.max {
            "the most".into()
        } else {
            args.rate.to_string()
        },
    );
    outcome.ask(
        "least time between positions",
        interval.map_or("as set".into(), |ms| format!("{ms} ms")),
    );

    let engine = Engine::start(common, &settings)?;
    let mut net = Reactor::new(engine.addrs())?;
    let mut crowd =
        gather(&mut net, common.dialect, args).map_err(|error| format!("{error}\n{}", engine.log_tail()))?;
    let trial = if args.max {
        highest(&mut net, &engine, &mut crowd, args, &mut outcome)?
    } else {
        crowd.trial(&mut net, &engine, args.rate, args.seconds)?
    };
    tell(&mut outcome, &trial, common, args, engine.is_measured());
    drop(net);
    if let Some(why) = engine.stop()? {
        outcome.fail(why);
    }
    Ok(outcome)
}

/// Makes the rooms: the first member of each raises the SOS, all of them join.
fn gather(net: &mut Reactor, dialect: Dialect, args: &Fanout) -> Result<Crowd> {
    let devices = Devices::of_this_run();
    let device = |room: usize, member: usize| devices.id((room * args.members + member) as u64);
    let creators: Vec<String> = (0..args.rooms).map(|room| device(room, 0)).collect();
    let rooms = raise(net, &creators, &[])?;
    let mut members = Vec::with_capacity(args.rooms * args.members);
    for (index, room) in rooms.iter().enumerate() {
        let join = |member| Member {
            device: device(index, member),
            room: Some(room.clone()),
        };
        members.extend((0..args.members).map(join));
    }
    let conns = board(net, dialect, &members, 64)?;
    settle(net)?;
    Crowd::new(net, dialect, (&rooms, args), conns)
}

fn is_good(trial: &Trial, args: &Fanout) -> bool {
    trial.lost == 0
        && trial.lost_again == 0
        && trial.twice == 0
        && trial.late == 0
        && trial.errors.is_empty()
        && trial.latency.millis(99.0) <= args.max_p99_ms
}

fn highest(
    net: &mut Reactor,
    engine: &Engine,
    crowd: &mut Crowd,
    args: &Fanout,
    outcome: &mut Outcome,
) -> Result<Trial> {
    let search = Search {
        start: args.rate,
        trial_seconds: args.trial_seconds,
        seconds: args.seconds,
    };
    let (rate, trial) = search.highest(|rate, seconds| {
        let trial = crowd.trial(net, engine, rate, seconds)?;
        eprintln!(
            "  {rate:>10.0} signals/s: {:>10.0} deliveries/s, p99 {:>8.2} ms, lost {}, sent late by {:.1} ms",
            trial.deliveries_per_second(),
            trial.latency.millis(99.0),
            trial.lost,
            trial.worst_send_millis,
        );
        settle(net)?;
        let verdict = Verdict::of(is_good(&trial, args), trial.worst_send_millis);
        Ok((trial, verdict))
    })?;
    outcome.find("highest signals/s", rate, "/s");
    Ok(trial)
}

fn tell(outcome: &mut Outcome, trial: &Trial, common: &Common, args: &Fanout, measured: bool) {
    outcome.find("signals sent", trial.sent as f64, "");
    outcome.find("deliveries", trial.received as f64, "");
    outcome.find("deliveries a second", trial.deliveries_per_second(), "/s");
    if measured {
        outcome.find("server CPU", trial.server_cpu, "s");
        outcome.find(
            "deliveries for a server-CPU-second",
            trial.received as f64 / trial.server_cpu.max(0.01),
            "",
        );
    }
    if let Some([redis, mongo]) = trial.servers_cpu {
        outcome.find("Redis CPU", redis, "s");
        outcome.find("MongoDB CPU", mongo, "s");
    }
    outcome.find("client CPU", trial.client_cpu, "s");
    outcome.latency("delivery", &trial.latency, common.p99_limit_ms);
    if trial.crossed.count() > 0 {
        outcome.latency("from node to node", &trial.crossed, common.p99_limit_ms);
    }
    outcome.find("sent late by at most", trial.worst_send_millis, "ms");
    outcome.find("bytes of a delivery", trial.mean_bytes, "");
    outcome.find("names of a delivery, each a message", trial.names as f64, "");
    outcome.find("messages received for a delivery", trial.mean_messages, "");
    outcome.expect_none("lost", trial.lost);
    if trial.names > 1 {
        outcome.expect_none("lost under another name", trial.lost_again);
    }
    outcome.expect_none("out of order", trial.late);
    outcome.expect_none("twice", trial.twice);
    outcome.expect_none("in a wrong room, or back to its sender", trial.misdirected);
    outcome.timeline("deliveries", &trial.timeline);
    for error in &trial.errors {
        outcome.fail(error.clone());
    }
    if args.what == What::Messages {
        return;
    }
    let asked = args.payload_bytes as f64;
    if (trial.mean_bytes - asked).abs() > asked / 4.0 {
        outcome.remark(format!(
            "a delivered signal has {:.0} bytes, not about {asked}",
            trial.mean_bytes
        ));
    }
    if trial.worst_send_millis > 20.0 {
        outcome.remark("the tool itself was late with sending: its latencies include that");
    }
}
