//! The order of incidents' events over all nodes, in a stream of Redis.
//!
//! One script says what is durable: it holds each stretch against how far its incident was told, and adds what is news.
//! So the stream is gapless and in order for each incident, whatever node is late or speaks twice. It holds numbers
//! only. When Redis has lost its memory the stream begins anew under another epoch.

mod script;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;
use redis::{FromRedisValue, ParsingError, Value, cmd, pipe};
use tokio::sync::Notify;

use super::{Channels, Connection, Failure};
use crate::bus::Health;
use crate::bus::order::{Ends, Entry, Order, OrderAway, OrderCounts, Place, Said, Stretch};
use crate::domain::ids::RoomId;
use crate::domain::room::Seq;

use script::SAY;

/// How often it is looked whether what was said is there.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// The pause after Redis did not take something.
const PAUSE: Duration = Duration::from_millis(50);
/// Incidents that are told of at once when all are.
const HEADS_PAGE: usize = 500;

/// What the order goes by.
#[derive(Clone, Debug)]
pub struct OrderSettings {
    /// The most entries of the stream.
    pub stream_max: usize,
    /// How long an incident that is over is remembered.
    pub over_keep: Duration,
    /// Stretches that wait to be said.
    pub waiting_max: usize,
    /// Stretches in one command.
    pub batch_max: usize,
    /// How long one look waits for something new.
    pub patience: Duration,
}

impl Default for OrderSettings {
    fn default() -> Self {
        Self {
            stream_max: 1_000_000,
            over_keep: Duration::from_secs(24 * 3_600),
            waiting_max: 65_536,
            batch_max: 500,
            patience: Duration::from_secs(1),
        }
    }
}

/// The names of the keys. All lie in one slot.
struct Keys {
    stream: String,
    heads: String,
    over: String,
    epoch: String,
    swept: String,
}

impl Keys {
    fn new(channels: &Channels) -> Self {
        let key = |name: &str| format!("{}{{feed}}{name}", channels.prefix());
        Self {
            stream: key(""),
            heads: key("/heads"),
            over: key("/over"),
            epoch: key("/epoch"),
            swept: key("/swept"),
        }
    }
}

struct Shared {
    connection: Connection,
    /// For reads that wait.
    waiting_connection: Connection,
    keys: Keys,
    settings: OrderSettings,
    /// By which the next stream that begins here is known: never the name of one that Redis lost.
    epoch: AtomicU64,
    waiting: Mutex<VecDeque<Said>>,
    some: Notify,
    on_the_way: AtomicU64,
    said: AtomicU64,
    dropped: AtomicU64,
}

/// The order of a node's cluster. Its task ends with it.
pub struct RedisOrder {
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for RedisOrder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl RedisOrder {
    /// Starts it. Needs a tokio runtime, on which its task runs. `epoch` is drawn at random: it and those after
    /// it name the streams that are begun by this node.
    pub fn start(
        connection: Connection,
        channels: &Channels,
        settings: OrderSettings,
        epoch: u64,
    ) -> Arc<Self> {
        let shared = Arc::new(Shared {
            waiting_connection: connection.another(settings.patience + Duration::from_secs(1)),
            connection,
            keys: Keys::new(channels),
            settings,
            epoch: AtomicU64::new(epoch),
            waiting: Mutex::default(),
            some: Notify::new(),
            on_the_way: AtomicU64::new(0),
            said: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        let task = tokio::spawn(Arc::clone(&shared).speak());
        Arc::new(Self { shared, task })
    }
}

impl Shared {
    /// Says what waits, for ever.
    async fn speak(self: Arc<Self>) {
        let mut changes = self.connection.changes();
        loop {
            if changes
                .wait_for(|state| state.health == Health::Connected)
                .await
                .is_err()
            {
                return;
            }
            let batch = self.take().await;
            match self.send(&batch).await {
                Ok(()) => {
                    self.said.fetch_add(batch.len() as u64, Relaxed);
                }
                Err(failure) => {
                    tracing::debug!(%failure, "events were not told to the operators' feed");
                    self.give_back(batch);
                    tokio::time::sleep(PAUSE).await;
                }
            }
            self.on_the_way.store(0, Relaxed);
        }
    }

    async fn take(&self) -> Vec<Said> {
        loop {
            let some = self.some.notified();
            {
                let mut waiting = self.waiting.lock();
                if !waiting.is_empty() {
                    let count = waiting.len().min(self.settings.batch_max);
                    self.on_the_way.store(count as u64, Relaxed);
                    return waiting.drain(..count).collect();
                }
            }
            some.await;
        }
    }

    /// What was not taken goes before what came since, as far as there is room. Said twice it does no harm.
    fn give_back(&self, batch: Vec<Said>) {
        let mut waiting = self.waiting.lock();
        let room = self.settings.waiting_max.saturating_sub(waiting.len());
        let lost = batch.len().saturating_sub(room);
        self.dropped.fetch_add(lost as u64, Relaxed);
        for said in batch.into_iter().take(room).rev() {
            waiting.push_front(said);
        }
    }

    async fn send(&self, batch: &[Said]) -> Result<(), Failure> {
        let keys = &self.keys;
        let mut say = SAY.prepare_invoke();
        say.key(&keys.stream)
            .key(&keys.heads)
            .key(&keys.over)
            .key(&keys.epoch);
        let keep = u64::try_from(self.settings.over_keep.as_millis()).unwrap_or(u64::MAX);
        say.arg(self.settings.stream_max)
            .arg(self.epoch.fetch_add(1, Relaxed).to_string())
            .arg(keep);
        for said in batch {
            say.arg(said.room.as_str())
                .arg(said.first.get())
                .arg(said.last.get())
                .arg(u8::from(said.over));
        }
        self.connection.run::<u64>(&say).await.map(drop)
    }
}

/// `ms-n`, as Redis names entries.
fn id_text((ms, n): (u64, u64)) -> String {
    format!("{ms}-{n}")
}

fn id_of(text: &str) -> Option<(u64, u64)> {
    let (ms, n) = text.split_once('-')?;
    Some((ms.parse().ok()?, n.parse().ok()?))
}

/// Entries of the stream, as Redis tells them, with their ids; what is none (where a stream begins, one is) is `None`.
#[derive(Default)]
struct Entries(Vec<((u64, u64), Option<Entry>)>);

impl FromRedisValue for Entries {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let told: Vec<(String, HashMap<String, String>)> = FromRedisValue::from_redis_value(value)?;
        let mut entries = Vec::with_capacity(told.len());
        for (id, fields) in told {
            let at = id_of(&id).ok_or("the id of an entry")?;
            let number = |name: &str| fields.get(name)?.parse().ok().map(Seq::new);
            let entry = || {
                Some(Entry {
                    at,
                    room: RoomId::new(fields.get("sosId")?).ok()?,
                    first: number("first")?,
                    last: number("last")?,
                    events: vec![],
                })
            };
            entries.push((at, entry()));
        }
        Ok(Self(entries))
    }
}

impl Entries {
    /// After the last of them.
    fn upto(&self, epoch: u64) -> Option<Place> {
        let (at, entry) = self.0.last()?;
        let length = |entry: &Entry| entry.last.get().saturating_sub(entry.first.get()) + 1;
        Some(Place {
            epoch,
            at: *at,
            nth: entry.as_ref().map_or(1, length),
        })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "an error is handed on as it comes")]
fn away(failure: Failure) -> OrderAway {
    tracing::debug!(%failure, "the order of events cannot be read");
    OrderAway
}

#[async_trait]
impl Order for RedisOrder {
    fn say(&self, said: Said) {
        let shared = &self.shared;
        {
            let mut waiting = shared.waiting.lock();
            if let Some(last) = waiting.back_mut()
                && last.room == said.room
                && last.last < said.last
            {
                // One after the other: one stretch.
                last.last = said.last;
                last.over = said.over;
            } else if waiting.len() >= shared.settings.waiting_max {
                shared.dropped.fetch_add(1, Relaxed);
                return;
            } else {
                waiting.push_back(said);
            }
        }
        shared.some.notify_one();
    }

    async fn ends(&self) -> Result<Ends, OrderAway> {
        // A stream that nobody has begun is begun, so that its places are good.
        self.shared.send(&[]).await.map_err(away)?;
        let keys = &self.shared.keys;
        let mut look = pipe();
        look.cmd("GET").arg(&keys.epoch);
        look.cmd("XREVRANGE")
            .arg(&keys.stream)
            .arg("+")
            .arg("-")
            .arg("COUNT")
            .arg(1);
        let (epoch, last): (Option<u64>, Entries) =
            self.shared.connection.ask_all(&look).await.map_err(away)?;
        let last = epoch.and_then(|epoch| last.upto(epoch));
        Ok(Ends {
            last: last.ok_or(OrderAway)?,
        })
    }

    async fn after(&self, place: Place, limit: usize) -> Result<Stretch, OrderAway> {
        let keys = &self.shared.keys;
        let mut look = pipe();
        look.cmd("GET").arg(&keys.epoch);
        look.cmd("XRANGE")
            .arg(&keys.stream)
            .arg("-")
            .arg("+")
            .arg("COUNT")
            .arg(1);
        look.cmd("XRANGE")
            .arg(&keys.stream)
            .arg(id_text(place.at))
            .arg("+")
            .arg("COUNT")
            .arg(limit.saturating_add(1));
        let asked = self.shared.connection.ask_all(&look).await;
        let (epoch, oldest, found): (Option<u64>, Entries, Entries) = asked.map_err(away)?;
        // A stream that is begun is never empty.
        let (Some(epoch), Some((kept, _))) = (epoch, oldest.0.first()) else {
            // Redis lost its memory, and nobody has said anything since.
            self.shared.send(&[]).await.map_err(away)?;
            return Err(OrderAway);
        };
        Ok(Stretch {
            epoch,
            kept: *kept,
            upto: found.upto(epoch).unwrap_or(place),
            entries: found.0.into_iter().filter_map(|(_, entry)| entry).collect(),
        })
    }

    async fn wait(&self, place: Place) {
        let shared = &self.shared;
        let patience = shared.settings.patience;
        let mut read = cmd("XREAD");
        let block = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        read.arg("COUNT").arg(1).arg("BLOCK").arg(block.max(1));
        read.arg("STREAMS")
            .arg(&shared.keys.stream)
            .arg(id_text(place.at));
        // What it finds is read again, with all that must be known beside it.
        if let Err(failure) = shared.waiting_connection.ask::<Value>(&read).await {
            tracing::debug!(%failure, "cannot wait for the order of events");
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn heads(&self, cursor: u64) -> Result<(u64, Vec<(RoomId, Seq)>), OrderAway> {
        let mut scan = cmd("HSCAN");
        scan.arg(&self.shared.keys.heads)
            .arg(cursor)
            .arg("COUNT")
            .arg(HEADS_PAGE);
        let (next, found): (u64, Vec<(String, u64)>) =
            self.shared.connection.ask(&scan).await.map_err(away)?;
        let head = |(room, seq): (String, u64)| Some((RoomId::new(&room).ok()?, Seq::new(seq)));
        Ok((next, found.into_iter().filter_map(head).collect()))
    }

    async fn swept(&self) -> Result<Option<i64>, OrderAway> {
        let mut get = cmd("GET");
        get.arg(&self.shared.keys.swept);
        self.shared.connection.ask(&get).await.map_err(away)
    }

    async fn set_swept(&self, at: i64) -> Result<(), OrderAway> {
        let mut set = cmd("SET");
        set.arg(&self.shared.keys.swept).arg(at);
        self.shared.connection.ask::<()>(&set).await.map_err(away)
    }

    async fn settle(&self) -> bool {
        let shared = &self.shared;
        let until = Instant::now() + shared.settings.patience;
        let busy = || !shared.waiting.lock().is_empty() || shared.on_the_way.load(Relaxed) > 0;
        while busy() && Instant::now() < until && shared.connection.health() == Health::Connected {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        !busy()
    }

    fn losses(&self) -> u64 {
        let generation = self.shared.connection.state().generation;
        generation.wrapping_add(self.shared.dropped.load(Relaxed))
    }

    fn counts(&self) -> OrderCounts {
        let shared = &self.shared;
        OrderCounts {
            said: shared.said.load(Relaxed),
            dropped: shared.dropped.load(Relaxed),
            waiting: shared.waiting.lock().len(),
            waiting_max: shared.settings.waiting_max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::cluster_routing::Slot;

    #[test]
    fn all_keys_lie_in_one_slot_and_name_the_database() {
        let keys = Keys::new(&Channels::new(3));
        assert_eq!(keys.stream, "mayday/3/{feed}");
        let all = [&keys.heads, &keys.over, &keys.epoch, &keys.swept];
        assert!(
            all.into_iter()
                .all(|key| Slot::for_key(key) == Slot::for_key(&keys.stream))
        );
    }

    #[test]
    fn ids_are_read_as_they_are_written() {
        assert_eq!(
            id_of(&id_text((1_700_000_000_123, 7))),
            Some((1_700_000_000_123, 7))
        );
        assert_eq!(id_of("7"), None);
    }
}
