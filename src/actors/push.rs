//! Where people's devices are pushed to: so many for each person, found by their number or by who they are, and forgotten
//! when the push service says that they are gone.

use sha2::{Digest, Sha256};

use super::clock::random;
use super::error::CommandError;
use super::node::Node;
use crate::domain::notify::Destination;
use crate::domain::people::{Identity, Subject};
use crate::domain::phone::PhoneNumber;
use crate::domain::time::Timestamp;
use crate::store::reach::{decode_destination, encode_destination};
use crate::store::{Card, CardText, CardWrite, StoreError};

/// With which the names of their cards begin.
const PREFIX: &str = "push:";
/// Targets of one number that are told; of each person there are at most as many as the settings say.
const FOUND_MAX: usize = 50;
/// How often somebody else may be first.
const TRIES_MAX: u32 = 5;

/// Names a target without saying it.
fn key(to: &Destination) -> String {
    let digest = Sha256::digest(encode_destination(to).as_bytes());
    format!("{PREFIX}{}", hex::encode(digest))
}

fn shelf(phone: &PhoneNumber) -> String {
    format!("{PREFIX}{}", phone.reveal())
}

/// A version that no card had before.
pub(super) fn version() -> i64 {
    (u64::from_be_bytes(random()) >> 1).cast_signed().max(1)
}

fn targets(cards: &[Card]) -> Vec<Destination> {
    let read = cards.iter().map(|card| decode_destination(&card.text.body));
    // One that cannot be read is of another version of this program.
    read.filter_map(Result::ok).collect()
}

impl Node {
    /// Keeps where a device of theirs is pushed to, and answers until when. A token is one device's: whoever had it before has it no more. Of too
    /// many, those that were told the longest ago go.
    ///
    /// # Errors
    /// When the store fails, or others write the same all the time.
    pub async fn keep_push_target(
        &self,
        who: &Identity,
        to: &Destination,
    ) -> Result<Option<Timestamp>, CommandError> {
        let settings = &self.settings.push;
        for _ in 0..TRIES_MAX {
            let (name, until) = (key(to), Some(self.now() + settings.keep));
            let seen = self.store.card(&name).await?.map_or(0, |card| card.version);
            let text = CardText {
                shelf: who.phone.as_ref().map(shelf),
                whose: Some(who.subject.clone()),
                until,
                body: encode_destination(to),
            };
            let mut writes = vec![CardWrite {
                key: name.clone(),
                seen,
                then: Some((version(), text)),
            }];
            let mut others = self.store.cards_of(&who.subject, PREFIX, FOUND_MAX).await?;
            others.retain(|card| card.key != name);
            others.sort_by_key(|card| std::cmp::Reverse(card.text.until));
            let too_many = others.iter().skip(settings.targets_max.saturating_sub(1));
            writes.extend(too_many.map(gone));
            if self.store.write_cards(writes, vec![]).await? {
                return Ok(until);
            }
        }
        Err(CommandError::Busy)
    }

    /// Forgets where their devices are pushed to, or one of them. Answers how many there were.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn drop_push_targets(
        &self,
        who: &Subject,
        only: Option<&Destination>,
    ) -> Result<usize, CommandError> {
        let only = only.map(key);
        for _ in 0..TRIES_MAX {
            let mut cards = self.store.cards_of(who, PREFIX, FOUND_MAX).await?;
            cards.retain(|card| only.as_ref().is_none_or(|only| card.key == *only));
            let writes: Vec<CardWrite> = cards.iter().map(gone).collect();
            if writes.is_empty() || self.store.write_cards(writes, vec![]).await? {
                return Ok(cards.len());
            }
        }
        Err(CommandError::Busy)
    }

    /// Where the devices of whoever has this number are pushed to: their credentials vouched for it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn push_targets(&self, phone: &PhoneNumber) -> Result<Vec<Destination>, StoreError> {
        let cards = self.store.cards_on(&shelf(phone), FOUND_MAX).await?;
        Ok(targets(&cards))
    }

    /// Where somebody's devices are pushed to.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn push_targets_of(&self, who: &Subject) -> Result<Vec<Destination>, StoreError> {
        let cards = self.store.cards_of(who, PREFIX, FOUND_MAX).await?;
        Ok(targets(&cards))
    }

    /// The same, with until when each is kept.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn push_targets_kept(
        &self,
        who: &Subject,
    ) -> Result<Vec<(Destination, Option<Timestamp>)>, StoreError> {
        let cards = self.store.cards_of(who, PREFIX, FOUND_MAX).await?;
        let kept = cards.iter().map(|card| {
            let to = decode_destination(&card.text.body)?;
            Ok((to, card.text.until))
        });
        kept.collect()
    }

    /// The push service says that nobody is there any more.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn forget_push_target(&self, to: &Destination) -> Result<(), StoreError> {
        let Some(card) = self.store.card(&key(to)).await? else {
            return Ok(());
        };
        // Whoever told of it anew meanwhile is right.
        self.store.write_cards(vec![gone(&card)], vec![]).await.map(drop)
    }
}

fn gone(card: &Card) -> CardWrite {
    CardWrite {
        key: card.key.clone(),
        seen: card.version,
        then: None,
    }
}
