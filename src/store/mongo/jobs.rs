//! Work that is to be done whatever happens: a document for each job, and one for each message that a vendor took.
//!
//! A job's name is its `_id`, so that a second one of the same name is none. Times are the server's: those of the nodes
//! may differ, and an insert cannot ask for the server's, so that a job comes into being by an update that finds nothing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::{BoxFuture, ClientSession};
use serde::Deserialize;

use super::db::{Db, Find, Pipeline};
use super::docs::{JOBS, RECEIPTS, date, instant, limit, subject as subject_text};
use super::error::Outcome;
use crate::domain::ids::RoomId;
use crate::domain::notify::Lane;
use crate::domain::people::Subject;
use crate::domain::time::Timestamp;
use crate::store::codec::{self, corrupt};
use crate::store::contract::StoreError;
use crate::store::jobs::{
    Job, JobClaim, JobHold, JobId, JobSettle, JobThen, JobWrite, LaneDepth, NewJob, Receipt,
};

#[derive(Deserialize)]
struct JobDoc {
    #[serde(rename = "_id")]
    key: String,
    id: i64,
    lane: String,
    room: Option<String>,
    whose: Option<String>,
    since: DateTime,
    due: DateTime,
    interrupted: bool,
    body: String,
}

impl JobDoc {
    fn job(self) -> Result<Job, StoreError> {
        Ok(Job {
            id: JobId::new(self.id).ok_or_else(|| corrupt("a job's id"))?,
            key: self.key,
            lane: Lane::parse(&self.lane).ok_or_else(|| corrupt("a job's lane"))?,
            room: self.room.as_deref().map(codec::parse_room).transpose()?,
            whose: self.whose.as_deref().map(codec::parse_subject).transpose()?,
            since: instant(self.since),
            interrupted: self.interrupted,
            body: self.body,
        })
    }
}

fn ms(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// In so long, by the server's clock.
fn later(span: Duration) -> Bson {
    Bson::Document(doc! { "$dateAdd": { "startDate": "$$NOW", "unit": "millisecond", "amount": ms(span) } })
}

/// Somebody has it in hand.
fn in_hand() -> Document {
    doc! { "$and": [{ "$ne": ["$token", 0_i64] }, { "$gt": ["$at", "$$NOW"] }] }
}

/// A text that begins with a dollar is a text all the same.
fn literal(text: &str) -> Document {
    doc! { "$literal": text }
}

fn add(job: &NewJob, hold: Option<&JobHold>) -> Document {
    let due = hold.map_or(job.after, |_| Duration::ZERO);
    let mut fresh = doc! {
        "_id": literal(&job.key),
        "id": { "$literal": job.id.get() },
        "lane": job.lane.as_str(),
        "since": "$$NOW",
        "due": later(due),
        "at": later(hold.map_or(due, |hold| hold.lease)),
        "token": { "$literal": hold.map_or(0_i64, |hold| hold.token) },
        "hastened": false,
        "interrupted": false,
        "body": literal(&job.body),
    };
    if let Some(room) = &job.room {
        fresh.insert("room", literal(room.as_str()));
    }
    if let Some(whose) = &job.whose {
        fresh.insert("whose", literal(&subject_text(whose)));
    }
    let is_new = doc! { "$eq": [{ "$type": "$id" }, "missing"] };
    doc! {
        "q": { "_id": &job.key },
        "u": [{ "$replaceWith": { "$cond": [is_new, fresh, "$$ROOT"] } }],
        "upsert": true,
    }
}

/// The statement of a settlement that leaves the job there; `None`: it is done.
fn settle(settle: &JobSettle) -> Option<Document> {
    let mut set = match settle.then {
        JobThen::Done => return None,
        JobThen::Keep(lease) => doc! { "at": later(lease) },
        JobThen::Release(wait) => {
            let due = doc! { "$cond": ["$hastened", "$$NOW", later(wait)] };
            doc! { "due": due.clone(), "at": due, "token": { "$literal": 0_i64 }, "hastened": false, "interrupted": false }
        }
    };
    if let Some(body) = &settle.body {
        set.insert("body", literal(body));
    }
    Some(doc! { "q": mine(settle), "u": [{ "$set": set }] })
}

fn mine(settle: &JobSettle) -> Document {
    doc! { "id": settle.id.get(), "token": settle.token }
}

fn hasten(id: JobId) -> Document {
    let sooner = |time: &str| doc! { "$cond": [in_hand(), time, { "$min": [time, "$$NOW"] }] };
    let set = doc! { "hastened": in_hand(), "due": sooner("$due"), "at": sooner("$at") };
    doc! { "q": { "id": id.get() }, "u": [{ "$set": set }] }
}

fn refer(receipt: &Receipt) -> Document {
    let whole = doc! {
        "room": receipt.room.as_ref().map(RoomId::as_str),
        "notification": i64::from(receipt.notification),
        "job": receipt.job.get(),
        "at": date(receipt.at),
    };
    doc! { "q": { "_id": &receipt.reference }, "u": whole, "upsert": true }
}

/// What one command carries out.
enum Command {
    Update(&'static str, Vec<Document>),
    Delete(Vec<Document>),
}

/// Changes as commands, in their order, neighbours of a kind together.
fn commands<'w>(all: impl Iterator<Item = &'w JobWrite>) -> Vec<Command> {
    let mut commands: Vec<Command> = Vec::new();
    for change in all {
        let (coll, update) = match change {
            JobWrite::Add(job) => (JOBS, Ok(add(job, None))),
            JobWrite::AddTaken(job, hold) => (JOBS, Ok(add(job, Some(hold)))),
            JobWrite::Settle(fared) => (JOBS, settle(fared).ok_or_else(|| mine(fared))),
            JobWrite::Hasten(id) => (JOBS, Ok(hasten(*id))),
            JobWrite::Drop(id) => (JOBS, Err(doc! { "id": id.get() })),
            JobWrite::Refer(receipt) => (RECEIPTS, Ok(refer(receipt))),
        };
        match (update, commands.last_mut()) {
            (Ok(update), Some(Command::Update(last, all))) if *last == coll => all.push(update),
            (Ok(update), _) => commands.push(Command::Update(coll, vec![update])),
            (Err(filter), Some(Command::Delete(all))) => all.push(filter),
            (Err(filter), _) => commands.push(Command::Delete(vec![filter])),
        }
    }
    commands
}

/// Carries out changes in a transaction.
pub(super) async fn write_in(
    db: &Db,
    session: &mut ClientSession,
    all: impl Iterator<Item = &JobWrite>,
) -> Outcome<()> {
    for command in commands(all) {
        match command {
            Command::Update(coll, statements) => db.update_in(session, coll, statements).await?,
            Command::Delete(filters) => db.delete_in(session, JOBS, filters).await?,
        };
    }
    Ok(())
}

/// Carries out changes; says of each whether it counted.
pub(super) async fn write(db: &Arc<Db>, all: Vec<JobWrite>) -> Outcome<Vec<bool>> {
    if all.is_empty() {
        return Ok(vec![]);
    }
    let all = Arc::new(all);
    db.transaction(|session| {
        let (db, all) = (Arc::clone(db), Arc::clone(&all));
        let writing: BoxFuture<'_, _> = Box::pin(async move {
            let counted = foresee(&db, session, &all).await?;
            let that_count = all.iter().zip(&counted).filter(|(_, counts)| **counts);
            write_in(&db, session, that_count.map(|(change, _)| change)).await?;
            Ok(counted)
        });
        writing
    })
    .await
}

#[derive(Deserialize)]
struct Standing {
    #[serde(rename = "_id")]
    key: String,
    id: i64,
    token: i64,
}

/// Which of the changes will count, in the state that the transaction sees. Whoever changes that meanwhile makes it begin
/// again.
async fn foresee(db: &Db, session: &mut ClientSession, all: &[JobWrite]) -> Outcome<Vec<bool>> {
    let (mut ids, mut keys) = (Vec::new(), Vec::new());
    for change in all {
        match change {
            JobWrite::Add(job) | JobWrite::AddTaken(job, _) => keys.push(job.key.as_str()),
            JobWrite::Settle(settle) => ids.push(settle.id.get()),
            JobWrite::Hasten(id) | JobWrite::Drop(id) => ids.push(id.get()),
            JobWrite::Refer(_) => {}
        }
    }
    let mut there: HashMap<i64, Standing> = HashMap::new();
    for filter in [
        (!ids.is_empty()).then(|| doc! { "id": { "$in": &ids } }),
        (!keys.is_empty()).then(|| doc! { "_id": { "$in": &keys } }),
    ]
    .into_iter()
    .flatten()
    {
        let found: Vec<Standing> = db.find_in(session, JOBS, filter).await?;
        there.extend(found.into_iter().map(|job| (job.id, job)));
    }
    let mut names: HashSet<String> = there.values().map(|job| job.key.clone()).collect();
    Ok(all
        .iter()
        .map(|change| foresee_one(&mut there, &mut names, change))
        .collect())
}

fn foresee_one(there: &mut HashMap<i64, Standing>, names: &mut HashSet<String>, change: &JobWrite) -> bool {
    let gone = match change {
        JobWrite::Refer(_) => return true,
        JobWrite::Hasten(id) => return there.contains_key(&id.get()),
        JobWrite::Add(job) => return foresee_new(there, names, job, 0),
        JobWrite::AddTaken(job, hold) => return foresee_new(there, names, job, hold.token),
        JobWrite::Drop(id) => there.remove(&id.get()),
        JobWrite::Settle(settle) => {
            let found = there.get_mut(&settle.id.get());
            let Some(job) = found.filter(|job| job.token == settle.token) else {
                return false;
            };
            match settle.then {
                JobThen::Keep(_) => return true,
                JobThen::Release(_) => {
                    job.token = 0;
                    return true;
                }
                JobThen::Done => there.remove(&settle.id.get()),
            }
        }
    };
    gone.is_some_and(|job| names.remove(&job.key))
}

fn foresee_new(
    there: &mut HashMap<i64, Standing>,
    names: &mut HashSet<String>,
    job: &NewJob,
    token: i64,
) -> bool {
    let (id, key) = (job.id.get(), job.key.clone());
    let is_new = names.insert(key.clone());
    if is_new {
        there.insert(id, Standing { key, id, token });
    }
    is_new
}

#[derive(Deserialize)]
struct IdOnly {
    #[serde(rename = "_id")]
    key: String,
}

/// Takes jobs that are due.
pub(super) async fn claim(db: &Arc<Db>, claim: JobClaim) -> Outcome<Vec<Job>> {
    if claim.limit == 0 {
        return Ok(vec![]);
    }
    let due = Pipeline {
        coll: JOBS,
        stages: vec![
            doc! { "$match": { "lane": claim.lane.as_str(), "$expr": { "$lte": ["$at", "$$NOW"] } } },
            doc! { "$sort": { "lane": 1, "at": 1 } },
            doc! { "$limit": limit(claim.limit) },
            doc! { "$project": { "_id": 1 } },
        ],
        is_list: false,
    };
    let due = due.all::<IdOnly>(db).await?;
    if due.is_empty() {
        return Ok(vec![]);
    }
    let take = doc! {
        "interrupted": { "$ne": ["$token", 0_i64] },
        "token": { "$literal": claim.token },
        "at": later(claim.lease),
        "hastened": false,
    };
    let statements = due.iter().map(|job| {
        doc! {
            "q": { "_id": &job.key, "$expr": { "$lte": ["$at", "$$NOW"] } },
            "u": [{ "$set": take.clone() }],
        }
    });
    db.update(JOBS, statements.collect()).await?;
    let mine = Find::new(JOBS, doc! { "token": claim.token });
    let mut mine = mine.all::<JobDoc>(db).await?;
    mine.sort_by_key(|job| (job.due, job.id));
    mine.into_iter().map(|job| Ok(job.job()?)).collect()
}

/// What is read of jobs that are only looked at: they were interrupted if their lease has run out.
fn looked_at(filter: Document, most: usize) -> Pipeline {
    let out = doc! { "$and": [{ "$ne": ["$token", 0_i64] }, { "$lte": ["$at", "$$NOW"] }] };
    Pipeline {
        coll: JOBS,
        stages: vec![
            doc! { "$match": filter },
            doc! { "$sort": { "_id": 1 } },
            doc! { "$limit": limit(most) },
            doc! { "$set": { "interrupted": out } },
        ],
        is_list: false,
    }
}

/// The job of a name.
pub(super) async fn job_of(db: &Db, key: &str) -> Outcome<Option<Job>> {
    let found = looked_at(doc! { "_id": key }, 1).all::<JobDoc>(db).await?;
    Ok(found.into_iter().next().map(JobDoc::job).transpose()?)
}

/// Somebody's jobs whose names begin so.
pub(super) async fn jobs_of(
    db: &Db,
    whose: &Subject,
    prefix: &str,
    most: usize,
) -> Outcome<Vec<(Job, Timestamp)>> {
    if most == 0 {
        return Ok(vec![]);
    }
    let filter = doc! {
        "whose": subject_text(whose),
        "_id": { "$gte": prefix, "$lt": format!("{prefix}\u{10ffff}") },
    };
    let found = looked_at(filter, most).all::<JobDoc>(db).await?;
    let with_due = |job: JobDoc| {
        let due = instant(job.due);
        Ok((job.job()?, due))
    };
    found.into_iter().map(with_due).collect()
}

#[derive(Deserialize)]
struct Depth {
    jobs: i64,
    waiting: i64,
    oldest: Option<DateTime>,
}

/// How much waits in each lane.
pub(super) async fn depth(db: &Db) -> Outcome<Vec<LaneDepth>> {
    let mut depths = Vec::with_capacity(Lane::ALL.len());
    for &lane in Lane::ALL {
        let is_due = doc! { "$lte": ["$at", "$$NOW"] };
        let counted = Pipeline {
            coll: JOBS,
            stages: vec![
                doc! { "$match": { "lane": lane.as_str() } },
                doc! { "$group": {
                    "_id": Bson::Null,
                    "jobs": { "$sum": 1_i64 },
                    "waiting": { "$sum": { "$cond": [is_due.clone(), 1_i64, 0_i64] } },
                    "oldest": { "$min": { "$cond": [is_due, "$at", Bson::Null] } },
                } },
            ],
            is_list: false,
        };
        let found = counted.all::<Depth>(db).await?;
        let found = found.first();
        depths.push(LaneDepth {
            lane,
            jobs: found.map_or(0, |depth| depth.jobs.unsigned_abs()),
            waiting: found.map_or(0, |depth| depth.waiting.unsigned_abs()),
            oldest: found.and_then(|depth| depth.oldest).map(instant),
        });
    }
    Ok(depths)
}

#[derive(Deserialize)]
struct ReceiptDoc {
    #[serde(rename = "_id")]
    reference: String,
    room: Option<String>,
    notification: i64,
    job: i64,
    at: DateTime,
}

/// The message that a vendor names so.
pub(super) async fn receipt(db: &Db, reference: &str) -> Outcome<Option<Receipt>> {
    let find = Find::new(RECEIPTS, doc! { "_id": reference });
    let Some(found) = find.first::<ReceiptDoc>(db).await? else {
        return Ok(None);
    };
    Ok(Some(Receipt {
        reference: found.reference,
        room: found.room.as_deref().map(codec::parse_room).transpose()?,
        notification: u32::try_from(found.notification).map_err(|_| corrupt("a receipt"))?,
        job: JobId::new(found.job).ok_or_else(|| corrupt("a job's id"))?,
        at: instant(found.at),
    }))
}

/// Removes what is to be done for somebody who is erased.
pub(super) async fn erase(db: &Db, session: &mut ClientSession, name: &str) -> Outcome<u64> {
    db.delete_in(session, JOBS, vec![doc! { "whose": name }]).await
}
