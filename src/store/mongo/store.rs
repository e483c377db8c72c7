//! The contract, each call handed to the threads that talk to the server.

use std::sync::atomic::Ordering;
use std::time::Instant;

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::queue::Pending;
use super::{
    Mongo, UPKEEP_MAX, conduct, fixes, history, incidents, jobs, messages, outbox, privacy, records, rooms,
    stopped, upkeep,
};
use crate::domain::conduct::{Block, BlockKey, Complaint, ComplaintCursor};
use crate::domain::ids::{DeviceId, ParticipantId, RoomId};
use crate::domain::location::LocationPolicy;
use crate::domain::people::{ContactBook, Person, Subject};
use crate::domain::phone::PhoneNumber;
use crate::domain::room::{Event, Seq};
use crate::domain::time::Timestamp;
use crate::store::contract::{AppendError, Store, StoreError};
use crate::store::jobs::{Job, JobClaim, JobWrite, Lane, LaneDepth, Receipt};
use crate::store::meters::{Observed, Remote, bump, total};
use crate::store::outbox::{Claim, Claimed, DeadLetter, DeadPlace, OutboxDepth, Settle, Settled};
use crate::store::types::{
    Append, DeviceRecord, Erased, FoundMessages, HistoryFix, HistoryQuery, IdempotencyKey, IncidentQuery,
    IncidentRow, KeptFix, KeptKey, Listed, ListingCircle, Membership, Place, Purged, Retention, Sign,
    StoreStats, StoredRoom, Tally,
};

#[async_trait]
impl Store for Mongo {
    async fn append(&self, append: Append) -> Result<(), AppendError> {
        if self.is_closed() {
            return Err(stopped().into());
        }
        self.shared.breaker.admit()?;
        let (answer, answered) = oneshot::channel();
        let queue = self.queue_of(&append.room);
        let pending = Pending {
            append,
            since: Instant::now(),
            answer,
        };
        if let Err(error) = queue.push(pending) {
            if error == StoreError::Busy {
                bump(&self.shared.meters.refused, 1);
            }
            return Err(error.into());
        }
        answered.await.unwrap_or_else(|_| Err(stopped().into()))
    }

    async fn load(&self, room: &RoomId) -> Result<Option<StoredRoom>, StoreError> {
        let room = room.clone();
        self.read(true, async move |to| {
            rooms::load(&to.db, &room, to.kept_from()).await
        })
        .await
    }

    async fn events(&self, room: &RoomId, after: Seq, limit: usize) -> Result<Vec<Event>, StoreError> {
        let room = room.clone();
        self.read(true, async move |to| {
            rooms::events(&to.db, &room, after, limit).await
        })
        .await
    }

    async fn people(&self, room: &RoomId, who: &[ParticipantId]) -> Result<Vec<Person>, StoreError> {
        let (room, who) = (room.clone(), who.to_vec());
        self.read(true, async move |to| rooms::people(&to.db, &room, &who).await)
            .await
    }

    async fn signs(&self, room: &RoomId) -> Result<Vec<(ParticipantId, Timestamp)>, StoreError> {
        let room = room.clone();
        self.read(false, async move |to| rooms::signs(&to.db, &room).await)
            .await
    }

    async fn live_rooms(&self, after: Option<&RoomId>, limit: usize) -> Result<Vec<RoomId>, StoreError> {
        let after = after.cloned();
        self.read(false, async move |to| {
            rooms::live(&to.db, after.as_ref(), limit).await
        })
        .await
    }

    async fn memberships(&self, subject: &Subject) -> Result<Vec<Membership>, StoreError> {
        let subject = subject.clone();
        self.read(true, async move |to| rooms::memberships(&to.db, &subject).await)
            .await
    }

    async fn circles_of(&self, subject: &Subject) -> Result<Vec<RoomId>, StoreError> {
        let subject = subject.clone();
        self.read(true, async move |to| rooms::circles_of(&to.db, &subject).await)
            .await
    }

    async fn circles_listing(
        &self,
        phone: &PhoneNumber,
        limit: usize,
    ) -> Result<Vec<ListingCircle>, StoreError> {
        let phone = phone.clone();
        self.read(true, async move |to| {
            rooms::circles_listing(&to.db, &phone, limit).await
        })
        .await
    }

    async fn repeated(&self, key: &IdempotencyKey) -> Result<Option<RoomId>, StoreError> {
        let key = key.clone();
        self.read(true, async move |to| records::repeated(&to.db, &key).await)
            .await
    }

    async fn incident(&self, room: &RoomId) -> Result<Option<IncidentRow>, StoreError> {
        let room = room.clone();
        self.read(true, async move |to| rooms::incident(&to.db, &room).await)
            .await
    }

    async fn incidents_of(&self, rooms: &[RoomId]) -> Result<Vec<IncidentRow>, StoreError> {
        let rooms = rooms.to_vec();
        self.read(false, async move |to| rooms::incidents_of(&to.db, &rooms).await)
            .await
    }

    async fn stretches(&self, wanted: &[(RoomId, Seq, Seq)]) -> Result<Vec<Event>, StoreError> {
        let wanted = wanted.to_vec();
        self.read(false, async move |to| rooms::stretches(&to.db, &wanted).await)
            .await
    }

    async fn incidents(&self, query: &IncidentQuery) -> Result<Vec<Listed>, StoreError> {
        let query = query.clone();
        self.read(false, async move |to| incidents::incidents(&to.db, &query).await)
            .await
    }

    async fn messages(
        &self,
        room: &RoomId,
        before: Option<Seq>,
        limit: usize,
        text: Option<&str>,
    ) -> Result<FoundMessages, StoreError> {
        let (room, text) = (room.clone(), text.map(str::to_owned));
        self.read(false, async move |to| {
            let look_max = to.options.search_max_messages;
            messages::messages(&to.db, &room, before, limit, text.as_deref(), look_max).await
        })
        .await
    }

    async fn keep_fixes(&self, mut new: Vec<KeptFix>, policy: &LocationPolicy) -> Result<usize, StoreError> {
        fixes::in_order(&mut new);
        let mut kept = 0;
        while !new.is_empty() {
            let rest = new.split_off(new.len().min(fixes::FIXES_MAX));
            let (piece, policy) = (std::mem::replace(&mut new, rest), policy.clone());
            kept += self
                .write(false, async move |to| {
                    let kept = fixes::keep(&to.db, &piece, &policy, to.kept_from()).await?;
                    bump(&to.meters.fixes, kept as u64);
                    Ok(kept)
                })
                .await?;
        }
        Ok(kept)
    }

    async fn history(&self, query: &HistoryQuery) -> Result<Vec<HistoryFix>, StoreError> {
        let query = query.clone();
        self.read(false, async move |to| {
            history::history(&to.db, &query, to.kept_from()).await
        })
        .await
    }

    async fn contacts(&self, owner: &Subject) -> Result<ContactBook, StoreError> {
        let owner = owner.clone();
        self.read(true, async move |to| records::contacts(&to.db, &owner).await)
            .await
    }

    async fn put_contacts(&self, owner: &Subject, book: ContactBook) -> Result<(), StoreError> {
        let owner = owner.clone();
        self.write(false, async move |to| {
            records::put_contacts(&to.db, &owner, &book).await
        })
        .await
    }

    async fn device(&self, id: DeviceId) -> Result<Option<DeviceRecord>, StoreError> {
        self.read(false, async move |to| records::device(&to.db, id).await)
            .await
    }

    async fn put_device(&self, id: DeviceId, record: DeviceRecord) -> Result<(), StoreError> {
        self.write(false, async move |to| {
            records::put_device(&to.db, id, &record).await
        })
        .await
    }

    async fn see_devices(&self, seen: Vec<(DeviceId, Timestamp)>) -> Result<(), StoreError> {
        self.write(false, async move |to| records::see(&to.db, &seen).await)
            .await
    }

    async fn note_signs(&self, signs: Vec<Sign>) -> Result<(), StoreError> {
        self.write(false, async move |to| privacy::note_signs(&to.db, &signs).await)
            .await
    }

    async fn places(
        &self,
        subject: &Subject,
        after: Option<&RoomId>,
        limit: usize,
    ) -> Result<Vec<Place>, StoreError> {
        let (subject, after) = (subject.clone(), after.cloned());
        self.read(false, async move |to| {
            privacy::places(&to.db, &subject, after.as_ref(), limit).await
        })
        .await
    }

    async fn idempotency_keys(
        &self,
        subject: &Subject,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<KeptKey>, StoreError> {
        let (subject, after) = (subject.clone(), after.map(str::to_owned));
        self.read(false, async move |to| {
            records::keys(&to.db, &subject, after.as_deref(), limit).await
        })
        .await
    }

    async fn tally(&self, subject: &Subject) -> Result<Tally, StoreError> {
        let subject = subject.clone();
        self.read(false, async move |to| privacy::tally(&to.db, &subject).await)
            .await
    }

    async fn put_report(&self, complaint: Complaint) -> Result<(), StoreError> {
        self.write(false, async move |to| {
            conduct::put_report(&to.db, &complaint).await
        })
        .await
    }

    async fn reports(
        &self,
        room: Option<&RoomId>,
        after: Option<ComplaintCursor>,
        limit: usize,
    ) -> Result<Vec<Complaint>, StoreError> {
        let room = room.cloned();
        self.read(false, async move |to| {
            conduct::reports(&to.db, room.as_ref(), after, limit).await
        })
        .await
    }

    async fn whose(&self, who: ParticipantId) -> Result<Option<Person>, StoreError> {
        self.read(true, async move |to| conduct::whose(&to.db, who).await)
            .await
    }

    async fn put_block(&self, block: Block) -> Result<(), StoreError> {
        self.write(true, async move |to| conduct::put_block(&to.db, &block).await)
            .await
    }

    async fn lift_block(&self, key: BlockKey) -> Result<bool, StoreError> {
        self.write(true, async move |to| conduct::lift_block(&to.db, key).await)
            .await
    }

    async fn block_of(&self, who: ParticipantId) -> Result<Option<Block>, StoreError> {
        self.read(true, async move |to| conduct::block_of(&to.db, who).await)
            .await
    }

    async fn blocks(&self, after: Option<BlockKey>, limit: usize) -> Result<Vec<Block>, StoreError> {
        self.read(false, async move |to| conduct::blocks(&to.db, after, limit).await)
            .await
    }

    async fn outbox_claim(&self, claim: Claim) -> Result<Vec<Claimed>, StoreError> {
        self.write(false, async move |to| outbox::claim(&to.db, claim).await)
            .await
    }

    async fn outbox_settle(&self, settle: Vec<Settle>) -> Result<Vec<Settled>, StoreError> {
        self.write(false, async move |to| outbox::settle(&to.db, &settle).await)
            .await
    }

    async fn outbox_depth(&self) -> Result<OutboxDepth, StoreError> {
        self.read(false, async move |to| outbox::depth(&to.db).await)
            .await
    }

    async fn dead_letters(
        &self,
        after: Option<DeadPlace>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        self.read(false, async move |to| {
            outbox::letters(&to.db, after.as_ref(), limit).await
        })
        .await
    }

    async fn dead_letter(&self, room: &RoomId, seq: Seq) -> Result<Option<DeadLetter>, StoreError> {
        let room = room.clone();
        self.read(false, async move |to| outbox::letter_of(&to.db, &room, seq).await)
            .await
    }

    async fn put_dead_letter(&self, letter: DeadLetter) -> Result<(), StoreError> {
        self.write(false, async move |to| outbox::bury(&to.db, &letter).await)
            .await
    }

    async fn drop_dead_letter(&self, room: &RoomId, seq: Seq) -> Result<bool, StoreError> {
        let room = room.clone();
        self.write(false, async move |to| outbox::unbury(&to.db, &room, seq).await)
            .await
    }

    async fn trim_dead_letters(&self, keep: usize) -> Result<u64, StoreError> {
        self.write(false, async move |to| outbox::trim(&to.db, keep).await)
            .await
    }

    async fn write_jobs(&self, changes: Vec<JobWrite>) -> Result<Vec<bool>, StoreError> {
        self.write(true, async move |to| jobs::write(&to.db, changes).await)
            .await
    }

    async fn claim_jobs(&self, claim: JobClaim) -> Result<Vec<Job>, StoreError> {
        let urgent = matches!(claim.lane, Lane::Sos | Lane::Otp);
        self.write(urgent, async move |to| jobs::claim(&to.db, claim).await)
            .await
    }

    async fn job_of(&self, key: &str) -> Result<Option<Job>, StoreError> {
        let key = key.to_owned();
        self.read(true, async move |to| jobs::job_of(&to.db, &key).await)
            .await
    }

    async fn jobs_of(
        &self,
        whose: &Subject,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<(Job, Timestamp)>, StoreError> {
        let (whose, prefix) = (whose.clone(), prefix.to_owned());
        self.read(false, async move |to| {
            jobs::jobs_of(&to.db, &whose, &prefix, limit).await
        })
        .await
    }

    async fn jobs_depth(&self) -> Result<Vec<LaneDepth>, StoreError> {
        self.read(false, async move |to| jobs::depth(&to.db).await).await
    }

    async fn receipt(&self, reference: &str) -> Result<Option<Receipt>, StoreError> {
        let reference = reference.to_owned();
        self.read(false, async move |to| jobs::receipt(&to.db, &reference).await)
            .await
    }

    async fn erase(&self, subject: &Subject, now: Timestamp) -> Result<Erased, StoreError> {
        let subject = subject.clone();
        self.run(false, UPKEEP_MAX, async move |to| {
            privacy::erase(&to.db, &subject, now).await
        })
        .await
    }

    async fn purge(&self, now: Timestamp, retention: &Retention) -> Result<Purged, StoreError> {
        let retention = retention.clone();
        self.run(false, UPKEEP_MAX, async move |to| {
            let (purged, mark) = upkeep::purge(&to.db, now, &retention).await?;
            to.keep_from(mark);
            Ok(purged)
        })
        .await
    }

    async fn rebuild(&self) -> Result<u64, StoreError> {
        let (mut rooms, mut after) = (0, None);
        loop {
            let last: Option<RoomId> = after.take();
            let next = self
                .run(false, UPKEEP_MAX, async move |to| {
                    upkeep::rebuild_next(&to.db, last.as_ref()).await
                })
                .await?;
            if next.is_none() {
                return Ok(rooms);
            }
            rooms += 1;
            after = next;
        }
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.write(true, async move |to| upkeep::beat(&to.db).await).await
    }

    fn stats(&self) -> StoreStats {
        let meters = &self.shared.meters;
        StoreStats {
            queue_depth: self.waiting.load(Ordering::Acquire) as u64,
            queue_max: self.shared.options.writer_queue_max_ops as u64,
            refused: total(&meters.refused) + total(&self.shared.gate.refused),
            commits: total(&meters.commits),
            events: total(&meters.events),
            fixes: total(&meters.fixes),
        }
    }

    fn observe(&self) -> Observed {
        let shared = &self.shared;
        Observed {
            append_us: shared.meters.append_us.read(),
            commit_us: shared.meters.commit_us.read(),
            group_size: shared.meters.group_size.read(),
            failed_commits: total(&shared.meters.failed_commits),
            reads_refused: total(&shared.gate.refused),
            reads_waiting: shared.gate.waiting() as u64,
            remote: Some(Remote {
                breaker: shared.breaker.stand() as u64,
                opened: total(&shared.breaker.opened),
                refused: total(&shared.breaker.refused),
                slow: total(&shared.db.slow.seen),
                repeated: total(&shared.meters.repeated),
            }),
            ..Observed::default()
        }
    }

    async fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
        for queue in &self.queues {
            queue.close();
        }
        let writers = std::mem::take(&mut *self.writers.lock());
        for writer in writers {
            let _ = writer.await;
        }
        self.shared.gate.close();
        let client = self.shared.db.client.clone();
        let _ = self
            .runtime()
            .spawn(client.shutdown().immediate(true).into_future())
            .await;
    }
}
