//! Says what waits, in pipelines.
//!
//! Nobody waits for company: when nothing is on its way, what is there leaves at once. While a pipeline is on its way
//! more is collected, until it was answered, the next one is full, or the time is over.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use redis::aio::ConnectionLike;
use redis::cluster_routing::Slot;
use redis::{Pipeline, Value, pipe};

use super::Shared;
use crate::bus::Health;
use crate::bus::redis::Message;

/// Pipelines on their way at once.
const PIPELINES_MAX: usize = 4;

/// Says what waits, for ever.
pub(super) async fn speak(shared: Arc<Shared>) {
    let mut on_the_way = FuturesUnordered::new();
    let mut changes = shared.commands.changes();
    let max = shared.settings.flush_max;
    loop {
        let ready = shared.health() == Health::Connected;
        if ready && shared.outbound.has_missed() && on_the_way.len() < PIPELINES_MAX {
            on_the_way.push(send(&shared, shared.outbound.take_missed(max)));
        }
        tokio::select! {
            () = shared.outbound.some(), if on_the_way.len() < PIPELINES_MAX => {}
            Some(()) = on_the_way.next(), if !on_the_way.is_empty() => continue,
            changed = changes.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
            // Whether what was missed can be said now: the other connection may have come back.
            () = tokio::time::sleep(shared.settings.redis.reconnect_min), if shared.outbound.has_missed() => continue,
        }
        if !on_the_way.is_empty() && shared.outbound.len() < max {
            // The timer's grain is a millisecond; an answer usually comes before.
            let _ = tokio::time::timeout(shared.settings.flush_after, on_the_way.next()).await;
        }
        let batch = shared.outbound.take(max);
        if batch.is_empty() {
            continue;
        }
        if shared.commands.health() == Health::Connected {
            on_the_way.push(send(&shared, batch));
        } else {
            shared
                .outbound
                .fail(batch.into_iter().map(|message| message.topic));
        }
    }
}

/// Sends messages; what could not be said is noted.
async fn send(shared: &Shared, batch: Vec<Message>) {
    let count = batch.len() as u64;
    shared.on_the_way.fetch_add(count, Relaxed);
    let sharded = shared
        .commands
        .state()
        .server
        .is_some_and(|server| server.sharded);
    let groups = group(shared, batch);
    let sent = groups
        .into_iter()
        .map(|messages| send_together(shared, sharded, messages));
    join_all(sent).await;
    shared.on_the_way.fetch_sub(count, Relaxed);
}

/// Messages that can go in one pipeline: all, or in a cluster those of one slot.
fn group(shared: &Shared, batch: Vec<Message>) -> Vec<Vec<(String, Message)>> {
    let named = batch
        .into_iter()
        .map(|message| (shared.channels.name(&message.topic), message));
    if !shared.commands.is_cluster() {
        return vec![named.collect()];
    }
    let mut slots: HashMap<Slot, Vec<(String, Message)>> = HashMap::new();
    for (name, message) in named {
        slots
            .entry(Slot::for_key(&name))
            .or_default()
            .push((name, message));
    }
    slots.into_values().collect()
}

async fn send_together(shared: &Shared, sharded: bool, messages: Vec<(String, Message)>) {
    let publish = if sharded { "SPUBLISH" } else { "PUBLISH" };
    let mut pipeline: Pipeline = pipe();
    for (name, message) in &messages {
        pipeline.cmd(publish).arg(name).arg(&message.bytes);
    }
    let mut connection = shared.commands.clone();
    let answers = connection.req_packed_commands(&pipeline, 0, messages.len()).await;
    shared.pipelines.fetch_add(1, Relaxed);
    let answers = match answers {
        Ok(answers) if answers.len() == messages.len() => answers,
        _ => vec![Value::Nil; messages.len()],
    };
    for ((_, message), answer) in messages.into_iter().zip(answers) {
        if matches!(answer, Value::Int(_)) {
            shared.said.fetch_add(1, Relaxed);
        } else {
            shared.outbound.fail([message.topic]);
        }
    }
}
