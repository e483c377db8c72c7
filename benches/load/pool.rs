//! Keep-alive connections that each carry one request at a time.

use std::collections::{HashMap, VecDeque};

use crate::Result;
use crate::progress::Progress;
use crate::reactor::{ConnId, Ending, Handler, Reactor};
use crate::stats::SECOND;

const STALL_LIMIT: u64 = 30 * SECOND;

/// A request, and what its sender wants to know when the answer comes.
pub struct Job {
    pub tag: usize,
    pub intended: u64,
    pub bytes: Vec<u8>,
}

struct Lane {
    conn: ConnId,
    /// What is on its way: the tag and the instant.
    busy: Option<(usize, u64)>,
    queue: VecDeque<Job>,
    /// Whether `idle` holds it (where it may be busy all the same).
    is_listed: bool,
}

/// What went with a connection.
pub enum Lost {
    /// A request on its way, and its instant.
    Job(u64),
    /// Nothing: a server may close what has been idle for long.
    Idle,
    /// It was none of the pool's.
    Stranger,
}

/// Lanes, each a connection; a request takes any lane or, where order matters, one of its own.
pub struct Pool {
    lanes: Vec<Lane>,
    lane_of: HashMap<ConnId, usize>,
    /// The one that has been idle longest comes first, so that none is idle for long: a server may close those.
    idle: VecDeque<usize>,
    waiting: VecDeque<Job>,
    in_flight: usize,
}

struct Opening(usize, Option<Ending>);

impl Handler for Opening {
    fn opened(&mut self, _: &mut Reactor, _: ConnId) {
        self.0 += 1;
    }
    fn closed(&mut self, _: &mut Reactor, _: ConnId, ending: Ending) {
        self.1 = Some(ending);
    }
}

impl Pool {
    /// Opens `count` connections and waits for them.
    pub fn open(net: &mut Reactor, count: usize) -> Result<Self> {
        let mut opening = Opening(0, None);
        let mut lanes = Vec::with_capacity(count);
        for index in 0..count {
            let conn = net.open_http()?;
            lanes.push(Lane {
                conn,
                busy: None,
                queue: VecDeque::new(),
                is_listed: true,
            });
            while index >= opening.0 + 128 && opening.1.is_none() {
                let until = net.now() + SECOND;
                net.turn(&mut opening, until)?;
            }
        }
        let limit = net.now() + STALL_LIMIT;
        while opening.0 < count {
            if let Some(ending) = opening.1 {
                return Err(format!("a connection for requests was {ending}").into());
            }
            if net.now() > limit {
                return Err("the engine does not take connections".into());
            }
            let until = net.now() + SECOND;
            net.turn(&mut opening, until)?;
        }
        let lane_of = lanes
            .iter()
            .enumerate()
            .map(|(index, lane)| (lane.conn, index))
            .collect();
        Ok(Self {
            lanes,
            lane_of,
            idle: (0..count).collect(),
            waiting: VecDeque::new(),
            in_flight: 0,
        })
    }

    /// Sends on any lane, as soon as one is free.
    pub fn submit(&mut self, net: &mut Reactor, job: Job) {
        self.in_flight += 1;
        while let Some(lane) = self.idle.pop_front() {
            self.lanes[lane].is_listed = false;
            if self.lanes[lane].busy.is_none() {
                return self.send(net, lane, &job);
            }
        }
        self.waiting.push_back(job);
    }

    /// Sends on this lane, in the order of submission.
    pub fn submit_to(&mut self, net: &mut Reactor, lane: usize, job: Job) {
        self.in_flight += 1;
        let lane = lane % self.lanes.len();
        if self.lanes[lane].busy.is_none() {
            self.send(net, lane, &job);
        } else {
            self.lanes[lane].queue.push_back(job);
        }
    }

    fn send(&mut self, net: &mut Reactor, lane: usize, job: &Job) {
        let lane = &mut self.lanes[lane];
        lane.busy = Some((job.tag, job.intended));
        net.send(lane.conn, &job.bytes);
    }

    /// Takes note of an answer, uses the lane for what waits, and says which job it was.
    pub fn finished(&mut self, net: &mut Reactor, id: ConnId) -> Option<(usize, u64)> {
        let lane = *self.lane_of.get(&id)?;
        let done = self.lanes[lane].busy.take()?;
        self.in_flight -= 1;
        self.next(net, lane);
        Some(done)
    }

    fn next(&mut self, net: &mut Reactor, lane: usize) {
        match self.lanes[lane]
            .queue
            .pop_front()
            .or_else(|| self.waiting.pop_front())
        {
            Some(job) => self.send(net, lane, &job),
            None if !self.lanes[lane].is_listed => {
                self.lanes[lane].is_listed = true;
                self.idle.push_back(lane);
            }
            None => {}
        }
    }

    /// Opens a lost connection anew and says what was lost with it.
    pub fn lost(&mut self, net: &mut Reactor, id: ConnId) -> Lost {
        let Some(lane) = self.lane_of.remove(&id) else {
            return Lost::Stranger;
        };
        let job = self.lanes[lane].busy.take();
        self.in_flight -= usize::from(job.is_some());
        if let Ok(conn) = net.open_http() {
            self.lanes[lane].conn = conn;
            self.lane_of.insert(conn, lane);
            self.next(net, lane);
        }
        job.map_or(Lost::Idle, |(_, intended)| Lost::Job(intended))
    }

    /// Closes all connections.
    pub fn close(self, net: &mut Reactor) {
        for lane in self.lanes {
            net.drop_conn(lane.conn);
        }
    }

    /// Submitted and not answered.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }
}

/// Sends all these requests, as many at a time as there are lanes, and hands each answer over.
pub fn run_all<F>(
    net: &mut Reactor,
    pool: &mut Pool,
    what: &'static str,
    requests: impl ExactSizeIterator<Item = Vec<u8>>,
    on_answer: F,
) -> Result<()>
where
    F: FnMut(usize, u16, &[u8]) -> Result<()>,
{
    let progress = Progress::new(what, requests.len() as u64);
    let mut batch = Batch {
        pool,
        on_answer,
        done: 0,
        failure: None,
    };
    let mut requests = requests.enumerate();
    let mut submitted = 0;
    let mut quiet_since = net.now();
    let mut done = 0;
    loop {
        while batch.pool.in_flight() < batch.pool.lanes.len() {
            let Some((tag, bytes)) = requests.next() else {
                break;
            };
            submitted += 1;
            batch.pool.submit(
                net,
                Job {
                    tag,
                    intended: 0,
                    bytes,
                },
            );
        }
        if batch.done == submitted {
            return Ok(());
        }
        let until = net.now() + SECOND / 10;
        net.turn(&mut batch, until)?;
        if let Some(failure) = batch.failure {
            return Err(failure);
        }
        if batch.done > done {
            done = batch.done;
            quiet_since = net.now();
        } else if net.now() > quiet_since + STALL_LIMIT {
            return Err(format!("{what}: the engine stopped answering after {done}").into());
        }
        progress.set(done as u64);
    }
}

struct Batch<'a, F> {
    pool: &'a mut Pool,
    on_answer: F,
    done: usize,
    failure: Option<Box<dyn std::error::Error>>,
}

impl<F: FnMut(usize, u16, &[u8]) -> Result<()>> Handler for Batch<'_, F> {
    fn response(&mut self, net: &mut Reactor, id: ConnId, status: u16, body: &[u8], _: u64) {
        let Some((tag, _)) = self.pool.finished(net, id) else {
            return;
        };
        self.done += 1;
        if let Err(error) = (self.on_answer)(tag, status, body) {
            self.failure.get_or_insert(error);
        }
    }

    fn closed(&mut self, net: &mut Reactor, id: ConnId, ending: Ending) {
        if let Lost::Job(..) = self.pool.lost(net, id) {
            self.failure
                .get_or_insert(format!("a request's connection was {ending}").into());
        }
    }
}
