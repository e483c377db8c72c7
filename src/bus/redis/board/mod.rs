//! The board in Redis: one task puts what waits there in pipelines, questions go by themselves.

mod fixes;
mod keys;
mod send;
mod texts;
mod waiting;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use redis::{Pipeline, cmd, pipe};

use super::{Channels, Connection, Failure};
use crate::bus::{Around, Board, BoardCounts, Cached, Health, Moves, Note, SessionNote, TripPlace};
use crate::domain::geo::{Fix, Position};
use crate::domain::ids::{ParticipantId, RoomId, UserId};
use crate::domain::people::Contact;
use crate::domain::time::Timestamp;
use crate::store::KeptFix;

pub use fixes::{FixStream, Found, Taken};

use send::Pipelines;
use waiting::{Batch, Waiting};

/// Pipelines of one batch that are on their way at once: in a cluster there are as many as slots.
const AT_ONCE: usize = 64;
/// Trips that are asked for beyond those wanted: some may be stale.
const SPARE: usize = 16;
/// Incidents that are looked at in one sweep, and trips that are forgotten.
const SWEEP_MAX: usize = 100;
/// How often the stream's length is looked at.
const TRIM_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether what was put is there.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What the board goes by.
#[derive(Clone, Debug)]
pub struct BoardSettings {
    /// Positions that wait to be put there, and as many other notes.
    pub waiting_max: usize,
    /// Notes of each kind in one batch.
    pub batch_max: usize,
    /// How long a question is waited for.
    pub patience: Duration,
    /// How far back the stream of positions reaches.
    pub stream_keep: Duration,
    /// Its most entries.
    pub stream_max: usize,
}

impl Default for BoardSettings {
    fn default() -> Self {
        Self {
            waiting_max: 65_536,
            batch_max: 1_024,
            patience: Duration::from_millis(300),
            stream_keep: Duration::from_secs(3_600),
            stream_max: 2_000_000,
        }
    }
}

type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

struct Shared {
    connection: Connection,
    channels: Channels,
    settings: BoardSettings,
    waiting: Waiting,
    clock: Clock,
    /// Notes that are on their way.
    on_the_way: AtomicU64,
    put: AtomicU64,
    pipelines: AtomicU64,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// The board of a node in a cluster. Its task ends with it.
pub struct RedisBoard {
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for RedisBoard {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl RedisBoard {
    /// Starts it. Needs a tokio runtime, on which its task runs.
    pub fn start(
        connection: Connection,
        channels: Channels,
        settings: BoardSettings,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Arc<Self> {
        let shared = Arc::new(Shared {
            waiting: Waiting::new(settings.waiting_max),
            connection,
            channels,
            settings,
            clock: Arc::new(clock),
            on_the_way: AtomicU64::new(0),
            put: AtomicU64::new(0),
            pipelines: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        });
        let task = tokio::spawn(write(Arc::clone(&shared)));
        Arc::new(Self { shared, task })
    }

    async fn ask<T>(&self, question: impl Future<Output = Result<T, Failure>>) -> Option<T> {
        let shared = &self.shared;
        let asked = shared.connection.within(shared.settings.patience, question).await;
        let told = asked.inspect_err(|failure| tracing::debug!(%failure, "the board does not answer"));
        told.ok()
    }
}

/// Puts what waits on the board, for ever.
async fn write(shared: Arc<Shared>) {
    let mut changes = shared.connection.changes();
    let mut trimmed = Instant::now();
    loop {
        if shared.connection.health() != Health::Connected {
            // Where people were is of no use here later; how things stand is.
            shared.waiting.drop_positions();
            tokio::select! {
                changed = changes.wait_for(|state| state.health == Health::Connected) => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = tokio::time::sleep(TRIM_EVERY) => {}
            }
            continue;
        }
        shared.waiting.some().await;
        let batch = shared.waiting.take(shared.settings.batch_max);
        if batch.is_empty() {
            continue;
        }
        let count = batch.len() as u64;
        let positions = !batch.positions.is_empty();
        shared.on_the_way.fetch_add(count, Relaxed);
        match put(&shared, &batch).await {
            Ok(()) => {
                shared.put.fetch_add(count, Relaxed);
            }
            Err(failure) => {
                tracing::debug!(%failure, "notes could not be put on the board");
                shared.waiting.give_back(batch);
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        shared.on_the_way.fetch_sub(count, Relaxed);
        if positions && trimmed.elapsed() >= TRIM_EVERY {
            trimmed = Instant::now();
            trim(&shared).await;
        }
    }
}

async fn put(shared: &Shared, batch: &Batch) -> Result<(), Failure> {
    let cluster = shared.connection.is_cluster();
    let mut pipelines = Pipelines::new(&shared.channels, &shared.settings, cluster, (shared.clock)());
    pipelines.add(batch);
    let sent = pipelines.finish().map(|pipeline| async move {
        shared.pipelines.fetch_add(1, Relaxed);
        shared.connection.ask_all::<()>(&pipeline).await
    });
    let mut answers = stream::iter(sent).buffer_unordered(AT_ONCE);
    let mut all = Ok(());
    while let Some(answer) = answers.next().await {
        all = all.and(answer);
    }
    all
}

/// Cuts the stream to its length; its age is looked after by whoever adds to it.
async fn trim(shared: &Shared) {
    let mut trim = cmd("XTRIM");
    trim.arg(keys::STREAM)
        .arg("MAXLEN")
        .arg("~")
        .arg(shared.settings.stream_max);
    if let Err(failure) = shared.connection.ask::<u64>(&trim).await {
        tracing::debug!(%failure, "the stream of positions was not trimmed");
    }
}

#[async_trait]
impl Board for RedisBoard {
    fn put(&self, note: Note) {
        self.shared.waiting.push(note);
    }

    fn spilled(&self, max: usize) -> Vec<KeptFix> {
        self.shared.waiting.spilled(max)
    }

    fn epoch(&self) -> u64 {
        self.shared.connection.state().generation
    }

    async fn trips_near(&self, around: Around) -> Option<Vec<TripPlace>> {
        let mut search = cmd("GEOSEARCH");
        search.arg(keys::TRIPS).arg("FROMLONLAT");
        search.arg(around.centre.longitude());
        search.arg(around.centre.latitude().clamp(-85.05, 85.05));
        search.arg("BYRADIUS").arg(around.radius_m).arg("m").arg("ASC");
        search.arg("COUNT").arg(around.limit + SPARE).arg("WITHCOORD");
        let connection = &self.shared.connection;
        let found: Vec<(String, (f64, f64))> = self.ask(connection.ask(&search)).await?;
        if found.is_empty() {
            return Some(vec![]);
        }
        let mut seen = cmd("ZMSCORE");
        seen.arg(keys::TRIPS_SEEN);
        for (member, _) in &found {
            seen.arg(member);
        }
        let seen: Vec<Option<f64>> = self.ask(connection.ask(&seen)).await?;
        let place = |((member, (longitude, latitude)), seen): ((String, (f64, f64)), Option<f64>)| {
            #[expect(clippy::cast_possible_truncation, reason = "a time in milliseconds")]
            Some(TripPlace {
                trip: keys::trip_of(&member)?,
                position: Position::new(latitude, longitude).ok()?,
                at: Timestamp::from_ms(seen? as i64),
            })
        };
        Some(found.into_iter().zip(seen).filter_map(place).collect())
    }

    async fn newest(&self, room: &RoomId) -> Vec<(ParticipantId, Fix)> {
        let mut all = cmd("HGETALL");
        all.arg(keys::newest(&self.shared.channels, room));
        let found: Option<HashMap<String, String>> = self.ask(self.shared.connection.ask(&all)).await;
        let found = found.unwrap_or_default();
        found
            .iter()
            .filter_map(|(who, text)| texts::read_newest(who, text))
            .collect()
    }

    async fn moves(&self, after: Option<&str>, max: usize) -> Option<Moves> {
        let connection = &self.shared.connection;
        let mut read = cmd("XRANGE");
        match after {
            // The first is the one that was read last.
            Some(after) => read
                .arg(keys::STREAM)
                .arg(after)
                .arg("+")
                .arg("COUNT")
                .arg(max + 1),
            None => {
                read = cmd("XREVRANGE");
                read.arg(keys::STREAM).arg("+").arg("-").arg("COUNT").arg(1)
            }
        };
        let found: Vec<(String, HashMap<String, String>)> = self.ask(connection.ask(&read)).await?;
        let last = found.last().map(|(id, _)| id.clone());
        let mut moves = Moves {
            upto: last.unwrap_or_else(|| after.unwrap_or("0-0").to_owned()),
            more: after.is_some() && found.len() > max,
            seen: vec![],
        };
        if let Some(after) = after {
            let new = found.iter().filter(|(id, _)| id != after);
            moves.seen = new
                .filter_map(|(_, fields)| texts::read_sighting(fields))
                .collect();
        }
        Some(moves)
    }

    async fn session(&self, user: &UserId) -> Option<SessionNote> {
        let mut all = cmd("HGETALL");
        all.arg(keys::session(user));
        let found: HashMap<String, String> = self.ask(self.shared.connection.ask(&all)).await?;
        texts::read_session(&found)
    }

    async fn contacts(&self, owner: &UserId) -> Cached {
        let Some([list, version]) = keys::contacts(owner) else {
            return Cached::Away;
        };
        // What is known to be wrong is not looked at.
        if self.shared.waiting.is_changing(owner) {
            return Cached::Away;
        }
        let mut both = pipe();
        both.lrange(&list, 0, -1).get(&version);
        let connection = &self.shared.connection;
        let told: Option<(Vec<String>, Option<u64>)> = self.ask(connection.ask_all(&both)).await;
        let Some((texts, version)) = told else {
            return Cached::Away;
        };
        let contacts: Option<Vec<Contact>> = texts.iter().map(|text| texts::read_contact(text)).collect();
        match contacts.filter(|contacts| !contacts.is_empty()) {
            Some(contacts) => {
                self.shared.hits.fetch_add(1, Relaxed);
                Cached::Known(contacts)
            }
            None => {
                self.shared.misses.fetch_add(1, Relaxed);
                Cached::Unknown(version.unwrap_or(0))
            }
        }
    }

    fn keep_contacts(&self, owner: &UserId, version: u64, contacts: Vec<Contact>) {
        self.shared.waiting.fill(owner, version, contacts);
    }

    async fn sweep(&self, before: Timestamp, closed: Vec<RoomId>) -> Vec<RoomId> {
        let connection = &self.shared.connection;
        let mut stale = cmd("ZRANGEBYSCORE");
        stale
            .arg(keys::TRIPS_SEEN)
            .arg("-inf")
            .arg(format!("({}", before.ms()));
        stale.arg("LIMIT").arg(0).arg(SWEEP_MAX);
        if let Some(stale) = self.ask(connection.ask::<Vec<String>>(&stale)).await {
            let stale: Vec<RoomId> = stale.iter().filter_map(|member| keys::trip_of(member)).collect();
            let mut pipelines = self.pipelines();
            pipelines.ended(&stale);
            self.send(pipelines.finish().collect()).await;
        }
        if !closed.is_empty() {
            let mut gone = cmd("SREM");
            gone.arg(keys::ROOMS);
            closed.iter().for_each(|sos| {
                gone.arg(sos.as_str());
            });
            let _ = self.ask(connection.ask::<u64>(&gone)).await;
        }
        let mut some = cmd("SRANDMEMBER");
        some.arg(keys::ROOMS).arg(SWEEP_MAX);
        let some: Vec<String> = self.ask(connection.ask(&some)).await.unwrap_or_default();
        some.iter().filter_map(|sos| RoomId::new(sos).ok()).collect()
    }

    async fn settle(&self) {
        let shared = &self.shared;
        let until = Instant::now() + shared.settings.patience;
        let busy = || shared.waiting.len() > 0 || shared.on_the_way.load(Relaxed) > 0;
        while busy() && Instant::now() < until && shared.connection.health() == Health::Connected {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn counts(&self) -> BoardCounts {
        let shared = &self.shared;
        BoardCounts {
            put: shared.put.load(Relaxed),
            dropped: shared.waiting.dropped(),
            pipelines: shared.pipelines.load(Relaxed),
            waiting: shared.waiting.len(),
            waiting_max: shared.settings.waiting_max,
            contacts: (shared.hits.load(Relaxed), shared.misses.load(Relaxed)),
        }
    }
}

impl RedisBoard {
    fn pipelines(&self) -> Pipelines<'_> {
        let shared = &self.shared;
        let cluster = shared.connection.is_cluster();
        Pipelines::new(&shared.channels, &shared.settings, cluster, (shared.clock)())
    }

    async fn send(&self, pipelines: Vec<Pipeline>) {
        for pipeline in pipelines {
            let _ = self.ask(self.shared.connection.ask_all::<()>(&pipeline)).await;
        }
    }
}
