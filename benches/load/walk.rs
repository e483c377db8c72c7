//! Many clients that each follow `nextCursor` through all pages of a list round a place, then begin at another.
//!
//! The requests of all together are due at fixed instants. A client asks for one page at a time, so an instant at
//! which all of them still wait for an answer is kept, and its latency counts from then.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use crate::Result;
use crate::engine::Engine;
use crate::errors::Errors;
use crate::http;
use crate::pages::{Faults, Page, Reader, Walk, within};
use crate::pool::{Job, Lost, Pool};
use crate::progress::Progress;
use crate::reactor::{ConnId, Ending, Handler, Reactor};
use crate::scene::Incidents;
use crate::stats::{Latency, Pace, SECOND, Timeline};

const SENDS_IN_TURN: usize = 64;
const QUIET_LIMIT: u64 = 10 * SECOND;
/// Places round each city from which somebody looks.
const VIEWS: usize = 4;

/// How somebody looks, and from where.
pub struct View {
    path: String,
    expected: RangeInclusive<u64>,
}

/// What each client asks with.
struct Client {
    headers: String,
    sees_all: bool,
    at: usize,
    walk: Walk,
    next: Option<String>,
}

/// What came of it.
pub struct Walked {
    pub latency: Latency,
    pub timeline: Timeline,
    pub errors: Errors,
    pub faults: Faults,
    pub pages: u64,
    pub entries: u64,
    pub walks: u64,
    pub bytes: u64,
    pub unanswered: u64,
    pub server_cpu: f64,
    pub worst_send_millis: f64,
    pub seconds: f64,
}

/// Where the clients look, for those who see only the public and for those who see all.
pub fn views(incidents: &Incidents, radius: f64, limit: usize) -> [Vec<View>; 2] {
    [false, true].map(|sees_all| {
        let mut views = Vec::new();
        for (number, city) in incidents.cities.iter().enumerate() {
            for view in 0..VIEWS {
                let off = |step: f64| (((number * VIEWS + view) as f64 * step).fract() - 0.5) * 0.04;
                let centre = (city.0 + off(0.754_877_666), city.1 + off(0.569_840_291));
                let centre = ((centre.0 * 1e6).round() / 1e6, (centre.1 * 1e6).round() / 1e6);
                let seen = incidents
                    .all
                    .iter()
                    .filter(|incident| sees_all || incident.is_public);
                views.push(View {
                    path: format!(
                        "/api/v1/sos?status=ACTIVE&lat={}&lng={}&radius={radius}&limit={limit}",
                        centre.0, centre.1
                    ),
                    expected: within(centre, radius, seen.map(|incident| incident.at)),
                });
            }
        }
        views
    })
}

/// Runs the clients. `headers` are their credentials, each with whether it is staff's.
pub fn run(
    net: &mut Reactor,
    engine: &Engine,
    headers: Vec<(String, bool)>,
    views: &[Vec<View>; 2],
    rate: f64,
    seconds: f64,
) -> Result<Walked> {
    let count = (rate * seconds).max(1.0) as u64;
    let lanes = headers.len();
    let clients = headers
        .into_iter()
        .enumerate()
        .map(|(at, (headers, sees_all))| Client {
            headers,
            sees_all,
            at,
            walk: Walk::default(),
            next: None,
        });
    let mut run = Run {
        pool: Pool::open(net, lanes)?,
        clients: clients.collect(),
        idle: (0..lanes).collect(),
        due: VecDeque::new(),
        host: net.host().to_owned(),
        views,
        reader: Reader::new(),
        page: Page::default(),
        answered: 0,
        last_arrival: 0,
        walked: Walked {
            latency: Latency::new()?,
            timeline: Timeline::default(),
            errors: Errors::default(),
            faults: Faults::default(),
            pages: 0,
            entries: 0,
            walks: 0,
            bytes: 0,
            unanswered: 0,
            server_cpu: 0.0,
            worst_send_millis: 0.0,
            seconds: 0.0,
        },
    };
    let cpu = engine.usage().cpu_seconds;
    let began = net.now() + SECOND / 100;
    run.last_arrival = began;
    run.walked.timeline = Timeline::starting(began);
    let mut pace = Pace::new(began, rate, count);
    let progress = Progress::new("reading pages", count);
    let mut worst = 0;
    loop {
        let now = net.now();
        for _ in 0..SENDS_IN_TURN {
            let Some((_, intended)) = pace.pop(now) else { break };
            worst = worst.max(now - intended);
            run.due.push_back(intended);
        }
        run.send(net);
        let is_over = pace.is_over() && run.answered >= count;
        if is_over || (pace.is_over() && now > run.last_arrival + QUIET_LIMIT) {
            break;
        }
        let until = pace.due().min(now + SECOND / 20);
        net.turn(&mut run, until)?;
        progress.set(run.answered);
    }
    let mut walked = run.walked;
    walked.unanswered = count.saturating_sub(run.answered);
    walked.server_cpu = engine.usage().cpu_seconds - cpu;
    walked.worst_send_millis = worst as f64 / 1e6;
    walked.seconds = run.last_arrival.saturating_sub(began) as f64 / SECOND as f64;
    run.pool.close(net);
    Ok(walked)
}

struct Run<'a> {
    pool: Pool,
    clients: Vec<Client>,
    idle: VecDeque<usize>,
    /// Instants at which nobody was free to ask.
    due: VecDeque<u64>,
    host: String,
    views: &'a [Vec<View>; 2],
    reader: Reader,
    page: Page,
    answered: u64,
    last_arrival: u64,
    walked: Walked,
}

impl Run<'_> {
    fn send(&mut self, net: &mut Reactor) {
        while !self.due.is_empty() && !self.idle.is_empty() {
            let (Some(intended), Some(tag)) = (self.due.pop_front(), self.idle.pop_front()) else {
                return;
            };
            let client = &self.clients[tag];
            let views = &self.views[usize::from(client.sees_all)];
            let path = &views[client.at % views.len()].path;
            let path = match &client.next {
                Some(cursor) => format!("{path}&cursor={cursor}"),
                None => path.clone(),
            };
            let bytes = http::request("GET", &self.host, &path, &client.headers, "");
            self.pool.submit(net, Job { tag, intended, bytes });
        }
    }

    fn take(&mut self, tag: usize, body: &[u8]) {
        if self.reader.read(body, &mut self.page).is_none() {
            self.walked.errors.add("an answer is not a page");
            return;
        }
        let client = &mut self.clients[tag];
        self.walked.pages += 1;
        self.walked.bytes += body.len() as u64;
        self.walked.entries += self.page.entries.len() as u64;
        self.walked.faults += client.walk.take(&self.page);
        client.next = self.page.next.take();
        if client.next.is_none() {
            let views = &self.views[usize::from(client.sees_all)];
            self.walked.faults += client.walk.end(&views[client.at % views.len()].expected);
            self.walked.walks += 1;
            client.at += 1;
        }
    }
}

impl Handler for Run<'_> {
    fn response(&mut self, net: &mut Reactor, id: ConnId, status: u16, body: &[u8], now: u64) {
        let Some((tag, intended)) = self.pool.finished(net, id) else {
            return;
        };
        self.answered += 1;
        self.last_arrival = now;
        self.walked.latency.record(intended, now);
        self.walked.timeline.add(now, 1);
        if status == 200 {
            self.take(tag, body);
        } else {
            self.walked.errors.add_answer(status, body);
        }
        self.idle.push_back(tag);
        self.send(net);
    }

    fn closed(&mut self, net: &mut Reactor, id: ConnId, ending: Ending) {
        match self.pool.lost(net, id) {
            // Whose it was is not known: that client asks no more, which the count of answers shows.
            Lost::Job(_) => self.answered += 1,
            Lost::Idle => return,
            Lost::Stranger => {}
        }
        self.walked.errors.add(format!("a connection was {ending}"));
    }
}
