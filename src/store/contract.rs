//! What every store promises. One test suite holds every implementation to it.

use async_trait::async_trait;

use super::feed::FeedPage;
use super::jobs::{Job, JobClaim, JobWrite, LaneDepth, Receipt};
use super::meters::Observed;
use super::outbox::{Claim, Claimed, DeadLetter, DeadPlace, OutboxDepth, Settle, Settled};
use super::types::{
    Append, DeviceRecord, Erased, FoundMessages, HistoryFix, HistoryQuery, IdempotencyKey, IncidentQuery,
    IncidentRow, KeptFix, KeptKey, Listed, ListingCircle, Membership, Place, Purged, Retention, Sign,
    StoreStats, StoredRoom, Tally,
};
use crate::domain::conduct::{Block, BlockKey, Complaint, ComplaintCursor};
use crate::domain::ids::{DeviceId, ParticipantId, RoomId};
use crate::domain::location::LocationPolicy;
use crate::domain::people::{ContactBook, Person, Subject};
use crate::domain::phone::PhoneNumber;
use crate::domain::room::{Event, Seq};
use crate::domain::time::Timestamp;

/// Why the store could not do something. What it was doing has not happened, unless `Unknown`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Too much waits to be written: come back later.
    #[error("the store's write queue is full")]
    Busy,
    /// The disk is full: nothing can be accepted until there is room again.
    #[error("the disk is full")]
    Full,
    /// The store cannot be reached or has stopped.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// What is stored is not what this version can read.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
}

/// Why events were not appended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Somebody else wrote first: read what was missed, decide again.
    #[error("the log goes on to {head:?} already")]
    Conflict {
        /// The log's present head.
        head: Seq,
    },
    /// The request with this idempotency key made this room before.
    #[error("the request was answered before")]
    Repeated {
        /// The room it made.
        room: RoomId,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where rooms' logs and what belongs to them are kept.
///
/// `append` and `keep_fixes` return only when what they wrote is on disk.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Makes events durable, all or none, with their records, projections and jobs. A record of a device's person
    /// notes that the device was seen. A pseudonym that was erased within the last day gets no record again.
    ///
    /// # Errors
    /// `Conflict` when `append.after` is not the log's head; `Repeated` when the idempotency key is known.
    async fn append(&self, append: Append) -> Result<(), AppendError>;

    /// A room's whole log and records; `None` when it was never created.
    async fn load(&self, room: &RoomId) -> Result<Option<StoredRoom>, StoreError>;

    /// Events after `after`, in order, at most `limit`.
    async fn events(&self, room: &RoomId, after: Seq, limit: usize) -> Result<Vec<Event>, StoreError>;

    /// The records of those of `who` that a room has.
    async fn people(&self, room: &RoomId, who: &[ParticipantId]) -> Result<Vec<Person>, StoreError> {
        let mut people = self.load(room).await?.unwrap_or_default().people;
        people.retain(|person| who.contains(&person.participant));
        Ok(people)
    }

    /// The last signs of life that were noted of those who are in a room: [`StoredRoom::seen`].
    async fn signs(&self, room: &RoomId) -> Result<Vec<(ParticipantId, Timestamp)>, StoreError> {
        Ok(self.load(room).await?.unwrap_or_default().seen)
    }

    /// Rooms that may change by themselves (open incidents, incidents with links to end, circles awake), in
    /// an order of the store's own that does not change; `after` is the last one of the page before.
    async fn live_rooms(&self, after: Option<&RoomId>, limit: usize) -> Result<Vec<RoomId>, StoreError>;

    /// Rooms that `subject` is in now.
    async fn memberships(&self, subject: &Subject) -> Result<Vec<Membership>, StoreError>;

    /// Circles that `subject` owns, asleep or awake.
    async fn circles_of(&self, subject: &Subject) -> Result<Vec<RoomId>, StoreError>;

    /// Circles whose owner lists `phone` among their emergency contacts, at most `limit`.
    async fn circles_listing(
        &self,
        phone: &PhoneNumber,
        limit: usize,
    ) -> Result<Vec<ListingCircle>, StoreError>;

    /// The room that a request with this key made.
    async fn repeated(&self, key: &IdempotencyKey) -> Result<Option<RoomId>, StoreError>;

    /// One incident's projection.
    async fn incident(&self, room: &RoomId) -> Result<Option<IncidentRow>, StoreError>;

    /// The projections of those of `rooms` that are incidents, in no order.
    async fn incidents_of(&self, rooms: &[RoomId]) -> Result<Vec<IncidentRow>, StoreError> {
        let mut found = Vec::new();
        for room in rooms {
            found.extend(self.incident(room).await?);
        }
        Ok(found)
    }

    /// Stretches of logs, each from one `seq` to another, both included: all their events, by room and `seq`. What is
    /// not there is left out.
    async fn stretches(&self, wanted: &[(RoomId, Seq, Seq)]) -> Result<Vec<Event>, StoreError> {
        let mut found = Vec::new();
        for (room, from, to) in wanted {
            let before = Seq::new(from.get().saturating_sub(1));
            let count = to.get().saturating_sub(before.get());
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            found.extend(self.events(room, before, count).await?);
        }
        found.sort_by(|a, b| (&a.room, a.seq).cmp(&(&b.room, b.seq)));
        Ok(found)
    }

    /// Whether it keeps an order over its rooms: [`Store::feed_after`].
    fn keeps_feed(&self) -> bool {
        false
    }

    /// Events of incidents after `after` in the order in which they became durable, at most `limit` (0: only where
    /// the order stands). `None`: this store, which many may write to, keeps no order over its rooms.
    async fn feed_after(&self, after: u64, limit: usize) -> Result<Option<FeedPage>, StoreError> {
        let _ = (after, limit);
        Ok(None)
    }

    /// Incidents by query. Those at the same time or distance come in an order that does not change.
    async fn incidents(&self, query: &IncidentQuery) -> Result<Vec<Listed>, StoreError>;

    /// A room's messages before `before` (or the newest), newest first, at most `limit`; with `text`, only
    /// those that contain it (ASCII case ignored). A search looks through a bounded number of messages at a time:
    /// its page may have fewer than `limit` and say where to continue.
    async fn messages(
        &self,
        room: &RoomId,
        before: Option<Seq>,
        limit: usize,
        text: Option<&str>,
    ) -> Result<FoundMessages, StoreError>;

    /// Keeps fixes; one that is there already stays as it is. Those of a pseudonym that was erased within the last
    /// day are not kept. Answers how many were new.
    async fn keep_fixes(&self, fixes: Vec<KeptFix>, policy: &LocationPolicy) -> Result<usize, StoreError>;

    /// Fixes by query, oldest first.
    async fn history(&self, query: &HistoryQuery) -> Result<Vec<HistoryFix>, StoreError>;

    /// A person's contact lists; empty when they have none.
    async fn contacts(&self, owner: &Subject) -> Result<ContactBook, StoreError>;

    /// Replaces a person's contact lists.
    async fn put_contacts(&self, owner: &Subject, book: ContactBook) -> Result<(), StoreError>;

    /// A device's record.
    async fn device(&self, id: DeviceId) -> Result<Option<DeviceRecord>, StoreError>;

    /// Writes a device's record. What `record` does not say of an existing one stays, and so does `first_seen`;
    /// `last_seen` never goes back.
    async fn put_device(&self, id: DeviceId, record: DeviceRecord) -> Result<(), StoreError>;

    /// Notes when devices were seen. Only those that have a record; never back.
    async fn see_devices(&self, seen: Vec<(DeviceId, Timestamp)>) -> Result<(), StoreError>;

    /// Notes signs of life of people who are in rooms, for [`StoredRoom::seen`]; never back. They are forgotten
    /// when their participant leaves.
    async fn note_signs(&self, signs: Vec<Sign>) -> Result<(), StoreError>;

    /// What rooms have of `subject`, by room id; `after` is the last room of the page before.
    async fn places(
        &self,
        subject: &Subject,
        after: Option<&RoomId>,
        limit: usize,
    ) -> Result<Vec<Place>, StoreError>;

    /// The idempotency keys of `subject`, in their order; `after` is the last one of the page before.
    async fn idempotency_keys(
        &self,
        subject: &Subject,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<KeptKey>, StoreError>;

    /// What is kept of `subject`, counted.
    async fn tally(&self, subject: &Subject) -> Result<Tally, StoreError>;

    /// Keeps a report; an earlier one of the same two in the same room is replaced.
    async fn put_report(&self, complaint: Complaint) -> Result<(), StoreError>;

    /// Reports, newest first, of one room or of all, at most `limit`; `after` is the last one of the page before.
    /// Those at the same time come in an order that does not change.
    async fn reports(
        &self,
        room: Option<&RoomId>,
        after: Option<ComplaintCursor>,
        limit: usize,
    ) -> Result<Vec<Complaint>, StoreError>;

    /// The record of whoever is called `who` in some room; `None` when nobody is, or they have been erased.
    async fn whose(&self, who: ParticipantId) -> Result<Option<Person>, StoreError>;

    /// Keeps a block; an earlier one of the same key is replaced.
    async fn put_block(&self, block: Block) -> Result<(), StoreError>;

    /// Lifts a block. Answers whether there was one.
    async fn lift_block(&self, key: BlockKey) -> Result<bool, StoreError>;

    /// The block that was made by this name.
    async fn block_of(&self, who: ParticipantId) -> Result<Option<Block>, StoreError>;

    /// Blocks in the order of their keys, at most `limit`, those that have ended too as long as no purge has
    /// removed them; `after` is the last one of the page before.
    async fn blocks(&self, after: Option<BlockKey>, limit: usize) -> Result<Vec<Block>, StoreError>;

    /// Incidents whose events wait to be told and are due, nobody else's for as long as the lease: the outbox gets a row
    /// with an append to an incident, in the same step, when the store was opened so that there is one. Leases go by
    /// the store's own clock. A claim with nothing due writes nothing.
    async fn outbox_claim(&self, claim: Claim) -> Result<Vec<Claimed>, StoreError>;

    /// Notes how far incidents were told, in the order given, and says of each what is left. What was claimed by another
    /// token since stays as it is. An incident that was told all it has leaves the outbox. Doing it twice changes
    /// nothing.
    async fn outbox_settle(&self, settle: Vec<Settle>) -> Result<Vec<Settled>, StoreError>;

    /// How much waits.
    async fn outbox_depth(&self) -> Result<OutboxDepth, StoreError>;

    /// Events that were given up, the newest first, at most `limit`; `after` is the last one of the page before.
    async fn dead_letters(
        &self,
        after: Option<DeadPlace>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError>;

    /// The dead letter of an event.
    async fn dead_letter(&self, room: &RoomId, seq: Seq) -> Result<Option<DeadLetter>, StoreError>;

    /// Keeps a dead letter; an earlier one of the same event is replaced.
    async fn put_dead_letter(&self, letter: DeadLetter) -> Result<(), StoreError>;

    /// Takes a dead letter off the list. Answers whether there was one.
    async fn drop_dead_letter(&self, room: &RoomId, seq: Seq) -> Result<bool, StoreError>;

    /// Keeps the newest dead letters, so many. Answers how many went.
    async fn trim_dead_letters(&self, keep: usize) -> Result<u64, StoreError>;

    /// Carries out changes to jobs in their order, all or none; says of each whether it counted: a job whose name is
    /// taken is not added, and one that is not the caller's (any more) is not settled.
    async fn write_jobs(&self, changes: Vec<JobWrite>) -> Result<Vec<bool>, StoreError>;

    /// Jobs that are due, nobody else's for as long as the lease; those that are due the longest first. Leases go by the
    /// store's own clock. A claim with nothing due writes nothing.
    async fn claim_jobs(&self, claim: JobClaim) -> Result<Vec<Job>, StoreError>;

    /// The job of a name, whoever has it in hand.
    async fn job_of(&self, key: &str) -> Result<Option<Job>, StoreError>;

    /// Somebody's jobs whose names begin with `prefix`, in the order of their names, at most `limit`, each with when it
    /// is due (or was, if it is in hand).
    async fn jobs_of(
        &self,
        whose: &Subject,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<(Job, Timestamp)>, StoreError>;

    /// How much waits, lane by lane, in the order of [`Lane::ALL`](super::jobs::Lane::ALL).
    async fn jobs_depth(&self) -> Result<Vec<LaneDepth>, StoreError>;

    /// The message that a vendor names so.
    async fn receipt(&self, reference: &str) -> Result<Option<Receipt>, StoreError>;

    /// Removes all that is kept of `subject`: person records, contact lists, device record, idempotency keys, jobs,
    /// signs of life, fixes, reports they wrote, their name on blocks they made. Their pseudonyms stay in the
    /// logs and in what others reported, and point nowhere. A block of theirs stands. What a crash keeps from being
    /// removed a purge removes.
    async fn erase(&self, subject: &Subject, now: Timestamp) -> Result<Erased, StoreError>;

    /// Removes what is older than `retention` allows, a bounded slice at a time. A device that was not seen for
    /// `device_links` is cut from all its pseudonyms, one not seen for `devices` loses its record as well. Blocks
    /// that have ended go, too.
    async fn purge(&self, now: Timestamp, retention: &Retention) -> Result<Purged, StoreError>;

    /// Rebuilds every projection from the logs. Answers how many rooms were read.
    async fn rebuild(&self) -> Result<u64, StoreError>;

    /// Whether the store takes writes now: writes something small and durable.
    async fn ping(&self) -> Result<(), StoreError>;

    /// The store in numbers.
    fn stats(&self) -> StoreStats;

    /// What it counts of its work, for metrics; empty when it counts nothing.
    fn observe(&self) -> Observed {
        Observed::default()
    }

    /// Waits for what is queued to be on disk and stops. Later calls fail with `Unavailable`.
    async fn close(&self);
}
