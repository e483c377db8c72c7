//! What is kept of somebody: told, counted, erased.

use super::Engine;
use crate::actors::error::CommandError;
use crate::actors::room::{Act, By, Reply};
use crate::bus::{News, Note, Topic};
use crate::delivery::CloseReason;
use crate::domain::conduct::{Complaint, ComplaintCursor};
use crate::domain::ids::{DeviceId, RoomId};
use crate::domain::people::{ContactBook, Identity, Subject};
use crate::domain::room::{Command, Event, LeaveReason, Seq};
use crate::store::{DeviceRecord, HistoryFix, HistoryQuery, KeptKey, Place, StoreError, Tally};

/// What a device is known by, and how much is kept of whoever speaks.
#[derive(Clone, Debug)]
pub struct Own {
    /// The device, if they speak as one or their token names one.
    pub device: Option<(DeviceId, Option<DeviceRecord>)>,
    /// What is kept of them, counted.
    pub tally: Tally,
}

/// What was erased of somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erasure {
    /// Rooms that knew who they were.
    pub participations: u64,
    /// Positions.
    pub positions: u64,
    /// Contacts, device record, idempotency keys.
    pub others: u64,
    /// Connections that were closed.
    pub connections: u64,
}

impl Engine {
    /// Writes what a device tells of itself; what it does not tell stays as it is.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn note_device(&self, id: DeviceId, record: DeviceRecord) -> Result<(), StoreError> {
        self.node().store.put_device(id, record).await
    }

    /// What is kept of whoever speaks, counted.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn own(&self, who: &Identity) -> Result<Own, StoreError> {
        let store = &self.node().store;
        self.node().saw(who);
        let device = match who.own_device() {
            Some(id) => Some((id, store.device(id).await?)),
            None => None,
        };
        let mut tally = Tally::default();
        for subject in who.subjects() {
            tally = tally.plus(&store.tally(&subject).await?);
        }
        Ok(Own { device, tally })
    }

    /// Erases all that is kept of whoever speaks, on disk and in memory, and closes their connections. What they did
    /// stays in the rooms' logs under pseudonyms that point nowhere. Doing it again changes nothing.
    ///
    /// # Errors
    /// When the store fails or a room does not answer; what was not done is done by asking again.
    pub async fn erase(&self, who: &Identity) -> Result<Erasure, CommandError> {
        let mut sum = Erasure::default();
        for subject in who.subjects() {
            let erased = self.erase_subject(&subject).await?;
            sum.participations += erased.participations;
            sum.positions += erased.positions;
            sum.others += erased.others;
            sum.connections += erased.connections;
        }
        tracing::info!(
            participations = sum.participations,
            positions = sum.positions,
            "somebody was erased"
        );
        Ok(sum)
    }

    async fn erase_subject(&self, subject: &Subject) -> Result<Erasure, CommandError> {
        let node = self.node();
        self.leave_all(subject).await?;
        // Their circles let go of those who came as their contacts.
        if node.store.contacts(subject).await? != ContactBook::default() {
            node.replace_contacts(subject, None, ContactBook::default())
                .await?;
        }
        let erased = node.store.erase(subject, node.now()).await?;
        if node.cluster.clustered {
            let (subject, places) = (subject.clone(), erased.places.clone());
            node.bus
                .publish(Topic::Everyone, News::Erased { subject, places });
        }
        for (room, _) in &erased.places {
            if let Some(room) = node.registry.peek(room) {
                room.forget(subject.clone());
            }
        }
        if let Subject::User(user) = subject {
            node.board.put(Note::Gone {
                users: vec![user.clone()],
                places: erased.places.clone(),
            });
        }
        node.notes.forget(subject);
        node.memberships.forget(subject);
        let timeout = node.settings.command_timeout;
        self.batchers.forget(&erased.places, timeout).await;
        let connections = node.directory.close_all(subject, CloseReason::Erased);
        Ok(Erasure {
            participations: erased.people,
            positions: erased.fixes,
            others: erased.others,
            connections: connections as u64,
        })
    }

    /// Out of every room, so that nobody waits for them. An incident that they raised stays open: whoever holds
    /// their phone must not be able to call help off this way.
    async fn leave_all(&self, subject: &Subject) -> Result<(), CommandError> {
        let node = self.node();
        for place in node.memberships.once(subject).await?.iter() {
            let command = Command::Remove {
                who: place.participant,
                reason: LeaveReason::Left,
            };
            let act = Act::new(By::System, command, Reply::nobody());
            match node.room(&place.room).act(act).await {
                // Out already, or the incident has ended meanwhile.
                Ok(_) | Err(CommandError::Rejected(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What rooms have of a subject, a page at a time.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn places(
        &self,
        subject: &Subject,
        after: Option<&RoomId>,
        limit: usize,
    ) -> Result<Vec<Place>, StoreError> {
        self.node().store.places(subject, after, limit).await
    }

    /// A page of a room's log, for somebody who is told what they did in it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn log(&self, room: &RoomId, after: Seq, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.node().store.events(room, after, limit).await
    }

    /// A page of what was reported in a room, for somebody who is told what concerns them.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn reports_in(
        &self,
        room: &RoomId,
        after: Option<ComplaintCursor>,
        limit: usize,
    ) -> Result<Vec<Complaint>, StoreError> {
        self.node().store.reports(Some(room), after, limit).await
    }

    /// A subject's own positions, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn positions_of(
        &self,
        subject: &Subject,
        query: HistoryQuery,
    ) -> Result<Vec<HistoryFix>, StoreError> {
        let query = HistoryQuery {
            subject: Some(subject.clone()),
            ..query
        };
        self.node().store.history(&query).await
    }

    /// A subject's idempotency keys, a page at a time.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn keys_of(
        &self,
        subject: &Subject,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<KeptKey>, StoreError> {
        self.node().store.idempotency_keys(subject, after, limit).await
    }

    /// A device's record.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn device(&self, id: DeviceId) -> Result<Option<DeviceRecord>, StoreError> {
        self.node().store.device(id).await
    }
}
