//! PINs: by one somebody proves that they end an SOS of their own will, by another that they are made to.
//!
//! What is kept is a card for each person with two hashes, both always there: nobody who reads it sees whether there is a
//! second PIN, and nobody who measures how long an answer takes does either.

use std::sync::Arc;
use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

use super::clock::random;
use super::error::CommandError;
use super::node::Node;
use super::push::version;
use crate::domain::budget::Budget;
use crate::domain::people::Subject;
use crate::domain::pin::{Entered, Misses, Pin, PinEntry, PinPolicy, Typed};
use crate::domain::room::Proof;
use crate::domain::time::Timestamp;
use crate::store::{Card, CardText, CardWrite, StoreError, codec};

/// With which the names of the cards begin.
const PREFIX: &str = "pin:";
/// What a hash costs (RFC 9106, Argon2id): KiB, passes, lanes. Whoever changes them gives the cards another `v`.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);
const HASH_BYTES: usize = 32;
const CARDS_VERSION: u8 = 1;
/// How often somebody else may be first.
const TRIES_MAX: u32 = 5;

/// Why a PIN was not set.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PinError {
    /// Both PINs are the same.
    #[error("the duress PIN must be another one")]
    Same,
    /// They have one, and it was not typed in.
    #[error("the present PIN is needed")]
    Required,
    /// It was wrong, or something failed.
    #[error(transparent)]
    Failed(#[from] CommandError),
}

impl From<StoreError> for PinError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

/// What PINs go by.
#[derive(Debug)]
pub struct Pins {
    policy: PinPolicy,
    /// A hash takes memory and a core for a while: so many at once.
    places: Arc<Semaphore>,
}

impl Pins {
    /// None is taken for so long.
    fn locked(&self, wait: Duration) -> CommandError {
        CommandError::PinLocked(Budget {
            limit: self.policy.attempts_max,
            remaining: 0,
            reset: wait,
            wait,
        })
    }

    /// By these numbers; at most so many hashes are made at once.
    pub fn new(policy: PinPolicy, at_once: usize) -> Self {
        Self {
            policy,
            places: Arc::new(Semaphore::new(at_once.max(1))),
        }
    }
}

/// What is kept of somebody.
#[derive(Clone, Serialize, Deserialize)]
struct Kept {
    v: u8,
    salt: String,
    pin: String,
    duress: String,
    #[serde(default)]
    wrong: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    locked: Option<i64>,
}

impl Kept {
    fn of(card: &Card) -> Result<Self, StoreError> {
        let kept: Self = serde_json::from_str(&card.text.body).map_err(|_| codec::corrupt("a PIN"))?;
        if kept.v == CARDS_VERSION {
            Ok(kept)
        } else {
            Err(codec::corrupt("a PIN"))
        }
    }

    /// Which of the two has this hash.
    fn holds(&self, hash: &str) -> Typed {
        let pin = self.pin.as_bytes().ct_eq(hash.as_bytes());
        let duress = self.duress.as_bytes().ct_eq(hash.as_bytes());
        match (bool::from(pin), bool::from(duress)) {
            (true, _) => Typed::Pin,
            (_, true) => Typed::Duress,
            _ => Typed::Wrong,
        }
    }

    fn write(&self, whose: &Subject, seen: i64) -> CardWrite {
        let text = CardText {
            shelf: None,
            whose: Some(whose.clone()),
            until: None,
            body: serde_json::to_string(self).expect("invariant: texts and numbers always serialize"),
        };
        CardWrite {
            key: key(whose),
            seen,
            then: Some((version(), text)),
        }
    }
}

fn key(whose: &Subject) -> String {
    format!("{PREFIX}{}", codec::subject_text(whose))
}

fn hash(digits: &str, salt: &[u8]) -> String {
    let (kib, passes, lanes) = COST;
    let params = Params::new(kib, passes, lanes, Some(HASH_BYTES)).expect("invariant: the cost is in range");
    let mut out = [0; HASH_BYTES];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(digits.as_bytes(), salt, &mut out)
        .expect("invariant: salt and hash have lengths that it takes");
    hex::encode(out)
}

impl Node {
    /// Makes hashes, on a thread where nothing else waits.
    async fn hashes(&self, texts: Vec<String>, salt: Vec<u8>) -> Result<Vec<String>, CommandError> {
        let wait = tokio::time::timeout(
            self.settings.command_timeout,
            Arc::clone(&self.pins.places).acquire_owned(),
        );
        let Ok(Ok(_place)) = wait.await else {
            return Err(CommandError::Busy);
        };
        let made = tokio::task::spawn_blocking(move || texts.iter().map(|text| hash(text, &salt)).collect());
        made.await.map_err(|_| CommandError::Busy)
    }

    /// Whether somebody has a PIN.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn has_pin(&self, who: &Subject) -> Result<bool, StoreError> {
        Ok(self.store.card(&key(who)).await?.is_some())
    }

    /// Sets somebody's PINs. Whoever has one proves it by the present one.
    ///
    /// # Errors
    /// When the present one is missing or wrong, both are the same, or the store fails.
    pub async fn set_pin(
        &self,
        who: &Subject,
        present: Option<&PinEntry>,
        pin: &Pin,
        duress: Option<&Pin>,
    ) -> Result<(), PinError> {
        if duress == Some(pin) {
            return Err(PinError::Same);
        }
        let salt = random::<16>();
        // Where there is no second one, something stands in its place that nobody can type in.
        let second = duress.map_or_else(|| hex::encode(random::<16>()), |pin| pin.reveal().to_owned());
        let made = self
            .hashes(vec![pin.reveal().to_owned(), second], salt.to_vec())
            .await?;
        let [pin, duress] = made.as_slice() else {
            return Err(CommandError::Busy.into());
        };
        let kept = Kept {
            v: CARDS_VERSION,
            salt: hex::encode(salt),
            pin: pin.clone(),
            duress: duress.clone(),
            wrong: 0,
            locked: None,
        };
        self.replace_pin(who, present, Some(kept)).await
    }

    /// Takes somebody's PINs away.
    ///
    /// # Errors
    /// When the present one is missing or wrong, or the store fails.
    pub async fn drop_pin(&self, who: &Subject, present: Option<&PinEntry>) -> Result<(), PinError> {
        self.replace_pin(who, present, None).await
    }

    async fn replace_pin(
        &self,
        who: &Subject,
        present: Option<&PinEntry>,
        then: Option<Kept>,
    ) -> Result<(), PinError> {
        for _ in 0..TRIES_MAX {
            let judged = match present {
                Some(present) => self.judge_pin(who, present).await?,
                None if self.has_pin(who).await? => return Err(PinError::Required),
                None => None,
            };
            let seen = match judged {
                None => 0,
                // What somebody is made to change is not changed, and looks as if it were.
                Some((Typed::Duress, _)) => return Ok(()),
                Some((_, version)) => version,
            };
            let write = match &then {
                Some(kept) => kept.write(who, seen),
                None if seen == 0 => return Ok(()),
                None => CardWrite {
                    key: key(who),
                    seen,
                    then: None,
                },
            };
            if self.store.write_cards(vec![write], vec![]).await? {
                return Ok(());
            }
        }
        Err(CommandError::Busy.into())
    }

    /// What a PIN that was typed in proves. Whoever has none proves by anything that they are not made to.
    ///
    /// # Errors
    /// When it is wrong, or the store fails.
    pub async fn prove(&self, who: &Subject, typed: Option<&PinEntry>) -> Result<Proof, CommandError> {
        let Some(typed) = typed else {
            return Ok(Proof::Nothing);
        };
        Ok(match self.judge_pin(who, typed).await? {
            Some((Typed::Duress, _)) => Proof::Duress,
            None | Some(_) => Proof::Pin,
        })
    }

    /// Judges what was typed in, and answers with it the version of the card as it is now; `None`: they have no PIN.
    async fn judge_pin(&self, who: &Subject, typed: &PinEntry) -> Result<Option<(Typed, i64)>, CommandError> {
        for _ in 0..TRIES_MAX {
            let Some(card) = self.store.card(&key(who)).await? else {
                return Ok(None);
            };
            let mut kept = Kept::of(&card)?;
            let mut misses = Misses {
                wrong: kept.wrong,
                locked_until: kept.locked.map(Timestamp::from_ms),
            };
            let now = self.now();
            if let Some(left) = misses.locked_for(now) {
                return Err(self.pins.locked(left));
            }
            let salt = hex::decode(&kept.salt).map_err(|_| codec::corrupt("a PIN"))?;
            let made = self.hashes(vec![typed.reveal().to_owned()], salt).await?;
            let typed = made.first().map_or(Typed::Wrong, |hash| kept.holds(hash));
            let before = misses;
            let entered = misses.judge(now, typed, &self.pins.policy);
            if misses == before {
                return Ok(Some((typed, card.version)));
            }
            kept.wrong = misses.wrong;
            kept.locked = misses.locked_until.map(Timestamp::ms);
            let write = kept.write(who, card.version);
            let version = write.then.as_ref().map_or(0, |(version, _)| *version);
            // That it was tried is on disk before anybody hears what came of it.
            if self.store.write_cards(vec![write], vec![]).await? {
                return match entered {
                    Entered::Right | Entered::Duress => Ok(Some((typed, version))),
                    Entered::Wrong { left } => Err(CommandError::WrongPin { left }),
                    Entered::Locked(wait) => Err(self.pins.locked(wait)),
                };
            }
        }
        Err(CommandError::Busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hash that changes would lock everybody out of what they have raised. Made by the reference implementation
    /// (argon2-cffi's `hash_secret_raw`).
    #[test]
    fn a_hash_is_what_others_make_of_it() {
        assert_eq!(
            hash("1234", b"0123456789abcdef"),
            "04b4192ae9efb1712fd2b7e8bd67909763a235a7c45a3982b2f6cd59b6ae2f3d"
        );
    }
}
