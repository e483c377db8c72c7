//! Reports of misconduct, and blocks.

use std::sync::Arc;

use super::Engine;
use crate::actors::error::CommandError;
use crate::actors::room::{Act, By, Reply};
use crate::delivery::CloseReason;
use crate::domain::conduct::{Block, Complaint, ComplaintCursor};
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::people::{Identity, Subject};
use crate::domain::room::{Command, LeaveReason, Rejection, RoomKind};
use crate::domain::time::Timestamp;
use crate::store::StoreError;

/// Why somebody was not reported.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReportError {
    /// Whoever reports has no part in the incident.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The one reported has none.
    #[error("must be somebody of this incident")]
    Stranger,
    /// They report themselves.
    #[error("must be somebody else")]
    Oneself,
}

/// Why somebody was not blocked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BlockError {
    /// Nobody is called so, or they have been erased.
    #[error("Participant not found")]
    Unknown,
    /// Operators keep each other out elsewhere: where their accounts are.
    #[error("Operators cannot be blocked")]
    Staff,
    /// There are as many as there may be.
    #[error("Too many are blocked already")]
    TooMany,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// Keeps what `who` reports of somebody in an incident that both are or were in. Durable when it returns;
    /// the one reported never learns of it.
    ///
    /// # Errors
    /// When it is not theirs to report, or the store fails.
    pub async fn report(
        &self,
        room: &RoomId,
        who: &Arc<Identity>,
        participant: ParticipantId,
        reason: String,
    ) -> Result<Complaint, ReportError> {
        let view = self.view(room, who).await?;
        let people = &view.state.participants;
        let reporter = view
            .viewer
            .filter(|who| people.get(who).is_some_and(|person| !person.removed))
            .ok_or(CommandError::Rejected(Rejection::NotIn))?;
        if participant == reporter {
            return Err(ReportError::Oneself);
        }
        if !people.contains_key(&participant) {
            return Err(ReportError::Stranger);
        }
        let complaint = Complaint {
            room: room.clone(),
            participant,
            reporter,
            at: self.node.now(),
            reason,
        };
        let kept = self.node.store.put_report(complaint.clone()).await;
        kept.map_err(CommandError::Store)?;
        self.node.observer.reported();
        Ok(complaint)
    }

    /// Reports, newest first, of one incident or of all. For staff.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn reports(
        &self,
        room: Option<&RoomId>,
        after: Option<ComplaintCursor>,
        limit: usize,
    ) -> Result<Vec<Complaint>, StoreError> {
        self.node.store.reports(room, after, limit).await
    }

    /// Keeps out whoever is called `participant` in some incident: from the moment this returns none of their
    /// requests is served, their connections are closed and they are out of the incidents they were in.
    ///
    /// # Errors
    /// When nobody is called so, they are staff, or the store fails.
    pub async fn block(
        &self,
        participant: ParticipantId,
        by: &Identity,
        reason: Option<String>,
        until: Option<Timestamp>,
    ) -> Result<Block, BlockError> {
        let node = &self.node;
        let person = node.store.whose(participant).await?;
        let key = match &person {
            Some(person) if person.role.is_staff() => return Err(BlockError::Staff),
            Some(person) => node.blocks.key(&person.subject),
            // They were erased after they were blocked: the block can still be changed.
            None => {
                node.store
                    .block_of(participant)
                    .await?
                    .ok_or(BlockError::Unknown)?
                    .key
            }
        };
        node.blocks.room_for(&key).map_err(|_| BlockError::TooMany)?;
        let block = Block {
            key,
            participant,
            at: node.now(),
            until,
            reason,
            by: Some(by.subject.clone()),
        };
        node.store.put_block(block.clone()).await?;
        node.blocks.put(&block);
        if let Some(person) = person {
            self.put_out(&person.subject).await;
        }
        Ok(block)
    }

    /// Lets whoever is called `participant` in again; whether they were kept out.
    ///
    /// # Errors
    /// When nobody is called so, or the store fails.
    pub async fn unblock(&self, participant: ParticipantId) -> Result<bool, BlockError> {
        let node = &self.node;
        let key = match node.store.whose(participant).await? {
            Some(person) => node.blocks.key(&person.subject),
            None => {
                node.store
                    .block_of(participant)
                    .await?
                    .ok_or(BlockError::Unknown)?
                    .key
            }
        };
        let lifted = node.store.lift_block(key).await?;
        node.blocks.lift(&key);
        Ok(lifted)
    }

    /// Closes what a blocked subject has open, and takes them out of incidents. That they may do nothing stands
    /// already: an incident that is too busy to let go of them now does so when they have been idle.
    async fn put_out(&self, subject: &Subject) {
        let node = &self.node;
        node.directory.close_all(subject, CloseReason::Forbidden);
        let rooms = match node.store.memberships(subject).await {
            Ok(rooms) => rooms,
            Err(error) => {
                tracing::warn!(%error, "could not find the incidents of somebody who was blocked");
                return;
            }
        };
        for membership in rooms.iter().filter(|membership| membership.kind == RoomKind::Sos) {
            let command = Command::Remove {
                who: membership.participant,
                reason: LeaveReason::Removed,
            };
            let act = Act::new(By::System, command, Reply::nobody());
            match node.room(&membership.room).act(act).await {
                Ok(_) | Err(CommandError::Rejected(_)) => {}
                Err(error) => tracing::warn!(%error, "somebody who was blocked is still in an incident"),
            }
        }
    }
}
