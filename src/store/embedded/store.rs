//! The contract, each call handed to the thread that does it.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;

use super::queue::Lane;
use super::upkeep::Rebuilt;
use super::writes::Writes;
use super::{
    Embedded, answered, append, cards, conduct, feed, fixes, history, incidents, jobs, messages, outbox,
    privacy, records, rooms, upkeep,
};
use crate::domain::conduct::{Block, BlockKey, Complaint, ComplaintCursor};
use crate::domain::ids::{DeviceId, ParticipantId, RoomId};
use crate::domain::location::LocationPolicy;
use crate::domain::people::{ContactBook, Person, Subject};
use crate::domain::phone::PhoneNumber;
use crate::domain::room::{Event, Seq};
use crate::domain::time::Timestamp;
use crate::store::cards::{Card, CardWrite};
use crate::store::contract::{AppendError, Store, StoreError};
use crate::store::feed::FeedPage;
use crate::store::jobs::Lane as JobLane;
use crate::store::jobs::{Job, JobClaim, JobWrite, LaneDepth, Receipt};
use crate::store::meters::{Observed, bump, total};
use crate::store::outbox::{Claim, Claimed, DeadLetter, DeadPlace, OutboxDepth, Settle, Settled};
use crate::store::types::{
    Append, DeviceRecord, Erased, FoundMessages, HistoryFix, HistoryQuery, IdempotencyKey, IncidentQuery,
    IncidentRow, KeptFix, KeptKey, Listed, ListingCircle, Membership, Place, Purged, Retention, Sign,
    StoreStats, StoredRoom, Tally,
};

/// Fixes that are written in one piece.
const FIXES_MAX: usize = 1_000;

/// Sights of devices and signs of life that are written in one piece.
const NOTES_MAX: usize = 1_000;

/// How urgent changes to jobs are: what is to be done for an SOS goes first, and new work that may take a minute waits for
/// everything else. How one fared is urgent, or its lease runs out.
fn lane_of(changes: &[JobWrite]) -> Lane {
    let lane = |change: &JobWrite| match change {
        JobWrite::Add(job) | JobWrite::AddTaken(job, _) => match job.lane {
            JobLane::Sos => Lane::Sos,
            JobLane::Otp => Lane::Urgent,
            JobLane::Normal | JobLane::Low => Lane::Rest,
        },
        _ => Lane::Urgent,
    };
    let lanes: Vec<Lane> = changes.iter().map(lane).collect();
    let first = [Lane::Sos, Lane::Urgent]
        .into_iter()
        .find(|lane| lanes.contains(lane));
    first.unwrap_or(Lane::Rest)
}

#[async_trait]
impl Store for Embedded {
    async fn append(&self, new: Append) -> Result<(), AppendError> {
        let weight = new.events.len() + new.people.len() + new.jobs.len();
        let now = Some(Instant::now());
        let lane = if new.helps() { Lane::Sos } else { Lane::Urgent };
        let answer = self.queue(lane, weight, now, move |writes| append::append(writes, &new))?;
        answered(answer).await?
    }

    async fn load(&self, room: &RoomId) -> Result<Option<StoredRoom>, StoreError> {
        let room = room.clone();
        self.read(Lane::Urgent, move |db| rooms::load(db, &room)).await
    }

    async fn events(&self, room: &RoomId, after: Seq, limit: usize) -> Result<Vec<Event>, StoreError> {
        let room = room.clone();
        self.read(Lane::Urgent, move |db| rooms::events(db, &room, after, limit))
            .await
    }

    async fn people(&self, room: &RoomId, who: &[ParticipantId]) -> Result<Vec<Person>, StoreError> {
        let (room, who) = (room.clone(), who.to_vec());
        self.read(Lane::Urgent, move |db| rooms::people(db, &room, &who))
            .await
    }

    async fn signs(&self, room: &RoomId) -> Result<Vec<(ParticipantId, Timestamp)>, StoreError> {
        let room = room.clone();
        self.read(Lane::Rest, move |db| rooms::signs(db, &room)).await
    }

    async fn live_rooms(&self, after: Option<&RoomId>, limit: usize) -> Result<Vec<RoomId>, StoreError> {
        let after = after.cloned();
        self.read(Lane::Rest, move |db| rooms::live(db, after.as_ref(), limit))
            .await
    }

    async fn memberships(&self, subject: &Subject) -> Result<Vec<Membership>, StoreError> {
        let subject = subject.clone();
        self.read(Lane::Urgent, move |db| rooms::memberships(db, &subject))
            .await
    }

    async fn circles_of(&self, subject: &Subject) -> Result<Vec<RoomId>, StoreError> {
        let subject = subject.clone();
        self.read(Lane::Urgent, move |db| rooms::circles_of(db, &subject))
            .await
    }

    async fn circles_listing(
        &self,
        phone: &PhoneNumber,
        limit: usize,
    ) -> Result<Vec<ListingCircle>, StoreError> {
        let phone = phone.clone();
        self.read(Lane::Urgent, move |db| rooms::circles_listing(db, &phone, limit))
            .await
    }

    async fn repeated(&self, key: &IdempotencyKey) -> Result<Option<RoomId>, StoreError> {
        let key = key.clone();
        self.read(Lane::Urgent, move |db| records::repeated(db, &key))
            .await
    }

    async fn incident(&self, room: &RoomId) -> Result<Option<IncidentRow>, StoreError> {
        if let Some(row) = self.open.get(room) {
            return Ok(Some(IncidentRow::clone(&row)));
        }
        let room = room.clone();
        self.read(Lane::Urgent, move |db| incidents::incident(db, &room))
            .await
    }

    async fn incidents(&self, query: &IncidentQuery) -> Result<Vec<Listed>, StoreError> {
        if let Some(found) = incidents::at_once(&self.open, query) {
            bump(&self.meters.lists_at_once, 1);
            return Ok(found);
        }
        let (query, open) = (query.clone(), Arc::clone(&self.open));
        self.read(Lane::Rest, move |db| incidents::incidents(db, &open, &query))
            .await
    }

    async fn incidents_of(&self, rooms: &[RoomId]) -> Result<Vec<IncidentRow>, StoreError> {
        let rooms = rooms.to_vec();
        self.read(Lane::Rest, move |db| {
            let found = rooms.iter().map(|room| incidents::incident(db, room));
            found.filter_map(Result::transpose).collect()
        })
        .await
    }

    fn keeps_feed(&self) -> bool {
        true
    }

    async fn feed_after(&self, after: u64, limit: usize) -> Result<Option<FeedPage>, StoreError> {
        self.read(Lane::Rest, move |db| feed::after(db, after, limit).map(Some))
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
        let look_max = self.options.search_max_messages;
        self.read(Lane::Rest, move |db| {
            messages::messages(db, &room, before, limit, text.as_deref(), look_max)
        })
        .await
    }

    async fn keep_fixes(&self, mut new: Vec<KeptFix>, policy: &LocationPolicy) -> Result<usize, StoreError> {
        fixes::in_order(&mut new);
        let mut answers = Vec::new();
        // In pieces, so that an SOS need not wait for a great batch.
        for piece in new.chunks(FIXES_MAX) {
            let (piece, policy) = (piece.to_vec(), policy.clone());
            let keep = move |writes: &mut Writes<'_>| fixes::keep(writes, &piece, &policy);
            answers.push(self.queue(Lane::Rest, FIXES_MAX, None, keep)?);
        }
        let mut kept = 0;
        for answer in answers {
            kept += answered(answer).await?;
        }
        Ok(kept)
    }

    async fn history(&self, query: &HistoryQuery) -> Result<Vec<HistoryFix>, StoreError> {
        let query = query.clone();
        self.read(Lane::Rest, move |db| history::history(db, &query))
            .await
    }

    async fn contacts(&self, owner: &Subject) -> Result<ContactBook, StoreError> {
        let owner = owner.clone();
        self.read(Lane::Urgent, move |db| records::contacts(db, &owner))
            .await
    }

    async fn put_contacts(&self, owner: &Subject, book: ContactBook) -> Result<(), StoreError> {
        let owner = owner.clone();
        let weight = 1 + book.emergency.len() + book.dependent.len();
        self.write(Lane::Rest, weight, move |writes| {
            records::put_contacts(writes, &owner, &book)
        })
        .await
    }

    async fn device(&self, id: DeviceId) -> Result<Option<DeviceRecord>, StoreError> {
        self.read(Lane::Rest, move |db| records::device(db, id)).await
    }

    async fn put_device(&self, id: DeviceId, record: DeviceRecord) -> Result<(), StoreError> {
        self.write(Lane::Rest, 1, move |writes| {
            records::put_device(writes, id, &record)
        })
        .await
    }

    async fn see_devices(&self, seen: Vec<(DeviceId, Timestamp)>) -> Result<(), StoreError> {
        for piece in seen.chunks(NOTES_MAX) {
            let piece = piece.to_vec();
            let see = move |writes: &mut Writes<'_>| privacy::see(writes, &piece);
            self.write(Lane::Rest, NOTES_MAX, see).await?;
        }
        Ok(())
    }

    async fn note_signs(&self, signs: Vec<Sign>) -> Result<(), StoreError> {
        for piece in signs.chunks(NOTES_MAX) {
            let piece = piece.to_vec();
            let note = move |writes: &mut Writes<'_>| privacy::note_signs(writes, &piece);
            self.write(Lane::Rest, NOTES_MAX, note).await?;
        }
        Ok(())
    }

    async fn places(
        &self,
        subject: &Subject,
        after: Option<&RoomId>,
        limit: usize,
    ) -> Result<Vec<Place>, StoreError> {
        let (subject, after) = (subject.clone(), after.cloned());
        self.read(Lane::Rest, move |db| {
            privacy::places(db, &subject, after.as_ref(), limit)
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
        self.read(Lane::Rest, move |db| {
            records::keys(db, &subject, after.as_deref(), limit)
        })
        .await
    }

    async fn tally(&self, subject: &Subject) -> Result<Tally, StoreError> {
        let subject = subject.clone();
        self.read(Lane::Rest, move |db| privacy::tally(db, &subject))
            .await
    }

    async fn put_report(&self, complaint: Complaint) -> Result<(), StoreError> {
        self.write(Lane::Rest, 1, move |writes| {
            conduct::put_report(writes, &complaint)
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
        self.read(Lane::Rest, move |db| {
            conduct::reports(db, room.as_ref(), after, limit)
        })
        .await
    }

    async fn whose(&self, who: ParticipantId) -> Result<Option<Person>, StoreError> {
        self.read(Lane::Urgent, move |db| conduct::whose(db, who)).await
    }

    async fn put_block(&self, block: Block) -> Result<(), StoreError> {
        self.write(Lane::Urgent, 1, move |writes| conduct::put_block(writes, &block))
            .await
    }

    async fn lift_block(&self, key: BlockKey) -> Result<bool, StoreError> {
        self.write(Lane::Urgent, 1, move |writes| conduct::lift_block(writes, key))
            .await
    }

    async fn block_of(&self, who: ParticipantId) -> Result<Option<Block>, StoreError> {
        self.read(Lane::Urgent, move |db| conduct::block_of(db, who))
            .await
    }

    async fn blocks(&self, after: Option<BlockKey>, limit: usize) -> Result<Vec<Block>, StoreError> {
        self.read(Lane::Rest, move |db| conduct::blocks(db, after, limit))
            .await
    }

    async fn outbox_claim(&self, claim: Claim) -> Result<Vec<Claimed>, StoreError> {
        let from = Arc::clone(&self.told);
        let due = self
            .read(Lane::Rest, move |db| outbox::due(db, &from, claim.limit))
            .await?;
        if due.is_empty() {
            return Ok(vec![]);
        }
        self.write(Lane::Rest, due.len(), move |writes| {
            outbox::claim(writes, &due, claim)
        })
        .await
    }

    async fn outbox_settle(&self, settle: Vec<Settle>) -> Result<Vec<Settled>, StoreError> {
        self.write(Lane::Rest, settle.len(), move |writes| {
            outbox::settle(writes, &settle)
        })
        .await
    }

    async fn outbox_depth(&self) -> Result<OutboxDepth, StoreError> {
        self.read(Lane::Rest, outbox::depth).await
    }

    async fn dead_letters(
        &self,
        after: Option<DeadPlace>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        self.read(Lane::Rest, move |db| outbox::letters(db, after.as_ref(), limit))
            .await
    }

    async fn dead_letter(&self, room: &RoomId, seq: Seq) -> Result<Option<DeadLetter>, StoreError> {
        let room = room.clone();
        self.read(Lane::Rest, move |db| outbox::letter_of(db, &room, seq))
            .await
    }

    async fn put_dead_letter(&self, letter: DeadLetter) -> Result<(), StoreError> {
        self.write(Lane::Rest, 1, move |writes| outbox::bury(writes, &letter))
            .await
    }

    async fn drop_dead_letter(&self, room: &RoomId, seq: Seq) -> Result<bool, StoreError> {
        let room = room.clone();
        self.write(Lane::Rest, 1, move |writes| outbox::unbury(writes, &room, seq))
            .await
    }

    async fn trim_dead_letters(&self, keep: usize) -> Result<u64, StoreError> {
        self.write(Lane::Rest, 1, move |writes| outbox::trim(writes, keep))
            .await
    }

    async fn write_jobs(&self, changes: Vec<JobWrite>) -> Result<Vec<bool>, StoreError> {
        let lane = lane_of(&changes);
        self.write(lane, changes.len(), move |writes| jobs::write(writes, &changes))
            .await
    }

    async fn claim_jobs(&self, claim: JobClaim) -> Result<Vec<Job>, StoreError> {
        let lane = match claim.lane {
            JobLane::Sos | JobLane::Otp => Lane::Urgent,
            JobLane::Normal | JobLane::Low => Lane::Rest,
        };
        let due = self
            .read(lane, move |db| jobs::due(db, claim.lane, claim.limit))
            .await?;
        if due.is_empty() {
            return Ok(vec![]);
        }
        self.write(lane, due.len(), move |writes| jobs::claim(writes, &due, claim))
            .await
    }

    async fn job_of(&self, key: &str) -> Result<Option<Job>, StoreError> {
        let key = key.to_owned();
        self.read(Lane::Urgent, move |db| jobs::job_of(db, &key)).await
    }

    async fn jobs_of(
        &self,
        whose: &Subject,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<(Job, Timestamp)>, StoreError> {
        let (whose, prefix) = (whose.clone(), prefix.to_owned());
        self.read(Lane::Rest, move |db| jobs::jobs_of(db, &whose, &prefix, limit))
            .await
    }

    async fn jobs_depth(&self) -> Result<Vec<LaneDepth>, StoreError> {
        self.read(Lane::Rest, jobs::depth).await
    }

    async fn receipt(&self, reference: &str) -> Result<Option<Receipt>, StoreError> {
        let reference = reference.to_owned();
        self.read(Lane::Rest, move |db| jobs::receipt(db, &reference))
            .await
    }

    async fn card(&self, key: &str) -> Result<Option<Card>, StoreError> {
        let key = key.to_owned();
        self.read(Lane::Urgent, move |db| cards::card(db, &key)).await
    }

    async fn cards_on(&self, shelf: &str, limit: usize) -> Result<Vec<Card>, StoreError> {
        let shelf = shelf.to_owned();
        self.read(Lane::Urgent, move |db| cards::on_shelf(db, &shelf, limit))
            .await
    }

    async fn cards_of(&self, whose: &Subject, prefix: &str, limit: usize) -> Result<Vec<Card>, StoreError> {
        let (whose, prefix) = (whose.clone(), prefix.to_owned());
        self.read(Lane::Rest, move |db| cards::of(db, &whose, &prefix, limit))
            .await
    }

    async fn write_cards(&self, new: Vec<CardWrite>, jobs: Vec<JobWrite>) -> Result<bool, StoreError> {
        // Somebody waits for it.
        let lane = match lane_of(&jobs) {
            Lane::Sos => Lane::Sos,
            Lane::Urgent | Lane::Rest => Lane::Urgent,
        };
        self.write(lane, new.len() + jobs.len(), move |writes| {
            cards::write(writes, &new, &jobs)
        })
        .await
    }

    async fn erase(&self, subject: &Subject, now: Timestamp) -> Result<Erased, StoreError> {
        let subject = subject.clone();
        let mut erased = self
            .write(Lane::Rest, 1_000, move |writes| {
                privacy::erase(writes, &subject, now)
            })
            .await?;
        // Positions may be many: an SOS need not wait for them.
        loop {
            let (removed, done) = self.write(Lane::Rest, 5_000, privacy::clear).await?;
            erased.fixes += removed;
            if done {
                return Ok(erased);
            }
        }
    }

    async fn purge(&self, now: Timestamp, retention: &Retention) -> Result<Purged, StoreError> {
        let retention = retention.clone();
        self.write(Lane::Rest, 5_000, move |writes| {
            upkeep::purge(writes, now, &retention)
        })
        .await
    }

    async fn rebuild(&self) -> Result<u64, StoreError> {
        let (mut rooms, mut after) = (0, i64::MIN);
        loop {
            let Rebuilt {
                last,
                rooms: more,
                done,
            } = self
                .write(Lane::Rest, 10_000, move |writes| upkeep::rebuild(writes, after))
                .await?;
            rooms += more;
            after = last;
            if done {
                return Ok(rooms);
            }
        }
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.write(Lane::Rest, 1, upkeep::beat).await
    }

    fn stats(&self) -> StoreStats {
        StoreStats {
            queue_depth: self.writes.len() as u64,
            queue_max: self.writes.max() as u64,
            refused: total(&self.meters.refused),
            commits: total(&self.meters.commits),
            events: total(&self.meters.events),
            fixes: total(&self.meters.fixes),
        }
    }

    fn observe(&self) -> Observed {
        let open = self.open.held();
        Observed {
            append_us: self.meters.append_us.read(),
            commit_us: self.meters.commit_us.read(),
            group_size: self.meters.group_size.read(),
            failed_commits: total(&self.meters.failed_commits),
            reads_refused: total(&self.meters.reads_refused),
            reads_waiting: self.reads.len() as u64,
            lists_at_once: total(&self.meters.lists_at_once),
            open_held: open.held,
            open_left_out: open.left_out,
            remote: None,
        }
    }

    async fn close(&self) {
        self.writes.close();
        self.reads.close();
        // Nothing is ever sent: this waits until every thread has dropped its end.
        let _ = self.ended.lock().await.recv().await;
    }
}
