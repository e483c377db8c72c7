//! Finds what nobody said: because a node died between writing and saying, because too much waited to be said, because
//! Redis was away or has lost its memory.
//!
//! One node sweeps for all. It holds what was said of each incident against the store, and looks for incidents that are
//! younger than the last sweep and were never spoken of. Whoever could not say something itself sweeps, too.

use std::sync::Weak;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::Instant;

use super::Shared;
use super::reader::{Failed, compare};
use crate::actors::node::Node;
use crate::bus::order::Said;
use crate::domain::ids::RoomId;
use crate::domain::incident::Status;
use crate::domain::room::Seq;
use crate::domain::time::Timestamp;
use crate::store::{IncidentCursor, IncidentQuery, IncidentRow, Sight};

/// Whoever minds a room of this name sweeps for all.
const NAME: &str = "ops-sweep";
/// How often it is looked whether a sweep is due.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// What happened so long before the last sweep is looked at again: clocks differ, and writes take their time.
const SLACK: Duration = Duration::from_secs(60);
/// But never further back than half of the time for which incidents that are over are remembered.
const BACK_MAX: Duration = Said::YOUNG;
/// Incidents that are looked at together, and the pause after them: others want to read, too.
const PAGE: usize = 200;
const PAUSE: Duration = Duration::from_millis(5);
/// Events that may lie between an incident's head and the last that was said of it when Redis lost its memory.
const TAIL: u64 = 50;

/// What was when the last sweep began.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    peers: u64,
    losses: u64,
    dropped: u64,
}

impl Seen {
    fn now(shared: &Shared, node: &Node) -> Self {
        Self {
            peers: node.cluster.peers.version(),
            losses: shared.order.losses(),
            dropped: shared.order.counts().dropped,
        }
    }
}

/// Looks whether a sweep is due, until the node ends.
pub(super) async fn run(weak: Weak<Shared>, node: Weak<Node>) {
    let mut seen: Option<Seen> = None;
    let (mut next, mut last): (Option<Instant>, Option<Timestamp>) = (None, None);
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let (Some(shared), Some(node)) = (weak.upgrade(), node.upgrade()) else {
            return;
        };
        if shared.ended.load(Relaxed) {
            return;
        }
        let now = Seen::now(&shared, &node);
        let due = next.is_none_or(|next| Instant::now() >= next) || seen != Some(now);
        // What this node could not say nobody else may know of.
        let own = seen.is_some_and(|seen| seen.dropped != now.dropped);
        let mine = RoomId::new(NAME).is_ok_and(|name| node.cluster.peers.minds(&name));
        if !due || !(mine || own) {
            continue;
        }
        let begun = node.now();
        if sweep(&shared, &node, last).await.is_ok() {
            shared.counts.sweeps.fetch_add(1, Relaxed);
            (seen, last) = (Some(now), Some(begun));
            next = Some(Instant::now() + shared.settings.sweep);
            if mine {
                // Otherwise the next one looks further back.
                let _ = shared.order.set_swept(begun.ms()).await;
            }
        } else {
            shared.failed();
        }
    }
}

/// Says whatever was not said. `last`: when this node swept before.
async fn sweep(shared: &Shared, node: &Node, last: Option<Timestamp>) -> Result<(), Failed> {
    let told = shared.order.swept().await?.map(Timestamp::from_ms);
    let since = told.or(last).unwrap_or(node.started).before(SLACK);
    // What is older may be over and forgotten: it would be said again from its beginning.
    let since = since.max(node.now().before(BACK_MAX));
    let mut cursor = 0;
    loop {
        let (next, heads) = shared.order.heads(cursor).await?;
        for page in heads.chunks(PAGE) {
            compare(shared, page).await?;
            rest(shared).await;
        }
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    young(shared, since).await?;
    if told.is_none() && last.is_some() {
        old(shared, since).await?;
    }
    Ok(())
}

/// Lets others do something, and what was said be taken.
async fn rest(shared: &Shared) {
    let counts = shared.order.counts();
    if counts.waiting > counts.waiting_max / 2 {
        shared.order.settle().await;
    }
    tokio::time::sleep(PAUSE).await;
}

fn newest(status: Vec<Status>, after: Option<IncidentCursor>) -> IncidentQuery {
    IncidentQuery {
        status,
        kind: None,
        city_id: None,
        near: None,
        sight: Sight::All,
        limit: PAGE,
        after,
    }
}

fn say(shared: &Shared, row: &IncidentRow, first: Seq) {
    shared.order.say(Said {
        room: row.room.clone(),
        first,
        last: row.seq,
        over: !row.status.is_open(),
    });
}

/// Incidents that were raised since, whatever became of them: all of their events belong into the order.
async fn young(shared: &Shared, since: Timestamp) -> Result<(), Failed> {
    let mut after = None;
    loop {
        let page = shared.store.incidents(&newest(vec![], after.take())).await?;
        let count = page.len();
        for listed in &page {
            let row = &listed.incident;
            if row.created_at < since {
                return Ok(());
            }
            say(shared, row, Seq::new(1));
            after = Some(place_of(row));
        }
        if count < PAGE {
            return Ok(());
        }
        rest(shared).await;
    }
}

/// Redis does not know any more what was said. Of open incidents that are older, what happened since is said again;
/// whoever had it before is not told twice.
async fn old(shared: &Shared, since: Timestamp) -> Result<(), Failed> {
    let open: Vec<Status> = Status::ALL
        .iter()
        .copied()
        .filter(|status| status.is_open())
        .collect();
    let mut after = None;
    loop {
        let page = shared
            .store
            .incidents(&newest(open.clone(), after.take()))
            .await?;
        let count = page.len();
        let rows = page.iter().map(|listed| &listed.incident);
        let tail = |row: &IncidentRow| {
            let from = row.seq.get().saturating_sub(TAIL - 1).max(1);
            (row.room.clone(), Seq::new(from), row.seq)
        };
        let wanted: Vec<_> = rows
            .clone()
            .filter(|row| row.created_at < since)
            .map(|row| tail(row))
            .collect();
        let events = shared.store.stretches(&wanted).await?;
        for row in rows {
            let first = events
                .iter()
                .filter(|event| event.room == row.room && event.at >= since)
                .map(|event| event.seq)
                .min();
            if let Some(first) = first {
                say(shared, row, first);
            }
            after = Some(place_of(row));
        }
        if count < PAGE {
            return Ok(());
        }
        rest(shared).await;
    }
}

fn place_of(row: &IncidentRow) -> IncidentCursor {
    IncidentCursor {
        created_at: row.created_at,
        distance_m: 0.0,
        room: row.room.clone(),
    }
}
