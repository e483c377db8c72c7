//! Recorded journeys through the engine: each subject raises an SOS and uploads its fixes at their own pace,
//! many times faster; a watcher in each room must see each position that the promise lets through, once, in
//! order; and what history keeps is compared with the rule.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Result;
use crate::cli::{Common, FixTimes, Replay};
use crate::crew::{Devices, Member, board, raise, settle};
use crate::dialect::{Dialect, Heard};
use crate::engine::Engine;
use crate::errors::Errors;
use crate::http::{self, Client};
use crate::pool::{Job, Lost, Pool};
use crate::progress::Progress;
use crate::reactor::{ConnId, Ending, Handler, Reactor};
use crate::report::Outcome;
use crate::sampling::{Fix, compare, distance_m, live};
use crate::signal::unix_ms;
use crate::stats::{Latency, SECOND, Timeline};
use crate::traces;

const QUIET_LIMIT: u64 = 3 * SECOND;
/// Two fixes that are sent further apart than the interval and this cannot supersede each other.
const INTERVAL_SLACK: u64 = SECOND / 10;
const HISTORY_LIMIT: std::time::Duration = std::time::Duration::from_secs(10);

pub fn run(common: &Common, args: &Replay) -> Result<Outcome> {
    let csv = std::fs::read_to_string(&args.traces).map_err(|error| {
        format!(
            "{}: {error} (give another file by --traces)",
            args.traces.display()
        )
    })?;
    let mut journeys = traces::journeys(&csv)?;
    journeys.truncate(args.subjects);
    for journey in &mut journeys {
        journey.truncate(args.fixes);
    }
    let fixes: usize = journeys.iter().map(Vec::len).sum();
    let mut outcome = Outcome::new("replay");
    outcome.ask("journeys", journeys.len());
    outcome.ask("fixes", fixes);
    outcome.ask("times faster", args.speedup);
    outcome.ask(
        "least time between positions",
        format!("{} ms", args.min_interval_ms),
    );
    outcome.ask("dialect", common.dialect.name());

    let settings = [(
        "MAYDAY__LOCATIONS__MIN_INTERVAL_MS",
        args.min_interval_ms.to_string(),
    )];
    let engine = Engine::start(common, &settings)?;
    let mut net = Reactor::new(engine.addrs())?;
    let devices = Devices::of_this_run();
    let subjects: Vec<String> = (0..journeys.len() as u64).map(|n| devices.id(n)).collect();
    let starts: Vec<(f64, f64)> = journeys.iter().map(|j| (j[0].latitude, j[0].longitude)).collect();
    let rooms = raise(&mut net, &subjects, &starts)?;
    let watcher = |(n, room): (usize, &String)| Member {
        device: devices.id((journeys.len() + n) as u64),
        room: Some(room.clone()),
    };
    let watchers: Vec<Member> = rooms.iter().enumerate().map(watcher).collect();
    let conns = board(&mut net, common.dialect, &watchers, 64)?;
    let pool = Pool::open(&mut net, args.connections)?;
    settle(&mut net)?;

    let cpu = engine.usage().cpu_seconds;
    let schedule = Schedule::of(journeys, args);
    let (host, now) = (net.host().to_owned(), net.now());
    let mut drive = Drive::new(common.dialect, (schedule, subjects), &conns, (pool, host), now)?;
    drive.run(&mut net)?;
    let server_cpu = engine.usage().cpu_seconds - cpu;

    outcome.find("fixes taken", drive.taken as f64, "");
    outcome.latency("upload", &drive.upload, common.p99_limit_ms);
    outcome.find("server CPU", server_cpu, "s");
    drive.errors.tell(&mut outcome);
    drive.judge(&mut outcome, args);
    outcome.latency("upload to watcher", &drive.delivery, common.p99_limit_ms);
    outcome.timeline("uploads", &drive.timeline);
    if !args.no_history {
        judge_history(&mut outcome, &engine, &drive, &rooms)?;
    }
    drop(net);
    if let Some(why) = engine.stop()? {
        outcome.fail(why);
    }
    Ok(outcome)
}

/// Which fix is sent when: by subject the fixes with the times that they are given, and all sends in order.
struct Schedule {
    fixes: Vec<Vec<Fix>>,
    /// Nanoseconds after the beginning, the subject, the fix.
    sends: Vec<(u64, usize, usize)>,
}

impl Schedule {
    fn of(journeys: Vec<traces::Journey>, args: &Replay) -> Self {
        let began = unix_ms() + 200;
        let mut sends = Vec::new();
        let mut fixes = journeys;
        for (subject, journey) in fixes.iter_mut().enumerate() {
            let first = journey.first().map_or(0, |fix| fix.unix_ms);
            let length = journey.last().map_or(0, |fix| fix.unix_ms - first);
            let fast = |ms: u64| (ms as f64 / args.speedup) as u64;
            for (index, fix) in journey.iter_mut().enumerate() {
                let since = fix.unix_ms.saturating_sub(first);
                sends.push(((since as f64 * 1e6 / args.speedup) as u64, subject, index));
                fix.unix_ms = match args.fix_times {
                    FixTimes::Shifted => began + fast(length) + since - length,
                    FixTimes::Compressed => began + fast(since),
                };
            }
        }
        sends.sort_unstable();
        Self { fixes, sends }
    }
}

/// A position that a watcher received.
struct Seen {
    fix: Fix,
    at: u64,
}

struct Drive {
    dialect: Dialect,
    schedule: Schedule,
    subjects: Vec<String>,
    pool: Pool,
    host: String,
    subject_of: Vec<usize>,
    began: u64,
    /// By subject and fix: when it was sent.
    sent_at: Vec<Vec<u64>>,
    seen: Vec<Vec<Seen>>,
    /// What came under a position's other name, where it has one.
    seen_again: Vec<Vec<Fix>>,
    /// By subject: those taken, in the order of the answers.
    taken: u64,
    answered: u64,
    errors: Errors,
    upload: Latency,
    delivery: Latency,
    timeline: Timeline,
    last_arrival: u64,
}

impl Drive {
    fn new(
        dialect: Dialect,
        (schedule, subjects): (Schedule, Vec<String>),
        watchers: &[ConnId],
        (pool, host): (Pool, String),
        now: u64,
    ) -> Result<Self> {
        let slots = watchers.iter().map(|id| id.index() + 1).max().unwrap_or(0);
        let mut subject_of = vec![usize::MAX; slots];
        for (subject, id) in watchers.iter().enumerate() {
            subject_of[id.index()] = subject;
        }
        let began = now + SECOND / 5;
        Ok(Self {
            dialect,
            sent_at: schedule.fixes.iter().map(|fixes| vec![0; fixes.len()]).collect(),
            seen: schedule.fixes.iter().map(|_| Vec::new()).collect(),
            seen_again: schedule.fixes.iter().map(|_| Vec::new()).collect(),
            schedule,
            subjects,
            pool,
            host,
            subject_of,
            began,
            taken: 0,
            answered: 0,
            errors: Errors::default(),
            upload: Latency::new()?,
            delivery: Latency::new()?,
            timeline: Timeline::starting(began),
            last_arrival: began,
        })
    }

    fn run(&mut self, net: &mut Reactor) -> Result<()> {
        let count = self.schedule.sends.len();
        let progress = Progress::new("replaying", count as u64);
        let mut next = 0;
        loop {
            let now = net.now();
            while let Some((after, subject, fix)) = self.schedule.sends.get(next).copied()
                && self.began + after <= now
            {
                self.send(net, self.began + after, subject, fix);
                next += 1;
            }
            let is_quiet = now > self.last_arrival.max(self.began) + QUIET_LIMIT;
            if next == count && is_quiet {
                return Ok(());
            }
            let due = self
                .schedule
                .sends
                .get(next)
                .map_or(u64::MAX, |send| self.began + send.0);
            net.turn(self, due.min(now + SECOND / 20))?;
            progress.set(self.answered);
        }
    }

    fn send(&mut self, net: &mut Reactor, intended: u64, subject: usize, index: usize) {
        let fix = self.schedule.fixes[subject][index];
        self.sent_at[subject][index] = net.now();
        let body = format!(
            "{{\"latitude\":{},\"longitude\":{},\"accuracy\":10,\"timestamp\":{}}}",
            fix.latitude, fix.longitude, fix.unix_ms
        );
        let headers = format!("X-Device-ID: {}\r\n", self.subjects[subject]);
        let bytes = http::request("POST", &self.host, "/api/location", &headers, &body);
        // Always the same lane: the fixes of one phone do not overtake each other.
        self.pool.submit_to(
            net,
            subject,
            Job {
                tag: subject,
                intended,
                bytes,
            },
        );
    }

    /// Compares what each watcher saw with what must have been let through.
    fn judge(&mut self, outcome: &mut Outcome, args: &Replay) {
        let interval = args.min_interval_ms * 1_000_000;
        let (mut expected, mut superseded) = (0, 0);
        let (mut lost, mut twice, mut disorder, mut strange) = (0, 0, 0, 0);
        for (subject, fixes) in self.schedule.fixes.iter().enumerate() {
            let moves = live(fixes);
            expected += moves.len() as u64;
            let sent_at: BTreeMap<u64, u64> = fixes
                .iter()
                .zip(&self.sent_at[subject])
                .map(|(fix, at)| (fix.unix_ms, *at))
                .rev()
                .collect();
            let mut next = 0;
            let mut delivered = vec![false; moves.len()];
            for seen in &self.seen[subject] {
                let Ok(index) = moves.binary_search_by_key(&seen.fix.unix_ms, |fix| fix.unix_ms) else {
                    strange += 1;
                    continue;
                };
                strange += u64::from(distance_m(&moves[index], &seen.fix) > 0.2);
                twice += u64::from(delivered[index]);
                disorder += u64::from(index < next && !delivered[index]);
                delivered[index] = true;
                next = next.max(index + 1);
                self.delivery.record(sent_at[&seen.fix.unix_ms], seen.at);
            }
            for (index, _) in delivered.iter().enumerate().filter(|(_, is)| !**is) {
                // Only a newer position that came within the interval may take its place.
                let at = |index: usize| moves.get(index).map(|fix| sent_at[&fix.unix_ms]);
                let gap = at(index + 1)
                    .zip(at(index))
                    .map(|(later, now)| later.saturating_sub(now));
                match gap {
                    Some(gap) if interval > 0 && gap <= interval + INTERVAL_SLACK => superseded += 1,
                    _ => lost += 1,
                }
            }
        }
        outcome.find("positions that move a subject", expected as f64, "");
        outcome.find("superseded within the interval", f64::from(superseded), "");
        outcome.expect_none("lost", lost);
        outcome.expect_none("twice", twice);
        outcome.expect_none("out of order", disorder);
        outcome.expect_none("never sent", strange);
        if self.dialect.position_names().len() > 1 {
            let differs = |(seen, again): (&Vec<Seen>, &Vec<Fix>)| {
                let same = seen.len() == again.len() && seen.iter().zip(again).all(|(a, b)| a.fix == *b);
                u64::from(!same)
            };
            let other = self.seen.iter().zip(&self.seen_again).map(differs).sum();
            outcome.expect_none("journeys that differ under the other name", other);
        }
    }
}

impl Handler for Drive {
    fn response(&mut self, net: &mut Reactor, id: ConnId, status: u16, body: &[u8], now: u64) {
        let Some((_, intended)) = self.pool.finished(net, id) else {
            return;
        };
        self.answered += 1;
        self.last_arrival = now;
        self.upload.record(intended, now);
        self.timeline.add(now, 1);
        if status == 200 {
            self.taken += 1;
        } else {
            self.errors.add_answer(status, body);
        }
    }

    fn frame(&mut self, _: &mut Reactor, id: ConnId, payload: &[u8], now: u64) {
        let heard = self.dialect.hear(payload);
        if heard != Heard::Position && heard != Heard::PositionAgain {
            return;
        }
        let object = self.dialect.object(payload).unwrap_or_default();
        let subject = self.subject_of[id.index()];
        match fix_of(&object) {
            Some(fix) => {
                self.last_arrival = now;
                if heard == Heard::Position {
                    self.seen[subject].push(Seen { fix, at: now });
                } else {
                    self.seen_again[subject].push(fix);
                }
            }
            None => {
                self.errors.add("a position without coordinates or time");
            }
        }
    }

    fn closed(&mut self, net: &mut Reactor, id: ConnId, ending: Ending) {
        if !matches!(self.pool.lost(net, id), Lost::Idle) {
            self.errors.add(format!("a connection was {ending}"));
        }
    }
}

/// A position in the engine's words.
fn fix_of(data: &Value) -> Option<Fix> {
    let unix_ms = match &data["timestamp"] {
        Value::String(text) => {
            let format = &time::format_description::well_known::Rfc3339;
            let time = time::OffsetDateTime::parse(text, format).ok()?;
            u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()?
        }
        number => number.as_u64()?,
    };
    Some(Fix {
        unix_ms,
        latitude: data["latitude"].as_f64()?,
        longitude: data["longitude"].as_f64()?,
    })
}

/// Reads each incident's history, once it is as long as it should be, and compares it with the rule.
fn judge_history(outcome: &mut Outcome, engine: &Engine, drive: &Drive, rooms: &[String]) -> Result<()> {
    let mut client = Client::connect(engine.addrs()[0])?;
    let limit = std::time::Instant::now() + HISTORY_LIMIT;
    let (mut kept, mut wrong, mut compared) = (0, 0, 0);
    for (subject, fixes) in drive.schedule.fixes.iter().enumerate() {
        if live(fixes).len() != fixes.len() {
            // What becomes of a fix that repeats a time is not written anywhere.
            continue;
        }
        compared += 1;
        let verdict = loop {
            let mut history = history(&mut client, &rooms[subject], &drive.subjects[subject])?;
            // The place where the SOS was raised may count as the first fix of all.
            history.retain(|fix| fixes.iter().any(|sent| sent.unix_ms == fix.unix_ms));
            let verdict = compare(fixes, &history);
            if verdict.is_ok() || std::time::Instant::now() > limit {
                kept += history.len();
                break verdict;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        };
        if let Err(why) = verdict {
            wrong += 1;
            if wrong <= 3 {
                outcome.fail(format!("history of journey {subject}: {why}"));
            }
        }
    }
    outcome.find("histories compared", f64::from(compared), "");
    outcome.find("fixes kept in history", kept as f64, "");
    outcome.expect_none("histories that differ", wrong);
    Ok(())
}

fn history(client: &mut Client, room: &str, device: &str) -> Result<Vec<Fix>> {
    let mut fixes = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/sos/{room}/locations?limit=100{cursor}");
        let (status, answer) = client.call("GET", &path, device, "")?;
        if status != 200 {
            return Err(format!("GET {path}: {status} {answer}").into());
        }
        let list = [
            &answer["data"],
            &answer["data"]["data"],
            &answer["data"]["locations"],
        ]
        .into_iter()
        .find_map(Value::as_array)
        .ok_or_else(|| format!("GET {path}: no list in {answer}"))?;
        for entry in list {
            fixes.push(fix_of(entry).ok_or_else(|| format!("GET {path}: what is {entry}?"))?);
        }
        let next = [&answer["nextCursor"], &answer["data"]["nextCursor"]]
            .into_iter()
            .find_map(Value::as_str);
        match next {
            Some(next) if !list.is_empty() => cursor = format!("&cursor={next}"),
            _ => break,
        }
    }
    fixes.sort_by_key(|fix| fix.unix_ms);
    Ok(fixes)
}
