//! What is to be told to the service that keeps incidents.
//!
//! An append notes that there is something to tell: a document of its own in `outbox_notes`, inserted with the append and
//! never changed, so that nobody who reads or removes it gets into an append's way. Before somebody claims, notes are
//! folded into `outbox`, one document for each incident with how far it was told. Leases go by the server's clock:
//! those of the nodes may differ.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::{BoxFuture, ClientSession};
use serde::{Deserialize, Serialize};

use super::db::{Db, Find, Pipeline};
use super::docs::{DEAD_LETTERS, OUTBOX, OUTBOX_NOTES, date, instant, number, seq};
use super::error::Outcome;
use crate::domain::ids::RoomId;
use crate::domain::room::Seq;
use crate::store::codec::{self, corrupt};
use crate::store::contract::StoreError;
use crate::store::outbox::{Claim, Claimed, DeadLetter, DeadPlace, OutboxDepth, Settle, Settled, Then};

/// Notes that are folded in one transaction, and those of their rooms beside.
const FOLD_MAX: usize = 500;
/// How often that is done before whoever asks gets what there is.
const FOLDS_MAX: usize = 8;
/// Nobody's.
const EPOCH: DateTime = DateTime::from_millis(0);

/// An append to an incident.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct NoteDoc {
    #[serde(rename = "_id")]
    pub id: ObjectId,
    pub room: String,
    /// The head before it.
    pub taken: i64,
    /// And after it.
    pub head: i64,
    /// When the first of its events happened.
    pub since: DateTime,
}

/// An incident with something to tell.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct RowDoc {
    #[serde(rename = "_id")]
    room: String,
    taken: i64,
    head: i64,
    attempts: i64,
    refusals: i64,
    token: i64,
}

#[derive(Deserialize)]
struct RoomOnly {
    room: String,
}

#[derive(Deserialize)]
struct IdOnly {
    #[serde(rename = "_id")]
    room: String,
}

#[derive(Deserialize)]
struct SinceOnly {
    since: DateTime,
}

fn small<T: TryFrom<i64>>(n: i64) -> Result<T, StoreError> {
    T::try_from(n).map_err(|_| corrupt("a number of the outbox"))
}

fn ms(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// In so long, by the server's clock.
fn later(span: Duration) -> Bson {
    Bson::Document(doc! { "$dateAdd": { "startDate": "$$NOW", "unit": "millisecond", "amount": ms(span) } })
}

/// Moves notes into the rows of their incidents, as many as can be done soon.
async fn fold_some(db: &Arc<Db>) -> Outcome<()> {
    for _ in 0..FOLDS_MAX {
        if !fold(db).await? {
            break;
        }
    }
    Ok(())
}

/// True: there may be more.
async fn fold(db: &Arc<Db>) -> Outcome<bool> {
    let found = Find::new(OUTBOX_NOTES, doc! {})
        .sort(doc! { "_id": 1 })
        .limit(FOLD_MAX)
        .all::<RoomOnly>(db)
        .await?;
    let more = found.len() >= FOLD_MAX;
    let mut rooms: Vec<String> = found.into_iter().map(|note| note.room).collect();
    rooms.sort_unstable();
    rooms.dedup();
    if rooms.is_empty() {
        return Ok(false);
    }
    db.transaction(|session| {
        let (db, rooms) = (Arc::clone(db), rooms.clone());
        let folding: BoxFuture<'_, _> = Box::pin(async move { fold_rooms(&db, session, rooms).await });
        folding
    })
    .await?;
    Ok(more)
}

/// All notes of these rooms: one that is there is never without those before it, so that none is skipped.
async fn fold_rooms(db: &Db, session: &mut ClientSession, rooms: Vec<String>) -> Outcome<()> {
    let notes: Vec<NoteDoc> = db
        .find_in(session, OUTBOX_NOTES, doc! { "room": { "$in": rooms } })
        .await?;
    let ids: Vec<ObjectId> = notes.iter().map(|note| note.id).collect();
    let mut rows: BTreeMap<String, (i64, i64, DateTime)> = BTreeMap::new();
    for note in notes {
        let row = rows
            .entry(note.room)
            .or_insert((note.taken, note.head, note.since));
        *row = (row.0.min(note.taken), row.1.max(note.head), row.2.min(note.since));
    }
    let statements = rows.into_iter().map(|(room, (taken, head, since))| {
        doc! {
            "q": { "_id": room },
            "u": {
                "$max": { "head": head },
                "$setOnInsert": {
                    "taken": taken, "since": since, "attempts": 0_i64, "refusals": 0_i64, "token": 0_i64,
                    "due": EPOCH, "until": EPOCH,
                },
            },
            "upsert": true,
        }
    });
    db.update_in(session, OUTBOX, statements.collect()).await?;
    let gone = vec![doc! { "_id": { "$in": ids } }];
    db.delete_in(session, OUTBOX_NOTES, gone).await.map(drop)
}

/// Takes incidents that are due.
pub(super) async fn claim(db: &Arc<Db>, claim: Claim) -> Outcome<Vec<Claimed>> {
    fold_some(db).await?;
    // By the server's clock, and those that nobody has in hand.
    let due = Pipeline {
        coll: OUTBOX,
        stages: vec![
            doc! { "$match": { "$expr": { "$and": [
                { "$lte": ["$due", "$$NOW"] }, { "$lte": ["$until", "$$NOW"] },
            ] } } },
            doc! { "$sort": { "due": 1, "until": 1 } },
            doc! { "$limit": super::docs::limit(claim.limit) },
            doc! { "$project": { "_id": 1 } },
        ],
        is_list: false,
    };
    let due = due.all::<IdOnly>(db).await?;
    if due.is_empty() {
        return Ok(vec![]);
    }
    let statements = due.iter().map(|row| {
        doc! {
            "q": { "_id": &row.room, "$expr": { "$lte": ["$until", "$$NOW"] } },
            "u": [{ "$set": { "token": claim.token, "until": later(claim.lease) } }],
        }
    });
    db.update(OUTBOX, statements.collect()).await?;
    let mine = Find::new(OUTBOX, doc! { "token": claim.token })
        .all::<RowDoc>(db)
        .await?;
    mine.into_iter()
        .map(|row| {
            Ok(Claimed {
                room: codec::parse_room(&row.room)?,
                taken: seq(row.taken),
                head: seq(row.head),
                attempts: small(row.attempts)?,
                refusals: small(row.refusals)?,
            })
        })
        .collect()
}

/// Notes how far incidents were told.
pub(super) async fn settle(db: &Arc<Db>, all: &[Settle]) -> Outcome<Vec<Settled>> {
    // First: an event that is passed over without a trace would be lost, one that is on the list and comes again is not.
    for letter in all.iter().flat_map(|settle| &settle.dead) {
        bury(db, letter).await?;
    }
    let statements = all.iter().map(|settle| {
        let (due, until) = match settle.then {
            Then::Keep(lease) => (Bson::DateTime(EPOCH), later(lease)),
            Then::Release(wait) => (later(wait), Bson::DateTime(EPOCH)),
        };
        let mut set = doc! {
            "taken": { "$max": ["$taken", number(settle.taken)] },
            "attempts": i64::from(settle.attempts),
            "refusals": i64::from(settle.refusals),
            "due": due,
            "until": until,
        };
        if let Some(since) = settle.since {
            set.insert("since", date(since));
        }
        doc! { "q": { "_id": settle.room.as_str(), "token": settle.token }, "u": [{ "$set": set }] }
    });
    db.update(OUTBOX, statements.collect()).await?;
    let told = all.iter().map(|settle| {
        doc! {
            "_id": settle.room.as_str(), "token": settle.token, "$expr": { "$lte": ["$head", "$taken"] },
        }
    });
    db.delete(OUTBOX, told.collect()).await?;
    let rooms: Vec<&str> = all.iter().map(|settle| settle.room.as_str()).collect();
    let left = Find::new(OUTBOX, doc! { "_id": { "$in": rooms } })
        .all::<RowDoc>(db)
        .await?;
    let left: BTreeMap<&str, &RowDoc> = left.iter().map(|row| (row.room.as_str(), row)).collect();
    let settled = all.iter().map(|settle| {
        let mine = left
            .get(settle.room.as_str())
            .filter(|row| row.token == settle.token);
        mine.map_or(Settled::Gone, |row| Settled::Left(seq(row.head)))
    });
    Ok(settled.collect())
}

/// How much waits.
pub(super) async fn depth(db: &Arc<Db>) -> Outcome<OutboxDepth> {
    fold_some(db).await?;
    let count = async |coll: &'static str| -> Outcome<u64> {
        let counted = db.collection::<Document>(coll).estimated_document_count().await?;
        Ok(counted)
    };
    let oldest = Find::new(OUTBOX, doc! {})
        .sort(doc! { "since": 1 })
        .first::<SinceOnly>(db)
        .await?;
    Ok(OutboxDepth {
        incidents: count(OUTBOX).await?,
        oldest: oldest.map(|row| instant(row.since)),
        dead: count(DEAD_LETTERS).await?,
    })
}

#[derive(Serialize, Deserialize)]
struct LetterDoc {
    #[serde(rename = "_id")]
    id: LetterName,
    kind: String,
    status: i64,
    attempts: i64,
    at: DateTime,
}

#[derive(Serialize, Deserialize)]
struct LetterName {
    room: String,
    seq: i64,
}

impl LetterDoc {
    fn letter(self) -> Result<DeadLetter, StoreError> {
        Ok(DeadLetter {
            room: codec::parse_room(&self.id.room)?,
            seq: seq(self.id.seq),
            kind: self.kind,
            status: small(self.status)?,
            attempts: small(self.attempts)?,
            at: instant(self.at),
        })
    }
}

fn name(room: &RoomId, seq: Seq) -> Document {
    doc! { "room": room.as_str(), "seq": number(seq) }
}

/// Keeps a dead letter.
pub(super) async fn bury(db: &Db, letter: &DeadLetter) -> Outcome<()> {
    let statement = doc! {
        "q": { "_id": name(&letter.room, letter.seq) },
        "u": { "$set": {
            "kind": &letter.kind, "status": i64::from(letter.status), "attempts": i64::from(letter.attempts),
            "at": date(letter.at),
        } },
        "upsert": true,
    };
    db.update(DEAD_LETTERS, vec![statement]).await.map(drop)
}

/// Dead letters, the newest first.
pub(super) async fn letters(db: &Db, after: Option<&DeadPlace>, limit: usize) -> Outcome<Vec<DeadLetter>> {
    if limit == 0 {
        return Ok(vec![]);
    }
    let mut filter = Document::new();
    if let Some(after) = after {
        let (at, room, seq) = (date(after.at), after.room.as_str(), number(after.seq));
        filter.insert(
            "$or",
            vec![
                doc! { "at": { "$lt": at } },
                doc! { "at": at, "_id.room": { "$lt": room } },
                doc! { "at": at, "_id.room": room, "_id.seq": { "$lt": seq } },
            ],
        );
    }
    let find = Find::new(DEAD_LETTERS, filter)
        .sort(doc! { "at": -1, "_id.room": -1, "_id.seq": -1 })
        .limit(limit)
        .hint("dead_letters_newest");
    let found = find.all::<LetterDoc>(db).await?;
    found.into_iter().map(|letter| Ok(letter.letter()?)).collect()
}

/// The dead letter of an event.
pub(super) async fn letter_of(db: &Db, room: &RoomId, seq: Seq) -> Outcome<Option<DeadLetter>> {
    let find = Find::new(DEAD_LETTERS, doc! { "_id": name(room, seq) });
    Ok(find
        .first::<LetterDoc>(db)
        .await?
        .map(LetterDoc::letter)
        .transpose()?)
}

/// Takes a dead letter off the list; whether there was one.
pub(super) async fn unbury(db: &Db, room: &RoomId, seq: Seq) -> Outcome<bool> {
    let gone = db
        .delete(DEAD_LETTERS, vec![doc! { "_id": name(room, seq) }])
        .await?;
    Ok(gone > 0)
}

/// Keeps the newest dead letters.
pub(super) async fn trim(db: &Db, keep: usize) -> Outcome<u64> {
    let too_many = Pipeline {
        coll: DEAD_LETTERS,
        stages: vec![
            doc! { "$sort": { "at": -1, "_id.room": -1, "_id.seq": -1 } },
            doc! { "$skip": super::docs::limit(keep) },
            doc! { "$limit": 1_000_i64 },
        ],
        is_list: false,
    };
    let gone = too_many.all::<LetterDoc>(db).await?;
    if gone.is_empty() {
        return Ok(0);
    }
    let names = gone
        .into_iter()
        .map(|letter| doc! { "_id": doc! { "room": letter.id.room, "seq": letter.id.seq } });
    db.delete(DEAD_LETTERS, names.collect()).await
}
