//! Keeps Redis told of what this node wants to hear.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::Shared;
use crate::bus::Topic;
use crate::bus::redis::Listen;
use crate::bus::{Health, redis::Failure};

/// After a refusal, so that it does not spin.
const PAUSE: Duration = Duration::from_millis(100);
/// Between two full batches: whoever looks into the store for each topic has time to.
const BREATH: Duration = Duration::from_millis(5);

/// A replica that takes over in a cluster may confirm a subscription, and forget it without a word when it becomes the
/// primary: so long after a change all are asked for again. To ask for what is there changes nothing.
const AGAIN: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(8),
];

/// Asks for topics and leaves them, for ever.
pub(super) async fn listen(shared: Arc<Shared>) {
    while !shared.attached.0.load(Relaxed) {
        shared.attached.1.notified().await;
    }
    let mut changes = shared.hearing.changes();
    let mut generation = 0;
    let mut again: VecDeque<Instant> = VecDeque::new();
    loop {
        let connected = changes.wait_for(|state| state.health == Health::Connected).await;
        let Ok(state) = connected.map(|state| *state) else {
            return;
        };
        if state.generation != generation {
            generation = state.generation;
            shared.wishes.renew_all();
            let now = Instant::now();
            if shared.hearing.is_cluster() && generation > 1 {
                again = AGAIN.map(|after| now + after).into();
            }
        }
        if again.front().is_some_and(|at| *at <= Instant::now()) {
            again.pop_front();
            shared.wishes.renew_all();
        }
        let next = again.front().copied();
        tokio::select! {
            () = shared.wishes.some() => {}
            () = sleep_until(next), if next.is_some() => continue,
            changed = changes.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
        }
        let work = shared.wishes.work(shared.settings.batch_max, Instant::now());
        if let Err(failure) = ask(&shared, Listen::Leave, &work.unsubscribe).await {
            tracing::debug!(%failure, "could not leave topics, will try again");
            shared.wishes.stray(work.unsubscribe);
        }
        if let Err(failure) = ask(&shared, Listen::Hear, &work.subscribe).await {
            tracing::debug!(%failure, "could not listen to topics, will try again");
            shared.wishes.retry(work.subscribe);
            tokio::time::sleep(PAUSE).await;
        } else if work.subscribe.len() == shared.settings.batch_max {
            tokio::time::sleep(BREATH).await;
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(at.into()).await;
    }
}

async fn ask(shared: &Shared, listen: Listen, topics: &[Topic]) -> Result<(), Failure> {
    if topics.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = topics.iter().map(|topic| shared.channels.name(topic)).collect();
    shared.hearing.listen(listen, &names).await
}
