//! Says that this node lives, and hears which others do.
//!
//! Two keys, in one slot: a sorted set of the nodes by the time until which they count as alive, by the clock of Redis
//! alone, and a hash of what each told of itself. Whoever says nothing any more is left out by the next one who does.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, LazyLock};

use redis::Script;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Shared;
use crate::bus::redis::Failure;
use crate::bus::{Health, NodeId, Peer, Vitals};

/// ARGV: the node, what it tells, for how many milliseconds it counts as alive. Answers what all who are alive told.
static BEAT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local time = redis.call('TIME')
         local now = time[1] * 1000 + math.floor(time[2] / 1000)
         redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
         redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
         for _, dead in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do
             redis.call('HDEL', KEYS[2], dead)
         end
         redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
         redis.call('PEXPIRE', KEYS[1], ARGV[3] * 4)
         redis.call('PEXPIRE', KEYS[2], ARGV[3] * 4)
         return redis.call('HGETALL', KEYS[2])",
    )
});

/// ARGV: the node.
static FAREWELL: LazyLock<Script> = LazyLock::new(|| {
    Script::new("redis.call('ZREM', KEYS[1], ARGV[1]) return redis.call('HDEL', KEYS[2], ARGV[1])")
});

/// What a node tells, as JSON: operators read it too.
#[derive(Serialize, Deserialize)]
struct Told {
    #[serde(default)]
    connections: u64,
    #[serde(default)]
    rooms: u64,
    #[serde(default)]
    draining: bool,
}

/// Says so in every heartbeat, for ever; a little earlier when there is news.
pub(super) async fn live(shared: Arc<Shared>) {
    let mut changes = shared.commands.changes();
    let heartbeat = shared.settings.heartbeat;
    // Not more often than this, however often it is told.
    let least = heartbeat / 4;
    let mut said: Option<(Instant, Vitals)> = None;
    loop {
        let Ok(_) = changes.wait_for(|state| state.health == Health::Connected).await else {
            return;
        };
        let vitals = *shared.vitals.lock();
        let due = match said {
            None => Instant::now(),
            Some((at, before)) if before == vitals => at + heartbeat,
            Some((at, _)) => at + least,
        };
        if due > Instant::now() {
            tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                () = shared.beat.notified() => continue,
                changed = changes.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
            }
        }
        // After a goodbye it would be taken for alive again.
        if shared.closing.load(Relaxed) {
            return;
        }
        said = Some((Instant::now(), vitals));
        match beat(&shared, vitals).await {
            Ok(peers) => *shared.roster.write() = peers,
            Err(failure) => tracing::debug!(%failure, "a heartbeat was not heard"),
        }
    }
}

async fn beat(shared: &Shared, vitals: Vitals) -> Result<Arc<[Peer]>, Failure> {
    let told = serde_json::json!(Told {
        connections: vitals.connections,
        rooms: vitals.rooms,
        draining: vitals.draining,
    });
    let lives = u64::try_from(shared.settings.fades_after.as_millis()).unwrap_or(u64::MAX);
    let [alive, vitals_of] = keys(shared);
    let mut script = BEAT.key(alive);
    script
        .key(vitals_of)
        .arg(shared.node.to_string())
        .arg(told.to_string())
        .arg(lives);
    let told: Vec<(String, String)> = shared.commands.run(&script).await?;
    let mut peers: Vec<Peer> = told
        .iter()
        .filter_map(|(node, told)| peer(node, told))
        .filter(|peer| peer.node != shared.node)
        .collect();
    peers.push(Peer {
        node: shared.node,
        vitals,
    });
    peers.sort_unstable_by_key(|peer| peer.node);
    Ok(peers.into())
}

/// `None` for what no node wrote.
fn peer(node: &str, told: &str) -> Option<Peer> {
    let node = NodeId::from_bits(u64::from_str_radix(node, 16).ok()?);
    let told: Told = serde_json::from_str(told).ok()?;
    let vitals = Vitals {
        connections: told.connections,
        rooms: told.rooms,
        draining: told.draining,
    };
    Some(Peer { node, vitals })
}

/// This node goes: the others need not wait for it to fade.
pub(super) async fn farewell(shared: &Shared) {
    let [alive, vitals] = keys(shared);
    let mut script = FAREWELL.key(alive);
    script.key(vitals).arg(shared.node.to_string());
    let gone = shared.commands.run::<i64>(&script);
    if let Err(failure) = shared
        .commands
        .within(shared.settings.redis.response_timeout, gone)
        .await
    {
        tracing::debug!(%failure, "the other nodes were not told that this one goes");
    }
}

fn keys(shared: &Shared) -> [String; 2] {
    let prefix = shared.channels.prefix();
    [
        format!("{{{prefix}nodes}}/alive"),
        format!("{{{prefix}nodes}}/told"),
    ]
}
