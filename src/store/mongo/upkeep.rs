//! What keeps the store small and its projections true, in slices that let appends in between.
//!
//! Positions go in two steps. What is too old is not read any more from the moment of the purge on: a mark says from
//! when on positions count. The server removes it from the disk some time later, bucket by bucket, by the time limit
//! of the series.

use std::sync::Arc;

use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::{BoxFuture, ClientSession};
use serde::Deserialize;

use super::db::{Db, Find, Pipeline};
use super::docs::{
    BLOCKS, DEAD_LETTERS, ENGINE, EVENTS, EventDoc, HISTORY, IDEMPOTENCY, PARTICIPANTS, RECEIPTS, REPORTS,
    ROOMS, RoomDoc, TRACKED, date, instant, keys_of, limit,
};
use super::error::Outcome;
use super::plan;
use super::privacy;
use super::writer::replacement;
use crate::domain::ids::RoomId;
use crate::domain::time::Timestamp;
use crate::store::codec::{self, corrupt};
use crate::store::types::{Purged, Retention};

/// Before every instant.
pub(super) const ALWAYS: Timestamp = Timestamp::from_ms(i64::MIN);
/// Where the mark stands.
const KEPT_FROM: &str = "locations";

#[derive(Deserialize)]
struct Mark {
    from: DateTime,
}

/// From when on positions count.
pub(super) async fn kept_from(db: &Db) -> Outcome<Timestamp> {
    let mark = Find::new(ENGINE, doc! { "_id": KEPT_FROM })
        .first::<Mark>(db)
        .await?;
    Ok(mark.map_or(ALWAYS, |mark| instant(mark.from)))
}

/// Removes a slice of what is too old; answers from when on positions count now.
pub(super) async fn purge(
    db: &Arc<Db>,
    now: Timestamp,
    retention: &Retention,
) -> Outcome<(Purged, Timestamp)> {
    let mut purged = Purged::default();
    let slice = retention.slice_max_rows.max(1);
    let mut mark = kept_from(db).await?;
    if !retention.locations.is_zero() {
        let (removed, moved) = purge_positions(db, mark, now.before(retention.locations), slice).await?;
        purged.locations = removed;
        mark = moved;
    }
    if !retention.idempotency.is_zero() {
        let old = doc! { "at": { "$lt": date(now.before(retention.idempotency)) } };
        purged.idempotency = remove(db, IDEMPOTENCY, old, doc! { "at": 1 }, slice).await?;
    }
    if !retention.reports.is_zero() {
        let old = doc! { "at": { "$lt": date(now.before(retention.reports)) } };
        purged.reports = remove(db, REPORTS, old, doc! { "at": 1 }, slice).await?;
    }
    if !retention.dead_letters.is_zero() {
        let old = doc! { "at": { "$lt": date(now.before(retention.dead_letters)) } };
        purged.dead_letters = remove(db, DEAD_LETTERS, old, doc! { "at": 1 }, slice).await?;
    }
    if !retention.receipts.is_zero() {
        let old = doc! { "at": { "$lt": date(now.before(retention.receipts)) } };
        purged.receipts = remove(db, RECEIPTS, old, doc! { "at": 1 }, slice).await?;
    }
    let ended = doc! { "until": { "$lte": date(now) } };
    purged.blocks = remove(db, BLOCKS, ended, doc! { "until": 1 }, slice).await?;
    let most = [
        purged.locations,
        purged.idempotency,
        purged.reports,
        purged.blocks,
        purged.dead_letters,
        purged.receipts,
    ];
    purged.more = most.into_iter().any(|removed| removed >= slice as u64);
    privacy::purge(db, now, retention, &mut purged).await?;
    Ok((purged, mark))
}

#[derive(Deserialize)]
struct Named {
    #[serde(rename = "_id")]
    id: Bson,
}

/// Removes the first of what fits, at most a slice.
async fn remove(db: &Db, coll: &'static str, old: Document, sort: Document, slice: usize) -> Outcome<u64> {
    let found = Find::new(coll, old)
        .sort(sort)
        .limit(slice)
        .all::<Named>(db)
        .await?;
    if found.is_empty() {
        return Ok(0);
    }
    let ids: Vec<Bson> = found.into_iter().map(|named| named.id).collect();
    db.delete(coll, vec![doc! { "_id": { "$in": ids } }]).await
}

#[derive(Deserialize)]
struct At {
    at: DateTime,
}

#[derive(Deserialize)]
struct Count {
    n: i64,
}

/// Moves the mark on over a slice of positions, or to where it shall stand.
async fn purge_positions(
    db: &Db,
    mark: Timestamp,
    until: Timestamp,
    slice: usize,
) -> Outcome<(u64, Timestamp)> {
    if until <= mark {
        return Ok((0, mark));
    }
    let span = |to: Document| {
        let mut span = to;
        if mark > ALWAYS {
            span.insert("$gte", date(mark));
        }
        doc! { "$match": { "at": span } }
    };
    let last = Pipeline {
        coll: HISTORY,
        stages: vec![
            span(doc! { "$lt": date(until) }),
            doc! { "$project": { "_id": 0, "at": 1 } },
            doc! { "$sort": { "at": 1 } },
            doc! { "$limit": limit(slice) },
        ],
        is_list: false,
    };
    let found = last.all::<At>(db).await?;
    let (removed, moved) = match found.last() {
        // Those of the same time go with it.
        Some(last) if found.len() >= slice => {
            let stages = vec![span(doc! { "$lte": last.at }), doc! { "$count": "n" }];
            let all = Pipeline {
                coll: HISTORY,
                stages,
                is_list: false,
            };
            let all = all.all::<Count>(db).await?;
            let next = Timestamp::from_ms(instant(last.at).ms().saturating_add(1));
            (all.first().map_or(0, |count| count.n.unsigned_abs()), next)
        }
        _ => (found.len() as u64, until),
    };
    let statement = doc! {
        "q": { "_id": KEPT_FROM }, "u": { "$max": { "from": date(moved) } }, "upsert": true,
    };
    db.update(ENGINE, vec![statement]).await?;
    db.delete(TRACKED, vec![doc! { "newest.at": { "$lt": date(moved) } }])
        .await?;
    Ok((removed, moved))
}

/// Writes something small.
pub(super) async fn beat(db: &Db) -> Outcome<()> {
    let statement = doc! { "q": { "_id": "pulse" }, "u": { "$inc": { "beats": 1_i64 } }, "upsert": true };
    db.update(ENGINE, vec![statement]).await.map(drop)
}

/// Rebuilds the projections of the first room after `after` that has a log; `None`: there is none.
pub(super) async fn rebuild_next(db: &Arc<Db>, after: Option<&RoomId>) -> Outcome<Option<RoomId>> {
    let after = after.map_or("", RoomId::as_str);
    let next = Find::new(EVENTS, doc! { "roomId": { "$gt": after } }).sort(doc! { "roomId": 1, "seq": 1 });
    let Some(next) = next.first::<EventDoc>(db).await? else {
        return Ok(None);
    };
    let room = codec::parse_room(&next.room_id)?;
    db.transaction(|session| {
        let (db, room) = (Arc::clone(db), room.clone());
        let rebuild: BoxFuture<'_, _> = Box::pin(async move { rebuild(&db, session, &room).await });
        rebuild
    })
    .await?;
    Ok(Some(room))
}

async fn rebuild(db: &Db, session: &mut ClientSession, room: &RoomId) -> Outcome<()> {
    let mut log: Vec<EventDoc> = db
        .find_in(session, EVENTS, doc! { "roomId": room.as_str() })
        .await?;
    log.sort_by_key(|event| event.seq);
    let mut events = Vec::with_capacity(log.len());
    for (n, event) in (1_i64..).zip(&log) {
        if event.seq != n {
            return Err(corrupt("a log").into());
        }
        events.push(event.event(room)?);
    }
    let old: Vec<RoomDoc> = db.find_in(session, ROOMS, doc! { "_id": room.as_str() }).await?;
    let is_there = !old.is_empty();
    let old = old.into_iter().next().unwrap_or_else(|| RoomDoc::new(room));
    let people = db
        .find_in(session, PARTICIPANTS, doc! { "_id": keys_of(room) })
        .await?;
    let plan = plan::replay(&old, people, &events)?;
    let rooms = plan.changed_rooms.iter().map(|(head, room)| {
        let mut filter = doc! { "_id": &room.id };
        if is_there {
            filter.insert("head", head);
        }
        replacement(filter, room, !is_there)
    });
    db.update_in(session, ROOMS, rooms.collect::<Outcome<_>>()?)
        .await?;
    let people = plan.new_participants.iter().chain(&plan.changed_participants);
    let people = people.map(|somebody| replacement(doc! { "_id": &somebody.id }, somebody, true));
    db.update_in(session, PARTICIPANTS, people.collect::<Outcome<_>>()?)
        .await?;
    Ok(())
}
