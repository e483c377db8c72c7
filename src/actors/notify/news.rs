//! What vendors tell of messages later on, and what people answer to them.

use std::time::Duration;

use super::Notifier;
use super::incident::message_job;
use crate::actors::error::CommandError;
use crate::actors::node::Node;
use crate::actors::room::{Act, By, Reply};
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::notify::{DeliveryState, Vendor};
use crate::domain::people::{Named, Role, Subject};
use crate::domain::phone::PhoneNumber;
use crate::domain::room::{Command, Means, Move, Rejection, RoomKind};
use crate::store::{JobWrite, Receipt, StoreError};

/// News may be quicker than what it is about is written: how long it is looked for, each time twice as long.
const LOOKS: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
];
/// Rooms of one person that are looked through for an incident that they answer to.
const PLACES: usize = 100;

/// What came of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is known now.
    Noted,
    /// Nothing here is meant by it.
    Unknown,
}

impl Notifier {
    /// A vendor tells how a message stands. `reference` is the vendor's name, a colon, and its name for the message.
    ///
    /// # Errors
    /// When it could not be written down: the vendor is to tell it again.
    pub async fn news(
        &self,
        reference: &str,
        state: DeliveryState,
        code: Option<String>,
    ) -> Result<Heard, CommandError> {
        let Some(receipt) = self.receipt(reference).await? else {
            return Ok(Heard::Unknown);
        };
        let Some(room) = receipt.room.clone() else {
            // A code that proves an address: whoever waits for it knows best.
            return Ok(Heard::Noted);
        };
        let vendor = reference.split(':').next().and_then(Vendor::parse);
        let change = Move {
            id: receipt.notification,
            to: state,
            vendor,
            code,
            possibly_twice: false,
        };
        let job = if state.has_arrived() {
            JobWrite::Drop(receipt.job)
        } else {
            JobWrite::Hasten(receipt.job)
        };
        let mut act = Act::new(By::System, Command::MoveNotification(change), Reply::nobody());
        act.jobs = vec![job];
        let shared = self.shared();
        match shared.node()?.room(&room).act(act).await {
            Ok(outcome) => {
                shared.follow_up(&room, &outcome.events).await;
                Ok(Heard::Noted)
            }
            Err(CommandError::Rejected(Rejection::NotFound | Rejection::WrongKind)) => Ok(Heard::Unknown),
            Err(error) => Err(error),
        }
    }

    async fn receipt(&self, reference: &str) -> Result<Option<Receipt>, StoreError> {
        for wait in LOOKS {
            tokio::time::sleep(wait).await;
            let found = self.shared().store.receipt(reference).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Somebody who was told answers by a text message. Only a number that its vendor vouches for counts.
    ///
    /// # Errors
    /// When it could not be written down.
    pub async fn reply(&self, from: &PhoneNumber, text: &str) -> Result<Heard, CommandError> {
        let shared = self.shared();
        let first = text.split_whitespace().next().unwrap_or_default();
        let first = first.trim_matches(|c: char| !c.is_alphanumeric()).to_uppercase();
        if !shared.settings.acknowledging.contains(&first) {
            return Ok(Heard::Unknown);
        }
        let places = shared
            .store
            .places(&Subject::Phone(from.clone()), None, PLACES)
            .await?;
        let mut heard = Heard::Unknown;
        for place in places.iter().filter(|place| place.kind == RoomKind::Sos) {
            let who = place.person.participant;
            if acknowledge(&*shared.node()?, &place.room, who, Means::Reply).await? == Heard::Noted {
                heard = Heard::Noted;
            }
        }
        Ok(heard)
    }
}

/// Somebody whom an incident knows says that they act. Said again it changes nothing.
///
/// # Errors
/// When it could not be written down.
pub async fn acknowledge(
    node: &Node,
    room: &RoomId,
    who: ParticipantId,
    means: Means,
) -> Result<Heard, CommandError> {
    let by = By::Behalf(Named::Participant(who), Role::Citizen);
    let act = Act::new(by, Command::Acknowledge { means }, Reply::nobody());
    match node.room(room).act(act).await {
        Ok(_) => Ok(Heard::Noted),
        Err(CommandError::Rejected(
            Rejection::NotFound
            | Rejection::WrongKind
            | Rejection::Closed
            | Rejection::NoSuchParticipant
            | Rejection::Forbidden,
        )) => Ok(Heard::Unknown),
        Err(error) => Err(error),
    }
}

/// Jobs of messages that waited for one that has failed: they are due now.
pub(super) fn hasten(room: &RoomId, ids: impl IntoIterator<Item = u32>) -> Vec<JobWrite> {
    ids.into_iter()
        .map(|id| JobWrite::Hasten(message_job(room, id)))
        .collect()
}
