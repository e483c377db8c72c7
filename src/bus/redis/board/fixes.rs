//! Positions on their way into history: the nodes read the stream of positions as one group.
//!
//! What history is to keep is taken from the stream by one node, and stays that node's until it is acknowledged. What a
//! node has taken and not acknowledged for long enough another takes over: a node that dies loses no fix. All else in
//! the stream is acknowledged as it is read.

use std::time::Duration;

use redis::{Cmd, FromRedisValue, ParsingError, Pipeline, Value};

use super::{keys, texts};
use crate::bus::redis::{Connection, Failure};
use crate::store::KeptFix;

/// The nodes' group.
const GROUP: &str = "history";
/// Ids in one command.
const IDS_MAX: usize = 500;
/// A consumer that has nothing and has not read for so long was a node that is no more.
const GONE_AFTER: Duration = Duration::from_secs(3_600);

/// A fix that was taken from the stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// Its place in the stream.
    pub id: String,
    /// The fix.
    pub fix: KeptFix,
}

/// What was found in the stream.
#[derive(Debug, Default)]
pub struct Found {
    /// What history is to keep.
    pub taken: Vec<Taken>,
    /// Entries that are none, by whomever they were written.
    pub unreadable: usize,
    /// Entries that the stream forgot before they were written: it is shorter than the store was away.
    pub forgotten: usize,
}

/// The stream, as one node uses it.
#[derive(Clone)]
pub struct FixStream {
    connection: Connection,
    /// For reads that wait.
    waiting: Connection,
    consumer: String,
    patience: Duration,
}

impl FixStream {
    /// The stream by this connection, for the node of this name. A read waits at most `patience` for the first fix.
    pub fn new(connection: &Connection, consumer: String, patience: Duration) -> Self {
        Self {
            connection: connection.clone(),
            waiting: connection.another(patience + Duration::from_secs(1)),
            consumer,
            patience,
        }
    }

    /// Makes the group, once for all nodes.
    ///
    /// # Errors
    /// When Redis does not.
    pub async fn prepare(&self) -> Result<(), Failure> {
        let mut create = group("CREATE");
        create.arg("0").arg("MKSTREAM");
        match self.connection.ask::<()>(&create).await {
            Err(Failure::Refused(code)) if code == "BUSYGROUP" => Ok(()),
            outcome => outcome,
        }
    }

    /// Takes from the next `max` entries that nobody has read yet; waits a while when there are none.
    ///
    /// # Errors
    /// When Redis does not answer. `Refused("NOGROUP")`: the group is gone, [`FixStream::prepare`] makes it anew.
    pub async fn take(&self, max: usize) -> Result<Found, Failure> {
        let mut read = redis::cmd("XREADGROUP");
        let block = u64::try_from(self.patience.as_millis()).unwrap_or(u64::MAX);
        read.arg("GROUP").arg(GROUP).arg(&self.consumer);
        read.arg("COUNT").arg(max).arg("BLOCK").arg(block.max(1));
        read.arg("STREAMS").arg(keys::STREAM).arg(">");
        let streams: Option<Vec<(String, Entries)>> = self.waiting.ask(&read).await?;
        let entries = streams
            .unwrap_or_default()
            .into_iter()
            .map(|(_, entries)| entries);
        self.sorted(entries.flat_map(|entries| entries.0)).await
    }

    /// Takes over up to `max` that somebody took longer than `idle` ago and has not acknowledged.
    ///
    /// # Errors
    /// As [`FixStream::take`].
    pub async fn take_over(&self, idle: Duration, max: usize) -> Result<Found, Failure> {
        let idle = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
        let left = self.pending(max, None).await?;
        let left = left.into_iter().filter(|(_, _, since, _)| *since >= idle);
        let ids: Vec<String> = left.map(|(id, ..)| id).collect();
        if ids.is_empty() {
            return Ok(Found::default());
        }
        // Before the claim, which may count as an acknowledgement of what is gone.
        let gone = self.forgotten(&ids).await?;
        let mut claim = redis::cmd("XCLAIM");
        claim.arg(keys::STREAM).arg(GROUP).arg(&self.consumer);
        claim.arg(idle).arg(&ids);
        let claimed: Entries = self.connection.ask(&claim).await?;
        self.done(&gone).await?;
        let mut found = self.sorted(claimed.0).await?;
        found.forgotten = gone.len();
        Ok(found)
    }

    /// Those of `ids` that the stream has forgotten.
    async fn forgotten(&self, ids: &[String]) -> Result<Vec<String>, Failure> {
        let mut gone = Vec::new();
        for piece in ids.chunks(IDS_MAX) {
            let mut look = Pipeline::with_capacity(piece.len());
            for id in piece {
                look.cmd("XRANGE").arg(keys::STREAM).arg(id).arg(id);
            }
            let there: Vec<Value> = self.connection.ask_all(&look).await?;
            let is_gone = |there: &Value| matches!(there, Value::Array(entries) if entries.is_empty());
            let missing = piece.iter().zip(&there).filter(|(_, there)| is_gone(there));
            gone.extend(missing.map(|(id, _)| id.clone()));
        }
        Ok(gone)
    }

    /// What history keeps; all else is acknowledged.
    async fn sorted(&self, entries: impl IntoIterator<Item = Entry>) -> Result<Found, Failure> {
        let (mut found, mut rest) = (Found::default(), Vec::new());
        for Entry { id, what } in entries {
            match what {
                What::Kept(fix) => found.taken.push(Taken { id, fix }),
                What::Passes => rest.push(id),
                What::Unreadable => {
                    found.unreadable += 1;
                    rest.push(id);
                }
            }
        }
        // If Redis does not hear of it, they are taken over some day, and acknowledged then.
        let _ = self.done(&rest).await;
        Ok(found)
    }

    /// These are in the store.
    ///
    /// # Errors
    /// When Redis does not hear of it: they come again, which changes nothing.
    pub async fn done(&self, ids: &[String]) -> Result<(), Failure> {
        for piece in ids.chunks(IDS_MAX) {
            let mut done = redis::cmd("XACK");
            done.arg(keys::STREAM).arg(GROUP).arg(piece);
            self.connection.ask::<i64>(&done).await?;
        }
        Ok(())
    }

    /// Leaves the group; what this node has not acknowledged stays for the others, for which it must be known.
    ///
    /// # Errors
    /// When Redis does not hear of it.
    pub async fn leave(&self) -> Result<(), Failure> {
        if self.pending(1, Some(&self.consumer)).await?.is_empty() {
            self.remove(&self.consumer).await?;
        }
        Ok(())
    }

    /// Removes nodes that ended long ago and left nothing.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn tidy(&self) -> Result<(), Failure> {
        let mut ask = redis::cmd("XINFO");
        ask.arg("CONSUMERS").arg(keys::STREAM).arg(GROUP);
        let consumers: Vec<Consumer> = self.connection.ask(&ask).await?;
        let gone = |other: &&Consumer| other.pending == 0 && u128::from(other.idle) > GONE_AFTER.as_millis();
        for consumer in consumers.iter().filter(gone) {
            self.remove(&consumer.name).await?;
        }
        Ok(())
    }

    async fn remove(&self, consumer: &str) -> Result<(), Failure> {
        let mut remove = group("DELCONSUMER");
        remove.arg(consumer);
        self.connection.ask::<i64>(&remove).await.map(drop)
    }

    /// The first `max` that were taken and not acknowledged: id, consumer, how long ago in ms, how often.
    async fn pending(&self, max: usize, of: Option<&str>) -> Result<Vec<Pending>, Failure> {
        let mut pending = redis::cmd("XPENDING");
        pending
            .arg(keys::STREAM)
            .arg(GROUP)
            .arg("-")
            .arg("+")
            .arg(max)
            .arg(of);
        self.connection.ask(&pending).await
    }
}

type Pending = (String, String, u64, u64);

fn group(what: &str) -> Cmd {
    let mut cmd = redis::cmd("XGROUP");
    cmd.arg(what).arg(keys::STREAM).arg(GROUP);
    cmd
}

enum What {
    Kept(KeptFix),
    Passes,
    Unreadable,
}

struct Entry {
    id: String,
    what: What,
}

/// Entries of a stream, as Redis tells them.
struct Entries(Vec<Entry>);

impl FromRedisValue for Entries {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let told: Vec<Value> = FromRedisValue::from_redis_value(value)?;
        let mut entries = Vec::with_capacity(told.len());
        for entry in told {
            // An entry that was deleted is told as nothing.
            let Value::Array(_) = entry else { continue };
            let (id, fields): (String, Option<Vec<Vec<u8>>>) = FromRedisValue::from_redis_value(entry)?;
            let what = match fields.as_deref().map(texts::read_entry) {
                Some(Some(Some(fix))) => What::Kept(fix),
                Some(Some(None)) => What::Passes,
                _ => What::Unreadable,
            };
            entries.push(Entry { id, what });
        }
        Ok(Self(entries))
    }
}

/// One node of the group.
struct Consumer {
    name: String,
    pending: u64,
    /// Milliseconds.
    idle: u64,
}

impl FromRedisValue for Consumer {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut fields: std::collections::HashMap<String, Value> = FromRedisValue::from_redis_value(value)?;
        let mut field = |name: &str| fields.remove(name).unwrap_or(Value::Nil);
        Ok(Self {
            name: FromRedisValue::from_redis_value(field("name"))?,
            pending: FromRedisValue::from_redis_value(field("pending"))?,
            idle: FromRedisValue::from_redis_value(field("idle"))?,
        })
    }
}
