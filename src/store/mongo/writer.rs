//! Appends what waits: many rooms' appends in one transaction, so that a storm costs few round trips and few waits
//! for the disks of the set.
//!
//! A room's appends always go through the same writer of a node. A writer remembers the rows of rooms that it wrote
//! last and trusts them: the transaction holds them against what is there, by the room's head and by the unique keys.
//! When that fails, another node was first somewhere. Then the group is done again with everything read inside the
//! transaction, and what nobody else touched goes through; whoever was too late hears of it. What keeps colliding is
//! done in halves, so that one busy room does not hold the others up.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mongodb::bson::{Bson, Document, doc};
use mongodb::{ClientSession, bson};

use super::Shared;
use super::docs::{
    DEVICES, EVENTS, IDEMPOTENCY, KeyDoc, KeyName, OUTBOX_NOTES, PARTICIPANTS, ParticipantDoc, ROOMS,
    RoomDoc, keys_of, place_key,
};
use super::error::{Cause, Failure, Outcome};
use super::jobs;
use super::plan::{Known, Plan, concerned};
use super::queue::{Pending, Queue};
use crate::domain::ids::RoomId;
use crate::domain::room::Seq;
use crate::store::contract::{AppendError, StoreError};
use crate::store::meters::bump;
use crate::store::types::Append;

/// The first pause before something is tried again, and the longest.
const PAUSE: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(200);
/// A group that collides so often is halved.
const COLLISIONS_MAX: u32 = 2;

/// How much a writer believes of what it remembers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    Remembered,
    /// Only what the transaction itself has read.
    Read,
}

/// Part of a group, and how it fared so far.
struct Piece {
    group: Vec<Pending>,
    trust: Trust,
    tries: u32,
}

/// One of the node's writers.
pub(super) struct Writer {
    pub shared: Arc<Shared>,
    pub queue: Arc<Queue>,
    /// Rooms as this writer left them.
    pub rooms: HashMap<RoomId, RoomDoc>,
}

impl Writer {
    /// Until the queue is closed and empty.
    pub async fn run(mut self) {
        let (ops, rows) = (
            self.shared.options.group_max_ops,
            self.shared.options.group_max_rows,
        );
        while let Some(group) = self.queue.take(ops, rows).await {
            self.shared.meters.group_size.add(group.len() as u64);
            self.write(group).await;
        }
    }

    async fn write(&mut self, group: Vec<Pending>) {
        let whole = Piece {
            group,
            trust: Trust::Remembered,
            tries: 0,
        };
        let mut pieces = vec![whole];
        while let Some(piece) = pieces.pop() {
            let oldest = piece.group.iter().map(|pending| pending.since).min();
            let until = oldest.unwrap_or_else(Instant::now) + self.shared.options.write_timeout;
            let begun = Instant::now();
            let left = until.saturating_duration_since(begun);
            if left.is_zero() {
                self.give_up(piece.group, &StoreError::Busy);
                continue;
            }
            let attempt = tokio::time::timeout(left, self.attempt(&piece)).await;
            let outcome = attempt.unwrap_or_else(|_| {
                // Whoever stood in the queue for most of the time tells nothing of the server.
                Err(if left * 2 < self.shared.options.write_timeout {
                    StoreError::Busy.into()
                } else {
                    Failure::away("it was not durable in time")
                })
            });
            if self.shared.breaker.note(&outcome) {
                self.shared.opened.notify_one();
            }
            match outcome {
                Ok(plan) => {
                    self.shared.meters.commit_us.add_time(begun.elapsed());
                    self.acknowledge(piece.group, plan);
                }
                Err(failure) => {
                    self.forget(&piece.group);
                    self.again(piece, failure, until, &mut pieces).await;
                }
            }
        }
    }

    /// Everybody hears how it went, now that it is durable.
    fn acknowledge(&mut self, group: Vec<Pending>, plan: Plan) {
        bump(&self.shared.meters.commits, 1);
        bump(&self.shared.meters.events, plan.events.len() as u64);
        if self.rooms.len() + plan.new_rooms.len() > self.shared.options.rooms_cached_max {
            self.rooms.clear();
        }
        let changed = plan.changed_rooms.into_iter().map(|(_, room)| room);
        for room in plan.new_rooms.into_iter().chain(changed) {
            if let Ok(id) = RoomId::new(&room.id)
                && self.rooms.len() < self.shared.options.rooms_cached_max
            {
                self.rooms.insert(id, room);
            }
        }
        for (pending, outcome) in group.into_iter().zip(plan.outcomes) {
            if outcome.is_ok() {
                self.shared.meters.append_us.add_time(pending.since.elapsed());
            }
            let _ = pending.answer.send(outcome);
        }
    }

    fn forget(&mut self, group: &[Pending]) {
        for pending in group {
            self.rooms.remove(&pending.append.room);
        }
    }

    /// Puts what failed back in a way in which it may succeed, or gives up.
    async fn again(&self, mut piece: Piece, failure: Failure, until: Instant, pieces: &mut Vec<Piece>) {
        piece.tries += 1;
        bump(&self.shared.meters.repeated, 1);
        let first_doubt = piece.trust == Trust::Remembered;
        piece.trust = Trust::Read;
        let pause = (PAUSE * 2_u32.saturating_pow(piece.tries)).min(PAUSE_MAX);
        let late = Instant::now() + pause >= until;
        // One of several may be the reason why all of them fail: the others shall not suffer.
        let collides = matches!(failure.cause, Cause::Taken | Cause::Again) && piece.tries > COLLISIONS_MAX;
        let is_one = piece.group.len() == 1;
        match failure.cause {
            Cause::Taken if first_doubt => pieces.push(piece),
            Cause::Own if is_one => self.give_up(piece.group, &failure.error),
            _ if late => self.give_up(piece.group, &failure.error),
            cause if !is_one && (collides || cause == Cause::Own) => {
                let group = piece.group.split_off(piece.group.len() / 2);
                for group in [group, piece.group] {
                    pieces.push(Piece {
                        group,
                        trust: Trust::Read,
                        tries: 0,
                    });
                }
            }
            _ => {
                tokio::time::sleep(pause).await;
                pieces.push(piece);
            }
        }
    }

    fn give_up(&self, group: Vec<Pending>, error: &StoreError) {
        bump(&self.shared.meters.failed_commits, 1);
        for pending in group {
            let _ = pending.answer.send(Err(AppendError::Store(error.clone())));
        }
    }

    /// One transaction. On an error nothing has happened, unless the server was away when it was to commit.
    async fn attempt(&self, piece: &Piece) -> Outcome<Plan> {
        let mut session = self.shared.db.begin().await?;
        let done = self.carry_out(&mut session, piece).await;
        if done.is_err() {
            let _ = session.abort_transaction().await;
        }
        done
    }

    async fn carry_out(&self, session: &mut ClientSession, piece: &Piece) -> Outcome<Plan> {
        let known = self.known(session, piece).await?;
        let plan = Plan::of(&piece.group, known, self.shared.options.feed)?;
        // Without anything to write, too: that what was read is there to stay is only known afterwards.
        self.put(session, &plan).await?;
        self.shared.db.commit(session).await?;
        Ok(plan)
    }

    /// What a plan needs: from memory where that is trusted, else read in the transaction.
    async fn known(&self, session: &mut ClientSession, piece: &Piece) -> Outcome<Known> {
        let mut known = Known::default();
        let mut unknown = HashSet::new();
        let trusts = piece.trust == Trust::Remembered;
        for Pending { append, .. } in &piece.group {
            if known.rooms.contains_key(&append.room) {
                continue;
            }
            let remembered = self.rooms.get(&append.room);
            if trusts && append.after == Seq::ZERO && remembered.is_none() {
                known.rooms.insert(append.room.clone(), None);
            } else if trusts
                && let Some(room) = remembered.filter(|room| room.head == super::docs::number(append.after))
            {
                known.rooms.insert(append.room.clone(), Some(room.clone()));
            } else {
                known.rooms.insert(append.room.clone(), None);
                unknown.insert(append.room.as_str());
            }
        }
        if !unknown.is_empty() {
            let filter = doc! { "_id": { "$in": unknown.into_iter().collect::<Vec<_>>() } };
            for room in self.shared.db.find_in::<RoomDoc>(session, ROOMS, filter).await? {
                let id = crate::store::codec::parse_room(&room.id)?;
                known.rooms.insert(id, Some(room));
            }
        }
        self.read_people(session, piece, &mut known).await?;
        self.read_keys(session, piece, &mut known).await?;
        Ok(known)
    }

    async fn read_people(
        &self,
        session: &mut ClientSession,
        piece: &Piece,
        known: &mut Known,
    ) -> Outcome<()> {
        let mut wanted = HashSet::new();
        for Pending { append, .. } in &piece.group {
            if known.rooms.get(&append.room).is_some_and(Option::is_some) {
                wanted.extend(concerned(append).map(|who| place_key(&append.room, who)));
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let filter = doc! { "_id": { "$in": wanted.into_iter().collect::<Vec<_>>() } };
        for somebody in self
            .shared
            .db
            .find_in::<ParticipantDoc>(session, PARTICIPANTS, filter)
            .await?
        {
            known.participants.insert(somebody.id.clone(), somebody);
        }
        Ok(())
    }

    async fn read_keys(&self, session: &mut ClientSession, piece: &Piece, known: &mut Known) -> Outcome<()> {
        // For a room that is made now the unique key itself tells.
        let is_told = |append: &Append| {
            piece.trust == Trust::Remembered
                && append.after == Seq::ZERO
                && known.rooms.get(&append.room).is_none_or(Option::is_none)
        };
        let names: Vec<Bson> = piece
            .group
            .iter()
            .filter(|pending| !is_told(&pending.append))
            .filter_map(|pending| pending.append.idempotency.as_ref())
            .map(|name| KeyName::of(name).into())
            .collect();
        if names.is_empty() {
            return Ok(());
        }
        let filter = doc! { "_id": { "$in": names } };
        for key in self
            .shared
            .db
            .find_in::<KeyDoc>(session, IDEMPOTENCY, filter)
            .await?
        {
            known.keys.insert(key.id, key.room);
        }
        Ok(())
    }

    async fn put(&self, session: &mut ClientSession, plan: &Plan) -> Outcome<()> {
        let db = &self.shared.db;
        db.insert_in(session, ROOMS, &plan.new_rooms).await?;
        let rooms = plan.changed_rooms.iter().map(|(head, room)| {
            let filter = doc! { "_id": &room.id, "head": head };
            replacement(filter, room, false)
        });
        let rooms: Vec<Document> = rooms.collect::<Outcome<_>>()?;
        let wanted = rooms.len() as u64;
        if db.update_in(session, ROOMS, rooms).await? != wanted {
            return Err(Failure::taken());
        }
        db.insert_in(session, EVENTS, &plan.events).await?;
        // Inserted and never changed here: whoever tells of them must not get into the way of an append.
        db.insert_in(session, OUTBOX_NOTES, &plan.notes).await?;
        // Before those are written who came afterwards.
        let emptied = plan.emptied.iter().map(|(room, at)| {
            doc! {
                "q": { "_id": keys_of(room), "present": true },
                "u": { "$set": { "present": false, "stay.leftAt": at }, "$unset": { "seenAt": "" } },
                "multi": true,
            }
        });
        db.update_in(session, PARTICIPANTS, emptied.collect()).await?;
        db.insert_in(session, PARTICIPANTS, &plan.new_participants)
            .await?;
        let people = plan
            .changed_participants
            .iter()
            .map(|somebody| replacement(doc! { "_id": &somebody.id }, somebody, true));
        db.update_in(session, PARTICIPANTS, people.collect::<Outcome<_>>()?)
            .await?;
        let devices = plan.devices.iter().map(|(id, at)| {
            doc! {
                "q": { "_id": id },
                "u": { "$set": { "linked": true }, "$max": { "lastSeen": at }, "$setOnInsert": { "firstSeen": at } },
                "upsert": true,
            }
        });
        db.update_in(session, DEVICES, devices.collect()).await?;
        db.insert_in(session, IDEMPOTENCY, &plan.keys).await?;
        jobs::write_in(db, session, plan.jobs.iter()).await
    }
}

/// A statement that puts a whole document in another's place.
pub(super) fn replacement(
    filter: Document,
    whole: &impl serde::Serialize,
    upsert: bool,
) -> Outcome<Document> {
    let whole = bson::serialize_to_document(whole)
        .map_err(|_| StoreError::Corrupt("a document cannot be written".into()))?;
    Ok(doc! { "q": filter, "u": whole, "upsert": upsert })
}
