//! Reads the order for this node, as long as somebody follows, and makes events of it.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::Shared;
use super::feed::{Feed, Material, Reader};
use crate::bus::order::{Entry, OrderAway, Place, Said};
use crate::domain::ids::RoomId;
use crate::domain::ops::Summary;
use crate::domain::room::Seq;
use crate::store::StoreError;

/// Entries that are read at once.
const PAGE: usize = 200;
/// The pause after the order or the store could not be read.
const PAUSE: Duration = Duration::from_millis(100);
/// Whoever spoke of an event that the store does not show yet is believed so often.
const TRIES: u32 = 5;
/// Incidents that are compared at once.
const COMPARE_PAGE: usize = 200;
/// After Redis was away what came so long before it went is read again: a replica may not have had it.
const STEP_BACK_MS: u64 = 10_000;

/// Why nothing could be read.
#[derive(Debug)]
pub(super) struct Failed;

impl From<OrderAway> for Failed {
    fn from(_: OrderAway) -> Self {
        Self
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        tracing::debug!(%error, "events for the operators' feed could not be read");
        Self
    }
}

/// For ever, until the node ends.
pub(super) async fn run(weak: Weak<Shared>) {
    loop {
        let Some(shared) = weak.upgrade().filter(|shared| !shared.ended.load(Relaxed)) else {
            return;
        };
        if !shared.is_followed() {
            let came = shared.came.notified();
            if !shared.is_followed() {
                came.await;
            }
            continue;
        }
        if follow(&shared).await.is_err() {
            shared.failed();
            tokio::time::sleep(PAUSE).await;
        }
        *shared.feed.lock() = None;
    }
}

/// While somebody follows.
async fn follow(shared: &Arc<Shared>) -> Result<(), Failed> {
    let begun = shared.order.ends().await?.last;
    let settings = &shared.settings;
    *shared.feed.lock() = Some(Feed::new(begun, settings.recent_max, settings.known_max));
    shared.moved.send_modify(|n| *n += 1);
    let (mut losses, mut tries) = (shared.order.losses(), 0);
    while shared.is_followed() && !shared.ended.load(Relaxed) {
        match read(shared, begun, &mut losses, tries < TRIES).await {
            Ok(true) => tries = 0,
            Ok(false) => {
                tries = 0;
                let place = place(shared);
                shared.order.wait(place).await;
            }
            Err(Failed) => {
                tries += 1;
                shared.failed();
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    Ok(())
}

fn place(shared: &Shared) -> Place {
    shared.feed.lock().as_ref().map_or(super::nowhere(), Feed::place)
}

/// Reads a page. True: there may be more at once.
async fn read(shared: &Arc<Shared>, begun: Place, losses: &mut u64, patient: bool) -> Result<bool, Failed> {
    let (place, now) = (place(shared), shared.order.losses());
    let from = if now == *losses {
        place
    } else {
        step_back(place, begun)
    };
    let stretch = shared.order.after(from, PAGE).await?;
    *losses = now;
    if stretch.epoch != place.epoch && shared.order.is_shared() {
        // Redis lost its memory. What is known here is held against the store, so that nothing that happened meanwhile
        // is missing; the order says it again.
        reconcile(shared).await?;
        with(shared, |feed| feed.enter(stretch.oldest()));
        return Ok(true);
    }
    if !stretch.follows(place) {
        shared.counts.gaps.fetch_add(1, Relaxed);
        with(shared, |feed| feed.skip_to(stretch.oldest()));
        shared.moved.send_modify(|n| *n += 1);
        return Ok(true);
    }
    let (wanted, unknown) = with(shared, |feed| {
        let reader = feed.reader();
        (reader.wanted(&stretch.entries), reader.unknown(&stretch.entries))
    })
    .unwrap_or_default();
    let material = material(shared, &wanted, &unknown).await?;
    if patient && !has_all(&wanted, &material) {
        return Err(Failed);
    }
    let taken = with(shared, |feed| feed.take(&stretch.entries, stretch.upto, material));
    let (count, missing) = taken.map_or((0, 0), |(events, missing)| (events.len(), missing));
    shared.counts.read.fetch_add(count as u64, Relaxed);
    shared.counts.missing.fetch_add(missing as u64, Relaxed);
    if count > 0 {
        shared.moved.send_modify(|n| *n += 1);
    }
    Ok(stretch.entries.len() >= PAGE)
}

fn with<T>(shared: &Shared, work: impl FnOnce(&mut Feed) -> T) -> Option<T> {
    shared.feed.lock().as_mut().map(work)
}

/// Somewhat before a place, but not before where this node began.
fn step_back(place: Place, begun: Place) -> Place {
    let back = Place {
        at: (place.at.0.saturating_sub(STEP_BACK_MS), 0),
        nth: 0,
        ..place
    };
    if begun.epoch == place.epoch {
        back.max(begun)
    } else {
        back
    }
}

fn has_all(wanted: &[(RoomId, Seq, Seq)], material: &Material) -> bool {
    let has = |room: &RoomId, seq: Seq| {
        material
            .events
            .iter()
            .any(|event| event.seq == seq && event.room == *room)
    };
    wanted.iter().all(|(room, _, last)| has(room, *last))
}

/// What events are made of, from the store.
pub(super) async fn material(
    shared: &Shared,
    wanted: &[(RoomId, Seq, Seq)],
    unknown: &[RoomId],
) -> Result<Material, StoreError> {
    let mut material = Material::default();
    if !wanted.is_empty() {
        material.events = shared.store.stretches(wanted).await?;
    }
    if !unknown.is_empty() {
        let rows = shared.store.incidents_of(unknown).await?;
        let summary = |row: crate::store::IncidentRow| {
            let summary = Summary::new(&row.report, row.status, row.created_at);
            (row.room, summary)
        };
        material.summaries = rows.into_iter().map(summary).collect();
    }
    Ok(material)
}

/// Says what the store has of the incidents known here beyond what was shown.
async fn reconcile(shared: &Arc<Shared>) -> Result<(), StoreError> {
    let heads = with(shared, |feed| feed.heads()).unwrap_or_default();
    for page in heads.chunks(COMPARE_PAGE) {
        compare(shared, page).await?;
    }
    Ok(())
}

/// Says what the store has beyond these heads, and which of the incidents are over.
pub(super) async fn compare(shared: &Shared, heads: &[(RoomId, Seq)]) -> Result<(), StoreError> {
    let rooms: Vec<RoomId> = heads.iter().map(|(room, _)| room.clone()).collect();
    for row in shared.store.incidents_of(&rooms).await? {
        let head = heads.iter().find(|(room, _)| *room == row.room);
        let Some((room, head)) = head else { continue };
        let over = !row.status.is_open();
        if row.seq > *head {
            shared.counts.found.fetch_add(1, Relaxed);
        }
        if row.seq > *head || over {
            shared.order.say(Said {
                room: room.clone(),
                first: Said::begins(row.created_at, shared.clock.now(), head.next()),
                last: row.seq,
                over,
            });
        }
    }
    Ok(())
}

/// A page of the order for somebody who comes from further back than this node reads.
pub(super) struct Page {
    /// The events.
    pub events: Vec<Arc<super::OpsEvent>>,
    /// How far they go.
    pub upto: Place,
    /// It does not follow the place.
    pub gap: bool,
}

/// Reads what follows a place.
pub(super) async fn page(shared: &Shared, place: Place) -> Result<Page, Failed> {
    let stretch = shared.order.after(place, PAGE).await?;
    if !stretch.follows(place) {
        return Ok(Page {
            events: vec![],
            upto: place,
            gap: true,
        });
    }
    let mut reader = Reader::new(place);
    let mut unknown = reader.unknown(&stretch.entries);
    let mut known = Vec::new();
    if let Some(feed) = shared.feed.lock().as_ref() {
        unknown.retain(|room| match feed.standing(room) {
            Some(standing) => {
                known.push((room.clone(), standing.clone()));
                false
            }
            None => true,
        });
    }
    let mut material = material(shared, &reader.wanted(&stretch.entries), &unknown).await?;
    material.summaries.extend(known);
    let entries: &[Entry] = &stretch.entries;
    let (events, _) = reader.take(entries, stretch.upto, material);
    Ok(Page {
        events,
        upto: stretch.upto,
        gap: false,
    })
}
