//! A connection to Redis that everybody shares and that mends itself.
//!
//! A keeper connects, looks after the connection, and connects again when it is lost, waiting longer each time. While
//! there is none every command fails at once: nobody waits for Redis to come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use parking_lot::RwLock;
use redis::aio::ConnectionLike;
use redis::{
    Cmd, FromRedisValue, Pipeline, PushInfo, PushKind, RedisError, RedisFuture, ScriptInvocation, Value,
};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;

use super::failure::{Failure, busy};
use super::link::{Link, Listen, Push, Server};
use super::options::Options;
use crate::bus::Health;

/// A connection to a cluster of which a node is lost is kept so long for the other nodes.
const CLUSTER_PATIENCE: Duration = Duration::from_secs(10);
/// How often it is tried to make a whole one.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How a connection stands. Changes are told to whoever watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Whether commands go through.
    pub health: Health,
    /// Grows each time that the connection, or a part of it, was lost and is there again: what Redis sent meanwhile
    /// was not heard.
    pub generation: u64,
    /// What Redis can do.
    pub server: Option<Server>,
}

/// What a connection has done so far.
#[derive(Debug, Default)]
pub struct Counts {
    /// Commands answered; a pipeline counts once.
    pub answered: AtomicU64,
    /// Commands not answered, because there was no connection.
    pub away: AtomicU64,
    /// Not answered in time.
    pub slow: AtomicU64,
    /// Refused because too many waited.
    pub busy: AtomicU64,
    /// Answered with an error.
    pub refused: AtomicU64,
    /// Times that a connection was made.
    pub connected: AtomicU64,
    /// Times that one could not be made.
    pub not_connected: AtomicU64,
    /// Microseconds that answered commands took, all together.
    pub micros: AtomicU64,
}

struct Shared {
    options: Options,
    push: Push,
    link: RwLock<Option<Link>>,
    state: watch::Sender<State>,
    /// The connection is, or may be, lost.
    lost: Notify,
    /// Which attempt to connect is the present one: what an older connection says does not count.
    attempt: AtomicU64,
    in_flight: Semaphore,
    counts: Counts,
}

/// Ends the keeper with the last handle.
struct Keeper(JoinHandle<()>);

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A handle. Clones share one connection, which ends with the last of them.
///
/// It can be used as the connection of `redis`' own commands (`query_async`), or by [`ask`](Self::ask) and its
/// sisters, whose errors repeat nothing of what was sent.
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
    _keeper: Arc<Keeper>,
}

impl Connection {
    /// Begins to connect. Needs a tokio runtime, which must live as long as the connection.
    pub fn open(options: Options) -> Self {
        Self::hearing(options, Arc::new(|_| {}))
    }

    /// The same, and lets `push` hear what Redis sends without being asked.
    pub fn hearing(options: Options, push: Push) -> Self {
        let state = State {
            health: Health::Away,
            generation: 0,
            server: None,
        };
        let shared = Arc::new(Shared {
            in_flight: Semaphore::new(options.commands_max.min(Semaphore::MAX_PERMITS)),
            options,
            push,
            link: RwLock::default(),
            state: watch::Sender::new(state),
            lost: Notify::new(),
            attempt: AtomicU64::new(0),
            counts: Counts::default(),
        });
        let keeper = Keeper(tokio::spawn(keep(Arc::clone(&shared))));
        Self {
            shared,
            _keeper: Arc::new(keeper),
        }
    }

    /// Another connection to the same Redis, for commands that block (`XREAD BLOCK`): each is answered within
    /// `response_timeout`.
    pub fn another(&self, response_timeout: Duration) -> Self {
        Self::open(Options {
            response_timeout,
            ..self.shared.options.clone()
        })
    }

    /// Whether commands go through.
    pub fn health(&self) -> Health {
        self.shared.state.borrow().health
    }

    /// How it stands.
    pub fn state(&self) -> State {
        *self.shared.state.borrow()
    }

    /// To wait for it to change.
    pub fn changes(&self) -> watch::Receiver<State> {
        self.shared.state.subscribe()
    }

    /// Waits until commands go through, at most `patience`.
    pub async fn connected(&self, patience: Duration) -> bool {
        let mut changes = self.changes();
        let wait = changes.wait_for(|state| state.health == Health::Connected);
        matches!(tokio::time::timeout(patience, wait).await, Ok(Ok(_)))
    }

    /// Whether keys are spread over nodes, so that a pipeline's keys must share a slot.
    pub fn is_cluster(&self) -> bool {
        matches!(self.shared.options.address.kind, super::address::Kind::Cluster)
    }

    /// What it has done so far.
    pub fn counts(&self) -> &Counts {
        &self.shared.counts
    }

    /// Commands that wait for their answer now, and how many may.
    pub fn in_flight(&self) -> (usize, usize) {
        let max = self.shared.options.commands_max;
        (max.saturating_sub(self.shared.in_flight.available_permits()), max)
    }

    /// One command.
    ///
    /// # Errors
    /// When it has no answer, or one that is not a `T`.
    pub async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Failure> {
        Ok(command.query_async(&mut self.clone()).await?)
    }

    /// Several commands at once; in a cluster all their keys must share a slot.
    ///
    /// # Errors
    /// When one of them has no answer or an error, or when the answers are not a `T`.
    pub async fn ask_all<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, Failure> {
        Ok(pipeline.query_async(&mut self.clone()).await?)
    }

    /// A script, which is sent as a whole when Redis does not have it yet.
    ///
    /// # Errors
    /// When it has no answer, or one that is not a `T`.
    pub async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, Failure> {
        Ok(script.invoke_async(&mut self.clone()).await?)
    }

    /// Begins to hear channels, or leaves them: sharded ones where Redis has them. What comes of them, and that they
    /// are heard, is told to the connection's `push`. To ask again changes nothing.
    ///
    /// # Errors
    /// When it is not known that all are heard, or left.
    pub async fn listen(&self, listen: Listen, channels: &[String]) -> Result<(), Failure> {
        let sharded = self.state().server.is_some_and(|server| server.sharded);
        let asked = self.send(async |link: &mut Link| link.listen(listen, sharded, channels).await);
        Ok(asked.await?)
    }

    /// `asked`, given up after `deadline`.
    ///
    /// # Errors
    /// Those of `asked`, and [`Failure::Slow`].
    pub async fn within<T>(
        &self,
        deadline: Duration,
        asked: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::time::timeout(deadline, asked).await.unwrap_or_else(|_| {
            self.shared.counts.slow.fetch_add(1, Relaxed);
            Err(Failure::Slow)
        })
    }

    /// Sends something by the link that is there, counts how it went, and tells the keeper of a loss.
    async fn send<T>(
        &self,
        send: impl AsyncFnOnce(&mut Link) -> Result<T, RedisError>,
    ) -> Result<T, RedisError> {
        let shared = &self.shared;
        let attempt = shared.attempt.load(Relaxed);
        let Some(mut link) = shared.link.read().clone() else {
            shared.counts.away.fetch_add(1, Relaxed);
            return Err(std::io::Error::from(std::io::ErrorKind::NotConnected).into());
        };
        let Ok(_permit) = shared.in_flight.try_acquire() else {
            shared.counts.busy.fetch_add(1, Relaxed);
            return Err(busy());
        };
        let began = Instant::now();
        let answer = send(&mut link).await;
        match &answer {
            Ok(_) => {
                let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
                shared.counts.answered.fetch_add(1, Relaxed);
                shared.counts.micros.fetch_add(micros, Relaxed);
            }
            Err(error) => {
                let counter = match Failure::from(error) {
                    Failure::Slow => &shared.counts.slow,
                    Failure::Away => &shared.counts.away,
                    _ => &shared.counts.refused,
                };
                counter.fetch_add(1, Relaxed);
                let demoted = matches!(error.code(), Some("READONLY"));
                if error.is_unrecoverable_error() || demoted {
                    shared.suspect(attempt);
                }
            }
        }
        answer
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        self.send(async |link: &mut Link| link.req_packed_command(command).await)
            .boxed()
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.send(async move |link: &mut Link| link.req_packed_commands(pipeline, offset, count).await)
            .boxed()
    }

    fn get_db(&self) -> i64 {
        self.shared.link.read().as_ref().map_or(0, Link::get_db)
    }
}

impl Shared {
    /// The connection of this attempt seems lost.
    fn suspect(&self, attempt: u64) {
        if self.attempt.load(Relaxed) == attempt {
            self.lost.notify_one();
        }
    }

    /// A connection stands.
    fn install(&self, link: &Link, server: Server) {
        self.counts.connected.fetch_add(1, Relaxed);
        *self.link.write() = Some(link.clone());
        self.say(|state| {
            state.health = Health::Connected;
            state.generation += 1;
            state.server = Some(server);
        });
    }

    fn say(&self, change: impl FnOnce(&mut State)) {
        self.state.send_if_modified(|state| {
            let before = *state;
            change(state);
            *state != before
        });
    }
}

/// Connects, looks after the connection, and begins again, for ever.
async fn keep(shared: Arc<Shared>) {
    let mut backoff = Backoff::new(&shared.options);
    let mut told = None;
    loop {
        let attempt = shared.attempt.fetch_add(1, Relaxed) + 1;
        match connect(&shared, attempt).await {
            Ok((link, server)) => {
                backoff.reset();
                told = None;
                shared.install(&link, server);
                tracing::info!("connected to Redis");
                let why = look_after(&shared, link).await;
                tracing::warn!(%why, "the connection to Redis is lost");
                shared.link.write().take();
                shared.say(|state| state.health = Health::Away);
            }
            Err(failure) => {
                shared.counts.not_connected.fetch_add(1, Relaxed);
                // Once for each reason, or a long absence fills the log.
                if told.as_ref() != Some(&failure) {
                    tracing::warn!(why = %failure, "cannot connect to Redis, will go on trying");
                    told = Some(failure);
                }
            }
        }
        tokio::time::sleep(backoff.next()).await;
    }
}

async fn connect(shared: &Arc<Shared>, attempt: u64) -> Result<(Link, Server), Failure> {
    let weak = Arc::downgrade(shared);
    let push = Arc::clone(&shared.push);
    let heard: Push = Arc::new(move |info: PushInfo| {
        if info.kind == PushKind::Disconnection
            && let Some(shared) = weak.upgrade()
        {
            shared.suspect(attempt);
        }
        push(info);
    });
    // Sentinels are asked one after the other, each of which may take its time.
    let patience = shared.options.connect_timeout * 2 + shared.options.response_timeout;
    tokio::time::timeout(patience, Link::connect(&shared.options, heard))
        .await
        .unwrap_or(Err(Failure::Slow))
}

/// Returns when the connection is lost for good. One to a cluster is replaced when a node of it is lost.
async fn look_after(shared: &Arc<Shared>, mut link: Link) -> Failure {
    loop {
        let interval = shared.options.health_interval;
        let suspected = tokio::time::timeout(interval, shared.lost.notified())
            .await
            .is_ok();
        let why = if suspected {
            Failure::Away
        } else {
            let probe = tokio::time::timeout(shared.options.response_timeout, link.probe());
            match probe.await.unwrap_or(Err(Failure::Slow)) {
                Ok(()) => continue,
                Err(failure) => failure,
            }
        };
        if !link.is_cluster() {
            return why;
        }
        tracing::warn!(%why, "a node of the Redis cluster is lost");
        shared.say(|state| state.health = Health::Away);
        match replace(shared).await {
            Some(new) => link = new,
            None => return why,
        }
    }
}

/// Connects to a cluster anew once all of it is well; until then the nodes that are left are spoken to by the old
/// connection. The driver's own repair loses subscriptions when they are asked for while a replica takes over.
async fn replace(shared: &Arc<Shared>) -> Option<Link> {
    let until = Instant::now() + CLUSTER_PATIENCE;
    while Instant::now() < until {
        let attempt = shared.attempt.fetch_add(1, Relaxed) + 1;
        if let Ok((link, server)) = connect(shared, attempt).await {
            shared.install(&link, server);
            // What the old one said of itself is no news of this one.
            let _ = shared.lost.notified().now_or_never();
            tracing::info!("all nodes of the Redis cluster answer again");
            return Some(link);
        }
        shared.counts.not_connected.fetch_add(1, Relaxed);
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    None
}

/// Waits that double, each cut by chance so that the nodes of a cluster do not all come at once.
struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    fn new(options: &Options) -> Self {
        Self {
            min: options.reconnect_min,
            max: options.reconnect_max,
            next: options.reconnect_min,
        }
    }

    fn reset(&mut self) {
        self.next = self.min;
    }

    /// From half of the present wait to all of it.
    fn next(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(self.max);
        let mut chance = [0u8; 2];
        // Without chance the wait is a whole one.
        let cut = match getrandom::fill(&mut chance) {
            Ok(()) => u32::from(u16::from_le_bytes(chance)),
            Err(_) => 0,
        };
        wait - (wait / 2).mul_f64(f64::from(cut) / 65_536.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_their_limit_and_begin_anew() {
        let (min, max) = (Duration::from_millis(50), Duration::from_millis(300));
        let mut backoff = Backoff { min, max, next: min };
        for most in [50, 100, 200, 300, 300].map(Duration::from_millis) {
            let wait = backoff.next();
            assert!(wait <= most && wait >= most / 2, "{wait:?} of {most:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= min);
    }
}
