//! Reports of misconduct, and blocks.

use mongodb::bson::{DateTime, Document, doc};
use serde::{Deserialize, Serialize};

use super::db::{Db, Find};
use super::docs::{
    BLOCKS, PARTICIPANTS, ParticipantDoc, REPORTS, date, instant, participant, subject as subject_text,
};
use super::error::Outcome;
use super::writer::replacement;
use crate::domain::conduct::{Block, BlockKey, Complaint, ComplaintCursor};
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::people::Person;
use crate::store::codec::{self, corrupt};
use crate::store::contract::StoreError;

#[derive(Serialize, Deserialize)]
struct ReportDoc {
    #[serde(rename = "_id")]
    id: ReportName,
    at: DateTime,
    reason: String,
}

#[derive(Serialize, Deserialize)]
struct ReportName {
    room: String,
    participant: String,
    reporter: String,
}

impl ReportDoc {
    fn complaint(self) -> Result<Complaint, StoreError> {
        Ok(Complaint {
            room: codec::parse_room(&self.id.room)?,
            participant: participant(&self.id.participant)?,
            reporter: participant(&self.id.reporter)?,
            at: instant(self.at),
            reason: self.reason,
        })
    }
}

/// Writes a report in place of an earlier one of the same two.
pub(super) async fn put_report(db: &Db, complaint: &Complaint) -> Outcome<()> {
    let name = doc! {
        "room": complaint.room.as_str(),
        "participant": complaint.participant.to_string(),
        "reporter": complaint.reporter.to_string(),
    };
    let statement = doc! {
        "q": { "_id": name },
        "u": { "$set": { "at": date(complaint.at), "reason": &complaint.reason } },
        "upsert": true,
    };
    db.update(REPORTS, vec![statement]).await.map(drop)
}

/// Reports, newest first, of one incident or of all.
pub(super) async fn reports(
    db: &Db,
    room: Option<&RoomId>,
    after: Option<ComplaintCursor>,
    limit: usize,
) -> Outcome<Vec<Complaint>> {
    if limit == 0 {
        return Ok(vec![]);
    }
    let mut filter = Document::new();
    if let Some(room) = room {
        filter.insert("_id.room", room.as_str());
    }
    if let Some(after) = after {
        let (at, of, by) = (
            date(after.at),
            after.participant.to_string(),
            after.reporter.to_string(),
        );
        filter.insert(
            "$or",
            vec![
                doc! { "at": { "$lt": at } },
                doc! { "at": at, "_id.participant": { "$lt": &of } },
                doc! { "at": at, "_id.participant": &of, "_id.reporter": { "$lt": by } },
            ],
        );
    }
    let index = if room.is_some() {
        "reports_of_room"
    } else {
        "reports_newest"
    };
    let find = Find::new(REPORTS, filter)
        .sort(doc! { "at": -1, "_id.participant": -1, "_id.reporter": -1 })
        .limit(limit)
        .hint(index);
    let found = find.all::<ReportDoc>(db).await?;
    found.into_iter().map(|report| Ok(report.complaint()?)).collect()
}

/// The record of whoever is called so in a room.
pub(super) async fn whose(db: &Db, who: ParticipantId) -> Outcome<Option<Person>> {
    let filter = doc! { "who": who.to_string(), "subject": { "$exists": true } };
    let found = Find::new(PARTICIPANTS, filter)
        .first::<ParticipantDoc>(db)
        .await?;
    Ok(found.map(|somebody| somebody.person()).transpose()?.flatten())
}

#[derive(Serialize, Deserialize)]
struct BlockDoc {
    #[serde(rename = "_id")]
    key: String,
    participant: String,
    at: DateTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<DateTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<String>,
}

impl BlockDoc {
    fn block(self) -> Result<Block, StoreError> {
        let key = hex::decode(&self.key).ok().and_then(|key| key.try_into().ok());
        Ok(Block {
            key: BlockKey::new(key.ok_or_else(|| corrupt("a block's key"))?),
            participant: participant(&self.participant)?,
            at: instant(self.at),
            until: self.until.map(instant),
            reason: self.reason,
            by: self.by.as_deref().map(codec::parse_subject).transpose()?,
        })
    }
}

/// Writes a block in place of an earlier one of the same key.
pub(super) async fn put_block(db: &Db, block: &Block) -> Outcome<()> {
    let whole = BlockDoc {
        key: hex::encode(block.key.bytes()),
        participant: block.participant.to_string(),
        at: date(block.at),
        until: block.until.map(date),
        reason: block.reason.clone(),
        by: block.by.as_ref().map(subject_text),
    };
    let statement = replacement(doc! { "_id": &whole.key }, &whole, true)?;
    db.update(BLOCKS, vec![statement]).await.map(drop)
}

/// Lifts a block; whether there was one.
pub(super) async fn lift_block(db: &Db, key: BlockKey) -> Outcome<bool> {
    let lifted = db
        .delete(BLOCKS, vec![doc! { "_id": hex::encode(key.bytes()) }])
        .await?;
    Ok(lifted > 0)
}

/// The block that was made by this name.
pub(super) async fn block_of(db: &Db, who: ParticipantId) -> Outcome<Option<Block>> {
    let find = Find::new(BLOCKS, doc! { "participant": who.to_string() });
    Ok(find
        .first::<BlockDoc>(db)
        .await?
        .map(BlockDoc::block)
        .transpose()?)
}

/// Blocks in the order of their keys.
pub(super) async fn blocks(db: &Db, after: Option<BlockKey>, limit: usize) -> Outcome<Vec<Block>> {
    if limit == 0 {
        return Ok(vec![]);
    }
    let after = after.map(|key| hex::encode(key.bytes())).unwrap_or_default();
    let find = Find::new(BLOCKS, doc! { "_id": { "$gt": after } })
        .sort(doc! { "_id": 1 })
        .limit(limit);
    let found = find.all::<BlockDoc>(db).await?;
    found.into_iter().map(|block| Ok(block.block()?)).collect()
}
