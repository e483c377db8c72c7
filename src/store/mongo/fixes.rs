//! Positions worth keeping.
//!
//! They go into a time series, which has no unique key. So that a batch which comes twice changes nothing, the newest
//! fix of each participant stands beside it: what is newer cannot be there yet, and only what is not is looked up.
//! Should two nodes write one batch at the same moment, readers take the first of each time.

use std::collections::{BTreeMap, HashMap};

use mongodb::bson::{Document, doc};

use super::db::{Db, Find};
use super::docs::{
    FixDoc, HISTORY, HistoryDoc, Meta, TRACKED, TrackedDoc, date, instant, keys_of, participant, place_key,
};
use super::error::Outcome;
use crate::domain::geo::Fix;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::location::LocationPolicy;
use crate::domain::time::Timestamp;
use crate::store::types::KeptFix;

/// Fixes that are judged and written together.
pub(super) const FIXES_MAX: usize = 1_000;
/// Participants whose past is looked up by one question.
const LATE_MAX: usize = 100;

/// Puts fixes into the order in which they are judged: by time, for each participant.
pub(super) fn in_order(fixes: &mut [KeptFix]) {
    fixes.sort_by(|a, b| (&a.room, a.participant, a.fix.at).cmp(&(&b.room, b.participant, b.fix.at)));
}

/// What is known of one participant's past.
#[derive(Default)]
struct Past {
    newest: Option<Fix>,
    is_erased: bool,
    /// Kept fixes that matter for what is judged.
    kept: BTreeMap<Timestamp, Fix>,
}

/// Keeps what is worth keeping of fixes that are [`in_order`], none from before `kept_from`; answers how many are
/// new.
pub(super) async fn keep(
    db: &Db,
    fixes: &[KeptFix],
    policy: &LocationPolicy,
    kept_from: Timestamp,
) -> Outcome<usize> {
    let mut pasts = read_pasts(db, fixes).await?;
    read_late(db, fixes, &mut pasts).await?;
    let (mut new, mut newest) = (Vec::new(), BTreeMap::new());
    for kept in fixes {
        let key = place_key(&kept.room, kept.participant);
        let past = pasts.entry(key.clone()).or_default();
        let at = kept.fix.at;
        if past.is_erased || at < kept_from || past.kept.contains_key(&at) {
            continue;
        }
        let before = past.kept.range(..at).next_back().map(|(_, fix)| fix);
        if !kept.sampled && !policy.keeps(before, &kept.fix) {
            continue;
        }
        past.kept.insert(at, kept.fix);
        let fix = FixDoc::of(&kept.fix);
        if past.newest.is_none_or(|known| known.at < at) {
            past.newest = Some(kept.fix);
            newest.insert(key, (kept, fix.clone()));
        }
        new.push(HistoryDoc {
            meta: Meta {
                participant: kept.participant.to_string(),
                room: kept.room.as_str().to_owned(),
            },
            fix,
        });
    }
    if new.is_empty() {
        return Ok(0);
    }
    let begun = std::time::Instant::now();
    db.collection::<HistoryDoc>(HISTORY)
        .insert_many(&new)
        .ordered(false)
        .await?;
    db.timed("insert", begun, || doc! { "insert": HISTORY });
    let statements = newest.iter().map(|(key, (kept, fix))| track(key, kept, fix));
    db.update(TRACKED, statements.collect()).await?;
    Ok(new.len())
}

/// Notes somebody's newest fix, unless a newer one is there or they were erased meanwhile.
fn track(key: &str, kept: &KeptFix, fix: &FixDoc) -> Document {
    let is_newer = doc! { "$and": [
        { "$lt": ["$newest.at", fix.at] },
        { "$eq": [{ "$type": "$erased" }, "missing"] },
    ] };
    let newest = doc! { "$cond": [is_newer, { "$literal": fix.document() }, "$newest"] };
    doc! {
        "q": { "_id": key },
        "u": [{ "$set": {
            "room": kept.room.as_str(),
            "who": kept.participant.to_string(),
            "newest": newest,
        } }],
        "upsert": true,
    }
}

async fn read_pasts(db: &Db, fixes: &[KeptFix]) -> Outcome<HashMap<String, Past>> {
    let mut keys: Vec<String> = fixes
        .iter()
        .map(|kept| place_key(&kept.room, kept.participant))
        .collect();
    keys.dedup();
    let mut pasts = HashMap::with_capacity(keys.len());
    for tracked in Find::new(TRACKED, doc! { "_id": { "$in": keys } })
        .all::<TrackedDoc>(db)
        .await?
    {
        let newest = tracked.newest.map(|fix| fix.fix()).transpose()?;
        let past = Past {
            newest,
            is_erased: tracked.erased.is_some(),
            kept: newest.into_iter().map(|fix| (fix.at, fix)).collect(),
        };
        pasts.insert(tracked.id, past);
    }
    Ok(pasts)
}

/// Those whose fixes are not all newer than what is known of them, with the times that matter.
fn late<'f>(
    fixes: &'f [KeptFix],
    pasts: &HashMap<String, Past>,
) -> Vec<(&'f KeptFix, Timestamp, Timestamp, bool)> {
    let mut found: Vec<(&KeptFix, Timestamp, Timestamp, bool)> = Vec::new();
    for kept in fixes {
        let past = pasts.get(&place_key(&kept.room, kept.participant));
        let newest = past.filter(|past| !past.is_erased).and_then(|past| past.newest);
        if newest.is_none_or(|newest| kept.fix.at > newest.at) {
            continue;
        }
        match found.last_mut() {
            Some((first, _, to, judged))
                if first.room == kept.room && first.participant == kept.participant =>
            {
                *to = kept.fix.at;
                *judged |= !kept.sampled;
            }
            _ => found.push((kept, kept.fix.at, kept.fix.at, !kept.sampled)),
        }
    }
    found
}

async fn read_late(db: &Db, fixes: &[KeptFix], pasts: &mut HashMap<String, Past>) -> Outcome<()> {
    let late = late(fixes, pasts);
    for some in late.chunks(LATE_MAX) {
        let spans: Vec<Document> = some
            .iter()
            .map(|(kept, from, to, _)| {
                let mut span = whose(&kept.room, kept.participant);
                span.insert("at", doc! { "$gte": date(*from), "$lte": date(*to) });
                span
            })
            .collect();
        for found in Find::new(HISTORY, doc! { "$or": spans })
            .all::<HistoryDoc>(db)
            .await?
        {
            remember(pasts, &found)?;
        }
    }
    for (kept, from, _, _) in late.iter().filter(|(.., judged)| *judged) {
        let mut before = whose(&kept.room, kept.participant);
        before.insert("at", doc! { "$lt": date(*from) });
        let find = Find::new(HISTORY, before).sort(doc! { "at": -1 });
        if let Some(found) = find.first::<HistoryDoc>(db).await? {
            remember(pasts, &found)?;
        }
    }
    Ok(())
}

fn remember(pasts: &mut HashMap<String, Past>, found: &HistoryDoc) -> Outcome<()> {
    let key = format!("{}/{}", found.meta.room, found.meta.participant);
    let fix = found.fix.fix()?;
    pasts.entry(key).or_default().kept.entry(fix.at).or_insert(fix);
    Ok(())
}

/// One participant's series in one room.
pub(super) fn whose(room: &RoomId, who: ParticipantId) -> Document {
    doc! { "meta.room": room.as_str(), "meta.participant": who.to_string() }
}

/// Everybody of a room who is known to have fixes, with the newest of each.
pub(super) async fn newest(
    db: &Db,
    room: &RoomId,
    kept_from: Timestamp,
) -> Outcome<Vec<(ParticipantId, Fix)>> {
    let filter = doc! { "_id": keys_of(room), "newest": { "$exists": true } };
    let mut found = Vec::new();
    for tracked in Find::new(TRACKED, filter).all::<TrackedDoc>(db).await? {
        let Some(newest) = tracked.newest.filter(|fix| instant(fix.at) >= kept_from) else {
            continue;
        };
        found.push((participant(&tracked.who)?, newest.fix()?));
    }
    Ok(found)
}
