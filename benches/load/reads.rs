//! Reads at a steady rate: the list of open incidents nearest first, page after page, and every other read by
//! itself. From the instant intended to the whole answer.

use serde_json::json;

use crate::Result;
use crate::cli::{Common, Reads};
use crate::crew::settle;
use crate::engine::Engine;
use crate::errors::Errors;
use crate::http;
use crate::pool::{Job, Lost, Pool};
use crate::progress::Progress;
use crate::reactor::{ConnId, Ending, Handler, Reactor};
use crate::report::Outcome;
use crate::scene::{self, Busy, CIRCLES, Incidents, Names};
use crate::stats::{Latency, Pace, SECOND};
use crate::walk::{self, Walked};

const SENDS_IN_TURN: usize = 64;
const QUIET_LIMIT: u64 = 10 * SECOND;
/// Incidents of the whole list that single reads go round.
const SAMPLE: usize = 1000;
/// The bound for every read.
const P99_MS: f64 = 50.0;

pub fn run(common: &Common, args: &Reads) -> Result<Outcome> {
    let limit_ms = common.p99_limit_ms.unwrap_or(P99_MS);
    let mut outcome = Outcome::new("reads");
    outcome.ask("open incidents", args.incidents);
    outcome.ask("pages of the list/s", args.rate);
    outcome.ask("entries of a page", args.limit);
    outcome.ask("other reads/s, each in its turn", args.read_rate);
    outcome.ask("p99 at most, ms", limit_ms);

    let engine = Engine::start(common, &[])?;
    let mut net = Reactor::new(engine.addrs())?;
    let names = Names::new();
    let stands = (|| {
        let incidents = scene::raise(&mut net, &names, args.incidents)?;
        let busy = scene::gather(&mut net, &names, &incidents, args.messages)?;
        let sockets = scene::circles(&mut net, common)?;
        settle(&mut net)?;
        Ok::<_, Box<dyn std::error::Error>>((incidents, busy, sockets))
    })();
    let (incidents, busy, _sockets) = stands.map_err(|error| format!("{error}\n{}", engine.log_tail()))?;

    if args.wants("list") {
        let views = walk::views(&incidents, args.radius, args.limit);
        let headers = (0..args.connections).map(|number| looker(common, &names, number));
        let headers = headers.collect::<Result<Vec<_>>>()?;
        let walked = walk::run(&mut net, &engine, headers, &views, args.rate, args.seconds)?;
        tell_walk(&mut outcome, &engine, &walked, limit_ms);
    }
    for step in steps(net.host(), common, &names, &incidents, &busy)? {
        if args.wants(step.name) {
            measure(&mut net, &engine, args, &step, limit_ms, &mut outcome)?;
        }
    }
    drop(net);
    if let Some(why) = engine.stop()? {
        outcome.fail(why);
    }
    Ok(outcome)
}

/// Every fourth looks on for the operators.
fn looker(common: &Common, names: &Names, number: usize) -> Result<(String, bool)> {
    if number % 4 == 3 {
        return Ok((staff(common)?, true));
    }
    Ok((scene::device(&names.looker(number)), false))
}

fn staff(common: &Common) -> Result<String> {
    scene::bearer(
        common,
        json!({"userId": "operator", "role": "ADMIN", "name": "Operator"}),
    )
}

fn tell_walk(outcome: &mut Outcome, engine: &Engine, walked: &Walked, limit_ms: f64) {
    outcome.find("list: pages", walked.pages as f64, "");
    outcome.find(
        "list: pages a second",
        walked.pages as f64 / walked.seconds.max(1e-3),
        "/s",
    );
    outcome.find("list: whole walks", walked.walks as f64, "");
    outcome.find(
        "list: entries of a page, mean",
        walked.entries as f64 / walked.pages.max(1) as f64,
        "",
    );
    outcome.find(
        "list: bytes of a page, mean",
        walked.bytes as f64 / walked.pages.max(1) as f64,
        "",
    );
    outcome.latency("list", &walked.latency, Some(limit_ms));
    outcome.find("list: asked late by at most", walked.worst_send_millis, "ms");
    if engine.is_measured() {
        let each = walked.server_cpu * 1e6 / walked.pages.max(1) as f64;
        outcome.find("list: server CPU for each", each, "us");
    }
    outcome.expect_none("list: told twice on one walk", walked.faults.twice);
    outcome.expect_none("list: out of order", walked.faults.disordered);
    outcome.expect_none("list: missing on a walk", walked.faults.missing);
    outcome.expect_none("list: too many on a walk", walked.faults.surplus);
    outcome.expect_none("list: without an answer", walked.unanswered);
    walked.errors.tell(outcome);
    outcome.timeline("list", &walked.timeline);
}

/// One kind of read: requests that take turns, the status and a part of the body that each answer must have.
struct Step {
    name: &'static str,
    requests: Vec<Vec<u8>>,
    status: u16,
    holds: &'static [u8],
}

fn steps(
    host: &str,
    common: &Common,
    names: &Names,
    incidents: &Incidents,
    busy: &[Busy],
) -> Result<Vec<Step>> {
    let get = |path: &str, headers: &str| http::request("GET", host, path, headers, "");
    let looker = |number: usize| scene::device(&names.looker(number % 50));
    let mut steps = Vec::new();
    let mut add = |name, holds: &'static str, requests: Vec<Vec<u8>>| {
        steps.push(Step {
            name,
            requests,
            status: 200,
            holds: holds.as_bytes(),
        });
    };
    let public: Vec<&str> = incidents
        .all
        .iter()
        .filter(|incident| incident.is_public)
        .map(|incident| incident.id.as_str())
        .collect();
    let every = (public.len() / SAMPLE).max(1);
    let sample: Vec<&str> = public.iter().step_by(every).copied().collect();
    let singles = |extra: &str| {
        let one = |(number, id): (usize, &&str)| {
            get(
                &format!("/api/v1/sos/{id}"),
                &format!("{}{extra}", looker(number)),
            )
        };
        sample.iter().enumerate().map(one).collect::<Vec<_>>()
    };
    add("sos", "\"sosId\":\"", singles(""));
    add(
        "newest",
        "\"sosId\":\"",
        (0..50).map(|n| get("/api/v1/sos?limit=20", &looker(n))).collect(),
    );
    add(
        "none",
        "\"data\":[]",
        (0..50)
            .map(|n| {
                let (lat, lng) = incidents.cities[n % incidents.cities.len()];
                get(
                    &format!("/api/v1/sos?status=ACTIVE&type=ANONYMOUS&lat={lat}&lng={lng}&radius=25000"),
                    &looker(n),
                )
            })
            .collect(),
    );
    let inside = |name: &str, extra: &str| {
        let one = |busy: &Busy| {
            let headers = format!("{}{extra}", scene::device(&busy.device));
            get(&format!("/api/v1/sos/{}/{name}", busy.id), &headers)
        };
        busy.iter().map(one).collect::<Vec<_>>()
    };
    add("messages", "\"content\":\"", inside("messages", ""));
    add("search", "harbour", inside("messages?q=harbour", ""));
    add(
        "search-none",
        "\"data\":[]",
        inside("messages?q=nowhere+at+all", ""),
    );
    add("events", "\"type\":\"created\"", inside("events", ""));
    add("active", "Helper", inside("participants/active", ""));
    add("history", "Helper", inside("participants/history", ""));
    let check = |busy: &Busy| {
        get(
            &format!("/api/v1/sos/{}/participants/{}/check", busy.id, busy.participant),
            &scene::device(&busy.device),
        )
    };
    add(
        "check",
        "\"isParticipant\":true",
        busy.iter().map(check).collect(),
    );
    add(
        "stats",
        "\"totalParticipants\":21",
        inside("participants/stats", ""),
    );
    add(
        "count",
        "\"anonymousCount\":20",
        inside("participants/anonymous/count", ""),
    );
    add("locations", "\"latitude\":", inside("locations", ""));
    add(
        "geojson",
        "\"FeatureCollection\"",
        inside("locations", "Accept: application/geo+json\r\n"),
    );
    let people: Vec<String> = (0..CIRCLES)
        .map(|number| scene::citizen(common, number))
        .collect::<Result<_>>()?;
    let own = |path: &str| {
        people
            .iter()
            .map(|headers| get(path, headers))
            .collect::<Vec<_>>()
    };
    add("own-locations", "\"latitude\":", own("/api/locations"));
    add(
        "contacts-locations",
        "\"locations_by_user\":{\"",
        own("/api/locations/contacts"),
    );
    add("rooms-info", "\"roomId\":\"", own("/api/rooms-info"));
    add("contacts", "\"phone_no\":", own("/api/contacts"));
    add("health", "\"ok\"", vec![get("/health", "")]);
    add("metrics", "mayday_", vec![get("/metrics", "")]);
    // Last: whoever asks again gets no body.
    steps.push(Step {
        name: "unchanged",
        requests: singles("If-None-Match: *\r\n"),
        status: 304,
        holds: b"",
    });
    Ok(steps)
}

fn measure(
    net: &mut Reactor,
    engine: &Engine,
    args: &Reads,
    step: &Step,
    limit_ms: f64,
    outcome: &mut Outcome,
) -> Result<()> {
    let count = (args.read_rate * args.read_seconds).max(1.0) as u64;
    let mut run = Run {
        pool: Pool::open(net, args.connections)?,
        step,
        latency: Latency::new()?,
        errors: Errors::default(),
        answered: 0,
        last_arrival: 0,
    };
    let cpu = engine.usage().cpu_seconds;
    let began = net.now() + SECOND / 100;
    run.last_arrival = began;
    let mut pace = Pace::new(began, args.read_rate, count);
    let progress = Progress::new(step.name, count);
    loop {
        let now = net.now();
        for _ in 0..SENDS_IN_TURN {
            let Some((number, intended)) = pace.pop(now) else {
                break;
            };
            let tag = usize::try_from(number)? % step.requests.len();
            let bytes = step.requests[tag].clone();
            run.pool.submit(net, Job { tag, intended, bytes });
        }
        if pace.is_over() && (run.answered >= count || now > run.last_arrival + QUIET_LIMIT) {
            break;
        }
        let until = pace.due().min(now + SECOND / 20);
        net.turn(&mut run, until)?;
        progress.set(run.answered);
    }
    drop(progress);
    outcome.brief(step.name, &run.latency, limit_ms);
    if engine.is_measured() {
        let each = (engine.usage().cpu_seconds - cpu) * 1e6 / count as f64;
        outcome.find(format!("{} server CPU for each", step.name), each, "us");
    }
    if run.answered < count {
        outcome.fail(format!(
            "{}: {} without an answer",
            step.name,
            count - run.answered
        ));
    }
    run.errors.tell(outcome);
    run.pool.close(net);
    Ok(())
}

struct Run<'a> {
    pool: Pool,
    step: &'a Step,
    latency: Latency,
    errors: Errors,
    answered: u64,
    last_arrival: u64,
}

impl Handler for Run<'_> {
    fn response(&mut self, net: &mut Reactor, id: ConnId, status: u16, body: &[u8], now: u64) {
        let Some((_, intended)) = self.pool.finished(net, id) else {
            return;
        };
        self.answered += 1;
        self.last_arrival = now;
        self.latency.record(intended, now);
        let is_whole = memchr::memmem::find(body, self.step.holds).is_some();
        if status != self.step.status || !is_whole {
            self.errors
                .add_answer(status, &[self.step.name.as_bytes(), b": ", body].concat());
        }
    }

    fn closed(&mut self, net: &mut Reactor, id: ConnId, ending: Ending) {
        match self.pool.lost(net, id) {
            Lost::Job(_) => self.answered += 1,
            Lost::Idle => return,
            Lost::Stranger => {}
        }
        self.errors
            .add(format!("{}: a connection was {ending}", self.step.name));
    }
}
