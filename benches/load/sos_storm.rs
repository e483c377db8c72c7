//! Many SOS in a burst, as in an earthquake: from the instant intended to the 201, which promises that it is
//! durable, to the operators who watch the area and, where people have contacts, to the vendor who tells those. Then
//! each acknowledged one is read back.

use std::collections::HashMap;

use crate::Result;
use crate::cli::{Common, SosStorm};
use crate::crew::{Devices, IdKeys, Member, board, device, settle, sos_id, sos_request};
use crate::dialect::Dialect;
use crate::engine::Engine;
use crate::errors::Errors;
use crate::handed::{Handed, Raised};
use crate::http;
use crate::pool::{Job, Lost, Pool, run_all};
use crate::progress::Progress;
use crate::reactor::{ConnId, Ending, Handler, Reactor};
use crate::report::Outcome;
use crate::scan;
use crate::stats::{Latency, Pace, SECOND, Timeline};

const SENDS_IN_TURN: usize = 64;
const QUIET_LIMIT: u64 = 10 * SECOND;
/// Everything happens within some 15 km of this place.
const CENTRE: (f64, f64) = (14.6, 121.0);
const SPREAD_DEGREES: f64 = 0.2;

pub fn run(common: &Common, args: &SosStorm) -> Result<Outcome> {
    let mut outcome = Outcome::new("sos-storm");
    outcome.ask("SOS", args.count);
    outcome.ask(
        "SOS/s",
        if args.rate > 0.0 {
            args.rate.to_string()
        } else {
            "all at once".into()
        },
    );
    outcome.ask("connections", args.connections);
    outcome.ask("watchers of the area", args.watchers);

    let handed = (args.contacts > 0)
        .then(|| Handed::prepare(common, args))
        .transpose()?;
    let engine = Engine::start(common, &handed.as_ref().map_or_else(Vec::new, Handed::settings))?;
    let mut net = Reactor::new(engine.addrs())?;
    let devices = Devices::of_this_run();
    if let Some(handed) = &handed {
        outcome.ask("contacts of each person", args.contacts);
        outcome.ask("the vendor answers after, ms", args.vendor_latency_ms);
        handed.crowd.settle(&mut net)?;
    }
    let raisers = Raisers {
        devices,
        handed: handed.as_ref(),
    };
    let watchers = watch(&mut net, devices, args)?;
    let pool = Pool::open(&mut net, args.connections)?;
    settle(&mut net)?;
    let mut storm = Storm {
        pool,
        watchers,
        keys: IdKeys::new(),
        acknowledged: vec![None; args.count],
        answered: 0,
        errors: Errors::default(),
        seen: vec![HashMap::new(); args.watchers],
        twice: 0,
        news: 0,
        latency: Latency::new()?,
        timeline: Timeline::default(),
        last_arrival: 0,
        last_answer: 0,
        handed: 0,
        last_handed: 0,
    };
    let cpu = engine.usage().cpu_seconds;
    let began = blow(&mut net, raisers, args, &mut storm)?;
    let server_cpu = engine.usage().cpu_seconds - cpu;

    let seconds = |until: u64| until.saturating_sub(began) as f64 / SECOND as f64;
    let acknowledged = storm.acknowledged.iter().flatten().count();
    outcome.find("acknowledged", acknowledged as f64, "");
    outcome.find(
        "the whole burst acknowledged within",
        seconds(storm.last_answer),
        "s",
    );
    outcome.find(
        "the whole burst seen by all within",
        seconds(storm.last_arrival),
        "s",
    );
    outcome.find(
        "acknowledged a second",
        acknowledged as f64 / seconds(storm.last_answer).max(1e-3),
        "/s",
    );
    outcome.latency("SOS to its 201", &storm.latency, common.p99_limit_ms);
    let (heard, missed) = storm.heard(args)?;
    outcome.latency("SOS to a watcher", &heard, common.p99_limit_ms);
    if engine.is_measured() {
        outcome.find("server CPU for each", server_cpu * 1e6 / args.count as f64, "us");
    }
    if let Some(handed) = &handed {
        handed.tell(&mut outcome, (common, &engine, &net), &storm.raised(), began)?;
    }
    storm.errors.tell(&mut outcome);
    outcome.expect_none("without an answer", (args.count - storm.answered) as u64);
    outcome.expect_none("not seen by some watcher", missed);
    outcome.expect_none("seen twice", storm.twice);
    outcome.timeline("acknowledged", &storm.timeline);
    let lost = verify(&mut net, raisers, args, &storm)?;
    outcome.expect_none("acknowledged and gone", lost);
    drop(net);
    if let Some(why) = engine.stop()? {
        outcome.fail(why);
    }
    Ok(outcome)
}

/// Opens the watchers' sockets and has them watch.
fn watch(net: &mut Reactor, devices: Devices, args: &SosStorm) -> Result<Vec<ConnId>> {
    let member = |n: usize| Member {
        device: devices.id((args.count + n) as u64),
        room: None,
    };
    let members: Vec<Member> = (0..args.watchers).map(member).collect();
    let conns = board(net, Dialect::Json, &members, 16)?;
    let (latitude, longitude) = CENTRE;
    for id in &conns {
        net.send_text(
            *id,
            &format!(
                "{{\"type\":\"watch-area\",\"latitude\":{latitude},\"longitude\":{longitude},\"radiusKm\":25}}"
            ),
        );
    }
    Ok(conns)
}

fn place(index: usize) -> (f64, f64) {
    // Two irrational steps spread the points evenly.
    let spread = |step: f64| ((index as f64 * step).fract() - 0.5) * SPREAD_DEGREES;
    let round = |degrees: f64| (degrees * 1e6).round() / 1e6;
    (
        round(CENTRE.0 + spread(0.754_877_666)),
        round(CENTRE.1 + spread(0.569_840_291)),
    )
}

/// Who raises them: devices that nobody knows, or people with contacts.
#[derive(Clone, Copy)]
struct Raisers<'a> {
    devices: Devices,
    handed: Option<&'a Handed>,
}

impl Raisers<'_> {
    /// The header by which they are known.
    fn header(self, index: usize) -> String {
        match self.handed {
            Some(handed) => handed.crowd.header(index).to_owned(),
            None => device(&self.devices.id(index as u64)),
        }
    }
}

/// Raises them all, waits for the answers, the news and the messages, and says when it began.
fn blow(net: &mut Reactor, raisers: Raisers<'_>, args: &SosStorm, storm: &mut Storm) -> Result<u64> {
    let host = net.host().to_owned();
    let request = |index: usize| {
        let key = raisers.devices.id(index as u64);
        let message = format!("An SOS of the load tester, number {index}");
        sos_request(&host, &raisers.header(index), &key, &message, place(index))
    };
    // All at once: build them before the clock runs, so that the engine waits for nobody.
    let mut ready: Vec<Vec<u8>> = if args.rate > 0.0 {
        Vec::new()
    } else {
        (0..args.count).map(request).collect()
    };
    let began = net.now() + SECOND / 100;
    let mut pace = Pace::new(began, args.rate, args.count as u64);
    storm.timeline = Timeline::starting(began);
    (storm.last_arrival, storm.last_answer) = (began, began);
    // A vendor in trouble is left alone for a while.
    let quiet_limit = QUIET_LIMIT * if raisers.handed.is_some() { 3 } else { 1 };
    let progress = Progress::new("SOS", args.count as u64);
    loop {
        let now = net.now();
        for _ in 0..SENDS_IN_TURN {
            let Some((index, intended)) = pace.pop(now) else {
                break;
            };
            let tag = usize::try_from(index)?;
            let bytes = ready.get_mut(tag).map_or_else(|| request(tag), std::mem::take);
            storm.pool.submit(net, Job { tag, intended, bytes });
        }
        if pace.is_over() {
            storm.note_handed(raisers.handed, now);
            let quiet = now > storm.last_arrival.max(storm.last_handed) + quiet_limit;
            if storm.is_complete(args) || quiet {
                return Ok(began);
            }
        }
        let until = pace.due().min(now + SECOND / 20);
        net.turn(storm, until)?;
        progress.set(storm.answered as u64);
    }
}

/// Reads acknowledged incidents back; how many are not there.
fn verify(net: &mut Reactor, raisers: Raisers<'_>, args: &SosStorm, storm: &Storm) -> Result<u64> {
    let mut ids: Vec<(usize, &str)> = Vec::new();
    for (index, entry) in storm.acknowledged.iter().enumerate() {
        if let Some(entry) = entry {
            ids.push((index, &entry.id));
        }
    }
    let sample = args.verify.unwrap_or(ids.len()).min(ids.len());
    if sample == 0 {
        return Ok(0);
    }
    let step = ids.len() / sample;
    let sampled: Vec<&(usize, &str)> = ids.iter().step_by(step).collect();
    let host = net.host().to_owned();
    let requests = sampled.iter().map(|(raiser, id)| {
        let path = format!("/api/v1/sos/{id}");
        http::request("GET", &host, &path, &raisers.header(*raiser), "")
    });
    let mut gone = 0;
    let mut pool = Pool::open(net, 32)?;
    run_all(net, &mut pool, "reading back", requests, |tag, status, body| {
        let id = sampled[tag].1;
        gone += u64::from(status != 200 || memchr::memmem::find(body, id.as_bytes()).is_none());
        Ok(())
    })?;
    pool.close(net);
    Ok(gone)
}

#[derive(Clone)]
struct Acknowledged {
    id: String,
    intended: u64,
}

struct Storm {
    pool: Pool,
    watchers: Vec<ConnId>,
    keys: IdKeys,
    /// By the number of the SOS.
    acknowledged: Vec<Option<Acknowledged>>,
    answered: usize,
    errors: Errors,
    /// By watcher: the incident and when it was heard of.
    seen: Vec<HashMap<String, u64>>,
    twice: u64,
    news: u64,
    latency: Latency,
    timeline: Timeline,
    last_arrival: u64,
    last_answer: u64,
    /// Messages with the vendor, and when there was another.
    handed: u64,
    last_handed: u64,
}

impl Storm {
    /// Whose SOS were acknowledged, and when each was meant to be sent.
    fn raised(&self) -> Vec<Raised> {
        let all = self.acknowledged.iter().enumerate();
        all.filter_map(|(index, entry)| Some((index, entry.as_ref()?.intended)))
            .collect()
    }

    fn note_handed(&mut self, handed: Option<&Handed>, now: u64) {
        let reached = handed.map_or(0, Handed::reached);
        if reached > self.handed {
            (self.handed, self.last_handed) = (reached, now);
        }
    }

    fn is_complete(&self, args: &SosStorm) -> bool {
        self.answered >= args.count
            && self.news >= (args.count * args.watchers) as u64
            && self.handed >= (args.count * args.contacts) as u64
    }

    /// The watchers' latencies, and how many acknowledged incidents some watcher has not heard of.
    fn heard(&self, args: &SosStorm) -> Result<(Latency, u64)> {
        let mut latency = Latency::new()?;
        let mut missed = 0;
        for entry in self.acknowledged.iter().flatten() {
            let mut heard = 0;
            for at in self.seen.iter().filter_map(|seen| seen.get(&entry.id)) {
                latency.record(entry.intended, *at);
                heard += 1;
            }
            missed += u64::from(heard < args.watchers);
        }
        Ok((latency, missed))
    }
}

impl Handler for Storm {
    fn response(&mut self, net: &mut Reactor, id: ConnId, status: u16, body: &[u8], now: u64) {
        let Some((tag, intended)) = self.pool.finished(net, id) else {
            return;
        };
        self.answered += 1;
        (self.last_arrival, self.last_answer) = (now, now);
        match sos_id(body, &mut self.keys) {
            Some(id) if status == 201 => {
                self.acknowledged[tag] = Some(Acknowledged {
                    id: id.to_owned(),
                    intended,
                });
                self.latency.record(intended, now);
                self.timeline.add(now, 1);
            }
            _ => {
                self.errors.add_answer(status, body);
            }
        }
    }

    fn frame(&mut self, _: &mut Reactor, id: ConnId, payload: &[u8], now: u64) {
        match scan::kind(payload) {
            b"sos-created" => {
                let Some(watcher) = self.watchers.iter().position(|watcher| *watcher == id) else {
                    return;
                };
                let Some(sos) = sos_id(payload, &mut self.keys) else {
                    return;
                };
                self.last_arrival = now;
                self.news += 1;
                if self.seen[watcher].insert(sos.to_owned(), now).is_some() {
                    self.twice += 1;
                }
            }
            b"error" => {
                self.errors.add_answer(0, payload);
            }
            _ => {}
        }
    }

    fn closed(&mut self, net: &mut Reactor, id: ConnId, ending: Ending) {
        match self.pool.lost(net, id) {
            Lost::Job(..) => self.answered += 1,
            Lost::Idle => return,
            Lost::Stranger => {}
        }
        self.errors.add(format!("a connection was {ending}"));
    }
}
